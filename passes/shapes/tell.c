/* The rules of one operator's row: sizes, element type, strides. */
#include "passes/shapes/tell.h"

#include "passes/shapes/dtype_rules.h"
#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* A shape rule, and the rules of type and strides that go with it unless the operator's row says otherwise. */
static const struct {
    fxc_shape_rule run;
    uint8_t dtype, layout;
} rules[FXC_SHAPE_RULE_COUNT] = {[FXC_SHAPE_RECORDED_ONLY] = {NULL, FXC_DTYPES_untold, FXC_LAYOUTS_untold},
#define X(name, dtype, layout) [FXC_SHAPE_##name] = {fxc_shape_##name, FXC_DTYPES_##dtype, FXC_LAYOUTS_##layout},
                                 FXC_SHAPE_RULE_LIST(X)
#undef X
};

bool fxc_is_tagged(const struct fxc_program *p, uint32_t node) {
    uint32_t op = p->node_op[node];
    return p->op_row[op] == NULL && (p->op_tags[op] & FXC_OP_TAG_POINTWISE) != 0;
}

bool fxc_may_tell(const struct fxc_program *p, uint32_t node) {
    const struct fxc_op_row *row = fxc_node_row(p, node);
    if (fxc_rule_is_foreign(p, node)) {
        return false;
    }
    return row == NULL ? fxc_is_tagged(p, node)
                       : (row->shape != FXC_SHAPE_RECORDED_ONLY || row->dtype != FXC_DTYPES_BY_SHAPE);
}

void fxc_tell_dtype(const struct fxc_rule *rule, struct fxc_shape *out) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    if (row == NULL) {
        return;
    }
    uint8_t which = row->dtype != FXC_DTYPES_BY_SHAPE ? row->dtype : rules[row->shape].dtype;
    if (which != FXC_DTYPES_untold) {
        out->dtype = fxc_result_dtype(rule, (enum fxc_dtype_rule_id)which, out->index);
    }
}

fxc_status fxc_tell_sizes(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    if (row == NULL) {
        /* A tag is the word of whoever wrote the operator: arguments that do not broadcast tell nothing. */
        FXC_NEED(out->index == 0 && fxc_is_tagged(rule->program, rule->node));
        FXC_NEED(fxc_shape_broadcast(rule, out, NULL) == FXC_OK);
        return FXC_OK;
    }
    FXC_NEED(row->shape != FXC_SHAPE_RECORDED_ONLY);
    FXC_TRY(rules[row->shape].run(rule, out, err));
    /* What torch would refuse to run: padding by less than there is, a window larger than its input. */
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        if (out->size[dim] < 0) {
            fxc_status status = fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
            fxc_expected(err, "sizes of zero or more (rule %s)", row->shape_name);
            fxc_found(err, "%lld in dimension %u, from the arguments", (long long)out->size[dim], dim);
            return status;
        }
    }
    return FXC_OK;
}

void fxc_tell_strides(const struct fxc_rule *rule, struct fxc_shape *out) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    if (row == NULL) {
        out->strides_told = false;
        return;
    }
    uint8_t which = row->layout != FXC_LAYOUTS_BY_SHAPE ? row->layout : rules[row->shape].layout;
    if (which != FXC_LAYOUTS_shaped) {
        out->strides_told = false;
        fxc_result_strides(rule, (enum fxc_layout_rule_id)which, out);
    }
    for (uint32_t dim = 0; out->strides_told && dim < out->rank; dim++) {
        out->strides_told = out->stride[dim] >= 0;
    }
}

uint8_t fxc_default_dtype(const struct fxc_program *p) {
    int64_t dtype;
    return fxc_program_capture(p, "default_dtype", FXC_KIND_DTYPE, &dtype) ? (uint8_t)dtype
                                                                           : (uint8_t)FXC_DTYPE_FLOAT32;
}
