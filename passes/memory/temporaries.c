/* memory: rows of passes/memory/temporaries.def, and rules on norms, pools, losses and conversions. */
#include "passes/memory/temporaries.h"

#include <stdlib.h>
#include <string.h>

const struct fxc_temporary_row fxc_temporary_rows[] = {
#define TEMPORARY(op, rule, a, b, source) {op, fxc_temporary_##rule, {a, b}, source},
#include "passes/memory/temporaries.def"
};
const uint32_t fxc_temporary_row_count = sizeof fxc_temporary_rows / sizeof fxc_temporary_rows[0];

static int by_name(const void *key, const void *row) {
    return strcmp(key, ((const struct fxc_temporary_row *)row)->op);
}

const struct fxc_temporary_row *fxc_temporary_find(const char *op) {
    return bsearch(op, fxc_temporary_rows, fxc_temporary_row_count, sizeof fxc_temporary_rows[0], by_name);
}

/* ---- shared -------------------------------------------------------------------------------------------------------
 */

bool fxc_sized(const struct fxc_tensor *tensor) {
    return tensor->numel >= 0 && tensor->dtype != FXC_DTYPE_OPAQUE;
}

bool fxc_sized_result(const struct fxc_rule *rule, struct fxc_tensor *out) {
    return fxc_rule_result(rule, 0, out) && fxc_sized(out);
}

bool fxc_sized_input(const struct fxc_rule *rule, struct fxc_tensor *out) {
    return fxc_rule_tensor2(rule, FXC_NAME_input, FXC_NAME_self, out) && fxc_sized(out);
}

fxc_status fxc_add_elements(int64_t *sum, int64_t count, int64_t elements, uint8_t dtype) {
    int64_t bytes;
    if (fxc_mul(count, elements, &elements) || fxc_bytes_of(dtype, elements, &bytes) || fxc_add(*sum, bytes, sum)) {
        return FXC_OVERFLOW;
    }
    return FXC_OK;
}

static bool is_half(uint8_t dtype) {
    return dtype == FXC_DTYPE_BFLOAT16 || dtype == FXC_DTYPE_FLOAT16;
}

/* Statistics are of the input's type, but of float32 where a 16-bit input meets wider weights (param_scalar_type in
 * mixed_data_type.h). */
static uint8_t statistics_type(const struct fxc_rule *rule, uint8_t input) {
    struct fxc_tensor weight;
    bool mixed = is_half(input) && fxc_rule_tensor(rule, FXC_NAME_weight, &weight) && weight.dtype != input;
    return mixed ? (uint8_t)FXC_DTYPE_FLOAT32 : input;
}

/* ---- norms --------------------------------------------------------------------------------------------------------
 */

FXC_TEMPORARY_RULE(none) {
    (void)rule, (void)params, (void)out;
    return FXC_OK;
}

FXC_TEMPORARY_RULE(untold) {
    (void)rule, (void)params, (void)out;
    return FXC_UNKNOWN_OPS;
}

FXC_TEMPORARY_RULE(layer_statistics) {
    struct fxc_tensor input;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input));
    uint32_t shape = fxc_rule_list(rule, FXC_NAME_normalized_shape);
    FXC_NEED(shape != FXC_NONE);
    const struct fxc_program *p = rule->program;
    uint32_t normalized = p->list_begin[shape + 1] - p->list_begin[shape];
    int64_t rows = 1;
    for (uint32_t d = 0; d + normalized < input.rank; d++) {
        if (fxc_mul(rows, input.size[d], &rows)) {
            return FXC_OVERFLOW;
        }
    }
    return fxc_add_elements(&out->beside, 2, rows, statistics_type(rule, input.dtype));
}

FXC_TEMPORARY_RULE(group_statistics) {
    struct fxc_tensor input;
    int64_t groups;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && input.rank >= 2 && fxc_rule_int(rule, FXC_NAME_num_groups, 1, &groups));
    FXC_NEED(groups > 0);
    int64_t rows;
    if (fxc_mul(input.size[0], groups, &rows)) {
        return FXC_OVERFLOW;
    }
    return fxc_add_elements(&out->beside, 2, rows, statistics_type(rule, input.dtype));
}

FXC_TEMPORARY_RULE(batch_statistics) {
    struct fxc_tensor input;
    bool training;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && input.rank >= 2 &&
             fxc_rule_bool(rule, FXC_NAME_training, false, &training));
    return training ? fxc_add_elements(&out->beside, 2, input.size[1], statistics_type(rule, input.dtype)) : FXC_OK;
}

/* A batch norm over channels times samples, whose weights and running statistics are repeated for each sample. */
FXC_TEMPORARY_RULE(instance_statistics) {
    static const enum fxc_name repeated[] = {FXC_NAME_weight, FXC_NAME_bias, FXC_NAME_running_mean,
                                             FXC_NAME_running_var};
    struct fxc_tensor input, other;
    bool training;
    int64_t rows;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && input.rank >= 2 &&
             fxc_rule_bool(rule, FXC_NAME_use_input_stats, true, &training));
    if (fxc_mul(input.size[0], input.size[1], &rows)) {
        return FXC_OVERFLOW;
    }
    for (size_t i = 0; i < sizeof repeated / sizeof repeated[0]; i++) {
        if (fxc_rule_tensor(rule, repeated[i], &other) && fxc_sized(&other)) {
            FXC_TRY(fxc_add_elements(&out->beside, 1, rows, other.dtype));
        }
    }
    return training ? fxc_add_elements(&out->beside, 2, rows, statistics_type(rule, input.dtype)) : FXC_OK;
}

/* The square, its mean and the root of that; then the scaled input, times the weight; all in float32 where the input is
 * a 16-bit one, which is then converted before and after. */
FXC_TEMPORARY_RULE(rms_norm) {
    struct fxc_tensor input, weight;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input));
    uint32_t shape = fxc_rule_list(rule, FXC_NAME_normalized_shape);
    FXC_NEED(shape != FXC_NONE);
    const struct fxc_program *p = rule->program;
    uint32_t normalized = p->list_begin[shape + 1] - p->list_begin[shape];
    int64_t rows = 1, squares = 0, weighted = 0, last = 0;
    for (uint32_t d = 0; d + normalized < input.rank; d++) {
        if (fxc_mul(rows, input.size[d], &rows)) {
            return FXC_OVERFLOW;
        }
    }
    bool half = is_half(input.dtype), has_weight = fxc_rule_tensor(rule, FXC_NAME_weight, &weight);
    uint8_t type = half ? (uint8_t)FXC_DTYPE_FLOAT32 : input.dtype;
    FXC_TRY(fxc_add_elements(&squares, half ? 2 : 1, input.numel, type));
    FXC_TRY(fxc_add_elements(&squares, 2, rows, type));
    FXC_TRY(fxc_add_elements(&weighted, (half ? 1 : 0) + (has_weight ? 2 : 1), input.numel, type));
    FXC_TRY(fxc_add_elements(&weighted, 1, rows, type));
    /* Beside the result: the root, and the scaled input (or, of a 16-bit one, both wide copies). */
    FXC_TRY(fxc_add_elements(&last, half ? 2 : has_weight ? 1 : 0, input.numel, type));
    FXC_TRY(fxc_add_elements(&last, 1, rows, type));
    out->ahead = squares > weighted ? squares : weighted;
    out->beside = last;
    return FXC_OK;
}

/* ---- pools, losses, conversions -----------------------------------------------------------------------------------
 */

FXC_TEMPORARY_RULE(pool_indices) {
    struct fxc_tensor result;
    (void)params;
    FXC_NEED(fxc_sized_result(rule, &result));
    return fxc_add_elements(&out->beside, 1, result.numel, FXC_DTYPE_INT64);
}

FXC_TEMPORARY_RULE(one_number) {
    struct fxc_tensor result;
    FXC_NEED(fxc_sized_result(rule, &result));
    return fxc_add_elements(&out->beside, 1, params[0], result.dtype);
}

FXC_TEMPORARY_RULE(second_operand) {
    struct fxc_tensor g;
    (void)params;
    FXC_NEED(fxc_rule_tensor(rule, FXC_NAME_g, &g) && fxc_sized(&g));
    return fxc_add_elements(&out->beside, 1, g.numel, g.dtype);
}

FXC_TEMPORARY_RULE(sorted_values) {
    struct fxc_tensor input;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input));
    return fxc_add_elements(&out->beside, 1, input.numel, input.dtype);
}

/* A loss that is made element by element and then reduced into the same storage, which keeps its size. */
FXC_TEMPORARY_RULE(reduced_in_place) {
    struct fxc_tensor input, target, result;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && fxc_rule_tensor(rule, FXC_NAME_target, &target) && fxc_sized(&target) &&
             fxc_sized_result(rule, &result));
    int64_t elements = input.numel > target.numel ? input.numel : target.numel;
    return result.rank > 0 || elements == 0 ? FXC_OK : fxc_add_elements(&out->larger, 1, elements - 1, result.dtype);
}

/* With smoothing, a sum over the classes and its negative beside them. */
FXC_TEMPORARY_RULE(cross_entropy) {
    struct fxc_tensor input;
    double smoothing;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && input.rank >= 1 &&
             fxc_rule_real(rule, FXC_NAME_label_smoothing, 0, &smoothing));
    int64_t classes = input.rank == 1 ? input.size[0] : input.size[1];
    FXC_TRY(fxc_add_elements(&out->beside, 1, input.numel, input.dtype));
    if (smoothing > 0 && classes > 0) {
        return fxc_add_elements(&out->beside, 2, input.numel / classes, input.dtype);
    }
    return fxc_add_elements(&out->beside, 1, 1, input.dtype);
}

FXC_TEMPORARY_RULE(l1_loss) {
    struct fxc_tensor input;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input));
    return fxc_add_elements(&out->beside, 2, input.numel, input.dtype);
}

FXC_TEMPORARY_RULE(noise) {
    struct fxc_tensor input;
    bool train;
    double p;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && fxc_rule_bool(rule, FXC_NAME_train, true, &train) &&
             fxc_rule_real(rule, FXC_NAME_p, 0, &p));
    return train && p > 0 && p < 1 ? fxc_add_elements(&out->beside, 1, input.numel, input.dtype) : FXC_OK;
}

/* Before and after `self` along a dimension: what is subtracted is views of one joined tensor. */
FXC_TEMPORARY_RULE(joined) {
    struct fxc_tensor self, part;
    int64_t joined = 0;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &self));
    if (fxc_rule_tensor(rule, FXC_NAME_prepend, &part) && fxc_sized(&part)) {
        joined = part.numel;
    }
    if (fxc_rule_tensor(rule, FXC_NAME_append, &part) && fxc_sized(&part) && fxc_add(joined, part.numel, &joined)) {
        return FXC_OVERFLOW;
    }
    if (joined == 0) {
        return FXC_OK;
    }
    if (fxc_add(joined, self.numel, &joined)) {
        return FXC_OVERFLOW;
    }
    return fxc_add_elements(&out->beside, 1, joined, self.dtype);
}

FXC_TEMPORARY_RULE(as_complex) {
    struct fxc_tensor input, result;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && fxc_sized_result(rule, &result));
    bool real = !fxc_dtype_is_complex(input.dtype) && fxc_dtype_is_complex(result.dtype);
    return real ? fxc_add_elements(&out->beside, 1, input.numel, result.dtype) : FXC_OK;
}

FXC_TEMPORARY_RULE(converted) {
    struct fxc_tensor input, result;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && fxc_sized_result(rule, &result));
    return input.dtype == result.dtype ? FXC_OK : fxc_add_elements(&out->beside, 1, input.numel, result.dtype);
}

/* 'same' with an odd number of elements to add pads one side first. */
FXC_TEMPORARY_RULE(uneven_padding) {
    struct fxc_tensor input, weight;
    const char *padding = fxc_rule_string(rule, FXC_NAME_padding);
    uint32_t dims = (uint32_t)params[0], list = fxc_rule_list(rule, FXC_NAME_dilation);
    FXC_NEED(fxc_sized_input(rule, &input) && fxc_rule_tensor(rule, FXC_NAME_weight, &weight) && fxc_sized(&weight));
    if (padding == NULL || strcmp(padding, "same") != 0 || input.rank < dims || weight.rank < dims) {
        return FXC_OK;
    }
    int64_t elements = 1;
    bool uneven = false;
    for (uint32_t d = 0; d < input.rank; d++) {
        int64_t size = input.size[d], dilation = 1;
        if (d + dims >= input.rank) {
            uint32_t at = d + dims - input.rank;
            if (list != FXC_NONE && !fxc_rule_item_int(rule, list, at, &dilation)) {
                (void)fxc_rule_item_int(rule, list, 0, &dilation);
            }
            bool odd = dilation % 2 != 0 && weight.size[weight.rank - dims + at] % 2 == 0;
            size += odd;
            uneven |= odd;
        }
        if (fxc_mul(elements, size, &elements)) {
            return FXC_OVERFLOW;
        }
    }
    return uneven ? fxc_add_elements(&out->beside, 1, elements, input.dtype) : FXC_OK;
}
