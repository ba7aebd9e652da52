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
    double per_unit;      /* 1 / units */
    int most_splits;      /* so many entries of `splits` leave each part a few steps of k */
    double depth[SPLITS]; /* elements of k that a tile goes through, its start included */
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

/* One way to cut the result, before k is split. */
struct cut {
    double tiles;      /* of all products */
    double tile_speed; /* seconds of a tile for each element of k */
    double cache;      /* seconds of what tiles read again from the last cache */
};

/* Seconds of one tiling, without the launch. */
static struct fxc_gpu_parts tiling(const struct product *p, const struct cut *cut, int s) {
    const struct fxc_gpu_gemm *fit = p->fit;
    double share = cut->tiles * (double)splits[s] * p->per_unit;
    double waves =
        fit->quantised * (double)(int64_t)(share + 1 - 1e-9) + (1 - fit->quantised) * (share < 1 ? 1 : share);
    double compute = waves * (cut->tile_speed * p->depth[s] + fit->prologue);
    double memory = p->traffic;
    if (share < fit->subscription) {
        memory *= sqrt(fit->subscription / share);
    }
    double traffic = cut->cache > memory ? cut->cache : memory;
    double least = compute < traffic ? compute : traffic;
    double seconds = compute + traffic - fit->overlap * least;
    if (s > 0) {
        seconds += fit->split + 8 * (double)splits[s] * p->result_elements * p->cache_seconds;
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

/* The fastest of all cuts and splits, as a library that chooses well would run it. */
static struct fxc_gpu_parts best_tiling(const struct product *p, const fxc_gemm_shape *shape) {
    struct fxc_gpu_parts best = {INFINITY, 0, 0};
    for (int row = 0; row < FXC_TILE_SIZES; row++) {
        double tiles_m = (double)blocks(shape->m, SMALLEST_TILE_LOG + row);
        for (int column = 0; column < FXC_TILE_SIZES; column++) {
            if (p->fit->tile[row][column] <= 0) {
                continue;
            }
            double tiles_n = (double)blocks(shape->n, SMALLEST_TILE_LOG + column);
            struct cut cut = {tiles_m * tiles_n * (double)shape->batch, 0, 0};
            cut.tile_speed =
                (double)(2 << (2 * SMALLEST_TILE_LOG + row + column)) / (tile_share(p, row, column) * p->unit_peak);
            cut.cache = p->cache_seconds *
                        (p->operand_bytes_a * tiles_n + p->operand_bytes_b * tiles_m + p->size * p->result_elements);
            for (int s = 0; s < p->most_splits; s++) {
                /* Splitting is for products that leave units idle. */
                if (s > 0 && cut.tiles * (double)splits[s - 1] >= p->units) {
                    break;
                }
                struct fxc_gpu_parts parts = tiling(p, &cut, s);
                best = parts.seconds < best.seconds ? parts : best;
            }
        }
        if (tiles_m == 1) {
            break; /* taller tiles would only compute rows that are not there */
        }
    }
    return best;
}

struct fxc_gpu_parts fxc_gpu_gemm_time(const fxc_device *device, const struct fxc_gpu_gemm *fit,
                                       const fxc_gemm_shape *shape, double peak, double size) {
    double batch = (double)shape->batch, m = (double)shape->m, n = (double)shape->n, k = (double)shape->k;
    struct product p = {.fit = fit, .units = device->units, .unit_peak = peak / device->units, .size = size};
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
    p.per_unit = 1 / device->units;
    p.most_splits = 0;
    for (int s = 0; s < SPLITS && (s == 0 || shape->k >= 64 * splits[s]); s++) {
        /* Each part keeps a few steps of k. */
        p.depth[s] = (double)(blocks((shape->k + splits[s] - 1) / splits[s], 5) << 5) + fit->depth;
        p.most_splits = s + 1;
    }
    struct fxc_gpu_parts best = best_tiling(&p, shape);
    /* At its limit of power a device lowers its clock, for products of about a millisecond and more. */
    double lasting = best.compute / (best.compute + 1e-3);
    best.seconds = fit->launch + best.seconds * (1 + fit->sustained * lasting);
    return best;
}
