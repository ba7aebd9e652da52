/* The kind of a node's work, from its row of the operator table. */
#include "passes/cost/work.h"

#include "ir/ops.h"
#include "ir/rules.h"

/* Kinds of FLOP rules that say more than how the operator fuses. */
static const uint8_t kind_of_rule[FXC_FLOP_RULE_COUNT] = {
    [FXC_FLOPS_mm] = FXC_WORK_GEMM,
    [FXC_FLOPS_matmul] = FXC_WORK_GEMM,
    [FXC_FLOPS_linear] = FXC_WORK_GEMM,
    [FXC_FLOPS_inner] = FXC_WORK_GEMM,
    [FXC_FLOPS_tensordot] = FXC_WORK_GEMM,
    [FXC_FLOPS_grouped_mm] = FXC_WORK_GEMM,
    [FXC_FLOPS_einsum] = FXC_WORK_GEMM,
    [FXC_FLOPS_conv] = FXC_WORK_CONVOLUTION,
    [FXC_FLOPS_conv_backward] = FXC_WORK_CONVOLUTION,
    [FXC_FLOPS_sdpa] = FXC_WORK_ATTENTION,
    [FXC_FLOPS_sdpa_backward] = FXC_WORK_ATTENTION,
    [FXC_FLOPS_layer_norm] = FXC_WORK_NORM,
    [FXC_FLOPS_group_norm] = FXC_WORK_NORM,
    [FXC_FLOPS_instance_norm] = FXC_WORK_NORM,
    [FXC_FLOPS_batch_norm] = FXC_WORK_NORM,
    [FXC_FLOPS_rms_norm] = FXC_WORK_NORM,
    [FXC_FLOPS_softmax] = FXC_WORK_NORM,
    [FXC_FLOPS_softmax_backward] = FXC_WORK_NORM,
    [FXC_FLOPS_norm_backward] = FXC_WORK_NORM,
};

static uint8_t kind_of_fuse(uint8_t fuse) {
    switch ((enum fxc_fuse)fuse) {
    case FXC_FUSE_POINTWISE:
        return FXC_WORK_POINTWISE;
    case FXC_FUSE_REDUCTION:
        return FXC_WORK_REDUCTION;
    case FXC_FUSE_GATHER:
        return FXC_WORK_GATHER;
    case FXC_FUSE_SCAN:
        return FXC_WORK_SCAN;
    case FXC_FUSE_COLLECTIVE:
        return FXC_WORK_COLLECTIVE;
    case FXC_FUSE_CONCAT:
    case FXC_FUSE_FACTORY:
    case FXC_FUSE_VIEW: /* one that copies */
        return FXC_WORK_COPY;
    default:
        return FXC_WORK_OTHER;
    }
}

static bool describe(const struct fxc_rule *rule, const struct fxc_op_row *row, fxc_work *work) {
    switch ((fxc_work_kind)work->kind) {
    case FXC_WORK_GEMM:
        return fxc_gemm_of(rule, &work->counts, &work->shape.gemm);
    case FXC_WORK_CONVOLUTION:
        return fxc_convolution_of(rule, row->flops == FXC_FLOPS_conv_backward, row->params, &work->shape.convolution);
    case FXC_WORK_ATTENTION:
        return fxc_attention_of(rule, row->flops == FXC_FLOPS_sdpa_backward, &work->shape.attention);
    case FXC_WORK_COLLECTIVE:
        return fxc_collective_of(rule, &work->counts, &work->shape.collective);
    case FXC_WORK_REDUCTION:
    case FXC_WORK_NORM:
    case FXC_WORK_GATHER:
    case FXC_WORK_SCAN:
        (void)fxc_rows_of(rule, &work->shape.rows); /* without: the bytes alone tell the time */
        return true;
    default:
        return true;
    }
}

void fxc_describe_work(const struct fxc_rule *rule, fxc_work *work) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    work->kind = work->counts.kernels == 0 ? FXC_WORK_NOTHING : FXC_WORK_OTHER;
    if (work->kind == FXC_WORK_NOTHING || row == NULL) {
        return;
    }
    uint8_t known = kind_of_rule[row->flops];
    work->kind = known != FXC_WORK_OTHER ? known : kind_of_fuse(row->fuse);
    if (known != FXC_WORK_OTHER && !work->counted) {
        work->kind = FXC_WORK_OTHER; /* its sizes were not known to the FLOP rule either */
    } else if (!describe(rule, row, work)) {
        work->kind = FXC_WORK_OTHER;
        work->shape = (fxc_work_shape){.reserved = {0}};
    }
}
