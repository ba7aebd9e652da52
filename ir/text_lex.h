/* Characters of the text form, as the parser reads them: one cursor over the text, one error. */
#ifndef FXC_IR_TEXT_LEX_H
#define FXC_IR_TEXT_LEX_H

#include "ir/error.h"
#include "ir/text.h"

struct fxc_lex {
    const char *start, *end, *at;
    const char *file;
    fxc_error *err;
    fxc_status status; /* of the first failure */
    char *scratch;     /* an unescaped string */
    size_t scratch_size;
};

struct fxc_span {
    const char *text;
    size_t size;
};

/* All bool functions: false after a failure, which is recorded once. */

/* Records "file:line:column" of the cursor, what was expected there, what stands there, and advice ("" for none). */
bool fxc_lex_fail(struct fxc_lex *lx, const char *advice, const char *expected, ...) FXC_PRINTF(3, 4);
/* The same at another place of the text. */
bool fxc_lex_fail_at(struct fxc_lex *lx, const char *at, const char *advice, const char *expected, ...)
    FXC_PRINTF(4, 5);
bool fxc_lex_fail_memory(struct fxc_lex *lx);

/* To the next line that holds a statement; false at the end of the text. */
bool fxc_lex_next_line(struct fxc_lex *lx);
void fxc_lex_skip_line(struct fxc_lex *lx);
/* The line holds nothing more. */
bool fxc_lex_end_line(struct fxc_lex *lx);
bool fxc_lex_at_end_of_line(struct fxc_lex *lx);

/* The next character after spaces, '\n' at the end of the line or text. */
char fxc_lex_peek(struct fxc_lex *lx);
/* Takes this character if it is next. */
bool fxc_lex_accept(struct fxc_lex *lx, char c);
bool fxc_lex_expect(struct fxc_lex *lx, char c);
/* Takes this character if it follows without a space. */
bool fxc_lex_accept_here(struct fxc_lex *lx, char c);
/* A plain name; an empty span (no failure) when there is none. */
struct fxc_span fxc_lex_word(struct fxc_lex *lx);
bool fxc_lex_is(struct fxc_span word, const char *text);
/* Takes this word or fails. */
bool fxc_lex_expect_word(struct fxc_lex *lx, const char *word);
/* A quoted string, unescaped; the span lives until the next one. */
bool fxc_lex_string(struct fxc_lex *lx, struct fxc_span *out);

bool fxc_lex_int(struct fxc_lex *lx, int64_t *out);
bool fxc_lex_any_uint32(struct fxc_lex *lx, uint32_t *out);
/* A row's number: FXC_NONE is none. */
bool fxc_lex_uint32(struct fxc_lex *lx, uint32_t *out);
/* An integer or a floating-point number (whose bits are given), told apart by its spelling. */
bool fxc_lex_number(struct fxc_lex *lx, int64_t *out, bool *is_float);
/* inf, -inf, nan and nan(0x...), after the word was taken. */
bool fxc_lex_special_float(struct fxc_lex *lx, struct fxc_span word, bool negative, int64_t *bits);

#endif
