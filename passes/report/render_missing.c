/* What the totals leave out, and where shapes come from. */
#include <inttypes.h>

#include "passes/report/render.h"

void fxc_put_missing(const struct fxc_analysis *analysis, struct fxc_stream *out) {
    const struct fxc_report *report = analysis->report;
    const fxc_totals *t = &report->totals;
    char a[FXC_NUMBER_SIZE];
    if (t->unknown_nodes == 0) {
        fxc_putf(out, "unknown     none: all %" PRId64 " nodes have a formula", t->nodes);
        if (t->ignored_nodes > 0) {
            fxc_putf(out, ", besides %" PRId64 " left out on request", t->ignored_nodes);
        }
    } else {
        fxc_putf(out, "unknown     %" PRId64 " of %" PRId64 " nodes have no formula (%s of output elements):\n",
                 t->unknown_nodes, t->nodes, fxc_percent((double)t->unknown_elements, (double)t->output_elements, a));
        for (uint32_t i = 0; i < report->unknown_count; i++) {
            fxc_putf(out, "%12s%s \xC3\x97%" PRId64 " (%s)%s", "", report->unknown[i].op, report->unknown[i].nodes,
                     fxc_percent((double)report->unknown[i].elements, (double)t->output_elements, a),
                     i + 1 < report->unknown_count ? "\n" : "");
        }
    }
    fxc_putf(out, "\nshapes      %" PRId64 " of %" PRId64 " derived by rule, ",
             t->values - t->recorded_values - t->tagged_values, t->values);
    if (t->tagged_values > 0) {
        fxc_putf(out, "%" PRId64 " by pointwise tag, ", t->tagged_values);
    }
    fxc_putf(out, "%" PRId64 " as recorded; %" PRId64 " given\n", t->recorded_values, t->given_values);
    if (t->contradicted_values > 0) {
        uint32_t node = analysis->shapes->contradicted_node;
        fxc_putf(out, "%12s%" PRId64 " recorded with another type or layout than a rule tells, the first '%s'\n", "",
                 t->contradicted_values, fxc_node_name(analysis->program, node));
    }
    if (t->unsized_values > 0) {
        fxc_putf(out, "unsized     %" PRId64 " values depend on a symbol without a value and are in no total\n",
                 t->unsized_values);
    }
}
