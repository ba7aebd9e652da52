/* cost: seconds, bound, efficiency and error of every node by the device's timing model; nothing without a device. */
#include <math.h>

#include "backends/models.h"
#include "backends/peaks.h"
#include "passes/cost/backend.h"
#include "passes/cost/work.h"
#include "passes/report/report.h"

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

static fxc_status allocate(struct fxc_analysis *analysis, struct fxc_cost *cost) {
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_cost];
    uint32_t nodes = FXC_COUNT(analysis->program, node);
    cost->seconds = FXC_NEW(arena, double, nodes);
    cost->efficiency = FXC_NEW(arena, double, nodes);
    cost->error = FXC_NEW(arena, double, nodes);
    cost->peak_seconds = FXC_NEW(arena, double, nodes);
    cost->work = FXC_NEW(arena, uint8_t, nodes);
    cost->bound = FXC_NEW(arena, uint8_t, nodes);
    cost->source = FXC_NEW(arena, uint8_t, nodes);
    bool done = cost->seconds != NULL && cost->efficiency != NULL && cost->error != NULL &&
                cost->peak_seconds != NULL && cost->work != NULL && cost->bound != NULL && cost->source != NULL;
    return done ? FXC_OK : FXC_MEMORY;
}

/* A figure that is missing makes the time of this node unknown, and the sum says so; anything else is an error. */
static fxc_status predict(const struct fxc_analysis *analysis, fxc_timing_fn model, const fxc_work *work,
                          struct fxc_cost *cost, uint32_t node, fxc_error *err) {
    fxc_time time = {.struct_size = sizeof time, .seconds = NAN, .efficiency = NAN, .error = NAN};
    fxc_status status = model(analysis->device, work, &time);
    if (status == FXC_DEVICE) {
        time.seconds = NAN;
        time.bound = FXC_BOUND_UNKNOWN;
        time.source = FXC_TIME_NONE;
    } else {
        FXC_TRY(fxc_check_time(analysis, node, status, &time, err));
    }
    cost->seconds[node] = time.seconds;
    cost->bound[node] = work->counted ? time.bound : FXC_BOUND_UNKNOWN;
    cost->source[node] = time.source;
    cost->efficiency[node] = time.efficiency;
    cost->error[node] = time.error;
    cost->work[node] = work->kind;
    cost->peak_seconds[node] =
        fxc_seconds_of((double)work->counts.matrix_flops, fxc_matrix_peak(analysis->device, work->dtype));
    return FXC_OK;
}

fxc_status fxc_run_cost(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_cost *cost = FXC_NEW(&analysis->arena[FXC_FACT_cost], struct fxc_cost, 1);
    if (cost == NULL) {
        return fxc_fail_memory(err, "cost");
    }
    analysis->cost = cost;
    if (analysis->device == NULL) {
        return FXC_OK;
    }
    fxc_timing_fn model;
    FXC_TRY(fxc_timing_model(analysis, &model, err));
    if (allocate(analysis, cost) != FXC_OK) {
        return fxc_fail_memory(err, "cost");
    }
    struct fxc_rule rule = {
        .program = p, .shapes = analysis->shapes, .bindings = analysis->bindings, .window = analysis->attention_window};
    for (; rule.node < FXC_COUNT(p, node); rule.node++) {
        fxc_work work = {.struct_size = sizeof work,
                         .counts = fxc_node_counts(analysis, rule.node),
                         .dtype = work_dtype(analysis, rule.node),
                         .counted = analysis->flops->coverage[rule.node] != FXC_COVERAGE_UNKNOWN};
        fxc_describe_work(&rule, &work);
        FXC_TRY(predict(analysis, model, &work, cost, rule.node, err));
    }
    return FXC_OK;
}
