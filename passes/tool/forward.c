/* Tools that look at modules and functions, or trace: of a training step they see the forward pass. A step is captured
 * below autograd, where the arguments of modules and functions are gone; what the tools say is counted on the forward
 * pass, captured beside it in an analysis of its own, and put at the same modules of the step. */
#include "fxcost/convention.h"
#include "passes/tool/walk.h"

#include <string.h>

bool fxc_tool_needs_forward(const struct fxc_analysis *analysis) {
    const struct fxc_convention *convention = analysis->convention;
    return convention != NULL && convention->rows > 0 && (convention->flags & FXC_CONVENTION_SEES_BACKWARD) == 0 &&
           analysis->program->graph_view[0] == FXC_VIEW_JOINT;
}

fxc_status fxc_analysis_set_forward(fxc_analysis *analysis, const fxc_program *forward, fxc_error *err) {
    bool step = analysis->program->graph_view[0] == FXC_VIEW_JOINT;
    if (!step || (forward != NULL && forward->graph_view[0] == FXC_VIEW_JOINT)) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: its forward pass", analysis->program->file);
        fxc_expected(err, step ? "the forward pass alone" : "a program that is a training step");
        fxc_found(err, step ? "a training step" : "a forward pass");
        return status;
    }
    analysis->forward = forward;
    fxc_drop_facts(analysis, FXC_OPTION_CONVENTION);
    return FXC_OK;
}

/* ---- where counts go -----------------------------------------------------------------------------------------------
 */

enum { PATH_SIZE = 512 };

static bool is_backward(const struct fxc_program *p, uint32_t node) {
    return (p->node_flags[node] & FXC_NODE_FLAG_BACKWARD) != 0;
}

/* The node with the most FLOPs of the step's forward pass in the module of that path; FXC_NONE when there is none. */
static uint32_t node_within(const struct fxc_analysis *analysis, const char *path) {
    const struct fxc_program *p = analysis->program;
    uint32_t module = 0, best = FXC_NONE;
    int64_t most = -1;
    for (char own[PATH_SIZE]; module < FXC_COUNT(p, module); module++) {
        if (strcmp(fxc_module_path(p, module, own, sizeof own), path) == 0) {
            break;
        }
    }
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        const fxc_counts *own = &analysis->flops->counts[node];
        uint32_t call = p->node_call[node];
        if (call != FXC_NONE && p->call_module[call] == module && !is_backward(p, node) &&
            own->matrix_flops + own->vector_flops > most) {
            most = own->matrix_flops + own->vector_flops;
            best = node;
        }
    }
    return best;
}

/* The node of the step that stands for a module of the forward pass, or for the nearest above it that has nodes. */
static uint32_t land(const struct fxc_analysis *step, const struct fxc_program *forward, uint32_t module) {
    uint32_t found = FXC_NONE;
    while (module != FXC_NONE && found == FXC_NONE) {
        char path[PATH_SIZE];
        found = node_within(step, fxc_module_path(forward, module, path, sizeof path));
        module = forward->module_parent[module];
    }
    return found == FXC_NONE ? 0 : found;
}

/* ---- what is counted -----------------------------------------------------------------------------------------------
 */

static fxc_status overflow(const struct fxc_tool_walk *walk, uint32_t node, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, walk->p, node);
    fxc_expected(err, "counts below 2^63");
    fxc_found(err, "a larger number under the convention %s", walk->convention->name);
    return status;
}

/* Each count of the forward pass at its module; flops_profiler takes a backward pass to be two forward ones. */
static fxc_status place_counts(struct fxc_tool_walk *walk, const struct fxc_analysis *inner, int64_t factor,
                               fxc_error *err) {
    const struct fxc_program *p = inner->program;
    struct fxc_tool *tool = walk->tool;
    uint32_t *landing = FXC_NEW(walk->arena, uint32_t, FXC_COUNT(p, module));
    if (landing == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    memset(landing, 0xff, FXC_COUNT(p, module) * sizeof *landing); /* FXC_NONE: not looked for */
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        int64_t times = inner->tree->graph_times[fxc_program_node_graph(p, node)], unit = inner->tree->unit;
        uint32_t module = p->node_call[node] == FXC_NONE ? 0 : p->call_module[p->node_call[node]];
        int64_t count, macs;
        if (inner->tool->count[node] == 0 && inner->tool->macs[node] == 0) {
            continue;
        }
        if (landing[module] == FXC_NONE) {
            landing[module] = land(walk->analysis, p, module);
        }
        uint32_t to = landing[module];
        if (fxc_scale(inner->tool->count[node], times, unit, &count) || fxc_mul(count, factor, &count) ||
            fxc_scale(inner->tool->macs[node], times, unit, &macs) || fxc_mul(macs, factor, &macs) ||
            fxc_add(tool->count[to], count, &tool->count[to]) || fxc_add(tool->macs[to], macs, &tool->macs[to]) ||
            fxc_add(tool->total, count, &tool->total) || fxc_add(tool->total_macs, macs, &tool->total_macs)) {
            return overflow(walk, to, err);
        }
        fxc_tool_raise(tool, to, FXC_TOOL_COUNTED);
    }
    return FXC_OK;
}

/* The table by operator and what is left out, whose names belong to the tables or to the program. */
static fxc_status copy_tables(struct fxc_tool_walk *walk, const struct fxc_tool *from, int64_t factor, fxc_error *err) {
    struct fxc_tool *tool = walk->tool;
    tool->op = FXC_NEW(walk->arena, struct fxc_tool_sum, from->op_count);
    tool->left_out = FXC_NEW(walk->arena, struct fxc_tool_gap, from->left_out_count + 1);
    if (tool->op == NULL || tool->left_out == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    for (uint32_t i = 0; i < from->op_count; i++) {
        tool->op[i] = from->op[i];
        if (fxc_mul(from->op[i].count, factor, &tool->op[i].count) ||
            fxc_mul(from->op[i].macs, factor, &tool->op[i].macs)) {
            return overflow(walk, 0, err);
        }
    }
    for (uint32_t i = 0; i < from->left_out_count; i++) {
        tool->left_out[i] = from->left_out[i];
    }
    tool->op_count = from->op_count;
    tool->left_out_count = from->left_out_count;
    tool->left_out_flops = from->left_out_flops;
    tool->left_out_macs = from->left_out_macs;
    tool->unknown_nodes = from->unknown_nodes;
    tool->failure = from->failure;
    tool->failed_node = from->failure == NULL ? FXC_NONE : 0;
    return FXC_OK;
}

/* The backward pass, which most of these tools say nothing of. */
static fxc_status leave_backward(struct fxc_tool_walk *walk, fxc_error *err) {
    struct fxc_tool *tool = walk->tool;
    struct fxc_tool_gap *gap = &tool->left_out[tool->left_out_count];
    *gap = (struct fxc_tool_gap){.op = "the backward pass", .sight = FXC_TOOL_UNSEEN};
    for (uint32_t node = 0; node < FXC_COUNT(walk->p, node); node++) {
        const fxc_counts *own = &walk->analysis->flops->counts[node];
        if (is_backward(walk->p, node) && own->matrix_flops + own->vector_flops > 0) {
            gap->nodes++;
            if (fxc_add(gap->flops, own->matrix_flops + own->vector_flops, &gap->flops) ||
                fxc_add(gap->macs, own->macs, &gap->macs)) {
                return overflow(walk, node, err);
            }
        }
    }
    if (fxc_add(tool->left_out_flops, gap->flops, &tool->left_out_flops) ||
        fxc_add(tool->left_out_macs, gap->macs, &tool->left_out_macs)) {
        return overflow(walk, 0, err);
    }
    tool->left_out_count += gap->flops > 0;
    return FXC_OK;
}

static fxc_status count_inner(struct fxc_tool_walk *walk, struct fxc_analysis *inner, fxc_error *err) {
    bool twice = (walk->convention->flags & FXC_CONVENTION_BACKWARD_TWICE) != 0;
    int64_t factor = twice ? 3 : 1;
    inner->convention = walk->convention;
    FXC_TRY(fxc_require_facts(inner, FXC_FACT_BIT(tool), err));
    FXC_TRY(place_counts(walk, inner, factor, err));
    FXC_TRY(copy_tables(walk, inner->tool, factor, err));
    walk->tool->forward = inner->tool->total;
    return twice ? FXC_OK : leave_backward(walk, err);
}

fxc_status fxc_tool_count_forward(struct fxc_tool_walk *walk, fxc_error *err) {
    struct fxc_analysis *inner = NULL;
    if (walk->analysis->forward == NULL) {
        walk->tool->unknown_nodes = FXC_COUNT(walk->p, node);
        return FXC_OK;
    }
    FXC_TRY(fxc_analysis_new(walk->analysis->forward, &inner, err));
    fxc_status status = count_inner(walk, inner, err);
    fxc_analysis_free(inner);
    return status;
}
