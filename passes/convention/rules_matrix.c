/* Formulas of conventions for matrix products, convolutions and attention. */
#include <stdio.h>
#include <stdlib.h>

#include "passes/convention/convention.h"
#include "passes/einsum.h"

/* Multiply-adds by shape alone: what fxcost counts, without its factor for complex numbers, and of integers too. */
static int64_t plain_macs(const struct fxc_seen *seen) {
    struct fxc_tensor first;
    const fxc_counts *own = seen->own;
    if (!fxc_seen_input(seen, 0, &first)) {
        return own->macs;
    }
    return fxc_dtype_is_complex(first.dtype) ? own->macs / 4
           : fxc_dtype_is_float(first.dtype) ? own->macs
                                             : own->int_ops / 2;
}

/* params: per multiply-add, and per result element where there is a bias; multiply-adds to give besides. */
fxc_status fxc_count_macs(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    const int32_t *params = seen->row->params;
    FXC_NEED(fxc_seen_output(seen, 0, &output) &&
             seen->analysis->flops->coverage[seen->rule.node] != FXC_COVERAGE_UNKNOWN);
    bool biased = fxc_seen_has(seen, "bias", FXC_NAME_bias);
    out->count = fxc_linear(tally, params[0], plain_macs(seen), biased ? params[1] : 0, output.numel);
    out->macs = fxc_times(tally, params[2], plain_macs(seen));
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

/* ---- operators that eager dispatch takes apart ---------------------------------------------------------------------
 */

/* linear: addmm for a matrix with a bias, and for three dimensions that are contiguous; else mm, and an addition.
 * params: per multiply-add. */
fxc_status fxc_count_dispatched_linear(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_input, &input));
    bool biased = fxc_has_tensor(&seen->rule, FXC_NAME_bias);
    out->key = biased && input.rank >= 2 ? "addmm" : "mm";
    out->count = fxc_times(tally, seen->row->params[0], plain_macs(seen));
    return FXC_OK;
}

/* matmul: mm, or bmm when both have batches; a vector on the right is mv, two vectors are dot, which are not counted.
 * params: per multiply-add. */
fxc_status fxc_count_dispatched_matmul(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_seen_input(seen, 0, &a) && fxc_seen_input(seen, 1, &b));
    bool vector = b.rank == 1 || (a.rank == 1 && b.rank > 2);
    out->key = vector ? "mv" : a.rank > 2 && b.rank > 2 ? "bmm" : "mm";
    out->count = vector ? 0 : fxc_times(tally, seen->row->params[0], plain_macs(seen));
    return FXC_OK;
}

/* What makes the CPU choose its fused attention kernel (select_sdp_backend of aten/src/ATen/native/transformers). */
static bool fuses_on_cpu(const struct fxc_seen *seen) {
    struct fxc_tensor query, key, value, mask;
    double dropout = 0;
    if (!fxc_known_tensor(&seen->rule, FXC_NAME_query, &query) || !fxc_known_tensor(&seen->rule, FXC_NAME_key, &key) ||
        !fxc_known_tensor(&seen->rule, FXC_NAME_value, &value)) {
        return false;
    }
    bool masked = fxc_known_tensor(&seen->rule, FXC_NAME_attn_mask, &mask);
    bool dropped = fxc_rule_float(&seen->rule, FXC_NAME_dropout_p, &dropout) && dropout > 0;
    return query.rank == 4 && key.rank == 4 && value.rank == 4 && !dropped && query.size[3] == value.size[3] &&
           query.numel != 0 && key.numel != 0 && (!masked || mask.rank == 2 || mask.rank == 4);
}

/* scaled_dot_product_attention: two batched products where the unfused path runs; the fused kernel is not counted.
 * params: per multiply-add; 1 to count it as if unfused. */
fxc_status fxc_count_dispatched_attention(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    const int32_t *params = seen->row->params;
    FXC_NEED(seen->analysis->flops->coverage[seen->rule.node] != FXC_COVERAGE_UNKNOWN);
    bool counted = params[1] != 0 || !fuses_on_cpu(seen);
    out->key = counted ? "bmm" : "_scaled_dot_product_flash_attention_for_cpu";
    out->count = counted ? fxc_times(tally, params[0], plain_macs(seen)) : 0;
    return FXC_OK;
}
