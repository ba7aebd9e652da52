/* resolve: arithmetic on sizes, done as Python does it. */
#include <math.h>
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

struct number {
    bool is_float;
    int64_t i;
    double f; /* the value either way */
};

static bool read_number(struct fxc_became what, struct number *out) {
    switch (what.kind) {
    case FXC_KIND_INT:
    case FXC_KIND_BOOL:
        *out = (struct number){false, what.payload, (double)what.payload};
        return true;
    case FXC_KIND_FLOAT:
        *out = (struct number){.is_float = true};
        memcpy(&out->f, &what.payload, sizeof out->f);
        return true;
    default:
        return false;
    }
}

static struct fxc_became of_float(double number) {
    struct fxc_became out = {.kind = FXC_KIND_FLOAT};
    memcpy(&out.payload, &number, sizeof number);
    return out;
}

static struct fxc_became of_bool(bool truth) {
    return (struct fxc_became){FXC_KIND_BOOL, truth};
}

/* A float without a fraction, as an integer; false when it is none that 64 bits hold. */
static bool of_whole(double number, struct fxc_became *out) {
    if (!(number >= -9.2e18 && number <= 9.2e18)) {
        return false;
    }
    *out = fxc_int((int64_t)number);
    return true;
}

static bool floor_divide(int64_t a, int64_t b, int64_t *quotient, int64_t *rest) {
    if (b == 0 || (a == INT64_MIN && b == -1)) {
        return false;
    }
    *quotient = a / b;
    *rest = a % b;
    if (*rest != 0 && (*rest < 0) != (b < 0)) {
        *quotient -= 1;
        *rest += b;
    }
    return true;
}

static bool power(int64_t base, int64_t exponent, int64_t *out) {
    *out = 1;
    if (exponent > 63 && (base > 1 || base < -1)) {
        return false;
    }
    for (int64_t i = 0; i < exponent; i++) {
        if (base == 0 || base == 1) {
            *out = base;
            return true;
        }
        if (fxc_mul(*out, base, out)) {
            return false;
        }
    }
    return true;
}

enum binary {
    PY_ADD,
    PY_SUB,
    PY_MUL,
    PY_FLOORDIV,
    PY_TRUEDIV,
    PY_MOD,
    PY_POW,
    PY_EQ,
    PY_NE,
    PY_LT,
    PY_LE,
    PY_GT,
    PY_GE,
    PY_AND,
    PY_OR,
    PY_XOR,
    PY_MAX,
    PY_MIN,
    PY_NO_BINARY
};
enum unary {
    PY_NEG,
    PY_POS,
    PY_ABS,
    PY_NOT,
    PY_INVERT,
    PY_TO_INT,
    PY_TO_FLOAT,
    PY_TO_BOOL,
    PY_FLOOR,
    PY_CEIL,
    PY_TRUNC,
    PY_SQRT,
    PY_ROUND,
    PY_NO_UNARY
};

static bool integers(enum binary op, int64_t a, int64_t b, struct fxc_became *out) {
    int64_t other;
    out->kind = FXC_KIND_INT;
    switch (op) {
    case PY_ADD:
        return !fxc_add(a, b, &out->payload);
    case PY_SUB:
        return !__builtin_sub_overflow(a, b, &out->payload);
    case PY_MUL:
        return !fxc_mul(a, b, &out->payload);
    case PY_FLOORDIV:
        return floor_divide(a, b, &out->payload, &other);
    case PY_MOD:
        return floor_divide(a, b, &other, &out->payload);
    case PY_POW:
        return b >= 0 && power(a, b, &out->payload);
    case PY_AND:
        out->payload = a & b;
        return true;
    case PY_OR:
        out->payload = a | b;
        return true;
    case PY_XOR:
        out->payload = a ^ b;
        return true;
    default:
        return false;
    }
}

static bool floats(enum binary op, double a, double b, struct fxc_became *out) {
    switch (op) {
    case PY_ADD:
        *out = of_float(a + b);
        return true;
    case PY_SUB:
        *out = of_float(a - b);
        return true;
    case PY_MUL:
        *out = of_float(a * b);
        return true;
    case PY_TRUEDIV:
        *out = of_float(a / b);
        return b != 0;
    case PY_FLOORDIV:
        *out = of_float(floor(a / b));
        return b != 0;
    case PY_MOD:
        *out = of_float(a - floor(a / b) * b);
        return b != 0;
    case PY_POW:
        *out = of_float(pow(a, b));
        return true;
    default:
        return false;
    }
}

static bool numbers(enum binary op, const struct number *a, const struct number *b, struct fxc_became *out) {
    bool exact = !a->is_float && !b->is_float;
    bool less = exact ? a->i < b->i : a->f < b->f, equal = exact ? a->i == b->i : a->f == b->f;
    switch (op) {
    case PY_EQ:
    case PY_NE:
        *out = of_bool(equal == (op == PY_EQ));
        return true;
    case PY_LT:
    case PY_GE:
        *out = of_bool(less == (op == PY_LT));
        return true;
    case PY_LE:
    case PY_GT:
        *out = of_bool((less || equal) == (op == PY_LE));
        return true;
    case PY_MAX:
    case PY_MIN: {
        const struct number *best = less == (op == PY_MAX) ? b : a;
        *out = best->is_float ? of_float(best->f) : fxc_int(best->i);
        return true;
    }
    default:
        return exact && op != PY_TRUEDIV && !(op == PY_POW && b->i < 0) ? integers(op, a->i, b->i, out)
                                                                        : floats(op, a->f, b->f, out);
    }
}

static bool one_number(enum unary op, const struct number *a, struct fxc_became *out) {
    switch (op) {
    case PY_NEG:
    case PY_ABS:
        if (op == PY_ABS && a->f >= 0) {
            *out = a->is_float ? of_float(a->f) : fxc_int(a->i);
        } else if (a->is_float) {
            *out = of_float(-a->f);
        } else {
            return integers(PY_SUB, 0, a->i, out);
        }
        return true;
    case PY_POS:
        *out = a->is_float ? of_float(a->f) : fxc_int(a->i);
        return true;
    case PY_NOT:
    case PY_TO_BOOL:
        *out = of_bool((a->f == 0) == (op == PY_NOT));
        return true;
    case PY_INVERT:
        *out = fxc_int(~a->i);
        return !a->is_float;
    case PY_TO_FLOAT:
        *out = of_float(a->f);
        return true;
    case PY_SQRT:
        *out = of_float(sqrt(a->f));
        return a->f >= 0;
    case PY_TO_INT:
    case PY_TRUNC:
    case PY_FLOOR:
    case PY_CEIL:
    case PY_ROUND:
        if (!a->is_float) {
            *out = fxc_int(a->i);
            return true;
        }
        return of_whole(op == PY_FLOOR   ? floor(a->f)
                        : op == PY_CEIL  ? ceil(a->f)
                        : op == PY_ROUND ? nearbyint(a->f)
                                         : trunc(a->f),
                        out);
    case PY_NO_UNARY:
        break;
    }
    return false;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum binary binary;
    enum unary unary;
} names[] = {
    {"operator.add", PY_ADD, PY_NO_UNARY},
    {"operator.iadd", PY_ADD, PY_NO_UNARY},
    {"operator.sub", PY_SUB, PY_NO_UNARY},
    {"operator.isub", PY_SUB, PY_NO_UNARY},
    {"operator.mul", PY_MUL, PY_NO_UNARY},
    {"operator.imul", PY_MUL, PY_NO_UNARY},
    {"operator.floordiv", PY_FLOORDIV, PY_NO_UNARY},
    {"operator.ifloordiv", PY_FLOORDIV, PY_NO_UNARY},
    {"operator.truediv", PY_TRUEDIV, PY_NO_UNARY},
    {"operator.itruediv", PY_TRUEDIV, PY_NO_UNARY},
    {"operator.mod", PY_MOD, PY_NO_UNARY},
    {"operator.imod", PY_MOD, PY_NO_UNARY},
    {"operator.pow", PY_POW, PY_NO_UNARY},
    {"operator.ipow", PY_POW, PY_NO_UNARY},
    {"operator.eq", PY_EQ, PY_NO_UNARY},
    {"operator.ne", PY_NE, PY_NO_UNARY},
    {"operator.lt", PY_LT, PY_NO_UNARY},
    {"operator.le", PY_LE, PY_NO_UNARY},
    {"operator.gt", PY_GT, PY_NO_UNARY},
    {"operator.ge", PY_GE, PY_NO_UNARY},
    {"operator.and_", PY_AND, PY_NO_UNARY},
    {"operator.or_", PY_OR, PY_NO_UNARY},
    {"operator.xor", PY_XOR, PY_NO_UNARY},
    {"builtins.max", PY_MAX, PY_NO_UNARY},
    {"builtins.min", PY_MIN, PY_NO_UNARY},
    {"torch.sym_max", PY_MAX, PY_NO_UNARY},
    {"torch.sym_min", PY_MIN, PY_NO_UNARY},
    {"builtins.pow", PY_POW, PY_NO_UNARY},
    {"math.pow", PY_POW, PY_NO_UNARY},
    {"operator.neg", PY_NO_BINARY, PY_NEG},
    {"operator.pos", PY_NO_BINARY, PY_POS},
    {"operator.abs", PY_NO_BINARY, PY_ABS},
    {"builtins.abs", PY_NO_BINARY, PY_ABS},
    {"operator.not_", PY_NO_BINARY, PY_NOT},
    {"operator.invert", PY_NO_BINARY, PY_INVERT},
    {"operator.index", PY_NO_BINARY, PY_TO_INT},
    {"builtins.int", PY_NO_BINARY, PY_TO_INT},
    {"torch.sym_int", PY_NO_BINARY, PY_TO_INT},
    {"builtins.float", PY_NO_BINARY, PY_TO_FLOAT},
    {"torch.sym_float", PY_NO_BINARY, PY_TO_FLOAT},
    {"builtins.bool", PY_NO_BINARY, PY_TO_BOOL},
    {"torch.sym_not", PY_NO_BINARY, PY_NOT},
    {"math.floor", PY_NO_BINARY, PY_FLOOR},
    {"math.ceil", PY_NO_BINARY, PY_CEIL},
    {"math.trunc", PY_NO_BINARY, PY_TRUNC},
    {"math.sqrt", PY_NO_BINARY, PY_SQRT},
    {"builtins.round", PY_NO_BINARY, PY_ROUND},
};

/* ---- lists and tuples -------------------------------------------------------------------------------------------- */

static bool concatenate(struct fxc_resolver *x, struct fxc_became a, struct fxc_became b, struct fxc_became *out) {
    uint32_t rows[2] = {fxc_resolve_list_row(x, a), fxc_resolve_list_row(x, b)}, count = 0;
    struct fxc_became items[2 * FXC_MAX_RANK];
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t length = fxc_list_count(&x->r->view, rows[i]);
        if (rows[i] == FXC_NONE || length > FXC_MAX_RANK) {
            return false;
        }
        for (uint32_t item = 0; item < length; item++) {
            items[count++] = fxc_resolve_item(x, rows[i], item);
        }
    }
    *out = fxc_resolve_list(x, items, count);
    return true;
}

/* (1,) * 3 */
static bool repeat(struct fxc_resolver *x, struct fxc_became list, struct fxc_became times, struct fxc_became *out) {
    uint32_t row = fxc_resolve_list_row(x, list), length = fxc_list_count(&x->r->view, row), count = 0;
    struct fxc_became items[FXC_MAX_RANK];
    if (row == FXC_NONE || times.kind != FXC_KIND_INT || times.payload > FXC_MAX_RANK || length > FXC_MAX_RANK ||
        (int64_t)length * times.payload > FXC_MAX_RANK) {
        return false;
    }
    for (int64_t i = 0; i < times.payload; i++) {
        for (uint32_t item = 0; item < length; item++) {
            items[count++] = fxc_resolve_item(x, row, item);
        }
    }
    *out = fxc_resolve_list(x, items, count);
    return true;
}

/* sum, math.prod, max, min of a list of numbers. */
static bool fold(struct fxc_resolver *x, enum binary op, struct fxc_became first, struct fxc_became list,
                 struct fxc_became *out) {
    uint32_t row = fxc_resolve_list_row(x, list), begin = 0;
    if (row == FXC_NONE) {
        return false;
    }
    if (first.kind == FXC_KIND_NONE && fxc_list_count(&x->r->view, row) > 0) {
        first = fxc_resolve_item(x, row, begin++);
    }
    *out = first;
    for (uint32_t i = begin; i < fxc_list_count(&x->r->view, row); i++) {
        struct number a, b;
        if (!read_number(*out, &a) || !read_number(fxc_resolve_item(x, row, i), &b) || !numbers(op, &a, &b, out)) {
            return false;
        }
    }
    return out->kind != FXC_KIND_NONE;
}

static bool on_list(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out) {
    const char *name = call->name;
    struct fxc_became a = call->args[0].what, none = {FXC_KIND_NONE, 0};
    if (call->count == 2) {
        struct fxc_became b = call->args[1].what;
        bool multiplies = strcmp(name, "operator.mul") == 0;
        return (strcmp(name, "operator.add") == 0 && concatenate(x, a, b, out)) ||
               (multiplies && (repeat(x, a, b, out) || repeat(x, b, a, out)));
    }
    if (fxc_resolve_list_row(x, a) == FXC_NONE) {
        return false;
    }
    if (strcmp(name, "builtins.len") == 0) {
        *out = fxc_int(fxc_list_count(&x->r->view, fxc_resolve_list_row(x, a)));
        return true;
    }
    if (strcmp(name, "builtins.list") == 0 || strcmp(name, "builtins.tuple") == 0 || strcmp(name, "torch.Size") == 0) {
        *out = a;
        return true;
    }
    return (strcmp(name, "builtins.sum") == 0 && fold(x, PY_ADD, fxc_int(0), a, out)) ||
           (strcmp(name, "math.prod") == 0 && fold(x, PY_MUL, fxc_int(1), a, out)) ||
           (strcmp(name, "builtins.max") == 0 && fold(x, PY_MAX, none, a, out)) ||
           (strcmp(name, "builtins.min") == 0 && fold(x, PY_MIN, none, a, out));
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

fxc_status fxc_python_number(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out) {
    struct number a, b;
    if (call->count == 0) {
        return FXC_UNKNOWN_OPS;
    }
    if (call->count <= 2 && on_list(x, call, out)) {
        return FXC_OK;
    }
    if (!read_number(call->args[0].what, &a)) {
        return FXC_UNKNOWN_OPS;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, call->name) != 0) {
            continue;
        }
        if (call->count == 1 && names[i].unary != PY_NO_UNARY) {
            return one_number(names[i].unary, &a, out) ? FXC_OK : FXC_UNKNOWN_OPS;
        }
        bool binary = call->count == 2 && names[i].binary != PY_NO_BINARY && read_number(call->args[1].what, &b);
        return binary && numbers(names[i].binary, &a, &b, out) ? FXC_OK : FXC_UNKNOWN_OPS;
    }
    return FXC_UNKNOWN_OPS;
}
