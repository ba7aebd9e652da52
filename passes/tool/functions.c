/* tool, the part about functions: which calls of Python functions a convention's rows match. Calls of functions are
 * regions of the program (docs/fxir.md). */
#include <string.h>

#include "passes/tool/walk.h"

static fxc_status no_functions(const struct fxc_tool_walk *walk, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: convention %s", walk->p->file, walk->convention->name);
    fxc_expected(err, "a program with the calls of Python functions, which this tool replaces by its own");
    fxc_found(err, "none recorded");
    fxc_advice(err, "capture the module itself again, not an exported program");
    return status;
}

/* A region that is seen from outside all other functions: none around it passed torch's override. */
static bool is_outermost(const struct fxc_program *p, uint32_t region) {
    for (region = p->region_parent[region]; region != FXC_NONE; region = p->region_parent[region]) {
        if (p->region_kind[region] == FXC_REGION_KIND_FUNCTION && fxc_tool_region_flag(p, region, "intercepted")) {
            return false;
        }
    }
    return true;
}

/* Is a function called inside a module whose own row counts it, or inside a layer that is not entered? */
static bool is_inside(const struct fxc_tool_walk *walk, uint32_t node) {
    const struct fxc_program *p = walk->p;
    uint32_t flags = walk->convention->flags;
    for (uint32_t call = p->node_call[node]; call != FXC_NONE; call = p->call_parent[call]) {
        bool counted =
            walk->call_row != NULL && walk->call_row[call] != NULL && walk->call_row[call]->rule != FXC_COUNT_nothing;
        if (((flags & FXC_CONVENTION_MODULES_HIDE_FUNCTIONS) != 0 && counted) ||
            ((flags & FXC_CONVENTION_LAYERS_ARE_LEAVES) != 0 && fxc_tool_is_layer(p, p->call_module[call]))) {
            return true;
        }
    }
    return false;
}

static const struct fxc_convention_row *region_row(const struct fxc_tool_walk *walk, uint32_t region) {
    const struct fxc_program *p = walk->p;
    bool patched = walk->convention->functions == FXC_FUNCTION_PATCHED;
    const char *name = fxc_tool_region_name(p, region);
    if (name == NULL || !fxc_tool_region_flag(p, region, patched ? "by_name" : "intercepted") ||
        (!patched && !is_outermost(p, region))) {
        return NULL;
    }
    return fxc_tool_row(walk->convention, FXC_SIGHT_FUNCTION, name, strlen(name));
}

/* What a counted function computes is counted with it, views and casts too. */
static void mark_inside(struct fxc_tool_walk *walk, const struct fxc_convention_row *const *row) {
    for (uint32_t node = 0; walk->p->node_region != NULL && node < FXC_COUNT(walk->p, node); node++) {
        uint32_t region = walk->p->node_region[node];
        for (; region != FXC_NONE; region = walk->p->region_parent[region]) {
            if (row[region] != NULL) {
                fxc_tool_raise(walk->tool, node, walk->tool->sight[walk->index.region_anchor[region]]);
            }
        }
    }
}

fxc_status fxc_tool_count_functions(struct fxc_tool_walk *walk, fxc_error *err) {
    const struct fxc_program *p = walk->p;
    const struct fxc_convention_row **row =
        FXC_NEW(walk->arena, const struct fxc_convention_row *, FXC_COUNT(p, region));
    bool recorded = FXC_COUNT(p, node) == 0;
    if (row == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    for (uint32_t region = 0; region < FXC_COUNT(p, region); region++) {
        uint32_t anchor = walk->index.region_anchor[region];
        if (p->region_kind[region] != FXC_REGION_KIND_FUNCTION || anchor == FXC_NONE) {
            continue;
        }
        recorded = true;
        if (!fxc_tool_is_hidden(walk, anchor) && !is_inside(walk, anchor)) {
            row[region] = region_row(walk, region);
        }
        if (row[region] != NULL) {
            FXC_TRY(fxc_tool_apply(walk, row[region], anchor, FXC_NONE, region, err));
        }
    }
    mark_inside(walk, row);
    return recorded ? FXC_OK : no_functions(walk, err);
}
