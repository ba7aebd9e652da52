/* What TVM wants to know of a function: the attributes op_pattern and estimated_flops of a PrimFunc, of each kernel.
 * TVM itself derives both from loops (relax.transform.AnnotateTIROpPattern, tirx.analysis.estimate_tir_flops); where a
 * kernel is opaque to it, as calls of libraries are, they have to be given. The numbers of patterns are those of
 * tvm/include/tvm/relax/op_attr_types.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "ir/ops.h"
#include "passes/flops/rules.h"
#include "passes/report/json.h"
#include "passes/trace/trace.h"

enum pattern {
    PATTERN_ELEMENTWISE = 0,
    PATTERN_BROADCAST = 1,
    PATTERN_INJECTIVE = 2,
    PATTERN_REDUCE = 3,
    PATTERN_OUT_ELEMENTWISE = 4, /* others may be fused behind it, element by element */
    PATTERN_OPAQUE = 8
};

/* Does a tensor that a node reads have the shape of its result? Others may then be spread over it. */
static bool keeps_shape(const struct fxc_rule *rule) {
    const struct fxc_program *p = rule->program;
    struct fxc_tensor result, operand;
    bool same = false;
    for (uint32_t a = p->node_arg_begin[rule->node]; !same && a < p->node_arg_begin[rule->node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_VALUE && fxc_rule_result(rule, 0, &result) &&
            fxc_rule_value(rule, (uint32_t)p->arg_payload[a], &operand)) {
            same = operand.rank == result.rank &&
                   (result.rank == 0 || memcmp(operand.size, result.size, result.rank * sizeof *result.size) == 0);
        }
    }
    return same;
}

/* What only folds: a mean, a norm or a softmax goes on to compute with the sum. */
static bool only_folds(const struct fxc_op_row *row) {
    return row->flops == FXC_FLOPS_reduce && row->params[0] == 0 && row->params[1] == 0;
}

/* Read at computed places is opaque: what TVM makes of relax.op.take, and tests compare. */
static enum pattern pattern_of(const struct fxc_rule *rule) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    switch (row == NULL ? (int)FXC_FUSE_OPAQUE : (int)row->fuse) {
    case FXC_FUSE_POINTWISE:
        return keeps_shape(rule) ? PATTERN_ELEMENTWISE : PATTERN_BROADCAST;
    case FXC_FUSE_NOTHING:
        return PATTERN_ELEMENTWISE;
    case FXC_FUSE_VIEW:
    case FXC_FUSE_CONCAT:
    case FXC_FUSE_FACTORY:
        return PATTERN_INJECTIVE;
    case FXC_FUSE_REDUCTION:
        return only_folds(row) ? PATTERN_REDUCE : PATTERN_OUT_ELEMENTWISE;
    case FXC_FUSE_ANCHOR:
        return PATTERN_OUT_ELEMENTWISE;
    default:
        return PATTERN_OPAQUE;
    }
}

/* Of what was fused the widest pattern holds, as TVM has it for its own fused functions. */
static enum pattern pattern_of_kernel(const fxc_analysis *analysis, const fxc_kernel_info *k) {
    enum pattern widest = PATTERN_ELEMENTWISE;
    for (uint32_t i = 0; i < k->node_count; i++) {
        struct fxc_rule rule = {.program = analysis->program,
                                .shapes = analysis->shapes,
                                .bindings = analysis->bindings,
                                .node = k->nodes[i]};
        enum pattern pattern = pattern_of(&rule);
        widest = pattern > widest ? pattern : widest;
    }
    return widest;
}

/* "kernel_3_linear_relu": a name that is an identifier, and the only one. */
static void name_function(const fxc_analysis *analysis, uint32_t index, const fxc_kernel_info *k, char *out,
                          size_t size) {
    size_t used = (size_t)snprintf(out, size, "kernel_%u", index);
    for (uint32_t i = 0; i < k->node_count && used + 80 < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "_%.64s", fxc_node_name(analysis->program, k->nodes[i]));
    }
    for (char *c = out; *c != '\0'; c++) {
        *c = isalnum((unsigned char)*c) ? *c : '_';
    }
}

static void put_function(struct fxc_json *json, fxc_analysis *analysis, const struct fxc_step *step) {
    char name[FXC_STEP_NAME];
    fxc_kernel_info k = {.struct_size = sizeof k};
    (void)fxc_analysis_kernel(analysis, step->kernel, &k, NULL);
    name_function(analysis, step->kernel, &k, name, sizeof name);
    fxc_put(json->out, "\n");
    fxc_json_open(json, NULL, '{');
    fxc_json_string(json, "name", name);
    fxc_json_open(json, "attrs", '{');
    fxc_json_int(json, "op_pattern", pattern_of_kernel(analysis, &k));
    if (!step->unknown) {
        fxc_json_int(json, "estimated_flops", fxc_flops_of(&step->counts));
    }
    fxc_json_close(json, '}');
    fxc_json_open(json, "nodes", '[');
    for (uint32_t i = 0; i < k.node_count; i++) {
        fxc_json_string(json, NULL, fxc_node_name(analysis->program, k.nodes[i]));
    }
    fxc_json_close(json, ']');
    fxc_json_close(json, '}');
}

fxc_status fxc_write_tvm(fxc_analysis *analysis, const struct fxc_steps *steps, enum fxc_axis_id axis,
                         struct fxc_stream *out, fxc_error *err) {
    struct fxc_json json = {out, false};
    (void)axis;
    (void)err;
    fxc_json_open(&json, NULL, '{');
    fxc_json_string(&json, "producer", "fxcost " FXC_VERSION);
    fxc_json_string(&json, "program", analysis->program->file);
    fxc_json_open(&json, "functions", '[');
    for (uint32_t i = 0; i < steps->count; i++) {
        put_function(&json, analysis, &steps->step[i]);
    }
    fxc_json_close(&json, ']');
    fxc_json_close(&json, '}');
    fxc_put(out, "\n");
    return FXC_OK;
}
