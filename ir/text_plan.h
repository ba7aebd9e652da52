/* What the printer decides before it prints: where each value is defined, which names need a number, which storages
 * need a line, and which pooled rows are too large to repeat. */
#ifndef FXC_IR_TEXT_PLAN_H
#define FXC_IR_TEXT_PLAN_H

#include "ir/canon.h"
#include "ir/text.h"

/* Where a value is defined; `where` is the input, node, owning value or parameter. */
enum fxc_text_place {
    FXC_TEXT_NOWHERE, /* gets a line of its own */
    FXC_TEXT_INPUT,
    FXC_TEXT_NODE,
    FXC_TEXT_ELEMENT,
    FXC_TEXT_PARAM,
};

struct fxc_text_value {
    uint32_t where;
    uint32_t scope; /* the graph in which its name is looked up */
    uint8_t place;
    bool numbered;  /* its definition must give its number */
    bool ambiguous; /* every reference must give its number */
    bool printed;
};

/* Rows of one pooled table that are written once and referred to by number. */
struct fxc_text_table {
    uint32_t *number; /* per canonical number: its number in the table, or FXC_NONE */
    uint32_t *row;    /* per table number: a row of the program that says it */
    uint32_t count;
};

struct fxc_text_plan {
    const struct fxc_program *program;
    struct fxc_canon canon;
    struct fxc_canon_map map;
    struct fxc_arena arena;
    struct fxc_text_exprs exprs_view;
    struct fxc_text_value *values;
    bool *storage_line;
    const char *device; /* of storages without a line */
    bool *op_ambiguous, *symbol_ambiguous, *graph_ambiguous;
    struct fxc_text_table strings, exprs, metas, lists;
};

fxc_status fxc_text_plan_make(struct fxc_text_plan *plan, const struct fxc_program *program, fxc_error *err);
void fxc_text_plan_free(struct fxc_text_plan *plan);

/* Whether this value, met as an item of its owner's list, is defined there. */
bool fxc_text_is_element(const struct fxc_text_plan *plan, uint32_t owner, uint32_t value);
/* Whether a list is written as a reference to the table. */
static inline bool fxc_text_in_table(const struct fxc_text_table *table, uint32_t canonical) {
    return table->number[canonical] != FXC_NONE;
}

/* Internal to the plan: fills `lists` (text_plan_lists.c). */
bool fxc_text_plan_lists(struct fxc_text_plan *plan);

#endif
