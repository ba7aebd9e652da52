/* What kernels read, write and compute. */
#ifndef FXC_PASSES_FUSION_ACCOUNT_H
#define FXC_PASSES_FUSION_ACCOUNT_H

#include "passes/fusion/merge.h"

/* The kernels of merged groups. */
fxc_status fxc_account(struct fxc_merge *merge, struct fxc_fusion *fusion, fxc_error *err);

#endif
