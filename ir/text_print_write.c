/* Characters of the text form: a buffered writer, exact numbers, quoted strings. Nothing here depends on the locale. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/text_print.h"

void fxc_print_flush(struct fxc_text_printer *pr) {
    if (pr->used > 0 && !pr->failed && !pr->write(pr->context, pr->buffer, pr->used)) {
        pr->failed = true;
    }
    pr->used = 0;
}

void fxc_print_bytes(struct fxc_text_printer *pr, const char *bytes, size_t size) {
    while (size > 0) {
        if (pr->used == sizeof pr->buffer) {
            fxc_print_flush(pr);
        }
        size_t room = sizeof pr->buffer - pr->used;
        size_t step = size < room ? size : room;
        memcpy(pr->buffer + pr->used, bytes, step);
        pr->used += step;
        bytes += step;
        size -= step;
    }
}

void fxc_print_text(struct fxc_text_printer *pr, const char *text) {
    fxc_print_bytes(pr, text, strlen(text));
}

void fxc_print_int(struct fxc_text_printer *pr, int64_t value) {
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? ~(uint64_t)value + 1 : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    fxc_print_bytes(pr, digits + at, sizeof digits - at);
}

static double from_bits(int64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The fewest digits that give this number back. Returns their count; *exponent is that of the first digit. The point
 * that snprintf writes depends on the locale, so it is skipped, and reading back uses an integer mantissa. */
static size_t shortest_digits(double value, char digits[32], int *exponent) {
    size_t count = 0;
    for (int precision = 0; precision <= 16; precision++) {
        char scientific[64], again[64];
        (void)snprintf(scientific, sizeof scientific, "%.*e", precision, value);
        char *mark = strchr(scientific, 'e');
        *exponent = mark == NULL ? 0 : atoi(mark + 1);
        count = 0;
        for (const char *c = scientific; c != mark && *c != '\0'; c++) {
            if (*c >= '0' && *c <= '9') {
                digits[count++] = *c;
            }
        }
        (void)snprintf(again, sizeof again, "%.*se%d", (int)count, digits, *exponent - (int)count + 1);
        if (strtod(again, NULL) == value) {
            break;
        }
    }
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    return count;
}

static void print_digits(struct fxc_text_printer *pr, const char *digits, size_t count, int exponent) {
    static const char zeros[] = "000000000000000000000000";
    if (exponent >= -5 && exponent < 0) {
        fxc_print_text(pr, "0.");
        fxc_print_bytes(pr, zeros, (size_t)(-exponent - 1));
        fxc_print_bytes(pr, digits, count);
    } else if (exponent >= 0 && exponent < 17) {
        size_t whole = (size_t)exponent + 1, have = count < whole ? count : whole;
        fxc_print_bytes(pr, digits, have);
        fxc_print_bytes(pr, zeros, whole - have);
        fxc_print_text(pr, ".");
        fxc_print_bytes(pr, count > whole ? digits + whole : zeros, count > whole ? count - whole : 1);
    } else {
        fxc_print_bytes(pr, digits, 1);
        fxc_print_text(pr, ".");
        fxc_print_bytes(pr, count > 1 ? digits + 1 : zeros, count > 1 ? count - 1 : 1);
        fxc_print_text(pr, "e");
        fxc_print_int(pr, exponent);
    }
}

void fxc_print_float(struct fxc_text_printer *pr, int64_t bits) {
    double value = from_bits(bits);
    char text[40];
    if (isnan(value)) {
        /* Every NaN keeps its bits; the usual one is short. */
        (void)snprintf(text, sizeof text, "nan(0x%016" PRIx64 ")", (uint64_t)bits);
        fxc_print_text(pr, (uint64_t)bits == UINT64_C(0x7ff8000000000000) ? "nan" : text);
        return;
    }
    if (bits < 0) {
        fxc_print_text(pr, "-");
        value = -value;
    }
    if (isinf(value)) {
        fxc_print_text(pr, "inf");
        return;
    }
    int exponent;
    size_t count = shortest_digits(value, text, &exponent);
    print_digits(pr, text, count, exponent);
}

/* Controls, quotes and backslashes are escaped: C0, DEL and (two bytes in UTF-8) C1. */
static size_t escape(const char *text, char out[16]) {
    unsigned char c = (unsigned char)text[0];
    switch (c) {
    case '"':
    case '\\':
        out[0] = '\\';
        out[1] = (char)c;
        out[2] = '\0';
        return 1;
    case '\n':
        (void)strcpy(out, "\\n");
        return 1;
    case '\t':
        (void)strcpy(out, "\\t");
        return 1;
    default:
        break;
    }
    if (c < 0x20 || c == 0x7F) {
        (void)snprintf(out, 16, "\\x%02x", c);
        return 1;
    }
    if (c == 0xC2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xA0) {
        (void)snprintf(out, 16, "\\xc2\\x%02x", (unsigned char)text[1]);
        return 2;
    }
    return 0;
}

void fxc_print_quoted(struct fxc_text_printer *pr, const char *text, size_t size) {
    size_t begin = 0;
    char escaped[16];
    fxc_print_text(pr, "\"");
    for (size_t i = 0; i < size;) {
        size_t taken = escape(text + i, escaped);
        if (taken == 0) {
            i++;
            continue;
        }
        fxc_print_bytes(pr, text + begin, i - begin);
        fxc_print_text(pr, escaped);
        i += taken;
        begin = i;
    }
    fxc_print_bytes(pr, text + begin, size - begin);
    fxc_print_text(pr, "\"");
}

static bool print_reference(struct fxc_text_printer *pr, uint32_t string) {
    uint32_t number = pr->plan.strings.number[pr->plan.map.string[string]];
    if (number == FXC_NONE) {
        return false;
    }
    fxc_print_text(pr, "$");
    fxc_print_int(pr, number);
    return true;
}

void fxc_print_string(struct fxc_text_printer *pr, uint32_t string) {
    if (!print_reference(pr, string)) {
        const char *text = fxc_string(pr->program, string);
        fxc_print_quoted(pr, text, strlen(text));
    }
}

void fxc_print_name(struct fxc_text_printer *pr, uint32_t string) {
    const char *text = fxc_string(pr->program, string);
    size_t size = strlen(text);
    if (size < FXC_TEXT_INLINE_STRING && fxc_text_is_plain(text, size)) {
        fxc_print_bytes(pr, text, size);
    } else {
        fxc_print_string(pr, string);
    }
}

void fxc_print_flags(struct fxc_text_printer *pr, const struct fxc_text_enum *names, uint32_t flags, const char *first,
                     const char *separator) {
    const char *before = first;
    for (uint32_t bit = 0; bit < 32; bit++) {
        if ((flags >> bit & 1) == 0) {
            continue;
        }
        fxc_print_text(pr, before);
        before = separator;
        if (bit < names->count && names->text[bit] != NULL) {
            fxc_print_text(pr, names->text[bit]);
        } else {
            fxc_print_text(pr, "bit");
            fxc_print_int(pr, bit);
        }
    }
}
