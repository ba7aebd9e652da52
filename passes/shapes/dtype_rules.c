/* dtype rules: ATen's type promotion and what differs from it, one case for each name of FXC_DTYPE_RULE_LIST
 * (ir/rules.h). Never told when an argument's type is not one that promotes. */
#include "passes/shapes/dtype_rules.h"

#include <string.h>

#include "passes/shapes/autocast.h"
#include "passes/shapes/rules.h"

/* Categories in order: a higher one wins over a lower one. */
enum category { BOOL, INTEGER, FLOATING, COMPLEX, STRANGE };

static enum category category_of(uint8_t dtype) {
    switch (dtype) {
    case FXC_DTYPE_BOOL:
        return BOOL;
    case FXC_DTYPE_UINT8:
    case FXC_DTYPE_INT8:
    case FXC_DTYPE_INT16:
    case FXC_DTYPE_INT32:
    case FXC_DTYPE_INT64:
        return INTEGER;
    case FXC_DTYPE_FLOAT16:
    case FXC_DTYPE_BFLOAT16:
    case FXC_DTYPE_FLOAT32:
    case FXC_DTYPE_FLOAT64:
        return FLOATING;
    case FXC_DTYPE_COMPLEX32:
    case FXC_DTYPE_COMPLEX64:
    case FXC_DTYPE_COMPLEX128:
        return COMPLEX;
    default:
        return STRANGE;
    }
}

/* Bytes of an integer type, of a floating type, or of the parts of a complex one. */
static unsigned width(uint8_t dtype) {
    switch (dtype) {
    case FXC_DTYPE_INT16:
    case FXC_DTYPE_FLOAT16:
    case FXC_DTYPE_BFLOAT16:
    case FXC_DTYPE_COMPLEX32:
        return 2;
    case FXC_DTYPE_INT32:
    case FXC_DTYPE_FLOAT32:
    case FXC_DTYPE_COMPLEX64:
        return 4;
    case FXC_DTYPE_INT64:
    case FXC_DTYPE_FLOAT64:
    case FXC_DTYPE_COMPLEX128:
        return 8;
    default:
        return 1;
    }
}

static uint8_t complex_of(unsigned bytes) {
    return bytes == 2 ? FXC_DTYPE_COMPLEX32 : bytes == 4 ? FXC_DTYPE_COMPLEX64 : FXC_DTYPE_COMPLEX128;
}

static uint8_t part_of(uint8_t dtype) {
    switch (dtype) {
    case FXC_DTYPE_COMPLEX32:
        return FXC_DTYPE_FLOAT16;
    case FXC_DTYPE_COMPLEX64:
        return FXC_DTYPE_FLOAT32;
    case FXC_DTYPE_COMPLEX128:
        return FXC_DTYPE_FLOAT64;
    default:
        return dtype;
    }
}

static uint8_t promote_integers(uint8_t a, uint8_t b) {
    uint8_t wide = width(a) >= width(b) ? a : b;
    /* Only uint8 has no sign: with int8 it needs one more size. */
    return width(wide) == 1 ? FXC_DTYPE_INT16 : wide;
}

/* torch.promote_types; OPAQUE is neutral. STRANGE types promote with themselves only, which never comes here. */
static uint8_t promote(uint8_t a, uint8_t b) {
    if (a == b || b == FXC_DTYPE_OPAQUE) {
        return a;
    }
    if (a == FXC_DTYPE_OPAQUE) {
        return b;
    }
    enum category ca = category_of(a), cb = category_of(b);
    if (ca < FLOATING && ca == cb) {
        return promote_integers(a, b);
    }
    if (ca < FLOATING || cb < FLOATING) {
        return ca > cb ? a : b;
    }
    uint8_t x = part_of(a), y = part_of(b);
    uint8_t part = x == y ? x : width(x) == width(y) ? FXC_DTYPE_FLOAT32 : width(x) > width(y) ? x : y;
    return ca == COMPLEX || cb == COMPLEX ? complex_of(width(part)) : part;
}

/* What a type of higher priority makes of one of lower: it yields only to a higher category. */
static uint8_t combine(uint8_t higher, uint8_t lower) {
    if (higher == FXC_DTYPE_OPAQUE || lower == FXC_DTYPE_OPAQUE) {
        return higher == FXC_DTYPE_OPAQUE ? lower : higher;
    }
    enum category above = category_of(higher), below = category_of(lower);
    if (above == COMPLEX || above >= below) {
        return above == BOOL ? promote(higher, lower) : higher;
    }
    return above == FLOATING ? complex_of(width(higher)) : promote(higher, lower);
}

/* Types met so far, by priority: tensors with dimensions, tensors without, Python's numbers. */
struct promotion {
    uint8_t dimensioned, zero_dim, number;
    uint8_t first;
    bool mixed, strange;
    struct fxc_cast cast; /* as autocast has them */
};

static struct promotion nothing_met(const struct fxc_rule *rule) {
    return (struct promotion){.dimensioned = FXC_DTYPE_OPAQUE,
                              .zero_dim = FXC_DTYPE_OPAQUE,
                              .number = FXC_DTYPE_OPAQUE,
                              .first = FXC_DTYPE_OPAQUE,
                              .cast = fxc_node_cast(rule)};
}

static void meet(struct promotion *seen, uint8_t *slot, uint8_t dtype) {
    seen->strange = seen->strange || category_of(dtype) == STRANGE;
    seen->mixed = seen->mixed || (seen->first != FXC_DTYPE_OPAQUE && seen->first != dtype);
    seen->first = seen->first == FXC_DTYPE_OPAQUE ? dtype : seen->first;
    *slot = seen->strange ? *slot : promote(*slot, dtype);
}

static void meet_tensor(struct promotion *seen, const struct fxc_tensor *tensor) {
    meet(seen, tensor->rank > 0 ? &seen->dimensioned : &seen->zero_dim, fxc_cast_dtype(seen->cast, tensor->dtype));
}

/* The type that a Python number takes part with; OPAQUE for what is no number. */
static uint8_t number_dtype(const struct fxc_rule *rule, uint8_t kind, int64_t payload) {
    const struct fxc_program *p = rule->program;
    switch (kind == FXC_KIND_VALUE ? p->value_kind[payload] : kind) {
    case FXC_KIND_BOOL:
    case FXC_KIND_SYMBOOL:
        return FXC_DTYPE_BOOL;
    case FXC_KIND_INT:
    case FXC_KIND_SYMINT:
        return FXC_DTYPE_INT64;
    case FXC_KIND_FLOAT:
    case FXC_KIND_SYMFLOAT:
        return rule->shapes->default_dtype;
    case FXC_KIND_COMPLEX:
        return complex_of(width(rule->shapes->default_dtype));
    default:
        return FXC_DTYPE_OPAQUE;
    }
}

static uint8_t settle(const struct promotion *seen) {
    if (!seen->mixed) {
        return seen->first;
    }
    return seen->strange ? FXC_DTYPE_OPAQUE : combine(seen->dimensioned, combine(seen->zero_dim, seen->number));
}

/* Numbers that are operands; others (alpha, weight, negative_slope) do not promote. */
static bool is_operand(uint16_t name) {
    return name == FXC_NAME_self || name == FXC_NAME_other || name == FXC_NAME_exponent || name == FXC_NAME_min ||
           name == FXC_NAME_max;
}

/* Meets all tensor arguments; with numbers also those that are operands. */
static struct promotion meet_arguments(const struct fxc_rule *rule, bool numbers) {
    const struct fxc_program *p = rule->program;
    struct promotion seen = nothing_met(rule);
    struct fxc_tensor tensor;
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        if (p->arg_kind[i] == FXC_KIND_VALUE && fxc_rule_value(rule, (uint32_t)p->arg_payload[i], &tensor)) {
            meet_tensor(&seen, &tensor);
        } else if (numbers && is_operand(p->argname_id[p->arg_name[i]])) {
            uint8_t dtype = number_dtype(rule, p->arg_kind[i], p->arg_payload[i]);
            if (dtype != FXC_DTYPE_OPAQUE) {
                meet(&seen, &seen.number, dtype);
            }
        }
    }
    return seen;
}

/* torch.result_type of the operands. */
static uint8_t result_type(const struct fxc_rule *rule) {
    struct promotion seen = meet_arguments(rule, true);
    return settle(&seen);
}

/* torch.result_type of a list, or only the one type that all in it have. */
static uint8_t result_type_of_list(const struct fxc_rule *rule, bool one) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors);
    struct promotion seen = nothing_met(rule);
    struct fxc_tensor tensor;
    if (list == FXC_NONE) {
        return FXC_DTYPE_OPAQUE;
    }
    uint32_t count = rule->program->list_begin[list + 1] - rule->program->list_begin[list];
    for (uint32_t i = 0; i < count; i++) {
        if (!fxc_rule_item_tensor(rule, list, i, &tensor)) {
            return FXC_DTYPE_OPAQUE;
        }
        meet_tensor(&seen, &tensor);
    }
    return one && seen.mixed ? (uint8_t)FXC_DTYPE_OPAQUE : settle(&seen);
}

/* The one type of all tensor arguments; OPAQUE when they differ, for then the operator would refuse, or casts. */
static uint8_t common(const struct fxc_rule *rule) {
    struct promotion seen = meet_arguments(rule, false);
    return seen.mixed ? FXC_DTYPE_OPAQUE : seen.first;
}

static uint8_t floating(const struct fxc_rule *rule, uint8_t dtype) {
    return category_of(dtype) <= INTEGER ? rule->shapes->default_dtype : dtype;
}

static uint8_t of(const struct fxc_rule *rule, enum fxc_name name) {
    struct fxc_tensor tensor;
    return fxc_rule_tensor(rule, name, &tensor) ? fxc_cast_dtype(fxc_node_cast(rule), tensor.dtype)
                                                : (uint8_t)FXC_DTYPE_OPAQUE;
}

static uint8_t of_subject(const struct fxc_rule *rule) {
    struct fxc_tensor tensor;
    bool found =
        fxc_rule_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &tensor) || fxc_rule_tensor(rule, FXC_NAME_A, &tensor);
    return found ? fxc_cast_dtype(fxc_node_cast(rule), tensor.dtype) : (uint8_t)FXC_DTYPE_OPAQUE;
}

/* Of a system of equations: that of its right-hand side. */
static uint8_t of_sides(const struct fxc_rule *rule) {
    struct fxc_tensor tensor;
    bool found = fxc_rule_tensor2(rule, FXC_NAME_B, FXC_NAME_self, &tensor) ||
                 fxc_rule_tensor2(rule, FXC_NAME_A, FXC_NAME_LU_data, &tensor);
    return found ? fxc_cast_dtype(fxc_node_cast(rule), tensor.dtype) : (uint8_t)FXC_DTYPE_OPAQUE;
}

/* The argument `dtype`, else the fallback. */
static uint8_t asked_as(const struct fxc_rule *rule, enum fxc_name name, uint8_t fallback) {
    enum fxc_kind kind;
    int64_t payload;
    if (!fxc_rule_arg(rule, name, &kind, &payload) || kind == FXC_KIND_NONE) {
        return fallback;
    }
    return kind == FXC_KIND_DTYPE ? (uint8_t)payload : (uint8_t)FXC_DTYPE_OPAQUE;
}

static uint8_t asked(const struct fxc_rule *rule, uint8_t fallback) {
    return asked_as(rule, FXC_NAME_dtype, fallback);
}

static uint8_t number_argument(const struct fxc_rule *rule, enum fxc_name name) {
    enum fxc_kind kind;
    int64_t payload;
    return fxc_rule_arg(rule, name, &kind, &payload) ? number_dtype(rule, (uint8_t)kind, payload)
                                                     : (uint8_t)FXC_DTYPE_OPAQUE;
}

/* arange: whole numbers give int64, any fraction the default type. */
static uint8_t range(const struct fxc_rule *rule) {
    uint8_t dtype = number_argument(rule, FXC_NAME_end);
    dtype = promote(dtype, number_argument(rule, FXC_NAME_start));
    return promote(dtype, number_argument(rule, FXC_NAME_step));
}

/* Whether the argument `size` is the size of the subject. */
static bool has_size(const struct fxc_rule *rule) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_size);
    bool same = fxc_rule_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &tensor) && tensor.rank > 0 &&
                fxc_list_count(rule->program, list) == tensor.rank;
    for (uint32_t dim = 0; same && dim < tensor.rank; dim++) {
        int64_t size;
        same = fxc_rule_item_int(rule, list, dim, &size) && size == tensor.size[dim];
    }
    return same;
}

/* pad: autocast knows the operators that reflect (over one and two dimensions) and replicate, and takes them in
 * float32; filling with a constant and going round it does not know. */
static uint8_t padded(const struct fxc_rule *rule) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_pad), widths = fxc_list_count(rule->program, list);
    const char *mode = fxc_rule_string(rule, FXC_NAME_mode);
    if (!fxc_shape_subject(rule, &tensor)) {
        return FXC_DTYPE_OPAQUE;
    }
    bool known = mode != NULL && (strcmp(mode, "replicate") == 0 || (strcmp(mode, "reflect") == 0 && widths < 6));
    return known ? of_subject(rule) : tensor.dtype;
}

uint8_t fxc_result_dtype(const struct fxc_rule *rule, enum fxc_dtype_rule_id id, uint32_t index) {
    uint8_t dtype;
    struct fxc_tensor tensor;
    if (fxc_node_cast(rule).unknown) {
        return FXC_DTYPE_OPAQUE;
    }
    switch (id) {
    case FXC_DTYPES_promote:
        return result_type(rule);
    case FXC_DTYPES_promote_list:
        return result_type_of_list(rule, false);
    case FXC_DTYPES_common_list:
        return result_type_of_list(rule, true);
    case FXC_DTYPES_floating:
        return floating(rule, result_type(rule));
    case FXC_DTYPES_subject:
        return of_subject(rule);
    case FXC_DTYPES_common:
        return common(rule);
    case FXC_DTYPES_weight:
        return of(rule, FXC_NAME_weight);
    case FXC_DTYPES_query:
        return of(rule, FXC_NAME_query);
    case FXC_DTYPES_other:
        return of(rule, FXC_NAME_other);
    case FXC_DTYPES_truth:
        return FXC_DTYPE_BOOL;
    case FXC_DTYPES_real:
        return floating(rule, part_of(of_subject(rule)));
    case FXC_DTYPES_singular:
        dtype = of_subject(rule);
        return index == 1 ? part_of(dtype) : index == 3 ? (uint8_t)FXC_DTYPE_INT32 : dtype;
    case FXC_DTYPES_eigen:
        dtype = of_subject(rule);
        return index == 0 ? part_of(dtype) : dtype;
    case FXC_DTYPES_factored:
        return index == 0 ? of_subject(rule) : (uint8_t)FXC_DTYPE_INT32;
    case FXC_DTYPES_solved:
        return index < 2 ? of_subject(rule) : (uint8_t)FXC_DTYPE_INT32;
    case FXC_DTYPES_sides:
        return of_sides(rule);
    case FXC_DTYPES_tested:
        dtype = of_subject(rule);
        return dtype == FXC_DTYPE_UINT8 || dtype == FXC_DTYPE_OPAQUE ? dtype : (uint8_t)FXC_DTYPE_BOOL;
    case FXC_DTYPES_whole:
        return asked(rule, FXC_DTYPE_INT64);
    case FXC_DTYPES_indices:
        return FXC_DTYPE_INT64;
    case FXC_DTYPES_with_indices:
        return index == 0 ? of_subject(rule) : (uint8_t)FXC_DTYPE_INT64;
    case FXC_DTYPES_asked:
        return asked(rule, of_subject(rule));
    case FXC_DTYPES_folded:
        dtype = of_subject(rule);
        return asked(rule, category_of(dtype) <= INTEGER ? (uint8_t)FXC_DTYPE_INT64 : dtype);
    case FXC_DTYPES_squared:
        dtype = of_subject(rule);
        return category_of(dtype) == BOOL ? (uint8_t)FXC_DTYPE_INT64 : dtype;
    case FXC_DTYPES_summed:
        dtype = of_subject(rule);
        return category_of(dtype) <= INTEGER && !has_size(rule) ? (uint8_t)FXC_DTYPE_INT64 : dtype;
    case FXC_DTYPES_made:
        return asked(rule, rule->shapes->default_dtype);
    case FXC_DTYPES_filled:
        return asked(rule, number_argument(rule, FXC_NAME_fill_value));
    case FXC_DTYPES_range:
        return asked(rule, range(rule));
    case FXC_DTYPES_part:
        return asked(rule, part_of(of_subject(rule)));
    case FXC_DTYPES_padded:
        return padded(rule);
    case FXC_DTYPES_softmax: {
        bool widened;
        return !fxc_rule_bool(rule, FXC_NAME_half_to_float, false, &widened) ? (uint8_t)FXC_DTYPE_OPAQUE
               : widened                                                     ? (uint8_t)FXC_DTYPE_FLOAT32
                                                                             : of_subject(rule);
    }
    case FXC_DTYPES_saved:
        dtype = of(rule, FXC_NAME_saved_v);
        return dtype != FXC_DTYPE_OPAQUE ? dtype : of(rule, FXC_NAME_v);
    case FXC_DTYPES_layered:
        return index < 3 ? of(rule, FXC_NAME_input) : (uint8_t)FXC_DTYPE_UINT8;
    case FXC_DTYPES_varlen:
        return index == 0   ? of(rule, FXC_NAME_query)
               : index == 1 ? (uint8_t)FXC_DTYPE_FLOAT32
                            : (uint8_t)FXC_DTYPE_UINT64;
    case FXC_DTYPES_with_mask:
        return index == 0 ? of_subject(rule) : (uint8_t)FXC_DTYPE_BOOL;
    case FXC_DTYPES_statistics:
        dtype = of_subject(rule);
        return index == 0 || dtype == FXC_DTYPE_FLOAT32 || dtype == FXC_DTYPE_FLOAT64 ? dtype
                                                                                      : (uint8_t)FXC_DTYPE_OPAQUE;
    case FXC_DTYPES_attended:
        dtype = of(rule, FXC_NAME_query);
        return index == 0 ? dtype : dtype == FXC_DTYPE_FLOAT64 ? (uint8_t)FXC_DTYPE_OPAQUE : (uint8_t)FXC_DTYPE_FLOAT32;
    case FXC_DTYPES_gradient:
        dtype = of(rule, FXC_NAME_grad_output);
        return dtype != FXC_DTYPE_OPAQUE ? dtype : of(rule, FXC_NAME_grad);
    case FXC_DTYPES_input_dtype:
        return asked_as(rule, FXC_NAME_input_dtype, FXC_DTYPE_OPAQUE);
    case FXC_DTYPES_bags:
        return of(rule, index == 0 ? FXC_NAME_weight : FXC_NAME_offsets);
    case FXC_DTYPES_body:
        return fxc_body_dtype(rule, 0, index);
    case FXC_DTYPES_carried:
        return fxc_body_dtype(rule, 1, index);
    case FXC_DTYPES_functionalized:
        return fxc_written_tensor(rule, index, &tensor) ? tensor.dtype : (uint8_t)FXC_DTYPE_OPAQUE;
    case FXC_DTYPES_spectrum:
        dtype = part_of(floating(rule, of_subject(rule)));
        return category_of(dtype) == FLOATING && dtype != FXC_DTYPE_BFLOAT16 ? complex_of(width(dtype))
                                                                             : (uint8_t)FXC_DTYPE_OPAQUE;
    case FXC_DTYPES_listed:
        return fxc_rule_item_tensor(rule, fxc_rule_list(rule, FXC_NAME_tensors), index, &tensor) ||
                       fxc_rule_item_tensor(rule, fxc_rule_list(rule, FXC_NAME_inputs), index, &tensor)
                   ? tensor.dtype
                   : (uint8_t)FXC_DTYPE_OPAQUE;
    case FXC_DTYPES_element: {
        int64_t which;
        uint32_t list = fxc_rule_list(rule, FXC_NAME_a);
        return list != FXC_NONE && fxc_rule_int(rule, FXC_NAME_b, -1, &which) && which >= 0 && which < UINT32_MAX &&
                       fxc_rule_item_tensor(rule, list, (uint32_t)which, &tensor)
                   ? tensor.dtype
                   : (uint8_t)FXC_DTYPE_OPAQUE;
    }
    default:
        return FXC_DTYPE_OPAQUE;
    }
}
