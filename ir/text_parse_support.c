/* What all statements of the text form are parsed with: stacks, names, references, flags. */
#include <stdlib.h>
#include <string.h>

#include "ir/text_parse.h"

bool fxc_stack_push(struct fxc_text_parser *ps, struct fxc_stack *stack, const void *element, size_t size) {
    if (stack->length == stack->capacity) {
        if (stack->capacity > UINT32_MAX / 2) {
            return fxc_lex_fail_memory(&ps->lex);
        }
        uint32_t capacity = stack->capacity == 0 ? 32 : stack->capacity * 2;
        void *data = realloc(stack->data, capacity * size);
        if (data == NULL) {
            return fxc_lex_fail_memory(&ps->lex);
        }
        stack->data = data;
        stack->capacity = capacity;
    }
    memcpy((char *)stack->data + stack->length * size, element, size);
    stack->length++;
    return true;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

struct fxc_text_named *fxc_text_name_add(struct fxc_text_parser *ps, struct fxc_text_names *names, const void *key,
                                         size_t size, uint32_t row, bool *known) {
    struct fxc_text_named fresh = {row, false, false};
    uint32_t id = fxc_intern(&names->keys, key, size);
    if (id == FXC_NONE) {
        (void)fxc_lex_fail_memory(&ps->lex);
        return NULL;
    }
    *known = id < names->rows.length;
    if (!*known && !fxc_stack_push(ps, &names->rows, &fresh, sizeof fresh)) {
        return NULL;
    }
    return (struct fxc_text_named *)names->rows.data + id;
}

struct fxc_text_named *fxc_text_name_find(struct fxc_text_names *names, const void *key, size_t size) {
    uint32_t id = fxc_intern_find(&names->keys, key, size);
    return id == FXC_NONE ? NULL : (struct fxc_text_named *)names->rows.data + id;
}

static bool intern_span(struct fxc_text_parser *ps, struct fxc_span span, uint32_t *string) {
    *string = fxc_builder_string(&ps->builder, span.text, span.size);
    return !ps->builder.failed || fxc_lex_fail_memory(&ps->lex);
}

bool fxc_parse_string(struct fxc_text_parser *ps, uint32_t *string) {
    struct fxc_span span;
    const char *at = ps->lex.at;
    if (!fxc_lex_accept(&ps->lex, '$')) {
        return fxc_lex_string(&ps->lex, &span) && intern_span(ps, span, string);
    }
    uint32_t number;
    if (!fxc_lex_uint32(&ps->lex, &number)) {
        return false;
    }
    if (number >= ps->string_rows.length) {
        return fxc_lex_fail_at(&ps->lex, at, "declare it in a line before: string N = \"...\"", "a string that exists");
    }
    *string = ((const uint32_t *)ps->string_rows.data)[number];
    return true;
}

bool fxc_parse_name(struct fxc_text_parser *ps, uint32_t *string) {
    char next = fxc_lex_peek(&ps->lex);
    if (next == '"' || next == '$') {
        return fxc_parse_string(ps, string);
    }
    struct fxc_span word = fxc_lex_word(&ps->lex);
    if (word.size == 0) {
        return fxc_lex_fail(&ps->lex, "quote a name that is more than letters, digits, '_' and '.'", "a name");
    }
    return intern_span(ps, word, string);
}

bool fxc_parse_number_sign(struct fxc_text_parser *ps, uint32_t *number) {
    *number = FXC_NONE;
    return !fxc_lex_accept_here(&ps->lex, '#') || fxc_lex_uint32(&ps->lex, number);
}

bool fxc_parse_table_reference(struct fxc_text_parser *ps, const struct fxc_stack *rows, const char *what,
                               uint32_t *row) {
    const char *at = ps->lex.at;
    uint32_t number;
    if (!fxc_lex_accept_here(&ps->lex, '#')) {
        return fxc_lex_fail(&ps->lex, "", "'#' and the number of a line '%s N = ...'", what);
    }
    if (!fxc_lex_uint32(&ps->lex, &number)) {
        return false;
    }
    if (number >= rows->length) {
        return fxc_lex_fail_at(&ps->lex, at, "declare it in a line before", "the number of a line '%s N = ...'", what);
    }
    *row = ((const uint32_t *)rows->data)[number];
    return true;
}

bool fxc_parse_named_row(struct fxc_text_parser *ps, struct fxc_text_names *names, enum fxc_column column,
                         const char *what, const char *at, uint32_t string, uint32_t *row) {
    uint32_t number;
    if (!fxc_parse_number_sign(ps, &number)) {
        return false;
    }
    const struct fxc_vector *texts = &ps->builder.column[column];
    if (number != FXC_NONE) {
        *row = number;
        return (number < texts->length && ((const uint32_t *)texts->data)[number] == string) ||
               fxc_lex_fail_at(&ps->lex, at, "", "the name and number of a declared %s", what);
    }
    const struct fxc_text_named *named = fxc_text_name_find(names, &string, sizeof string);
    if (named == NULL) {
        return fxc_lex_fail_at(&ps->lex, at, "declare it in a line of its own", "a declared %s", what);
    }
    if (named->ambiguous) {
        return fxc_lex_fail_at(&ps->lex, at, "write name#number", "the number too: several have the name of this %s",
                               what);
    }
    *row = named->row;
    return true;
}

bool fxc_parse_row_number(struct fxc_text_parser *ps, uint32_t next) {
    const char *at = ps->lex.at;
    uint32_t number;
    if (!fxc_lex_uint32(&ps->lex, &number)) {
        return false;
    }
    return number == next || fxc_lex_fail_at(&ps->lex, at, "rows are numbered from 0, in order", "number %u", next);
}

/* ---- enumerations and flags -------------------------------------------------------------------------------------- */

bool fxc_parse_enum(struct fxc_text_parser *ps, const struct fxc_text_enum *texts, const char *what, uint8_t *out) {
    (void)fxc_lex_peek(&ps->lex);
    const char *at = ps->lex.at;
    struct fxc_span word = fxc_lex_word(&ps->lex);
    for (uint32_t i = 0; i < texts->count; i++) {
        if (fxc_lex_is(word, texts->text[i])) {
            *out = (uint8_t)i;
            return true;
        }
    }
    return fxc_lex_fail_at(&ps->lex, at, "", "%s, such as %s", what, texts->text[0]);
}

bool fxc_text_flag(struct fxc_span word, const struct fxc_text_enum *texts, uint32_t bits, uint32_t *flag) {
    for (uint32_t bit = 0; bit < texts->count; bit++) {
        if (texts->text[bit] != NULL && fxc_lex_is(word, texts->text[bit])) {
            *flag = 1u << bit;
            return true;
        }
    }
    if (word.size < 4 || word.size > 5 || memcmp(word.text, "bit", 3) != 0) {
        return false;
    }
    uint32_t bit = 0;
    for (size_t i = 3; i < word.size; i++) {
        if (word.text[i] < '0' || word.text[i] > '9') {
            return false;
        }
        bit = bit * 10 + (uint32_t)(word.text[i] - '0');
    }
    *flag = bit < bits ? 1u << bit : 0;
    return bit < bits;
}

bool fxc_parse_flags(struct fxc_text_parser *ps, const struct fxc_text_enum *texts, uint32_t bits, uint32_t *flags) {
    while (!fxc_lex_at_end_of_line(&ps->lex)) {
        const char *at = ps->lex.at;
        uint32_t flag;
        if (!fxc_text_flag(fxc_lex_word(&ps->lex), texts, bits, &flag)) {
            return fxc_lex_fail_at(&ps->lex, at, "", "a flag, such as %s, or the end of the line", texts->text[0]);
        }
        *flags |= flag;
    }
    return true;
}
