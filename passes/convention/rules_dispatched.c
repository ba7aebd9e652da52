/* Formulas for operators that eager dispatch takes apart: what a tool counts of the parts. */
#include "passes/convention/convention.h"

static bool is_contiguous(const struct fxc_tensor *tensor) {
    int64_t expected = 1;
    if (tensor->numel == 0) {
        return true;
    }
    for (uint32_t dim = tensor->rank; dim-- > 0;) {
        if (tensor->size[dim] != 1 && tensor->stride[dim] != expected) {
            return false;
        }
        expected *= tensor->size[dim]; /* below the number of elements, which was checked */
    }
    return true;
}

/* linear: addmm of a matrix, or a contiguous input, with a bias; else mm, and an addition in place.
 * params: per multiply-add. */
fxc_status fxc_count_dispatched_linear(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, weight;
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_input, &input) &&
             fxc_known_tensor(&seen->rule, FXC_NAME_weight, &weight));
    /* The fused kernel of attention adds the bias of its joint projection later. */
    bool joint = seen->fast && weight.rank == 2 && weight.size[0] == 3 * weight.size[1];
    bool biased = fxc_has_tensor(&seen->rule, FXC_NAME_bias) && !joint;
    out->key = biased && (input.rank == 2 || (input.rank > 2 && is_contiguous(&input))) ? "addmm" : "mm";
    out->count = fxc_times(tally, seen->row->params[0], fxc_seen_macs(seen));
    return FXC_OK;
}

/* What a recurrent layer of one direction and the first layer works on. */
struct recurrent {
    struct fxc_tensor input, w_in, w_hidden, bias;
    int64_t parts; /* layers and directions */
    bool biased, batch_first;
};

static bool known_recurrent(const struct fxc_seen *seen, struct recurrent *out) {
    const struct fxc_program *p = seen->rule.program;
    uint32_t list = fxc_rule_list(&seen->rule, FXC_NAME_params);
    if (list == FXC_NONE || !fxc_known_tensor(&seen->rule, FXC_NAME_input, &out->input) || out->input.rank < 2 ||
        !fxc_rule_bool(&seen->rule, FXC_NAME_has_biases, true, &out->biased) ||
        !fxc_rule_bool(&seen->rule, FXC_NAME_batch_first, false, &out->batch_first) ||
        !fxc_known_item(&seen->rule, list, 0, &out->w_in) || !fxc_known_item(&seen->rule, list, 1, &out->w_hidden)) {
        return false;
    }
    uint32_t each = out->biased ? 4 : 2;
    out->parts = (p->list_begin[list + 1] - p->list_begin[list]) / each;
    return !out->biased || fxc_known_item(&seen->rule, list, 2, &out->bias);
}

/* LSTM is one kernel, before which both biases are added up. GRU and RNN are products: of all inputs, mm (or addmm when
 * time comes first) and of the state in each step, addmm; and one addition per step that is not in place.
 * params: per multiply-add, 0 for a fused kernel; per element of an addition. */
fxc_status fxc_count_dispatched_recurrent(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct recurrent r;
    const int32_t *params = seen->row->params;
    FXC_NEED(known_recurrent(seen, &r));
    if (params[0] == 0) {
        out->key = "add";
        out->count = r.biased ? fxc_times(tally, fxc_times(tally, params[1], r.parts), r.bias.numel) : 0;
        return FXC_OK;
    }
    FXC_NEED(r.parts == 1 && r.w_hidden.rank == 2);
    int64_t steps = fxc_sizes(tally, &r.input, 0, r.input.rank - 1);
    int64_t inputs = fxc_times(tally, params[0], fxc_times(tally, steps, r.w_in.numel));
    int64_t states = fxc_times(tally, params[0], fxc_times(tally, steps, r.w_hidden.numel));
    out->count = fxc_plus(tally, inputs, states);
    out->key = "addmm";
    int64_t added = fxc_times(tally, params[1], fxc_times(tally, steps, r.w_hidden.size[1]));
    out->count = fxc_plus(tally, out->count, added);
    out->also[0].key = "add";
    out->also[0].count = added;
    uint32_t next = added != 0;
    out->also[next].key = "mm";
    out->also[next].count = r.batch_first ? inputs : 0;
    return FXC_OK;
}

/* A convolution of four dimensions. params: per multiply-add. */
fxc_status fxc_count_dispatched_conv(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_input, &input));
    out->count = input.rank != 4 ? 0 : fxc_times(tally, seen->row->params[0], fxc_seen_macs(seen));
    return FXC_OK;
}

/* The gradient of the input as one convolution, that of the weight as one without groups, each where asked for.
 * params: per multiply-add. */
fxc_status fxc_count_dispatched_conv_backward(const struct fxc_seen *seen, struct fxc_tally *tally,
                                              struct fxc_told *out) {
    struct fxc_tensor input, weight, gradient;
    int64_t groups, wanted[2];
    bool transposed;
    uint32_t mask = fxc_rule_list(&seen->rule, FXC_NAME_output_mask);
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_input, &input) &&
             fxc_known_tensor(&seen->rule, FXC_NAME_weight, &weight) &&
             fxc_known_tensor(&seen->rule, FXC_NAME_grad_output, &gradient) && weight.rank >= 2 &&
             fxc_rule_int(&seen->rule, FXC_NAME_groups, 1, &groups) &&
             fxc_rule_bool(&seen->rule, FXC_NAME_transposed, false, &transposed));
    FXC_NEED(mask != FXC_NONE && fxc_rule_item_int(&seen->rule, mask, 0, &wanted[0]) &&
             fxc_rule_item_int(&seen->rule, mask, 1, &wanted[1]));
    int64_t channels = weight.size[0];
    int64_t positions = channels == 0 ? 0 : (transposed ? input.numel : gradient.numel) / channels;
    int64_t macs = fxc_times(tally, weight.numel, positions);
    out->count = fxc_times(tally, seen->row->params[0],
                           fxc_linear(tally, wanted[0] != 0, macs, wanted[1] != 0 ? groups : 0, macs));
    return FXC_OK;
}

/* matmul: mm, or bmm when both have batches; a vector on the right is mv, two vectors are dot, which are not counted.
 * params: per multiply-add. */
fxc_status fxc_count_dispatched_matmul(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_seen_input(seen, 0, &a) && fxc_seen_input(seen, 1, &b));
    bool vector = b.rank == 1 || (a.rank == 1 && b.rank > 2);
    out->key = vector ? "mv" : a.rank > 2 && b.rank > 2 ? "bmm" : "mm";
    out->count = vector ? 0 : fxc_times(tally, seen->row->params[0], fxc_seen_macs(seen));
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
 * params: per multiply-add; 1 to count it as if unfused; per element of query and key, which the unfused path scales.
 */
fxc_status fxc_count_dispatched_attention(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    const int32_t *params = seen->row->params;
    FXC_NEED(seen->analysis->flops->coverage[seen->rule.node] != FXC_COVERAGE_UNKNOWN);
    bool counted = params[1] != 0 || seen->fast || !fuses_on_cpu(seen);
    out->key = counted ? "bmm" : "_scaled_dot_product_flash_attention_for_cpu";
    out->count = counted ? fxc_times(tally, params[0], fxc_seen_macs(seen)) : 0;
    if (counted && !seen->fast && params[2] != 0) {
        struct fxc_tensor query, key;
        FXC_NEED(fxc_seen_input(seen, 0, &query) && fxc_seen_input(seen, 1, &key));
        out->also[0].key = "mul";
        out->also[0].count = fxc_linear(tally, params[2], query.numel, params[2], key.numel);
        out->count = fxc_plus(tally, out->count, out->also[0].count);
    }
    return FXC_OK;
}
