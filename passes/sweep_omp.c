/* libfxcost_omp: totals at many values of a dynamic dimension, in parallel. */
#include "fxcost/omp.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>

/* One point: an analysis of its own, so that threads share nothing but the immutable program. */
static fxc_status point(const fxc_program *program, const char *option, int64_t value, fxc_totals *totals,
                        fxc_error *err) {
    char text[24];
    fxc_analysis *analysis;
    fxc_status status = fxc_analysis_new(program, &analysis, err);
    if (status != FXC_OK) {
        return status;
    }
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    status = fxc_analysis_set(analysis, option, text, err);
    if (status == FXC_OK) {
        status = fxc_analysis_totals(analysis, totals, err);
    }
    fxc_analysis_free(analysis);
    return status;
}

fxc_status fxc_omp_sweep(const fxc_program *program, const char *option, const int64_t *values, size_t count,
                         uint32_t threads, fxc_totals *totals, fxc_error *err) {
    fxc_status failed = FXC_OK;
    size_t failed_at = count;
    int team = threads == 0 ? omp_get_max_threads() : (int)threads;
    /* Points are independent and each is written once, so any number of threads gives the same bytes. */
#pragma omp parallel for num_threads(team) schedule(dynamic) if (team > 1 && count > 1)
    for (size_t i = 0; i < count; i++) {
        fxc_error local = FXC_ERROR_INIT;
        fxc_status status = point(program, option, values[i], &totals[i], &local);
        if (status != FXC_OK) {
#pragma omp critical(fxc_sweep_error)
            if (i < failed_at) { /* the first in order, whichever thread saw it */
                failed_at = i;
                failed = status;
                if (err != NULL && err->struct_size >= sizeof *err) {
                    *err = local;
                }
            }
        }
    }
    return failed;
}
