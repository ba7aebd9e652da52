/* Kernels rolled up to modules: a kernel belongs to the innermost module around all of its nodes, and counts in every
 * module around that one. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "passes/fusion/profile.h"
#include "passes/report/kernels.h"

/* One sum for each module, those below included. Children follow their parents in the table. */
static fxc_status roll_up(fxc_analysis *analysis, struct fxc_kernel_sum *sum, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    bool overflow = false;
    for (uint32_t i = 0; i < analysis->fusion->kernel_count; i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        FXC_TRY(fxc_analysis_kernel(analysis, i, &k, err));
        uint32_t module = fxc_kernel_module(p, &k);
        overflow |= fxc_kernel_sum_add(&sum[module == FXC_NONE ? 0 : module], &k);
    }
    for (uint32_t m = FXC_COUNT(p, module); m-- > 1;) {
        if (p->module_parent[m] != FXC_NONE) {
            overflow |= fxc_kernel_sum_join(&sum[p->module_parent[m]], &sum[m]);
        }
    }
    return overflow ? fxc_fail(err, FXC_OVERFLOW, "sums over kernels under profile %s", analysis->fusion->profile->name)
                    : FXC_OK;
}

static uint32_t depth_of(const struct fxc_program *p, uint32_t module) {
    uint32_t depth = 0;
    for (uint32_t m = p->module_parent[module]; m != FXC_NONE; m = p->module_parent[m]) {
        depth++;
    }
    return depth;
}

/* Modules that kernels belong to, no deeper than asked for. */
struct shown {
    fxc_analysis *analysis;
    const fxc_render_options *options;
    const struct fxc_kernel_sum *sum;
    uint32_t next;
};

static bool next_module(struct shown *s, uint32_t *module, uint32_t *depth) {
    const struct fxc_program *p = s->analysis->program;
    while (s->next < FXC_COUNT(p, module)) {
        *module = s->next++;
        *depth = depth_of(p, *module);
        if (s->sum[*module].kernels > 0 && (s->options->depth == 0 || *depth <= s->options->depth)) {
            return true;
        }
    }
    return false;
}

/* ---- text ----------------------------------------------------------------------------------------------------------
 */

static void put_number(struct fxc_stream *out, const char *text) {
    fxc_put(out, " ");
    fxc_put_cell(out, text, 10, true);
}

static void put_text_row(const struct shown *s, uint32_t module, uint32_t depth, struct fxc_stream *out) {
    const struct fxc_program *p = s->analysis->program;
    const struct fxc_kernel_sum *sum = &s->sum[module];
    char label[FXC_KERNEL_PATH_SIZE], text[FXC_NUMBER_SIZE];
    bool raw = s->options->raw;
    const char *name = module == 0 ? "(model)" : fxc_string(p, p->module_name[module]);
    (void)snprintf(label, sizeof label, "%*s%s", (int)(2 * (depth < 20 ? depth : 20)), "", name);
    fxc_put_cell(out, label, 38, false);
    fxc_putf(out, " %7" PRId64, sum->kernels);
    put_number(out, fxc_human_bytes(sum->bytes_read, raw, text));
    put_number(out, fxc_human_bytes(sum->bytes_written, raw, text));
    put_number(out, fxc_human_bytes(sum->bytes_saved, raw, text));
    put_number(out, fxc_human(sum->matrix_flops + sum->vector_flops, raw, text));
    put_number(out, fxc_human(sum->executed_flops, raw, text));
    if (s->analysis->device != NULL) {
        put_number(out, fxc_human_seconds(sum->seconds, raw, text));
    }
    fxc_put(out, "\n");
}

static void put_text(struct shown *s, struct fxc_stream *out) {
    uint32_t module, depth, rows = 0;
    const struct fxc_profile *profile = s->analysis->fusion->profile;
    fxc_putf(out, "profile %s: %s\n\n", profile->name, profile->summary);
    fxc_putf(out, "%-38s kernels       read    written      saved      FLOPs   executed%s\n", "module",
             s->analysis->device != NULL ? "       time" : "");
    while (next_module(s, &module, &depth)) {
        if (s->options->top == 0 || rows++ < s->options->top) {
            put_text_row(s, module, depth, out);
        }
    }
    fxc_put_kernel_totals(s->analysis, &s->sum[0], s->options->raw, out);
}

/* ---- CSV and JSON --------------------------------------------------------------------------------------------------
 */

static void put_csv(struct shown *s, struct fxc_stream *out) {
    const struct fxc_program *p = s->analysis->program;
    char path[FXC_KERNEL_PATH_SIZE];
    uint32_t module, depth;
    fxc_put(out, "module,depth,kernels,bytes_read,bytes_written,bytes_saved,flops,executed_flops,seconds\n");
    while (next_module(s, &module, &depth)) {
        const struct fxc_kernel_sum *sum = &s->sum[module];
        fxc_putf(out, "%s,%" PRIu32 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
                 fxc_module_path(p, module, path, sizeof path), depth, sum->kernels, sum->bytes_read,
                 sum->bytes_written, sum->bytes_saved);
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",", sum->matrix_flops + sum->vector_flops, sum->executed_flops);
        if (!isnan(sum->seconds)) {
            fxc_putf(out, "%.9g", sum->seconds);
        }
        fxc_put(out, "\n");
    }
}

static fxc_status put_json(struct shown *s, struct fxc_stream *out, fxc_error *err) {
    const struct fxc_program *p = s->analysis->program;
    struct fxc_json json = {out, false};
    char path[FXC_KERNEL_PATH_SIZE];
    uint32_t module, depth;
    FXC_TRY(fxc_json_kernels_head(&json, s->analysis, "module", err));
    fxc_json_open(&json, "rows", '[');
    while (next_module(s, &module, &depth)) {
        fxc_json_open(&json, NULL, '{');
        fxc_json_string(&json, "name", fxc_module_path(p, module, path, sizeof path));
        fxc_json_int(&json, "depth", depth);
        fxc_json_int(&json, "kernels", s->sum[module].kernels);
        fxc_json_kernel_sum(&json, &s->sum[module]);
        fxc_json_close(&json, '}');
    }
    fxc_json_close(&json, ']');
    fxc_json_close(&json, '}');
    fxc_put(out, "\n");
    return FXC_OK;
}

static fxc_status render(struct shown *s, const char *format, struct fxc_stream *out, fxc_error *err) {
    if (strcmp(format, "json") == 0) {
        return put_json(s, out, err);
    }
    if (strcmp(format, "csv") == 0) {
        put_csv(s, out);
        return FXC_OK;
    }
    if (strcmp(format, "table") == 0 || strcmp(format, "tree") == 0) {
        put_text(s, out);
        return FXC_OK;
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "option format");
    fxc_expected(err, "tree, table, csv or json, of kernels by module");
    fxc_found(err, "'%s'", format);
    return status;
}

fxc_status fxc_render_kernel_modules(fxc_analysis *analysis, const fxc_render_options *options, struct fxc_stream *out,
                                     fxc_error *err) {
    struct fxc_arena arena = {0};
    uint32_t modules = FXC_COUNT(analysis->program, module);
    struct fxc_kernel_sum *sum = FXC_NEW(&arena, struct fxc_kernel_sum, modules);
    struct shown shown = {.analysis = analysis, .options = options, .sum = sum};
    fxc_status status = sum == NULL ? fxc_fail_memory(err, "kernels by module") : FXC_OK;
    for (uint32_t m = 0; sum != NULL && m < modules; m++) {
        sum[m].seconds = analysis->device == NULL ? NAN : 0;
    }
    if (status == FXC_OK) {
        status = roll_up(analysis, sum, err);
    }
    if (status == FXC_OK) {
        status =
            render(&shown, options->format == NULL || options->format[0] == '\0' ? "tree" : options->format, out, err);
    }
    fxc_arena_free(&arena);
    return status;
}
