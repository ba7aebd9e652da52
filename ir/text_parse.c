/* The parser of the text form: three passes over the lines. The first reads what others refer to (strings, operators,
 * symbols, expressions, tensors, storages, names of graphs), the second the table of lists, the third the rest. */
#include "ir/text_parse.h"

#include <stdlib.h>

enum { PASSES = 3 };

typedef bool (*statement_fn)(struct fxc_text_parser *ps);

static const struct statement {
    const char *keyword;
    statement_fn pass[PASSES]; /* NULL: nothing to do in this pass */
} statements[] = {
    {"call", {NULL, NULL, fxc_parse_call_line}},
    {"capture", {NULL, NULL, fxc_parse_capture_line}},
    {"config", {NULL, NULL, fxc_parse_config_line}},
    {"constraint", {NULL, NULL, fxc_parse_constraint_line}},
    {"device", {fxc_parse_device_line, NULL, NULL}},
    {"expr", {fxc_parse_expr_line, NULL, NULL}},
    {"graph", {fxc_parse_graph_name, NULL, fxc_parse_graph_line}},
    {"input", {NULL, NULL, fxc_parse_input_line}},
    {"list", {NULL, fxc_parse_list_line, NULL}},
    {"measure", {NULL, NULL, fxc_parse_measure_line}},
    {"meta", {fxc_parse_meta_line, NULL, NULL}},
    {"module", {NULL, NULL, fxc_parse_module_line}},
    {"op", {fxc_parse_op_line, NULL, NULL}},
    {"param", {NULL, NULL, fxc_parse_param_line}},
    {"region", {NULL, NULL, fxc_parse_region_line}},
    {"return", {NULL, NULL, fxc_parse_return_line}},
    {"source", {NULL, NULL, fxc_parse_source_line}},
    {"storage", {fxc_parse_storage_line, NULL, NULL}},
    {"string", {fxc_parse_string_line, NULL, NULL}},
    {"symbol", {fxc_parse_symbol_line, NULL, NULL}},
    {"value", {NULL, NULL, fxc_parse_value_line}},
};

static const struct statement *find_statement(struct fxc_span word) {
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (fxc_lex_is(word, statements[i].keyword)) {
            return &statements[i];
        }
    }
    return NULL;
}

static bool parse_line(struct fxc_text_parser *ps, int pass) {
    static const struct statement node = {"%", {NULL, NULL, fxc_parse_node_line}};
    const char *at = ps->lex.at;
    const struct statement *statement = *at == '%' ? &node : find_statement(fxc_lex_word(&ps->lex));
    if (statement == NULL) {
        return fxc_lex_fail_at(&ps->lex, at, "see docs/text.md for the grammar",
                               "a statement: graph, input, %%name = ..., return, param, op, symbol, ...");
    }
    ps->scope = 0;
    ps->statement = at;
    if (statement->pass[pass] == NULL) {
        fxc_lex_skip_line(&ps->lex);
        return true;
    }
    if (!statement->pass[pass](ps)) {
        return false;
    }
    if (pass == 0 && statement->pass[PASSES - 1] != NULL) {
        fxc_lex_skip_line(&ps->lex);
        return true;
    }
    return fxc_lex_end_line(&ps->lex);
}

static bool parse_pass(struct fxc_text_parser *ps, const char *begin, int pass) {
    ps->lex.at = begin;
    while (fxc_lex_next_line(&ps->lex)) {
        if (!parse_line(ps, pass)) {
            return false;
        }
        if (ps->builder.failed) {
            return fxc_lex_fail_memory(&ps->lex);
        }
    }
    return true;
}

/* fxir 1.0 */
static bool parse_version(struct fxc_text_parser *ps, struct fxc_program *program) {
    uint32_t major, minor;
    if (!fxc_lex_expect_word(&ps->lex, "fxir")) {
        return false;
    }
    (void)fxc_lex_peek(&ps->lex);
    const char *at = ps->lex.at;
    if (!fxc_lex_uint32(&ps->lex, &major) || !fxc_lex_expect(&ps->lex, '.') || !fxc_lex_uint32(&ps->lex, &minor)) {
        return false;
    }
    if (major != FXC_FORMAT_MAJOR || minor > UINT16_MAX) {
        return fxc_lex_fail_at(&ps->lex, at, major > FXC_FORMAT_MAJOR ? "update fxcost" : "", "format version %d.x",
                               FXC_FORMAT_MAJOR);
    }
    program->version_major = (uint16_t)major;
    program->version_minor = (uint16_t)minor;
    return fxc_lex_end_line(&ps->lex);
}

/* A text without modules has the root alone. */
static void add_root(struct fxc_builder *b) {
    if (fxc_builder_length(b, FXC_COLUMN_module_name) == 0) {
        fxc_push_module_parent(b, FXC_NONE);
        fxc_push_module_name(b, 0);
        fxc_push_module_class(b, 0);
    }
}

/* An optional column that says nothing stays absent. */
static void drop_unused(struct fxc_text_parser *ps) {
    struct fxc_vector *column = ps->builder.column;
    column[FXC_COLUMN_node_region].length *= ps->uses_region;
    column[FXC_COLUMN_node_origin].length *= ps->uses_origin;
    column[FXC_COLUMN_node_source].length *= ps->uses_source;
}

static bool parse_text(struct fxc_text_parser *ps, struct fxc_program *program) {
    ps->device = fxc_builder_string(&ps->builder, "cpu", 3);
    if (!parse_version(ps, program)) {
        return false;
    }
    const char *begin = ps->lex.at;
    for (int pass = 0; pass < PASSES; pass++) {
        if (!parse_pass(ps, begin, pass)) {
            return false;
        }
    }
    if (!fxc_finish_values(ps)) {
        return false;
    }
    if (ps->graph_names.length == 0) {
        return fxc_lex_fail(&ps->lex, "", "at least one graph: graph \"main\" captured");
    }
    add_root(&ps->builder);
    drop_unused(ps);
    return true;
}

static void free_parser(struct fxc_text_parser *ps) {
    struct fxc_stack *stacks[] = {
        &ps->ops.rows,  &ps->symbols.rows, &ps->graphs.rows, &ps->values.rows,  &ps->graph_names,   &ps->string_rows,
        &ps->expr_rows, &ps->meta_rows,    &ps->list_rows,   &ps->words,        &ps->sizes,         &ps->strides,
        &ps->items,     &ps->fixups,       &ps->value_ids,   &ps->value_places, &ps->storage_places};
    struct fxc_intern *interns[] = {&ps->ops.keys, &ps->symbols.keys, &ps->graphs.keys, &ps->values.keys,
                                    &ps->argnames, &ps->exprs,        &ps->metas,       &ps->storages};
    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) {
        free(stacks[i]->data);
    }
    for (size_t i = 0; i < sizeof interns / sizeof interns[0]; i++) {
        fxc_intern_free(interns[i]);
    }
    fxc_builder_free(&ps->builder);
    free(ps->lex.scratch);
    free(ps);
}

fxc_status fxc_text_parse(const char *text, size_t size, struct fxc_program *program, fxc_error *err) {
    struct fxc_text_parser *ps = calloc(1, sizeof *ps);
    if (ps == NULL) {
        return fxc_fail_memory(err, program->file);
    }
    ps->lex = (struct fxc_lex){.start = text, .end = text + size, .at = text, .file = program->file, .err = err};
    fxc_builder_start(&ps->builder);
    fxc_status status = FXC_OK;
    if (parse_text(ps, program)) {
        status = fxc_builder_finish(&ps->builder, program, err);
    } else {
        status = ps->lex.status;
    }
    free_parser(ps);
    return status;
}
