/* kernel_cost: what the timing model says of each kernel of the profile. */
#ifndef FXC_PASSES_KERNEL_COST_H
#define FXC_PASSES_KERNEL_COST_H

#include "fxcost/backend.h"
#include "passes/analysis.h"

struct fxc_kernel_cost {
    fxc_time *time; /* per kernel; NULL without a device */
    uint8_t *work;  /* fxc_work_kind */
    /* Sums over the kernels, as in fxc_totals; seconds is NAN without a device, or when one of the times is not known.
     */
    double seconds, seconds_error, seconds_by_bound[4], seconds_by_source[FXC_TIME_SOURCE_COUNT];
};

#endif
