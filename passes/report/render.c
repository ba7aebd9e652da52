/* fxc_analysis_render: checks the options, builds the rows, hands them to a face. */
#include "passes/report/render.h"

#include <string.h>

#include "passes/fusion/profile.h"
#include "passes/trace/trace.h"

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

fxc_status fxc_find_module(const struct fxc_program *p, const char *name, uint32_t *out, fxc_error *err) {
    char path[512];
    name = or_default(name, "");
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

/* The position of an option's text among its choices, which are in the order of the enum. */
static fxc_status choose(const char *option, const char *choices, const char *text, int *out, fxc_error *err) {
    *out = position(choices, text);
    return *out < 0 ? one_of(err, option, choices, text) : FXC_OK;
}

const struct fxc_by_info fxc_by_infos[] = {
#define X(name, option, title, second, sort) {option, title, second, sort},
    FXC_BY_LIST(X)
#undef X
};

static const char by_choices[] =
#define X(name, option, ...) option "|"
    FXC_BY_LIST(X)
#undef X
    ;

static fxc_status check(const struct fxc_analysis *analysis, const fxc_render_options *in, struct fxc_view_options *out,
                        fxc_error *err) {
    int format, by, sort;
    FXC_TRY(choose("format", "tree|table|json|csv|md|latex", or_default(in->format, "tree"), &format, err));
    FXC_TRY(choose("by", by_choices, or_default(in->by, "module"), &by, err));
    const char *usual = fxc_by_infos[by].sort;
    FXC_TRY(choose("sort", "order|flops|bytes|params|seconds|calls", or_default(in->sort, usual), &sort, err));
    if (sort == FXC_SORT_SECONDS && analysis->device == NULL) {
        return one_of(err, "sort", "a device to sort by seconds (--device NAME)", "seconds");
    }
    *out = (struct fxc_view_options){
        .by = (enum fxc_by)by,
        .format = (enum fxc_format)format,
        .sort = (enum fxc_sort)sort,
        .depth = in->depth == 0 ? UINT32_MAX : in->depth,
        .top = in->top == 0 ? UINT32_MAX : in->top,
        .raw = in->raw,
        .memory = in->memory,
        .own = in->own && (by == FXC_BY_MODULE || by == FXC_BY_CALLER),
        /* What a program reads has every module under its own name. */
        .unfold = in->unfold || format == FXC_FORMAT_JSON || format == FXC_FORMAT_CSV,
    };
    return fxc_find_module(analysis->program, in->root, &out->root_module, err);
}

typedef void (*face_fn)(const struct fxc_analysis *, const struct fxc_view_options *, const struct fxc_rows *,
                        struct fxc_stream *);
static const face_fn faces[] = {
    [FXC_FORMAT_TREE] = fxc_render_text, [FXC_FORMAT_TABLE] = fxc_render_text, [FXC_FORMAT_JSON] = fxc_render_json,
    [FXC_FORMAT_CSV] = fxc_render_csv,   [FXC_FORMAT_MD] = fxc_render_md,      [FXC_FORMAT_LATEX] = fxc_render_latex,
};

/* Faces write a few bytes at a time, and the caller's function may be a slow one. */
struct buffer {
    fxc_write_fn write;
    void *context;
    size_t used;
    char bytes[16384];
};

static bool flush(struct buffer *buffer) {
    size_t used = buffer->used;
    buffer->used = 0;
    return used == 0 || buffer->write(buffer->context, buffer->bytes, used);
}

static bool write_buffered(void *context, const char *bytes, size_t size) {
    struct buffer *buffer = context;
    if (size > sizeof buffer->bytes - buffer->used && !flush(buffer)) {
        return false;
    }
    if (size > sizeof buffer->bytes) {
        return buffer->write(buffer->context, bytes, size);
    }
    memcpy(buffer->bytes + buffer->used, bytes, size);
    buffer->used += size;
    return true;
}

/* Kernels one by one, or those of a compiler's profile by module: what each captured node does alone is another table.
 */
static bool is_of_kernels(const struct fxc_analysis *analysis, const fxc_render_options *options) {
    const char *by = or_default(options->by, "module");
    return strcmp(by, "kernel") == 0 || (strcmp(by, "module") == 0 && analysis->profile != fxc_profile_at(0));
}

fxc_status fxc_analysis_render(fxc_analysis *analysis, const fxc_render_options *options, fxc_write_fn write,
                               void *context, fxc_error *err) {
    struct fxc_view_options view;
    struct fxc_rows rows = {0};
    struct buffer buffer = {.write = write, .context = context};
    struct fxc_stream out = {write_buffered, &buffer, false};
    if (options->struct_size < sizeof *options) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_render: struct_size is smaller than this version's structure");
    }
    bool trace = fxc_is_trace(options->format);
    if (trace || is_of_kernels(analysis, options)) {
        FXC_TRY((trace ? fxc_render_trace : fxc_render_kernels)(analysis, options, &out, err));
        return out.failed || !flush(&buffer) ? fxc_fail(err, FXC_IO, "writing the report") : FXC_OK;
    }
    FXC_TRY(check(analysis, options, &view, err));
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(report), err));
    fxc_status status = fxc_rows_build(analysis, &view, &rows, err);
    if (status == FXC_OK) {
        faces[view.format](analysis, &view, &rows, &out);
        if (out.failed || !flush(&buffer)) {
            status = fxc_fail(err, FXC_IO, "writing the report");
        }
    }
    fxc_arena_free(&rows.arena);
    return status;
}
