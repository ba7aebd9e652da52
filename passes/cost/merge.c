/* What a compiler saves by running two kernels as one. */
#include "backends/peaks.h"
#include "fxcost/device.h"
#include "ir/error.h"

/* A core issues about one instruction of a chain that depends on itself in a cycle. One element of a function of the
 * mathematical library takes 8 cycles (expf, logf, sinf) to 26 (tanhf, erff), measured in a loop of calls with glibc
 * 2.36 on an x86-64 core. */
static const double cycles_of_call = 20;

static fxc_status lacks(const fxc_device *device, const char *figure, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_DEVICE, "merging kernels on %s", device->name);
    fxc_expected(err, "a device with %s", figure);
    fxc_found(err, "none");
    fxc_advice(err, "name another device, or write one with that line: fxcost devices %s", device->name);
    return status;
}

fxc_status fxc_merge_seconds(const fxc_device *device, const fxc_merge *merge, double *seconds, fxc_error *err) {
    if (device->struct_size < sizeof *device || merge->struct_size < sizeof *merge) {
        return fxc_fail(err, FXC_USAGE, "fxc_merge_seconds: struct_size is not set");
    }
    double saved = fxc_seconds_of((double)merge->bytes_saved, device->memory_bytes_per_second);
    double cycles = (double)merge->operations + cycles_of_call * (double)merge->calls;
    double scalar = fxc_seconds_of(cycles, device->units * device->clock_hz);
    if (isnan(saved)) {
        return lacks(device, "memory_bytes_per_second", err);
    }
    if (isnan(scalar)) {
        return lacks(device, "units and clock_hz", err);
    }
    *seconds = saved + device->kernel_overhead_seconds - scalar;
    return FXC_OK;
}
