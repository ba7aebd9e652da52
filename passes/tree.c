/* tree: how often each graph runs in one run of graph 0.
 *
 * A graph-valued argument calls that graph. An operator with a row in ops.def whose FLOP rule makes a claim (wrappers
 * such as wrap_with_autocast) runs its body once per execution; any other (cond, while_loop, scan, ...) runs it an
 * unknown number of times, and so do the graphs that such a body calls. */
#include "ir/ops.h"
#include "ir/rules.h"
#include "passes/analysis.h"

struct walk {
    const struct fxc_program *p;
    struct fxc_tree *tree;
    uint32_t *callers; /* per graph: calls not yet followed */
    uint32_t *ready;   /* stack of graphs whose callers are all followed */
    uint32_t ready_count;
};

typedef fxc_status (*call_fn)(struct walk *walk, uint32_t caller, uint32_t node, uint32_t callee, fxc_error *err);

/* Calls fn for every graph that the nodes of `graph` call. */
static fxc_status for_each_call(struct walk *walk, uint32_t graph, call_fn fn, fxc_error *err) {
    const struct fxc_program *p = walk->p;
    for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
        for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
            if (p->arg_kind[a] == FXC_KIND_GRAPH) {
                FXC_TRY(fn(walk, graph, node, (uint32_t)p->arg_payload[a], err));
            }
        }
    }
    return FXC_OK;
}

static fxc_status count_caller(struct walk *walk, uint32_t caller, uint32_t node, uint32_t callee, fxc_error *err) {
    (void)caller;
    (void)node;
    (void)err;
    walk->callers[callee]++;
    return FXC_OK;
}

static fxc_status follow(struct walk *walk, uint32_t caller, uint32_t node, uint32_t callee, fxc_error *err) {
    struct fxc_tree *tree = walk->tree;
    const struct fxc_op_row *row = fxc_node_row(walk->p, node);
    bool once = row != NULL && row->flops != FXC_FLOPS_UNKNOWN;
    if (tree->graph_times[caller] > 0 || !tree->graph_known[caller]) {
        if (tree->graph_owner[callee] == FXC_NONE) {
            tree->graph_owner[callee] = node;
        }
        if (!once || !tree->graph_known[caller]) {
            tree->graph_known[callee] = 0;
        }
    }
    if (once && fxc_add(tree->graph_times[callee], tree->graph_times[caller], &tree->graph_times[callee])) {
        fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, walk->p, node);
        fxc_expected(err, "a number of executions that fits in 64 bits");
        return status;
    }
    if (--walk->callers[callee] == 0) {
        walk->ready[walk->ready_count++] = callee;
    }
    return FXC_OK;
}

fxc_status fxc_run_tree(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_tree];
    uint32_t graphs = FXC_COUNT(p, graph);
    struct fxc_tree *tree = FXC_NEW(arena, struct fxc_tree, 1);
    struct walk walk = {p, tree, FXC_NEW(arena, uint32_t, graphs), FXC_NEW(arena, uint32_t, graphs), 0};
    if (tree == NULL || walk.callers == NULL || walk.ready == NULL) {
        return fxc_fail_memory(err, "tree");
    }
    tree->graph_times = FXC_NEW(arena, int64_t, graphs);
    tree->graph_known = FXC_NEW(arena, uint8_t, graphs);
    tree->graph_owner = FXC_NEW(arena, uint32_t, graphs);
    if (tree->graph_times == NULL || tree->graph_known == NULL || tree->graph_owner == NULL) {
        return fxc_fail_memory(err, "tree");
    }
    for (uint32_t g = 0; g < graphs; g++) {
        tree->graph_known[g] = 1;
        tree->graph_owner[g] = FXC_NONE;
        FXC_TRY(for_each_call(&walk, g, count_caller, err));
    }
    tree->graph_times[0] = 1;
    for (uint32_t g = 0; g < graphs; g++) {
        if (walk.callers[g] == 0) {
            walk.ready[walk.ready_count++] = g;
        }
    }
    while (walk.ready_count > 0) {
        FXC_TRY(for_each_call(&walk, walk.ready[--walk.ready_count], follow, err));
    }
    analysis->tree = tree;
    return FXC_OK;
}
