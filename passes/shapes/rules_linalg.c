/* Shape rules of factorisations and solvers of matrices. A stack of matrices is a batch: all dimensions but the last
 * two. Sizes as torch.linalg documents them, results in the order of ATen's schemas. */
#include <string.h>

#include "passes/shapes/rules.h"

/* The matrices that an operator works on, with two dimensions or more. */
static bool matrices(const struct fxc_rule *rule, struct fxc_tensor *out) {
    return fxc_shape_subject(rule, out) && out->rank >= 2;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t rows_of(const struct fxc_tensor *a) {
    return a->size[a->rank - 2];
}

static int64_t columns_of(const struct fxc_tensor *a) {
    return a->size[a->rank - 1];
}

/* The batch dimensions, and behind them `more` sizes. */
static fxc_status batch_and(const struct fxc_tensor *a, uint32_t more, int64_t first, int64_t second,
                            struct fxc_shape *out) {
    fxc_shape_of(a, out);
    out->rank = (uint8_t)(a->rank - 2u + more);
    if (more > 0) {
        out->size[a->rank - 2] = first;
    }
    if (more > 1) {
        out->size[a->rank - 1] = second;
    }
    return FXC_OK;
}

/* What an operator returns in place of a factor that was not asked for. */
static fxc_status nothing(struct fxc_shape *out) {
    out->rank = 1;
    out->size[0] = 0;
    return FXC_OK;
}

/* A number for each matrix: det, logdet, matrix_rank, cond; slogdet gives two. */
fxc_status fxc_shape_per_matrix(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    (void)err;
    FXC_NEED(matrices(rule, &a));
    return batch_and(&a, 0, 0, 0, out);
}

/* U, S, Vh; without full_matrices only as many columns as singular values. */
fxc_status fxc_shape_svd(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    bool full, wanted;
    (void)err;
    FXC_NEED(matrices(rule, &a) && fxc_rule_bool(rule, FXC_NAME_full_matrices, true, &full));
    /* Only _linalg_svd has the flag, and defaults to full_matrices=False; linalg_svd defaults to True. */
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_compute_uv, true, &wanted));
    int64_t m = rows_of(&a), n = columns_of(&a), k = least(m, n);
    if (out->index == 1) {
        return batch_and(&a, 1, k, 0, out);
    }
    FXC_NEED(wanted);
    return out->index == 0 ? batch_and(&a, 2, m, full ? m : k, out) : batch_and(&a, 2, full ? n : k, n, out);
}

/* The same where full_matrices is left at False. */
fxc_status fxc_shape_svd_reduced(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    enum fxc_kind kind;
    int64_t payload;
    struct fxc_tensor a;
    bool wanted;
    FXC_NEED(matrices(rule, &a) && fxc_rule_bool(rule, FXC_NAME_compute_uv, true, &wanted));
    if (!wanted && out->index != 1) {
        return nothing(out);
    }
    if (fxc_rule_arg(rule, FXC_NAME_full_matrices, &kind, &payload)) {
        return fxc_shape_svd(rule, out, err);
    }
    int64_t m = rows_of(&a), n = columns_of(&a), k = least(m, n);
    return out->index == 0   ? batch_and(&a, 2, m, k, out)
           : out->index == 1 ? batch_and(&a, 1, k, 0, out)
                             : batch_and(&a, 2, k, n, out);
}

/* svd, the old one: U, S, V, reduced where `some`. */
fxc_status fxc_shape_svd_old(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    bool some, wanted;
    (void)err;
    FXC_NEED(matrices(rule, &a) && fxc_rule_bool(rule, FXC_NAME_some, true, &some) &&
             fxc_rule_bool(rule, FXC_NAME_compute_uv, true, &wanted));
    int64_t m = rows_of(&a), n = columns_of(&a), k = least(m, n);
    some = some && wanted;
    return out->index == 1   ? batch_and(&a, 1, k, 0, out)
           : out->index == 0 ? batch_and(&a, 2, m, some ? k : m, out)
                             : batch_and(&a, 2, n, some ? k : n, out);
}

/* Singular values. */
fxc_status fxc_shape_singular(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    (void)err;
    FXC_NEED(matrices(rule, &a));
    return batch_and(&a, 1, least(rows_of(&a), columns_of(&a)), 0, out);
}

/* Eigenvalues, then eigenvectors. */
fxc_status fxc_shape_eigen(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    bool vectors;
    (void)err;
    FXC_NEED(matrices(rule, &a) && fxc_rule_bool(rule, FXC_NAME_compute_v, true, &vectors));
    if (out->index == 0) {
        return batch_and(&a, 1, columns_of(&a), 0, out);
    }
    return vectors ? batch_and(&a, 2, rows_of(&a), columns_of(&a), out) : nothing(out);
}

/* Q and R in the modes reduced, complete and r; the old operator says `some` for reduced. */
fxc_status fxc_shape_qr(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    bool some;
    (void)err;
    FXC_NEED(matrices(rule, &a) && fxc_rule_bool(rule, FXC_NAME_some, true, &some));
    const char *mode = fxc_rule_string(rule, FXC_NAME_mode);
    bool complete = mode != NULL ? strcmp(mode, "complete") == 0 : !some;
    int64_t m = rows_of(&a), n = columns_of(&a), k = complete ? m : least(m, n);
    if (out->index == 0) {
        return mode != NULL && strcmp(mode, "r") == 0 ? nothing(out) : batch_and(&a, 2, m, k, out);
    }
    return batch_and(&a, 2, k, n, out);
}

/* Householder vectors in place of the matrix, then their scales. */
fxc_status fxc_shape_geqrf(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    return out->index == 0 ? fxc_shape_same(rule, out, err) : fxc_shape_singular(rule, out, err);
}

/* P, L, U. */
fxc_status fxc_shape_lu(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    bool pivot, unpack_data, unpack_pivots;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_LU_data, &a) || fxc_shape_subject(rule, &a));
    FXC_NEED(a.rank >= 2 && fxc_rule_bool(rule, FXC_NAME_pivot, true, &pivot) &&
             fxc_rule_bool(rule, FXC_NAME_unpack_data, true, &unpack_data) &&
             fxc_rule_bool(rule, FXC_NAME_unpack_pivots, true, &unpack_pivots));
    int64_t m = rows_of(&a), n = columns_of(&a), k = least(m, n);
    if (out->index == 0 ? !pivot || !unpack_pivots : !unpack_data) {
        return nothing(out);
    }
    return out->index == 0   ? batch_and(&a, 2, m, m, out)
           : out->index == 1 ? batch_and(&a, 2, m, k, out)
                             : batch_and(&a, 2, k, n, out);
}

/* L and U in one matrix, pivots, and whether it went well. */
fxc_status fxc_shape_lu_factor(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    return out->index == 0   ? fxc_shape_same(rule, out, err)
           : out->index == 1 ? fxc_shape_singular(rule, out, err)
                             : fxc_shape_per_matrix(rule, out, err);
}

/* A result like the argument, and whether it went well: cholesky_ex, inv_ex. */
fxc_status fxc_shape_same_and_info(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    return out->index == 0 ? fxc_shape_same(rule, out, err) : fxc_shape_per_matrix(rule, out, err);
}

/* det, L and U in one matrix, pivots. */
fxc_status fxc_shape_determinant(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    return out->index == 0   ? fxc_shape_per_matrix(rule, out, err)
           : out->index == 1 ? fxc_shape_same(rule, out, err)
                             : fxc_shape_singular(rule, out, err);
}

/* The sign and the logarithm, L and U in one matrix, pivots. */
fxc_status fxc_shape_log_determinant(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    return out->index < 2    ? fxc_shape_per_matrix(rule, out, err)
           : out->index == 2 ? fxc_shape_same(rule, out, err)
                             : fxc_shape_singular(rule, out, err);
}

/* Right-hand sides are vectors when there is one for each matrix: torch's rule. */
static bool is_vector(const struct fxc_tensor *a, const struct fxc_tensor *b) {
    return b->rank == 1 || (b->rank + 1 == a->rank && memcmp(a->size, b->size, b->rank * sizeof a->size[0]) == 0);
}

/* The batches of both broadcast; the last dimensions are those of the right-hand side. */
static fxc_status solution(const struct fxc_tensor *a, const struct fxc_tensor *b, uint32_t own,
                           struct fxc_shape *out) {
    struct fxc_tensor a_batch = *a, b_batch = *b;
    FXC_NEED(a->rank >= 2 && b->rank >= own);
    a_batch.rank = (uint8_t)(a->rank - 2u);
    b_batch.rank = (uint8_t)(b->rank - own);
    out->rank = 0;
    FXC_NEED(fxc_broadcast(out, &a_batch) && fxc_broadcast(out, &b_batch) && out->rank + own <= FXC_MAX_RANK);
    for (uint32_t i = 0; i < own; i++) {
        out->size[out->rank++] = b->size[b->rank - own + i];
    }
    return FXC_OK;
}

/* linalg_solve and linalg_solve_ex: the solution, then whether it went well. */
fxc_status fxc_shape_solve(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    if (out->index > 0) {
        return fxc_shape_per_matrix(rule, out, err);
    }
    FXC_NEED(matrices(rule, &a) && fxc_shape_argument(rule, FXC_NAME_B, &b));
    return solution(&a, &b, is_vector(&a, &b) ? 1 : 2, out);
}

/* The same with what it was computed by: L and U in one matrix, pivots. */
fxc_status fxc_shape_solve_lu(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    switch (out->index) {
    case 1:
        return fxc_shape_same(rule, out, err);
    case 2:
        return fxc_shape_singular(rule, out, err);
    default:
        return fxc_shape_solve(rule, out, err);
    }
}

/* Solvers that take a factor: the factor's name differs. */
fxc_status fxc_shape_solve_factored(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const struct {
        enum fxc_name factor, sides;
    } forms[] = {{FXC_NAME_LU, FXC_NAME_B},        {FXC_NAME_LD, FXC_NAME_B},   {FXC_NAME_LU_data, FXC_NAME_self},
                 {FXC_NAME_input2, FXC_NAME_self}, {FXC_NAME_self, FXC_NAME_B}, {FXC_NAME_A, FXC_NAME_self}};
    struct fxc_tensor a, b;
    (void)err;
    for (uint32_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (fxc_shape_argument(rule, forms[i].factor, &a) && fxc_shape_argument(rule, forms[i].sides, &b)) {
            if (out->index == 0) {
                return solution(&a, &b, 2, out);
            }
            /* triangular_solve returns the coefficients too. */
            FXC_TRY(solution(&b, &a, 2, out));
            return FXC_OK;
        }
    }
    return FXC_UNKNOWN_OPS;
}

/* ormqr: the shape of what is multiplied. */
fxc_status fxc_shape_third(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input3, &tensor));
    fxc_shape_of(&tensor, out);
    return FXC_OK;
}

/* A number for each matrix that two dimensions hold, the last two unless `dim` says. */
fxc_status fxc_shape_matrix_norm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a;
    bool keep;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dim);
    uint64_t reduced;
    (void)err;
    FXC_NEED(matrices(rule, &a) && fxc_rule_bool(rule, FXC_NAME_keepdim, false, &keep));
    reduced = UINT64_C(3) << (a.rank - 2u);
    if (list != FXC_NONE) {
        int64_t first, second;
        FXC_NEED(fxc_list_count(rule->program, list) == 2 && fxc_rule_item_int(rule, list, 0, &first) &&
                 fxc_rule_item_int(rule, list, 1, &second));
        first = first < 0 ? first + a.rank : first;
        second = second < 0 ? second + a.rank : second;
        FXC_NEED(first >= 0 && first < a.rank && second >= 0 && second < a.rank);
        reduced = UINT64_C(1) << first | UINT64_C(1) << second;
    }
    out->rank = 0;
    for (uint32_t dim = 0; dim < a.rank; dim++) {
        if ((reduced >> dim & 1) == 0 || keep) {
            out->size[out->rank++] = (reduced >> dim & 1) == 0 ? a.size[dim] : 1;
        }
    }
    return FXC_OK;
}

/* Powers of each number: one more dimension. */
fxc_status fxc_shape_vander(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor x;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_x, &x) && x.rank > 0 && x.rank < FXC_MAX_RANK);
    fxc_shape_of(&x, out);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_N, x.size[x.rank - 1], &out->size[out->rank]));
    out->rank++;
    return FXC_OK;
}
