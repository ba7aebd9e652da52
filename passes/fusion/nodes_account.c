/* What kernels of whole nodes read, write and compute. Memory that a kernel makes and nothing else reads costs nothing;
 * of other memory each element counts once. */
#include <stdlib.h>
#include <string.h>

#include "passes/alias/alias.h"
#include "passes/fusion/nodes.h"
#include "passes/grow.h"
#include "passes/traffic/touch.h"

struct account {
    struct fxc_touch_sink sink;
    struct fxc_node_groups *g;
    struct fxc_fusion *out;
    uint32_t member_count, access_count, member_capacity, access_capacity;
    bool *external;  /* per memory class: read by another kernel than the one that makes it, or returned */
    uint32_t *entry; /* per memory class: its access in the kernel at hand, plus 1 */
    uint32_t *newest,
        *before;   /* per memory class and per value: values of the class that the kernel has read, a list */
    uint32_t root; /* of the kernel at hand */
    struct fxc_kernel_row *kernel;
    bool failed;
};

/* The root of the group that makes a memory class, FXC_NONE for an input. */
static uint32_t maker(const struct account *a, uint32_t memory) {
    uint32_t node = a->g->p->value_producer[a->g->analysis->alias->memory_origin[memory]];
    return node == FXC_NONE || node < a->g->first || node >= a->g->end ? FXC_NONE : fxc_nodes_root(a->g, node);
}

static void note_external(struct fxc_touch_sink *sink, uint32_t value, int64_t bytes, bool written) {
    struct account *a = (struct account *)sink;
    uint32_t memory = a->g->analysis->alias->value_memory[value];
    (void)bytes;
    if (memory != FXC_NONE && !written && maker(a, memory) != a->root) {
        a->external[memory] = true;
    }
}

static void note_output(uint32_t value, void *context) {
    struct account *a = context;
    uint32_t memory = a->g->analysis->alias->value_memory[value];
    if (memory != FXC_NONE) {
        a->external[memory] = true;
    }
}

/* Bytes of everything in a memory class. */
static int64_t class_bytes(struct account *a, uint32_t memory) {
    const struct fxc_shapes *s = a->g->analysis->shapes;
    uint32_t value = a->g->analysis->alias->memory_origin[memory];
    int64_t elements = s->numel[value], bytes = 0;
    for (uint32_t d = 0; d < s->rank[value] && elements > 0; d++) {
        int64_t size = s->size[s->dim_begin[value] + d];
        if (s->stride[s->dim_begin[value] + d] == 0 && size > 1) {
            elements /= size;
        }
    }
    a->sink.overflow |= elements > 0 && fxc_bytes_of(s->dtype[value], elements, &bytes);
    return bytes;
}

/* Whether two values go over the same elements of their memory, in whatever order. */
static bool same_elements(const struct fxc_shapes *s, uint32_t a, uint32_t b) {
    uint64_t matched = 0;
    uint32_t left = 0;
    if (s->offset[a] != s->offset[b] || s->numel[a] != s->numel[b] || s->rank[a] > 64) {
        return false;
    }
    const int64_t *size = s->size + s->dim_begin[a], *stride = s->stride + s->dim_begin[a];
    for (uint32_t d = 0; d < s->rank[a]; d++) {
        left += size[d] != 1;
    }
    for (uint32_t d = 0; d < s->rank[b]; d++) {
        int64_t other = s->size[s->dim_begin[b] + d], step = s->stride[s->dim_begin[b] + d];
        uint32_t at = 0;
        while (other != 1 && at < s->rank[a] &&
               ((matched >> at & 1u) != 0 || size[at] != other || stride[at] != step)) {
            at++;
        }
        if (other != 1 && at == s->rank[a]) {
            return false;
        }
        if (other != 1) {
            matched |= (uint64_t)1 << at;
            left--;
        }
    }
    return left == 0;
}

/* Whether the kernel at hand has read these elements already, as this value or another view; else notes them. */
static bool is_repeated(struct account *a, uint32_t memory, uint32_t value) {
    for (uint32_t v = a->newest[memory]; v != FXC_NONE; v = a->before[v]) {
        if (same_elements(a->g->analysis->shapes, v, value)) {
            return true;
        }
    }
    a->before[value] = a->newest[memory];
    a->newest[memory] = value;
    return false;
}

static void touch(struct fxc_touch_sink *sink, uint32_t value, int64_t bytes, bool written) {
    struct account *a = (struct account *)sink;
    uint32_t memory = a->g->analysis->alias->value_memory[value];
    if (memory == FXC_NONE) {
        return;
    }
    bool own = maker(a, memory) == a->root;
    if (own && (!written || !a->external[memory])) {
        return;
    }
    if (a->entry[memory] <= a->kernel->access_begin || a->entry[memory] > a->access_count) {
        if (!FXC_ROOM(a->out->access, a->access_capacity, a->access_count + 1)) {
            a->failed = true;
            return;
        }
        uint32_t origin = a->g->analysis->alias->memory_origin[memory];
        a->out->access[a->access_count] = (struct fxc_kernel_access){
            .value = origin, .node = a->g->p->value_producer[origin], .buffer = memory, .whole = -1};
        a->entry[memory] = ++a->access_count;
        a->newest[memory] = FXC_NONE;
    }
    if (!written && is_repeated(a, memory, value)) {
        return;
    }
    struct fxc_kernel_access *access = &a->out->access[a->entry[memory] - 1];
    access->written |= written;
    sink->overflow |= fxc_add(access->exact, bytes, &access->exact);
}

static void add_counts(struct account *a, struct fxc_kernel_row *k, uint32_t node) {
    const fxc_counts *c = &a->g->analysis->flops->counts[node];
    const struct fxc_traffic *t = a->g->analysis->traffic;
    int64_t flops;
    a->sink.overflow |= fxc_add(k->matrix_flops, c->matrix_flops, &k->matrix_flops) ||
                        fxc_add(k->vector_flops, c->vector_flops, &k->vector_flops) ||
                        fxc_add(k->transcendentals, c->transcendentals, &k->transcendentals) ||
                        fxc_add(c->matrix_flops, c->vector_flops, &flops) ||
                        fxc_add(k->executed_flops, flops, &k->executed_flops) ||
                        fxc_add(k->eager_bytes, t->bytes_read[node], &k->eager_bytes) ||
                        fxc_add(k->eager_bytes, t->bytes_written[node], &k->eager_bytes);
    k->executed_transcendentals = k->transcendentals;
}

/* Bytes are capped at what there is: two views of one tensor may go over the same elements. */
static void finish_bytes(struct account *a, struct fxc_kernel_row *k) {
    k->access_count = a->access_count - k->access_begin;
    for (uint32_t i = 0; i < k->access_count; i++) {
        struct fxc_kernel_access *access = &a->out->access[k->access_begin + i];
        int64_t most = class_bytes(a, access->buffer);
        access->exact = access->exact < most ? access->exact : most;
        int64_t *sum = access->written ? &k->written : &k->read;
        a->sink.overflow |= fxc_add(*sum, access->exact, sum);
    }
}

static void account_group(struct account *a, uint32_t root) {
    struct fxc_node_groups *g = a->g;
    struct fxc_kernel_row *k = &a->out->kernel[a->out->kernel_count];
    *k = (struct fxc_kernel_row){.kind = FXC_KERNEL_NODES,
                                 .member_begin = a->member_count,
                                 .member_count = g->count[root - g->first],
                                 .access_begin = a->access_count,
                                 .operations = g->count[root - g->first],
                                 .whole_bytes = -1};
    if (!FXC_ROOM(a->out->member, a->member_capacity, a->member_count + k->member_count)) {
        a->failed = true;
        return;
    }
    for (uint32_t node = root; node != FXC_NONE; node = g->next[node - g->first]) {
        a->out->member[a->member_count++] = node;
        a->out->home[node] = a->out->kernel_count;
        add_counts(a, k, node);
    }
    a->root = root;
    a->kernel = k;
    a->sink.tensor = touch;
    for (uint32_t i = 0; i < k->member_count; i++) {
        (void)fxc_touch_node(g->analysis, a->out->member[k->member_begin + i], &a->sink);
    }
    finish_bytes(a, k);
    a->out->kernel_count++;
}

/* ---- the order of kernels -------------------------------------------------------------------------------------------
 */

struct walk {
    struct fxc_node_groups *g;
    uint32_t depth;
};

static void push(struct fxc_node_groups *g, uint32_t source, void *context) {
    struct walk *w = context;
    uint32_t root = fxc_nodes_root(g, source);
    if (g->stamp[root - g->first] == 0) {
        g->stamp[root - g->first] = 1;
        g->stack[w->depth++] = root;
    }
}

/* Accounts for a group once all that it reads from have been: stamps 0 not seen, 1 on the stack, 2 open, 3 done. */
static void account_from(struct account *a, uint32_t root) {
    struct fxc_node_groups *g = a->g;
    struct walk w = {g, 0};
    push(g, root, &w);
    while (w.depth > 0 && !a->failed) {
        uint32_t top = g->stack[w.depth - 1];
        if (g->stamp[top - g->first] == 2) {
            g->stamp[top - g->first] = 3;
            w.depth--;
            account_group(a, top);
            continue;
        }
        if (g->stamp[top - g->first] == 3) {
            w.depth--;
            continue;
        }
        g->stamp[top - g->first] = 2;
        for (uint32_t node = top; node != FXC_NONE; node = g->next[node - g->first]) {
            fxc_nodes_each_source(g, node, push, &w);
        }
    }
}

fxc_status fxc_nodes_account(struct fxc_node_groups *g, struct fxc_fusion *fusion, fxc_error *err) {
    uint32_t classes = g->analysis->alias->memory_count + 1, nodes = g->end - g->first;
    struct account a = {.g = g, .out = fusion};
    a.external = calloc(classes, sizeof *a.external);
    a.entry = calloc(classes, sizeof *a.entry);
    a.newest = calloc(classes, sizeof *a.newest);
    a.before = calloc((size_t)FXC_COUNT(g->p, value) + 1, sizeof *a.before);
    fusion->kernel = calloc((size_t)nodes + 1, sizeof *fusion->kernel);
    bool memory =
        a.external != NULL && a.entry != NULL && a.newest != NULL && a.before != NULL && fusion->kernel != NULL;
    a.sink.tensor = note_external;
    for (uint32_t node = g->first; memory && node < g->end; node++) {
        a.root = fxc_nodes_root(g, node);
        (void)fxc_touch_node(g->analysis, node, &a.sink);
    }
    for (uint32_t o = g->p->graph_output_begin[fusion->graph];
         memory && o < g->p->graph_output_begin[fusion->graph + 1]; o++) {
        fxc_each_value(g->p, g->p->output_kind[o], g->p->output_payload[o], note_output, &a);
    }
    memset(g->stamp, 0, nodes * sizeof *g->stamp);
    for (uint32_t node = g->first; memory && node < g->end && !a.failed; node++) {
        if (g->runs[node - g->first] && g->stamp[fxc_nodes_root(g, node) - g->first] == 0) {
            account_from(&a, fxc_nodes_root(g, node));
        }
    }
    free(a.external);
    free(a.entry);
    free(a.newest);
    free(a.before);
    if (!memory || a.failed) {
        return fxc_fail_memory(err, "fusion");
    }
    if (a.sink.overflow) {
        return fxc_fail(err, FXC_OVERFLOW, "kernels under profile %s", g->profile->name);
    }
    return FXC_OK;
}
