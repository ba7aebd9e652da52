/* Reductions at work. */
#ifndef FXC_PASSES_FUSION_FOLD_H
#define FXC_PASSES_FUSION_FOLD_H

#include "passes/fusion/lower.h"

/* A reduction at work: the input's sizes, and which dimensions are folded. */
struct fxc_fold {
    struct fxc_tensor_view view;
    uint32_t dims;
    int64_t kept[FXC_LOOP_RANK], folded[FXC_LOOP_RANK], result[FXC_LOOP_RANK];
    uint8_t kept_rank, folded_rank, result_rank;
    int64_t elements; /* that are folded into one */
    int64_t unroll;   /* of fewer than these, the reduction is a sum of loads */
    bool keepdim;
    bool whole; /* never computed in parts */
    uint8_t dtype;
    uint16_t part;
};

/* Which sizes are kept, folded, and those of the result. */
void fxc_fold_plan(struct fxc_engine *engine, struct fxc_fold *fold);
/* Loops over kept and folded dimensions into a new buffer, which is returned. */
uint32_t fxc_fold_loops(struct fxc_engine *engine, const struct fxc_fold *fold);
/* The tensor of a reduction's buffer, with the folded dimensions as ones where they are kept. */
struct fxc_tensor_view fxc_fold_result(struct fxc_engine *engine, const struct fxc_fold *fold, uint32_t buffer);
/* The whole: planned, and unrolled where it is small. */
struct fxc_tensor_view fxc_fold_all(struct fxc_engine *engine, struct fxc_fold *fold);

/* passes/fusion/split.c: how many parts a reduction is computed in, which a second one puts together; 1: at once. */
int64_t fxc_fold_splits(struct fxc_engine *engine, const struct fxc_fold *fold);

#endif
