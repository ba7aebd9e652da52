/* Layout rules, one case for each name of FXC_LAYOUT_RULE_LIST (ir/rules.h). */
#include "passes/layout_rules.h"

#include <string.h>

#include "passes/shape_rules.h"

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

/* ---- memory formats ---------------------------------------------------------------------------------------------- */

static bool subject(const struct fxc_rule *rule, struct fxc_tensor *out) {
    return fxc_shape_subject(rule, out) && fxc_known_strides(out);
}

static void keep(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    if (tensor->rank == out->rank) {
        memcpy(out->stride, tensor->stride, tensor->rank * sizeof out->stride[0]);
        out->strides_told = true;
    }
}

/* Of a result that is the subject or a copy of it: told where both have the same strides. */
static void told_if_kept(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    for (uint32_t dim = 0; out->strides_told && dim < out->rank; dim++) {
        out->strides_told = out->size[dim] <= 1 || tensor->stride[dim] == out->stride[dim];
    }
}

static void preserve(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    struct operands ops = {.count = 1};
    ops.tensor[0] = *tensor;
    if (tensor->rank == out->rank) {
        iterator_strides(&ops, out);
    }
}

/* The argument memory_format, else what the operator does without one. */
static enum fxc_memory_format format_of(const struct fxc_rule *rule, enum fxc_memory_format fallback) {
    enum fxc_kind kind;
    int64_t payload;
    if (!fxc_rule_arg(rule, FXC_NAME_memory_format, &kind, &payload) || kind == FXC_KIND_NONE) {
        return fallback;
    }
    return kind == FXC_KIND_MEMORY_FORMAT ? (enum fxc_memory_format)payload : FXC_MEMORY_FORMAT_OPAQUE;
}

static void in_format(const struct fxc_rule *rule, enum fxc_memory_format fallback, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    switch (format_of(rule, fallback)) {
    case FXC_MEMORY_FORMAT_CONTIGUOUS:
        (void)fxc_contiguous_strides(out);
        return;
    case FXC_MEMORY_FORMAT_PRESERVE:
        if (subject(rule, &tensor)) {
            preserve(&tensor, out);
        }
        return;
    case FXC_MEMORY_FORMAT_CHANNELS_LAST:
        if (out->rank == 4) {
            fxc_channels_last_strides(out);
        }
        return;
    case FXC_MEMORY_FORMAT_CHANNELS_LAST_3D:
        if (out->rank == 5) {
            fxc_channels_last_strides(out);
        }
        return;
    default:
        return;
    }
}

/* Whether the subject already is where the result is to be: on the device of the argument `device` or `other`. */
static enum fxc_answer is_in_place(const struct fxc_rule *rule, const struct fxc_tensor *tensor) {
    const char *here = fxc_rule_device(rule, tensor->value), *there = here;
    struct fxc_tensor other;
    enum fxc_kind kind;
    int64_t payload;
    if (fxc_rule_arg(rule, FXC_NAME_device, &kind, &payload) && kind == FXC_KIND_DEVICE) {
        there = fxc_string(rule->program, (uint32_t)payload);
    } else if (fxc_rule_tensor(rule, FXC_NAME_other, &other)) {
        there = fxc_rule_device(rule, other.value);
    }
    if (here == NULL || there == NULL) {
        return here == there ? FXC_YES : FXC_MAYBE;
    }
    if (strcmp(here, there) == 0) {
        return FXC_YES;
    }
    /* "cuda" is the current one of "cuda:0", "cuda:1" ... */
    size_t type = strcspn(here, ":");
    return strcspn(there, ":") == type && strncmp(here, there, type) == 0 ? FXC_MAYBE : FXC_NO;
}

/* to and its like: the argument itself where type, device and memory format are as asked for, else a copy of it. */
static void maybe_copied(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    enum fxc_memory_format format = format_of(rule, FXC_MEMORY_FORMAT_PRESERVE);
    bool copy;
    if (!subject(rule, &tensor) || tensor.rank != out->rank || out->dtype == FXC_DTYPE_OPAQUE ||
        !fxc_rule_bool(rule, FXC_NAME_copy, false, &copy)) {
        return;
    }
    enum fxc_answer same = copy || out->dtype != tensor.dtype ? FXC_NO : is_in_place(rule, &tensor);
    if (same != FXC_NO && format != FXC_MEMORY_FORMAT_PRESERVE) {
        bool last = fxc_is_channels_last(&tensor), as_last = format != FXC_MEMORY_FORMAT_CONTIGUOUS;
        same = last != as_last ? FXC_NO : same;
    }
    if (same == FXC_YES) {
        keep(&tensor, out);
        return;
    }
    in_format(rule, FXC_MEMORY_FORMAT_PRESERVE, out);
    if (same == FXC_MAYBE) {
        told_if_kept(&tensor, out);
    }
}

/* dropout and its like return the subject itself in evaluation. */
static bool is_evaluation(const struct fxc_rule *rule, const struct fxc_tensor *tensor) {
    enum fxc_kind kind;
    int64_t payload;
    bool train;
    bool drops = !fxc_rule_arg(rule, FXC_NAME_p, &kind, &payload) || kind != FXC_KIND_FLOAT || payload != 0;
    return !drops || tensor->numel == 0 || (fxc_rule_bool(rule, FXC_NAME_train, true, &train) && !train);
}

static void kept_if(bool itself, const struct fxc_tensor *tensor, struct fxc_shape *out) {
    if (itself) {
        keep(tensor, out);
    } else {
        preserve(tensor, out);
    }
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
    struct fxc_tensor tensor;
    switch (id) {
    case FXC_LAYOUTS_pointwise:
        pointwise_strides(rule, out);
        return;
    case FXC_LAYOUTS_contiguous:
        (void)fxc_contiguous_strides(out);
        return;
    case FXC_LAYOUTS_plain:
        plain(rule, out);
        return;
    case FXC_LAYOUTS_subject:
        if (subject(rule, &tensor)) {
            keep(&tensor, out);
        }
        return;
    case FXC_LAYOUTS_preserve:
        in_format(rule, FXC_MEMORY_FORMAT_PRESERVE, out);
        return;
    case FXC_LAYOUTS_unless_eval:
        if (subject(rule, &tensor)) {
            preserve(&tensor, out);
            if (is_evaluation(rule, &tensor)) {
                told_if_kept(&tensor, out);
            }
        }
        return;
    case FXC_LAYOUTS_physical:
        if (subject(rule, &tensor)) {
            kept_if(!fxc_dtype_is_complex(tensor.dtype), &tensor, out);
        }
        return;
    case FXC_LAYOUTS_format:
        in_format(rule, FXC_MEMORY_FORMAT_CONTIGUOUS, out);
        return;
    case FXC_LAYOUTS_maybe_copied:
        maybe_copied(rule, out);
        return;
    case FXC_LAYOUTS_suggested:
        fxc_suggested_strides(rule, out);
        return;
    case FXC_LAYOUTS_padded:
        fxc_padded_strides(rule, out);
        return;
    case FXC_LAYOUTS_normed:
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
