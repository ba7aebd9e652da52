/* kernel_cost: seconds, bound, efficiency and error of every kernel of the profile, by the device's timing model;
 * nothing without a device. */
#include "passes/kernel_cost/kernel_cost.h"

#include <math.h>

#include "backends/models.h"
#include "ir/ops.h"
#include "passes/cost/backend.h"
#include "passes/cost/work.h"
#include "passes/fusion/fusion.h"
#include "passes/kernel_cost/describe.h"

static fxc_status allocate(struct fxc_analysis *analysis, struct fxc_kernel_cost *cost, fxc_error *err) {
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_kernel_cost];
    uint32_t kernels = analysis->fusion->kernel_count;
    cost->time = FXC_NEW(arena, fxc_time, kernels);
    cost->work = FXC_NEW(arena, uint8_t, kernels);
    return cost->time == NULL || cost->work == NULL ? fxc_fail_memory(err, "kernel_cost") : FXC_OK;
}

static void add_up(struct fxc_kernel_cost *cost, const fxc_time *time) {
    cost->seconds += time->seconds;
    cost->seconds_by_bound[time->bound] += time->seconds;
    cost->seconds_by_source[time->source] += time->seconds;
    cost->seconds_error += isnan(time->error) ? 0 : time->seconds * time->error;
}

fxc_status fxc_run_kernel_cost(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_kernel_cost *cost = FXC_NEW(&analysis->arena[FXC_FACT_kernel_cost], struct fxc_kernel_cost, 1);
    if (cost == NULL) {
        return fxc_fail_memory(err, "kernel_cost");
    }
    analysis->kernel_cost = cost;
    cost->seconds = analysis->device == NULL ? NAN : 0;
    if (analysis->device == NULL) {
        return FXC_OK;
    }
    fxc_timing_fn model;
    FXC_TRY(fxc_timing_model(analysis, &model, err));
    FXC_TRY(allocate(analysis, cost, err));
    struct fxc_kernel_describing d;
    FXC_TRY(fxc_describe_kernels(analysis, analysis->cost->context, fxc_model_reads_history(model),
                                 &analysis->arena[FXC_FACT_kernel_cost], &d, err));
    for (uint32_t i = 0; i < analysis->fusion->kernel_count; i++) {
        const struct fxc_kernel_row *k = &analysis->fusion->kernel[i];
        fxc_work work = fxc_describe_kernel(&d, k);
        FXC_TRY(
            fxc_predict_time(analysis, model, &work, analysis->fusion->member[k->member_begin], &cost->time[i], err));
        cost->time[i].bound = work.counted ? cost->time[i].bound : FXC_BOUND_UNKNOWN;
        cost->work[i] = work.kind;
        add_up(cost, &cost->time[i]);
    }
    return FXC_OK;
}
