/* Lowering views. */
#include <string.h>

#include "passes/fusion/lower.h"

void fxc_lower_nothing(struct fxc_engine *e, const struct fxc_lowering *how) {
    (void)e;
    (void)how;
}

/* The tensor that is viewed: `self`, or `input`. */
static bool subject(const struct fxc_engine *e, struct fxc_tensor_view *out) {
    return fxc_operand(e, FXC_NAME_self, out) || fxc_operand(e, FXC_NAME_input, out) || fxc_operand(e, FXC_NAME_a, out);
}

static int64_t wrap(int64_t index, int64_t size) {
    return index < 0 ? index + size : index;
}

void fxc_lower_same(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    if (!subject(e, &view)) {
        fxc_lower_fallback(e, how);
        return;
    }
    fxc_give(e, 0, &view);
}

/* The subject and the sizes of the result. */
static bool viewed(const struct fxc_engine *e, struct fxc_tensor_view *view, int64_t *size, uint8_t *rank) {
    const int64_t *sizes, *strides;
    uint32_t value = fxc_result_value(e, 0);
    if (!subject(e, view) || value == FXC_NONE || !fxc_value_sizes(e, value, &sizes, &strides, rank)) {
        return false;
    }
    memcpy(size, sizes, *rank * sizeof *size);
    return true;
}

void fxc_lower_reshape(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    int64_t size[FXC_LOOP_RANK];
    uint8_t rank;
    if (!viewed(e, &view, size, &rank)) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view out = fxc_view_reshape(e, &view, size, rank);
    fxc_give(e, 0, &out);
}

void fxc_lower_expand(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    int64_t size[FXC_LOOP_RANK];
    uint8_t rank;
    if (!viewed(e, &view, size, &rank) || rank < view.rank) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view out = fxc_view_expand(e, &view, size, rank);
    fxc_give(e, 0, &out);
}

void fxc_lower_permute(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_dims), order[FXC_LOOP_RANK];
    bool known = subject(e, &view) && list != FXC_NONE;
    for (uint32_t d = 0; known && d < view.rank; d++) {
        int64_t dim;
        known = fxc_rule_item_int(&rule, list, d, &dim);
        order[d] = known ? (uint32_t)wrap(dim, view.rank) : 0;
    }
    if (!known) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view out = fxc_view_permute(e, &view, order);
    fxc_give(e, 0, &out);
}

void fxc_lower_transpose(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    int64_t first = 0, second = 1;
    if (!subject(e, &view) || !fxc_rule_int(&rule, FXC_NAME_dim0, 0, &first) ||
        !fxc_rule_int(&rule, FXC_NAME_dim1, 1, &second)) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint32_t order[FXC_LOOP_RANK];
    for (uint32_t d = 0; d < view.rank; d++) {
        order[d] = d;
    }
    if (view.rank > 1) {
        order[wrap(first, view.rank)] = (uint32_t)wrap(second, view.rank);
        order[wrap(second, view.rank)] = (uint32_t)wrap(first, view.rank);
    }
    struct fxc_tensor_view out = fxc_view_permute(e, &view, order);
    fxc_give(e, 0, &out);
}

void fxc_lower_slice(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    int64_t dim, start, step, size[FXC_LOOP_RANK];
    uint8_t rank;
    if (!viewed(e, &view, size, &rank) || !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim) ||
        !fxc_rule_int(&rule, FXC_NAME_start, 0, &start) || !fxc_rule_int(&rule, FXC_NAME_step, 1, &step)) {
        fxc_lower_fallback(e, how);
        return;
    }
    dim = wrap(dim, rank);
    int64_t extent = fxc_view_size(e, &view)[dim];
    start = wrap(start, extent);
    start = start < 0 ? 0 : start > extent ? extent : start;
    struct fxc_tensor_view out = view;
    if (start != 0 || size[dim] != extent) {
        out = fxc_view_slice(e, &view, (uint32_t)dim, start, size[dim], step);
    }
    fxc_give(e, 0, &out);
}

/* Slice `index` of a dimension, without the dimension. */
static struct fxc_tensor_view select_one(struct fxc_engine *e, const struct fxc_tensor_view *view, uint32_t dim,
                                         int64_t index) {
    int64_t size[FXC_LOOP_RANK];
    struct fxc_tensor_view slice = fxc_view_slice(e, view, dim, index, 1, 1);
    for (uint32_t d = 0, to = 0; d < view->rank; d++) {
        if (d != dim) {
            size[to++] = fxc_view_size(e, view)[d];
        }
    }
    return fxc_view_reshape(e, &slice, size, (uint8_t)(view->rank - 1));
}

void fxc_lower_select(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    int64_t dim, index;
    if (!subject(e, &view) || view.rank == 0 || !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim) ||
        !fxc_rule_int(&rule, FXC_NAME_index, 0, &index)) {
        fxc_lower_fallback(e, how);
        return;
    }
    dim = wrap(dim, view.rank);
    struct fxc_tensor_view out = select_one(e, &view, (uint32_t)dim, wrap(index, fxc_view_size(e, &view)[dim]));
    fxc_give(e, 0, &out);
}

void fxc_lower_split(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    int64_t dim, start = 0;
    if (!subject(e, &view) || !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim)) {
        fxc_lower_fallback(e, how);
        return;
    }
    dim = wrap(dim, view.rank);
    uint32_t value;
    for (uint32_t i = 0; (value = fxc_result_value(e, i)) != FXC_NONE; i++) {
        const int64_t *size, *stride;
        uint8_t rank;
        if (!fxc_value_sizes(e, value, &size, &stride, &rank)) {
            return;
        }
        struct fxc_tensor_view part = fxc_view_slice(e, &view, (uint32_t)dim, start, size[dim], 1);
        fxc_give(e, i, &part);
        start += size[dim];
    }
}

void fxc_lower_unbind(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    int64_t dim;
    if (!subject(e, &view) || !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim)) {
        fxc_lower_fallback(e, how);
        return;
    }
    for (uint32_t i = 0; fxc_result_value(e, i) != FXC_NONE; i++) {
        struct fxc_tensor_view part = select_one(e, &view, (uint32_t)wrap(dim, view.rank), i);
        fxc_give(e, i, &part);
    }
}

void fxc_lower_getitem(struct fxc_engine *e, const struct fxc_lowering *how) {
    const struct fxc_program *p = e->p;
    struct fxc_rule rule = fxc_engine_rule(e);
    enum fxc_kind kind;
    int64_t list, index;
    (void)how;
    if (!fxc_rule_arg(&rule, FXC_NAME_a, &kind, &list) || kind != FXC_KIND_VALUE ||
        p->value_kind[list] != FXC_KIND_LIST || !fxc_rule_int(&rule, FXC_NAME_b, 0, &index)) {
        return;
    }
    uint32_t item = p->list_begin[p->value_payload[list]] + (uint32_t)index;
    if (item < p->list_begin[p->value_payload[list] + 1] && p->item_kind[item] == FXC_KIND_VALUE &&
        e->view[p->item_payload[item]].box != FXC_NONE) {
        fxc_give(e, 0, &e->view[p->item_payload[item]]);
    }
}

void fxc_lower_as_strided(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    int64_t size[FXC_LOOP_RANK];
    const int64_t *sizes, *stride;
    uint8_t rank;
    uint32_t value = fxc_result_value(e, 0), variable[FXC_LOOP_RANK];
    if (!viewed(e, &view, size, &rank) || !fxc_value_sizes(e, value, &sizes, &stride, &rank)) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint32_t buffer = fxc_box_realise(e, view.box);
    fxc_buffer_freeze(e, buffer);
    uint32_t shape = fxc_engine_sizes(e, size, rank);
    struct fxc_index_sum sum = {.offset = e->analysis->shapes->offset[value]};
    fxc_engine_variables(e, size, rank, variable);
    for (uint32_t d = 0; d < rank; d++) {
        fxc_index_add(&e->index, &sum, stride[d], variable[d]);
    }
    struct fxc_tensor_view out = {.box = view.box,
                                  .shape = shape,
                                  .at = fxc_index_of(&e->index, &sum, size),
                                  .rank = rank,
                                  .address = true,
                                  .strided = true};
    fxc_give(e, 0, &out);
}
