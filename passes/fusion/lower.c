/* Lowering the graph: every node in order, and after each the rules of passes/fusion/decide.c
 * (GraphLowering.run_node of torch/_inductor/graph.py). */
#include "passes/fusion/lower.h"

#include <string.h>

struct fxc_rule fxc_engine_rule(const struct fxc_engine *e) {
    return (struct fxc_rule){
        .program = e->p, .shapes = e->analysis->shapes, .bindings = e->analysis->bindings, .node = e->node};
}

bool fxc_operand(const struct fxc_engine *e, enum fxc_name name, struct fxc_tensor_view *out) {
    struct fxc_rule rule = fxc_engine_rule(e);
    enum fxc_kind kind;
    int64_t payload;
    if (!fxc_rule_arg(&rule, name, &kind, &payload) || kind != FXC_KIND_VALUE) {
        return false;
    }
    *out = e->view[payload];
    return out->box != FXC_NONE;
}

static bool add_operand(const struct fxc_engine *e, uint8_t kind, int64_t payload, struct fxc_tensor_view *out,
                        uint32_t *count, uint32_t limit) {
    if (kind != FXC_KIND_VALUE || e->p->value_kind[payload] != FXC_KIND_TENSOR) {
        return true;
    }
    if (*count == limit || e->view[payload].box == FXC_NONE) {
        return false;
    }
    out[(*count)++] = e->view[payload];
    return true;
}

uint32_t fxc_operands(const struct fxc_engine *e, struct fxc_tensor_view *out, uint32_t limit) {
    const struct fxc_program *p = e->p;
    uint32_t count = 0;
    for (uint32_t a = p->node_arg_begin[e->node]; a < p->node_arg_begin[e->node + 1]; a++) {
        if (!add_operand(e, p->arg_kind[a], p->arg_payload[a], out, &count, limit)) {
            return FXC_NONE;
        }
        for (uint32_t i = p->arg_kind[a] == FXC_KIND_LIST ? p->list_begin[p->arg_payload[a]] : 0;
             p->arg_kind[a] == FXC_KIND_LIST && i < p->list_begin[p->arg_payload[a] + 1]; i++) {
            if (!add_operand(e, p->item_kind[i], p->item_payload[i], out, &count, limit)) {
                return FXC_NONE;
            }
        }
    }
    return count;
}

uint32_t fxc_result_value(const struct fxc_engine *e, uint32_t index) {
    const struct fxc_program *p = e->p;
    uint32_t result = p->node_result[e->node];
    if (p->value_kind[result] == FXC_KIND_LIST) {
        uint32_t item = p->list_begin[p->value_payload[result]] + index;
        if (item >= p->list_begin[p->value_payload[result] + 1] || p->item_kind[item] != FXC_KIND_VALUE) {
            return FXC_NONE;
        }
        result = (uint32_t)p->item_payload[item];
    } else if (index > 0) {
        return FXC_NONE;
    }
    return p->value_kind[result] == FXC_KIND_TENSOR ? result : FXC_NONE;
}

uint32_t fxc_result_count(const struct fxc_engine *e) {
    const struct fxc_program *p = e->p;
    uint32_t result = p->node_result[e->node];
    if (p->value_kind[result] != FXC_KIND_LIST) {
        return 1;
    }
    return p->list_begin[p->value_payload[result] + 1] - p->list_begin[p->value_payload[result]];
}

bool fxc_value_sizes(const struct fxc_engine *e, uint32_t value, const int64_t **size, const int64_t **stride,
                     uint8_t *rank) {
    const struct fxc_shapes *s = e->analysis->shapes;
    *size = s->size + s->dim_begin[value];
    *stride = s->stride + s->dim_begin[value];
    *rank = s->rank[value];
    return *rank <= FXC_LOOP_RANK && s->numel[value] >= 0;
}

void fxc_give(struct fxc_engine *e, uint32_t index, const struct fxc_tensor_view *view) {
    uint32_t value = fxc_result_value(e, index);
    if (value == FXC_NONE) {
        return;
    }
    e->view[value] = *view;
    struct fxc_box *box = &e->box[view->box];
    if (view->plain && box->value == FXC_NONE && box->node == e->node) {
        box->value = value;
        if (box->buffer != FXC_NONE && e->buffer[box->buffer].value == FXC_NONE) {
            e->buffer[box->buffer].value = value;
        }
    }
}

struct fxc_tensor_view fxc_made_buffer(struct fxc_engine *e, uint32_t value, const int64_t *stride, uint32_t *buffer) {
    const int64_t *size, *recorded;
    uint8_t rank;
    (void)fxc_value_sizes(e, value, &size, &recorded, &rank);
    uint32_t shape = fxc_engine_sizes(e, size, rank);
    struct fxc_buffer made = {.value = value,
                              .node = e->node,
                              .operation = FXC_NONE,
                              .shape = shape,
                              .strides = stride == NULL ? fxc_engine_contiguous(e, shape, rank)
                                                        : fxc_engine_sizes(e, stride, rank),
                              .within = FXC_NONE,
                              .rank = rank,
                              .dtype = e->analysis->shapes->dtype[value]};
    *buffer = fxc_engine_buffer(e, made);
    return fxc_engine_box(
        e, &(struct fxc_box){
               .buffer = *buffer, .shape = shape, .node = e->node, .value = value, .rank = rank, .dtype = made.dtype});
}

void fxc_own_work(struct fxc_engine *e, struct fxc_body *body, uint32_t shape, uint8_t rank, uint16_t part,
                  uint16_t operations) {
    uint32_t map[FXC_LOOP_RANK];
    fxc_engine_variables(e, e->size + shape, rank, map);
    uint32_t at = fxc_index_tuple(&e->index, map, rank);
    fxc_body_work(e, body, (struct fxc_work){e->node, at, part, operations, fxc_product(e, e->size + shape, rank)});
}

struct fxc_tensor_view fxc_combine(struct fxc_engine *e, const struct fxc_tensor_view *operands, uint32_t count,
                                   uint32_t shape, uint8_t rank, uint8_t dtype, uint16_t part, uint16_t operations,
                                   uint32_t heavy) {
    uint32_t map[FXC_LOOP_RANK];
    struct fxc_body body;
    fxc_engine_variables(e, e->size + shape, rank, map);
    fxc_body_start(e, &body);
    for (uint32_t i = 0; i < count; i++) {
        fxc_body_inline(e, &body, &operands[i], map, e->size + shape);
    }
    fxc_own_work(e, &body, shape, rank, part, operations);
    body.heavy |= heavy;
    return fxc_engine_pointwise(e, shape, rank, dtype, &body);
}

uint32_t fxc_dims(const struct fxc_engine *e, enum fxc_name name, uint32_t rank) {
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t list = fxc_rule_list(&rule, name), bits = 0;
    int64_t dim;
    if (list != FXC_NONE) {
        for (uint32_t i = 0; fxc_rule_item_int(&rule, list, i, &dim); i++) {
            bits |= 1u << (dim < 0 ? dim + (int64_t)rank : dim);
        }
    } else if (fxc_rule_int(&rule, name, INT64_MIN, &dim) && dim != INT64_MIN) {
        bits |= 1u << (dim < 0 ? dim + (int64_t)rank : dim);
    }
    return bits == 0 ? (1u << rank) - 1 : bits;
}

/* ---- the graph ------------------------------------------------------------------------------------------------------
 */

static void give_input(struct fxc_engine *e, uint32_t value, uint8_t kind) {
    const int64_t *size, *stride;
    uint8_t rank;
    if (e->p->value_kind[value] != FXC_KIND_TENSOR || !fxc_value_sizes(e, value, &size, &stride, &rank)) {
        return;
    }
    uint32_t shape = fxc_engine_sizes(e, size, rank);
    struct fxc_buffer made = {.value = value,
                              .node = FXC_NONE,
                              .operation = FXC_NONE,
                              .shape = shape,
                              .strides = fxc_engine_sizes(e, stride, rank),
                              .within = FXC_NONE,
                              .rank = rank,
                              .dtype = e->analysis->shapes->dtype[value],
                              .input = true,
                              .parameter = kind != FXC_INPUT_KIND_USER_INPUT};
    uint32_t buffer = fxc_engine_buffer(e, made);
    if (e->profile->frozen && made.parameter && !e->failed) {
        e->buffer[buffer].charged = 0; /* constants are no inputs to Inductor's counter */
    }
    struct fxc_box box = {
        .buffer = buffer, .shape = shape, .node = FXC_NONE, .value = value, .rank = rank, .dtype = made.dtype};
    e->view[value] = fxc_engine_box(e, &box);
}

/* Marks the buffers that the graph returns; what is not in memory yet is computed. */
static void take_outputs(struct fxc_engine *e) {
    for (uint32_t value = 0; value < FXC_COUNT(e->p, value); value++) {
        struct fxc_tensor_view *view = &e->view[value];
        if (!e->is_output[value] || view->box == FXC_NONE) {
            continue;
        }
        e->node = e->p->value_producer[value];
        if (!fxc_is_realised(e, view)) {
            (void)fxc_box_realise(e, view->box);
        }
        e->buffer[e->box[view->box].buffer].output = true;
    }
}

/* After the last node every buffer has strides. */
static void decide_all(struct fxc_engine *e) {
    for (uint32_t b = 0; b < e->buffer_count; b++) {
        if (e->buffer[b].flexible && e->buffer[b].operation != FXC_NONE) {
            fxc_buffer_decide(e, b);
        }
    }
}

fxc_status fxc_engine_lower(struct fxc_engine *e, fxc_error *err) {
    const struct fxc_program *p = e->p;
    const struct fxc_lowering **how = NULL;
    FXC_TRY(fxc_lowering_bind(e, &how, err));
    FXC_TRY(fxc_prefer_channels_last(e, how, err));
    for (uint32_t i = p->graph_input_begin[e->graph]; i < p->graph_input_begin[e->graph + 1]; i++) {
        give_input(e, p->input_value[i], p->input_kind[i]);
        if (e->users[p->input_value[i]] > 0 && e->user[e->user_begin[p->input_value[i]]] != FXC_NONE) {
            e->node = e->user[e->user_begin[p->input_value[i]]]; /* a copy of an input is for its first user */
            fxc_decide(e, how, p->input_value[i]);
        }
    }
    for (e->node = e->first_node; e->node < e->end_node && !e->failed; e->node++) {
        const struct fxc_lowering *row = how[p->node_op[e->node]];
        row->lower(e, row);
        uint32_t result = p->node_result[e->node];
        if (p->value_kind[result] == FXC_KIND_TENSOR) {
            fxc_decide(e, how, result);
        }
    }
    take_outputs(e);
    decide_all(e);
    return FXC_OK;
}
