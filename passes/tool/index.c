/* What hooks would find: attributes and parameters of modules, and the nodes inside calls. */
#include "passes/tool/tool.h"

#include <stdlib.h>
#include <string.h>

/* Chains rows by the module they belong to, in their order. */
static bool chain(struct fxc_arena *arena, const uint32_t *owner, uint32_t rows, uint32_t modules, uint32_t **first,
                  uint32_t **next) {
    *first = FXC_NEW(arena, uint32_t, modules);
    *next = FXC_NEW(arena, uint32_t, rows);
    if (*first == NULL || *next == NULL) {
        return false;
    }
    memset(*first, 0xFF, modules * sizeof **first);
    for (uint32_t i = rows; i-- > 0;) {
        (*next)[i] = (*first)[owner[i]];
        (*first)[owner[i]] = i;
    }
    return true;
}

/* Whether a node says more of what a call does than another: more multiply-adds, then more FLOPs, then later. */
static bool says_more(const struct fxc_analysis *analysis, uint32_t node, uint32_t than) {
    const fxc_counts *a = &analysis->flops->counts[node], *b = &analysis->flops->counts[than];
    return a->macs != b->macs ? a->macs > b->macs : a->vector_flops >= b->vector_flops;
}

static void find_anchors(const struct fxc_analysis *analysis, struct fxc_tool_index *index) {
    const struct fxc_program *p = analysis->program;
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        for (uint32_t call = p->node_call[node]; call != FXC_NONE; call = p->call_parent[call]) {
            uint32_t *anchor = &index->call_anchor[call];
            *anchor = *anchor == FXC_NONE || says_more(analysis, node, *anchor) ? node : *anchor;
        }
        uint32_t region = p->node_region == NULL ? FXC_NONE : p->node_region[node];
        for (; region != FXC_NONE; region = p->region_parent[region]) {
            index->region_anchor[region] = node;
        }
    }
}

struct live {
    const struct fxc_program *p;
    uint8_t *node;
};

/* Marks what a value is made by. */
static void need(uint32_t value, void *context) {
    const struct live *live = context;
    if (live->p->value_producer[value] != FXC_NONE) {
        live->node[live->p->value_producer[value]] = 1;
    }
}

/* Nodes are in execution order, so one sweep from the end finds all that is needed. */
static void find_live(const struct fxc_program *p, uint8_t *live) {
    struct live needed = {p, live};
    for (uint32_t i = 0; i < p->graph_output_begin[FXC_COUNT(p, graph)]; i++) {
        fxc_each_value(p, p->output_kind[i], p->output_payload[i], need, &needed);
    }
    for (uint32_t node = FXC_COUNT(p, node); node-- > 0;) {
        live[node] |= (p->op_tags[p->node_op[node]] & FXC_OP_TAG_MUTABLE) != 0;
        for (uint32_t i = p->node_arg_begin[node]; live[node] && i < p->node_arg_begin[node + 1]; i++) {
            fxc_each_value(p, p->arg_kind[i], p->arg_payload[i], need, &needed);
        }
    }
}

/* ---- what is said of modules and functions --------------------------------------------------------------------------
 */

uint32_t fxc_tool_config(const struct fxc_program *p, const struct fxc_tool_index *index, uint32_t module,
                         const char *name) {
    uint32_t i = index->first_config[module];
    while (i != FXC_NONE && strcmp(fxc_string(p, p->config_key[i]), name) != 0) {
        i = index->next_config[i];
    }
    return i;
}

bool fxc_tool_config_int(const struct fxc_program *p, const struct fxc_tool_index *index, uint32_t module,
                         const char *name, int64_t *out) {
    uint32_t row = fxc_tool_config(p, index, module, name);
    if (row == FXC_NONE || (p->config_kind[row] != FXC_KIND_INT && p->config_kind[row] != FXC_KIND_BOOL)) {
        return false;
    }
    *out = p->config_payload[row];
    return true;
}

const char *fxc_tool_base(const struct fxc_program *p, const struct fxc_tool_index *index, uint32_t module) {
    uint32_t row = fxc_tool_config(p, index, module, "__base__");
    return row != FXC_NONE && p->config_kind[row] == FXC_KIND_STRING ? fxc_string(p, (uint32_t)p->config_payload[row])
                                                                     : NULL;
}

bool fxc_tool_is_layer(const struct fxc_program *p, uint32_t module) {
    const char *name = fxc_string(p, p->module_class[module]);
    return strncmp(name, "torch.nn.", 9) == 0 && strncmp(name, "torch.nn.modules.container.", 27) != 0 &&
           strcmp(name, "torch.nn.modules.module.Module") != 0;
}

/* Item of the value to a key of a region's configuration, FXC_NONE when it has none. */
static uint32_t region_entry(const struct fxc_program *p, uint32_t region, const char *key) {
    uint32_t list = p->region_config[region];
    if (list == FXC_NONE) {
        return FXC_NONE;
    }
    for (uint32_t i = p->list_begin[list]; i + 1 < p->list_begin[list + 1]; i += 2) {
        if (p->item_kind[i] == FXC_KIND_STRING && strcmp(fxc_string(p, (uint32_t)p->item_payload[i]), key) == 0) {
            return i + 1;
        }
    }
    return FXC_NONE;
}

const char *fxc_tool_region_name(const struct fxc_program *p, uint32_t region) {
    uint32_t item = p->region_kind[region] == FXC_REGION_KIND_FUNCTION ? region_entry(p, region, "name") : FXC_NONE;
    return item != FXC_NONE && p->item_kind[item] == FXC_KIND_STRING ? fxc_string(p, (uint32_t)p->item_payload[item])
                                                                     : NULL;
}

bool fxc_tool_region_flag(const struct fxc_program *p, uint32_t region, const char *flag) {
    uint32_t item = region_entry(p, region, flag);
    return item != FXC_NONE && p->item_kind[item] == FXC_KIND_BOOL && p->item_payload[item] != 0;
}

bool fxc_tool_region_keyword(const struct fxc_program *p, uint32_t region, const char *keyword) {
    uint32_t item = region_entry(p, region, "keywords");
    if (item == FXC_NONE || p->item_kind[item] != FXC_KIND_LIST) {
        return false;
    }
    uint32_t list = (uint32_t)p->item_payload[item];
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_STRING && strcmp(fxc_string(p, (uint32_t)p->item_payload[i]), keyword) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the index -----------------------------------------------------------------------------------------------------
 */

struct holding {
    uint32_t module, parent;
};

static int by_module(const void *a, const void *b) {
    const struct holding *x = a, *y = b;
    if (x->module != y->module) {
        return x->module < y->module ? -1 : 1;
    }
    return (x->parent > y->parent) - (x->parent < y->parent);
}

/* The first row of a module that has several names. */
static uint32_t first_name(const struct fxc_program *p, const struct fxc_tool_index *index, uint32_t module) {
    int64_t same;
    bool again = fxc_tool_config_int(p, index, module, "__same__", &same) && same >= 0 && same < module;
    return again ? (uint32_t)same : module;
}

/* Counts who holds whom. A module under two names has a row for each; the later ones say which row was first. */
static bool find_parents(const struct fxc_program *p, struct fxc_arena *arena, struct fxc_tool_index *index) {
    uint32_t modules = FXC_COUNT(p, module);
    struct holding *holding = FXC_NEW(arena, struct holding, modules);
    index->parents = FXC_NEW(arena, uint32_t, modules);
    index->children = FXC_NEW(arena, uint32_t, modules);
    if (holding == NULL || index->parents == NULL || index->children == NULL) {
        return false;
    }
    for (uint32_t m = 0; m < modules; m++) {
        uint32_t parent = p->module_parent[m];
        holding[m] =
            (struct holding){first_name(p, index, m), parent == FXC_NONE ? parent : first_name(p, index, parent)};
        if (p->module_parent[m] != FXC_NONE) {
            index->children[p->module_parent[m]]++;
        }
    }
    qsort(holding, modules, sizeof *holding, by_module);
    for (uint32_t i = 0; i < modules; i++) {
        bool repeated = i > 0 && by_module(&holding[i - 1], &holding[i]) == 0;
        index->parents[holding[i].module] += !repeated;
    }
    for (uint32_t m = 0; m < modules; m++) {
        index->parents[m] = index->parents[first_name(p, index, m)];
    }
    return true;
}

fxc_status fxc_tool_index_build(const struct fxc_analysis *analysis, struct fxc_arena *arena,
                                struct fxc_tool_index *out, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    uint32_t calls = FXC_COUNT(p, call), regions = FXC_COUNT(p, region);
    out->call_anchor = FXC_NEW(arena, uint32_t, calls);
    out->region_anchor = FXC_NEW(arena, uint32_t, regions);
    out->call_fast = FXC_NEW(arena, uint8_t, calls);
    out->live = FXC_NEW(arena, uint8_t, FXC_COUNT(p, node));
    if (out->live == NULL || out->call_anchor == NULL || out->region_anchor == NULL || out->call_fast == NULL ||
        !chain(arena, p->config_module, FXC_COUNT(p, config), FXC_COUNT(p, module), &out->first_config,
               &out->next_config) ||
        !chain(arena, p->param_module, FXC_COUNT(p, param), FXC_COUNT(p, module), &out->first_param,
               &out->next_param) ||
        !find_parents(p, arena, out)) {
        return fxc_fail_memory(err, "tool");
    }
    memset(out->call_anchor, 0xFF, calls * sizeof *out->call_anchor);
    memset(out->region_anchor, 0xFF, regions * sizeof *out->region_anchor);
    find_anchors(analysis, out);
    find_live(p, out->live);
    fxc_tool_find_fast_paths(analysis, out);
    return FXC_OK;
}
