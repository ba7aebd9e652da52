/* What the public header fxcost/convention.h reads off the tables of conventions and the fact `tool`. */
#include "fxcost/convention.h"

#include "passes/convention/convention.h"

#define CHECK_STRUCT(pointer, function)                                                                                \
    if ((pointer)->struct_size < sizeof *(pointer)) {                                                                  \
        return fxc_fail(err, FXC_USAGE, function ": struct_size is smaller than this version's structure");            \
    }

fxc_status fxc_convention_get(uint32_t index, fxc_convention_info *out, fxc_error *err) {
    CHECK_STRUCT(out, "fxc_convention_get");
    if (index >= fxc_convention_count) {
        return fxc_fail(err, FXC_USAGE, "fxc_convention_get: no convention %u", index);
    }
    const struct fxc_convention *c = &fxc_conventions[index];
    *out = (fxc_convention_info){.struct_size = out->struct_size,
                                 .name = c->name,
                                 .tool = c->tool,
                                 .unit = c->unit,
                                 .mark = c->mark,
                                 .summary = c->summary,
                                 .functions = c->functions == FXC_FUNCTION_PATCHED ? "patched" : "intercepted",
                                 .rows = c->rows,
                                 .both = (c->flags & FXC_CONVENTION_BOTH) != 0};
    return FXC_OK;
}

fxc_status fxc_convention_get_row(uint32_t index, uint32_t row, fxc_convention_row_info *out, fxc_error *err) {
    static const char *const sights[] = {"operator", "module", "function"};
    CHECK_STRUCT(out, "fxc_convention_get_row");
    if (index >= fxc_convention_count || row >= fxc_conventions[index].rows) {
        return fxc_fail(err, FXC_USAGE, "fxc_convention_get_row: no row %u of convention %u", row, index);
    }
    const struct fxc_convention_row *r = &fxc_conventions[index].row[row];
    *out = (fxc_convention_row_info){.struct_size = out->struct_size,
                                     .sight = sights[r->sight],
                                     .name = r->name,
                                     .key = r->key == NULL ? "" : r->key,
                                     .formula = r->rule_text,
                                     .source = r->source};
    return FXC_OK;
}

static fxc_status require_tool(fxc_analysis *analysis, const char *function, fxc_error *err) {
    if (analysis->convention == NULL || analysis->convention->rows == 0) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s", function);
        fxc_expected(err, "the convention of another tool");
        fxc_found(err, "'fxcost'");
        fxc_advice(err, "set the option convention first");
        return status;
    }
    return fxc_require_facts(analysis, FXC_FACT_BIT(tool), err);
}

fxc_status fxc_analysis_tool(fxc_analysis *analysis, fxc_tool_totals *out, fxc_error *err) {
    CHECK_STRUCT(out, "fxc_analysis_tool");
    FXC_TRY(require_tool(analysis, "fxc_analysis_tool", err));
    const struct fxc_tool *tool = analysis->tool;
    *out = (fxc_tool_totals){.struct_size = out->struct_size,
                             .count = tool->total,
                             .macs = tool->total_macs,
                             .left_out_flops = tool->left_out_flops,
                             .left_out_macs = tool->left_out_macs,
                             .unknown_nodes = tool->unknown_nodes,
                             .failed_node = tool->failed_node,
                             .failure = tool->failure,
                             .forward = tool->forward};
    return FXC_OK;
}

fxc_status fxc_analysis_tool_op(fxc_analysis *analysis, uint32_t index, fxc_tool_op *out, fxc_error *err) {
    CHECK_STRUCT(out, "fxc_analysis_tool_op");
    FXC_TRY(require_tool(analysis, "fxc_analysis_tool_op", err));
    if (index >= analysis->tool->op_count) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_tool_op: entry %u of %u", index, analysis->tool->op_count);
    }
    const struct fxc_tool_sum *op = &analysis->tool->op[index];
    *out = (fxc_tool_op){
        .struct_size = out->struct_size, .key = op->key, .calls = op->calls, .count = op->count, .macs = op->macs};
    return FXC_OK;
}

fxc_status fxc_analysis_left_out(fxc_analysis *analysis, uint32_t index, fxc_left_out *out, fxc_error *err) {
    CHECK_STRUCT(out, "fxc_analysis_left_out");
    FXC_TRY(require_tool(analysis, "fxc_analysis_left_out", err));
    if (index >= analysis->tool->left_out_count) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_left_out: entry %u of %u", index, analysis->tool->left_out_count);
    }
    const struct fxc_tool_gap *gap = &analysis->tool->left_out[index];
    *out = (fxc_left_out){.struct_size = out->struct_size,
                          .op = gap->op,
                          .nodes = gap->nodes,
                          .flops = gap->flops,
                          .macs = gap->macs,
                          .listed = gap->sight == FXC_TOOL_LISTED};
    return FXC_OK;
}
