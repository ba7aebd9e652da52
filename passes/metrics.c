/* metrics: what the metrics of the user's own (fxcost/op.h) say of every node. A node that no formula of a metric holds
 * for has no part in it; one whose formula cannot tell is unknown. */
#include "passes/custom/custom.h"
#include "passes/report/report.h"

/* Formulas for all operators are for those that do something: views, sizes and getitem are not. */
static bool does_something(const struct fxc_analysis *analysis, uint32_t node) {
    return analysis->flops->coverage[node] != FXC_COVERAGE_ZERO || analysis->traffic->kernels[node] > 0;
}

static fxc_status measure(const struct fxc_analysis *analysis, const struct fxc_rule *rule,
                          struct fxc_custom_index *index, int64_t *value, uint8_t *coverage, fxc_error *err) {
    fxc_counts counts;
    fxc_op_call call;
    bool covered;
    *coverage = FXC_COVERAGE_ZERO;
    uint8_t counted = analysis->flops->coverage[rule->node];
    if (counted == FXC_COVERAGE_IGNORED) {
        return FXC_OK;
    }
    const struct fxc_custom_entry *entry = fxc_custom_formula(index, rule, &call, &covered);
    if (entry == NULL || covered || (fxc_is_any(entry->name) && !does_something(analysis, rule->node))) {
        return FXC_OK;
    }
    if (call.module_call == FXC_NONE && counted != FXC_COVERAGE_UNKNOWN) {
        counts = fxc_node_counts(analysis, rule->node);
        call.counts = &counts;
    }
    void *context = entry->measure == fxc_custom_measure_term ? (void *)(uintptr_t)entry : entry->context;
    fxc_status status = entry->measure(&call, value, context, err);
    if (status == FXC_UNKNOWN_OPS) {
        *value = 0;
        *coverage = FXC_COVERAGE_UNKNOWN;
        return FXC_OK;
    }
    FXC_TRY(status);
    if (*value < 0) {
        status = fxc_fail_node(err, FXC_USAGE, rule->program, rule->node);
        fxc_expected(err, "a number of 0 or more from the formula of a metric for %s", entry->name);
        fxc_found(err, "%lld", (long long)*value);
        return status;
    }
    *coverage = FXC_COVERAGE_COUNTED;
    return FXC_OK;
}

static fxc_status run_metric(struct fxc_analysis *analysis, uint32_t metric, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_metrics];
    int64_t *value = FXC_NEW(arena, int64_t, FXC_COUNT(p, node));
    uint8_t *coverage = FXC_NEW(arena, uint8_t, FXC_COUNT(p, node));
    struct fxc_custom_index *index;
    if (value == NULL || coverage == NULL) {
        return fxc_fail_memory(err, "metrics");
    }
    FXC_TRY(fxc_custom_index_build(p, &analysis->metrics_of_user->metric[metric].formulas, arena, &index, err));
    struct fxc_rule rule = {.program = p, .shapes = analysis->shapes, .bindings = analysis->bindings};
    for (; rule.node < FXC_COUNT(p, node); rule.node++) {
        FXC_TRY(measure(analysis, &rule, index, &value[rule.node], &coverage[rule.node], err));
    }
    analysis->metrics->value[metric] = value;
    analysis->metrics->coverage[metric] = coverage;
    return FXC_OK;
}

fxc_status fxc_run_metrics(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_metrics *metrics = FXC_NEW(&analysis->arena[FXC_FACT_metrics], struct fxc_metrics, 1);
    if (metrics == NULL) {
        return fxc_fail_memory(err, "metrics");
    }
    analysis->metrics = metrics;
    for (uint32_t i = 0; analysis->metrics_of_user != NULL && i < analysis->metrics_of_user->count; i++) {
        FXC_TRY(run_metric(analysis, i, err));
        metrics->count++;
    }
    return FXC_OK;
}
