/* fxc_analysis_render: checks the options, builds the rows, hands them to a face. */
#include "passes/report/render.h"

#include <string.h>

static fxc_status one_of(fxc_error *err, const char *option, const char *expected, const char *found) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "option %s", option);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "'%s'", found);
    return status;
}

static const char *or_default(const char *text, const char *fallback) {
    return text == NULL || text[0] == '\0' ? fallback : text;
}

/* Position of `text` among the words of `list`, separated by '|'; -1 when it is none. */
static int position(const char *list, const char *text) {
    size_t length = strlen(text);
    for (int i = 0; *list != '\0'; i++) {
        size_t word = strcspn(list, "|");
        if (word == length && strncmp(list, text, word) == 0) {
            return i;
        }
        list += word + (list[word] == '|');
    }
    return -1;
}

static fxc_status find_root(const struct fxc_program *p, const char *name, uint32_t *out, fxc_error *err) {
    char path[512];
    for (uint32_t m = 0; m < FXC_COUNT(p, module); m++) {
        if (strcmp(fxc_module_path(p, m, path, sizeof path), name) == 0) {
            *out = m;
            return FXC_OK;
        }
    }
    fxc_status status = one_of(err, "root", "the qualified name of a module", name);
    fxc_advice(err, "see the names with: --by module --unfold");
    return status;
}

static fxc_status check(const struct fxc_analysis *analysis, const fxc_render_options *in, struct fxc_view_options *out,
                        fxc_error *err) {
    static const char formats[] = "tree|table|json|csv|md", bys[] = "module|class|op|node";
    static const char sorts[] = "flops|order|bytes|params|seconds|calls";
    const char *by = or_default(in->by, "module");
    *out = (struct fxc_view_options){.format = or_default(in->format, "tree"),
                                     .depth = in->depth == 0 ? UINT32_MAX : in->depth,
                                     .top = in->top == 0 ? UINT32_MAX : in->top,
                                     .raw = in->raw,
                                     .unfold = in->unfold};
    if (position(formats, out->format) < 0) {
        return one_of(err, "format", formats, out->format);
    }
    /* What a program reads has every module under its own name. */
    out->unfold |= strcmp(out->format, "json") == 0 || strcmp(out->format, "csv") == 0;
    int which = position(bys, by);
    if (which < 0) {
        return one_of(err, "by", bys, by);
    }
    out->by = (enum fxc_by)which;
    out->sort = or_default(in->sort, out->by == FXC_BY_CLASS || out->by == FXC_BY_OP ? "flops" : "order");
    if (position(sorts, out->sort) < 0) {
        return one_of(err, "sort", sorts, out->sort);
    }
    if (strcmp(out->sort, "seconds") == 0 && analysis->device == NULL) {
        return one_of(err, "sort", "a device to sort by seconds (--device NAME)", out->sort);
    }
    return find_root(analysis->program, or_default(in->root, ""), &out->root_module, err);
}

fxc_status fxc_analysis_render(fxc_analysis *analysis, const fxc_render_options *options, fxc_write_fn write,
                               void *context, fxc_error *err) {
    struct fxc_view_options view;
    struct fxc_rows rows = {0};
    struct fxc_stream out = {write, context, false};
    if (options->struct_size < sizeof *options) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_render: struct_size is smaller than this version's structure");
    }
    FXC_TRY(check(analysis, options, &view, err));
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(report), err));
    fxc_status status = fxc_rows_build(analysis, &view, &rows, err);
    if (status == FXC_OK) {
        if (strcmp(view.format, "json") == 0) {
            fxc_render_json(analysis, &view, &rows, &out);
        } else if (strcmp(view.format, "csv") == 0) {
            fxc_render_csv(analysis, &view, &rows, &out);
        } else if (strcmp(view.format, "md") == 0) {
            fxc_render_md(analysis, &view, &rows, &out);
        } else {
            fxc_render_text(analysis, &view, &rows, &out);
        }
        if (out.failed) {
            status = fxc_fail(err, FXC_IO, "writing the report");
        }
    }
    fxc_arena_free(&rows.arena);
    return status;
}
