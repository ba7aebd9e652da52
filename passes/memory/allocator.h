/* The CUDA caching allocator of torch, as far as sizes go (include/fxcost/memory.h has its public face). */
#ifndef FXC_MEMORY_ALLOCATOR_H
#define FXC_MEMORY_ALLOCATOR_H

#include "fxcost/memory.h"

/* A part of a segment. Blocks of a segment are a list in the order of their addresses. */
struct fxc_block {
    int64_t size;
    int64_t address;         /* segments lie one after the other in the order of their making */
    uint32_t previous, next; /* in the segment, FXC_NONE at its ends; `next` chains unused rows */
    bool free, small;        /* small: of the pool for at most a megabyte */
};

struct fxc_allocator {
    struct fxc_block *block;
    uint32_t count, capacity, unused; /* unused: first row of the chain of rows to use again */
    int64_t end;                      /* where the next segment would begin */
    int64_t allocated, reserved, most_allocated, most_reserved;
};

#endif
