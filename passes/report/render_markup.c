/* The Markdown and LaTeX faces: the same short table, for a page or a paper. */
#include <inttypes.h>
#include <string.h>

#include "passes/report/render.h"

/* What differs between the two. */
struct markup {
    const char *begin, *head_end, *row_begin, *row_end, *between, *end;
    void (*put_text)(struct fxc_stream *out, const char *text);
};

struct face {
    const struct markup *markup;
    const struct fxc_analysis *analysis;
    const struct fxc_view_options *options;
    struct fxc_stream *out;
};

static void put_md_text(struct fxc_stream *out, const char *text) {
    for (; *text != '\0'; text++) {
        fxc_putf(out, *text == '|' ? "\\%c" : "%c", *text);
    }
}

static void put_latex_text(struct fxc_stream *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (strchr("&%$#_{}", *text) != NULL) {
            fxc_putf(out, "\\%c", *text);
        } else if (*text == '\\' || *text == '~' || *text == '^') {
            fxc_put(out, *text == '\\'  ? "\\textbackslash{}"
                         : *text == '~' ? "\\textasciitilde{}"
                                        : "\\textasciicircum{}");
        } else if ((unsigned char)*text == 0xC3 && (unsigned char)text[1] == 0x97) { /* the sign of "×32" */
            fxc_put(out, "$\\times$");
            text++;
        } else {
            fxc_putf(out, "%c", *text);
        }
    }
}

static void put_cell(const struct face *face, const char *text) {
    fxc_put(face->out, face->markup->between);
    fxc_put(face->out, text);
}

static void put_titles(const struct face *face, bool timed) {
    const struct fxc_by_info *by = &fxc_by_infos[face->options->by];
    static const char *const numbers[] = {"params", "MACs", "FLOPs", "read B", "written B"};
    fxc_put(face->out, face->markup->row_begin);
    fxc_put(face->out, by->title);
    if (by->second != NULL && face->options->by != FXC_BY_MODULE) {
        put_cell(face, by->second);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        put_cell(face, numbers[i]);
    }
    for (uint32_t i = 0; i < face->analysis->metrics->count; i++) {
        fxc_put(face->out, face->markup->between);
        face->markup->put_text(face->out, fxc_metric_name(face->analysis, i));
    }
    if (timed) {
        put_cell(face, "time");
    }
    fxc_put(face->out, face->markup->row_end);
}

static void put_row(const struct face *face, const struct fxc_row *row, bool timed) {
    const fxc_counts *c = &row->sum.counts;
    char text[FXC_NUMBER_SIZE];
    bool raw = face->options->raw;
    fxc_put(face->out, face->markup->row_begin);
    face->markup->put_text(face->out, row->name[0] == '\0' ? row->label : row->name);
    if (fxc_by_infos[face->options->by].second != NULL && face->options->by != FXC_BY_MODULE) {
        fxc_put(face->out, face->markup->between);
        face->markup->put_text(face->out, row->class_name);
    }
    put_cell(face, row->has_params ? fxc_human(row->params, raw, text) : "");
    put_cell(face, fxc_human(c->macs, raw, text));
    put_cell(face, fxc_flops_text(row, raw, text));
    put_cell(face, fxc_human(c->bytes_read, raw, text));
    put_cell(face, fxc_human(c->bytes_written, raw, text));
    for (uint32_t i = 0; i < face->analysis->metrics->count; i++) {
        put_cell(face, fxc_metric_text(&row->sum.metric[i], raw, text));
    }
    if (timed) {
        put_cell(face, fxc_human_seconds(row->sum.seconds, raw, text));
    }
    fxc_put(face->out, face->markup->row_end);
}

/* Columns of the table: how many hold text, how many numbers. */
static void count_columns(const struct face *face, bool timed, int *texts, int *numbers) {
    *texts = fxc_by_infos[face->options->by].second != NULL && face->options->by != FXC_BY_MODULE ? 2 : 1;
    *numbers = 5 + timed + (int)face->analysis->metrics->count;
}

static void put_total(const struct face *face) {
    const fxc_totals *t = &face->analysis->report->totals;
    char text[FXC_NUMBER_SIZE], cite[256];
    bool raw = face->options->raw;
    fxc_putf(face->out, "Total: %s FLOPs, ", fxc_human(t->flops, raw, text));
    fxc_putf(face->out, "%s MACs, ", fxc_human(t->counts.macs, raw, text));
    fxc_putf(face->out, "%s parameters; ", fxc_human(t->params, raw, text));
    face->markup->put_text(face->out, fxc_cite_inputs(face->analysis, cite, sizeof cite));
    fxc_putf(face->out, "; convention fxcost; %" PRId64 " of %" PRId64 " nodes unknown.", t->unknown_nodes, t->nodes);
}

static void put_rows(const struct face *face, const struct fxc_rows *rows, bool timed) {
    for (uint32_t i = 0; i < rows->count; i++) {
        put_row(face, &rows->row[i], timed);
    }
}

void fxc_render_md(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                   const struct fxc_rows *rows, struct fxc_stream *out) {
    static const struct markup md = {.row_begin = "| ", .row_end = " |\n", .between = " | ", .put_text = put_md_text};
    struct face face = {&md, analysis, options, out};
    bool timed = analysis->device != NULL;
    int texts, numbers;
    count_columns(&face, timed, &texts, &numbers);
    put_titles(&face, timed);
    for (int i = 0; i < texts; i++) {
        fxc_put(out, i == 0 ? "|---|" : "---|");
    }
    for (int i = 0; i < numbers; i++) {
        fxc_put(out, "--:|");
    }
    fxc_put(out, "\n");
    put_rows(&face, rows, timed);
    fxc_put(out, "\n");
    put_total(&face);
    fxc_put(out, "\n");
}

/* For booktabs: \usepackage{booktabs}. */
void fxc_render_latex(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                      const struct fxc_rows *rows, struct fxc_stream *out) {
    static const struct markup latex = {
        .row_begin = "", .row_end = " \\\\\n", .between = " & ", .put_text = put_latex_text};
    struct face face = {&latex, analysis, options, out};
    bool timed = analysis->device != NULL;
    int texts, numbers;
    count_columns(&face, timed, &texts, &numbers);
    fxc_putf(out, "%% needs \\usepackage{booktabs}\n\\begin{tabular}{%.*s%.*s}\n\\toprule\n", texts, "ll", numbers,
             "rrrrrrrrrr");
    put_titles(&face, timed);
    fxc_put(out, "\\midrule\n");
    put_rows(&face, rows, timed);
    fxc_put(out, "\\bottomrule\n\\end{tabular}\n% ");
    put_total(&face);
    fxc_put(out, "\n");
}
