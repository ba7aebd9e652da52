/* The statements outside graphs. */
#include <string.h>

#include "ir/text_parse.h"

/* string 0 = "..." */
bool fxc_parse_string_line(struct fxc_text_parser *ps) {
    uint32_t string;
    return fxc_parse_row_number(ps, ps->string_rows.length) && fxc_lex_expect(&ps->lex, '=') &&
           fxc_parse_string(ps, &string) && fxc_stack_push(ps, &ps->string_rows, &string, sizeof string);
}

/* capture torch = "2.13.0" */
bool fxc_parse_capture_line(struct fxc_text_parser *ps) {
    uint32_t key;
    struct fxc_text_literal literal;
    if (!fxc_parse_name(ps, &key) || !fxc_lex_expect(&ps->lex, '=') || !fxc_parse_literal(ps, 0, &literal)) {
        return false;
    }
    fxc_push_capture_key(&ps->builder, key);
    fxc_push_literal(ps, FXC_COLUMN_capture_kind, &literal);
    return true;
}

/* device "cuda:0" */
bool fxc_parse_device_line(struct fxc_text_parser *ps) {
    return fxc_parse_string(ps, &ps->device);
}

/* A further row with this name makes the name ambiguous. */
static bool add_row_name(struct fxc_text_parser *ps, struct fxc_text_names *names, uint32_t string, uint32_t row) {
    bool known;
    struct fxc_text_named *named = fxc_text_name_add(ps, names, &string, sizeof string, row, &known);
    if (named != NULL) {
        named->ambiguous = known;
    }
    return named != NULL;
}

/* op aten.relu.default aten "(Tensor self) -> Tensor" core pointwise */
bool fxc_parse_op_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    uint32_t name, schema, tags = 0;
    uint8_t origin;
    if (!fxc_parse_name(ps, &name) || !fxc_parse_enum(ps, &fxc_text_op_origins, "an operator's origin", &origin) ||
        !fxc_parse_string(ps, &schema) || !fxc_parse_flags(ps, &fxc_text_op_tags, 32, &tags)) {
        return false;
    }
    uint32_t row = fxc_builder_length(b, FXC_COLUMN_op_name);
    fxc_push_op_name(b, name);
    fxc_push_op_origin(b, origin);
    fxc_push_op_schema(b, schema);
    fxc_push_op_tags(b, tags);
    return add_row_name(ps, &ps->ops, name, row);
}

/* ---- symbols and constraints ------------------------------------------------------------------------------------- */

/* min=2 max=16 hint=4 unbacked: what a symbol and a constraint may say. */
struct range {
    uint32_t flags;
    uint32_t dim;
    int64_t hint, min, max;
};

static bool parse_bound(struct fxc_text_parser *ps, struct range *range, uint32_t flag, int64_t *out) {
    range->flags |= flag;
    return fxc_lex_expect(&ps->lex, '=') && fxc_lex_int(&ps->lex, out);
}

static bool parse_range(struct fxc_text_parser *ps, struct range *range) {
    while (!fxc_lex_at_end_of_line(&ps->lex)) {
        const char *at = ps->lex.at;
        struct fxc_span word = fxc_lex_word(&ps->lex);
        bool done, value = fxc_lex_peek(&ps->lex) == '=';
        uint32_t flag;
        if (value && fxc_lex_is(word, "dim")) {
            done = fxc_lex_expect(&ps->lex, '=') && fxc_parse_string(ps, &range->dim);
        } else if (value && fxc_lex_is(word, "hint")) {
            done = parse_bound(ps, range, FXC_SYMBOL_FLAG_HAS_HINT, &range->hint);
        } else if (value && fxc_lex_is(word, "min")) {
            done = parse_bound(ps, range, FXC_SYMBOL_FLAG_HAS_MIN, &range->min);
        } else if (value && fxc_lex_is(word, "max")) {
            done = parse_bound(ps, range, FXC_SYMBOL_FLAG_HAS_MAX, &range->max);
        } else if (fxc_text_flag(word, &fxc_text_symbol_flags, 8, &flag)) {
            /* A constraint has no hint to read, so its flag may stand alone. */
            range->flags |= flag;
            done = true;
        } else {
            done = fxc_lex_fail_at(&ps->lex, at, "", "hint=, min=, max=, a flag or the end of the line");
        }
        if (!done) {
            return false;
        }
    }
    return true;
}

/* symbol s77 dim="batch" hint=4 min=2 max=64 unbacked */
bool fxc_parse_symbol_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    struct range range = {0};
    uint32_t name, row = fxc_builder_length(b, FXC_COLUMN_symbol_name);
    if (!fxc_parse_name(ps, &name) || !parse_range(ps, &range)) {
        return false;
    }
    fxc_push_symbol_name(b, name);
    fxc_push_symbol_dim(b, range.dim);
    fxc_push_symbol_flags(b, (uint8_t)range.flags);
    fxc_push_symbol_hint(b, range.hint);
    fxc_push_symbol_min(b, range.min);
    fxc_push_symbol_max(b, range.max);
    return add_row_name(ps, &ps->symbols, name, row);
}

/* constraint Mul(2, s17) min=2 max=64 */
bool fxc_parse_constraint_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    struct range range = {0};
    uint32_t expr;
    if (!fxc_parse_expr(ps, &expr) || !parse_range(ps, &range)) {
        return false;
    }
    fxc_push_constraint_expr(b, expr);
    fxc_push_constraint_flags(b, (uint8_t)range.flags);
    fxc_push_constraint_min(b, range.min);
    fxc_push_constraint_max(b, range.max);
    return true;
}

/* ---- modules, regions, sources, calls ---------------------------------------------------------------------------- */

/* "in 3" where there is a parent. */
static bool parse_parent(struct fxc_text_parser *ps, uint32_t *parent) {
    *parent = FXC_NONE;
    if (fxc_lex_at_end_of_line(&ps->lex)) {
        return true;
    }
    const char *at = ps->lex.at;
    if (fxc_lex_is(fxc_lex_word(&ps->lex), "in")) {
        return fxc_lex_uint32(&ps->lex, parent);
    }
    ps->lex.at = at;
    return true;
}

/* module 1 "fc" "Linear" in 0 */
bool fxc_parse_module_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    uint32_t name, class_name, parent;
    if (!fxc_parse_row_number(ps, fxc_builder_length(b, FXC_COLUMN_module_name)) || !fxc_parse_string(ps, &name) ||
        !fxc_parse_string(ps, &class_name) || !parse_parent(ps, &parent)) {
        return false;
    }
    fxc_push_module_parent(b, parent);
    fxc_push_module_name(b, name);
    fxc_push_module_class(b, class_name);
    return true;
}

/* config 1 in_features = 4 */
bool fxc_parse_config_line(struct fxc_text_parser *ps) {
    uint32_t module, key;
    struct fxc_text_literal literal;
    if (!fxc_lex_uint32(&ps->lex, &module) || !fxc_parse_name(ps, &key) || !fxc_lex_expect(&ps->lex, '=') ||
        !fxc_parse_literal(ps, 0, &literal)) {
        return false;
    }
    fxc_push_config_module(&ps->builder, module);
    fxc_push_config_key(&ps->builder, key);
    fxc_push_literal(ps, FXC_COLUMN_config_kind, &literal);
    return true;
}

/* region 1 autocast in 0 config={"dtype": dtype(bf16)} */
bool fxc_parse_region_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    uint32_t parent, config = FXC_NONE;
    uint8_t kind;
    if (!fxc_parse_row_number(ps, fxc_builder_length(b, FXC_COLUMN_region_kind)) ||
        !fxc_parse_enum(ps, &fxc_text_region_kinds, "a region's kind", &kind) || !parse_parent(ps, &parent)) {
        return false;
    }
    if (!fxc_lex_at_end_of_line(&ps->lex) && (!fxc_lex_expect_word(&ps->lex, "config") ||
                                              !fxc_lex_expect(&ps->lex, '=') || !fxc_parse_list_row(ps, &config))) {
        return false;
    }
    fxc_push_region_kind(b, kind);
    fxc_push_region_parent(b, parent);
    fxc_push_region_config(b, config);
    return true;
}

/* What a column has must be said in every row, since it is there in all or in none. */
static bool even_source(struct fxc_text_parser *ps, enum fxc_column column, uint32_t rows, const char *what) {
    uint32_t length = fxc_builder_length(&ps->builder, column);
    return length == 0 || length == rows || fxc_lex_fail(&ps->lex, "", "%s in every source line or in none", what);
}

/* source 0 file="model.py" line=88 function="forward" */
bool fxc_parse_source_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    uint32_t rows = ps->source_count + 1, number;
    if (!fxc_parse_row_number(ps, ps->source_count)) {
        return false;
    }
    while (!fxc_lex_at_end_of_line(&ps->lex)) {
        const char *at = ps->lex.at;
        struct fxc_span word = fxc_lex_word(&ps->lex);
        bool line = fxc_lex_is(word, "line"), file = fxc_lex_is(word, "file");
        if (!line && !file && !fxc_lex_is(word, "function")) {
            return fxc_lex_fail_at(&ps->lex, at, "", "file=, line= or function=");
        }
        if (!fxc_lex_expect(&ps->lex, '=') ||
            !(line ? fxc_lex_any_uint32(&ps->lex, &number) : fxc_parse_string(ps, &number))) {
            return false;
        }
        fxc_builder_push(b,
                         line   ? FXC_COLUMN_source_line
                         : file ? FXC_COLUMN_source_file
                                : FXC_COLUMN_source_function,
                         &number);
    }
    ps->source_count = rows;
    return even_source(ps, FXC_COLUMN_source_file, rows, "file=") &&
           even_source(ps, FXC_COLUMN_source_line, rows, "line=") &&
           even_source(ps, FXC_COLUMN_source_function, rows, "function=");
}

/* measure 3 min_ns = 12345 */
/* measure program median_ns = 67890 */
bool fxc_parse_measure_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    const char *at = ps->lex.at;
    uint32_t node = FXC_NONE;
    uint8_t what;
    int64_t value;
    if (!fxc_lex_is(fxc_lex_word(&ps->lex), "program")) {
        ps->lex.at = at;
        if (!fxc_lex_uint32(&ps->lex, &node)) {
            return false;
        }
    }
    if (!fxc_parse_enum(ps, &fxc_text_measures, "what is measured", &what) || !fxc_lex_expect(&ps->lex, '=') ||
        !fxc_lex_int(&ps->lex, &value)) {
        return false;
    }
    fxc_push_measure_node(b, node);
    fxc_push_measure_what(b, what);
    fxc_push_measure_value(b, value);
    return true;
}

struct call {
    uint32_t module, parent, number, flags, inputs, outputs;
};

static bool parse_call_field(struct fxc_text_parser *ps, struct call *call) {
    const char *at = ps->lex.at;
    struct fxc_span word = fxc_lex_word(&ps->lex);
    uint32_t flag;
    if (fxc_text_flag(word, &fxc_text_call_flags, 8, &flag)) {
        call->flags |= flag;
        return true;
    }
    if (fxc_lex_is(word, "in")) {
        return fxc_lex_uint32(&ps->lex, &call->parent);
    }
    bool inputs = fxc_lex_is(word, "inputs");
    if (inputs || fxc_lex_is(word, "outputs")) {
        return fxc_lex_expect(&ps->lex, '=') && fxc_parse_list_row(ps, inputs ? &call->inputs : &call->outputs);
    }
    bool module = fxc_lex_is(word, "module");
    if (module || fxc_lex_is(word, "number")) {
        return fxc_lex_expect(&ps->lex, '=') && fxc_lex_any_uint32(&ps->lex, module ? &call->module : &call->number);
    }
    return fxc_lex_fail_at(&ps->lex, at, "", "module=, number=, in, a flag, inputs=, outputs= or the end of the line");
}

/* call 2 module=1 number=0 in 0 training inputs=[%x] outputs=[%linear] */
bool fxc_parse_call_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    struct call call = {.parent = FXC_NONE, .inputs = FXC_NONE, .outputs = FXC_NONE};
    if (!fxc_parse_row_number(ps, fxc_builder_length(b, FXC_COLUMN_call_module))) {
        return false;
    }
    while (!fxc_lex_at_end_of_line(&ps->lex)) {
        if (!parse_call_field(ps, &call)) {
            return false;
        }
    }
    fxc_push_call_module(b, call.module);
    fxc_push_call_parent(b, call.parent);
    fxc_push_call_number(b, call.number);
    fxc_push_call_flags(b, (uint8_t)call.flags);
    fxc_push_call_inputs(b, call.inputs);
    fxc_push_call_outputs(b, call.outputs);
    return true;
}
