/* fxc_compare_render: what several tools say of one program, by operator and by module, and why they differ. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fxcost/convention.h"
#include "passes/convention/convention.h"
#include "passes/report/render.h"

enum { NAME_WIDTH = 44, CELL_WIDTH = 12, NAMED_GAPS = 4, MOST = 16 };

struct comparison {
    fxc_analysis *const *analyses; /* one for each tool, all of one program */
    size_t count;
    const struct fxc_view_options *view;
    struct fxc_stream *out;
};

static const struct fxc_convention *tool_of(const fxc_analysis *analysis) {
    return analysis->convention == NULL ? &fxc_conventions[0] : analysis->convention;
}

static void put_cell(const struct comparison *c, const char *text) {
    fxc_put(c->out, " ");
    fxc_put_cell(c->out, text, c->view->raw ? 20 : CELL_WIDTH, true);
}

static void put_head(const struct comparison *c, const char *title) {
    fxc_put(c->out, "\n");
    fxc_put_cell(c->out, title, NAME_WIDTH, false);
    put_cell(c, "FLOPs");
    for (size_t i = 0; i < c->count; i++) {
        put_cell(c, tool_of(c->analyses[i])->name);
    }
    fxc_put(c->out, "\n");
}

/* Rows of all analyses are those of one program in one order: only what the tools say differs. */
static fxc_status put_table(const struct comparison *c, const char *title, fxc_error *err) {
    struct fxc_rows rows[MOST] = {0};
    char text[FXC_NUMBER_SIZE], name[512];
    fxc_status status = FXC_OK;
    for (size_t i = 0; i < c->count && status == FXC_OK; i++) {
        status = fxc_rows_build(c->analyses[i], c->view, &rows[i], err);
    }
    if (status == FXC_OK) {
        put_head(c, title);
    }
    for (uint32_t r = 0; status == FXC_OK && r < rows[0].count; r++) {
        const struct fxc_row *row = &rows[0].row[r];
        int64_t flops = fxc_flops_of(&row->sum.counts);
        (void)snprintf(name, sizeof name, "%*s%.400s", (int)(2 * (row->depth < 8 ? row->depth : 8)), "", row->label);
        fxc_put_cell(c->out, name, NAME_WIDTH, false);
        put_cell(c, fxc_human(flops, c->view->raw, text));
        for (size_t i = 0; i < c->count; i++) {
            int64_t said = rows[i].row[r].sum.tool;
            put_cell(c, said == 0 && flops > 0 ? "-" : fxc_human(said, c->view->raw, text));
        }
        fxc_put(c->out, "\n");
    }
    for (size_t i = 0; i < c->count; i++) {
        fxc_arena_free(&rows[i].arena);
    }
    return status;
}

/* How a tool looks at the program, and the largest of what it leaves out. */
static void put_reasons(const struct comparison *c, const fxc_analysis *analysis) {
    const struct fxc_convention *tool = tool_of(analysis);
    const struct fxc_tool *said = analysis->tool;
    char a[FXC_NUMBER_SIZE];
    fxc_putf(c->out, "%s: %s %ss by %s (%s)", tool->name, fxc_human(said->total, c->view->raw, a), tool->unit,
             tool->mark, tool->tool);
    if (said->failure != NULL) {
        fxc_putf(c->out, "; raises at '%s': %s", fxc_node_name(analysis->program, said->failed_node), said->failure);
    }
    if (said->left_out_count > 0) {
        fxc_putf(c->out, "; leaves out %s FLOPs", fxc_human(said->left_out_flops, c->view->raw, a));
    }
    for (uint32_t i = 0; i < said->left_out_count && i < NAMED_GAPS; i++) {
        fxc_putf(c->out, "%s %s \xC3\x97%" PRId64, i == 0 ? ":" : ",", said->left_out[i].op, said->left_out[i].nodes);
    }
    fxc_put(c->out, said->left_out_count > NAMED_GAPS ? ", ...\n" : "\n");
}

static fxc_status check(fxc_analysis *const *analyses, size_t count, fxc_error *err) {
    if (count == 0 || count > MOST) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "fxc_compare_render");
        fxc_expected(err, "1 to %d conventions", (int)MOST);
        fxc_found(err, "%zu", count);
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        if (analyses[i]->program != analyses[0]->program || tool_of(analyses[i])->rows == 0) {
            fxc_status status = fxc_fail(err, FXC_USAGE, "fxc_compare_render");
            fxc_expected(err, "conventions of other tools, over one program");
            fxc_found(err, "'%s'", tool_of(analyses[i])->name);
            fxc_advice(err, "fxcost's own FLOPs are the first column of the table");
            return status;
        }
        FXC_TRY(fxc_require_facts(analyses[i], FXC_FACT_BIT(report), err));
    }
    return FXC_OK;
}

fxc_status fxc_compare_render(fxc_analysis *const *analyses, size_t count, const fxc_render_options *options,
                              fxc_write_fn write, void *context, fxc_error *err) {
    struct fxc_stream out = {write, context, false};
    struct fxc_view_options view = {
        .by = FXC_BY_OP,
        .format = FXC_FORMAT_TABLE,
        .sort = FXC_SORT_FLOPS,
        .depth = options->depth == 0 ? UINT32_MAX : options->depth,
        .top = options->top == 0 ? UINT32_MAX : options->top,
        .raw = options->raw,
        .unfold = options->unfold,
    };
    struct comparison c = {analyses, count, &view, &out};
    FXC_TRY(check(analyses, count, err));
    fxc_put(&out, "FLOPs are fxcost's. A dash: fxcost counts FLOPs there, and the tool nothing.\n");
    FXC_TRY(put_table(&c, "operator", err));
    view.by = FXC_BY_MODULE;
    view.sort = FXC_SORT_ORDER;
    FXC_TRY(put_table(&c, "module", err));
    fxc_put(&out, "\n");
    for (size_t i = 0; i < count; i++) {
        put_reasons(&c, analyses[i]);
    }
    return out.failed ? fxc_fail(err, FXC_IO, "writing the comparison") : FXC_OK;
}
