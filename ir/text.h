/* The text form: what the parser and the printer share. The grammar is in docs/text.md. */
#ifndef FXC_IR_TEXT_H
#define FXC_IR_TEXT_H

#include "ir/program.h"
#include "ir/text_implied.h"

/* Reads the text form into a fresh program: columns and counts, owned by its arena. The caller then runs
 * fxc_program_check and fxc_program_bind. `text` need not end in NUL. Time and memory are linear in `size`. */
fxc_status fxc_text_parse(const char *text, size_t size, struct fxc_program *program, fxc_error *err);

enum {
    /* Lists in lists and calls in expressions that the parser follows. The printer stays below: what lies deeper it
     * writes as rows of the tables 'list' and 'expr'. */
    FXC_TEXT_MAX_DEPTH = 64,
    FXC_TEXT_INLINE_DEPTH = 32,
    /* Definitions of unnamed values inside definitions of lists. */
    FXC_TEXT_ELEMENT_DEPTH = 8,
    /* Longer strings, expressions of more tokens, wider tensors, and lists of more items that occur more than once are
     * written once, in a table: a text is never much longer than the file it prints. */
    FXC_TEXT_INLINE_STRING = 256,
    FXC_TEXT_INLINE_TOKENS = 48,
    FXC_TEXT_INLINE_DIMS = 64,
    FXC_TEXT_INLINE_ITEMS = 16,
};

/* How many operands each token takes. */
extern const uint8_t fxc_text_token_operands[FXC_TOKEN_COUNT];

/* Texts of the enumerations (of bit sets by bit, up to 16 bits, NULL where there is none). */
struct fxc_text_enum {
    const char *const *text;
    uint32_t count;
};
extern const struct fxc_text_enum fxc_text_kinds, fxc_text_dtypes, fxc_text_layouts, fxc_text_memory_formats,
    fxc_text_op_origins, fxc_text_op_tags, fxc_text_symbol_flags, fxc_text_tokens, fxc_text_storage_origins,
    fxc_text_tensor_flags, fxc_text_node_flags, fxc_text_views, fxc_text_input_kinds, fxc_text_output_kinds,
    fxc_text_call_flags, fxc_text_param_flags, fxc_text_region_kinds, fxc_text_measures;

/* Whether a name needs no quotes: letters, digits, '_' and '.', not starting with a digit or '.'. */
bool fxc_text_is_plain(const char *text, size_t size);
bool fxc_text_is_plain_char(char c, bool first);
/* Words that mean something by themselves where a symbol's name may stand. */
bool fxc_text_is_reserved_symbol(const char *text, size_t size);

/* The origin of a storage first seen on an input or parameter of this kind. */
uint8_t fxc_text_implied_origin(uint8_t input_kind);

#endif
