/* FLOP rules of normalisation, softmax and losses. Each formula counts the operations of the definition that
 * docs/counting.md gives. */
#include <string.h>

#include "passes/flops/rules.h"
#include "passes/shapes/rules.h"

/* Mean n, subtraction n, square n, sum and division n, scaling n; per group an epsilon and one rsqrt; n each for weight
 * and bias. */
static fxc_status count_norm(const struct fxc_rule *rule, const struct fxc_tensor *input, int64_t groups,
                             struct fxc_tally *tally, fxc_error *err) {
    int64_t per_element = 5 + fxc_has_tensor(rule, FXC_NAME_weight) + fxc_has_tensor(rule, FXC_NAME_bias);
    fxc_tally_work(tally, input->dtype, fxc_linear(tally, per_element, input->numel, 1, groups), groups);
    return fxc_tally_end(tally, rule, err);
}

/* Groups of a norm over the dimensions that normalized_shape covers. */
static bool normalized_groups(const struct fxc_rule *rule, const struct fxc_tensor *input, int64_t *groups) {
    const struct fxc_program *p = rule->program;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_normalized_shape);
    if (list == FXC_NONE) {
        return false;
    }
    uint32_t count = p->list_begin[list + 1] - p->list_begin[list];
    if (count > input->rank) {
        return false;
    }
    *groups = 1;
    for (uint32_t dim = 0; dim < input->rank - count; dim++) {
        if (fxc_mul(*groups, input->size[dim], groups)) {
            return false;
        }
    }
    return true;
}

fxc_status fxc_flops_layer_norm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input;
    struct fxc_tally tally = {.out = out};
    int64_t groups;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && normalized_groups(rule, &input, &groups));
    return count_norm(rule, &input, groups, &tally, err);
}

fxc_status fxc_flops_group_norm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input;
    struct fxc_tally tally = {.out = out};
    int64_t groups;
    enum fxc_kind kind;
    int64_t payload;
    (void)params;
    /* group_norm says num_groups, native_group_norm says group. */
    bool spelled_out = fxc_rule_arg(rule, FXC_NAME_num_groups, &kind, &payload);
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && input.rank > 0);
    FXC_NEED(fxc_rule_int(rule, spelled_out ? FXC_NAME_num_groups : FXC_NAME_group, -1, &groups) && groups >= 0);
    return count_norm(rule, &input, fxc_times(&tally, groups, input.size[0]), &tally, err);
}

/* Square n, mean n, scaling n; per group an epsilon and one rsqrt; n for weight. */
fxc_status fxc_flops_rms_norm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input;
    struct fxc_tally tally = {.out = out};
    int64_t groups;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && normalized_groups(rule, &input, &groups));
    int64_t per_element = 3 + fxc_has_tensor(rule, FXC_NAME_weight);
    fxc_tally_work(&tally, input.dtype, fxc_linear(&tally, per_element, input.numel, 1, groups), groups);
    return fxc_tally_end(&tally, rule, err);
}

/* Normalising with statistics of the batch: as count_norm, and 3 operations on the running mean and 4 on the running
 * variance (its unbiased factor) of every channel. With running statistics: subtraction and scaling only. */
static fxc_status count_batch_norm(const struct fxc_rule *rule, bool training, bool by_sample, fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor input;
    struct fxc_tally tally = {.out = out};
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && input.rank >= 2);
    int64_t channels = input.size[1];
    int64_t groups = by_sample ? fxc_times(&tally, channels, input.size[0]) : channels;
    if (training) {
        int64_t updated = fxc_has_tensor(rule, FXC_NAME_running_mean) ? fxc_times(&tally, 7, channels) : 0;
        fxc_tally_work(&tally, input.dtype, updated, 0);
        return count_norm(rule, &input, groups, &tally, err);
    }
    int64_t per_element = 2 + fxc_has_tensor(rule, FXC_NAME_weight) + fxc_has_tensor(rule, FXC_NAME_bias);
    fxc_tally_work(&tally, input.dtype, fxc_linear(&tally, per_element, input.numel, 1, channels), channels);
    return fxc_tally_end(&tally, rule, err);
}

fxc_status fxc_flops_batch_norm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    bool training = params[0] == FXC_BATCH_NORM_training;
    if (params[0] == FXC_BATCH_NORM_argument) {
        enum fxc_kind kind;
        int64_t payload;
        bool has = fxc_rule_arg(rule, FXC_NAME_training, &kind, &payload);
        FXC_NEED(fxc_rule_bool(rule, has ? FXC_NAME_training : FXC_NAME_train, false, &training));
    }
    /* Without running statistics there is nothing else to normalise with. */
    return count_batch_norm(rule, training || !fxc_has_tensor(rule, FXC_NAME_running_mean), false, out, err);
}

fxc_status fxc_flops_instance_norm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    bool own;
    (void)params;
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_use_input_stats, true, &own));
    return count_batch_norm(rule, own, true, out, err);
}

/* Rows of a softmax: the elements over the size of its dimension. */
static bool softmax_rows(const struct fxc_tensor *input, int64_t dim, int64_t *rows) {
    dim = dim < 0 ? dim + input->rank : dim;
    if (input->rank == 0) {
        *rows = 1;
        return true;
    }
    if (dim < 0 || dim >= input->rank) {
        return false;
    }
    *rows = input->numel == 0 ? 0 : input->numel / input->size[dim];
    return true;
}

/* Maximum n - r, subtraction n, exp n, sum n - r, division n; log_softmax (params: 1) subtracts log(sum) instead. */
static void count_softmax(struct fxc_tally *tally, uint8_t dtype, int64_t n, int64_t rows, bool log) {
    fxc_tally_work(tally, dtype, fxc_linear(tally, 4, n, -2, rows), fxc_plus(tally, n, log ? rows : 0));
}

fxc_status fxc_flops_softmax(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, result;
    struct fxc_tally tally = {.out = out};
    int64_t dim, rows;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &input) && fxc_known_result(rule, 0, &result));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_dim, -1, &dim) && softmax_rows(&input, dim, &rows));
    count_softmax(&tally, result.dtype, input.numel, rows, params[0] == 1);
    return fxc_tally_end(&tally, rule, err);
}

/* g * v / norm(v) over all but one dimension: square n, sum n - r, root r, division r, product n. */
fxc_status fxc_flops_weight_norm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                 fxc_error *err) {
    struct fxc_tensor v, g;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_v, &v) && fxc_known_tensor(rule, FXC_NAME_g, &g));
    fxc_tally_work(&tally, v.dtype, fxc_times(&tally, 3, v.numel), g.numel);
    return fxc_tally_end(&tally, rule, err);
}

/* ---- losses ------------------------------------------------------------------------------------------------------ */

enum { NO_REDUCTION = 0, MEAN = 1, SUM = 2 }; /* at::Reduction */

/* Operations that reduce n numbers to one: n for a mean, n - 1 for a sum. */
static int64_t reduction_work(int64_t reduction, int64_t n) {
    if (reduction == NO_REDUCTION || n <= 0) {
        return 0; /* below zero after an overflow, which the tally has noticed */
    }
    return reduction == MEAN ? n : n - 1;
}

/* Elements of the broadcast tensor arguments `a` and `b`. */
static bool broadcast_elements(const struct fxc_rule *rule, enum fxc_name a, enum fxc_name b, struct fxc_tally *tally,
                               uint8_t *dtype, int64_t *elements) {
    struct fxc_tensor x, y;
    struct fxc_shape shape = {.rank = 0};
    if (!fxc_known_tensor(rule, a, &x) || !fxc_known_tensor(rule, b, &y) || !fxc_broadcast(&shape, &x) ||
        !fxc_broadcast(&shape, &y)) {
        return false;
    }
    *elements = 1;
    for (uint32_t dim = 0; dim < shape.rank; dim++) {
        *elements = fxc_times(tally, *elements, shape.size[dim]);
    }
    *dtype = fxc_dtype_is_float(x.dtype) ? x.dtype : y.dtype;
    return true;
}

static fxc_status count_loss(const struct fxc_rule *rule, int64_t flops, int64_t transcendentals, fxc_counts *out,
                             fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    int64_t n, reduction;
    uint8_t dtype;
    FXC_NEED(broadcast_elements(rule, FXC_NAME_self, FXC_NAME_target, &tally, &dtype, &n) ||
             broadcast_elements(rule, FXC_NAME_input, FXC_NAME_target, &tally, &dtype, &n) ||
             broadcast_elements(rule, FXC_NAME_input1, FXC_NAME_input2, &tally, &dtype, &n));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_reduction, MEAN, &reduction));
    flops += fxc_has_tensor(rule, FXC_NAME_weight) + fxc_has_tensor(rule, FXC_NAME_pos_weight);
    fxc_tally_work(&tally, dtype, fxc_plus(&tally, fxc_times(&tally, flops, n), reduction_work(reduction, n)),
                   fxc_times(&tally, transcendentals, n));
    return fxc_tally_end(&tally, rule, err);
}

/* params: FLOPs and transcendentals per element. */
fxc_status fxc_flops_loss(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    return count_loss(rule, params[0], params[1], out, err);
}

/* target * (log(target) - input); with log_target exp(target) * (target - input). */
fxc_status fxc_flops_kl_div(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    (void)params;
    return count_loss(rule, 2, 1, out, err);
}

/* A sign change per target, two more with class weights (the product and the sum of weights), then the reduction. */
static int64_t nll_flops(struct fxc_tally *tally, int64_t targets, bool weighted, int64_t reduction) {
    return fxc_plus(tally, fxc_times(tally, weighted ? 3 : 1, targets), reduction_work(reduction, targets));
}

fxc_status fxc_flops_nll_loss(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, target;
    struct fxc_tally tally = {.out = out};
    int64_t reduction;
    (void)params;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &input) &&
             fxc_known_tensor(rule, FXC_NAME_target, &target) &&
             fxc_rule_int(rule, FXC_NAME_reduction, MEAN, &reduction));
    fxc_tally_work(&tally, input.dtype,
                   nll_flops(&tally, target.numel, fxc_has_tensor(rule, FXC_NAME_weight), reduction), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* log_softmax over the classes, then nll_loss. Targets that are probabilities: product and sum of every element, a sign
 * change per row. Label smoothing with class indices: the sum over the classes and a mixture of 3 operations a row. */
fxc_status fxc_flops_cross_entropy(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor input, target;
    struct fxc_tally tally = {.out = out};
    int64_t reduction, rows;
    double smoothing = 0;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_self, &input) && fxc_known_tensor(rule, FXC_NAME_target, &target) &&
             fxc_rule_int(rule, FXC_NAME_reduction, MEAN, &reduction));
    FXC_NEED(softmax_rows(&input, input.rank == 1 ? 0 : 1, &rows));
    count_softmax(&tally, input.dtype, input.numel, rows, true);
    bool weighted = fxc_has_tensor(rule, FXC_NAME_weight);
    bool smoothed = fxc_rule_float(rule, FXC_NAME_label_smoothing, &smoothing) && smoothing != 0;
    if (fxc_dtype_is_float(target.dtype)) {
        int64_t per_element = 2 + weighted + (smoothed ? 2 : 0);
        fxc_tally_work(&tally, input.dtype,
                       fxc_plus(&tally, fxc_times(&tally, per_element, input.numel), reduction_work(reduction, rows)),
                       0);
        return fxc_tally_end(&tally, rule, err);
    }
    fxc_tally_work(&tally, input.dtype, nll_flops(&tally, target.numel, weighted, reduction), 0);
    if (smoothed) {
        fxc_tally_work(&tally, input.dtype, fxc_linear(&tally, 1 + weighted, input.numel, 3, target.numel), 0);
    }
    return fxc_tally_end(&tally, rule, err);
}

/* params: FLOPs per element of the broadcast arguments, FLOPs per result, roots per result. */
fxc_status fxc_flops_distance(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor result;
    struct fxc_tally tally = {.out = out};
    uint8_t dtype;
    int64_t n;
    double p = 2;
    FXC_NEED(broadcast_elements(rule, FXC_NAME_x1, FXC_NAME_x2, &tally, &dtype, &n));
    FXC_NEED(fxc_known_result(rule, 0, &result));
    (void)fxc_rule_float(rule, FXC_NAME_p, &p);
    FXC_NEED(p == 2);
    fxc_tally_work(&tally, dtype, fxc_linear(&tally, params[0], n, params[1], result.numel),
                   fxc_times(&tally, params[2], result.numel));
    return fxc_tally_end(&tally, rule, err);
}
