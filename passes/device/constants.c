#include "passes/device/constants.h"

#include <string.h>

/* Constants that are of no class. */
static const struct {
    const char *class_name, *name;
    size_t offset;
} others[] = {{"module", "call", offsetof(struct fxc_cpu_constants, module_seconds)},
              {"page", "seconds", offsetof(struct fxc_cpu_constants, page_seconds)},
              {"page", "bytes", offsetof(struct fxc_cpu_constants, page_bytes)},
              {"page", "from", offsetof(struct fxc_cpu_constants, page_from)}};
enum { OTHERS = sizeof others / sizeof others[0] };

static bool is_name(const char *text, size_t length, const char *name) {
    return strlen(name) == length && strncmp(text, name, length) == 0;
}

double *fxc_cpu_constant(struct fxc_cpu_constants *constants, const char *name) {
    if (strncmp(name, "cpu.", 4) != 0) {
        return NULL;
    }
    const char *class_name = name + 4, *dot = strchr(class_name, '.');
    size_t length = dot == NULL ? 0 : (size_t)(dot - class_name);
    for (size_t i = 0; dot != NULL && i < OTHERS; i++) {
        if (is_name(class_name, length, others[i].class_name) && strcmp(dot + 1, others[i].name) == 0) {
            return (double *)(void *)((char *)constants + others[i].offset);
        }
    }
    for (uint32_t class = 0; dot != NULL && class < FXC_CPU_CLASS_COUNT; class ++) {
        const struct fxc_cpu_class_row *row = &fxc_cpu_classes[class];
        if (!is_name(class_name, length, row->name)) {
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
        (void)snprintf(line, sizeof line, "cpu.%s.%s = %.9g\n", class_name, name, value);
        put(context, line);
    }
}

void fxc_cpu_constants_print(const struct fxc_cpu_constants *constants, void (*put)(void *context, const char *line),
                             void *context) {
    for (size_t i = 0; i < OTHERS; i++) {
        double value = *(const double *)(const void *)((const char *)constants + others[i].offset);
        put_constant(others[i].class_name, others[i].name, value, put, context);
    }
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        const char *name = fxc_cpu_classes[class].name;
        put_constant(name, "error", constants->error[class], put, context);
        for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
            put_constant(name, fxc_cpu_feature_names[f], constants->seconds[class][f], put, context);
        }
    }
}
