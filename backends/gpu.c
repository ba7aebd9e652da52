/* The gpu timing model: a formula for each kind of kernel, with constants fitted to measured kernels. docs/cost.md. */
#include "backends/gpu.h"

#include <string.h>

#include "backends/models.h"
#include "backends/peaks.h"

/* A kernel of one node. */
struct kernel {
    const fxc_device *device;
    const fxc_work *work;
    const struct fxc_gpu_constants *fit;
    struct fxc_gpu_parts parts;
    double launch, error; /* error 0: not known */
};

/* Constants of the device itself, or of a measured one of its architecture, or else of the newest. */
static const struct fxc_gpu_constants *constants_of(const fxc_device *device) {
    if (device->gpu != NULL) {
        return device->gpu;
    }
    const char *architecture = device->architecture == NULL ? "" : device->architecture;
    if (strcmp(architecture, "ampere") == 0) {
        return &fxc_gpu_a100;
    }
    return strcmp(architecture, "ada") == 0 ? &fxc_gpu_l40s : &fxc_gpu_h200;
}

/* The family's own constants, or those of the A100 where the device lacks measurements of it. */
static const struct fxc_gpu_constants *with_family(const struct fxc_gpu_constants *fit, double error) {
    return error > 0 ? fit : &fxc_gpu_a100;
}

static double element_bytes(const fxc_work *work) {
    double bytes = fxc_element_bytes(work->dtype);
    return bytes > 0 ? bytes : 4;
}

static bool is_half(uint8_t dtype) {
    return dtype == FXC_DTYPE_BFLOAT16 || dtype == FXC_DTYPE_FLOAT16;
}

static double bytes_of(const fxc_work *work) {
    return (double)work->counts.bytes_read + (double)work->counts.bytes_written;
}

/* ---- a function for each kind --------------------------------------------------------------------------------------
 */

static void gemm(struct kernel *kernel) {
    const fxc_gemm_shape *shape = &kernel->work->shape.gemm;
    double peak = fxc_matrix_peak(kernel->device, kernel->work->dtype);
    kernel->parts = fxc_gpu_gemm_time(kernel->device, &kernel->fit->gemm, shape, peak, element_bytes(kernel->work));
    kernel->launch = kernel->fit->gemm.launch;
    kernel->error = is_half(kernel->work->dtype) ? kernel->fit->gemm_error : 0;
    kernel->parts.seconds *=
        fxc_gpu_correct(kernel->fit->gemm_grid, (double)(shape->m * shape->batch), (double)shape->n, (double)shape->k);
}

/* As a product of the output positions, with the patches read from the input where they lie (implicit GEMM). */
static void convolution_pass(struct kernel *kernel, const fxc_gemm_shape *shape, double peak) {
    struct fxc_gpu_gemm fit = kernel->fit->gemm;
    /* Patches overlap: the traffic is that of the tensors, below, not of the matrix of patches. */
    struct fxc_gpu_parts parts = fxc_gpu_gemm_time(kernel->device, &fit, shape, peak, element_bytes(kernel->work));
    double memory = bytes_of(kernel->work) / (fit.memory * kernel->device->memory_bytes_per_second);
    double seconds = fit.launch + (parts.compute > memory ? parts.compute : memory);
    kernel->parts.seconds += seconds;
    kernel->parts.compute += parts.compute;
    kernel->parts.memory += memory;
}

static void convolution(struct kernel *kernel) {
    const fxc_convolution_shape *s = &kernel->work->shape.convolution;
    double peak = fxc_matrix_peak(kernel->device, kernel->work->dtype);
    int64_t groups = s->groups > 0 ? s->groups : 1;
    int64_t window = s->kernel[0] * s->kernel[1] * s->kernel[2];
    int64_t positions = s->batch * (s->transposed ? s->in[0] * s->in[1] * s->in[2] : s->out[0] * s->out[1] * s->out[2]);
    int64_t in = s->in_channels / groups, out = s->out_channels / groups;
    fxc_gemm_shape forward = {groups, positions, s->transposed ? out * window : out, s->transposed ? in : in * window};
    fxc_gemm_shape input_gradient = {groups, positions, in * window, out};
    fxc_gemm_shape weight_gradient = {groups, out, in * window, positions};
    kernel->launch = kernel->fit->gemm.launch;
    if (s->gradients == 0) {
        convolution_pass(kernel, &forward, peak);
    }
    if ((s->gradients & FXC_CONVOLUTION_INPUT_GRADIENT) != 0) {
        convolution_pass(kernel, &input_gradient, peak);
    }
    if ((s->gradients & FXC_CONVOLUTION_WEIGHT_GRADIENT) != 0) {
        convolution_pass(kernel, &weight_gradient, peak);
    }
}

static void attention(struct kernel *kernel) {
    const fxc_attention_shape *shape = &kernel->work->shape.attention;
    double size = element_bytes(kernel->work), heads = (double)shape->heads, batch = (double)shape->batch;
    double peak = fxc_matrix_peak(kernel->device, kernel->work->dtype);
    if (shape->queries == 1 && !shape->backward) {
        const struct fxc_gpu_constants *fit = with_family(kernel->fit, kernel->fit->decode_error);
        kernel->error = fit == kernel->fit ? fit->decode_error : 0;
        kernel->launch = fit->decode.launch;
        kernel->parts = fxc_gpu_decode_time(kernel->device, &fit->decode, shape, size);
        kernel->parts.seconds *= fxc_gpu_correct(fit->decode_grid, (double)shape->keys - 1,
                                                 batch * (double)shape->kv_heads, heads / (double)shape->kv_heads);
    } else {
        const struct fxc_gpu_prefill *fit = &kernel->fit->prefill;
        kernel->error = shape->causal && !shape->backward ? kernel->fit->prefill_error : 0;
        kernel->launch = fit->launch;
        kernel->parts = fxc_gpu_prefill_time(kernel->device, fit, shape, peak, size);
        kernel->parts.seconds *=
            fxc_gpu_correct(kernel->fit->prefill_grid, (double)shape->queries, batch * heads, (double)shape->depth);
        /* Five products instead of two: the scores once more, and four gradients (Dao et al., 2022). */
        double products = shape->backward ? 2.5 : 1;
        kernel->parts.seconds = kernel->launch + products * (kernel->parts.seconds - kernel->launch);
        kernel->parts.compute *= products;
    }
    kernel->error = is_half(kernel->work->dtype) ? kernel->error : 0;
}

static fxc_status collective(struct kernel *kernel) {
    const fxc_collective_shape *shape = &kernel->work->shape.collective;
    if (shape->ranks < 1 || shape->collective >= FXC_COLLECTIVE_COUNT || kernel->device->link_bytes_per_second <= 0) {
        return FXC_DEVICE;
    }
    const struct fxc_gpu_constants *fit = with_family(kernel->fit, kernel->fit->collective_error);
    const struct fxc_gpu_collective *one = &fit->collective[shape->collective];
    kernel->error = fit == kernel->fit && shape->collective != FXC_COLLECTIVE_BROADCAST ? fit->collective_error : 0;
    if (shape->ranks > 1) {
        kernel->launch = one->small.latency + one->small.step;
        kernel->parts.seconds = fxc_gpu_collective_time(kernel->device, one, shape);
        kernel->parts.memory = kernel->parts.seconds - kernel->launch;
    }
    return FXC_OK;
}

/* One pass over the bytes. XLA's rule caps the bandwidth that few rows can ask for: 32 bytes a clock of each unit. */
static void stream(struct kernel *kernel) {
    const fxc_device *device = kernel->device;
    const fxc_work *work = kernel->work;
    double bandwidth = kernel->fit->gemm.memory * device->memory_bytes_per_second;
    if ((work->kind == FXC_WORK_REDUCTION || work->kind == FXC_WORK_NORM || work->kind == FXC_WORK_SCAN) &&
        work->shape.rows.rows > 0 && device->clock_hz > 0) {
        double asked = 32 * device->clock_hz * (double)work->shape.rows.rows;
        bandwidth = asked < bandwidth ? asked : bandwidth;
    }
    kernel->launch = (double)work->counts.kernels * kernel->fit->gemm.launch;
    kernel->parts.memory = bytes_of(work) / bandwidth;
    kernel->parts.compute = fxc_seconds_of((double)work->counts.matrix_flops, fxc_matrix_peak(device, work->dtype)) +
                            fxc_seconds_of(fxc_vector_work(&work->counts), fxc_vector_peak(device, work->dtype));
    if (!work->counted) {
        kernel->parts.compute = 0;
    }
    double busy = kernel->parts.compute > kernel->parts.memory ? kernel->parts.compute : kernel->parts.memory;
    kernel->parts.seconds = kernel->launch + busy;
}

/* ---- the model ------------------------------------------------------------------------------------------------------
 */

static bool lacks_figures(const fxc_device *device, const fxc_work *work) {
    bool product =
        work->kind == FXC_WORK_GEMM || work->kind == FXC_WORK_CONVOLUTION || work->kind == FXC_WORK_ATTENTION;
    return device->memory_bytes_per_second <= 0 || device->units <= 0 || device->clock_hz <= 0 ||
           (product && fxc_matrix_peak(device, work->dtype) <= 0);
}

static fxc_status run(struct kernel *kernel) {
    switch ((fxc_work_kind)kernel->work->kind) {
    case FXC_WORK_GEMM:
        gemm(kernel);
        return FXC_OK;
    case FXC_WORK_CONVOLUTION:
        convolution(kernel);
        return FXC_OK;
    case FXC_WORK_ATTENTION:
        attention(kernel);
        return FXC_OK;
    case FXC_WORK_COLLECTIVE:
        return collective(kernel);
    case FXC_WORK_NOTHING:
        return FXC_OK;
    default:
        stream(kernel);
        return FXC_OK;
    }
}

static uint8_t bound_of(const struct kernel *kernel) {
    const struct fxc_gpu_parts *parts = &kernel->parts;
    if (!kernel->work->counted) {
        return FXC_BOUND_UNKNOWN;
    }
    if (2 * kernel->launch > parts->seconds) {
        return FXC_BOUND_OVERHEAD;
    }
    return parts->compute > parts->memory ? FXC_BOUND_COMPUTE : FXC_BOUND_MEMORY;
}

/* The ideal time of what bounds it over the time. */
static double efficiency_of(const struct kernel *kernel, uint8_t bound) {
    const fxc_work *work = kernel->work;
    double compute = fxc_seconds_of((double)work->counts.matrix_flops, fxc_matrix_peak(kernel->device, work->dtype)) +
                     fxc_seconds_of(fxc_vector_work(&work->counts), fxc_vector_peak(kernel->device, work->dtype));
    double memory = bytes_of(work) / kernel->device->memory_bytes_per_second;
    double ideal = bound == FXC_BOUND_COMPUTE ? compute : memory;
    return kernel->parts.seconds > 0 ? ideal / kernel->parts.seconds : NAN;
}

fxc_status fxc_gpu(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    if (device->struct_size < sizeof *device || work->struct_size < sizeof *work || out->struct_size < sizeof *out) {
        return FXC_USAGE;
    }
    if (work->kind != FXC_WORK_NOTHING && lacks_figures(device, work)) {
        return FXC_DEVICE;
    }
    struct kernel kernel = {.device = device, .work = work, .fit = constants_of(device)};
    fxc_status status = run(&kernel);
    if (status != FXC_OK || !isfinite(kernel.parts.seconds)) {
        return FXC_DEVICE;
    }
    bool own = device->gpu != NULL && kernel.error > 0;
    out->seconds = kernel.parts.seconds;
    out->bound = bound_of(&kernel);
    out->source = own ? FXC_TIME_FITTED : FXC_TIME_PREDICTED;
    out->efficiency = efficiency_of(&kernel, out->bound);
    out->error = own ? kernel.error : NAN;
    return FXC_OK;
}
