/* Lowering: what each operator becomes. */
#ifndef FXC_PASSES_FUSION_LOWER_H
#define FXC_PASSES_FUSION_LOWER_H

#include "passes/fusion/engine.h"

/* Functions that lower the node at hand; X(name). */
#define FXC_LOWER_LIST(X)                                                                                              \
    X(nothing) /* scalars */                                                                                           \
    /* passes/fusion/lower_view.c */                                                                                   \
    X(same)                                                                                                            \
    X(reshape)                                                                                                         \
    X(permute)                                                                                                         \
    X(transpose)                                                                                                       \
    X(expand)                                                                                                          \
    X(slice)                                                                                                           \
    X(select)                                                                                                          \
    X(split)                                                                                                           \
    X(unbind)                                                                                                          \
    X(getitem)                                                                                                         \
    X(as_strided)                                                                                                      \
    /* passes/fusion/lower_pointwise.c */                                                                              \
    X(pointwise)                                                                                                       \
    X(iota)                                                                                                            \
    X(pad)                                                                                                             \
    X(slice_scatter)                                                                                                   \
    X(select_scatter)                                                                                                  \
    X(seed)                                                                                                            \
    X(random)                                                                                                          \
    X(assertion)                                                                                                       \
    X(flip)                                                                                                            \
    X(repeat)                                                                                                          \
    /* passes/fusion/lower_reduce.c */                                                                                 \
    X(reduce)                                                                                                          \
    X(mean)                                                                                                            \
    X(variance)                                                                                                        \
    /* passes/fusion/lower_extern.c */                                                                                 \
    X(product)                                                                                                         \
    X(convolution)                                                                                                     \
    X(attention)                                                                                                       \
    X(scan)                                                                                                            \
    X(fallback)                                                                                                        \
    /* passes/fusion/lower_concat.c */                                                                                 \
    X(concat)                                                                                                          \
    X(copy)                                                                                                            \
    X(copy_)                                                                                                           \
    /* passes/fusion/lower_gather.c */                                                                                 \
    X(embedding)                                                                                                       \
    X(index)                                                                                                           \
    X(gather)                                                                                                          \
    X(scatter)                                                                                                         \
    X(index_put)                                                                                                       \
    /* passes/fusion/lower_pool.c */                                                                                   \
    X(max_pool)                                                                                                        \
    X(avg_pool)

struct fxc_lowering;
typedef void (*fxc_lower_fn)(struct fxc_engine *engine, const struct fxc_lowering *how);

/* An operator's row (passes/fusion/inductor.def). */
struct fxc_lowering {
    const char *packet; /* "aten.mm", all overloads */
    fxc_lower_fn lower;
    uint16_t operations; /* for each element, as the compiler counts its own */
    uint32_t heavy;      /* bits */
    bool needs_memory;   /* its inputs are better computed into memory (needs_realized_inputs of lowering.py) */
};

#define X(name) void fxc_lower_##name(struct fxc_engine *engine, const struct fxc_lowering *how);
FXC_LOWER_LIST(X)
#undef X

/* The row of each operator of the program; from the arena of the fact. */
fxc_status fxc_lowering_bind(struct fxc_engine *engine, const struct fxc_lowering ***out, fxc_error *err);

/* ---- what lowering functions use (passes/fusion/lower.c)
 * --------------------------------------------------------------
 */

struct fxc_rule fxc_engine_rule(const struct fxc_engine *engine);
/* The tensor argument of a name; false when absent or no tensor that is modelled. */
bool fxc_operand(const struct fxc_engine *engine, enum fxc_name name, struct fxc_tensor_view *out);
/* All tensor arguments in order, lists included: up to `limit`, the number of which is returned; FXC_NONE when one of
 * them is not modelled or there are more. */
uint32_t fxc_operands(const struct fxc_engine *engine, struct fxc_tensor_view *out, uint32_t limit);
/* Result `index` of the node; FXC_NONE when there is none, or it is no tensor. */
uint32_t fxc_result_value(const struct fxc_engine *engine, uint32_t index);
/* Sizes and strides that were derived for a value; false when the engine does not take its rank. */
bool fxc_value_sizes(const struct fxc_engine *engine, uint32_t value, const int64_t **size, const int64_t **stride,
                     uint8_t *rank);
/* Makes a tensor the value of result `index`. */
void fxc_give(struct fxc_engine *engine, uint32_t index, const struct fxc_tensor_view *view);
/* A row-major, or so strided, buffer of the node for a value, and the tensor that it is. */
struct fxc_tensor_view fxc_made_buffer(struct fxc_engine *engine, uint32_t value, const int64_t *stride,
                                       uint32_t *buffer);
/* Adds work of the node at hand over the whole of a shape. */
void fxc_own_work(struct fxc_engine *engine, struct fxc_body *body, uint32_t shape, uint8_t rank, uint16_t part,
                  uint16_t operations);
/* A pointwise value of the node over `shape`, from tensors of that shape. */
struct fxc_tensor_view fxc_combine(struct fxc_engine *engine, const struct fxc_tensor_view *operands, uint32_t count,
                                   uint32_t shape, uint8_t rank, uint8_t dtype, uint16_t part, uint16_t operations,
                                   uint32_t heavy);
/* Computes a value into memory if it reads more than one thing. */
void fxc_realise_hint(struct fxc_engine *engine, const struct fxc_tensor_view *view);
/* dims argument, wrapped; all dimensions when absent or empty. Bits. */
uint32_t fxc_dims(const struct fxc_engine *engine, enum fxc_name name, uint32_t rank);

#endif
