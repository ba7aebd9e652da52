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

/* params: per element of the input when training, with a weight and without; the same in evaluation. */
fxc_status fxc_count_batch_norm(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    bool training;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_rule_bool(&seen->rule, FXC_NAME_training, false, &training));
    uint32_t which = (training ? 0 : 2) + (fxc_seen_has(seen, "weight", FXC_NAME_weight) ? 0 : 1);
    out->count = fxc_times(tally, seen->row->params[which], input.numel);
    return FXC_OK;
}

/* The tool raises an exception on every such call. */
fxc_status fxc_count_raises(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    (void)tally;
    out->failure = seen->row->source;
    return FXC_OK;
}
