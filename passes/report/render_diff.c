/* fxc_fusion_diff_render: what runs as one kernel under two profiles, or in two programs, side by side: in all, by kind
 * of kernel, and by the module that caused it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "passes/fusion/fusion.h"
#include "passes/fusion/profile.h"
#include "passes/grow.h"
#include "passes/report/render.h"

enum { PATH_SIZE = 256, NAME_WIDTH = 34, NUMBER_WIDTH = 10, KERNELS_WIDTH = 9, SIDES = 2 };

struct amounts {
    int64_t kernels, bytes, flops, executed;
};

/* Kernels of one name: a kind, or a module. */
struct row {
    const char *name;
    struct amounts side[SIDES];
};

struct diff {
    fxc_analysis *side[SIDES];
    const fxc_render_options *options;
    struct fxc_arena names;
    struct row *row;
    uint32_t count, capacity;
    bool overflow;
};

static fxc_status row_of(struct diff *d, const char *name, struct row **out, fxc_error *err) {
    for (uint32_t i = 0; i < d->count; i++) {
        if (strcmp(d->row[i].name, name) == 0) {
            *out = &d->row[i];
            return FXC_OK;
        }
    }
    const char *kept = fxc_arena_string(&d->names, name);
    if (kept == NULL || !FXC_ROOM(d->row, d->capacity, d->count + 1)) {
        return fxc_fail_memory(err, "fxc_fusion_diff_render");
    }
    d->row[d->count] = (struct row){.name = kept};
    *out = &d->row[d->count++];
    return FXC_OK;
}

static void add(struct diff *d, struct amounts *to, const fxc_kernel_info *k) {
    int64_t bytes = 0, flops = 0;
    d->overflow |= fxc_add(k->bytes_read, k->bytes_written, &bytes) ||
                   fxc_add(k->matrix_flops, k->vector_flops, &flops) || fxc_add(to->bytes, bytes, &to->bytes) ||
                   fxc_add(to->flops, flops, &to->flops) || fxc_add(to->executed, k->executed_flops, &to->executed);
    to->kernels++;
}

/* The innermost module that holds all of a kernel, or the module around it that is `depth` levels deep. */
static const char *module_name(const struct diff *d, const struct fxc_program *p, const fxc_kernel_info *k,
                               char path[PATH_SIZE]) {
    uint32_t module = fxc_kernel_module(p, k), levels = 0;
    for (uint32_t m = module; m != FXC_NONE; m = p->module_parent[m]) {
        levels++;
    }
    for (; d->options->depth > 0 && module != FXC_NONE && levels > d->options->depth + 1; levels--) {
        module = p->module_parent[module];
    }
    const char *name = module == FXC_NONE ? "" : fxc_module_path(p, module, path, PATH_SIZE);
    return name[0] == '\0' ? "(whole model)" : name;
}

static fxc_status sum_up(struct diff *d, bool by_module, fxc_error *err) {
    d->count = 0;
    for (uint32_t s = 0; s < SIDES; s++) {
        for (uint32_t i = 0; i < d->side[s]->fusion->kernel_count; i++) {
            char path[PATH_SIZE];
            struct row *row = NULL;
            fxc_kernel_info k = {.struct_size = sizeof k};
            FXC_TRY(fxc_analysis_kernel(d->side[s], i, &k, err));
            const char *name = by_module ? module_name(d, d->side[s]->program, &k, path) : k.kind_text;
            FXC_TRY(row_of(d, name, &row, err));
            add(d, &row->side[s], &k);
        }
    }
    return FXC_OK;
}

static void put_row(const struct diff *d, const char *name, const struct row *row, struct fxc_stream *out) {
    char text[FXC_NUMBER_SIZE];
    bool raw = d->options->raw;
    uint32_t width = raw ? 20 : NUMBER_WIDTH;
    fxc_put_cell(out, name, NAME_WIDTH, false);
    for (uint32_t number = 0; number < 4; number++) {
        for (uint32_t s = 0; s < SIDES; s++) {
            const struct amounts *a = &row->side[s];
            fxc_put(out, " ");
            fxc_put_cell(out,
                         number == 0   ? fxc_human(a->kernels, true, text)
                         : number == 1 ? fxc_human_bytes(a->bytes, raw, text)
                                       : fxc_human(number == 2 ? a->flops : a->executed, raw, text),
                         number == 0 ? KERNELS_WIDTH : width, true);
        }
    }
    fxc_put(out, "\n");
}

static void put_head(const struct diff *d, const char *title, struct fxc_stream *out) {
    static const char *const numbers[] = {"kernels", "bytes", "FLOPs", "executed"};
    uint32_t width = d->options->raw ? 20 : NUMBER_WIDTH;
    fxc_put(out, "\n");
    fxc_put_cell(out, title, NAME_WIDTH, false);
    for (uint32_t number = 0; number < 4; number++) {
        for (uint32_t s = 0; s < SIDES; s++) {
            char text[32];
            (void)snprintf(text, sizeof text, "%s %c", numbers[number], s == 0 ? 'A' : 'B');
            fxc_put(out, " ");
            fxc_put_cell(out, text, number == 0 ? KERNELS_WIDTH : width, true);
        }
    }
    fxc_put(out, "\n");
}

static void put_csv(const struct diff *d, const char *kind, struct fxc_stream *out) {
    for (uint32_t i = 0; i < d->count; i++) {
        const struct amounts *a = d->row[i].side;
        fxc_putf(out, "%s,%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, kind, d->row[i].name, a[0].kernels,
                 a[1].kernels, a[0].bytes, a[1].bytes);
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n", a[0].flops, a[1].flops, a[0].executed,
                 a[1].executed);
    }
}

static fxc_status render(struct diff *d, bool csv, struct fxc_stream *out, fxc_error *err) {
    if (csv) {
        fxc_put(out, "by,name,kernels_a,kernels_b,bytes_a,bytes_b,flops_a,flops_b,executed_flops_a,executed_flops_b\n");
    }
    for (uint32_t s = 0; s < SIDES && !csv; s++) {
        fxc_putf(out, "%c: %s under profile %s\n", s == 0 ? 'A' : 'B', d->side[s]->program->file,
                 d->side[s]->fusion->profile->name);
    }
    for (uint32_t by_module = 0; by_module < 2; by_module++) {
        const char *title = by_module ? "module" : "kind";
        FXC_TRY(sum_up(d, by_module != 0, err));
        if (csv) {
            put_csv(d, title, out);
            continue;
        }
        struct row all = {.name = ""};
        put_head(d, by_module ? "module (innermost around a kernel)" : "kind of kernel", out);
        for (uint32_t i = 0; i < d->count; i++) {
            if (d->options->top == 0 || i < d->options->top) {
                put_row(d, d->row[i].name, &d->row[i], out);
            }
            for (uint32_t s = 0; s < SIDES; s++) {
                struct amounts *a = &all.side[s], *b = &d->row[i].side[s];
                a->kernels += b->kernels;
                d->overflow |= fxc_add(a->bytes, b->bytes, &a->bytes) || fxc_add(a->flops, b->flops, &a->flops) ||
                               fxc_add(a->executed, b->executed, &a->executed);
            }
        }
        put_row(d, "total", &all, out);
    }
    return d->overflow ? fxc_fail(err, FXC_OVERFLOW, "fxc_fusion_diff_render: sums over kernels") : FXC_OK;
}

fxc_status fxc_fusion_diff_render(fxc_analysis *a, fxc_analysis *b, const fxc_render_options *options,
                                  fxc_write_fn write, void *context, fxc_error *err) {
    const char *format = options->format == NULL || options->format[0] == '\0' ? "table" : options->format;
    struct fxc_stream out = {write, context, false};
    struct diff d = {.side = {a, b}, .options = options};
    bool csv = strcmp(format, "csv") == 0;
    if (!csv && strcmp(format, "table") != 0 && strcmp(format, "tree") != 0) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "option format");
        fxc_expected(err, "table or csv, of a difference of kernels");
        fxc_found(err, "'%s'", format);
        return status;
    }
    FXC_TRY(fxc_require_facts(a, FXC_FACT_BIT(fusion), err));
    FXC_TRY(fxc_require_facts(b, FXC_FACT_BIT(fusion), err));
    fxc_status status = render(&d, csv, &out, err);
    free(d.row);
    fxc_arena_free(&d.names);
    return status == FXC_OK && out.failed ? fxc_fail(err, FXC_IO, "writing the difference") : status;
}
