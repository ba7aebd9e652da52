/* The statements of graphs, parameters and leftover values. */
#include "ir/text_parse.h"

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

/* In the first pass, so that a literal may name a graph that comes later. */
bool fxc_parse_graph_name(struct fxc_text_parser *ps) {
    uint32_t string;
    bool known;
    if (!fxc_parse_string(ps, &string)) {
        return false;
    }
    struct fxc_text_named *named =
        fxc_text_name_add(ps, &ps->graphs, &string, sizeof string, ps->graph_names.length, &known);
    if (named == NULL) {
        return false;
    }
    named->ambiguous = known;
    return fxc_stack_push(ps, &ps->graph_names, &string, sizeof string);
}

/* graph "main" captured */
bool fxc_parse_graph_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    uint32_t name;
    uint8_t view;
    if (!fxc_parse_string(ps, &name) || !fxc_parse_enum(ps, &fxc_text_views, "a view", &view)) {
        return false;
    }
    ps->graph = fxc_builder_length(b, FXC_COLUMN_graph_name);
    ps->in_graph = true;
    fxc_push_graph_name(b, name);
    fxc_push_graph_view(b, view);
    fxc_push_graph_node_begin(b, fxc_builder_length(b, FXC_COLUMN_node_op));
    fxc_push_graph_input_begin(b, fxc_builder_length(b, FXC_COLUMN_input_value));
    fxc_push_graph_output_begin(b, fxc_builder_length(b, FXC_COLUMN_output_role));
    return true;
}

static bool enter_graph(struct fxc_text_parser *ps) {
    ps->scope = ps->graph;
    return ps->in_graph || fxc_lex_fail_at(&ps->lex, ps->statement, "start one with: graph \"main\" captured",
                                           "a graph before this line");
}

/* '= kind "target"' after an input or output; both may be left out. */
static bool parse_role(struct fxc_text_parser *ps, const struct fxc_text_enum *texts, uint8_t *role, uint32_t *target) {
    *role = 0;
    *target = 0;
    if (!fxc_lex_accept(&ps->lex, '=')) {
        return true;
    }
    return fxc_parse_enum(ps, texts, "a kind of input, output or parameter", role) &&
           (fxc_lex_at_end_of_line(&ps->lex) || fxc_parse_string(ps, target));
}

/* The kind that follows a definition decides what its storage is, so it is looked up ahead: "= kind" ends the line's
 * definition, and no literal holds a '=' outside quotes. */
static bool peek_role(struct fxc_text_parser *ps, const struct fxc_text_enum *texts, uint8_t *role) {
    const char *at = ps->lex.at;
    bool quoted = false;
    *role = 0;
    for (const char *c = at; c < ps->lex.end && *c != '\n'; c++) {
        if (quoted && *c == '\\' && c + 1 < ps->lex.end && c[1] != '\n') {
            c++;
        } else if (*c == '"') {
            quoted = !quoted;
        } else if (*c == '=' && !quoted) {
            ps->lex.at = c + 1;
            bool done = fxc_parse_enum(ps, texts, "a kind of input or parameter", role);
            ps->lex.at = done ? at : ps->lex.at;
            return done;
        }
    }
    return true;
}

/* "%x: f32[4] @0" defines, "%x" refers. The rest of the line may name the kind. */
static bool parse_head(struct fxc_text_parser *ps, struct fxc_text_literal *value) {
    struct fxc_text_subject subject;
    struct fxc_text_origin origin = {.producer = FXC_NONE};
    uint8_t kind;
    uint32_t id;
    if (!fxc_parse_subject(ps, &subject)) {
        return false;
    }
    if (!fxc_lex_accept(&ps->lex, ':')) {
        return fxc_parse_reference(ps, &subject, value);
    }
    if (!peek_role(ps, &fxc_text_input_kinds, &kind)) {
        return false;
    }
    origin.storage_origin = fxc_text_implied_origin(kind);
    *value = (struct fxc_text_literal){.fixup = FXC_NONE, .kind = FXC_KIND_VALUE};
    if (!fxc_parse_definition(ps, &subject, origin, 0, &id)) {
        return false;
    }
    value->payload = id;
    return true;
}

/* input %w: f32[4, 5] @0 = parameter "fc.weight" */
bool fxc_parse_input_line(struct fxc_text_parser *ps) {
    struct fxc_text_literal value;
    uint8_t kind;
    uint32_t target;
    if (!enter_graph(ps) || !parse_head(ps, &value) || !parse_role(ps, &fxc_text_input_kinds, &kind, &target)) {
        return false;
    }
    fxc_push_reference(ps, FXC_COLUMN_input_value, &value);
    fxc_push_input_kind(&ps->builder, kind);
    fxc_push_input_target(&ps->builder, target);
    return true;
}

/* return %x = buffer_mutation "bn.running_mean" */
bool fxc_parse_return_line(struct fxc_text_parser *ps) {
    struct fxc_text_literal value;
    uint8_t role;
    uint32_t target;
    if (!enter_graph(ps) || !fxc_parse_literal(ps, 0, &value) ||
        !parse_role(ps, &fxc_text_output_kinds, &role, &target)) {
        return false;
    }
    fxc_push_output_role(&ps->builder, role);
    fxc_push_literal(ps, FXC_COLUMN_output_kind, &value);
    fxc_push_output_target(&ps->builder, target);
    return true;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static bool parse_argument(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    struct fxc_text_literal value;
    uint32_t name;
    if (!fxc_parse_name(ps, &name)) {
        return false;
    }
    uint32_t known = ps->argnames.count;
    uint32_t row = fxc_intern(&ps->argnames, &name, sizeof name);
    if (row > UINT16_MAX) {
        return row == FXC_NONE ? fxc_lex_fail_memory(&ps->lex)
                               : fxc_lex_fail(&ps->lex, "", "at most %d different argument names", UINT16_MAX + 1);
    }
    if (row == known) {
        fxc_push_argname_text(b, name);
    }
    if (!fxc_lex_expect(&ps->lex, '=') || !fxc_parse_literal(ps, 0, &value)) {
        return false;
    }
    fxc_push_arg_name(b, (uint16_t)row);
    fxc_push_literal(ps, FXC_COLUMN_arg_kind, &value);
    return true;
}

static bool parse_arguments(struct fxc_text_parser *ps) {
    if (!fxc_lex_expect(&ps->lex, '(')) {
        return false;
    }
    if (fxc_lex_accept(&ps->lex, ')')) {
        return true;
    }
    do {
        if (!parse_argument(ps)) {
            return false;
        }
    } while (fxc_lex_accept(&ps->lex, ','));
    return fxc_lex_expect(&ps->lex, ')');
}

struct attributes {
    uint32_t call, region, origin, source, flags;
};

static bool parse_attribute(struct fxc_text_parser *ps, struct attributes *a) {
    const char *at = ps->lex.at;
    struct fxc_span word = fxc_lex_word(&ps->lex);
    if (!fxc_lex_accept_here(&ps->lex, '=')) {
        uint32_t flag = 0;
        bool known = fxc_text_flag(word, &fxc_text_node_flags, 16, &flag);
        a->flags |= flag;
        return known ||
               fxc_lex_fail_at(&ps->lex, at, "", "call=, region=, origin=, src=, a flag or the end of the line");
    }
    uint32_t *out = fxc_lex_is(word, "call")     ? &a->call
                    : fxc_lex_is(word, "region") ? &a->region
                    : fxc_lex_is(word, "origin") ? &a->origin
                    : fxc_lex_is(word, "src")    ? &a->source
                                                 : NULL;
    if (out == NULL) {
        return fxc_lex_fail_at(&ps->lex, at, "", "call=, region=, origin= or src=");
    }
    return fxc_lex_uint32(&ps->lex, out);
}

static bool parse_attributes(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    struct attributes a = {FXC_NONE, FXC_NONE, FXC_NONE, FXC_NONE, 0};
    while (!fxc_lex_at_end_of_line(&ps->lex)) {
        if (!parse_attribute(ps, &a)) {
            return false;
        }
    }
    fxc_push_node_call(b, a.call);
    fxc_push_node_flags(b, (uint16_t)a.flags);
    fxc_push_node_region(b, a.region);
    fxc_push_node_origin(b, a.origin);
    fxc_push_node_source(b, a.source);
    ps->uses_region = ps->uses_region || a.region != FXC_NONE;
    ps->uses_origin = ps->uses_origin || a.origin != FXC_NONE;
    ps->uses_source = ps->uses_source || a.source != FXC_NONE;
    return !b->failed || fxc_lex_fail_memory(&ps->lex);
}

/* "-> f32[1, 4] @3" defines the subject as this node's result; without it the subject refers to a value. */
static bool parse_result(struct fxc_text_parser *ps, const struct fxc_text_subject *subject, uint32_t node,
                         struct fxc_text_literal *result) {
    struct fxc_text_origin origin = {.producer = node, .storage_origin = FXC_STORAGE_ORIGIN_INTERMEDIATE};
    uint32_t id;
    if (!fxc_lex_accept(&ps->lex, '-')) {
        return fxc_parse_reference(ps, subject, result);
    }
    *result = (struct fxc_text_literal){.fixup = FXC_NONE, .kind = FXC_KIND_VALUE};
    if (!fxc_lex_accept_here(&ps->lex, '>')) {
        return fxc_lex_fail(&ps->lex, "", "'->'");
    }
    if (!fxc_parse_definition(ps, subject, origin, 0, &id)) {
        return false;
    }
    result->payload = id;
    return true;
}

/* %linear = aten.linear.default(input=%x, weight=%w) -> f32[1, 4] @3 call=1 src=3 */
bool fxc_parse_node_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    struct fxc_text_subject subject;
    struct fxc_text_literal result;
    uint32_t op, node = fxc_builder_length(b, FXC_COLUMN_node_op);
    if (!enter_graph(ps) || !fxc_parse_subject(ps, &subject) || !fxc_lex_expect(&ps->lex, '=') ||
        !fxc_parse_op(ps, &op)) {
        return false;
    }
    fxc_push_node_op(b, op);
    fxc_push_node_arg_begin(b, fxc_builder_length(b, FXC_COLUMN_arg_name));
    if (!parse_arguments(ps) || !parse_result(ps, &subject, node, &result)) {
        return false;
    }
    fxc_push_reference(ps, FXC_COLUMN_node_result, &result);
    return parse_attributes(ps);
}

/* ---- parameters and leftover values ------------------------------------------------------------------------------ */

/* param %w = parameter "fc.weight" module=1 requires_grad, or with the value's definition after its name */
bool fxc_parse_param_line(struct fxc_text_parser *ps) {
    struct fxc_builder *b = &ps->builder;
    struct fxc_text_literal value;
    uint32_t name, module = 0, flags = 0;
    uint8_t kind;
    ps->scope = 0;
    if (!parse_head(ps, &value) || !fxc_lex_expect(&ps->lex, '=') ||
        !fxc_parse_enum(ps, &fxc_text_input_kinds, "a kind of parameter", &kind) || !fxc_parse_string(ps, &name)) {
        return false;
    }
    (void)fxc_lex_peek(&ps->lex);
    const char *at = ps->lex.at;
    if (!fxc_lex_is(fxc_lex_word(&ps->lex), "module")) {
        ps->lex.at = at; /* the root's, then */
    } else if (!fxc_lex_expect(&ps->lex, '=') || !fxc_lex_uint32(&ps->lex, &module)) {
        return false;
    }
    if (!fxc_parse_flags(ps, &fxc_text_param_flags, 8, &flags)) {
        return false;
    }
    fxc_push_reference(ps, FXC_COLUMN_param_value, &value);
    fxc_push_param_module(b, module);
    fxc_push_param_name(b, name);
    fxc_push_param_kind(b, kind);
    fxc_push_param_flags(b, (uint8_t)flags);
    return true;
}

/* value %x: f32[4] @3 producer=7 */
bool fxc_parse_value_line(struct fxc_text_parser *ps) {
    struct fxc_text_subject subject;
    struct fxc_text_origin origin = {.producer = FXC_NONE, .storage_origin = FXC_STORAGE_ORIGIN_INTERMEDIATE};
    uint32_t value;
    ps->scope = 0;
    if (!fxc_parse_subject(ps, &subject) || !fxc_lex_expect(&ps->lex, ':') ||
        !fxc_parse_definition(ps, &subject, origin, 0, &value)) {
        return false;
    }
    if (fxc_lex_at_end_of_line(&ps->lex)) {
        return true;
    }
    uint32_t producer;
    if (!fxc_lex_expect_word(&ps->lex, "producer") || !fxc_lex_expect(&ps->lex, '=') ||
        !fxc_lex_uint32(&ps->lex, &producer)) {
        return false;
    }
    /* The value's own row is the last one; its unnamed elements have lines of their own. */
    struct fxc_vector *column = &ps->builder.column[FXC_COLUMN_value_producer];
    ((uint32_t *)column->data)[column->length - 1] = producer;
    return true;
}
