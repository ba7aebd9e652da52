/* The closed form of a generation: the formula of the first pass, and that of a step summed over the cache's lengths.
 * A sum of a polynomial over a range is a polynomial of one degree more in the range's ends (Faulhaber), so it is
 * solved for from values, as any formula is, and verified at further ones. */
#include "passes/formula/formula.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPT, NEW, OTHERS, MOST_POINTS = 2 * FXC_POLY_TERMS };

/* Both formulas, and where their variables are among those of the generation. */
struct generation {
    const struct fxc_formula *first, *step;
    uint32_t first_variable[FXC_POLY_VARS], step_variable[FXC_POLY_VARS];
    struct fxc_variables *variables;
};

static const char *symbol_name(const struct fxc_variables *v, uint32_t symbol) {
    const char *dim = fxc_string(v->program, v->program->symbol_dim[v->symbol[symbol]]);
    return dim[0] != '\0' ? dim : fxc_string(v->program, v->program->symbol_name[v->symbol[symbol]]);
}

static const char *copied(struct fxc_arena *arena, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = FXC_NEW(arena, char, size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

/* The variables of one program: the dimension of its length is `length`, others go by name. */
static fxc_status place(struct generation *g, const struct fxc_formula *formula, const char *dim, uint32_t length,
                        uint32_t *variable, struct fxc_arena *arena, fxc_error *err) {
    const struct fxc_variables *from = &formula->variables;
    struct fxc_variables *to = g->variables;
    bool found = false;
    for (uint32_t i = 0; i < from->symbols; i++) {
        const char *name = symbol_name(from, i);
        uint32_t at = OTHERS;
        if (strcmp(name, dim) == 0) {
            variable[i] = length;
            found = true;
            continue;
        }
        while (at < to->symbols && strcmp(to->name[at], name) != 0) {
            at++;
        }
        if (at == FXC_FORMULA_SYMBOLS) {
            return fxc_fail(err, FXC_USAGE, "closed form of a generation: more than %d dimensions",
                            FXC_FORMULA_SYMBOLS);
        }
        if (at == to->symbols) {
            to->name[to->symbols++] = copied(arena, name);
            if (to->name[at] == NULL) {
                return fxc_fail_memory(err, "closed form");
            }
        }
        variable[i] = at;
    }
    if (!found) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: closed form of a generation", from->program->file);
        fxc_expected(err, "a dynamic dimension '%s'", dim);
        fxc_found(err, "none of that name");
        return status;
    }
    return FXC_OK;
}

static bool value_of(const struct fxc_formula *formula, const uint32_t *variable, const int64_t *point, int64_t length,
                     int64_t *out) {
    fxc_point own = {0};
    for (uint32_t i = 0; i < formula->variables.symbols; i++) {
        own[i] = variable[i] == PROMPT ? length : point[variable[i]];
    }
    return fxc_polynomial_value(&formula->found.polynomial, own, out);
}

/* The first pass and new - 1 steps, one by one. */
static bool add_up(const struct generation *g, const int64_t *point, int64_t *out) {
    bool known = value_of(g->first, g->first_variable, point, point[PROMPT], out);
    bool once = strcmp(g->first->quantity, "params") == 0; /* what the model has, not what it does */
    for (int64_t i = 0; known && !once && i + 1 < point[NEW]; i++) {
        int64_t value;
        known = value_of(g->step, g->step_variable, point, point[PROMPT] + i, &value) && !fxc_add(*out, value, out);
    }
    return known;
}

/* Largest exponents of each variable. */
static void raise_degrees(const struct fxc_formula *formula, const uint32_t *variable, uint32_t *degree) {
    const struct fxc_polynomial *p = &formula->found.polynomial;
    for (uint32_t t = 0; t < p->terms; t++) {
        for (uint32_t i = 0; i < formula->variables.symbols; i++) {
            uint32_t power = p->monomial[t].power[i], at = variable[i];
            degree[at] = power > degree[at] ? power : degree[at];
        }
    }
}

/* Sizes that differ in every variable: residues of a walk, from 1 on. */
static void choose(int64_t *point, uint32_t vars, uint64_t *random) {
    for (uint32_t v = 0; v < vars; v++) {
        *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        point[v] = 1 + (int64_t)(*random >> 33) % (v == NEW ? 24 : 40);
    }
}

static fxc_status solve(struct generation *g, struct fxc_formula *out, fxc_error *err) {
    uint32_t vars = g->variables->symbols, degree[FXC_POLY_VARS] = {0}, groups[FXC_POLY_VARS];
    struct fxc_basis *basis = malloc(sizeof *basis);
    int64_t *point = malloc((size_t)MOST_POINTS * vars * sizeof *point), *value = malloc(MOST_POINTS * sizeof *value);
    uint64_t random = 1;
    uint32_t rows = 0;
    enum fxc_fit fit = FXC_FIT_MEMORY;
    if (basis != NULL && point != NULL && value != NULL) {
        raise_degrees(g->first, g->first_variable, degree);
        raise_degrees(g->step, g->step_variable, degree);
        /* One group for each variable, and one for the length and the number of steps together. */
        degree[NEW] = ++degree[PROMPT];
        for (uint32_t v = 0; v < vars; v++) {
            groups[v] = v == NEW ? 1u << PROMPT : 1u << v;
        }
        fxc_basis_build(basis, vars, groups, vars, degree);
        uint32_t wanted = basis->full ? 0 : 2 * basis->count;
        for (uint32_t tries = 0; rows < wanted && tries < 4 * wanted; tries++) {
            choose(point + (size_t)rows * vars, vars, &random);
            rows += add_up(g, point + (size_t)rows * vars, &value[rows]);
        }
        fit = wanted > 0 && rows == wanted ? fxc_polynomial_fit(basis, point, value, rows, &out->found.polynomial)
                                           : FXC_FIT_NONE;
        out->found.kind = fit == FXC_FIT_OK ? FXC_FORMULA_POLYNOMIAL : FXC_FORMULA_NONE;
        out->found.solved_at = basis->count;
        out->found.verified_at = rows - basis->count;
    }
    free(basis);
    free(point);
    free(value);
    return fit == FXC_FIT_MEMORY ? fxc_fail_memory(err, "closed form") : FXC_OK;
}

/* Whether a formula holds only from larger sizes on than a generation may have. */
static bool starts_late(const struct fxc_found *found) {
    for (uint32_t i = 0; i < FXC_FORMULA_SYMBOLS; i++) {
        if ((found->narrowed >> i & 1u) != 0 && found->from[i] > 2) {
            return true;
        }
    }
    return false;
}

static fxc_status generate(const struct fxc_formula *first, const char *prompt, const struct fxc_formula *step,
                           const char *cache, struct fxc_formula *out, fxc_error *err) {
    struct generation g = {.first = first, .step = step, .variables = &out->variables};
    out->variables.name[PROMPT] = "prompt";
    out->variables.name[NEW] = "new";
    out->variables.symbols = OTHERS;
    out->quantity = first->quantity;
    out->unknown_nodes = first->unknown_nodes + step->unknown_nodes;
    out->found.kind = FXC_FORMULA_NONE;
    out->domain = "";
    FXC_TRY(place(&g, first, prompt, PROMPT, g.first_variable, &out->arena, err));
    FXC_TRY(place(&g, step, cache, PROMPT, g.step_variable, &out->arena, err));
    if (first->found.kind != FXC_FORMULA_POLYNOMIAL || step->found.kind != FXC_FORMULA_POLYNOMIAL ||
        starts_late(&first->found) || starts_late(&step->found)) {
        return FXC_OK;
    }
    FXC_TRY(solve(&g, out, err));
    out->text = out->found.kind == FXC_FORMULA_NONE
                    ? ""
                    : fxc_polynomial_text(&out->found.polynomial, &out->variables, &out->arena);
    return out->text == NULL ? fxc_fail_memory(err, "closed form") : FXC_OK;
}

fxc_status fxc_formula_generation(const fxc_program *first, const char *prompt, const fxc_program *step,
                                  const char *cache, const char *quantity, fxc_formula **out, fxc_error *err) {
    fxc_formula *of_first = NULL, *of_step = NULL, *made = calloc(1, sizeof *made);
    *out = NULL;
    fxc_status status = made == NULL ? fxc_fail_memory(err, "closed form") : FXC_OK;
    if (status == FXC_OK) {
        status = fxc_formula_new(first, quantity, &of_first, err);
    }
    if (status == FXC_OK) {
        status = fxc_formula_new(step, quantity, &of_step, err);
    }
    if (status == FXC_OK) {
        status = generate(of_first, prompt, of_step, cache, made, err);
    }
    fxc_formula_free(of_first);
    fxc_formula_free(of_step);
    if (status != FXC_OK) {
        fxc_formula_free(made);
        return status;
    }
    *out = made;
    return FXC_OK;
}

fxc_status fxc_generation_evaluate(const struct fxc_formula *formula, const fxc_size *sizes, size_t count,
                                   int64_t *value, fxc_error *err) {
    const struct fxc_variables *v = &formula->variables;
    fxc_point point = {0};
    for (uint32_t i = 0; i < v->symbols; i++) {
        size_t at = 0;
        while (at < count && strcmp(sizes[at].dim, v->name[i]) != 0) {
            at++;
        }
        if (at == count && !fxc_polynomial_reads(&formula->found.polynomial, i)) {
            continue; /* such as a symbol that only says how two sizes relate */
        }
        if (at == count) {
            fxc_status status = fxc_fail(err, FXC_UNBOUND, "closed form of %s", formula->quantity);
            fxc_expected(err, "a size for every dimension of the formula");
            fxc_found(err, "none for '%s'", v->name[i]);
            return status;
        }
        if (sizes[at].value < 1) {
            fxc_status status = fxc_fail(err, FXC_USAGE, "closed form of %s: %s", formula->quantity, v->name[i]);
            fxc_expected(err, "1 or more");
            fxc_found(err, "%" PRId64, sizes[at].value);
            return status;
        }
        point[i] = sizes[at].value;
    }
    if (!fxc_polynomial_value(&formula->found.polynomial, point, value)) {
        fxc_status status = fxc_fail(err, FXC_OVERFLOW, "closed form of %s", formula->quantity);
        fxc_expected(err, "a value below 2^63");
        return status;
    }
    return FXC_OK;
}
