/* Figures of devices by name, with their sources; and a device as a device file. */
#include <stdio.h>
#include <string.h>

#include "ir/error.h"
#include "passes/device/constants.h"
#include "passes/device/device.h"

const struct fxc_figure_row fxc_figure_rows[] = {
#define FIGURE(name, member, unit, text) {#name, offsetof(fxc_device, member), unit, text},
#include "passes/device/figures.def"
};
const uint32_t fxc_figure_row_count = sizeof fxc_figure_rows / sizeof fxc_figure_rows[0];

static const struct {
    const char *device, *figures;
    uint8_t mark;
    const char *source;
} notes[] = {
#define NOTE(device, figures, mark, source) {device, figures, FXC_FIGURE_##mark, source},
#include "passes/device/notes.def"
};

const char *fxc_figure_mark_text(uint8_t mark) {
    static const char *const texts[] = {
#define X(name, text) text,
        FXC_FIGURE_MARK_LIST(X)
#undef X
    };
    return mark < FXC_FIGURE_MARK_COUNT ? texts[mark] : "?";
}

double *fxc_figure_of(fxc_device *device, uint32_t index) {
    return (double *)((char *)device + fxc_figure_rows[index].offset);
}

static void find_source(const fxc_device *device, fxc_figure *figure) {
    bool built_in = fxc_device_find(device->name) == device;
    figure->mark = built_in ? FXC_FIGURE_DATASHEET : FXC_FIGURE_GIVEN;
    figure->source = device->source;
    for (size_t i = 0; built_in && i < sizeof notes / sizeof notes[0]; i++) {
        if (strcmp(notes[i].device, device->name) == 0 &&
            strncmp(notes[i].figures, figure->name, strlen(notes[i].figures)) == 0) {
            figure->mark = notes[i].mark;
            figure->source = notes[i].source;
        }
    }
}

fxc_status fxc_device_figure(const fxc_device *device, uint32_t index, fxc_figure *out, fxc_error *err) {
    if (index >= fxc_figure_row_count || out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_device_figure: figure %u of %u", index, fxc_figure_row_count);
    }
    const struct fxc_figure_row *row = &fxc_figure_rows[index];
    double value = *(const double *)((const char *)device + row->offset);
    *out = (fxc_figure){.struct_size = out->struct_size,
                        .name = row->name,
                        .unit = row->unit,
                        .text = row->text,
                        .value = value,
                        .mark = FXC_FIGURE_UNKNOWN};
    if (value > 0) {
        find_source(device, out);
    }
    return FXC_OK;
}

/* ---- a device file ------------------------------------------------------------------------------------------------
 */

struct text_out {
    fxc_write_fn write;
    void *context;
    bool failed;
};

static void put(struct text_out *out, const char *text) {
    out->failed = out->failed || !out->write(out->context, text, strlen(text));
}

static void put_text(struct text_out *out, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0') {
        put(out, name);
        put(out, " = ");
        put(out, value);
        put(out, "\n");
    }
}

static void put_figure(struct text_out *out, const fxc_figure *figure) {
    char line[120];
    if (figure->mark == FXC_FIGURE_UNKNOWN) {
        (void)snprintf(line, sizeof line, "# %-23s unknown        # %s", figure->name, figure->unit);
    } else {
        (void)snprintf(line, sizeof line, "%-25s = %-12.10g # %s", figure->name, figure->value, figure->unit);
    }
    put(out, line);
    put(out, figure->unit[0] == '\0' ? "" : ", ");
    put(out, figure->text);
    if (figure->mark != FXC_FIGURE_UNKNOWN) {
        put(out, "; ");
        put(out, fxc_figure_mark_text(figure->mark));
        put(out, figure->mark == FXC_FIGURE_DATASHEET ? "" : ": ");
        put(out, figure->mark == FXC_FIGURE_DATASHEET ? "" : figure->source);
    }
    put(out, "\n");
}

static void put_line(void *context, const char *line) {
    put(context, line);
}

fxc_status fxc_device_print(const fxc_device *device, fxc_write_fn write, void *context, fxc_error *err) {
    struct text_out out = {write, context, false};
    put(&out, "# A device of fxcost. Leave out what is not known: unknown is not zero.\n");
    put_text(&out, "device", device->name);
    put_text(&out, "description", device->description);
    put_text(&out, "source", device->source);
    put_text(&out, "model", device->model);
    put_text(&out, "architecture", device->architecture);
    for (uint32_t i = 0; i < fxc_figure_row_count; i++) {
        fxc_figure figure = {.struct_size = sizeof figure};
        (void)fxc_device_figure(device, i, &figure, NULL);
        put_figure(&out, &figure);
    }
    if (device->cpu != NULL) {
        put(&out, "# Constants of the cpu timing model: seconds for each unit of a feature, by class of work.\n");
        fxc_cpu_constants_print(device->cpu, put_line, &out);
    }
    return out.failed ? fxc_fail(err, FXC_IO, "writing a device") : FXC_OK;
}
