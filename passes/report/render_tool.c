/* What the tool of the convention says, in a text report. */
#include <inttypes.h>

#include "passes/convention/convention.h"
#include "passes/report/render.h"

/* A step that the tool counts by its forward pass: what it makes of the rest, the exact figures beside. */
static void put_passes(const struct fxc_analysis *analysis, const struct fxc_convention *convention, bool raw,
                       struct fxc_stream *out) {
    const int64_t *exact = analysis->report->totals.phase_flops;
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE], c[FXC_NUMBER_SIZE];
    if (analysis->forward == NULL) {
        fxc_put(out, "            it sees the forward pass alone, which is not here: --forward-pass FILE.fxir\n");
        return;
    }
    bool twice = (convention->flags & FXC_CONVENTION_BACKWARD_TWICE) != 0;
    fxc_putf(out, "            forward %s%s; of fxcost's FLOPs forward %s, backward %s\n",
             fxc_human(analysis->tool->forward, raw, a), twice ? ", backward taken to be twice that" : ", no backward",
             fxc_human(exact[FXC_PHASE_FORWARD], raw, b), fxc_human(exact[FXC_PHASE_BACKWARD], raw, c));
}

/* What the tool of the convention says, and what it leaves out with fxcost's count for it. */
void fxc_put_tool(const struct fxc_analysis *analysis, const struct fxc_convention *convention, bool raw,
                  struct fxc_stream *out) {
    const struct fxc_tool *tool = analysis->tool;
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE];
    fxc_put_cell(out, convention->name, 11, false);
    fxc_putf(out, " %s %ss", fxc_human(tool->total, raw, a), convention->unit);
    if ((convention->flags & FXC_CONVENTION_BOTH) != 0) {
        fxc_putf(out, ", %s MACs", fxc_human(tool->total_macs, raw, a));
    }
    if (tool->failure != NULL) {
        fxc_putf(out, "; it raises an exception at '%s': %s", fxc_node_name(analysis->program, tool->failed_node),
                 tool->failure);
    }
    if (tool->unknown_nodes > 0) {
        fxc_putf(out, "; what it says of %" PRId64 " nodes cannot be told", tool->unknown_nodes);
    }
    fxc_put(out, "\n");
    if (fxc_tool_needs_forward(analysis)) {
        put_passes(analysis, convention, raw, out);
    }
    if (tool->left_out_count == 0) {
        fxc_put(out, "            leaves nothing out that has FLOPs\n");
        return;
    }
    fxc_putf(out, "            leaves out, in FLOPs of fxcost: %s (%s)%s\n", fxc_human(tool->left_out_flops, raw, a),
             fxc_percent((double)tool->left_out_flops, (double)analysis->report->totals.flops, b),
             convention->missing == FXC_MISSING_LISTED ? ", and says so" : ", without notice");
    for (uint32_t i = 0; i < tool->left_out_count; i++) {
        const struct fxc_tool_gap *gap = &tool->left_out[i];
        fxc_putf(out, "%14s%s \xC3\x97%" PRId64 ": %s%s\n", "", gap->op, gap->nodes, fxc_human(gap->flops, raw, a),
                 gap->sight == FXC_TOOL_ZERO ? ", which it calls none" : "");
    }
}
