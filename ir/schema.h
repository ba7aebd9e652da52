/* Reader of ATen schema text: "(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)".
 *
 * Custom operators bring their schema in the file, so the text is hostile until it is read. */
#ifndef FXC_IR_SCHEMA_H
#define FXC_IR_SCHEMA_H

#include "fxcost/fxcost.h"
#include "ir/arena.h"

/* Limits on one schema; ATen's longest has 31 arguments. They bound the work that a damaged file can cause. */
enum { FXC_SCHEMA_MAX_ARGS = 255, FXC_SCHEMA_MAX_ALIAS_SETS = 31, FXC_SCHEMA_MAX_NESTING = 8 };

/* In alias_sets: "may alias anything", written (*) or (a -> *). */
#define FXC_SCHEMA_WILDCARD (1u << 31)

struct fxc_schema_arg {
    const char *name;    /* "" for an unnamed result */
    const char *type;    /* without alias marks: "Tensor?[]", "SymInt[2]", "Dict(str, Tensor)" */
    uint32_t alias_sets; /* bit per alias set of the schema, and FXC_SCHEMA_WILDCARD; 0: aliases nothing */
    bool writes;         /* marked "!" */
    bool tensor;         /* a tensor, or a list or optional of tensors */
    bool list, optional; /* of the outermost type */
    bool kwarg_only;     /* after "*" */
    bool has_default;
};

struct fxc_schema {
    const struct fxc_schema_arg *args, *results;
    uint32_t arg_count, result_count;
    bool variadic;         /* takes further arguments that it does not name */
    bool variadic_results; /* returns "..." */
};

/* Where and why a text is no schema. */
struct fxc_schema_error {
    uint32_t offset;    /* in the text */
    const char *reason; /* what was expected there */
};

/* Parses `text` into the arena. FXC_OK; FXC_FORMAT with *error set; FXC_MEMORY. */
fxc_status fxc_schema_parse(struct fxc_arena *arena, const char *text, struct fxc_schema *out,
                            struct fxc_schema_error *error);

/* Index of the argument of that name, FXC_NONE when there is none. */
uint32_t fxc_schema_find(const struct fxc_schema *schema, const char *name);

#endif
