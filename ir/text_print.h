/* Internal to the printer of the text form. */
#ifndef FXC_IR_TEXT_PRINT_H
#define FXC_IR_TEXT_PRINT_H

#include "ir/text_plan.h"

struct fxc_text_printer {
    const struct fxc_program *program;
    struct fxc_text_plan plan;
    fxc_write_fn write;
    void *context;
    uint32_t scope; /* the graph whose names need no number */
    bool failed;    /* the caller's function refused */
    size_t used;
    char buffer[64 * 1024];
};

/* ---- characters (text_print_write.c) ---- */
void fxc_print_bytes(struct fxc_text_printer *pr, const char *bytes, size_t size);
void fxc_print_flush(struct fxc_text_printer *pr);
void fxc_print_text(struct fxc_text_printer *pr, const char *text);
void fxc_print_int(struct fxc_text_printer *pr, int64_t value);
void fxc_print_float(struct fxc_text_printer *pr, int64_t bits);
/* Always in quotes, or as a reference to the string table. */
void fxc_print_string(struct fxc_text_printer *pr, uint32_t string);
/* Without quotes where the name is plain. */
void fxc_print_name(struct fxc_text_printer *pr, uint32_t string);
/* A quoted string of its own, without the table. */
void fxc_print_quoted(struct fxc_text_printer *pr, const char *text, size_t size);
/* Flags by name, each after `separator`; the first after `first`. */
void fxc_print_flags(struct fxc_text_printer *pr, const struct fxc_text_enum *names, uint32_t flags, const char *first,
                     const char *separator);

/* ---- literals (text_print_literal.c) ---- */
void fxc_print_expr(struct fxc_text_printer *pr, uint32_t expr);
void fxc_print_expr_postfix(struct fxc_text_printer *pr, uint32_t expr);
void fxc_print_symint(struct fxc_text_printer *pr, int64_t symint);
void fxc_print_meta_row(struct fxc_text_printer *pr, uint32_t meta);
void fxc_print_literal(struct fxc_text_printer *pr, uint8_t kind, int64_t payload);
void fxc_print_list(struct fxc_text_printer *pr, uint8_t kind, uint32_t list);
void fxc_print_list_row(struct fxc_text_printer *pr, uint32_t list);
void fxc_print_value_name(struct fxc_text_printer *pr, uint32_t value, bool numbered);
void fxc_print_value(struct fxc_text_printer *pr, uint32_t value);
void fxc_print_op(struct fxc_text_printer *pr, uint32_t op);
/* The kind and payload of a value where it is defined, and its storage. */
void fxc_print_definition(struct fxc_text_printer *pr, uint32_t value);

/* ---- lines ---- */
void fxc_print_tables(struct fxc_text_printer *pr); /* text_print_tables.c */
void fxc_print_graphs(struct fxc_text_printer *pr); /* text_print.c */

#endif
