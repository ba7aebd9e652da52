/* What kernels read, write and compute: bytes by buffer, and FLOPs with and without recomputation. */
#include "passes/fusion/account.h"

#include <stdlib.h>
#include <string.h>

#include "passes/fusion/footprint.h"
#include "passes/fusion/group.h"
#include "passes/fusion/live.h"

struct account {
    struct fxc_merge *m;
    struct fxc_engine *e;
    struct fxc_fusion *out;
    uint32_t member_count, access_count, size_count;
    uint32_t member_capacity, run_capacity, access_capacity, size_capacity;
    int64_t *executed;   /* per node of the graph: FLOPs, over all kernels */
    uint32_t *stamp;     /* per node: the kernel that last listed it, plus 1 */
    uint32_t *place;     /* and where it is among the members */
    uint32_t *remaining; /* per buffer: readers outside the kernel at hand */
};

/* ---- bytes ----------------------------------------------------------------------------------------------------------
 */

/* A buffer that nothing but the kernel itself reads. */
static bool is_internal(const struct account *a, const struct fxc_kernel_group *g, uint32_t group, uint32_t buffer) {
    const struct fxc_buffer *b = &a->e->buffer[buffer];
    if (b->operation == FXC_NONE || b->output || g->member_count == 1 || a->m->group_of[b->operation] != group) {
        return false;
    }
    return a->remaining[buffer] == 0;
}

/* Elements of a buffer that exist: a dimension of stride 0 repeats one. */
static int64_t distinct_elements(const struct fxc_engine *e, const struct fxc_buffer *b) {
    int64_t elements = b->numel;
    for (uint32_t d = 0; d < b->rank; d++) {
        int64_t size = e->size[b->shape + d];
        if (e->size[b->strides + d] == 0 && size > 1) {
            elements /= size;
        }
    }
    return elements;
}

/* Elements that one access goes over. */
static int64_t access_elements(struct fxc_engine *e, const struct fxc_access *access, const struct fxc_operation *op) {
    const struct fxc_buffer *b = &e->buffer[access->buffer];
    int64_t elements = 1;
    if (access->at == FXC_NONE) {
        int64_t reach = 0;
        bool reads = false;
        for (uint32_t i = 0; i < op->input_count; i++) {
            if (e->number[op->input_begin + i] == access->buffer) {
                e->overflowed |= fxc_add(reach, e->size[op->reach_begin + i], &reach);
                reads = true;
            }
        }
        return reads ? reach : b->numel;
    }
    bool loaded = e->index.row[access->at].loaded;
    const uint32_t *size = fxc_tuple_items(&e->index, access->sizes);
    for (uint32_t d = 0; d < fxc_tuple_length(&e->index, access->sizes); d++) {
        if (loaded || (e->index.row[access->at].variables >> d & 1u) != 0) {
            e->overflowed |= fxc_mul(elements, e->index.row[size[d]].offset, &elements);
        }
    }
    return elements;
}

/* What a kernel does to one buffer. */
struct touch {
    const struct fxc_access *access; /* NULL for a dependence */
    uint32_t buffer, count;          /* count: distinct accesses */
    int64_t elements;
    int64_t copied, reread; /* of these */
    bool written, strided;
};

static int compare_touch(const void *a, const void *b) {
    const struct touch *x = a, *y = b;
    return x->buffer < y->buffer ? -1 : x->buffer > y->buffer;
}

/* Why an access is apart from those of nodes that run for the first time: it makes or reads a copy, or what it reads is
 * for nodes that an earlier kernel has computed. */
static void set_apart(const struct account *a, const struct fxc_operation *op, const struct fxc_access *access,
                      bool written, struct touch *touch) {
    const struct fxc_buffer *b = &a->e->buffer[access->buffer];
    uint32_t kernel = a->out->kernel_count;
    if (op->copies || b->partial || (written && b->copy)) {
        touch->copied = touch->elements;
    } else if (!written && access->first != 0 && a->out->home[access->first - 1] != kernel &&
               a->out->home[access->last - 1] != kernel) {
        touch->reread = touch->elements;
    }
}

/* Whether it is known which elements an access goes over: of one under a condition, when it goes over all of them. */
static bool is_placed(const struct touch *touch) {
    return touch->access != NULL && (touch->access->most == 0 || touch->access->most == touch->elements);
}

/* Accesses of the same part of a buffer, in another order, cost it once; of several those that are not apart. Whole
 * buffers are seen to later. */
static void drop_repeated(const struct fxc_engine *e, struct touch *touch, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        struct touch *now = &touch[i];
        for (uint32_t k = i; k-- > 0 && touch[k].buffer == now->buffer;) {
            struct touch *old = &touch[k];
            if (old->elements == 0 || old->elements != now->elements || !is_placed(old) || !is_placed(now) ||
                now->elements >= e->buffer[now->buffer].numel || !fxc_same_footprint(e, old->access, now->access)) {
                continue;
            }
            old->copied = old->copied < now->copied ? old->copied : now->copied;
            old->reread = old->reread < now->reread ? old->reread : now->reread;
            now->elements = now->copied = now->reread = 0;
        }
    }
}

/* Adds up the accesses of a group by buffer. */
static uint32_t touches(struct account *a, const struct fxc_kernel_group *g, struct touch *touch) {
    struct fxc_engine *e = a->e;
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &e->operation[a->m->member[g->member_begin + i]];
        for (uint32_t k = 0; k < op->write_count + op->read_count; k++) {
            const struct fxc_access *access = &e->access[op->access_begin + k];
            int64_t elements = access_elements(e, access, op);
            if (e->index.row[access->at == FXC_NONE ? 0 : access->at].loaded && elements > op->points) {
                elements = op->points;
            }
            elements = access->most != 0 && access->most < elements ? access->most : elements;
            touch[count] = (struct touch){.access = access,
                                          .buffer = access->buffer,
                                          .count = 1,
                                          .elements = elements,
                                          .written = k < op->write_count,
                                          .strided = fxc_is_strided(e, access, op)};
            set_apart(a, op, access, k < op->write_count, &touch[count++]);
        }
        if (op->mutated != FXC_NONE) { /* which Inductor counts as read: a dependence on what was there */
            touch[count++] = (struct touch){.buffer = op->mutated, .count = 1};
        }
    }
    qsort(touch, count, sizeof *touch, compare_touch);
    drop_repeated(e, touch, count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept > 0 && touch[kept - 1].buffer == touch[i].buffer) {
            e->overflowed |= fxc_add(touch[kept - 1].elements, touch[i].elements, &touch[kept - 1].elements);
            touch[kept - 1].copied += touch[i].copied; /* at most as much as the sum, which is checked */
            touch[kept - 1].reread += touch[i].reread;
            touch[kept - 1].count++;
            touch[kept - 1].written |= touch[i].written;
            touch[kept - 1].strided |= touch[i].strided;
        } else {
            touch[kept++] = touch[i];
        }
    }
    return kept;
}

static bool add_access(struct account *a, struct fxc_kernel_row *kernel, struct fxc_kernel_access access) {
    if (!FXC_ROOM(a->out->access, a->access_capacity, a->access_count + 1)) {
        a->e->failed = true;
        return false;
    }
    a->out->access[a->access_count++] = access;
    kernel->access_count++;
    return true;
}

/* What a buffer costs beyond the accesses that are not apart, copies first. */
static void add_apart(struct account *a, struct fxc_kernel_row *kernel, const struct touch *touch, int64_t distinct,
                      uint8_t dtype) {
    int64_t all = touch->elements < distinct ? touch->elements : distinct;
    int64_t own = touch->elements - touch->copied - touch->reread, bytes = 0;
    int64_t apart = all - (own < all ? own : all), copied = touch->copied < apart ? touch->copied : apart;
    a->e->overflowed |= fxc_bytes_of(dtype, copied, &bytes) || fxc_add(kernel->copied, bytes, &kernel->copied);
    a->e->overflowed |= fxc_bytes_of(dtype, apart - copied, &bytes) || fxc_add(kernel->reread, bytes, &kernel->reread);
}

/* Bytes of a kernel. As Inductor counts them, a kernel of one loop nest reads no more than it has points for, and any
 * other kernel reads whole buffers (BaseSchedulerNode.get_read_write_buffer_accesses of scheduler.py). */
static void account_bytes(struct account *a, uint32_t group, struct fxc_kernel_row *kernel) {
    struct fxc_engine *e = a->e;
    const struct fxc_kernel_group *g = &a->m->group[group];
    uint32_t total = 0;
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &e->operation[a->m->member[g->member_begin + i]];
        total += op->write_count + op->read_count + 1;
        for (uint32_t k = 0; k < op->read_count; k++) {
            a->remaining[e->access[op->access_begin + op->write_count + k].buffer]--;
        }
    }
    struct touch *touch = malloc(((size_t)total + 1) * sizeof *touch);
    if (touch == NULL) {
        e->failed = true;
        return;
    }
    const struct fxc_operation *first = &e->operation[a->m->member[g->member_begin]];
    total = touches(a, g, touch);
    for (uint32_t i = 0; i < total; i++) {
        const struct fxc_buffer *b = &e->buffer[touch[i].buffer];
        int64_t distinct = distinct_elements(e, b), whole = b->charged, most, exact;
        if (is_internal(a, g, group, touch[i].buffer)) {
            continue;
        }
        if (g->member_count == 1 && !g->fixed && !fxc_mul(first->points, touch[i].count, &most) && most < whole) {
            whole = most;
        }
        bool unread = touch[i].written && !b->output && a->m->readers[touch[i].buffer] == 0;
        if (unread && e->operation[b->operation].effect) {
            continue; /* an assertion keeps nothing */
        }
        bool unused = g->fixed && first->output_count > 1 && unread;
        exact = touch[i].elements < distinct ? touch[i].elements : distinct;
        e->overflowed |= fxc_bytes_of(b->dtype, exact, &exact) || fxc_bytes_of(b->dtype, unused ? 0 : whole, &whole) ||
                         fxc_add(kernel->whole_bytes, whole, &kernel->whole_bytes);
        add_apart(a, kernel, &touch[i], distinct, b->dtype);
        int64_t *sum = touch[i].written ? &kernel->written : &kernel->read;
        e->overflowed |= fxc_add(*sum, exact, sum);
        (void)add_access(a, kernel,
                         (struct fxc_kernel_access){b->value, b->node, touch[i].buffer, touch[i].written,
                                                    touch[i].strided, exact, a->e->profile->inductor ? whole : -1});
    }
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &e->operation[a->m->member[g->member_begin + i]];
        for (uint32_t k = 0; k < op->read_count; k++) {
            a->remaining[e->access[op->access_begin + op->write_count + k].buffer]++;
        }
    }
    free(touch);
}

/* ---- members and work -----------------------------------------------------------------------------------------------
 */

static void add_member(struct account *a, struct fxc_kernel_row *kernel, uint32_t node) {
    uint32_t *stamp = &a->stamp[node - a->e->first_node];
    if (*stamp == a->out->kernel_count + 1) {
        return;
    }
    *stamp = a->out->kernel_count + 1;
    if (!FXC_ROOM(a->out->member, a->member_capacity, a->member_count + 1) ||
        !FXC_ROOM(a->out->run, a->run_capacity, a->member_count + 1)) {
        a->e->failed = true;
        return;
    }
    a->place[node - a->e->first_node] = a->member_count;
    a->out->run[a->member_count] = (struct fxc_kernel_run){.node = node};
    a->out->member[a->member_count++] = node;
    kernel->member_count++;
    if (a->out->home[node] == FXC_NONE) {
        a->out->home[node] = a->out->kernel_count;
    }
}

/* FLOPs of part 0 of a node, as often as the loops compute it. */
static void add_work(struct account *a, struct fxc_kernel_row *kernel, const struct fxc_work *work, int64_t points) {
    const fxc_counts *counts = &a->e->analysis->flops->counts[work->node];
    int64_t flops, scaled, transcendentals, unit = work->points > 0 ? work->points : 1;
    if (work->part != 0) {
        return;
    }
    a->e->overflowed |=
        fxc_add(counts->matrix_flops, counts->vector_flops, &flops) || fxc_scale(flops, points, unit, &scaled) ||
        fxc_add(kernel->executed_flops, scaled, &kernel->executed_flops) ||
        fxc_add(a->executed[work->node - a->e->first_node], scaled, &a->executed[work->node - a->e->first_node]) ||
        fxc_scale(counts->transcendentals, points, unit, &transcendentals) ||
        fxc_add(kernel->executed_transcendentals, transcendentals, &kernel->executed_transcendentals);
    if (!a->e->failed && !a->e->overflowed) {
        struct fxc_kernel_run *run = &a->out->run[a->place[work->node - a->e->first_node]];
        a->e->overflowed |= fxc_add(run->flops, scaled, &run->flops) || fxc_add(run->points, points, &run->points);
    }
}

/* Whether an operation before `upto` computes the same part at the same elements in the same loops. */
static bool is_computed(const struct account *a, const struct fxc_kernel_group *g, uint32_t upto,
                        const struct fxc_operation *op, const struct fxc_work *work) {
    for (uint32_t i = 0; i < upto; i++) {
        const struct fxc_operation *other = &a->e->operation[a->m->member[g->member_begin + i]];
        if (other->points != op->points) {
            continue;
        }
        for (uint32_t k = 0; k < other->body.work_count; k++) {
            const struct fxc_work *have = &a->e->work[other->body.work_begin + k];
            if (have->node == work->node && have->part == work->part && have->at == work->at) {
                return true;
            }
        }
    }
    return false;
}

static void account_work(struct account *a, const struct fxc_kernel_group *g, struct fxc_kernel_row *kernel) {
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &a->e->operation[a->m->member[g->member_begin + i]];
        if (op->kind == FXC_OPERATION_EXTERN) {
            struct fxc_work own = {.node = op->node, .points = 1};
            add_member(a, kernel, op->node);
            add_work(a, kernel, &own, 1);
            continue;
        }
        for (uint32_t k = 0; k < op->body.work_count; k++) {
            const struct fxc_work *work = &a->e->work[op->body.work_begin + k];
            add_member(a, kernel, work->node);
            if (!is_computed(a, g, i, op, work)) {
                add_work(a, kernel, work, op->points);
            }
        }
        if (op->body.work_count == 0) {
            add_member(a, kernel, op->node); /* a copy that this node asks for */
        }
    }
}

static uint32_t add_sizes(struct account *a, uint32_t tuple) {
    const struct fxc_index_table *t = &a->e->index;
    uint32_t rank = fxc_tuple_length(t, tuple);
    if (!FXC_ROOM(a->out->size, a->size_capacity, a->size_count + rank + 1)) {
        a->e->failed = true;
        return 0;
    }
    for (uint32_t d = 0; d < rank; d++) {
        a->out->size[a->size_count++] = t->row[fxc_tuple_items(t, tuple)[d]].offset;
    }
    return rank;
}

static void account_group(struct account *a, uint32_t group) {
    const struct fxc_kernel_group *g = &a->m->group[group];
    struct fxc_kernel_row kernel = {.member_begin = a->member_count,
                                    .access_begin = a->access_count,
                                    .size_begin = a->size_count,
                                    .operations = g->member_count};
    kernel.kind = g->fixed       ? FXC_KERNEL_LIBRARY
                  : g->parts > 0 ? FXC_KERNEL_OUTER_LOOP
                  : g->reduces   ? FXC_KERNEL_REDUCTION
                                 : FXC_KERNEL_POINTWISE;
    kernel.outer_rank = g->fixed ? 0 : add_sizes(a, g->outer);
    kernel.folded_rank = g->fixed ? 0 : add_sizes(a, g->folded);
    account_work(a, g, &kernel);
    account_bytes(a, group, &kernel);
    if (!a->e->profile->inductor) {
        kernel.whole_bytes = -1;
    }
    a->out->kernel[a->out->kernel_count++] = kernel;
}

/* FLOPs of each node once, at its first kernel; of a node that runs only in part, as many as run. */
static void account_unique(struct account *a) {
    const struct fxc_analysis *analysis = a->e->analysis;
    for (uint32_t node = a->e->first_node; node < a->e->end_node; node++) {
        if (a->out->home[node] == FXC_NONE) {
            continue;
        }
        struct fxc_kernel_row *kernel = &a->out->kernel[a->out->home[node]];
        const fxc_counts *counts = &analysis->flops->counts[node];
        int64_t executed = a->executed[node - a->e->first_node], flops = counts->matrix_flops + counts->vector_flops;
        int64_t run = executed < flops ? executed : flops;
        int64_t matrix = counts->matrix_flops < run ? counts->matrix_flops : run;
        a->e->overflowed |= fxc_add(kernel->matrix_flops, matrix, &kernel->matrix_flops) ||
                            fxc_add(kernel->vector_flops, run - matrix, &kernel->vector_flops) ||
                            fxc_add(kernel->transcendentals, counts->transcendentals, &kernel->transcendentals) ||
                            fxc_add(kernel->eager_bytes, analysis->traffic->bytes_read[node], &kernel->eager_bytes) ||
                            fxc_add(kernel->eager_bytes, analysis->traffic->bytes_written[node], &kernel->eager_bytes);
    }
}

/* Marks what a node makes for itself alone: the sum that its mean divides, parts of a sum. */
static void mark_partial(struct fxc_engine *e) {
    for (uint32_t i = 0; i < e->operation_count; i++) {
        const struct fxc_operation *op = &e->operation[i];
        for (uint32_t k = 0; k < op->read_count && op->output_count > 0; k++) {
            struct fxc_buffer *b = &e->buffer[e->access[op->access_begin + op->write_count + k].buffer];
            uint32_t node = e->buffer[e->number[op->output_begin]].node;
            b->partial |= b->value == FXC_NONE && !b->copy && b->node != FXC_NONE && b->node == node;
        }
    }
}

fxc_status fxc_account(struct fxc_merge *m, struct fxc_fusion *fusion, fxc_error *err) {
    struct fxc_engine *e = m->e;
    struct account a = {.m = m, .e = e, .out = fusion};
    uint32_t nodes = e->end_node - e->first_node + 1;
    a.executed = calloc(nodes, sizeof *a.executed);
    a.stamp = calloc(nodes, sizeof *a.stamp);
    a.place = calloc(nodes, sizeof *a.place);
    a.remaining = malloc(((size_t)e->buffer_count + 1) * sizeof *a.remaining);
    fusion->kernel = calloc((size_t)m->count + 1, sizeof *fusion->kernel);
    struct fxc_arena scratch = {0};
    struct fxc_schedule schedule;
    bool memory = fxc_schedule(m, &schedule, &scratch) && a.executed != NULL && a.stamp != NULL && a.place != NULL &&
                  a.remaining != NULL && fusion->kernel != NULL;
    if (memory) {
        mark_partial(e);
        memcpy(a.remaining, m->readers, e->buffer_count * sizeof *a.remaining);
        for (uint32_t i = 0; i < schedule.count && !e->failed; i++) {
            const struct fxc_kernel_group *g = &m->group[schedule.order[i]];
            if (e->operation[m->member[g->member_begin]].kind != FXC_OPERATION_NONE) {
                account_group(&a, schedule.order[i]);
            }
        }
        account_unique(&a);
        memory = e->failed || fxc_live_of_loops(m, &schedule, fusion);
    }
    fxc_arena_free(&scratch);
    free(a.executed);
    free(a.stamp);
    free(a.place);
    free(a.remaining);
    return memory && !e->failed ? FXC_OK : fxc_fail_memory(err, "fusion");
}
