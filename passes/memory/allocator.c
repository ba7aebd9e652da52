/* The CUDA caching allocator of torch: rounding, two pools, segments, best fit, splitting and merging.
 *
 * Rules and constants are those of c10/cuda/CUDACachingAllocator.cpp under its default settings (no expandable
 * segments, no power-of-two rounding, no largest size to split), on one stream of a device that does not run full: what
 * is cached is then never given back. */
#include "passes/memory/allocator.h"

#include <stdlib.h>

#include "ir/arith.h"
#include "ir/error.h"
#include "passes/grow.h"

enum {
    SMALLEST = 512,            /* kMinBlockSize: sizes are multiples of it */
    SMALL_SIZE = 1 << 20,      /* kSmallSize: the most that comes from the small pool */
    SMALL_SEGMENT = 2 << 20,   /* kSmallBuffer */
    LARGE_SEGMENT = 20 << 20,  /* kLargeBuffer: for what is below kMinLargeAlloc */
    LARGE_REQUEST = 10 << 20,  /* kMinLargeAlloc: from here on a segment of its own size */
    SEGMENT_MULTIPLE = 2 << 20 /* kRoundLarge */
};

static bool round_up(int64_t size, int64_t multiple, int64_t *out) {
    int64_t more;
    if (fxc_add(size, multiple - 1, &more)) {
        return false;
    }
    *out = more / multiple * multiple;
    return true;
}

static bool segment_size(int64_t size, int64_t *out) {
    if (size <= SMALL_SIZE || size < LARGE_REQUEST) {
        *out = size <= SMALL_SIZE ? SMALL_SEGMENT : LARGE_SEGMENT;
        return true;
    }
    return round_up(size, SEGMENT_MULTIPLE, out);
}

/* ---- rows ---------------------------------------------------------------------------------------------------------
 */

static uint32_t new_block(struct fxc_allocator *a) {
    if (a->unused != FXC_NONE) {
        uint32_t row = a->unused;
        a->unused = a->block[row].next;
        return row;
    }
    return FXC_ROOM(a->block, a->capacity, a->count + 1) ? a->count++ : FXC_NONE;
}

static void drop_block(struct fxc_allocator *a, uint32_t row) {
    a->block[row] = (struct fxc_block){.size = -1, .next = a->unused};
    a->unused = row;
}

/* ---- allocation ---------------------------------------------------------------------------------------------------
 */

/* The smallest free block of the pool that is large enough; of equal ones that at the lowest address. */
static uint32_t best_fit(const struct fxc_allocator *a, int64_t size, bool small) {
    uint32_t best = FXC_NONE;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct fxc_block *b = &a->block[i];
        if (b->size < size || !b->free || b->small != small) {
            continue;
        }
        if (best == FXC_NONE || b->size < a->block[best].size ||
            (b->size == a->block[best].size && b->address < a->block[best].address)) {
            best = i;
        }
    }
    return best;
}

static fxc_status new_segment(struct fxc_allocator *a, int64_t size, bool small, uint32_t *out, fxc_error *err) {
    int64_t bytes, end, reserved;
    uint32_t row = new_block(a);
    if (row == FXC_NONE) {
        return fxc_fail_memory(err, "fxc_allocator_take");
    }
    if (!segment_size(size, &bytes) || fxc_add(a->end, bytes, &end) || fxc_add(a->reserved, bytes, &reserved)) {
        drop_block(a, row);
        return fxc_fail(err, FXC_OVERFLOW, "fxc_allocator_take");
    }
    a->block[row] = (struct fxc_block){bytes, a->end, FXC_NONE, FXC_NONE, true, small};
    a->end = end;
    a->reserved = reserved;
    a->most_reserved = reserved > a->most_reserved ? reserved : a->most_reserved;
    *out = row;
    return FXC_OK;
}

/* What is left of a small block is kept from 512 bytes on, of a large one only above a megabyte. */
static bool splits(const struct fxc_block *block, int64_t size) {
    int64_t rest = block->size - size;
    return block->small ? rest >= SMALLEST : rest > SMALL_SIZE;
}

static fxc_status split(struct fxc_allocator *a, uint32_t row, int64_t size, fxc_error *err) {
    uint32_t rest = new_block(a);
    if (rest == FXC_NONE) {
        return fxc_fail_memory(err, "fxc_allocator_take");
    }
    struct fxc_block *block = &a->block[row];
    a->block[rest] = (struct fxc_block){.size = block->size - size,
                                        .address = block->address + size,
                                        .previous = row,
                                        .next = block->next,
                                        .free = true,
                                        .small = block->small};
    if (block->next != FXC_NONE) {
        a->block[block->next].previous = rest;
    }
    block->next = rest;
    block->size = size;
    return FXC_OK;
}

fxc_status fxc_allocator_take(fxc_allocator *a, int64_t bytes, uint32_t *out, fxc_error *err) {
    int64_t size;
    *out = FXC_NONE;
    if (bytes <= 0) {
        return bytes == 0 ? FXC_OK : fxc_fail(err, FXC_USAGE, "fxc_allocator_take: a negative size");
    }
    if (!round_up(bytes, SMALLEST, &size)) {
        return fxc_fail(err, FXC_OVERFLOW, "fxc_allocator_take");
    }
    bool small = size <= SMALL_SIZE;
    uint32_t row = best_fit(a, size, small);
    if (row == FXC_NONE) {
        FXC_TRY(new_segment(a, size, small, &row, err));
    }
    if (splits(&a->block[row], size)) {
        FXC_TRY(split(a, row, size, err));
    }
    a->block[row].free = false;
    a->allocated += a->block[row].size; /* at most `reserved` */
    a->most_allocated = a->allocated > a->most_allocated ? a->allocated : a->most_allocated;
    *out = row;
    return FXC_OK;
}

/* ---- return -------------------------------------------------------------------------------------------------------
 */

/* Adds the block after `row` to it. */
static void merge_next(struct fxc_allocator *a, uint32_t row) {
    uint32_t next = a->block[row].next;
    a->block[row].size += a->block[next].size;
    a->block[row].next = a->block[next].next;
    if (a->block[row].next != FXC_NONE) {
        a->block[a->block[row].next].previous = row;
    }
    drop_block(a, next);
}

void fxc_allocator_give(fxc_allocator *a, uint32_t row) {
    if (row >= a->count || a->block[row].free || a->block[row].size < 0) {
        return;
    }
    a->allocated -= a->block[row].size;
    a->block[row].free = true;
    uint32_t previous = a->block[row].previous, next = a->block[row].next;
    if (next != FXC_NONE && a->block[next].free) {
        merge_next(a, row);
    }
    if (previous != FXC_NONE && a->block[previous].free) {
        merge_next(a, previous);
    }
}

/* ---- life ---------------------------------------------------------------------------------------------------------
 */

fxc_status fxc_allocator_new(fxc_allocator **out, fxc_error *err) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return fxc_fail_memory(err, "fxc_allocator_new");
    }
    (*out)->unused = FXC_NONE;
    return FXC_OK;
}

void fxc_allocator_free(fxc_allocator *a) {
    if (a != NULL) {
        free(a->block);
        free(a);
    }
}

void fxc_allocator_get(const fxc_allocator *a, fxc_allocator_state *out) {
    *out = (fxc_allocator_state){.struct_size = out->struct_size,
                                 .allocated = a->allocated,
                                 .reserved = a->reserved,
                                 .most_allocated = a->most_allocated,
                                 .most_reserved = a->most_reserved};
}
