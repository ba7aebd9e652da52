/* resolve: a graph of torch.fx without shapes becomes a program of ATen overloads at given input sizes.
 *
 * The walk of passes/reshape/reshape.h, but for a source that names packets, methods and Python's operators instead of
 * overloads and holds no shapes. Each node is called as Python would call it, on what its arguments turned out to be: a
 * tensor goes to an overload, whose rules tell what comes out; arithmetic on sizes is done at once and leaves no node.
 * What no name or rule is known for becomes an operator without a row, and all that depends on it stays unknown. */
#ifndef FXC_PASSES_RESOLVE_H
#define FXC_PASSES_RESOLVE_H

#include "ir/overload.h"
#include "passes/reshape/reshape.h"

enum { FXC_CALL_MAX_ARGS = 64 };

/* How much is in a list, lists in it included. A hostile file may put a list into itself time and again. */
struct fxc_weight {
    uint32_t items, depth;
};
enum { FXC_RESOLVE_MAX_ITEMS = 1 << 16, FXC_RESOLVE_MAX_DEPTH = 32 };

struct fxc_resolver {
    struct fxc_reshape *r;
    uint32_t node;                  /* of the source */
    struct fxc_intern ops;          /* names of the new program's operators; ids are rows */
    struct fxc_intern argnames;     /* the new program's argument names; ids are rows */
    struct fxc_intern packet_names; /* ids index `packets` */
    struct fxc_vector packets;      /* struct fxc_packet, looked up once each */
    struct fxc_vector weights;      /* struct fxc_weight per list of the new program */
};

/* What an argument is: kind VALUE with a value of the new program, or a constant. */
struct fxc_argument {
    const char *name; /* NULL when positional */
    struct fxc_became what;
};

/* A call, as Python makes it. */
struct fxc_call {
    const char *name; /* "aten.view", "operator.add", "builtins.getattr", "torch.nn.functional.interpolate" */
    uint32_t count;
    bool inner; /* a step on the way: its result is not the node's */
    struct fxc_argument args[FXC_CALL_MAX_ARGS];
};

/* Whether a program is a graph without shapes: its inputs are to be given sizes. */
bool fxc_is_symbolic(const struct fxc_program *program);
/* The walk: inputs, nodes, outputs. */
fxc_status fxc_resolve(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err);
/* Gives the inputs the sizes asked for (passes/resolve/inputs.c). */
fxc_status fxc_resolve_inputs(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err);

/* ---- building (passes/resolve/build.c)
 * ---------------------------------------------------------------------------------- */

/* Kind and payload of the source as they are in the new program; lists of values are written anew. */
fxc_status fxc_resolve_argument(struct fxc_resolver *x, uint8_t kind, int64_t payload, struct fxc_became *out,
                                fxc_error *err);
/* A list of these items; kind OPAQUE, which is unknown, when too much is in it. */
struct fxc_became fxc_resolve_list(struct fxc_resolver *x, const struct fxc_became *items, uint32_t count);
/* A value of the new program that a node returns: the source node's own, or one more for an inner step. */
uint32_t fxc_resolve_value(struct fxc_resolver *x, bool inner, const char *name);
/* The row of an operator of the table, and of the one that the source's node calls, under this name. */
uint32_t fxc_resolve_op(struct fxc_resolver *x, const struct fxc_op_row *row);
uint32_t fxc_resolve_other_op(struct fxc_resolver *x, const char *name);
/* Appends a node, all of whose arguments have names; its row. */
uint32_t fxc_resolve_push(struct fxc_resolver *x, uint32_t op, const struct fxc_argument *args, uint32_t count,
                          uint32_t result);

/* ---- what arguments are (passes/resolve/build.c)
 * ------------------------------------------------------------------------ */

/* The kind of a constant, FXC_KIND_TENSOR for a tensor, FXC_KIND_OPAQUE for a value that is unknown. */
uint8_t fxc_resolve_kind(const struct fxc_resolver *x, struct fxc_became what);
bool fxc_resolve_tensor(const struct fxc_resolver *x, struct fxc_became what, struct fxc_tensor *out);
/* Items of a list or tuple; FXC_NONE as row for anything else. */
uint32_t fxc_resolve_list_row(const struct fxc_resolver *x, struct fxc_became what);
struct fxc_became fxc_resolve_item(const struct fxc_resolver *x, uint32_t row, uint32_t index);
/* Whether an argument is unknown, or holds something unknown. */
bool fxc_resolve_unknown(const struct fxc_resolver *x, struct fxc_became what);
struct fxc_call_arg fxc_resolve_class(const struct fxc_resolver *x, const struct fxc_argument *arg);
/* The argument at this position or of this name; false when absent. */
bool fxc_call_arg_at(const struct fxc_call *call, uint32_t position, const char *name, struct fxc_became *out);

static inline struct fxc_became fxc_int(int64_t number) {
    return (struct fxc_became){FXC_KIND_INT, number};
}
static inline void fxc_call_add(struct fxc_call *call, struct fxc_became what) {
    call->args[call->count++] = (struct fxc_argument){NULL, what};
}

/* ---- calls (passes/resolve/call.c)
 * -------------------------------------------------------------------------------------- */

/* Calls an ATen packet: chooses the overload, appends its node, derives what it returns. */
fxc_status fxc_resolve_packet(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err);
/* A call that nothing is known of; its result is unknown. */
fxc_status fxc_resolve_nothing(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out);

/* ---- results (passes/resolve/result.c)
 * ---------------------------------------------------------------------------------- */

/* Derives what a node of the new program returns. */
fxc_status fxc_resolve_results(struct fxc_resolver *x, const struct fxc_overload *overload, uint32_t node,
                               struct fxc_became *out, fxc_error *err);

/* ---- Python (passes/resolve/python.c, passes/resolve/number.c, passes/resolve/index.c,
 * passes/resolve/method.c, passes/resolve/functional.c) ------------------------------- */

/* What a name does that is no packet, or more than its packet. FXC_UNKNOWN_OPS: nothing; try the packet. */
typedef fxc_status (*fxc_python_fn)(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                                    fxc_error *err);
/* Arithmetic on numbers, tuples and strings; FXC_UNKNOWN_OPS where a tensor takes part. */
fxc_status fxc_python_number(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out);
/* Python's operators and built-in functions. */
fxc_status fxc_python_operator(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                               fxc_error *err);
/* x[...] and x[...] = v. */
fxc_status fxc_python_getitem(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err);
fxc_status fxc_python_setitem(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err);
/* Methods that torch defines over its packets: x.size(), x.float(). */
fxc_status fxc_python_method(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                             fxc_error *err);
/* Functions of torch.nn.functional that ask for sizes: F.interpolate, F.embedding_bag. */
fxc_status fxc_python_functional(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                                 fxc_error *err);

#endif
