/* What is alive over kernels: memory is there from the first kernel that touches it to the last.
 *
 * Buffers that only their own kernel uses are never made. Results may be written over a buffer that is read for the
 * last time, at the same elements, as Inductor does it (SchedulerNode.decide_inplace_update of scheduler.py): then both
 * are one memory. Loop nests that share their outer loops are kernels of their own to Inductor until the code is
 * written: what one of them folds for another one is a buffer, what it computes along the inner loop is
 * not (try_outer_loop_fusion_with_local_buf of codegen/cpp.py). All loops between two library kernels become one C++
 * function, before which everything is allocated and after which everything is freed (Scheduler.flush). */
#include "passes/fusion/live.h"

#include <stdlib.h>
#include <string.h>

#include "passes/memory/memory.h"

struct live {
    const struct fxc_merge *m;
    const struct fxc_engine *e;
    struct fxc_fusion *fusion;
    struct fxc_kernel_buffer *buffer;
    uint32_t *left;  /* per buffer: reads that are still to come */
    uint32_t *part;  /* per operation: the loop nest that it runs in, a group */
    uint32_t *stack; /* of groups */
};

/* ---- memory ---------------------------------------------------------------------------------------------------------
 */

uint32_t fxc_memory_of(struct fxc_kernel_buffer *buffer, uint32_t at) {
    while (buffer[at].within != at) {
        buffer[at].within = buffer[buffer[at].within].within; /* chains of results in one memory are long */
        at = buffer[at].within;
    }
    return at;
}

static void touch(struct fxc_kernel_buffer *buffer, uint32_t at, uint32_t kernel) {
    struct fxc_kernel_buffer *memory = &buffer[fxc_memory_of(buffer, at)];
    buffer[at].made = true;
    memory->first = memory->first == FXC_NONE ? kernel : memory->first;
    memory->last = kernel;
    memory->returned |= buffer[at].returned;
}

/* ---- loops ----------------------------------------------------------------------------------------------------------
 */

/* The loop nests of a group with common outer loops: groups without. */
static void mark_parts(struct live *l, uint32_t group) {
    uint32_t depth = 0;
    l->stack[depth++] = group;
    while (depth > 0) {
        uint32_t at = l->stack[--depth];
        const struct fxc_kernel_group *g = &l->m->group[at];
        if (g->parts > 0) {
            l->stack[depth++] = g->from[0];
            l->stack[depth++] = g->from[1];
            continue;
        }
        for (uint32_t i = 0; i < g->member_count; i++) {
            l->part[l->m->member[g->member_begin + i]] = at;
        }
    }
}

static uint32_t rank_of(const struct live *l, uint32_t group) {
    const struct fxc_kernel_group *g = &l->m->group[group];
    return fxc_tuple_length(&l->e->index, g->outer) + fxc_tuple_length(&l->e->index, g->folded);
}

/* Whether nests of a kernel can hand each other rows in memory of the kernel: all have one loop within the common ones.
 */
static bool has_rows(const struct live *l, const struct fxc_kernel_group *g) {
    for (uint32_t i = 0; i < g->member_count; i++) {
        if (rank_of(l, l->part[l->m->member[g->member_begin + i]]) != g->depth + 1) {
            return false;
        }
    }
    return true;
}

/* What one loop nest hands another one within a kernel, and is a buffer all the same. */
static void touch_handed_on(struct live *l, const struct fxc_kernel_group *g, uint32_t kernel) {
    bool rows = has_rows(l, g);
    for (uint32_t i = 0; i < g->member_count; i++) {
        uint32_t reader = l->m->member[g->member_begin + i];
        const struct fxc_operation *op = &l->e->operation[reader];
        for (uint32_t k = 0; k < op->read_count; k++) {
            uint32_t at = l->e->access[op->access_begin + op->write_count + k].buffer;
            uint32_t writer = l->e->buffer[at].operation;
            bool inside = writer != FXC_NONE && l->m->group_of[writer] == l->m->group_of[reader];
            if (inside && l->part[writer] != l->part[reader] &&
                !(rows && l->e->operation[writer].kind == FXC_OPERATION_POINTWISE)) {
                touch(l->buffer, at, kernel);
            }
        }
    }
}

/* ... and is no part of another one. */
static bool is_made(const struct live *l, uint32_t at) {
    return l->buffer[at].made && l->e->buffer[at].within == FXC_NONE;
}

/* Parts of a concatenation are written into all of it, though nothing else may read it. */
static void touch_parts(struct live *l, const struct fxc_kernel_group *g, uint32_t kernel) {
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &l->e->operation[l->m->member[g->member_begin + i]];
        for (uint32_t k = 0; k < op->write_count; k++) {
            uint32_t at = l->e->access[op->access_begin + k].buffer;
            if (l->e->buffer[at].within != FXC_NONE) {
                touch(l->buffer, at, kernel);
            }
        }
    }
}

/* A buffer that is read for the last time, at the elements that are written. */
static bool can_be_written_over(const struct live *l, const struct fxc_operation *op, const struct fxc_access *read,
                                uint32_t out) {
    const struct fxc_buffer *from = &l->e->buffer[read->buffer], *to = &l->e->buffer[out];
    const struct fxc_access *write = &l->e->access[op->access_begin];
    return op->write_count == 1 && read->at != FXC_NONE && read->at == write->at && read->sizes == write->sizes &&
           !from->input && !from->output && !from->written && from->operation != FXC_NONE &&
           l->e->operation[from->operation].kind != FXC_OPERATION_NONE && is_made(l, read->buffer) &&
           l->left[read->buffer] == 1 && from->dtype == to->dtype && from->numel == to->numel;
}

static void write_over(struct live *l, const struct fxc_operation *op) {
    uint32_t out = l->e->access[op->access_begin].buffer;
    if (op->kind >= FXC_OPERATION_EXTERN || op->mutated != FXC_NONE || !is_made(l, out)) {
        return;
    }
    for (uint32_t k = 0; k < op->read_count; k++) {
        const struct fxc_access *read = &l->e->access[op->access_begin + op->write_count + k];
        if (read->buffer != out && can_be_written_over(l, op, read, out)) {
            struct fxc_kernel_buffer *memory = &l->buffer[fxc_memory_of(l->buffer, read->buffer)];
            l->buffer[out].within = read->buffer;
            memory->last = l->buffer[out].last;
            memory->returned |= l->buffer[out].returned;
            return;
        }
    }
}

static void run_kernel(struct live *l, uint32_t group, uint32_t kernel) {
    const struct fxc_kernel_group *g = &l->m->group[group];
    const struct fxc_kernel_row *row = &l->fusion->kernel[kernel];
    mark_parts(l, group);
    for (uint32_t i = 0; i < row->access_count; i++) {
        touch(l->buffer, l->fusion->access[row->access_begin + i].buffer, kernel);
    }
    if (g->parts > 0) {
        touch_handed_on(l, g, kernel);
    }
    touch_parts(l, g, kernel);
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &l->e->operation[l->m->member[g->member_begin + i]];
        if (op->write_count > 0) {
            write_over(l, op);
        }
        for (uint32_t k = 0; k < op->read_count; k++) {
            l->left[l->e->access[op->access_begin + op->write_count + k].buffer]--;
        }
    }
}

static bool start(struct live *l) {
    uint32_t buffers = l->e->buffer_count;
    bool overflow = false;
    l->buffer = calloc((size_t)buffers + 1, sizeof *l->buffer);
    l->left = malloc(((size_t)buffers + 1) * sizeof *l->left);
    l->part = malloc(((size_t)l->e->operation_count + 1) * sizeof *l->part);
    l->stack = malloc(((size_t)l->m->group_count + 2) * sizeof *l->stack);
    if (l->buffer == NULL || l->left == NULL || l->part == NULL || l->stack == NULL) {
        return false;
    }
    memcpy(l->left, l->m->readers, buffers * sizeof *l->left);
    for (uint32_t i = 0; i < buffers; i++) {
        const struct fxc_buffer *b = &l->e->buffer[i];
        l->buffer[i] = (struct fxc_kernel_buffer){.within = b->within == FXC_NONE ? i : b->within,
                                                  .first = FXC_NONE,
                                                  .last = FXC_NONE,
                                                  .given = b->input,
                                                  .returned = b->output};
        overflow |= b->numel > 0 && fxc_bytes_of(b->dtype, b->numel, &l->buffer[i].bytes);
    }
    return !overflow;
}

bool fxc_live_of_loops(const struct fxc_merge *merge, const struct fxc_schedule *schedule, struct fxc_fusion *fusion) {
    struct live l = {.m = merge, .e = merge->e, .fusion = fusion};
    bool ok = start(&l);
    for (uint32_t i = 0, kernel = 0; ok && i < schedule->count; i++) {
        const struct fxc_kernel_group *g = &merge->group[schedule->order[i]];
        if (merge->e->operation[merge->member[g->member_begin]].kind != FXC_OPERATION_NONE) {
            run_kernel(&l, schedule->order[i], kernel++);
        }
    }
    fusion->memory.buffer = l.buffer;
    fusion->memory.buffer_count = l.buffer == NULL ? 0 : merge->e->buffer_count;
    free(l.left);
    free(l.part);
    free(l.stack);
    return ok && (schedule->alive == NULL || fxc_reuse_memory(merge, schedule, fusion));
}

/* ---- nodes ----------------------------------------------------------------------------------------------------------
 */

bool fxc_live_of_nodes(const struct fxc_analysis *analysis, struct fxc_fusion *fusion) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_alias *alias = analysis->alias;
    struct fxc_kernel_buffer *buffer = calloc((size_t)alias->memory_count + 1, sizeof *buffer);
    fusion->memory.buffer = buffer;
    fusion->memory.buffer_count = buffer == NULL ? 0 : alias->memory_count;
    for (uint32_t m = 0; buffer != NULL && m < alias->memory_count; m++) {
        int64_t bytes = fxc_class_bytes(analysis, m);
        buffer[m] = (struct fxc_kernel_buffer){.bytes = bytes > 0 ? bytes : 0,
                                               .within = m,
                                               .first = FXC_NONE,
                                               .last = FXC_NONE,
                                               .given = p->value_producer[alias->memory_origin[m]] == FXC_NONE};
    }
    for (uint32_t o = p->graph_output_begin[fusion->graph];
         buffer != NULL && o < p->graph_output_begin[fusion->graph + 1]; o++) {
        uint32_t value = p->output_kind[o] == FXC_KIND_VALUE ? (uint32_t)p->output_payload[o] : FXC_NONE;
        if (value != FXC_NONE && alias->value_memory[value] != FXC_NONE) {
            buffer[alias->value_memory[value]].returned = true;
        }
    }
    for (uint32_t k = 0; buffer != NULL && k < fusion->kernel_count; k++) {
        const struct fxc_kernel_row *row = &fusion->kernel[k];
        for (uint32_t i = 0; i < row->access_count; i++) {
            touch(buffer, fusion->access[row->access_begin + i].buffer, k);
        }
    }
    return buffer != NULL;
}

/* ---- sums -----------------------------------------------------------------------------------------------------------
 */

/* What the graph is given, each memory once. */
static bool add_given(const struct fxc_analysis *analysis, struct fxc_fusion *fusion, bool *seen) {
    const struct fxc_program *p = analysis->program;
    bool overflow = false;
    for (uint32_t i = p->graph_input_begin[fusion->graph]; i < p->graph_input_begin[fusion->graph + 1]; i++) {
        uint32_t memory = analysis->alias->value_memory[p->input_value[i]];
        if (memory != FXC_NONE && !seen[memory]) {
            int64_t bytes = fxc_class_bytes(analysis, memory);
            seen[memory] = true;
            overflow |= bytes > 0 && fxc_add(fusion->memory.given_bytes, bytes, &fusion->memory.given_bytes);
        }
    }
    return overflow;
}

void fxc_live_ends(const struct fxc_fusion *fusion, uint32_t *end) {
    bool together = fusion->profile->outer_loops; /* of the C++ backend */
    for (uint32_t k = fusion->kernel_count; k-- > 0;) {
        bool on = together && k + 1 < fusion->kernel_count && fusion->kernel[k].kind != FXC_KERNEL_LIBRARY &&
                  fusion->kernel[k + 1].kind != FXC_KERNEL_LIBRARY;
        end[k] = on ? end[k + 1] : k;
    }
}

static bool sweep(struct fxc_fusion *fusion, const uint32_t *end) {
    struct fxc_kernel_memory *memory = &fusion->memory;
    int64_t now = memory->given_bytes;
    bool overflow = false;
    for (uint32_t i = 0; i < memory->buffer_count; i++) {
        memory->buffer[i].within = fxc_memory_of(memory->buffer, i);
    }
    for (uint32_t i = 0; i < memory->buffer_count; i++) { /* births in `most`, deaths in `after` */
        const struct fxc_kernel_buffer *b = &memory->buffer[i];
        if (b->within == i && !b->given && b->first != FXC_NONE) {
            overflow |= fxc_add(memory->most[b->first], b->bytes, &memory->most[b->first]);
            int64_t *death = b->returned ? NULL : &memory->after[end[b->last]];
            overflow |= death != NULL && fxc_add(*death, b->bytes, death);
        }
    }
    memory->peak_bytes = now;
    memory->peak_kernel = FXC_NONE;
    for (uint32_t k = 0; k < fusion->kernel_count && !overflow; k++) {
        memory->before[k] = now;
        overflow |= fxc_add(now, memory->most[k], &memory->most[k]);
        now = memory->most[k] - memory->after[k];
        memory->after[k] = now;
        if (memory->most[k] > memory->peak_bytes || memory->peak_kernel == FXC_NONE) {
            memory->peak_bytes = memory->most[k];
            memory->peak_kernel = k;
        }
    }
    return overflow;
}

fxc_status fxc_live_sum(struct fxc_analysis *analysis, struct fxc_fusion *fusion, fxc_error *err) {
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_fusion];
    struct fxc_kernel_memory *memory = &fusion->memory;
    memory->before = FXC_NEW(arena, int64_t, fusion->kernel_count);
    memory->most = FXC_NEW(arena, int64_t, fusion->kernel_count);
    memory->after = FXC_NEW(arena, int64_t, fusion->kernel_count);
    bool *seen = FXC_NEW(arena, bool, analysis->alias->memory_count);
    uint32_t *end = FXC_NEW(arena, uint32_t, fusion->kernel_count);
    if (memory->before == NULL || memory->most == NULL || memory->after == NULL || seen == NULL || end == NULL) {
        return fxc_fail_memory(err, "fusion");
    }
    fxc_live_ends(fusion, end);
    return add_given(analysis, fusion, seen) || sweep(fusion, end)
               ? fxc_fail(err, FXC_OVERFLOW, "bytes alive under profile %s", fusion->profile->name)
               : FXC_OK;
}
