/* fxcost devices: the built-in devices as a table, as Markdown with sources, or one of them as a device file. */
#include <string.h>

#include "cli/cli.h"
#include "fxcost/device.h"

/* A figure by name; its value is FXC_NO_FIGURE when unknown. */
static fxc_figure figure_of(const fxc_device *device, const char *name) {
    fxc_figure figure = {.struct_size = sizeof figure};
    for (uint32_t i = 0; fxc_device_figure(device, i, &figure, NULL) == FXC_OK; i++) {
        if (strcmp(figure.name, name) == 0) {
            return figure;
        }
    }
    return (fxc_figure){.struct_size = sizeof figure, .value = FXC_NO_FIGURE};
}

/* Shown in these units; '~' before what is no figure of the maker's. */
static const struct column {
    const char *figure, *title;
    double unit;
    int width;
} columns[] = {
    {"matrix_f64", "FP64 TF", 1e12, 8},
    {"matrix_f32", "FP32 TF", 1e12, 8},
    {"matrix_tf32", "TF32 TF", 1e12, 8},
    {"matrix_f16", "FP16 TF", 1e12, 8},
    {"matrix_bf16", "BF16 TF", 1e12, 8},
    {"matrix_f8", "FP8 TF", 1e12, 8},
    {"matrix_f4", "FP4 TF", 1e12, 8},
    {"matrix_i8", "INT8 TOP", 1e12, 9},
    {"memory_bytes", "GB", 1e9, 6},
    {"memory_bytes_per_second", "GB/s", 1e9, 7},
    {"cache_2_bytes", "L2 MB", 1024 * 1024, 6},
    {"units", "units", 1, 6},
    {"clock_hz", "MHz", 1e6, 6},
    {"link_bytes_per_second", "link GB/s", 1e9, 10},
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

static const char *cell(const fxc_device *device, const struct column *column, char *buffer, size_t size) {
    fxc_figure figure = figure_of(device, column->figure);
    bool own = figure.mark == FXC_FIGURE_DATASHEET;
    (void)snprintf(buffer, size,
                   figure.value == FXC_NO_FIGURE ? "-"
                   : own                         ? "%.4g"
                                                 : "~%.4g",
                   figure.value / column->unit);
    return buffer;
}

static const fxc_device *device_at(uint32_t index) {
    fxc_device_info info = {.struct_size = sizeof info};
    return fxc_device_get(index, &info, NULL) == FXC_OK ? fxc_device_find(info.name) : NULL;
}

static void put_table(void) {
    char text[32];
    (void)printf("%-16s", "device");
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        (void)printf(" %*s", columns[c].width, columns[c].title);
    }
    (void)puts("");
    for (uint32_t i = 0; device_at(i) != NULL; i++) {
        (void)printf("%-16s", device_at(i)->name);
        for (size_t c = 0; c < COLUMN_COUNT; c++) {
            (void)printf(" %*s", columns[c].width, cell(device_at(i), &columns[c], text, sizeof text));
        }
        (void)puts("");
    }
    (void)puts("\nDense peaks. '-': not known; '~': not a figure of the maker's. fxcost devices NAME has every figure "
               "with its "
               "source.");
}

/* The sources of a device: of its row, and of the figures that come from elsewhere. */
static void put_sources(const fxc_device *device) {
    fxc_figure figure = {.struct_size = sizeof figure};
    (void)printf("- `%s`, %s: %s", device->name, device->description, device->source);
    for (uint32_t i = 0; fxc_device_figure(device, i, &figure, NULL) == FXC_OK; i++) {
        if (figure.mark != FXC_FIGURE_UNKNOWN && figure.mark != FXC_FIGURE_DATASHEET) {
            (void)printf("; %s %s: %s", figure.name, fxc_figure_mark_text(figure.mark), figure.source);
        }
    }
    (void)puts("");
}

static void put_markdown_table(void) {
    char text[32];
    (void)printf("| device");
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        (void)printf(" | %s", columns[c].title);
    }
    (void)printf(" |\n|---");
    for (size_t c = 0; c < COLUMN_COUNT; c++) {
        (void)printf("|--:");
    }
    (void)puts("|");
    for (uint32_t i = 0; device_at(i) != NULL; i++) {
        (void)printf("| `%s`", device_at(i)->name);
        for (size_t c = 0; c < COLUMN_COUNT; c++) {
            (void)printf(" | %s", cell(device_at(i), &columns[c], text, sizeof text));
        }
        (void)puts(" |");
    }
    (void)puts("\n## Sources\n");
    for (uint32_t i = 0; device_at(i) != NULL; i++) {
        put_sources(device_at(i));
    }
}

static fxc_status print_one(const struct cli_options *options, fxc_error *err) {
    const fxc_device *device = fxc_device_find(options->operand);
    struct cli_output output;
    if (device == NULL) {
        char message[200];
        (void)snprintf(message, sizeof message,
                       "fxcost devices\n  expected: a name that this lists: fxcost devices\n  found: '%.80s'",
                       options->operand);
        return cli_fail(err, FXC_DEVICE, message);
    }
    fxc_status status = cli_output_open(&output, options->output, err);
    if (status == FXC_OK) {
        status = fxc_device_print(device, cli_write, &output, err);
        status = cli_output_close(&output, status, err);
    }
    return status;
}

fxc_status cli_devices(struct cli_options *options, fxc_error *err) {
    fxc_status status = cli_check_list_format(options, err);
    if (status != FXC_OK || options->operand != NULL) {
        return status == FXC_OK ? print_one(options, err) : status;
    }
    if (cli_wants_markdown(options)) {
        put_markdown_table();
    } else {
        put_table();
    }
    return FXC_OK;
}
