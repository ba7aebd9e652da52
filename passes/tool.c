/* tool: applies the rows of a convention. Each count lands on one node: the operator, or the node that does most inside
 * the module call or function that the tool looks at; sums by module, class and operator follow from there. */
#include "passes/tool.h"

#include <stdlib.h>
#include <string.h>

#include "passes/convention/convention.h"

static const fxc_convention_rule rules[FXC_CONVENTION_RULE_COUNT] = {
#define X(name) [FXC_COUNT_##name] = fxc_count_##name,
    FXC_CONVENTION_RULE_LIST(X)
#undef X
};

struct walk {
    const struct fxc_analysis *analysis;
    const struct fxc_program *p;
    const struct fxc_convention *convention;
    struct fxc_tool *tool;
    struct fxc_tool_index index;
    struct fxc_arena *arena;
    const struct fxc_convention_row **call_row; /* per call: the row of its module that counts, NULL for none */
    uint32_t op_room;
};

/* ---- what a row matches -------------------------------------------------------------------------------------------
 */

/* "aten.conv2d" of "aten.conv2d.default"; the whole name where there is no overload. */
static size_t packet_length(const char *op) {
    const char *first = strchr(op, '.'), *last = strrchr(op, '.');
    return first == last ? strlen(op) : (size_t)(last - op);
}

static bool matches(const struct fxc_convention_row *row, enum fxc_sight sight, const char *name, size_t length) {
    return row->sight == sight && strlen(row->name) == length && strncmp(row->name, name, length) == 0;
}

static const struct fxc_convention_row *find_row(const struct fxc_convention *convention, enum fxc_sight sight,
                                                 const char *name, size_t length) {
    for (uint32_t i = 0; i < convention->rows; i++) {
        if (matches(&convention->row[i], sight, name, length)) {
            return &convention->row[i];
        }
    }
    return NULL;
}

static const struct fxc_convention_row *operator_row(const struct fxc_convention *convention, const char *op) {
    const struct fxc_convention_row *row = find_row(convention, FXC_SIGHT_OPERATOR, op, strlen(op));
    return row != NULL ? row : find_row(convention, FXC_SIGHT_OPERATOR, op, packet_length(op));
}

static const struct fxc_convention_row *module_row(const struct walk *walk, uint32_t module) {
    static const char layers[] = "torch.nn.modules.";
    const char *name = fxc_string(walk->p, walk->p->module_class[module]);
    if (strncmp(name, layers, sizeof layers - 1) != 0) {
        return NULL;
    }
    name += sizeof layers - 1;
    return find_row(walk->convention, FXC_SIGHT_MODULE, name, strlen(name));
}

static bool has_rows(const struct fxc_convention *convention, enum fxc_sight sight) {
    for (uint32_t i = 0; i < convention->rows; i++) {
        if (convention->row[i].sight == sight) {
            return true;
        }
    }
    return false;
}

/* ---- one thing that the tool looks at ------------------------------------------------------------------------------
 */

static fxc_status overflow(const struct walk *walk, uint32_t node, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, walk->p, node);
    fxc_expected(err, "counts below 2^63");
    fxc_found(err, "a larger number under the convention %s", walk->convention->name);
    return status;
}

/* Adds to the tool's table by operator: parts of the total, which is checked. */
static fxc_status add_key(struct walk *walk, const char *key, const struct fxc_tool_sum *part, fxc_error *err) {
    struct fxc_tool *tool = walk->tool;
    uint32_t i = 0;
    while (i < tool->op_count && strcmp(tool->op[i].key, key) != 0) {
        i++;
    }
    if (i == walk->op_room) {
        struct fxc_tool_sum *wider = FXC_NEW(walk->arena, struct fxc_tool_sum, 2 * (size_t)walk->op_room + 8);
        if (wider == NULL) {
            return fxc_fail_memory(err, "tool");
        }
        if (tool->op_count > 0) {
            memcpy(wider, tool->op, tool->op_count * sizeof *wider);
        }
        tool->op = wider;
        walk->op_room = 2 * walk->op_room + 8;
    }
    if (i == tool->op_count) {
        tool->op[tool->op_count++] = (struct fxc_tool_sum){.key = key};
    }
    tool->op[i].calls += part->calls;
    tool->op[i].count += part->count;
    tool->op[i].macs += part->macs;
    return FXC_OK;
}

static void raise_sight(struct fxc_tool *tool, uint32_t node, uint8_t sight) {
    tool->sight[node] = sight > tool->sight[node] ? sight : tool->sight[node];
}

/* The node's own name in a table by operator: the packet without its namespace. */
static const char *last_part(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot == NULL ? name : dot + 1;
}

/* Applies a row. `call` is that of a module, FXC_NONE otherwise. */
static fxc_status apply(struct walk *walk, const struct fxc_convention_row *row, uint32_t node, uint32_t call,
                        fxc_error *err) {
    const struct fxc_analysis *analysis = walk->analysis;
    struct fxc_tool *tool = walk->tool;
    struct fxc_tally tally = {.overflow = false};
    struct fxc_told told = {0};
    struct fxc_seen seen = {
        .analysis = analysis,
        .index = &walk->index,
        .row = row,
        .rule = {walk->p, analysis->shapes, analysis->bindings, node, NULL},
        .call = call,
        .own = &analysis->flops->counts[node],
    };
    if (rules[row->rule](&seen, &tally, &told) != FXC_OK) {
        raise_sight(tool, node, FXC_TOOL_UNKNOWN);
        return FXC_OK;
    }
    if (told.failure != NULL && tool->failure == NULL) {
        tool->failure = told.failure;
        tool->failed_node = node;
    }
    int64_t times = analysis->tree->graph_times[fxc_program_node_graph(walk->p, node)], unit = analysis->tree->unit;
    struct fxc_tool_sum part = {.key = told.key != NULL   ? told.key
                                       : row->key != NULL ? row->key
                                                          : last_part(row->name)};
    bool large = tally.overflow || fxc_add(tool->count[node], told.count, &tool->count[node]) ||
                 fxc_add(tool->macs[node], told.macs, &tool->macs[node]) ||
                 fxc_scale(told.count, times, unit, &part.count) || fxc_scale(told.macs, times, unit, &part.macs) ||
                 fxc_scale(1, times, unit, &part.calls) || fxc_add(tool->total, part.count, &tool->total) ||
                 fxc_add(tool->total_macs, part.macs, &tool->total_macs);
    if (large) {
        return overflow(walk, node, err);
    }
    raise_sight(tool, node, told.count != 0 || told.macs != 0 ? FXC_TOOL_COUNTED : FXC_TOOL_ZERO);
    return times == 0 || row->rule == FXC_COUNT_nothing ? FXC_OK : add_key(walk, part.key, &part, err);
}

/* ---- operators -----------------------------------------------------------------------------------------------------
 */

/* Is a node dropped before counting, or inside a call that eager runs as one fused kernel? */
static bool is_hidden(const struct walk *walk, uint32_t node) {
    if ((walk->convention->flags & FXC_CONVENTION_PRUNES) != 0 && !walk->index.live[node]) {
        return true;
    }
    if ((walk->convention->flags & FXC_CONVENTION_FAST_PATH_HIDES) == 0) {
        return false;
    }
    for (uint32_t call = walk->p->node_call[node]; call != FXC_NONE; call = walk->p->call_parent[call]) {
        if (walk->index.call_fast[call]) {
            return true;
        }
    }
    return false;
}

static fxc_status count_operators(struct walk *walk, fxc_error *err) {
    uint32_t ops = FXC_COUNT(walk->p, op);
    const struct fxc_convention_row **row = FXC_NEW(walk->arena, const struct fxc_convention_row *, ops);
    if (row == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    for (uint32_t op = 0; op < ops; op++) {
        row[op] = operator_row(walk->convention, fxc_string(walk->p, walk->p->op_name[op]));
    }
    for (uint32_t node = 0; node < FXC_COUNT(walk->p, node); node++) {
        if (row[walk->p->node_op[node]] != NULL && !is_hidden(walk, node)) {
            FXC_TRY(apply(walk, row[walk->p->node_op[node]], node, FXC_NONE, err));
        }
    }
    return FXC_OK;
}

/* ---- modules -------------------------------------------------------------------------------------------------------
 */

static fxc_status no_calls(const struct walk *walk, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: convention %s", walk->p->file, walk->convention->name);
    fxc_expected(err, "a program with the calls of its modules, which this tool hooks");
    fxc_found(err, "calls that were read off the graph, without what goes in and out");
    fxc_advice(err, "capture the module itself, not an exported program");
    return status;
}

/* Rows of calls; under OUTERMOST those below another counted call have none. */
static fxc_status match_calls(struct walk *walk, fxc_error *err) {
    uint32_t calls = FXC_COUNT(walk->p, call);
    bool inferred = calls > 0;
    walk->call_row = FXC_NEW(walk->arena, const struct fxc_convention_row *, calls);
    if (walk->call_row == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    for (uint32_t call = 0; call < calls; call++) {
        inferred &= (walk->p->call_flags[call] & FXC_CALL_FLAG_INFERRED) != 0;
        walk->call_row[call] = module_row(walk, walk->p->call_module[call]);
        uint32_t parent = walk->p->call_parent[call];
        while (parent != FXC_NONE && (walk->convention->flags & FXC_CONVENTION_OUTERMOST) != 0) {
            walk->call_row[call] = walk->call_row[parent] != NULL ? NULL : walk->call_row[call];
            parent = walk->p->call_parent[parent];
        }
    }
    return inferred ? no_calls(walk, err) : FXC_OK;
}

/* What is inside a counted call is counted with it. */
static void mark_inside(struct walk *walk) {
    for (uint32_t node = 0; node < FXC_COUNT(walk->p, node); node++) {
        for (uint32_t call = walk->p->node_call[node]; call != FXC_NONE; call = walk->p->call_parent[call]) {
            uint32_t anchor = walk->index.call_anchor[call];
            if (walk->call_row[call] != NULL && anchor != FXC_NONE) {
                raise_sight(walk->tool, node, walk->tool->sight[anchor]);
            }
        }
    }
}

static fxc_status count_modules(struct walk *walk, fxc_error *err) {
    FXC_TRY(match_calls(walk, err));
    for (uint32_t call = 0; call < FXC_COUNT(walk->p, call); call++) {
        /* A call without a node computes nothing that could be attributed: an Identity, a dropout of evaluation. */
        if (walk->call_row[call] != NULL && walk->index.call_anchor[call] != FXC_NONE) {
            FXC_TRY(apply(walk, walk->call_row[call], walk->index.call_anchor[call], call, err));
        }
    }
    mark_inside(walk);
    return FXC_OK;
}

/* ---- what is left out ----------------------------------------------------------------------------------------------
 */

static int by_count(const void *a, const void *b) {
    const struct fxc_tool_sum *x = a, *y = b;
    return x->count != y->count ? (x->count > y->count ? -1 : 1) : strcmp(x->key, y->key);
}

static int by_flops(const void *a, const void *b) {
    const struct fxc_tool_gap *x = a, *y = b;
    return x->flops != y->flops ? (x->flops > y->flops ? -1 : 1) : strcmp(x->op, y->op);
}

/* Operators with work of ours that the tool makes nothing of. */
static fxc_status list_left_out(struct walk *walk, fxc_error *err) {
    const struct fxc_program *p = walk->p;
    struct fxc_tool *tool = walk->tool;
    struct fxc_tool_gap *row = FXC_NEW(walk->arena, struct fxc_tool_gap, FXC_COUNT(p, op));
    if (row == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        const fxc_counts *own = &walk->analysis->flops->counts[node];
        int64_t times = walk->analysis->tree->graph_times[fxc_program_node_graph(p, node)];
        if (times == 0) {
            continue;
        }
        if (tool->sight[node] == FXC_TOOL_UNSEEN && walk->convention->missing == FXC_MISSING_LISTED) {
            tool->sight[node] = FXC_TOOL_LISTED;
        }
        int64_t flops = own->matrix_flops + own->vector_flops, unit = walk->analysis->tree->unit, macs, runs;
        if (fxc_scale(1, times, unit, &runs)) {
            return overflow(walk, node, err);
        }
        tool->unknown_nodes += tool->sight[node] == FXC_TOOL_UNKNOWN ? runs : 0;
        if (tool->sight[node] >= FXC_TOOL_COUNTED || flops == 0) {
            continue;
        }
        struct fxc_tool_gap *left = &row[p->node_op[node]];
        if (fxc_scale(flops, times, unit, &flops) || fxc_scale(own->macs, times, unit, &macs) ||
            fxc_add(left->flops, flops, &left->flops) || fxc_add(left->macs, macs, &left->macs) ||
            fxc_add(tool->left_out_flops, flops, &tool->left_out_flops) ||
            fxc_add(tool->left_out_macs, macs, &tool->left_out_macs)) {
            return overflow(walk, node, err);
        }
        left->nodes += runs;
        left->sight = tool->sight[node];
    }
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        if (row[op].nodes > 0) {
            row[op].op = fxc_string(p, p->op_name[op]);
            row[tool->left_out_count++] = row[op];
        }
    }
    qsort(row, tool->left_out_count, sizeof *row, by_flops);
    tool->left_out = row;
    return FXC_OK;
}

/* ---- the pass ------------------------------------------------------------------------------------------------------
 */

fxc_status fxc_run_tool(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_tool];
    uint32_t nodes = FXC_COUNT(analysis->program, node);
    struct walk walk = {.analysis = analysis, .p = analysis->program, .arena = arena};
    walk.convention = analysis->convention == NULL ? &fxc_conventions[0] : analysis->convention;
    walk.tool = FXC_NEW(arena, struct fxc_tool, 1);
    if (walk.tool == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    walk.tool->failed_node = FXC_NONE;
    analysis->tool = walk.tool;
    if (walk.convention->rows == 0) {
        return FXC_OK;
    }
    walk.tool->count = FXC_NEW(arena, int64_t, nodes);
    walk.tool->macs = FXC_NEW(arena, int64_t, nodes);
    walk.tool->sight = FXC_NEW(arena, uint8_t, nodes);
    if (walk.tool->count == NULL || walk.tool->macs == NULL || walk.tool->sight == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    FXC_TRY(fxc_tool_index_build(analysis, arena, &walk.index, err));
    if (has_rows(walk.convention, FXC_SIGHT_OPERATOR)) {
        FXC_TRY(count_operators(&walk, err));
    }
    if (has_rows(walk.convention, FXC_SIGHT_MODULE)) {
        FXC_TRY(count_modules(&walk, err));
    }
    FXC_TRY(list_left_out(&walk, err));
    if (walk.tool->op_count > 0) {
        qsort(walk.tool->op, walk.tool->op_count, sizeof *walk.tool->op, by_count);
    }
    return FXC_OK;
}
