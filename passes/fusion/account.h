/* What kernels read, write and compute. */
#ifndef FXC_PASSES_FUSION_ACCOUNT_H
#define FXC_PASSES_FUSION_ACCOUNT_H

#include "passes/fusion/merge.h"

/* passes/fusion/footprint.c: whether two accesses of a buffer go over the same elements. */
bool fxc_same_footprint(const struct fxc_engine *engine, const struct fxc_access *a, const struct fxc_access *b);
/* Whether neighbours in the innermost loop, or where something is folded in the innermost of its results, are not
 * neighbours in memory. */
bool fxc_is_strided(const struct fxc_engine *engine, const struct fxc_access *access, const struct fxc_operation *op);
/* The kernels of merged groups. */
fxc_status fxc_account(struct fxc_merge *merge, struct fxc_fusion *fusion, fxc_error *err);

#endif
