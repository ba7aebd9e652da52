/* Layout rules of operators with statistics and of the backward pass. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* A norm's result as its argument, made dense, attention's as its query; statistics row-major. */
void fxc_normed_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor input;
    if (out->index > 0) {
        (void)fxc_contiguous_strides(out);
    } else if ((fxc_shape_subject(rule, &input) || fxc_shape_argument(rule, FXC_NAME_v, &input) ||
                fxc_shape_argument(rule, FXC_NAME_saved_v, &input) ||
                fxc_shape_argument(rule, FXC_NAME_query, &input)) &&
               fxc_known_strides(&input) && input.rank == out->rank) {
        memcpy(out->stride, input.stride, input.rank * sizeof out->stride[0]);
        fxc_iterated_strides(out);
    }
}

void fxc_grouped_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    if (out->index > 0) {
        (void)fxc_contiguous_strides(out);
    } else {
        fxc_suggested_strides(rule, out);
    }
}

static bool known(const struct fxc_rule *rule, enum fxc_name name, uint32_t rank, struct fxc_tensor *out) {
    return fxc_shape_argument(rule, name, out) && fxc_known_strides(out) && out->rank == rank;
}

/* The gradient of a norm's argument is computed element by element: of a layer norm from the deviations and the
 * result's gradient, of a batch norm from that and the argument, in this order; of a group norm in the suggested
 * format. Those of weight and bias are row-major. */
void fxc_norm_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor both[2];
    enum fxc_kind kind;
    int64_t payload;
    if (out->index > 0) {
        (void)fxc_contiguous_strides(out);
    } else if (fxc_rule_arg(rule, FXC_NAME_group, &kind, &payload)) {
        fxc_suggested_strides(rule, out);
    } else if (fxc_rule_arg(rule, FXC_NAME_normalized_shape, &kind, &payload)) {
        if (known(rule, FXC_NAME_rstd, out->rank, &both[0]) && known(rule, FXC_NAME_grad_out, out->rank, &both[1])) {
            fxc_iterated_strides_of(both, 2, out);
        }
    } else if (known(rule, FXC_NAME_grad_out, out->rank, &both[0]) &&
               known(rule, FXC_NAME_input, out->rank, &both[1])) {
        fxc_iterated_strides_of(both, 2, out);
    }
}

/* The gradient of a resampled image: in the format of the result's gradient. */
void fxc_resize_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor grad;
    if (!fxc_shape_argument(rule, FXC_NAME_grad_output, &grad) || !fxc_known_strides(&grad)) {
        return;
    }
    if (fxc_is_channels_last(&grad)) {
        fxc_channels_last_strides(out);
    } else {
        (void)fxc_contiguous_strides(out);
    }
}

/* Gradients of input and weight are channels-last if input or weight is; over one dimension row-major. */
void fxc_conv_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor input, weight;
    if (!fxc_shape_argument(rule, FXC_NAME_input, &input) || !fxc_known_strides(&input) ||
        !fxc_shape_argument(rule, FXC_NAME_weight, &weight) || !fxc_known_strides(&weight)) {
        return;
    }
    if (out->index < 2 && (fxc_is_channels_last(&input) || fxc_is_channels_last(&weight))) {
        fxc_channels_last_strides(out);
    } else {
        (void)fxc_contiguous_strides(out);
    }
}

/* The CPU's flash kernel works on (batch, position, head, depth) and shows it as (batch, head, position, depth). */
void fxc_attention_backward_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_shape laid = {.rank = 4};
    (void)rule;
    if (out->rank != 4) {
        return;
    }
    for (uint32_t dim = 0; dim < 4; dim++) {
        laid.size[dim] = out->size[dim == 1 ? 2 : dim == 2 ? 1 : dim];
    }
    if (fxc_contiguous_strides(&laid)) {
        for (uint32_t dim = 0; dim < 4; dim++) {
            out->stride[dim] = laid.stride[dim == 1 ? 2 : dim == 2 ? 1 : dim];
        }
        out->strides_told = true;
    }
}
