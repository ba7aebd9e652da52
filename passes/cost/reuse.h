/* What a cache may still hold of the tensors that a node touches. */
#ifndef FXC_PASSES_COST_REUSE_H
#define FXC_PASSES_COST_REUSE_H

#include "fxcost/backend.h"
#include "passes/analysis.h"

/* The operands of node n are operand[begin[n] .. begin[n + 1]). */
struct fxc_reuse {
    uint32_t *begin;
    fxc_operand *operand;
    int64_t *since_op, *since_same, *since_node; /* per node: see fxc_work */
};

/* After shapes, alias and traffic. All memory is from the arena. */
fxc_status fxc_find_reuse(const struct fxc_analysis *analysis, struct fxc_arena *arena, struct fxc_reuse *out,
                          fxc_error *err);

#endif
