/* Which elements of a buffer are gone over, whatever the order. */
#ifndef FXC_PASSES_FUSION_FOOTPRINT_H
#define FXC_PASSES_FUSION_FOOTPRINT_H

#include "passes/fusion/engine.h"

/* A box of elements, its dimensions by rising stride. */
struct fxc_footprint {
    int64_t offset, stride[FXC_LOOP_RANK * 2], size[FXC_LOOP_RANK * 2];
    uint32_t rank;
};

/* Adds a dimension at its place; one of a single element is none. There is room for FXC_LOOP_RANK * 2. */
void fxc_footprint_add(struct fxc_footprint *footprint, int64_t stride, int64_t size);

/* Whether two accesses of a buffer go over the same elements. */
bool fxc_same_footprint(const struct fxc_engine *engine, const struct fxc_access *a, const struct fxc_access *b);
/* Whether neighbours in the innermost loop, or where something is folded in the innermost of its results, are not
 * neighbours in memory. */
bool fxc_is_strided(const struct fxc_engine *engine, const struct fxc_access *access, const struct fxc_operation *op);

#endif
