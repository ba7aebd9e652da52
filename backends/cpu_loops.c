/* The cpu timing model: loops that a compiler made.
 *
 * Where calibration has compiled some, two classes are fitted to them: loops, and those of which some fold. Where it
 * has not, their coefficients are those of eager operators that do the same. A call is that of a view, which is started
 * from Python and computes nothing; a FLOP is an element of an operator with one, a transcendental an element of gelu,
 * which is a fused kernel around one; bytes are those of pointwise operators, by the cache that holds them. */
#include "backends/cpu.h"
#include "backends/models.h"
#include "backends/peaks.h"

/* What an operator is in loops: vector operations beside a function of the library of vectors, for each element. */
static void add_executed(const fxc_executed *executed, double *x) {
    double points = (double)executed->points, work = (double)executed->flops;
    work = work > points ? work : points; /* comparisons and conversions have no FLOPs */
    x[FXC_CPU_FOLD] += executed->folds ? points : 0;
    switch (executed->op == NULL ? FXC_CPU_CLASS_COUNT : fxc_cpu_class_of_op(executed->op)) {
    case FXC_CPU_CLASS_divide:
    case FXC_CPU_CLASS_root:
        x[FXC_CPU_DIVIDE] += points;
        break;
    case FXC_CPU_CLASS_sigmoid:
    case FXC_CPU_CLASS_silu:
    case FXC_CPU_CLASS_exponential:
    case FXC_CPU_CLASS_soft:
        x[FXC_CPU_EXPONENTIAL] += points;
        break;
    case FXC_CPU_CLASS_logarithm:
        x[FXC_CPU_LOGARITHM] += points;
        break;
    case FXC_CPU_CLASS_sine:
        x[FXC_CPU_SINE] += points;
        break;
    case FXC_CPU_CLASS_tangent:
        x[FXC_CPU_TANGENT] += points;
        break;
    case FXC_CPU_CLASS_error:
    case FXC_CPU_CLASS_gelu:
        x[FXC_CPU_ERROR] += points;
        break;
    case FXC_CPU_CLASS_copy: /* a load and a store, which bytes are */
    case FXC_CPU_CLASS_join:
    case FXC_CPU_CLASS_fill:
        break;
    default:
        x[FXC_CPU_WORK] += work;
    }
}

uint32_t fxc_cpu_describe_loops(const fxc_device *device, const fxc_work *work, double x[FXC_CPU_FEATURE_COUNT]) {
    if (work->executed == NULL || work->kind == FXC_WORK_OTHER) {
        return FXC_CPU_CLASS_COUNT;
    }
    bool folds = work->kind == FXC_WORK_REDUCTION || work->kind == FXC_WORK_NORM;
    uint32_t class = folds ? FXC_CPU_CLASS_folds : FXC_CPU_CLASS_loops;
    x[FXC_CPU_CALL] = (double)work->loops;
    x[FXC_CPU_ROW] = (double)work->shape.rows.rows;
    x[FXC_CPU_ELEMENT] = (double)work->elements;
    x[FXC_CPU_BYTE] = (double)work->counts.bytes_read + (double)work->counts.bytes_written;
    fxc_cpu_memory(device, work, x);
    for (uint32_t i = 0; i < work->executed_count; i++) {
        add_executed(&work->executed[i], x);
    }
    for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
        x[f] = (fxc_cpu_classes[class].features >> f & 1u) != 0 ? x[f] : 0;
    }
    return class;
}

static double known(const struct fxc_cpu_constants *c, uint32_t class, uint32_t feature) {
    return c->error[class] > 0 ? c->seconds[class][feature] : 0;
}

fxc_status fxc_cpu_loops(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    const struct fxc_cpu_constants *c = device->cpu;
    const double *light = c->seconds[FXC_CPU_CLASS_light];
    double feature[FXC_CPU_FEATURE_COUNT];
    fxc_work plain = *work; /* an operator that makes one pass over the same bytes */
    plain.loops = 0;
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
    compute += fxc_seconds_of(fxc_draw_work(work), fxc_vector_peak(device, FXC_DTYPE_FLOAT32));
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
