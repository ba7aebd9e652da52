/* Lowering running sums and sorts: library kernels, or loops that fold a dimension and keep every element of it
 * (Scan and Sort of torch/_inductor/ir.py). */
#include <string.h>

#include "passes/fusion/lower.h"

enum { MOST_SORTED = 512 }; /* elements that loops sort */

/* Loops along `dim` that fill a tensor as large as the view. */
static struct fxc_tensor_view along(struct fxc_engine *e, const struct fxc_tensor_view *view, uint32_t dim,
                                    uint8_t dtype, uint16_t part) {
    int64_t all[FXC_LOOP_RANK];
    uint32_t variable[FXC_LOOP_RANK], map[FXC_LOOP_RANK], count = 0;
    uint8_t rank = view->rank;
    for (uint32_t d = 0; d < rank; d++) {
        if (d != dim) {
            all[count++] = fxc_view_size(e, view)[d];
        }
    }
    all[count] = fxc_view_size(e, view)[dim];
    fxc_engine_variables(e, all, rank, variable);
    for (uint32_t d = 0, k = 0; d < rank; d++) {
        map[d] = d == dim ? variable[count] : variable[k++];
    }
    uint32_t shape = fxc_engine_sizes(e, all, rank);
    struct fxc_body body;
    fxc_body_start(e, &body);
    fxc_body_inline(e, &body, view, map, e->size + shape);
    uint32_t at = fxc_index_tuple(&e->index, variable, rank);
    fxc_body_work(e, &body, (struct fxc_work){e->node, at, part, 1, fxc_product(e, all, rank)});
    struct fxc_buffer made = {.value = FXC_NONE,
                              .node = e->node,
                              .operation = FXC_NONE,
                              .shape = view->shape,
                              .strides = fxc_engine_contiguous(e, view->shape, rank),
                              .within = FXC_NONE,
                              .rank = rank,
                              .dtype = dtype};
    uint32_t buffer = fxc_engine_buffer(e, made);
    uint32_t operation =
        fxc_engine_loops(e, FXC_OPERATION_REDUCTION, buffer, &body, shape, (uint8_t)count, (uint8_t)(rank - count));
    if (!e->failed) {
        e->operation[operation].write_at = fxc_buffer_address(e, buffer, map, e->size + shape);
    }
    return fxc_engine_box(
        e,
        &(struct fxc_box){
            .buffer = buffer, .shape = view->shape, .node = e->node, .value = FXC_NONE, .rank = rank, .dtype = dtype});
}

/* The dimension that the node goes along; false when it is not known, or there is no loop along it. */
static bool dimension(const struct fxc_engine *e, const struct fxc_tensor_view *view, int64_t otherwise,
                      uint32_t *out) {
    struct fxc_rule rule = fxc_engine_rule(e);
    int64_t dim;
    if (!e->profile->scans || view->rank == 0 || !fxc_rule_int(&rule, FXC_NAME_dim, otherwise, &dim)) {
        return false;
    }
    *out = (uint32_t)(dim < 0 ? dim + view->rank : dim);
    return *out < view->rank;
}

/* cumsum, cumprod: booleans are made int64 first. */
void fxc_lower_scan(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_inputs inputs = {.count = 0};
    uint32_t value = fxc_result_value(e, 0);
    if (!fxc_operand(e, FXC_NAME_self, &view) || value == FXC_NONE) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint8_t dtype = e->analysis->shapes->dtype[value];
    if (dtype != e->box[view.box].dtype && e->box[view.box].dtype == FXC_DTYPE_BOOL) {
        view = fxc_combine(e, &view, 1, view.shape, view.rank, dtype, 1, 1, 0);
    }
    uint32_t dim;
    if (dimension(e, &view, 0, &dim) && fxc_view_size(e, &view)[dim] > 1) {
        struct fxc_tensor_view out = along(e, &view, dim, dtype, 0);
        fxc_give(e, 0, &out);
        return;
    }
    fxc_engine_input(e, &view, &inputs);
    fxc_library_kernel(e, &inputs, NULL, 1);
}

/* Short sorts; places are counted in 16 bits before they are made int64. */
void fxc_lower_sort(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    uint32_t dim, values = fxc_result_value(e, 0), places = fxc_result_value(e, 1);
    if (!fxc_operand(e, FXC_NAME_self, &view) || values == FXC_NONE || places == FXC_NONE ||
        !dimension(e, &view, -1, &dim) || fxc_view_size(e, &view)[dim] < 2 ||
        fxc_view_size(e, &view)[dim] > MOST_SORTED) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view sorted = along(e, &view, dim, e->analysis->shapes->dtype[values], 0);
    struct fxc_tensor_view order = along(e, &view, dim, FXC_DTYPE_INT16, 1);
    order = fxc_combine(e, &order, 1, order.shape, order.rank, e->analysis->shapes->dtype[places], 2, 1, 0);
    fxc_give(e, 0, &sorted);
    fxc_give(e, 1, &order);
}
