/* shapes: concrete sizes of every tensor value under the bindings. Recorded sizes are evaluated once per description
 * (meta row); where the operator table has a shape rule, the result is derived from the arguments and must agree. */
#include <string.h>

#include "ir/expr.h"
#include "passes/shapes/autocast.h"
#include "passes/shapes/rules.h"
#include "passes/shapes/tell.h"

/* What is computed once per meta row. */
struct metas {
    int64_t *size, *stride; /* per dim row; -1 without a value */
    int64_t *numel;         /* per meta row; -1 without a value */
    int64_t *offset;
};

static int64_t evaluate(const struct fxc_analysis *analysis, int64_t symint) {
    int64_t number;
    if (fxc_is_literal(symint)) {
        return symint;
    }
    return fxc_symint_eval(analysis->program, analysis->bindings, symint, &number) ? number : -1;
}

/* A value described by this meta row, for messages. */
static uint32_t value_of_meta(const struct fxc_program *p, uint32_t meta) {
    for (uint32_t v = 0; v < FXC_COUNT(p, value); v++) {
        if (p->value_kind[v] == FXC_KIND_TENSOR && p->value_payload[v] == (int64_t)meta) {
            return v;
        }
    }
    return FXC_NONE;
}

/* Starts an error about the node or input that has this meta row. */
static fxc_status fail_meta(const struct fxc_program *p, uint32_t meta, fxc_status status, fxc_error *err) {
    uint32_t value = value_of_meta(p, meta);
    if (value == FXC_NONE) {
        return fxc_fail(err, status, "%s: an unused tensor description", p->file);
    }
    if (p->value_producer[value] != FXC_NONE) {
        return fxc_fail_node(err, status, p, p->value_producer[value]);
    }
    return fxc_fail(err, status, "%s: input '%s'", p->file, fxc_string(p, p->value_name[value]));
}

/* Sizes of one meta row. A symbol without a value is no error: the row's numel stays -1. */
static fxc_status evaluate_meta(const struct fxc_analysis *analysis, uint32_t meta, struct metas *metas,
                                fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    int64_t numel = 1;
    bool known = true, empty = false, overflow = false;
    for (uint32_t i = p->meta_dim_begin[meta]; i < p->meta_dim_begin[meta + 1]; i++) {
        struct fxc_number number;
        int64_t size = metas->size[i] = evaluate(analysis, p->dim_size[i]);
        metas->stride[i] = evaluate(analysis, p->dim_stride[i]);
        if (!fxc_is_literal(p->dim_size[i]) && size < 0) {
            metas->size[i] = -1;
            if (fxc_expr_eval(p, analysis->bindings, fxc_symint_expr(p->dim_size[i]), &number)) {
                fxc_status status = fail_meta(p, meta, FXC_PROGRAM, err);
                fxc_expected(err, "sizes of zero or more");
                fxc_found(err, "the size %lld in dimension %u", (long long)size, i - p->meta_dim_begin[meta]);
                fxc_advice(err, "bind larger values to the symbols");
                return status;
            }
            known = false;
            if (number.why == FXC_EVAL_OVERFLOW) {
                overflow = true;
            }
            continue;
        }
        empty = empty || size == 0;
        overflow = fxc_mul(numel, size, &numel) || overflow;
    }
    if (overflow && !empty) {
        fxc_status status = fail_meta(p, meta, FXC_OVERFLOW, err);
        fxc_expected(err, "fewer than 2^63 elements");
        fxc_found(err, "more in its shape");
        fxc_advice(err, "bind smaller values to the symbols");
        return status;
    }
    metas->numel[meta] = known ? (empty ? 0 : numel) : -1;
    metas->offset[meta] = evaluate(analysis, p->meta_offset[meta]);
    return FXC_OK;
}

static fxc_status evaluate_metas(struct fxc_analysis *analysis, struct fxc_arena *arena, struct metas *metas,
                                 fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    metas->size = FXC_NEW(arena, int64_t, FXC_COUNT(p, dim));
    metas->stride = FXC_NEW(arena, int64_t, FXC_COUNT(p, dim));
    metas->numel = FXC_NEW(arena, int64_t, FXC_COUNT(p, meta));
    metas->offset = FXC_NEW(arena, int64_t, FXC_COUNT(p, meta));
    if (metas->size == NULL || metas->stride == NULL || metas->numel == NULL || metas->offset == NULL) {
        return fxc_fail_memory(err, "shapes");
    }
    for (uint32_t meta = 0; meta < FXC_COUNT(p, meta); meta++) {
        FXC_TRY(evaluate_meta(analysis, meta, metas, err));
    }
    return FXC_OK;
}

static struct fxc_shapes *allocate(const struct fxc_program *p, struct fxc_arena *arena) {
    uint32_t values = FXC_COUNT(p, value);
    struct fxc_shapes *s = FXC_NEW(arena, struct fxc_shapes, 1);
    if (s == NULL) {
        return NULL;
    }
    s->dim_begin = FXC_NEW(arena, uint32_t, values);
    s->rank = FXC_NEW(arena, uint8_t, values);
    s->dtype = FXC_NEW(arena, uint8_t, values);
    s->numel = FXC_NEW(arena, int64_t, values);
    s->offset = FXC_NEW(arena, int64_t, values);
    s->source = FXC_NEW(arena, uint8_t, values);
    s->told = FXC_NEW(arena, uint8_t, values);
    bool complete = s->dim_begin != NULL && s->rank != NULL && s->dtype != NULL && s->numel != NULL &&
                    s->offset != NULL && s->source != NULL && s->told != NULL;
    return complete ? s : NULL;
}

/* Gives every value the sizes of its description. */
static fxc_status adopt_recording(const struct fxc_program *p, const struct metas *metas, struct fxc_shapes *s,
                                  fxc_error *err) {
    s->size = metas->size;
    s->stride = metas->stride;
    for (uint32_t v = 0; v < FXC_COUNT(p, value); v++) {
        if (p->value_kind[v] != FXC_KIND_TENSOR) {
            s->dtype[v] = FXC_DTYPE_OPAQUE;
            s->source[v] = FXC_SHAPE_NOT_A_TENSOR;
            continue;
        }
        uint32_t meta = (uint32_t)p->value_payload[v];
        uint32_t rank = p->meta_dim_begin[meta + 1] - p->meta_dim_begin[meta];
        if (rank > UINT8_MAX) {
            fxc_status status = fail_meta(p, meta, FXC_PROGRAM, err);
            fxc_expected(err, "at most %d dimensions", UINT8_MAX);
            fxc_found(err, "%u", rank);
            return status;
        }
        s->dim_begin[v] = p->meta_dim_begin[meta];
        s->rank[v] = (uint8_t)rank;
        s->dtype[v] = p->meta_dtype[meta];
        s->numel[v] = metas->numel[meta];
        s->offset[v] = metas->offset[meta];
        s->source[v] = FXC_SHAPE_RECORDED;
    }
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        s->given_values += p->value_kind[p->input_value[i]] == FXC_KIND_TENSOR;
    }
    return FXC_OK;
}

static fxc_status contradiction(const struct fxc_rule *rule, const char *what, const char *derived,
                                const char *recorded, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
    fxc_expected(err, "the %s %s that follows from the arguments (rule %s)", what, derived,
                 fxc_node_row(rule->program, rule->node)->shape_name);
    fxc_found(err, "the recorded %s %s", what, recorded);
    fxc_advice(err, "the program contradicts itself: capture the model again, or bind other values to its symbols");
    return status;
}

static fxc_status disagree(const struct fxc_rule *rule, const char *what, uint32_t rank, const int64_t *derived,
                           uint32_t recorded_rank, const int64_t *recorded, fxc_error *err) {
    char a[96], b[96];
    return contradiction(rule, what, fxc_sizes_text(derived, rank, a, sizeof a),
                         fxc_sizes_text(recorded, recorded_rank, b, sizeof b), err);
}

/* Sizes by the operator's shape rule; FXC_UNKNOWN_OPS leaves the recording. */
static fxc_status derive_sizes(const struct fxc_rule *rule, struct fxc_shape *derived,
                               const struct fxc_tensor *recorded, fxc_error *err) {
    FXC_TRY(fxc_tell_sizes(rule, derived, err));
    if (fxc_is_tagged(rule->program, rule->node) &&
        (derived->rank != recorded->rank ||
         memcmp(derived->size, recorded->size, derived->rank * sizeof derived->size[0]) != 0)) {
        return FXC_UNKNOWN_OPS; /* a tag that does not hold is no contradiction of the capture */
    }
    if (derived->rank != recorded->rank ||
        (derived->rank > 0 && memcmp(derived->size, recorded->size, derived->rank * sizeof derived->size[0]) != 0)) {
        return disagree(rule, "shape", derived->rank, derived->size, recorded->rank, recorded->size, err);
    }
    return FXC_OK;
}

static fxc_status derive_dtype(const struct fxc_rule *rule, struct fxc_shape *derived,
                               const struct fxc_tensor *recorded, fxc_error *err) {
    fxc_tell_dtype(rule, derived);
    if (recorded->dtype == FXC_DTYPE_OPAQUE) {
        derived->dtype = FXC_DTYPE_OPAQUE; /* of a newer format version: nothing to hold the rule against */
    }
    if (derived->dtype != FXC_DTYPE_OPAQUE && derived->dtype != recorded->dtype) {
        return contradiction(rule, "element type", fxc_enum_text("dtype", derived->dtype),
                             fxc_enum_text("dtype", recorded->dtype), err);
    }
    return FXC_OK;
}

/* Strides of dimensions that hold one element or none say nothing. */
static fxc_status derive_strides(const struct fxc_rule *rule, struct fxc_shape *derived,
                                 const struct fxc_tensor *recorded, fxc_error *err) {
    fxc_tell_strides(rule, derived);
    for (uint32_t dim = 0; derived->strides_told && recorded->numel > 0 && dim < recorded->rank; dim++) {
        if (recorded->stride[dim] < 0) {
            derived->strides_told = false;
        } else if (recorded->size[dim] > 1 && derived->stride[dim] != recorded->stride[dim]) {
            return disagree(rule, "strides", recorded->rank, derived->stride, recorded->rank, recorded->stride, err);
        }
    }
    return FXC_OK;
}

/* A rule that contradicts the recording. A type and strides enter no count, so the recording stands and the value is
 * reported; an analysis under STRICT refuses. Other sizes are refused but under LISTED, where a caller reads on. */
static fxc_status settle(const struct fxc_rule *rule, struct fxc_shapes *s, uint32_t value, bool sizes,
                         fxc_status status) {
    if (status != FXC_PROGRAM || s->policy == FXC_SHAPES_STRICT || (sizes && s->policy != FXC_SHAPES_LISTED)) {
        return status;
    }
    s->told[value] |= FXC_TOLD_OTHERWISE;
    s->contradicted_values++;
    if (s->contradicted_node == FXC_NONE) {
        s->contradicted_node = rule->node;
    }
    return FXC_OK;
}

/* A result whose sizes are no data, to hold the node's rules against. */
static bool recorded_result(const struct fxc_rule *rule, uint32_t value, struct fxc_tensor *out) {
    return fxc_rule_value(rule, value, out) && out->numel >= 0 &&
           rule->program->meta_layout[rule->program->value_payload[value]] == FXC_LAYOUT_STRIDED;
}

/* Runs the node's rules for one of its results. A result without recorded sizes is left as it is: its sizes are
 * data. */
static fxc_status derive_value(const struct fxc_rule *rule, uint32_t value, uint32_t index, struct fxc_shapes *s,
                               fxc_error *err) {
    struct fxc_tensor recorded;
    struct fxc_shape derived;
    if (s->told[value] != 0 || !recorded_result(rule, value, &recorded)) {
        return FXC_OK;
    }
    fxc_tell_nothing(&derived, index);
    fxc_error *strict_err = s->policy == FXC_SHAPES_STRICT ? err : NULL;
    fxc_status type = derive_dtype(rule, &derived, &recorded, strict_err);
    FXC_TRY(settle(rule, s, value, false, type));
    if (type == FXC_OK && derived.dtype != FXC_DTYPE_OPAQUE) {
        s->told[value] |= FXC_TOLD_DTYPE;
        s->dtype_values++;
    }
    fxc_status status = derive_sizes(rule, &derived, &recorded, err);
    if (status == FXC_UNKNOWN_OPS) {
        return FXC_OK;
    }
    FXC_TRY(settle(rule, s, value, true, status));
    if (status != FXC_OK) {
        return FXC_OK;
    }
    bool tagged = fxc_is_tagged(rule->program, rule->node);
    s->source[value] = tagged ? FXC_SHAPE_TAGGED : FXC_SHAPE_RULE;
    s->told[value] |= FXC_TOLD_SIZES;
    fxc_status strides = derive_strides(rule, &derived, &recorded, strict_err);
    FXC_TRY(settle(rule, s, value, false, strides));
    if (strides == FXC_OK && derived.strides_told) {
        s->told[value] |= FXC_TOLD_STRIDES;
        s->stride_values++;
    }
    return FXC_OK;
}

/* The same once more for a value that a rule contradicted: what it told, as an error. */
fxc_status fxc_shapes_contradiction(const struct fxc_rule *rule, uint32_t value, uint32_t index, fxc_error *err) {
    struct fxc_tensor recorded;
    struct fxc_shape derived;
    if (!recorded_result(rule, value, &recorded)) {
        return FXC_OK;
    }
    fxc_tell_nothing(&derived, index);
    FXC_TRY(derive_dtype(rule, &derived, &recorded, err));
    fxc_status status = derive_sizes(rule, &derived, &recorded, err);
    return status == FXC_OK ? derive_strides(rule, &derived, &recorded, err) : status;
}

static fxc_status derive(const struct fxc_rule *rule, struct fxc_shapes *s, fxc_error *err) {
    const struct fxc_program *p = rule->program;
    uint32_t result = p->node_result[rule->node];
    if (p->value_kind[result] != FXC_KIND_LIST) {
        return derive_value(rule, result, 0, s, err);
    }
    uint32_t list = (uint32_t)p->value_payload[result], begin = p->list_begin[list];
    for (uint32_t i = begin; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_VALUE && p->value_producer[p->item_payload[i]] == rule->node) {
            FXC_TRY(derive_value(rule, (uint32_t)p->item_payload[i], i - begin, s, err));
        }
    }
    return FXC_OK;
}

fxc_status fxc_run_shapes(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_shapes];
    struct metas metas;
    struct fxc_shapes *s = allocate(p, arena);
    if (s == NULL) {
        return fxc_fail_memory(err, "shapes");
    }
    FXC_TRY(evaluate_metas(analysis, arena, &metas, err));
    FXC_TRY(adopt_recording(p, &metas, s, err));
    struct fxc_rule rule = {.program = p, .shapes = s, .bindings = analysis->bindings};
    FXC_TRY(fxc_autocast_graphs(p, arena, &s->casts, err));
    s->policy = analysis->shape_policy;
    s->contradicted_node = FXC_NONE;
    s->default_dtype = fxc_default_dtype(p);
    for (rule.node = 0; rule.node < FXC_COUNT(p, node); rule.node++) {
        if (fxc_may_tell(p, rule.node)) {
            FXC_TRY(derive(&rule, s, err));
        }
    }
    analysis->shapes = s;
    return FXC_OK;
}
