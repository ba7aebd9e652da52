/* A plug-in for fxcost: a device whose memory is slow to start, and a timing model that knows it.
 *
 *   cc -shared -fPIC -I include examples/backend/slow_memory.c -o libslow_memory.so
 *   fxcost MODEL --backend ./libslow_memory.so --device example-accelerator */
#include <fxcost/backend.h>

static const fxc_device devices[] = {{
    .struct_size = sizeof(fxc_device),
    .name = "example-accelerator",
    .description = "an accelerator that does not exist",
    .source = "examples/backend/slow_memory.c",
    .matrix_f32 = 10e12,
    .matrix_bf16 = 40e12,
    .vector_f32 = 2e12,
    .memory_bytes = 16e9,
    .memory_bytes_per_second = 200e9,
}};

/* Every kernel waits five microseconds for its first byte; matrix products reach 70 % of their peak. */
static fxc_status predict(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    double peak = work->dtype == FXC_DTYPE_BFLOAT16 ? device->matrix_bf16 : device->matrix_f32;
    if (peak <= 0 || device->memory_bytes_per_second <= 0) {
        return FXC_DEVICE; /* a figure is missing: fxcost says that the time is not known */
    }
    double bytes = (double)(work->counts.bytes_read + work->counts.bytes_written);
    double compute = (double)work->counts.matrix_flops / (0.7 * peak);
    double memory = 5e-6 * (double)work->counts.kernels + bytes / device->memory_bytes_per_second;
    out->seconds = compute > memory ? compute : memory;
    out->bound = compute > memory ? FXC_BOUND_COMPUTE : FXC_BOUND_MEMORY;
    out->source = FXC_TIME_PREDICTED;
    return FXC_OK;
}

const fxc_backend *fxc_backend_entry(void);
const fxc_backend *fxc_backend_entry(void) {
    static const fxc_backend backend = {
        sizeof backend, FXC_BACKEND_ABI, "slow-memory", "the example of a plug-in", predict, devices, 1};
    return &backend;
}
