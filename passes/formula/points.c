/* The points at which a closed form is solved for and verified. */
#include <stdlib.h>
#include <string.h>

#include "passes/formula/formula.h"

enum { NEAR = 511, DEPTH = 64 };

/* ---- variables --------------------------------------------------------------------------------------------------- */

static uint8_t arity(uint8_t op) {
    static const uint8_t operands[FXC_TOKEN_COUNT] = {
#define X(name, text, count) [FXC_TOKEN_##name] = (count),
        FXC_TOKEN_LIST(X)
#undef X
    };
    return operands[op];
}

/* Whether the postfix leaves one value and is shallow, so that it may be walked from its end. */
static bool well_formed(const struct fxc_program *p, uint32_t begin, uint32_t end) {
    uint32_t depth = 0;
    for (uint32_t t = begin; t < end; t++) {
        uint8_t take = arity(p->token_op[t]);
        if (take > depth || depth - take + 1 > DEPTH) {
            return false;
        }
        depth = depth - take + 1;
    }
    return depth == 1;
}

/* Where the postfix of the operand begins that ends before `end`. */
static uint32_t operand_begin(const struct fxc_program *p, uint32_t end) {
    uint32_t missing = 1;
    while (missing > 0) {
        end--;
        missing += arity(p->token_op[end]);
        missing--;
    }
    return end;
}

static bool is_leaf(uint8_t op) {
    return arity(op) == 0;
}

static bool is_product_or_sum(uint8_t op) {
    return op == FXC_TOKEN_ADD || op == FXC_TOKEN_MUL || op == FXC_TOKEN_POW;
}

static uint32_t symbols_of(const struct fxc_variables *v, uint32_t begin, uint32_t end) {
    uint32_t bits = 0;
    for (uint32_t t = begin; t < end; t++) {
        for (uint32_t i = 0; i < v->symbols && v->program->token_op[t] == FXC_TOKEN_SYMBOL; i++) {
            bits |= v->program->token_payload[t] == (int64_t)v->symbol[i] ? 1u << i : 0;
        }
    }
    return bits;
}

static void add_step(struct fxc_variables *v, uint32_t begin, uint32_t end) {
    const struct fxc_program *p = v->program;
    size_t length = end - begin;
    for (uint32_t i = 0; i < v->steps; i++) {
        uint32_t other = v->step[i].begin;
        if (v->step[i].end - other == length && memcmp(p->token_op + begin, p->token_op + other, length) == 0 &&
            memcmp(p->token_payload + begin, p->token_payload + other, length * sizeof p->token_payload[0]) == 0) {
            return;
        }
    }
    if (v->symbols + v->steps < FXC_POLY_VARS) {
        v->step[v->steps++] = (struct fxc_step){.begin = begin, .end = end, .symbols = symbols_of(v, begin, end)};
    }
}

/* Adds the parts of an expression that are no polynomial. A constant added to one stays with it, because sizes such
 * as floor((h - 1) / 2) + 1 make shorter formulas than their parts. */
static void collect(struct fxc_variables *v, uint32_t begin, uint32_t end) {
    const struct fxc_program *p = v->program;
    while (end > begin) {
        uint8_t op = p->token_op[end - 1];
        if (is_leaf(op)) {
            return;
        }
        if (!is_product_or_sum(op)) {
            add_step(v, begin, end);
            return;
        }
        uint32_t middle = operand_begin(p, end - 1);
        uint8_t left = p->token_op[middle - 1], right = p->token_op[end - 2];
        bool left_step = !is_leaf(left) && !is_product_or_sum(left);
        bool right_step = !is_leaf(right) && !is_product_or_sum(right);
        if (op == FXC_TOKEN_ADD &&
            ((left_step && right == FXC_TOKEN_CONST) || (right_step && left == FXC_TOKEN_CONST))) {
            add_step(v, begin, end);
            return;
        }
        collect(v, middle, end - 1);
        end = middle;
    }
}

static void collect_all(struct fxc_variables *v) {
    const struct fxc_program *p = v->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, dim); i++) {
        if (!fxc_is_literal(p->dim_size[i])) {
            uint32_t expr = fxc_symint_expr(p->dim_size[i]);
            uint32_t begin = p->expr_begin[expr], end = p->expr_begin[expr + 1];
            if (well_formed(p, begin, end)) {
                collect(v, begin, end);
            }
        }
    }
}

int64_t fxc_residue_value(const struct fxc_step *step, int64_t of) {
    int64_t a = step->modulus, b = of % step->modulus;
    b = b < 0 ? b + a : b;
    while (step->gcd && b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return step->gcd ? a : b;
}

bool fxc_step_value(const struct fxc_variables *v, uint32_t index, const struct fxc_binding *bindings, int64_t *out) {
    const struct fxc_step *step = &v->step[index];
    struct fxc_number number = {.i = 0};
    if (step->modulus == 0) {
        bool known = fxc_tokens_eval(v->program, bindings, step->begin, step->end, &number) && !number.is_float;
        *out = number.i;
        return known;
    }
    if (step->of < v->symbols) {
        number.i = bindings[v->symbol[step->of]].value;
    } else if (!fxc_step_value(v, step->of - v->symbols, bindings, &number.i)) { /* of an earlier step */
        return false;
    }
    *out = fxc_residue_value(step, number.i);
    return true;
}

static bool set_steps(const struct fxc_variables *v, const struct fxc_binding *bindings, fxc_point point) {
    for (uint32_t i = 0; i < v->steps; i++) {
        if (!fxc_step_value(v, i, bindings, &point[v->symbols + i])) {
            return false;
        }
    }
    return true;
}

/* ---- chance ------------------------------------------------------------------------------------------------------ */

/* Xorshift: the same points in every run. */
static uint64_t next_random(struct fxc_sampler *s) {
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static int64_t between(struct fxc_sampler *s, int64_t low, int64_t high) {
    uint64_t span = (uint64_t)high - (uint64_t)low;
    return span == UINT64_MAX ? low : low + (int64_t)(next_random(s) % (span + 1));
}

int64_t fxc_sampler_near(struct fxc_sampler *s, uint32_t symbol) {
    return between(s, s->low[symbol], s->near[symbol]);
}

int64_t fxc_sampler_far(struct fxc_sampler *s, uint32_t symbol) {
    int64_t span = s->far[symbol] - s->low[symbol];
    int bits = 0;
    while (bits < 62 && span >> bits != 0) {
        bits++;
    }
    int64_t top = span >> (bits == 0 ? 0 : between(s, 0, bits - 1));
    return s->low[symbol] + between(s, top / 2, top);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static int64_t pick(const fxc_totals *t, uint32_t quantity) {
    const int64_t numbers[] = {
        t->flops,
        t->counts.macs,
        t->counts.matrix_flops,
        t->counts.vector_flops,
        t->counts.transcendentals,
        t->counts.int_ops,
        t->counts.bytes_read + t->counts.bytes_written,
        t->counts.bytes_read,
        t->counts.bytes_written,
        t->counts.kernels,
        t->params,
    };
    return numbers[quantity];
}

fxc_status fxc_sampler_value(struct fxc_sampler *s, fxc_point point, int64_t *value, bool *known, fxc_error *err) {
    struct fxc_analysis *analysis = s->analysis;
    fxc_totals totals = {.struct_size = sizeof totals};
    fxc_error local = FXC_ERROR_INIT;
    *known = false;
    for (uint32_t i = 0; i < s->variables.symbols; i++) {
        analysis->bindings[s->variables.symbol[i]] =
            (struct fxc_binding){.value = point[i], .known = true, .given = true};
    }
    fxc_drop_facts(analysis, FXC_OPTION_SYMBOLS);
    if (fxc_check_constraints(analysis, NULL) != FXC_OK || !set_steps(&s->variables, analysis->bindings, point)) {
        return FXC_OK;
    }
    s->evaluated++;
    fxc_status status = fxc_analysis_totals(analysis, &totals, &local);
    int64_t bytes;
    if (status == FXC_OVERFLOW ||
        (status == FXC_OK && fxc_add(totals.counts.bytes_read, totals.counts.bytes_written, &bytes))) {
        return FXC_OK;
    }
    if (status == FXC_PROGRAM || status == FXC_USAGE) {
        s->refused++;
        s->refusal = local;
        return FXC_OK;
    }
    if (status != FXC_OK) {
        if (err != NULL && err->struct_size >= sizeof *err) {
            *err = local;
        }
        return status;
    }
    s->unknown_nodes = totals.unknown_nodes > s->unknown_nodes ? totals.unknown_nodes : s->unknown_nodes;
    *value = pick(&totals, s->quantity);
    *known = true;
    return FXC_OK;
}

/* ---- setting up -------------------------------------------------------------------------------------------------- */

/* The largest size of a symbol at which the program can be counted, halving from the end of its range. */
static fxc_status find_far(struct fxc_sampler *s, uint32_t symbol, fxc_error *err) {
    fxc_point point;
    int64_t span = s->far[symbol] - s->low[symbol];
    for (bool known = false; !known && span > 0; span /= 2) {
        int64_t value;
        uint32_t refused = s->refused;
        for (uint32_t i = 0; i < s->variables.symbols; i++) {
            point[i] = fxc_sampler_near(s, i);
        }
        point[symbol] = s->low[symbol] + span;
        FXC_TRY(fxc_sampler_value(s, point, &value, &known, err));
        known = known || s->refused != refused; /* refused there, but not for its size */
        s->far[symbol] = point[symbol];
    }
    s->near[symbol] = s->far[symbol] < s->near[symbol] ? s->far[symbol] : s->near[symbol];
    return FXC_OK;
}

static void set_range(struct fxc_sampler *s, uint32_t i) {
    const struct fxc_program *p = s->analysis->program;
    uint32_t row = s->variables.symbol[i];
    uint8_t flags = p->symbol_flags[row];
    int64_t low = (flags & FXC_SYMBOL_FLAG_HAS_MIN) != 0    ? p->symbol_min[row]
                  : (flags & FXC_SYMBOL_FLAG_UNBACKED) != 0 ? 0
                                                            : 2;
    int64_t high = (flags & FXC_SYMBOL_FLAG_HAS_MAX) != 0 ? p->symbol_max[row] : INT64_C(1) << 31;
    low = low < 0 ? 0 : low;
    high = high < low ? low : high;
    s->low[i] = low;
    s->far[i] = high;
    s->near[i] = high - low > NEAR ? low + NEAR : high;
}

fxc_status fxc_sampler_init(struct fxc_sampler *s, const struct fxc_program *p, uint32_t quantity, fxc_error *err) {
    *s = (struct fxc_sampler){.quantity = quantity, .random = UINT64_C(0x9e3779b97f4a7c15)};
    s->refusal = (fxc_error)FXC_ERROR_INIT;
    s->variables.program = p;
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        if ((p->symbol_flags[i] & (FXC_SYMBOL_FLAG_FLOAT | FXC_SYMBOL_FLAG_TRIP)) != 0) {
            continue;
        }
        if (s->variables.symbols == FXC_FORMULA_SYMBOLS) {
            fxc_status status = fxc_fail(err, FXC_USAGE, "%s: closed form", p->file);
            fxc_expected(err, "at most %d symbols", FXC_FORMULA_SYMBOLS);
            fxc_found(err, "%u", FXC_COUNT(p, symbol));
            return status;
        }
        s->variables.symbol[s->variables.symbols++] = i;
    }
    collect_all(&s->variables);
    FXC_TRY(fxc_analysis_new(p, &s->analysis, err));
    for (uint32_t i = 0; i < s->variables.symbols; i++) {
        set_range(s, i);
    }
    for (uint32_t i = 0; i < s->variables.symbols; i++) {
        FXC_TRY(find_far(s, i, err));
    }
    return FXC_OK;
}

void fxc_sampler_free(struct fxc_sampler *s) {
    fxc_analysis_free(s->analysis);
    s->analysis = NULL;
}
