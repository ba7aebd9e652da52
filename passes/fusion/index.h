/* Index expressions: where in a buffer an iteration reads or writes.
 *
 * An expression is offset + sum(coefficient * atom) over the variables v0, v1, ... of an iteration space. An atom is a
 * variable, a piece ((expression / divisor) % modulus) of another expression, as reshapes make them, or a number that
 * is only known at run time (a loaded index). Expressions, atoms and tuples of expressions are interned: equal ones
 * have equal numbers, so that two accesses are the same if and only if their numbers are. */
#ifndef FXC_PASSES_FUSION_INDEX_H
#define FXC_PASSES_FUSION_INDEX_H

#include <stdbool.h>
#include <stdint.h>

enum fxc_atom_kind { FXC_ATOM_VARIABLE, FXC_ATOM_PIECE, FXC_ATOM_LOADED };

struct fxc_atom {
    uint8_t kind;
    uint32_t of;          /* the variable, the expression, or the number of the loaded index */
    int64_t divisor, mod; /* of a piece; mod 0: none */
};

struct fxc_term {
    int64_t coefficient;
    uint32_t atom;
};

struct fxc_index_row {
    int64_t offset;
    uint32_t begin, count; /* terms, by rising atom */
    uint64_t variables;    /* bit v: depends on variable v */
    bool loaded;           /* depends on a loaded index */
};

/* Open addressing over rows numbered from 0: slot holds row + 1. */
struct fxc_index_hash {
    uint32_t *slot;
    uint32_t capacity, count;
};

struct fxc_index_table {
    struct fxc_atom *atom;
    struct fxc_index_row *row;
    struct fxc_term *term;
    uint32_t *item;        /* of tuples */
    uint32_t *tuple_begin; /* tuple t: item[tuple_begin[t] .. tuple_begin[t + 1]) */
    uint32_t atom_count, atom_capacity, row_count, row_capacity, term_count, term_capacity;
    uint32_t item_count, item_capacity, tuple_count, tuple_capacity;
    struct fxc_index_hash atoms, rows, tuples;
    uint32_t loaded; /* loaded indices so far */
    bool failed;     /* out of memory */
    bool overflowed; /* an index does not fit in 64 bits */
};

/* A sum under construction. */
enum { FXC_SUM_TERMS = 192 };
struct fxc_index_sum {
    int64_t offset;
    uint32_t count;
    struct fxc_term term[FXC_SUM_TERMS];
};

/* Expression 0 is 0, tuple 0 is empty. False when memory is out. */
bool fxc_index_init(struct fxc_index_table *table);
void fxc_index_free(struct fxc_index_table *table);

uint32_t fxc_index_constant(struct fxc_index_table *table, int64_t value);
uint32_t fxc_index_variable(struct fxc_index_table *table, uint32_t variable);
/* A number that only the run knows, other than all before. */
uint32_t fxc_index_loaded(struct fxc_index_table *table);
/* The loaded index with this number, below FXC_LOADED_FIRST: its place in the body that loads it. */
enum { FXC_LOADED_FIRST = 1 << 16 };
uint32_t fxc_index_loaded_numbered(struct fxc_index_table *table, uint32_t number);
/* The expression with loaded indices numbered by their place in seen[], to which new ones are added. */
uint32_t fxc_index_number_loaded(struct fxc_index_table *table, uint32_t expression, uint32_t *seen,
                                 uint32_t *seen_count, uint32_t limit);

/* Rows for what is not interned yet; terms are sorted, distinct and not zero. */
uint32_t fxc_index_atom(struct fxc_index_table *table, const struct fxc_atom *atom);
uint32_t fxc_index_intern(struct fxc_index_table *table, int64_t offset, const struct fxc_term *term, uint32_t count);

/* sum += coefficient * atom. */
void fxc_index_add_term(struct fxc_index_table *table, struct fxc_index_sum *sum, int64_t coefficient, uint32_t atom);
/* sum += coefficient * expression. */
void fxc_index_add(struct fxc_index_table *table, struct fxc_index_sum *sum, int64_t coefficient, uint32_t expression);
/* The expression of a sum. `size` are the extents of the variables, with which pieces that belong together are joined.
 */
uint32_t fxc_index_of(struct fxc_index_table *table, struct fxc_index_sum *sum, const int64_t *size);
/* (expression / divisor) % mod, simplified; mod 0: none. */
uint32_t fxc_index_piece(struct fxc_index_table *table, uint32_t expression, int64_t divisor, int64_t mod,
                         const int64_t *size);
/* The expression with map[v] for each variable v, over a space with extents `size`. */
uint32_t fxc_index_substitute(struct fxc_index_table *table, uint32_t expression, const uint32_t *map,
                              const int64_t *size);

/* The coefficient by which the expression moves when variable v goes from 0 to 1 and all others are 0. */
int64_t fxc_index_stride(const struct fxc_index_table *table, uint32_t expression, uint32_t variable);
/* Whether it is a sum of variables, times coefficients, and the offset. */
bool fxc_index_is_affine(const struct fxc_index_table *table, uint32_t expression);

uint32_t fxc_index_tuple(struct fxc_index_table *table, const uint32_t *items, uint32_t count);

static inline const uint32_t *fxc_tuple_items(const struct fxc_index_table *table, uint32_t tuple) {
    return table->item + table->tuple_begin[tuple];
}
static inline uint32_t fxc_tuple_length(const struct fxc_index_table *table, uint32_t tuple) {
    return table->tuple_begin[tuple + 1] - table->tuple_begin[tuple];
}

#endif
