/* Shape rules of views. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

void fxc_start_view(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    fxc_shape_of(tensor, out);
    out->strides_told = true;
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        out->stride[dim] = tensor->stride[dim];
        out->strides_told = out->strides_told && tensor->stride[dim] >= 0;
    }
}

/* A result that is a view where it can be one, else a row-major copy. */
static void view_or_copy(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        if (tensor->stride[dim] < 0) {
            return;
        }
    }
    if (!fxc_view_strides(tensor, out)) {
        (void)fxc_contiguous_strides(out);
    }
}

fxc_status fxc_sizes_as_written(const struct fxc_rule *rule, uint32_t list, int64_t numel, struct fxc_shape *out) {
    uint32_t count = fxc_list_count(rule->program, list), open = FXC_NONE;
    int64_t known = 1;
    FXC_NEED(list != FXC_NONE && count <= FXC_MAX_RANK);
    out->rank = (uint8_t)count;
    for (uint32_t dim = 0; dim < count; dim++) {
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &out->size[dim]));
        if (out->size[dim] == -1 && open == FXC_NONE) {
            open = dim;
            continue;
        }
        FXC_NEED(out->size[dim] >= 0 && !fxc_mul(known, out->size[dim], &known));
    }
    if (open != FXC_NONE) {
        FXC_NEED(known > 0);
        out->size[open] = numel / known;
        FXC_NEED(!fxc_mul(known, out->size[open], &known));
    }
    return known == numel ? FXC_OK : FXC_PROGRAM;
}

fxc_status fxc_shape_view(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    char from[96], to[96];
    uint32_t list = fxc_rule_list(rule, FXC_NAME_size);
    list = list != FXC_NONE ? list : fxc_rule_list(rule, FXC_NAME_shape);
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    fxc_status status = fxc_sizes_as_written(rule, list, tensor.numel, out);
    if (status == FXC_PROGRAM) {
        (void)fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
        fxc_expected(err, "a shape with the %lld elements of %s", (long long)tensor.numel,
                     fxc_sizes_text(tensor.size, tensor.rank, from, sizeof from));
        fxc_found(err, "%s", fxc_sizes_text(out->size, out->rank, to, sizeof to));
    }
    FXC_TRY(status);
    view_or_copy(&tensor, out);
    return FXC_OK;
}

fxc_status fxc_shape_flatten(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t start, end;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    if (tensor.rank == 0) {
        out->rank = 1;
        out->size[0] = out->stride[0] = 1;
        out->strides_told = true;
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_start_dim, 0, tensor.rank, &start) &&
             fxc_shape_dim(rule, FXC_NAME_end_dim, -1, tensor.rank, &end) && start <= end);
    out->rank = 0;
    for (uint32_t dim = 0; dim < tensor.rank; dim++) {
        if (dim > start && dim <= end) {
            FXC_NEED(!fxc_mul(out->size[start], tensor.size[dim], &out->size[start]));
        } else {
            out->size[out->rank++] = tensor.size[dim];
        }
    }
    view_or_copy(&tensor, out);
    return FXC_OK;
}

fxc_status fxc_shape_transpose(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t a, b;
    (void)err;
    enum fxc_kind kind;
    int64_t payload;
    /* swapaxes says axis where transpose says dim. */
    bool axes = fxc_rule_arg(rule, FXC_NAME_axis0, &kind, &payload);
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    if (tensor.rank == 0) {
        fxc_start_view(&tensor, out);
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_dim(rule, axes ? FXC_NAME_axis0 : FXC_NAME_dim0, 0, tensor.rank, &a) &&
             fxc_shape_dim(rule, axes ? FXC_NAME_axis1 : FXC_NAME_dim1, 0, tensor.rank, &b));
    fxc_start_view(&tensor, out);
    out->size[a] = tensor.size[b];
    out->size[b] = tensor.size[a];
    out->stride[a] = tensor.stride[b];
    out->stride[b] = tensor.stride[a];
    return FXC_OK;
}

fxc_status fxc_shape_swap_last(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    fxc_start_view(&tensor, out);
    if (tensor.rank >= 2) {
        out->size[tensor.rank - 1] = tensor.size[tensor.rank - 2];
        out->size[tensor.rank - 2] = tensor.size[tensor.rank - 1];
        out->stride[tensor.rank - 1] = tensor.stride[tensor.rank - 2];
        out->stride[tensor.rank - 2] = tensor.stride[tensor.rank - 1];
    }
    return FXC_OK;
}

fxc_status fxc_shape_permute(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dims);
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_shape_subject(rule, &tensor));
    FXC_NEED(fxc_list_count(rule->program, list) == tensor.rank);
    fxc_start_view(&tensor, out);
    for (uint32_t dim = 0; dim < tensor.rank; dim++) {
        int64_t from;
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &from));
        from = from < 0 ? from + tensor.rank : from;
        FXC_NEED(from >= 0 && from < tensor.rank);
        out->size[dim] = tensor.size[from];
        out->stride[dim] = tensor.stride[from];
    }
    return FXC_OK;
}

fxc_status fxc_shape_unsqueeze(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank < FXC_MAX_RANK);
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank + 1u, &dim));
    fxc_start_view(&tensor, out);
    memmove(out->size + dim + 1, out->size + dim, (out->rank - dim) * sizeof out->size[0]);
    memmove(out->stride + dim + 1, out->stride + dim, (out->rank - dim) * sizeof out->stride[0]);
    out->size[dim] = out->stride[dim] = 1;
    /* Conventional, as torch writes it: past the dimension that comes after. */
    if (dim < tensor.rank && fxc_mul(tensor.size[dim], tensor.stride[dim], &out->stride[dim])) {
        out->stride[dim] = 1;
    }
    out->rank++;
    return FXC_OK;
}

fxc_status fxc_shape_squeeze(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    enum fxc_kind kind;
    int64_t payload, number;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dim);
    uint64_t named = 0;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    if (tensor.rank == 0) {
        fxc_start_view(&tensor, out);
        return FXC_OK;
    }
    bool all = !fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload);
    uint32_t count = all ? 0 : list == FXC_NONE ? 1 : fxc_list_count(rule->program, list);
    for (uint32_t i = 0; i < count; i++) {
        FXC_NEED(list == FXC_NONE ? fxc_rule_int(rule, FXC_NAME_dim, 0, &number)
                                  : fxc_rule_item_int(rule, list, i, &number));
        number = number < 0 ? number + tensor.rank : number;
        FXC_NEED(number >= 0 && number < tensor.rank);
        named |= UINT64_C(1) << number;
    }
    fxc_start_view(&tensor, out);
    out->rank = 0;
    for (uint32_t dim = 0; dim < tensor.rank; dim++) {
        if (tensor.size[dim] != 1 || !(all || (named >> dim & 1) != 0)) {
            out->stride[out->rank] = tensor.stride[dim];
            out->size[out->rank++] = tensor.size[dim];
        }
    }
    return FXC_OK;
}

fxc_status fxc_shape_expand(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_size), count = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_shape_subject(rule, &tensor) && count >= tensor.rank && count <= FXC_MAX_RANK);
    fxc_start_view(&tensor, out);
    out->rank = (uint8_t)count;
    for (uint32_t dim = 0; dim < count; dim++) {
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &out->size[dim]));
        uint32_t added = count - tensor.rank;
        if (out->size[dim] == -1 && dim >= added) {
            out->size[dim] = tensor.size[dim - added];
        }
        FXC_NEED(out->size[dim] >= 0);
        bool kept = dim >= added && out->size[dim] == tensor.size[dim - added];
        out->stride[dim] = kept ? tensor.stride[dim - added] : 0;
    }
    return FXC_OK;
}

static void drop_dim(struct fxc_shape *shape, uint32_t dim) {
    memmove(shape->size + dim, shape->size + dim + 1, (shape->rank - dim - 1u) * sizeof shape->size[0]);
    memmove(shape->stride + dim, shape->stride + dim + 1, (shape->rank - dim - 1u) * sizeof shape->stride[0]);
    shape->rank--;
}

fxc_status fxc_shape_select(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    fxc_start_view(&tensor, out);
    drop_dim(out, dim);
    return FXC_OK;
}

/* Python's rule for the bounds of a slice: from the end when negative, then cut to [0, size]. */
static int64_t clamp_bound(int64_t bound, int64_t size) {
    bound = bound < 0 ? bound + size : bound;
    return bound < 0 ? 0 : bound > size ? size : bound;
}

fxc_status fxc_shape_slice(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    int64_t start, end, step;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_start, 0, &start) && fxc_rule_int(rule, FXC_NAME_end, INT64_MAX, &end) &&
             fxc_rule_int(rule, FXC_NAME_step, 1, &step) && step > 0);
    fxc_start_view(&tensor, out);
    start = clamp_bound(start, tensor.size[dim]);
    end = clamp_bound(end, tensor.size[dim]);
    FXC_NEED(out->stride[dim] < 0 || !fxc_mul(out->stride[dim], step, &out->stride[dim]));
    out->size[dim] = end > start ? (end - start - 1) / step + 1 : 0;
    return FXC_OK;
}

fxc_status fxc_shape_narrow(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    fxc_start_view(&tensor, out);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_length, -1, &out->size[dim]) && out->size[dim] >= 0);
    return FXC_OK;
}
