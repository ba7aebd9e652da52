/* Fusing nodes with what all that is computed from them passes through: its immediate post-dominator, with every path
 * to it (GraphPartitioner of TVM's src/relax/transform/fuse_ops.cc). */
#include "passes/fusion/nodes.h"

/* The nearest node through which both pass; FXC_NONE is the end of the program. */
static uint32_t common(const struct fxc_node_groups *g, uint32_t a, uint32_t b) {
    while (a != b) {
        uint32_t a_depth = a == FXC_NONE ? 0 : g->depth[a - g->first];
        uint32_t b_depth = b == FXC_NONE ? 0 : g->depth[b - g->first];
        if (a_depth >= b_depth) {
            a = g->through[a - g->first];
        } else {
            b = g->through[b - g->first];
        }
    }
    return a;
}

static void pass_through(struct fxc_node_groups *g, uint32_t source, void *context) {
    uint32_t node = *(uint32_t *)context, i = source - g->first;
    g->through[i] = g->is_read[i] ? common(g, g->through[i], node) : node;
    g->is_read[i] = true;
}

void fxc_nodes_dominate(struct fxc_node_groups *g, uint32_t graph) {
    uint32_t end = FXC_NONE;
    for (uint32_t i = 0; i < g->end - g->first; i++) {
        g->through[i] = FXC_NONE;
        g->is_read[i] = false;
    }
    fxc_nodes_each_output(g, graph, pass_through, &end);
    for (uint32_t node = g->end; node-- > g->first;) {
        if (g->runs[node - g->first]) {
            uint32_t next = g->through[node - g->first];
            g->depth[node - g->first] = next == FXC_NONE ? 1 : g->depth[next - g->first] + 1;
            fxc_nodes_each_source(g, node, pass_through, &node);
        }
    }
}

struct path {
    uint32_t from;
    bool meets;
};

static void meet(struct fxc_node_groups *g, uint32_t source, void *context) {
    struct path *path = context;
    path->meets |= source == path->from || (source > path->from && g->stamp[source - g->first] == g->stamps);
}

/* Whether the nodes between allow it; those on the way are stamped. */
static bool path_holds(struct fxc_node_groups *g, const struct fxc_node_rule *rule, uint32_t from, uint32_t to) {
    uint32_t count = g->count[fxc_nodes_root(g, from) - g->first];
    g->stamps++;
    for (uint32_t node = from + 1; node <= to; node++) {
        struct path path = {from, false};
        if (!g->runs[node - g->first]) {
            continue;
        }
        fxc_nodes_each_source(g, node, meet, &path);
        if (!path.meets) {
            continue;
        }
        uint32_t root = fxc_nodes_root(g, node) - g->first;
        uint16_t allowed = node == to ? rule->consumer : rule->group;
        g->stamp[node - g->first] = g->stamps;
        count += root + g->first == fxc_nodes_root(g, from) ? 0 : g->count[root];
        if ((g->kinds[root] & ~allowed) != 0 || count > g->profile->max_nodes ||
            (rule->relation == FXC_RELATION_SAME_ELEMENTS &&
             fxc_nodes_elements(g, node) != fxc_nodes_elements(g, from))) {
            return false;
        }
    }
    return true;
}

void fxc_nodes_fuse_dominated(struct fxc_node_groups *g, const struct fxc_node_rule *rule) {
    for (uint32_t node = g->first; node < g->end; node++) {
        uint32_t to = g->runs[node - g->first] ? g->through[node - g->first] : FXC_NONE;
        uint32_t root = fxc_nodes_root(g, node) - g->first;
        if (to == FXC_NONE || to - node > g->profile->max_nodes || (g->kinds[root] & rule->producer) == 0 ||
            (g->kinds[root] & ~rule->group) != 0 || !path_holds(g, rule, node, to)) {
            continue;
        }
        for (uint32_t on = node + 1; on <= to; on++) {
            if (g->stamp[on - g->first] == g->stamps) {
                fxc_nodes_join(g, node, on);
            }
        }
    }
}
