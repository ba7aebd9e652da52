/* Closed forms: what a program costs, as an exact expression in its dynamic dimensions. */
#ifndef FXCOST_FORMULA_H
#define FXCOST_FORMULA_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The quantities, per run of the program: fields of fxc_totals, and bytes = bytes_read + bytes_written. */
#define FXC_QUANTITY_LIST(X)                                                                                           \
    X(flops)                                                                                                           \
    X(macs)                                                                                                            \
    X(matrix_flops)                                                                                                    \
    X(vector_flops)                                                                                                    \
    X(transcendentals)                                                                                                 \
    X(int_ops)                                                                                                         \
    X(bytes)                                                                                                           \
    X(bytes_read)                                                                                                      \
    X(bytes_written)                                                                                                   \
    X(kernels)                                                                                                         \
    X(params)

typedef enum fxc_formula_kind {
    FXC_FORMULA_POLYNOMIAL = 0, /* a polynomial in the dimensions */
    FXC_FORMULA_PIECEWISE = 1,  /* a polynomial in them and in steps: ceil, floor, mod, gcd, min or max of them */
    FXC_FORMULA_NONE = 2,       /* neither was found: no formula is given, never a fit */
} fxc_formula_kind;

/* A formula; it keeps no state between calls, so threads may share it. The program must outlive it. */
typedef struct fxc_formula fxc_formula;

typedef struct fxc_formula_info {
    size_t struct_size;
    const char *quantity;
    const char *text;   /* "2*batch*seq*(1179648 + seq)"; "" of FXC_FORMULA_NONE */
    const char *domain; /* "batch >= 1" when the formula does not hold at smaller sizes, else "" */
    uint8_t kind;       /* fxc_formula_kind */
    uint32_t terms;
    uint32_t steps;        /* of a piecewise formula: see fxc_formula_step */
    uint32_t solved_at;    /* points that determined the coefficients, */
    uint32_t verified_at;  /* and further ones, ends of the ranges among them, that the formula met exactly */
    uint32_t refused_at;   /* points within the ranges at which the program contradicts itself */
    int64_t unknown_nodes; /* operators without a formula: what they cost is in no quantity */
} fxc_formula_info;

/* Finds the formula of a quantity: evaluates the program at points within the captured ranges and constraints of its
 * symbols, solves for the coefficients exactly, and verifies them at further points. The points are the same in every
 * call. Every operator's cost is a polynomial in sizes of bounded degree, or in the steps that the capture recorded in
 * its sizes, so agreement at more points than coefficients leaves no room for another formula of the same terms; a
 * quantity that disagrees at one point has none. Sizes 0 and 1 are left out where they cost otherwise (`domain`).
 * FXC_USAGE for another quantity or more symbols than it can handle; FXC_PROGRAM where the program contradicts itself
 * at most points of the ranges; FXC_OVERFLOW, FXC_MEMORY. FXC_OK also where there is no formula. */
FXC_API fxc_status fxc_formula_new(const fxc_program *program, const char *quantity, fxc_formula **out, fxc_error *err);
FXC_API void fxc_formula_free(fxc_formula *formula);
/* Strings live as long as the formula. */
FXC_API fxc_status fxc_formula_get_info(const fxc_formula *formula, fxc_formula_info *info, fxc_error *err);
/* The formula as text, NULL when there is none. */
FXC_API const char *fxc_formula_text(const fxc_formula *formula);
/* Step `index` of a piecewise formula, "ceil(height/2)": the formula breaks where it does. NULL past the end. */
FXC_API const char *fxc_formula_step(const fxc_formula *formula, uint32_t index);

/* One dimension and its size, by the user's Dim name or torch's symbol name. */
typedef struct fxc_size {
    const char *dim;
    int64_t value;
} fxc_size;
/* The formula's value. FXC_USAGE for a size out of the captured range or the domain, or a violated constraint,
 * FXC_UNBOUND when a dimension of the formula has no size, FXC_OVERFLOW; FXC_UNKNOWN_OPS when there is no formula. */
FXC_API fxc_status fxc_formula_evaluate(const fxc_formula *formula, const fxc_size *sizes, size_t count, int64_t *value,
                                        fxc_error *err);

/* Generating tokens: a first pass over the prompt, whose dimension `prompt` is its length, gives the first token; each
 * further one is a step over a cache, whose dimension `cache` is its length before the step: as long as the prompt, and
 * one more each time. Dimensions of both programs with the same name are the same. The formula is in these, in
 * "prompt" and in "new", the number of tokens: the first pass and the sum over new - 1 steps, exactly. FXC_USAGE when a
 * dimension is missing. FXC_FORMULA_NONE where either program's formula is no polynomial. The programs may go. */
FXC_API fxc_status fxc_formula_generation(const fxc_program *first, const char *prompt, const fxc_program *step,
                                          const char *cache, const char *quantity, fxc_formula **out, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
