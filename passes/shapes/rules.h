/* Shape rules: sizes of a result from the sizes of the arguments, and of a view its strides, one function for each name
 * of FXC_SHAPE_RULE_LIST (ir/rules.h).
 *
 * A rule returns FXC_OK with out set, FXC_UNKNOWN_OPS when it cannot tell (a size has no value, an argument is computed
 * while running): the recording is then kept; or FXC_PROGRAM when the arguments contradict each other. */
#ifndef FXC_PASSES_SHAPE_RULES_H
#define FXC_PASSES_SHAPE_RULES_H

#include "ir/rules.h"
#include "passes/rule.h"

#define X(name, dtype, layout)                                                                                         \
    fxc_status fxc_shape_##name(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err);
FXC_SHAPE_RULE_LIST(X)
#undef X

/* FXC_PROGRAM with what the node's rules tell of result `index` other than was recorded, FXC_OK or FXC_UNKNOWN_OPS when
 * they do not (shapes.c). */
fxc_status fxc_shapes_contradiction(const struct fxc_rule *rule, uint32_t value, uint32_t index, fxc_error *err);

/* ---- helpers of the rules --------------------------------------------------------------------------------------- */

/* Broadcasts a shape with a tensor's by torch's rule, sizes aligned at the last dimension. False when they do not fit
 * or the rank is beyond FXC_MAX_RANK. */
bool fxc_broadcast(struct fxc_shape *shape, const struct fxc_tensor *tensor);
/* A tensor argument whose sizes are all known and whose rank is within FXC_MAX_RANK. */
bool fxc_shape_argument(const struct fxc_rule *rule, enum fxc_name name, struct fxc_tensor *out);
/* The tensor an operator works on: `self`, `input` or `A`. */
bool fxc_shape_subject(const struct fxc_rule *rule, struct fxc_tensor *out);
void fxc_shape_of(const struct fxc_tensor *tensor, struct fxc_shape *out);
/* Sizes without dimension `dim`, or with 1 in its place: what reducing over it leaves. */
void fxc_shape_without(struct fxc_shape *shape, uint32_t dim, bool keep);
/* Sizes and strides of a tensor, for a view to change; strides without a value are not told. */
void fxc_start_view(const struct fxc_tensor *tensor, struct fxc_shape *out);
/* A dimension argument, counted from the end when negative, of a tensor of this rank. */
bool fxc_shape_dim(const struct fxc_rule *rule, enum fxc_name name, int64_t fallback, uint32_t rank, uint32_t *out);
/* Number of items of a list; 0 for FXC_NONE. */
uint32_t fxc_list_count(const struct fxc_program *program, uint32_t list);
/* The type of output `index` of the node's graph argument number `which`; OPAQUE when that is no tensor. */
uint8_t fxc_body_dtype(const struct fxc_rule *rule, uint32_t which, uint32_t index);
/* Result `index` of an auto_functionalized operator, when it is an argument as written to. */
bool fxc_written_tensor(const struct fxc_rule *rule, uint32_t index, struct fxc_tensor *out);
/* Sizes as a list writes them, at most one of them -1: that one takes what is left of numel. FXC_PROGRAM when they do
 * not make numel elements. */
fxc_status fxc_sizes_as_written(const struct fxc_rule *rule, uint32_t list, int64_t numel, struct fxc_shape *out);
/* Windows over spatial dimension `dim` of this size, from kernel_size, stride, padding and dilation. */
bool fxc_windows(const struct fxc_rule *rule, uint32_t dim, int64_t size, int64_t *out);
/* A Fourier transform over 1 dimension, the last 2 or all (0), unless the call says which: elements of the whole
 * signals and points of one transform. `halved`: the argument is half of a real signal's spectrum. */
bool fxc_fft_extent(const struct fxc_rule *rule, uint32_t dims, bool halved, int64_t *elements, int64_t *points);
/* "[8, 512]", cut to the buffer. Returns buffer. */
const char *fxc_sizes_text(const int64_t *size, uint32_t rank, char *buffer, size_t bytes);
/* Two arguments that contradict each other, with their shapes. */
fxc_status fxc_shape_conflict(const struct fxc_rule *rule, fxc_error *err, const char *a_name,
                              const struct fxc_tensor *a, const char *b_name, const struct fxc_tensor *b,
                              const char *expected);

#endif
