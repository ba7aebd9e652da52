/* Calibration: the constants of the cpu timing model from measured programs.
 *
 * A measured program is a captured graph with the time that each node took on this host (`fxcost calibrate` runs and
 * writes them; so does the Python package). Its nodes are described as for a prediction, and the constants of
 * each class of work are fitted to what they took. */
#ifndef FXCOST_CALIBRATE_H
#define FXCOST_CALIBRATE_H

#include "fxcost/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fxc_calibration {
    size_t struct_size;
    const char *name;                   /* of the device, "host" when NULL */
    const fxc_program *const *programs; /* measured on one host with one number of threads */
    uint32_t count;
    fxc_write_fn report; /* receives how well each class is met; NULL: nobody wants to know */
    void *report_context;
    bool noisy; /* write a device even where the machine was too noisy */
} fxc_calibration;

/* Fits a device and writes it as a device file (fxcost/device.h). Errors: FXC_USAGE for programs without times or of
 * different hosts; FXC_DEVICE when repeated measurements of the same work disagree: the machine was not quiet;
 * FXC_MEMORY; FXC_IO. */
FXC_API fxc_status fxc_calibrate(const fxc_calibration *calibration, fxc_write_fn write, void *context, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
