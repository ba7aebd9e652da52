/* Lowering reductions. A reduction is computed into memory at once; one over few elements is a sum of loads instead. */
#include <string.h>

#include "passes/fusion/fold.h"

static bool start(struct fxc_engine *e, struct fxc_fold *f) {
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t value = fxc_result_value(e, 0);
    if (!fxc_operand(e, FXC_NAME_self, &f->view) && !fxc_operand(e, FXC_NAME_input, &f->view)) {
        return false;
    }
    f->part = 0;
    f->unroll = e->profile->unroll;
    f->whole = strncmp(fxc_string(e->p, e->p->op_name[e->p->node_op[e->node]]), "aten.arg", 8) == 0;
    f->dims = fxc_dims(e, FXC_NAME_dim, f->view.rank);
    f->dtype = value == FXC_NONE ? e->box[f->view.box].dtype : e->analysis->shapes->dtype[value];
    return value != FXC_NONE && fxc_rule_bool(&rule, FXC_NAME_keepdim, false, &f->keepdim);
}

void fxc_lower_reduce(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_fold f;
    if (!start(e, &f)) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view out = fxc_fold_all(e, &f);
    fxc_give(e, 0, &out);
}

/* max and min: with a dimension, the place of the extreme is found by a reduction of its own. */
void fxc_lower_extreme(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_fold f;
    if (!start(e, &f)) {
        fxc_lower_fallback(e, how); /* of two tensors */
        return;
    }
    for (uint32_t i = 0; i < fxc_result_count(e); i++) {
        uint32_t value = fxc_result_value(e, i);
        f.dtype = value == FXC_NONE ? (uint8_t)FXC_DTYPE_INT64 : e->analysis->shapes->dtype[value];
        struct fxc_tensor_view out = fxc_fold_all(e, &f);
        f.part++;
        f.whole = true;
        fxc_give(e, i, &out);
    }
}

/* Types of 16 bits are added up in 32. */
static uint8_t accumulator(uint8_t dtype) {
    return dtype == FXC_DTYPE_BFLOAT16 || dtype == FXC_DTYPE_FLOAT16 ? FXC_DTYPE_FLOAT32 : dtype;
}

/* A sum divided by how many there are. */
static struct fxc_tensor_view mean_of(struct fxc_engine *e, struct fxc_fold *f, uint8_t dtype) {
    struct fxc_tensor_view sum = fxc_fold_all(e, f);
    f->part++;
    uint32_t shape = fxc_engine_sizes(e, f->result, f->result_rank);
    return fxc_combine(e, &sum, 1, shape, f->result_rank, dtype, f->part++, 2, 0);
}

struct fxc_tensor_view fxc_mean_of_last(struct fxc_engine *e, const struct fxc_tensor_view *view, uint32_t dims,
                                        uint8_t dtype, int64_t unroll) {
    struct fxc_fold f = {.view = *view, .unroll = unroll, .dtype = accumulator(dtype)};
    f.dims = ((1u << dims) - 1) << (view->rank - dims);
    return mean_of(e, &f, dtype);
}

void fxc_lower_mean(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_fold f;
    if (!start(e, &f)) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint8_t dtype = f.dtype;
    f.dtype = accumulator(dtype);
    struct fxc_tensor_view out = mean_of(e, &f, dtype);
    fxc_give(e, 0, &out);
}

/* In two sums: the mean, which is computed into memory when it is wanted, then the squared differences from it. */
static void two_sums(struct fxc_engine *e, struct fxc_fold *f, bool wants_mean, bool keepdim, uint8_t dtype) {
    struct fxc_fold inner = *f;
    inner.keepdim = true;
    struct fxc_tensor_view operand[2] = {f->view, mean_of(e, &inner, f->dtype)};
    struct fxc_tensor_view mean = operand[1];
    if (wants_mean) {
        (void)fxc_box_realise(e, mean.box);
    }
    int64_t size[FXC_LOOP_RANK];
    memcpy(size, fxc_view_size(e, &f->view), f->view.rank * sizeof *size);
    operand[1] = fxc_view_expand(e, &mean, size, f->view.rank);
    struct fxc_fold outer = *f;
    outer.part = inner.part;
    outer.view = fxc_combine(e, operand, 2, f->view.shape, f->view.rank, f->dtype, outer.part++, 2, 0);
    outer.keepdim = keepdim;
    struct fxc_tensor_view sum = fxc_fold_all(e, &outer);
    uint32_t shape = fxc_engine_sizes(e, outer.result, outer.result_rank);
    struct fxc_tensor_view variance =
        fxc_combine(e, &sum, 1, shape, outer.result_rank, dtype, (uint16_t)(outer.part + 1), 2, 0);
    fxc_give(e, 0, &variance);
    if (wants_mean) {
        struct fxc_tensor_view out = fxc_view_reshape(e, &mean, outer.result, outer.result_rank);
        fxc_give(e, 1, &out);
    }
}

/* In one pass, which gives mean and squared deviation (and a weight, which nothing reads). */
static void one_pass(struct fxc_engine *e, struct fxc_fold *f, bool wants_mean, uint8_t dtype) {
    uint32_t mean = fxc_fold_loops(e, f), deviation;
    f->part++;
    deviation = fxc_fold_loops(e, f);
    f->part++;
    struct fxc_tensor_view squares = fxc_fold_result(e, f, deviation), average = fxc_fold_result(e, f, mean);
    uint32_t shape = fxc_engine_sizes(e, f->result, f->result_rank);
    struct fxc_tensor_view variance = fxc_combine(e, &squares, 1, shape, f->result_rank, dtype, f->part, 5, 0);
    fxc_give(e, 0, &variance);
    if (wants_mean) {
        fxc_give(e, 1, &average);
    }
}

/* use_two_step_variance of torch/_inductor/lowering.py. */
static bool takes_two_sums(struct fxc_engine *e, const struct fxc_fold *f, uint8_t dtype) {
    const struct fxc_profile *p = e->profile;
    bool half = accumulator(dtype) != dtype && p->half_two_step != 0;
    if (f->elements > (half ? p->half_two_step : p->two_step) || fxc_product(e, f->kept, f->kept_rank) == 1) {
        return false;
    }
    return !half || ((f->elements <= p->two_step || f->elements >= p->half_one_pass) && fxc_fold_splits(e, f) <= 1);
}

/* var and var_mean. */
void fxc_lower_variance(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_fold f;
    if (!start(e, &f)) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint8_t dtype = f.dtype;
    bool wants_mean = fxc_result_value(e, 1) != FXC_NONE;
    f.dtype = accumulator(dtype);
    fxc_fold_plan(e, &f);
    if (takes_two_sums(e, &f, dtype)) {
        two_sums(e, &f, wants_mean, f.keepdim, dtype);
    } else {
        one_pass(e, &f, wants_mean, dtype);
    }
}

/* The greatest element and the sum of exponentials below it, in one pass; of few elements one after the other
 * (prepare_softmax_online of torch/_inductor/lowering.py). */
void fxc_lower_softmax(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_fold f = {.keepdim = true, .whole = true};
    if (!fxc_operand(e, FXC_NAME_a, &f.view) || fxc_result_value(e, 0) == FXC_NONE ||
        fxc_result_value(e, 1) == FXC_NONE) {
        fxc_lower_fallback(e, how);
        return;
    }
    f.dims = fxc_dims(e, FXC_NAME_dim, f.view.rank);
    f.dtype = e->analysis->shapes->dtype[fxc_result_value(e, 0)];
    struct fxc_tensor_view most, sum;
    fxc_fold_plan(e, &f);
    if (f.elements >= e->profile->unroll) {
        uint32_t first = fxc_fold_loops(e, &f);
        f.part++;
        uint32_t second = fxc_fold_loops(e, &f);
        most = fxc_fold_result(e, &f, first);
        sum = fxc_fold_result(e, &f, second);
    } else {
        most = fxc_fold_all(e, &f);
        int64_t size[FXC_LOOP_RANK];
        memcpy(size, fxc_view_size(e, &f.view), f.view.rank * sizeof *size);
        struct fxc_tensor_view operand[2] = {f.view, fxc_view_expand(e, &most, size, f.view.rank)};
        f.view = fxc_combine(e, operand, 2, f.view.shape, f.view.rank, f.dtype, 1, 2, how->heavy);
        f.part = 2;
        sum = fxc_fold_all(e, &f);
    }
    fxc_give(e, 0, &most);
    fxc_give(e, 1, &sum);
}
