/* The kind of a node's work, from its row of the operator table. */
#include "passes/cost/work.h"

#include "ir/ops.h"
#include "ir/rules.h"
#include "passes/report/report.h"

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
    case FXC_WORK_COPY:
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

/* The first floating-point tensor among the arguments decides which peak applies; else the result does. */
static uint8_t work_dtype(const struct fxc_analysis *analysis, uint32_t node) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_shapes *shapes = analysis->shapes;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_VALUE) {
            uint8_t dtype = shapes->dtype[p->arg_payload[a]];
            if (fxc_dtype_is_float(dtype)) {
                return dtype;
            }
        }
    }
    return shapes->dtype[p->node_result[node]];
}

/* Elements of all tensors that a node returns. */
static int64_t result_elements(const struct fxc_rule *rule) {
    struct fxc_tensor result;
    int64_t elements = 0;
    for (uint32_t i = 0; fxc_rule_result(rule, i, &result); i++) {
        elements += result.numel > 0 && result.numel < INT64_MAX - elements ? result.numel : 0;
        if (rule->program->value_kind[rule->program->node_result[rule->node]] != FXC_KIND_LIST) {
            break;
        }
    }
    return elements;
}

static int64_t most_elements(const struct fxc_rule *rule, int64_t elements) {
    const struct fxc_program *p = rule->program;
    for (uint32_t a = p->node_arg_begin[rule->node]; a < p->node_arg_begin[rule->node + 1]; a++) {
        int64_t own = p->arg_kind[a] == FXC_KIND_VALUE ? rule->shapes->numel[p->arg_payload[a]] : 0;
        elements = own > elements ? own : elements;
    }
    return elements;
}

/* Calls of modules that come before each node: of the modules in which it is the first, and of those without a node. */
static bool count_calls(const struct fxc_program *p, struct fxc_arena *arena, int64_t *calls) {
    uint32_t count = FXC_COUNT(p, call);
    uint32_t *first = FXC_NEW(arena, uint32_t, count);
    if (first == NULL) {
        return false;
    }
    for (uint32_t call = 0; call < count; call++) {
        first[call] = FXC_NONE;
    }
    for (uint32_t node = FXC_COUNT(p, node); node-- > 0;) {
        uint32_t call = p->node_call[node];
        for (uint32_t depth = 0; call != FXC_NONE && depth < count; depth++, call = p->call_parent[call]) {
            first[call] = node;
        }
    }
    for (uint32_t call = 0; call < count; call++) {
        uint32_t at = call;
        for (uint32_t depth = 0; at != FXC_NONE && first[at] == FXC_NONE && depth < count; depth++) {
            at = p->call_parent[at];
        }
        if (at != FXC_NONE && first[at] != FXC_NONE) {
            calls[first[at]]++;
        }
    }
    return true;
}

fxc_status fxc_context_of(const struct fxc_analysis *analysis, bool history, struct fxc_arena *arena,
                          struct fxc_context *out, fxc_error *err) {
    *out = (struct fxc_context){0};
    out->calls = FXC_NEW(arena, int64_t, FXC_COUNT(analysis->program, node));
    if (out->calls == NULL || !count_calls(analysis->program, arena, out->calls)) {
        return fxc_fail_memory(err, "cost");
    }
    return history ? fxc_find_reuse(analysis, arena, &out->reuse, err) : FXC_OK;
}

fxc_work fxc_work_of(const struct fxc_analysis *analysis, const struct fxc_context *context,
                     const struct fxc_rule *rule) {
    uint32_t node = rule->node;
    fxc_work work = {.struct_size = sizeof work,
                     .counts = fxc_node_counts(analysis, node),
                     .dtype = work_dtype(analysis, node),
                     .counted = analysis->flops->coverage[node] != FXC_COVERAGE_UNKNOWN,
                     .op = fxc_node_op_name(analysis->program, node),
                     .results = result_elements(rule),
                     .calls = context->calls[node],
                     .since_op = INT64_MAX,
                     .since_same = INT64_MAX,
                     .since_node = INT64_MAX};
    if (context->reuse.begin != NULL) {
        work.operand = context->reuse.operand + context->reuse.begin[node];
        work.operand_count = context->reuse.begin[node + 1] - context->reuse.begin[node];
        work.since_op = context->reuse.since_op[node];
        work.since_same = context->reuse.since_same[node];
        work.since_node = context->reuse.since_node[node];
    }
    work.elements = most_elements(rule, work.results);
    fxc_describe_work(rule, &work);
    return work;
}
