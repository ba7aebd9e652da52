/* Formulas of conventions for matrix products, convolutions and attention. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/convention/convention.h"
#include "passes/einsum.h"

/* params: per multiply-add, and per result element where there is a bias; multiply-adds to give besides. */
fxc_status fxc_count_macs(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    const int32_t *params = seen->row->params;
    FXC_NEED(fxc_seen_output(seen, 0, &output) &&
             seen->analysis->flops->coverage[seen->rule.node] != FXC_COVERAGE_UNKNOWN);
    bool biased = fxc_seen_has(seen, "bias", FXC_NAME_bias);
    out->count = fxc_linear(tally, params[0], fxc_seen_macs(seen), biased ? params[1] : 0, output.numel);
    out->macs = fxc_times(tally, params[2], fxc_seen_macs(seen));
    return FXC_OK;
}

/* A product and what is added to it, at the size it is given in.
 * params: per multiply-add; per element of the first operand; multiply-adds to give besides; 1 when beta=0 adds none.
 */
fxc_status fxc_count_added_product(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor added;
    const int32_t *params = seen->row->params;
    double beta = 1;
    FXC_NEED(fxc_seen_input(seen, 0, &added));
    bool none = params[3] != 0 && fxc_rule_float(&seen->rule, FXC_NAME_beta, &beta) && beta == 0;
    out->count = fxc_linear(tally, params[0], fxc_seen_macs(seen), none ? 0 : params[1], added.numel);
    out->macs = fxc_times(tally, params[2], fxc_seen_macs(seen));
    return FXC_OK;
}

/* Every result element is a dot product of k terms: 2 k - 1 operations, and one more for a bias.
 * params: 0 for products of two tensors, 1 for linear, 2 for convolutions (of functions: `groups` instead of 1 is taken
 * off where no bias is given by keyword, as torch_flops reads keywords only). */
fxc_status fxc_count_dot_products(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    int32_t form = seen->row->params[0];
    int64_t off = 1, groups = 1;
    FXC_NEED(fxc_seen_output(seen, 0, &output));
    bool biased = form != 0 && fxc_seen_has(seen, "bias", FXC_NAME_bias);
    if (form == 2 && seen->call == FXC_NONE) {
        biased = biased && fxc_seen_keyword(seen, "bias");
        FXC_NEED(fxc_rule_int(&seen->rule, FXC_NAME_groups, 1, &groups));
        off = fxc_seen_keyword(seen, "groups") ? groups : 1;
    }
    int64_t products = fxc_times(tally, 2, fxc_seen_macs(seen));
    out->count = biased ? products : fxc_plus(tally, products, -fxc_times(tally, off, output.numel));
    return FXC_OK;
}

/* The product of the sizes of all indices; nothing for an ellipsis. */
fxc_status fxc_count_einsum_indices(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_einsum equation;
    const char *text = fxc_rule_string(&seen->rule, FXC_NAME_equation);
    FXC_NEED(text != NULL && fxc_einsum_read(&seen->rule, &equation));
    out->count = strstr(text, "...") != NULL ? 0 : 1;
    for (uint32_t label = 0; label < equation.labels; label++) {
        int64_t size = 1;
        for (uint32_t i = 0; i < equation.operands; i++) {
            size = equation.size[i][label] > size ? equation.size[i][label] : size;
        }
        out->count = fxc_times(tally, out->count, size);
    }
    return FXC_OK;
}

/* Elements of the first operand times the last size of the second, whatever their batch dimensions.
 * params: per such product; multiply-adds to give besides; 1 when a vector as second operand raises an IndexError. */
fxc_status fxc_count_first_by_columns(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor a, b;
    const int32_t *params = seen->row->params;
    FXC_NEED(fxc_seen_input(seen, 0, &a) && fxc_seen_input(seen, 1, &b) && b.rank > 0);
    if (params[2] != 0 && b.rank < 2) {
        out->failure = "IndexError: the second operand is a vector";
        return FXC_OK;
    }
    int64_t products = fxc_times(tally, a.numel, b.size[b.rank - 1]);
    out->count = fxc_times(tally, params[0], products);
    out->macs = fxc_times(tally, params[1], products);
    return FXC_OK;
}

/* The "optimized FLOP count" that numpy.einsum_path prints: every index once, times 2 when something is summed, plus
 * one; to four significant digits. Of more than two operands it depends on numpy's search.
 * params: what the tool divides it by, rounding down. */
fxc_status fxc_count_numpy_einsum(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_einsum equation;
    char printed[32];
    FXC_NEED(fxc_einsum_read(&seen->rule, &equation) && equation.operands <= 2);
    int64_t all = 1;
    for (uint32_t label = 0; label < equation.labels; label++) {
        int64_t a = equation.size[0][label], b = equation.operands < 2 ? 1 : equation.size[1][label];
        all = fxc_times(tally, all, a > b ? a : b);
    }
    bool summed = equation.labels > equation.out_rank;
    int64_t count = fxc_plus(tally, fxc_times(tally, summed ? 2 : 1, all), 1);
    (void)snprintf(printed, sizeof printed, "%.3e", (double)count);
    out->count = (int64_t)(strtod(printed, NULL) / seen->row->params[0]);
    return FXC_OK;
}

/* A call of F.conv1d, 2d, 3d. params: per multiply-add; per result element where there is a bias; multiply-adds to give
 * besides; 1 when padding given as text raises a TypeError. An input without a batch dimension fails an assertion. */
fxc_status fxc_count_functional_conv(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, weight;
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_input, &input) &&
             fxc_known_tensor(&seen->rule, FXC_NAME_weight, &weight));
    if (seen->row->params[3] != 0 && fxc_rule_string(&seen->rule, FXC_NAME_padding) != NULL) {
        out->failure = "TypeError: padding given as text";
        return FXC_OK;
    }
    if (input.rank < weight.rank) {
        out->failure = "AssertionError: an input without a batch dimension";
        return FXC_OK;
    }
    return fxc_count_macs(seen, tally, out);
}

/* Result elements times the kernel, times the size of the weight's second dimension where its first is that of the
 * result's channels, else of its first: of transposed convolutions the result is counted, and groups are lost. */
fxc_status fxc_count_traced_conv(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor weight, output;
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_weight, &weight) && weight.rank >= 2 &&
             fxc_seen_output(seen, 0, &output) && output.rank >= 2);
    bool batched = output.rank >= weight.rank; /* without a batch, ATen adds one first */
    int64_t channels = output.size[batched ? 1 : 0] == weight.size[0] ? weight.size[1] : weight.size[0];
    int64_t kernel = fxc_sizes(tally, &weight, 2, weight.rank);
    out->count = fxc_times(tally, output.numel, fxc_times(tally, channels, kernel));
    return FXC_OK;
}

/* A call of F.conv_transpose1d, 2d, 3d. params: 1 when the channels of the weight, which are those of a group, are
 * divided by the groups again and the bias counts once per result of the *forward* formula (calflops); multiply-adds to
 * give besides. */
fxc_status fxc_count_functional_transposed(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, weight;
    int64_t groups;
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_input, &input) && input.rank >= 2 &&
             fxc_known_tensor(&seen->rule, FXC_NAME_weight, &weight) && input.rank == weight.rank &&
             fxc_rule_int(&seen->rule, FXC_NAME_groups, 1, &groups) && groups > 0);
    int64_t kernel = fxc_sizes(tally, &weight, 2, weight.rank);
    int64_t places = fxc_times(tally, input.size[0], fxc_sizes(tally, &input, 2, input.rank));
    int64_t pairs = fxc_times(tally, input.size[1], weight.size[1] / groups);
    int64_t macs = fxc_times(tally, places, fxc_times(tally, kernel, pairs));
    int64_t shrunk = input.size[0];
    uint32_t stride = fxc_rule_list(&seen->rule, FXC_NAME_stride),
             padding = fxc_rule_list(&seen->rule, FXC_NAME_padding);
    uint32_t dilation = fxc_rule_list(&seen->rule, FXC_NAME_dilation);
    for (uint32_t dim = 2; dim < input.rank; dim++) {
        int64_t s = 1, p = 0, d = 1;
        FXC_NEED(stride == FXC_NONE || fxc_rule_item_int(&seen->rule, stride, dim - 2, &s));
        FXC_NEED(padding == FXC_NONE || fxc_rule_item_int(&seen->rule, padding, dim - 2, &p));
        FXC_NEED(dilation == FXC_NONE || fxc_rule_item_int(&seen->rule, dilation, dim - 2, &d));
        FXC_NEED(s > 0 && s <= INT32_MAX && p >= -INT32_MAX && p <= INT32_MAX && d >= 0 && d <= INT32_MAX);
        int64_t reach = fxc_plus(tally, fxc_times(tally, d, weight.size[dim] - 1), 1);
        int64_t span = fxc_plus(tally, input.size[dim], fxc_plus(tally, fxc_times(tally, 2, p), -reach));
        FXC_NEED(!tally->overflow && span > -(INT64_C(1) << 62));
        int64_t steps = span >= 0 ? span / s : -((s - 1 - span) / s); /* Python's division rounds down */
        shrunk = fxc_times(tally, shrunk, steps + 1);
    }
    int64_t bias = fxc_has_tensor(&seen->rule, FXC_NAME_bias) ? fxc_times(tally, weight.size[1], shrunk) : 0;
    out->count = fxc_linear(tally, 2, macs, 1, bias);
    out->macs = macs;
    return FXC_OK;
}

static bool known_attention(const struct fxc_seen *seen, struct fxc_tensor tensors[3]) {
    static const enum fxc_name names[] = {FXC_NAME_query, FXC_NAME_key, FXC_NAME_value};
    for (uint32_t i = 0; i < 3; i++) {
        if (!fxc_known_tensor(&seen->rule, names[i], &tensors[i]) || tensors[i].rank < 2) {
            return false;
        }
    }
    return true;
}

/* Both products of attention, query heads counted. params: per multiply-add; multiply-adds to give besides; 1 when keys
 * with fewer heads fail an assertion. */
fxc_status fxc_count_attention_products(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor qkv[3];
    const int32_t *params = seen->row->params;
    FXC_NEED(known_attention(seen, qkv));
    uint32_t rank = qkv[0].rank;
    if (params[2] != 0 && fxc_sizes(tally, &qkv[0], 0, rank - 2) != fxc_sizes(tally, &qkv[1], 0, qkv[1].rank - 2)) {
        out->failure = "AssertionError: other numbers of heads";
        return FXC_OK;
    }
    int64_t scores = fxc_times(tally, fxc_sizes(tally, &qkv[0], 0, rank - 1), qkv[1].size[qkv[1].rank - 2]);
    int64_t depth = fxc_plus(tally, qkv[0].size[rank - 1], qkv[2].size[qkv[2].rank - 1]);
    int64_t macs = fxc_times(tally, scores, depth);
    out->count = fxc_times(tally, params[0], macs);
    out->macs = fxc_times(tally, params[1], macs);
    return FXC_OK;
}

/* Attention in operations: dot products of 2 k - 1, a scale, a mask or causality, softmax of 3 n - 1 a row, dropout. */
fxc_status fxc_count_attention_parts(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor qkv[3];
    bool causal;
    double dropout = 0;
    FXC_NEED(known_attention(seen, qkv) && fxc_rule_bool(&seen->rule, FXC_NAME_is_causal, false, &causal));
    uint32_t rank = qkv[0].rank;
    int64_t rows = fxc_sizes(tally, &qkv[0], 0, rank - 1), keys = qkv[1].size[qkv[1].rank - 2];
    int64_t depth = qkv[0].size[rank - 1], width = qkv[2].size[qkv[2].rank - 1];
    bool masked = causal || fxc_has_tensor(&seen->rule, FXC_NAME_attn_mask);
    bool dropped = fxc_rule_float(&seen->rule, FXC_NAME_dropout_p, &dropout) && dropout > 0;
    int64_t per_score = fxc_plus(tally, fxc_times(tally, 2, depth), 3 + masked + dropped);
    int64_t weighted = fxc_times(tally, fxc_plus(tally, fxc_times(tally, 2, keys), -1), width);
    int64_t per_row = fxc_plus(tally, fxc_times(tally, keys, per_score), fxc_plus(tally, weighted, -1));
    out->count = fxc_times(tally, rows, per_row);
    return FXC_OK;
}
