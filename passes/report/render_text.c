/* The tree and table faces: head, totals, rows, what was not counted, one line to cite. At most 100 columns. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fxcost/backend.h"
#include "passes/convention/convention.h"
#include "passes/custom/custom.h"
#include "passes/report/render_text.h"

/* ---- head -------------------------------------------------------------------------------------------------------- */

/* "name        text", wrapped at commas under the text. */
static void put_field(struct fxc_stream *out, const char *name, const char *text) {
    enum { INDENT = 12 };
    fxc_put_cell(out, name, INDENT, false);
    uint32_t column = INDENT;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        length += text[length] == ',';
        if (column > INDENT && column + length > FXC_TEXT_WIDTH) {
            fxc_putf(out, "\n%*s", INDENT, "");
            column = INDENT;
            text += *text == ' ';
            length = strcspn(text, ",") + (text[strcspn(text, ",")] == ',');
        }
        fxc_putf(out, "%.*s", (int)(length > 900 ? 900 : length), text);
        column += (uint32_t)length;
        text += length;
    }
    fxc_put(out, "\n");
}

/* "batch=1, seq=512, while_loop_trips=?": the sizes that the numbers hold for. Of those that data decide, the ones that
 * the user gave or could give. */
static void put_sizes(const struct fxc_face *face) {
    const struct fxc_program *p = face->analysis->program;
    char text[512];
    size_t used = 0;
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        const struct fxc_binding *binding = &face->analysis->bindings[i];
        const char *dim = fxc_string(p, p->symbol_dim[i]);
        char value[24] = "?";
        bool set_by_data = binding->known && (p->symbol_flags[i] & FXC_SYMBOL_FLAG_UNBACKED) != 0 && !binding->given;
        if (set_by_data || (p->symbol_flags[i] & FXC_SYMBOL_FLAG_TRIP) != 0) {
            continue;
        }
        if (binding->known) {
            (void)snprintf(value, sizeof value, "%" PRId64, binding->value);
        }
        int length = snprintf(text + used, sizeof text - used, "%s%.80s=%s", used == 0 ? "" : ", ",
                              dim[0] == '\0' ? fxc_string(p, p->symbol_name[i]) : dim, value);
        if (length < 0 || (size_t)length >= sizeof text - used) {
            text[used] = '\0'; /* more symbols than a head can show */
            break;
        }
        used += (size_t)length;
    }
    if (used > 0) {
        put_field(face->out, "sizes", text);
    }
}

/* What the user added, one line each: a total that rests on it must say so. */
static void put_corrections(const struct fxc_face *face) {
    const struct fxc_custom_index *index = face->analysis->flops->custom;
    for (uint32_t i = 0; index != NULL && i < index->custom->count; i++) {
        char text[400];
        int64_t nodes = index->entry_nodes[i];
        (void)snprintf(text, sizeof text, "%.250s (%" PRId64 " node%s)", index->custom->entries[i].text, nodes,
                       nodes == 1 ? "" : "s");
        put_field(face->out, i == 0 ? "corrections" : "", text);
    }
}

static void put_convention(const struct fxc_face *face) {
    static const char usual[] = "fxcost (2 FLOPs per MAC, bias included, every operator counted), profile eager";
    int64_t window = face->analysis->attention_window;
    char text[256];
    (void)snprintf(text, sizeof text, "%s%s", usual,
                   window > 0 ? ", causal attention without the pairs that its mask hides" : "");
    if (window > 0 && window < INT64_MAX) {
        (void)snprintf(text, sizeof text, "%s, causal attention of the last %" PRId64 " positions", usual, window);
    }
    put_field(face->out, "convention", text);
    if (face->analysis->sequence_count > 0) {
        (void)snprintf(text, sizeof text, "%" PRIu32 " packed for varlen attention, lengths as told",
                       face->analysis->sequence_count);
        put_field(face->out, "sequences", text);
    }
}

static void put_head(const struct fxc_face *face) {
    fxc_program_info info = {.struct_size = sizeof info};
    char text[256];
    (void)fxc_program_get_info(face->analysis->program, &info, NULL);
    fxc_putf(face->out, "%s\n", info.model[0] == '\0' ? info.file : info.model);
    put_field(face->out, "inputs", info.inputs[0] == '\0' ? "not recorded" : info.inputs);
    put_sizes(face);
    char dtype[32];
    (void)fxc_main_dtype(face->analysis->program, dtype, sizeof dtype);
    int used = snprintf(text, sizeof text, "%s%s%s, %s", dtype, dtype[0] == '\0' ? "" : ", ",
                        info.training ? "train" : "eval", info.grad ? "grad" : "no grad");
    if (info.route[0] != '\0' && used > 0 && (size_t)used < sizeof text) {
        (void)snprintf(text + used, sizeof text - (size_t)used, ", captured by %s in the %s dialect", info.route,
                       info.dialect);
    }
    put_field(face->out, "mode", text);
    int64_t why;
    if (fxc_program_capture(face->analysis->program, "why", FXC_KIND_STRING, &why)) {
        put_field(face->out, "route", fxc_string(face->analysis->program, (uint32_t)why));
    }
    if (fxc_unhooked_text(face->analysis, text, sizeof text)) {
        put_field(face->out, "owner view", text);
    }
    put_convention(face);
    fxc_put_devices(face->analysis, face->options->raw, face->out);
    put_corrections(face);
    if (face->tool != NULL) {
        (void)snprintf(text, sizeof text, "%s (%s, in %ss: %s)", face->tool->name, face->tool->tool, face->tool->unit,
                       face->tool->mark);
        put_field(face->out, "beside it", text);
    }
    if (face->analysis->device != NULL) {
        (void)snprintf(text, sizeof text, "%s: %s (%s)", face->analysis->device->name,
                       face->analysis->device->description, fxc_time_basis(face->analysis));
        put_field(face->out, "device", text);
    }
    (void)snprintf(text, sizeof text, "fxcost %s, torch %s", fxc_version(),
                   info.torch_version[0] == '\0' ? "not recorded" : info.torch_version);
    put_field(face->out, "versions", text);
}

/* A line for each metric of the user's own. */
static void put_metrics(const struct fxc_face *face) {
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE];
    for (uint32_t i = 0; i < face->analysis->metrics->count; i++) {
        const struct fxc_metric_sum *sum = &face->analysis->report->metric[i];
        fxc_putf(face->out, "%-11s %s, told of %s node%s", fxc_metric_name(face->analysis, i),
                 fxc_face_number(face, sum->value, a), fxc_face_number(face, sum->nodes, b),
                 sum->nodes == 1 ? "" : "s");
        if (sum->unknown_nodes > 0) {
            fxc_putf(face->out, "; not of %s more, whose formula cannot tell",
                     fxc_face_number(face, sum->unknown_nodes, a));
        }
        fxc_put(face->out, "\n");
    }
}

static void put_totals(const struct fxc_face *face) {
    const fxc_totals *t = face->totals;
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE], c[FXC_NUMBER_SIZE], d[FXC_NUMBER_SIZE];
    fxc_put(face->out, "\n");
    fxc_putf(face->out, "FLOPs       %s = %s matrix + %s vector; besides %s transcendentals",
             fxc_face_number(face, t->flops, a), fxc_face_number(face, t->counts.matrix_flops, b),
             fxc_face_number(face, t->counts.vector_flops, c), fxc_face_number(face, t->counts.transcendentals, d));
    fxc_putf(face->out, ", %s int ops\n", fxc_face_number(face, t->counts.int_ops, a));
    if (fxc_face_is_step(face)) {
        fxc_put_step(face->analysis, face->options->raw, face->out);
    }
    fxc_putf(face->out, "MACs        %s\n", fxc_face_number(face, t->counts.macs, a));
    fxc_putf(face->out, "activations %s put out by matrix products and convolutions\n",
             fxc_face_number(face, t->activations, a));
    fxc_putf(face->out, "parameters  %s (%s), ", fxc_face_number(face, t->params, a),
             fxc_face_bytes(face, t->param_bytes, b));
    if (t->active_params != t->params) {
        fxc_putf(face->out, "%s of them active for a token, ", fxc_face_number(face, t->active_params, a));
    }
    if (t->trainable_params != t->params) {
        fxc_putf(face->out, "%s of them trainable, ", fxc_face_number(face, t->trainable_params, a));
    }
    fxc_putf(face->out, "buffers %s (%s)\n", fxc_face_number(face, t->buffers, c),
             fxc_face_bytes(face, t->buffer_bytes, d));
    fxc_putf(face->out, "bytes       %s read, %s written by %s kernels\n",
             fxc_face_bytes(face, t->counts.bytes_read, a), fxc_face_bytes(face, t->counts.bytes_written, b),
             fxc_face_number(face, t->counts.kernels, c));
    put_metrics(face);
    fxc_put_peak(face->analysis, face->options->raw, face->out);
    fxc_put_measured(face->analysis, face->options->raw, face->out);
    fxc_put_time(face->analysis, t, face->options->raw, face->out);
}

/* ---- the line to cite
 * ------------------------------------------------------------------------------------------------ */

static void put_cite(const struct fxc_face *face) {
    const fxc_totals *t = face->totals;
    fxc_program_info info = {.struct_size = sizeof info};
    char macs[FXC_NUMBER_SIZE], flops[FXC_NUMBER_SIZE], unknown[FXC_NUMBER_SIZE], inputs[256];
    (void)fxc_program_get_info(face->analysis->program, &info, NULL);
    fxc_putf(face->out, "\n%s%s, %s%s, %s, %s, convention fxcost, unknown %s\n", fxc_human(t->counts.macs, false, macs),
             t->counts.macs < 1000 ? " MACs" : "MACs", fxc_human(t->flops, false, flops),
             t->flops < 1000 ? " FLOPs" : "FLOPs", fxc_cite_inputs(face->analysis, inputs, sizeof inputs),
             info.training ? "train" : "eval",
             fxc_percent((double)t->unknown_elements, (double)t->output_elements, unknown));
}

void fxc_render_text(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                     const struct fxc_rows *rows, struct fxc_stream *out) {
    const struct fxc_convention *tool = analysis->convention;
    struct fxc_face face = {analysis, options, out, &analysis->report->totals, tool};
    face.tool = tool == NULL || tool->rows == 0 ? NULL : tool;
    put_head(&face);
    put_totals(&face);
    if (face.tool != NULL) {
        fxc_put_tool(analysis, face.tool, options->raw, out);
    }
    fxc_put_uncalled(analysis, out);
    fxc_put_missing(analysis, out);
    fxc_face_put_rows(&face, rows);
    if (options->memory) {
        fxc_put_peak_tensors(analysis, options->raw, out);
    }
    put_cite(&face);
}
