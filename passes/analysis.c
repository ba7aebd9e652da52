/* Analyses: creation, and what the public header reads off the facts. */
#include "passes/analysis.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "ir/ops.h"
#include "passes/convention/convention.h"
#include "passes/cost/backend.h"
#include "passes/custom/custom.h"
#include "passes/device/device.h"
#include "passes/flops/rules.h"
#include "passes/fusion/profile.h"
#include "passes/optimizer.h"
#include "passes/report/report.h"

fxc_status fxc_analysis_new(const fxc_program *program, fxc_analysis **out, fxc_error *err) {
    *out = NULL;
    uint32_t symbols = FXC_COUNT(program, symbol);
    struct fxc_analysis *analysis = calloc(1, sizeof *analysis);
    struct fxc_binding *bindings = calloc(symbols == 0 ? 1 : symbols, sizeof *bindings);
    if (analysis == NULL || bindings == NULL) {
        free(analysis);
        free(bindings);
        return fxc_fail_memory(err, "fxc_analysis_new");
    }
    analysis->program = program;
    analysis->bindings = bindings;
    analysis->single_trip = FXC_NONE;
    analysis->profile = fxc_profile_at(0);
    for (uint32_t i = 0; i < symbols; i++) {
        bindings[i].known = (program->symbol_flags[i] & FXC_SYMBOL_FLAG_HAS_HINT) != 0;
        bindings[i].value = bindings[i].known ? program->symbol_hint[i] : 0;
    }
    *out = analysis;
    return FXC_OK;
}

void fxc_analysis_free(fxc_analysis *analysis) {
    if (analysis == NULL) {
        return;
    }
    for (uint32_t fact = 0; fact < FXC_FACT_COUNT; fact++) {
        fxc_arena_free(&analysis->arena[fact]);
    }
    free(analysis->bindings);
    if (!analysis->borrows) {
        free(analysis->probability);
        free(analysis->sequences);
        fxc_custom_free(analysis->custom);
        fxc_custom_metrics_free(analysis->metrics_of_user);
        fxc_device_free(analysis->own_device);
        fxc_profile_free(analysis->own_profile);
        fxc_backend_unload(analysis->backend);
    }
    free(analysis);
}

fxc_status fxc_analysis_borrow(const struct fxc_analysis *analysis, struct fxc_analysis **out, fxc_error *err) {
    FXC_TRY(fxc_analysis_new(analysis->program, out, err));
    struct fxc_analysis *copy = *out;
    memcpy(copy->bindings, analysis->bindings, FXC_COUNT(analysis->program, symbol) * sizeof *copy->bindings);
    copy->borrows = true;
    copy->probability = analysis->probability;
    copy->custom = analysis->custom;
    copy->metrics_of_user = analysis->metrics_of_user;
    copy->shape_policy = analysis->shape_policy;
    copy->world_size = analysis->world_size;
    copy->model_parallel = analysis->model_parallel;
    copy->attention_window = analysis->attention_window;
    copy->sequences = analysis->sequences;
    copy->sequence_count = analysis->sequence_count;
    copy->cuda_allocator = analysis->cuda_allocator;
    copy->device = analysis->device;
    copy->backend = analysis->backend;
    copy->convention = analysis->convention;
    copy->forward = analysis->forward;
    copy->profile = analysis->profile;
    return FXC_OK;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

#define CHECK_STRUCT(pointer, function)                                                                                \
    if ((pointer)->struct_size < sizeof *(pointer)) {                                                                  \
        return fxc_fail(err, FXC_USAGE, function ": struct_size is smaller than this version's structure");            \
    }

static uint32_t cost_facts(void) {
    return FXC_FACT_BIT(tree) | FXC_FACT_BIT(flops) | FXC_FACT_BIT(traffic) | FXC_FACT_BIT(cost);
}

fxc_status fxc_analysis_node(fxc_analysis *analysis, uint32_t node, fxc_node_cost *cost, fxc_error *err) {
    CHECK_STRUCT(cost, "fxc_analysis_node");
    if (node >= FXC_COUNT(analysis->program, node)) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_node: node %u of %u", node, FXC_COUNT(analysis->program, node));
    }
    FXC_TRY(fxc_require_facts(analysis, cost_facts(), err));
    size_t struct_size = cost->struct_size;
    int64_t times = analysis->tree->graph_times[fxc_program_node_graph(analysis->program, node)], rounded;
    if (fxc_scale(1, times, analysis->tree->unit, &rounded)) {
        return fxc_fail_node(err, FXC_OVERFLOW, analysis->program, node);
    }
    const struct fxc_cost *timed = analysis->cost->seconds == NULL ? NULL : analysis->cost;
    *cost = (fxc_node_cost){
        .struct_size = struct_size,
        .counts = fxc_node_counts(analysis, node),
        .times = rounded,
        .expected_times = (double)times / (double)analysis->tree->unit,
        .coverage = analysis->flops->coverage[node],
        .bound = timed == NULL ? FXC_BOUND_UNKNOWN : timed->bound[node],
        .seconds = timed == NULL ? NAN : timed->seconds[node],
        .work = timed == NULL ? 0 : timed->work[node],
        .source = timed == NULL ? 0 : timed->source[node],
        .efficiency = timed == NULL ? NAN : timed->efficiency[node],
        .error = timed == NULL ? NAN : timed->error[node],
    };
    return FXC_OK;
}

fxc_status fxc_analysis_totals(fxc_analysis *analysis, fxc_totals *totals, fxc_error *err) {
    CHECK_STRUCT(totals, "fxc_analysis_totals");
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(report), err));
    size_t struct_size = totals->struct_size;
    *totals = analysis->report->totals;
    totals->struct_size = struct_size;
    return FXC_OK;
}

fxc_status fxc_analysis_unknown(fxc_analysis *analysis, uint32_t index, fxc_unknown_op *out, fxc_error *err) {
    CHECK_STRUCT(out, "fxc_analysis_unknown");
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(report), err));
    if (index >= analysis->report->unknown_count) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_unknown: entry %u of %u", index, analysis->report->unknown_count);
    }
    size_t struct_size = out->struct_size;
    *out = analysis->report->unknown[index];
    out->struct_size = struct_size;
    return FXC_OK;
}
