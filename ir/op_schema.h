/* The schemas of a program's operators, read once each and bound to the program's argument names, so that passes
 * match arguments by number. */
#ifndef FXC_IR_OP_SCHEMA_H
#define FXC_IR_OP_SCHEMA_H

#include "ir/program.h"
#include "ir/schema.h"

/* One bit per argument of a schema. */
struct fxc_arg_set {
    uint64_t word[(FXC_SCHEMA_MAX_ARGS + 63) / 64];
};

struct fxc_op_schema {
    struct fxc_schema schema;
    bool known;                  /* false: the operator has no schema (getitem, higher-order operators) */
    uint32_t *name;              /* per argument of the schema: its row of the argname columns, or FXC_NONE */
    struct fxc_arg_set required; /* arguments without a default */
};

/* One entry per row of the op columns: the file's schema, else that of ops.def. Names the operator whose schema does
 * not read, and an argument name that is listed twice. */
fxc_status fxc_op_schemas(struct fxc_arena *arena, const struct fxc_program *program, struct fxc_op_schema **out,
                          fxc_error *err);

/* Index in the schema of the argument with this row of argname, FXC_NONE when there is none. *next is where to look
 * first (0 for a node's first argument): arguments mostly come in the schema's order. */
static inline uint32_t fxc_op_schema_match(const struct fxc_op_schema *op, uint32_t name, uint32_t *next) {
    uint32_t count = op->schema.arg_count;
    for (uint32_t i = *next; i < count; i++) {
        if (op->name[i] == name) {
            *next = i + 1;
            return i;
        }
    }
    for (uint32_t i = 0; i < *next; i++) {
        if (op->name[i] == name) {
            *next = i + 1;
            return i;
        }
    }
    return FXC_NONE;
}

#endif
