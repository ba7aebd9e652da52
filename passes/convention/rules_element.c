/* Formulas of conventions that are proportional to the elements of an operand or a result. */
#include "passes/convention/convention.h"

fxc_status fxc_count_nothing(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    (void)seen, (void)tally, (void)out;
    return FXC_OK;
}

/* params: per element of the first input. */
fxc_status fxc_count_input(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    FXC_NEED(fxc_seen_input(seen, 0, &input));
    out->count = fxc_times(tally, seen->row->params[0], input.numel);
    return FXC_OK;
}

/* params: per element of the first result. */
fxc_status fxc_count_output(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    FXC_NEED(fxc_seen_output(seen, 0, &output));
    out->count = fxc_times(tally, seen->row->params[0], output.numel);
    return FXC_OK;
}

/* params: per element of the input with a weight, and without. */
fxc_status fxc_count_norm(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    FXC_NEED(fxc_seen_input(seen, 0, &input));
    bool affine = fxc_seen_has(seen, "weight", FXC_NAME_weight);
    out->count = fxc_times(tally, seen->row->params[affine ? 0 : 1], input.numel);
    return FXC_OK;
}

/* The same with a weight; without one, torch_flops asks for an attribute that the module has not. */
fxc_status fxc_count_norm_or_raise(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    if (!fxc_seen_has(seen, "weight", FXC_NAME_weight)) {
        out->failure = "AttributeError: elementwise_affine";
        return FXC_OK;
    }
    return fxc_count_norm(seen, tally, out);
}

/* params: per element of the input when training, with a weight and without; the same in evaluation. */
fxc_status fxc_count_batch_norm(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    bool training;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_rule_bool(&seen->rule, FXC_NAME_training, false, &training));
    uint32_t which = (training ? 0u : 2u) + (fxc_seen_has(seen, "weight", FXC_NAME_weight) ? 0u : 1u);
    out->count = fxc_times(tally, seen->row->params[which], input.numel);
    return FXC_OK;
}

/* Elements of two operands broadcast from the first dimension on, where torch broadcasts from the last.
 * params: per element. */
fxc_status fxc_count_left_broadcast(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_seen_input(seen, 0, &a));
    if (!fxc_seen_input(seen, 1, &b)) {
        b = (struct fxc_tensor){.rank = 0};
    }
    out->count = seen->row->params[0];
    for (uint32_t dim = 0; dim < a.rank || dim < b.rank; dim++) {
        int64_t first = dim < a.rank ? a.size[dim] : 1, second = dim < b.rank ? b.size[dim] : 1;
        out->count = fxc_times(tally, out->count, first > second ? first : second);
    }
    return FXC_OK;
}

/* params: per element of the two operands broadcast. */
fxc_status fxc_count_broadcast(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    return fxc_count_output(seen, tally, out);
}

/* Elements of the first operand, whichever is larger; none inside a fused kernel. params: per element. */
fxc_status fxc_count_first_of_two(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor self;
    FXC_NEED(fxc_known_tensor(&seen->rule, FXC_NAME_self, &self));
    out->count = seen->fast ? 0 : fxc_times(tally, seen->row->params[0], self.numel);
    return FXC_OK;
}

/* n exponentials, n - 1 additions and n divisions for each row of n, along the argument dim. */
fxc_status fxc_count_softmax_parts(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    int64_t dim;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_rule_int(&seen->rule, FXC_NAME_dim, 0, &dim));
    dim = dim < 0 ? dim + input.rank : dim;
    FXC_NEED(dim >= 0 && dim < input.rank && input.size[dim] > 0);
    out->count = fxc_linear(tally, 3, input.numel, -1, input.numel / input.size[dim]);
    return FXC_OK;
}

/* A sum over everything takes n - 1 additions; over some dimensions torch_flops counts the reduced sizes times one less
 * than the results, where it means the reverse. */
fxc_status fxc_count_reduced_swapped(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output));
    if (output.numel <= 1) {
        out->count = output.numel == 1 && input.numel > 0 ? input.numel - 1 : 0;
        return FXC_OK;
    }
    out->count = fxc_times(tally, input.numel / output.numel, output.numel - 1);
    return FXC_OK;
}

/* params: per element of the result under interpolation mode 0 (bilinear), 1 (nearest), 2 (bicubic). */
fxc_status fxc_count_grid_sample(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    int64_t mode;
    FXC_NEED(fxc_seen_output(seen, 0, &output) && fxc_rule_int(&seen->rule, FXC_NAME_interpolation_mode, 0, &mode) &&
             mode >= 0 && mode < 3);
    out->count = fxc_times(tally, seen->row->params[mode], output.numel);
    return FXC_OK;
}

/* The tool raises an exception on every such call. */
fxc_status fxc_count_raises(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    (void)tally;
    out->failure = seen->row->source;
    return FXC_OK;
}
