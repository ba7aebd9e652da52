/* Several devices, in the head of a text report. */
#include <inttypes.h>

#include "passes/report/render.h"

/* What is counted is one device's work, and each device of a copy of the model does as much. Copies of the model work
 * on other samples: their number is shown, and enters nothing here. */
void fxc_put_devices(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out) {
    const fxc_totals *totals = &analysis->report->totals;
    int64_t model = analysis->model_parallel > 0 ? analysis->model_parallel : 1;
    int64_t world = analysis->world_size > 0 ? analysis->world_size : model;
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE];
    int64_t flops, params;
    if (world == 1) {
        return;
    }
    fxc_putf(out, "devices     world size %" PRId64 ", ", world);
    if (world % model != 0) {
        fxc_putf(out, "which is no multiple of model parallel %" PRId64 "\n", model);
        return;
    }
    fxc_putf(out, "data parallel %" PRId64 ", model parallel %" PRId64, world / model, model);
    if (model > 1 && !fxc_mul(totals->flops, model, &flops) && !fxc_mul(totals->params, model, &params)) {
        fxc_putf(out, "; the whole model %s FLOPs, %s parameters", fxc_human(flops, raw, a), fxc_human(params, raw, b));
    }
    fxc_put(out, "\n");
}
