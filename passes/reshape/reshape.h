/* reshape: from a program and sizes of its inputs, the program at those sizes.
 *
 * A walk over the nodes in order. Each step says what a node becomes in the new program, and derives what that node
 * computes by its rules, which run on the part of the new program that exists so far (the view). What no rule tells
 * stands as recorded where nothing the node takes has changed, and is refused elsewhere.
 *
 * Rows of the source keep their numbers as long as nodes become themselves: values, nodes, lists, storages. */
#ifndef FXC_PASSES_RESHAPE_H
#define FXC_PASSES_RESHAPE_H

#include "ir/builder.h"
#include "passes/analysis.h"
#include "passes/rule.h"

/* How a value of the new program differs from what was recorded at the same values of the symbols. */
enum { FXC_CHANGED_SIZES = 1, FXC_CHANGED_DTYPE = 2, FXC_CHANGED_STRIDES = 4, FXC_CHANGED_NUMBER = 8 };

/* What a value of the source became: kind VALUE, a value of the new program, or a constant. */
struct fxc_became {
    uint8_t kind;
    int64_t payload;
};

/* An expression of the source in the new program. */
enum { FXC_EXPR_UNMAPPED, FXC_EXPR_INTEGER, FXC_EXPR_FLOAT, FXC_EXPR_SYMBOLIC };
struct fxc_reshape_expr {
    uint8_t state;
    int64_t value; /* the integer, the bits of the float, or the row of the expression that is left */
};

struct fxc_reshape {
    const struct fxc_program *source;
    struct fxc_analysis *recorded; /* the source at the values of its symbols; its fact `shapes` is the recording */
    struct fxc_arena scratch;

    struct fxc_builder builder;
    struct fxc_program view;     /* the new program so far; its columns are the builder's */
    struct fxc_shapes shapes;    /* of the view's values: per value arrays are the vectors below */
    struct fxc_binding *unbound; /* symbols of the new program: none has a value */
    struct fxc_vector dim_begin, rank, dtype, numel, changed; /* per value of the new program */
    struct fxc_vector meta_numel;                             /* int64_t per meta row of the new program */
    struct fxc_vector op_row, argname_id;                     /* what fxc_program_bind derives, as the view grows */
    struct fxc_intern metas;

    struct fxc_became *became;         /* per value of the source */
    struct fxc_reshape_expr *expr_map; /* per expression of the source */
    uint32_t *meta_map;                /* per meta row of the source: its row in the new program, or FXC_NONE */
    uint32_t *symbol_map;        /* per symbol of the source: its row in the new program, or FXC_NONE: it has a value */
    bool *settled;               /* per value of the source: it has its description in the new program */
    bool *walked;                /* per graph of the source */
    bool *storage_used;          /* per storage of the source: a value over it is settled */
    struct fxc_intern old_sizes; /* int64_t: recorded sizes that are others now, */
    struct fxc_vector new_sizes; /* and what the first of each is now, -1 when it is no size any more */
    bool any_changed;            /* some value of the new program differs from the recording */
};

/* ---- building (passes/reshape/build.c)
 * ---------------------------------------------------------------------------------- */

/* Copies what does not depend on sizes, and gives every value of the source its row. */
fxc_status fxc_reshape_start(struct fxc_reshape *r, fxc_error *err);
/* The program built; checked and bound. */
fxc_status fxc_reshape_finish(struct fxc_reshape *r, struct fxc_program **out, fxc_error *err);
void fxc_reshape_free(struct fxc_reshape *r);
/* Lets the view see what was pushed to the builder since the last call. */
void fxc_reshape_refresh(struct fxc_reshape *r);

/* One more value of the new program, unknown until it is set. */
uint32_t fxc_reshape_new_value(struct fxc_reshape *r, const char *name);
/* Makes a value of the new program this. */
void fxc_reshape_set_value(struct fxc_reshape *r, uint32_t value, uint8_t kind, int64_t payload, uint8_t changed);
/* Makes a value of the new program a tensor of this description. */
void fxc_reshape_set_tensor(struct fxc_reshape *r, uint32_t value, uint32_t meta, uint8_t changed);
/* Gives a value what was recorded of it. */
void fxc_reshape_adopt(struct fxc_reshape *r, uint32_t value);

/* ---- terms (passes/reshape/terms.c)
 * ------------------------------------------------------------------------------------- */

/* Appends to one of the vectors; a failure is the builder's. */
void fxc_reshape_push(struct fxc_reshape *r, struct fxc_vector *vector, const void *element, size_t size);
/* The id of a string in the new program. */
uint32_t fxc_reshape_string(struct fxc_reshape *r, const char *text);
/* An expression and a symint of the source, with symbols replaced by their values. */
struct fxc_reshape_expr fxc_reshape_map_expr(struct fxc_reshape *r, uint32_t expr);
int64_t fxc_reshape_symint(struct fxc_reshape *r, int64_t symint);
/* The same of any kind and payload: a symint becomes an int where it can. */
void fxc_reshape_literal(struct fxc_reshape *r, uint8_t kind, int64_t payload, uint8_t *new_kind, int64_t *new_payload);
/* A description in the new program, equal ones once. dims are pairs of size and stride, symints. */
struct fxc_reshape_meta {
    uint8_t dtype, layout;
    uint16_t flags;
    int64_t offset;
    uint32_t rank;
    int64_t size[FXC_MAX_RANK], stride[FXC_MAX_RANK];
};
uint32_t fxc_reshape_meta_row(struct fxc_reshape *r, const struct fxc_reshape_meta *meta);
/* Row of the new program for a description of the source. */
uint32_t fxc_reshape_adopted_meta(struct fxc_reshape *r, uint32_t meta);

/* ---- deriving (passes/reshape/derive.c)
 * --------------------------------------------------------------------------------- */

/* Derives the results of a node of the new program by its rules. Refuses, naming the node, arguments that contradict
 * each other, and results that rest on the recording of other arguments. */
fxc_status fxc_reshape_derive(struct fxc_reshape *r, uint32_t node, fxc_error *err);
/* Refuses parameters that do not fit what the node takes now (passes/reshape/fit.c). */
fxc_status fxc_reshape_fit(const struct fxc_rule *rule, fxc_error *err);
/* Dense strides, dimensions in the order of the recorded strides where the ranks agree, else row-major. False on
 * overflow. */
bool fxc_reshape_strides_like(const struct fxc_tensor *recorded, struct fxc_shape *out);
/* Bits FXC_CHANGED_* of all that a node takes. */
uint8_t fxc_reshape_changed_arguments(const struct fxc_reshape *r, uint32_t node);

/* ---- memory (passes/reshape/memory.c)
 * ----------------------------------------------------------------------------------- */

/* The storage of a result that differs from the recording, and its offset in it. */
void fxc_reshape_place(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value, const struct fxc_shape *told,
                       struct fxc_reshape_meta *meta);
/* Sizes the storage of a value that was just settled; FXC_OVERFLOW. */
fxc_status fxc_reshape_fill(struct fxc_reshape *r, uint32_t value, fxc_error *err);

/* ---- inputs (passes/reshape/inputs.c)
 * ----------------------------------------------------------------------------------- */

/* Gives the source's symbols the values that the new inputs imply, checked against ranges and constraints. */
fxc_status fxc_reshape_bind(struct fxc_analysis *source, const fxc_reshape_options *options, fxc_error *err);
/* Gives an input of a graph, or its elements, what was recorded. */
fxc_status fxc_reshape_adopt_input(struct fxc_reshape *r, uint32_t value, fxc_error *err);
/* Settles the inputs of the captured graph. */
fxc_status fxc_reshape_inputs(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err);

/* ---- graphs (reshape.c, passes/reshape/body.c)
 * -------------------------------------------------------------------------- */

/* Walks the nodes of a graph whose inputs are settled. */
fxc_status fxc_reshape_walk_graph(struct fxc_reshape *r, uint32_t graph, fxc_error *err);
/* Walks the graphs that a node of a recorded program calls. */
fxc_status fxc_reshape_calls(struct fxc_reshape *r, uint32_t node, fxc_error *err);

/* ---- numbers that may be sizes (passes/reshape/baked.c)
 * ----------------------------------------------------------------- */

/* Remembers the sizes of a recorded tensor that are others now. */
void fxc_reshape_note(struct fxc_reshape *r, const struct fxc_tensor *recorded, uint32_t rank, const int64_t *size);
/* Refuses a node of a recorded program in whose arguments the capture wrote a number that may be a changed size. */
fxc_status fxc_reshape_baked(struct fxc_reshape *r, uint32_t node, fxc_error *err);

/* ---- the capture's words (passes/reshape/describe.c)
 * -------------------------------------------------------------------- */

/* Says the new sizes where the capture says the old ones. */
void fxc_reshape_describe(struct fxc_reshape *r);

#endif
