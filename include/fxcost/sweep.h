/* Totals at many sizes of a program's dynamic dimensions. */
#ifndef FXCOST_SWEEP_H
#define FXCOST_SWEEP_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One dimension and the values it takes, by the user's Dim name or torch's symbol name. */
typedef struct fxc_axis {
    const char *dim;
    const int64_t *values;
    size_t count;
} fxc_axis;

/* The grid of all combinations: the last axis changes fastest, as in nested loops. */
typedef struct fxc_sweep_grid {
    size_t struct_size;
    const fxc_axis *axes;
    size_t axis_count;
    const char *device; /* NULL or "" for none: seconds are then NAN */
} fxc_sweep_grid;

/* Columns that the caller owns, each with room for every point of the grid; NULL for one that is not wanted. */
typedef struct fxc_sweep_columns {
    size_t struct_size;
    int64_t *flops, *macs, *matrix_flops, *vector_flops, *transcendentals, *int_ops;
    int64_t *bytes_read, *bytes_written, *unknown_nodes;
    double *seconds;
} fxc_sweep_columns;

/* Number of points of a grid; FXC_OVERFLOW when it does not fit, FXC_USAGE for an axis without values. */
FXC_API fxc_status fxc_sweep_count(const fxc_sweep_grid *grid, size_t *count, fxc_error *err);
/* Value of axis `axis` at point `point`. */
FXC_API int64_t fxc_sweep_value(const fxc_sweep_grid *grid, size_t point, size_t axis);
/* Fills points first .. first + count - 1. Facts that do not depend on sizes are computed once; memory does not grow
 * with the number of points. Errors name the point; those of fxc_analysis_set and of the passes. */
FXC_API fxc_status fxc_sweep(const fxc_program *program, const fxc_sweep_grid *grid, size_t first, size_t count,
                             const fxc_sweep_columns *columns, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
