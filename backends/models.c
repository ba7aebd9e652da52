#include "backends/models.h"

#include <string.h>

static const struct {
    const char *name;
    fxc_timing_fn predict;
    bool reads_history;
} models[] = {{"roofline", fxc_roofline, false}, {"gpu", fxc_gpu, false}, {"cpu", fxc_cpu, true}};

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

bool fxc_model_reads_history(fxc_timing_fn model) {
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        if (models[i].predict == model) {
            return models[i].reads_history;
        }
    }
    return true;
}
