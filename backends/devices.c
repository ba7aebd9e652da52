#include "backends/devices.h"

const fxc_device fxc_devices[] = {
#define DEVICE(name, description, source, mf64, mf32, mf16, mbf16, mf8, vf64, vf32, mi8, memory, bandwidth, overhead)  \
    {sizeof(fxc_device), name,    description, source, mf64, mf32, mf16, mbf16, mf8, vf64, vf32, mi8, memory,          \
     bandwidth,          overhead},
#include "backends/devices.def"
};

const uint32_t fxc_device_count = sizeof fxc_devices / sizeof fxc_devices[0];

fxc_status fxc_device_get(uint32_t index, fxc_device_info *out, fxc_error *err) {
    (void)err;
    if (index >= fxc_device_count || out->struct_size < sizeof *out) {
        return FXC_USAGE;
    }
    const fxc_device *device = &fxc_devices[index];
    *out = (fxc_device_info){
        .struct_size = out->struct_size,
        .name = device->name,
        .description = device->description,
        .source = device->source,
        .memory_bytes = device->memory_bytes,
        .memory_bytes_per_second = device->memory_bytes_per_second,
        .flops_per_second_f32 = device->matrix_f32,
        .flops_per_second_bf16 = device->matrix_bf16,
        .kernel_overhead_seconds = device->kernel_overhead_seconds,
    };
    return FXC_OK;
}
