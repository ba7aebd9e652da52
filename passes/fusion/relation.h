/* A relation between rows of two tables, read from either side. */
#ifndef FXC_PASSES_FUSION_RELATION_H
#define FXC_PASSES_FUSION_RELATION_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/arena.h"

struct fxc_pair {
    uint32_t from, to;
};

/* Pairs as they come; `pair` is the caller's to free. */
struct fxc_pairs {
    struct fxc_pair *pair;
    uint32_t count, capacity;
    bool failed; /* out of memory */
};

/* The partners of row i, each once and rising, are target[begin[i] .. begin[i + 1]). */
struct fxc_relation {
    uint32_t *begin, *target;
};

void fxc_pairs_add(struct fxc_pairs *pairs, uint32_t from, uint32_t to);
/* False when memory is out. */
bool fxc_relate(struct fxc_pairs *pairs, struct fxc_relation *forth, uint32_t from_rows, struct fxc_relation *back,
                uint32_t to_rows, struct fxc_arena *arena);

#endif
