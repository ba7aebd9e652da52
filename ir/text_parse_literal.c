/* Literals of the text form: everything that has a kind and a payload. */
#include <string.h>

#include "ir/ops.h"
#include "ir/text_parse.h"

/* Where a literal stands. With `define`, "%name: ..." defines an element there. */
struct context {
    uint32_t depth;
    uint32_t element_depth;
    bool define;
    struct fxc_text_origin origin;
};

static bool parse(struct fxc_text_parser *ps, const struct context *context, struct fxc_text_literal *out);

static struct fxc_text_literal literal(uint8_t kind, int64_t payload) {
    return (struct fxc_text_literal){.payload = payload, .fixup = FXC_NONE, .kind = kind};
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* The items above `base` become a row. Nested lists were flushed before, so theirs are smaller. */
static bool flush_list(struct fxc_text_parser *ps, uint32_t base, uint32_t *list) {
    struct fxc_builder *b = &ps->builder;
    const struct fxc_text_literal *items = ps->items.data;
    *list = fxc_builder_length(b, FXC_COLUMN_list_begin);
    fxc_push_list_begin(b, fxc_builder_length(b, FXC_COLUMN_item_kind));
    for (uint32_t i = base; i < ps->items.length; i++) {
        fxc_push_literal(ps, FXC_COLUMN_item_kind, &items[i]);
    }
    ps->items.length = base;
    return !b->failed || fxc_lex_fail_memory(&ps->lex);
}

static bool parse_item(struct fxc_text_parser *ps, const struct context *context) {
    struct fxc_text_literal item;
    return parse(ps, context, &item) && fxc_stack_push(ps, &ps->items, &item, sizeof item);
}

/* Items up to the closing bracket; the opening one was taken. In a dict every second comma is a colon, and the last
 * key may lack its value, since the format does not forbid it. */
static bool parse_items(struct fxc_text_parser *ps, const struct context *outer, char close, uint32_t *list) {
    uint32_t base = ps->items.length;
    struct context context = *outer;
    context.depth++;
    if (context.depth > FXC_TEXT_MAX_DEPTH) {
        return fxc_lex_fail(&ps->lex, "write a deeper list as a line 'list N = [...]'", "lists at most %d deep",
                            FXC_TEXT_MAX_DEPTH);
    }
    if (fxc_lex_accept(&ps->lex, close)) {
        return flush_list(ps, base, list);
    }
    for (bool key = true;; key = !key) {
        context.define = outer->define && !(close == '}' && key);
        if (!parse_item(ps, &context)) {
            return false;
        }
        if (fxc_lex_accept(&ps->lex, close)) {
            return flush_list(ps, base, list);
        }
        if (!fxc_lex_expect(&ps->lex, close == '}' && key ? ':' : ',')) {
            return false;
        }
    }
}

static bool parse_list(struct fxc_text_parser *ps, const struct context *context, uint8_t kind, char close,
                       struct fxc_text_literal *out) {
    uint32_t list = FXC_NONE;
    struct context inner = *context;
    /* Elements are defined in the list that a value is, not in lists inside it. */
    inner.define = context->define && context->depth == 0 && (kind == FXC_KIND_LIST || kind == FXC_KIND_DICT);
    if (!parse_items(ps, &inner, close, &list)) {
        return false;
    }
    *out = literal(kind, list);
    return true;
}

bool fxc_parse_list_row(struct fxc_text_parser *ps, uint32_t *list) {
    struct fxc_text_literal out;
    const char *at = ps->lex.at;
    if (!fxc_parse_literal(ps, 0, &out)) {
        return false;
    }
    *list = (uint32_t)out.payload;
    return out.kind == FXC_KIND_LIST || out.kind == FXC_KIND_DICT || fxc_lex_fail_at(&ps->lex, at, "", "a list");
}

/* list 0 = [...] */
bool fxc_parse_list_line(struct fxc_text_parser *ps) {
    uint32_t list = FXC_NONE;
    return fxc_parse_row_number(ps, ps->list_rows.length) && fxc_lex_expect(&ps->lex, '=') &&
           fxc_parse_list_row(ps, &list) && fxc_stack_push(ps, &ps->list_rows, &list, sizeof list);
}

/* ---- operators --------------------------------------------------------------------------------------------------- */

static uint8_t implied_origin(const char *name) {
    return strncmp(name, "aten.", 5) == 0            ? FXC_OP_ORIGIN_ATEN
           : strncmp(name, "operator.", 9) == 0      ? FXC_OP_ORIGIN_BUILTIN
           : strncmp(name, "higher_order.", 13) == 0 ? FXC_OP_ORIGIN_HIGHER_ORDER
                                                     : FXC_OP_ORIGIN_CUSTOM;
}

/* An operator without a line of its own, as a hand-written text may have it, takes what the operator table knows. */
static bool add_op(struct fxc_text_parser *ps, uint32_t string, uint32_t *op) {
    struct fxc_builder *b = &ps->builder;
    uint32_t size;
    bool known;
    char name[FXC_TEXT_INLINE_STRING] = "";
    const char *text = fxc_builder_text(b, string, &size);
    if (size < sizeof name) {
        memcpy(name, text, size);
    }
    const struct fxc_op_row *row = fxc_op_lookup(name);
    *op = fxc_builder_length(b, FXC_COLUMN_op_name);
    fxc_push_op_name(b, string);
    fxc_push_op_origin(b, implied_origin(name));
    fxc_push_op_schema(b, row == NULL ? 0 : fxc_builder_string(b, row->schema, strlen(row->schema)));
    fxc_push_op_tags(b, 0);
    return fxc_text_name_add(ps, &ps->ops, &string, sizeof string, *op, &known) != NULL;
}

bool fxc_parse_op(struct fxc_text_parser *ps, uint32_t *op) {
    (void)fxc_lex_peek(&ps->lex);
    const char *at = ps->lex.at;
    uint32_t string;
    if (!fxc_parse_name(ps, &string)) {
        return false;
    }
    bool numbered = ps->lex.at < ps->lex.end && *ps->lex.at == '#';
    if (!numbered && fxc_text_name_find(&ps->ops, &string, sizeof string) == NULL) {
        return add_op(ps, string, op);
    }
    return fxc_parse_named_row(ps, &ps->ops, FXC_COLUMN_op_name, "operator", at, string, op);
}

/* ---- kind(...) --------------------------------------------------------------------------------------------------- */

static bool parse_enum_literal(struct fxc_text_parser *ps, uint8_t kind, const struct fxc_text_enum *texts,
                               struct fxc_text_literal *out) {
    uint8_t index;
    *out = literal(kind, 0);
    if (!fxc_parse_enum(ps, texts, fxc_text_kinds.text[kind], &index)) {
        return false;
    }
    out->payload = index;
    return true;
}

static bool parse_graph(struct fxc_text_parser *ps, uint32_t *graph) {
    (void)fxc_lex_peek(&ps->lex);
    const char *at = ps->lex.at;
    uint32_t string, number;
    if (!fxc_parse_string(ps, &string) || !fxc_parse_number_sign(ps, &number)) {
        return false;
    }
    if (number != FXC_NONE) {
        *graph = number;
        return (number < ps->graph_names.length && ((const uint32_t *)ps->graph_names.data)[number] == string) ||
               fxc_lex_fail_at(&ps->lex, at, "", "the name and number of a graph");
    }
    const struct fxc_text_named *named = fxc_text_name_find(&ps->graphs, &string, sizeof string);
    if (named == NULL || named->ambiguous) {
        return fxc_lex_fail_at(&ps->lex, at, "where several have the name, write \"name\"#number",
                               "the name of one graph of this text");
    }
    *graph = named->row;
    return true;
}

/* What stands between the parentheses, by kind. */
static bool parse_call(struct fxc_text_parser *ps, uint8_t kind, struct fxc_text_literal *out) {
    uint32_t row = 0;
    bool done = false;
    switch (kind) {
    case FXC_KIND_SYMINT:
    case FXC_KIND_SYMFLOAT:
    case FXC_KIND_SYMBOOL:
        done = fxc_parse_expr(ps, &row);
        break;
    case FXC_KIND_DEVICE:
    case FXC_KIND_SCRIPT_OBJECT:
    case FXC_KIND_OPAQUE:
        done = fxc_parse_string(ps, &row);
        break;
    case FXC_KIND_DTYPE:
        return parse_enum_literal(ps, kind, &fxc_text_dtypes, out) && fxc_lex_expect(&ps->lex, ')');
    case FXC_KIND_LAYOUT:
        return parse_enum_literal(ps, kind, &fxc_text_layouts, out) && fxc_lex_expect(&ps->lex, ')');
    case FXC_KIND_MEMORY_FORMAT:
        return parse_enum_literal(ps, kind, &fxc_text_memory_formats, out) && fxc_lex_expect(&ps->lex, ')');
    case FXC_KIND_OP:
        done = fxc_parse_op(ps, &row);
        break;
    case FXC_KIND_GRAPH:
        done = parse_graph(ps, &row);
        break;
    default:
        return fxc_lex_fail(&ps->lex, "", "a kind of literal that is written with parentheses");
    }
    *out = literal(kind, row);
    return done && fxc_lex_expect(&ps->lex, ')');
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static uint32_t find_text(struct fxc_span word, const struct fxc_text_enum *texts) {
    for (uint32_t i = 0; i < texts->count; i++) {
        if (fxc_lex_is(word, texts->text[i])) {
            return i;
        }
    }
    return FXC_NONE;
}

static bool parse_tensor(struct fxc_text_parser *ps, uint32_t dtype, struct fxc_text_literal *out) {
    uint32_t meta;
    if (!fxc_parse_meta(ps, (uint8_t)dtype, &meta)) {
        return false;
    }
    *out = literal(FXC_KIND_TENSOR, meta);
    return true;
}

static bool parse_reference_to_table(struct fxc_text_parser *ps, struct fxc_span word, struct fxc_text_literal *out) {
    uint32_t row, kind = find_text(word, &fxc_text_kinds);
    if (fxc_lex_is(word, "meta")) {
        *out = literal(FXC_KIND_TENSOR, 0);
        return fxc_parse_table_reference(ps, &ps->meta_rows, "meta", &row) && (out->payload = row, true);
    }
    if (kind != FXC_KIND_LIST && kind != FXC_KIND_DICT && kind != FXC_KIND_SLICE && kind != FXC_KIND_COMPLEX) {
        return fxc_lex_fail_at(&ps->lex, word.text, "", "list#N, dict#N, slice#N, complex#N or meta#N");
    }
    *out = literal((uint8_t)kind, 0);
    return fxc_parse_table_reference(ps, &ps->list_rows, "list", &row) && (out->payload = row, true);
}

static bool parse_float_word(struct fxc_text_parser *ps, struct fxc_span word, bool negative,
                             struct fxc_text_literal *out) {
    *out = literal(FXC_KIND_FLOAT, 0);
    return fxc_lex_special_float(&ps->lex, word, negative, &out->payload);
}

static bool parse_word(struct fxc_text_parser *ps, const struct context *context, struct fxc_text_literal *out) {
    struct fxc_span word = fxc_lex_word(&ps->lex);
    char next = ps->lex.at < ps->lex.end ? *ps->lex.at : '\n';
    uint32_t dtype = next == '[' ? find_text(word, &fxc_text_dtypes) : FXC_NONE;
    if (dtype != FXC_NONE) {
        return parse_tensor(ps, dtype, out);
    }
    if (next == '#') {
        return parse_reference_to_table(ps, word, out);
    }
    if (fxc_lex_is(word, "inf") || fxc_lex_is(word, "nan")) {
        return parse_float_word(ps, word, false, out);
    }
    if (fxc_lex_is(word, "true") || fxc_lex_is(word, "false")) {
        *out = literal(FXC_KIND_BOOL, word.text[0] == 't');
        return true;
    }
    uint32_t kind = find_text(word, &fxc_text_kinds);
    if (kind == FXC_KIND_NONE || kind == FXC_KIND_TOKEN) {
        *out = literal((uint8_t)kind, 0);
        return true;
    }
    if (kind == FXC_NONE || !fxc_lex_accept_here(&ps->lex, '(')) {
        return fxc_lex_fail_at(&ps->lex, word.text, "see docs/text.md for the literals",
                               "a literal: a number, a string, %%value, [list], f32[2, 3], none, true, kind(...)");
    }
    if (kind == FXC_KIND_SLICE || kind == FXC_KIND_COMPLEX) {
        return parse_list(ps, context, (uint8_t)kind, ')', out);
    }
    return parse_call(ps, (uint8_t)kind, out);
}

/* ---- any literal ------------------------------------------------------------------------------------------------- */

static bool parse_percent(struct fxc_text_parser *ps, const struct context *context, struct fxc_text_literal *out) {
    struct fxc_text_subject subject;
    uint32_t value;
    if (!fxc_parse_subject(ps, &subject)) {
        return false;
    }
    if (!context->define || context->depth == 0 || !fxc_lex_accept(&ps->lex, ':')) {
        return fxc_parse_reference(ps, &subject, out);
    }
    if (!fxc_parse_definition(ps, &subject, context->origin, context->element_depth + 1, &value)) {
        return false;
    }
    *out = literal(FXC_KIND_VALUE, value);
    return true;
}

static bool parse_dots(struct fxc_text_parser *ps, struct fxc_text_literal *out) {
    *out = literal(FXC_KIND_ELLIPSIS, 0);
    return fxc_lex_accept_here(&ps->lex, '.') && fxc_lex_accept_here(&ps->lex, '.') &&
                   fxc_lex_accept_here(&ps->lex, '.')
               ? true
               : fxc_lex_fail(&ps->lex, "", "'...'");
}

static bool parse_number(struct fxc_text_parser *ps, struct fxc_text_literal *out) {
    bool is_float;
    if (ps->lex.end - ps->lex.at > 1 && ps->lex.at[0] == '-' && ps->lex.at[1] == 'i') {
        ps->lex.at++;
        return parse_float_word(ps, fxc_lex_word(&ps->lex), true, out);
    }
    *out = literal(FXC_KIND_INT, 0);
    if (!fxc_lex_number(&ps->lex, &out->payload, &is_float)) {
        return false;
    }
    out->kind = is_float ? FXC_KIND_FLOAT : FXC_KIND_INT;
    return true;
}

static bool parse(struct fxc_text_parser *ps, const struct context *context, struct fxc_text_literal *out) {
    uint32_t string;
    char next = fxc_lex_peek(&ps->lex);
    switch (next) {
    case '%':
        return parse_percent(ps, context, out);
    case '[':
        ps->lex.at++;
        return parse_list(ps, context, FXC_KIND_LIST, ']', out);
    case '{':
        ps->lex.at++;
        return parse_list(ps, context, FXC_KIND_DICT, '}', out);
    case '"':
    case '$':
        if (!fxc_parse_string(ps, &string)) {
            return false;
        }
        *out = literal(FXC_KIND_STRING, string);
        return true;
    case '.':
        return parse_dots(ps, out);
    default:
        return next == '-' || (next >= '0' && next <= '9') ? parse_number(ps, out) : parse_word(ps, context, out);
    }
}

bool fxc_parse_literal(struct fxc_text_parser *ps, uint32_t depth, struct fxc_text_literal *out) {
    struct context context = {.depth = depth};
    return parse(ps, &context, out);
}

bool fxc_parse_definition(struct fxc_text_parser *ps, const struct fxc_text_subject *subject,
                          struct fxc_text_origin origin, uint32_t depth, uint32_t *value) {
    struct context context = {.depth = 0, .element_depth = depth, .define = true, .origin = origin};
    struct fxc_text_literal type;
    uint32_t storage;
    if (depth > FXC_TEXT_ELEMENT_DEPTH) {
        return fxc_lex_fail(&ps->lex, "define the inner ones in lines 'value %name: ...'",
                            "definitions at most %d deep", FXC_TEXT_ELEMENT_DEPTH);
    }
    return parse(ps, &context, &type) && fxc_parse_storage(ps, &type, origin.storage_origin, &storage) &&
           fxc_define_value(ps, subject, &type, origin, storage, value);
}
