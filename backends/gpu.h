/* The gpu timing model: what its parts share. docs/cost.md states every formula.
 *
 * Constants are plain doubles in plain structures, so that bench/fit_gpu.c can vary them. Efficiencies are shares of
 * the data sheet's figures: together with another device's data sheet they are a prediction for that device. */
#ifndef FXC_BACKENDS_GPU_H
#define FXC_BACKENDS_GPU_H

#include "fxcost/backend.h"

/* Tiles are 16 << row by 16 << column. */
enum { FXC_TILE_SIZES = 5 };

/* Axes of the correction: log2 of m, n and k at equal distances. */
enum { FXC_GRID_M = 9, FXC_GRID_N = 5, FXC_GRID_K = 5 };

struct fxc_gpu_gemm {
    double launch;                               /* seconds that a kernel takes at least */
    double tile[FXC_TILE_SIZES][FXC_TILE_SIZES]; /* share of a unit's peak that a tile reaches */
    double prologue;                             /* seconds that each wave of tiles adds */
    double quantised;                            /* 1: waves are whole; 0: their number is a fraction */
    double memory;                               /* share of the memory's bandwidth */
    double subscription;                         /* tiles per unit that bring the memory to its bandwidth */
    double cache;                                /* bandwidth of the last cache over that of the memory */
    double held_weight;                          /* share of the cache: weights below it are still there, */
    double held_rest;                            /* and below this the input and the output */
    double sharpness;                            /* of the change from there to not there */
    double overlap;                              /* share of the smaller of compute and traffic that is hidden */
    double split;                                /* seconds that splitting k adds */
    double depth;                                /* elements of k that a tile takes to fill its pipeline */
    double sustained;                            /* slow-down of products that last, at the limit of power */
};

/* Attention of many queries, in blocks of 128 queries by 128 keys. */
struct fxc_gpu_prefill {
    double launch; /* seconds that a kernel takes at least */
    double
        product[4];  /* share of a unit's peak at head depths of 64, 128, 256 and 512; between them linear in the log */
    double softmax;  /* time of the exponentials of a block, over that of sixteen a clock and unit */
    double tile;     /* seconds that each wave of query blocks adds */
    double tail;     /* share of the longest query block that nothing else runs beside */
    double memory;   /* share of the memory's bandwidth */
    double overlap;  /* share of the smaller of compute and traffic that is hidden */
    double sequence; /* seconds that every sequence of the batch adds */
    double packed;   /* 1: few queries of the heads of one key head share blocks; 0: every head has its own */
    double padded;   /* 1: a block that is not full takes as long as a full one; 0: as its queries and keys need */
    double divided;  /* 1: where blocks are too few for the units, their keys are divided among them; 0: they wait */
    double held;     /* share of the cache: operands below it are still there */
    double cache;    /* bandwidth of the last cache over that of the memory */
};

/* Attention of one query: a key and value cache is read. */
struct fxc_gpu_decode {
    double launch;
    double block;       /* seconds of one block of threads before it reads */
    double block_speed; /* bandwidth of one block of threads, as share of the memory's over the units */
    double resident;    /* blocks of threads that a unit runs at once */
    double memory;      /* share of the memory's bandwidth */
    double held;        /* share of the cache: caches below it are still there */
    double cache;       /* bandwidth of the last cache over that of the memory */
    double overlap;
    double split; /* seconds that splitting the keys adds */
    double group; /* query heads of one key head that a block of threads serves */
};

/* One collective: two protocols, the faster of which runs. A step is a hop of the ring: devices less one. */
struct fxc_gpu_protocol {
    double latency, step; /* seconds */
    double bandwidth;     /* share of the link's bandwidth in one direction, on two devices */
    double widening;      /* power of (devices / 2) by which it grows */
};
struct fxc_gpu_collective {
    struct fxc_gpu_protocol small, large;
};

/* Log of measured over predicted, at the corners of a grid over the log2 of three sizes; between them linear. */
struct fxc_gpu_grid {
    double first[3], step[3];
    float at[FXC_GRID_M][FXC_GRID_N][FXC_GRID_K];
};

/* All that was fitted for one device. */
struct fxc_gpu_constants {
    const char *device; /* whose kernels were measured */
    struct fxc_gpu_gemm gemm;
    struct fxc_gpu_prefill prefill;
    struct fxc_gpu_decode decode;
    struct fxc_gpu_collective collective[FXC_COLLECTIVE_COUNT];
    const struct fxc_gpu_grid *gemm_grid, *prefill_grid, *decode_grid; /* NULL: none */
    /* Mean relative error on rows that a fit of the same kind did not see; 0: the family was not measured here. */
    double gemm_error, prefill_error, decode_error, collective_error;
};
extern const struct fxc_gpu_constants fxc_gpu_a100, fxc_gpu_h200, fxc_gpu_l40s;

/* exp of the correction at a place; 1 without a grid. */
double fxc_gpu_correct(const struct fxc_gpu_grid *grid, double m, double n, double k);

/* One launch; `compute` gets the part that is arithmetic. Peak in FLOP/s, s bytes an element. */
struct fxc_gpu_parts {
    double seconds, compute, memory;
};
struct fxc_gpu_parts fxc_gpu_gemm_time(const fxc_device *device, const struct fxc_gpu_gemm *fit,
                                       const fxc_gemm_shape *shape, double peak, double size);
struct fxc_gpu_parts fxc_gpu_prefill_time(const fxc_device *device, const struct fxc_gpu_prefill *fit,
                                          const fxc_attention_shape *shape, double peak, double size);
struct fxc_gpu_parts fxc_gpu_decode_time(const fxc_device *device, const struct fxc_gpu_decode *fit,
                                         const fxc_attention_shape *shape, double size);
double fxc_gpu_collective_time(const fxc_device *device, const struct fxc_gpu_collective *fit,
                               const fxc_collective_shape *shape);

#endif
