/* Expressions of formulas in text, over the sizes of a call, in checked 64-bit integers:
 *
 *   sum      product (('+' | '-') product)*
 *   product  unary (('*' | '/' | '%') unary)*        / and % round down
 *   unary    '-' unary | power
 *   power    primary ('^' unary)?
 *   primary  NUMBER | '(' sum ')' | FUNCTION '(' sum (',' sum)* ')' | TENSOR '[' sum ']' | NAME
 *
 * FUNCTION is min, max, ceildiv, numel(TENSOR) or rank(TENSOR). TENSOR is an argument, or out, out0, out1 for results.
 * NAME is an integer argument; in a formula of a metric also a count of the node, "macs" or "bytes_read" (the table
 * below). Evaluated as it is read; without a call only its form is checked. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/arith.h"
#include "ir/error.h"
#include "passes/custom/custom.h"

enum { MAX_DEPTH = 64, NAME_SIZE = 96 };

struct reader {
    const char *text, *at;
    const fxc_op_call *call; /* NULL: check the form alone */
    fxc_error *err;
    int depth;
};

/* Counts that formulas of metrics can read, and no formula sets. */
static const struct {
    const char *name;
    size_t field;
} moved[] = {
    {"bytes_read", offsetof(fxc_counts, bytes_read)},
    {"bytes_written", offsetof(fxc_counts, bytes_written)},
    {"kernels", offsetof(fxc_counts, kernels)},
};

static fxc_status sum(struct reader *r, int64_t *out);

static void skip_spaces(struct reader *r) {
    while (isspace((unsigned char)*r->at)) {
        r->at++;
    }
}

static bool accept(struct reader *r, char symbol) {
    skip_spaces(r);
    if (*r->at != symbol) {
        return false;
    }
    r->at++;
    return true;
}

static fxc_status wrong(struct reader *r, const char *expected) {
    fxc_status status = fxc_fail(r->err, FXC_USAGE, "the formula '%.200s'", r->text);
    fxc_expected(r->err, "%s", expected);
    fxc_found(r->err, "'%.40s' at character %zu", r->at, (size_t)(r->at - r->text) + 1);
    return status;
}

static fxc_status overflow(struct reader *r) {
    fxc_status status = fxc_fail(r->err, FXC_OVERFLOW, "the formula '%.200s'", r->text);
    fxc_expected(r->err, "numbers that fit in 64 bits");
    return status;
}

static fxc_status expect(struct reader *r, char symbol) {
    char expected[] = "'x'";
    expected[1] = symbol;
    return accept(r, symbol) ? FXC_OK : wrong(r, expected);
}

/* ---- names ---------------------------------------------------------------------------------------------------------
 */

static bool is_name_start(char c) {
    return isalpha((unsigned char)c) || c == '_';
}

/* A name, which may go on with ".3" for an item of a list. */
static fxc_status name(struct reader *r, char buffer[NAME_SIZE]) {
    skip_spaces(r);
    size_t length = 0;
    while (is_name_start(r->at[length]) || (length > 0 && isdigit((unsigned char)r->at[length])) ||
           (length > 0 && r->at[length] == '.' && isdigit((unsigned char)r->at[length + 1]))) {
        length++;
    }
    if (length == 0 || length >= NAME_SIZE) {
        return wrong(r, "a name");
    }
    memcpy(buffer, r->at, length);
    buffer[length] = '\0';
    r->at += length;
    return FXC_OK;
}

/* A result ("out", "out1") or an argument; FXC_UNKNOWN_OPS when the call has no such tensor with known sizes. */
static fxc_status tensor(struct reader *r, const char *name, fxc_tensor_info *info) {
    *info = (fxc_tensor_info){.struct_size = sizeof *info};
    const char *digits = name + 3;
    bool result = strncmp(name, "out", 3) == 0 && digits[strspn(digits, "0123456789")] == '\0';
    bool found = result ? fxc_op_call_result(r->call, (uint32_t)strtoul(digits, NULL, 10), info)
                        : fxc_op_call_tensor(r->call, name, info);
    return found ? FXC_OK : FXC_UNKNOWN_OPS;
}

static fxc_status size_of(struct reader *r, const char *name, int64_t dim, int64_t *out) {
    fxc_tensor_info info;
    *out = 1;
    if (r->call == NULL) {
        return FXC_OK;
    }
    FXC_TRY(tensor(r, name, &info));
    int64_t index = dim < 0 ? dim + info.rank : dim;
    if (index < 0 || index >= info.rank) {
        return FXC_UNKNOWN_OPS;
    }
    *out = info.size[index];
    return FXC_OK;
}

static fxc_status measure(struct reader *r, bool rank, int64_t *out) {
    char buffer[NAME_SIZE];
    fxc_tensor_info info;
    *out = 1;
    FXC_TRY(name(r, buffer));
    FXC_TRY(expect(r, ')'));
    if (r->call != NULL) {
        FXC_TRY(tensor(r, buffer, &info));
        *out = rank ? info.rank : info.numel;
    }
    return FXC_OK;
}

/* ---- arithmetic ----------------------------------------------------------------------------------------------------
 */

static fxc_status divide(struct reader *r, int64_t a, int64_t b, bool up, int64_t *quotient, int64_t *rest) {
    *quotient = *rest = 0;
    if (b == 0) {
        return r->call == NULL ? FXC_OK : FXC_UNKNOWN_OPS;
    }
    if (a == INT64_MIN && b == -1) {
        return overflow(r);
    }
    *quotient = a / b;
    *rest = a % b;
    if (*rest != 0 && ((*rest < 0) != (b < 0))) { /* towards minus infinity, as Python */
        *rest += b;
        *quotient -= 1;
    }
    if (up && *rest != 0) {
        *quotient += 1;
    }
    return FXC_OK;
}

static fxc_status raise_to(struct reader *r, int64_t base, int64_t exponent, int64_t *out) {
    *out = 1;
    if (exponent < 0) {
        return r->call == NULL ? FXC_OK : FXC_UNKNOWN_OPS;
    }
    if (base == 0 || base == 1 || base == -1) {
        *out = exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base;
        return FXC_OK;
    }
    for (; exponent > 0; exponent--) {
        if (fxc_mul(*out, base, out)) {
            return overflow(r);
        }
    }
    return FXC_OK;
}

static fxc_status call_function(struct reader *r, const char *function, int64_t *out) {
    int64_t other, rest;
    if (strcmp(function, "numel") == 0 || strcmp(function, "rank") == 0) {
        return measure(r, function[0] == 'r', out);
    }
    bool low = strcmp(function, "min") == 0, high = strcmp(function, "max") == 0;
    if (!low && !high && strcmp(function, "ceildiv") != 0) {
        return wrong(r, "min, max, ceildiv, numel or rank before '('");
    }
    FXC_TRY(sum(r, out));
    FXC_TRY(expect(r, ','));
    do {
        FXC_TRY(sum(r, &other));
        if (low || high) {
            *out = (other < *out) == low ? other : *out;
        } else {
            FXC_TRY(divide(r, *out, other, true, out, &rest));
        }
    } while (accept(r, ','));
    return expect(r, ')');
}

static fxc_status number(struct reader *r, int64_t *out) {
    char *end;
    errno = 0;
    long long value = strtoll(r->at, &end, 10);
    if (errno != 0) {
        return overflow(r);
    }
    r->at = end;
    *out = value;
    return FXC_OK;
}

/* A count of the node that a metric is about. */
static bool count_of(const fxc_op_call *call, const char *name, int64_t *out) {
    fxc_counts counts;
    size_t field = fxc_custom_field(name, strlen(name));
    if (!fxc_op_call_counts(call, &counts)) {
        return false;
    }
    if (strcmp(name, "flops") == 0) { /* all of them, where a formula of counts sets those of vectors */
        *out = counts.matrix_flops + counts.vector_flops;
        return true;
    }
    for (size_t i = 0; i < sizeof moved / sizeof moved[0] && field == SIZE_MAX; i++) {
        field = strcmp(moved[i].name, name) == 0 ? moved[i].field : SIZE_MAX;
    }
    if (field != SIZE_MAX) {
        memcpy(out, (const char *)&counts + field, sizeof *out);
    }
    return field != SIZE_MAX;
}

static fxc_status named(struct reader *r, int64_t *out) {
    char buffer[NAME_SIZE];
    int64_t dim;
    FXC_TRY(name(r, buffer));
    if (accept(r, '(')) {
        return call_function(r, buffer, out);
    }
    if (accept(r, '[')) {
        FXC_TRY(sum(r, &dim));
        FXC_TRY(expect(r, ']'));
        return size_of(r, buffer, dim, out);
    }
    *out = 1;
    if (r->call == NULL || count_of(r->call, buffer, out) || fxc_op_call_int(r->call, buffer, out)) {
        return FXC_OK;
    }
    return FXC_UNKNOWN_OPS;
}

static fxc_status primary(struct reader *r, int64_t *out) {
    skip_spaces(r);
    if (isdigit((unsigned char)*r->at)) {
        return number(r, out);
    }
    if (is_name_start(*r->at)) {
        return named(r, out);
    }
    if (!accept(r, '(')) {
        return wrong(r, "a number, a name or '('");
    }
    FXC_TRY(sum(r, out));
    return expect(r, ')');
}

static fxc_status unary(struct reader *r, int64_t *out) {
    int64_t exponent;
    if (++r->depth > MAX_DEPTH) {
        return wrong(r, "at most 64 levels of parentheses and signs");
    }
    if (accept(r, '-')) {
        FXC_TRY(unary(r, out));
        if (__builtin_sub_overflow((int64_t)0, *out, out)) {
            return overflow(r);
        }
    } else {
        FXC_TRY(primary(r, out));
        if (accept(r, '^')) {
            FXC_TRY(unary(r, &exponent));
            FXC_TRY(raise_to(r, *out, exponent, out));
        }
    }
    r->depth--;
    return FXC_OK;
}

static fxc_status product(struct reader *r, int64_t *out) {
    int64_t other, rest;
    FXC_TRY(unary(r, out));
    for (;;) {
        if (accept(r, '*')) {
            FXC_TRY(unary(r, &other));
            if (fxc_mul(*out, other, out)) {
                return overflow(r);
            }
        } else if (accept(r, '/')) {
            FXC_TRY(unary(r, &other));
            FXC_TRY(divide(r, *out, other, false, out, &rest));
        } else if (accept(r, '%')) {
            FXC_TRY(unary(r, &other));
            FXC_TRY(divide(r, *out, other, false, &rest, out));
        } else {
            return FXC_OK;
        }
    }
}

static fxc_status sum(struct reader *r, int64_t *out) {
    int64_t other;
    FXC_TRY(product(r, out));
    for (;;) {
        if (accept(r, '+')) {
            FXC_TRY(product(r, &other));
            if (fxc_add(*out, other, out)) {
                return overflow(r);
            }
        } else if (accept(r, '-')) {
            FXC_TRY(product(r, &other));
            if (__builtin_sub_overflow(*out, other, out)) {
                return overflow(r);
            }
        } else {
            return FXC_OK;
        }
    }
}

fxc_status fxc_custom_evaluate(const char *text, const fxc_op_call *call, int64_t *out, fxc_error *err) {
    struct reader reader = {.text = text, .at = text, .call = call, .err = err};
    FXC_TRY(sum(&reader, out));
    skip_spaces(&reader);
    return *reader.at == '\0' ? FXC_OK : wrong(&reader, "an operator or the end");
}

/* ---- formulas in text ----------------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    size_t field;
} fields[] = {
    {"macs", offsetof(fxc_counts, macs)},
    {"matrix_flops", offsetof(fxc_counts, matrix_flops)},
    {"vector_flops", offsetof(fxc_counts, vector_flops)},
    {"flops", offsetof(fxc_counts, vector_flops)},
    {"transcendentals", offsetof(fxc_counts, transcendentals)},
    {"int_ops", offsetof(fxc_counts, int_ops)},
};

size_t fxc_custom_field(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i].name) == length && strncmp(fields[i].name, name, length) == 0) {
            return fields[i].field;
        }
    }
    return SIZE_MAX;
}

fxc_status fxc_custom_count_terms(const fxc_op_call *call, fxc_counts *out, void *context, fxc_error *err) {
    const struct fxc_custom_entry *entry = context;
    bool matrix = false;
    for (uint32_t i = 0; i < entry->term_count; i++) {
        int64_t value;
        FXC_TRY(fxc_custom_evaluate(entry->terms[i].text, call, &value, err));
        if (value < 0) {
            fxc_status status = fxc_fail_node(err, FXC_USAGE, call->rule.program, call->rule.node);
            fxc_expected(err, "a count of 0 or more from the formula '%.200s'", entry->terms[i].text);
            fxc_found(err, "%lld", (long long)value);
            return status;
        }
        memcpy((char *)out + entry->terms[i].field, &value, sizeof value);
        matrix = matrix || entry->terms[i].field == offsetof(fxc_counts, matrix_flops);
    }
    /* docs/counting.md: 2 FLOPs per MAC */
    if (!matrix && fxc_mul(out->macs, 2, &out->matrix_flops)) {
        return fxc_fail_node(err, FXC_OVERFLOW, call->rule.program, call->rule.node);
    }
    return FXC_OK;
}

fxc_status fxc_custom_measure_term(const fxc_op_call *call, int64_t *out, void *context, fxc_error *err) {
    const struct fxc_custom_entry *entry = context;
    return fxc_custom_evaluate(entry->terms[0].text, call, out, err);
}
