/* The node engine: in program order, each node joins the groups of what it reads, where a rule of the profile lets it.
 */
#include "passes/fusion/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "ir/ops.h"
#include "passes/alias/alias.h"
#include "passes/fusion/live.h"
#include "passes/traffic/touch.h"

uint32_t fxc_nodes_root(struct fxc_node_groups *g, uint32_t node) {
    while (g->parent[node - g->first] != node) {
        g->parent[node - g->first] = g->parent[g->parent[node - g->first] - g->first];
        node = g->parent[node - g->first];
    }
    return node;
}

/* ---- what reads what ------------------------------------------------------------------------------------------------
 */

/* The node that computes a value, through views and elements of lists; FXC_NONE for an input. */
static uint32_t source_of(const struct fxc_node_groups *g, uint32_t value) {
    const struct fxc_alias *alias = g->analysis->alias;
    uint32_t memory = alias->value_memory[value], node = g->p->value_producer[value];
    if (memory != FXC_NONE) {
        node = g->p->value_producer[alias->memory_origin[memory]];
    }
    return node != FXC_NONE && node >= g->first && node < g->end ? node : FXC_NONE;
}

struct source_walk {
    struct fxc_node_groups *g;
    void (*each)(struct fxc_node_groups *, uint32_t, void *);
    void *context;
};

static void visit_source(uint32_t value, void *context) {
    const struct source_walk *walk = context;
    uint32_t source = source_of(walk->g, value);
    if (source != FXC_NONE) {
        walk->each(walk->g, source, walk->context);
    }
}

void fxc_nodes_each_source(struct fxc_node_groups *g, uint32_t node,
                           void (*each)(struct fxc_node_groups *, uint32_t, void *), void *context) {
    struct source_walk walk = {g, each, context};
    for (uint32_t a = g->p->node_arg_begin[node]; a < g->p->node_arg_begin[node + 1]; a++) {
        fxc_each_value(g->p, g->p->arg_kind[a], g->p->arg_payload[a], visit_source, &walk);
    }
}

void fxc_nodes_each_output(struct fxc_node_groups *g, uint32_t graph,
                           void (*each)(struct fxc_node_groups *, uint32_t, void *), void *context) {
    struct source_walk walk = {g, each, context};
    for (uint32_t o = g->p->graph_output_begin[graph]; o < g->p->graph_output_begin[graph + 1]; o++) {
        fxc_each_value(g->p, g->p->output_kind[o], g->p->output_payload[o], visit_source, &walk);
    }
}

static void count_use(struct fxc_node_groups *g, uint32_t source, void *context) {
    const uint32_t *node = context;
    if (g->stamp[source - g->first] != *node + 2) {
        g->stamp[source - g->first] = *node + 2;
        g->use_count[source - g->first]++;
    }
}

static void count_uses(struct fxc_node_groups *g, uint32_t graph) {
    for (uint32_t node = g->first; node < g->end; node++) {
        if (g->runs[node - g->first]) {
            fxc_nodes_each_source(g, node, count_use, &node);
        }
    }
    uint32_t output = FXC_NONE - 2;
    fxc_nodes_each_output(g, graph, count_use, &output);
}

/* ---- rules ----------------------------------------------------------------------------------------------------------
 */

static uint16_t kind_of(const struct fxc_node_groups *g, uint32_t node) {
    const struct fxc_op_row *row = fxc_node_row(g->p, node);
    if (row == NULL) {
        bool pointwise = (g->p->op_tags[g->p->node_op[node]] & FXC_OP_TAG_POINTWISE) != 0;
        return pointwise ? 1u << FXC_FUSE_POINTWISE : 1u << FXC_FUSE_OPAQUE;
    }
    return (uint16_t)(1u << row->fuse);
}

int64_t fxc_nodes_elements(const struct fxc_node_groups *g, uint32_t node) {
    uint32_t result = g->p->node_result[node];
    return g->p->value_kind[result] == FXC_KIND_TENSOR ? g->analysis->shapes->numel[result] : -1;
}

static bool rule_holds(struct fxc_node_groups *g, const struct fxc_node_rule *rule, uint32_t source, uint32_t node) {
    uint32_t root = fxc_nodes_root(g, source) - g->first;
    if ((kind_of(g, source) & rule->producer) == 0 || (g->kinds[root] & ~rule->group) != 0 ||
        (kind_of(g, node) & rule->consumer) == 0 ||
        (rule->users == FXC_USERS_ONE && g->use_count[source - g->first] != 1)) {
        return false;
    }
    switch ((enum fxc_node_relation)rule->relation) {
    case FXC_RELATION_SAME_ELEMENTS:
        return fxc_nodes_elements(g, source) == fxc_nodes_elements(g, node);
    case FXC_RELATION_SAME_RUN:
        return g->span[source - g->first] == g->span[node - g->first];
    case FXC_RELATION_ANY:
    case FXC_RELATION_COUNT:
        break;
    }
    return true;
}

/* ---- order ----------------------------------------------------------------------------------------------------------
 */

struct search {
    uint32_t sought, apart, lowest, depth;
    bool found;
};

static void visit(struct fxc_node_groups *g, uint32_t source, void *context) {
    struct search *s = context;
    uint32_t root = fxc_nodes_root(g, source);
    if (root == s->sought) {
        s->found = true;
    } else if (root != s->apart && g->stamp[root - g->first] != g->stamps) {
        g->stamp[root - g->first] = g->stamps;
        g->stack[s->depth++] = root;
    }
}

/* Whether something outside both groups must run after a and before b. */
static bool lies_between(struct fxc_node_groups *g, uint32_t a, uint32_t b) {
    struct search s = {.sought = FXC_NONE, .apart = b, .lowest = g->lowest[a - g->first]};
    g->stamps++;
    g->stamp[a - g->first] = g->stamps; /* a itself is not searched from b */
    for (uint32_t member = b; member != FXC_NONE; member = g->next[member - g->first]) {
        fxc_nodes_each_source(g, member, visit, &s);
    }
    s.sought = a;
    while (s.depth > 0 && !s.found) {
        uint32_t root = g->stack[--s.depth];
        for (uint32_t member = root; member != FXC_NONE && !s.found; member = g->next[member - g->first]) {
            if (member > s.lowest) {
                fxc_nodes_each_source(g, member, visit, &s);
            }
        }
    }
    return s.found;
}

/* ---- joining --------------------------------------------------------------------------------------------------------
 */

void fxc_nodes_join(struct fxc_node_groups *g, uint32_t a, uint32_t b) {
    uint32_t x = fxc_nodes_root(g, a), y = fxc_nodes_root(g, b);
    if (x == y) {
        return;
    }
    if (g->count[x - g->first] < g->count[y - g->first]) {
        uint32_t other = x;
        x = y;
        y = other;
    }
    g->parent[y - g->first] = x;
    g->next[g->last[x - g->first] - g->first] = y;
    g->last[x - g->first] = g->last[y - g->first];
    g->count[x - g->first] += g->count[y - g->first];
    g->kinds[x - g->first] |= g->kinds[y - g->first];
    if (g->lowest[y - g->first] < g->lowest[x - g->first]) {
        g->lowest[x - g->first] = g->lowest[y - g->first];
    }
}

static bool any_rule_holds(struct fxc_node_groups *g, uint32_t source, uint32_t node) {
    bool holds = false;
    for (uint32_t r = 0; r < FXC_NODE_RULES && !holds; r++) {
        const struct fxc_node_rule *rule = &g->profile->rule[r];
        holds = rule->producer != 0 && rule->users != FXC_USERS_DOMINATED &&
                rule_holds(g, &g->profile->rule[r], source, node);
    }
    return holds;
}

static void try_join(struct fxc_node_groups *g, uint32_t source, void *context) {
    uint32_t node = *(uint32_t *)context, a = fxc_nodes_root(g, source), b = fxc_nodes_root(g, node);
    if (a == b || !g->runs[source - g->first] ||
        g->count[a - g->first] + g->count[b - g->first] > g->profile->max_nodes) {
        return;
    }
    if (any_rule_holds(g, source, node) && !lies_between(g, a, b) && !lies_between(g, b, a)) {
        fxc_nodes_join(g, a, b);
    }
}

static void group_nodes(struct fxc_node_groups *g) {
    uint32_t first = FXC_NONE;
    for (uint32_t node = g->first; node < g->end; node++) {
        if (!g->runs[node - g->first]) {
            continue;
        }
        if (g->profile->everything) {
            first = first == FXC_NONE ? node : first;
            fxc_nodes_join(g, first, node);
        } else {
            fxc_nodes_each_source(g, node, try_join, &node);
        }
    }
    for (uint32_t r = 0; r < FXC_NODE_RULES; r++) {
        if (g->profile->rule[r].users == FXC_USERS_DOMINATED) {
            fxc_nodes_fuse_dominated(g, &g->profile->rule[r]);
        }
    }
}

/* ---- the run --------------------------------------------------------------------------------------------------------
 */

static void ignore(struct fxc_touch_sink *sink, uint32_t value, int64_t bytes, bool written) {
    (void)sink;
    (void)value;
    (void)bytes;
    (void)written;
}

static void describe_nodes(struct fxc_node_groups *g) {
    uint32_t span = 0;
    for (uint32_t node = g->first; node < g->end; node++) {
        uint32_t i = node - g->first;
        struct fxc_touch_sink sink = {.tensor = ignore};
        g->parent[i] = g->last[i] = g->lowest[i] = node;
        g->next[i] = FXC_NONE;
        g->count[i] = 1;
        g->kinds[i] = kind_of(g, node);
        g->runs[i] = fxc_touch_node(g->analysis, node, &sink);
        bool fusible = (g->kinds[i] & g->profile->fusible) != 0;
        span += g->runs[i] && !fusible;
        g->span[i] = span;
    }
}

static bool allocate(struct fxc_node_groups *g, struct fxc_arena *arena) {
    uint32_t nodes = g->end - g->first + 1;
    g->parent = FXC_NEW(arena, uint32_t, nodes);
    g->next = FXC_NEW(arena, uint32_t, nodes);
    g->last = FXC_NEW(arena, uint32_t, nodes);
    g->lowest = FXC_NEW(arena, uint32_t, nodes);
    g->count = FXC_NEW(arena, uint32_t, nodes);
    g->kinds = FXC_NEW(arena, uint16_t, nodes);
    g->runs = FXC_NEW(arena, bool, nodes);
    g->span = FXC_NEW(arena, uint32_t, nodes);
    g->stamp = FXC_NEW(arena, uint32_t, nodes);
    g->stack = FXC_NEW(arena, uint32_t, nodes);
    g->use_count = FXC_NEW(arena, uint32_t, nodes);
    g->through = FXC_NEW(arena, uint32_t, nodes);
    g->depth = FXC_NEW(arena, uint32_t, nodes);
    g->is_read = FXC_NEW(arena, bool, nodes);
    return g->parent != NULL && g->next != NULL && g->last != NULL && g->lowest != NULL && g->count != NULL &&
           g->kinds != NULL && g->runs != NULL && g->span != NULL && g->stamp != NULL && g->stack != NULL &&
           g->use_count != NULL && g->through != NULL && g->depth != NULL && g->is_read != NULL;
}

static void note_read(struct fxc_node_groups *g, uint32_t source, void *context) {
    uint32_t *sought = context;
    (void)g;
    if (source == *sought) {
        *sought = FXC_NONE;
    }
}

enum fxc_node_reason fxc_nodes_reason(struct fxc_node_groups *g, uint32_t source, uint32_t node) {
    uint32_t a = fxc_nodes_root(g, source), b = fxc_nodes_root(g, node), sought = source;
    if (g->profile->everything) {
        return FXC_NODES_EVERYTHING;
    }
    if (a == b) {
        return FXC_NODES_RULE;
    }
    if (g->profile->max_nodes == 1) {
        return FXC_NODES_ALONE;
    }
    fxc_nodes_each_source(g, node, note_read, &sought);
    if (sought != FXC_NONE) {
        return FXC_NODES_NOT_NEIGHBOURS;
    }
    return any_rule_holds(g, source, node) ? FXC_NODES_BETWEEN : FXC_NODES_NO_RULE;
}

fxc_status fxc_nodes_group(struct fxc_analysis *analysis, uint32_t graph, struct fxc_node_groups *g, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    *g = (struct fxc_node_groups){.analysis = analysis,
                                  .p = p,
                                  .profile = analysis->profile,
                                  .first = p->graph_node_begin[graph],
                                  .end = p->graph_node_begin[graph + 1]};
    if (!allocate(g, &analysis->arena[FXC_FACT_fusion])) {
        return fxc_fail_memory(err, "fusion");
    }
    describe_nodes(g);
    count_uses(g, graph);
    memset(g->stamp, 0, (g->end - g->first) * sizeof *g->stamp);
    fxc_nodes_dominate(g, graph);
    group_nodes(g);
    return FXC_OK;
}

fxc_status fxc_nodes_run(struct fxc_analysis *analysis, struct fxc_fusion *fusion, fxc_error *err) {
    struct fxc_node_groups g;
    FXC_TRY(fxc_nodes_group(analysis, fusion->graph, &g, err));
    FXC_TRY(fxc_nodes_account(&g, fusion, err));
    return fxc_live_of_nodes(analysis, fusion) ? FXC_OK : fxc_fail_memory(err, "fusion");
}
