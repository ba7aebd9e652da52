#include "ir/text_lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* What stands at a place, cut and made printable. */
static void describe(const struct fxc_lex *lx, const char *at, char out[40]) {
    size_t used = 0;
    if (at >= lx->end) {
        (void)snprintf(out, 40, "the end of the text");
        return;
    }
    if (*at == '\n') {
        (void)snprintf(out, 40, "the end of the line");
        return;
    }
    out[used++] = '\'';
    for (; at < lx->end && *at != '\n' && used < 28; at++) {
        out[used++] = *at >= ' ' && *at <= '~' ? *at : '?';
    }
    (void)snprintf(out + used, 40 - used, "%s", at < lx->end && *at != '\n' ? "'..." : "'");
}

static void locate(const struct fxc_lex *lx, const char *at, unsigned long *line, unsigned long *column) {
    const char *begin = lx->start;
    *line = 1;
    for (const char *c = lx->start; c < at; c++) {
        if (*c == '\n') {
            (*line)++;
            begin = c + 1;
        }
    }
    *column = (unsigned long)(at - begin) + 1;
}

static void fail(struct fxc_lex *lx, const char *at, const char *advice, const char *expected, va_list arguments) {
    unsigned long line, column;
    char found[40], text[200];
    if (lx->status != FXC_OK) {
        return;
    }
    while (at < lx->end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    locate(lx, at, &line, &column);
    describe(lx, at, found);
    (void)vsnprintf(text, sizeof text, expected, arguments);
    lx->status = fxc_fail(lx->err, FXC_FORMAT, "%s:%lu:%lu", lx->file, line, column);
    fxc_expected(lx->err, "%s", text);
    fxc_found(lx->err, "%s", found);
    fxc_advice(lx->err, "%s", advice);
}

bool fxc_lex_fail(struct fxc_lex *lx, const char *advice, const char *expected, ...) {
    va_list arguments;
    va_start(arguments, expected);
    fail(lx, lx->at, advice, expected, arguments);
    va_end(arguments);
    return false;
}

bool fxc_lex_fail_at(struct fxc_lex *lx, const char *at, const char *advice, const char *expected, ...) {
    va_list arguments;
    va_start(arguments, expected);
    fail(lx, at, advice, expected, arguments);
    va_end(arguments);
    return false;
}

bool fxc_lex_fail_memory(struct fxc_lex *lx) {
    if (lx->status == FXC_OK) {
        lx->status = fxc_fail_memory(lx->err, lx->file);
    }
    return false;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void skip_spaces(struct fxc_lex *lx) {
    while (lx->at < lx->end && (*lx->at == ' ' || *lx->at == '\t' || *lx->at == '\r')) {
        lx->at++;
    }
}

void fxc_lex_skip_line(struct fxc_lex *lx) {
    const char *newline = memchr(lx->at, '\n', (size_t)(lx->end - lx->at));
    lx->at = newline == NULL ? lx->end : newline;
}

bool fxc_lex_next_line(struct fxc_lex *lx) {
    for (;;) {
        skip_spaces(lx);
        if (lx->at == lx->end) {
            return false;
        }
        if (*lx->at == '#') {
            fxc_lex_skip_line(lx);
        } else if (*lx->at == '\n') {
            lx->at++;
        } else {
            return true;
        }
    }
}

char fxc_lex_peek(struct fxc_lex *lx) {
    skip_spaces(lx);
    return lx->at == lx->end ? '\n' : *lx->at;
}

bool fxc_lex_at_end_of_line(struct fxc_lex *lx) {
    return fxc_lex_peek(lx) == '\n';
}

bool fxc_lex_end_line(struct fxc_lex *lx) {
    return fxc_lex_at_end_of_line(lx) || fxc_lex_fail(lx, "", "the end of the line");
}

/* ---- characters and words ---------------------------------------------------------------------------------------- */

bool fxc_lex_accept(struct fxc_lex *lx, char c) {
    if (fxc_lex_peek(lx) != c) {
        return false;
    }
    lx->at++;
    return true;
}

bool fxc_lex_expect(struct fxc_lex *lx, char c) {
    return fxc_lex_accept(lx, c) || fxc_lex_fail(lx, "", "'%c'", c);
}

bool fxc_lex_accept_here(struct fxc_lex *lx, char c) {
    if (lx->at == lx->end || *lx->at != c) {
        return false;
    }
    lx->at++;
    return true;
}

struct fxc_span fxc_lex_word(struct fxc_lex *lx) {
    skip_spaces(lx);
    struct fxc_span word = {lx->at, 0};
    while (lx->at < lx->end && fxc_text_is_plain_char(*lx->at, lx->at == word.text)) {
        lx->at++;
    }
    word.size = (size_t)(lx->at - word.text);
    return word;
}

bool fxc_lex_is(struct fxc_span word, const char *text) {
    return strncmp(word.text, text, word.size) == 0 && text[word.size] == '\0';
}

bool fxc_lex_expect_word(struct fxc_lex *lx, const char *word) {
    const char *at = lx->at;
    return fxc_lex_is(fxc_lex_word(lx), word) || fxc_lex_fail_at(lx, at, "", "'%s'", word);
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character after a backslash; the cursor stands on it. */
static bool unescape(struct fxc_lex *lx, char *out) {
    char c = lx->at < lx->end ? *lx->at : '\n';
    switch (c) {
    case '"':
    case '\\':
        *out = c;
        break;
    case 'n':
        *out = '\n';
        break;
    case 't':
        *out = '\t';
        break;
    case 'x': {
        int high = lx->end - lx->at > 2 ? hex_digit(lx->at[1]) : -1;
        int low = high < 0 ? -1 : hex_digit(lx->at[2]);
        if (low < 0 || high + low == 0) {
            return fxc_lex_fail(lx, "", "two hexadecimal digits, not both 0, after \\x");
        }
        *out = (char)(high * 16 + low);
        lx->at += 2;
        break;
    }
    default:
        return fxc_lex_fail(lx, "", "one of \\\" \\\\ \\n \\t \\xNN");
    }
    lx->at++;
    return true;
}

static bool reserve_scratch(struct fxc_lex *lx, size_t size) {
    if (size <= lx->scratch_size) {
        return true;
    }
    char *scratch = realloc(lx->scratch, size);
    if (scratch == NULL) {
        return fxc_lex_fail_memory(lx);
    }
    lx->scratch = scratch;
    lx->scratch_size = size;
    return true;
}

/* Length of the well-formed UTF-8 sequence at the start of these bytes, 0 when there is none. */
static size_t utf8_length(const uint8_t *s, size_t size) {
    /* Smallest code point of each length: overlong forms are refused. */
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s[0] < 0x80) {
        return 1;
    }
    size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC0 || s[0] > 0xF4 || length > size) {
        return 0;
    }
    uint32_t code = s[0] & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
        code = code << 6 | (s[i] & 0x3Fu);
    }
    bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    return code < smallest[length] || code > 0x10FFFF || surrogate ? 0 : length;
}

static bool is_utf8(const char *text, size_t size) {
    for (size_t i = 0; i < size;) {
        size_t length = utf8_length((const uint8_t *)text + i, size - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

/* The closing quote's distance is not known, but an unescaped string is never longer than its line. */
bool fxc_lex_string(struct fxc_lex *lx, struct fxc_span *out) {
    size_t used = 0, wanted = 256;
    const char *begin = lx->at;
    if (!fxc_lex_accept(lx, '"')) {
        return fxc_lex_fail(lx, "", "a string in double quotes");
    }
    while (lx->at < lx->end && *lx->at != '"') {
        if (used + 1 > wanted) {
            wanted *= 2;
        }
        if (!reserve_scratch(lx, wanted)) {
            return false;
        }
        if (*lx->at == '\n' || *lx->at == '\0') {
            return fxc_lex_fail(lx, "a string ends in its own line; write \\n for a line break", "'\"'");
        }
        if (*lx->at != '\\') {
            lx->scratch[used++] = *lx->at++;
            continue;
        }
        lx->at++;
        if (!unescape(lx, &lx->scratch[used++])) {
            return false;
        }
    }
    if (lx->at == lx->end) {
        return fxc_lex_fail(lx, "", "'\"'");
    }
    lx->at++;
    if (!is_utf8(lx->scratch, used)) {
        return fxc_lex_fail_at(lx, begin, "", "a string in UTF-8");
    }
    *out = (struct fxc_span){used == 0 ? "" : lx->scratch, used};
    return true;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static bool is_digit(const struct fxc_lex *lx) {
    return lx->at < lx->end && *lx->at >= '0' && *lx->at <= '9';
}

bool fxc_lex_int(struct fxc_lex *lx, int64_t *out) {
    skip_spaces(lx);
    const char *begin = lx->at;
    bool negative = fxc_lex_accept_here(lx, '-');
    int64_t value = 0;
    if (!is_digit(lx)) {
        return fxc_lex_fail_at(lx, begin, "", "an integer");
    }
    for (; is_digit(lx); lx->at++) {
        int digit = *lx->at - '0';
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(negative ? -digit : digit), &value)) {
            return fxc_lex_fail_at(lx, begin, "", "an integer that fits in 64 bits");
        }
    }
    *out = value;
    return true;
}

bool fxc_lex_any_uint32(struct fxc_lex *lx, uint32_t *out) {
    const char *begin = lx->at;
    int64_t value = 0;
    if (!fxc_lex_int(lx, &value)) {
        return false;
    }
    if (value < 0 || value > UINT32_MAX) {
        return fxc_lex_fail_at(lx, begin, "", "a number from 0 to %u", UINT32_MAX);
    }
    *out = (uint32_t)value;
    return true;
}

bool fxc_lex_uint32(struct fxc_lex *lx, uint32_t *out) {
    const char *begin = lx->at;
    if (!fxc_lex_any_uint32(lx, out)) {
        return false;
    }
    return *out != FXC_NONE || fxc_lex_fail_at(lx, begin, "", "a row's number, below %u", FXC_NONE);
}

enum { MAX_DIGITS = 64, MAX_EXPONENT = 100000 };

/* Digits of a decimal without its point, and the power of ten of the last one. */
struct decimal {
    char digits[MAX_DIGITS + 1];
    int count, exponent;
};

static bool take_digits(struct fxc_lex *lx, struct decimal *d, bool fraction) {
    if (!is_digit(lx)) {
        return fxc_lex_fail(lx, "", "a digit");
    }
    for (; is_digit(lx); lx->at++) {
        if (d->count == MAX_DIGITS) {
            return fxc_lex_fail(lx, "17 digits say any double exactly", "at most %d digits", MAX_DIGITS);
        }
        d->digits[d->count++] = *lx->at;
        d->exponent -= fraction;
    }
    return true;
}

static bool take_exponent(struct fxc_lex *lx, struct decimal *d) {
    bool negative = fxc_lex_accept_here(lx, '-');
    int exponent = 0;
    if (!negative) {
        (void)fxc_lex_accept_here(lx, '+');
    }
    if (!is_digit(lx)) {
        return fxc_lex_fail(lx, "", "the digits of an exponent");
    }
    for (; is_digit(lx); lx->at++) {
        exponent = exponent * 10 + (*lx->at - '0');
        if (exponent > MAX_EXPONENT) {
            return fxc_lex_fail(lx, "", "an exponent of a double");
        }
    }
    d->exponent += negative ? -exponent : exponent;
    return true;
}

/* strtod reads an integer mantissa in every locale alike, and rounds correctly. */
static bool to_double(struct fxc_lex *lx, const char *begin, const struct decimal *d, bool negative, int64_t *bits) {
    char text[MAX_DIGITS + 16];
    (void)snprintf(text, sizeof text, "%.*se%d", d->count, d->digits, d->exponent);
    double value = strtod(text, NULL);
    if (value > 1.7976931348623157e308) {
        return fxc_lex_fail_at(lx, begin, "write inf for infinity", "a number in the range of a double");
    }
    value = negative ? -value : value;
    memcpy(bits, &value, sizeof value);
    return true;
}

bool fxc_lex_number(struct fxc_lex *lx, int64_t *out, bool *is_float) {
    skip_spaces(lx);
    const char *begin = lx->at;
    struct decimal d = {.count = 0};
    bool negative = fxc_lex_accept_here(lx, '-');
    const char *c = lx->at;
    while (c < lx->end && *c >= '0' && *c <= '9') {
        c++;
    }
    *is_float = c < lx->end && (*c == '.' || *c == 'e');
    if (!*is_float) {
        lx->at = begin;
        return fxc_lex_int(lx, out);
    }
    if (!take_digits(lx, &d, false)) {
        return false;
    }
    if (fxc_lex_accept_here(lx, '.') && !take_digits(lx, &d, true)) {
        return false;
    }
    if (fxc_lex_accept_here(lx, 'e') && !take_exponent(lx, &d)) {
        return false;
    }
    return to_double(lx, begin, &d, negative, out);
}

static int64_t float_bits(uint64_t magnitude, bool negative) {
    return (int64_t)(magnitude | (negative ? UINT64_C(1) << 63 : 0));
}

bool fxc_lex_special_float(struct fxc_lex *lx, struct fxc_span word, bool negative, int64_t *bits) {
    const char *begin = word.text;
    uint64_t value = 0;
    if (fxc_lex_is(word, "inf")) {
        *bits = float_bits(UINT64_C(0x7ff0000000000000), negative);
        return true;
    }
    if (!fxc_lex_is(word, "nan") || negative) {
        return fxc_lex_fail_at(lx, begin, "", "inf, -inf, nan or nan(0x...)");
    }
    if (!fxc_lex_accept_here(lx, '(')) {
        *bits = float_bits(UINT64_C(0x7ff8000000000000), false);
        return true;
    }
    if (lx->end - lx->at < 19 || memcmp(lx->at, "0x", 2) != 0 || lx->at[18] != ')') {
        return fxc_lex_fail(lx, "", "0x, sixteen hexadecimal digits and ')'");
    }
    for (int i = 2; i < 18; i++) {
        int digit = hex_digit(lx->at[i]);
        if (digit < 0) {
            return fxc_lex_fail(lx, "", "sixteen hexadecimal digits");
        }
        value = value << 4 | (uint64_t)digit;
    }
    if ((value & UINT64_C(0x7ff0000000000000)) != UINT64_C(0x7ff0000000000000) ||
        (value & UINT64_C(0x000fffffffffffff)) == 0) {
        return fxc_lex_fail(lx, "", "the bits of a NaN");
    }
    lx->at += 19;
    *bits = (int64_t)value;
    return true;
}
