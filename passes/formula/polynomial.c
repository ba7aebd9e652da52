#include "passes/formula/polynomial.h"

#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 signed_wide;

/* ---- arithmetic modulo the prime 2^61 - 1 ------------------------------------------------------------------------ */

#define PRIME ((UINT64_C(1) << 61) - 1)

static uint64_t mod_mul(uint64_t a, uint64_t b) {
    wide product = (wide)a * b;
    uint64_t sum = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);
    return sum >= PRIME ? sum - PRIME : sum;
}

static uint64_t mod_sub(uint64_t a, uint64_t b) {
    return a >= b ? a - b : a + PRIME - b;
}

static uint64_t mod_of(int64_t a) {
    int64_t rest = a % (int64_t)PRIME;
    return rest < 0 ? (uint64_t)(rest + (int64_t)PRIME) : (uint64_t)rest;
}

/* By Fermat: a^(p-2). */
static uint64_t mod_inverse(uint64_t a) {
    uint64_t result = 1;
    for (uint64_t exponent = PRIME - 2; exponent != 0; exponent >>= 1) {
        if ((exponent & 1) != 0) {
            result = mod_mul(result, a);
        }
        a = mod_mul(a, a);
    }
    return result;
}

/* ---- the basis --------------------------------------------------------------------------------------------------- */

static bool within(const struct fxc_monomial *m, uint32_t vars, const uint32_t *groups, uint32_t group_count,
                   const uint32_t *degree) {
    for (uint32_t g = 0; g < group_count; g++) {
        uint32_t total = 0;
        for (uint32_t v = 0; v < vars; v++) {
            total += (groups[v] >> g & 1u) != 0 ? m->power[v] : 0;
        }
        if (total > degree[g]) {
            return false;
        }
    }
    return true;
}

static uint32_t total_degree(const struct fxc_monomial *m) {
    uint32_t total = 0;
    for (uint32_t v = 0; v < FXC_POLY_VARS; v++) {
        total += m->power[v];
    }
    return total;
}

/* Simple terms first: the solve prefers them where terms depend on one another. */
static int simpler(const void *a, const void *b) {
    uint32_t x = total_degree(a), y = total_degree(b);
    return x != y ? (x > y) - (x < y) : memcmp(b, a, sizeof(struct fxc_monomial));
}

void fxc_basis_build(struct fxc_basis *basis, uint32_t vars, const uint32_t *groups, uint32_t group_count,
                     const uint32_t *degree) {
    basis->vars = vars;
    basis->count = 1;
    basis->full = false;
    memset(&basis->monomial[0], 0, sizeof basis->monomial[0]);
    for (uint32_t v = 0; v < vars; v++) {
        /* Multiplies every monomial so far by this variable, again and again while the degrees allow. */
        for (uint32_t i = 0; groups[v] != 0 && i < basis->count; i++) {
            struct fxc_monomial next = basis->monomial[i];
            next.power[v]++;
            if (!within(&next, vars, groups, group_count, degree)) {
                continue;
            }
            if (basis->count == FXC_POLY_TERMS) {
                basis->full = true;
                return;
            }
            basis->monomial[basis->count++] = next;
        }
    }
    qsort(basis->monomial, basis->count, sizeof basis->monomial[0], simpler);
}

/* ---- the solve --------------------------------------------------------------------------------------------------- */

static uint64_t mod_monomial(const struct fxc_monomial *m, const int64_t *point, uint32_t vars) {
    uint64_t product = 1;
    for (uint32_t v = 0; v < vars; v++) {
        for (uint32_t k = 0; k < m->power[v]; k++) {
            product = mod_mul(product, mod_of(point[v]));
        }
    }
    return product;
}

static void subtract_row(uint64_t *row, const uint64_t *pivot, uint64_t factor, uint32_t from, uint32_t width) {
    for (uint32_t c = from; c < width; c++) {
        row[c] = mod_sub(row[c], mod_mul(factor, pivot[c]));
    }
}

/* Gauss-Jordan on the rows of `m` (count columns and the right side). Columns that depend on earlier ones get 0.
 * Returns false when the equations contradict each other. */
static bool solve(uint64_t *m, uint32_t rows, uint32_t count, uint64_t *solution) {
    uint32_t width = count + 1, rank = 0;
    for (uint32_t c = 0; c < count && rank < rows; c++) {
        uint32_t pivot = rank;
        while (pivot < rows && m[(size_t)pivot * width + c] == 0) {
            pivot++;
        }
        if (pivot == rows) {
            continue;
        }
        uint64_t *a = m + (size_t)rank * width, *b = m + (size_t)pivot * width;
        uint64_t inverse = mod_inverse(b[c]);
        for (uint32_t k = 0; k < width; k++) {
            uint64_t kept = a[k];
            a[k] = mod_mul(b[k], inverse);
            if (a != b) {
                b[k] = kept;
            }
        }
        for (uint32_t r = 0; r < rows; r++) {
            uint64_t *row = m + (size_t)r * width;
            if (r != rank && row[c] != 0) {
                subtract_row(row, a, row[c], c, width);
            }
        }
        rank++;
    }
    memset(solution, 0, count * sizeof *solution);
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t *row = m + (size_t)r * width;
        uint32_t lead = 0;
        while (lead < count && row[lead] == 0) {
            lead++;
        }
        if (lead < count) {
            solution[lead] = row[count];
        } else if (row[count] != 0) {
            return false;
        }
    }
    return true;
}

/* The coefficients over a denominator, taken as the residues nearest to 0; false when one is so large that it must be
 * the image of a fraction. Whether they are right is decided afterwards, in integers. */
static bool adopt(const struct fxc_basis *basis, const uint64_t *solution, int64_t denominator,
                  struct fxc_polynomial *out) {
    const int64_t limit = INT64_C(1) << 58;
    out->vars = basis->vars;
    out->denominator = denominator;
    out->terms = 0;
    for (uint32_t c = 0; c < basis->count; c++) {
        uint64_t residue = mod_mul(solution[c], (uint64_t)denominator);
        int64_t number = residue > PRIME / 2 ? -(int64_t)(PRIME - residue) : (int64_t)residue;
        if (number > limit || number < -limit) {
            return false;
        }
        if (number != 0) {
            out->monomial[out->terms] = basis->monomial[c];
            out->coefficient[out->terms++] = number;
        }
    }
    return true;
}

static bool agrees(const struct fxc_polynomial *p, const int64_t *point, const int64_t *value, uint32_t rows) {
    for (uint32_t r = 0; r < rows; r++) {
        int64_t found;
        if (!fxc_polynomial_value(p, point + (size_t)r * p->vars, &found) || found != value[r]) {
            return false;
        }
    }
    return true;
}

enum fxc_fit fxc_polynomial_fit(const struct fxc_basis *basis, const int64_t *point, const int64_t *value,
                                uint32_t rows, struct fxc_polynomial *out) {
    /* 4! * 4!: a polynomial with integer values has, per variable, a denominator that divides degree!. */
    enum { MAX_DENOMINATOR = 576 };
    uint32_t width = basis->count + 1;
    uint64_t *matrix = calloc((size_t)rows * width + width, sizeof *matrix);
    if (matrix == NULL) {
        return FXC_FIT_MEMORY;
    }
    uint64_t *solution = matrix + (size_t)rows * width;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < basis->count; c++) {
            matrix[(size_t)r * width + c] =
                mod_monomial(&basis->monomial[c], point + (size_t)r * basis->vars, basis->vars);
        }
        matrix[(size_t)r * width + basis->count] = mod_of(value[r]);
    }
    bool found = false;
    if (solve(matrix, rows, basis->count, solution)) {
        for (int64_t d = 1; d <= MAX_DENOMINATOR && !found; d++) {
            found = adopt(basis, solution, d, out) && agrees(out, point, value, rows);
        }
    }
    free(matrix);
    return found ? FXC_FIT_OK : FXC_FIT_NONE;
}

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

bool fxc_polynomial_value(const struct fxc_polynomial *p, const int64_t *point, int64_t *out) {
    signed_wide sum = 0;
    for (uint32_t t = 0; t < p->terms; t++) {
        signed_wide term = p->coefficient[t];
        for (uint32_t v = 0; v < p->vars; v++) {
            for (uint32_t k = 0; k < p->monomial[t].power[v]; k++) {
                if (__builtin_mul_overflow(term, (signed_wide)point[v], &term)) {
                    return false;
                }
            }
        }
        if (__builtin_add_overflow(sum, term, &sum)) {
            return false;
        }
    }
    if (sum % p->denominator != 0) {
        return false;
    }
    sum /= p->denominator;
    *out = (int64_t)sum;
    return sum >= INT64_MIN && sum <= INT64_MAX;
}
