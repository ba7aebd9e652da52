/* Autocast, as torch registers it in autocast_mode.h and autocast_mode.cpp: the operator table says which operators it
 * casts and to what, wrap_with_autocast and the capture's own state say where it is on. */
#include "passes/shapes/autocast.h"

#include <string.h>

/* ---- where it is on ---------------------------------------------------------------------------------------------- */

/* "cpu", "cuda", "cuda:1"; FXC_CAST_DEVICES for a device of another kind. */
static uint32_t kind_of(const char *device) {
    if (device != NULL && strcmp(device, "cpu") == 0) {
        return FXC_CAST_CPU;
    }
    return device != NULL && strncmp(device, "cuda", 4) == 0 ? FXC_CAST_CUDA : FXC_CAST_DEVICES;
}

/* Autocast that surrounded the capture: a dict of devices and types. */
static bool ambient(const struct fxc_program *p, uint8_t casts[FXC_CAST_DEVICES]) {
    int64_t dict;
    bool on = false;
    if (!fxc_program_capture(p, "autocast", FXC_KIND_DICT, &dict)) {
        return false;
    }
    for (uint32_t i = p->list_begin[dict]; i + 1 < p->list_begin[dict + 1]; i += 2) {
        if (p->item_kind[i] == FXC_KIND_STRING && p->item_kind[i + 1] == FXC_KIND_DTYPE) {
            uint32_t kind = kind_of(fxc_string(p, (uint32_t)p->item_payload[i]));
            if (kind < FXC_CAST_DEVICES) {
                casts[kind] = (uint8_t)p->item_payload[i + 1];
                on = true;
            }
        }
    }
    return on;
}

static bool is_wrapper(const struct fxc_program *p, uint32_t node) {
    return strcmp(fxc_node_op_name(p, node), "higher_order.wrap_with_autocast") == 0;
}

/* What a wrap_with_autocast changes for the graph that it runs. */
static void enter(const struct fxc_program *p, uint32_t node, uint8_t casts[FXC_CAST_DEVICES]) {
    struct fxc_rule rule = {.program = p, .node = node};
    const char *device = fxc_rule_string(&rule, FXC_NAME_device_type);
    uint32_t kind = kind_of(device);
    enum fxc_kind is;
    int64_t payload;
    bool enabled;
    if (kind == FXC_CAST_DEVICES || !fxc_rule_bool(&rule, FXC_NAME_enabled, true, &enabled)) {
        return;
    }
    bool typed = fxc_rule_arg(&rule, FXC_NAME_dtype, &is, &payload) && is == FXC_KIND_DTYPE;
    uint8_t type = typed ? (uint8_t)payload : kind == FXC_CAST_CPU ? FXC_DTYPE_BFLOAT16 : FXC_DTYPE_FLOAT16;
    casts[kind] = enabled ? type : (uint8_t)FXC_DTYPE_OPAQUE;
}

/* Passes a graph's state on to the graphs it calls; whether any of those is reached for the first time. */
static bool spread(const struct fxc_program *p, uint32_t graph, uint8_t (*casts)[FXC_CAST_DEVICES], bool *reached) {
    bool more = false;
    for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
        for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
            if (p->arg_kind[a] != FXC_KIND_GRAPH || reached[p->arg_payload[a]]) {
                continue;
            }
            uint32_t callee = (uint32_t)p->arg_payload[a];
            memcpy(casts[callee], casts[graph], FXC_CAST_DEVICES);
            if (is_wrapper(p, node)) {
                enter(p, node, casts[callee]);
            }
            reached[callee] = more = true;
        }
    }
    return more;
}

fxc_status fxc_autocast_graphs(const struct fxc_program *p, struct fxc_arena *arena, const uint8_t **casts,
                               fxc_error *err) {
    uint8_t first[FXC_CAST_DEVICES];
    uint32_t graphs = FXC_COUNT(p, graph);
    memset(first, FXC_DTYPE_OPAQUE, sizeof first);
    bool any = ambient(p, first);
    for (uint32_t i = 0; i < FXC_COUNT(p, op) && !any; i++) {
        any = strcmp(fxc_string(p, p->op_name[i]), "higher_order.wrap_with_autocast") == 0;
    }
    *casts = NULL;
    if (!any || graphs == 0) {
        return FXC_OK;
    }
    uint8_t(*states)[FXC_CAST_DEVICES] = fxc_arena_alloc(arena, graphs * sizeof *states);
    bool *reached = FXC_NEW(arena, bool, graphs), *spent = FXC_NEW(arena, bool, graphs);
    if (states == NULL || reached == NULL || spent == NULL) {
        return fxc_fail_memory(err, "shapes");
    }
    memset(states, FXC_DTYPE_OPAQUE, graphs * sizeof *states);
    memcpy(states[0], first, sizeof first);
    reached[0] = true;
    /* Rounds, one for each level of nesting at most; every graph is read once. */
    for (bool more = true; more;) {
        more = false;
        for (uint32_t graph = 0; graph < graphs; graph++) {
            if (reached[graph] && !spent[graph]) {
                spent[graph] = true;
                more = spread(p, graph, states, reached) || more;
            }
        }
    }
    *casts = states[0];
    return FXC_OK;
}

/* ---- what it does ------------------------------------------------------------------------------------------------ */

/* The two kinds of devices of one policy of the table. */
static enum fxc_autocast policy_on(uint8_t autocast, uint32_t kind) {
    static const uint8_t policies[FXC_AUTOCAST_COUNT][FXC_CAST_DEVICES] = {
        [FXC_AUTOCAST_LOWER] = {FXC_AUTOCAST_LOWER, FXC_AUTOCAST_LOWER},
        [FXC_AUTOCAST_FP32] = {FXC_AUTOCAST_FP32, FXC_AUTOCAST_FP32},
        [FXC_AUTOCAST_PROMOTE] = {FXC_AUTOCAST_PROMOTE, FXC_AUTOCAST_PROMOTE},
        [FXC_AUTOCAST_CPU_LOWER] = {FXC_AUTOCAST_LOWER, FXC_AUTOCAST_NONE},
        [FXC_AUTOCAST_CPU_FP32] = {FXC_AUTOCAST_FP32, FXC_AUTOCAST_NONE},
        [FXC_AUTOCAST_CPU_PROMOTE] = {FXC_AUTOCAST_PROMOTE, FXC_AUTOCAST_NONE},
        [FXC_AUTOCAST_CUDA_LOWER] = {FXC_AUTOCAST_NONE, FXC_AUTOCAST_LOWER},
        [FXC_AUTOCAST_CUDA_FP32] = {FXC_AUTOCAST_NONE, FXC_AUTOCAST_FP32},
        [FXC_AUTOCAST_CUDA_PROMOTE] = {FXC_AUTOCAST_NONE, FXC_AUTOCAST_PROMOTE},
        [FXC_AUTOCAST_MIXED] = {FXC_AUTOCAST_FP32, FXC_AUTOCAST_PROMOTE},
        [FXC_AUTOCAST_PARTS] = {FXC_AUTOCAST_PARTS, FXC_AUTOCAST_PARTS},
    };
    return (enum fxc_autocast)policies[autocast][kind];
}

/* Types that autocast touches: float64 stays. */
static bool is_eligible(uint8_t dtype) {
    return dtype == FXC_DTYPE_FLOAT32 || dtype == FXC_DTYPE_FLOAT16 || dtype == FXC_DTYPE_BFLOAT16;
}

/* What the tensor arguments of a node say: where they are, and whether one of them is float32. */
struct arguments {
    const char *device;
    bool wide;
};

static void look_at(const struct fxc_rule *rule, uint8_t kind, int64_t payload, struct arguments *seen) {
    struct fxc_tensor tensor;
    if (kind == FXC_KIND_VALUE && fxc_rule_value(rule, (uint32_t)payload, &tensor)) {
        seen->device = seen->device == NULL ? fxc_rule_device(rule, tensor.value) : seen->device;
        seen->wide = seen->wide || tensor.dtype == FXC_DTYPE_FLOAT32;
    }
}

static struct arguments look(const struct fxc_rule *rule) {
    const struct fxc_program *p = rule->program;
    struct arguments seen = {NULL, false};
    for (uint32_t a = p->node_arg_begin[rule->node]; a < p->node_arg_begin[rule->node + 1]; a++) {
        look_at(rule, p->arg_kind[a], p->arg_payload[a], &seen);
        if (p->arg_kind[a] == FXC_KIND_LIST) {
            for (uint32_t i = p->list_begin[p->arg_payload[a]]; i < p->list_begin[p->arg_payload[a] + 1]; i++) {
                look_at(rule, p->item_kind[i], p->item_payload[i], &seen);
            }
        }
    }
    return seen;
}

struct fxc_cast fxc_node_cast(const struct fxc_rule *rule) {
    struct fxc_cast none = {FXC_DTYPE_OPAQUE, false};
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    if (rule->shapes->casts == NULL || row == NULL || row->autocast == FXC_AUTOCAST_NONE) {
        return none;
    }
    struct arguments seen = look(rule);
    uint32_t kind = kind_of(seen.device), graph = fxc_program_node_graph(rule->program, rule->node);
    uint8_t lower =
        kind < FXC_CAST_DEVICES ? rule->shapes->casts[graph * FXC_CAST_DEVICES + kind] : (uint8_t)FXC_DTYPE_OPAQUE;
    if (lower == FXC_DTYPE_OPAQUE) {
        return none;
    }
    switch (policy_on(row->autocast, kind)) {
    case FXC_AUTOCAST_LOWER:
        return (struct fxc_cast){lower, false};
    case FXC_AUTOCAST_FP32:
        return (struct fxc_cast){FXC_DTYPE_FLOAT32, false};
    case FXC_AUTOCAST_PROMOTE:
        return (struct fxc_cast){seen.wide ? (uint8_t)FXC_DTYPE_FLOAT32 : lower, false};
    case FXC_AUTOCAST_PARTS:
        return (struct fxc_cast){FXC_DTYPE_OPAQUE, true};
    default:
        return none;
    }
}

uint8_t fxc_cast_dtype(struct fxc_cast cast, uint8_t dtype) {
    return cast.to != FXC_DTYPE_OPAQUE && is_eligible(dtype) ? cast.to : dtype;
}
