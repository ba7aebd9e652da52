/* The tree and table faces: head, totals, rows, what was not counted, one line to cite. At most 100 columns. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fxcost/backend.h"
#include "passes/convention/convention.h"
#include "passes/custom/custom.h"
#include "passes/report/render.h"

enum { WIDTH = 100 };

struct face {
    const struct fxc_analysis *analysis;
    const struct fxc_view_options *options;
    struct fxc_stream *out;
    const fxc_totals *totals;
    const struct fxc_convention *tool; /* the convention of another tool, NULL for none */
};

static const char *number(const struct face *face, int64_t value, char buffer[FXC_NUMBER_SIZE]) {
    return fxc_human(value, face->options->raw, buffer);
}

static const char *bytes(const struct face *face, int64_t value, char buffer[FXC_NUMBER_SIZE]) {
    return fxc_human_bytes(value, face->options->raw, buffer);
}

/* ---- head -------------------------------------------------------------------------------------------------------- */

/* "name        text", wrapped at commas under the text. */
static void put_field(struct fxc_stream *out, const char *name, const char *text) {
    enum { INDENT = 12 };
    fxc_put_cell(out, name, INDENT, false);
    uint32_t column = INDENT;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        length += text[length] == ',';
        if (column > INDENT && column + length > WIDTH) {
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
static void put_sizes(const struct face *face) {
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
static void put_corrections(const struct face *face) {
    const struct fxc_custom_index *index = face->analysis->flops->custom;
    for (uint32_t i = 0; index != NULL && i < index->custom->count; i++) {
        char text[400];
        int64_t nodes = index->entry_nodes[i];
        (void)snprintf(text, sizeof text, "%.250s (%" PRId64 " node%s)", index->custom->entries[i].text, nodes,
                       nodes == 1 ? "" : "s");
        put_field(face->out, i == 0 ? "corrections" : "", text);
    }
}

static void put_convention(const struct face *face) {
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

static void put_head(const struct face *face) {
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

static bool is_step(const struct face *face) {
    return face->analysis->report->phased;
}

static bool saves(const struct face *face) {
    return face->totals->saved_bytes >= 0;
}

static void put_totals(const struct face *face) {
    const fxc_totals *t = face->totals;
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE], c[FXC_NUMBER_SIZE], d[FXC_NUMBER_SIZE];
    fxc_put(face->out, "\n");
    fxc_putf(face->out, "FLOPs       %s = %s matrix + %s vector; besides %s transcendentals", number(face, t->flops, a),
             number(face, t->counts.matrix_flops, b), number(face, t->counts.vector_flops, c),
             number(face, t->counts.transcendentals, d));
    fxc_putf(face->out, ", %s int ops\n", number(face, t->counts.int_ops, a));
    if (is_step(face)) {
        fxc_put_step(face->analysis, face->options->raw, face->out);
    }
    fxc_putf(face->out, "MACs        %s\n", number(face, t->counts.macs, a));
    fxc_putf(face->out, "activations %s put out by matrix products and convolutions\n",
             number(face, t->activations, a));
    fxc_putf(face->out, "parameters  %s (%s), ", number(face, t->params, a), bytes(face, t->param_bytes, b));
    if (t->active_params != t->params) {
        fxc_putf(face->out, "%s of them active for a token, ", number(face, t->active_params, a));
    }
    if (t->trainable_params != t->params) {
        fxc_putf(face->out, "%s of them trainable, ", number(face, t->trainable_params, a));
    }
    fxc_putf(face->out, "buffers %s (%s)\n", number(face, t->buffers, c), bytes(face, t->buffer_bytes, d));
    fxc_putf(face->out, "bytes       %s read, %s written by %s kernels\n", bytes(face, t->counts.bytes_read, a),
             bytes(face, t->counts.bytes_written, b), number(face, t->counts.kernels, c));
    fxc_put_peak(face->analysis, face->options->raw, face->out);
    fxc_put_measured(face->analysis, face->options->raw, face->out);
    fxc_put_time(face->analysis, t, face->options->raw, face->out);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------
 */

struct columns {
    uint32_t name, class_name;
    bool params, calls, seconds, measured, ratio, tool;
    bool macs, bytes; /* a training step shows its parts instead */
    bool live;        /* bytes alive, in place of bytes moved */
    bool phase[FXC_PHASE_COUNT];
};

static bool by_module(const struct face *face) {
    return face->options->by == FXC_BY_MODULE;
}

static bool is_node(const struct face *face) {
    return face->options->by == FXC_BY_NODE;
}

/* Shapes need the room that bytes have otherwise. */
static bool by_shape(const struct face *face) {
    return face->options->by == FXC_BY_OP_SHAPE;
}

static const char *row_label(const struct face *face, const struct fxc_row *row, char *buffer, size_t size) {
    if (by_module(face) && face->options->format == FXC_FORMAT_TREE) {
        (void)snprintf(buffer, size, "%*s%s", (int)(2 * (row->depth < 20 ? row->depth : 20)), "", row->label);
        return buffer;
    }
    const char *name = row->name[0] == '\0' ? row->label : row->name;
    return by_shape(face) && strncmp(name, "aten.", 5) == 0 ? name + 5 : name;
}

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* "BertLayer" of "transformers.models.bert.modeling_bert.BertLayer", "add.Tensor" of "aten.add.Tensor". */
static const char *short_class(const struct face *face, const struct fxc_row *row) {
    const char *dot = strrchr(row->class_name, '.');
    if (by_module(face)) {
        return dot == NULL ? row->class_name : dot + 1;
    }
    if (by_shape(face)) {
        return row->class_name;
    }
    return strncmp(row->class_name, "aten.", 5) == 0 ? row->class_name + 5 : row->class_name;
}

/* Widths: the fixed columns first, then the class up to 24, then the name with what is left. */
static struct columns layout(const struct face *face, const struct fxc_rows *rows) {
    bool timed = face->analysis->device != NULL, measured = fxc_is_measured(face->analysis);
    struct columns columns = {.name = 4,
                              .params = by_module(face) || face->options->by == FXC_BY_CLASS,
                              .calls = !by_module(face),
                              .seconds = timed,
                              .measured = measured,
                              .ratio = timed && measured,
                              .tool = face->tool != NULL,
                              .macs = !is_step(face),
                              .bytes =
                                  !by_shape(face) && !is_step(face) && !(timed && measured) && !face->options->memory,
                              .live = face->options->memory};
    char buffer[512];
    uint32_t phases = 0;
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT && is_step(face); phase++) {
        columns.phase[phase] = phase <= FXC_PHASE_BACKWARD || face->totals->phase_flops[phase] != 0;
        phases += columns.phase[phase];
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t label = fxc_columns_of(row_label(face, &rows->row[i], buffer, sizeof buffer));
        uint32_t class_name = fxc_columns_of(short_class(face, &rows->row[i]));
        columns.name = columns.name > label ? columns.name : label;
        columns.class_name = columns.class_name > class_name ? columns.class_name : class_name;
    }
    /* Each number column is 9 wide and led by a space; the share is 7. */
    phases += saves(face);
    phases += columns.live ? (is_node(face) ? 3u : 1u) : 0;
    uint32_t numbers = 1u + columns.macs + 2u * columns.bytes + phases + columns.params + columns.seconds +
                       columns.measured + columns.ratio + columns.tool;
    uint32_t fixed = 10 * numbers + 8 + (columns.calls ? 7 : 0);
    uint32_t left = WIDTH - fixed - 1;
    columns.class_name = min_u32(columns.class_name, by_shape(face) ? 42 : is_node(face) ? 24 : 22);
    if (columns.class_name + columns.name > left) {
        columns.class_name =
            columns.class_name < left / 2 ? columns.class_name : left - min_u32(columns.name, left / 2);
        columns.name = left - columns.class_name;
    }
    return columns;
}

static uint32_t number_width(const struct face *face) {
    return face->options->raw ? 20 : 9;
}

static void put_number_cell(const struct face *face, const char *text) {
    fxc_put(face->out, " ");
    fxc_put_cell(face->out, text, number_width(face), true);
}

/* Bytes alive before a node, at most while it runs, and after it; of any other row only the most. */
static void put_live_titles(const struct face *face) {
    if (is_node(face)) {
        put_number_cell(face, "before B");
    }
    put_number_cell(face, "peak B");
    if (is_node(face)) {
        put_number_cell(face, "after B");
    }
}

static void put_live(const struct face *face, const struct fxc_row *row) {
    char text[FXC_NUMBER_SIZE];
    bool ran = row->sum.peak_bytes > 0;
    if (is_node(face)) {
        put_number_cell(face, ran ? number(face, row->live_before, text) : "-");
    }
    put_number_cell(face, ran ? number(face, row->sum.peak_bytes, text) : "-");
    if (is_node(face)) {
        put_number_cell(face, ran ? number(face, row->live_after, text) : "-");
    }
}

static void put_titles(const struct face *face, const struct columns *columns) {
    const struct fxc_by_info *by = &fxc_by_infos[face->options->by];
    fxc_put_cell(face->out, by->title, columns->name, false);
    if (columns->class_name > 0) {
        fxc_put(face->out, " ");
        fxc_put_cell(face->out, by->second == NULL ? "" : by->second, columns->class_name, false);
    }
    if (columns->calls) {
        fxc_put(face->out, " ");
        fxc_put_cell(face->out, "calls", 6, true);
    }
    if (columns->params) {
        put_number_cell(face, "params");
    }
    if (columns->macs) {
        put_number_cell(face, "MACs");
    }
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
        if (columns->phase[phase]) {
            put_number_cell(face, fxc_phase_title(phase));
        }
    }
    put_number_cell(face, "FLOPs");
    if (columns->tool) {
        put_number_cell(face, face->tool->name);
    }
    fxc_put(face->out, " ");
    fxc_put_cell(face->out, "share", 7, true);
    if (columns->bytes) {
        put_number_cell(face, "read B");
        put_number_cell(face, "written B");
    }
    if (saves(face)) {
        put_number_cell(face, "saved B");
    }
    if (columns->live) {
        put_live_titles(face);
    }
    if (columns->seconds) {
        put_number_cell(face, columns->measured ? "predicted" : "time");
    }
    if (columns->measured) {
        put_number_cell(face, "measured");
    }
    if (columns->ratio) {
        put_number_cell(face, "pred/meas");
    }
    fxc_put(face->out, "\n");
}

static void put_row(const struct face *face, const struct columns *columns, const struct fxc_row *row) {
    const fxc_counts *c = &row->sum.counts;
    char text[FXC_NUMBER_SIZE], label[512];
    if (face->options->format == FXC_FORMAT_TREE) {
        fxc_put_cell(face->out, row_label(face, row, label, sizeof label), columns->name, false);
    } else {
        fxc_put_path(face->out, row_label(face, row, label, sizeof label), columns->name);
    }
    if (columns->class_name > 0) {
        fxc_put(face->out, " ");
        fxc_put_cell(face->out, short_class(face, row), columns->class_name, false);
    }
    if (columns->calls) {
        fxc_putf(face->out, " %6" PRId64, row->calls);
    }
    if (columns->params) {
        put_number_cell(face, number(face, row->params, text));
    }
    if (columns->macs) {
        put_number_cell(face, number(face, c->macs, text));
    }
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
        if (columns->phase[phase]) {
            put_number_cell(face, number(face, row->sum.phase_flops[phase], text));
        }
    }
    put_number_cell(face, fxc_flops_text(row, face->options->raw, text));
    if (columns->tool) {
        put_number_cell(face, number(face, row->sum.tool, text));
    }
    fxc_put(face->out, " ");
    fxc_put_cell(face->out, fxc_percent((double)fxc_flops_of(c), (double)face->totals->flops, text), 7, true);
    if (columns->bytes) {
        put_number_cell(face, number(face, c->bytes_read, text));
        put_number_cell(face, number(face, c->bytes_written, text));
    }
    if (saves(face)) {
        put_number_cell(face, number(face, row->sum.saved_bytes, text));
    }
    if (columns->live) {
        put_live(face, row);
    }
    if (columns->seconds) {
        put_number_cell(face, fxc_human_seconds(row->sum.seconds, face->options->raw, text));
    }
    if (columns->measured) {
        put_number_cell(face, fxc_human_seconds(row->sum.measured, face->options->raw, text));
    }
    if (columns->ratio) {
        bool told = row->sum.measured > 0 && !isnan(row->sum.seconds);
        (void)snprintf(text, sizeof text, told ? "%.3g" : "-", row->sum.seconds / row->sum.measured);
        put_number_cell(face, text);
    }
    fxc_put(face->out, "\n");
}

static void put_rows(const struct face *face, const struct fxc_rows *rows) {
    struct columns columns = layout(face, rows);
    bool folded = false;
    fxc_put(face->out, "\n");
    put_titles(face, &columns);
    for (uint32_t i = 0; i < rows->count; i++) {
        put_row(face, &columns, &rows->row[i]);
        folded |= rows->row[i].folded > 1;
    }
    if (folded) {
        fxc_put(face->out, "A row under \xC3\x97N is the sum over all N.\n");
    }
}

/* ---- the line to cite
 * ------------------------------------------------------------------------------------------------ */

static void put_cite(const struct face *face) {
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
    struct face face = {analysis, options, out, &analysis->report->totals, tool};
    face.tool = tool == NULL || tool->rows == 0 ? NULL : tool;
    put_head(&face);
    put_totals(&face);
    if (face.tool != NULL) {
        fxc_put_tool(analysis, face.tool, options->raw, out);
    }
    fxc_put_missing(analysis, out);
    put_rows(&face, rows);
    if (options->memory) {
        fxc_put_peak_tensors(analysis, options->raw, out);
    }
    put_cite(&face);
}
