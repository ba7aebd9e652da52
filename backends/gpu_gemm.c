/* Matrix products on a GPU: tiles over the units, in waves, against the traffic of memory and of the last cache. */
#include <math.h>

#include "backends/gpu.h"

enum { SMALLEST_TILE_LOG = 4, SPLITS = 8 };
static const int64_t splits[SPLITS] = {1, 2, 3, 4, 6, 8, 16, 32};

/* What does not depend on the tile. */
struct product {
    const struct fxc_gpu_gemm *fit;
    double units, unit_peak; /* FLOP/s of one unit */
    double traffic;          /* seconds that the compulsory bytes take when every unit asks for some */
    double slower, most;     /* 16-bit peak over this one, at least 1; share that the best tile reaches */
    double cache_seconds;    /* per byte from the last cache */
    double operand_bytes_a, operand_bytes_b, result_elements, size;
    int64_t k;
};

static int64_t blocks(int64_t extent, int log) {
    return (extent + (INT64_C(1) << log) - 1) >> log;
}

/* Share of the unit's peak that a tile reaches. The shares were fitted to 16-bit products: what keeps a small tile from
 * the peak is latency, which a type of lower peak has the more time for. */
static double tile_share(const struct product *p, int row, int column) {
    double share = p->fit->tile[row][column] * p->slower;
    return p->slower > 1 && share > p->most ? p->most : share;
}

/* Seconds of one tiling, without the launch. */
static struct fxc_gpu_parts tiling(const struct product *p, double tiles_m, double tiles_n, double batch, int row,
                                   int column, int64_t split) {
    const struct fxc_gpu_gemm *fit = p->fit;
    double tile_m = (double)(1 << (SMALLEST_TILE_LOG + row)), tile_n = (double)(1 << (SMALLEST_TILE_LOG + column));
    double depth = (double)(blocks((p->k + split - 1) / split, 5) << 5) + fit->depth;
    double tiles = tiles_m * tiles_n * batch * (double)split;
    double share = tiles / p->units;
    double waves =
        fit->quantised * (double)(int64_t)(share + 1 - 1e-9) + (1 - fit->quantised) * (share < 1 ? 1 : share);
    double compute =
        waves * (2 * tile_m * tile_n * depth / (tile_share(p, row, column) * p->unit_peak) + fit->prologue);
    double asking = share < fit->subscription ? sqrt(share / fit->subscription) : 1;
    double memory = p->traffic / asking;
    double reread = p->operand_bytes_a * tiles_n + p->operand_bytes_b * tiles_m + p->size * p->result_elements;
    double cache = reread * p->cache_seconds;
    memory = cache > memory ? cache : memory;
    double least = compute < memory ? compute : memory;
    double seconds = compute + memory - fit->overlap * least;
    if (split > 1) {
        seconds += fit->split + 8 * (double)split * p->result_elements * p->cache_seconds;
    }
    return (struct fxc_gpu_parts){seconds, compute, memory};
}

/* Seconds that an operand takes to arrive: from the cache the part that a call before left there, if it fits. */
static double operand_seconds(const struct product *p, double bytes, double held, double bandwidth) {
    double missing = held <= 0 ? 1 : 1 / (1 + exp2(p->fit->sharpness * log2(held / bytes)));
    return bytes * (missing / bandwidth + (1 - missing) * p->cache_seconds);
}

static double best_share(const struct fxc_gpu_gemm *fit) {
    double best = 0;
    for (int i = 0; i < FXC_TILE_SIZES * FXC_TILE_SIZES; i++) {
        double share = fit->tile[i / FXC_TILE_SIZES][i % FXC_TILE_SIZES];
        best = share > best ? share : best;
    }
    return best < 1 ? best : 1;
}

struct fxc_gpu_parts fxc_gpu_gemm_time(const fxc_device *device, const struct fxc_gpu_gemm *fit,
                                       const fxc_gemm_shape *shape, double peak, double size) {
    double batch = (double)shape->batch, m = (double)shape->m, n = (double)shape->n, k = (double)shape->k;
    struct product p = {
        .fit = fit, .units = device->units, .unit_peak = peak / device->units, .size = size, .k = shape->k};
    p.slower = device->matrix_bf16 > peak ? device->matrix_bf16 / peak : 1;
    p.most = p.slower > 1 ? best_share(fit) : 1;
    p.operand_bytes_a = size * m * k * batch;
    p.operand_bytes_b = size * n * k * batch;
    p.result_elements = m * n * batch;
    double bytes = p.operand_bytes_a + p.operand_bytes_b + size * p.result_elements;
    double bandwidth = fit->memory * device->memory_bytes_per_second;
    p.cache_seconds = 1 / (fit->cache * device->memory_bytes_per_second);
    p.traffic = operand_seconds(&p, p.operand_bytes_b, fit->held_weight * device->cache_bytes[1], bandwidth) +
                operand_seconds(&p, bytes - p.operand_bytes_b, fit->held_rest * device->cache_bytes[1], bandwidth);
    struct fxc_gpu_parts best = {INFINITY, 0, 0};
    for (int row = 0; row < FXC_TILE_SIZES; row++) {
        double tiles_m = (double)blocks(shape->m, SMALLEST_TILE_LOG + row);
        for (int column = 0; column < FXC_TILE_SIZES; column++) {
            if (fit->tile[row][column] <= 0) {
                continue;
            }
            double tiles_n = (double)blocks(shape->n, SMALLEST_TILE_LOG + column);
            double tiles = tiles_m * tiles_n * batch;
            for (int s = 0; s < SPLITS; s++) {
                /* Splitting is for products that leave units idle, and keeps a few steps of k in each part. */
                if (s > 0 && (tiles * (double)splits[s - 1] >= p.units || shape->k < 64 * splits[s])) {
                    break;
                }
                struct fxc_gpu_parts parts = tiling(&p, tiles_m, tiles_n, batch, row, column, splits[s]);
                best = parts.seconds < best.seconds ? parts : best;
            }
        }
        if (tiles_m == 1) {
            break; /* taller tiles would only compute rows that are not there */
        }
    }
    /* At its limit of power a device lowers its clock: from a tenth of a millisecond of arithmetic on. */
    double lasting = best.compute / (best.compute + 1e-3);
    best.seconds = fit->launch + best.seconds * (1 + fit->sustained * lasting);
    return best;
}
