/* Kernels in the order of least memory, as reorder_for_peak_memory of torch/_inductor/memory.py chooses it: the order
 * that merging left, or one of three others, whichever is estimated to need least at its peak.
 *
 * What is put in order are units: groups of operations, and each result that a fallback kernel hands out. The estimate
 * counts all that operations make, what only their own kernel uses and parts of a concatenation too, from the unit that
 * makes it to the last that reads it; what is returned stays (compute_memory_timeline). */
#include "passes/fusion/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "passes/fusion/relation.h"

/* Of units that are ready the best is sought among all: more comparisons than this, and the method is left out. */
enum { MOST_COMPARISONS = 1 << 24 };

struct unit {
    uint32_t group;
    bool kernel;        /* not a result of one */
    int64_t size;       /* of what it makes */
    int64_t freed;      /* of what is gone after it, as far as it is decided */
    uint32_t waits, at; /* units that it still waits for; its place in the order */
};

/* What a unit makes and reads. */
struct traffic {
    int64_t bytes;
    uint32_t unit;
};

struct plan {
    struct fxc_merge *m;
    const struct fxc_engine *e;
    struct unit *unit;
    uint32_t count;
    uint32_t *of_group, *of_buffer;     /* units */
    int64_t *bytes;                     /* per buffer; 0: not counted */
    bool *returned;                     /* per buffer */
    struct fxc_relation before, after;  /* of units */
    struct fxc_relation readers, reads; /* of buffers, and of units */
    uint32_t *left;                     /* per buffer: readers that have not run, a caller among them */
    int64_t room;                       /* below the peak so far */
    int64_t total;                      /* of all that is made: no other sum is more than twice as much */
    bool overflow;
};

/* ---- units ----------------------------------------------------------------------------------------------------------
 */

static void add_unit(struct plan *p, uint32_t group, bool kernel) {
    p->unit[p->count++] = (struct unit){.group = group, .kernel = kernel};
}

/* What an operation makes, by the unit that gives it. */
static void place_results(struct plan *p, const struct fxc_operation *op, uint32_t unit) {
    const struct fxc_engine *e = p->e;
    for (uint32_t k = 0; k < op->output_count; k++) {
        uint32_t at = e->number[op->output_begin + k];
        const struct fxc_buffer *b = &e->buffer[at];
        bool used = p->m->readers[at] > 0 || b->output;
        if (b->input || at == op->mutated || (op->apart && !used)) {
            continue;
        }
        p->overflow |= (b->numel > 0 && fxc_bytes_of(b->dtype, b->numel, &p->bytes[at])) ||
                       fxc_add(p->total, p->bytes[at], &p->total);
        p->unit[unit].size += p->overflow ? 0 : p->bytes[at];
        p->returned[at] = b->output;
        p->of_buffer[at] = unit;
        if (op->apart) {
            p->of_buffer[at] = p->count;
            add_unit(p, p->unit[unit].group, false);
        }
    }
}

static void list_units(struct plan *p, const uint32_t *order, uint32_t count) {
    memset(p->of_buffer, 0xff, ((size_t)p->e->buffer_count + 1) * sizeof *p->of_buffer);
    for (uint32_t i = 0; i < count; i++) {
        const struct fxc_kernel_group *g = &p->m->group[order[i]];
        uint32_t unit = p->of_group[order[i]] = p->count;
        add_unit(p, order[i], true);
        for (uint32_t k = 0; k < g->member_count; k++) {
            place_results(p, &p->e->operation[p->m->member[g->member_begin + k]], unit);
        }
    }
}

/* Who runs before whom, and who reads what. */
static bool relate_units(struct plan *p, struct fxc_arena *arena) {
    const struct fxc_engine *e = p->e;
    struct fxc_pairs edges = {0}, uses = {0};
    for (uint32_t i = 0; i < p->m->count; i++) {
        const struct fxc_operation *op = &e->operation[p->m->order[i]];
        uint32_t unit = p->of_group[p->m->group_of[p->m->order[i]]];
        for (uint32_t k = 0; k < op->write_count + op->read_count; k++) {
            uint32_t at = e->access[op->access_begin + k].buffer, source = p->of_buffer[at];
            if (source != FXC_NONE && source != unit && p->unit[source].group != p->unit[unit].group) {
                fxc_pairs_add(&edges, source, unit);
                fxc_pairs_add(&uses, at, unit);
            }
        }
    }
    for (uint32_t u = 0, kernel = 0; u < p->count; u++) {
        kernel = p->unit[u].kernel ? u : kernel;
        if (!p->unit[u].kernel) {
            fxc_pairs_add(&edges, kernel, u);
        }
    }
    bool ok = fxc_relate(&edges, &p->after, p->count, &p->before, p->count, arena) &&
              fxc_relate(&uses, &p->readers, e->buffer_count, &p->reads, p->count, arena);
    free(edges.pair);
    free(uses.pair);
    return ok;
}

/* ---- the estimate ---------------------------------------------------------------------------------------------------
 */

/* Bytes alive at every step of an order; returns the most. */
static int64_t estimate(struct plan *p, const uint32_t *order, int64_t *alive) {
    memset(alive, 0, ((size_t)p->count + 1) * sizeof *alive);
    for (uint32_t i = 0; i < p->count; i++) {
        p->unit[order[i]].at = i;
    }
    for (uint32_t at = 0; at < p->e->buffer_count; at++) {
        uint32_t maker = p->of_buffer[at];
        if (maker == FXC_NONE) {
            continue;
        }
        uint32_t last = p->unit[maker].at, first = p->unit[p->of_group[p->unit[maker].group]].at;
        for (uint32_t k = p->readers.begin[at]; k < p->readers.begin[at + 1]; k++) {
            uint32_t reader = p->unit[p->readers.target[k]].at;
            last = reader > last ? reader : last;
        }
        alive[first] += p->bytes[at];
        alive[last + 1] -= p->returned[at] ? 0 : p->bytes[at];
    }
    int64_t now = 0, most = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        now += alive[i];
        alive[i] = now;
        most = now > most ? now : most;
    }
    return most;
}

/* ---- orders ---------------------------------------------------------------------------------------------------------
 */

typedef bool (*better_fn)(const struct plan *p, uint32_t a, uint32_t b);

/* topological_sort_lpmf: what fits below the peak so far, else the smallest; of these what leaves least. */
static bool leaves_less(const struct plan *p, uint32_t a, uint32_t b) {
    const struct unit *x = &p->unit[a], *y = &p->unit[b];
    int64_t over_x = x->size > p->room ? x->size : 0, over_y = y->size > p->room ? y->size : 0;
    if (over_x != over_y) {
        return over_x < over_y;
    }
    int64_t left_x = x->size - x->freed, left_y = y->size - y->freed;
    return left_x != left_y ? left_x < left_y : a < b;
}

/* topological_sort_bfs: what waited for the earliest. The places of `before` are sorted when a unit is ready. */
static bool waited_for_earlier(const struct plan *p, uint32_t a, uint32_t b) {
    uint32_t x = p->before.begin[a], y = p->before.begin[b];
    while (x < p->before.begin[a + 1] && y < p->before.begin[b + 1]) {
        uint32_t i = p->unit[p->before.target[x++]].at, j = p->unit[p->before.target[y++]].at;
        if (i != j) {
            return i < j;
        }
    }
    bool end_x = x == p->before.begin[a + 1], end_y = y == p->before.begin[b + 1];
    return end_x != end_y ? end_x : a < b;
}

static void sort_places(struct plan *p, uint32_t unit) {
    uint32_t *target = p->before.target;
    for (uint32_t i = p->before.begin[unit] + 1; i < p->before.begin[unit + 1]; i++) {
        uint32_t moved = target[i], k = i;
        for (; k > p->before.begin[unit] && p->unit[target[k - 1]].at > p->unit[moved].at; k--) {
            target[k] = target[k - 1];
        }
        target[k] = moved;
    }
}

/* Counts of readers before anything has run, and what then is gone after each unit. */
static void start_freeing(struct plan *p) {
    int64_t returned = 0;
    for (uint32_t u = 0; u < p->count; u++) {
        p->unit[u].freed = 0;
    }
    for (uint32_t at = 0; at < p->e->buffer_count; at++) {
        p->left[at] = p->readers.begin[at + 1] - p->readers.begin[at] + p->returned[at];
        returned += p->returned[at] ? p->bytes[at] : 0;
        if (p->of_buffer[at] != FXC_NONE && p->left[at] == 0) {
            p->unit[p->of_buffer[at]].freed += p->bytes[at];
        }
        if (p->left[at] == 1 && !p->returned[at]) {
            p->unit[p->readers.target[p->readers.begin[at]]].freed += p->bytes[at];
        }
    }
    p->room = returned;
}

static void read_last(struct plan *p, uint32_t unit) {
    for (uint32_t k = p->reads.begin[unit]; k < p->reads.begin[unit + 1]; k++) {
        uint32_t at = p->reads.target[k];
        p->left[at]--;
        for (uint32_t r = p->readers.begin[at]; p->left[at] == 1 && r < p->readers.begin[at + 1]; r++) {
            p->unit[p->readers.target[r]].freed += p->bytes[at];
        }
    }
}

/* Runs the best of what is ready until all has run. False when that takes too long. */
static bool run_ready(struct plan *p, better_fn better, uint32_t *ready, uint32_t *order) {
    uint32_t ready_count = 0, comparisons = 0;
    int64_t now = 0, most;
    start_freeing(p);
    most = p->room;
    for (uint32_t u = 0; u < p->count; u++) {
        p->unit[u].waits = p->before.begin[u + 1] - p->before.begin[u];
        if (p->unit[u].waits == 0) {
            ready[ready_count++] = u;
        }
    }
    for (uint32_t done = 0; done < p->count; done++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < ready_count; i++) {
            best = better(p, ready[i], ready[best]) ? i : best;
        }
        comparisons += ready_count;
        if (ready_count == 0 || comparisons > MOST_COMPARISONS) {
            return false;
        }
        uint32_t unit = order[done] = ready[best];
        ready[best] = ready[--ready_count];
        p->unit[unit].at = done;
        now += p->unit[unit].size;
        most = now > most ? now : most;
        now -= p->unit[unit].freed;
        p->room = most - now;
        for (uint32_t k = p->after.begin[unit]; k < p->after.begin[unit + 1]; k++) {
            uint32_t next = p->after.target[k];
            if (--p->unit[next].waits == 0) {
                sort_places(p, next);
                ready[ready_count++] = next;
            }
        }
        read_last(p, unit);
    }
    return true;
}

static int compare_traffic(const void *a, const void *b) {
    const struct traffic *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? -1 : 1;
    }
    return (x->unit > y->unit) - (x->unit < y->unit);
}

/* Bytes that each unit makes and reads, the least first. */
static void sort_by_traffic(struct plan *p, struct traffic *key) {
    for (uint32_t u = 0; u < p->count; u++) {
        key[u] = (struct traffic){p->unit[u].size, u};
        for (uint32_t k = p->reads.begin[u]; k < p->reads.begin[u + 1]; k++) {
            key[u].bytes += p->bytes[p->reads.target[k]];
        }
    }
    qsort(key, p->count, sizeof *key, compare_traffic);
}

/* topological_sort_dfs: units by what they make and read, the least first, each after what it needs. */
static void run_needed(struct plan *p, struct traffic *key, uint32_t *stack, uint32_t *order) {
    uint32_t done = 0, depth = 0;
    sort_by_traffic(p, key);
    for (uint32_t i = 0; i < p->count; i++) {
        p->unit[key[i].unit].at = i;
        p->unit[i].waits = p->before.begin[i]; /* the next that it needs; FXC_NONE: it has run */
    }
    for (uint32_t u = 0; u < p->count; u++) {
        sort_places(p, u);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t first = key[i].unit;
        if (p->unit[first].waits == FXC_NONE) {
            continue;
        }
        stack[depth++] = first;
        while (depth > 0) {
            struct unit *unit = &p->unit[stack[depth - 1]];
            if (unit->waits < p->before.begin[stack[depth - 1] + 1]) {
                uint32_t next = p->before.target[unit->waits++];
                if (p->unit[next].waits != FXC_NONE) {
                    stack[depth++] = next;
                }
            } else {
                unit->waits = FXC_NONE;
                order[done++] = stack[--depth];
            }
        }
    }
}

/* The order of units that is estimated to need least, of equal ones the first. */
static void choose(struct plan *p, uint32_t *best, uint32_t *other, uint32_t *scratch, struct traffic *key,
                   int64_t *alive) {
    int64_t least = estimate(p, best, alive);
    for (uint32_t method = 0; method < 3; method++) {
        if (method == 2) {
            run_needed(p, key, scratch, other);
        } else if (!run_ready(p, method == 0 ? leaves_less : waited_for_earlier, scratch, other)) {
            continue;
        }
        int64_t most = estimate(p, other, alive);
        if (most < least) {
            least = most;
            memcpy(best, other, p->count * sizeof *best);
        }
    }
}

/* Whether an order other than the one at hand is known to be one: what is written in place is read before and after. */
static bool can_reorder(const struct plan *p) {
    bool can = true;
    for (uint32_t i = 0; i < p->m->count; i++) {
        can &= p->e->operation[p->m->order[i]].mutated == FXC_NONE;
    }
    return can;
}

static void write_down(const struct plan *p, const uint32_t *order, struct fxc_schedule *schedule) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct unit *unit = &p->unit[order[i]];
        if (unit->kernel) {
            schedule->step[unit->group] = i;
            schedule->order[count++] = unit->group;
        }
    }
    schedule->steps = p->count;
}

static bool allocate(struct plan *p, uint32_t groups, struct fxc_arena *arena) {
    size_t buffers = (size_t)p->e->buffer_count + 1;
    p->unit = FXC_NEW(arena, struct unit, groups + buffers);
    p->of_group = FXC_NEW(arena, uint32_t, p->m->group_count);
    p->of_buffer = FXC_NEW(arena, uint32_t, buffers);
    p->bytes = FXC_NEW(arena, int64_t, buffers);
    p->returned = FXC_NEW(arena, bool, buffers);
    p->left = FXC_NEW(arena, uint32_t, buffers);
    return p->unit != NULL && p->of_group != NULL && p->of_buffer != NULL && p->bytes != NULL && p->returned != NULL &&
           p->left != NULL;
}

static bool order_units(struct plan *p, struct fxc_schedule *schedule, struct fxc_arena *arena) {
    uint32_t *best = FXC_NEW(arena, uint32_t, p->count), *other = FXC_NEW(arena, uint32_t, p->count);
    uint32_t *scratch = FXC_NEW(arena, uint32_t, p->count);
    struct traffic *key = FXC_NEW(arena, struct traffic, p->count);
    schedule->alive = FXC_NEW(arena, int64_t, (size_t)p->count + 1);
    schedule->step = FXC_NEW(arena, uint32_t, p->m->group_count);
    if (best == NULL || other == NULL || scratch == NULL || key == NULL || schedule->alive == NULL ||
        schedule->step == NULL || !relate_units(p, arena)) {
        return false;
    }
    for (uint32_t u = 0; u < p->count; u++) {
        best[u] = u;
    }
    if (can_reorder(p)) {
        choose(p, best, other, scratch, key, schedule->alive);
    }
    (void)estimate(p, best, schedule->alive);
    write_down(p, best, schedule);
    return true;
}

bool fxc_schedule(struct fxc_merge *merge, struct fxc_schedule *schedule, struct fxc_arena *arena) {
    struct plan p = {.m = merge, .e = merge->e};
    *schedule = (struct fxc_schedule){.order = FXC_NEW(arena, uint32_t, (size_t)merge->count + 1)};
    if (schedule->order == NULL) {
        return false;
    }
    schedule->count = fxc_merge_order(merge, schedule->order);
    if (!merge->e->profile->keeps_memory) {
        return true;
    }
    if (!allocate(&p, schedule->count, arena)) {
        return false;
    }
    list_units(&p, schedule->order, schedule->count);
    return p.overflow || p.total > INT64_MAX / 4 || order_units(&p, schedule, arena);
}
