/* Lowering operators that compute each element from elements of their inputs. */
#include <string.h>

#include "passes/fusion/lower.h"

enum { MAX_OPERANDS = 256 };

/* Numbers among the arguments: the compiler counts each constant as an operation. */
static uint16_t constants(const struct fxc_engine *e) {
    const struct fxc_program *p = e->p;
    uint16_t count = 0;
    for (uint32_t a = p->node_arg_begin[e->node]; a < p->node_arg_begin[e->node + 1]; a++) {
        switch (p->arg_kind[a]) {
        case FXC_KIND_INT:
        case FXC_KIND_FLOAT:
        case FXC_KIND_SYMINT:
        case FXC_KIND_SYMFLOAT:
            count++;
            break;
        default:
            break;
        }
    }
    return count;
}

void fxc_lower_pointwise(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view operand[MAX_OPERANDS];
    uint32_t count = fxc_operands(e, operand, MAX_OPERANDS), value = fxc_result_value(e, 0);
    const int64_t *size, *stride;
    uint8_t rank;
    if (count == FXC_NONE || value == FXC_NONE || !fxc_value_sizes(e, value, &size, &stride, &rank)) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint16_t operations = (uint16_t)(how->operations + constants(e));
    for (uint32_t i = 0; i < count; i++) {
        if (operand[i].rank > rank) {
            fxc_lower_fallback(e, how);
            return;
        }
        operand[i] = fxc_view_expand(e, &operand[i], size, rank);
    }
    uint32_t shape = fxc_engine_sizes(e, size, rank);
    struct fxc_tensor_view out =
        fxc_combine(e, operand, count, shape, rank, e->analysis->shapes->dtype[value], 0, operations, how->heavy);
    fxc_give(e, 0, &out);
}

/* A body of the node at hand over the result's sizes, ready for loads. */
static bool start_result(struct fxc_engine *e, struct fxc_body *body, uint32_t *shape, uint8_t *rank, uint32_t *map) {
    uint32_t value = fxc_result_value(e, 0);
    const int64_t *size, *stride;
    if (value == FXC_NONE || !fxc_value_sizes(e, value, &size, &stride, rank)) {
        return false;
    }
    *shape = fxc_engine_sizes(e, size, *rank);
    fxc_engine_variables(e, size, *rank, map);
    fxc_body_start(e, body);
    return true;
}

static void finish_result(struct fxc_engine *e, struct fxc_body *body, uint32_t shape, uint8_t rank,
                          uint16_t operations) {
    fxc_own_work(e, body, shape, rank, 0, operations);
    struct fxc_tensor_view out =
        fxc_engine_pointwise(e, shape, rank, e->analysis->shapes->dtype[fxc_result_value(e, 0)], body);
    fxc_give(e, 0, &out);
}

/* Reads the input within the bounds, which are tested at each element. */
void fxc_lower_pad(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    struct fxc_body body;
    uint32_t shape, map[FXC_LOOP_RANK], list = fxc_rule_list(&rule, FXC_NAME_pad);
    uint8_t rank;
    if (list == FXC_NONE || !fxc_operand(e, FXC_NAME_self, &view) || !start_result(e, &body, &shape, &rank, map)) {
        fxc_lower_fallback(e, how);
        return;
    }
    for (uint32_t d = 0; d < rank; d++) {
        int64_t before = 0, after = 0;
        uint32_t at = 2 * (rank - 1 - d);
        if (!fxc_rule_item_int(&rule, list, at, &before) || !fxc_rule_item_int(&rule, list, at + 1, &after) ||
            (before == 0 && after == 0)) {
            continue;
        }
        fxc_body_load(e, &body, fxc_load_of(FXC_NONE, map[d], true));
        struct fxc_index_sum sum = {.offset = -before};
        fxc_index_add(&e->index, &sum, 1, map[d]);
        map[d] = fxc_index_of(&e->index, &sum, e->size + shape);
    }
    fxc_body_inline(e, &body, &view, map, e->size + shape);
    finish_result(e, &body, shape, rank, how->operations);
}

/* One of the seeds that a graph draws at its start. */
void fxc_lower_seed(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view seeds;
    struct fxc_rule rule = fxc_engine_rule(e);
    int64_t index;
    if (fxc_operands(e, &seeds, 1) != 1 || seeds.rank != 1 || !fxc_rule_int(&rule, FXC_NAME_index, 0, &index)) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view one = fxc_view_slice(e, &seeds, 0, index, 1, 1);
    one = fxc_view_reshape(e, &one, NULL, 0);
    struct fxc_tensor_view out =
        fxc_combine(e, &one, 1, fxc_engine_sizes(e, NULL, 0), 0, e->box[seeds.box].dtype, 0, how->operations, 0);
    fxc_give(e, 0, &out);
}

/* Random numbers are in memory, so that all who use them use the same. */
void fxc_lower_random(struct fxc_engine *e, const struct fxc_lowering *how) {
    fxc_lower_pointwise(e, how);
    uint32_t value = fxc_result_value(e, 0);
    if (value != FXC_NONE && e->view[value].box != FXC_NONE) {
        (void)fxc_box_realise(e, e->view[value].box);
    }
}

void fxc_lower_flip(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    uint32_t map[FXC_LOOP_RANK];
    if (!fxc_operand(e, FXC_NAME_self, &view) && !fxc_operand(e, FXC_NAME_a, &view)) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint32_t dims = fxc_dims(e, FXC_NAME_dims, view.rank);
    fxc_engine_variables(e, fxc_view_size(e, &view), view.rank, map);
    for (uint32_t d = 0; d < view.rank; d++) {
        if ((dims >> d & 1u) != 0 && map[d] != 0) {
            struct fxc_index_sum sum = {.offset = fxc_view_size(e, &view)[d] - 1};
            fxc_index_add(&e->index, &sum, -1, map[d]);
            map[d] = fxc_index_of(&e->index, &sum, fxc_view_size(e, &view));
        }
    }
    struct fxc_tensor_view turned = fxc_view_mapped(e, &view, map, view.shape, view.rank, false);
    struct fxc_tensor_view out =
        fxc_combine(e, &turned, 1, view.shape, view.rank, e->box[view.box].dtype, 0, how->operations, 0);
    fxc_give(e, 0, &out);
}

void fxc_lower_repeat(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_body body;
    uint32_t shape, map[FXC_LOOP_RANK], at[FXC_LOOP_RANK];
    uint8_t rank;
    if (!fxc_operand(e, FXC_NAME_self, &view) || !start_result(e, &body, &shape, &rank, map) || rank < view.rank) {
        fxc_lower_fallback(e, how);
        return;
    }
    for (uint32_t d = 0; d < view.rank; d++) {
        int64_t extent = fxc_view_size(e, &view)[d];
        uint32_t from = map[d + rank - view.rank];
        at[d] = extent <= 1 ? 0 : fxc_index_piece(&e->index, from, 1, extent, e->size + shape);
    }
    fxc_body_inline(e, &body, &view, at, e->size + shape);
    finish_result(e, &body, shape, rank, how->operations);
}

/* src where the index lies in the slice, self elsewhere. */
static void scatter_slice(struct fxc_engine *e, const struct fxc_lowering *how, bool selects) {
    struct fxc_tensor_view self, source;
    struct fxc_rule rule = fxc_engine_rule(e);
    struct fxc_body body;
    uint32_t shape, map[FXC_LOOP_RANK], at[FXC_LOOP_RANK];
    uint8_t rank;
    int64_t dim, start, step = 1;
    if (!fxc_operand(e, FXC_NAME_self, &self) || !fxc_operand(e, FXC_NAME_src, &source) ||
        !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim) ||
        !fxc_rule_int(&rule, selects ? FXC_NAME_index : FXC_NAME_start, 0, &start) ||
        (!selects && !fxc_rule_int(&rule, FXC_NAME_step, 1, &step)) || !start_result(e, &body, &shape, &rank, map) ||
        self.rank != rank || source.rank + selects != rank) {
        fxc_lower_fallback(e, how);
        return;
    }
    dim = dim < 0 ? dim + rank : dim;
    int64_t extent = e->size[shape + dim];
    start = start < 0 ? start + extent : start;
    uint32_t to = 0;
    for (uint32_t d = 0; d < rank; d++) {
        if (d != (uint32_t)dim) {
            at[to++] = map[d];
        } else if (!selects) {
            struct fxc_index_sum sum = {.offset = -start};
            fxc_index_add(&e->index, &sum, 1, map[d]);
            uint32_t moved = fxc_index_of(&e->index, &sum, e->size + shape);
            at[to++] = step == 1 ? moved : fxc_index_piece(&e->index, moved, step, 0, e->size + shape);
        }
    }
    fxc_body_load(e, &body, fxc_load_of(FXC_NONE, map[dim], true));
    fxc_body_inline(e, &body, &source, at, e->size + shape);
    fxc_body_inline(e, &body, &self, map, e->size + shape);
    finish_result(e, &body, shape, rank, how->operations);
}

void fxc_lower_slice_scatter(struct fxc_engine *e, const struct fxc_lowering *how) {
    scatter_slice(e, how, false);
}

void fxc_lower_select_scatter(struct fxc_engine *e, const struct fxc_lowering *how) {
    scatter_slice(e, how, true);
}

/* A condition, computed into memory, which a kernel of its own tests (_assert_async of lowering.py). It writes nothing
 * that is kept, but runs all the same. */
void fxc_lower_assertion(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view condition;
    if (!fxc_operand(e, FXC_NAME_self, &condition)) {
        fxc_lower_nothing(e, how);
        return;
    }
    (void)fxc_box_realise(e, condition.box);
    struct fxc_tensor_view test =
        fxc_combine(e, &condition, 1, condition.shape, condition.rank, FXC_DTYPE_BOOL, 0, how->operations, 0);
    uint32_t buffer = fxc_box_realise(e, test.box);
    if (!e->failed) {
        e->operation[e->buffer[buffer].operation].effect = true;
    }
}
