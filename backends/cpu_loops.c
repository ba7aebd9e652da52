/* The cpu timing model: loops that a compiler made.
 *
 * None were measured: their coefficients are those of eager operators that do the same. A call is that of a view, which
 * is started from Python and computes nothing; a FLOP is an element of an operator with one, a transcendental an
 * element of gelu, which is a fused kernel around one; bytes are those of pointwise operators, by the cache that holds
 * them. */
#include "backends/cpu.h"
#include "backends/models.h"
#include "backends/peaks.h"

static double known(const struct fxc_cpu_constants *c, uint32_t class, uint32_t feature) {
    return c->error[class] > 0 ? c->seconds[class][feature] : 0;
}

fxc_status fxc_cpu_loops(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    const struct fxc_cpu_constants *c = device->cpu;
    const double *light = c->seconds[FXC_CPU_CLASS_light];
    double feature[FXC_CPU_FEATURE_COUNT];
    fxc_work plain = *work; /* an operator that makes one pass over the same bytes */
    plain.kind = FXC_WORK_POINTWISE;
    plain.op = "aten.add.Tensor";
    if (c->error[FXC_CPU_CLASS_light] <= 0 || fxc_cpu_describe(device, &plain, feature) != FXC_CPU_CLASS_light) {
        fxc_status status = fxc_roofline(device, work, out);
        out->source = FXC_TIME_PREDICTED;
        return status;
    }
    double start = known(c, FXC_CPU_CLASS_view, FXC_CPU_CALL);
    double compute = light[FXC_CPU_ELEMENT] * (double)work->counts.vector_flops +
                     known(c, FXC_CPU_CLASS_gelu, FXC_CPU_ELEMENT) * (double)work->counts.transcendentals;
    double memory = light[FXC_CPU_BYTE] * feature[FXC_CPU_BYTE] + light[FXC_CPU_L2] * feature[FXC_CPU_L2] +
                    light[FXC_CPU_L3] * feature[FXC_CPU_L3];
    bool overhead = start > compute && start > memory;
    bool computing = !overhead && compute > memory;
    double bytes = (double)work->counts.bytes_read + (double)work->counts.bytes_written;
    double ideal = computing ? fxc_seconds_of(fxc_vector_work(&work->counts), fxc_vector_peak(device, work->dtype))
                             : fxc_seconds_of(bytes, device->memory_bytes_per_second);
    out->seconds = start + compute + memory;
    out->source = FXC_TIME_PREDICTED;
    out->bound = overhead ? FXC_BOUND_OVERHEAD : computing ? FXC_BOUND_COMPUTE : FXC_BOUND_MEMORY;
    out->bound = work->counted ? out->bound : FXC_BOUND_UNKNOWN;
    out->efficiency = out->seconds > 0 ? ideal / out->seconds : NAN;
    return FXC_OK;
}
