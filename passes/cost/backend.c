#include "passes/cost/backend.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/models.h"

/* ---- loading -------------------------------------------------------------------------------------------------------
 */

static fxc_status refuse(fxc_error *err, fxc_status status, const char *path, const char *expected, const char *found) {
    (void)fxc_fail(err, status, "backend %s", path);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "%s", found);
    return status;
}

/* A figure that a data sheet may give: at least 0, where 0 is "not given". */
static bool is_figure(double figure) {
    return isfinite(figure) && figure >= 0;
}

static const char *bad_figure(const fxc_device *device) {
    const struct {
        const char *name;
        double figure;
    } figures[] = {
        {"matrix_f64", device->matrix_f64},
        {"matrix_f32", device->matrix_f32},
        {"matrix_f16", device->matrix_f16},
        {"matrix_bf16", device->matrix_bf16},
        {"matrix_f8", device->matrix_f8},
        {"vector_f64", device->vector_f64},
        {"vector_f32", device->vector_f32},
        {"matrix_i8", device->matrix_i8},
        {"memory_bytes", device->memory_bytes},
        {"memory_bytes_per_second", device->memory_bytes_per_second},
        {"kernel_overhead_seconds", device->kernel_overhead_seconds},
        {"matrix_tf32", device->matrix_tf32},
        {"matrix_f4", device->matrix_f4},
        {"units", device->units},
        {"clock_hz", device->clock_hz},
        {"cache_bytes[0]", device->cache_bytes[0]},
        {"cache_bytes[1]", device->cache_bytes[1]},
        {"cache_bytes[2]", device->cache_bytes[2]},
        {"link_bytes_per_second", device->link_bytes_per_second},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (!is_figure(figures[i].figure)) {
            return figures[i].name;
        }
    }
    return NULL;
}

/* Devices of a plug-in, which may know fewer fields than this version: those it does not know are not given. */
static fxc_status take_devices(struct fxc_backend_handle *handle, fxc_error *err) {
    const fxc_backend *backend = handle->backend;
    if (backend->device_count == 0) {
        return FXC_OK;
    }
    size_t size = backend->devices == NULL ? 0 : backend->devices->struct_size;
    if (size < offsetof(fxc_device, model)) {
        return refuse(err, FXC_USAGE, handle->path, "devices with their struct_size set", "a smaller size");
    }
    handle->devices = calloc(backend->device_count, sizeof *handle->devices);
    if (handle->devices == NULL) {
        return fxc_fail_memory(err, "backend");
    }
    for (uint32_t i = 0; i < backend->device_count; i++) {
        fxc_device *device = &handle->devices[i];
        memcpy(device, (const char *)backend->devices + i * size, size < sizeof *device ? size : sizeof *device);
        device->struct_size = sizeof *device;
        device->gpu = NULL; /* constants of this library's own fits */
        const char *bad = bad_figure(device);
        if (device->name == NULL || device->name[0] == '\0') {
            return refuse(err, FXC_USAGE, handle->path, "a name for every device", "a device without one");
        }
        if (bad != NULL) {
            char found[200];
            (void)snprintf(found, sizeof found, "%.80s of device '%.80s'", bad, device->name);
            return refuse(err, FXC_USAGE, handle->path, "figures of at least 0, 0 for those not given", found);
        }
        device->description = device->description == NULL ? "" : device->description;
        device->source = device->source == NULL ? "" : device->source;
    }
    handle->device_count = backend->device_count;
    return FXC_OK;
}

static fxc_status check_backend(const struct fxc_backend_handle *handle, fxc_error *err) {
    const fxc_backend *backend = handle->backend;
    char expected[80], found[80];
    if (backend == NULL) {
        return refuse(err, FXC_USAGE, handle->path, "a backend", "fxc_backend_entry returned NULL");
    }
    (void)snprintf(expected, sizeof expected, "ABI %u and a struct_size of at least %zu", FXC_BACKEND_ABI,
                   sizeof *backend);
    if (backend->struct_size < sizeof *backend || backend->abi != FXC_BACKEND_ABI) {
        (void)snprintf(found, sizeof found, "ABI %u and a struct_size of %zu", backend->abi, backend->struct_size);
        (void)refuse(err, FXC_USAGE, handle->path, expected, found);
        fxc_advice(err, "build the plug-in again with the headers of fxcost %s", FXC_VERSION);
        return FXC_USAGE;
    }
    if (backend->predict == NULL && backend->device_count == 0) {
        return refuse(err, FXC_USAGE, handle->path, "a timing model or devices", "neither");
    }
    return FXC_OK;
}

static fxc_status open_object(struct fxc_backend_handle *handle, const char *path, fxc_error *err) {
    handle->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle->object == NULL) {
        const char *why = dlerror();
        return refuse(err, FXC_IO, handle->path, "a shared object that loads", why == NULL ? "none" : why);
    }
    /* ISO C has no conversion from an object to a function pointer; POSIX guarantees that the bytes are one. */
    fxc_backend_entry_fn entry = NULL;
    void *symbol = dlsym(handle->object, "fxc_backend_entry");
    memcpy(&entry, &symbol, sizeof entry);
    if (entry == NULL) {
        return refuse(err, FXC_USAGE, handle->path, "a function fxc_backend_entry", "no such symbol");
    }
    handle->backend = entry();
    FXC_TRY(check_backend(handle, err));
    return take_devices(handle, err);
}

fxc_status fxc_backend_load(const char *path, struct fxc_backend_handle **out, fxc_error *err) {
    struct fxc_backend_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        return fxc_fail_memory(err, "backend");
    }
    (void)snprintf(handle->path, sizeof handle->path, "%s", path);
    fxc_status status = open_object(handle, path, err);
    if (status != FXC_OK) {
        fxc_backend_unload(handle);
        return status;
    }
    *out = handle;
    return FXC_OK;
}

void fxc_backend_unload(struct fxc_backend_handle *handle) {
    if (handle == NULL) {
        return;
    }
    free(handle->devices);
    if (handle->object != NULL) {
        (void)dlclose(handle->object);
    }
    free(handle);
}

/* ---- using ---------------------------------------------------------------------------------------------------------
 */

const fxc_device *fxc_analysis_device(const struct fxc_analysis *analysis, const char *name) {
    const struct fxc_backend_handle *handle = analysis->backend;
    for (uint32_t i = 0; handle != NULL && i < handle->device_count; i++) {
        if (strcmp(handle->devices[i].name, name) == 0) {
            return &handle->devices[i];
        }
    }
    return fxc_device_find(name);
}

fxc_status fxc_timing_model(const struct fxc_analysis *analysis, fxc_timing_fn *out, fxc_error *err) {
    const struct fxc_backend_handle *handle = analysis->backend;
    *out =
        handle != NULL && handle->backend->predict != NULL ? handle->backend->predict : fxc_model_of(analysis->device);
    if (*out == NULL) {
        fxc_status status = fxc_fail(err, FXC_DEVICE, "device %s", analysis->device->name);
        fxc_expected(err, "a timing model that fxcost has: cpu, gpu or roofline");
        fxc_found(err, "'%s'", analysis->device->model);
        return status;
    }
    return FXC_OK;
}

fxc_status fxc_check_time(const struct fxc_analysis *analysis, uint32_t node, fxc_status status, const fxc_time *time,
                          fxc_error *err) {
    const struct fxc_backend_handle *handle = analysis->backend;
    bool known = time->bound <= FXC_BOUND_OVERHEAD && time->source < FXC_TIME_SOURCE_COUNT;
    if (status == FXC_OK && known && is_figure(time->seconds) && !(time->efficiency < 0) && !(time->error < 0)) {
        return FXC_OK;
    }
    status = status == FXC_OK ? FXC_INTERNAL : status;
    if (node == FXC_NONE) {
        (void)fxc_fail(err, status, "the step of the optimizer");
    } else {
        (void)fxc_fail_node(err, status, analysis->program, node);
    }
    fxc_expected(err, "a time from the timing model of %s",
                 handle != NULL && handle->backend->predict != NULL ? handle->path : analysis->device->name);
    fxc_found(err, "status %d (%s), %g seconds, bound %u, source %u, efficiency %g, error %g", (int)status,
              fxc_status_text((int32_t)status), time->seconds, time->bound, time->source, time->efficiency,
              time->error);
    return status;
}

fxc_status fxc_predict_time(const struct fxc_analysis *analysis, fxc_timing_fn model, const fxc_work *work,
                            uint32_t node, fxc_time *time, fxc_error *err) {
    *time = (fxc_time){.struct_size = sizeof *time, .seconds = NAN, .efficiency = NAN, .error = NAN};
    fxc_status status = model(analysis->device, work, time);
    if (status == FXC_DEVICE) {
        *time = (fxc_time){.struct_size = sizeof *time, .seconds = NAN, .efficiency = NAN, .error = NAN};
        return FXC_OK;
    }
    return fxc_check_time(analysis, node, status, time, err);
}
