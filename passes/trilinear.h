/* aten._trilinear, the product of three tensors that bilinear layers run, read against its operands. */
#ifndef FXC_PASSES_TRILINEAR_H
#define FXC_PASSES_TRILINEAR_H

#include "passes/rule.h"

enum { FXC_TRILINEAR_OPERANDS = 3 };

/* Sets of dimensions are bits. */
struct fxc_trilinear {
    uint32_t dims;
    uint8_t dtype;
    uint64_t summed;
    /* Summed in the product of the first two operands, and in that of its result and the third. The dimension that ATen
     * unrolls is in neither: its parts are added up at the end (sumproduct_pair and _trilinear,
     * ATen/native/Linear.cpp). */
    uint64_t summed_first, summed_second;
    int64_t size[FXC_TRILINEAR_OPERANDS][FXC_MAX_RANK]; /* 1 where the operand is expanded */
};

/* False when an operand's sizes are not known, or the lists do not fit them. */
bool fxc_trilinear_read(const struct fxc_rule *rule, struct fxc_trilinear *out);
/* The size of a dimension, as the operands that have it say. */
int64_t fxc_trilinear_size(const struct fxc_trilinear *product, uint32_t dim);

#endif
