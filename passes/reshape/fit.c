/* reshape: parameters that must fit what they are applied to, where the shape rule follows the subject alone:
 * normalisation and recurrent layers. Other operators' rules look at all that they take. */
#include <stdio.h>

#include "passes/reshape/reshape.h"
#include "passes/shapes/rules.h"

static fxc_status unfit(const struct fxc_rule *rule, const char *name, const char *parameter_is,
                        const struct fxc_tensor *input, fxc_error *err) {
    char text[96];
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
    fxc_expected(err, "an input that fits %s, which %s", name, parameter_is);
    fxc_found(err, "input is %s", fxc_sizes_text(input->size, input->rank, text, sizeof text));
    fxc_advice(err, "the model does not take these input sizes");
    return status;
}

/* layer_norm and rms_norm: the last sizes are those of normalized_shape. */
static fxc_status fit_last_sizes(const struct fxc_rule *rule, const struct fxc_tensor *input, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_normalized_shape), count = fxc_list_count(rule->program, list);
    int64_t size[FXC_MAX_RANK];
    char text[96], words[128];
    bool fits = count <= input->rank;
    for (uint32_t i = 0; i < count && count <= FXC_MAX_RANK; i++) {
        if (!fxc_rule_item_int(rule, list, i, &size[i])) {
            return FXC_OK;
        }
        fits = fits && size[i] == input->size[input->rank - count + i];
    }
    if (fits || count > FXC_MAX_RANK) {
        return FXC_OK;
    }
    (void)snprintf(words, sizeof words, "is %s", fxc_sizes_text(size, count, text, sizeof text));
    return unfit(rule, "normalized_shape", words, input, err);
}

/* Batch, group and instance norm: a number for each channel. */
static fxc_status fit_channels(const struct fxc_rule *rule, const struct fxc_tensor *input, fxc_error *err) {
    static const struct {
        enum fxc_name id;
        const char *text;
    } names[] = {{FXC_NAME_weight, "weight"}, {FXC_NAME_running_mean, "running_mean"}};
    struct fxc_tensor parameter;
    int64_t groups;
    char text[96], words[128];
    if (input->rank < 2) {
        return FXC_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (fxc_rule_tensor(rule, names[i].id, &parameter) && parameter.numel >= 0 && parameter.rank == 1 &&
            parameter.numel != input->size[1]) {
            (void)snprintf(words, sizeof words, "is %s",
                           fxc_sizes_text(parameter.size, parameter.rank, text, sizeof text));
            return unfit(rule, names[i].text, words, input, err);
        }
    }
    if (fxc_rule_int(rule, FXC_NAME_num_groups, 1, &groups) && groups > 0 && input->size[1] % groups != 0) {
        (void)snprintf(words, sizeof words, "is %lld", (long long)groups);
        return unfit(rule, "num_groups", words, input, err);
    }
    return FXC_OK;
}

/* The first layer's input weight: (gates, features). */
static fxc_status fit_features(const struct fxc_rule *rule, const struct fxc_tensor *input, fxc_error *err) {
    struct fxc_tensor weight;
    char text[96], words[128];
    if (!fxc_rule_item_tensor(rule, fxc_rule_list(rule, FXC_NAME_params), 0, &weight) || weight.rank != 2 ||
        input->rank == 0 || weight.size[1] == input->size[input->rank - 1]) {
        return FXC_OK;
    }
    (void)snprintf(words, sizeof words, "begins with %s", fxc_sizes_text(weight.size, weight.rank, text, sizeof text));
    return unfit(rule, "params", words, input, err);
}

fxc_status fxc_reshape_fit(const struct fxc_rule *rule, fxc_error *err) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    struct fxc_tensor input;
    if (row == NULL || !fxc_shape_subject(rule, &input)) {
        return FXC_OK;
    }
    switch (row->flops) {
    case FXC_FLOPS_layer_norm:
    case FXC_FLOPS_rms_norm:
        return fit_last_sizes(rule, &input, err);
    case FXC_FLOPS_batch_norm:
    case FXC_FLOPS_group_norm:
    case FXC_FLOPS_instance_norm:
        return fit_channels(rule, &input, err);
    case FXC_FLOPS_lstm:
    case FXC_FLOPS_gru:
    case FXC_FLOPS_rnn:
        return fit_features(rule, &input, err);
    default:
        return FXC_OK;
    }
}
