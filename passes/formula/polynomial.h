/* Exact polynomials in several variables: found from values by a linear solve modulo a prime, then held, checked and
 * evaluated in integers. Nothing is rounded: what does not fit is refused. */
#ifndef FXC_PASSES_POLYNOMIAL_H
#define FXC_PASSES_POLYNOMIAL_H

#include <stdbool.h>
#include <stdint.h>

enum { FXC_POLY_VARS = 24, FXC_POLY_TERMS = 400 };

/* Exponents of a product of variables. */
struct fxc_monomial {
    uint8_t power[FXC_POLY_VARS];
};

/* sum(coefficient * monomial) / denominator, where no coefficient is 0. */
struct fxc_polynomial {
    uint32_t vars, terms;
    int64_t denominator; /* 1 or more, without a factor common to all coefficients */
    int64_t coefficient[FXC_POLY_TERMS];
    struct fxc_monomial monomial[FXC_POLY_TERMS];
};

/* Monomials in which the variables of each group have a joint degree of at most the group's. A variable may be in
 * several groups (bits of `groups`); one in none does not occur. */
struct fxc_basis {
    uint32_t vars, count;
    bool full; /* more monomials than fit */
    struct fxc_monomial monomial[FXC_POLY_TERMS];
};
void fxc_basis_build(struct fxc_basis *basis, uint32_t vars, const uint32_t *groups, uint32_t group_count,
                     const uint32_t *degree);

enum fxc_fit { FXC_FIT_OK, FXC_FIT_NONE, FXC_FIT_MEMORY };

/* The polynomial over the basis that has value[i] at point[i * vars ...] for every row; of several, the one with the
 * simplest terms. FXC_FIT_NONE when there is none, or none whose numbers fit. */
enum fxc_fit fxc_polynomial_fit(const struct fxc_basis *basis, const int64_t *point, const int64_t *value,
                                uint32_t rows, struct fxc_polynomial *out);

/* Value at a point; false when it does not fit in 64 bits or is no integer. */
bool fxc_polynomial_value(const struct fxc_polynomial *polynomial, const int64_t *point, int64_t *out);

#endif
