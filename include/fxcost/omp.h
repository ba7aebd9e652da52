/* libfxcost_omp: parallel drivers over libfxcost. A library of its own, so that libfxcost needs no OpenMP runtime. */
#ifndef FXCOST_OMP_H
#define FXCOST_OMP_H

#include "fxcost/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* fxc_sweep over the whole grid. threads: 0 for all processors, 1 for serial. The result does not depend on it. On an
 * error the first failing point is reported, and points after it may be unset. Not to be called in a child of fork()
 * whose parent was inside a parallel region. */
FXC_API fxc_status fxc_omp_sweep(const fxc_program *program, const fxc_sweep_grid *grid, uint32_t threads,
                                 const fxc_sweep_columns *columns, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
