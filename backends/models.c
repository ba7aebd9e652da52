#include "backends/models.h"

#include <string.h>

static const struct {
    const char *name;
    fxc_timing_fn predict;
} models[] = {{"roofline", fxc_roofline}, {"gpu", fxc_gpu}, {"cpu", fxc_cpu}};

fxc_timing_fn fxc_model_of(const fxc_device *device) {
    if (device->model == NULL) {
        return fxc_roofline;
    }
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        if (strcmp(models[i].name, device->model) == 0) {
            return models[i].predict;
        }
    }
    return NULL;
}
