/* The order in which kernels run, and what is estimated to be alive then. */
#ifndef FXC_PASSES_FUSION_SCHEDULE_H
#define FXC_PASSES_FUSION_SCHEDULE_H

#include "passes/fusion/merge.h"

struct fxc_schedule {
    uint32_t *order, count; /* groups */
    /* Under a profile that keeps memory, unless bytes add up to more than numbers hold: places in the compiler's list,
     * where a result that a fallback kernel hands out is one too, and bytes alive at each, without what the graph is
     * given. Else NULL and 0. */
    uint32_t *step, steps; /* per group */
    int64_t *alive;        /* per step */
};

/* False when memory is out. What is made lies in `arena`. */
bool fxc_schedule(struct fxc_merge *merge, struct fxc_schedule *schedule, struct fxc_arena *arena);

#endif
