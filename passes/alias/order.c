/* alias: reads and writes in execution order, and the order edges between nodes that follow from them. */
#include <stdlib.h>
#include <string.h>

#include "passes/alias/walk.h"

static bool grow(void **data, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return true;
    }
    size_t wanted = *capacity < 1024 ? 1024 : *capacity * 2;
    void *grown = wanted > SIZE_MAX / size ? NULL : realloc(*data, wanted * size);
    if (grown == NULL) {
        return false;
    }
    *data = grown;
    *capacity = wanted;
    return true;
}

/* ---- edges ------------------------------------------------------------------------------------------------------- */

/* An edge joins nodes of one graph: ends inside bodies are replaced by the nodes that call these bodies. None between
 * graphs that no graph calls both, and none from a node to itself. */
static bool lift(const struct fxc_order *o, uint32_t *from, uint32_t *to) {
    uint32_t a = o->node_graph[*from], b = o->node_graph[*to];
    while (a != b) {
        bool lift_a = o->graph_depth[a] >= o->graph_depth[b], lift_b = o->graph_depth[b] >= o->graph_depth[a];
        if ((lift_a && o->graph_caller[a] == FXC_NONE) || (lift_b && o->graph_caller[b] == FXC_NONE)) {
            return false;
        }
        if (lift_a) {
            *from = o->graph_caller[a];
            a = o->node_graph[*from];
        }
        if (lift_b) {
            *to = o->graph_caller[b];
            b = o->node_graph[*to];
        }
    }
    return *from != *to;
}

static void add_edge(struct fxc_order *o, uint32_t from, uint32_t to, fxc_dependency kind) {
    if (!lift(o, &from, &to)) {
        return;
    }
    if (!grow((void **)&o->edge, o->edge_count, &o->edge_capacity, sizeof *o->edge)) {
        o->failed = true;
        return;
    }
    o->edge[o->edge_count++] = (struct fxc_edge){from, to, (uint8_t)kind};
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void add_event(struct fxc_order *o, uint32_t *chain, uint32_t node) {
    size_t capacity = o->event_capacity;
    if ((*chain != 0 && o->event[*chain - 1].node == node) || o->failed) {
        return;
    }
    if (o->event_count == UINT32_MAX - 1 || !grow((void **)&o->event, o->event_count, &capacity, sizeof *o->event)) {
        o->failed = true;
        return;
    }
    o->event_capacity = capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)capacity;
    o->event[o->event_count++] = (struct fxc_event){node, *chain};
    *chain = o->event_count;
}

/* Edges from every event of a chain, which is then empty: each event gives one edge in all. */
static void take_events(struct fxc_order *o, uint32_t *chain, uint32_t node, fxc_dependency kind) {
    for (uint32_t event = *chain; event != 0; event = o->event[event - 1].next) {
        add_edge(o, o->event[event - 1].node, node, kind);
    }
    *chain = 0;
}

void fxc_order_read(struct fxc_order *o, uint32_t node, uint32_t memory) {
    struct fxc_memory_state *m = &o->memory[memory];
    if (m->last_write != 0) {
        add_edge(o, m->last_write - 1, node, FXC_DEPENDENCY_READ_AFTER_WRITE);
    }
    add_event(o, &m->readers, node);
}

/* Taking a view reads no element, but sizes and strides: it must stay before a later unsqueeze_. */
void fxc_order_view(struct fxc_order *o, uint32_t node, uint32_t memory) {
    add_event(o, &o->memory[memory].views, node);
}

void fxc_order_write(struct fxc_order *o, struct fxc_write write) {
    struct fxc_memory_state *m = &o->memory[write.memory];
    size_t capacity = o->write_capacity;
    if (m->last_write != 0) {
        add_edge(o, m->last_write - 1, write.node, FXC_DEPENDENCY_WRITE_AFTER_WRITE);
    }
    take_events(o, &m->readers, write.node, FXC_DEPENDENCY_WRITE_AFTER_READ);
    if (write.metadata) {
        take_events(o, &m->views, write.node, FXC_DEPENDENCY_WRITE_AFTER_READ);
    } else {
        m->version++;
        m->last_data_write = write.node + 1;
    }
    m->last_write = write.node + 1;
    write.version = m->version;
    if (!grow((void **)&o->write, o->write_count, &capacity, sizeof *o->write) || capacity > UINT32_MAX) {
        o->failed = true;
        return;
    }
    o->write_capacity = (uint32_t)capacity;
    o->write[o->write_count++] = write;
}

/* ---- from edges to dependencies ---------------------------------------------------------------------------------- */

/* Sorts by `to`, then `from`: two stable counting sorts. begin has a word per node and one more. */
static void sort_edges(struct fxc_order *o, struct fxc_edge *other, uint32_t *begin, uint32_t nodes) {
    for (int pass = 0; pass < 2; pass++) {
        struct fxc_edge *in = pass == 0 ? o->edge : other, *out = pass == 0 ? other : o->edge;
        memset(begin, 0, ((size_t)nodes + 1) * sizeof *begin);
        for (size_t i = 0; i < o->edge_count; i++) {
            begin[(pass == 0 ? in[i].from : in[i].to) + 1]++;
        }
        for (uint32_t n = 0; n < nodes; n++) {
            begin[n + 1] += begin[n];
        }
        for (size_t i = 0; i < o->edge_count; i++) {
            out[begin[pass == 0 ? in[i].from : in[i].to]++] = in[i];
        }
    }
}

struct stamps {
    const struct fxc_program *p;
    uint32_t *shown; /* per node: the last node + 1 that uses its result */
};

static void stamp_value(struct stamps *s, uint32_t node, uint32_t value) {
    uint32_t producer = s->p->value_producer[value];
    if (producer != FXC_NONE) {
        s->shown[producer] = node + 1;
    }
}

static void stamp_list(struct stamps *s, uint32_t node, uint32_t list) {
    for (uint32_t i = s->p->list_begin[list]; i < s->p->list_begin[list + 1]; i++) {
        if (s->p->item_kind[i] == FXC_KIND_VALUE) {
            stamp_value(s, node, (uint32_t)s->p->item_payload[i]);
        } else if (fxc_holds_list(s->p->item_kind[i])) {
            stamp_list(s, node, (uint32_t)s->p->item_payload[i]);
        }
    }
}

static void stamp_arguments(struct stamps *s, uint32_t node) {
    for (uint32_t a = s->p->node_arg_begin[node]; a < s->p->node_arg_begin[node + 1]; a++) {
        if (s->p->arg_kind[a] == FXC_KIND_VALUE) {
            stamp_value(s, node, (uint32_t)s->p->arg_payload[a]);
        } else if (fxc_holds_list(s->p->arg_kind[a])) {
            stamp_list(s, node, (uint32_t)s->p->arg_payload[a]);
        }
    }
}

/* Keeps of the sorted edges one per pair of nodes, of the strongest kind, and none that an argument shows. */
static void keep_edges(struct fxc_order *o, struct stamps *s, struct fxc_alias *alias) {
    uint32_t nodes = FXC_COUNT(o->p, node), kept = 0;
    size_t i = 0;
    for (uint32_t n = 0; n < nodes; n++) {
        alias->dep_begin[n] = kept;
        if (i < o->edge_count && o->edge[i].to == n) {
            stamp_arguments(s, n);
        }
        for (; i < o->edge_count && o->edge[i].to == n; i++) {
            uint32_t from = o->edge[i].from;
            if (kept > alias->dep_begin[n] && alias->dep[kept - 1] == from) {
                alias->dep_kind[kept - 1] =
                    o->edge[i].kind < alias->dep_kind[kept - 1] ? o->edge[i].kind : alias->dep_kind[kept - 1];
            } else if (s->shown[from] != n + 1) {
                alias->dep[kept] = from;
                alias->dep_kind[kept++] = o->edge[i].kind;
            }
        }
    }
    alias->dep_begin[nodes] = kept;
}

fxc_status fxc_order_finish(struct fxc_order *o, struct fxc_arena *arena, struct fxc_arena *scratch,
                            struct fxc_alias *alias, fxc_error *err) {
    uint32_t nodes = FXC_COUNT(o->p, node);
    struct stamps s = {o->p, FXC_NEW(scratch, uint32_t, nodes)};
    struct fxc_edge *other = FXC_NEW(scratch, struct fxc_edge, o->edge_count);
    uint32_t *begin = FXC_NEW(scratch, uint32_t, (size_t)nodes + 1);
    alias->dep = FXC_NEW(arena, uint32_t, o->edge_count);
    alias->dep_kind = FXC_NEW(arena, uint8_t, o->edge_count);
    alias->dep_begin = FXC_NEW(arena, uint32_t, (size_t)nodes + 1);
    alias->write = FXC_NEW(arena, struct fxc_write, o->write_count);
    if (o->failed || o->edge_count > UINT32_MAX || s.shown == NULL || other == NULL || begin == NULL ||
        alias->dep == NULL || alias->dep_kind == NULL || alias->dep_begin == NULL || alias->write == NULL) {
        return fxc_fail_memory(err, "alias");
    }
    if (o->write_count > 0) {
        memcpy(alias->write, o->write, o->write_count * sizeof *o->write);
    }
    alias->write_count = o->write_count;
    if (o->edge_count > 0) {
        sort_edges(o, other, begin, nodes);
    }
    keep_edges(o, &s, alias);
    return FXC_OK;
}

void fxc_order_free(struct fxc_order *o) {
    free(o->event);
    free(o->edge);
    free(o->write);
}
