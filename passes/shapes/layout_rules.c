/* Layout rules, one case for each name of FXC_LAYOUT_RULE_LIST (ir/rules.h). */
#include "passes/shapes/layout_rules.h"

#include <string.h>

#include "passes/shapes/rules.h"

bool fxc_contiguous_strides(struct fxc_shape *out) {
    int64_t step = 1;
    for (uint32_t dim = out->rank; dim-- > 0;) {
        out->stride[dim] = step;
        if (out->size[dim] > 1 && fxc_mul(step, out->size[dim], &step)) {
            return false;
        }
    }
    return out->strides_told = true;
}

bool fxc_known_strides(const struct fxc_tensor *tensor) {
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        if (tensor->stride[dim] < 0) {
            return false;
        }
    }
    return tensor->numel >= 0 && tensor->rank <= FXC_MAX_RANK;
}

bool fxc_is_contiguous(const struct fxc_tensor *tensor) {
    int64_t step = 1;
    for (uint32_t dim = tensor->rank; dim-- > 0;) {
        if (tensor->size[dim] == 1) {
            continue;
        }
        if (tensor->stride[dim] != step || fxc_mul(step, tensor->size[dim], &step)) {
            return tensor->numel == 0;
        }
    }
    return true;
}

bool fxc_is_channels_last(const struct fxc_tensor *tensor) {
    int64_t least = 0;
    if ((tensor->rank != 4 && tensor->rank != 5) || tensor->stride[1] == 0) {
        return false;
    }
    for (uint32_t i = 0; i < tensor->rank; i++) {
        uint32_t dim = i == 0 ? 1 : i + 1 == tensor->rank ? 0 : tensor->rank - i;
        if (tensor->size[dim] == 0 || tensor->stride[dim] < least || (dim == 0 && least == tensor->stride[1])) {
            return false;
        }
        least = tensor->stride[dim];
        if (tensor->size[dim] > 1 && fxc_mul(least, tensor->size[dim], &least)) {
            return false;
        }
    }
    return true;
}

void fxc_channels_last_strides(struct fxc_shape *out) {
    int64_t step = 1;
    if (out->rank != 4 && out->rank != 5) {
        return;
    }
    for (uint32_t i = 0; i < out->rank; i++) {
        uint32_t dim = i == 0 ? 1 : i + 1 == out->rank ? 0u : out->rank - i;
        out->stride[dim] = step;
        if (out->size[dim] > 1 && fxc_mul(step, out->size[dim], &step)) {
            return;
        }
    }
    out->strides_told = true;
}

/* ---- TensorIterator ---------------------------------------------------------------------------------------------- */

/* Operands aligned with the result: strides, 0 where they are broadcast. */
enum { MAX_OPERANDS = 6 };
struct operands {
    struct fxc_tensor tensor[MAX_OPERANDS];
    uint32_t count;
};

static int64_t stride_in(const struct fxc_tensor *tensor, const struct fxc_shape *out, uint32_t dim) {
    uint32_t added = (uint32_t)out->rank - tensor->rank;
    if (dim < added || (tensor->size[dim - added] == 1 && out->size[dim] != 1)) {
        return 0;
    }
    return tensor->stride[dim - added];
}

/* Above zero when `a` belongs outside `b`, below when inside; the first operand that has an opinion decides. */
static int order(const struct operands *ops, const struct fxc_shape *out, uint32_t a, uint32_t b) {
    for (uint32_t i = 0; i < ops->count; i++) {
        int64_t step_a = stride_in(&ops->tensor[i], out, a), step_b = stride_in(&ops->tensor[i], out, b);
        if (step_a == 0 || step_b == 0) {
            continue;
        }
        if (step_a != step_b) {
            return step_a < step_b ? -1 : 1;
        }
        if (out->size[a] > out->size[b]) {
            return 1;
        }
    }
    return 0;
}

/* Dimensions from the innermost outwards: insertion into the row-major order, stable where no operand decides. */
static void permutation(const struct operands *ops, const struct fxc_shape *out, uint8_t *perm) {
    for (uint32_t i = 0; i < out->rank; i++) {
        perm[i] = (uint8_t)(out->rank - 1u - i);
    }
    for (uint32_t i = 1; i < out->rank; i++) {
        uint32_t at = i;
        for (uint32_t before = i; before-- > 0;) {
            int found = order(ops, out, perm[before], perm[at]);
            if (found < 0) {
                break;
            }
            if (found > 0) {
                uint8_t swapped = perm[before];
                perm[before] = perm[at];
                perm[at] = swapped;
                at = before;
            }
        }
    }
}

static void iterator_strides(const struct operands *ops, struct fxc_shape *out) {
    uint8_t perm[FXC_MAX_RANK];
    int64_t step = 1;
    bool plain = true;
    for (uint32_t i = 0; i < ops->count && plain; i++) {
        plain = fxc_is_contiguous(&ops->tensor[i]);
    }
    if (plain) {
        (void)fxc_contiguous_strides(out);
        return;
    }
    permutation(ops, out, perm);
    for (uint32_t i = 0; i < out->rank; i++) {
        out->stride[perm[i]] = step;
        if (out->size[perm[i]] > 1 && fxc_mul(step, out->size[perm[i]], &step)) {
            return;
        }
    }
    out->strides_told = true;
}

void fxc_iterated_strides(struct fxc_shape *out) {
    int64_t stride[FXC_MAX_RANK];
    memcpy(stride, out->stride, out->rank * sizeof stride[0]);
    struct operands ops = {.count = 1};
    ops.tensor[0] = (struct fxc_tensor){.size = out->size, .stride = stride, .numel = 1, .rank = out->rank};
    iterator_strides(&ops, out);
}

void fxc_iterated_strides_of(const struct fxc_tensor *tensors, uint32_t count, struct fxc_shape *out) {
    struct operands ops = {.count = count < MAX_OPERANDS ? count : MAX_OPERANDS};
    memcpy(ops.tensor, tensors, ops.count * sizeof ops.tensor[0]);
    iterator_strides(&ops, out);
}

/* Every tensor argument, in order. */
static void pointwise_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    const struct fxc_program *p = rule->program;
    struct operands ops;
    ops.count = 0;
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        struct fxc_tensor *tensor = &ops.tensor[ops.count];
        if (ops.count == MAX_OPERANDS) {
            return;
        }
        if (p->arg_kind[i] != FXC_KIND_VALUE || !fxc_rule_value(rule, (uint32_t)p->arg_payload[i], tensor)) {
            continue;
        }
        if (!fxc_known_strides(tensor) || tensor->rank > out->rank) {
            return;
        }
        ops.count++;
    }
    iterator_strides(&ops, out);
}

/* Row-major when every tensor argument is, else not told. */
static void plain(const struct fxc_rule *rule, struct fxc_shape *out) {
    const struct fxc_program *p = rule->program;
    struct fxc_tensor tensor;
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        if (p->arg_kind[i] == FXC_KIND_VALUE && fxc_rule_value(rule, (uint32_t)p->arg_payload[i], &tensor) &&
            (!fxc_known_strides(&tensor) || !fxc_is_contiguous(&tensor))) {
            return;
        }
    }
    (void)fxc_contiguous_strides(out);
}

/* What LAPACK works on: matrices column by column. Results of a smaller rank than the operands hold no matrices. */
static void columns(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    bool sides = fxc_rule_tensor(rule, FXC_NAME_B, &tensor);
    bool known = fxc_shape_subject(rule, &tensor) || fxc_shape_argument(rule, FXC_NAME_LU, &tensor) ||
                 fxc_shape_argument(rule, FXC_NAME_LD, &tensor);
    if (!fxc_contiguous_strides(out) || out->rank < 2 || !known || out->rank < tensor.rank) {
        /* Vectors on the right-hand sides of a batch lie as the kernel leaves them. */
        out->strides_told = out->strides_told && known && !(sides && out->index == 0 && out->rank >= 2);
        return;
    }
    int64_t rows = out->size[out->rank - 2];
    out->stride[out->rank - 2] = 1;
    out->stride[out->rank - 1] = rows > 1 ? rows : 1;
}

bool fxc_view_strides(const struct fxc_tensor *from, struct fxc_shape *out) {
    int64_t from_count = 1, to_count = 1, base;
    if (!fxc_known_strides(from)) {
        return false;
    }
    if (from->rank == 0 || from->numel == 0) {
        return fxc_contiguous_strides(out);
    }
    uint32_t to = out->rank;
    base = from->stride[from->rank - 1];
    for (uint32_t dim = from->rank; dim-- > 0;) {
        int64_t reach;
        if (fxc_mul(from_count, from->size[dim], &from_count) || fxc_mul(from_count, base, &reach)) {
            return false;
        }
        if (dim > 0 && (from->size[dim - 1] == 1 || from->stride[dim - 1] == reach)) {
            continue;
        }
        while (to > 0 && (to_count < from_count || out->size[to - 1] == 1)) {
            to--;
            if (fxc_mul(to_count, base, &out->stride[to]) || fxc_mul(to_count, out->size[to], &to_count)) {
                return false;
            }
        }
        if (to_count != from_count) {
            return false;
        }
        if (dim > 0) {
            base = from->stride[dim - 1];
            from_count = to_count = 1;
        }
    }
    return out->strides_told = to == 0;
}

void fxc_result_strides(const struct fxc_rule *rule, enum fxc_layout_rule_id id, struct fxc_shape *out) {
    switch (id) {
    case FXC_LAYOUTS_pointwise:
        pointwise_strides(rule, out);
        return;
    case FXC_LAYOUTS_contiguous:
        (void)fxc_contiguous_strides(out);
        return;
    case FXC_LAYOUTS_columns:
        columns(rule, out);
        return;
    case FXC_LAYOUTS_plain:
        plain(rule, out);
        return;
    case FXC_LAYOUTS_subject:
        fxc_kept_strides(rule, out);
        return;
    case FXC_LAYOUTS_preserve:
        fxc_format_strides(rule, FXC_MEMORY_FORMAT_PRESERVE, out);
        return;
    case FXC_LAYOUTS_unless_eval:
        fxc_dropped_strides(rule, out);
        return;
    case FXC_LAYOUTS_physical:
        fxc_physical_strides(rule, out);
        return;
    case FXC_LAYOUTS_format:
        fxc_format_strides(rule, FXC_MEMORY_FORMAT_CONTIGUOUS, out);
        return;
    case FXC_LAYOUTS_maybe_copied:
        fxc_converted_strides(rule, out);
        return;
    case FXC_LAYOUTS_suggested:
        fxc_suggested_strides(rule, out);
        return;
    case FXC_LAYOUTS_padded:
        fxc_padded_strides(rule, out);
        return;
    case FXC_LAYOUTS_normed:
    case FXC_LAYOUTS_attended:
        fxc_normed_strides(rule, out);
        return;
    case FXC_LAYOUTS_grouped:
        fxc_grouped_strides(rule, out);
        return;
    case FXC_LAYOUTS_norm_backward:
        fxc_norm_backward_strides(rule, out);
        return;
    case FXC_LAYOUTS_resize_backward:
        fxc_resize_backward_strides(rule, out);
        return;
    case FXC_LAYOUTS_conv_backward:
        fxc_conv_backward_strides(rule, out);
        return;
    case FXC_LAYOUTS_attention_backward:
        fxc_attention_backward_strides(rule, out);
        return;
    case FXC_LAYOUTS_window:
        fxc_window_strides(rule, out);
        return;
    case FXC_LAYOUTS_conv:
        fxc_conv_strides(rule, out);
        return;
    case FXC_LAYOUTS_joined:
        fxc_joined_strides(rule, out);
        return;
    case FXC_LAYOUTS_stacked:
        fxc_stacked_strides(rule, out);
        return;
    case FXC_LAYOUTS_attention:
        fxc_attention_strides(rule, out);
        return;
    case FXC_LAYOUTS_flash:
        fxc_flash_strides(rule, out);
        return;
    case FXC_LAYOUTS_einsum:
        fxc_einsum_strides(rule, out);
        return;
    case FXC_LAYOUTS_recurrent:
        fxc_recurrent_strides(rule, out);
        return;
    default:
        return;
    }
}
