/* tool: applies the rows of a convention. Each count lands on one node: the operator, or the node that does most inside
 * the module call or function that the tool looks at; sums by module, class and operator follow from there. */
#include <stdlib.h>
#include <string.h>

#include "passes/tool/walk.h"

static const fxc_convention_rule rules[FXC_CONVENTION_RULE_COUNT] = {
#define X(name) [FXC_COUNT_##name] = fxc_count_##name,
    FXC_CONVENTION_RULE_LIST(X)
#undef X
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

const struct fxc_convention_row *fxc_tool_row(const struct fxc_convention *convention, enum fxc_sight sight,
                                              const char *name, size_t length) {
    for (uint32_t i = 0; i < convention->rows; i++) {
        if (matches(&convention->row[i], sight, name, length)) {
            return &convention->row[i];
        }
    }
    return NULL;
}

static const struct fxc_convention_row *operator_row(const struct fxc_convention *convention, const char *op) {
    const struct fxc_convention_row *row = fxc_tool_row(convention, FXC_SIGHT_OPERATOR, op, strlen(op));
    return row != NULL ? row : fxc_tool_row(convention, FXC_SIGHT_OPERATOR, op, packet_length(op));
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

static fxc_status overflow(const struct fxc_tool_walk *walk, uint32_t node, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, walk->p, node);
    fxc_expected(err, "counts below 2^63");
    fxc_found(err, "a larger number under the convention %s", walk->convention->name);
    return status;
}

/* Adds to the tool's table by operator: parts of the total, which is checked. */
static fxc_status add_key(struct fxc_tool_walk *walk, const char *key, const struct fxc_tool_sum *part,
                          fxc_error *err) {
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

/* The node's own name in a table by operator: the packet without its namespace. */
static const char *last_part(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot == NULL ? name : dot + 1;
}

static bool is_fast(const struct fxc_tool_walk *walk, uint32_t node) {
    for (uint32_t call = walk->p->node_call[node]; call != FXC_NONE; call = walk->p->call_parent[call]) {
        if (walk->index.call_fast[call]) {
            return true;
        }
    }
    return false;
}

/* How often a module counts that several parents hold (0 is never stored: every module has one). */
static int64_t hooked_times(const struct fxc_tool_walk *walk, uint32_t call) {
    int64_t parents = walk->index.parents[walk->p->call_module[call]];
    if ((walk->convention->flags & FXC_CONVENTION_HOOKED_AGAIN) != 0) {
        return parents * parents; /* as many hooks, each found as often; both below 2^31 */
    }
    return (walk->convention->flags & FXC_CONVENTION_PER_PARENT) != 0 ? parents : 1;
}

/* Divides what a hook counted by the samples, so that the sum over all hooks is rounded down once. */
static int64_t per_sample(struct fxc_tool_walk *walk, int64_t count) {
    int64_t whole = count / walk->samples, rest = count % walk->samples + walk->carried;
    walk->carried = rest % walk->samples;
    return whole + rest / walk->samples;
}

fxc_status fxc_tool_apply(struct fxc_tool_walk *walk, const struct fxc_convention_row *row, uint32_t node,
                          uint32_t call, uint32_t region, fxc_error *err) {
    const struct fxc_analysis *analysis = walk->analysis;
    struct fxc_tool *tool = walk->tool;
    struct fxc_tally tally = {.overflow = false};
    struct fxc_told told = {0};
    struct fxc_seen seen = {
        .analysis = analysis,
        .index = &walk->index,
        .row = row,
        .rule = {.program = walk->p, .shapes = analysis->shapes, .bindings = analysis->bindings, .node = node},
        .call = call,
        .region = region,
        .fast = (walk->convention->flags & FXC_CONVENTION_NO_FAST_PATH) == 0 && is_fast(walk, node),
        .own = &analysis->flops->counts[node],
    };
    if (rules[row->rule](&seen, &tally, &told) != FXC_OK) {
        fxc_tool_raise(tool, node, FXC_TOOL_UNKNOWN);
        return FXC_OK;
    }
    if (told.failure != NULL && tool->failure == NULL) {
        tool->failure = told.failure;
        tool->failed_node = node;
    }
    uint32_t owner = call != FXC_NONE ? call : region != FXC_NONE ? walk->p->node_call[node] : FXC_NONE;
    if (owner != FXC_NONE) {
        int64_t again = hooked_times(walk, owner);
        told.count = fxc_times(&tally, told.count, again);
        told.macs = fxc_times(&tally, told.macs, again);
    }
    if (call != FXC_NONE && (walk->convention->flags & FXC_CONVENTION_PER_SAMPLE) != 0 && walk->samples > 0) {
        told.count = per_sample(walk, told.count);
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
    fxc_tool_raise(tool, node, told.count != 0 || told.macs != 0 ? FXC_TOOL_COUNTED : FXC_TOOL_ZERO);
    if (times == 0 || row->rule == FXC_COUNT_nothing) {
        return FXC_OK;
    }
    for (uint32_t i = 0; i < sizeof told.also / sizeof told.also[0] && told.also[i].count != 0; i++) {
        struct fxc_tool_sum other = {.key = told.also[i].key, .calls = part.calls};
        (void)fxc_scale(told.also[i].count, times, unit, &other.count); /* a part of the count */
        part.count -= other.count;
        FXC_TRY(add_key(walk, other.key, &other, err));
    }
    return add_key(walk, part.key, &part, err);
}

/* ---- operators -----------------------------------------------------------------------------------------------------
 */

bool fxc_tool_is_hidden(const struct fxc_tool_walk *walk, uint32_t node) {
    if ((walk->convention->flags & FXC_CONVENTION_PRUNES) != 0 && !walk->index.live[node]) {
        return true;
    }
    return (walk->convention->flags & FXC_CONVENTION_FAST_PATH_HIDES) != 0 && is_fast(walk, node);
}

static fxc_status count_operators(struct fxc_tool_walk *walk, fxc_error *err) {
    uint32_t ops = FXC_COUNT(walk->p, op);
    const struct fxc_convention_row **row = FXC_NEW(walk->arena, const struct fxc_convention_row *, ops);
    if (row == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    for (uint32_t op = 0; op < ops; op++) {
        row[op] = operator_row(walk->convention, fxc_string(walk->p, walk->p->op_name[op]));
    }
    for (uint32_t node = 0; node < FXC_COUNT(walk->p, node); node++) {
        if (row[walk->p->node_op[node]] != NULL && !fxc_tool_is_hidden(walk, node)) {
            FXC_TRY(fxc_tool_apply(walk, row[walk->p->node_op[node]], node, FXC_NONE, FXC_NONE, err));
        }
    }
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
static fxc_status list_left_out(struct fxc_tool_walk *walk, fxc_error *err) {
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

/* Size of the first dimension of the first input, 0 when it has none. */
static int64_t count_samples(const struct fxc_analysis *analysis) {
    const struct fxc_program *p = analysis->program;
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        uint32_t value = p->input_value[i];
        if (p->input_kind[i] == FXC_INPUT_KIND_USER_INPUT && analysis->shapes->rank[value] > 0) {
            return analysis->shapes->size[analysis->shapes->dim_begin[value]];
        }
    }
    return 0;
}

/* ---- the pass ------------------------------------------------------------------------------------------------------
 */

fxc_status fxc_run_tool(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_tool];
    uint32_t nodes = FXC_COUNT(analysis->program, node);
    struct fxc_tool_walk walk = {.analysis = analysis, .p = analysis->program, .arena = arena};
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
    if (fxc_tool_needs_forward(analysis)) {
        return fxc_tool_count_forward(&walk, err);
    }
    FXC_TRY(fxc_tool_index_build(analysis, arena, &walk.index, err));
    walk.samples = count_samples(analysis);
    if (has_rows(walk.convention, FXC_SIGHT_OPERATOR)) {
        FXC_TRY(count_operators(&walk, err));
    }
    if (has_rows(walk.convention, FXC_SIGHT_MODULE)) {
        FXC_TRY(fxc_tool_count_modules(&walk, err));
    }
    if (has_rows(walk.convention, FXC_SIGHT_FUNCTION)) {
        FXC_TRY(fxc_tool_count_functions(&walk, err));
    }
    FXC_TRY(list_left_out(&walk, err));
    if (walk.tool->op_count > 0) {
        qsort(walk.tool->op, walk.tool->op_count, sizeof *walk.tool->op, by_count);
    }
    return FXC_OK;
}
