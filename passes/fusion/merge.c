/* Whether two groups of operations may run as one kernel (Scheduler.can_fuse of torch/_inductor/scheduler.py). */
#include "passes/fusion/merge.h"

#include <string.h>

#include "passes/fusion/group.h"

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

/* Whether a buffer that a group reads could be written over, because nothing else uses it: a concatenation is used by
 * its parts too. */
static bool is_free_after(const struct fxc_merge *m, uint32_t group, const struct fxc_buffer *b) {
    const struct fxc_engine *e = m->e;
    return b->operation != FXC_NONE && m->readers[b - e->buffer] == 1 && m->group_of[b->operation] != group &&
           b->within == FXC_NONE && e->operation[b->operation].kind != FXC_OPERATION_NONE;
}

static bool is_like(const struct fxc_buffer *p, const struct fxc_buffer *q) {
    return p->numel == q->numel && p->dtype == q->dtype;
}

/* Elements of buffers of one size and type that each group alone could have written its result over: merging two groups
 * that both had such a buffer costs memory (Scheduler.can_fusion_increase_peak_memory). */
static bool costs_memory(struct fxc_merge *m, uint32_t a, uint32_t b, int64_t shared) {
    const struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    int64_t elements = 0;
    for (uint32_t i = 0; i < x->access_count; i++) {
        const struct fxc_buffer *p = &e->buffer[m->access[x->access_begin + i].buffer];
        bool again = !is_free_after(m, a, p);
        for (uint32_t k = 0; k < i && !again; k++) {
            const struct fxc_buffer *before = &e->buffer[m->access[x->access_begin + k].buffer];
            again = is_like(before, p) && is_free_after(m, a, before);
        }
        for (uint32_t j = 0; j < y->access_count && !again; j++) {
            const struct fxc_buffer *q = &e->buffer[m->access[y->access_begin + j].buffer];
            if (is_like(p, q) && is_free_after(m, b, q)) {
                elements += p->numel;
                break;
            }
        }
    }
    return elements / 32 > shared;
}

/* Whether anything but group b needs what group a makes. */
static bool is_kept(const struct fxc_merge *m, uint32_t a, uint32_t b) {
    const struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    for (uint32_t i = 0; i < x->member_count; i++) {
        const struct fxc_operation *op = &e->operation[m->member[x->member_begin + i]];
        uint32_t buffer = e->number[op->output_begin], readers = 0;
        for (uint32_t g = 0; g < 2; g++) {
            const struct fxc_kernel_group *group = g == 0 ? x : y;
            for (uint32_t k = 0; k < group->member_count; k++) {
                const struct fxc_operation *reader = &e->operation[m->member[group->member_begin + k]];
                for (uint32_t r = 0; r < reader->read_count; r++) {
                    readers += e->access[reader->access_begin + reader->write_count + r].buffer == buffer;
                }
            }
        }
        if (e->buffer[buffer].output || m->readers[buffer] != readers) {
            return true;
        }
    }
    return false;
}

static enum fxc_merge_reason vertical(struct fxc_merge *m, uint32_t a, uint32_t b) {
    if (!reads_what_is_written(m, a, b)) {
        return FXC_MERGE_OTHER_ELEMENTS;
    }
    enum fxc_merge_reason relation = fxc_loops_relate(m, a, b);
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    if (m->e->profile->one_result && is_kept(m, a, b)) {
        return FXC_MERGE_KEPT;
    }
    if (relation != FXC_MERGE_OTHER_LOOPS && (!x->reduces || m->e->profile->by_points)) {
        return relation;
    }
    if (m->e->profile->epilogues && x->reduces && !y->reduces && x->outer == y->outer) {
        return FXC_MERGE_EPILOGUE;
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

/* Whether two groups could run as one if nothing else had merged yet. */
static enum fxc_merge_reason relation(struct fxc_merge *m, uint32_t a, uint32_t b, int64_t *bytes) {
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    if (x->fixed || y->fixed) {
        return FXC_MERGE_LIBRARY;
    }
    int64_t shared = *bytes = fxc_merge_shared(m, a, b);
    if (shared == 0) {
        return FXC_MERGE_NOTHING_SHARED;
    }
    if (x->member_count + y->member_count > m->e->profile->max_nodes) {
        return FXC_MERGE_TOO_MANY;
    }
    enum fxc_merge_reason reason = fxc_group_feeds(m, a, b) ? vertical(m, a, b) : horizontal(m, a, b, shared);
    if (reason < FXC_MERGE_LIBRARY && costs_memory(m, a, b, shared)) {
        return FXC_MERGE_MEMORY;
    }
    return reason;
}

enum fxc_merge_reason fxc_merge_reason_of(struct fxc_merge *m, uint32_t a, uint32_t b, int64_t *bytes) {
    enum fxc_merge_reason reason = relation(m, a, b, bytes);
    if (reason >= FXC_MERGE_LIBRARY) {
        return reason;
    }
    if (fxc_group_before(m, b, a, true)) {
        return fxc_group_feeds(m, a, b) ? FXC_MERGE_CYCLE : FXC_MERGE_ORDER;
    }
    return fxc_group_before(m, a, b, false) ? FXC_MERGE_BETWEEN : reason;
}

bool fxc_merge_is_blocked(struct fxc_merge *m, uint32_t a, uint32_t b) {
    int64_t shared;
    enum fxc_merge_reason reason = relation(m, a, b, &shared);
    if (reason >= FXC_MERGE_LIBRARY || reason == FXC_MERGE_OUTER_LOOPS || fxc_group_follows(m, a, b)) {
        return false;
    }
    if (!fxc_group_feeds(m, a, b)) {
        return !fxc_group_follows(m, b, a);
    }
    const struct fxc_kernel_group *y = &m->group[b];
    for (uint32_t i = 0; i < y->edge_count; i++) {
        uint32_t between = m->group_of[m->edge[y->edge_begin + i]];
        if (between != a && fxc_group_follows(m, between, a)) {
            return false;
        }
    }
    return true;
}
