/* Merging operations into kernels, greedily: in rounds, the pairs that may run as one kernel, the best first
 * (Scheduler.fuse_nodes of torch/_inductor/scheduler.py). */
#include "passes/fusion/merge.h"

#include <stdlib.h>
#include <string.h>

#include "passes/fusion/group.h"

struct pair {
    uint32_t a, b, found; /* found: place in the order of discovery */
    int64_t shared;
    uint32_t distance;
    bool same_type;
};

struct round {
    struct pair *pair;
    uint32_t pair_count, pair_capacity;
    uint64_t *seen; /* pairs that were refused, plus 1; in all rounds */
    uint32_t seen_count, seen_capacity;
    uint32_t *order, count;      /* live groups */
    uint32_t *user_begin, *user; /* per buffer: the groups that touch it, in order */
    uint32_t *cursor;            /* per buffer: of these, how many have been at hand */
};

/* ---- what two groups share ------------------------------------------------------------------------------------------
 */

/* Bytes that an access goes over: each element once. */
static int64_t access_bytes(struct fxc_engine *e, const struct fxc_access *access) {
    const struct fxc_buffer *buffer = &e->buffer[access->buffer];
    int64_t elements = 1, bytes = 0;
    if (access->at == FXC_NONE || e->index.row[access->at].loaded) {
        elements = buffer->numel;
    } else {
        const uint32_t *size = fxc_tuple_items(&e->index, access->sizes);
        for (uint32_t d = 0; d < fxc_tuple_length(&e->index, access->sizes); d++) {
            if ((e->index.row[access->at].variables >> d & 1u) != 0) {
                e->overflowed |= fxc_mul(elements, e->index.row[size[d]].offset, &elements);
            }
        }
    }
    e->overflowed |= fxc_bytes_of(buffer->dtype, elements, &bytes);
    return bytes;
}

int64_t fxc_merge_shared(struct fxc_merge *m, uint32_t a, uint32_t b) {
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    int64_t total = 0;
    for (uint32_t i = 0, j = 0; i < x->access_count && j < y->access_count;) {
        const struct fxc_access *p = &m->access[x->access_begin + i], *q = &m->access[y->access_begin + j];
        int order = fxc_access_order(p, q);
        if (order == 0) {
            m->e->overflowed |= fxc_add(total, access_bytes(m->e, p), &total);
        }
        i += order <= 0;
        j += order >= 0;
    }
    return total;
}

uint32_t fxc_merge_distance(const struct fxc_kernel_group *a, const struct fxc_kernel_group *b) {
    uint32_t x = a->lowest > b->highest ? a->lowest - b->highest : b->highest - a->lowest;
    uint32_t y = b->lowest > a->highest ? b->lowest - a->highest : a->highest - b->lowest;
    return x > y ? x : y;
}

/* ---- whether two groups may merge -----------------------------------------------------------------------------------
 */

/* A read of what `a` writes must be of the element that has just been written. */
static bool reads_what_is_written(const struct fxc_merge *m, uint32_t a, uint32_t b) {
    const struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *y = &m->group[b];
    for (uint32_t i = 0; i < y->access_count; i++) {
        const struct fxc_access *read = &m->access[y->access_begin + i];
        uint32_t source = e->buffer[read->buffer].operation;
        if (source == FXC_NONE || m->group_of[source] != a) {
            continue;
        }
        const struct fxc_operation *op = &e->operation[source];
        const struct fxc_access *write = &e->access[op->access_begin];
        uint32_t length = fxc_tuple_length(&e->index, write->sizes);
        if (read->at == FXC_NONE || write->at == FXC_NONE || read->at != write->at || e->index.row[read->at].loaded ||
            fxc_tuple_length(&e->index, read->sizes) < length ||
            (length > 0 && memcmp(fxc_tuple_items(&e->index, read->sizes), fxc_tuple_items(&e->index, write->sizes),
                                  length * sizeof(uint32_t)) != 0)) {
            return false;
        }
    }
    return true;
}

/* Elements of buffers of one size and type that each group alone could have written its result over: merging two groups
 * that both had such a buffer costs memory (Scheduler.can_fusion_increase_peak_memory). */
static bool costs_memory(struct fxc_merge *m, uint32_t a, uint32_t b, int64_t shared) {
    const struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    int64_t elements = 0;
    for (uint32_t i = 0; i < x->access_count; i++) {
        const struct fxc_buffer *p = &e->buffer[m->access[x->access_begin + i].buffer];
        bool again = p->operation == FXC_NONE || m->readers[p - e->buffer] != 1 || m->group_of[p->operation] == a;
        for (uint32_t k = 0; k < i && !again; k++) {
            const struct fxc_buffer *before = &e->buffer[m->access[x->access_begin + k].buffer];
            again = before->numel == p->numel && before->dtype == p->dtype && before->operation != FXC_NONE &&
                    m->readers[before - e->buffer] == 1 && m->group_of[before->operation] != a;
        }
        for (uint32_t j = 0; j < y->access_count && !again; j++) {
            const struct fxc_buffer *q = &e->buffer[m->access[y->access_begin + j].buffer];
            if (q->operation != FXC_NONE && m->readers[q - e->buffer] == 1 && m->group_of[q->operation] != b &&
                q->numel == p->numel && q->dtype == p->dtype) {
                elements += p->numel;
                break;
            }
        }
    }
    return elements / 32 > shared;
}

static enum fxc_merge_reason vertical(struct fxc_merge *m, uint32_t a, uint32_t b) {
    if (!reads_what_is_written(m, a, b)) {
        return FXC_MERGE_OTHER_ELEMENTS;
    }
    enum fxc_merge_reason relation = fxc_loops_relate(m, a, b);
    if (relation != FXC_MERGE_OTHER_LOOPS && !m->group[a].reduces) {
        return relation;
    }
    return fxc_outer_depth(m, a, b) > 0 ? FXC_MERGE_OUTER_LOOPS : FXC_MERGE_OTHER_LOOPS;
}

static enum fxc_merge_reason horizontal(struct fxc_merge *m, uint32_t a, uint32_t b, int64_t shared) {
    const struct fxc_profile *profile = m->e->profile;
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    if (shared < (int64_t)profile->min_shared) {
        return FXC_MERGE_LITTLE_SHARED;
    }
    if (fxc_merge_distance(x, y) > profile->max_distance) {
        return FXC_MERGE_FAR;
    }
    if (x->member_count + y->member_count > profile->max_siblings) {
        return FXC_MERGE_TOO_MANY_SIBLINGS;
    }
    return fxc_loops_relate(m, a, b);
}

enum fxc_merge_reason fxc_merge_reason_of(struct fxc_merge *m, uint32_t a, uint32_t b) {
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    if (x->fixed || y->fixed) {
        return FXC_MERGE_LIBRARY;
    }
    int64_t shared = fxc_merge_shared(m, a, b);
    if (shared == 0) {
        return FXC_MERGE_NOTHING_SHARED;
    }
    if (x->member_count + y->member_count > m->e->profile->max_nodes) {
        return FXC_MERGE_TOO_MANY;
    }
    bool feeds = fxc_group_feeds(m, a, b);
    enum fxc_merge_reason reason = feeds ? vertical(m, a, b) : horizontal(m, a, b, shared);
    if (reason >= FXC_MERGE_LIBRARY) {
        return reason;
    }
    if (costs_memory(m, a, b, shared)) {
        return FXC_MERGE_MEMORY;
    }
    if (fxc_group_before(m, b, a, true)) {
        return feeds ? FXC_MERGE_CYCLE : FXC_MERGE_ORDER;
    }
    return fxc_group_before(m, a, b, false) ? FXC_MERGE_BETWEEN : reason;
}

/* ---- rounds ---------------------------------------------------------------------------------------------------------
 */

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
    enum fxc_merge_reason reason = fxc_merge_reason_of(m, a, b);
    if (reason >= FXC_MERGE_LIBRARY) {
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
    if (!FXC_ROOM(r->pair, r->pair_capacity, r->pair_count + 1)) {
        m->e->failed = true;
        return;
    }
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    r->pair[r->pair_count] = (struct pair){.a = a,
                                           .b = b,
                                           .found = r->pair_count,
                                           .shared = fxc_merge_shared(m, a, b),
                                           .distance = fxc_merge_distance(x, y),
                                           .same_type = x->reduces == y->reduces};
    r->pair_count++;
}

static int compare_pairs(const void *a, const void *b) {
    const struct pair *x = a, *y = b;
    if (x->same_type != y->same_type) {
        return x->same_type ? -1 : 1;
    }
    if (x->shared != y->shared) {
        return x->shared > y->shared ? -1 : 1;
    }
    if (x->distance != y->distance) {
        return x->distance < y->distance ? -1 : 1;
    }
    return x->found < y->found ? -1 : x->found > y->found;
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
    if (r->pair_count > 1) {
        qsort(r->pair, r->pair_count, sizeof *r->pair, compare_pairs);
    }
    for (uint32_t i = 0; i < r->pair_count && !m->e->failed; i++) {
        uint32_t a = m->group_of[m->member[m->group[r->pair[i].a].member_begin]];
        uint32_t b = m->group_of[m->member[m->group[r->pair[i].b].member_begin]];
        if (a == b) {
            continue;
        }
        enum fxc_merge_reason reason = fxc_merge_reason_of(m, a, b);
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
        m->group_of[i] = live ? 0 : FXC_NONE;
    }
    for (uint32_t i = 0; i < e->operation_count; i++) {
        if (m->group_of[i] == 0) {
            m->order[m->count++] = i;
        }
    }
}

fxc_status fxc_merge_run(struct fxc_engine *e, struct fxc_merge *m, fxc_error *err) {
    *m = (struct fxc_merge){.e = e};
    struct round r = {0};
    uint32_t operations = e->operation_count + 1, touched = e->access_count + 1;
    m->order = calloc(operations, sizeof *m->order);
    m->group_of = calloc(operations, sizeof *m->group_of);
    m->readers = calloc((size_t)e->buffer_count + 1, sizeof *m->readers);
    m->stack = calloc((size_t)operations * 2 + touched, sizeof *m->stack);
    r.order = calloc(operations, sizeof *r.order);
    r.user_begin = calloc((size_t)e->buffer_count + 2, sizeof *r.user_begin);
    r.user = calloc(touched, sizeof *r.user);
    r.cursor = calloc((size_t)e->buffer_count + 1, sizeof *r.cursor);
    r.seen = calloc(1024, sizeof *r.seen);
    r.seen_capacity = 1024;
    bool memory = m->order != NULL && m->group_of != NULL && m->readers != NULL && m->stack != NULL &&
                  r.order != NULL && r.user_begin != NULL && r.user != NULL && r.cursor != NULL && r.seen != NULL;
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
    *m = (struct fxc_merge){0};
}
