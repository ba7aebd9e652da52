/* What a cache may still hold of the memory that kernels touch. */
#ifndef FXC_PASSES_KERNEL_COST_OPERANDS_H
#define FXC_PASSES_KERNEL_COST_OPERANDS_H

#include "fxcost/backend.h"
#include "passes/analysis.h"

/* One operand for each access of the fusion fact, in its order. A clock goes on by the bytes that are touched: a
 * distance is how far it went since the memory was last touched, which is its reuse distance (passes/cost/reuse.c)
 * where nothing in between was touched twice, and more where something was. Memory that is made is what was freed last.
 */
fxc_status fxc_kernel_operands(const struct fxc_analysis *analysis, struct fxc_arena *arena, fxc_operand **out,
                               fxc_error *err);

#endif
