/* Lowering reductions. A reduction is computed into memory at once; one over few elements is a sum of loads instead. */
#include <string.h>

#include "passes/fusion/lower.h"

/* A reduction at work: the input's sizes, and which dimensions are folded. */
struct fold {
    struct fxc_tensor_view view;
    uint32_t dims;
    int64_t kept[FXC_LOOP_RANK], folded[FXC_LOOP_RANK], result[FXC_LOOP_RANK];
    uint8_t kept_rank, folded_rank, result_rank;
    int64_t elements; /* that are folded into one */
    bool keepdim;
    uint8_t dtype;
    uint16_t part;
};

static void plan(struct fxc_engine *e, struct fold *f) {
    const int64_t *size = fxc_view_size(e, &f->view);
    f->kept_rank = f->folded_rank = f->result_rank = 0;
    for (uint32_t d = 0; d < f->view.rank; d++) {
        if ((f->dims >> d & 1u) != 0) {
            f->folded[f->folded_rank++] = size[d];
            if (f->keepdim) {
                f->result[f->result_rank++] = 1;
            }
        } else {
            f->kept[f->kept_rank++] = size[d];
            f->result[f->result_rank++] = size[d];
        }
    }
    f->elements = fxc_product(e, f->folded, f->folded_rank);
}

/* Every element that is folded, one after the other, as a pointwise value over the result. */
static struct fxc_tensor_view unrolled(struct fxc_engine *e, const struct fold *f) {
    struct fxc_body body;
    uint32_t shape = fxc_engine_sizes(e, f->result, f->result_rank), variable[FXC_LOOP_RANK], map[FXC_LOOP_RANK];
    fxc_engine_variables(e, f->result, f->result_rank, variable);
    fxc_body_start(e, &body);
    for (int64_t i = 0; i < f->elements; i++) {
        int64_t rest = i;
        for (uint32_t d = f->view.rank, r = f->result_rank, k = f->folded_rank; d-- > 0;) {
            bool folds = (f->dims >> d & 1u) != 0;
            if (folds) {
                k--;
                map[d] = fxc_index_constant(&e->index, rest % f->folded[k]);
                rest /= f->folded[k];
                r -= f->keepdim;
            } else {
                map[d] = variable[--r];
            }
        }
        fxc_body_inline(e, &body, &f->view, map, e->size + shape);
    }
    fxc_own_work(e, &body, shape, f->result_rank, f->part, (uint16_t)(f->elements > 1 ? f->elements - 1 : 0));
    return fxc_engine_pointwise(e, shape, f->result_rank, f->dtype, &body);
}

/* Loops over kept and folded dimensions into a new buffer, which is returned. */
static uint32_t loops(struct fxc_engine *e, const struct fold *f) {
    int64_t all[FXC_LOOP_RANK];
    uint32_t variable[FXC_LOOP_RANK], map[FXC_LOOP_RANK];
    memcpy(all, f->kept, f->kept_rank * sizeof *all);
    memcpy(all + f->kept_rank, f->folded, f->folded_rank * sizeof *all);
    uint8_t rank = (uint8_t)(f->kept_rank + f->folded_rank);
    uint32_t shape = fxc_engine_sizes(e, all, rank);
    fxc_engine_variables(e, all, rank, variable);
    for (uint32_t d = 0, k = 0, r = f->kept_rank; d < f->view.rank; d++) {
        map[d] = (f->dims >> d & 1u) != 0 ? variable[r++] : variable[k++];
    }
    struct fxc_body body;
    fxc_body_start(e, &body);
    fxc_body_inline(e, &body, &f->view, map, e->size + shape);
    uint32_t at = fxc_index_tuple(&e->index, variable, rank);
    fxc_body_work(e, &body, (struct fxc_work){e->node, at, f->part, 1, fxc_product(e, all, rank)});
    uint32_t kept = fxc_engine_sizes(e, f->kept, f->kept_rank);
    struct fxc_buffer made = {.value = FXC_NONE,
                              .node = e->node,
                              .operation = FXC_NONE,
                              .shape = kept,
                              .strides = fxc_engine_contiguous(e, kept, f->kept_rank),
                              .within = FXC_NONE,
                              .rank = f->kept_rank,
                              .dtype = f->dtype,
                              .flexible = true};
    uint32_t buffer = fxc_engine_buffer(e, made);
    (void)fxc_engine_loops(e, FXC_OPERATION_REDUCTION, buffer, &body, shape, f->kept_rank, f->folded_rank);
    return buffer;
}

/* The tensor of a reduction's buffer, with the folded dimensions as ones where they are kept. */
static struct fxc_tensor_view as_result(struct fxc_engine *e, const struct fold *f, uint32_t buffer) {
    struct fxc_tensor_view view = fxc_engine_box(e, &(struct fxc_box){.buffer = buffer,
                                                                      .shape = e->buffer[buffer].shape,
                                                                      .node = e->node,
                                                                      .value = FXC_NONE,
                                                                      .rank = f->kept_rank,
                                                                      .dtype = f->dtype});
    return fxc_view_reshape(e, &view, f->result, f->result_rank);
}

static struct fxc_tensor_view fold(struct fxc_engine *e, struct fold *f) {
    plan(e, f);
    bool several = fxc_product(e, f->kept, f->kept_rank) != 1;
    if (f->elements <= 1 || (f->elements < e->profile->unroll && several)) {
        return unrolled(e, f);
    }
    return as_result(e, f, loops(e, f));
}

static bool start(struct fxc_engine *e, struct fold *f) {
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t value = fxc_result_value(e, 0);
    if (!fxc_operand(e, FXC_NAME_self, &f->view) && !fxc_operand(e, FXC_NAME_input, &f->view)) {
        return false;
    }
    f->part = 0;
    f->dims = fxc_dims(e, FXC_NAME_dim, f->view.rank);
    f->dtype = value == FXC_NONE ? e->box[f->view.box].dtype : e->analysis->shapes->dtype[value];
    return value != FXC_NONE && fxc_rule_bool(&rule, FXC_NAME_keepdim, false, &f->keepdim);
}

void fxc_lower_reduce(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fold f;
    if (!start(e, &f)) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view out = fold(e, &f);
    fxc_give(e, 0, &out);
}

/* max and min: with a dimension, the place of the extreme is found by a reduction of its own. */
void fxc_lower_extreme(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fold f;
    if (!start(e, &f)) {
        fxc_lower_fallback(e, how); /* of two tensors */
        return;
    }
    for (uint32_t i = 0; i < fxc_result_count(e); i++) {
        uint32_t value = fxc_result_value(e, i);
        f.dtype = value == FXC_NONE ? (uint8_t)FXC_DTYPE_INT64 : e->analysis->shapes->dtype[value];
        struct fxc_tensor_view out = fold(e, &f);
        f.part++;
        fxc_give(e, i, &out);
    }
}

/* Types of 16 bits are added up in 32. */
static uint8_t accumulator(uint8_t dtype) {
    return dtype == FXC_DTYPE_BFLOAT16 || dtype == FXC_DTYPE_FLOAT16 ? FXC_DTYPE_FLOAT32 : dtype;
}

/* A sum divided by how many there are. */
static struct fxc_tensor_view mean_of(struct fxc_engine *e, struct fold *f, uint8_t dtype) {
    struct fxc_tensor_view sum = fold(e, f);
    f->part++;
    uint32_t shape = fxc_engine_sizes(e, f->result, f->result_rank);
    return fxc_combine(e, &sum, 1, shape, f->result_rank, dtype, f->part++, 2, 0);
}

void fxc_lower_mean(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fold f;
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
static void two_sums(struct fxc_engine *e, struct fold *f, bool wants_mean, bool keepdim, uint8_t dtype) {
    struct fold inner = *f;
    inner.keepdim = true;
    struct fxc_tensor_view operand[2] = {f->view, mean_of(e, &inner, f->dtype)};
    struct fxc_tensor_view mean = operand[1];
    if (wants_mean) {
        (void)fxc_box_realise(e, mean.box);
    }
    int64_t size[FXC_LOOP_RANK];
    memcpy(size, fxc_view_size(e, &f->view), f->view.rank * sizeof *size);
    operand[1] = fxc_view_expand(e, &mean, size, f->view.rank);
    struct fold outer = *f;
    outer.part = inner.part;
    outer.view = fxc_combine(e, operand, 2, f->view.shape, f->view.rank, f->dtype, outer.part++, 2, 0);
    outer.keepdim = keepdim;
    struct fxc_tensor_view sum = fold(e, &outer);
    uint32_t shape = fxc_engine_sizes(e, outer.result, outer.result_rank);
    struct fxc_tensor_view variance =
        fxc_combine(e, &sum, 1, shape, outer.result_rank, dtype, (uint16_t)(outer.part + 1), 2, 0);
    fxc_give(e, 0, &variance);
    if (wants_mean) {
        struct fxc_tensor_view out = fxc_view_reshape(e, &mean, outer.result, outer.result_rank);
        fxc_give(e, 1, &out);
    }
}

/* In one pass, which gives mean, squared deviation and weight. */
static void one_pass(struct fxc_engine *e, struct fold *f, bool wants_mean, uint8_t dtype) {
    uint32_t mean = loops(e, f), deviation;
    f->part++;
    deviation = loops(e, f);
    f->part++;
    e->registered++; /* the weight, which nothing reads */
    struct fxc_tensor_view squares = as_result(e, f, deviation), average = as_result(e, f, mean);
    uint32_t shape = fxc_engine_sizes(e, f->result, f->result_rank);
    struct fxc_tensor_view variance = fxc_combine(e, &squares, 1, shape, f->result_rank, dtype, f->part, 5, 0);
    fxc_give(e, 0, &variance);
    if (wants_mean) {
        fxc_give(e, 1, &average);
    }
}

/* var and var_mean. */
void fxc_lower_variance(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fold f;
    if (!start(e, &f)) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint8_t dtype = f.dtype;
    bool wants_mean = fxc_result_value(e, 1) != FXC_NONE;
    f.dtype = accumulator(dtype);
    plan(e, &f);
    if (f.elements <= e->profile->two_step && fxc_product(e, f.kept, f.kept_rank) != 1) {
        two_sums(e, &f, wants_mean, f.keepdim, dtype);
    } else {
        one_pass(e, &f, wants_mean, dtype);
    }
}
