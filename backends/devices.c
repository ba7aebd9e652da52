#include "backends/devices.h"

#include <string.h>

#include "backends/gpu.h"

const fxc_device fxc_devices[] = {
#define DEVICE(device_name, ...) {.struct_size = sizeof(fxc_device), .name = device_name, __VA_ARGS__},
#include "backends/devices.def"
};

const uint32_t fxc_device_count = sizeof fxc_devices / sizeof fxc_devices[0];

const fxc_device *fxc_device_find(const char *name) {
    for (uint32_t i = 0; i < fxc_device_count; i++) {
        if (strcmp(fxc_devices[i].name, name) == 0) {
            return &fxc_devices[i];
        }
    }
    return NULL;
}

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
