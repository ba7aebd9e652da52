/* tree: how often each graph runs in one run of graph 0.
 *
 * A graph-valued argument calls that graph. How often one execution of the calling node runs it is the row's policy
 * (BODY in ir/row_macros.h): once (wrappers), as often as the scanned dimension is long (map, scan), as often as the
 * user says (while_loop, whose trip count is data and a symbol of the program), or, of several branches, only the
 * dearer one unless the user gives a probability (cond). A node whose number of runs is not known runs its bodies an
 * unknown number of times: they are in no total, and the node is reported as unknown. */
#include <string.h>

#include "ir/ops.h"
#include "passes/flops/rules.h"

/* Work of one run of a graph, with that of the graphs it calls. */
struct work {
    int64_t flops, unknown; /* FLOPs; nodes without a formula */
};

struct walk {
    const struct fxc_analysis *analysis;
    const struct fxc_program *p;
    struct fxc_tree *tree;
    uint32_t *callers; /* per graph: calls not yet followed */
    uint32_t *order;   /* graphs, callers before callees */
    uint32_t order_count;
    struct work *work; /* per graph */
    bool counting;     /* false while graphs are sorted: only then is it known what a branch costs */
};

/* A node's call of one graph. */
struct call {
    uint32_t node, callee, arg;
    int64_t times; /* in one execution of the node, in units of the tree; 0 when it is not known, or another branch is
                      counted */
};

typedef fxc_status (*call_fn)(struct walk *walk, uint32_t caller, const struct call *call, fxc_error *err);

static fxc_status overflow(const struct walk *walk, uint32_t node, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, walk->p, node);
    fxc_expected(err, "numbers of executions and FLOPs that fit in 64 bits");
    return status;
}

static bool is_dearer(const struct work *a, const struct work *b) {
    return a->unknown != b->unknown ? a->unknown > b->unknown : a->flops > b->flops;
}

/* The branch that counts: one with operators without a formula before one without, so that they show; else the one with
 * more FLOPs; else the first. */
static uint32_t dearer_branch(const struct walk *walk, uint32_t node) {
    const struct fxc_program *p = walk->p;
    uint32_t best = FXC_NONE;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint32_t graph = (uint32_t)p->arg_payload[a];
        if (p->arg_kind[a] == FXC_KIND_GRAPH &&
            (best == FXC_NONE || is_dearer(&walk->work[graph], &walk->work[best]))) {
            best = graph;
        }
    }
    return best;
}

static bool is_named(const struct walk *walk, uint32_t arg, const char *name) {
    const struct fxc_program *p = walk->p;
    return strcmp(fxc_string(p, p->argname_text[p->arg_name[arg]]), name) == 0;
}

/* Share of a branch in units: by the node's probability, where one is given. */
static int64_t branch_times(const struct walk *walk, const struct call *call) {
    const int32_t *probability = walk->analysis->probability;
    if (probability == NULL || probability[call->node] < 0) {
        return dearer_branch(walk, call->node) == call->callee ? walk->tree->unit : 0;
    }
    bool taken = is_named(walk, call->arg, "true_fn");
    return taken ? probability[call->node] : walk->tree->unit - probability[call->node];
}

/* A loop asks before every trip and once more after the last. */
static bool loop_times(const struct walk *walk, const struct fxc_rule *rule, const struct call *call, int64_t *out) {
    if (walk->analysis->single_trip == call->node) {
        *out = 1;
        return true;
    }
    return fxc_rule_int(rule, FXC_NAME_trips, -1, out) && *out >= 0 &&
           !fxc_add(*out, is_named(walk, call->arg, "cond_fn"), out);
}

static fxc_status times_of(const struct walk *walk, const struct call *call, int64_t *out, fxc_error *err) {
    const struct fxc_op_row *row = fxc_node_row(walk->p, call->node);
    *out = 0;
    if (row == NULL || row->flops != FXC_FLOPS_body ||
        walk->analysis->flops->coverage[call->node] == FXC_COVERAGE_UNKNOWN) {
        return FXC_OK;
    }
    struct fxc_rule rule = {
        .program = walk->p, .shapes = walk->analysis->shapes, .bindings = walk->analysis->bindings, .node = call->node};
    int64_t runs = 1;
    if (row->params[0] == FXC_BODY_dearer) {
        *out = branch_times(walk, call);
        return FXC_OK;
    }
    if ((row->params[0] == FXC_BODY_length && !fxc_body_length(&rule, &runs)) ||
        (row->params[0] == FXC_BODY_trips && !loop_times(walk, &rule, call, &runs))) {
        runs = 0;
    }
    return fxc_mul(runs, walk->tree->unit, out) ? overflow(walk, call->node, err) : FXC_OK;
}

/* Calls fn for every graph that a node calls. */
static fxc_status for_each_call(struct walk *walk, uint32_t graph, uint32_t node, call_fn fn, fxc_error *err) {
    const struct fxc_program *p = walk->p;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_GRAPH) {
            uint32_t callee = (uint32_t)p->arg_payload[a];
            struct call call = {.node = node, .callee = callee, .arg = a};
            if (walk->counting) {
                FXC_TRY(times_of(walk, &call, &call.times, err));
            }
            FXC_TRY(fn(walk, graph, &call, err));
        }
    }
    return FXC_OK;
}

static fxc_status for_each_call_in(struct walk *walk, uint32_t graph, call_fn fn, fxc_error *err) {
    for (uint32_t node = walk->p->graph_node_begin[graph]; node < walk->p->graph_node_begin[graph + 1]; node++) {
        FXC_TRY(for_each_call(walk, graph, node, fn, err));
    }
    return FXC_OK;
}

/* ---- callers before callees
 * ------------------------------------------------------------------------------------------ */

static fxc_status count_caller(struct walk *walk, uint32_t caller, const struct call *call, fxc_error *err) {
    (void)caller;
    (void)err;
    walk->callers[call->callee]++;
    return FXC_OK;
}

static fxc_status release(struct walk *walk, uint32_t caller, const struct call *call, fxc_error *err) {
    (void)caller;
    (void)err;
    if (--walk->callers[call->callee] == 0) {
        walk->order[walk->order_count++] = call->callee;
    }
    return FXC_OK;
}

/* Verified programs have no cycle of calls, so every graph gets its place. */
static fxc_status sort_graphs(struct walk *walk, fxc_error *err) {
    uint32_t graphs = FXC_COUNT(walk->p, graph);
    for (uint32_t graph = 0; graph < graphs; graph++) {
        FXC_TRY(for_each_call_in(walk, graph, count_caller, err));
    }
    for (uint32_t graph = 0; graph < graphs; graph++) {
        if (walk->callers[graph] == 0) {
            walk->order[walk->order_count++] = graph;
        }
    }
    for (uint32_t i = 0; i < walk->order_count; i++) {
        FXC_TRY(for_each_call_in(walk, walk->order[i], release, err));
    }
    return FXC_OK;
}

/* ---- work of graphs, callees first
 * ------------------------------------------------------------------------------------- */

static fxc_status add_callee(struct walk *walk, uint32_t caller, const struct call *call, fxc_error *err) {
    const struct work *callee = &walk->work[call->callee];
    struct work *sum = &walk->work[caller], scaled;
    int64_t unit = walk->tree->unit;
    if (fxc_scale(callee->flops, call->times, unit, &scaled.flops) ||
        fxc_scale(callee->unknown, call->times, unit, &scaled.unknown) ||
        fxc_add(sum->flops, scaled.flops, &sum->flops) || fxc_add(sum->unknown, scaled.unknown, &sum->unknown)) {
        return overflow(walk, call->node, err);
    }
    return FXC_OK;
}

static fxc_status add_up_graph(struct walk *walk, uint32_t graph, fxc_error *err) {
    const struct fxc_flops *flops = walk->analysis->flops;
    struct work *sum = &walk->work[graph];
    for (uint32_t node = walk->p->graph_node_begin[graph]; node < walk->p->graph_node_begin[graph + 1]; node++) {
        sum->unknown += flops->coverage[node] == FXC_COVERAGE_UNKNOWN;
        if (fxc_add(sum->flops, flops->counts[node].matrix_flops, &sum->flops) ||
            fxc_add(sum->flops, flops->counts[node].vector_flops, &sum->flops)) {
            return overflow(walk, node, err);
        }
    }
    return for_each_call_in(walk, graph, add_callee, err);
}

/* ---- executions, callers first
 * ------------------------------------------------------------------------------------------ */

static fxc_status run_callee(struct walk *walk, uint32_t caller, const struct call *call, fxc_error *err) {
    struct fxc_tree *tree = walk->tree;
    int64_t times;
    if (tree->graph_owner[call->callee] == FXC_NONE) {
        tree->graph_owner[call->callee] = call->node;
    }
    if (fxc_scale(call->times, tree->graph_times[caller], tree->unit, &times) ||
        fxc_add(tree->graph_times[call->callee], times, &tree->graph_times[call->callee])) {
        return overflow(walk, call->node, err);
    }
    return FXC_OK;
}

static fxc_status allocate(struct walk *walk, struct fxc_arena *arena, fxc_error *err) {
    uint32_t graphs = FXC_COUNT(walk->p, graph);
    walk->tree = FXC_NEW(arena, struct fxc_tree, 1);
    walk->callers = FXC_NEW(arena, uint32_t, graphs);
    walk->order = FXC_NEW(arena, uint32_t, graphs);
    walk->work = FXC_NEW(arena, struct work, graphs);
    if (walk->tree == NULL || walk->callers == NULL || walk->order == NULL || walk->work == NULL) {
        return fxc_fail_memory(err, "tree");
    }
    walk->tree->graph_times = FXC_NEW(arena, int64_t, graphs);
    walk->tree->graph_owner = FXC_NEW(arena, uint32_t, graphs);
    return walk->tree->graph_times == NULL || walk->tree->graph_owner == NULL ? fxc_fail_memory(err, "tree") : FXC_OK;
}

fxc_status fxc_run_tree(struct fxc_analysis *analysis, fxc_error *err) {
    struct walk walk = {.analysis = analysis, .p = analysis->program};
    FXC_TRY(allocate(&walk, &analysis->arena[FXC_FACT_tree], err));
    walk.tree->unit = analysis->probability == NULL ? 1 : FXC_PROBABILITY_UNIT;
    FXC_TRY(sort_graphs(&walk, err));
    walk.counting = true;
    for (uint32_t i = walk.order_count; i-- > 0;) {
        FXC_TRY(add_up_graph(&walk, walk.order[i], err));
    }
    for (uint32_t graph = 0; graph < FXC_COUNT(walk.p, graph); graph++) {
        walk.tree->graph_owner[graph] = FXC_NONE;
    }
    walk.tree->graph_times[0] = walk.tree->unit;
    for (uint32_t i = 0; i < walk.order_count; i++) {
        FXC_TRY(for_each_call_in(&walk, walk.order[i], run_callee, err));
    }
    analysis->tree = walk.tree;
    return FXC_OK;
}
