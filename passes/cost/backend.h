/* Plug-ins: shared objects that bring a timing model, devices, or both (include/fxcost/backend.h). */
#ifndef FXC_PASSES_COST_BACKEND_H
#define FXC_PASSES_COST_BACKEND_H

#include "fxcost/backend.h"
#include "passes/analysis.h"

/* A loaded plug-in, owned by an analysis. */
struct fxc_backend_handle {
    void *object; /* of dlopen */
    const fxc_backend *backend;
    char path[256];      /* for messages */
    fxc_device *devices; /* [device_count] its devices at this version's size */
    uint32_t device_count;
};

fxc_status fxc_backend_load(const char *path, struct fxc_backend_handle **out, fxc_error *err);
void fxc_backend_unload(struct fxc_backend_handle *handle);

/* A device by name, of the plug-in first; NULL when neither has it. */
const fxc_device *fxc_analysis_device(const struct fxc_analysis *analysis, const char *name);

/* The timing model of the analysis' device: the plug-in's if it has one, else the one that the device names. */
fxc_status fxc_timing_model(const struct fxc_analysis *analysis, fxc_timing_fn *out, fxc_error *err);
/* Predicts one execution of the node's work; FXC_NONE for a step of an optimiser. A figure that is missing makes the
 * time unknown, and the sum says so; anything else is an error. */
fxc_status fxc_predict_time(const struct fxc_analysis *analysis, fxc_timing_fn model, const fxc_work *work,
                            uint32_t node, fxc_time *time, fxc_error *err);
/* Refuses the failure of a model, and times that are none: negative, infinite, not a number. */
fxc_status fxc_check_time(const struct fxc_analysis *analysis, uint32_t node, fxc_status status, const fxc_time *time,
                          fxc_error *err);

#endif
