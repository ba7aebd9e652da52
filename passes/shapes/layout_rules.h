/* Layout rules: the strides of a result from its sizes and the strides of the arguments. */
#ifndef FXC_PASSES_LAYOUT_RULES_H
#define FXC_PASSES_LAYOUT_RULES_H

#include "ir/rules.h"
#include "passes/rule.h"

/* Sets the strides of a shape whose sizes are told. Leaves strides_told false when the rule cannot tell. Strides of
 * dimensions of size 0 and 1 are conventional. */
void fxc_result_strides(const struct fxc_rule *rule, enum fxc_layout_rule_id id, struct fxc_shape *out);

/* torch's rule for a view of other sizes: true, with the strides set, when the elements can stay where they are. */
bool fxc_view_strides(const struct fxc_tensor *from, struct fxc_shape *out);
/* Dense strides in the order of those that the shape holds, 0 where any place will do, by TensorIterator's rule. */
void fxc_iterated_strides(struct fxc_shape *out);
/* The same in the order of several tensors, the first that has an opinion first. */
void fxc_iterated_strides_of(const struct fxc_tensor *tensors, uint32_t count, struct fxc_shape *out);
/* Row-major strides; false on overflow. */
bool fxc_contiguous_strides(struct fxc_shape *out);
/* Channels innermost, the batch outermost; told for ranks 4 and 5. */
void fxc_channels_last_strides(struct fxc_shape *out);

/* ---- helpers of the rules --------------------------------------------------------------------------------------- */

enum fxc_answer { FXC_NO, FXC_YES, FXC_MAYBE };

/* Strides that all have a value, sizes too, and a rank within FXC_MAX_RANK. */
bool fxc_known_strides(const struct fxc_tensor *tensor);
bool fxc_is_contiguous(const struct fxc_tensor *tensor);
/* Whether channels come innermost, then the last spatial dimension outwards, then the batch; torch's test, by which a
 * tensor that fits both orders counts as row-major. Ranks 4 and 5. */
bool fxc_is_channels_last(const struct fxc_tensor *tensor);

/* ---- rules in files of their own: passes/shapes/layout_formats.c, passes/shapes/layout_kernels.c,
 * passes/shapes/layout_backward.c
 * --------------------------------------------- */

void fxc_kept_strides(const struct fxc_rule *rule, struct fxc_shape *out);
/* The argument memory_format, else the fallback. */
void fxc_format_strides(const struct fxc_rule *rule, enum fxc_memory_format fallback, struct fxc_shape *out);
void fxc_converted_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_dropped_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_physical_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_normed_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_grouped_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_norm_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_resize_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_conv_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_attention_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_suggested_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_padded_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_window_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_conv_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_joined_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_stacked_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_attention_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_flash_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_einsum_strides(const struct fxc_rule *rule, struct fxc_shape *out);
void fxc_recurrent_strides(const struct fxc_rule *rule, struct fxc_shape *out);

#endif
