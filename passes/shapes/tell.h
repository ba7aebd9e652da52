/* What rules tell of a node's results, whatever was recorded of them, and what they ask of the capture. */
#ifndef FXC_PASSES_TELL_H
#define FXC_PASSES_TELL_H

#include "passes/rule.h"

/* Whether an operator without a row carries torch's tag `pointwise`, by which its sizes follow the broadcast rule. */
bool fxc_is_tagged(const struct fxc_program *program, uint32_t node);
/* Whether any rule may tell something of this node. */
bool fxc_may_tell(const struct fxc_program *program, uint32_t node);
/* A shape of which nothing is told yet: of result `index` (0 for a single tensor). */
static inline void fxc_tell_nothing(struct fxc_shape *out, uint32_t index) {
    out->index = index;
    out->rank = 0;
    out->dtype = FXC_DTYPE_OPAQUE;
    out->strides_told = false;
}
/* Sets the element type; leaves FXC_DTYPE_OPAQUE when no rule tells it. */
void fxc_tell_dtype(const struct fxc_rule *rule, struct fxc_shape *out);
/* Sets the sizes. FXC_UNKNOWN_OPS when no rule tells them, FXC_PROGRAM when the arguments contradict each other. */
fxc_status fxc_tell_sizes(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err);
/* Sets the strides, and strides_told, of a shape whose sizes fxc_tell_sizes told. */
void fxc_tell_strides(const struct fxc_rule *rule, struct fxc_shape *out);

/* torch.get_default_dtype() of the capture, which writes it down when it is not float32. */
uint8_t fxc_default_dtype(const struct fxc_program *program);

#endif
