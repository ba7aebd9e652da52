/* Growable columns in which the text parser (and tests) build a program.
 *
 * One vector per column of ir/columns.def; fxc_push_NAME(builder, value) appends to column NAME. A BEGIN column gets
 * one value per row, where the row's own rows start; fxc_builder_finish appends the end. Errors stick: after a failed
 * allocation or an overflow of 32 bits every push is a no-op, and fxc_builder_finish says so. */
#ifndef FXC_IR_BUILDER_H
#define FXC_IR_BUILDER_H

#include "ir/intern.h"
#include "ir/program.h"

struct fxc_vector {
    void *data;
    uint32_t length, capacity;
};

struct fxc_builder {
    struct fxc_vector column[FXC_COLUMN_COUNT];
    struct fxc_intern strings;
    bool adopted; /* the string table of another program comes first */
    bool failed;
};

/* Empty columns and the string table with "" as string 0. */
void fxc_builder_start(struct fxc_builder *builder);
void fxc_builder_free(struct fxc_builder *builder);

/* Starts with the string table of another program, whose ids stay. Further strings are in the columns at once; one that
 * the other program has gets an id of its own. */
void fxc_builder_adopt_strings(struct fxc_builder *builder, const struct fxc_program *program);
/* The id of a string, which must hold no NUL. */
uint32_t fxc_builder_string(struct fxc_builder *builder, const char *text, size_t size);
static inline const char *fxc_builder_text(const struct fxc_builder *builder, uint32_t id, uint32_t *size) {
    *size = builder->strings.entries[id].size;
    return (const char *)builder->strings.bytes + builder->strings.entries[id].begin;
}

/* Appends `count` elements, zeros when data is NULL. */
bool fxc_vector_append(struct fxc_vector *vector, const void *data, uint32_t count, size_t size);
/* Appends one element to a vector of elements of this size; false when memory or 32 bits are out. */
bool fxc_vector_push(struct fxc_vector *vector, const void *element, size_t size);

/* Appends one element of the column's size. */
void fxc_builder_push(struct fxc_builder *builder, enum fxc_column column, const void *element);

#define GROUP(name)
#define COLUMN(group, type, name, need, check, bound)                                                                  \
    static inline void fxc_push_##name(struct fxc_builder *builder, type value) {                                      \
        fxc_builder_push(builder, FXC_COLUMN_##name, &value);                                                          \
    }
#include "ir/columns.def"

static inline uint32_t fxc_builder_length(const struct fxc_builder *builder, enum fxc_column column) {
    return builder->column[column].length;
}

/* Copies the columns into the program's arena and sets its counts. An optional column stays absent when it is empty.
 * The program must still be checked (fxc_program_check) and bound. */
fxc_status fxc_builder_finish(struct fxc_builder *builder, struct fxc_program *program, fxc_error *err);

#endif
