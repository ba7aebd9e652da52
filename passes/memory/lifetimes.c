/* memory: which node of its graph uses a value last. */
#include <string.h>

#include "passes/memory/memory.h"

/* Nodes from `begin` to `end` let go together of what was there before them. */
struct use {
    const struct fxc_program *p;
    uint32_t node, begin, end, *last;
};

static bool later(uint32_t a, uint32_t b) {
    return a != FXC_USED_NEVER && (b == FXC_USED_NEVER || a > b);
}

static void use(uint32_t value, void *context) {
    const struct use *by = context;
    uint32_t producer = by->p->value_producer[value];
    uint32_t until = producer == FXC_NONE || producer < by->begin ? by->end : by->node;
    by->last[value] = later(until, by->last[value]) ? until : by->last[value];
}

/* Whoever holds a list holds what is in it. */
static void hold_items(const struct fxc_program *p, uint32_t value, uint32_t *last) {
    if (p->value_kind[value] != FXC_KIND_LIST) {
        return;
    }
    uint32_t list = (uint32_t)p->value_payload[value];
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        uint32_t item = (uint32_t)p->item_payload[i];
        if (p->item_kind[i] == FXC_KIND_VALUE && later(last[value], last[item])) {
            last[item] = last[value];
        }
    }
}

static bool is_interpreted(const struct fxc_program *p) {
    int64_t route;
    if (!fxc_program_capture(p, "route", FXC_KIND_STRING, &route)) {
        return true;
    }
    const char *text = fxc_string(p, (uint32_t)route);
    return strncmp(text, "record", 6) != 0 && strcmp(text, "joint") != 0;
}

/* The node of autograd that a node of the program runs for; FXC_NONE when there is none or it runs nothing else. */
static uint32_t gradient_of(const struct fxc_program *p, uint32_t node) {
    uint32_t region = p->node_region == NULL ? FXC_NONE : p->node_region[node];
    while (region != FXC_NONE && p->region_kind[region] != FXC_REGION_KIND_GRADIENT) {
        region = p->region_parent[region];
    }
    return region;
}

/* A node of autograd holds the gradients it was given and the tensors it saved until it returns, whichever of its
 * operators is the last to take them (evaluate_function of torch/csrc/autograd/engine.cpp: release_variables). */
static uint32_t end_of_gradient(const struct fxc_program *p, uint32_t node, uint32_t end) {
    uint32_t gradient = gradient_of(p, node);
    while (gradient != FXC_NONE && node + 1 < end && gradient_of(p, node + 1) == gradient) {
        node++;
    }
    return node;
}

static void see_graph(const struct fxc_program *p, uint32_t graph, uint32_t *last) {
    uint32_t begin = p->graph_node_begin[graph], end = p->graph_node_begin[graph + 1];
    struct use by = {.p = p, .last = last};
    for (by.node = begin; by.node < end; by.node++) { /* in the order they run in */
        if (by.node == begin || by.node > by.end) {
            by.begin = by.node;
            by.end = end_of_gradient(p, by.node, end);
        }
        for (uint32_t arg = p->node_arg_begin[by.node]; arg < p->node_arg_begin[by.node + 1]; arg++) {
            fxc_each_value(p, p->arg_kind[arg], p->arg_payload[arg], use, &by);
        }
    }
}

static void see_nodes(const struct fxc_program *p, uint32_t *last) {
    for (uint32_t value = 0; value < FXC_COUNT(p, value); value++) {
        last[value] = FXC_USED_NEVER;
    }
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        see_graph(p, graph, last);
    }
}

static void hold_all_items(const struct fxc_program *p, uint32_t *last) {
    for (uint32_t value = FXC_COUNT(p, value); value-- > 0;) {
        hold_items(p, value, last);
    }
}

void fxc_last_node_uses(const struct fxc_program *p, uint32_t *last) {
    see_nodes(p, last);
    hold_all_items(p, last);
}

void fxc_last_uses(const struct fxc_program *p, uint32_t *last) {
    see_nodes(p, last);
    for (uint32_t output = 0; output < FXC_COUNT(p, output); output++) {
        struct use by = {.p = p, .node = FXC_USED_TO_THE_END, .end = FXC_USED_TO_THE_END, .last = last};
        fxc_each_value(p, p->output_kind[output], p->output_payload[output], use, &by);
    }
    for (uint32_t node = p->graph_node_begin[0]; is_interpreted(p) && node < p->graph_node_begin[1]; node++) {
        uint32_t result = p->node_result[node];
        last[result] = last[result] == FXC_USED_NEVER ? FXC_USED_TO_THE_END : last[result];
    }
    hold_all_items(p, last);
}
