/* Closed forms: the public calls. */
#include "passes/formula/formula.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const quantities[] = {
#define X(name) #name,
    FXC_QUANTITY_LIST(X)
#undef X
};
enum { QUANTITIES = sizeof quantities / sizeof quantities[0] };

static fxc_status find_quantity(const char *name, uint32_t *out, fxc_error *err) {
    for (*out = 0; *out < QUANTITIES; ++*out) {
        if (strcmp(quantities[*out], name) == 0) {
            return FXC_OK;
        }
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "closed form");
#define X(name) #name " "
    fxc_expected(err, "one of " FXC_QUANTITY_LIST(X));
#undef X
    fxc_found(err, "'%s'", name);
    return status;
}

bool fxc_polynomial_reads(const struct fxc_polynomial *p, uint32_t variable) {
    for (uint32_t t = 0; t < p->terms; t++) {
        if (p->monomial[t].power[variable] != 0) {
            return true;
        }
    }
    return false;
}

/* A formula that was found with steps and needs none is a polynomial after all. */
static fxc_status describe(struct fxc_formula *f, fxc_error *err) {
    const struct fxc_variables *v = &f->variables;
    if (f->found.kind == FXC_FORMULA_NONE) {
        return FXC_OK;
    }
    for (uint32_t i = 0; i < v->steps; i++) {
        if (fxc_polynomial_reads(&f->found.polynomial, v->symbols + i)) {
            const char *text = fxc_variable_text(v, v->symbols + i, &f->arena);
            if (text == NULL) {
                return fxc_fail_memory(err, "closed form");
            }
            f->step[f->steps++] = text;
        }
    }
    f->found.kind = f->steps == 0 ? FXC_FORMULA_POLYNOMIAL : FXC_FORMULA_PIECEWISE;
    f->text = fxc_polynomial_text(&f->found.polynomial, v, &f->arena);
    f->domain = fxc_domain_text(&f->found, v, &f->arena);
    return f->text == NULL || f->domain == NULL ? fxc_fail_memory(err, "closed form") : FXC_OK;
}

static fxc_status find(const fxc_program *program, uint32_t quantity, struct fxc_formula *f, fxc_error *err) {
    struct fxc_sampler sampler;
    fxc_status status = fxc_sampler_init(&sampler, program, quantity, err);
    if (status == FXC_OK) {
        status = fxc_formula_search(&sampler, &f->found, err);
    }
    f->variables = sampler.variables;
    f->refused = sampler.refused;
    f->unknown_nodes = sampler.unknown_nodes;
    fxc_sampler_free(&sampler);
    FXC_TRY(status);
    return describe(f, err);
}

fxc_status fxc_formula_new(const fxc_program *program, const char *quantity, fxc_formula **out, fxc_error *err) {
    uint32_t number;
    *out = NULL;
    FXC_TRY(find_quantity(quantity, &number, err));
    struct fxc_formula *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return fxc_fail_memory(err, "closed form");
    }
    f->quantity = quantities[number];
    fxc_status status = find(program, number, f, err);
    if (status != FXC_OK) {
        fxc_formula_free(f);
        return status;
    }
    *out = f;
    return FXC_OK;
}

void fxc_formula_free(fxc_formula *formula) {
    if (formula != NULL) {
        fxc_arena_free(&formula->arena);
        free(formula);
    }
}

fxc_status fxc_formula_get_info(const fxc_formula *f, fxc_formula_info *info, fxc_error *err) {
    if (info->struct_size < sizeof *info) {
        return fxc_fail(err, FXC_USAGE, "fxc_formula_get_info: struct_size is smaller than this version's structure");
    }
    bool any = f->found.kind != FXC_FORMULA_NONE;
    *info = (fxc_formula_info){
        .struct_size = info->struct_size,
        .quantity = f->quantity,
        .text = any ? f->text : "",
        .domain = any ? f->domain : "",
        .kind = f->found.kind,
        .terms = any ? f->found.polynomial.terms : 0,
        .steps = f->steps,
        .solved_at = any ? f->found.solved_at : 0,
        .verified_at = any ? f->found.verified_at : 0,
        .refused_at = f->refused,
        .unknown_nodes = f->unknown_nodes,
    };
    return FXC_OK;
}

const char *fxc_formula_text(const fxc_formula *formula) {
    return formula->text;
}

const char *fxc_formula_step(const fxc_formula *formula, uint32_t index) {
    return index < formula->steps ? formula->step[index] : NULL;
}

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

/* Sets the sizes on an analysis, which knows names and ranges. */
static fxc_status bind(struct fxc_analysis *analysis, const fxc_size *sizes, size_t count, fxc_error *err) {
    for (uint32_t i = 0; i < FXC_COUNT(analysis->program, symbol); i++) {
        if ((analysis->program->symbol_flags[i] & FXC_SYMBOL_FLAG_TRIP) == 0) {
            analysis->bindings[i] = (struct fxc_binding){0};
        }
    }
    for (size_t i = 0; i < count; i++) {
        char option[160], text[24];
        if (snprintf(option, sizeof option, "dim.%s", sizes[i].dim) >= (int)sizeof option) {
            return fxc_fail(err, FXC_USAGE, "fxc_formula_evaluate: the name of a dimension is too long");
        }
        (void)snprintf(text, sizeof text, "%" PRId64, sizes[i].value);
        FXC_TRY(fxc_analysis_set(analysis, option, text, err));
    }
    return fxc_check_constraints(analysis, err);
}

/* The variables of the formula; those that do not occur in it may be unset. */
static fxc_status point_of(const fxc_formula *f, const struct fxc_binding *bindings, fxc_point point, fxc_error *err) {
    const struct fxc_variables *v = &f->variables;
    for (uint32_t i = 0; i < v->symbols + v->steps; i++) {
        if (!fxc_polynomial_reads(&f->found.polynomial, i) && (i >= v->symbols || (f->found.narrowed >> i & 1u) == 0)) {
            continue;
        }
        struct fxc_number number = {.symbol = FXC_NONE};
        bool known;
        if (i < v->symbols) {
            known = bindings[v->symbol[i]].known;
            number.i = bindings[v->symbol[i]].value;
            number.symbol = v->symbol[i];
        } else {
            known = fxc_step_value(v, i - v->symbols, bindings, &number.i);
        }
        if (!known) {
            fxc_status status = fxc_fail(err, FXC_UNBOUND, "%s: closed form of %s", v->program->file, f->quantity);
            fxc_expected(err, "a size for every dimension of the formula");
            fxc_found(err, "none for '%s'",
                      number.symbol == FXC_NONE ? "a step"
                                                : fxc_string(v->program, v->program->symbol_dim[number.symbol]));
            return status;
        }
        if (i < v->symbols && (f->found.narrowed >> i & 1u) != 0 && number.i < f->found.from[i]) {
            fxc_status status = fxc_fail(err, FXC_USAGE, "%s: closed form of %s", v->program->file, f->quantity);
            fxc_expected(err, "%s, where the formula holds", f->domain);
            fxc_found(err, "%" PRId64, number.i);
            fxc_advice(err, "analyse the program at this size");
            return status;
        }
        point[i] = number.i;
    }
    return FXC_OK;
}

fxc_status fxc_formula_evaluate(const fxc_formula *f, const fxc_size *sizes, size_t count, int64_t *value,
                                fxc_error *err) {
    fxc_analysis *analysis;
    fxc_point point = {0};
    if (f->found.kind == FXC_FORMULA_NONE) {
        return fxc_fail(err, FXC_UNKNOWN_OPS, "%s has no closed form", f->quantity);
    }
    if (f->variables.program == NULL) {
        return fxc_generation_evaluate(f, sizes, count, value, err);
    }
    FXC_TRY(fxc_analysis_new(f->variables.program, &analysis, err));
    fxc_status status = bind(analysis, sizes, count, err);
    if (status == FXC_OK) {
        status = point_of(f, analysis->bindings, point, err);
    }
    if (status == FXC_OK && !fxc_polynomial_value(&f->found.polynomial, point, value)) {
        status = fxc_fail(err, FXC_OVERFLOW, "closed form of %s", f->quantity);
        fxc_expected(err, "a value below 2^63");
    }
    fxc_analysis_free(analysis);
    return status;
}
