/* FLOP rules of operators of the backward pass that are no matrix products (those are in passes/flops/rules_matrix.c
 * and passes/flops/rules_attention.c). docs/counting.md states the formulas. */
#include <string.h>

#include "passes/flops/rules.h"

static bool gradient_of(const struct fxc_rule *rule, struct fxc_tensor *out) {
    return fxc_known_tensor2(rule, FXC_NAME_grad_output, FXC_NAME_grad_out, out);
}

/* Which gradients are asked for. */
static bool wanted_of(const struct fxc_rule *rule, int64_t wanted[3]) {
    uint32_t mask = fxc_rule_list(rule, FXC_NAME_output_mask);
    for (uint32_t i = 0; i < 3; i++) {
        if (mask == FXC_NONE || !fxc_rule_item_int(rule, mask, i, &wanted[i])) {
            return false;
        }
        wanted[i] = wanted[i] != 0;
    }
    return true;
}

/* Per element of the incoming gradient. params: FLOPs, transcendentals. */
fxc_status fxc_flops_grad_each(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor gradient;
    struct fxc_tally tally = {.out = out};
    FXC_NEED(gradient_of(rule, &gradient));
    fxc_tally_work(&tally, gradient.dtype, fxc_times(&tally, params[0], gradient.numel),
                   fxc_times(&tally, params[1], gradient.numel));
    return fxc_tally_end(&tally, rule, err);
}

/* Per target of a loss over classes. */
fxc_status fxc_flops_target_each(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                 fxc_error *err) {
    struct fxc_tensor target, input;
    struct fxc_tally tally = {.out = out};
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_target, &target) &&
             fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &input));
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, params[0], target.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* A division per element of the gradient, an addition for each element of its window. */
fxc_status fxc_flops_pool_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor gradient;
    struct fxc_tally tally = {.out = out};
    int64_t window = 1;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_kernel_size);
    FXC_NEED(gradient_of(rule, &gradient) && list != FXC_NONE);
    uint32_t count = rule->program->list_begin[list + 1] - rule->program->list_begin[list];
    for (uint32_t dim = 0; dim < (uint32_t)params[0]; dim++) {
        int64_t size;
        FXC_NEED(fxc_rule_item_int(rule, list, count == 1 ? 0 : dim, &size) && size >= 0);
        window = fxc_times(&tally, window, size);
    }
    fxc_tally_work(&tally, gradient.dtype, fxc_linear(&tally, window, gradient.numel, 1, gradient.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* g * (cdf + x * pdf). erf form: cdf 3 and an erf, pdf 3 and an exp, product, sum, product. tanh form: the polynomial 5
 * and a tanh, both factors 2, the tanh's derivative 2, the polynomial's 3, products 3, sum 1, product 1. */
fxc_status fxc_flops_gelu_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor gradient;
    struct fxc_tally tally = {.out = out};
    const char *approximate = fxc_rule_string(rule, FXC_NAME_approximate);
    bool tanh = approximate != NULL && strcmp(approximate, "tanh") == 0;
    (void)params;
    FXC_NEED(gradient_of(rule, &gradient));
    fxc_tally_work(&tally, gradient.dtype, fxc_times(&tally, tanh ? 17 : 9, gradient.numel),
                   fxc_times(&tally, tanh ? 1 : 2, gradient.numel));
    return fxc_tally_end(&tally, rule, err);
}

/* Softmax: product n, sum n - r, subtraction n, product n. Its logarithm: sum n - r, exp n, product n, subtraction
 * n. */
fxc_status fxc_flops_softmax_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                      fxc_error *err) {
    struct fxc_tensor gradient;
    struct fxc_tally tally = {.out = out};
    int64_t dim, rows = 1;
    bool log = params[0] == FXC_SOFTMAX_log;
    FXC_NEED(gradient_of(rule, &gradient) && fxc_rule_int(rule, FXC_NAME_dim, -1, &dim));
    if (gradient.rank > 0) {
        dim = dim < 0 ? dim + gradient.rank : dim;
        FXC_NEED(dim >= 0 && dim < gradient.rank);
        rows = gradient.numel == 0 ? 0 : gradient.numel / gradient.size[dim];
    }
    fxc_tally_work(&tally, gradient.dtype, fxc_linear(&tally, log ? 3 : 4, gradient.numel, -1, rows),
                   log ? gradient.numel : 0);
    return fxc_tally_end(&tally, rule, err);
}

/* The normalised input again: subtraction, scaling. Gradient of the input: two means (3 with the product), the weighted
 * normalised input, two subtractions, scaling: 7, and 1 for the weight; with running statistics only the scaling. Of
 * the weight: product, sum. Of the bias: sum. */
fxc_status fxc_flops_norm_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor gradient;
    struct fxc_tally tally = {.out = out};
    int64_t wanted[3];
    bool training;
    enum fxc_kind kind;
    int64_t payload;
    (void)params;
    bool has_train = fxc_rule_arg(rule, FXC_NAME_train, &kind, &payload);
    FXC_NEED(gradient_of(rule, &gradient) && wanted_of(rule, wanted));
    FXC_NEED(fxc_rule_bool(rule, has_train ? FXC_NAME_train : FXC_NAME_update, true, &training));
    int64_t normalised = training || wanted[1] != 0 ? 2 : 0;
    int64_t input = wanted[0] * ((training ? 7 : 1) + fxc_has_tensor(rule, FXC_NAME_weight));
    int64_t per_element = normalised + input + 2 * wanted[1] + wanted[2];
    fxc_tally_work(&tally, gradient.dtype, fxc_times(&tally, per_element, gradient.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* w = v g / |v|, a norm for each of r rows: the gradient of g is sum(grad v) / |v|: 2 n; with a = g / |v| that of v is
 * a grad - (a sum(grad v) / |v|^2) v: 3 n, and 3 r for both factors. */
fxc_status fxc_flops_weight_norm_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                          fxc_error *err) {
    struct fxc_tensor v, norms;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_saved_v, &v) && fxc_known_tensor(rule, FXC_NAME_saved_norms, &norms));
    fxc_tally_work(&tally, v.dtype, fxc_linear(&tally, 5, v.numel, 3, norms.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}
