/* Merging operations into kernels, greedily: in rounds, the pairs that may run as one kernel, the best first
 * (Scheduler.fuse_nodes of torch/_inductor/scheduler.py). */
#include <stdlib.h>
#include <string.h>

#include "passes/fusion/group.h"
#include "passes/fusion/merge.h"

/* Two groups that may merge. Those that share more come first, of these the nearer: keys are sorted rising. */
struct pair {
    uint32_t a, b;
    uint64_t unshared; /* key: bytes that are not shared, of the most that can be; all of one type before the others */
    uint32_t distance;
};

#define OTHER_TYPE ((uint64_t)1 << 63) /* of a pair of which one alone reduces */

struct round {
    struct pair *pair, *sorted; /* sorted: as long, for sorting */
    uint32_t pair_count, pair_capacity, sorted_capacity;
    uint64_t *seen; /* pairs that were refused, plus 1; in all rounds */
    uint32_t seen_count, seen_capacity;
    uint32_t *order, count;      /* live groups */
    uint32_t *user_begin, *user; /* per buffer: the groups that touch it, in order */
    uint32_t *cursor;            /* per buffer: of these, how many have been at hand */
};

/* What refuses a pair without a look at its accesses. */
static bool is_too_large(const struct fxc_merge *m, uint32_t a, uint32_t b) {
    uint32_t members = m->group[a].member_count + m->group[b].member_count;
    return members > m->e->profile->max_nodes || (members > m->e->profile->max_siblings && !fxc_group_feeds(m, a, b));
}

/* A pair of groups that was refused stays so, for groups never change. True when it is remembered as refused; else
 * remembers it if `refused`. */
static bool is_refused(struct fxc_merge *m, struct round *r, uint32_t a, uint32_t b, bool refused) {
    if ((uint64_t)r->seen_count * 2 >= r->seen_capacity) {
        uint32_t capacity = r->seen_capacity == 0 ? 1024 : r->seen_capacity * 2;
        uint64_t *seen = calloc(capacity, sizeof *seen);
        if (seen == NULL) {
            m->e->failed = true;
            return true;
        }
        for (uint32_t i = 0; i < r->seen_capacity; i++) {
            if (r->seen[i] != 0) {
                uint64_t at = r->seen[i] * 0x9e3779b97f4a7c15u >> 20;
                while (seen[at & (capacity - 1)] != 0) {
                    at++;
                }
                seen[at & (capacity - 1)] = r->seen[i];
            }
        }
        free(r->seen);
        r->seen = seen;
        r->seen_capacity = capacity;
    }
    uint64_t key = ((uint64_t)a << 32 | b) + 1, at = key * 0x9e3779b97f4a7c15u >> 20;
    for (; r->seen[at & (r->seen_capacity - 1)] != 0; at++) {
        if (r->seen[at & (r->seen_capacity - 1)] == key) {
            return true;
        }
    }
    if (refused) {
        r->seen[at & (r->seen_capacity - 1)] = key;
        r->seen_count++;
    }
    return false;
}

static void try_pair(struct fxc_merge *m, struct round *r, uint32_t a, uint32_t b, bool *outer_only) {
    int64_t shared;
    enum fxc_merge_reason reason = fxc_merge_reason_of(m, a, b, &shared);
    bool refused = reason >= FXC_MERGE_LIBRARY;
    bool by_order = reason == FXC_MERGE_ORDER || reason == FXC_MERGE_CYCLE || reason == FXC_MERGE_BETWEEN;
    if (refused && !(by_order && fxc_merge_is_blocked(m, a, b))) {
        (void)is_refused(m, r, a, b, true);
        return;
    }
    if (reason == FXC_MERGE_OUTER_LOOPS && !*outer_only) {
        return;
    }
    if (reason != FXC_MERGE_OUTER_LOOPS && *outer_only) {
        *outer_only = false; /* common outer loops only where nothing else is left */
        r->pair_count = 0;
    }
    if (refused) {
        return;
    }
    if (!FXC_ROOM(r->pair, r->pair_capacity, r->pair_count + 1)) {
        m->e->failed = true;
        return;
    }
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    r->pair[r->pair_count++] =
        (struct pair){.a = a,
                      .b = b,
                      .unshared = (x->reduces == y->reduces ? 0 : OTHER_TYPE) + (uint64_t)(INT64_MAX - shared),
                      .distance = fxc_merge_distance(x, y)};
}

/* Sorts by one byte of a key, keeping the order of equal ones. */
static void sort_by_byte(struct round *r, bool by_distance, uint32_t shift) {
    uint32_t begin[257] = {0};
    for (uint32_t i = 0; i < r->pair_count; i++) {
        uint64_t key = by_distance ? r->pair[i].distance : r->pair[i].unshared;
        begin[(key >> shift & 0xff) + 1]++;
    }
    for (uint32_t b = 0; b < 256; b++) {
        begin[b + 1] += begin[b];
    }
    for (uint32_t i = 0; i < r->pair_count; i++) {
        uint64_t key = by_distance ? r->pair[i].distance : r->pair[i].unshared;
        r->sorted[begin[key >> shift & 0xff]++] = r->pair[i];
    }
    struct pair *pair = r->pair;
    uint32_t capacity = r->pair_capacity;
    r->pair = r->sorted;
    r->pair_capacity = r->sorted_capacity;
    r->sorted = pair;
    r->sorted_capacity = capacity;
}

/* The best pairs first; of equal ones that which was found first. A radix sort, over the bytes in which keys differ:
 * few do, for few sizes are shared and groups are near each other. */
static bool sort_pairs(struct round *r) {
    uint64_t unshared = 0;
    uint32_t distance = 0;
    if (!FXC_ROOM(r->sorted, r->sorted_capacity, r->pair_count)) {
        return false;
    }
    for (uint32_t i = 1; i < r->pair_count; i++) {
        unshared |= r->pair[i].unshared ^ r->pair[0].unshared;
        distance |= r->pair[i].distance ^ r->pair[0].distance;
    }
    for (uint32_t shift = 0; shift < 32; shift += 8) {
        if ((distance >> shift & 0xff) != 0) {
            sort_by_byte(r, true, shift);
        }
    }
    for (uint32_t shift = 0; shift < 64; shift += 8) {
        if ((unshared >> shift & 0xff) != 0) {
            sort_by_byte(r, false, shift);
        }
    }
    return true;
}

uint32_t fxc_merge_order(struct fxc_merge *m, uint32_t *order) {
    uint32_t open = m->stamp + 1, done = m->stamp + 2; /* open: what runs before it is on the stack */
    m->stamp += 2;
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t depth = 0;
        m->stack[depth++] = m->group_of[m->order[i]];
        while (depth > 0) {
            uint32_t top = m->stack[depth - 1];
            struct fxc_kernel_group *g = &m->group[top];
            if (g->stamp == open) {
                g->stamp = done;
                order[count++] = top;
            }
            if (g->stamp == done) {
                depth--;
                continue;
            }
            g->stamp = open;
            for (uint32_t k = 0; k < g->edge_count; k++) {
                uint32_t before = m->group_of[m->edge[g->edge_begin + k]];
                if (m->group[before].stamp != done && m->group[before].stamp != open) {
                    m->stack[depth++] = before;
                }
            }
        }
    }
    return count;
}

static void list_users(struct fxc_merge *m, struct round *r) {
    struct fxc_engine *e = m->e;
    memset(r->user_begin, 0, ((size_t)e->buffer_count + 1) * sizeof *r->user_begin);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = r->count; i-- > 0;) {
            const struct fxc_kernel_group *g = &m->group[r->order[i]];
            uint32_t last = FXC_NONE;
            for (uint32_t k = 0; k < g->access_count && !g->fixed; k++) {
                uint32_t buffer = m->access[g->access_begin + k].buffer;
                if (buffer != last && pass == 0) {
                    r->user_begin[buffer]++;
                } else if (buffer != last) {
                    r->user[--r->user_begin[buffer]] = r->order[i];
                }
                last = buffer;
            }
        }
        for (uint32_t b = 0; b < e->buffer_count && pass == 0; b++) {
            r->user_begin[b + 1] += r->user_begin[b];
        }
    }
}

/* One round; true when something has merged. */
static bool run_round(struct fxc_merge *m, struct round *r) {
    bool outer_only = true, merged = false;
    r->count = fxc_merge_order(m, r->order);
    list_users(m, r);
    r->pair_count = 0;
    memset(r->cursor, 0, ((size_t)m->e->buffer_count + 1) * sizeof *r->cursor);
    for (uint32_t i = 0; i < r->count && !m->e->failed; i++) {
        const struct fxc_kernel_group *g = &m->group[r->order[i]];
        uint32_t last = FXC_NONE;
        for (uint32_t k = 0; k < g->access_count && !g->fixed; k++) {
            uint32_t buffer = m->access[m->group[r->order[i]].access_begin + k].buffer;
            if (buffer == last) {
                continue;
            }
            last = buffer;
            uint32_t at = r->user_begin[buffer] + r->cursor[buffer]++, end = r->user_begin[buffer + 1];
            for (uint32_t j = at + 1; j < end && j <= at + m->e->profile->attempts; j++) {
                uint32_t a = r->order[i], b = r->user[j];
                uint32_t maker = m->e->buffer[buffer].operation;
                bool feeds = maker != FXC_NONE && m->group_of[maker] == a;
                /* If one feeds the other through another buffer, the pair is met there. */
                if ((feeds || fxc_merge_distance(&m->group[a], &m->group[b]) <= m->e->profile->max_distance) &&
                    !is_refused(m, r, a, b, false)) {
                    try_pair(m, r, a, b, &outer_only);
                }
            }
        }
    }
    if (!sort_pairs(r)) {
        m->e->failed = true;
    }
    for (uint32_t i = 0; i < r->pair_count && !m->e->failed; i++) {
        uint32_t a = m->group_of[m->member[m->group[r->pair[i].a].member_begin]];
        uint32_t b = m->group_of[m->member[m->group[r->pair[i].b].member_begin]];
        if (a == b || is_too_large(m, a, b)) {
            continue;
        }
        int64_t shared;
        enum fxc_merge_reason reason = fxc_merge_reason_of(m, a, b, &shared);
        if (reason >= FXC_MERGE_LIBRARY) {
            continue;
        }
        if (reason == FXC_MERGE_SAME_SIZES) {
            fxc_loops_align(m, a, b);
        }
        uint32_t joined = fxc_group_join(m, a, b, reason == FXC_MERGE_OUTER_LOOPS ? fxc_outer_depth(m, a, b) : 0);
        m->group[joined].reason = (uint8_t)reason;
        merged = true;
    }
    return merged;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------
 */

/* Operations that something needs, in order. */
static void find_live(struct fxc_merge *m) {
    struct fxc_engine *e = m->e;
    for (uint32_t i = 0; i < e->operation_count; i++) {
        m->group_of[i] = FXC_NONE;
    }
    for (uint32_t i = e->operation_count; i-- > 0;) {
        const struct fxc_operation *op = &e->operation[i];
        bool live = m->group_of[i] == 0 || op->effect;
        for (uint32_t k = 0; k < op->output_count && !live; k++) {
            live = e->buffer[e->number[op->output_begin + k]].output;
        }
        for (uint32_t k = 0; k < op->read_count && live; k++) {
            uint32_t buffer = e->access[op->access_begin + op->write_count + k].buffer;
            m->readers[buffer]++;
            if (e->buffer[buffer].operation != FXC_NONE) {
                m->group_of[e->buffer[buffer].operation] = 0;
            }
        }
        if (live && op->mutated != FXC_NONE && e->buffer[op->mutated].operation != FXC_NONE) {
            m->group_of[e->buffer[op->mutated].operation] = 0;
        }
        m->group_of[i] = live ? 0 : FXC_NONE;
    }
    for (uint32_t i = 0, number = 0; i < e->operation_count; i++) {
        struct fxc_operation *op = &e->operation[i];
        if (m->group_of[i] != 0) {
            continue;
        }
        m->order[m->count++] = i;
        op->number = number++;
        for (uint32_t k = 0; k < op->output_count && op->apart; k++) {
            uint32_t buffer = e->number[op->output_begin + k];
            number += m->readers[buffer] > 0 || e->buffer[buffer].output;
        }
    }
}

fxc_status fxc_merge_run(struct fxc_engine *e, struct fxc_merge *m, fxc_error *err) {
    *m = (struct fxc_merge){.e = e};
    struct round r = {0};
    uint32_t operations = e->operation_count + 1, touched = e->access_count + 1;
    m->order = calloc(operations, sizeof *m->order);
    m->group_of = calloc(operations, sizeof *m->group_of);
    m->seen = calloc(operations, sizeof *m->seen);
    m->readers = calloc((size_t)e->buffer_count + 1, sizeof *m->readers);
    m->stack = calloc((size_t)operations * 2 + touched, sizeof *m->stack);
    r.order = calloc(operations, sizeof *r.order);
    r.user_begin = calloc((size_t)e->buffer_count + 2, sizeof *r.user_begin);
    r.user = calloc(touched, sizeof *r.user);
    r.cursor = calloc((size_t)e->buffer_count + 1, sizeof *r.cursor);
    r.seen = calloc(1024, sizeof *r.seen);
    r.seen_capacity = 1024;
    bool memory = m->order != NULL && m->group_of != NULL && m->readers != NULL && m->stack != NULL &&
                  m->seen != NULL && r.order != NULL && r.user_begin != NULL && r.user != NULL && r.cursor != NULL &&
                  r.seen != NULL;
    if (memory) {
        find_live(m);
        for (uint32_t i = 0; i < m->count && !e->failed; i++) {
            (void)fxc_group_new(m, m->order[i]);
        }
        for (uint32_t i = 0; i < e->profile->rounds && !e->failed && run_round(m, &r); i++) {
        }
    }
    free(r.order);
    free(r.user_begin);
    free(r.user);
    free(r.cursor);
    free(r.seen);
    free(r.pair);
    free(r.sorted);
    return memory && !e->failed ? FXC_OK : fxc_fail_memory(err, "fusion");
}

void fxc_merge_free(struct fxc_merge *m) {
    free(m->order);
    free(m->group_of);
    free(m->group);
    free(m->member);
    free(m->access);
    free(m->edge);
    free(m->readers);
    free(m->stack);
    free(m->seen);
    *m = (struct fxc_merge){0};
}
