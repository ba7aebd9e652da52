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
    X(pad)                                                                                                             \
    X(slice_scatter)                                                                                                   \
    X(select_scatter)                                                                                                  \
    X(seed)                                                                                                            \
    X(random)                                                                                                          \
    X(assertion)                                                                                                       \
    X(flip)                                                                                                            \
    X(repeat)                                                                                                          \
    /* passes/fusion/lower_formula.c */                                                                                \
    X(iota)                                                                                                            \
    X(add)                                                                                                             \
    X(subtract)                                                                                                        \
    X(multiply)                                                                                                        \
    X(convert)                                                                                                         \
    /* passes/fusion/lower_reduce.c */                                                                                 \
    X(reduce)                                                                                                          \
    X(extreme)                                                                                                         \
    X(mean)                                                                                                            \
    X(variance)                                                                                                        \
    X(softmax)                                                                                                         \
    /* passes/fusion/lower_extern.c */                                                                                 \
    X(product)                                                                                                         \
    X(convolution)                                                                                                     \
    X(convolution_backward)                                                                                            \
    X(packed_linear)                                                                                                   \
    X(packed)                                                                                                          \
    X(force_strides)                                                                                                   \
    X(attention)                                                                                                       \
    X(fallback)                                                                                                        \
    /* passes/fusion/lower_scan.c */                                                                                   \
    X(scan)                                                                                                            \
    X(sort)                                                                                                            \
    /* passes/fusion/lower_concat.c */                                                                                 \
    X(concat)                                                                                                          \
    X(copy)                                                                                                            \
    X(copy_)                                                                                                           \
    /* passes/fusion/lower_gather.c */                                                                                 \
    X(embedding)                                                                                                       \
    X(index)                                                                                                           \
    X(gather)                                                                                                          \
    X(scatter)                                                                                                         \
    X(index_put_)                                                                                                      \
    X(index_put)                                                                                                       \
    X(masked_index_put)                                                                                                \
    /* passes/fusion/lower_pool.c */                                                                                   \
    X(max_pool)                                                                                                        \
    X(pool_indices)                                                                                                    \
    X(avg_pool)                                                                                                        \
    /* passes/fusion/lower_pool_backward.c */                                                                          \
    X(max_pool_backward)                                                                                               \
    X(avg_pool_backward)

struct fxc_lowering;
typedef void (*fxc_lower_fn)(struct fxc_engine *engine, const struct fxc_lowering *how);

/* An operator's row (passes/fusion/inductor.def). */
struct fxc_lowering {
    const char *packet; /* "aten.mm", all overloads */
    fxc_lower_fn lower;
    uint16_t operations; /* for each element, as the compiler counts its own */
    uint32_t heavy;      /* bits */
    bool needs_memory;   /* its inputs are better computed into memory (needs_realized_inputs of lowering.py) */
    bool needs_strides;  /* ... and, where they have other users too, laid out as eager has them */
};

#define X(name) void fxc_lower_##name(struct fxc_engine *engine, const struct fxc_lowering *how);
FXC_LOWER_LIST(X)
#undef X

/* The row of each operator of the program; from the arena of the fact. */
fxc_status fxc_lowering_bind(struct fxc_engine *engine, const struct fxc_lowering ***out, fxc_error *err);

/* ---- passes/fusion/decide.c
 * --------------------------------------------------------------------------------------------
 */

/* Finds the values that are wanted channels-last because of a convolution. */
fxc_status fxc_prefer_channels_last(struct fxc_engine *engine, const struct fxc_lowering *const *how, fxc_error *err);
/* Decides whether a value that has just been lowered is computed into memory, and how it is laid out. */
void fxc_decide(struct fxc_engine *engine, const struct fxc_lowering *const *how, uint32_t value);
/* Computes a value into memory if it reads more than one thing. */
void fxc_realise_hint(struct fxc_engine *engine, const struct fxc_tensor_view *view);
/* Strides of a dense tensor whose dimension 1 varies fastest. */
void fxc_channels_last(const int64_t *size, uint32_t rank, int64_t *stride);

/* ---- passes/fusion/lower_formula.c
 * -------------------------------------------------------------------------------------
 */

/* What an integer tensor is over variables with extents `size`, where that follows from the place; else FXC_NONE. */
uint32_t fxc_formula_at(struct fxc_engine *engine, const struct fxc_tensor_view *view, const uint32_t *map,
                        const int64_t *size);

/* ---- what lowering functions use (passes/fusion/lower.c)
 * --------------------------------------------------------------
 */

struct fxc_rule fxc_engine_rule(const struct fxc_engine *engine);
/* The tensor argument of a name; false when absent or no tensor that is modelled. */
bool fxc_operand(const struct fxc_engine *engine, enum fxc_name name, struct fxc_tensor_view *out);
/* All tensor arguments in order, lists included: up to `limit`, the number of which is returned; FXC_NONE when one of
 * them is not modelled or there are more. */
uint32_t fxc_operands(const struct fxc_engine *engine, struct fxc_tensor_view *out, uint32_t limit);
uint32_t fxc_result_count(const struct fxc_engine *engine);
/* Result `index` of the node; FXC_NONE when there is none, or it is no tensor. */
uint32_t fxc_result_value(const struct fxc_engine *engine, uint32_t index);
/* Sizes and strides that were derived for a value; false when the engine does not take its rank. */
bool fxc_value_sizes(const struct fxc_engine *engine, uint32_t value, const int64_t **size, const int64_t **stride,
                     uint8_t *rank);
/* The kernel of the node at hand, over these buffers, with up to so many results; they are laid out as eager has them,
 * or `stride`. */
void fxc_library_kernel(struct fxc_engine *engine, const struct fxc_inputs *inputs, const int64_t *stride,
                        uint32_t results);
/* Makes a tensor the value of result `index`. */
void fxc_give(struct fxc_engine *engine, uint32_t index, const struct fxc_tensor_view *view);
/* A row-major, or so strided, buffer of the node for a value, and the tensor that it is. */
struct fxc_tensor_view fxc_made_buffer(struct fxc_engine *engine, uint32_t value, const int64_t *stride,
                                       uint32_t *buffer);
/* The buffer that a tensor in memory is in once all or part of it has been written in place: the same memory, of which
 * Inductor counts no more than that part. */
uint32_t fxc_written_buffer(struct fxc_engine *engine, const struct fxc_tensor_view *self, uint32_t value);
/* One number for both dimensions of an image, or one for each, of a list argument; false where it is absent and there
 * is no fallback (below 0). */
bool fxc_image_pair(const struct fxc_rule *rule, enum fxc_name name, int64_t fallback, int64_t *out);
/* Whether windows of these sizes, steps and padding are ones that a kernel takes. */
bool fxc_is_window(const int64_t *kernel, const int64_t *step, const int64_t *padding);
/* Adds work of the node at hand over the whole of a shape. */
void fxc_own_work(struct fxc_engine *engine, struct fxc_body *body, uint32_t shape, uint8_t rank, uint16_t part,
                  uint16_t operations);
/* A pointwise value of the node over `shape`, from tensors of that shape. */
struct fxc_tensor_view fxc_combine(struct fxc_engine *engine, const struct fxc_tensor_view *operands, uint32_t count,
                                   uint32_t shape, uint8_t rank, uint8_t dtype, uint16_t part, uint16_t operations,
                                   uint32_t heavy);
/* The mean over the last `dims` dimensions, of fewer than `unroll` elements as a sum of loads
 * (passes/fusion/lower_reduce.c). */
struct fxc_tensor_view fxc_mean_of_last(struct fxc_engine *engine, const struct fxc_tensor_view *view, uint32_t dims,
                                        uint8_t dtype, int64_t unroll);
/* dims argument, wrapped; all dimensions when absent or empty. Bits. */
uint32_t fxc_dims(const struct fxc_engine *engine, enum fxc_name name, uint32_t rank);

#endif
