/* Expressions and tensors of the text form. */
#include <string.h>

#include "ir/text_parse.h"

static bool push_word(struct fxc_text_parser *ps, int64_t word) {
    return fxc_stack_push(ps, &ps->words, &word, sizeof word);
}

static bool push_token(struct fxc_text_parser *ps, uint8_t token, int64_t payload) {
    return push_word(ps, token) && push_word(ps, payload);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static bool push_symbol(struct fxc_text_parser *ps, const char *at, uint32_t string) {
    uint32_t row;
    return fxc_parse_named_row(ps, &ps->symbols, FXC_COLUMN_symbol_name, "symbol", at, string, &row) &&
           push_token(ps, FXC_TOKEN_SYMBOL, row);
}

/* "symbol(-7)": a payload that names no symbol. */
static bool parse_bare_symbol(struct fxc_text_parser *ps) {
    int64_t payload;
    return fxc_lex_expect(&ps->lex, '(') && fxc_lex_int(&ps->lex, &payload) && fxc_lex_expect(&ps->lex, ')') &&
           push_token(ps, FXC_TOKEN_SYMBOL, payload);
}

static bool find_function(struct fxc_span word, uint8_t *token) {
    for (uint32_t i = 0; i < FXC_TOKEN_COUNT; i++) {
        if (fxc_text_token_operands[i] > 0 && fxc_lex_is(word, fxc_text_tokens.text[i])) {
            *token = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool push_float(struct fxc_text_parser *ps, struct fxc_span word, bool negative) {
    int64_t bits;
    return fxc_lex_special_float(&ps->lex, word, negative, &bits) && push_token(ps, FXC_TOKEN_FLOAT, bits);
}

static bool parse_number_token(struct fxc_text_parser *ps) {
    int64_t number;
    bool is_float;
    if (ps->lex.end - ps->lex.at > 1 && ps->lex.at[0] == '-' && ps->lex.at[1] == 'i') {
        ps->lex.at++;
        return push_float(ps, fxc_lex_word(&ps->lex), true);
    }
    return fxc_lex_number(&ps->lex, &number, &is_float) &&
           push_token(ps, is_float ? FXC_TOKEN_FLOAT : FXC_TOKEN_CONST, number);
}

/* A token that takes no operands; the word (empty: a quoted name or a number) was taken. */
static bool parse_leaf(struct fxc_text_parser *ps, const char *at, struct fxc_span word) {
    uint32_t string;
    if (fxc_lex_is(word, "symbol") && ps->lex.at < ps->lex.end && *ps->lex.at == '(') {
        return parse_bare_symbol(ps);
    }
    if (fxc_lex_is(word, "inf") || fxc_lex_is(word, "nan")) {
        return push_float(ps, word, false);
    }
    if (fxc_lex_is(word, "opaque")) {
        return push_token(ps, FXC_TOKEN_OPAQUE, 0);
    }
    if (word.size == 0 && *at != '"' && *at != '$') {
        return parse_number_token(ps);
    }
    ps->lex.at = at;
    return fxc_parse_name(ps, &string) && push_symbol(ps, at, string);
}

/* ---- expressions ------------------------------------------------------------------------------------------------- */

static bool parse_operand(struct fxc_text_parser *ps, uint32_t depth) {
    uint8_t token;
    if (depth > FXC_TEXT_MAX_DEPTH) {
        return fxc_lex_fail(&ps->lex, "write a deeper one as a line 'expr N = postfix ...'",
                            "an expression at most %d deep", FXC_TEXT_MAX_DEPTH);
    }
    if (fxc_lex_at_end_of_line(&ps->lex)) {
        return fxc_lex_fail(&ps->lex, "", "an expression");
    }
    const char *at = ps->lex.at;
    struct fxc_span word = fxc_lex_word(&ps->lex);
    bool call = word.size > 0 && ps->lex.at < ps->lex.end && *ps->lex.at == '(';
    if (!call || !find_function(word, &token)) {
        return parse_leaf(ps, at, word);
    }
    for (uint32_t i = 0; i < fxc_text_token_operands[token]; i++) {
        if (!fxc_lex_expect(&ps->lex, i == 0 ? '(' : ',') || !parse_operand(ps, depth + 1)) {
            return false;
        }
    }
    return fxc_lex_expect(&ps->lex, ')') && push_token(ps, token, 0);
}

/* The row of the tokens in `words`: each expression is stored once. */
static bool finish_expr(struct fxc_text_parser *ps, uint32_t *expr) {
    const int64_t *words = ps->words.data;
    uint32_t rows = ps->exprs.count;
    *expr = fxc_intern(&ps->exprs, words, ps->words.length * sizeof *words);
    if (*expr == rows) {
        fxc_push_expr_begin(&ps->builder, fxc_builder_length(&ps->builder, FXC_COLUMN_token_op));
        for (uint32_t i = 0; i < ps->words.length; i += 2) {
            fxc_push_token_op(&ps->builder, (uint8_t)words[i]);
            fxc_push_token_payload(&ps->builder, words[i + 1]);
        }
    }
    return (*expr != FXC_NONE && !ps->builder.failed) || fxc_lex_fail_memory(&ps->lex);
}

bool fxc_parse_expr(struct fxc_text_parser *ps, uint32_t *expr) {
    (void)fxc_lex_peek(&ps->lex);
    const char *at = ps->lex.at;
    struct fxc_span word = fxc_lex_word(&ps->lex);
    if (fxc_lex_is(word, "expr")) {
        return fxc_parse_table_reference(ps, &ps->expr_rows, "expr", expr);
    }
    ps->lex.at = at;
    ps->words.length = 0;
    return parse_operand(ps, 1) && finish_expr(ps, expr);
}

static bool parse_postfix_token(struct fxc_text_parser *ps) {
    const char *at = ps->lex.at;
    uint8_t token;
    struct fxc_span word = fxc_lex_word(&ps->lex);
    if (find_function(word, &token)) {
        return push_token(ps, token, 0);
    }
    return parse_leaf(ps, at, word);
}

/* expr 0 = postfix s0 1 Add */
bool fxc_parse_expr_line(struct fxc_text_parser *ps) {
    uint32_t expr;
    if (!fxc_parse_row_number(ps, ps->expr_rows.length) || !fxc_lex_expect(&ps->lex, '=') ||
        !fxc_lex_expect_word(&ps->lex, "postfix")) {
        return false;
    }
    ps->words.length = 0;
    while (!fxc_lex_at_end_of_line(&ps->lex)) {
        if (!parse_postfix_token(ps)) {
            return false;
        }
    }
    return finish_expr(ps, &expr) && fxc_stack_push(ps, &ps->expr_rows, &expr, sizeof expr);
}

bool fxc_parse_symint(struct fxc_text_parser *ps, int64_t *out) {
    char next = fxc_lex_peek(&ps->lex);
    const char *at = ps->lex.at;
    if (next >= '0' && next <= '9') {
        bool is_float;
        if (!fxc_lex_number(&ps->lex, out, &is_float)) {
            return false;
        }
        if (!is_float) {
            return true;
        }
        ps->lex.at = at;
    }
    uint32_t expr;
    struct fxc_span word = fxc_lex_word(&ps->lex);
    bool constant = fxc_lex_is(word, "const") && fxc_lex_accept_here(&ps->lex, '(');
    if (!constant) {
        ps->lex.at = at;
    }
    if (!fxc_parse_expr(ps, &expr) || (constant && !fxc_lex_expect(&ps->lex, ')'))) {
        return false;
    }
    const int64_t *words = ps->words.data;
    if (!constant && ps->words.length == 2 && words[0] == FXC_TOKEN_CONST && *at != 'e') {
        return fxc_lex_fail_at(&ps->lex, at, "sizes, strides and offsets are never negative",
                               "a size or an expression");
    }
    *out = -1 - (int64_t)expr;
    return true;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static bool parse_symints(struct fxc_text_parser *ps, struct fxc_stack *stack, char close) {
    int64_t symint;
    stack->length = 0;
    if (fxc_lex_accept(&ps->lex, close)) {
        return true;
    }
    do {
        if (!fxc_parse_symint(ps, &symint) || !fxc_stack_push(ps, stack, &symint, sizeof symint)) {
            return false;
        }
    } while (fxc_lex_accept(&ps->lex, ','));
    return fxc_lex_expect(&ps->lex, close);
}

static int compare_symbols(const void *context, uint32_t a, uint32_t b) {
    const struct fxc_text_parser *ps = context;
    const uint32_t *names = ps->builder.column[FXC_COLUMN_symbol_name].data;
    uint32_t a_size, b_size;
    const char *a_text = fxc_builder_text(&ps->builder, names[a], &a_size);
    const char *b_text = fxc_builder_text(&ps->builder, names[b], &b_size);
    int order = memcmp(a_text, b_text, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

struct fxc_text_exprs fxc_parsed_exprs(const struct fxc_text_parser *ps) {
    const struct fxc_vector *column = ps->builder.column;
    return (struct fxc_text_exprs){.begin = column[FXC_COLUMN_expr_begin].data,
                                   .op = column[FXC_COLUMN_token_op].data,
                                   .payload = column[FXC_COLUMN_token_payload].data,
                                   .count = column[FXC_COLUMN_expr_begin].length,
                                   .tokens = column[FXC_COLUMN_token_op].length,
                                   .symbols = column[FXC_COLUMN_symbol_name].length,
                                   .compare = compare_symbols,
                                   .context = ps};
}

bool fxc_build_product(struct fxc_text_parser *ps, const struct fxc_text_product *product, int64_t *symint) {
    uint8_t op[FXC_TEXT_PRODUCT_TOKENS];
    int64_t payload[FXC_TEXT_PRODUCT_TOKENS];
    uint32_t expr, count = fxc_text_product_tokens(product, op, payload);
    *symint = product->factor;
    if (count == 0) {
        return true;
    }
    ps->words.length = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!push_token(ps, op[i], payload[i])) {
            return false;
        }
    }
    if (!finish_expr(ps, &expr)) {
        return false;
    }
    *symint = -1 - (int64_t)expr;
    return true;
}

/* Row-major strides of a strided tensor, zeros of any other; from the last dimension to the first. */
static bool imply_strides(struct fxc_text_parser *ps, const char *at, uint8_t layout) {
    struct fxc_text_product stride = {.factor = layout == FXC_LAYOUT_STRIDED ? 1 : 0};
    int64_t symint = 0;
    ps->strides.length = 0;
    for (uint32_t i = 0; i < ps->sizes.length; i++) {
        if (!fxc_stack_push(ps, &ps->strides, &symint, sizeof symint)) {
            return false;
        }
    }
    for (uint32_t i = ps->sizes.length; i-- > 0;) {
        if (!fxc_build_product(ps, &stride, &symint)) {
            return false;
        }
        ((int64_t *)ps->strides.data)[i] = symint;
        struct fxc_text_exprs exprs = fxc_parsed_exprs(ps);
        if (i > 0 && layout == FXC_LAYOUT_STRIDED &&
            !fxc_text_multiply_stride(&exprs, &stride, ((const int64_t *)ps->sizes.data)[i])) {
            return fxc_lex_fail_at(&ps->lex, at, "write the strides in braces: f32[2, 3]{3, 1}",
                                   "strides, since these sizes do not imply them");
        }
    }
    return true;
}

/* <sparse_coo, requires_grad> */
static bool parse_marks(struct fxc_text_parser *ps, uint8_t *layout, uint32_t *flags) {
    do {
        (void)fxc_lex_peek(&ps->lex);
        const char *at = ps->lex.at;
        struct fxc_span word = fxc_lex_word(&ps->lex);
        uint32_t flag = 0, found = 0;
        for (uint32_t i = 1; i < fxc_text_layouts.count && found == 0; i++) {
            found = fxc_lex_is(word, fxc_text_layouts.text[i]) ? i : 0;
        }
        if (found != 0) {
            *layout = (uint8_t)found;
        } else if (!fxc_text_flag(word, &fxc_text_tensor_flags, 16, &flag)) {
            return fxc_lex_fail_at(&ps->lex, at, "", "a layout or a flag, such as requires_grad");
        }
        *flags |= flag;
    } while (fxc_lex_accept(&ps->lex, ','));
    return fxc_lex_expect(&ps->lex, '>');
}

/* Each description is stored once. */
static bool finish_meta(struct fxc_text_parser *ps, uint8_t dtype, uint8_t layout, uint32_t flags, int64_t offset,
                        uint32_t *meta) {
    const int64_t *sizes = ps->sizes.data, *strides = ps->strides.data;
    struct fxc_builder *b = &ps->builder;
    ps->words.length = 0;
    if (!push_word(ps, dtype | (int64_t)layout << 8 | (int64_t)flags << 16) || !push_word(ps, offset)) {
        return false;
    }
    for (uint32_t i = 0; i < ps->sizes.length; i++) {
        if (!push_word(ps, sizes[i]) || !push_word(ps, strides[i])) {
            return false;
        }
    }
    uint32_t rows = ps->metas.count;
    *meta = fxc_intern(&ps->metas, ps->words.data, ps->words.length * sizeof(int64_t));
    if (*meta == rows) {
        fxc_push_meta_dtype(b, dtype);
        fxc_push_meta_layout(b, layout);
        fxc_push_meta_flags(b, (uint16_t)flags);
        fxc_push_meta_dim_begin(b, fxc_builder_length(b, FXC_COLUMN_dim_size));
        fxc_push_meta_offset(b, offset);
        for (uint32_t i = 0; i < ps->sizes.length; i++) {
            fxc_push_dim_size(b, sizes[i]);
            fxc_push_dim_stride(b, strides[i]);
        }
    }
    return (*meta != FXC_NONE && !b->failed) || fxc_lex_fail_memory(&ps->lex);
}

bool fxc_parse_meta(struct fxc_text_parser *ps, uint8_t dtype, uint32_t *meta) {
    const char *at = ps->lex.at;
    uint8_t layout = FXC_LAYOUT_STRIDED;
    uint32_t flags = 0;
    int64_t offset = 0;
    bool strides = false;
    if (!fxc_lex_expect(&ps->lex, '[') || !parse_symints(ps, &ps->sizes, ']')) {
        return false;
    }
    if (fxc_lex_accept(&ps->lex, '{')) {
        strides = true;
        if (!parse_symints(ps, &ps->strides, '}')) {
            return false;
        }
        if (ps->strides.length != ps->sizes.length) {
            return fxc_lex_fail_at(&ps->lex, at, "", "as many strides as sizes, %u", ps->sizes.length);
        }
    }
    if (fxc_lex_accept(&ps->lex, '+') && !fxc_parse_symint(ps, &offset)) {
        return false;
    }
    if (fxc_lex_accept(&ps->lex, '<') && !parse_marks(ps, &layout, &flags)) {
        return false;
    }
    return (strides || imply_strides(ps, at, layout)) && finish_meta(ps, dtype, layout, flags, offset, meta);
}

/* meta 0 = f32[...] */
bool fxc_parse_meta_line(struct fxc_text_parser *ps) {
    uint8_t dtype;
    uint32_t meta;
    return fxc_parse_row_number(ps, ps->meta_rows.length) && fxc_lex_expect(&ps->lex, '=') &&
           fxc_parse_enum(ps, &fxc_text_dtypes, "a dtype", &dtype) && fxc_parse_meta(ps, dtype, &meta) &&
           fxc_stack_push(ps, &ps->meta_rows, &meta, sizeof meta);
}
