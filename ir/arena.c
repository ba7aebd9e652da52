#include "ir/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024, ALIGNMENT = 16 };

struct fxc_arena_block {
    struct fxc_arena_block *previous;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

static struct fxc_arena_block *add_block(struct fxc_arena *arena, size_t size) {
    if (size > SIZE_MAX - sizeof(struct fxc_arena_block)) {
        return NULL;
    }
    /* calloc: large blocks come zeroed from the kernel and cost nothing until they are touched. */
    struct fxc_arena_block *block = calloc(1, sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->size = size;
    block->previous = arena->last;
    arena->last = block;
    arena->used = 0;
    return block;
}

void *fxc_arena_alloc(struct fxc_arena *arena, size_t size) {
    if (size > SIZE_MAX - ALIGNMENT) {
        return NULL;
    }
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct fxc_arena_block *block = arena->last;
    if (block == NULL || size > block->size - arena->used) {
        block = add_block(arena, size > BLOCK_SIZE ? size : BLOCK_SIZE);
        if (block == NULL) {
            return NULL;
        }
    }
    void *result = block->bytes + arena->used;
    arena->used += size;
    return result;
}

void *fxc_arena_array(struct fxc_arena *arena, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return fxc_arena_alloc(arena, count * size);
}

char *fxc_arena_string(struct fxc_arena *arena, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = fxc_arena_alloc(arena, size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

void fxc_arena_free(struct fxc_arena *arena) {
    struct fxc_arena_block *block = arena->last;
    while (block != NULL) {
        struct fxc_arena_block *previous = block->previous;
        free(block);
        block = previous;
    }
    *arena = (struct fxc_arena){0};
}
