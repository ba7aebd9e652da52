/* Device files: a device from text, one `name = value` a line. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/error.h"
#include "passes/device/constants.h"
#include "passes/device/device.h"
#include "passes/settings.h"

static const struct fxc_settings_kind device_files = {.refused = FXC_DEVICE,
                                                      .what = "a device file",
                                                      .advice =
                                                          "see a device in this form: fxcost devices a100-sxm-80gb",
                                                      .words = ""};

/* A parsed device and the text that its strings point into. */
struct device_file {
    fxc_device device;
    char *text;
    struct fxc_cpu_constants cpu;
};

struct parser {
    struct device_file *file;
    struct fxc_settings settings;
    uint64_t seen; /* bits of the figures that were given */
};

static fxc_status fail_line(const struct parser *ps, const char *expected, const char *found, fxc_error *err) {
    return fxc_settings_fail(&ps->settings, expected, found, err);
}

static fxc_status fail_missing(const struct parser *ps, const char *what, fxc_error *err) {
    return fxc_settings_missing(&ps->settings, what, err);
}

static const char **text_field(fxc_device *device, const char *name) {
    const struct {
        const char *name;
        const char **field;
    } fields[] = {{"device", &device->name},
                  {"description", &device->description},
                  {"source", &device->source},
                  {"model", &device->model},
                  {"architecture", &device->architecture}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return fields[i].field;
        }
    }
    return NULL;
}

static fxc_status set_figure(struct parser *ps, uint32_t index, const char *value, fxc_error *err) {
    char *end;
    errno = 0;
    double number = strtod(value, &end);
    if ((ps->seen >> index & 1u) != 0) {
        return fail_line(ps, "each figure once", fxc_figure_rows[index].name, err);
    }
    if (end == value || *end != '\0' || errno != 0 || !isfinite(number)) {
        return fail_line(ps, "a number, such as 312e12", value, err);
    }
    if (number <= 0) {
        return fail_line(ps, "a figure above 0; one that is not known is left out", value, err);
    }
    ps->seen |= (uint64_t)1 << index;
    *fxc_figure_of(&ps->file->device, index) = number;
    return FXC_OK;
}

/* A constant of the cpu timing model, which unlike a figure may be 0: the device that says so was measured. */
static fxc_status set_constant(struct parser *ps, double *constant, const char *value, fxc_error *err) {
    char *end;
    errno = 0;
    double number = strtod(value, &end);
    if (*constant != 0) {
        return fail_line(ps, "each constant once", value, err);
    }
    if (end == value || *end != '\0' || errno != 0 || !isfinite(number) || number < 0) {
        return fail_line(ps, "a number of at least 0", value, err);
    }
    *constant = number;
    ps->file->device.cpu = &ps->file->cpu;
    return FXC_OK;
}

static fxc_status set_value(void *context, char *name, char *value, fxc_error *err) {
    struct parser *ps = context;
    const char **field = text_field(&ps->file->device, name);
    if (field != NULL) {
        return value[0] == '\0' && *field == NULL ? fail_line(ps, "a value after '='", "nothing", err)
                                                  : fxc_settings_text(&ps->settings, field, value, err);
    }
    for (uint32_t i = 0; i < fxc_figure_row_count; i++) {
        if (strcmp(fxc_figure_rows[i].name, name) == 0) {
            return set_figure(ps, i, value, err);
        }
    }
    double *constant = fxc_cpu_constant(&ps->file->cpu, name);
    return constant != NULL ? set_constant(ps, constant, value, err)
                            : fail_line(ps, "the name of a figure of a device", name, err);
}

/* A device of the cpu model is calibrated, and says of each class how far it may be off. */
static fxc_status check_constants(const struct parser *ps, fxc_error *err) {
    const fxc_device *device = &ps->file->device;
    if (device->model == NULL || strcmp(device->model, "cpu") != 0) {
        return FXC_OK;
    }
    if (device->cpu == NULL) {
        fxc_status status = fail_missing(ps, "cpu.CLASS.FEATURE = SECONDS, for its timing model is cpu", err);
        fxc_advice(err, "measure this host: fxcost calibrate -o host.device");
        return status;
    }
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
            if (device->cpu->seconds[class][f] > 0 && device->cpu->error[class] <= 0) {
                char expected[80];
                (void)snprintf(expected, sizeof expected, "cpu.%s.error = SHARE", fxc_cpu_classes[class].name);
                return fail_missing(ps, expected, err);
            }
        }
    }
    return FXC_OK;
}

static fxc_status check(const struct parser *ps, fxc_error *err) {
    const fxc_device *device = &ps->file->device;
    bool peak = device->matrix_f64 > 0 || device->matrix_f32 > 0 || device->matrix_tf32 > 0 || device->matrix_f16 > 0 ||
                device->matrix_bf16 > 0 || device->matrix_f8 > 0 || device->matrix_f4 > 0;
    if (device->name == NULL) {
        return fail_missing(ps, "device = NAME", err);
    }
    if (device->memory_bytes <= 0) {
        return fail_missing(ps, "memory_bytes = BYTES", err);
    }
    if (device->memory_bytes_per_second <= 0) {
        return fail_missing(ps, "memory_bytes_per_second = BYTES/S", err);
    }
    FXC_TRY(check_constants(ps, err));
    return peak ? FXC_OK : fail_missing(ps, "a peak of matrix products, such as matrix_bf16 = FLOP/S", err);
}

static fxc_status parse(struct parser *ps, fxc_error *err) {
    FXC_TRY(fxc_settings_each(&ps->settings, ps->file->text, set_value, ps, err));
    FXC_TRY(check(ps, err));
    fxc_device *device = &ps->file->device;
    device->description = device->description == NULL ? device->name : device->description;
    device->source = device->source == NULL ? ps->file->text + strlen(ps->file->text) : device->source;
    return FXC_OK;
}

fxc_status fxc_device_parse(const char *text, size_t size, const char *name, fxc_device **out, fxc_error *err) {
    struct parser ps = {.settings = {.kind = &device_files, .name = name}};
    char *copy;
    *out = NULL;
    FXC_TRY(fxc_settings_copy(&ps.settings, text, size, "fxc_device_parse", &copy, err));
    struct device_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        free(copy);
        return fxc_fail_memory(err, "fxc_device_parse");
    }
    file->text = copy;
    file->device.struct_size = sizeof file->device;
    ps.file = file;
    fxc_status status = parse(&ps, err);
    if (status != FXC_OK) {
        fxc_device_free(&file->device);
        return status;
    }
    *out = &file->device;
    return FXC_OK;
}

void fxc_device_free(fxc_device *device) {
    if (device != NULL) {
        struct device_file *file = (struct device_file *)(void *)device; /* its first member */
        free(file->text);
        free(file);
    }
}

fxc_status fxc_device_open(const char *path, fxc_device **out, fxc_error *err) {
    char *text;
    size_t size;
    *out = NULL;
    FXC_TRY(fxc_settings_open(&device_files, path, "fxc_device_open", &text, &size, err));
    fxc_status status = fxc_device_parse(text, size, path, out, err);
    free(text);
    return status;
}
