/* Shared by the files that find and print closed forms. */
#ifndef FXC_PASSES_FORMULA_H
#define FXC_PASSES_FORMULA_H

#include "fxcost/formula.h"
#include "passes/analysis.h"
#include "passes/formula/polynomial.h"

/* A part of a recorded size that is no polynomial, such as ceil(height / 2): tokens begin to end - 1. Or, with a
 * modulus, the residue of another variable, or their greatest common divisor. */
struct fxc_step {
    uint32_t begin, end;
    uint32_t symbols; /* bit i: reads symbol i of the formula */
    int64_t modulus;  /* 0 for a part of a recorded size */
    uint32_t of;      /* variable */
    bool gcd;
};

/* The variables of a formula: symbols, then steps. Without a program: names, of a generation. */
struct fxc_variables {
    const struct fxc_program *program;
    const char *name[FXC_POLY_VARS];
    uint32_t symbols, steps;
    uint32_t symbol[FXC_POLY_VARS]; /* rows of the program */
    struct fxc_step step[FXC_POLY_VARS];
};

enum { FXC_FORMULA_SYMBOLS = 8 };

/* Evaluates the program at chosen points. */
struct fxc_sampler {
    struct fxc_variables variables;
    struct fxc_analysis *analysis;
    uint32_t quantity;
    /* Per symbol: sizes from low to near are where most points lie, far is the largest size that can be counted. */
    int64_t low[FXC_FORMULA_SYMBOLS], near[FXC_FORMULA_SYMBOLS], far[FXC_FORMULA_SYMBOLS];
    uint64_t random;
    uint32_t evaluated, refused;
    int64_t unknown_nodes; /* the most seen */
    fxc_error refusal;     /* the last contradiction */
};

/* A point is the sizes of the symbols and then the values of the steps. */
typedef int64_t fxc_point[FXC_POLY_VARS];

fxc_status fxc_sampler_init(struct fxc_sampler *sampler, const struct fxc_program *program, uint32_t quantity,
                            fxc_error *err);
void fxc_sampler_free(struct fxc_sampler *sampler);
/* A size of a symbol by chance: near or, of even logarithm, anywhere in the range. */
int64_t fxc_sampler_near(struct fxc_sampler *sampler, uint32_t symbol);
int64_t fxc_sampler_far(struct fxc_sampler *sampler, uint32_t symbol);
/* The quantity at a point whose symbols are set, and the point's steps. *known is false at a point that violates a
 * constraint, whose cost is beyond 64 bits, or where the program contradicts itself. */
fxc_status fxc_sampler_value(struct fxc_sampler *sampler, fxc_point point, int64_t *value, bool *known, fxc_error *err);

/* Step `index`; false when it has no value. */
bool fxc_step_value(const struct fxc_variables *variables, uint32_t index, const struct fxc_binding *bindings,
                    int64_t *out);
/* The same of a value of the variable that a step with a modulus is of. */
int64_t fxc_residue_value(const struct fxc_step *step, int64_t of);

/* What the search found. */
struct fxc_found {
    uint8_t kind; /* fxc_formula_kind */
    uint32_t solved_at, verified_at;
    uint32_t narrowed; /* bits: symbols of which smaller sizes than `from` are left out */
    int64_t from[FXC_FORMULA_SYMBOLS];
    struct fxc_polynomial polynomial;
};
fxc_status fxc_formula_search(struct fxc_sampler *sampler, struct fxc_found *found, fxc_error *err);

struct fxc_formula {
    struct fxc_variables variables;
    struct fxc_found found;
    uint32_t refused;
    int64_t unknown_nodes;
    uint32_t steps; /* that occur in the polynomial */
    const char *quantity, *text, *domain;
    const char *step[FXC_POLY_VARS];
    struct fxc_arena arena;
};
/* Whether a variable occurs. */
bool fxc_polynomial_reads(const struct fxc_polynomial *polynomial, uint32_t variable);
/* The value of a formula of a generation (passes/formula/generation.c). */
fxc_status fxc_generation_evaluate(const struct fxc_formula *formula, const fxc_size *sizes, size_t count,
                                   int64_t *value, fxc_error *err);

/* Text from the arena; NULL when memory is out. */
const char *fxc_polynomial_text(const struct fxc_polynomial *polynomial, const struct fxc_variables *variables,
                                struct fxc_arena *arena);
/* A symbol's name, or a step. */
const char *fxc_variable_text(const struct fxc_variables *variables, uint32_t variable, struct fxc_arena *arena);
const char *fxc_domain_text(const struct fxc_found *found, const struct fxc_variables *variables,
                            struct fxc_arena *arena);
const char *fxc_tokens_text(const struct fxc_program *program, uint32_t begin, uint32_t end, struct fxc_arena *arena);

#endif
