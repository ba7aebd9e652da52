/* reshape: what a node computes in the new program. */
#include <inttypes.h>
#include <string.h>

#include "passes/reshape/reshape.h"
#include "passes/shapes/number_rules.h"
#include "passes/shapes/rules.h"
#include "passes/shapes/tell.h"

/* ---- what a node takes ------------------------------------------------------------------------------------------- */

static uint8_t changed_value(const struct fxc_reshape *r, int64_t value) {
    return ((const uint8_t *)r->changed.data)[value];
}

static uint8_t changed_list(const struct fxc_reshape *r, int64_t list) {
    const struct fxc_program *p = &r->view;
    uint8_t bits = 0;
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_VALUE) {
            bits |= changed_value(r, p->item_payload[i]);
        } else if (p->item_kind[i] == FXC_KIND_LIST || p->item_kind[i] == FXC_KIND_DICT) {
            bits |= changed_list(r, p->item_payload[i]); /* nested at most 32 deep: the pass `verify` saw to it */
        }
    }
    return bits;
}

uint8_t fxc_reshape_changed_arguments(const struct fxc_reshape *r, uint32_t node) {
    const struct fxc_program *p = &r->view;
    uint8_t bits = 0;
    for (uint32_t a = p->node_arg_begin[node]; r->any_changed && a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_VALUE) {
            bits |= changed_value(r, p->arg_payload[a]);
        } else if (p->arg_kind[a] == FXC_KIND_LIST || p->arg_kind[a] == FXC_KIND_DICT) {
            bits |= changed_list(r, p->arg_payload[a]);
        }
    }
    return bits;
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const char *const advice = "capture the model at these sizes, or with the dimensions dynamic";

/* A result that rests on the recording of other arguments. */
static fxc_status refuse_recorded(const struct fxc_rule *rule, const char *what, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
    fxc_expected(err, "a rule for the %s of what %s returns", what, fxc_node_op_name(rule->program, rule->node));
    fxc_found(err, "only what was recorded, for other arguments than the new inputs bring");
    fxc_advice(err, "%s", advice);
    return status;
}

static fxc_status refuse_overflow(const struct fxc_rule *rule, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, rule->program, rule->node);
    fxc_expected(err, "sizes whose product fits in 64 bits");
    fxc_found(err, "a larger result");
    fxc_advice(err, "give smaller input sizes");
    return status;
}

/* The rule's own words, with advice for who changed the inputs. */
static fxc_status refuse_conflict(fxc_status status, fxc_error *err) {
    if (status == FXC_PROGRAM) {
        fxc_advice(err,
                   "the model does not take these input sizes, or holds a size of the capture as a constant: capture "
                   "it at these sizes, or with the dimensions dynamic");
    }
    return status;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

/* What was recorded of a value, at the values of the symbols. */
struct recording {
    struct fxc_tensor tensor;
    uint32_t meta; /* row of the source */
    bool exists;
};

static struct recording recording_of(const struct fxc_reshape *r, uint32_t value) {
    const struct fxc_program *p = r->source;
    struct recording out = {.meta = FXC_NONE};
    if (value < FXC_COUNT(p, value) && p->value_kind[value] == FXC_KIND_TENSOR) {
        struct fxc_rule rule = {.program = p, .shapes = r->recorded->shapes};
        out.exists = fxc_rule_value(&rule, value, &out.tensor);
        out.meta = (uint32_t)p->value_payload[value];
    }
    return out;
}

static bool same_sizes(const struct fxc_shape *told, const struct fxc_tensor *recorded) {
    return told->rank == recorded->rank &&
           (told->rank == 0 || memcmp(told->size, recorded->size, told->rank * sizeof told->size[0]) == 0);
}

/* Strides of dimensions that hold one element or none say nothing. */
static bool same_strides(const struct fxc_shape *told, const struct fxc_tensor *recorded) {
    for (uint32_t dim = 0; dim < told->rank && recorded->numel > 0; dim++) {
        if (told->size[dim] > 1 && told->stride[dim] != recorded->stride[dim]) {
            return false;
        }
    }
    return true;
}

bool fxc_reshape_strides_like(const struct fxc_tensor *recorded, struct fxc_shape *out) {
    uint8_t order[FXC_MAX_RANK]; /* dimensions, the outermost first */
    int64_t step = 1;
    bool same_rank = recorded->rank == out->rank;
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        uint32_t at = dim;
        for (; same_rank && at > 0 && recorded->stride[order[at - 1]] < recorded->stride[dim]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = (uint8_t)dim;
    }
    for (uint32_t i = out->rank; i-- > 0;) {
        out->stride[order[i]] = step;
        if (out->size[order[i]] > 1 && fxc_mul(step, out->size[order[i]], &step)) {
            return false;
        }
    }
    return out->strides_told = true;
}

static bool too_large(const struct fxc_shape *told) {
    int64_t numel = 1;
    bool overflow = false;
    for (uint32_t dim = 0; dim < told->rank; dim++) {
        overflow = overflow || fxc_mul(numel, told->size[dim] == 0 ? 1 : told->size[dim], &numel);
    }
    return overflow;
}

/* The element type, when nothing tells it that of the recording of equal types. */
static fxc_status settle_dtype(const struct fxc_rule *rule, const struct recording *recorded, uint8_t changed,
                               struct fxc_shape *told, fxc_error *err) {
    if (told->dtype != FXC_DTYPE_OPAQUE && (changed != 0 || !recorded->exists)) {
        return FXC_OK;
    }
    if (!recorded->exists || (changed & FXC_CHANGED_DTYPE) != 0) {
        return refuse_recorded(rule, "element type", err);
    }
    told->dtype = recorded->tensor.dtype;
    return FXC_OK;
}

static uint8_t difference(const struct fxc_shape *told, const struct recording *recorded, int64_t offset,
                          int64_t recorded_offset) {
    if (!recorded->exists) {
        return 0;
    }
    bool sizes = same_sizes(told, &recorded->tensor);
    return (uint8_t)((sizes ? 0 : FXC_CHANGED_SIZES) | (told->dtype == recorded->tensor.dtype ? 0 : FXC_CHANGED_DTYPE) |
                     (sizes && same_strides(told, &recorded->tensor) && offset == recorded_offset
                          ? 0
                          : FXC_CHANGED_STRIDES));
}

/* The new description of a result whose sizes are told. */
static fxc_status settle_told(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value,
                              const struct recording *recorded, struct fxc_shape *told, fxc_error *err) {
    if (too_large(told)) {
        return refuse_overflow(rule, err);
    }
    if (!told->strides_told && !fxc_reshape_strides_like(&recorded->tensor, told)) {
        return refuse_overflow(rule, err);
    }
    struct fxc_reshape_meta meta = {.dtype = told->dtype, .layout = FXC_LAYOUT_STRIDED, .rank = told->rank};
    memcpy(meta.size, told->size, told->rank * sizeof told->size[0]);
    memcpy(meta.stride, told->stride, told->rank * sizeof told->stride[0]);
    int64_t recorded_offset = 0;
    if (recorded->exists) {
        meta.flags = r->source->meta_flags[recorded->meta];
        recorded_offset = r->recorded->shapes->offset[value];
    }
    fxc_reshape_place(r, rule, value, told, &meta);
    uint8_t changed = difference(told, recorded, meta.offset, recorded_offset);
    if (recorded->exists && changed == 0) {
        fxc_reshape_adopt(r, value);
    } else {
        fxc_reshape_set_tensor(r, value, fxc_reshape_meta_row(r, &meta), changed);
        if (recorded->exists) {
            r->settled[value] = true;
            fxc_reshape_note(r, &recorded->tensor, told->rank, told->size);
        }
    }
    return fxc_reshape_fill(r, value, err);
}

static fxc_status contradiction(const struct fxc_rule *rule, const struct fxc_shape *told,
                                const struct recording *recorded, fxc_error *err) {
    char a[96], b[96];
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
    fxc_expected(err, "the shape %s that follows from the arguments",
                 fxc_sizes_text(told->size, told->rank, a, sizeof a));
    fxc_found(err, "the recorded shape %s", fxc_sizes_text(recorded->tensor.size, recorded->tensor.rank, b, sizeof b));
    fxc_advice(err, "the program contradicts itself: capture the model again");
    return status;
}

/* Sizes that are data, whatever sizes go in: where something is, or how many. */
static bool is_data(const struct fxc_reshape *r, const struct fxc_rule *rule, const struct recording *recorded) {
    uint32_t op = rule->program->node_op[rule->node];
    bool tagged = (rule->program->op_tags[op] & FXC_OP_TAG_DYNAMIC_OUTPUT_SHAPE) != 0;
    return tagged && recorded->exists && recorded->tensor.numel < 0 && !r->builder.failed &&
           (recorded->tensor.rank == 1 ||
            strcmp(fxc_string(rule->program, rule->program->op_name[op]), "aten.nonzero.default") == 0);
}

static fxc_status settle_tensor(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value, uint32_t index,
                                uint8_t changed, fxc_error *err) {
    struct recording recorded = recording_of(r, value);
    struct fxc_shape told;
    fxc_tell_nothing(&told, index);
    fxc_status status = FXC_UNKNOWN_OPS;
    if (!recorded.exists || r->source->meta_layout[recorded.meta] == FXC_LAYOUT_STRIDED) {
        fxc_tell_dtype(rule, &told);
        status = fxc_tell_sizes(rule, &told, err);
    }
    if (status == FXC_OK) {
        fxc_tell_strides(rule, &told);
        if (recorded.exists && fxc_is_tagged(rule->program, rule->node) &&
            r->recorded->shapes->source[value] != FXC_SHAPE_TAGGED) {
            status = FXC_UNKNOWN_OPS; /* a tag that did not hold at the captured sizes */
        }
    } else if (status != FXC_UNKNOWN_OPS) {
        return changed == 0 ? status : refuse_conflict(status, err);
    }
    if (changed == 0 && recorded.exists) {
        if (status == FXC_OK && recorded.tensor.numel >= 0 && !same_sizes(&told, &recorded.tensor)) {
            return contradiction(rule, &told, &recorded, err);
        }
        fxc_reshape_adopt(r, value);
        return fxc_reshape_fill(r, value, err);
    }
    if (status == FXC_UNKNOWN_OPS) {
        if (!is_data(r, rule, &recorded)) {
            return refuse_recorded(rule, "sizes", err);
        }
        fxc_reshape_adopt(r, value);
        return FXC_OK;
    }
    FXC_TRY(settle_dtype(rule, &recorded, changed, &told, err));
    return settle_told(r, rule, value, &recorded, &told, err);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static bool is_number(uint8_t kind) {
    return kind == FXC_KIND_INT || kind == FXC_KIND_BOOL || kind == FXC_KIND_FLOAT;
}

static fxc_status contradicted_number(const struct fxc_rule *rule, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
    fxc_expected(err, "the number that follows from the arguments");
    fxc_found(err, "another, recorded one");
    fxc_advice(err, "the program contradicts itself: capture the model again");
    return status;
}

/* A number that a node computes. One that depends on data stays a symbol. */
static fxc_status settle_number(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value, uint8_t changed,
                                fxc_error *err) {
    uint8_t kind;
    int64_t payload;
    fxc_reshape_adopt(r, value);
    bool told = fxc_tell_number(rule, &kind, &payload);
    if (r->builder.failed || !is_number(r->view.value_kind[value])) {
        return FXC_OK;
    }
    bool same = told && kind == r->view.value_kind[value] && payload == r->view.value_payload[value];
    if (changed == 0) {
        return !told || same ? FXC_OK : contradicted_number(rule, err);
    }
    if (!told) {
        return refuse_recorded(rule, "number", err);
    }
    if (!same) {
        fxc_reshape_set_value(r, value, kind, payload, FXC_CHANGED_NUMBER);
    }
    return FXC_OK;
}

static fxc_status settle(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value, uint32_t index,
                         uint8_t changed, fxc_error *err);

static fxc_status settle_list(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value, uint8_t changed,
                              fxc_error *err) {
    const struct fxc_program *p = &r->view;
    int64_t list = r->source->value_payload[value];
    uint8_t bits = 0;
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_VALUE) {
            uint32_t element = (uint32_t)p->item_payload[i];
            FXC_TRY(settle(r, rule, element, i - p->list_begin[list], changed, err));
            bits |= changed_value(r, element);
        }
    }
    fxc_reshape_set_value(r, value, r->source->value_kind[value], list, bits);
    r->settled[value] = true;
    return FXC_OK;
}

static fxc_status settle(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value, uint32_t index,
                         uint8_t changed, fxc_error *err) {
    switch (r->source->value_kind[value]) {
    case FXC_KIND_TENSOR:
        return settle_tensor(r, rule, value, index, changed, err);
    case FXC_KIND_LIST:
    case FXC_KIND_DICT:
        return settle_list(r, rule, value, changed, err);
    case FXC_KIND_INT:
    case FXC_KIND_SYMINT:
    case FXC_KIND_FLOAT:
    case FXC_KIND_SYMFLOAT:
    case FXC_KIND_BOOL:
    case FXC_KIND_SYMBOOL:
        return settle_number(r, rule, value, changed, err);
    default:
        fxc_reshape_adopt(r, value);
        return FXC_OK;
    }
}

fxc_status fxc_reshape_derive(struct fxc_reshape *r, uint32_t node, fxc_error *err) {
    struct fxc_rule rule = {.program = &r->view, .shapes = &r->shapes, .bindings = r->unbound, .node = node};
    uint8_t changed = fxc_reshape_changed_arguments(r, node);
    if ((changed & FXC_CHANGED_SIZES) != 0) {
        FXC_TRY(fxc_reshape_fit(&rule, err));
    }
    return settle(r, &rule, r->view.node_result[node], 0, changed, err);
}
