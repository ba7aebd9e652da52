/* Stubs of formulas for what has none: a text to complete, which fxc_analysis_add_formulas reads as it stands. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/error.h"
#include "passes/custom/custom.h"
#include "passes/report/render.h"
#include "passes/report/rows.h"

/* The first node of an operator that was counted as unknown; FXC_NONE when there is none. */
static uint32_t first_unknown(const struct fxc_analysis *analysis, uint32_t op) {
    const struct fxc_program *p = analysis->program;
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        if (p->node_op[node] == op && analysis->flops->coverage[node] == FXC_COVERAGE_UNKNOWN) {
            return node;
        }
    }
    return FXC_NONE;
}

static void put_shape(struct fxc_stream *out, const fxc_tensor_info *info) {
    fxc_putf(out, " %s[", fxc_dtype_short(info->dtype));
    for (uint32_t dim = 0; dim < info->rank; dim++) {
        fxc_putf(out, "%s%" PRId64, dim == 0 ? "" : ", ", info->size[dim]);
    }
    fxc_put(out, "]");
}

/* "x f32[2, 4]" for a tensor, "steps 3" for a number; nothing for what a formula cannot read. */
static bool put_argument(struct fxc_stream *out, const fxc_op_call *call, const char *name, bool first) {
    fxc_tensor_info info = {.struct_size = sizeof info};
    int64_t number;
    if (fxc_op_call_tensor(call, name, &info)) {
        fxc_putf(out, "%s%.80s", first ? "" : ", ", name);
        put_shape(out, &info);
        return true;
    }
    if (fxc_op_call_int(call, name, &number)) {
        fxc_putf(out, "%s%.80s %" PRId64, first ? "" : ", ", name, number);
        return true;
    }
    return false;
}

static bool put_arguments(struct fxc_stream *out, const fxc_op_call *call) {
    const struct fxc_program *p = call->rule.program;
    bool first = true;
    for (uint32_t i = p->node_arg_begin[call->rule.node]; i < p->node_arg_begin[call->rule.node + 1]; i++) {
        const char *name = fxc_string(p, p->argname_text[p->arg_name[i]]);
        bool put = put_argument(out, call, name, first);
        first = first && !put;
        for (uint32_t item = 0; !put && item < 8; item++) { /* a list: its first items */
            char indexed[96];
            (void)snprintf(indexed, sizeof indexed, "%.80s.%" PRIu32, name, item);
            first = !put_argument(out, call, indexed, first) && first;
        }
    }
    return !first;
}

static bool put_results(struct fxc_stream *out, const fxc_op_call *call) {
    fxc_tensor_info info = {.struct_size = sizeof info};
    uint32_t count = 0;
    while (count < 8 && fxc_op_call_result(call, count, &info)) {
        fxc_put(out, count == 0 ? "out" : ", out");
        if (count > 0) {
            fxc_putf(out, "%" PRIu32, count);
        }
        put_shape(out, &info);
        count++;
    }
    return count > 0;
}

static const char *argument_called(const fxc_op_call *call, const char *const names[2]) {
    fxc_tensor_info info = {.struct_size = sizeof info};
    for (int i = 0; i < 2; i++) {
        if (fxc_op_call_tensor(call, names[i], &info)) {
            return names[i];
        }
    }
    return NULL;
}

/* What the statement starts from: two products for what takes queries and keys, else one FLOP per element. */
static void put_statement(struct fxc_stream *out, const fxc_op_call *call, const char *op, bool results) {
    const char *q = argument_called(call, (const char *const[2]){"q", "query"});
    const char *k = argument_called(call, (const char *const[2]){"k", "key"});
    fxc_putf(out, "#op %.400s: ", op);
    if (q != NULL && k != NULL) {
        fxc_putf(out, "macs = 2 * numel(%s) * %s[-2]\n", q, k);
    } else {
        fxc_put(out, results ? "flops = numel(out)\n" : "flops = \n");
    }
}

static void put_stub(struct fxc_stream *out, const struct fxc_analysis *analysis, const fxc_unknown_op *unknown,
                     uint32_t node) {
    const struct fxc_program *p = analysis->program;
    fxc_op_call call = {
        .rule = {.program = p, .shapes = analysis->shapes, .bindings = analysis->bindings, .node = node},
        .module_call = FXC_NONE};
    fxc_putf(out, "\n# %.400s: %" PRId64 " %s\n#   ", unknown->op, unknown->nodes,
             unknown->nodes == 1 ? "node" : "nodes, of which the first has");
    if (!put_arguments(out, &call)) {
        fxc_put(out, "no argument whose size is known");
    }
    fxc_put(out, "\n#   ");
    bool results = put_results(out, &call);
    fxc_put(out, results ? "\n" : "no result whose size is known\n");
    put_statement(out, &call, unknown->op, results);
}

fxc_status fxc_analysis_stubs(fxc_analysis *analysis, fxc_write_fn write, void *context, fxc_error *err) {
    struct fxc_stream out = {.write = write, .context = context};
    const struct fxc_program *p = analysis->program;
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(report), err));
    const struct fxc_report *report = analysis->report;
    fxc_put(&out, report->unknown_count == 0 ? "# Every operator has a formula.\n"
                                             : "# Operators without a formula. Remove the # before a statement, and "
                                               "write what the operator does\n# (docs/formulas.md); then: fxcost MODEL "
                                               "--formulas THIS_FILE\n");
    for (uint32_t i = 0; i < report->unknown_count; i++) {
        for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
            uint32_t node = strcmp(fxc_string(p, p->op_name[op]), report->unknown[i].op) == 0
                                ? first_unknown(analysis, op)
                                : FXC_NONE;
            if (node != FXC_NONE) {
                put_stub(&out, analysis, &report->unknown[i], node);
                break;
            }
        }
    }
    return out.failed ? fxc_fail(err, FXC_IO, "writing the stubs failed") : FXC_OK;
}
