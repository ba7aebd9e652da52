/* The built-in timing models by the name that a device's row gives. */
#ifndef FXC_BACKENDS_MODELS_H
#define FXC_BACKENDS_MODELS_H

#include "fxcost/backend.h"

fxc_status fxc_gpu(const fxc_device *device, const fxc_work *work, fxc_time *out);
fxc_status fxc_cpu(const fxc_device *device, const fxc_work *work, fxc_time *out);
/* The model of a device; the roofline where the row names none, NULL for a name that is no model. */
fxc_timing_fn fxc_model_of(const fxc_device *device);
/* Whether a model reads what came before a node: its operands' distances, and those of code. Plug-ins may. */
bool fxc_model_reads_history(fxc_timing_fn model);

#endif
