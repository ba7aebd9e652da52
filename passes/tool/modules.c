/* tool, the part about hooks on modules: which calls a convention's rows of modules match. */
#include <string.h>

#include "passes/tool/walk.h"

static const char layers[] = "torch.nn.modules.";

/* A class below torch.nn.modules, by its name there. */
static const struct fxc_convention_row *row_of_class(const struct fxc_convention *convention, const char *name) {
    if (strncmp(name, layers, sizeof layers - 1) != 0) {
        return NULL;
    }
    name += sizeof layers - 1;
    return fxc_tool_row(convention, FXC_SIGHT_MODULE, name, strlen(name));
}

/* Any class of this last part of the name. */
static const struct fxc_convention_row *row_of_short_name(const struct fxc_convention *convention, const char *name) {
    const char *dot = strrchr(name, '.');
    name = dot == NULL ? name : dot + 1;
    return fxc_tool_row(convention, FXC_SIGHT_MODULE, name, strlen(name));
}

static const struct fxc_convention_row *module_row(const struct fxc_tool_walk *walk, uint32_t module) {
    const char *name = fxc_string(walk->p, walk->p->module_class[module]);
    const struct fxc_convention_row *row = NULL;
    if (walk->convention->classes == FXC_CLASS_SHORT) {
        return row_of_short_name(walk->convention, name);
    }
    if (walk->convention->classes == FXC_CLASS_LEAF) {
        return walk->index.children[module] == 0 ? fxc_tool_row(walk->convention, FXC_SIGHT_MODULE, "*", 1) : NULL;
    }
    row = row_of_class(walk->convention, name);
    if (row == NULL && walk->convention->classes == FXC_CLASS_DERIVED) {
        const char *base = fxc_tool_base(walk->p, &walk->index, module);
        row = base == NULL ? NULL : row_of_class(walk->convention, base);
    }
    return row;
}

/* Is a call below one that eager runs as one fused kernel, or below a layer that a tracer does not enter? */
static bool is_below(const struct fxc_tool_walk *walk, uint32_t call) {
    uint32_t flags = walk->convention->flags;
    for (call = walk->p->call_parent[call]; call != FXC_NONE; call = walk->p->call_parent[call]) {
        if (((flags & FXC_CONVENTION_FAST_PATH_HIDES) != 0 && walk->index.call_fast[call]) ||
            ((flags & FXC_CONVENTION_LAYERS_ARE_LEAVES) != 0 &&
             fxc_tool_is_layer(walk->p, walk->p->call_module[call]))) {
            return true;
        }
    }
    return false;
}

static fxc_status no_calls(const struct fxc_tool_walk *walk, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: convention %s", walk->p->file, walk->convention->name);
    fxc_expected(err, "a program with the calls of its modules, which this tool hooks");
    fxc_found(err, "calls that were read off the graph, without what goes in and out");
    fxc_advice(err, "capture the module itself, not an exported program");
    return status;
}

/* Rows of calls; under OUTERMOST those below another counted call have none. */
static fxc_status match_calls(struct fxc_tool_walk *walk, fxc_error *err) {
    uint32_t calls = FXC_COUNT(walk->p, call);
    bool inferred = calls > 0;
    walk->call_row = FXC_NEW(walk->arena, const struct fxc_convention_row *, calls);
    if (walk->call_row == NULL) {
        return fxc_fail_memory(err, "tool");
    }
    for (uint32_t call = 0; call < calls; call++) {
        inferred &= (walk->p->call_flags[call] & FXC_CALL_FLAG_INFERRED) != 0;
        bool hooked = (walk->p->call_flags[call] & FXC_CALL_FLAG_OWNER_VIEW) == 0;
        walk->call_row[call] = is_below(walk, call) || !hooked ? NULL : module_row(walk, walk->p->call_module[call]);
        uint32_t parent = walk->p->call_parent[call];
        while (parent != FXC_NONE && (walk->convention->flags & FXC_CONVENTION_OUTERMOST) != 0) {
            walk->call_row[call] = walk->call_row[parent] != NULL ? NULL : walk->call_row[call];
            parent = walk->p->call_parent[parent];
        }
    }
    return inferred ? no_calls(walk, err) : FXC_OK;
}

/* What is inside a counted call is counted with it. */
static void mark_inside(struct fxc_tool_walk *walk) {
    for (uint32_t node = 0; node < FXC_COUNT(walk->p, node); node++) {
        for (uint32_t call = walk->p->node_call[node]; call != FXC_NONE; call = walk->p->call_parent[call]) {
            uint32_t anchor = walk->index.call_anchor[call];
            if (walk->call_row[call] != NULL && anchor != FXC_NONE) {
                fxc_tool_raise(walk->tool, node, walk->tool->sight[anchor]);
            }
        }
    }
}

fxc_status fxc_tool_count_modules(struct fxc_tool_walk *walk, fxc_error *err) {
    FXC_TRY(match_calls(walk, err));
    for (uint32_t call = 0; call < FXC_COUNT(walk->p, call); call++) {
        /* A call without a node computes nothing that could be attributed: an Identity, a dropout of evaluation. */
        if (walk->call_row[call] != NULL && walk->index.call_anchor[call] != FXC_NONE) {
            FXC_TRY(fxc_tool_apply(walk, walk->call_row[call], walk->index.call_anchor[call], call, FXC_NONE, err));
        }
    }
    mark_inside(walk);
    return FXC_OK;
}
