/* Shape rules of factories, indexing, padding and losses. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* zeros, full, new_empty, randn, broadcast_to: the size is written in the arguments. */
fxc_status fxc_shape_sized(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_size), count = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(list != FXC_NONE && count <= FXC_MAX_RANK);
    out->rank = (uint8_t)count;
    for (uint32_t dim = 0; dim < count; dim++) {
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &out->size[dim]) && out->size[dim] >= 0);
    }
    return FXC_OK;
}

/* view_as, reshape_as: the shape of `other`. */
fxc_status fxc_shape_other(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor self, tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &self) && fxc_shape_argument(rule, FXC_NAME_other, &tensor));
    fxc_shape_of(&tensor, out);
    if (self.numel == tensor.numel) {
        (void)fxc_view_strides(&self, out);
    }
    return FXC_OK;
}

/* An element of a list of tensors. */
fxc_status fxc_shape_getitem(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t index;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_a), count = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_rule_int(rule, FXC_NAME_b, -1, &index));
    index = index < 0 ? index + count : index;
    FXC_NEED(index >= 0 && index < count && fxc_rule_item_tensor(rule, list, (uint32_t)index, &tensor));
    FXC_NEED(tensor.numel >= 0 && tensor.rank <= FXC_MAX_RANK);
    fxc_start_view(&tensor, out);
    return FXC_OK;
}

/* Integer tensors as indices broadcast together. They stand where the first of them stood when they are neighbours,
 * else first. Masks select by value: not told. */
fxc_status fxc_shape_index(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor, index;
    struct fxc_shape places = {.rank = 0};
    uint32_t list = fxc_rule_list(rule, FXC_NAME_indices), count = fxc_list_count(rule->program, list);
    uint32_t first = 0, last = 0, used = 0;
    uint64_t indexed = 0;
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_shape_subject(rule, &tensor) && count <= tensor.rank);
    for (uint32_t dim = 0; dim < count; dim++) {
        if (!fxc_rule_item_tensor(rule, list, dim, &index)) {
            continue;
        }
        FXC_NEED(index.numel >= 0 && index.dtype != FXC_DTYPE_BOOL && index.dtype != FXC_DTYPE_UINT8);
        FXC_NEED(fxc_broadcast(&places, &index));
        first = used == 0 ? dim : first;
        last = dim;
        used++;
        indexed |= UINT64_C(1) << dim;
    }
    FXC_NEED(used > 0 && tensor.rank - used + places.rank <= FXC_MAX_RANK);
    uint32_t at = last - first + 1 == used ? first : 0;
    bool known = true;
    out->rank = 0;
    for (uint32_t dim = 0; dim <= tensor.rank; dim++) {
        if (out->rank == at && places.rank > 0 && dim >= at) {
            memcpy(out->size + at, places.size, places.rank * sizeof out->size[0]);
            memset(out->stride + at, 0, places.rank * sizeof out->stride[0]);
            out->rank = (uint8_t)(out->rank + places.rank);
            at = FXC_NONE;
        }
        if (dim < tensor.rank && (indexed >> dim & 1) == 0) {
            known = known && tensor.stride[dim] >= 0;
            out->stride[out->rank] = tensor.stride[dim];
            out->size[out->rank++] = tensor.size[dim];
        }
    }
    /* The subject is iterated over with the places at stride 0. */
    if (known) {
        fxc_iterated_strides(out);
    }
    return FXC_OK;
}

/* Pairs of widths, the last dimension first. */
fxc_status fxc_shape_pad(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_pad);
    list = list != FXC_NONE ? list : fxc_rule_list(rule, FXC_NAME_padding);
    uint32_t count = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_shape_subject(rule, &tensor) && count % 2 == 0 && count / 2 <= tensor.rank);
    fxc_shape_of(&tensor, out);
    for (uint32_t i = 0; i < count; i++) {
        int64_t width, *size = &out->size[tensor.rank - 1 - i / 2];
        FXC_NEED(fxc_rule_item_int(rule, list, i, &width) && !fxc_add(*size, width, size));
    }
    return FXC_OK;
}

/* A loss: one number, or with reduction 0 the shape of its broadcast arguments. */
fxc_status fxc_shape_loss(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input, target;
    int64_t reduction;
    (void)err;
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_reduction, 1, &reduction));
    out->rank = 0;
    if (reduction != 0) {
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_subject(rule, &input) && fxc_shape_argument(rule, FXC_NAME_target, &target));
    FXC_NEED(fxc_broadcast(out, &input) && fxc_broadcast(out, &target));
    return FXC_OK;
}

/* nll_loss and cross_entropy: one number, or with reduction 0 the input without its classes; then one number. */
fxc_status fxc_shape_class_loss(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    int64_t reduction;
    (void)err;
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_reduction, 1, &reduction));
    out->rank = 0;
    if (reduction != 0 || out->index > 0) {
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_subject(rule, &input) && input.rank > 0);
    for (uint32_t dim = 0; dim < input.rank; dim++) {
        if (dim != (input.rank == 1 ? 0 : 1)) {
            out->size[out->rank++] = input.size[dim];
        }
    }
    return FXC_OK;
}

/* glu halves one dimension. */
fxc_status fxc_shape_glu(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, -1, tensor.rank, &dim));
    fxc_shape_of(&tensor, out);
    out->size[dim] /= 2;
    return FXC_OK;
}

/* Channels become pixels: (..., C * r * r, H, W) gives (..., C, H * r, W * r). */
fxc_status fxc_shape_pixel_shuffle(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t factor, area;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank >= 3);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_upscale_factor, 0, &factor) && factor > 0 && !fxc_mul(factor, factor, &area));
    fxc_shape_of(&tensor, out);
    int64_t *last = &out->size[out->rank - 3];
    last[0] /= area;
    FXC_NEED(!fxc_mul(last[1], factor, &last[1]) && !fxc_mul(last[2], factor, &last[2]));
    return FXC_OK;
}

/* And back. */
fxc_status fxc_shape_pixel_unshuffle(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t factor, area;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank >= 3);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_downscale_factor, 0, &factor) && factor > 0 &&
             !fxc_mul(factor, factor, &area));
    fxc_shape_of(&tensor, out);
    int64_t *last = &out->size[out->rank - 3];
    FXC_NEED(!fxc_mul(last[0], area, &last[0]));
    last[1] /= factor;
    last[2] /= factor;
    return FXC_OK;
}
