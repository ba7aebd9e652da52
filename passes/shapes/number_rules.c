/* Number rules. Floors and remainders go towards minus infinity, as Python's do. */
#include "passes/shapes/number_rules.h"

#include <math.h>
#include <string.h>

#include "passes/shapes/rules.h"

struct number {
    bool is_float, is_bool;
    int64_t i; /* when not is_float */
    double f;
};

static struct number integer(int64_t i) {
    return (struct number){.i = i};
}
static struct number real(double f) {
    return (struct number){.is_float = true, .f = f};
}
static struct number truth(bool b) {
    return (struct number){.is_bool = true, .i = b};
}
static double as_real(const struct number *n) {
    return n->is_float ? n->f : (double)n->i;
}

static bool read_number(const struct fxc_program *p, uint8_t kind, int64_t payload, struct number *out) {
    if (kind == FXC_KIND_VALUE) {
        kind = p->value_kind[payload];
        payload = p->value_payload[payload];
    }
    *out = (struct number){.i = payload, .is_bool = kind == FXC_KIND_BOOL, .is_float = kind == FXC_KIND_FLOAT};
    if (kind == FXC_KIND_FLOAT) {
        memcpy(&out->f, &payload, sizeof out->f);
    }
    return kind == FXC_KIND_INT || kind == FXC_KIND_BOOL || kind == FXC_KIND_FLOAT;
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static bool from_real(double f, struct number *out) {
    if (!(f >= -9223372036854775808.0 && f < 9223372036854775808.0)) {
        return false;
    }
    *out = integer((int64_t)f);
    return true;
}

static bool floor_div(int64_t a, int64_t b, int64_t *out) {
    if (b == 0 || (a == INT64_MIN && b == -1)) {
        return false;
    }
    *out = a / b - (a % b != 0 && (a < 0) != (b < 0));
    return true;
}

static bool integer_power(int64_t base, int64_t exponent, int64_t *out) {
    *out = 1;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0 && fxc_mul(*out, base, out)) {
            return false;
        }
        if (exponent > 1 && fxc_mul(base, base, &base)) {
            return false;
        }
    }
    return true;
}

static bool add(struct number a, struct number b, struct number *out) {
    *out = a.is_float || b.is_float ? real(as_real(&a) + as_real(&b)) : integer(0);
    return out->is_float || !fxc_add(a.i, b.i, &out->i);
}
static bool sub(struct number a, struct number b, struct number *out) {
    *out = a.is_float || b.is_float ? real(as_real(&a) - as_real(&b)) : integer(0);
    return out->is_float || !__builtin_sub_overflow(a.i, b.i, &out->i);
}
static bool mul(struct number a, struct number b, struct number *out) {
    *out = a.is_float || b.is_float ? real(as_real(&a) * as_real(&b)) : integer(0);
    return out->is_float || !fxc_mul(a.i, b.i, &out->i);
}
static bool floordiv(struct number a, struct number b, struct number *out) {
    if (a.is_float || b.is_float) {
        *out = real(floor(as_real(&a) / as_real(&b)));
        return as_real(&b) != 0;
    }
    *out = integer(0);
    return floor_div(a.i, b.i, &out->i);
}
static bool mod(struct number a, struct number b, struct number *out) {
    int64_t quotient;
    *out = integer(0);
    if (a.is_float || b.is_float || !floor_div(a.i, b.i, &quotient)) {
        return false;
    }
    out->i = a.i - quotient * b.i; /* between 0 and b: no overflow */
    return true;
}
static bool truediv(struct number a, struct number b, struct number *out) {
    *out = real(as_real(&a) / as_real(&b));
    return as_real(&b) != 0;
}
static bool power(struct number a, struct number b, struct number *out) {
    if (a.is_float || b.is_float || b.i < 0) {
        *out = real(pow(as_real(&a), as_real(&b)));
        return isfinite(out->f);
    }
    *out = integer(0);
    return integer_power(a.i, b.i, &out->i);
}

static int compare(const struct number *a, const struct number *b) {
    if (a->is_float || b->is_float) {
        return (as_real(a) > as_real(b)) - (as_real(a) < as_real(b));
    }
    return (a->i > b->i) - (a->i < b->i);
}
static bool eq(struct number a, struct number b, struct number *out) {
    *out = truth(compare(&a, &b) == 0);
    return true;
}
static bool ne(struct number a, struct number b, struct number *out) {
    *out = truth(compare(&a, &b) != 0);
    return true;
}
static bool lt(struct number a, struct number b, struct number *out) {
    *out = truth(compare(&a, &b) < 0);
    return true;
}
static bool le(struct number a, struct number b, struct number *out) {
    *out = truth(compare(&a, &b) <= 0);
    return true;
}
static bool gt(struct number a, struct number b, struct number *out) {
    *out = truth(compare(&a, &b) > 0);
    return true;
}
static bool ge(struct number a, struct number b, struct number *out) {
    *out = truth(compare(&a, &b) >= 0);
    return true;
}
static bool greater(struct number a, struct number b, struct number *out) {
    *out = compare(&a, &b) >= 0 ? a : b;
    return true;
}
static bool lesser(struct number a, struct number b, struct number *out) {
    *out = compare(&a, &b) <= 0 ? a : b;
    return true;
}
static bool both(struct number a, struct number b, struct number *out) {
    *out = a.is_bool && b.is_bool ? truth((a.i & b.i) != 0) : integer(a.i & b.i);
    return !a.is_float && !b.is_float;
}
static bool either(struct number a, struct number b, struct number *out) {
    *out = a.is_bool && b.is_bool ? truth((a.i | b.i) != 0) : integer(a.i | b.i);
    return !a.is_float && !b.is_float;
}

/* Of one number; b is not looked at. */
static bool negate(struct number a, struct number b, struct number *out) {
    (void)b;
    return a.is_float ? (*out = real(-a.f), true) : sub(integer(0), a, out);
}
static bool same(struct number a, struct number b, struct number *out) {
    (void)b;
    *out = a;
    return true;
}
static bool magnitude(struct number a, struct number b, struct number *out) {
    return compare(&a, &(struct number){0}) < 0 ? negate(a, b, out) : same(a, b, out);
}
static bool is_true(struct number a, struct number b, struct number *out) {
    (void)b;
    *out = truth(compare(&a, &(struct number){0}) != 0);
    return true;
}
static bool is_not(struct number a, struct number b, struct number *out) {
    (void)b;
    *out = truth(compare(&a, &(struct number){0}) == 0);
    return true;
}
static bool ceiling(struct number a, struct number b, struct number *out) {
    return a.is_float ? from_real(ceil(a.f), out) : same(a, b, out);
}
static bool flooring(struct number a, struct number b, struct number *out) {
    return a.is_float ? from_real(floor(a.f), out) : same(a, b, out);
}
static bool truncate(struct number a, struct number b, struct number *out) {
    return a.is_float ? from_real(trunc(a.f), out) : same(a, b, out);
}
static bool to_float(struct number a, struct number b, struct number *out) {
    (void)b;
    *out = real(as_real(&a));
    return true;
}
static bool root(struct number a, struct number b, struct number *out) {
    (void)b;
    *out = real(sqrt(as_real(&a)));
    return as_real(&a) >= 0;
}
static bool log_two(struct number a, struct number b, struct number *out) {
    (void)b;
    *out = real(log2(as_real(&a)));
    return as_real(&a) > 0;
}

static const struct {
    const char *name;
    uint32_t operands;
    bool (*run)(struct number a, struct number b, struct number *out);
} arithmetic[] = {
    {"math.ceil", 1, ceiling},      {"math.floor", 1, flooring},
    {"math.log2", 1, log_two},      {"math.sqrt", 1, root},
    {"math.trunc", 1, truncate},    {"operator.abs", 1, magnitude},
    {"operator.add", 2, add},       {"operator.and_", 2, both},
    {"operator.eq", 2, eq},         {"operator.floordiv", 2, floordiv},
    {"operator.ge", 2, ge},         {"operator.gt", 2, gt},
    {"operator.iadd", 2, add},      {"operator.ifloordiv", 2, floordiv},
    {"operator.imod", 2, mod},      {"operator.imul", 2, mul},
    {"operator.index", 1, same},    {"operator.ipow", 2, power},
    {"operator.isub", 2, sub},      {"operator.itruediv", 2, truediv},
    {"operator.le", 2, le},         {"operator.lt", 2, lt},
    {"operator.mod", 2, mod},       {"operator.mul", 2, mul},
    {"operator.ne", 2, ne},         {"operator.neg", 1, negate},
    {"operator.not_", 1, is_not},   {"operator.or_", 2, either},
    {"operator.pos", 1, same},      {"operator.pow", 2, power},
    {"operator.sub", 2, sub},       {"operator.truediv", 2, truediv},
    {"operator.truth", 1, is_true}, {"torch._sym_log2", 1, log_two},
    {"torch._sym_sqrt", 1, root},   {"torch.sym_float", 1, to_float},
    {"torch.sym_int", 1, truncate}, {"torch.sym_max", 2, greater},
    {"torch.sym_min", 2, lesser},   {"torch.sym_not", 1, is_not},
    {"torch.sym_sqrt", 1, root},
};

/* ---- rules ------------------------------------------------------------------------------------------------------- */

/* Arithmetic on the node's first arguments. */
static bool compute(const struct fxc_rule *rule, const char *name, struct number *out) {
    const struct fxc_program *p = rule->program;
    uint32_t first = p->node_arg_begin[rule->node], count = p->node_arg_begin[rule->node + 1] - first;
    struct number a, b = {0};
    for (size_t i = 0; i < sizeof arithmetic / sizeof arithmetic[0]; i++) {
        if (strcmp(arithmetic[i].name, name) == 0) {
            return count >= arithmetic[i].operands && read_number(p, p->arg_kind[first], p->arg_payload[first], &a) &&
                   (arithmetic[i].operands == 1 ||
                    read_number(p, p->arg_kind[first + 1], p->arg_payload[first + 1], &b)) &&
                   arithmetic[i].run(a, b, out);
        }
    }
    return false;
}

/* torch.sym_ite(condition, a, b) and torch.sym_sum(list). */
static bool compute_more(const struct fxc_rule *rule, const char *name, struct number *out) {
    const struct fxc_program *p = rule->program;
    uint32_t first = p->node_arg_begin[rule->node], count = p->node_arg_begin[rule->node + 1] - first;
    struct number item;
    if (strcmp(name, "torch.sym_ite") == 0) {
        return count == 3 && read_number(p, p->arg_kind[first], p->arg_payload[first], &item) &&
               read_number(p, p->arg_kind[first + (item.i != 0 ? 1 : 2)], p->arg_payload[first + (item.i != 0 ? 1 : 2)],
                           out);
    }
    if (strcmp(name, "torch.sym_sum") != 0 || count == 0 || p->arg_kind[first] != FXC_KIND_LIST) {
        return false;
    }
    uint32_t list = (uint32_t)p->arg_payload[first];
    *out = integer(0);
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (!read_number(p, p->item_kind[i], p->item_payload[i], &item) || !add(*out, item, out)) {
            return false;
        }
    }
    return true;
}

/* Sizes and strides of a tensor. */
static bool measure(const struct fxc_rule *rule, const char *name, struct number *out) {
    struct fxc_tensor tensor;
    uint32_t dim;
    int64_t number;
    if (!fxc_rule_tensor(rule, FXC_NAME_self, &tensor)) {
        return false;
    }
    if (strcmp(name, "aten.sym_numel.default") == 0) {
        number = tensor.numel;
    } else if (strcmp(name, "aten.sym_storage_offset.default") == 0) {
        number = rule->program->meta_offset[rule->program->value_payload[tensor.value]];
    } else if (!fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim)) {
        return false;
    } else if (strcmp(name, "aten.sym_size.int") == 0 || strcmp(name, "aten.size.int") == 0) {
        number = tensor.size[dim];
    } else if (strcmp(name, "aten.sym_stride.int") == 0) {
        number = tensor.stride[dim];
    } else {
        return false;
    }
    *out = integer(number);
    return number >= 0;
}

bool fxc_tell_number(const struct fxc_rule *rule, uint8_t *kind, int64_t *payload) {
    const char *name = fxc_node_op_name(rule->program, rule->node);
    struct number out;
    bool told = strncmp(name, "aten.", 5) == 0 ? measure(rule, name, &out)
                                               : compute(rule, name, &out) || compute_more(rule, name, &out);
    if (!told) {
        return false;
    }
    *kind = out.is_float ? FXC_KIND_FLOAT : out.is_bool ? FXC_KIND_BOOL : FXC_KIND_INT;
    *payload = out.i;
    if (out.is_float) {
        memcpy(payload, &out.f, sizeof *payload);
    }
    return true;
}
