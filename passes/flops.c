/* flops: the work of every node under the default convention (docs/counting.md). A node without a rule, or with a size
 * that has no value, is unknown: its counts stay zero and its coverage says that they mean nothing. */
#include "passes/custom/custom.h"
#include "passes/flops/rules.h"

static const fxc_flop_rule rules[FXC_FLOP_RULE_COUNT] = {
#define X(name) [FXC_FLOPS_##name] = fxc_flops_##name,
    FXC_FLOP_RULE_LIST(X)
#undef X
};

static bool is_nothing(const fxc_counts *counts) {
    return (counts->macs | counts->matrix_flops | counts->vector_flops | counts->transcendentals | counts->int_ops) ==
           0;
}

/* A recording that contradicts itself where no shape rule looks, for instance more results than elements to fold. */
static bool is_absurd(const fxc_counts *counts) {
    return counts->macs < 0 || counts->matrix_flops < 0 || counts->vector_flops < 0 || counts->transcendentals < 0 ||
           counts->int_ops < 0;
}

fxc_status fxc_flops_of_node(const struct fxc_rule *rule, const struct fxc_op_row *row, fxc_counts *counts,
                             uint8_t *coverage, fxc_error *err) {
    *coverage = FXC_COVERAGE_UNKNOWN;
    if (row == NULL || row->flops == FXC_FLOPS_UNKNOWN) {
        return FXC_OK;
    }
    if (row->flops == FXC_FLOPS_zero) {
        *coverage = FXC_COVERAGE_ZERO;
        return FXC_OK;
    }
    if (fxc_rule_is_foreign(rule->program, rule->node)) {
        return FXC_OK;
    }
    fxc_status status = rules[row->flops](rule, row->params, counts, err);
    if (status == FXC_UNKNOWN_OPS || (status == FXC_OK && is_absurd(counts))) {
        *counts = (fxc_counts){0};
        return FXC_OK;
    }
    FXC_TRY(status);
    *coverage = is_nothing(counts) ? FXC_COVERAGE_ZERO : FXC_COVERAGE_COUNTED;
    return FXC_OK;
}

/* What the user said of a node comes before the table, corrections after it. */
static fxc_status count_custom(struct fxc_custom_index *custom, const struct fxc_rule *rule,
                               const struct fxc_op_row *row, fxc_counts *counts, uint8_t *coverage, fxc_error *err) {
    bool done;
    FXC_TRY(fxc_custom_count(custom, rule, counts, coverage, &done, err));
    if (!done) {
        FXC_TRY(fxc_flops_of_node(rule, row, counts, coverage, err));
    }
    return fxc_custom_correct(custom, rule, counts, err);
}

static void mark(uint32_t value, void *used) {
    ((bool *)used)[value] = true;
}

/* What nodes and outputs take. Lists share rows, so only those are followed that are taken themselves. */
static void mark_used(const struct fxc_program *p, bool *used) {
    for (uint32_t arg = 0; arg < FXC_COUNT(p, arg); arg++) {
        fxc_each_value(p, p->arg_kind[arg], p->arg_payload[arg], mark, used);
    }
    for (uint32_t output = 0; output < FXC_COUNT(p, output); output++) {
        fxc_each_value(p, p->output_kind[output], p->output_payload[output], mark, used);
    }
}

fxc_status fxc_run_flops(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_flops];
    uint32_t nodes = FXC_COUNT(p, node);
    FXC_TRY(fxc_check_resolved(p, err));
    struct fxc_flops *flops = FXC_NEW(arena, struct fxc_flops, 1);
    fxc_counts *counts = FXC_NEW(arena, fxc_counts, nodes);
    uint8_t *coverage = FXC_NEW(arena, uint8_t, nodes);
    bool *used = FXC_NEW(arena, bool, FXC_COUNT(p, value));
    if (flops == NULL || counts == NULL || coverage == NULL || used == NULL) {
        return fxc_fail_memory(err, "flops");
    }
    struct fxc_rule rule = {.program = p,
                            .shapes = analysis->shapes,
                            .bindings = analysis->bindings,
                            .window = analysis->attention_window,
                            .sequences = analysis->sequences,
                            .sequence_count = analysis->sequence_count,
                            .used = used};
    struct fxc_custom_index *custom = NULL;
    mark_used(p, used);
    if (analysis->custom != NULL) {
        FXC_TRY(fxc_custom_index_build(p, analysis->custom, arena, &custom, err));
    }
    for (; rule.node < nodes; rule.node++) {
        const struct fxc_op_row *row = fxc_node_row(p, rule.node);
        fxc_counts *counted = &counts[rule.node];
        uint8_t *covered = &coverage[rule.node];
        FXC_TRY(custom == NULL ? fxc_flops_of_node(&rule, row, counted, covered, err)
                               : count_custom(custom, &rule, row, counted, covered, err));
    }
    *flops = (struct fxc_flops){.counts = counts, .coverage = coverage, .custom = custom};
    analysis->flops = flops;
    return FXC_OK;
}
