/* partition: a stage as a window over the positions, whose numbers are kept as it moves. */
#include "passes/partition/partition.h"

bool fxc_window_init(struct fxc_window *w, const struct fxc_positions *positions, struct fxc_arena *arena) {
    *w = (struct fxc_window){.positions = positions,
                             .uses = FXC_NEW(arena, uint32_t, positions->class_count),
                             .high = FXC_NEW(arena, uint32_t, positions->count)};
    return w->uses != NULL && w->high != NULL;
}

void fxc_window_reset(struct fxc_window *w) {
    while (w->begin < w->end) {
        fxc_window_shrink(w);
    }
    w->begin = w->end = w->high_begin = w->high_end = 0;
}

void fxc_window_grow(struct fxc_window *w) {
    const struct fxc_positions *p = w->positions;
    for (uint32_t i = p->held_begin[w->end]; i < p->held_begin[w->end + 1]; i++) {
        if (w->uses[p->held[i].class]++ == 0) {
            w->held += p->held[i].bytes; /* a part of what is given, which was summed up checked */
        }
    }
    while (w->high_end > w->high_begin && p->alive[w->high[w->high_end - 1]] <= p->alive[w->end]) {
        w->high_end--;
    }
    w->high[w->high_end++] = w->end++;
}

void fxc_window_shrink(struct fxc_window *w) {
    const struct fxc_positions *p = w->positions;
    for (uint32_t i = p->held_begin[w->begin]; i < p->held_begin[w->begin + 1]; i++) {
        if (--w->uses[p->held[i].class] == 0) {
            w->held -= p->held[i].bytes;
        }
    }
    w->high_begin += w->high_begin < w->high_end && w->high[w->high_begin] == w->begin;
    w->begin++;
}

double fxc_window_seconds(const struct fxc_window *w) {
    return w->positions->until[w->end] - w->positions->until[w->begin];
}

int64_t fxc_window_alive(const struct fxc_window *w) {
    if (w->begin == w->end) {
        return 0;
    }
    int64_t most = w->positions->alive[w->high[w->high_begin]], parked = w->positions->parked[w->begin];
    return most > parked ? most - parked : 0;
}

bool fxc_window_bytes(const struct fxc_window *w, int64_t *out) {
    return fxc_add(w->held, fxc_window_alive(w), out);
}
