/* What the formulas leave over, as a smooth function of three sizes. */
#include <math.h>

#include "backends/gpu.h"

/* Position on an axis: the corner below, and the share of the one above. Beyond its ends the axis is constant. */
static int place(double extent, double first, double step, int corners, double *share) {
    double at = ((extent > 1 ? log2(extent) : 0) - first) / step;
    at = at < 0 ? 0 : at;
    int below = at >= corners - 1 ? corners - 2 : (int)at;
    double rest = at - below;
    *share = rest > 1 ? 1 : rest;
    return below;
}

double fxc_gpu_correct(const struct fxc_gpu_grid *grid, double m, double n, double k) {
    if (grid == NULL) {
        return 1;
    }
    double u, v, w, sum = 0;
    int i = place(m, grid->first[0], grid->step[0], FXC_GRID_M, &u);
    int j = place(n, grid->first[1], grid->step[1], FXC_GRID_N, &v);
    int l = place(k, grid->first[2], grid->step[2], FXC_GRID_K, &w);
    for (int corner = 0; corner < 8; corner++) {
        int a = corner & 1, b = corner >> 1 & 1, c = corner >> 2;
        sum += (a ? u : 1 - u) * (b ? v : 1 - v) * (c ? w : 1 - w) * (double)grid->at[i + a][j + b][l + c];
    }
    return exp(sum);
}
