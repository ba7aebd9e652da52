/* An einsum equation read against its operands. */
#ifndef FXC_PASSES_EINSUM_H
#define FXC_PASSES_EINSUM_H

#include "passes/rule.h"

/* An equation beyond these bounds is not understood: its node stays unknown. */
enum { FXC_EINSUM_OPERANDS = 16, FXC_EINSUM_LABELS = 64 };

struct fxc_einsum {
    uint32_t operands;
    uint32_t labels;   /* dimensions after permutation: those of the result first, then the summed ones */
    uint32_t out_rank; /* of these, dimensions of the result */
    uint8_t dtype;
    /* Size of each dimension in each operand, 1 where the operand lacks it. */
    int64_t size[FXC_EINSUM_OPERANDS][FXC_EINSUM_LABELS];
};

/* False when an operand's sizes are not known, or the equation does not fit them. */
bool fxc_einsum_read(const struct fxc_rule *rule, struct fxc_einsum *out);

#endif
