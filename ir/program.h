/* The loaded program: the columns of ir/columns.def, in place, and what is derived once at load. */
#ifndef FXC_IR_PROGRAM_H
#define FXC_IR_PROGRAM_H

#include "fxcost/fxcost.h"
#include "ir/arena.h"
#include "ir/names.h"

enum fxc_group {
#define GROUP(name) FXC_GROUP_##name,
#define COLUMN(group, type, name, need, check, bound)
#include "ir/columns.def"
    FXC_GROUP_COUNT
};

enum fxc_column {
#define GROUP(name)
#define COLUMN(group, type, name, need, check, bound) FXC_COLUMN_##name,
#include "ir/columns.def"
    FXC_COLUMN_COUNT
};

enum fxc_check {
    FXC_CHECK_ANY,
    FXC_CHECK_BEGIN,
    FXC_CHECK_INDEX,
    FXC_CHECK_MAYBE,
    FXC_CHECK_ENUM,
    FXC_CHECK_SYMINT,
    FXC_CHECK_KIND,
    FXC_CHECK_PAYLOAD,
};

/* One row of ir/columns.def as data. */
struct fxc_column_info {
    const char *name;
    uint8_t group, element_size, check;
    bool required;
    uint8_t bound;  /* group of BEGIN, INDEX, MAYBE; enumerators of ENUM, KIND */
    uint8_t opaque; /* the OPAQUE enumerator of ENUM, KIND */
};
extern const struct fxc_column_info fxc_columns[FXC_COLUMN_COUNT];
extern const char *const fxc_group_names[FXC_GROUP_COUNT];

struct fxc_op_row;

struct fxc_program {
    uint16_t version_major, version_minor;
    uint32_t count[FXC_GROUP_COUNT];

    /* program->node_op and so on, with the type of the row; an absent optional column is NULL. */
    union {
        struct {
#define GROUP(name)
#define COLUMN(group, type, name, need, check, bound) const type *name;
#include "ir/columns.def"
        };
        const void *column[FXC_COLUMN_COUNT];
    };

    /* Derived at load. */
    const struct fxc_op_row *const *op_row; /* per op: its row of ops.def, NULL when the table has none */
    const uint16_t *argname_id;             /* per argname: enum fxc_name, FXC_NAME_other_name for an unlisted one */

    const char *file;       /* name in messages */
    struct fxc_arena arena; /* owns all that is derived, and the columns of a parsed text file */
    void *mapping;          /* the mapped or copied file, NULL for a parsed text file */
    size_t mapping_size;
    bool mapped; /* munmap rather than free */
};

#define FXC_COUNT(program, group) ((program)->count[FXC_GROUP_##group])

static inline const char *fxc_string(const struct fxc_program *p, uint32_t id) {
    return (const char *)p->string_bytes + p->string_begin[id];
}
static inline const char *fxc_node_name(const struct fxc_program *p, uint32_t node) {
    return fxc_string(p, p->value_name[p->node_result[node]]);
}
static inline const char *fxc_node_op_name(const struct fxc_program *p, uint32_t node) {
    return fxc_string(p, p->op_name[p->node_op[node]]);
}
static inline const struct fxc_op_row *fxc_node_row(const struct fxc_program *p, uint32_t node) {
    return p->op_row[p->node_op[node]];
}
static inline bool fxc_is_literal(int64_t symint) {
    return symint >= 0;
}
static inline uint32_t fxc_symint_expr(int64_t symint) {
    return (uint32_t)(-1 - symint);
}

/* Entry `row` of a column of any element type. */
int64_t fxc_element(const struct fxc_program *program, uint32_t column, uint32_t row);

/* The graph a node belongs to (binary search). */
uint32_t fxc_program_node_graph(const struct fxc_program *program, uint32_t node);

/* The capture entry `key` when it is of this kind: false when absent. */
bool fxc_program_capture(const struct fxc_program *program, const char *key, enum fxc_kind kind, int64_t *payload);

/* Calls `each` with every value in an argument, an item or an output: itself, or those in a list, a dictionary or a
 * slice, however deep (verified to nest at most 32 deep). */
void fxc_each_value(const struct fxc_program *program, uint8_t kind, int64_t payload,
                    void (*each)(uint32_t value, void *context), void *context);

/* Qualified name of a module ("layers.0.fc", "" for the root), cut to the buffer's size. Returns buffer. */
const char *fxc_module_path(const struct fxc_program *program, uint32_t module, char *buffer, size_t size);

/* ---- construction (reader.cc and text_parse.c) ------------------------------------------------------------------- */

/* A zeroed program whose arena is empty; NULL when memory is out. */
struct fxc_program *fxc_program_alloc(const char *name);
/* Checks every column against ir/columns.def. Columns and counts must be set. */
fxc_status fxc_program_check(struct fxc_program *program, fxc_error *err);
/* Derives op_row and argname_id; after a successful check. */
fxc_status fxc_program_bind(struct fxc_program *program, fxc_error *err);

#endif
