/* What a program holds in memory: bytes alive at every node, the peak, and the tensors that make it up.
 *
 * Storages are counted once, however many views they have. What comes in is held by the caller from beginning to end;
 * what a node makes lives until its last use, or on when it goes out. What a node's kernels hold beside its results
 * (the indices of a max pool, the statistics of a norm) counts while the node runs. Numbers are those of one run at the
 * sizes of the analysis; nodes in bodies are taken at their first execution. */
#ifndef FXCOST_MEMORY_H
#define FXCOST_MEMORY_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fxc_memory_summary {
    size_t struct_size;
    int64_t peak_bytes;
    uint32_t peak_node;   /* FXC_NONE for a program without nodes */
    uint32_t tensors;     /* storages alive at the peak */
    int64_t given_bytes;  /* parameters, buffers, constants and inputs, all of the time */
    int64_t hidden_bytes; /* of the peak: what kernels of the node at the peak hold beside its results */
    int64_t state_bytes;  /* kept by the named optimiser between steps; part of given_bytes */
    int64_t step_bytes; /* alive at most while it steps; 0 without one. When that is the peak, peak_node is FXC_NONE */
    int64_t allocated_bytes, reserved_bytes; /* at most, with the option "allocator" = "cuda"; -1 without */
    int64_t unsized; /* storages whose size depends on a symbol without a value: in no number above */
    int64_t untold;  /* nodes whose kernels are known to hold more than results, and not how much */
} fxc_memory_summary;
/* Peak of one run. These functions run the pass `memory`. */
FXC_API fxc_status fxc_memory_get_summary(fxc_analysis *analysis, fxc_memory_summary *out, fxc_error *err);

typedef struct fxc_memory_at {
    size_t struct_size;
    int64_t before, after; /* bytes alive when the node begins, and when what it used last is gone; -1: it never runs */
    int64_t most;          /* while it runs */
} fxc_memory_at;
/* The bytes alive at one node; FXC_USAGE past the end. */
FXC_API fxc_status fxc_memory_get_node(fxc_analysis *analysis, uint32_t node, fxc_memory_at *out, fxc_error *err);

typedef struct fxc_memory_tensor {
    size_t struct_size;
    const char *name; /* FX name of the first value in the storage, qualified name of a parameter or buffer */
    int64_t bytes;
    uint32_t value;
    uint32_t producer; /* node that made it, FXC_NONE for what came in */
    uint8_t origin;    /* enum fxc_storage_origin (enums.h) */
} fxc_memory_tensor;
/* Storage `index` of those alive at the peak, largest first; FXC_USAGE past the end. */
FXC_API fxc_status fxc_memory_get_tensor(fxc_analysis *analysis, uint32_t index, fxc_memory_tensor *out,
                                         fxc_error *err);

/* ---- does it fit? ------------------------------------------------------------------------------------------------ */

typedef struct fxc_fit {
    size_t struct_size;
    bool fits;
    int64_t needed;      /* peak_bytes, or reserved_bytes with the option "allocator" = "cuda" */
    int64_t capacity;    /* memory of the device of the analysis */
    int64_t token_bytes; /* of the keys and values that a cache would keep for each token of a sequence, over all
                            attention of the program; 0 without attention */
    bool bound; /* storages without a known size, or nodes that hold more than is known: `needed` is a lower bound */
} fxc_fit;
/* Whether one run fits into the memory of the device that the analysis names. FXC_DEVICE without one, or when the size
 * of its memory is not known. What a driver, a context and libraries take is not in it. */
FXC_API fxc_status fxc_memory_fits(fxc_analysis *analysis, fxc_fit *out, fxc_error *err);
/* The largest value of a dimension with which a run fits, the others as they are: found by bisection of its captured
 * range, for what is needed does not fall as sizes grow. *out is 0 when not even the smallest fits, and INT64_MAX when
 * the range has no end and everything tried fits. FXC_USAGE when the program has no such dimension. */
FXC_API fxc_status fxc_memory_largest(fxc_analysis *analysis, const char *dimension, int64_t *out, fxc_error *err);

/* ---- the CUDA caching allocator ---------------------------------------------------------------------------------- */

/* torch's allocator of device memory by its rules (c10/cuda/CUDACachingAllocator.cpp, default settings, one stream):
 * requests are rounded up to 512 bytes, served by best fit from segments of two pools, which are split and merged. The
 * option "allocator" = "cuda" of an analysis replays a run of the program through it. */
typedef struct fxc_allocator fxc_allocator;

typedef struct fxc_allocator_state {
    size_t struct_size;
    int64_t allocated, reserved;           /* bytes of blocks handed out; of segments taken from the device */
    int64_t most_allocated, most_reserved; /* torch.cuda.max_memory_allocated(), max_memory_reserved() */
} fxc_allocator_state;

FXC_API fxc_status fxc_allocator_new(fxc_allocator **out, fxc_error *err);
FXC_API void fxc_allocator_free(fxc_allocator *allocator);
/* Takes a block; *out names it, FXC_NONE for 0 bytes. Errors: FXC_MEMORY, FXC_OVERFLOW. */
FXC_API fxc_status fxc_allocator_take(fxc_allocator *allocator, int64_t bytes, uint32_t *out, fxc_error *err);
/* Gives a block back; FXC_NONE is nothing. */
FXC_API void fxc_allocator_give(fxc_allocator *allocator, uint32_t block);
FXC_API void fxc_allocator_get(const fxc_allocator *allocator, fxc_allocator_state *out);

#ifdef __cplusplus
}
#endif

#endif
