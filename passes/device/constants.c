#include "passes/device/constants.h"

#include <string.h>

double *fxc_cpu_constant(struct fxc_cpu_constants *constants, const char *name) {
    if (strncmp(name, "cpu.", 4) != 0) {
        return NULL;
    }
    if (strcmp(name, "cpu.module.call") == 0) {
        return &constants->module_seconds;
    }
    const char *class_name = name + 4, *dot = strchr(class_name, '.');
    size_t length = dot == NULL ? 0 : (size_t)(dot - class_name);
    for (uint32_t class = 0; dot != NULL && class < FXC_CPU_CLASS_COUNT; class ++) {
        const struct fxc_cpu_class_row *row = &fxc_cpu_classes[class];
        if (strlen(row->name) != length || strncmp(row->name, class_name, length) != 0) {
            continue;
        }
        if (strcmp(dot + 1, "error") == 0) {
            return &constants->error[class];
        }
        for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
            if ((row->features >> f & 1u) != 0 && strcmp(dot + 1, fxc_cpu_feature_names[f]) == 0) {
                return &constants->seconds[class][f];
            }
        }
    }
    return NULL;
}

static void put_constant(const char *class_name, const char *name, double value,
                         void (*put)(void *context, const char *line), void *context) {
    char line[120];
    if (value > 0) {
        (void)snprintf(line, sizeof line, "cpu.%s.%s = %.6g\n", class_name, name, value);
        put(context, line);
    }
}

void fxc_cpu_constants_print(const struct fxc_cpu_constants *constants, void (*put)(void *context, const char *line),
                             void *context) {
    put_constant("module", "call", constants->module_seconds, put, context);
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        const char *name = fxc_cpu_classes[class].name;
        put_constant(name, "error", constants->error[class], put, context);
        for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
            put_constant(name, fxc_cpu_feature_names[f], constants->seconds[class][f], put, context);
        }
    }
}
