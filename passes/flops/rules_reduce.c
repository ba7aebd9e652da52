/* FLOP rules of folds: reductions, scans, sorts, pooling. */
#include <math.h>
#include <string.h>

#include "passes/flops/rules.h"

/* Input and first result of a reduction. */
static bool known_reduction(const struct fxc_rule *rule, struct fxc_tensor *input, struct fxc_tensor *result) {
    return (fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, input) ||
            fxc_known_tensor(rule, FXC_NAME_x, input)) &&
           fxc_known_result(rule, 0, result);
}

/* Folds n inputs to m results: n - m operations, none when there is nothing to fold. */
static int64_t folds(const struct fxc_tensor *input, const struct fxc_tensor *result) {
    return input->numel > result->numel ? input->numel - result->numel : 0;
}

/* params: FLOPs per input, FLOPs per result, transcendentals per result, beside the folds. */
fxc_status fxc_flops_reduce(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, result = {0};
    struct fxc_tally tally = {.out = out};
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &input));
    if (!fxc_known_result(rule, 0, &result)) {
        /* equal() gives one bool that is no tensor. */
        FXC_NEED(rule->program->value_kind[rule->program->node_result[rule->node]] != FXC_KIND_TENSOR);
        result.numel = 1;
    }
    int64_t flops =
        fxc_plus(&tally, folds(&input, &result), fxc_linear(&tally, params[0], input.numel, params[1], result.numel));
    uint8_t dtype = fxc_dtype_is_float(input.dtype) ? input.dtype : result.dtype;
    fxc_tally_work(&tally, dtype, flops, fxc_times(&tally, params[2], result.numel));
    return fxc_tally_end(&tally, rule, err);
}

/* Mean (n), subtraction (n), square (n), sum and division (n); params: square roots per result. */
fxc_status fxc_flops_var(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, result;
    struct fxc_tally tally = {.out = out};
    FXC_NEED(known_reduction(rule, &input, &result));
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, 4, input.numel), fxc_times(&tally, params[0], result.numel));
    return fxc_tally_end(&tally, rule, err);
}

/* max + log(sum(exp(x - max))): folds twice, a subtraction per input, an addition per result. */
fxc_status fxc_flops_logsumexp(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, result;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(known_reduction(rule, &input, &result));
    fxc_tally_work(
        &tally, fxc_work_dtype(rule, &result),
        fxc_plus(&tally, fxc_times(&tally, 2, folds(&input, &result)), fxc_plus(&tally, input.numel, result.numel)),
        fxc_plus(&tally, input.numel, result.numel));
    return fxc_tally_end(&tally, rule, err);
}

/* The order of a vector norm: 2 when left out, "fro" too; false for orders of matrix norms. */
static bool norm_order(const struct fxc_rule *rule, double *order) {
    enum fxc_kind kind;
    int64_t payload;
    enum fxc_name name = fxc_rule_arg(rule, FXC_NAME_ord, &kind, &payload) ? FXC_NAME_ord : FXC_NAME_p;
    *order = 2;
    if (!fxc_rule_arg(rule, name, &kind, &payload) || kind == FXC_KIND_NONE) {
        return true;
    }
    if (kind == FXC_KIND_STRING) {
        return strcmp(fxc_string(rule->program, (uint32_t)payload), "fro") == 0;
    }
    return fxc_rule_float(rule, name, order);
}

/* order 2: square, fold, root; 1 and infinities: magnitude, fold; 0: test, fold; others: magnitude and power, fold,
 * root. */
fxc_status fxc_flops_vector_norm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                 fxc_error *err) {
    struct fxc_tensor input, result;
    struct fxc_tally tally = {.out = out};
    double order;
    (void)params;
    FXC_NEED(known_reduction(rule, &input, &result) && norm_order(rule, &order));
    FXC_NEED(!fxc_dtype_is_complex(input.dtype));
    bool simple = order == 0 || order == 1 || isinf(order);
    int64_t powers = simple || order == 2 ? 0 : input.numel;
    int64_t roots = simple ? 0 : result.numel;
    fxc_tally_work(&tally, input.dtype, fxc_plus(&tally, input.numel, folds(&input, &result)),
                   fxc_plus(&tally, powers, roots));
    return fxc_tally_end(&tally, rule, err);
}

/* ---- scans and sorts --------------------------------------------------------------------------------------------- */

/* Size of the dimension that the argument names; the last when absent. A scalar has one element. */
static bool row_length(const struct fxc_rule *rule, const struct fxc_tensor *input, int64_t *length) {
    int64_t dim;
    if (!fxc_rule_int(rule, FXC_NAME_dim, -1, &dim)) {
        return false;
    }
    if (input->rank == 0) {
        *length = 1;
        return true;
    }
    dim = dim < 0 ? dim + input->rank : dim;
    if (dim < 0 || dim >= input->rank) {
        return false;
    }
    *length = input->size[dim];
    return true;
}

static int64_t log2_up(int64_t n) {
    int64_t steps = 0;
    for (int64_t left = n - 1; left > 0; left /= 2) {
        steps++;
    }
    return steps;
}

/* Running folds: one operation per element but the first of each row. */
fxc_status fxc_flops_scan(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, result;
    struct fxc_tally tally = {.out = out};
    int64_t length;
    (void)params;
    FXC_NEED(known_reduction(rule, &input, &result) && row_length(rule, &input, &length));
    int64_t rows = length == 0 ? 0 : input.numel / length;
    fxc_tally_work(&tally, fxc_work_dtype(rule, &result), input.numel - rows, 0);
    return fxc_tally_end(&tally, rule, err);
}

/* A merge sort's bound: ceil(log2 n) comparisons per element. params: 1 when a missing dimension means all of them
 * (median, quantile), 0 when it means the last (sort). */
fxc_status fxc_flops_sort(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input;
    struct fxc_tally tally = {.out = out};
    enum fxc_kind kind;
    int64_t length, payload;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &input) && row_length(rule, &input, &length));
    if (params[0] == 1 && !fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload)) {
        length = input.numel;
    }
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, input.numel, log2_up(length)), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* Selecting k of n takes n comparisons (one pass against the k-th), sorting them k * ceil(log2 k). */
fxc_status fxc_flops_topk(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, result;
    struct fxc_tally tally = {.out = out};
    bool sorted;
    int64_t k;
    (void)params;
    FXC_NEED(known_reduction(rule, &input, &result) && fxc_rule_bool(rule, FXC_NAME_sorted, true, &sorted));
    FXC_NEED(row_length(rule, &result, &k));
    int64_t sorting = sorted ? fxc_times(&tally, result.numel, log2_up(k)) : 0;
    fxc_tally_work(&tally, input.dtype, fxc_plus(&tally, input.numel, sorting), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* Draws: without replacement every weight is divided by a random number, and the largest are taken (an argmax of one,
 * else topk); with replacement, weights are added up and divided by their sum, and each draw is a binary search
 * (ATen's Distributions.cpp and MultinomialKernel.cpp). Checks of the weights are not counted. */
fxc_status fxc_flops_multinomial(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                 fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor weights, result;
    int64_t draws, n;
    bool replacement;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_self, &weights) && fxc_known_result(rule, 0, &result));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_num_samples, -1, &draws) && draws > 0 && row_length(rule, &weights, &n));
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_replacement, false, &replacement) && n > 0);
    int64_t flops = fxc_times(&tally, 2, weights.numel);
    if (draws == 1) {
        flops = fxc_plus(&tally, flops, -(weights.numel / n));
    } else {
        flops = fxc_plus(&tally, flops, fxc_times(&tally, result.numel, log2_up(replacement ? n + 1 : draws)));
    }
    fxc_tally_work(&tally, weights.dtype, flops, 0);
    return fxc_tally_end(&tally, rule, err);
}

/* Each element is compared with the one before; sorted first, unless equal ones are known to be neighbours. How many
 * there are is data, the work is not. params: 1 to sort. Of slices along a dimension nothing is told: comparing two
 * ends at the first difference. */
fxc_status fxc_flops_unique(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor input;
    enum fxc_kind kind = FXC_KIND_NONE;
    int64_t payload;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_self, &input));
    FXC_NEED(!fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload) || kind == FXC_KIND_NONE);
    int64_t sorting = params[0] == 1 ? fxc_times(&tally, input.numel, log2_up(input.numel)) : 0;
    fxc_tally_work(&tally, input.dtype, fxc_plus(&tally, sorting, input.numel > 0 ? input.numel - 1 : 0), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* ---- pooling ----------------------------------------------------------------------------------------------------- */

/* Elements of the kernel. One number stands for every one of `dims` dimensions. */
static bool kernel_elements(const struct fxc_rule *rule, uint32_t dims, struct fxc_tally *tally, int64_t *elements) {
    const struct fxc_program *p = rule->program;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_kernel_size);
    uint32_t count = list == FXC_NONE ? 0 : p->list_begin[list + 1] - p->list_begin[list];
    *elements = 1;
    for (uint32_t dim = 0; dim < dims; dim++) {
        int64_t size;
        bool found = list == FXC_NONE ? fxc_rule_int(rule, FXC_NAME_kernel_size, -1, &size)
                                      : fxc_rule_item_int(rule, list, count == 1 ? 0 : dim, &size);
        if (!found || size < 0) {
            return false;
        }
        *elements = fxc_times(tally, *elements, size);
    }
    return true;
}

/* kernel - saved operations per result, over the last `dims` dimensions. */
static fxc_status count_pool(const struct fxc_rule *rule, int32_t dims, int64_t saved, fxc_counts *out,
                             fxc_error *err) {
    struct fxc_tensor result;
    struct fxc_tally tally = {.out = out};
    int64_t kernel;
    FXC_NEED(fxc_known_result(rule, 0, &result) && kernel_elements(rule, (uint32_t)dims, &tally, &kernel));
    fxc_tally_work(&tally, result.dtype, fxc_times(&tally, kernel > saved ? kernel - saved : 0, result.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* params: pooled dimensions. */
fxc_status fxc_flops_avg_pool(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    return count_pool(rule, params[0], 0, out, err);
}

/* params: pooled dimensions. */
fxc_status fxc_flops_max_pool(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    return count_pool(rule, params[0], 1, out, err);
}

static int64_t greatest_common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Window i of b over a elements is [floor(i a / b), ceil((i + 1) a / b)); the sizes of all b windows sum to
 * a + b - gcd(a, b). */
static bool window_elements(const struct fxc_tensor *from, const struct fxc_tensor *to, uint32_t dims,
                            struct fxc_tally *tally, int64_t *out) {
    *out = 1;
    for (uint32_t dim = 0; dim < to->rank && from->rank == to->rank; dim++) {
        int64_t a = from->size[dim], b = to->size[dim];
        bool pooled = dim + dims >= to->rank;
        *out = fxc_times(tally, *out, pooled ? fxc_plus(tally, a, b - greatest_common_divisor(a, b)) : b);
    }
    return from->rank == to->rank && from->rank >= dims;
}

/* The gradient of an average: a quotient per result, a sum for each element of its window. params: pooled dimensions.
 */
fxc_status fxc_flops_adaptive_pool_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                            fxc_error *err) {
    struct fxc_tensor input, gradient;
    struct fxc_tally tally = {.out = out};
    int64_t visited;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_self, &input) && fxc_known_tensor(rule, FXC_NAME_grad_output, &gradient));
    FXC_NEED(window_elements(&input, &gradient, (uint32_t)params[0], &tally, &visited));
    fxc_tally_work(&tally, input.dtype, fxc_plus(&tally, visited, gradient.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* params: pooled dimensions; operations saved per result (1 for a maximum, 0 for an average, which divides). */
fxc_status fxc_flops_adaptive_pool(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor input, result;
    struct fxc_tally tally = {.out = out};
    int64_t visited;
    FXC_NEED(known_reduction(rule, &input, &result));
    FXC_NEED(window_elements(&input, &result, (uint32_t)params[0], &tally, &visited));
    int64_t saved = fxc_times(&tally, params[1], result.numel);
    fxc_tally_work(&tally, result.dtype, visited > saved ? visited - saved : 0, 0);
    return fxc_tally_end(&tally, rule, err);
}

/* isin: (elements[..., None] == test_elements).any(-1), and a negation of each where it is inverted. */
fxc_status fxc_flops_isin(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor elements = {.numel = 1}, tests = {.numel = 1};
    struct fxc_tally tally = {.out = out};
    bool given = fxc_has_tensor(rule, FXC_NAME_elements), several = fxc_has_tensor(rule, FXC_NAME_test_elements),
         invert;
    (void)params;
    FXC_NEED(!given || fxc_known_tensor(rule, FXC_NAME_elements, &elements));
    FXC_NEED(!several || fxc_known_tensor(rule, FXC_NAME_test_elements, &tests));
    FXC_NEED((given || several) && fxc_rule_bool(rule, FXC_NAME_invert, false, &invert));
    int64_t pairs = fxc_times(&tally, elements.numel, tests.numel);
    int64_t any = pairs > elements.numel ? pairs - elements.numel : 0;
    fxc_tally_work(&tally, given ? elements.dtype : tests.dtype, pairs, 0);
    fxc_tally_work(&tally, FXC_DTYPE_BOOL, invert ? fxc_plus(&tally, any, elements.numel) : any, 0);
    return fxc_tally_end(&tally, rule, err);
}
