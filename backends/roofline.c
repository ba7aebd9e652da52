/* The roofline timing model. */
#include "backends/peaks.h"

fxc_status fxc_roofline(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    if (device->struct_size < sizeof *device || work->struct_size < sizeof *work || out->struct_size < sizeof *out) {
        return FXC_USAGE;
    }
    const fxc_counts *c = &work->counts;
    double bytes = (double)c->bytes_read + (double)c->bytes_written;
    double memory = fxc_seconds_of(bytes, device->memory_bytes_per_second);
    double compute = fxc_seconds_of((double)c->matrix_flops, fxc_matrix_peak(device, work->dtype)) +
                     fxc_seconds_of(fxc_vector_work(c) + fxc_draw_work(work), fxc_vector_peak(device, work->dtype));
    double overhead = (double)c->kernels * device->kernel_overhead_seconds;
    if (isnan(memory) || (work->counted && isnan(compute))) {
        return FXC_DEVICE;
    }
    double busy = work->counted && compute > memory ? compute : memory;
    out->seconds = busy + overhead;
    out->source = FXC_TIME_DATASHEET;
    out->efficiency = 1;
    out->error = NAN;
    if (!work->counted) {
        out->bound = FXC_BOUND_UNKNOWN;
    } else if (overhead > busy) {
        out->bound = FXC_BOUND_OVERHEAD;
    } else {
        out->bound = compute > memory ? FXC_BOUND_COMPUTE : FXC_BOUND_MEMORY;
    }
    return FXC_OK;
}
