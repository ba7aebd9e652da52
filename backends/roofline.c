/* The roofline timing model. */
#include <math.h>

#include "fxcost/backend.h"

/* Peaks for a dtype. Narrow floats compute their vector work in FP32, as torch's kernels do. */
static double matrix_peak(const fxc_device *device, uint8_t dtype) {
    switch (dtype) {
    case FXC_DTYPE_FLOAT64:
    case FXC_DTYPE_COMPLEX128:
        return device->matrix_f64;
    case FXC_DTYPE_FLOAT16:
    case FXC_DTYPE_COMPLEX32:
        return device->matrix_f16;
    case FXC_DTYPE_BFLOAT16:
        return device->matrix_bf16;
    case FXC_DTYPE_FLOAT8_E4M3FN:
    case FXC_DTYPE_FLOAT8_E5M2:
    case FXC_DTYPE_FLOAT8_E4M3FNUZ:
    case FXC_DTYPE_FLOAT8_E5M2FNUZ:
        return device->matrix_f8;
    default:
        return device->matrix_f32;
    }
}

static double vector_peak(const fxc_device *device, uint8_t dtype) {
    return dtype == FXC_DTYPE_FLOAT64 || dtype == FXC_DTYPE_COMPLEX128 ? device->vector_f64 : device->vector_f32;
}

/* work / peak; NAN when there is work and no figure. */
static double seconds_of(double work, double peak) {
    if (work == 0) {
        return 0;
    }
    return peak > 0 ? work / peak : NAN;
}

fxc_status fxc_roofline(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    if (device->struct_size < sizeof *device || work->struct_size < sizeof *work || out->struct_size < sizeof *out) {
        return FXC_USAGE;
    }
    const fxc_counts *c = &work->counts;
    double bytes = (double)c->bytes_read + (double)c->bytes_written;
    double memory = seconds_of(bytes, device->memory_bytes_per_second);
    /* Transcendentals and integer operations go through the vector units; at least one issue slot each. */
    double vector = (double)c->vector_flops + (double)c->transcendentals + (double)c->int_ops;
    double compute = seconds_of((double)c->matrix_flops, matrix_peak(device, work->dtype)) +
                     seconds_of(vector, vector_peak(device, work->dtype));
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
