/* A relation between rows of two tables, read from either side. */
#include "passes/fusion/relation.h"

#include <stdlib.h>

#include "passes/grow.h"

void fxc_pairs_add(struct fxc_pairs *p, uint32_t from, uint32_t to) {
    if (!FXC_ROOM(p->pair, p->capacity, p->count + 1)) {
        p->failed = true;
        return;
    }
    p->pair[p->count++] = (struct fxc_pair){from, to};
}

static int compare_pairs(const void *a, const void *b) {
    const struct fxc_pair *x = a, *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return (x->to > y->to) - (x->to < y->to);
}

static bool relate(struct fxc_relation *r, struct fxc_pairs *p, uint32_t rows, struct fxc_arena *arena) {
    r->begin = FXC_NEW(arena, uint32_t, (size_t)rows + 1);
    r->target = FXC_NEW(arena, uint32_t, (size_t)p->count + 1);
    if (r->begin == NULL || r->target == NULL || p->failed) {
        return false;
    }
    if (p->count > 0) {
        qsort(p->pair, p->count, sizeof *p->pair, compare_pairs);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        if (i == 0 || compare_pairs(&p->pair[i - 1], &p->pair[i]) != 0) {
            r->target[count++] = p->pair[i].to;
            r->begin[p->pair[i].from + 1] = count;
        }
    }
    for (uint32_t i = 0; i < rows; i++) {
        r->begin[i + 1] = r->begin[i + 1] > r->begin[i] ? r->begin[i + 1] : r->begin[i];
    }
    return true;
}

bool fxc_relate(struct fxc_pairs *p, struct fxc_relation *forth, uint32_t from_rows, struct fxc_relation *back,
                uint32_t to_rows, struct fxc_arena *arena) {
    bool ok = relate(forth, p, from_rows, arena);
    for (uint32_t i = 0; i < p->count; i++) {
        p->pair[i] = (struct fxc_pair){p->pair[i].to, p->pair[i].from};
    }
    return relate(back, p, to_rows, arena) && ok;
}
