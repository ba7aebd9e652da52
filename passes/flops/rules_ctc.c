/* FLOP rules of connectionist temporal classification, as ATen's LossCTC.cpp computes it in the space of logarithms: a
 * sequence of T steps and a target of L labels have 2 L + 1 states at each step. */
#include "passes/flops/rules.h"

enum { NO_REDUCTION, MEAN, SUM }; /* at::Reduction */

/* log(exp(a - m) + exp(b - m) + exp(c - m)) + m + log_prob with m the largest of three: comparisons 2, differences 3,
 * sums 4; 3 exponentials and a logarithm. */
enum { STATE_FLOPS = 9, STATE_TRANSCENDENTALS = 4 };

struct sequences {
    int64_t count;
    int64_t transitions; /* (T - 1)(2 L + 1), added up */
    int64_t labelled;    /* sequences with labels: their last two states are joined */
};

/* Lengths that are lists of numbers; those in tensors are data, and not known. */
static bool known_sequences(const struct fxc_rule *rule, const struct fxc_tensor *log_probs, struct fxc_tally *tally,
                            struct sequences *out) {
    uint32_t steps = fxc_rule_list(rule, FXC_NAME_input_lengths), labels = fxc_rule_list(rule, FXC_NAME_target_lengths);
    *out = (struct sequences){.count = log_probs->rank == 3 ? log_probs->size[1] : 1};
    if (steps == FXC_NONE || labels == FXC_NONE || log_probs->rank < 2 || log_probs->rank > 3) {
        return false;
    }
    for (int64_t i = 0; i < out->count; i++) {
        int64_t t, l;
        if (i > UINT32_MAX || !fxc_rule_item_int(rule, steps, (uint32_t)i, &t) ||
            !fxc_rule_item_int(rule, labels, (uint32_t)i, &l) || t < 0 || l < 0) {
            return false;
        }
        int64_t states = fxc_linear(tally, 2, l, 1, 1);
        out->transitions = fxc_plus(tally, out->transitions, fxc_times(tally, t > 0 ? t - 1 : 0, states));
        out->labelled += l > 0;
    }
    return true;
}

/* params: 1 where the loss is reduced too (ctc_loss), 0 for _ctc_loss. At the end a sign, and of a target with labels
 * log(exp(a - m) + exp(b - m)) + m of two states: 6 with the sign, 3 transcendentals. */
fxc_status fxc_flops_ctc(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor log_probs;
    struct sequences s;
    int64_t reduction = NO_REDUCTION;
    bool zero_infinity;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_log_probs, &log_probs) && known_sequences(rule, &log_probs, &tally, &s));
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_zero_infinity, false, &zero_infinity));
    FXC_NEED(params[0] == 0 || fxc_rule_int(rule, FXC_NAME_reduction, MEAN, &reduction));
    int64_t flops = fxc_linear(&tally, STATE_FLOPS, s.transitions, 5, s.labelled);
    flops = fxc_plus(&tally, flops, s.count);
    if (params[0] != 0) { /* a test for infinity; the quotient by the length of the target, and the mean */
        flops = fxc_plus(&tally, flops, zero_infinity ? s.count : 0);
        flops = fxc_plus(&tally, flops,
                         reduction == MEAN                 ? 2 * s.count
                         : reduction == SUM && s.count > 0 ? s.count - 1
                                                           : 0);
    }
    fxc_tally_work(&tally, log_probs.dtype, flops,
                   fxc_linear(&tally, STATE_TRANSCENDENTALS, s.transitions, 3, s.labelled));
    return fxc_tally_end(&tally, rule, err);
}

/* The backward recursion is as dear as the forward one. Each state then joins the sum of both into its class: the sum,
 * and a logarithm of two exponentials with 5 FLOPs (the first state of a class, which is data, only writes; it counts
 * as the others). Per step and class (exp(p) - exp(r + nll - p)) g: 4, and 2 exponentials. */
fxc_status fxc_flops_ctc_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                  fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor log_probs;
    struct sequences s;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_log_probs, &log_probs) && known_sequences(rule, &log_probs, &tally, &s));
    int64_t flops = fxc_linear(&tally, STATE_FLOPS + 6, s.transitions, 4, log_probs.numel);
    flops = fxc_plus(&tally, flops, fxc_plus(&tally, s.count, s.labelled)); /* the last step's one or two states */
    fxc_tally_work(&tally, log_probs.dtype, flops,
                   fxc_linear(&tally, STATE_TRANSCENDENTALS + 3, s.transitions, 2, log_probs.numel));
    return fxc_tally_end(&tally, rule, err);
}
