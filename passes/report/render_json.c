/* The JSON face. Its schema is docs/report.schema.json; append fields, never change one. */
#include <stdio.h>
#include <string.h>

#include "fxcost/backend.h"
#include "passes/convention/convention.h"
#include "passes/custom/custom.h"
#include "passes/optimizer.h"
#include "passes/report/json.h"
#include "passes/report/rows.h"

static void put_counts(struct fxc_json *json, const fxc_counts *c) {
    fxc_json_int(json, "macs", c->macs);
    fxc_json_int(json, "flops", fxc_flops_of(c));
    fxc_json_int(json, "matrix_flops", c->matrix_flops);
    fxc_json_int(json, "vector_flops", c->vector_flops);
    fxc_json_int(json, "transcendentals", c->transcendentals);
    fxc_json_int(json, "int_ops", c->int_ops);
    fxc_json_int(json, "bytes_read", c->bytes_read);
    fxc_json_int(json, "bytes_written", c->bytes_written);
    fxc_json_int(json, "kernels", c->kernels);
}

static void put_phases(struct fxc_json *json, const int64_t flops[FXC_PHASE_COUNT]) {
    static const char *const names[] = {
#define X(name, text) text "_flops",
        FXC_PHASE_LIST(X)
#undef X
    };
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
        fxc_json_int(json, names[phase], flops[phase]);
    }
}

/* What became of each submodule, where they were captured one by one: lists of path, route and reason. */
static void put_parts(struct fxc_json *json, const struct fxc_program *p) {
    static const char *const names[] = {"module", "route", "why"};
    enum { NAMES = sizeof names / sizeof names[0] };
    int64_t list;
    fxc_json_open(json, "parts", '[');
    bool found = fxc_program_capture(p, "parts", FXC_KIND_LIST, &list);
    for (uint32_t i = found ? p->list_begin[list] : 0; found && i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] != FXC_KIND_LIST) {
            continue;
        }
        uint32_t begin = p->list_begin[p->item_payload[i]], end = p->list_begin[p->item_payload[i] + 1];
        fxc_json_open(json, NULL, '{');
        for (uint32_t at = begin; at < end && at - begin < NAMES; at++) {
            bool text = p->item_kind[at] == FXC_KIND_STRING;
            fxc_json_string(json, names[at - begin], text ? fxc_string(p, (uint32_t)p->item_payload[at]) : NULL);
        }
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, ']');
}

static void put_program(struct fxc_json *json, const struct fxc_analysis *analysis) {
    int64_t why;
    bool told = fxc_program_capture(analysis->program, "why", FXC_KIND_STRING, &why);
    fxc_program_info info = {.struct_size = sizeof info};
    (void)fxc_program_get_info(analysis->program, &info, NULL);
    fxc_json_open(json, "program", '{');
    fxc_json_string(json, "file", info.file);
    fxc_json_string(json, "model", info.model);
    fxc_json_string(json, "inputs", info.inputs);
    fxc_json_bool(json, "training", info.training);
    fxc_json_bool(json, "grad", info.grad);
    fxc_json_string(json, "route", info.route);
    fxc_json_string(json, "why", told ? fxc_string(analysis->program, (uint32_t)why) : NULL);
    put_parts(json, analysis->program);
    fxc_json_string(json, "dialect", info.dialect);
    fxc_json_string(json, "torch", info.torch_version);
    fxc_json_string(json, "producer", info.producer);
    fxc_json_close(json, '}');
}

/* Metrics of the user's own. */
static void put_metrics(struct fxc_json *json, const struct fxc_analysis *analysis, const struct fxc_metric_sum *sum) {
    fxc_json_open(json, "metrics", '{');
    for (uint32_t i = 0; i < analysis->metrics->count; i++) {
        fxc_json_open(json, fxc_metric_name(analysis, i), '{');
        fxc_json_int(json, "value", sum[i].value);
        fxc_json_int(json, "nodes", sum[i].nodes);
        fxc_json_int(json, "unknown_nodes", sum[i].unknown_nodes);
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, '}');
}

/* Values of the symbols: dynamic dimensions by name, null for one that data decide. */
static void put_dims(struct fxc_json *json, const struct fxc_analysis *analysis) {
    const struct fxc_program *p = analysis->program;
    fxc_json_open(json, "dims", '{');
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        const char *dim = fxc_string(p, p->symbol_dim[i]), *name = fxc_string(p, p->symbol_name[i]);
        if (analysis->bindings[i].known) {
            fxc_json_int(json, dim[0] == '\0' ? name : dim, analysis->bindings[i].value);
        } else {
            fxc_json_string(json, dim[0] == '\0' ? name : dim, NULL);
        }
    }
    fxc_json_close(json, '}');
}

/* Formulas, exclusions and factors of the user's own. */
static void put_corrections(struct fxc_json *json, const struct fxc_analysis *analysis) {
    const struct fxc_custom_index *index = analysis->flops->custom;
    fxc_json_open(json, "corrections", '[');
    for (uint32_t i = 0; index != NULL && i < index->custom->count; i++) {
        fxc_json_open(json, NULL, '{');
        fxc_json_string(json, "text", index->custom->entries[i].text);
        fxc_json_int(json, "nodes", index->entry_nodes[i]);
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, ']');
}

/* The option as it was given. */
static const char *attention_text(int64_t window, char *buffer, size_t size) {
    (void)snprintf(buffer, size, "window:%lld", (long long)window);
    return window == 0 ? "full" : window == INT64_MAX ? "causal" : buffer;
}

static void put_options(struct fxc_json *json, const struct fxc_analysis *analysis,
                        const struct fxc_view_options *options) {
    char window[32];
    fxc_json_open(json, "options", '{');
    fxc_json_string(json, "convention", analysis->convention == NULL ? "fxcost" : analysis->convention->name);
    fxc_json_string(json, "profile", "eager");
    fxc_json_string(json, "attention", attention_text(analysis->attention_window, window, sizeof window));
    fxc_json_string(json, "optimizer", analysis->optimizer_row == NULL ? NULL : analysis->optimizer_row->name);
    fxc_json_string(json, "device", analysis->device == NULL ? NULL : analysis->device->name);
    fxc_json_string(json, "time_source", analysis->device == NULL ? NULL : fxc_time_basis(analysis));
    fxc_json_string(json, "by", fxc_by_infos[options->by].option);
    put_dims(json, analysis);
    put_corrections(json, analysis);
    fxc_json_close(json, '}');
}

static void put_totals(struct fxc_json *json, const struct fxc_analysis *analysis) {
    const fxc_totals *t = &analysis->report->totals;
    fxc_json_open(json, "totals", '{');
    put_counts(json, &t->counts);
    put_phases(json, t->phase_flops);
    if (t->saved_bytes >= 0) {
        fxc_json_int(json, "saved_bytes", t->saved_bytes);
        fxc_json_int(json, "saved_buffer_bytes", t->saved_buffer_bytes);
        fxc_json_int(json, "saved_input_bytes", t->saved_input_bytes);
        fxc_json_int(json, "samples", t->samples);
        fxc_json_int(json, "tokens", t->tokens);
    }
    fxc_json_int(json, "params", t->params);
    fxc_json_int(json, "param_bytes", t->param_bytes);
    fxc_json_int(json, "active_params", t->active_params);
    fxc_json_int(json, "trainable_params", t->trainable_params);
    fxc_json_int(json, "trainable_bytes", t->trainable_bytes);
    fxc_json_int(json, "buffers", t->buffers);
    fxc_json_int(json, "buffer_bytes", t->buffer_bytes);
    fxc_json_int(json, "nodes", t->nodes);
    fxc_json_int(json, "unknown_nodes", t->unknown_nodes);
    fxc_json_int(json, "ignored_nodes", t->ignored_nodes);
    fxc_json_int(json, "unknown_elements", t->unknown_elements);
    fxc_json_int(json, "output_elements", t->output_elements);
    fxc_json_int(json, "activations", t->activations);
    fxc_json_int(json, "values", t->values);
    fxc_json_int(json, "tagged_values", t->tagged_values);
    fxc_json_int(json, "recorded_values", t->recorded_values);
    fxc_json_int(json, "given_values", t->given_values);
    fxc_json_int(json, "unsized_values", t->unsized_values);
    fxc_json_int(json, "contradicted_values", t->contradicted_values);
    fxc_json_double(json, "seconds", t->seconds);
    fxc_json_time(json, t);
    fxc_json_int(json, "peak_bytes", t->peak_bytes);
    fxc_json_int(json, "given_bytes", t->given_bytes);
    fxc_json_int(json, "unsized_storages", t->unsized_storages);
    fxc_json_int(json, "untold_nodes", t->untold_nodes);
    put_metrics(json, analysis, analysis->report->metric);
    fxc_json_close(json, '}');
}

static void put_unknown(struct fxc_json *json, const struct fxc_report *report) {
    fxc_json_open(json, "unknown", '[');
    for (uint32_t i = 0; i < report->unknown_count; i++) {
        fxc_json_open(json, NULL, '{');
        fxc_json_string(json, "op", report->unknown[i].op);
        fxc_json_int(json, "nodes", report->unknown[i].nodes);
        fxc_json_int(json, "elements", report->unknown[i].elements);
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, ']');
}

/* What the tool of the convention says: its number, its table by operator, what it leaves out. */
static void put_tool(struct fxc_json *json, const struct fxc_convention *convention, const struct fxc_tool *tool) {
    fxc_json_open(json, "tool", '{');
    fxc_json_string(json, "follows", convention->tool);
    fxc_json_string(json, "unit", convention->unit);
    fxc_json_int(json, "count", tool->total);
    fxc_json_int(json, "macs", tool->total_macs);
    fxc_json_string(json, "failure", tool->failure);
    fxc_json_int(json, "unknown_nodes", tool->unknown_nodes);
    fxc_json_int(json, "forward", tool->forward);
    fxc_json_open(json, "operators", '[');
    for (uint32_t i = 0; i < tool->op_count; i++) {
        fxc_json_open(json, NULL, '{');
        fxc_json_string(json, "name", tool->op[i].key);
        fxc_json_int(json, "calls", tool->op[i].calls);
        fxc_json_int(json, "count", tool->op[i].count);
        fxc_json_int(json, "macs", tool->op[i].macs);
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, ']');
    fxc_json_open(json, "left_out", '[');
    for (uint32_t i = 0; i < tool->left_out_count; i++) {
        fxc_json_open(json, NULL, '{');
        fxc_json_string(json, "op", tool->left_out[i].op);
        fxc_json_int(json, "nodes", tool->left_out[i].nodes);
        fxc_json_int(json, "flops", tool->left_out[i].flops);
        fxc_json_int(json, "macs", tool->left_out[i].macs);
        fxc_json_bool(json, "listed", tool->left_out[i].sight == FXC_TOOL_LISTED);
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, ']');
    fxc_json_close(json, '}');
}

static void put_node_fields(struct fxc_json *json, const struct fxc_row *row) {
    static const char *const coverages[] = {"counted", "zero", "unknown", "ignored"};
    static const char *const bounds[] = {"unknown", "compute", "memory", "overhead"};
    fxc_json_string(json, "op", row->class_name);
    fxc_json_string(json, "module", row->module);
    fxc_json_string(json, "shape", row->shape);
    fxc_json_string(json, "coverage", coverages[row->coverage]);
    fxc_json_string(json, "bound", bounds[row->bound]);
    fxc_json_work_time(json, row->work, row->source, row->efficiency, row->error);
    fxc_json_string(json, "file", row->file);
    fxc_json_int(json, "line", row->line);
    fxc_json_bool(json, "dead", row->dead);
    fxc_json_bool(json, "owner_view", row->owner_view);
}

/* Else it is of a step of an optimiser. */
static bool is_node(const struct fxc_program *p, const struct fxc_row *row) {
    return row->node < FXC_COUNT(p, node) && strcmp(row->name, fxc_node_name(p, row->node)) == 0;
}

static void put_input(struct fxc_json *json, const struct fxc_analysis *analysis, uint8_t kind, int64_t payload) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_shapes *s = analysis->shapes;
    if (kind == FXC_KIND_LIST) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1]; i++) {
            if (p->item_kind[i] == FXC_KIND_VALUE) {
                put_input(json, analysis, p->item_kind[i], p->item_payload[i]);
            }
        }
    } else if (kind == FXC_KIND_VALUE && p->value_kind[payload] == FXC_KIND_TENSOR) {
        fxc_json_open(json, NULL, '{');
        fxc_json_string(json, "dtype", fxc_dtype_short(s->dtype[payload]));
        fxc_json_open(json, "sizes", '[');
        for (uint32_t d = 0; d < s->rank[payload]; d++) {
            fxc_json_int(json, NULL, s->size[s->dim_begin[payload] + d]);
        }
        fxc_json_close(json, ']');
        fxc_json_close(json, '}');
    }
}

/* The tensors that a node takes, those in lists too. */
static void put_inputs(struct fxc_json *json, const struct fxc_analysis *analysis, const struct fxc_row *row) {
    const struct fxc_program *p = analysis->program;
    if (!is_node(p, row)) {
        return;
    }
    fxc_json_open(json, "inputs", '[');
    for (uint32_t a = p->node_arg_begin[row->node]; a < p->node_arg_begin[row->node + 1]; a++) {
        put_input(json, analysis, p->arg_kind[a], p->arg_payload[a]);
    }
    fxc_json_close(json, ']');
}

/* The modules whose calls were open when a node ran, innermost first: where a module is shared, its callers are not
 * those that own it. */
static void put_callers(struct fxc_json *json, const struct fxc_program *p, const struct fxc_row *row) {
    if (!is_node(p, row)) {
        return;
    }
    fxc_json_open(json, "callers", '[');
    for (uint32_t call = p->node_call[row->node]; call != FXC_NONE; call = p->call_parent[call]) {
        char path[512];
        fxc_json_string(json, NULL, fxc_module_path(p, p->call_module[call], path, sizeof path));
    }
    fxc_json_close(json, ']');
}

/* What a module does itself. */
static void put_self(struct fxc_json *json, const struct fxc_row *row) {
    fxc_json_int(json, "self_flops", row->self_flops);
    fxc_json_int(json, "self_macs", row->self_macs);
}

static void put_row(struct fxc_json *json, const struct fxc_analysis *analysis, const struct fxc_row *row,
                    enum fxc_by by, const struct fxc_convention *tool, bool phased) {
    fxc_put(json->out, json->comma ? "" : "\n");
    fxc_json_open(json, NULL, '{');
    fxc_json_string(json, "name", row->name);
    if (by == FXC_BY_MODULE) {
        fxc_json_string(json, "class", row->class_name);
        fxc_json_int(json, "depth", row->depth);
        fxc_json_int(json, "calls_without_hooks", row->unhooked);
        put_self(json, row);
    } else if (by == FXC_BY_NODE) {
        put_node_fields(json, row);
        put_callers(json, analysis->program, row);
        put_inputs(json, analysis, row);
    } else if (by == FXC_BY_CALLER) {
        fxc_json_string(json, "class", row->class_name);
        fxc_json_int(json, "depth", row->depth);
        put_self(json, row);
    } else if (by == FXC_BY_OP_SHAPE) {
        fxc_json_string(json, "shapes", row->class_name);
    } else if (by == FXC_BY_MODULE_OP) {
        fxc_json_string(json, "op", row->class_name);
        fxc_json_int(json, "depth", row->depth);
    }
    fxc_json_int(json, "calls", row->calls);
    if (row->has_params) {
        fxc_json_int(json, "params", row->params);
    }
    put_counts(json, &row->sum.counts);
    put_phases(json, row->sum.phase_flops);
    if (phased) {
        fxc_json_int(json, "saved_bytes", row->sum.saved_bytes);
    }
    if (analysis->metrics->count > 0) {
        put_metrics(json, analysis, row->sum.metric);
    }
    if (tool != NULL) {
        fxc_json_int(json, "tool", row->sum.tool);
        fxc_json_int(json, "tool_macs", row->sum.tool_macs);
    }
    fxc_json_int(json, "activations", row->sum.activations);
    fxc_json_int(json, "output_elements", row->sum.output_elements);
    fxc_json_int(json, "nodes", row->sum.nodes);
    fxc_json_int(json, "unknown_nodes", row->sum.unknown_nodes);
    fxc_json_double(json, "seconds", row->sum.seconds);
    fxc_json_double(json, "peak_seconds", row->sum.peak_seconds);
    if (row->sum.peak_bytes > 0) {
        fxc_json_int(json, "peak_bytes", row->sum.peak_bytes);
    }
    if (by == FXC_BY_NODE && row->sum.peak_bytes > 0) {
        fxc_json_int(json, "live_bytes_before", row->live_before);
        fxc_json_int(json, "live_bytes_after", row->live_after);
    }
    if (fxc_is_measured(analysis)) {
        fxc_json_double(json, "measured_seconds", row->sum.measured);
        if (by == FXC_BY_NODE) {
            fxc_json_measured_node(json, analysis, row->node);
        }
    }
    fxc_json_close(json, '}');
}

void fxc_render_json(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                     const struct fxc_rows *rows, struct fxc_stream *out) {
    struct fxc_json json = {out, false};
    fxc_json_open(&json, NULL, '{');
    fxc_json_string(&json, "schema", "fxcost.report");
    fxc_json_int(&json, "version", 1);
    fxc_json_string(&json, "fxcost", fxc_version());
    put_program(&json, analysis);
    put_options(&json, analysis, options);
    put_totals(&json, analysis);
    if (fxc_is_measured(analysis)) {
        fxc_json_measured(&json, analysis);
    }
    put_unknown(&json, analysis->report);
    fxc_json_peak(&json, analysis);
    const struct fxc_convention *tool = analysis->convention;
    tool = tool == NULL || tool->rows == 0 ? NULL : tool;
    if (tool != NULL) {
        put_tool(&json, tool, analysis->tool);
    }
    fxc_json_open(&json, "rows", '[');
    for (uint32_t i = 0; i < rows->count; i++) {
        put_row(&json, analysis, &rows->row[i], options->by, tool, analysis->report->totals.saved_bytes >= 0);
    }
    fxc_json_close(&json, ']');
    fxc_json_close(&json, '}');
    fxc_put(out, "\n");
}
