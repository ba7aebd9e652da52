/* Devices by name of their figures: what figures.c and file.c share. */
#ifndef FXC_DEVICE_DEVICE_H
#define FXC_DEVICE_DEVICE_H

#include "fxcost/device.h"

struct fxc_figure_row {
    const char *name;
    size_t offset; /* of a double in fxc_device */
    const char *unit, *text;
};
extern const struct fxc_figure_row fxc_figure_rows[];
extern const uint32_t fxc_figure_row_count;

double *fxc_figure_of(fxc_device *device, uint32_t index);

/* Reads the device file at a path. */
fxc_status fxc_device_open(const char *path, fxc_device **out, fxc_error *err);

#endif
