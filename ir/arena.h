/* Arena: many small allocations that live and die together. */
#ifndef FXC_IR_ARENA_H
#define FXC_IR_ARENA_H

#include <stddef.h>

struct fxc_arena {
    struct fxc_arena_block *last;
    size_t used; /* bytes taken from the last block */
};

/* `size` bytes of zeroed memory, aligned for any scalar; NULL when memory is out. A size of 0 gives a valid pointer. */
void *fxc_arena_alloc(struct fxc_arena *arena, size_t size);
/* count * size, NULL on overflow too. */
void *fxc_arena_array(struct fxc_arena *arena, size_t count, size_t size);
char *fxc_arena_string(struct fxc_arena *arena, const char *text);
void fxc_arena_free(struct fxc_arena *arena);

#define FXC_NEW(arena, type, count) ((type *)fxc_arena_array((arena), (count), sizeof(type)))

#endif
