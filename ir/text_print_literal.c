/* Literals of the text form: expressions, tensors, lists, values. */
#include <string.h>

#include "ir/text_print.h"

static void put(struct fxc_text_printer *pr, const char *text) {
    fxc_print_text(pr, text);
}

static void put_numbered(struct fxc_text_printer *pr, const char *word, uint32_t number) {
    put(pr, word);
    put(pr, "#");
    fxc_print_int(pr, number);
}

/* ---- expressions ------------------------------------------------------------------------------------------------- */

static void print_symbol(struct fxc_text_printer *pr, int64_t payload) {
    const struct fxc_program *p = pr->program;
    /* The column checks leave token payloads alone: a symbol that does not exist prints as its number. */
    if (payload < 0 || payload >= FXC_COUNT(p, symbol)) {
        put(pr, "symbol(");
        fxc_print_int(pr, payload);
        put(pr, ")");
        return;
    }
    const char *text = fxc_string(p, p->symbol_name[payload]);
    if (fxc_text_is_reserved_symbol(text, strlen(text))) {
        fxc_print_string(pr, p->symbol_name[payload]);
    } else {
        fxc_print_name(pr, p->symbol_name[payload]);
    }
    if (pr->plan.symbol_ambiguous[payload]) {
        put_numbered(pr, "", (uint32_t)payload);
    }
}

static void print_token(struct fxc_text_printer *pr, uint32_t token) {
    const struct fxc_program *p = pr->program;
    switch (p->token_op[token]) {
    case FXC_TOKEN_CONST:
        fxc_print_int(pr, p->token_payload[token]);
        break;
    case FXC_TOKEN_FLOAT:
        fxc_print_float(pr, p->token_payload[token]);
        break;
    case FXC_TOKEN_SYMBOL:
        print_symbol(pr, p->token_payload[token]);
        break;
    default:
        put(pr, fxc_text_tokens.text[p->token_op[token]]);
        break;
    }
}

/* First token of the operand that ends in token `last`. The expression is well formed (is_inline in text_plan.c). */
static uint32_t operand_begin(const struct fxc_program *p, uint32_t last) {
    uint32_t wanted = 1, at = last + 1;
    while (wanted > 0) {
        at--;
        wanted = wanted - 1 + fxc_text_token_operands[p->token_op[at]];
    }
    return at;
}

/* Prefix form of the operand that ends in token `last`; at most FXC_TEXT_INLINE_TOKENS deep. */
static void print_operand(struct fxc_text_printer *pr, uint32_t last) {
    const struct fxc_program *p = pr->program;
    uint32_t operands = fxc_text_token_operands[p->token_op[last]];
    uint32_t ends[4] = {0}, at = last;
    print_token(pr, last);
    for (uint32_t i = operands; i-- > 0;) {
        ends[i] = at - 1;
        at = operand_begin(p, at - 1);
    }
    for (uint32_t i = 0; i < operands; i++) {
        put(pr, i == 0 ? "(" : ", ");
        print_operand(pr, ends[i]);
    }
    put(pr, operands > 0 ? ")" : "");
}

void fxc_print_expr(struct fxc_text_printer *pr, uint32_t expr) {
    uint32_t number = pr->plan.exprs.number[pr->plan.map.expr[expr]];
    if (number != FXC_NONE) {
        put_numbered(pr, "expr", number);
    } else {
        print_operand(pr, pr->program->expr_begin[expr + 1] - 1);
    }
}

void fxc_print_expr_postfix(struct fxc_text_printer *pr, uint32_t expr) {
    put(pr, "postfix");
    for (uint32_t i = pr->program->expr_begin[expr]; i < pr->program->expr_begin[expr + 1]; i++) {
        put(pr, " ");
        print_token(pr, i);
    }
}

void fxc_print_symint(struct fxc_text_printer *pr, int64_t symint) {
    const struct fxc_program *p = pr->program;
    if (fxc_is_literal(symint)) {
        fxc_print_int(pr, symint);
        return;
    }
    uint32_t expr = fxc_symint_expr(symint), begin = p->expr_begin[expr];
    bool constant = p->expr_begin[expr + 1] - begin == 1 && p->token_op[begin] == FXC_TOKEN_CONST;
    /* An expression that is one constant is not the literal of that value. */
    put(pr, constant ? "const(" : "");
    fxc_print_expr(pr, expr);
    put(pr, constant ? ")" : "");
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static void print_symints(struct fxc_text_printer *pr, const int64_t *symints, uint32_t begin, uint32_t end) {
    for (uint32_t i = begin; i < end; i++) {
        put(pr, i > begin ? ", " : "");
        fxc_print_symint(pr, symints[i]);
    }
}

void fxc_print_meta_row(struct fxc_text_printer *pr, uint32_t meta) {
    const struct fxc_program *p = pr->program;
    uint32_t begin = p->meta_dim_begin[meta], end = p->meta_dim_begin[meta + 1];
    bool strided = p->meta_layout[meta] == FXC_LAYOUT_STRIDED;
    put(pr, fxc_text_dtypes.text[p->meta_dtype[meta]]);
    put(pr, "[");
    print_symints(pr, p->dim_size, begin, end);
    put(pr, "]");
    if (!fxc_text_strides_implied(&pr->plan.exprs_view, strided, end - begin, p->dim_size + begin,
                                  p->dim_stride + begin)) {
        put(pr, "{");
        print_symints(pr, p->dim_stride, begin, end);
        put(pr, "}");
    }
    if (p->meta_offset[meta] != 0) {
        put(pr, "+");
        fxc_print_symint(pr, p->meta_offset[meta]);
    }
    if (!strided || p->meta_flags[meta] != 0) {
        put(pr, "<");
        put(pr, strided ? "" : fxc_text_layouts.text[p->meta_layout[meta]]);
        fxc_print_flags(pr, &fxc_text_tensor_flags, p->meta_flags[meta], strided ? "" : ", ", ", ");
        put(pr, ">");
    }
}

static void print_meta(struct fxc_text_printer *pr, uint32_t meta) {
    uint32_t number = pr->plan.metas.number[pr->plan.map.meta[meta]];
    if (number != FXC_NONE) {
        put_numbered(pr, "meta", number);
    } else {
        fxc_print_meta_row(pr, meta);
    }
}

/* ---- values, operators, graphs ----------------------------------------------------------------------------------- */

void fxc_print_value_name(struct fxc_text_printer *pr, uint32_t value, bool numbered) {
    const struct fxc_program *p = pr->program;
    put(pr, "%");
    if (fxc_string(p, p->value_name[value])[0] != '\0') {
        fxc_print_name(pr, p->value_name[value]);
    }
    if (numbered) {
        put_numbered(pr, "", value);
    }
}

void fxc_print_value(struct fxc_text_printer *pr, uint32_t value) {
    const struct fxc_text_value *v = &pr->plan.values[value];
    fxc_print_value_name(pr, value, v->ambiguous || v->scope != pr->scope);
}

void fxc_print_op(struct fxc_text_printer *pr, uint32_t op) {
    fxc_print_name(pr, pr->program->op_name[op]);
    if (pr->plan.op_ambiguous[op]) {
        put_numbered(pr, "", op);
    }
}

static void print_graph(struct fxc_text_printer *pr, uint32_t graph) {
    put(pr, "graph(");
    fxc_print_string(pr, pr->program->graph_name[graph]);
    if (pr->plan.graph_ambiguous[graph]) {
        put_numbered(pr, "", graph);
    }
    put(pr, ")");
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static const char *opening(uint8_t kind) {
    switch (kind) {
    case FXC_KIND_DICT:
        return "{";
    case FXC_KIND_SLICE:
        return "slice(";
    case FXC_KIND_COMPLEX:
        return "complex(";
    default:
        return "[";
    }
}

static const char *closing(uint8_t kind) {
    return kind == FXC_KIND_LIST ? "]" : kind == FXC_KIND_DICT ? "}" : ")";
}

/* With an owner, its unnamed elements are defined here. */
static void print_items(struct fxc_text_printer *pr, uint8_t kind, uint32_t list, uint32_t owner) {
    const struct fxc_program *p = pr->program;
    uint32_t begin = p->list_begin[list], end = p->list_begin[list + 1];
    put(pr, opening(kind));
    for (uint32_t i = begin; i < end; i++) {
        bool key = kind == FXC_KIND_DICT && (i - begin) % 2 == 0;
        put(pr, i == begin ? "" : kind == FXC_KIND_DICT && !key ? ": " : ", ");
        uint32_t value = p->item_kind[i] == FXC_KIND_VALUE ? (uint32_t)p->item_payload[i] : FXC_NONE;
        if (owner != FXC_NONE && !key && value != FXC_NONE && fxc_text_is_element(&pr->plan, owner, value)) {
            pr->plan.values[value].printed = true;
            fxc_print_value_name(pr, value, pr->plan.values[value].numbered);
            put(pr, ": ");
            fxc_print_definition(pr, value);
        } else {
            fxc_print_literal(pr, p->item_kind[i], p->item_payload[i]);
        }
    }
    put(pr, closing(kind));
}

static void print_list(struct fxc_text_printer *pr, uint8_t kind, uint32_t list, uint32_t owner) {
    uint32_t number = pr->plan.lists.number[pr->plan.map.list[list]];
    if (number != FXC_NONE) {
        put_numbered(pr, fxc_text_kinds.text[kind], number);
    } else {
        print_items(pr, kind, list, owner);
    }
}

void fxc_print_list(struct fxc_text_printer *pr, uint8_t kind, uint32_t list) {
    print_list(pr, kind, list, FXC_NONE);
}

void fxc_print_list_row(struct fxc_text_printer *pr, uint32_t list) {
    print_items(pr, FXC_KIND_LIST, list, FXC_NONE);
}

/* ---- any literal ------------------------------------------------------------------------------------------------- */

static void print_call(struct fxc_text_printer *pr, uint8_t kind, const char *text) {
    put(pr, fxc_text_kinds.text[kind]);
    put(pr, "(");
    put(pr, text);
}

static const char *enum_text(const struct fxc_text_enum *texts, int64_t payload) {
    /* Every enumeration ends in OPAQUE, which stands for enumerators of a newer version. */
    return texts->text[payload >= 0 && payload < texts->count ? (uint32_t)payload : texts->count - 1];
}

void fxc_print_literal(struct fxc_text_printer *pr, uint8_t kind, int64_t payload) {
    switch ((enum fxc_kind)kind) {
    case FXC_KIND_NONE:
    case FXC_KIND_TOKEN:
        put(pr, fxc_text_kinds.text[kind]);
        break;
    case FXC_KIND_ELLIPSIS:
        put(pr, "...");
        break;
    case FXC_KIND_BOOL:
        put(pr, payload != 0 ? "true" : "false");
        break;
    case FXC_KIND_INT:
        fxc_print_int(pr, payload);
        break;
    case FXC_KIND_FLOAT:
        fxc_print_float(pr, payload);
        break;
    case FXC_KIND_SYMINT:
    case FXC_KIND_SYMFLOAT:
    case FXC_KIND_SYMBOOL:
        print_call(pr, kind, "");
        fxc_print_expr(pr, (uint32_t)payload);
        put(pr, ")");
        break;
    case FXC_KIND_STRING:
        fxc_print_string(pr, (uint32_t)payload);
        break;
    case FXC_KIND_DEVICE:
    case FXC_KIND_SCRIPT_OBJECT:
    case FXC_KIND_OPAQUE:
        print_call(pr, kind, "");
        fxc_print_string(pr, (uint32_t)payload);
        put(pr, ")");
        break;
    case FXC_KIND_DTYPE:
        print_call(pr, kind, enum_text(&fxc_text_dtypes, payload));
        put(pr, ")");
        break;
    case FXC_KIND_LAYOUT:
        print_call(pr, kind, enum_text(&fxc_text_layouts, payload));
        put(pr, ")");
        break;
    case FXC_KIND_MEMORY_FORMAT:
        print_call(pr, kind, enum_text(&fxc_text_memory_formats, payload));
        put(pr, ")");
        break;
    case FXC_KIND_VALUE:
        fxc_print_value(pr, (uint32_t)payload);
        break;
    case FXC_KIND_GRAPH:
        print_graph(pr, (uint32_t)payload);
        break;
    case FXC_KIND_OP:
        print_call(pr, kind, "");
        fxc_print_op(pr, (uint32_t)payload);
        put(pr, ")");
        break;
    case FXC_KIND_COMPLEX:
    case FXC_KIND_LIST:
    case FXC_KIND_DICT:
    case FXC_KIND_SLICE:
        fxc_print_list(pr, kind, (uint32_t)payload);
        break;
    case FXC_KIND_TENSOR:
        print_meta(pr, (uint32_t)payload);
        break;
    case FXC_KIND_COUNT:
        break;
    }
}

void fxc_print_definition(struct fxc_text_printer *pr, uint32_t value) {
    const struct fxc_program *p = pr->program;
    uint8_t kind = p->value_kind[value];
    if (kind == FXC_KIND_LIST || kind == FXC_KIND_DICT) {
        print_list(pr, kind, (uint32_t)p->value_payload[value], value);
    } else {
        fxc_print_literal(pr, kind, p->value_payload[value]);
    }
    if (p->value_storage[value] != FXC_NONE) {
        put(pr, " @");
        fxc_print_int(pr, p->value_storage[value]);
    }
}
