/* reshape: graphs that nodes call. The graph is walked at the first call, with the operands' sizes; which operand an
 * input stands for, and whether it is the operand itself or a row of it (map, scan), shows in the recorded shapes. */
#include <string.h>

#include "passes/reshape/reshape.h"
#include "passes/shapes/rules.h"

struct operand {
    uint8_t kind;
    int64_t payload;
};

struct call {
    struct fxc_reshape *r;
    uint32_t node;
    struct operand *operand;
    uint32_t count, capacity;
};

static uint32_t input_count(const struct fxc_program *p, uint32_t graph) {
    return p->graph_input_begin[graph + 1] - p->graph_input_begin[graph];
}

/* All items of the arguments behind the last graph, lists opened; a graph's name may come before them. */
static void add_operand(struct call *c, uint8_t kind, int64_t payload) {
    const struct fxc_program *p = &c->r->view;
    if (kind == FXC_KIND_LIST) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1] && c->count < c->capacity; i++) {
            add_operand(c, p->item_kind[i], p->item_payload[i]);
        }
    } else if (c->count < c->capacity && (c->count > 0 || kind != FXC_KIND_STRING)) {
        c->operand[c->count++] = (struct operand){kind, payload};
    }
}

static fxc_status collect(struct call *c, fxc_error *err) {
    const struct fxc_program *p = &c->r->view;
    uint32_t last = FXC_NONE, end = p->node_arg_begin[c->node + 1];
    for (uint32_t a = p->node_arg_begin[c->node]; a < end; a++) {
        if (p->arg_kind[a] == FXC_KIND_GRAPH) {
            uint32_t inputs = input_count(p, (uint32_t)p->arg_payload[a]);
            c->capacity = inputs > c->capacity ? inputs : c->capacity;
            last = a;
        }
    }
    c->operand = FXC_NEW(&c->r->scratch, struct operand, c->capacity);
    if (c->operand == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    for (uint32_t a = last; last != FXC_NONE && ++a < end;) {
        add_operand(c, p->arg_kind[a], p->arg_payload[a]);
    }
    return FXC_OK;
}

/* ---- inputs of a graph ------------------------------------------------------------------------------------------- */

static fxc_status refuse(const struct call *c, uint32_t value, fxc_error *err) {
    const struct fxc_program *p = &c->r->view;
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, p, c->node);
    fxc_expected(err, "operands as recorded for the graph's input '%s'", fxc_string(p, p->value_name[value]));
    fxc_found(err, "other sizes, that no rule carries into the graph");
    fxc_advice(err, "capture the model at these sizes, or with the dimensions dynamic");
    return status;
}

/* How many leading dimensions of the operand an input leaves out, by their recorded shapes: 0 or 1; 2 for neither. */
static uint32_t left_out(const struct fxc_tensor *operand, const struct fxc_tensor *input) {
    uint32_t less = (uint32_t)operand->rank - input->rank;
    if (operand->rank < input->rank || less > 1) {
        return 2;
    }
    for (uint32_t dim = 0; dim < input->rank; dim++) {
        if (operand->size[dim + less] != input->size[dim]) {
            return 2;
        }
    }
    return less;
}

static uint8_t changed_value(const struct fxc_reshape *r, uint32_t value) {
    return ((const uint8_t *)r->changed.data)[value];
}

/* A tensor input whose operand has changed: its sizes, without the row dimension where the input is a row. */
static fxc_status settle_changed(const struct call *c, uint32_t value, uint32_t operand, fxc_error *err) {
    struct fxc_reshape *r = c->r;
    struct fxc_rule recorded = {.program = r->source, .shapes = r->recorded->shapes};
    struct fxc_rule now = {.program = &r->view, .shapes = &r->shapes};
    struct fxc_tensor was, input, is;
    if (!fxc_rule_value(&recorded, operand, &was) || !fxc_rule_value(&recorded, value, &input) ||
        !fxc_rule_value(&now, operand, &is) || is.rank != was.rank || is.rank > FXC_MAX_RANK || is.numel < 0) {
        return refuse(c, value, err);
    }
    uint32_t less = left_out(&was, &input);
    if (less > 1) {
        return refuse(c, value, err);
    }
    struct fxc_shape shape = {.rank = (uint8_t)(is.rank - less)};
    memcpy(shape.size, is.size + less, shape.rank * sizeof shape.size[0]);
    uint32_t row = (uint32_t)r->source->value_payload[value];
    struct fxc_reshape_meta meta = {
        .dtype = is.dtype, .layout = FXC_LAYOUT_STRIDED, .flags = r->source->meta_flags[row], .rank = shape.rank};
    if (!fxc_reshape_strides_like(&input, &shape)) {
        return refuse(c, value, err);
    }
    memcpy(meta.size, shape.size, shape.rank * sizeof meta.size[0]);
    memcpy(meta.stride, less == 0 ? is.stride : shape.stride, shape.rank * sizeof meta.stride[0]);
    fxc_reshape_set_tensor(r, value, fxc_reshape_meta_row(r, &meta), changed_value(r, operand));
    r->settled[value] = true;
    fxc_reshape_note(r, &input, shape.rank, shape.size);
    return fxc_reshape_fill(r, value, err);
}

static fxc_status settle_input(const struct call *c, uint32_t value, uint32_t index, fxc_error *err) {
    struct fxc_reshape *r = c->r;
    const struct operand *operand = index < c->count ? &c->operand[index] : NULL;
    bool is_value = operand != NULL && operand->kind == FXC_KIND_VALUE;
    uint8_t changed = is_value ? changed_value(r, (uint32_t)operand->payload) : 0;
    if (changed == 0) {
        return fxc_reshape_adopt_input(r, value, err);
    }
    uint32_t from = (uint32_t)operand->payload;
    if ((changed & FXC_CHANGED_NUMBER) != 0) {
        fxc_reshape_set_value(r, value, r->view.value_kind[from], r->view.value_payload[from], changed);
        r->settled[value] = true;
        return FXC_OK;
    }
    return settle_changed(c, value, from, err);
}

/* A further call of a graph that was walked: with the same sizes. */
static fxc_status check_again(const struct call *c, uint32_t value, uint32_t index, fxc_error *err) {
    struct fxc_reshape *r = c->r;
    const struct operand *operand = index < c->count ? &c->operand[index] : NULL;
    struct fxc_rule now = {.program = &r->view, .shapes = &r->shapes};
    struct fxc_tensor input, is;
    if (operand == NULL || operand->kind != FXC_KIND_VALUE || !fxc_rule_value(&now, value, &input) ||
        !fxc_rule_value(&now, (uint32_t)operand->payload, &is)) {
        return FXC_OK;
    }
    uint8_t before = changed_value(r, value), after = changed_value(r, (uint32_t)operand->payload);
    return (before == 0 && after == 0) || left_out(&is, &input) < 2 ? FXC_OK : refuse(c, value, err);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static fxc_status enter(const struct call *c, uint32_t graph, fxc_error *err) {
    const struct fxc_program *p = c->r->source;
    bool first = !c->r->walked[graph];
    for (uint32_t i = p->graph_input_begin[graph]; i < p->graph_input_begin[graph + 1]; i++) {
        uint32_t index = i - p->graph_input_begin[graph];
        FXC_TRY(first ? settle_input(c, p->input_value[i], index, err) : check_again(c, p->input_value[i], index, err));
    }
    return first ? fxc_reshape_walk_graph(c->r, graph, err) : FXC_OK;
}

fxc_status fxc_reshape_calls(struct fxc_reshape *r, uint32_t node, fxc_error *err) {
    const struct fxc_program *p = r->source;
    struct call call = {.r = r, .node = node};
    bool collected = false;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] != FXC_KIND_GRAPH) {
            continue;
        }
        if (!collected) {
            FXC_TRY(collect(&call, err));
            collected = true;
        }
        FXC_TRY(enter(&call, (uint32_t)p->arg_payload[a], err));
    }
    return FXC_OK;
}
