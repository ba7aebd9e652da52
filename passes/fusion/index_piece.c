/* Index expressions: pieces of expressions, as reshapes make them, and what is read off expressions. */
#include <stddef.h>

#include "ir/arith.h"
#include "passes/fusion/index.h"

/* ---- pieces ---------------------------------------------------------------------------------------------------------
 */

enum { UNBOUNDED = -1 };

/* The largest value of a sum whose coefficients are not negative; UNBOUNDED when not known. */
static int64_t largest(const struct fxc_index_table *t, int64_t offset, const struct fxc_term *term, uint32_t count,
                       const int64_t *size);

static int64_t largest_atom(const struct fxc_index_table *t, uint32_t atom, const int64_t *size) {
    const struct fxc_atom *a = &t->atom[atom];
    if (a->kind == FXC_ATOM_VARIABLE) {
        return size[a->of] > 0 ? size[a->of] - 1 : 0;
    }
    if (a->kind == FXC_ATOM_LOADED) {
        return UNBOUNDED;
    }
    const struct fxc_index_row *row = &t->row[a->of];
    int64_t inner = largest(t, row->offset, t->term + row->begin, row->count, size);
    int64_t quotient = inner == UNBOUNDED ? UNBOUNDED : inner / a->divisor;
    if (a->mod > 0 && (quotient == UNBOUNDED || quotient > a->mod - 1)) {
        return a->mod - 1;
    }
    return quotient;
}

static int64_t largest(const struct fxc_index_table *t, int64_t offset, const struct fxc_term *term, uint32_t count,
                       const int64_t *size) {
    int64_t total = offset, part;
    if (offset < 0) {
        return UNBOUNDED;
    }
    for (uint32_t i = 0; i < count; i++) {
        int64_t most = largest_atom(t, term[i].atom, size);
        if (term[i].coefficient < 0 || most == UNBOUNDED || fxc_mul(term[i].coefficient, most, &part) ||
            fxc_add(total, part, &total)) {
            return UNBOUNDED;
        }
    }
    return total;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/* Leaves the part of `sum` that counts modulo `period`. */
static void drop_multiples(struct fxc_index_sum *sum, int64_t period) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sum->count; i++) {
        if (sum->term[i].coefficient % period != 0) {
            sum->term[kept++] = sum->term[i];
        }
    }
    sum->count = kept;
    sum->offset %= period;
}

/* Divides by what divides everything; returns the divisor that is left. */
static int64_t cancel(struct fxc_index_sum *sum, int64_t divisor) {
    int64_t common = common_divisor(divisor, sum->offset);
    for (uint32_t i = 0; i < sum->count && common > 1; i++) {
        common = common_divisor(common, sum->term[i].coefficient);
    }
    if (common > 1) {
        sum->offset /= common;
        for (uint32_t i = 0; i < sum->count; i++) {
            sum->term[i].coefficient /= common;
        }
        return divisor / common;
    }
    return divisor;
}

uint32_t fxc_index_piece(struct fxc_index_table *t, uint32_t expression, int64_t divisor, int64_t mod,
                         const int64_t *size) {
    struct fxc_index_sum sum = {0}, whole = {0};
    int64_t period;
    fxc_index_add(t, &sum, 1, expression);
    if (mod == 1) {
        return 0;
    }
    if (mod > 0 && !fxc_mul(divisor, mod, &period) && sum.offset >= 0) {
        drop_multiples(&sum, period);
    }
    /* What the divisor divides comes out of the division, if the rest stays below it. */
    struct fxc_index_sum rest = {.offset = sum.offset >= 0 ? sum.offset % divisor : sum.offset};
    whole.offset = (sum.offset - rest.offset) / divisor;
    for (uint32_t i = 0; i < sum.count; i++) {
        if (sum.term[i].coefficient % divisor == 0) {
            fxc_index_add_term(t, &whole, sum.term[i].coefficient / divisor, sum.term[i].atom);
        } else {
            fxc_index_add_term(t, &rest, sum.term[i].coefficient, sum.term[i].atom);
        }
    }
    int64_t most = largest(t, rest.offset, rest.term, rest.count, size);
    if (most != UNBOUNDED && most < divisor) {
        int64_t quotient = largest(t, whole.offset, whole.term, whole.count, size);
        if (mod == 0 || (quotient != UNBOUNDED && quotient < mod)) {
            return fxc_index_of(t, &whole, size);
        }
        sum = whole;
        divisor = 1;
    }
    divisor = mod == 0 || divisor > 1 ? cancel(&sum, divisor) : divisor;
    int64_t all = largest(t, sum.offset, sum.term, sum.count, size);
    if (mod > 0 && all != UNBOUNDED && all / divisor < mod) {
        mod = 0;
    }
    uint32_t inner = fxc_index_of(t, &sum, size);
    const struct fxc_index_row *row = &t->row[inner];
    /* A piece of a piece of the same expression. */
    if (row->count == 1 && row->offset == 0 && t->term[row->begin].coefficient == 1) {
        struct fxc_atom a = t->atom[t->term[row->begin].atom];
        int64_t product;
        if (a.kind == FXC_ATOM_PIECE && !fxc_mul(a.divisor, divisor, &product) &&
            (a.mod == 0 || (mod > 0 && a.mod % (divisor * mod) == 0) || (mod == 0 && a.mod % divisor == 0))) {
            int64_t left = mod > 0 ? mod : a.mod == 0 ? 0 : a.mod / divisor;
            return fxc_index_piece(t, a.of, product, left, size);
        }
    }
    if (divisor == 1 && mod == 0) {
        return inner;
    }
    struct fxc_term term = {1, fxc_index_atom(t, &(struct fxc_atom){FXC_ATOM_PIECE, inner, divisor, mod})};
    return fxc_index_intern(t, 0, &term, 1);
}

uint32_t fxc_index_substitute(struct fxc_index_table *t, uint32_t expression, const uint32_t *map,
                              const int64_t *size) {
    struct fxc_index_row row = t->row[expression];
    if (row.variables == 0) {
        return expression;
    }
    if (row.count == 1 && row.offset == 0 && t->term[row.begin].coefficient == 1 &&
        t->atom[t->term[row.begin].atom].kind == FXC_ATOM_VARIABLE) {
        return map[t->atom[t->term[row.begin].atom].of];
    }
    struct fxc_index_sum sum = {.offset = row.offset};
    for (uint32_t i = 0; i < row.count; i++) {
        struct fxc_term term = t->term[row.begin + i];
        struct fxc_atom atom = t->atom[term.atom];
        if (atom.kind == FXC_ATOM_VARIABLE) {
            fxc_index_add(t, &sum, term.coefficient, map[atom.of]);
        } else if (atom.kind == FXC_ATOM_PIECE) {
            uint32_t inner = fxc_index_substitute(t, atom.of, map, size);
            fxc_index_add(t, &sum, term.coefficient, fxc_index_piece(t, inner, atom.divisor, atom.mod, size));
        } else {
            fxc_index_add_term(t, &sum, term.coefficient, term.atom);
        }
    }
    return fxc_index_of(t, &sum, size);
}

/* ---- reading expressions --------------------------------------------------------------------------------------------
 */

/* The value where variable v is 1 and all others, loaded indices too, are 0. */
static int64_t value_at(const struct fxc_index_table *t, uint32_t expression, uint32_t variable) {
    const struct fxc_index_row *row = &t->row[expression];
    int64_t total = row->offset;
    for (uint32_t i = 0; i < row->count; i++) {
        const struct fxc_term *term = &t->term[row->begin + i];
        const struct fxc_atom *atom = &t->atom[term->atom];
        int64_t value = 0, part;
        if (atom->kind == FXC_ATOM_VARIABLE) {
            value = atom->of == variable;
        } else if (atom->kind == FXC_ATOM_PIECE) {
            value = value_at(t, atom->of, variable) / atom->divisor;
            value = atom->mod > 0 ? value % atom->mod : value;
        }
        if (fxc_mul(value, term->coefficient, &part) || fxc_add(total, part, &total)) {
            return INT64_MAX;
        }
    }
    return total;
}

int64_t fxc_index_stride(const struct fxc_index_table *t, uint32_t expression, uint32_t variable) {
    int64_t stride;
    if (variable < 64 && (t->row[expression].variables >> variable & 1u) == 0) {
        return 0;
    }
    return __builtin_sub_overflow(value_at(t, expression, variable), value_at(t, expression, UINT32_MAX), &stride)
               ? INT64_MAX
               : stride;
}

bool fxc_index_is_affine(const struct fxc_index_table *t, uint32_t expression) {
    const struct fxc_index_row *row = &t->row[expression];
    for (uint32_t i = 0; i < row->count; i++) {
        if (t->atom[t->term[row->begin + i].atom].kind != FXC_ATOM_VARIABLE) {
            return false;
        }
    }
    return true;
}

uint32_t fxc_index_number_loaded(struct fxc_index_table *t, uint32_t expression, uint32_t *seen, uint32_t *seen_count,
                                 uint32_t limit) {
    struct fxc_index_row row = t->row[expression];
    if (!row.loaded) {
        return expression;
    }
    struct fxc_index_sum sum = {.offset = row.offset};
    for (uint32_t i = 0; i < row.count; i++) {
        struct fxc_term term = t->term[row.begin + i];
        struct fxc_atom atom = t->atom[term.atom];
        uint32_t at = 0;
        while (atom.kind == FXC_ATOM_LOADED && at < *seen_count && seen[at] != atom.of) {
            at++;
        }
        if (atom.kind == FXC_ATOM_LOADED && at == *seen_count && at < limit) {
            seen[(*seen_count)++] = atom.of;
        }
        if (atom.kind == FXC_ATOM_LOADED) {
            fxc_index_add(t, &sum, term.coefficient, fxc_index_loaded_numbered(t, at));
        } else {
            fxc_index_add_term(t, &sum, term.coefficient, term.atom);
        }
    }
    return fxc_index_of(t, &sum, NULL);
}
