/* FLOP rules of factorisations and solvers, in vector FLOPs.
 *
 * Direct methods: the operation counts of LAPACK Working Note 41, appendix C (Blackford and Dongarra, "Installation
 * Guide for LAPACK"), to the last term, divisions and roots counted as multiplications as there; a complex
 * multiplication is 6 FLOPs, a complex addition 2. Iterative methods, whose number of steps is data: the published
 * estimates of Golub and Van Loan, "Matrix Computations", 4th edition: sections 7.5.6 (eigenvalues), 8.3.3 (symmetric
 * ones) and figure 8.6.1 (singular values, Golub-Reinsch); a convention, as that of sort is. */
#include "passes/flops/rules.h"
#include "passes/shapes/rules.h"

/* Operations on one matrix, in sixths of one: the appendix has coefficients of sixths. */
struct work {
    struct fxc_tally *tally;
    int64_t products, sums;
};

/* a * x + b * y + c * z + d * w: one row of the appendix. */
static int64_t poly(struct fxc_tally *t, int64_t a, int64_t x, int64_t b, int64_t y, int64_t c, int64_t z, int64_t d,
                    int64_t w) {
    return fxc_plus(t, fxc_linear(t, a, x, b, y), fxc_linear(t, c, z, d, w));
}

static void add_work(struct work *work, int64_t products, int64_t sums) {
    work->products = fxc_plus(work->tally, work->products, products);
    work->sums = fxc_plus(work->tally, work->sums, sums);
}

static int64_t square(struct work *work, int64_t n) {
    return fxc_times(work->tally, n, n);
}

static int64_t cube(struct work *work, int64_t n) {
    return fxc_times(work->tally, n, square(work, n));
}

/* POTRF: n^3/6 + n^2/2 + n/3; n^3/6 - n/6. */
static void factor_cholesky(struct work *work, int64_t n) {
    struct fxc_tally *t = work->tally;
    add_work(work, poly(t, 1, cube(work, n), 3, square(work, n), 2, n, 0, 0), fxc_linear(t, 1, cube(work, n), -1, n));
}

/* POTRI: n^3/3 + n^2 + 2n/3; n^3/3 - n^2/2 + n/6. */
static void invert_cholesky(struct work *work, int64_t n) {
    struct fxc_tally *t = work->tally;
    add_work(work, poly(t, 2, cube(work, n), 6, square(work, n), 4, n, 0, 0),
             poly(t, 2, cube(work, n), -3, square(work, n), 1, n, 0, 0));
}

/* POTRS, and SYTRS: (n^2 + n) r; (n^2 - n) r. */
static void solve_symmetric(struct work *work, int64_t n, int64_t r) {
    struct fxc_tally *t = work->tally;
    int64_t sides = fxc_times(t, 6, r);
    add_work(work, fxc_times(t, sides, fxc_plus(t, square(work, n), n)),
             fxc_times(t, sides, fxc_plus(t, square(work, n), -n)));
}

/* GETRF, m >= n: mn^2/2 - n^3/6 + mn/2 - n^2/2 + 2n/3; mn^2/2 - n^3/6 - mn/2 + n/6. Columns beyond the square of a wide
 * matrix are solved with its unit triangle: (m^2 - m)/2 each. */
static void factor_lu(struct work *work, int64_t m, int64_t n) {
    struct fxc_tally *t = work->tally;
    int64_t k = m < n ? m : n, beyond = fxc_times(t, n - k, fxc_plus(t, square(work, k), -k));
    int64_t area = fxc_times(t, m, k), both = fxc_linear(t, 3, fxc_times(t, area, k), -1, cube(work, k));
    both = fxc_linear(t, 1, both, 3, beyond);
    add_work(work, poly(t, 1, both, 3, area, -3, square(work, k), 4, k), poly(t, 1, both, -3, area, 1, k, 0, 0));
}

/* GETRI: 2n^3/3 + n^2/2 + 5n/6; 2n^3/3 - 3n^2/2 + 5n/6. */
static void invert_lu(struct work *work, int64_t n) {
    struct fxc_tally *t = work->tally;
    add_work(work, poly(t, 4, cube(work, n), 3, square(work, n), 5, n, 0, 0),
             poly(t, 4, cube(work, n), -9, square(work, n), 5, n, 0, 0));
}

/* GETRS: n^2 r; (n^2 - n) r. */
static void solve_lu(struct work *work, int64_t n, int64_t r) {
    struct fxc_tally *t = work->tally;
    int64_t sides = fxc_times(t, 6, r);
    add_work(work, fxc_times(t, sides, square(work, n)), fxc_times(t, sides, fxc_plus(t, square(work, n), -n)));
}

/* TRSM: (n^2 + n) r/2; (n^2 - n) r/2. */
static void solve_triangular(struct work *work, int64_t n, int64_t r) {
    struct fxc_tally *t = work->tally;
    int64_t sides = fxc_times(t, 3, r);
    add_work(work, fxc_times(t, sides, fxc_plus(t, square(work, n), n)),
             fxc_times(t, sides, fxc_plus(t, square(work, n), -n)));
}

/* SYTRF: n^3/6 + n^2/2 + 10n/3; n^3/6 - n/6. */
static void factor_ldl(struct work *work, int64_t n) {
    struct fxc_tally *t = work->tally;
    add_work(work, poly(t, 1, cube(work, n), 3, square(work, n), 20, n, 0, 0), fxc_linear(t, 1, cube(work, n), -1, n));
}

/* GEQRF of m rows: with m > n, mn^2 - n^3/3 + n^2/2 + mn + 23n/6; mn^2 - n^3/3 + n^2/2 + 5n/6. Else nm^2 - m^3/3 -
 * m^2/2 + 2mn + 23m/6; nm^2 - m^3/3 - m^2/2 + mn + 5m/6. */
static void factor_qr(struct work *work, int64_t m, int64_t n) {
    struct fxc_tally *t = work->tally;
    bool tall = m > n;
    int64_t k = tall ? n : m, area = fxc_times(t, m, n);
    int64_t both = poly(t, 6, fxc_times(t, area, k), -2, cube(work, k), tall ? 3 : -3, square(work, k), 0, 0);
    add_work(work, poly(t, 1, both, tall ? 6 : 12, area, 23, k, 0, 0),
             poly(t, 1, both, tall ? 0 : 6, area, 5, k, 0, 0));
}

/* ORGQR, n columns of m from k reflectors: 2mnk - (m + n)k^2 + 2k^3/3 + 2nk - k^2 - 5k/3; the same but + nk - mk +
 * k/3 at the end. */
static void form_q(struct work *work, int64_t m, int64_t n, int64_t k) {
    struct fxc_tally *t = work->tally;
    int64_t mk = fxc_times(t, m, k), nk = fxc_times(t, n, k);
    int64_t both =
        poly(t, 12, fxc_times(t, mk, n), -6, fxc_times(t, fxc_plus(t, m, n), square(work, k)), 4, cube(work, k), 0, 0);
    add_work(work, poly(t, 1, both, 12, nk, -6, square(work, k), -10, k), poly(t, 1, both, 6, nk, -6, mk, 2, k));
}

/* ORMQR on m x n from the left: 2mnk - nk^2 + 2nk; 2mnk - nk^2 + nk. From the right: 2mnk - mk^2 + mk + nk - k^2/2 +
 * k/2; 2mnk - mk^2 + mk. */
static void apply_q(struct work *work, int64_t m, int64_t n, int64_t k, bool left) {
    struct fxc_tally *t = work->tally;
    int64_t mk = fxc_times(t, m, k), nk = fxc_times(t, n, k), side = left ? nk : mk;
    int64_t both = fxc_linear(t, 12, fxc_times(t, mk, n), -6, fxc_times(t, side, k));
    if (left) {
        add_work(work, fxc_linear(t, 1, both, 12, nk), fxc_linear(t, 1, both, 6, nk));
        return;
    }
    int64_t rest = poly(t, 6, mk, 6, nk, -3, square(work, k), 3, k);
    add_work(work, fxc_plus(t, both, rest), fxc_linear(t, 1, both, 6, mk));
}

/* An estimate in sixths of FLOPs, as many products as sums. */
static void add_estimate(struct work *work, int64_t sixths) {
    add_work(work, sixths / 2, sixths - sixths / 2);
}

/* Symmetric: 4n^3/3, with vectors 9n^3. Others: 10n^3, with vectors 25n^3. */
static void find_eigenvalues(struct work *work, int64_t n, bool symmetric, bool vectors) {
    int64_t factor = symmetric ? (vectors ? 54 : 8) : (vectors ? 150 : 60);
    add_estimate(work, fxc_times(work->tally, factor, cube(work, n)));
}

enum vectors { NONE_OF_THEM, REDUCED, ALL_OF_THEM };

/* m >= n: 4mn^2 - 4n^3/3; with U of n columns and V 14mn^2 + 8n^3; with the whole of U 4m^2n + 8mn^2 + 9n^3. */
static void find_singular_values(struct work *work, int64_t rows, int64_t columns, enum vectors vectors) {
    struct fxc_tally *t = work->tally;
    int64_t m = rows < columns ? columns : rows, n = rows < columns ? rows : columns;
    int64_t mnn = fxc_times(t, m, square(work, n)), nnn = cube(work, n);
    if (vectors == NONE_OF_THEM) {
        add_estimate(work, fxc_linear(t, 24, mnn, -8, nnn));
    } else if (vectors == REDUCED) {
        add_estimate(work, fxc_linear(t, 84, mnn, 48, nnn));
    } else {
        add_estimate(work, poly(t, 24, fxc_times(t, n, square(work, m)), 48, mnn, 54, nnn, 0, 0));
    }
}

/* ---- rules ------------------------------------------------------------------------------------------------------- */

/* A stack of matrices. */
struct stack {
    struct fxc_tensor tensor;
    int64_t count, rows, columns;
};

static bool stack_of(const struct fxc_tensor *tensor, struct stack *out) {
    if (tensor->numel < 0 || tensor->rank < 2) {
        return false;
    }
    out->tensor = *tensor;
    out->rows = tensor->size[tensor->rank - 2];
    out->columns = tensor->size[tensor->rank - 1];
    out->count = tensor->numel == 0 ? 0 : tensor->numel / out->rows / out->columns;
    return true;
}

/* The matrices that an operator factors, or those that were: whatever the schema calls them. */
static bool subject(const struct fxc_rule *rule, struct stack *out) {
    static const uint16_t names[] = {FXC_NAME_LU_data, FXC_NAME_LU,   FXC_NAME_LD,   FXC_NAME_A,
                                     FXC_NAME_input2,  FXC_NAME_self, FXC_NAME_input};
    struct fxc_tensor tensor;
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (fxc_known_tensor(rule, (enum fxc_name)names[i], &tensor)) {
            return stack_of(&tensor, out);
        }
    }
    return false;
}

/* Work on one matrix, `times`. */
static fxc_status end_work(const struct fxc_rule *rule, const struct work *work, uint8_t dtype, int64_t times,
                           fxc_error *err) {
    struct fxc_tally *t = work->tally;
    bool complex = fxc_dtype_is_complex(dtype);
    int64_t sixths = fxc_linear(t, complex ? 6 : 1, work->products, complex ? 2 : 1, work->sums);
    fxc_tally_work(t, dtype, fxc_times(t, times, sixths / 6), 0);
    return fxc_tally_end(t, rule, err);
}

static bool is_hermitian(const struct fxc_rule *rule) {
    bool hermitian;
    return fxc_rule_bool(rule, FXC_NAME_hermitian, false, &hermitian) && hermitian;
}

/* Which vectors an SVD gives. params: whether the whole of U when the call does not say. */
static bool wanted_vectors(const struct fxc_rule *rule, bool all, enum vectors *out) {
    bool computed, some, full;
    if (!fxc_rule_bool(rule, FXC_NAME_compute_uv, true, &computed) ||
        !fxc_rule_bool(rule, FXC_NAME_some, !all, &some) ||
        !fxc_rule_bool(rule, FXC_NAME_full_matrices, !some, &full)) {
        return false;
    }
    *out = !computed ? NONE_OF_THEM : full ? ALL_OF_THEM : REDUCED;
    return true;
}

/* QR: the reflectors and, unless only R is asked for, as many columns of Q. */
static bool count_qr(const struct fxc_rule *rule, const struct stack *a, struct work *work) {
    const char *mode = fxc_rule_string(rule, FXC_NAME_mode);
    bool some;
    if (!fxc_rule_bool(rule, FXC_NAME_some, true, &some)) {
        return false;
    }
    int64_t k = a->rows < a->columns ? a->rows : a->columns;
    factor_qr(work, a->rows, a->columns);
    if (mode == NULL || mode[0] != 'r' || mode[1] != '\0') {
        bool complete = !some || (mode != NULL && mode[0] == 'c');
        form_q(work, a->rows, complete ? a->rows : k, k);
    }
    return true;
}

/* One matrix of the stack, for rules that need no more than that. */
static bool count_matrix(const struct fxc_rule *rule, const int32_t params[3], const struct stack *a,
                         struct work *work) {
    int64_t n = a->rows, k = a->rows < a->columns ? a->rows : a->columns;
    enum vectors vectors;
    bool computed;
    switch (params[0]) {
    case FXC_LINALG_cholesky:
        factor_cholesky(work, n);
        return true;
    case FXC_LINALG_cholesky_inverse:
        invert_cholesky(work, n);
        return true;
    case FXC_LINALG_ldl:
        factor_ldl(work, n);
        return true;
    case FXC_LINALG_lu:
        factor_lu(work, a->rows, a->columns);
        return true;
    case FXC_LINALG_inverse:
        factor_lu(work, n, n);
        invert_lu(work, n);
        return true;
    case FXC_LINALG_det: /* and the product of the diagonal */
        factor_lu(work, n, n);
        add_work(work, fxc_times(work->tally, 6, n > 0 ? n - 1 : 0), 0);
        return true;
    case FXC_LINALG_qr:
        return count_qr(rule, a, work);
    case FXC_LINALG_geqrf:
        factor_qr(work, a->rows, a->columns);
        return true;
    case FXC_LINALG_eigh:
    case FXC_LINALG_eig:
        if (!fxc_rule_bool(rule, FXC_NAME_compute_v, params[1] != 0, &computed)) {
            return false;
        }
        find_eigenvalues(work, n, params[0] == FXC_LINALG_eigh, computed);
        return true;
    case FXC_LINALG_svd:
        if (!wanted_vectors(rule, params[1] != 0, &vectors)) {
            return false;
        }
        find_singular_values(work, a->rows, a->columns, vectors);
        return true;
    case FXC_LINALG_svdvals: /* params: comparisons of each value; a symmetric matrix may have its eigenvalues found */
        if (is_hermitian(rule)) {
            find_eigenvalues(work, n, true, false);
        } else {
            find_singular_values(work, a->rows, a->columns, NONE_OF_THEM);
        }
        add_work(work, 0, fxc_times(work->tally, 6, fxc_times(work->tally, params[1], k)));
        return true;
    default:
        return false;
    }
}

/* params: which factorisation, its parameter. */
fxc_status fxc_flops_linalg(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct work work = {.tally = &tally};
    struct stack a;
    FXC_NEED(subject(rule, &a) && count_matrix(rule, params, &a, &work));
    return end_work(rule, &work, a.tensor.dtype, a.count, err);
}

/* As det, and for each matrix the magnitudes, logarithms and signs of the diagonal, folded. */
fxc_status fxc_flops_slogdet(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct work work = {.tally = &tally};
    struct stack a;
    (void)params;
    FXC_NEED(subject(rule, &a) && !fxc_dtype_is_complex(a.tensor.dtype));
    int64_t n = a.rows;
    factor_lu(&work, n, n);
    add_work(&work, 0, fxc_times(&tally, 6, n > 0 ? fxc_linear(&tally, 4, n, -2, 1) : 0));
    fxc_tally_work(&tally, a.tensor.dtype, 0, fxc_times(&tally, a.count, n));
    return end_work(rule, &work, a.tensor.dtype, a.count, err);
}

/* Solves for the columns of the result (or its rows, where the matrix stands at the right); params: with which
 * factors, and whether they are made here. */
fxc_status fxc_flops_solve(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct work work = {.tally = &tally}, once = {.tally = &tally};
    struct fxc_tensor result;
    struct stack a;
    FXC_NEED(subject(rule, &a) && fxc_known_result(rule, 0, &result));
    int64_t n = a.rows, sides = n == 0 ? 0 : result.numel / n;
    if (params[1] != 0) {
        factor_lu(&once, n, n);
        FXC_TRY(end_work(rule, &once, a.tensor.dtype, a.count, err));
    }
    if (params[0] == FXC_LINALG_lu) {
        solve_lu(&work, n, 1);
    } else if (params[0] == FXC_LINALG_triangular) {
        solve_triangular(&work, n, 1);
    } else {
        solve_symmetric(&work, n, 1);
    }
    return end_work(rule, &work, a.tensor.dtype, sides, err);
}

/* The reflectors of `tau`; params: 0 forms Q of `input`, 1 applies it to `input3`. */
fxc_status fxc_flops_reflect(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct work work = {.tally = &tally};
    struct fxc_tensor tau, given;
    struct stack a;
    bool left;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_tau, FXC_NAME_input2, &tau) && tau.rank >= 1);
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_input3, FXC_NAME_input, &given) && stack_of(&given, &a));
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_left, true, &left));
    int64_t k = tau.size[tau.rank - 1];
    if (params[0] == 0) {
        form_q(&work, a.rows, a.columns, k);
    } else {
        apply_q(&work, a.rows, a.columns, k, left);
    }
    return end_work(rule, &work, a.tensor.dtype, a.count, err);
}

/* V S^-1 U^H: the decomposition, a quotient per value, a product per element of V, a matrix product. */
fxc_status fxc_flops_pinv(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct work work = {.tally = &tally};
    struct stack a;
    (void)params;
    FXC_NEED(subject(rule, &a));
    int64_t k = a.rows < a.columns ? a.rows : a.columns, kn = fxc_times(&tally, k, a.columns);
    if (is_hermitian(rule)) {
        find_eigenvalues(&work, a.rows, true, true);
    } else {
        find_singular_values(&work, a.rows, a.columns, REDUCED);
    }
    add_work(&work, fxc_times(&tally, 6, fxc_plus(&tally, kn, k)), 0);
    fxc_tally_macs(&tally, a.tensor.dtype, fxc_times(&tally, a.count, fxc_times(&tally, kn, a.rows)));
    return end_work(rule, &work, a.tensor.dtype, a.count, err);
}

/* Squares and products by the binary digits of the exponent, of the inverse when that is negative. */
fxc_status fxc_flops_matrix_power(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                  fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct work work = {.tally = &tally};
    struct stack a;
    int64_t n, products = -1;
    (void)params;
    FXC_NEED(subject(rule, &a) && fxc_rule_int(rule, FXC_NAME_n, -1, &n) && n > INT32_MIN && n <= INT32_MAX);
    if (n < 0) {
        factor_lu(&work, a.rows, a.rows);
        invert_lu(&work, a.rows);
    }
    for (int64_t left = n < 0 ? -n : n; left > 0; left /= 2) {
        products += left == 1 ? 1 : 1 + left % 2;
    }
    int64_t macs = fxc_times(&tally, a.count, cube(&work, a.rows));
    fxc_tally_macs(&tally, a.tensor.dtype, n == 0 ? 0 : fxc_times(&tally, products, macs));
    return end_work(rule, &work, a.tensor.dtype, a.count, err);
}
