/* Shape rules of matrix products. */
#include <string.h>

#include "passes/einsum.h"
#include "passes/shapes/rules.h"

/* mm and addmm: (M, K) and (K, N) give (M, N). */
fxc_status fxc_shape_mm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_mat1, &a) || fxc_shape_argument(rule, FXC_NAME_self, &a));
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_mat2, &b) && a.rank == 2 && b.rank == 2);
    if (a.size[1] != b.size[0]) {
        return fxc_shape_conflict(rule, err, "mat1", &a, "mat2", &b, "equal inner sizes");
    }
    out->rank = 2;
    out->size[0] = a.size[0];
    out->size[1] = b.size[1];
    return FXC_OK;
}

/* bmm and baddbmm: (B, M, K) and (B, K, N) give (B, M, N). */
fxc_status fxc_shape_bmm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_batch1, &a) || fxc_shape_argument(rule, FXC_NAME_self, &a));
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_batch2, &b) || fxc_shape_argument(rule, FXC_NAME_mat2, &b));
    FXC_NEED(a.rank == 3 && b.rank == 3);
    if (a.size[0] != b.size[0] || a.size[2] != b.size[1]) {
        return fxc_shape_conflict(rule, err, "batch1", &a, "batch2", &b, "equal batch and inner sizes");
    }
    out->rank = 3;
    out->size[0] = a.size[0];
    out->size[1] = a.size[1];
    out->size[2] = b.size[2];
    return FXC_OK;
}

/* mv and addmv: (M, K) and (K) give (M). */
fxc_status fxc_shape_mv(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_mat, &a) || fxc_shape_argument(rule, FXC_NAME_self, &a));
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_vec, &b) && a.rank == 2 && b.rank == 1 && a.size[0] > 0);
    if (a.size[1] != b.size[0]) {
        return fxc_shape_conflict(rule, err, "mat", &a, "vec", &b, "equal inner sizes");
    }
    out->rank = 1;
    out->size[0] = a.size[0];
    return FXC_OK;
}

/* outer: (N) and (M) give (N, M). */
fxc_status fxc_shape_outer(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_self, &a) && fxc_shape_argument(rule, FXC_NAME_vec2, &b));
    FXC_NEED(a.rank == 1 && b.rank == 1);
    out->rank = 2;
    out->size[0] = a.size[0];
    out->size[1] = b.size[0];
    return FXC_OK;
}

/* torch.matmul: the last two dimensions multiply, those before broadcast; a vector lends a dimension of one and takes
 * it back. */
fxc_status fxc_shape_matmul(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_subject(rule, &a) && fxc_shape_argument(rule, FXC_NAME_other, &b));
    FXC_NEED(a.rank > 0 && b.rank > 0);
    int64_t inner = b.rank == 1 ? b.size[0] : b.size[b.rank - 2];
    struct fxc_tensor a_batch = a, b_batch = b;
    a_batch.rank = (uint8_t)(a.rank > 2 ? a.rank - 2 : 0);
    b_batch.rank = (uint8_t)(b.rank > 2 ? b.rank - 2 : 0);
    out->rank = 0;
    if (a.size[a.rank - 1] != inner || !fxc_broadcast(out, &a_batch) || !fxc_broadcast(out, &b_batch)) {
        return fxc_shape_conflict(rule, err, "self", &a, "other", &b,
                                  "equal inner sizes, and batch dimensions that broadcast");
    }
    if (a.rank > 1) {
        out->size[out->rank++] = a.size[a.rank - 2];
    }
    if (b.rank > 1) {
        out->size[out->rank++] = b.size[b.rank - 1];
    }
    return FXC_OK;
}

fxc_status fxc_shape_linear(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input, weight;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, &input) && fxc_shape_argument(rule, FXC_NAME_weight, &weight));
    FXC_NEED(input.rank > 0 && (weight.rank == 1 || weight.rank == 2));
    if (input.size[input.rank - 1] != weight.size[weight.rank - 1]) {
        return fxc_shape_conflict(rule, err, "input", &input, "weight", &weight, "equal last sizes");
    }
    fxc_shape_of(&input, out);
    if (weight.rank == 2) {
        out->size[out->rank - 1] = weight.size[0];
    } else {
        out->rank--;
    }
    return FXC_OK;
}

/* Rows in groups: (M, K) and (G, K, N) give (M, N). Other ranks are not told. */
fxc_status fxc_shape_grouped_mm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_subject(rule, &a));
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_mat2, &b) || fxc_shape_argument(rule, FXC_NAME_weight, &b));
    FXC_NEED(a.rank == 2 && b.rank == 3);
    if (a.size[1] != b.size[1]) {
        return fxc_shape_conflict(rule, err, "rows", &a, "weights", &b, "equal inner sizes");
    }
    out->rank = 2;
    out->size[0] = a.size[0];
    out->size[1] = b.size[2];
    return FXC_OK;
}

fxc_status fxc_shape_einsum(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_einsum equation;
    (void)err;
    FXC_NEED(fxc_einsum_read(rule, &equation));
    out->rank = (uint8_t)equation.out_rank;
    for (uint32_t dim = 0; dim < equation.out_rank; dim++) {
        out->size[dim] = 1;
        for (uint32_t i = 0; i < equation.operands; i++) {
            out->size[dim] = equation.size[i][dim] != 1 ? equation.size[i][dim] : out->size[dim];
        }
    }
    return FXC_OK;
}

/* (..., Sq, Dq), (..., Sk, Dq), (..., Sk, Dv) give (..., Sq, Dv). */
fxc_status fxc_shape_sdpa(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor query, key, value;
    bool grouped;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_query, &query) && fxc_shape_argument(rule, FXC_NAME_key, &key) &&
             fxc_shape_argument(rule, FXC_NAME_value, &value));
    FXC_NEED(query.rank >= 2 && key.rank == query.rank && value.rank == query.rank);
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_enable_gqa, false, &grouped));
    uint32_t last = query.rank - 1u;
    if (query.size[last] != key.size[last] || key.size[last - 1] != value.size[last - 1]) {
        return fxc_shape_conflict(rule, err, "query", &query, "key", &key,
                                  "query and key of one depth, key and value of one length");
    }
    fxc_shape_of(&query, out);
    for (uint32_t dim = 0; dim + 2 < query.rank; dim++) {
        bool heads = grouped && dim + 3 == query.rank;
        if (query.size[dim] == 1 && !heads) {
            out->size[dim] = key.size[dim] != 1 ? key.size[dim] : value.size[dim];
        }
    }
    out->size[last] = value.size[last];
    return FXC_OK;
}
