/* The rows of the tree and table faces: which columns there is room for, and a line for each row. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "passes/convention/convention.h"
#include "passes/report/render_text.h"

struct columns {
    uint32_t name, class_name;
    bool params, calls, seconds, measured, ratio, tool;
    bool macs, bytes; /* a training step shows its parts instead */
    uint32_t metrics; /* of the user's own */
    bool self;        /* FLOPs without the modules below, in place of bytes moved */
    bool live;        /* bytes alive, in place of bytes moved */
    bool phase[FXC_PHASE_COUNT];
};

static bool by_module(const struct fxc_face *face) {
    return face->options->by == FXC_BY_MODULE;
}

static bool is_node(const struct fxc_face *face) {
    return face->options->by == FXC_BY_NODE;
}

/* Shapes need the room that bytes have otherwise. */
static bool by_shape(const struct fxc_face *face) {
    return face->options->by == FXC_BY_OP_SHAPE;
}

static const char *row_label(const struct fxc_face *face, const struct fxc_row *row, char *buffer, size_t size) {
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
static const char *short_class(const struct fxc_face *face, const struct fxc_row *row) {
    const char *dot = strrchr(row->class_name, '.');
    if (by_module(face) || face->options->by == FXC_BY_CALLER) {
        return dot == NULL ? row->class_name : dot + 1;
    }
    if (by_shape(face)) {
        return row->class_name;
    }
    return strncmp(row->class_name, "aten.", 5) == 0 ? row->class_name + 5 : row->class_name;
}

/* Widths: the fixed columns first, then the class up to 24, then the name with what is left. */
static struct columns layout(const struct fxc_face *face, const struct fxc_rows *rows) {
    bool timed = face->analysis->device != NULL, measured = fxc_is_measured(face->analysis);
    struct columns columns = {.name = 4,
                              .params = by_module(face) || face->options->by == FXC_BY_CLASS,
                              .self = face->options->own,
                              .calls = !by_module(face) || face->options->own,
                              .seconds = timed,
                              .measured = measured,
                              .ratio = timed && measured,
                              .tool = face->tool != NULL,
                              .macs = !fxc_face_is_step(face),
                              .metrics = face->analysis->metrics->count,
                              .bytes = !by_shape(face) && !fxc_face_is_step(face) && !(timed && measured) &&
                                       !face->options->memory && !face->options->own &&
                                       face->analysis->metrics->count < 2,
                              .live = face->options->memory};
    char buffer[512];
    uint32_t phases = 0;
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT && fxc_face_is_step(face); phase++) {
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
    phases += fxc_face_saves(face);
    phases += columns.live ? (is_node(face) ? 3u : 1u) : 0;
    uint32_t numbers = 1u + columns.macs + 2u * columns.bytes + phases + columns.params + columns.seconds +
                       columns.measured + columns.ratio + columns.tool + columns.metrics + columns.self;
    uint32_t fixed = 10 * numbers + 8 + (columns.calls ? 7 : 0);
    uint32_t left = FXC_TEXT_WIDTH - fixed - 1;
    columns.class_name = min_u32(columns.class_name, by_shape(face) ? 42 : is_node(face) ? 24 : 22);
    if (columns.class_name + columns.name > left) {
        columns.class_name =
            columns.class_name < left / 2 ? columns.class_name : left - min_u32(columns.name, left / 2);
        columns.name = left - columns.class_name;
    }
    return columns;
}

static uint32_t number_width(const struct fxc_face *face) {
    return face->options->raw ? 20 : 9;
}

static void put_number_cell(const struct fxc_face *face, const char *text) {
    fxc_put(face->out, " ");
    fxc_put_cell(face->out, text, number_width(face), true);
}

/* Bytes alive before a node, at most while it runs, and after it; of any other row only the most. */
static void put_live_titles(const struct fxc_face *face) {
    if (is_node(face)) {
        put_number_cell(face, "before B");
    }
    put_number_cell(face, "peak B");
    if (is_node(face)) {
        put_number_cell(face, "after B");
    }
}

static void put_live(const struct fxc_face *face, const struct fxc_row *row) {
    char text[FXC_NUMBER_SIZE];
    bool ran = row->sum.peak_bytes > 0;
    if (is_node(face)) {
        put_number_cell(face, ran ? fxc_face_number(face, row->live_before, text) : "-");
    }
    put_number_cell(face, ran ? fxc_face_number(face, row->sum.peak_bytes, text) : "-");
    if (is_node(face)) {
        put_number_cell(face, ran ? fxc_face_number(face, row->live_after, text) : "-");
    }
}

static void put_titles(const struct fxc_face *face, const struct columns *columns) {
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
    if (columns->self) {
        put_number_cell(face, "self");
    }
    if (columns->tool) {
        put_number_cell(face, face->tool->name);
    }
    fxc_put(face->out, " ");
    fxc_put_cell(face->out, "share", 7, true);
    for (uint32_t i = 0; i < columns->metrics; i++) {
        put_number_cell(face, fxc_metric_name(face->analysis, i));
    }
    if (columns->bytes) {
        put_number_cell(face, "read B");
        put_number_cell(face, "written B");
    }
    if (fxc_face_saves(face)) {
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

static void put_row(const struct fxc_face *face, const struct columns *columns, const struct fxc_row *row) {
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
        put_number_cell(face, fxc_face_number(face, row->params, text));
    }
    if (columns->macs) {
        put_number_cell(face, fxc_face_number(face, c->macs, text));
    }
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
        if (columns->phase[phase]) {
            put_number_cell(face, fxc_face_number(face, row->sum.phase_flops[phase], text));
        }
    }
    put_number_cell(face, fxc_flops_text(row, face->options->raw, text));
    if (columns->self) {
        put_number_cell(face, fxc_face_number(face, row->self_flops, text));
    }
    if (columns->tool) {
        put_number_cell(face, fxc_face_number(face, row->sum.tool, text));
    }
    fxc_put(face->out, " ");
    fxc_put_cell(face->out, fxc_percent((double)fxc_flops_of(c), (double)face->totals->flops, text), 7, true);
    for (uint32_t i = 0; i < columns->metrics; i++) {
        put_number_cell(face, fxc_metric_text(&row->sum.metric[i], face->options->raw, text));
    }
    if (columns->bytes) {
        put_number_cell(face, fxc_face_number(face, c->bytes_read, text));
        put_number_cell(face, fxc_face_number(face, c->bytes_written, text));
    }
    if (fxc_face_saves(face)) {
        put_number_cell(face, fxc_face_number(face, row->sum.saved_bytes, text));
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

void fxc_face_put_rows(const struct fxc_face *face, const struct fxc_rows *rows) {
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
