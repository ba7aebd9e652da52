/* Index expressions: interning, and the arithmetic that views need. */
#include "passes/fusion/index.h"

#include <string.h>

#include "ir/arith.h"
#include "passes/grow.h"

/* ---- interning ----------------------------------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash ^= word + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    return hash * 0xff51afd7ed558ccdu;
}

static uint64_t hash_atom(const struct fxc_atom *atom) {
    return mix(mix(mix(atom->kind, atom->of), (uint64_t)atom->divisor), (uint64_t)atom->mod);
}

static uint64_t hash_terms(int64_t offset, const struct fxc_term *term, uint32_t count) {
    uint64_t hash = mix(count, (uint64_t)offset);
    for (uint32_t i = 0; i < count; i++) {
        hash = mix(mix(hash, (uint64_t)term[i].coefficient), term[i].atom);
    }
    return hash;
}

static uint64_t hash_items(const uint32_t *item, uint32_t count) {
    uint64_t hash = mix(17, count);
    for (uint32_t i = 0; i < count; i++) {
        hash = mix(hash, item[i]);
    }
    return hash;
}

/* Doubles a hash when it is three quarters full; `again` gives the hash of a row. */
static bool make_room(struct fxc_index_table *t, struct fxc_index_hash *hash,
                      uint64_t (*again)(const struct fxc_index_table *, uint32_t)) {
    if ((uint64_t)hash->count * 4 < (uint64_t)hash->capacity * 3) {
        return true;
    }
    uint32_t capacity = hash->capacity == 0 ? 256 : hash->capacity * 2;
    uint32_t *slot = capacity < hash->capacity ? NULL : calloc(capacity, sizeof *slot);
    if (slot == NULL) {
        return false;
    }
    for (uint32_t row = 0; row < hash->count; row++) {
        uint64_t at = again(t, row);
        while (slot[at & (capacity - 1)] != 0) {
            at++;
        }
        slot[at & (capacity - 1)] = row + 1;
    }
    free(hash->slot);
    hash->slot = slot;
    hash->capacity = capacity;
    return true;
}

static uint64_t hash_of_atom(const struct fxc_index_table *t, uint32_t row) {
    return hash_atom(&t->atom[row]);
}
static uint64_t hash_of_row(const struct fxc_index_table *t, uint32_t row) {
    return hash_terms(t->row[row].offset, t->term + t->row[row].begin, t->row[row].count);
}
static uint64_t hash_of_tuple(const struct fxc_index_table *t, uint32_t row) {
    return hash_items(fxc_tuple_items(t, row), fxc_tuple_length(t, row));
}

uint32_t fxc_index_atom(struct fxc_index_table *t, const struct fxc_atom *atom) {
    if (!make_room(t, &t->atoms, hash_of_atom) || !FXC_ROOM(t->atom, t->atom_capacity, t->atom_count + 1)) {
        t->failed = true;
        return 0;
    }
    uint64_t at = hash_atom(atom);
    for (;; at++) {
        uint32_t found = t->atoms.slot[at & (t->atoms.capacity - 1)];
        if (found == 0) {
            break;
        }
        const struct fxc_atom *other = &t->atom[found - 1];
        if (other->kind == atom->kind && other->of == atom->of && other->divisor == atom->divisor &&
            other->mod == atom->mod) {
            return found - 1;
        }
    }
    t->atom[t->atom_count] = *atom;
    t->atoms.slot[at & (t->atoms.capacity - 1)] = ++t->atom_count;
    t->atoms.count = t->atom_count;
    return t->atom_count - 1;
}

static void note_atom(const struct fxc_index_table *t, uint32_t atom, struct fxc_index_row *row) {
    const struct fxc_atom *a = &t->atom[atom];
    switch ((enum fxc_atom_kind)a->kind) {
    case FXC_ATOM_VARIABLE:
        row->variables |= a->of < 64 ? UINT64_C(1) << a->of : 0;
        break;
    case FXC_ATOM_PIECE:
        row->variables |= t->row[a->of].variables;
        row->loaded |= t->row[a->of].loaded;
        break;
    case FXC_ATOM_LOADED:
        row->loaded = true;
        break;
    }
}

/* Terms are sorted, distinct and not zero. */
uint32_t fxc_index_intern(struct fxc_index_table *t, int64_t offset, const struct fxc_term *term, uint32_t count) {
    if (!make_room(t, &t->rows, hash_of_row) || !FXC_ROOM(t->row, t->row_capacity, t->row_count + 1) ||
        !FXC_ROOM(t->term, t->term_capacity, t->term_count + count)) {
        t->failed = true;
        return 0;
    }
    uint64_t at = hash_terms(offset, term, count);
    for (;; at++) {
        uint32_t found = t->rows.slot[at & (t->rows.capacity - 1)];
        if (found == 0) {
            break;
        }
        const struct fxc_index_row *other = &t->row[found - 1];
        bool same = other->offset == offset && other->count == count;
        for (uint32_t i = 0; i < count && same; i++) {
            const struct fxc_term *o = &t->term[other->begin + i];
            same = o->coefficient == term[i].coefficient && o->atom == term[i].atom;
        }
        if (same) {
            return found - 1;
        }
    }
    struct fxc_index_row row = {.offset = offset, .begin = t->term_count, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        note_atom(t, term[i].atom, &row);
        t->term[t->term_count++] = term[i];
    }
    t->row[t->row_count] = row;
    t->rows.slot[at & (t->rows.capacity - 1)] = ++t->row_count;
    t->rows.count = t->row_count;
    return t->row_count - 1;
}

uint32_t fxc_index_tuple(struct fxc_index_table *t, const uint32_t *items, uint32_t count) {
    if (!make_room(t, &t->tuples, hash_of_tuple) || !FXC_ROOM(t->tuple_begin, t->tuple_capacity, t->tuple_count + 2) ||
        !FXC_ROOM(t->item, t->item_capacity, t->item_count + count + 1)) { /* the items of the empty tuple exist too */
        t->failed = true;
        return 0;
    }
    uint64_t at = hash_items(items, count);
    for (;; at++) {
        uint32_t found = t->tuples.slot[at & (t->tuples.capacity - 1)];
        if (found == 0) {
            break;
        }
        if (fxc_tuple_length(t, found - 1) == count &&
            (count == 0 || memcmp(fxc_tuple_items(t, found - 1), items, count * sizeof *items) == 0)) {
            return found - 1;
        }
    }
    t->tuple_begin[t->tuple_count] = t->item_count;
    for (uint32_t i = 0; i < count; i++) {
        t->item[t->item_count++] = items[i];
    }
    t->tuple_begin[t->tuple_count + 1] = t->item_count;
    t->tuples.slot[at & (t->tuples.capacity - 1)] = ++t->tuple_count;
    t->tuples.count = t->tuple_count;
    return t->tuple_count - 1;
}

bool fxc_index_init(struct fxc_index_table *t) {
    *t = (struct fxc_index_table){0};
    (void)fxc_index_intern(t, 0, NULL, 0);
    (void)fxc_index_tuple(t, NULL, 0);
    return !t->failed;
}

void fxc_index_free(struct fxc_index_table *t) {
    free(t->atom);
    free(t->row);
    free(t->term);
    free(t->item);
    free(t->tuple_begin);
    free(t->atoms.slot);
    free(t->rows.slot);
    free(t->tuples.slot);
    *t = (struct fxc_index_table){0};
}

/* ---- sums -----------------------------------------------------------------------------------------------------------
 */

void fxc_index_add_term(struct fxc_index_table *t, struct fxc_index_sum *sum, int64_t coefficient, uint32_t atom) {
    for (uint32_t i = 0; i < sum->count; i++) {
        if (sum->term[i].atom == atom) {
            t->overflowed |= fxc_add(sum->term[i].coefficient, coefficient, &sum->term[i].coefficient);
            return;
        }
    }
    if (sum->count == FXC_SUM_TERMS) {
        t->overflowed = true;
        return;
    }
    sum->term[sum->count++] = (struct fxc_term){coefficient, atom};
}

void fxc_index_add(struct fxc_index_table *t, struct fxc_index_sum *sum, int64_t coefficient, uint32_t expression) {
    struct fxc_index_row row = t->row[expression];
    int64_t part;
    t->overflowed |= fxc_mul(row.offset, coefficient, &part) || fxc_add(sum->offset, part, &sum->offset);
    for (uint32_t i = 0; i < row.count; i++) {
        struct fxc_term term = t->term[row.begin + i];
        t->overflowed |= fxc_mul(term.coefficient, coefficient, &part);
        fxc_index_add_term(t, sum, part, term.atom);
    }
}

/* The piece of the same expression that starts where `low` ends: low = (x / d) % m, high = (x / (d * m)) % n. */
static bool continues(const struct fxc_index_table *t, const struct fxc_term *low, const struct fxc_term *high) {
    struct fxc_atom a = t->atom[low->atom], b = t->atom[high->atom];
    int64_t step, weight;
    return low->coefficient != 0 && a.kind == FXC_ATOM_PIECE && b.kind == FXC_ATOM_PIECE && a.of == b.of && a.mod > 0 &&
           !fxc_mul(a.divisor, a.mod, &step) && !fxc_mul(low->coefficient, a.mod, &weight) && b.divisor == step &&
           high->coefficient == weight;
}

/* c * ((x / d) % m) + c * m * ((x / (d * m)) % n) is c * ((x / d) % (m * n)): a reshape that undoes another. */
static bool join_once(struct fxc_index_table *t, struct fxc_index_sum *sum, const int64_t *size) {
    for (uint32_t i = 0; i < sum->count; i++) {
        for (uint32_t j = 0; j < sum->count; j++) {
            if (i == j || !continues(t, &sum->term[i], &sum->term[j])) {
                continue;
            }
            struct fxc_atom low = t->atom[sum->term[i].atom], high = t->atom[sum->term[j].atom];
            int64_t coefficient = sum->term[i].coefficient, mod = 0;
            if (high.mod > 0 && fxc_mul(low.mod, high.mod, &mod)) {
                continue;
            }
            uint32_t joined = fxc_index_piece(t, low.of, low.divisor, mod, size);
            if (t->row[joined].count > 1) {
                continue; /* what it stands for is a sum again, maybe of the same two */
            }
            sum->term[i].coefficient = 0;
            sum->term[j].coefficient = 0;
            fxc_index_add(t, sum, coefficient, joined);
            return true;
        }
    }
    return false;
}

uint32_t fxc_index_of(struct fxc_index_table *t, struct fxc_index_sum *sum, const int64_t *size) {
    while (join_once(t, sum, size)) {
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < sum->count; i++) {
        struct fxc_term term = sum->term[i];
        if (term.coefficient == 0) {
            continue;
        }
        uint32_t at = count++;
        for (; at > 0 && sum->term[at - 1].atom > term.atom; at--) {
            sum->term[at] = sum->term[at - 1];
        }
        sum->term[at] = term;
    }
    sum->count = count;
    return fxc_index_intern(t, sum->offset, sum->term, count);
}

uint32_t fxc_index_constant(struct fxc_index_table *t, int64_t value) {
    return fxc_index_intern(t, value, NULL, 0);
}

uint32_t fxc_index_variable(struct fxc_index_table *t, uint32_t variable) {
    struct fxc_term term = {1, fxc_index_atom(t, &(struct fxc_atom){FXC_ATOM_VARIABLE, variable, 0, 0})};
    return fxc_index_intern(t, 0, &term, 1);
}

uint32_t fxc_index_loaded(struct fxc_index_table *t) {
    return fxc_index_loaded_numbered(t, FXC_LOADED_FIRST + t->loaded++);
}

uint32_t fxc_index_loaded_numbered(struct fxc_index_table *t, uint32_t number) {
    struct fxc_term term = {1, fxc_index_atom(t, &(struct fxc_atom){FXC_ATOM_LOADED, number, 0, 0})};
    return fxc_index_intern(t, 0, &term, 1);
}
