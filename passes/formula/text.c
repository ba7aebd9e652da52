/* Closed forms as text: "2*batch*seq*(1179648 + seq)". */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "passes/formula/formula.h"

/* Text joined in an arena; NULL when memory is out or a part is NULL. */
static const char *join(struct fxc_arena *arena, const char *format, ...) FXC_PRINTF(2, 3);
static const char *join(struct fxc_arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : fxc_arena_alloc(arena, (size_t)length + 1);
    if (text != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(text, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    return text;
}

/* ---- parts of recorded sizes ------------------------------------------------------------------------------------- */

enum level { ATOM, PRODUCT, SUM }; /* how loosely a text binds */

struct part {
    const char *text;
    enum level level;
    bool constant;
    int64_t value;
    const char *less_one; /* of x - 1: x */
    const char *ceiling;  /* of floor((x - 1)/m): ceil(x/m), which is one more */
};

static const char *symbol_text(const struct fxc_program *p, int64_t symbol) {
    const char *dim = fxc_string(p, p->symbol_dim[symbol]);
    return dim[0] != '\0' ? dim : fxc_string(p, p->symbol_name[symbol]);
}

static const char *wrapped(struct fxc_arena *arena, const struct part *part, enum level level) {
    return part->level > level ? join(arena, "(%s)", part->text) : part->text;
}

static struct part sum_part(struct fxc_arena *arena, struct part a, struct part b) {
    struct part out = {.level = SUM};
    if (a.constant) {
        struct part kept = a;
        a = b;
        b = kept;
    }
    if (b.constant && b.value == 1 && a.ceiling != NULL) {
        return (struct part){.text = a.ceiling};
    }
    if (b.constant && b.value < 0 && b.value > INT64_MIN) {
        out.text = join(arena, "%s - %" PRId64, a.text, -b.value);
        out.less_one = b.value == -1 ? a.text : NULL;
    } else {
        out.text = join(arena, "%s + %s", a.text, b.text);
    }
    return out;
}

static struct part binary_part(struct fxc_arena *arena, uint8_t op, struct part a, struct part b) {
    struct part out = {.level = ATOM};
    switch (op) {
    case FXC_TOKEN_ADD:
        return sum_part(arena, a, b);
    case FXC_TOKEN_MUL:
        out.level = PRODUCT;
        if (a.constant && a.value == -1) {
            out.text = join(arena, "-%s", wrapped(arena, &b, ATOM));
            return out;
        }
        out.text = join(arena, "%s*%s", wrapped(arena, &a, PRODUCT), wrapped(arena, &b, PRODUCT));
        return out;
    case FXC_TOKEN_POW:
        out.level = PRODUCT;
        out.text = join(arena, "%s^%s", wrapped(arena, &a, ATOM), wrapped(arena, &b, ATOM));
        return out;
    case FXC_TOKEN_FLOOR_DIV:
        out.text = join(arena, "floor(%s/%s)", wrapped(arena, &a, PRODUCT), wrapped(arena, &b, ATOM));
        if (a.less_one != NULL) {
            out.ceiling = join(arena, "ceil(%s/%s)", a.less_one, wrapped(arena, &b, ATOM));
        }
        return out;
    case FXC_TOKEN_INT_TRUE_DIV:
    case FXC_TOKEN_FLOAT_TRUE_DIV:
        out.level = PRODUCT;
        out.text = join(arena, "%s/%s", wrapped(arena, &a, PRODUCT), wrapped(arena, &b, ATOM));
        return out;
    default: {
        static const struct {
            uint8_t op;
            const char *name;
        } names[] = {
            {FXC_TOKEN_MIN, "min"}, {FXC_TOKEN_MAX, "max"}, {FXC_TOKEN_MOD, "mod"}, {FXC_TOKEN_PYTHON_MOD, "mod"}};
        const char *name = fxc_enum_text("token", op);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            name = names[i].op == op ? names[i].name : name;
        }
        out.text = join(arena, "%s(%s, %s)", name, a.text, b.text);
        return out;
    }
    }
}

static struct part unary_part(struct fxc_arena *arena, uint8_t op, struct part a) {
    static const struct {
        uint8_t op;
        const char *name;
    } names[] = {
        {FXC_TOKEN_CEIL_TO_INT, "ceil"},
        {FXC_TOKEN_FLOOR_TO_INT, "floor"},
        {FXC_TOKEN_TRUNC_TO_INT, "trunc"},
        {FXC_TOKEN_ROUND_TO_INT, "round"},
        {FXC_TOKEN_ABS, "abs"},
        {FXC_TOKEN_SQRT, "sqrt"},
    };
    if (op == FXC_TOKEN_TO_FLOAT) {
        return a;
    }
    const char *name = fxc_enum_text("token", op);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        name = names[i].op == op ? names[i].name : name;
    }
    return (struct part){.text = join(arena, "%s(%s)", name, a.text)};
}

static struct part ternary_part(struct fxc_arena *arena, uint8_t op, const struct part *a) {
    return (struct part){
        .text = join(arena, "%s(%s, %s, %s)", fxc_enum_text("token", op), a[0].text, a[1].text, a[2].text)};
}

static double double_of(int64_t bits) {
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static struct part token_part(const struct fxc_program *p, uint32_t token, struct fxc_arena *arena) {
    int64_t payload = p->token_payload[token];
    switch (p->token_op[token]) {
    case FXC_TOKEN_CONST:
        return (struct part){.text = join(arena, "%" PRId64, payload), .constant = true, .value = payload};
    case FXC_TOKEN_FLOAT:
        return (struct part){.text = join(arena, "%.17g", double_of(payload))};
    case FXC_TOKEN_SYMBOL:
        if (payload >= 0 && payload < (int64_t)FXC_COUNT(p, symbol)) {
            return (struct part){.text = symbol_text(p, payload)};
        }
        return (struct part){0};
    default:
        return (struct part){0};
    }
}

/* .text is NULL for what is no expression, and when memory is out. */
static struct part tokens_part(const struct fxc_program *p, uint32_t begin, uint32_t end, struct fxc_arena *arena) {
    static const uint8_t operands[FXC_TOKEN_COUNT] = {
#define X(name, text, count) [FXC_TOKEN_##name] = (count),
        FXC_TOKEN_LIST(X)
#undef X
    };
    enum { DEPTH = 64 };
    struct part stack[DEPTH] = {{0}};
    uint32_t depth = 0;
    for (uint32_t t = begin; t < end; t++) {
        uint8_t op = p->token_op[t], take = operands[op];
        if (take > depth || depth - take >= DEPTH) {
            return (struct part){0};
        }
        depth -= take;
        struct part *a = &stack[depth];
        *a = take == 0   ? token_part(p, t, arena)
             : take == 1 ? unary_part(arena, op, a[0])
             : take == 2 ? binary_part(arena, op, a[0], a[1])
                         : ternary_part(arena, op, a);
        if (a->text == NULL) {
            return (struct part){0};
        }
        depth++;
    }
    return stack[0];
}

const char *fxc_tokens_text(const struct fxc_program *p, uint32_t begin, uint32_t end, struct fxc_arena *arena) {
    return tokens_part(p, begin, end, arena).text;
}

/* ---- polynomials ------------------------------------------------------------------------------------------------- */

static int64_t gcd(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

static struct part variable_part(const struct fxc_variables *v, uint32_t variable, struct fxc_arena *arena) {
    if (v->program == NULL) {
        return (struct part){.text = v->name[variable]};
    }
    if (variable < v->symbols) {
        return (struct part){.text = symbol_text(v->program, v->symbol[variable])};
    }
    const struct fxc_step *step = &v->step[variable - v->symbols];
    if (step->modulus == 0) {
        return tokens_part(v->program, step->begin, step->end, arena);
    }
    struct part of = variable_part(v, step->of, arena); /* an earlier variable */
    if (of.text == NULL) {
        return of;
    }
    return (struct part){.text = join(arena, "%s(%s, %" PRId64 ")", step->gcd ? "gcd" : "mod", of.text, step->modulus)};
}

const char *fxc_variable_text(const struct fxc_variables *v, uint32_t variable, struct fxc_arena *arena) {
    return variable_part(v, variable, arena).text;
}

/* "x*y^2", "" for 1. */
static const char *monomial_text(const struct fxc_monomial *m, const struct fxc_variables *v, struct fxc_arena *arena) {
    const char *text = "";
    for (uint32_t i = 0; i < v->symbols + v->steps && text != NULL; i++) {
        if (m->power[i] == 0) {
            continue;
        }
        struct part part = variable_part(v, i, arena);
        const char *name = part.text == NULL ? NULL : wrapped(arena, &part, ATOM), *star = text[0] == '\0' ? "" : "*";
        text = name == NULL       ? NULL
               : m->power[i] == 1 ? join(arena, "%s%s%s", text, star, name)
                                  : join(arena, "%s%s%s^%u", text, star, name, (unsigned)m->power[i]);
    }
    return text;
}

/* Appends "+ 3*x" to a sum. */
static const char *add_term(const char *sum, int64_t coefficient, const char *monomial, struct fxc_arena *arena) {
    const char *sign = sum[0] == '\0' ? (coefficient < 0 ? "-" : "") : coefficient < 0 ? " - " : " + ";
    int64_t size = coefficient < 0 ? -coefficient : coefficient;
    if (monomial == NULL) {
        return NULL;
    }
    if (monomial[0] == '\0') {
        return join(arena, "%s%s%" PRId64, sum, sign, size);
    }
    return size == 1 ? join(arena, "%s%s%s", sum, sign, monomial)
                     : join(arena, "%s%s%" PRId64 "*%s", sum, sign, size, monomial);
}

/* What all terms have in common. */
static void common(const struct fxc_polynomial *p, int64_t *factor, struct fxc_monomial *shared) {
    *factor = 0;
    *shared = p->monomial[0];
    for (uint32_t t = 0; t < p->terms; t++) {
        *factor = gcd(*factor, p->coefficient[t]);
        for (uint32_t v = 0; v < p->vars; v++) {
            shared->power[v] = p->monomial[t].power[v] < shared->power[v] ? p->monomial[t].power[v] : shared->power[v];
        }
    }
}

static const char *over(const char *text, int64_t denominator, struct fxc_arena *arena) {
    return text == NULL || denominator == 1 ? text : join(arena, "%s/%" PRId64, text, denominator);
}

const char *fxc_polynomial_text(const struct fxc_polynomial *p, const struct fxc_variables *v,
                                struct fxc_arena *arena) {
    int64_t factor;
    struct fxc_monomial shared;
    if (p->terms == 0) {
        return "0";
    }
    common(p, &factor, &shared);
    if (p->terms == 1) {
        return over(add_term("", p->coefficient[0], monomial_text(&shared, v, arena), arena), p->denominator, arena);
    }
    const char *sum = "";
    for (uint32_t t = 0; t < p->terms && sum != NULL; t++) {
        struct fxc_monomial rest = p->monomial[t];
        for (uint32_t i = 0; i < p->vars; i++) {
            rest.power[i] = (uint8_t)(rest.power[i] - shared.power[i]);
        }
        sum = add_term(sum, p->coefficient[t] / factor, monomial_text(&rest, v, arena), arena);
    }
    const char *head = monomial_text(&shared, v, arena);
    if (sum == NULL || head == NULL) {
        return NULL;
    }
    if (head[0] == '\0' && factor == 1) {
        return p->denominator == 1 ? sum : over(join(arena, "(%s)", sum), p->denominator, arena);
    }
    head = add_term("", factor, head, arena);
    return head == NULL ? NULL : over(join(arena, "%s*(%s)", head, sum), p->denominator, arena);
}

const char *fxc_domain_text(const struct fxc_found *found, const struct fxc_variables *v, struct fxc_arena *arena) {
    const char *text = "";
    for (uint32_t i = 0; i < v->symbols && text != NULL; i++) {
        if ((found->narrowed >> i & 1u) != 0) {
            text = join(arena, "%s%s%s >= %" PRId64, text, text[0] == '\0' ? "" : ", ",
                        symbol_text(v->program, v->symbol[i]), found->from[i]);
        }
    }
    return text;
}
