/* Internal to the parser of the text form. */
#ifndef FXC_IR_TEXT_PARSE_H
#define FXC_IR_TEXT_PARSE_H

#include "ir/builder.h"
#include "ir/text_lex.h"

/* A growable array of the parser's own. */
struct fxc_stack {
    void *data;
    uint32_t length, capacity;
};

/* Names of one kind of row. */
struct fxc_text_names {
    struct fxc_intern keys;
    struct fxc_stack rows; /* of struct fxc_text_named, by key */
};
struct fxc_text_named {
    uint32_t row;
    bool ambiguous; /* several rows have this name */
    bool used;      /* a reference took it for the only one */
};

/* A kind and payload. A reference to a value that is not known yet is a fix-up without a place so far. */
struct fxc_text_literal {
    int64_t payload;
    uint32_t fixup; /* FXC_NONE: the payload is final */
    uint8_t kind;
};

/* A value's name where it is defined or referred to. */
struct fxc_text_subject {
    const char *at;
    uint32_t name;   /* string */
    uint32_t number; /* FXC_NONE: not given */
};

struct fxc_text_fixup {
    struct fxc_text_subject subject;
    uint32_t scope;
    uint32_t column, row;
};

/* What a definition says of its value. */
struct fxc_text_origin {
    uint32_t producer;
    uint8_t storage_origin;
};

struct fxc_text_parser {
    struct fxc_lex lex;
    struct fxc_builder builder;
    const char *statement; /* where the current one starts */
    uint32_t scope;        /* the graph in which names are looked up */
    uint32_t graph;        /* the graph whose lines are being read */
    bool in_graph;
    bool uses_region, uses_origin, uses_source;
    uint32_t device; /* string: of storages without a line */

    struct fxc_text_names ops, symbols, graphs, values;
    struct fxc_intern argnames, exprs, metas, storages;
    struct fxc_stack graph_names; /* uint32_t: string of each graph, from the first pass */

    struct fxc_stack string_rows, expr_rows, meta_rows, list_rows; /* uint32_t: rows of the tables' entries */
    struct fxc_stack words;                                        /* int64_t: the row being read */
    struct fxc_stack sizes, strides;                               /* int64_t: of the tensor being read */
    struct fxc_stack items;                        /* struct fxc_text_literal: items of the lists being read */
    struct fxc_stack fixups;                       /* struct fxc_text_fixup */
    struct fxc_stack value_ids;                    /* uint32_t: number of each value, in the order of definition */
    struct fxc_stack value_places, storage_places; /* const char *: where each was defined, for messages */
    uint32_t next_value;
    uint32_t source_count;
};

/* ---- support (text_parse_support.c) ---- */
/* Appends an element; false when memory is out. */
bool fxc_stack_push(struct fxc_text_parser *ps, struct fxc_stack *stack, const void *element, size_t size);
/* The entry of a key, new or known; NULL when memory is out. *known says which. */
struct fxc_text_named *fxc_text_name_add(struct fxc_text_parser *ps, struct fxc_text_names *names, const void *key,
                                         size_t size, uint32_t row, bool *known);
struct fxc_text_named *fxc_text_name_find(struct fxc_text_names *names, const void *key, size_t size);
/* "name", "name" in quotes or "$3": a string id. */
bool fxc_parse_name(struct fxc_text_parser *ps, uint32_t *string);
/* A quoted string or "$3". */
bool fxc_parse_string(struct fxc_text_parser *ps, uint32_t *string);
/* "#7" right here; FXC_NONE without one. */
bool fxc_parse_number_sign(struct fxc_text_parser *ps, uint32_t *number);
/* The row behind "word#3" (the '#' not taken yet). */
bool fxc_parse_table_reference(struct fxc_text_parser *ps, const struct fxc_stack *rows, const char *what,
                               uint32_t *row);
/* The row of a named table: by name, or by number and name. `column` is the table's name column. */
bool fxc_parse_named_row(struct fxc_text_parser *ps, struct fxc_text_names *names, enum fxc_column column,
                         const char *what, const char *at, uint32_t string, uint32_t *row);
/* The number that a row's line must give: the next of its table. */
bool fxc_parse_row_number(struct fxc_text_parser *ps, uint32_t next);
/* The index of a word in an enumeration. */
bool fxc_parse_enum(struct fxc_text_parser *ps, const struct fxc_text_enum *texts, const char *what, uint8_t *out);
/* The bit of a flag's word ("requires_grad", "bit7"), below `bits`; false without a failure when it is none. */
bool fxc_text_flag(struct fxc_span word, const struct fxc_text_enum *texts, uint32_t bits, uint32_t *flag);
/* Flags until the end of the line. */
bool fxc_parse_flags(struct fxc_text_parser *ps, const struct fxc_text_enum *texts, uint32_t bits, uint32_t *flags);

/* ---- expressions and tensors (text_parse_expr.c) ---- */
bool fxc_parse_expr(struct fxc_text_parser *ps, uint32_t *expr);
bool fxc_parse_expr_line(struct fxc_text_parser *ps);
bool fxc_parse_symint(struct fxc_text_parser *ps, int64_t *out);
/* The expressions read so far. */
struct fxc_text_exprs fxc_parsed_exprs(const struct fxc_text_parser *ps);
/* A product as a symint. */
bool fxc_build_product(struct fxc_text_parser *ps, const struct fxc_text_product *product, int64_t *symint);
/* A tensor, after its dtype's name. */
bool fxc_parse_meta(struct fxc_text_parser *ps, uint8_t dtype, uint32_t *meta);
bool fxc_parse_meta_line(struct fxc_text_parser *ps);

/* ---- literals (text_parse_literal.c) ---- */
bool fxc_parse_literal(struct fxc_text_parser *ps, uint32_t depth, struct fxc_text_literal *out);
/* A list in any brackets, as a row. */
bool fxc_parse_list_row(struct fxc_text_parser *ps, uint32_t *list);
bool fxc_parse_list_line(struct fxc_text_parser *ps);
bool fxc_parse_op(struct fxc_text_parser *ps, uint32_t *op);
/* Kind, payload and storage of a value, after "%name:". Gives its number. */
bool fxc_parse_definition(struct fxc_text_parser *ps, const struct fxc_text_subject *subject,
                          struct fxc_text_origin origin, uint32_t depth, uint32_t *value);

/* ---- values and storages (text_parse_value.c) ---- */
/* "%name" or "%name#7". */
bool fxc_parse_subject(struct fxc_text_parser *ps, struct fxc_text_subject *out);
/* The value that a subject refers to, as a literal of kind VALUE. */
bool fxc_parse_reference(struct fxc_text_parser *ps, const struct fxc_text_subject *subject,
                         struct fxc_text_literal *out);
/* Appends a literal to the kind and payload columns, or a reference to one column of value ids. */
void fxc_push_literal(struct fxc_text_parser *ps, enum fxc_column kind_column, const struct fxc_text_literal *literal);
void fxc_push_reference(struct fxc_text_parser *ps, enum fxc_column column, const struct fxc_text_literal *literal);
bool fxc_define_value(struct fxc_text_parser *ps, const struct fxc_text_subject *subject,
                      const struct fxc_text_literal *literal, struct fxc_text_origin origin, uint32_t storage,
                      uint32_t *value);
/* "@3" after a value's type: FXC_NONE without one. A storage not seen before gets what the tensor implies. */
bool fxc_parse_storage(struct fxc_text_parser *ps, const struct fxc_text_literal *literal, uint8_t origin,
                       uint32_t *storage);
bool fxc_parse_storage_line(struct fxc_text_parser *ps);
/* At the end: resolves what was referred to before it was defined, and puts rows in the order of their numbers. */
bool fxc_finish_values(struct fxc_text_parser *ps);

/* ---- statements (text_parse_tables.c, text_parse_graph.c); the keyword was taken ---- */
bool fxc_parse_string_line(struct fxc_text_parser *ps);
bool fxc_parse_capture_line(struct fxc_text_parser *ps);
bool fxc_parse_device_line(struct fxc_text_parser *ps);
bool fxc_parse_op_line(struct fxc_text_parser *ps);
bool fxc_parse_symbol_line(struct fxc_text_parser *ps);
bool fxc_parse_constraint_line(struct fxc_text_parser *ps);
bool fxc_parse_module_line(struct fxc_text_parser *ps);
bool fxc_parse_config_line(struct fxc_text_parser *ps);
bool fxc_parse_region_line(struct fxc_text_parser *ps);
bool fxc_parse_source_line(struct fxc_text_parser *ps);
bool fxc_parse_measure_line(struct fxc_text_parser *ps);
bool fxc_parse_call_line(struct fxc_text_parser *ps);
bool fxc_parse_graph_name(struct fxc_text_parser *ps); /* in the first pass */
bool fxc_parse_graph_line(struct fxc_text_parser *ps);
bool fxc_parse_input_line(struct fxc_text_parser *ps);
bool fxc_parse_node_line(struct fxc_text_parser *ps); /* at its '%' */
bool fxc_parse_return_line(struct fxc_text_parser *ps);
bool fxc_parse_param_line(struct fxc_text_parser *ps);
bool fxc_parse_value_line(struct fxc_text_parser *ps);

#endif
