/* The CSV and Markdown faces: one line a row, exact integers in CSV. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "fxcost/backend.h"
#include "passes/report/render.h"

/* ---- CSV (RFC 4180)
 * -------------------------------------------------------------------------------------------------- */

static void put_csv_text(struct fxc_stream *out, const char *text) {
    if (text == NULL) {
        return;
    }
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        fxc_put(out, text);
        return;
    }
    fxc_put(out, "\"");
    for (; *text != '\0'; text++) {
        fxc_putf(out, *text == '"' ? "\"%c" : "%c", *text);
    }
    fxc_put(out, "\"");
}

void fxc_render_csv(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                    const struct fxc_rows *rows, struct fxc_stream *out) {
    static const char *const first[] = {"module,class", "class", "op", "node,op"};
    (void)analysis;
    fxc_putf(out,
             "%s,shape,calls,params,macs,flops,matrix_flops,vector_flops,transcendentals,int_ops,bytes_read,"
             "bytes_written,kernels,unknown_nodes,seconds\n",
             first[options->by]);
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct fxc_row *row = &rows->row[i];
        const fxc_counts *c = &row->sum.counts;
        put_csv_text(out, row->name);
        fxc_put(out, ",");
        if (options->by == FXC_BY_MODULE || options->by == FXC_BY_NODE) {
            put_csv_text(out, row->class_name);
            fxc_put(out, ",");
        }
        put_csv_text(out, row->shape);
        fxc_putf(out, ",%" PRId64 ",", row->calls);
        if (row->has_params) {
            fxc_putf(out, "%" PRId64, row->params);
        }
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, c->macs, fxc_flops_of(c), c->matrix_flops,
                 c->vector_flops);
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, c->transcendentals, c->int_ops, c->bytes_read,
                 c->bytes_written);
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",", c->kernels, row->sum.unknown_nodes);
        if (!isnan(row->sum.seconds)) {
            fxc_putf(out, "%.9g", row->sum.seconds);
        }
        fxc_put(out, "\n");
    }
}

/* ---- Markdown
 * --------------------------------------------------------------------------------------------------------- */

static void put_md_text(struct fxc_stream *out, const char *text) {
    for (; *text != '\0'; text++) {
        fxc_putf(out, *text == '|' ? "\\%c" : "%c", *text);
    }
}

void fxc_render_md(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                   const struct fxc_rows *rows, struct fxc_stream *out) {
    static const char *const titles[] = {"module", "class", "operator", "node"};
    const fxc_totals *t = &analysis->report->totals;
    char text[FXC_NUMBER_SIZE], cite[256];
    bool timed = analysis->device != NULL;
    fxc_putf(out, "| %s | params | MACs | FLOPs | read B | written B |%s\n", titles[options->by],
             timed ? " time |" : "");
    fxc_putf(out, "|---|--:|--:|--:|--:|--:|%s\n", timed ? "--:|" : "");
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct fxc_row *row = &rows->row[i];
        const fxc_counts *c = &row->sum.counts;
        fxc_put(out, "| ");
        put_md_text(out, row->name[0] == '\0' ? row->label : row->name);
        fxc_putf(out, " | %s", row->has_params ? fxc_human(row->params, options->raw, text) : "");
        fxc_putf(out, " | %s", fxc_human(c->macs, options->raw, text));
        fxc_putf(out, " | %s", fxc_flops_text(row, options->raw, text));
        fxc_putf(out, " | %s", fxc_human(c->bytes_read, options->raw, text));
        fxc_putf(out, " | %s |", fxc_human(c->bytes_written, options->raw, text));
        if (timed) {
            fxc_putf(out, " %s |", fxc_human_seconds(row->sum.seconds, options->raw, text));
        }
        fxc_put(out, "\n");
    }
    fxc_putf(out, "\nTotal: %s FLOPs, ", fxc_human(t->flops, options->raw, text));
    fxc_putf(out, "%s MACs, ", fxc_human(t->counts.macs, options->raw, text));
    fxc_putf(out, "%s parameters; %s; convention fxcost; %" PRId64 " of %" PRId64 " nodes unknown.\n",
             fxc_human(t->params, options->raw, text), fxc_cite_inputs(analysis, cite, sizeof cite), t->unknown_nodes,
             t->nodes);
}
