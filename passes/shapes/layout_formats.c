/* Layout rules of operators that keep a memory format: sliding windows, padding, joins. Each result is channels-last or
 * row-major; what torch calls the suggested memory format decides. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

static void in_one_of(bool channels_last, struct fxc_shape *out) {
    if (channels_last) {
        fxc_channels_last_strides(out);
    } else {
        (void)fxc_contiguous_strides(out);
    }
}

/* A tensor with a dimension of size 1 at `dim`, as unsqueeze makes it; its own sizes and strides are in `room`. */
static struct fxc_tensor unsqueezed(const struct fxc_tensor *tensor, uint32_t dim, struct fxc_shape *room) {
    struct fxc_tensor wide = *tensor;
    fxc_start_view(tensor, room);
    memmove(room->size + dim + 1, room->size + dim, (tensor->rank - dim) * sizeof room->size[0]);
    memmove(room->stride + dim + 1, room->stride + dim, (tensor->rank - dim) * sizeof room->stride[0]);
    room->size[dim] = 1;
    if (dim == tensor->rank) {
        room->stride[dim] = 1;
    } else if (fxc_mul(tensor->size[dim], tensor->stride[dim], &room->stride[dim])) {
        room->stride[dim] = INT64_MAX;
    }
    wide.size = room->size;
    wide.stride = room->stride;
    wide.rank++;
    return wide;
}

static bool known_subject(const struct fxc_rule *rule, struct fxc_tensor *out) {
    return fxc_shape_subject(rule, out) && fxc_known_strides(out) && out->rank < FXC_MAX_RANK;
}

void fxc_suggested_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor input;
    if (known_subject(rule, &input) && input.rank == out->rank) {
        in_one_of(fxc_is_channels_last(&input), out);
    }
}

/* Whether something is only cut off. */
static bool only_cuts(const struct fxc_rule *rule) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_pad), count = fxc_list_count(rule->program, list);
    for (uint32_t i = 0; i < count; i++) {
        int64_t width;
        if (!fxc_rule_item_int(rule, list, i, &width) || width > 0) {
            return false;
        }
    }
    return count > 0;
}

/* Filling with a constant makes a new tensor; where it only cuts, it copies what is left. */
void fxc_padded_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    const char *mode = fxc_rule_string(rule, FXC_NAME_mode);
    struct fxc_tensor input;
    if (mode != NULL && strcmp(mode, "circular") == 0) {
        (void)fxc_contiguous_strides(out);
    } else if ((mode == NULL || strcmp(mode, "constant") == 0) && only_cuts(rule)) {
        if (known_subject(rule, &input) && input.rank == out->rank) {
            memcpy(out->stride, input.stride, input.rank * sizeof out->stride[0]);
            fxc_iterated_strides(out);
        }
    } else {
        fxc_suggested_strides(rule, out);
    }
}

static uint32_t spatial_dims(const struct fxc_rule *rule) {
    uint32_t kernel = fxc_rule_list(rule, FXC_NAME_kernel_size);
    return fxc_list_count(rule->program, kernel != FXC_NONE ? kernel : fxc_rule_list(rule, FXC_NAME_output_size));
}

/* Pooling over one dimension is pooling over two of which the first has size 1. */
void fxc_window_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor input;
    struct fxc_shape room;
    if (!known_subject(rule, &input) || input.rank != out->rank) {
        return;
    }
    if (spatial_dims(rule) == 3 && fxc_rule_list(rule, FXC_NAME_kernel_size) == FXC_NONE) {
        (void)fxc_contiguous_strides(out); /* adaptive pooling of volumes */
        return;
    }
    if (spatial_dims(rule) != 1 || input.rank != 3) {
        in_one_of(fxc_is_channels_last(&input), out);
        return;
    }
    struct fxc_tensor wide = unsqueezed(&input, 2, &room);
    (void)fxc_contiguous_strides(out);
    if (fxc_is_channels_last(&wide)) {
        out->stride[1] = 1;
        out->stride[2] = out->size[1];
    }
}

/* Over one dimension row-major; a missing batch dimension is added. */
void fxc_conv_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor input, weight, batched;
    struct fxc_shape room;
    if (!fxc_shape_argument(rule, FXC_NAME_input, &input) || !fxc_known_strides(&input) ||
        !fxc_shape_argument(rule, FXC_NAME_weight, &weight) || !fxc_known_strides(&weight)) {
        return;
    }
    bool alone = input.rank + 1 == weight.rank;
    batched = alone ? unsqueezed(&input, 0, &room) : input;
    bool last = fxc_is_channels_last(&batched) || fxc_is_channels_last(&weight), transposed;
    enum fxc_kind kind;
    int64_t payload;
    transposed = fxc_rule_arg(rule, FXC_NAME_transposed, &kind, &payload)
                     ? kind == FXC_KIND_BOOL && payload != 0
                     : fxc_node_row(rule->program, rule->node)->shape == FXC_SHAPE_conv_transposed;
    if (transposed && last && weight.rank == 5) {
        return; /* the kernel of transposed volumes is chosen by their sizes */
    }
    if (!alone || !last || weight.rank == 3) {
        in_one_of(last && weight.rank > 3, out);
        return;
    }
    (void)fxc_contiguous_strides(out);
    for (uint32_t dim = 1; dim < out->rank; dim++) {
        out->stride[dim] *= out->size[0];
    }
    out->stride[0] = 1;
}

/* Whether every tensor of the list, seen with `dim` added when that is no FXC_NONE, is channels-last. */
static enum fxc_answer all_channels_last(const struct fxc_rule *rule, uint32_t rank, uint32_t dim) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), last = 0, count = fxc_list_count(rule->program, list);
    struct fxc_tensor tensor;
    struct fxc_shape room;
    for (uint32_t i = 0; i < count; i++) {
        if (!fxc_rule_item_tensor(rule, list, i, &tensor) || !fxc_known_strides(&tensor) ||
            tensor.rank == FXC_MAX_RANK) {
            return FXC_MAYBE;
        }
        tensor = dim == FXC_NONE ? tensor : unsqueezed(&tensor, dim, &room);
        last += tensor.rank == rank && fxc_is_channels_last(&tensor);
    }
    return last == count && count > 0 ? FXC_YES : FXC_NO;
}

void fxc_joined_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    enum fxc_answer last = all_channels_last(rule, out->rank, FXC_NONE);
    if (last != FXC_MAYBE) {
        in_one_of(last == FXC_YES, out);
    }
}

/* stack joins along an existing dimension and splits it; behind the last dimension it adds one to each and joins. */
void fxc_stacked_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    uint32_t dim, rank = out->rank - 1u;
    if (out->rank == 0 || !fxc_shape_dim(rule, FXC_NAME_dim, 0, out->rank, &dim)) {
        return;
    }
    enum fxc_answer last = all_channels_last(rule, dim < rank ? rank : out->rank, dim < rank ? FXC_NONE : dim);
    if (last != FXC_YES || dim == rank) {
        if (last != FXC_MAYBE) {
            in_one_of(last == FXC_YES, out);
        }
        return;
    }
    struct fxc_shape joined = {.rank = (uint8_t)rank};
    for (uint32_t d = 0; d < rank; d++) {
        joined.size[d] = d == dim ? out->size[dim] * out->size[dim + 1] : out->size[d < dim ? d : d + 1];
    }
    fxc_channels_last_strides(&joined);
    for (uint32_t d = 0; d < out->rank; d++) {
        out->stride[d] = joined.stride[d <= dim ? d : d - 1];
    }
    out->stride[dim] *= out->size[dim + 1];
    out->strides_told = joined.strides_told;
}
