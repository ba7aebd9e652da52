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
    int64_t unsized;    /* storages whose size depends on a symbol without a value: in no number above */
    int64_t untold;     /* nodes whose kernels are known to hold more than results, and not how much */
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

#ifdef __cplusplus
}
#endif

#endif
