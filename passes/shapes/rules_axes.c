/* Shape rules of views that split, merge, reverse or slide over dimensions, and of real and imaginary parts. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

fxc_status fxc_shape_reverse(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    fxc_start_view(&tensor, out);
    for (uint32_t dim = 0; dim < tensor.rank; dim++) {
        out->size[dim] = tensor.size[tensor.rank - 1 - dim];
        out->stride[dim] = tensor.stride[tensor.rank - 1 - dim];
    }
    return FXC_OK;
}

/* unflatten: one dimension becomes several, of which one may be left open as -1. */
fxc_status fxc_shape_unflatten(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim, list = fxc_rule_list(rule, FXC_NAME_sizes), count = fxc_list_count(rule->program, list);
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    FXC_NEED(count > 0 && tensor.rank - 1 + count <= FXC_MAX_RANK);
    struct fxc_tensor one = tensor;
    one.numel = tensor.size[dim];
    struct fxc_shape parts;
    fxc_status status = fxc_sizes_as_written(rule, list, one.numel, &parts);
    if (status == FXC_PROGRAM) {
        char text[96];
        (void)fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
        fxc_expected(err, "sizes that make up the %lld of dimension %u", (long long)one.numel, dim);
        fxc_found(err, "%s", fxc_sizes_text(parts.size, parts.rank, text, sizeof text));
    }
    FXC_TRY(status);
    out->rank = (uint8_t)(tensor.rank - 1 + count);
    memcpy(out->size, tensor.size, dim * sizeof out->size[0]);
    memcpy(out->size + dim, parts.size, count * sizeof out->size[0]);
    memcpy(out->size + dim + count, tensor.size + dim + 1, (tensor.rank - dim - 1u) * sizeof out->size[0]);
    (void)fxc_view_strides(&tensor, out);
    return FXC_OK;
}

/* unfold: the windows of a dimension, their elements as a new last dimension. */
fxc_status fxc_shape_unfold(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    int64_t size, step;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank > 0 && tensor.rank < FXC_MAX_RANK);
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dimension, 0, tensor.rank, &dim));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_size, -1, &size) && fxc_rule_int(rule, FXC_NAME_step, 0, &step));
    FXC_NEED(size >= 0 && step > 0 && size <= tensor.size[dim]);
    fxc_start_view(&tensor, out);
    out->size[dim] = (tensor.size[dim] - size) / step + 1;
    FXC_NEED(!out->strides_told || !fxc_mul(tensor.stride[dim], step, &out->stride[dim]));
    out->size[out->rank] = size;
    out->stride[out->rank] = tensor.stride[dim];
    out->rank++;
    return FXC_OK;
}

/* Two dimensions, by default those named, become one, the last. */
static fxc_status diagonal(const struct fxc_rule *rule, int64_t first, int64_t second, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    uint32_t a, b;
    int64_t offset, rows, columns, step;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_int(rule, FXC_NAME_offset, 0, &offset));
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim1, first, tensor.rank, &a) &&
             fxc_shape_dim(rule, FXC_NAME_dim2, second, tensor.rank, &b) && a != b);
    FXC_NEED(!fxc_add(tensor.size[a], offset < 0 ? offset : 0, &rows) &&
             !__builtin_sub_overflow(tensor.size[b], offset > 0 ? offset : 0, &columns) &&
             !fxc_add(tensor.stride[a], tensor.stride[b], &step));
    fxc_start_view(&tensor, out);
    out->rank = 0;
    for (uint32_t dim = 0; dim < tensor.rank; dim++) {
        if (dim != a && dim != b) {
            out->stride[out->rank] = tensor.stride[dim];
            out->size[out->rank++] = tensor.size[dim];
        }
    }
    int64_t length = rows < columns ? rows : columns;
    out->stride[out->rank] = step;
    out->size[out->rank++] = length > 0 ? length : 0;
    return FXC_OK;
}

/* diagonal: of the first two dimensions unless told others. */
fxc_status fxc_shape_diagonal(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return diagonal(rule, 0, 1, out);
}

/* linalg_diagonal: of the last two dimensions unless told others. */
fxc_status fxc_shape_linalg_diagonal(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return diagonal(rule, -2, -1, out);
}

/* as_strided: sizes and strides as written. */
fxc_status fxc_shape_as_strided(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t strides = fxc_rule_list(rule, FXC_NAME_stride);
    FXC_TRY(fxc_shape_sized(rule, out, err));
    FXC_NEED(fxc_list_count(rule->program, strides) == out->rank);
    out->strides_told = true;
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        out->strides_told = fxc_rule_item_int(rule, strides, dim, &out->stride[dim]) && out->strides_told;
    }
    return FXC_OK;
}

static bool is_complex(const struct fxc_tensor *tensor) {
    return tensor->dtype == FXC_DTYPE_COMPLEX32 || tensor->dtype == FXC_DTYPE_COMPLEX64 ||
           tensor->dtype == FXC_DTYPE_COMPLEX128;
}

/* A complex tensor seen as its parts: every step is two. */
static bool start_parts(const struct fxc_rule *rule, const struct fxc_tensor *tensor, struct fxc_shape *out) {
    uint16_t flags = rule->program->meta_flags[rule->program->value_payload[tensor->value]];
    fxc_start_view(tensor, out);
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        if (out->strides_told && fxc_mul(2, tensor->stride[dim], &out->stride[dim])) {
            return false;
        }
    }
    return (flags & FXC_TENSOR_FLAG_CONJ) == 0;
}

/* real, imag: of a complex tensor a view, of a real one itself. */
fxc_status fxc_shape_part(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    fxc_start_view(&tensor, out);
    FXC_NEED(!is_complex(&tensor) || start_parts(rule, &tensor, out));
    return FXC_OK;
}

fxc_status fxc_shape_parts(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank < FXC_MAX_RANK && is_complex(&tensor));
    FXC_NEED(start_parts(rule, &tensor, out));
    out->size[out->rank] = 2;
    out->stride[out->rank++] = 1;
    return FXC_OK;
}

/* view_as_complex: pairs of neighbours become one number. */
fxc_status fxc_shape_to_complex(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank > 0 && tensor.size[tensor.rank - 1] == 2);
    fxc_start_view(&tensor, out);
    out->rank--;
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        out->stride[dim] /= 2;
    }
    return FXC_OK;
}

/* Aligns a view with sizes that it is expanded to; false when it does not fit. */
static bool expand_to(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    if (tensor->rank > out->rank) {
        return false;
    }
    uint32_t added = (uint32_t)out->rank - tensor->rank;
    out->strides_told = true;
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        bool kept = dim >= added && tensor->size[dim - added] == out->size[dim];
        if (dim >= added && !kept && tensor->size[dim - added] != 1) {
            return false;
        }
        out->stride[dim] = kept ? tensor->stride[dim - added] : 0;
        out->strides_told = out->strides_told && out->stride[dim] >= 0;
    }
    return true;
}

fxc_status fxc_shape_expand_as(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor self, other;
    FXC_NEED(fxc_shape_subject(rule, &self) && fxc_shape_argument(rule, FXC_NAME_other, &other));
    fxc_shape_of(&other, out);
    return expand_to(&self, out)
               ? FXC_OK
               : fxc_shape_conflict(rule, err, "self", &self, "other", &other, "a tensor that expands to the other");
}

/* broadcast_tensors: each of a list, expanded to the common shape. */
fxc_status fxc_shape_broadcast_each(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), count = fxc_list_count(rule->program, list);
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(out->index < count);
    out->rank = 0;
    for (uint32_t i = 0; i < count; i++) {
        FXC_NEED(fxc_rule_item_tensor(rule, list, i, &tensor) && tensor.numel >= 0 && fxc_broadcast(out, &tensor));
    }
    FXC_NEED(fxc_rule_item_tensor(rule, list, out->index, &tensor) && expand_to(&tensor, out));
    return FXC_OK;
}

/* meshgrid: one dimension for each tensor, along which it runs; "xy" swaps the first two. */
fxc_status fxc_shape_meshgrid(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), count = fxc_list_count(rule->program, list);
    const char *indexing = fxc_rule_string(rule, FXC_NAME_indexing);
    bool swapped = indexing != NULL && strcmp(indexing, "xy") == 0 && count >= 2;
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(out->index < count && count <= FXC_MAX_RANK);
    out->rank = (uint8_t)count;
    out->strides_told = true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t dim = swapped && i < 2 ? 1 - i : i;
        FXC_NEED(fxc_rule_item_tensor(rule, list, i, &tensor) && tensor.numel >= 0 && tensor.rank <= 1);
        out->size[dim] = tensor.numel;
        out->stride[dim] = i != out->index ? 0 : tensor.rank == 1 ? tensor.stride[0] : 1;
        out->strides_told = out->strides_told && out->stride[dim] >= 0;
    }
    return FXC_OK;
}
