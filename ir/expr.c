#include "ir/expr.h"

#include <math.h>

#include "ir/arith.h"
#include "ir/program.h"

enum { STACK = 64 };

static struct fxc_number integer(int64_t value) {
    return (struct fxc_number){.i = value, .symbol = FXC_NONE};
}

static struct fxc_number real(double value) {
    return (struct fxc_number){.f = value, .is_float = true, .symbol = FXC_NONE};
}

static struct fxc_number failed(enum fxc_eval why) {
    return (struct fxc_number){.why = (uint8_t)why, .symbol = FXC_NONE};
}

static double as_double(struct fxc_number n) {
    return n.is_float ? n.f : (double)n.i;
}

/* Doubles from 2^63 on do not fit; NaN fails the comparison too. */
static struct fxc_number to_int(double value) {
    if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0)) {
        return failed(FXC_EVAL_OVERFLOW);
    }
    return integer((int64_t)value);
}

static struct fxc_number floor_div(int64_t a, int64_t b) {
    if (b == 0 || (a == INT64_MIN && b == -1)) {
        return failed(FXC_EVAL_OVERFLOW);
    }
    int64_t quotient = a / b;
    return integer(quotient - (a % b != 0 && (a < 0) != (b < 0)));
}

static struct fxc_number floor_mod(int64_t a, int64_t b) {
    if (b == 0) {
        return failed(FXC_EVAL_OVERFLOW);
    }
    if (b == -1) {
        return integer(0);
    }
    int64_t rest = a % b;
    return integer(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

static struct fxc_number int_pow(int64_t base, int64_t exponent) {
    int64_t result = 1;
    if (exponent < 0) {
        return real(pow((double)base, (double)exponent));
    }
    if (base == 0 || base == 1) {
        return integer(exponent == 0 ? 1 : base);
    }
    /* |base| >= 2 overflows within 64 steps; -1 is the one base that would loop for long. */
    if (base == -1) {
        return integer(exponent % 2 == 0 ? 1 : -1);
    }
    for (; exponent > 0; exponent--) {
        if (fxc_mul(result, base, &result)) {
            return failed(FXC_EVAL_OVERFLOW);
        }
    }
    return integer(result);
}

static struct fxc_number compare(uint8_t op, struct fxc_number a, struct fxc_number b) {
    bool exact = !a.is_float && !b.is_float;
    int order;
    if (exact) {
        order = (a.i > b.i) - (a.i < b.i);
    } else {
        double x = as_double(a), y = as_double(b);
        if (isnan(x) || isnan(y)) {
            return integer(op == FXC_TOKEN_NE);
        }
        order = (x > y) - (x < y);
    }
    switch (op) {
    case FXC_TOKEN_EQ:
        return integer(order == 0);
    case FXC_TOKEN_NE:
        return integer(order != 0);
    case FXC_TOKEN_LT:
        return integer(order < 0);
    case FXC_TOKEN_LE:
        return integer(order <= 0);
    case FXC_TOKEN_GT:
        return integer(order > 0);
    default:
        return integer(order >= 0);
    }
}

static struct fxc_number float_binary(uint8_t op, double a, double b) {
    switch (op) {
    case FXC_TOKEN_ADD:
        return real(a + b);
    case FXC_TOKEN_MUL:
        return real(a * b);
    case FXC_TOKEN_POW:
        return real(pow(a, b));
    case FXC_TOKEN_MIN:
        return real(fmin(a, b));
    case FXC_TOKEN_MAX:
        return real(fmax(a, b));
    case FXC_TOKEN_FLOOR_DIV:
        return real(floor(a / b));
    case FXC_TOKEN_MOD:
    case FXC_TOKEN_PYTHON_MOD:
        return real(a - b * floor(a / b));
    default:
        return failed(FXC_EVAL_OPAQUE);
    }
}

static struct fxc_number int_binary(uint8_t op, int64_t a, int64_t b) {
    int64_t result;
    switch (op) {
    case FXC_TOKEN_ADD:
        return fxc_add(a, b, &result) ? failed(FXC_EVAL_OVERFLOW) : integer(result);
    case FXC_TOKEN_MUL:
        return fxc_mul(a, b, &result) ? failed(FXC_EVAL_OVERFLOW) : integer(result);
    case FXC_TOKEN_POW:
        return int_pow(a, b);
    case FXC_TOKEN_MIN:
        return integer(a < b ? a : b);
    case FXC_TOKEN_MAX:
        return integer(a > b ? a : b);
    case FXC_TOKEN_FLOOR_DIV:
        return floor_div(a, b);
    case FXC_TOKEN_MOD:
    case FXC_TOKEN_PYTHON_MOD:
        return floor_mod(a, b);
    default:
        return failed(FXC_EVAL_OPAQUE);
    }
}

static struct fxc_number binary(uint8_t op, struct fxc_number a, struct fxc_number b) {
    switch (op) {
    case FXC_TOKEN_INT_TRUE_DIV:
    case FXC_TOKEN_FLOAT_TRUE_DIV:
        return real(as_double(a) / as_double(b));
    case FXC_TOKEN_EQ:
    case FXC_TOKEN_NE:
    case FXC_TOKEN_LT:
    case FXC_TOKEN_LE:
    case FXC_TOKEN_GT:
    case FXC_TOKEN_GE:
        return compare(op, a, b);
    case FXC_TOKEN_AND:
        return integer(as_double(a) != 0 && as_double(b) != 0);
    case FXC_TOKEN_OR:
        return integer(as_double(a) != 0 || as_double(b) != 0);
    default:
        return a.is_float || b.is_float ? float_binary(op, as_double(a), as_double(b)) : int_binary(op, a.i, b.i);
    }
}

static struct fxc_number unary(uint8_t op, struct fxc_number a) {
    switch (op) {
    case FXC_TOKEN_TO_FLOAT:
        return real(as_double(a));
    case FXC_TOKEN_CEIL_TO_INT:
        return a.is_float ? to_int(ceil(a.f)) : a;
    case FXC_TOKEN_FLOOR_TO_INT:
        return a.is_float ? to_int(floor(a.f)) : a;
    case FXC_TOKEN_TRUNC_TO_INT:
        return a.is_float ? to_int(trunc(a.f)) : a;
    case FXC_TOKEN_ROUND_TO_INT:
        return a.is_float ? to_int(nearbyint(a.f)) : a; /* round half to even, as Python does */
    case FXC_TOKEN_ABS:
        if (a.is_float) {
            return real(fabs(a.f));
        }
        return a.i == INT64_MIN ? failed(FXC_EVAL_OVERFLOW) : integer(a.i < 0 ? -a.i : a.i);
    case FXC_TOKEN_SQRT:
        return real(sqrt(as_double(a)));
    case FXC_TOKEN_NOT:
        return integer(as_double(a) == 0);
    default:
        return failed(FXC_EVAL_OPAQUE);
    }
}

static struct fxc_number ternary(uint8_t op, const struct fxc_number *a) {
    if (op == FXC_TOKEN_WHERE) {
        return as_double(a[0]) != 0 ? a[1] : a[2];
    }
    if (op == FXC_TOKEN_MODULAR_INDEXING && !a[0].is_float && !a[1].is_float && !a[2].is_float) {
        /* (base // divisor) % modulus */
        struct fxc_number quotient = floor_div(a[0].i, a[1].i);
        return quotient.why != FXC_EVAL_OK ? quotient : floor_mod(quotient.i, a[2].i);
    }
    return failed(FXC_EVAL_OPAQUE);
}

static struct fxc_number symbol(const struct fxc_program *p, const struct fxc_binding *bindings, int64_t id) {
    if (id < 0 || id >= (int64_t)FXC_COUNT(p, symbol)) {
        return failed(FXC_EVAL_OPAQUE);
    }
    if (!bindings[id].known) {
        struct fxc_number result = failed(FXC_EVAL_UNBOUND);
        result.symbol = (uint32_t)id;
        return result;
    }
    return integer(bindings[id].value);
}

static double bits_to_double(int64_t bits) {
    union {
        int64_t i;
        double d;
    } pun = {.i = bits};
    return pun.d;
}

static const uint8_t operands[FXC_TOKEN_COUNT] = {
#define X(name, text, count) [FXC_TOKEN_##name] = (count),
    FXC_TOKEN_LIST(X)
#undef X
};

bool fxc_expr_eval(const struct fxc_program *p, const struct fxc_binding *bindings, uint32_t expr,
                   struct fxc_number *out) {
    return fxc_tokens_eval(p, bindings, p->expr_begin[expr], p->expr_begin[expr + 1], out);
}

bool fxc_tokens_eval(const struct fxc_program *p, const struct fxc_binding *bindings, uint32_t begin, uint32_t end,
                     struct fxc_number *out) {
    struct fxc_number stack[STACK];
    uint32_t depth = 0;
    for (uint32_t t = begin; t < end; t++) {
        uint8_t op = p->token_op[t];
        uint32_t take = operands[op];
        struct fxc_number result;
        if (take > depth || depth - take >= STACK) {
            *out = failed(FXC_EVAL_OPAQUE);
            return false;
        }
        switch (op) {
        case FXC_TOKEN_CONST:
            result = integer(p->token_payload[t]);
            break;
        case FXC_TOKEN_FLOAT:
            result = real(bits_to_double(p->token_payload[t]));
            break;
        case FXC_TOKEN_SYMBOL:
            result = symbol(p, bindings, p->token_payload[t]);
            break;
        case FXC_TOKEN_OPAQUE:
            result = failed(FXC_EVAL_OPAQUE);
            break;
        default:
            depth -= take;
            result = take == 1   ? unary(op, stack[depth])
                     : take == 2 ? binary(op, stack[depth], stack[depth + 1])
                                 : ternary(op, stack + depth);
        }
        if (result.why != FXC_EVAL_OK) {
            *out = result;
            return false;
        }
        stack[depth++] = result;
    }
    if (depth != 1) {
        *out = failed(FXC_EVAL_OPAQUE);
        return false;
    }
    *out = stack[0];
    return true;
}

bool fxc_symint_eval(const struct fxc_program *p, const struct fxc_binding *bindings, int64_t symint, int64_t *out) {
    if (fxc_is_literal(symint)) {
        *out = symint;
        return true;
    }
    struct fxc_number number;
    if (!fxc_expr_eval(p, bindings, fxc_symint_expr(symint), &number) || number.is_float) {
        return false;
    }
    *out = number.i;
    return true;
}
