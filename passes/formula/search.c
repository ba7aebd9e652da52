/* The search for a closed form. A quantity is looked for as a polynomial in the symbols, and if it is none, as one in
 * the symbols and the steps of the recorded sizes. The degree in each symbol is found along lines, the coefficients by
 * a linear solve over more points than there are coefficients, and all of it is verified at further points. */
#include <stdlib.h>
#include <string.h>

#include "passes/formula/formula.h"

enum { MAX_DEGREE = 4, TRIES = 50, LINES = 2, SPARE = 12, VERIFY = 24, WALK = 24, LARGEST_MODULUS = 16 };

struct rows {
    uint32_t vars, count;
    int64_t *point, *value; /* room for ROWS of them */
};
enum { ROWS = FXC_POLY_TERMS + SPARE, LINE_ROWS = 120 };

struct search {
    struct fxc_sampler *sampler;
    uint32_t groups[FXC_POLY_VARS]; /* per variable: the symbols it depends on; 0 for one that is not used */
    uint32_t degree[FXC_FORMULA_SYMBOLS];
    struct rows rows;
    struct fxc_basis basis;
    struct fxc_found *found;
    uint32_t recorded_steps;
};

static uint32_t symbols(const struct search *s) {
    return s->sampler->variables.symbols;
}

/* Draws until a point has a value. `line` keeps all symbols but one as they are in `base`; FXC_NONE moves all. */
static fxc_status draw(struct search *s, const int64_t *base, uint32_t line, fxc_point point, int64_t *value,
                       bool *known, fxc_error *err) {
    *known = false;
    for (int i = 0; i < TRIES && !*known; i++) {
        for (uint32_t k = 0; k < symbols(s); k++) {
            point[k] = line == FXC_NONE || line == k ? fxc_sampler_near(s->sampler, k) : base[k];
        }
        FXC_TRY(fxc_sampler_value(s->sampler, point, value, known, err));
    }
    return FXC_OK;
}

static void keep(struct rows *rows, const int64_t *point, int64_t value) {
    memcpy(rows->point + (size_t)rows->count * rows->vars, point, rows->vars * sizeof *point);
    rows->value[rows->count++] = value;
}

/* Draws rows until there are `wanted`. */
static fxc_status draw_rows(struct search *s, const int64_t *base, uint32_t line, uint32_t wanted, bool *enough,
                            fxc_error *err) {
    *enough = true;
    while (s->rows.count < wanted && *enough) {
        fxc_point point = {0};
        int64_t value;
        FXC_TRY(draw(s, base, line, point, &value, enough, err));
        if (*enough) {
            keep(&s->rows, point, value);
        }
    }
    return FXC_OK;
}

static fxc_status fit(struct search *s, bool *found, fxc_error *err) {
    enum fxc_fit outcome =
        fxc_polynomial_fit(&s->basis, s->rows.point, s->rows.value, s->rows.count, &s->found->polynomial);
    *found = outcome == FXC_FIT_OK;
    return outcome == FXC_FIT_MEMORY ? fxc_fail_memory(err, "closed form") : FXC_OK;
}

/* The smallest degree in one symbol that explains a line through a random point. */
static fxc_status line_degree(struct search *s, uint32_t symbol, bool *found, fxc_error *err) {
    uint32_t groups[FXC_POLY_VARS];
    fxc_point base = {0};
    int64_t value;
    s->rows.count = 0;
    FXC_TRY(draw(s, base, FXC_NONE, base, &value, found, err));
    for (uint32_t v = 0; v < s->rows.vars; v++) {
        groups[v] = s->groups[v] >> symbol & 1u;
    }
    bool drawn = *found;
    *found = false;
    for (uint32_t d = 0; drawn && !*found && d <= MAX_DEGREE; d++) {
        fxc_basis_build(&s->basis, s->rows.vars, groups, 1, &d);
        if (s->basis.full) {
            return FXC_OK;
        }
        FXC_TRY(draw_rows(s, base, symbol, s->basis.count + SPARE, &drawn, err));
        FXC_TRY(fit(s, found, err));
        if (*found && d > s->degree[symbol]) {
            s->degree[symbol] = d;
        }
    }
    return FXC_OK;
}

static fxc_status solve(struct search *s, bool *found, fxc_error *err) {
    for (uint32_t i = 0; i < symbols(s); i++) {
        s->degree[i] = 0;
        for (int line = 0; line < LINES; line++) {
            FXC_TRY(line_degree(s, i, found, err));
            if (!*found) {
                return FXC_OK;
            }
        }
    }
    s->rows.count = 0;
    *found = false;
    fxc_basis_build(&s->basis, s->rows.vars, s->groups, symbols(s), s->degree);
    if (s->basis.full) {
        return FXC_OK;
    }
    bool enough;
    FXC_TRY(draw_rows(s, NULL, FXC_NONE, s->basis.count + SPARE, &enough, err));
    s->found->solved_at = s->rows.count;
    return enough ? fit(s, found, err) : FXC_OK;
}

/* ---- verification ------------------------------------------------------------------------------------------------ */

/* Point `index` of the verification: near, far, and every combination of the ends of the ranges. */
static void verification_point(struct search *s, uint32_t index, fxc_point point) {
    uint32_t corners = 1u << symbols(s);
    for (uint32_t k = 0; k < symbols(s); k++) {
        if (index < corners) {
            point[k] = (index >> k & 1u) != 0 ? s->sampler->far[k] : s->sampler->low[k];
        } else if (index < corners + 2 * symbols(s) && (index - corners) / 2 == k) {
            point[k] = (index - corners) % 2 == 0 ? s->sampler->low[k] : s->sampler->far[k];
        } else {
            point[k] = index % 2 == 0 ? fxc_sampler_near(s->sampler, k) : fxc_sampler_far(s->sampler, k);
        }
    }
}

static fxc_status verify(struct search *s, bool *found, fxc_error *err) {
    uint32_t count = (1u << symbols(s)) + 2 * symbols(s) + (symbols(s) == 0 ? 0 : VERIFY);
    s->found->verified_at = 0;
    for (uint32_t i = 0; i < count && *found; i++) {
        fxc_point point = {0};
        int64_t value, expected;
        bool known;
        verification_point(s, i, point);
        FXC_TRY(fxc_sampler_value(s->sampler, point, &expected, &known, err));
        if (known) {
            *found = fxc_polynomial_value(&s->found->polynomial, point, &value) && value == expected;
            s->found->verified_at++;
        }
    }
    *found = *found && s->found->verified_at > 0;
    return FXC_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* Marks the steps that say something of their own: not those that are constant in the range, or that differ from a
 * symbol or an earlier step by a constant. */
static fxc_status choose_steps(struct search *s, bool *any, fxc_error *err) {
    const struct fxc_variables *v = &s->sampler->variables;
    int64_t first[FXC_POLY_VARS] = {0};
    bool apart[FXC_POLY_VARS][FXC_POLY_VARS + 1] = {{false}};
    *any = false;
    for (int walk = 0; walk < WALK; walk++) {
        fxc_point point = {0};
        int64_t value;
        bool known;
        FXC_TRY(draw(s, NULL, FXC_NONE, point, &value, &known, err));
        if (!known) {
            return FXC_OK;
        }
        for (uint32_t a = v->symbols; a < s->rows.vars; a++) {
            if (walk == 0) {
                memcpy(first, point, sizeof first);
            }
            for (uint32_t b = 0; b < a; b++) {
                apart[a][b] = apart[a][b] || point[a] - point[b] != first[a] - first[b];
            }
            apart[a][a] = apart[a][a] || point[a] != first[a];
        }
    }
    for (uint32_t a = v->symbols; a < s->rows.vars; a++) {
        bool own = apart[a][a];
        for (uint32_t b = 0; b < a; b++) {
            own = own && (apart[a][b] || s->groups[b] == 0);
        }
        s->groups[a] = own ? v->step[a - v->symbols].symbols : 0;
        *any = *any || s->groups[a] != 0;
    }
    return FXC_OK;
}

/* ---- residues ---------------------------------------------------------------------------------------------------- */

/* Whether the line that is drawn becomes a polynomial when a residue joins its variables. */
static fxc_status residue_explains(struct search *s, const struct fxc_step *step, uint32_t symbol, bool *found,
                                   fxc_error *err) {
    uint32_t groups[FXC_POLY_VARS], last = s->rows.vars - 1;
    const uint32_t degree = 2;
    for (uint32_t r = 0; r < s->rows.count; r++) {
        int64_t *point = s->rows.point + (size_t)r * s->rows.vars;
        point[last] = fxc_residue_value(step, point[step->of]);
    }
    for (uint32_t v = 0; v < last; v++) {
        groups[v] = s->groups[v] >> symbol & 1u;
    }
    groups[last] = 1;
    fxc_basis_build(&s->basis, s->rows.vars, groups, 1, &degree);
    *found = false;
    return s->basis.full || s->basis.count + SPARE > s->rows.count ? FXC_OK : fit(s, found, err);
}

/* Looks for the residue that explains a line along a symbol, as adaptive pooling needs, whose windows overlap by
 * gcd(size, windows): the rule is of the operator, and in no recorded size. The step is added when it is found. */
static fxc_status find_residue(struct search *s, uint32_t symbol, bool *found, fxc_error *err) {
    struct fxc_variables *v = &s->sampler->variables;
    fxc_point base = {0};
    int64_t value;
    uint32_t before = s->rows.vars;
    *found = false;
    if (before == FXC_POLY_VARS) {
        return FXC_OK;
    }
    s->rows.vars++;
    s->rows.count = 0;
    bool drawn;
    FXC_TRY(draw(s, base, FXC_NONE, base, &value, &drawn, err));
    if (drawn) {
        FXC_TRY(draw_rows(s, base, symbol, LINE_ROWS, &drawn, err));
    }
    struct fxc_step step = {.symbols = 0};
    for (int64_t m = 2; drawn && !*found && m <= LARGEST_MODULUS; m++) {
        for (uint32_t k = 0; !*found && k < 2 * before; k++) {
            step = (struct fxc_step){.modulus = m, .of = k / 2, .gcd = k % 2 == 0, .symbols = s->groups[k / 2]};
            if ((step.symbols >> symbol & 1u) != 0) {
                FXC_TRY(residue_explains(s, &step, symbol, found, err));
            }
        }
    }
    if (*found) {
        s->groups[before] = step.symbols;
        v->step[v->steps++] = step;
    } else {
        s->rows.vars = before;
    }
    return FXC_OK;
}

static fxc_status find_residues(struct search *s, bool *any, fxc_error *err) {
    *any = false;
    for (uint32_t i = 0; i < symbols(s); i++) {
        bool found;
        FXC_TRY(line_degree(s, i, &found, err));
        if (!found) {
            FXC_TRY(find_residue(s, i, &found, err));
            *any = *any || found;
            if (!found) {
                *any = false;
                return FXC_OK;
            }
        }
    }
    return FXC_OK;
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

static fxc_status attempt(struct search *s, uint8_t kind, bool *found, fxc_error *err) {
    FXC_TRY(solve(s, found, err));
    if (*found) {
        FXC_TRY(verify(s, found, err));
    }
    if (*found) {
        s->found->kind = kind;
    }
    return FXC_OK;
}

/* Without steps, with those of the recorded sizes, and with residues. */
static fxc_status attempt_all(struct search *s, bool *found, fxc_error *err) {
    bool any;
    s->sampler->variables.steps = s->recorded_steps;
    s->rows.vars = symbols(s) + s->recorded_steps;
    for (uint32_t v = 0; v < s->rows.vars; v++) {
        s->groups[v] = v < symbols(s) ? 1u << v : 0;
    }
    FXC_TRY(attempt(s, FXC_FORMULA_POLYNOMIAL, found, err));
    if (!*found) {
        FXC_TRY(choose_steps(s, &any, err));
        if (any) {
            FXC_TRY(attempt(s, FXC_FORMULA_PIECEWISE, found, err));
        }
    }
    if (!*found) {
        FXC_TRY(find_residues(s, &any, err));
        if (any) {
            FXC_TRY(attempt(s, FXC_FORMULA_PIECEWISE, found, err));
        }
    }
    return FXC_OK;
}

/* Empty tensors and those of one element can cost otherwise than all others: an expanded operand of an empty result is
 * not read at all. Leaves out sizes below `from`; *changed is false when there are none. */
static void leave_out(struct search *s, const int64_t *captured, int64_t from, bool *changed) {
    *changed = false;
    for (uint32_t i = 0; i < symbols(s); i++) {
        int64_t low = captured[i] < from && from <= s->sampler->near[i] ? from : captured[i];
        *changed = *changed || low != s->sampler->low[i];
        s->sampler->low[i] = low;
    }
}

/* Takes back what was left out in vain, symbol by symbol, as far as the formula verifies there too. */
static fxc_status widen(struct search *s, const int64_t *captured, fxc_error *err) {
    for (uint32_t i = 0; i < symbols(s); i++) {
        int64_t low = s->sampler->low[i];
        uint32_t verified = s->found->verified_at;
        bool holds = low != captured[i];
        if (holds) {
            s->sampler->low[i] = captured[i];
            FXC_TRY(verify(s, &holds, err));
        }
        if (!holds) {
            s->sampler->low[i] = low;
            s->found->verified_at = verified;
        }
    }
    return FXC_OK;
}

static fxc_status run(struct search *s, fxc_error *err) {
    enum { LARGEST_LEFT_OUT = 2 };
    int64_t captured[FXC_FORMULA_SYMBOLS];
    const struct fxc_sampler *sampler = s->sampler;
    bool found = false;
    memcpy(captured, sampler->low, sizeof captured);
    FXC_TRY(attempt_all(s, &found, err));
    for (int64_t from = 1; from <= LARGEST_LEFT_OUT && !found; from++) {
        bool changed;
        leave_out(s, captured, from, &changed);
        if (changed) {
            FXC_TRY(attempt_all(s, &found, err));
        }
        if (changed && found) {
            FXC_TRY(widen(s, captured, err));
        }
    }
    for (uint32_t i = 0; i < symbols(s); i++) {
        s->found->from[i] = sampler->low[i];
        s->found->narrowed |= sampler->low[i] != captured[i] ? 1u << i : 0;
    }
    if (!found && sampler->refused > 0 && sampler->refused * 2 > sampler->evaluated) {
        if (err != NULL && err->struct_size >= sizeof *err) {
            *err = sampler->refusal;
        }
        return (fxc_status)sampler->refusal.status;
    }
    return FXC_OK;
}

fxc_status fxc_formula_search(struct fxc_sampler *sampler, struct fxc_found *found, fxc_error *err) {
    struct search *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return fxc_fail_memory(err, "closed form");
    }
    s->sampler = sampler;
    s->found = found;
    s->recorded_steps = sampler->variables.steps;
    s->rows.point = calloc((size_t)ROWS * FXC_POLY_VARS, sizeof *s->rows.point);
    s->rows.value = calloc(ROWS, sizeof *s->rows.value);
    found->kind = FXC_FORMULA_NONE;
    fxc_status status =
        s->rows.point == NULL || s->rows.value == NULL ? fxc_fail_memory(err, "closed form") : run(s, err);
    free(s->rows.point);
    free(s->rows.value);
    free(s);
    return status;
}
