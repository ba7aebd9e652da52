/* libfxcost_omp: parallel drivers over libfxcost. A library of its own, so that libfxcost needs no OpenMP runtime. */
#ifndef FXCOST_OMP_H
#define FXCOST_OMP_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Totals at `count` values of one option ("dim.batch"), each in an analysis of its own; totals[i] belongs to values[i]
 * and must have struct_size set. threads: 0 for all processors, 1 for serial. The result does not depend on it. On an
 * error the first failing point is reported and other entries of totals may be unset. Not to be called in a child of
 * fork() that shares a parent's parallel region. */
FXC_API fxc_status fxc_omp_sweep(const fxc_program *program, const char *option, const int64_t *values, size_t count,
                                 uint32_t threads, fxc_totals *totals, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
