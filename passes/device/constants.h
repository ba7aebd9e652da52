/* Constants of the cpu timing model in device files: `cpu.CLASS.FEATURE = SECONDS` and `cpu.CLASS.error = SHARE`. */
#ifndef FXC_DEVICE_CONSTANTS_H
#define FXC_DEVICE_CONSTANTS_H

#include <stdio.h>

#include "backends/cpu.h"

/* Where `name` puts its value: NULL when no class or feature has that name. */
double *fxc_cpu_constant(struct fxc_cpu_constants *constants, const char *name);

/* Calls `put` with each constant that is not 0, as "cpu.gemm.mac = 1.8e-11". */
void fxc_cpu_constants_print(const struct fxc_cpu_constants *constants, void (*put)(void *context, const char *line),
                             void *context);

#endif
