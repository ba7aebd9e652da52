/* A plug-in that does wrong what BAD says: tests/c/test_backend.c loads one of each kind. */
#include <math.h>

#include "fxcost/backend.h"

#define NO_ENTRY 1
#define NULL_BACKEND 2
#define OTHER_ABI 3
#define SMALL_STRUCT 4
#define NOTHING_OFFERED 5
#define NEGATIVE_FIGURE 6
#define NAN_FIGURE 7
#define NO_NAME 8
#define FAILS 9
#define NEGATIVE_TIME 10
#define NAN_TIME 11
#define INFINITE_TIME 12
#define UNKNOWN_BOUND 13
#define MISSING_FIGURE 14
#define OLD_DEVICE 15
#define UNKNOWN_MODEL 16

#if BAD != NO_ENTRY
static const fxc_device devices[] = {{
#if BAD == OLD_DEVICE
    .struct_size = offsetof(fxc_device, model), /* built with headers that knew less */
#else
    .struct_size = sizeof(fxc_device),
#endif
#if BAD != NO_NAME
    .name = "plugged",
#endif
    .matrix_f32 = BAD == NEGATIVE_FIGURE ? -1 : 1e12,
    .vector_f32 = 1e12,
#if BAD == NAN_FIGURE
    .memory_bytes_per_second = NAN,
#else
    .memory_bytes_per_second = BAD == MISSING_FIGURE ? FXC_NO_FIGURE : 1e11,
#endif
#if BAD == UNKNOWN_MODEL
    .model = "crystal ball",
#endif
}};

static fxc_status predict(const fxc_device *device, const fxc_work *work, fxc_time *out) {
    (void)device;
    (void)work;
    out->seconds = BAD == NEGATIVE_TIME ? -1 : BAD == NAN_TIME ? NAN : BAD == INFINITE_TIME ? INFINITY : 1e-6;
    out->bound = BAD == UNKNOWN_BOUND ? 77 : FXC_BOUND_MEMORY;
    return BAD == FAILS ? FXC_MEMORY : FXC_OK;
}

#define USES_MODEL (BAD >= FAILS && BAD <= UNKNOWN_BOUND)

const fxc_backend *fxc_backend_entry(void);
const fxc_backend *fxc_backend_entry(void) {
    static const fxc_backend backend = {
        .struct_size = BAD == SMALL_STRUCT ? 8 : sizeof backend,
        .abi = BAD == OTHER_ABI ? FXC_BACKEND_ABI + 1 : FXC_BACKEND_ABI,
        .name = "bad",
        .description = "does wrong what it is told to",
        .predict = USES_MODEL ? predict : NULL,
        .devices = devices,
        .device_count = BAD == NOTHING_OFFERED ? 0 : 1,
    };
    return BAD == NULL_BACKEND ? NULL : &backend;
}
#endif
