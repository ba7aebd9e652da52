/* Formulas, exclusions and corrections in a text file (docs/formulas.md). One statement a line:
 *
 *   op NAME: QUANTITY = EXPRESSION; ...
 *   module CLASS: QUANTITY = EXPRESSION; ...
 *   ignore op NAME  |  ignore module NAME  |  scale NAME FACTOR
 *   metric METRIC: EXPRESSION  |  metric METRIC op NAME: EXPRESSION  |  metric METRIC module CLASS: EXPRESSION
 *
 * '#' starts a comment; a line that starts with a blank goes on with the statement above. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/error.h"
#include "passes/custom/custom.h"

enum { STATEMENT_SIZE = 4096, MAX_WORD = 200, MAX_TERMS = 8 };

struct file {
    const char *name, *at, *end;
    uint32_t line, statement_line;
    char statement[STATEMENT_SIZE];
    fxc_analysis *analysis;
    fxc_error *err;
};

static fxc_status wrong(const struct file *file, const char *expected, const char *found) {
    fxc_status status = fxc_fail(file->err, FXC_USAGE, "%s:%u", file->name, file->statement_line);
    fxc_expected(file->err, "%s", expected);
    fxc_found(file->err, "'%.120s'", found);
    return status;
}

/* Says in which line what failed. */
static fxc_status at_line(const struct file *file, fxc_status status) {
    if (status == FXC_USAGE && file->err != NULL && file->err->struct_size >= sizeof *file->err) {
        char expected[sizeof file->err->expected], found[sizeof file->err->found];
        memcpy(expected, file->err->expected, sizeof expected);
        memcpy(found, file->err->found, sizeof found);
        (void)fxc_fail(file->err, FXC_USAGE, "%s:%u", file->name, file->statement_line);
        fxc_expected(file->err, "%s", expected);
        fxc_found(file->err, "%s", found);
    }
    return status;
}

/* ---- statements
 * ------------------------------------------------------------------------------------------------------ */

static void append(char *statement, size_t *used, const char *text, size_t length) {
    for (size_t i = 0; i < length && *used + 1 < STATEMENT_SIZE; i++) {
        statement[(*used)++] = text[i];
    }
    statement[*used] = '\0';
}

/* The next statement without comments and blanks at its ends; false at the end of the file. */
static bool next_statement(struct file *file, bool *too_long) {
    size_t used = 0, total = 0;
    file->statement[0] = '\0';
    while (file->at < file->end) {
        bool goes_on = *file->at == ' ' || *file->at == '\t';
        if (used > 0 && !goes_on) {
            break;
        }
        const char *stop = memchr(file->at, '\n', (size_t)(file->end - file->at));
        stop = stop == NULL ? file->end : stop;
        const char *comment = memchr(file->at, '#', (size_t)(stop - file->at));
        size_t length = (size_t)((comment == NULL ? stop : comment) - file->at);
        while (length > 0 && isspace((unsigned char)file->at[length - 1])) {
            length--;
        }
        file->line++;
        if (length > 0) {
            file->statement_line = used == 0 ? file->line : file->statement_line;
            append(file->statement, &used, file->at, length);
            total += length;
        }
        file->at = stop < file->end ? stop + 1 : stop;
    }
    *too_long = total > used;
    return used > 0;
}

/* Takes the next word off the front of *text. */
static bool take_word(const char **text, const char *stops, char word[MAX_WORD + 1]) {
    *text += strspn(*text, " \t");
    size_t length = strcspn(*text, stops);
    if (length == 0 || length > MAX_WORD) {
        return false;
    }
    memcpy(word, *text, length);
    word[length] = '\0';
    *text += length;
    return true;
}

static bool is_end(const char *text) {
    return text[strspn(text, " \t")] == '\0';
}

/* One more expression of an entry, checked for its form. */
static fxc_status add_expression(const struct file *file, struct fxc_custom_entry *entry, size_t field,
                                 const char *text, size_t length) {
    int64_t ignored;
    size_t blanks = strspn(text, " \t");
    blanks = blanks < length ? blanks : length;
    struct fxc_custom_term *term = &entry->terms[entry->term_count];
    *term = (struct fxc_custom_term){field, malloc(length - blanks + 1)};
    if (term->text == NULL) {
        return fxc_fail_memory(file->err, file->name);
    }
    memcpy(term->text, text + blanks, length - blanks);
    term->text[length - blanks] = '\0';
    entry->term_count++;
    return at_line(file, fxc_custom_evaluate(term->text, NULL, &ignored, file->err));
}

static fxc_status add_term(const struct file *file, struct fxc_custom_entry *entry, const char *text, size_t length) {
    const char *equals = memchr(text, '=', length);
    size_t name = strspn(text, " \t"), end = equals == NULL ? 0 : (size_t)(equals - text);
    while (end > name && isspace((unsigned char)text[end - 1])) {
        end--;
    }
    size_t field = end > name ? fxc_custom_field(text + name, end - name) : SIZE_MAX;
    if (field == SIZE_MAX || entry->term_count == MAX_TERMS) {
        return wrong(file,
                     "QUANTITY = EXPRESSION with macs, flops, matrix_flops, vector_flops, transcendentals or int_ops",
                     text);
    }
    size_t begin = (size_t)(equals + 1 - text);
    return add_expression(file, entry, field, text + begin, length - begin);
}

static fxc_status add_terms(const struct file *file, struct fxc_custom_entry *entry, const char *text) {
    entry->count = fxc_custom_count_terms;
    while (!is_end(text)) {
        size_t length = strcspn(text, ";");
        FXC_TRY(add_term(file, entry, text, length));
        text += length + (text[length] == ';');
    }
    return entry->term_count > 0 ? FXC_OK : wrong(file, "at least one QUANTITY = EXPRESSION", "nothing after ':'");
}

/* Adds an entry with the formulas in `text`: of counts, or the one of a metric. */
static fxc_status add_entry(const struct file *file, struct fxc_custom *custom, enum fxc_custom_kind kind,
                            const char *name, const char *text, bool metric) {
    struct fxc_custom_entry *entry = fxc_custom_add(custom, kind, name);
    if (entry == NULL) {
        return fxc_fail_memory(file->err, file->name);
    }
    entry->terms = calloc(MAX_TERMS, sizeof *entry->terms);
    fxc_status status = entry->terms == NULL ? fxc_fail_memory(file->err, file->name)
                        : metric             ? add_expression(file, entry, 0, text, strlen(text))
                                             : add_terms(file, entry, text);
    entry->measure = metric ? fxc_custom_measure_term : NULL;
    if (status != FXC_OK) {
        fxc_custom_drop_last(custom);
    }
    return status;
}

/* "NAME: ..." of an operator or module class. */
static fxc_status read_formula(const struct file *file, struct fxc_custom *custom, enum fxc_custom_kind kind,
                               const char *text, bool metric) {
    char name[MAX_WORD + 1];
    /* A name may hold "::", so the colon that ends it is the one before a blank or the end. */
    const char *colon = text;
    while (*colon != '\0' && !(*colon == ':' && (colon[1] == ' ' || colon[1] == '\t' || colon[1] == '\0'))) {
        colon++;
    }
    if (!take_word(&text, " \t", name) || *colon == '\0') {
        return wrong(file, metric ? "metric METRIC op NAME: EXPRESSION" : "op NAME: QUANTITY = EXPRESSION; ...",
                     file->statement);
    }
    size_t length = strlen(name);
    if (length > 1 && name[length - 1] == ':') {
        name[length - 1] = '\0';
    }
    return add_entry(file, custom, kind, name, colon + 1, metric);
}

/* "METRIC: EXPRESSION" for all operators, "METRIC op NAME: EXPRESSION", "METRIC module CLASS: EXPRESSION". */
static fxc_status read_metric(const struct file *file, const char *text) {
    char metric[MAX_WORD + 1], what[MAX_WORD + 1];
    struct fxc_custom *formulas;
    if (!take_word(&text, " \t:", metric)) {
        return wrong(file, "metric METRIC: EXPRESSION", file->statement);
    }
    FXC_TRY(at_line(file, fxc_custom_metric(file->analysis, metric, &formulas, file->err)));
    text += strspn(text, " \t");
    if (*text == ':') {
        return add_entry(file, formulas, FXC_CUSTOM_OP, "*", text + 1, true);
    }
    bool good = take_word(&text, " \t", what);
    if (good && strcmp(what, "op") == 0) {
        return read_formula(file, formulas, FXC_CUSTOM_OP, text, true);
    }
    if (good && strcmp(what, "module") == 0) {
        return read_formula(file, formulas, FXC_CUSTOM_MODULE, text, true);
    }
    return wrong(file, "metric METRIC: EXPRESSION, metric METRIC op NAME: ... or metric METRIC module CLASS: ...",
                 file->statement);
}

static fxc_status read_ignore(const struct file *file, const char *text) {
    char what[MAX_WORD + 1], name[MAX_WORD + 1];
    bool good = take_word(&text, " \t", what) && take_word(&text, " \t", name) && is_end(text);
    if (good && strcmp(what, "op") == 0) {
        return fxc_analysis_ignore_op(file->analysis, name, file->err);
    }
    if (good && strcmp(what, "module") == 0) {
        return fxc_analysis_ignore_module(file->analysis, name, file->err);
    }
    return wrong(file, "ignore op NAME or ignore module NAME", file->statement);
}

static fxc_status read_statement(const struct file *file) {
    const char *text = file->statement;
    char keyword[MAX_WORD + 1], name[MAX_WORD + 1], factor[MAX_WORD + 1];
    if (take_word(&text, " \t", keyword)) {
        if (strcmp(keyword, "op") == 0) {
            return read_formula(file, fxc_custom_counts(file->analysis), FXC_CUSTOM_OP, text, false);
        }
        if (strcmp(keyword, "module") == 0) {
            return read_formula(file, fxc_custom_counts(file->analysis), FXC_CUSTOM_MODULE, text, false);
        }
        if (strcmp(keyword, "metric") == 0) {
            return read_metric(file, text);
        }
        if (strcmp(keyword, "ignore") == 0) {
            return read_ignore(file, text);
        }
        if (strcmp(keyword, "scale") == 0 && take_word(&text, " \t", name) && take_word(&text, " \t", factor) &&
            is_end(text)) {
            return at_line(file, fxc_analysis_scale_op(file->analysis, name, factor, file->err));
        }
    }
    return wrong(
        file,
        "op NAME: ..., module CLASS: ..., metric METRIC: ..., ignore op NAME, ignore module NAME or scale NAME "
        "FACTOR",
        file->statement);
}

fxc_status fxc_analysis_add_formulas(fxc_analysis *analysis, const char *text, size_t size, const char *name,
                                     fxc_error *err) {
    struct file file = {.name = name, .at = text, .end = text + size, .analysis = analysis, .err = err};
    bool too_long;
    if (memchr(text, '\0', size) != NULL) {
        file.statement_line = 1;
        return wrong(&file, "text", "a byte 0 in it");
    }
    while (next_statement(&file, &too_long)) {
        if (too_long) {
            return wrong(&file, "statements of less than 4096 characters", file.statement);
        }
        FXC_TRY(read_statement(&file));
    }
    return FXC_OK;
}
