/* libfxcost_omp: a sweep in parallel. */
#include <omp.h>

#include "fxcost/omp.h"

/* Points a thread takes at a time: enough to pay for an analysis of its own, few enough to balance. */
enum { CHUNK = 64 };

fxc_status fxc_omp_sweep(const fxc_program *program, const fxc_sweep_grid *grid, uint32_t threads,
                         const fxc_sweep_columns *columns, fxc_error *err) {
    size_t points;
    fxc_status failed = fxc_sweep_count(grid, &points, err);
    if (failed != FXC_OK) {
        return failed;
    }
    size_t chunks = points / CHUNK + (points % CHUNK != 0), failed_at = chunks;
    int team = threads == 0 ? omp_get_max_threads() : (int)threads;
    /* Chunks are independent and each point is written once, so any number of threads gives the same bytes. */
#pragma omp parallel for num_threads(team) schedule(dynamic) if (team > 1 && chunks > 1)
    for (size_t i = 0; i < chunks; i++) {
        fxc_error local = FXC_ERROR_INIT;
        size_t first = i * CHUNK, count = points - first < CHUNK ? points - first : CHUNK;
        fxc_status status = fxc_sweep(program, grid, first, count, columns, &local);
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
