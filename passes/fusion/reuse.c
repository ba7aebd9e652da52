/* Memory that is free is kept for a later buffer of its type and size, as the code that Inductor writes does
 * (AllocateLine.plan and FreeIfNotReusedLine.plan of torch/_inductor/codegen/wrapper.py): the latest that became free
 * is taken, unless what lies between the two would then be more than the estimated peak of the whole graph
 * (AllocateLine.should_reuse_buffer). Between the two it is nobody's, and there all the same.
 *
 * Time is counted in steps: places in the scheduler's list, where a result that a fallback kernel hands out and a
 * concatenation that only names memory are steps too. */
#include <stdlib.h>

#include "passes/fusion/live.h"

/* The estimated bytes alive at every step: the most of a range, and bytes added to a range. */
struct timeline {
    int64_t *most, *added; /* of a tree of ranges, the halves of range i at 2 i and 2 i + 1 */
};

/* A kernel, and chains of memory (buffer + 1, 0 at the end) that it makes, and that is free after it. */
struct moment {
    uint32_t step, makes, frees;
};

struct slot {
    uint32_t class; /* equal for equal types and sizes */
    uint32_t freed; /* the step at which it became free */
    uint32_t next_made, next_freed, next_free;
};

struct reuse {
    const struct fxc_merge *m;
    const struct fxc_engine *e;
    struct fxc_kernel_buffer *buffer;
    uint32_t steps, kernels;
    struct timeline line;
    int64_t peak; /* of the estimate */
    struct moment *moment;
    struct slot *slot; /* per buffer */
    uint32_t *pool;    /* per class: the latest memory + 1 that became free */
};

/* ---- the timeline ---------------------------------------------------------------------------------------------------
 */

static int64_t most_between(const struct timeline *t, uint32_t node, uint32_t low, uint32_t high, uint32_t from,
                            uint32_t to) {
    if (to < low || high < from) {
        return 0;
    }
    if (from <= low && high <= to) {
        return t->most[node];
    }
    uint32_t middle = low + (high - low) / 2;
    int64_t left = most_between(t, 2 * node, low, middle, from, to);
    int64_t right = most_between(t, 2 * node + 1, middle + 1, high, from, to);
    return (left > right ? left : right) + t->added[node];
}

static void add_between(struct timeline *t, uint32_t node, uint32_t low, uint32_t high, uint32_t from, uint32_t to,
                        int64_t bytes) {
    if (to < low || high < from) {
        return;
    }
    if (from <= low && high <= to) {
        t->most[node] += bytes;
        t->added[node] += bytes;
        return;
    }
    uint32_t middle = low + (high - low) / 2;
    add_between(t, 2 * node, low, middle, from, to, bytes);
    add_between(t, 2 * node + 1, middle + 1, high, from, to, bytes);
    int64_t left = t->most[2 * node], right = t->most[2 * node + 1];
    t->most[node] = (left > right ? left : right) + t->added[node];
}

/* ---- reuse ----------------------------------------------------------------------------------------------------------
 */

static bool is_worth_it(const struct reuse *r, uint32_t freed, uint32_t step, int64_t bytes) {
    int64_t most;
    if (freed + 1 >= step) {
        return true;
    }
    return !fxc_add(bytes, most_between(&r->line, 1, 0, r->steps - 1, freed + 1, step - 1), &most) && most <= r->peak;
}

/* Memory that the wrapper gives: fallback kernels, convolutions and the like come with their own. */
static bool is_given_memory(const struct reuse *r, uint32_t at) {
    uint32_t operation = r->e->buffer[at].operation;
    return operation != FXC_NONE &&
           (r->e->operation[operation].kind != FXC_OPERATION_EXTERN || r->e->operation[operation].out);
}

static void make(struct reuse *r, uint32_t at, uint32_t step) {
    uint32_t *pool = &r->pool[r->slot[at].class];
    if (*pool == 0 || !is_given_memory(r, at)) {
        return;
    }
    uint32_t kept = *pool - 1, freed = r->slot[kept].freed;
    if (!is_worth_it(r, freed, step, r->buffer[at].bytes)) {
        return;
    }
    *pool = r->slot[kept].next_free;
    if (freed + 1 < step) {
        add_between(&r->line, 1, 0, r->steps - 1, freed + 1, step - 1, r->buffer[at].bytes);
    }
    uint32_t memory = fxc_memory_of(r->buffer, kept);
    r->buffer[at].within = memory;
    r->buffer[memory].last = r->buffer[at].last;
    r->buffer[memory].returned |= r->buffer[at].returned;
}

static void release(struct reuse *r, uint32_t at, uint32_t step) {
    struct slot *slot = &r->slot[at];
    slot->freed = step;
    slot->next_free = r->pool[slot->class];
    r->pool[slot->class] = at + 1;
}

/* ---- the plan -------------------------------------------------------------------------------------------------------
 */

struct kind {
    int64_t bytes;
    uint32_t dtype, buffer;
};

static int compare_kinds(const void *a, const void *b) {
    const struct kind *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? -1 : 1;
    }
    return x->dtype != y->dtype ? (x->dtype < y->dtype ? -1 : 1) : (x->buffer > y->buffer) - (x->buffer < y->buffer);
}

static void classify(struct reuse *r, struct kind *kind) {
    uint32_t buffers = r->e->buffer_count, class = 0;
    for (uint32_t i = 0; i < buffers; i++) {
        kind[i] = (struct kind){r->buffer[i].bytes, r->e->buffer[i].dtype, i};
    }
    qsort(kind, buffers, sizeof *kind, compare_kinds);
    for (uint32_t i = 0; i < buffers; i++) {
        class += i > 0 && (kind[i].bytes != kind[i - 1].bytes || kind[i].dtype != kind[i - 1].dtype);
        r->slot[kind[i].buffer].class = class;
    }
}

/* Which memory every kernel makes, and which is free after it. */
static void chain(struct reuse *r, const uint32_t *end) {
    for (uint32_t i = r->e->buffer_count; i-- > 0;) {
        const struct fxc_kernel_buffer *b = &r->buffer[i];
        if (fxc_memory_of(r->buffer, i) != i || b->given || b->first == FXC_NONE || b->bytes == 0) {
            continue;
        }
        struct moment *first = &r->moment[b->first], *last = &r->moment[end[b->last]];
        r->slot[i].next_made = first->makes;
        first->makes = i + 1;
        if (!b->returned) {
            r->slot[i].next_freed = last->frees;
            last->frees = i + 1;
        }
    }
}

static void plan(struct reuse *r, const struct fxc_fusion *fusion) {
    bool together = fusion->profile->outer_loops; /* one function of all loops up to a library kernel */
    for (uint32_t k = 0; k < r->kernels; k++) {
        struct moment *moment = &r->moment[k];
        for (uint32_t at = moment->makes; at != 0; at = r->slot[at - 1].next_made) {
            make(r, at - 1, moment->step);
        }
        uint32_t step = moment->step;
        if (together && fusion->kernel[k].kind != FXC_KERNEL_LIBRARY) {
            step = (k + 1 < r->kernels ? r->moment[k + 1].step : r->steps) - 1;
        }
        for (uint32_t at = moment->frees; at != 0; at = r->slot[at - 1].next_freed) {
            release(r, at - 1, step);
        }
    }
}

static bool start(struct reuse *r, const struct fxc_schedule *schedule, struct fxc_arena *arena) {
    uint32_t buffers = r->e->buffer_count;
    r->steps = schedule->steps;
    r->moment = FXC_NEW(arena, struct moment, schedule->count);
    r->slot = FXC_NEW(arena, struct slot, buffers);
    r->pool = FXC_NEW(arena, uint32_t, buffers);
    r->line.most = FXC_NEW(arena, int64_t, (size_t)r->steps * 4);
    r->line.added = FXC_NEW(arena, int64_t, (size_t)r->steps * 4);
    if (r->moment == NULL || r->slot == NULL || r->pool == NULL || r->line.most == NULL || r->line.added == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < schedule->count; i++) {
        const struct fxc_kernel_group *g = &r->m->group[schedule->order[i]];
        if (r->e->operation[r->m->member[g->member_begin]].kind != FXC_OPERATION_NONE) {
            r->moment[r->kernels++].step = schedule->step[schedule->order[i]];
        }
    }
    for (uint32_t s = 0; s < r->steps; s++) {
        add_between(&r->line, 1, 0, r->steps - 1, s, s, schedule->alive[s]);
    }
    r->peak = r->steps > 0 ? r->line.most[1] : 0;
    return true;
}

bool fxc_reuse_memory(const struct fxc_merge *merge, const struct fxc_schedule *schedule, struct fxc_fusion *fusion) {
    struct fxc_arena scratch = {0};
    struct reuse r = {.m = merge, .e = merge->e, .buffer = fusion->memory.buffer};
    uint32_t *end = FXC_NEW(&scratch, uint32_t, schedule->count);
    struct kind *kind = FXC_NEW(&scratch, struct kind, merge->e->buffer_count);
    bool ok = end != NULL && kind != NULL && start(&r, schedule, &scratch);
    if (ok && r.kernels > 0) {
        fxc_live_ends(fusion, end);
        classify(&r, kind);
        chain(&r, end);
        plan(&r, fusion);
    }
    fxc_arena_free(&scratch);
    return ok;
}
