/* alias: nodes that run body graphs. A body is walked at the first node that calls it, with its inputs in the classes
 * of the operands: what it writes, the operands' memory has written to it. Further calls of the same body are judged
 * by what that walk found, so that a program takes linear time however often it calls a body. */
#include "passes/alias/walk.h"

struct operand {
    uint8_t kind;
    int64_t payload;
};

struct call {
    struct fxc_walk *w;
    uint32_t node;
    uint32_t graphs;      /* bodies that the node names */
    uint32_t last_row;    /* row of the arg columns with the last of them */
    uint32_t most_inputs; /* of any of them */
    struct operand *operand;
    uint32_t operand_count;
    uint32_t steps;    /* bounds the walk through nested lists */
    bool bound;        /* the operands are inputs of a body: it reads them, not the node itself */
    uint32_t *outputs; /* per output of the body: its class in this call, or FXC_NONE */
    uint32_t body;
};

static uint32_t input_count(const struct fxc_program *p, uint32_t graph) {
    return p->graph_input_begin[graph + 1] - p->graph_input_begin[graph];
}

static void note_graph(struct call *c, uint32_t row, int64_t graph) {
    uint32_t inputs = input_count(c->w->p, (uint32_t)graph);
    c->graphs++;
    c->last_row = row;
    c->body = (uint32_t)graph;
    c->most_inputs = inputs > c->most_inputs ? inputs : c->most_inputs;
}

/* Bodies among the arguments, alone or in a list. */
static void find_graphs(struct call *c) {
    const struct fxc_program *p = c->w->p;
    bool higher = p->op_origin[p->node_op[c->node]] == FXC_OP_ORIGIN_HIGHER_ORDER;
    for (uint32_t a = p->node_arg_begin[c->node]; a < p->node_arg_begin[c->node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_GRAPH) {
            note_graph(c, a, p->arg_payload[a]);
        } else if (higher && p->arg_kind[a] == FXC_KIND_LIST) {
            int64_t list = p->arg_payload[a];
            for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
                if (p->item_kind[i] == FXC_KIND_GRAPH) {
                    note_graph(c, a, p->item_payload[i]);
                }
            }
        }
    }
}

/* Operands in the order of the bodies' inputs: all items of the arguments after the last body, lists opened. */
static void add_operands(struct call *c, uint8_t kind, int64_t payload) {
    const struct fxc_program *p = c->w->p;
    if (c->operand_count == c->most_inputs || c->steps++ > 4 * c->most_inputs + 64) {
        return;
    }
    if (kind == FXC_KIND_LIST) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1]; i++) {
            add_operands(c, p->item_kind[i], p->item_payload[i]);
        }
    } else if (c->operand_count > 0 || kind != FXC_KIND_STRING) { /* a body's name may come before its operands */
        c->operand[c->operand_count++] = (struct operand){kind, payload};
    }
}

/* The class that operand k brings, FXC_NONE when it is no tensor. */
static uint32_t operand_memory(const struct call *c, uint32_t k) {
    return c->operand[k].kind == FXC_KIND_VALUE ? c->w->alias->value_memory[c->operand[k].payload] : FXC_NONE;
}

static void first_walk(struct call *c, uint32_t graph, bool bound) {
    struct fxc_walk *w = c->w;
    const struct fxc_program *p = w->p;
    uint32_t first = p->graph_input_begin[graph], inputs = input_count(p, graph);
    uint32_t *before = FXC_NEW(w->scratch, uint32_t, inputs);
    if (before == NULL) {
        w->failed = true;
        return;
    }
    for (uint32_t k = 0; k < inputs; k++) {
        uint32_t value = p->input_value[first + k], memory = bound ? operand_memory(c, k) : FXC_NONE;
        if (memory != FXC_NONE && p->value_kind[value] == FXC_KIND_TENSOR) {
            fxc_alias_assign(w, value, memory, FXC_MEMORY_FRESH);
        } else {
            fxc_alias_input(w, value);
        }
        memory = w->alias->value_memory[value];
        before[k] = memory == FXC_NONE ? 0 : w->order.memory[memory].version;
    }
    w->order.graph_caller[graph] = c->node;
    w->order.graph_depth[graph] = (uint8_t)(w->order.graph_depth[w->order.node_graph[c->node]] + 1);
    fxc_alias_graph(w, graph);
    for (uint32_t k = 0; k < inputs; k++) {
        uint32_t memory = w->alias->value_memory[p->input_value[first + k]];
        w->input_written[first + k] = memory != FXC_NONE && w->order.memory[memory].version != before[k];
    }
}

/* What the first walk saw written is written again, through the operands of this call. */
static void replay(struct call *c, uint32_t graph) {
    struct fxc_walk *w = c->w;
    uint32_t first = w->p->graph_input_begin[graph];
    for (uint32_t k = 0; k < input_count(w->p, graph); k++) {
        uint32_t memory = operand_memory(c, k);
        if (memory == FXC_NONE) {
            continue;
        }
        fxc_order_read(&w->order, c->node, memory);
        if (w->input_written[first + k]) {
            fxc_order_write(
                &w->order,
                (struct fxc_write){.node = c->node, .value = (uint32_t)c->operand[k].payload, .memory = memory});
        }
    }
}

/* Classes of the body's outputs in this call. In a later call an output that was an input's memory is the operand's;
 * anything else is new memory. */
static void find_outputs(struct call *c, uint32_t graph, bool again) {
    struct fxc_walk *w = c->w;
    const struct fxc_program *p = w->p;
    uint32_t first = p->graph_output_begin[graph], outputs = p->graph_output_begin[graph + 1] - first;
    uint32_t first_input = p->graph_input_begin[graph];
    c->outputs = FXC_NEW(w->scratch, uint32_t, outputs);
    if (c->outputs == NULL) {
        w->failed = true;
        return;
    }
    for (uint32_t k = 0; again && k < c->operand_count && k < input_count(p, graph); k++) {
        uint32_t memory = w->alias->value_memory[p->input_value[first_input + k]];
        if (memory != FXC_NONE) {
            w->order.memory[memory].stamp = c->node + 1;
            w->order.memory[memory].first = k;
        }
    }
    for (uint32_t i = 0; i < outputs; i++) {
        c->outputs[i] = FXC_NONE;
        if (p->output_kind[first + i] != FXC_KIND_VALUE) {
            continue;
        }
        uint32_t memory = w->alias->value_memory[p->output_payload[first + i]];
        bool from_input = memory != FXC_NONE && w->order.memory[memory].stamp == c->node + 1;
        c->outputs[i] = !again ? memory : from_input ? operand_memory(c, w->order.memory[memory].first) : FXC_NONE;
    }
}

static void run_body(struct call *c, uint32_t graph) {
    struct fxc_walk *w = c->w;
    bool bound = w->ops[w->p->node_op[c->node]].binds && c->operand_count >= input_count(w->p, graph);
    bool again = w->walked[graph];
    c->bound |= bound;
    if (!again) {
        first_walk(c, graph, bound);
    } else if (bound) {
        replay(c, graph);
    }
    if (c->graphs == 1 && w->ops[w->p->node_op[c->node]].role == FXC_ROLE_WRAPPER && !w->failed) {
        find_outputs(c, graph, again);
    }
}

static void run_bodies(struct call *c) {
    const struct fxc_program *p = c->w->p;
    for (uint32_t a = p->node_arg_begin[c->node]; a <= c->last_row; a++) {
        if (p->arg_kind[a] == FXC_KIND_GRAPH) {
            run_body(c, (uint32_t)p->arg_payload[a]);
        } else if (p->arg_kind[a] == FXC_KIND_LIST) {
            int64_t list = p->arg_payload[a];
            for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
                if (p->item_kind[i] == FXC_KIND_GRAPH) {
                    run_body(c, (uint32_t)p->item_payload[i]);
                }
            }
        }
    }
}

/* A wrapper's results are its body's outputs. */
static void return_outputs(struct call *c) {
    struct fxc_walk *w = c->w;
    const struct fxc_program *p = w->p;
    uint32_t result = p->node_result[c->node];
    uint32_t outputs = p->graph_output_begin[c->body + 1] - p->graph_output_begin[c->body];
    if (p->value_kind[result] == FXC_KIND_TENSOR && outputs == 1) {
        fxc_alias_known_result(w, c->node, result, c->outputs[0]);
        return;
    }
    int64_t list = p->value_payload[result];
    bool matches = p->value_kind[result] == FXC_KIND_LIST && p->list_begin[list + 1] - p->list_begin[list] == outputs;
    if (!matches) {
        fxc_alias_result(w, c->node);
        return;
    }
    for (uint32_t i = 0; i < outputs; i++) {
        uint32_t item = p->list_begin[list] + i;
        if (p->item_kind[item] == FXC_KIND_VALUE) {
            fxc_alias_known_result(w, c->node, (uint32_t)p->item_payload[item], c->outputs[i]);
        }
    }
}

/* What the node itself reads: a predicate, or everything when the operands could not be matched to the body. */
static void read_rest(struct call *c) {
    struct fxc_walk *w = c->w;
    for (uint32_t i = 0; i < w->use_count; i++) {
        if (w->use[i].row <= c->last_row || !c->bound) {
            fxc_order_read(&w->order, c->node, w->use[i].memory);
        }
    }
}

bool fxc_alias_call(struct fxc_walk *w, uint32_t node) {
    const struct fxc_program *p = w->p;
    struct call c = {.w = w, .node = node};
    find_graphs(&c);
    if (c.graphs == 0) {
        return false;
    }
    c.operand = FXC_NEW(w->scratch, struct operand, c.most_inputs);
    if (c.operand == NULL) {
        w->failed = true;
        return true;
    }
    for (uint32_t a = c.last_row + 1; a < p->node_arg_begin[node + 1]; a++) {
        add_operands(&c, p->arg_kind[a], p->arg_payload[a]);
    }
    run_bodies(&c);
    fxc_alias_gather(w, node); /* after the bodies, whose nodes used the same table */
    if (c.outputs != NULL) {
        return_outputs(&c);
    } else {
        fxc_alias_result(w, node);
    }
    read_rest(&c);
    return true;
}
