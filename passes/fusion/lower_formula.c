/* Integers that follow from an element's place alone, as the positions of a sequence do. What is read at such a number
 * is read at a place that is known (torch/_inductor/index_propagation.py). */
#include "passes/fusion/lower.h"

/* An expression as a formula; 0 is none. */
static uint32_t formula_of(uint32_t expression) {
    return expression + 1;
}

static void set_formula(struct fxc_engine *e, uint32_t expression) {
    uint32_t value = fxc_result_value(e, 0);
    if (value != FXC_NONE && e->view[value].box != FXC_NONE && e->view[value].plain) {
        e->box[e->view[value].box].formula = formula_of(expression);
    }
}

uint32_t fxc_formula_at(struct fxc_engine *e, const struct fxc_tensor_view *view, const uint32_t *map,
                        const int64_t *size) {
    const struct fxc_box *box = &e->box[view->box];
    uint32_t formula = box->formula, coordinate[FXC_LOOP_RANK], rank = box->rank;
    if (formula == 0 || view->address || (box->buffer != FXC_NONE && e->buffer[box->buffer].written)) {
        return FXC_NONE;
    }
    for (uint32_t d = 0; d < rank; d++) {
        coordinate[d] =
            view->plain ? map[d] : fxc_index_substitute(&e->index, fxc_tuple_items(&e->index, view->at)[d], map, size);
    }
    return fxc_index_substitute(&e->index, formula - 1, coordinate, size);
}

/* Numbers that count up: the index itself is the value. */
void fxc_lower_iota(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_rule rule = fxc_engine_rule(e);
    struct fxc_body body;
    const int64_t *size, *stride;
    uint32_t value = fxc_result_value(e, 0), variable;
    int64_t start, step;
    uint8_t rank;
    if (value == FXC_NONE || !fxc_value_sizes(e, value, &size, &stride, &rank) || rank != 1) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint32_t shape = fxc_engine_sizes(e, size, rank);
    fxc_engine_variables(e, e->size + shape, rank, &variable);
    fxc_body_start(e, &body);
    fxc_body_load(e, &body, fxc_load_of(FXC_NONE, variable, true));
    fxc_own_work(e, &body, shape, rank, 0, how->operations);
    struct fxc_tensor_view out = fxc_engine_pointwise(e, shape, rank, e->analysis->shapes->dtype[value], &body);
    fxc_give(e, 0, &out);
    if (fxc_rule_int(&rule, FXC_NAME_start, 0, &start) && fxc_rule_int(&rule, FXC_NAME_step, 1, &step)) {
        struct fxc_index_sum sum = {.offset = start};
        fxc_index_add(&e->index, &sum, step, variable);
        set_formula(e, fxc_index_of(&e->index, &sum, e->size + shape));
    }
}

/* The formula of an argument over the result's dimensions: a tensor's, or a whole number; FXC_NONE for others. */
static uint32_t formula_of_argument(struct fxc_engine *e, enum fxc_name name, const int64_t *size, uint8_t rank) {
    struct fxc_rule rule = fxc_engine_rule(e);
    struct fxc_tensor_view view;
    uint32_t map[FXC_LOOP_RANK];
    int64_t number;
    if (fxc_operand(e, name, &view)) {
        if (view.rank > rank || e->box[view.box].formula == 0) {
            return FXC_NONE;
        }
        view = fxc_view_expand(e, &view, size, rank);
        fxc_engine_variables(e, size, rank, map);
        return fxc_formula_at(e, &view, map, size);
    }
    return fxc_rule_int(&rule, name, INT64_MIN, &number) && number != INT64_MIN ? fxc_index_constant(&e->index, number)
                                                                                : FXC_NONE;
}

static bool is_constant(const struct fxc_engine *e, uint32_t expression) {
    return e->index.row[expression].count == 0;
}

/* add, sub and mul, which keep formulas of their arguments. */
static void arithmetic(struct fxc_engine *e, const struct fxc_lowering *how, int64_t sign, bool multiplies) {
    struct fxc_rule rule = fxc_engine_rule(e);
    const int64_t *size, *stride;
    uint32_t value = fxc_result_value(e, 0);
    int64_t alpha;
    uint8_t rank;
    fxc_lower_pointwise(e, how);
    if (value == FXC_NONE || e->view[value].box == FXC_NONE || !fxc_value_sizes(e, value, &size, &stride, &rank) ||
        !fxc_rule_int(&rule, FXC_NAME_alpha, 1, &alpha) || fxc_mul(sign, alpha, &alpha)) {
        return;
    }
    uint32_t a = formula_of_argument(e, FXC_NAME_self, size, rank);
    uint32_t b = a == FXC_NONE ? FXC_NONE : formula_of_argument(e, FXC_NAME_other, size, rank);
    struct fxc_index_sum sum = {0};
    if (b == FXC_NONE || (multiplies && !is_constant(e, a) && !is_constant(e, b))) {
        return;
    }
    if (multiplies) {
        uint32_t factor = is_constant(e, b) ? b : a;
        fxc_index_add(&e->index, &sum, e->index.row[factor].offset, factor == b ? a : b);
    } else {
        fxc_index_add(&e->index, &sum, 1, a);
        fxc_index_add(&e->index, &sum, alpha, b);
    }
    set_formula(e, fxc_index_of(&e->index, &sum, size));
}

void fxc_lower_add(struct fxc_engine *e, const struct fxc_lowering *how) {
    arithmetic(e, how, 1, false);
}

void fxc_lower_subtract(struct fxc_engine *e, const struct fxc_lowering *how) {
    arithmetic(e, how, -1, false);
}

void fxc_lower_multiply(struct fxc_engine *e, const struct fxc_lowering *how) {
    arithmetic(e, how, 1, true);
}

void fxc_lower_convert(struct fxc_engine *e, const struct fxc_lowering *how) {
    const int64_t *size, *stride;
    uint32_t value = fxc_result_value(e, 0);
    uint8_t rank;
    fxc_lower_pointwise(e, how);
    if (value != FXC_NONE && fxc_value_sizes(e, value, &size, &stride, &rank)) {
        uint32_t formula = formula_of_argument(e, FXC_NAME_a, size, rank);
        if (formula != FXC_NONE) {
            set_formula(e, formula);
        }
    }
}
