/* The cpu timing model. docs/cost.md. */
#include <string.h>

#include "backends/cpu.h"

#include "backends/models.h"
#include "backends/peaks.h"

static const uint8_t part_of_feature[FXC_CPU_FEATURE_COUNT] = {
    [FXC_CPU_CALL] = FXC_BOUND_OVERHEAD,     [FXC_CPU_BATCH] = FXC_BOUND_OVERHEAD,
    [FXC_CPU_CODE2] = FXC_BOUND_OVERHEAD,    [FXC_CPU_CODE3] = FXC_BOUND_OVERHEAD,
    [FXC_CPU_START2] = FXC_BOUND_OVERHEAD,   [FXC_CPU_SAME2] = FXC_BOUND_OVERHEAD,
    [FXC_CPU_SAME3] = FXC_BOUND_OVERHEAD,    [FXC_CPU_START3] = FXC_BOUND_OVERHEAD,
    [FXC_CPU_MAC] = FXC_BOUND_COMPUTE,       [FXC_CPU_PAIR] = FXC_BOUND_COMPUTE,
    [FXC_CPU_ELEMENT] = FXC_BOUND_COMPUTE,   [FXC_CPU_WORK] = FXC_BOUND_COMPUTE,
    [FXC_CPU_ROW] = FXC_BOUND_OVERHEAD,      [FXC_CPU_LEFT] = FXC_BOUND_MEMORY,
    [FXC_CPU_RIGHT] = FXC_BOUND_MEMORY,      [FXC_CPU_OUT] = FXC_BOUND_MEMORY,
    [FXC_CPU_MASK] = FXC_BOUND_MEMORY,       [FXC_CPU_UNALIGNED] = FXC_BOUND_MEMORY,
    [FXC_CPU_RESULT] = FXC_BOUND_COMPUTE,    [FXC_CPU_BYTE] = FXC_BOUND_MEMORY,
    [FXC_CPU_STRIDED] = FXC_BOUND_MEMORY,    [FXC_CPU_FOLD] = FXC_BOUND_COMPUTE,
    [FXC_CPU_DIVIDE] = FXC_BOUND_COMPUTE,    [FXC_CPU_EXPONENTIAL] = FXC_BOUND_COMPUTE,
    [FXC_CPU_LOGARITHM] = FXC_BOUND_COMPUTE, [FXC_CPU_SINE] = FXC_BOUND_COMPUTE,
    [FXC_CPU_TANGENT] = FXC_BOUND_COMPUTE,   [FXC_CPU_ERROR] = FXC_BOUND_COMPUTE,
    [FXC_CPU_L2] = FXC_BOUND_MEMORY,         [FXC_CPU_L3] = FXC_BOUND_MEMORY,
};

/* What bounds most of the time. */
static uint8_t bound_of(const fxc_work *work, const double part[FXC_BOUND_OVERHEAD + 1]) {
    if (!work->counted) {
        return FXC_BOUND_UNKNOWN;
    }
    uint8_t most = FXC_BOUND_OVERHEAD;
    most = part[FXC_BOUND_MEMORY] > part[most] ? FXC_BOUND_MEMORY : most;
    return part[FXC_BOUND_COMPUTE] > part[most] ? FXC_BOUND_COMPUTE : most;
}

static double efficiency_of(const fxc_device *device, const fxc_work *work, uint8_t bound, double seconds) {
    double compute = fxc_seconds_of((double)work->counts.matrix_flops, fxc_matrix_peak(device, work->dtype)) +
                     fxc_seconds_of(fxc_vector_work(&work->counts), fxc_vector_peak(device, work->dtype));
    double bytes = (double)work->counts.bytes_read + (double)work->counts.bytes_written;
    double ideal = bound == FXC_BOUND_COMPUTE ? compute : bytes / device->memory_bytes_per_second;
    return seconds > 0 ? ideal / seconds : NAN;
}

/* An operator of no class: the roofline of its bytes, or of its work where that is known. */
static fxc_status without_class(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    fxc_status status = fxc_roofline(device, work, out);
    if (status == FXC_OK) {
        out->source = FXC_TIME_PREDICTED;
        out->error = NAN;
    }
    return status;
}

/* The class, or another of its group where the host's calibration has none of it; FXC_CPU_CLASS_COUNT for none. */
static uint32_t measured_class(const struct fxc_cpu_constants *constants, uint32_t class) {
    uint32_t found = class;
    for (uint32_t other = 0; class < FXC_CPU_CLASS_COUNT && constants->error[found] <= 0; other++) {
        if (other == FXC_CPU_CLASS_COUNT) {
            return FXC_CPU_CLASS_COUNT;
        }
        found = strcmp(fxc_cpu_classes[other].group, fxc_cpu_classes[class].group) == 0 ? other : found;
    }
    return found;
}

/* Pages that are touched for the first time: those of large tensors, which an allocator returns to the system. */
static double fresh_pages(const struct fxc_cpu_constants *constants, const fxc_work *work) {
    double bytes = 0;
    for (uint32_t i = 0; constants->page_from > 0 && i < work->operand_count; i++) {
        bool fresh = work->operand[i].fresh && (double)work->operand[i].bytes >= constants->page_from;
        bytes += fresh ? (double)work->operand[i].bytes : 0;
    }
    return constants->page_bytes > 0 ? bytes / constants->page_bytes : 0;
}

fxc_status fxc_cpu(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    double feature[FXC_CPU_FEATURE_COUNT], part[FXC_BOUND_OVERHEAD + 1] = {0};
    if (device->struct_size < sizeof *device || work->struct_size < sizeof *work || out->struct_size < sizeof *out) {
        return FXC_USAGE;
    }
    if (device->cpu == NULL) {
        return fxc_roofline(device, work, out);
    }
    uint32_t own_class = fxc_cpu_describe(device, work, feature), class = measured_class(device->cpu, own_class);
    if (work->loops > 0 && class == FXC_CPU_CLASS_COUNT) {
        return fxc_cpu_loops(device, work, out);
    }
    if (class == FXC_CPU_CLASS_COUNT) {
        return without_class(device, work, out);
    }
    double seconds = 0;
    for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
        double own = device->cpu->seconds[class][f] * feature[f];
        part[part_of_feature[f]] += own;
        seconds += own;
    }
    double python = device->cpu->module_seconds * (double)work->calls;
    part[FXC_BOUND_OVERHEAD] += python;
    seconds += python;
    double draws = fxc_seconds_of(fxc_draw_work(work), fxc_vector_peak(device, FXC_DTYPE_FLOAT32));
    part[FXC_BOUND_COMPUTE] += draws;
    seconds += draws;
    double pages = fresh_pages(device->cpu, work) * device->cpu->page_seconds;
    part[FXC_BOUND_MEMORY] += pages;
    seconds += pages;
    bool fitted = class == own_class && (work->loops > 0 || fxc_cpu_is_measured(work)) &&
                  (work->dtype == FXC_DTYPE_FLOAT32 || work->kind == FXC_WORK_NOTHING);
    out->seconds = seconds;
    out->bound = bound_of(work, part);
    out->source = work->counted && fitted ? FXC_TIME_FITTED : FXC_TIME_PREDICTED;
    out->efficiency = efficiency_of(device, work, out->bound, seconds);
    out->error = out->source == FXC_TIME_FITTED ? device->cpu->error[class] : NAN;
    return FXC_OK;
}
