/* What is alive over the kernels of a profile. */
#ifndef FXC_PASSES_FUSION_LIVE_H
#define FXC_PASSES_FUSION_LIVE_H

#include "passes/fusion/schedule.h"

/* The buffer whose memory a buffer is in. */
uint32_t fxc_memory_of(struct fxc_kernel_buffer *buffer, uint32_t at);
/* Per kernel: the one after which memory is freed that it is the last to touch. */
void fxc_live_ends(const struct fxc_fusion *fusion, uint32_t *end);
/* Buffers of the loop engine's kernels, which are the groups of the schedule one by one. */
bool fxc_live_of_loops(const struct fxc_merge *merge, const struct fxc_schedule *schedule, struct fxc_fusion *fusion);
/* Puts buffers into memory that is kept for them (passes/fusion/reuse.c). False when memory is out. */
bool fxc_reuse_memory(const struct fxc_merge *merge, const struct fxc_schedule *schedule, struct fxc_fusion *fusion);
/* Memory classes of kernels of whole nodes. */
bool fxc_live_of_nodes(const struct fxc_analysis *analysis, struct fxc_fusion *fusion);
/* Bytes alive at every kernel, by the buffers' lives, in the arena of the fact. FXC_MEMORY, FXC_OVERFLOW. */
fxc_status fxc_live_sum(struct fxc_analysis *analysis, struct fxc_fusion *fusion, fxc_error *err);

#endif
