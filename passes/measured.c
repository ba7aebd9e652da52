/* measured: what a real run of the program took, where the file holds it and its sizes are those of the run. */
#include <math.h>
#include <string.h>

#include "ir/expr.h"
#include "passes/analysis.h"

/* Measurements are of the sizes of the capture: every symbol must have the value that it had there. */
static bool at_captured_sizes(const struct fxc_analysis *analysis) {
    const struct fxc_program *p = analysis->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        const struct fxc_binding *binding = &analysis->bindings[i];
        if ((p->symbol_flags[i] & FXC_SYMBOL_FLAG_HAS_HINT) != 0 && binding->known &&
            binding->value != p->symbol_hint[i]) {
            return false;
        }
    }
    return true;
}

static void read_whole(struct fxc_measured *measured, uint8_t what, double seconds) {
    switch (what) {
    case FXC_MEASURE_MIN_NS:
        measured->whole_least = seconds;
        break;
    case FXC_MEASURE_MEDIAN_NS:
        measured->whole = seconds;
        break;
    case FXC_MEASURE_COMPILED_MIN_NS:
        measured->compiled_least = seconds;
        break;
    case FXC_MEASURE_COMPILED_MEDIAN_NS:
        measured->compiled = seconds;
        break;
    default:
        break; /* of a newer version, or bytes */
    }
}

static void read_node(struct fxc_measured *measured, uint32_t node, uint8_t what, int64_t value) {
    switch (what) {
    case FXC_MEASURE_MIN_NS:
        measured->least[node] = (double)value * 1e-9;
        break;
    case FXC_MEASURE_MEDIAN_NS:
        measured->seconds[node] = (double)value * 1e-9;
        break;
    case FXC_MEASURE_BYTES_BEFORE:
        measured->before[node] = value;
        break;
    case FXC_MEASURE_BYTES_AFTER:
        measured->after[node] = value;
        break;
    case FXC_MEASURE_BYTES_PEAK:
        measured->most[node] = value;
        break;
    default:
        break;
    }
}

fxc_status fxc_run_measured(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_measured];
    struct fxc_measured *measured = FXC_NEW(arena, struct fxc_measured, 1);
    if (measured == NULL) {
        return fxc_fail_memory(err, "measured");
    }
    analysis->measured = measured;
    measured->whole = measured->whole_least = measured->compiled = measured->compiled_least = NAN;
    if (FXC_COUNT(p, measure) == 0 || !at_captured_sizes(analysis)) {
        return FXC_OK;
    }
    uint32_t nodes = FXC_COUNT(p, node);
    measured->seconds = FXC_NEW(arena, double, nodes);
    measured->least = FXC_NEW(arena, double, nodes);
    measured->before = FXC_NEW(arena, int64_t, nodes);
    measured->after = FXC_NEW(arena, int64_t, nodes);
    measured->most = FXC_NEW(arena, int64_t, nodes);
    if (measured->seconds == NULL || measured->least == NULL || measured->before == NULL || measured->after == NULL ||
        measured->most == NULL) {
        return fxc_fail_memory(err, "measured");
    }
    for (uint32_t node = 0; node < nodes; node++) {
        measured->seconds[node] = measured->least[node] = NAN;
        measured->before[node] = measured->after[node] = measured->most[node] = -1;
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, measure); i++) {
        if (p->measure_node[i] == FXC_NONE) {
            read_whole(measured, p->measure_what[i], (double)p->measure_value[i] * 1e-9);
        } else {
            read_node(measured, p->measure_node[i], p->measure_what[i], p->measure_value[i]);
        }
    }
    return FXC_OK;
}
