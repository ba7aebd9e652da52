/* Text output of the renderers: a stream, aligned cells, numbers for people. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "passes/report/render.h"

void fxc_put_bytes(struct fxc_stream *stream, const void *bytes, size_t size) {
    if (!stream->failed && size > 0 && !stream->write(stream->context, bytes, size)) {
        stream->failed = true;
    }
}

void fxc_put(struct fxc_stream *stream, const char *text) {
    fxc_put_bytes(stream, text, strlen(text));
}

void fxc_putf(struct fxc_stream *stream, const char *format, ...) {
    char buffer[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (length > 0) {
        fxc_put_bytes(stream, buffer, (size_t)length < sizeof buffer ? (size_t)length : sizeof buffer - 1);
    }
}

static bool starts_code_point(char byte) {
    return ((unsigned char)byte & 0xC0) != 0x80;
}

uint32_t fxc_columns_of(const char *text) {
    uint32_t columns = 0;
    for (; *text != '\0'; text++) {
        columns += starts_code_point(*text);
    }
    return columns;
}

/* Bytes of the first `columns` code points. */
static size_t prefix(const char *text, uint32_t columns) {
    size_t i = 0;
    for (; text[i] != '\0'; i++) {
        if (starts_code_point(text[i]) && columns-- == 0) {
            break;
        }
    }
    return i;
}

void fxc_put_cell(struct fxc_stream *stream, const char *text, uint32_t width, bool right) {
    uint32_t columns = fxc_columns_of(text);
    if (columns > width && width > 0) {
        fxc_put_bytes(stream, text, prefix(text, width - 1));
        fxc_put(stream, "\xE2\x80\xA6"); /* … */
        return;
    }
    uint32_t space = width - columns;
    if (right) {
        fxc_putf(stream, "%*s", (int)space, "");
    }
    fxc_put(stream, text);
    if (!right) {
        fxc_putf(stream, "%*s", (int)space, "");
    }
}

void fxc_put_path(struct fxc_stream *stream, const char *text, uint32_t width) {
    uint32_t columns = fxc_columns_of(text);
    if (columns <= width || width == 0) {
        fxc_put_cell(stream, text, width, false);
        return;
    }
    fxc_put(stream, "\xE2\x80\xA6"); /* … */
    fxc_put(stream, text + prefix(text, columns - (width - 1)));
}

const char *fxc_human(int64_t number, bool raw, char buffer[FXC_NUMBER_SIZE]) {
    static const char units[] = " KMGTPE";
    double value = (double)number;
    size_t unit = 0;
    /* 999.5 and more would round to a fourth digit. */
    while (fabs(value) >= 999.5 && units[unit + 1] != '\0') {
        value /= 1000;
        unit++;
    }
    if (raw || unit == 0) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "%" PRId64, number);
    } else {
        int decimals = fabs(value) < 9.995 ? 2 : fabs(value) < 99.95 ? 1 : 0;
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "%.*f %c", decimals, value, units[unit]);
    }
    return buffer;
}

/* A number that leaves out what some nodes do. */
static const char *partly_known(int64_t number, int64_t unknown_nodes, bool raw, char buffer[FXC_NUMBER_SIZE]) {
    if (unknown_nodes > 0 && number == 0) {
        return "?";
    }
    (void)fxc_human(number, raw, buffer);
    if (unknown_nodes > 0) {
        size_t length = strlen(buffer);
        (void)snprintf(buffer + length, FXC_NUMBER_SIZE - length, "+?");
    }
    return buffer;
}

const char *fxc_flops_text(const struct fxc_row *row, bool raw, char buffer[FXC_NUMBER_SIZE]) {
    return partly_known(fxc_flops_of(&row->sum.counts), row->sum.unknown_nodes, raw, buffer);
}

const char *fxc_metric_text(const struct fxc_metric_sum *sum, bool raw, char buffer[FXC_NUMBER_SIZE]) {
    return sum->nodes + sum->unknown_nodes == 0 ? "-" : partly_known(sum->value, sum->unknown_nodes, raw, buffer);
}

const char *fxc_human_bytes(int64_t number, bool raw, char buffer[FXC_NUMBER_SIZE]) {
    (void)fxc_human(number, raw, buffer);
    size_t length = strlen(buffer);
    bool unit = length > 0 && (buffer[length - 1] < '0' || buffer[length - 1] > '9');
    (void)snprintf(buffer + length, FXC_NUMBER_SIZE - length, unit ? "B" : " B");
    return buffer;
}

const char *fxc_human_seconds(double seconds, bool raw, char buffer[FXC_NUMBER_SIZE]) {
    if (isnan(seconds)) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "-");
    } else if (raw) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "%.9g", seconds);
    } else if (seconds >= 1) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "%.3g s", seconds);
    } else if (seconds >= 1e-3) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "%.3g ms", seconds * 1e3);
    } else if (seconds >= 1e-6) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "%.3g us", seconds * 1e6);
    } else if (seconds == 0) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "0");
    } else {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, seconds >= 1e-9 ? "%.3g ns" : "<1 ns", seconds * 1e9);
    }
    return buffer;
}

const char *fxc_percent(double part, double whole, char buffer[FXC_NUMBER_SIZE]) {
    double share = whole > 0 ? 100 * part / whole : 0;
    if (share > 0 && share < 0.05) {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, "<0.1 %%");
    } else {
        (void)snprintf(buffer, FXC_NUMBER_SIZE, share == 0 || share > 99.95 ? "%.0f %%" : "%.1f %%", share);
    }
    return buffer;
}
