/* Number rules: integers, floats and truth values that nodes compute from sizes and from each other. */
#ifndef FXC_PASSES_NUMBER_RULES_H
#define FXC_PASSES_NUMBER_RULES_H

#include "passes/rule.h"

/* The number that a node returns, by Python's arithmetic: kind INT, FLOAT or BOOL. False when it is not told: it
 * depends on data or on a symbol without a value, or does not fit. */
bool fxc_tell_number(const struct fxc_rule *rule, uint8_t *kind, int64_t *payload);

#endif
