/* The CSV face (RFC 4180): one line a row, exact integers. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "passes/report/render.h"

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
    static const char *const first[] = {"module,class", "class",     "op",          "node,op",
                                        "op,shapes",    "module,op", "module,class"};
    fxc_putf(out,
             "%s,shape,calls,params,macs,flops,matrix_flops,vector_flops,transcendentals,int_ops,bytes_read,"
             "bytes_written,kernels,unknown_nodes,seconds"
#define X(name, text) "," text "_flops"
             FXC_PHASE_LIST(X)
#undef X
                 ",measured_seconds",
             first[options->by]);
    for (uint32_t i = 0; i < analysis->metrics->count; i++) {
        fxc_putf(out, ",%s,%s_unknown_nodes", fxc_metric_name(analysis, i), fxc_metric_name(analysis, i));
    }
    fxc_put(out, "\n");
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct fxc_row *row = &rows->row[i];
        const fxc_counts *c = &row->sum.counts;
        put_csv_text(out, row->name);
        fxc_put(out, ",");
        if (fxc_by_infos[options->by].second != NULL) {
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
        for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
            fxc_putf(out, ",%" PRId64, row->sum.phase_flops[phase]);
        }
        fxc_put(out, ",");
        if (!isnan(row->sum.measured)) {
            fxc_putf(out, "%.9g", row->sum.measured);
        }
        for (uint32_t m = 0; m < analysis->metrics->count; m++) {
            fxc_putf(out, ",%" PRId64 ",%" PRId64, row->sum.metric[m].value, row->sum.metric[m].unknown_nodes);
        }
        fxc_put(out, "\n");
    }
}
