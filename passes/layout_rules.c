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

static bool known_strides(const struct fxc_tensor *tensor) {
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        if (tensor->stride[dim] < 0) {
            return false;
        }
    }
    return tensor->numel >= 0 && tensor->rank <= FXC_MAX_RANK;
}

static bool is_contiguous(const struct fxc_tensor *tensor) {
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

/* Whether channels come innermost, then the last spatial dimension outwards, then the batch; torch's test, by which a
 * tensor that fits both orders counts as row-major. Ranks 4 and 5. */
static bool is_channels_last(const struct fxc_tensor *tensor) {
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

static void channels_last_strides(struct fxc_shape *out) {
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
        plain = is_contiguous(&ops->tensor[i]);
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
        if (!known_strides(tensor) || tensor->rank > out->rank) {
            return;
        }
        ops.count++;
    }
    iterator_strides(&ops, out);
}

/* ---- memory formats ---------------------------------------------------------------------------------------------- */

static bool subject(const struct fxc_rule *rule, struct fxc_tensor *out) {
    return fxc_shape_subject(rule, out) && known_strides(out);
}

static void keep(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    if (tensor->rank == out->rank) {
        memcpy(out->stride, tensor->stride, tensor->rank * sizeof out->stride[0]);
        out->strides_told = true;
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
            channels_last_strides(out);
        }
        return;
    case FXC_MEMORY_FORMAT_CHANNELS_LAST_3D:
        if (out->rank == 5) {
            channels_last_strides(out);
        }
        return;
    default:
        return;
    }
}

/* to, contiguous: the argument itself, or a copy of it. Told where both would have the same strides. */
static void maybe_copied(const struct fxc_rule *rule, enum fxc_memory_format fallback, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    struct fxc_shape kept = {.rank = out->rank};
    if (!subject(rule, &tensor) || tensor.rank != out->rank) {
        return;
    }
    in_format(rule, fallback, out);
    if (!out->strides_told || format_of(rule, fallback) != FXC_MEMORY_FORMAT_PRESERVE) {
        return;
    }
    keep(&tensor, &kept);
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        if (out->size[dim] > 1 && kept.stride[dim] != out->stride[dim]) {
            out->strides_told = false;
        }
    }
}

/* Operators on volumes: their layout follows from the kernel that is chosen. */
static bool has_three_spatial_dims(const struct fxc_rule *rule) {
    const struct fxc_program *p = rule->program;
    struct fxc_tensor weight;
    return fxc_list_count(p, fxc_rule_list(rule, FXC_NAME_kernel_size)) == 3 ||
           fxc_list_count(p, fxc_rule_list(rule, FXC_NAME_output_size)) == 3 ||
           (fxc_rule_tensor(rule, FXC_NAME_weight, &weight) && weight.rank != 4);
}

/* Row-major when the arguments are; convolutions and pooling keep channels-last, which only a known argument tells. */
static void as_format(const struct fxc_rule *rule, bool weighted, struct fxc_shape *out) {
    struct fxc_tensor input, weight;
    if (!subject(rule, &input) || input.rank != out->rank) {
        return;
    }
    bool last = is_channels_last(&input);
    if (last ? input.rank != 4 || has_three_spatial_dims(rule) : !is_contiguous(&input)) {
        return;
    }
    if (weighted) {
        if (!fxc_shape_argument(rule, FXC_NAME_weight, &weight) || !known_strides(&weight)) {
            return;
        }
        if (!last && (is_channels_last(&weight) || !is_contiguous(&weight))) {
            return;
        }
    }
    if (last) {
        channels_last_strides(out);
    } else {
        (void)fxc_contiguous_strides(out);
    }
}

static void joined(const struct fxc_rule *rule, struct fxc_shape *out) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), last = 0, count = fxc_list_count(rule->program, list);
    struct fxc_tensor tensor;
    for (uint32_t i = 0; i < count; i++) {
        if (!fxc_rule_item_tensor(rule, list, i, &tensor) || !known_strides(&tensor)) {
            return;
        }
        last += tensor.rank == out->rank && is_channels_last(&tensor);
    }
    if (last == 0 || last < count) {
        (void)fxc_contiguous_strides(out);
    } else {
        channels_last_strides(out);
    }
}

/* Row-major when every tensor argument is, else not told. */
static void plain(const struct fxc_rule *rule, struct fxc_shape *out) {
    const struct fxc_program *p = rule->program;
    struct fxc_tensor tensor;
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        if (p->arg_kind[i] == FXC_KIND_VALUE && fxc_rule_value(rule, (uint32_t)p->arg_payload[i], &tensor) &&
            (!known_strides(&tensor) || !is_contiguous(&tensor))) {
            return;
        }
    }
    (void)fxc_contiguous_strides(out);
}

bool fxc_view_strides(const struct fxc_tensor *from, struct fxc_shape *out) {
    int64_t from_count = 1, to_count = 1, base;
    if (!known_strides(from)) {
        return false;
    }
    if (from->rank == 0 || from->numel == 0) {
        return fxc_contiguous_strides(out);
    }
    uint32_t to = out->rank;
    base = from->stride[from->rank - 1];
    for (uint32_t dim = from->rank; dim-- > 0;) {
        int64_t reach;
        from_count *= from->size[dim];
        if (fxc_mul(from_count, base, &reach)) {
            return false;
        }
        if (dim > 0 && (from->size[dim - 1] == 1 || from->stride[dim - 1] == reach)) {
            continue;
        }
        while (to > 0 && (to_count < from_count || out->size[to - 1] == 1)) {
            to--;
            out->stride[to] = to_count * base;
            to_count *= out->size[to];
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
    case FXC_LAYOUTS_format:
        in_format(rule, FXC_MEMORY_FORMAT_CONTIGUOUS, out);
        return;
    case FXC_LAYOUTS_maybe_copied:
        maybe_copied(rule, FXC_MEMORY_FORMAT_PRESERVE, out);
        return;
    case FXC_LAYOUTS_window:
        as_format(rule, false, out);
        return;
    case FXC_LAYOUTS_conv:
        as_format(rule, true, out);
        return;
    case FXC_LAYOUTS_joined:
        joined(rule, out);
        return;
    default:
        return;
    }
}
