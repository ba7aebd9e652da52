/* Layout rules of copies and conversions: the memory format that is asked for, else the argument's own strides. */
#include <string.h>

#include "passes/flops/rules.h"
#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

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
    if (tensor->rank == out->rank) {
        fxc_iterated_strides_of(tensor, 1, out);
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

void fxc_format_strides(const struct fxc_rule *rule, enum fxc_memory_format fallback, struct fxc_shape *out) {
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
void fxc_converted_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
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
    fxc_format_strides(rule, FXC_MEMORY_FORMAT_PRESERVE, out);
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

void fxc_dropped_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    if (subject(rule, &tensor)) {
        preserve(&tensor, out);
        if (is_evaluation(rule, &tensor)) {
            told_if_kept(&tensor, out);
        }
    }
}

void fxc_physical_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    if (!subject(rule, &tensor)) {
        return;
    }
    if (fxc_dtype_is_complex(tensor.dtype)) {
        preserve(&tensor, out);
    } else {
        keep(&tensor, out);
    }
}

void fxc_kept_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    if (subject(rule, &tensor)) {
        keep(&tensor, out);
    }
}
