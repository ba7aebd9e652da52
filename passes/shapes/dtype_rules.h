/* dtype rules: the element type of a result from the types of the arguments. */
#ifndef FXC_PASSES_DTYPE_RULES_H
#define FXC_PASSES_DTYPE_RULES_H

#include "ir/rules.h"
#include "passes/rule.h"

/* The type of result `index`; FXC_DTYPE_OPAQUE when the rule cannot tell. */
uint8_t fxc_result_dtype(const struct fxc_rule *rule, enum fxc_dtype_rule_id id, uint32_t index);

#endif
