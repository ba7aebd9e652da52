#include "passes/trilinear.h"

#include "passes/shapes/rules.h"

/* The dimensions that a list names. */
static bool read_dims(const struct fxc_rule *rule, enum fxc_name name, uint32_t dims, uint64_t *bits) {
    uint32_t list = fxc_rule_list(rule, name);
    *bits = 0;
    if (list == FXC_NONE) {
        return false;
    }
    for (uint32_t i = 0; i < fxc_list_count(rule->program, list); i++) {
        int64_t dim;
        if (!fxc_rule_item_int(rule, list, i, &dim) || dim < 0 || dim >= dims) {
            return false;
        }
        *bits |= UINT64_C(1) << dim;
    }
    return true;
}

/* Sizes of an operand, 1 where it is expanded. */
static bool set_sizes(const struct fxc_tensor *tensor, uint64_t expanded, uint32_t dims, int64_t *size) {
    uint32_t at = 0;
    for (uint32_t dim = 0; dim < dims; dim++) {
        bool own = (expanded >> dim & 1) == 0;
        if (own && at == tensor->rank) {
            return false;
        }
        size[dim] = own ? tensor->size[at++] : 1;
    }
    return at == tensor->rank;
}

int64_t fxc_trilinear_size(const struct fxc_trilinear *product, uint32_t dim) {
    int64_t size = 1;
    for (uint32_t i = 0; i < FXC_TRILINEAR_OPERANDS; i++) {
        size = product->size[i][dim] != 1 ? product->size[i][dim] : size;
    }
    return size;
}

/* Whether operands that have a dimension agree about its size. */
static bool agrees(const struct fxc_trilinear *product, uint32_t dim) {
    for (uint32_t i = 0; i < FXC_TRILINEAR_OPERANDS; i++) {
        if (product->size[i][dim] != 1 && product->size[i][dim] != fxc_trilinear_size(product, dim)) {
            return false;
        }
    }
    return true;
}

bool fxc_trilinear_read(const struct fxc_rule *rule, struct fxc_trilinear *out) {
    static const uint16_t names[] = {FXC_NAME_i1, FXC_NAME_i2, FXC_NAME_i3};
    static const uint16_t expansions[] = {FXC_NAME_expand1, FXC_NAME_expand2, FXC_NAME_expand3};
    struct fxc_tensor tensors[FXC_TRILINEAR_OPERANDS];
    uint64_t expanded = 0;
    int64_t unrolled;
    for (uint32_t i = 0; i < FXC_TRILINEAR_OPERANDS; i++) {
        if (!fxc_shape_argument(rule, (enum fxc_name)names[i], &tensors[i])) {
            return false;
        }
    }
    out->dtype = tensors[0].dtype;
    out->dims = tensors[0].rank + fxc_list_count(rule->program, fxc_rule_list(rule, FXC_NAME_expand1));
    if (out->dims > FXC_MAX_RANK || !read_dims(rule, FXC_NAME_sumdim, out->dims, &out->summed) ||
        !fxc_rule_int(rule, FXC_NAME_unroll_dim, 1, &unrolled) || unrolled < 0 || unrolled >= out->dims) {
        return false;
    }
    for (uint32_t i = 0; i < FXC_TRILINEAR_OPERANDS; i++) {
        if (!read_dims(rule, (enum fxc_name)expansions[i], out->dims, &expanded) ||
            !set_sizes(&tensors[i], expanded, out->dims, out->size[i])) {
            return false;
        }
    }
    for (uint32_t dim = 0; dim < out->dims; dim++) {
        if (!agrees(out, dim)) {
            return false;
        }
    }
    uint64_t folded = out->summed & ~(UINT64_C(1) << unrolled);
    out->summed_first = folded & expanded; /* of the third operand */
    out->summed_second = folded & ~expanded;
    return true;
}
