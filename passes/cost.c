/* cost: seconds and bound of every node by the device's timing model; nothing without a device. */
#include <math.h>

#include "fxcost/backend.h"
#include "passes/report/report.h"
#include "passes/rule.h"

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

fxc_status fxc_run_cost(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_cost];
    struct fxc_cost *cost = FXC_NEW(arena, struct fxc_cost, 1);
    if (cost == NULL) {
        return fxc_fail_memory(err, "cost");
    }
    analysis->cost = cost;
    if (analysis->device == NULL) {
        return FXC_OK;
    }
    cost->seconds = FXC_NEW(arena, double, FXC_COUNT(p, node));
    cost->bound = FXC_NEW(arena, uint8_t, FXC_COUNT(p, node));
    if (cost->seconds == NULL || cost->bound == NULL) {
        return fxc_fail_memory(err, "cost");
    }
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        fxc_work work = {.struct_size = sizeof work,
                         .counts = fxc_node_counts(analysis, node),
                         .dtype = work_dtype(analysis, node),
                         .counted = analysis->flops->coverage[node] != FXC_COVERAGE_UNKNOWN};
        fxc_time time = {.struct_size = sizeof time};
        if (fxc_roofline(analysis->device, &work, &time) != FXC_OK) {
            /* A figure is missing: the time of this node is not known, and the sum says so. */
            time.seconds = NAN;
            time.bound = FXC_BOUND_UNKNOWN;
        }
        cost->seconds[node] = time.seconds;
        cost->bound[node] = time.bound;
    }
    return FXC_OK;
}
