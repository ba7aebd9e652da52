/* cost: seconds, bound, efficiency and error of every node by the device's timing model; nothing without a device. */
#include <math.h>

#include "backends/models.h"
#include "backends/peaks.h"
#include "passes/cost/backend.h"
#include "passes/cost/work.h"
#include "passes/optimizer.h"

static fxc_status allocate(struct fxc_analysis *analysis, struct fxc_cost *cost) {
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_cost];
    uint32_t nodes = FXC_COUNT(analysis->program, node), params = FXC_COUNT(analysis->program, param);
    cost->step_seconds = FXC_NEW(arena, double, params);
    cost->step_bound = FXC_NEW(arena, uint8_t, params);
    cost->step_source = FXC_NEW(arena, uint8_t, params);
    cost->seconds = FXC_NEW(arena, double, nodes);
    cost->efficiency = FXC_NEW(arena, double, nodes);
    cost->error = FXC_NEW(arena, double, nodes);
    cost->peak_seconds = FXC_NEW(arena, double, nodes);
    cost->work = FXC_NEW(arena, uint8_t, nodes);
    cost->bound = FXC_NEW(arena, uint8_t, nodes);
    cost->source = FXC_NEW(arena, uint8_t, nodes);
    bool done = cost->seconds != NULL && cost->efficiency != NULL && cost->error != NULL &&
                cost->peak_seconds != NULL && cost->work != NULL && cost->bound != NULL && cost->source != NULL &&
                cost->step_seconds != NULL && cost->step_bound != NULL && cost->step_source != NULL;
    return done ? FXC_OK : FXC_MEMORY;
}

static fxc_status time_node(const struct fxc_analysis *analysis, fxc_timing_fn model, const fxc_work *work,
                            struct fxc_cost *cost, uint32_t node, fxc_error *err) {
    fxc_time time;
    FXC_TRY(fxc_predict_time(analysis, model, work, node, &time, err));
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

/* The step reads parameter, gradient and state and writes parameter and state, once: fused over many parameters, as
 * torch's foreach and fused implementations are, so that no launch counts for a single one. */
static fxc_status time_step(const struct fxc_analysis *analysis, fxc_timing_fn model, struct fxc_cost *cost,
                            fxc_error *err) {
    const struct fxc_optimizer_row *row = analysis->optimizer_row;
    for (uint32_t param = 0; row != NULL && param < FXC_COUNT(analysis->program, param); param++) {
        if (!analysis->optimizer->updated[param]) {
            continue;
        }
        fxc_time time;
        int64_t bytes = analysis->params->bytes[param];
        fxc_work work = {.struct_size = sizeof work,
                         .counts = analysis->optimizer->counts[param],
                         .dtype = FXC_DTYPE_FLOAT32,
                         .counted = true,
                         .kind = FXC_WORK_POINTWISE};
        if (fxc_mul(bytes, 2 + row->state, &work.counts.bytes_read) ||
            fxc_mul(bytes, 1 + row->state, &work.counts.bytes_written)) {
            return fxc_fail(err, FXC_OVERFLOW, "cost of the optimizer's step");
        }
        FXC_TRY(fxc_predict_time(analysis, model, &work, FXC_NONE, &time, err));
        cost->step_seconds[param] = time.seconds;
        cost->step_bound[param] = time.bound;
        cost->step_source[param] = time.source;
    }
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
    struct fxc_context *context = FXC_NEW(&analysis->arena[FXC_FACT_cost], struct fxc_context, 1);
    if (context == NULL) {
        return fxc_fail_memory(err, "cost");
    }
    cost->context = context;
    FXC_TRY(fxc_context_of(analysis, fxc_model_reads_history(model), &analysis->arena[FXC_FACT_cost], context, err));
    struct fxc_rule rule = {
        .program = p, .shapes = analysis->shapes, .bindings = analysis->bindings, .window = analysis->attention_window};
    for (; rule.node < FXC_COUNT(p, node); rule.node++) {
        fxc_work work = fxc_work_of(analysis, context, &rule);
        FXC_TRY(time_node(analysis, model, &work, cost, rule.node, err));
    }
    return time_step(analysis, model, cost, err);
}
