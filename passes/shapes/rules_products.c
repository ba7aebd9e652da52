/* Shape rules of products beyond matmul: sums over batches, inner and outer ones, contractions. */
#include <string.h>

#include "passes/shapes/rules.h"
#include "passes/trilinear.h"

/* addbmm: the products of a batch, added up. */
fxc_status fxc_shape_batch_sum(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_batch1, &a) && fxc_shape_argument(rule, FXC_NAME_batch2, &b));
    FXC_NEED(a.rank == 3 && b.rank == 3);
    if (a.size[0] != b.size[0] || a.size[2] != b.size[1]) {
        return fxc_shape_conflict(rule, err, "batch1", &a, "batch2", &b, "equal batch and inner sizes");
    }
    out->rank = 2;
    out->size[0] = a.size[1];
    out->size[1] = b.size[2];
    return FXC_OK;
}

/* addr: (N) and (M) give (N, M). */
fxc_status fxc_shape_add_outer(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_vec1, &a) && fxc_shape_argument(rule, FXC_NAME_vec2, &b));
    FXC_NEED(a.rank == 1 && b.rank == 1);
    out->rank = 2;
    out->size[0] = a.size[0];
    out->size[1] = b.size[0];
    return FXC_OK;
}

/* dot, vdot, trace, dist, medians of everything: one number. */
fxc_status fxc_shape_number(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)rule;
    (void)err;
    out->rank = 0;
    return FXC_OK;
}

/* inner: all dimensions of both but the last, over which they multiply; a number scales. */
fxc_status fxc_shape_inner(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_self, &a) && fxc_shape_argument(rule, FXC_NAME_other, &b));
    if (a.rank == 0 || b.rank == 0) {
        fxc_shape_of(a.rank == 0 ? &b : &a, out);
        return FXC_OK;
    }
    FXC_NEED(a.rank + b.rank - 2 <= FXC_MAX_RANK);
    if (a.size[a.rank - 1] != b.size[b.rank - 1]) {
        return fxc_shape_conflict(rule, err, "self", &a, "other", &b, "equal last sizes");
    }
    fxc_shape_of(&a, out);
    memcpy(out->size + a.rank - 1, b.size, (b.rank - 1u) * sizeof out->size[0]);
    out->rank = (uint8_t)(a.rank + b.rank - 2);
    return FXC_OK;
}

/* Bits of the dimensions that a list names. */
static bool named_dims(const struct fxc_rule *rule, uint32_t list, uint32_t rank, uint64_t *bits) {
    *bits = 0;
    for (uint32_t i = 0; i < fxc_list_count(rule->program, list); i++) {
        int64_t dim;
        if (!fxc_rule_item_int(rule, list, i, &dim)) {
            return false;
        }
        dim = dim < 0 ? dim + rank : dim;
        if (dim < 0 || dim >= rank) {
            return false;
        }
        *bits |= UINT64_C(1) << dim;
    }
    return true;
}

/* The dimensions that are not named, appended. */
static bool append_rest(const struct fxc_tensor *tensor, uint64_t named, struct fxc_shape *out) {
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        if ((named >> dim & 1) != 0) {
            continue;
        }
        if (out->rank == FXC_MAX_RANK) {
            return false;
        }
        out->size[out->rank++] = tensor->size[dim];
    }
    return true;
}

fxc_status fxc_shape_tensordot(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    uint64_t of_a, of_b;
    uint32_t dims_a = fxc_rule_list(rule, FXC_NAME_dims_self), dims_b = fxc_rule_list(rule, FXC_NAME_dims_other);
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_self, &a) && fxc_shape_argument(rule, FXC_NAME_other, &b));
    FXC_NEED(dims_a != FXC_NONE && dims_b != FXC_NONE && named_dims(rule, dims_a, a.rank, &of_a) &&
             named_dims(rule, dims_b, b.rank, &of_b));
    out->rank = 0;
    FXC_NEED(append_rest(&a, of_a, out) && append_rest(&b, of_b, out));
    return FXC_OK;
}

/* kron: sizes multiply, aligned at the last dimension. */
fxc_status fxc_shape_kron(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_self, &a) && fxc_shape_argument(rule, FXC_NAME_other, &b));
    out->rank = a.rank > b.rank ? a.rank : b.rank;
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        uint32_t of_a = (uint32_t)out->rank - a.rank, of_b = (uint32_t)out->rank - b.rank;
        int64_t x = dim < of_a ? 1 : a.size[dim - of_a], y = dim < of_b ? 1 : b.size[dim - of_b];
        FXC_NEED(!fxc_mul(x, y, &out->size[dim]));
    }
    return FXC_OK;
}

/* bilinear: (..., in1), (..., in2) and (out, in1, in2) give (..., out). */
fxc_status fxc_shape_bilinear(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, weight;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input1, &a) && fxc_shape_argument(rule, FXC_NAME_weight, &weight));
    FXC_NEED(a.rank > 0 && weight.rank == 3);
    fxc_shape_of(&a, out);
    out->size[out->rank - 1] = weight.size[0];
    return FXC_OK;
}

/* trilinear: the dimensions that are not summed. */
fxc_status fxc_shape_trilinear(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_trilinear product;
    (void)err;
    FXC_NEED(fxc_trilinear_read(rule, &product));
    out->rank = 0;
    for (uint32_t dim = 0; dim < product.dims; dim++) {
        if ((product.summed >> dim & 1) == 0) {
            out->size[out->rank++] = fxc_trilinear_size(&product, dim);
        }
    }
    return FXC_OK;
}

/* multi_dot: rows of the first, columns of the last; a vector at either end leaves its dimension out. */
fxc_status fxc_shape_multi_dot(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor first, last;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), count = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(count >= 2 && fxc_rule_item_tensor(rule, list, 0, &first) &&
             fxc_rule_item_tensor(rule, list, count - 1, &last) && first.numel >= 0 && last.numel >= 0);
    FXC_NEED((first.rank == 1 || first.rank == 2) && (last.rank == 1 || last.rank == 2));
    out->rank = 0;
    if (first.rank == 2) {
        out->size[out->rank++] = first.size[0];
    }
    if (last.rank == 2) {
        out->size[out->rank++] = last.size[1];
    }
    return FXC_OK;
}

/* The broadcast of x and y, or of x1 and x2, without one dimension: vecdot, cosine_similarity, pairwise_distance. */
static fxc_status pair_without(const struct fxc_rule *rule, enum fxc_name a_name, enum fxc_name b_name, bool last,
                               struct fxc_shape *out) {
    struct fxc_tensor a, b;
    uint32_t dim;
    bool keep;
    FXC_NEED(fxc_shape_argument(rule, a_name, &a) && fxc_shape_argument(rule, b_name, &b));
    out->rank = 0;
    FXC_NEED(fxc_broadcast(out, &a) && fxc_broadcast(out, &b) && out->rank > 0);
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_keepdim, false, &keep));
    dim = out->rank - 1u;
    FXC_NEED(last || fxc_shape_dim(rule, FXC_NAME_dim, a_name == FXC_NAME_x ? -1 : 1, out->rank, &dim));
    fxc_shape_without(out, dim, keep);
    return FXC_OK;
}

fxc_status fxc_shape_vecdot(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return pair_without(rule, FXC_NAME_x, FXC_NAME_y, false, out);
}

fxc_status fxc_shape_similarity(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return pair_without(rule, FXC_NAME_x1, FXC_NAME_x2, false, out);
}

fxc_status fxc_shape_pairwise(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return pair_without(rule, FXC_NAME_x1, FXC_NAME_x2, true, out);
}
