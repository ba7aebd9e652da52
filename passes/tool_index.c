/* What hooks would find: attributes and parameters of modules, and the nodes inside calls. */
#include "passes/tool.h"

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

/* Marks what a value is made of. */
static void need_value(const struct fxc_program *p, uint8_t *live, uint8_t kind, int64_t payload) {
    if (kind == FXC_KIND_VALUE && p->value_producer[payload] != FXC_NONE) {
        live[p->value_producer[payload]] = 1;
    } else if (kind == FXC_KIND_LIST || kind == FXC_KIND_DICT) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1]; i++) {
            if (p->item_kind[i] == FXC_KIND_VALUE && p->value_producer[p->item_payload[i]] != FXC_NONE) {
                live[p->value_producer[p->item_payload[i]]] = 1;
            }
        }
    }
}

/* Nodes are in execution order, so one sweep from the end finds all that is needed. */
static void find_live(const struct fxc_program *p, uint8_t *live) {
    for (uint32_t i = 0; i < p->graph_output_begin[FXC_COUNT(p, graph)]; i++) {
        need_value(p, live, p->output_kind[i], p->output_payload[i]);
    }
    for (uint32_t node = FXC_COUNT(p, node); node-- > 0;) {
        live[node] |= (p->op_tags[p->node_op[node]] & FXC_OP_TAG_MUTABLE) != 0;
        for (uint32_t i = p->node_arg_begin[node]; live[node] && i < p->node_arg_begin[node + 1]; i++) {
            need_value(p, live, p->arg_kind[i], p->arg_payload[i]);
        }
    }
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
               &out->next_param)) {
        return fxc_fail_memory(err, "tool");
    }
    memset(out->call_anchor, 0xFF, calls * sizeof *out->call_anchor);
    memset(out->region_anchor, 0xFF, regions * sizeof *out->region_anchor);
    find_anchors(analysis, out);
    find_live(p, out->live);
    return FXC_OK;
}
