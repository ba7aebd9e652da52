/* Sweeps: one analysis, set to point after point, so that facts that do not depend on sizes are computed once. */
#include "fxcost/sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/error.h"

fxc_status fxc_sweep_count(const fxc_sweep_grid *grid, size_t *count, fxc_error *err) {
    *count = 1;
    if (grid->struct_size < sizeof *grid) {
        return fxc_fail(err, FXC_USAGE, "fxc_sweep: struct_size is smaller than this version's structure");
    }
    for (size_t i = 0; i < grid->axis_count; i++) {
        if (grid->axes[i].count == 0) {
            fxc_status status = fxc_fail(err, FXC_USAGE, "sweep over %s", grid->axes[i].dim);
            fxc_expected(err, "at least one value");
            return status;
        }
        if (__builtin_mul_overflow(*count, grid->axes[i].count, count)) {
            return fxc_fail(err, FXC_OVERFLOW, "sweep: more points than memory can hold");
        }
    }
    return FXC_OK;
}

int64_t fxc_sweep_value(const fxc_sweep_grid *grid, size_t point, size_t axis) {
    for (size_t i = grid->axis_count; --i > axis;) {
        point /= grid->axes[i].count;
    }
    return grid->axes[axis].values[point % grid->axes[axis].count];
}

/* Sets the axes whose value differs from the point before; all of them at the first. */
static fxc_status move_to(fxc_analysis *analysis, const fxc_sweep_grid *grid, size_t point, bool first,
                          fxc_error *err) {
    for (size_t i = 0; i < grid->axis_count; i++) {
        int64_t value = fxc_sweep_value(grid, point, i);
        if (first || value != fxc_sweep_value(grid, point - 1, i)) {
            char option[160], text[24];
            if (snprintf(option, sizeof option, "dim.%s", grid->axes[i].dim) >= (int)sizeof option) {
                return fxc_fail(err, FXC_USAGE, "sweep: the name of a dimension is too long");
            }
            (void)snprintf(text, sizeof text, "%" PRId64, value);
            FXC_TRY(fxc_analysis_set(analysis, option, text, err));
        }
    }
    return FXC_OK;
}

static void store(const fxc_sweep_columns *columns, size_t point, const fxc_totals *totals) {
    const fxc_counts *c = &totals->counts;
    const struct {
        int64_t *column, value;
    } cells[] = {
        {columns->flops, totals->flops},
        {columns->macs, c->macs},
        {columns->matrix_flops, c->matrix_flops},
        {columns->vector_flops, c->vector_flops},
        {columns->transcendentals, c->transcendentals},
        {columns->int_ops, c->int_ops},
        {columns->bytes_read, c->bytes_read},
        {columns->bytes_written, c->bytes_written},
        {columns->unknown_nodes, totals->unknown_nodes},
    };
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (cells[i].column != NULL) {
            cells[i].column[point] = cells[i].value;
        }
    }
    if (columns->seconds != NULL) {
        columns->seconds[point] = totals->seconds;
    }
}

static fxc_status run_points(fxc_analysis *analysis, const fxc_sweep_grid *grid, size_t first, size_t count,
                             const fxc_sweep_columns *columns, fxc_error *err) {
    for (size_t i = 0; i < count; i++) {
        fxc_totals totals = {.struct_size = sizeof totals};
        FXC_TRY(move_to(analysis, grid, first + i, i == 0, err));
        FXC_TRY(fxc_analysis_totals(analysis, &totals, err));
        store(columns, first + i, &totals);
    }
    return FXC_OK;
}

fxc_status fxc_sweep(const fxc_program *program, const fxc_sweep_grid *grid, size_t first, size_t count,
                     const fxc_sweep_columns *columns, fxc_error *err) {
    size_t points;
    fxc_analysis *analysis;
    FXC_TRY(fxc_sweep_count(grid, &points, err));
    if (columns->struct_size < sizeof *columns || first > points || count > points - first) {
        return fxc_fail(err, FXC_USAGE, "fxc_sweep: points %zu to %zu of %zu", first, first + count, points);
    }
    FXC_TRY(fxc_analysis_new(program, &analysis, err));
    fxc_status status = FXC_OK;
    if (grid->device != NULL) {
        status = fxc_analysis_set(analysis, "device", grid->device, err);
    }
    if (status == FXC_OK) {
        status = run_points(analysis, grid, first, count, columns, err);
    }
    fxc_analysis_free(analysis);
    return status;
}
