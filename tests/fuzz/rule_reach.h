/* Which rows of the operator table, and which rules, a run has reached. */
#ifndef FXC_TESTS_FUZZ_RULE_REACH_H
#define FXC_TESTS_FUZZ_RULE_REACH_H

#include "ir/ops.h"

/* The row's shape rule told sizes of a result, and its other rules a type, or strides. */
void rule_reached(const struct fxc_op_row *row, uint32_t index, bool dtype, bool strides);
/* The row's FLOP rule counted. */
void rule_counted(const struct fxc_op_row *row);
/* Prints both, and how many rows were never reached; these by name when asked. Returns rows whose shape rule told. */
uint32_t rule_reach_print(bool names);

#endif
