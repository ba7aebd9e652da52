/* Layout rules of operators whose result has the layout of the kernel that runs: attention, einsum, recurrent layers.
 * What is told is what torch does on a CPU, and only for tensors there. */
#include <string.h>

#include "passes/einsum.h"
#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

static bool on_cpu(const struct fxc_rule *rule, uint32_t value) {
    const char *device = fxc_rule_device(rule, value);
    return device != NULL && strcmp(device, "cpu") == 0;
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

struct attention {
    struct fxc_tensor query, key, value;
};

static bool known_argument(const struct fxc_rule *rule, enum fxc_name name, struct fxc_tensor *out) {
    return fxc_shape_argument(rule, name, out) && fxc_known_strides(out);
}

/* Masks of two or four dimensions that need no gradient; of a computed one the recording does not say. */
static enum fxc_answer fits_mask(const struct fxc_rule *rule) {
    const struct fxc_program *p = rule->program;
    struct fxc_tensor mask;
    int64_t grad = 1;
    if (!fxc_rule_tensor(rule, FXC_NAME_attn_mask, &mask)) {
        return FXC_YES;
    }
    if ((mask.rank != 2 && mask.rank != 4) ||
        (p->meta_flags[p->value_payload[mask.value]] & FXC_TENSOR_FLAG_REQUIRES_GRAD) != 0) {
        return FXC_NO;
    }
    (void)fxc_program_capture(p, "grad", FXC_KIND_BOOL, &grad);
    bool known = grad == 0 || p->value_producer[mask.value] == FXC_NONE || !fxc_dtype_is_float(mask.dtype);
    return known ? FXC_YES : FXC_MAYBE;
}

/* Four dimensions; one batch size; one number of heads, or with grouped heads the queries' a multiple; one depth; at
 * least one position. */
static bool fits_sizes(const struct attention *a, bool grouped) {
    const int64_t *q = a->query.size, *k = a->key.size, *v = a->value.size;
    if (a->query.rank != 4 || a->key.rank != 4 || a->value.rank != 4) {
        return false;
    }
    bool heads = grouped ? k[1] > 0 && q[1] % k[1] == 0 && k[1] == v[1] : q[1] == k[1] && q[1] == v[1];
    return q[0] == k[0] && q[0] == v[0] && heads && q[3] == k[3] && q[3] == v[3] && q[2] > 0 && k[2] > 0;
}

/* Whether scaled_dot_product_attention chooses the flash kernel of the CPU (torch's sdp_utils_cpp). */
static enum fxc_answer is_flash(const struct fxc_rule *rule, const struct attention *a) {
    double dropout;
    bool grouped;
    if (!fxc_rule_real(rule, FXC_NAME_dropout_p, 0, &dropout) ||
        !fxc_rule_bool(rule, FXC_NAME_enable_gqa, false, &grouped)) {
        return FXC_MAYBE;
    }
    bool flash = dropout == 0 && fits_sizes(a, grouped) && a->query.stride[3] == 1 && a->key.stride[3] == 1 &&
                 a->value.stride[3] == 1;
    return flash ? fits_mask(rule) : FXC_NO;
}

void fxc_attention_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct attention a;
    if (!known_argument(rule, FXC_NAME_query, &a.query) || !known_argument(rule, FXC_NAME_key, &a.key) ||
        !known_argument(rule, FXC_NAME_value, &a.value) || !on_cpu(rule, a.query.value)) {
        return;
    }
    enum fxc_answer flash = is_flash(rule, &a);
    struct fxc_shape plain = *out;
    memcpy(out->stride, a.query.stride, a.query.rank * sizeof out->stride[0]);
    (void)fxc_contiguous_strides(&plain);
    if (flash == FXC_NO) {
        *out = plain;
        return;
    }
    fxc_iterated_strides(out);
    for (uint32_t dim = 0; flash == FXC_MAYBE && dim < out->rank; dim++) {
        out->strides_told = out->strides_told && (out->size[dim] <= 1 || out->stride[dim] == plain.stride[dim]);
    }
}

/* The kernel itself. */
void fxc_flash_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor query;
    if (out->index > 0 && out->rank == 3) {
        /* The logarithms of the sums lie as (batch, position, head). */
        (void)fxc_contiguous_strides(out);
        out->stride[1] = 1;
        out->stride[2] = out->size[1] > 1 ? out->size[1] : 1;
    } else if (known_argument(rule, FXC_NAME_query, &query) && query.rank == out->rank) {
        memcpy(out->stride, query.stride, query.rank * sizeof out->stride[0]);
        fxc_iterated_strides(out);
    }
}

/* ---- einsum ------------------------------------------------------------------------------------------------------ */

/* Where a dimension of the product goes: both operands have it, only the first has, or the rest. */
enum part { BOTH, FIRST, REST, PARTS };

static enum part part_of(const struct fxc_einsum *equation, uint32_t label) {
    return equation->size[0][label] == 1 ? REST : equation->size[1][label] == 1 ? FIRST : BOTH;
}

/* Whether the operands change places: when all dimensions of the rest come before those of the first in the result. A
 * label that only one operand sums counts as a late one of the rest. */
static bool is_swapped(const struct fxc_einsum *equation) {
    uint32_t first = FXC_NONE, rest = FXC_NONE;
    for (uint32_t label = 0; label < equation->labels; label++) {
        enum part part = part_of(equation, label);
        if (label >= equation->out_rank) {
            rest = part == BOTH ? rest : label;
        } else if (part == REST) {
            rest = label;
        } else if (part == FIRST && first == FXC_NONE) {
            first = label;
        }
    }
    return first != FXC_NONE && rest != FXC_NONE && first > rest;
}

static bool sums_something(const struct fxc_einsum *equation) {
    for (uint32_t label = equation->out_rank; label < equation->labels; label++) {
        if (part_of(equation, label) == BOTH) {
            return true;
        }
    }
    return false;
}

/* A product of two operands that sums something becomes a batched matrix product: the dimensions of both, those of the
 * first, the rest, each in the order of the result. */
void fxc_einsum_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_einsum equation;
    uint8_t place[FXC_MAX_RANK];
    uint32_t placed = 0;
    int64_t step = 1;
    if (!fxc_einsum_read(rule, &equation) || equation.operands != 2 || out->rank != equation.out_rank ||
        !sums_something(&equation)) {
        return;
    }
    static const uint8_t orders[2][PARTS] = {{BOTH, FIRST, REST}, {BOTH, REST, FIRST}};
    const uint8_t *order = orders[is_swapped(&equation)];
    for (uint32_t turn = 0; turn < PARTS; turn++) {
        for (uint32_t dim = 0; dim < out->rank; dim++) {
            if (part_of(&equation, dim) == order[turn]) {
                place[placed++] = (uint8_t)dim;
            }
        }
    }
    while (placed-- > 0) {
        out->stride[place[placed]] = step;
        if (out->size[place[placed]] > 1 && fxc_mul(step, out->size[place[placed]], &step)) {
            return;
        }
    }
    out->strides_told = true;
}

/* ---- recurrent layers -------------------------------------------------------------------------------------------- */

/* Steps are computed one after the other, so time is outermost whatever the argument's order. */
void fxc_recurrent_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    bool batch_first;
    if (!fxc_rule_bool(rule, FXC_NAME_batch_first, false, &batch_first) || !fxc_contiguous_strides(out)) {
        return;
    }
    if (out->index == 0 && batch_first && out->rank == 3) {
        out->strides_told = !fxc_mul(out->size[0] > 1 ? out->size[0] : 1, out->size[2], &out->stride[1]);
        out->stride[0] = out->size[2];
    }
}
