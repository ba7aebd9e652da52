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
/* Row-major strides; false on overflow. */
bool fxc_contiguous_strides(struct fxc_shape *out);

#endif
