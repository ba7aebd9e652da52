/* memory: which node of its graph uses a value last. */
#include <string.h>

#include "passes/memory/memory.h"

struct use {
    uint32_t node, *last;
};

static void use(uint32_t value, void *context) {
    const struct use *by = context;
    by->last[value] = by->node;
}

static bool later(uint32_t a, uint32_t b) {
    return a != FXC_USED_NEVER && (b == FXC_USED_NEVER || a > b);
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

static void see_nodes(const struct fxc_program *p, uint32_t *last) {
    for (uint32_t value = 0; value < FXC_COUNT(p, value); value++) {
        last[value] = FXC_USED_NEVER;
    }
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) { /* nodes of a graph are in the order they run in */
        for (uint32_t arg = p->node_arg_begin[node]; arg < p->node_arg_begin[node + 1]; arg++) {
            fxc_each_value(p, p->arg_kind[arg], p->arg_payload[arg], use, &(struct use){node, last});
        }
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
        fxc_each_value(p, p->output_kind[output], p->output_payload[output], use,
                       &(struct use){FXC_USED_TO_THE_END, last});
    }
    for (uint32_t node = p->graph_node_begin[0]; is_interpreted(p) && node < p->graph_node_begin[1]; node++) {
        uint32_t result = p->node_result[node];
        last[result] = last[result] == FXC_USED_NEVER ? FXC_USED_TO_THE_END : last[result];
    }
    hold_all_items(p, last);
}
