/* The shapes fact as the public header shows it. */
#include "passes/shapes/rules.h"

static uint8_t source_of(const struct fxc_analysis *analysis, uint32_t value) {
    if (analysis->program->value_kind[value] != FXC_KIND_TENSOR) {
        return FXC_SOURCE_NONE;
    }
    if (analysis->program->value_producer[value] == FXC_NONE) {
        return FXC_SOURCE_INPUT;
    }
    switch (analysis->shapes->source[value]) {
    case FXC_SHAPE_RULE:
        return FXC_SOURCE_RULE;
    case FXC_SHAPE_TAGGED:
        return FXC_SOURCE_POINTWISE;
    default:
        return FXC_SOURCE_RECORDED;
    }
}

/* The shapes fact, and a value that exists. */
static fxc_status require_value(fxc_analysis *analysis, uint32_t value, const char *call, fxc_error *err) {
    if (value >= FXC_COUNT(analysis->program, value)) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s", call);
        fxc_expected(err, "an index below %u", FXC_COUNT(analysis->program, value));
        fxc_found(err, "%u", value);
        return status;
    }
    return fxc_require_facts(analysis, FXC_FACT_BIT(shapes), err);
}

fxc_status fxc_analysis_value_told(fxc_analysis *analysis, uint32_t value, uint32_t *told, fxc_error *err) {
    FXC_TRY(require_value(analysis, value, "fxc_analysis_value_told", err));
    *told = analysis->shapes->told[value];
    return FXC_OK;
}

/* Which result of its node a value is: its place in a list, 0 for one that stands alone. */
static uint32_t result_index(const struct fxc_program *p, uint32_t value) {
    uint32_t result = p->node_result[p->value_producer[value]];
    if (p->value_kind[result] != FXC_KIND_LIST) {
        return 0;
    }
    uint32_t list = (uint32_t)p->value_payload[result], index = 0;
    while (index < fxc_list_count(p, list) && !(p->item_kind[p->list_begin[list] + index] == FXC_KIND_VALUE &&
                                                p->item_payload[p->list_begin[list] + index] == (int64_t)value)) {
        index++;
    }
    return index;
}

fxc_status fxc_analysis_value_agrees(fxc_analysis *analysis, uint32_t value, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    FXC_TRY(require_value(analysis, value, "fxc_analysis_value_agrees", err));
    if ((analysis->shapes->told[value] & FXC_TOLD_OTHERWISE) == 0) {
        return FXC_OK;
    }
    struct fxc_rule rule = {
        .program = p, .shapes = analysis->shapes, .bindings = analysis->bindings, .node = p->value_producer[value]};
    return fxc_shapes_contradiction(&rule, value, result_index(p, value), err);
}

fxc_status fxc_analysis_value(fxc_analysis *analysis, uint32_t value, fxc_value_info *out, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_value: struct_size is smaller than this version's structure");
    }
    FXC_TRY(require_value(analysis, value, "fxc_analysis_value", err));
    const struct fxc_shapes *s = analysis->shapes;
    *out = (fxc_value_info){
        .struct_size = out->struct_size,
        .name = fxc_string(p, p->value_name[value]),
        .producer = p->value_producer[value],
        .kind = p->value_kind[value],
        .dtype = s->dtype[value],
        .source = source_of(analysis, value),
    };
    if (out->source != FXC_SOURCE_NONE) {
        out->rank = s->rank[value];
        out->numel = s->numel[value];
        out->offset = s->offset[value];
        out->size = s->size + s->dim_begin[value];
        out->stride = s->stride + s->dim_begin[value];
    }
    return FXC_OK;
}
