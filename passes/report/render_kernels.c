/* Kernels: a row for each, as text, CSV or JSON, or as clusters of a Graphviz graph. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "passes/fusion/profile.h"
#include "passes/report/kernels.h"

/* The module whose call a node belongs to; of a lowered node without one, that of the node it comes from. */
static uint32_t module_of(const struct fxc_program *p, uint32_t node) {
    uint32_t call = p->node_call[node];
    if (call == FXC_NONE && p->node_origin != NULL && p->node_origin[node] != FXC_NONE) {
        call = p->node_call[p->node_origin[node]];
    }
    return call == FXC_NONE ? FXC_NONE : p->call_module[call];
}

static bool lies_in(const struct fxc_program *p, uint32_t module, uint32_t outer) {
    while (module != FXC_NONE && module != outer) {
        module = p->module_parent[module];
    }
    return module == outer;
}

uint32_t fxc_kernel_module(const struct fxc_program *p, const fxc_kernel_info *k) {
    uint32_t common = k->node_count == 0 ? FXC_NONE : module_of(p, k->nodes[0]);
    for (uint32_t i = 1; i < k->node_count; i++) {
        while (common != FXC_NONE && !lies_in(p, module_of(p, k->nodes[i]), common)) {
            common = p->module_parent[common];
        }
    }
    return common;
}

static void put_nodes(const struct fxc_program *p, const fxc_kernel_info *k, uint32_t limit, struct fxc_stream *out) {
    for (uint32_t i = 0; i < k->node_count && i < limit; i++) {
        fxc_putf(out, "%s%s", i == 0 ? "" : " ", fxc_node_name(p, k->nodes[i]));
    }
    if (k->node_count > limit) {
        fxc_putf(out, " +%u", k->node_count - limit);
    }
}

static void loops_text(const fxc_kernel_info *k, char *buffer, size_t size) {
    size_t used = 0;
    buffer[0] = '\0';
    for (uint32_t d = 0; d < k->outer_rank + k->folded_rank && used < size; d++) {
        used += (size_t)snprintf(buffer + used, size - used, "%s%" PRId64,
                                 d == 0               ? k->outer_rank == 0 ? "/ " : ""
                                 : d == k->outer_rank ? " / "
                                                      : " x ",
                                 k->sizes[d]);
    }
}

/* ---- text -----------------------------------------------------------------------------------------------------------
 */

static void put_number(struct fxc_stream *out, int64_t number, bool bytes, bool raw) {
    char text[FXC_NUMBER_SIZE];
    fxc_put_cell(out, bytes ? fxc_human_bytes(number, raw, text) : fxc_human(number, raw, text), 10, true);
    fxc_put(out, " ");
}

static void put_text_row(fxc_analysis *analysis, uint32_t index, const fxc_kernel_info *k, bool raw,
                         struct fxc_stream *out) {
    char loops[64], path[FXC_KERNEL_PATH_SIZE], text[FXC_NUMBER_SIZE];
    const char *module = fxc_kernel_module_path(analysis, k, path);
    loops_text(k, loops, sizeof loops);
    fxc_putf(out, "%5u %-10s ", index, k->kind_text);
    fxc_put_cell(out, loops, 20, false);
    fxc_put(out, " ");
    put_number(out, k->bytes_read, true, raw);
    put_number(out, k->bytes_written, true, raw);
    put_number(out, k->bytes_copied, true, raw);
    put_number(out, k->bytes_reread, true, raw);
    put_number(out, k->bytes_saved, true, raw);
    put_number(out, k->matrix_flops + k->vector_flops, false, raw);
    put_number(out, k->executed_flops, false, raw);
    if (analysis->device != NULL) {
        fxc_put_cell(out, fxc_human_seconds(k->seconds, raw, text), 10, true);
        fxc_put(out, " ");
        fxc_put_cell(out, fxc_bound_text(k->bound), 8, false);
    }
    fxc_put(out, " ");
    fxc_put_path(out, module == NULL ? "" : module, 28);
    fxc_put(out, "  ");
    put_nodes(analysis->program, k, 4, out);
    fxc_put(out, "\n");
}

static fxc_status put_text(fxc_analysis *analysis, const fxc_render_options *options, struct fxc_stream *out,
                           fxc_error *err) {
    const struct fxc_fusion *f = analysis->fusion;
    struct fxc_kernel_sum totals;
    FXC_TRY(fxc_kernel_totals(analysis, &totals, err));
    fxc_putf(out, "profile %s: %s\n\n", f->profile->name, f->profile->summary);
    fxc_putf(out,
             "    # kind       loops / folded             read    written     copied     reread      saved      FLOPs  "
             " executed %s module"
             "                        nodes\n",
             analysis->device != NULL ? "      time bound    " : "");
    for (uint32_t i = 0; i < f->kernel_count && (options->top == 0 || i < options->top); i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        (void)fxc_analysis_kernel(analysis, i, &k, NULL);
        put_text_row(analysis, i, &k, options->raw, out);
    }
    fxc_put_kernel_totals(analysis, &totals, options->raw, out);
    return FXC_OK;
}

/* ---- CSV ------------------------------------------------------------------------------------------------------------
 */

static void put_csv(fxc_analysis *analysis, struct fxc_stream *out) {
    fxc_put(out, "kernel,kind,module,nodes,bytes_read,bytes_written,bytes_copied,bytes_reread,inductor_bytes,bytes_"
                 "saved,matrix_flops,"
                 "vector_flops,transcendentals,executed_flops,seconds,bound\n");
    for (uint32_t i = 0; i < analysis->fusion->kernel_count; i++) {
        char path[FXC_KERNEL_PATH_SIZE];
        fxc_kernel_info k = {.struct_size = sizeof k};
        (void)fxc_analysis_kernel(analysis, i, &k, NULL);
        const char *module = fxc_kernel_module_path(analysis, &k, path);
        fxc_putf(out, "%u,%s,%s,", i, k.kind_text, module == NULL ? "" : module);
        put_nodes(analysis->program, &k, UINT32_MAX, out);
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, k.bytes_read, k.bytes_written, k.bytes_copied,
                 k.bytes_reread);
        fxc_putf(out, ",%" PRId64 ",%" PRId64, k.inductor_bytes, k.bytes_saved);
        fxc_putf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",", k.matrix_flops, k.vector_flops,
                 k.transcendentals, k.executed_flops);
        if (!isnan(k.seconds)) {
            fxc_putf(out, "%.9g,%s", k.seconds, fxc_bound_text(k.bound));
        }
        fxc_put(out, isnan(k.seconds) ? ",\n" : "\n");
    }
}

/* ---- Graphviz -------------------------------------------------------------------------------------------------------
 */

static void put_edges(fxc_analysis *analysis, uint32_t kernel, uint32_t count, struct fxc_stream *out) {
    const struct fxc_fusion *f = analysis->fusion;
    for (uint32_t i = 0; i < count; i++) {
        fxc_kernel_access_info a = {.struct_size = sizeof a};
        (void)fxc_analysis_kernel_access(analysis, kernel, i, &a, NULL);
        uint32_t from = a.node == FXC_NONE ? FXC_NONE : f->home[a.node];
        if (!a.written && from != FXC_NONE && from != kernel) {
            fxc_putf(out, "  k%u_0 -> k%u_0 [ltail=cluster_%u, lhead=cluster_%u, label=\"%" PRId64 " B\"];\n", from,
                     kernel, from, kernel, a.bytes);
        }
    }
}

static void put_dot(fxc_analysis *analysis, struct fxc_stream *out) {
    fxc_put(out, "digraph kernels {\n  compound=true;\n  node [shape=box];\n");
    for (uint32_t i = 0; i < analysis->fusion->kernel_count; i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        (void)fxc_analysis_kernel(analysis, i, &k, NULL);
        fxc_putf(out, "  subgraph cluster_%u {\n    label=\"%u %s\";\n", i, i, k.kind_text);
        for (uint32_t n = 0; n < k.node_count; n++) {
            fxc_putf(out, "    k%u_%u [label=\"%s\"];\n", i, n, fxc_node_name(analysis->program, k.nodes[n]));
        }
        fxc_put(out, "  }\n");
        put_edges(analysis, i, k.accesses, out);
    }
    fxc_put(out, "}\n");
}

fxc_status fxc_render_kernels(fxc_analysis *analysis, const fxc_render_options *options, struct fxc_stream *out,
                              fxc_error *err) {
    const char *format = options->format == NULL || options->format[0] == '\0' ? "table" : options->format;
    /* The report has the times of eager execution, to compare with. */
    FXC_TRY(fxc_require_facts(analysis,
                              FXC_FACT_BIT(kernel_cost) | (analysis->device == NULL ? 0 : FXC_FACT_BIT(report)), err));
    if (options->by == NULL || strcmp(options->by, "kernel") != 0) {
        return fxc_render_kernel_modules(analysis, options, out, err);
    }
    if (strcmp(format, "table") == 0 || strcmp(format, "tree") == 0) {
        return put_text(analysis, options, out, err);
    }
    if (strcmp(format, "json") == 0) {
        return fxc_put_kernels_json(analysis, out, err);
    }
    if (strcmp(format, "csv") == 0) {
        put_csv(analysis, out);
    } else if (strcmp(format, "dot") == 0) {
        put_dot(analysis, out);
    } else {
        fxc_status status = fxc_fail(err, FXC_USAGE, "option format");
        fxc_expected(err, "table, csv, json or dot, of kernels");
        fxc_found(err, "'%s'", format);
        return status;
    }
    return FXC_OK;
}
