/* Iteration spaces: the loops of an operation in the order in which they run, loops that go on where another ends
 * joined, and each access in a form in which equal ones are equal.
 *
 * After ComputedBuffer.simplify_and_reorder (torch/_inductor/ir.py), pick_loop_order (scheduler.py), _simplify_loops
 * (sizevars.py) and the normalisation of dependencies.py. */
#include <string.h>

#include "passes/fusion/engine.h"

/* ---- the order of loops ---------------------------------------------------------------------------------------------
 */

static int64_t magnitude(int64_t value) {
    return value < 0 ? -value : value;
}

/* Which of two dimensions is filled first: below 0 for a. */
static int compare(const int64_t *stride, const uint32_t *weight, uint32_t accesses, const int64_t *size, uint32_t rank,
                   uint32_t a, uint32_t b) {
    if (size[a] == 1 || size[b] == 1) {
        return (size[a] == 1) - (size[b] == 1);
    }
    uint32_t a_first = 0, b_first = 0;
    for (uint32_t i = 0; i < accesses; i++) {
        int64_t at_a = magnitude(stride[i * rank + a]), at_b = magnitude(stride[i * rank + b]);
        uint32_t counts = weight == NULL ? 1 : weight[i];
        a_first += at_b == 0 || at_a < at_b ? counts : 0;
        b_first += at_a == 0 || at_b < at_a ? counts : 0;
    }
    if (a_first != b_first) {
        return a_first > b_first ? -1 : 1;
    }
    return b > a ? 1 : b < a ? -1 : 0;
}

/* The comparison is no order in the strict sense, so what comes out depends on how it is sorted: by runs and binary
 * insertion, as Python's list.sort does with lists as short as these. */
void fxc_fill_order(const int64_t *stride, const uint32_t *weight, uint32_t accesses, const int64_t *size,
                    uint32_t rank, uint32_t *order) {
    for (uint32_t i = 0; i < rank; i++) {
        order[i] = rank - 1 - i;
    }
    if (rank < 2) {
        return;
    }
    uint32_t run = 2;
    bool falls = compare(stride, weight, accesses, size, rank, order[1], order[0]) < 0;
    while (run < rank && (compare(stride, weight, accesses, size, rank, order[run], order[run - 1]) < 0) == falls) {
        run++;
    }
    for (uint32_t i = 0; falls && i < run / 2; i++) {
        uint32_t other = order[i];
        order[i] = order[run - 1 - i];
        order[run - 1 - i] = other;
    }
    for (uint32_t i = run; i < rank; i++) {
        uint32_t pivot = order[i], low = 0, high = i;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (compare(stride, weight, accesses, size, rank, pivot, order[middle]) < 0) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        memmove(order + low + 1, order + low, (i - low) * sizeof *order);
        order[low] = pivot;
    }
}

/* ---- loops under simplification -------------------------------------------------------------------------------------
 */

enum { EXPRESSIONS = 512, LOADED = 64 };

/* Some loops of a space, and the expressions that must stay what they are. */
struct loops {
    struct fxc_engine *e;
    uint32_t expression[EXPRESSIONS], weight[EXPRESSIONS], count;
    uint32_t variable[FXC_LOOP_RANK]; /* of the space, outermost first */
    int64_t size[FXC_LOOP_RANK];
    uint32_t rank;
    const int64_t *all; /* extents of all variables of the space */
};

/* Whether the two loops, inner and outer, are one in a piece of an index: f(i * m + ..., o) = f(0, m + ...). */
static bool pieces_merge(struct loops *l, uint32_t expression, uint32_t inner, uint32_t outer, uint32_t total) {
    struct fxc_index_table *t = &l->e->index;
    uint32_t first[FXC_LOOP_RANK * 2 + 2], second[FXC_LOOP_RANK * 2 + 2];
    int64_t extent[FXC_LOOP_RANK * 2 + 2];
    for (uint32_t v = 0; v < total; v++) {
        first[v] = second[v] = fxc_index_variable(t, v);
        extent[v] = l->all[v];
    }
    extent[total] = extent[total + 1] = INT64_C(1) << 40; /* any number */
    uint32_t m = fxc_index_variable(t, total), n = fxc_index_variable(t, total + 1);
    struct fxc_index_sum product = {0}, sum = {0};
    fxc_index_add(t, &product, l->size[inner], m);
    fxc_index_add(t, &sum, 1, m);
    fxc_index_add(t, &sum, 1, n);
    first[l->variable[inner]] = fxc_index_of(t, &product, extent);
    first[l->variable[outer]] = n;
    second[l->variable[inner]] = 0;
    second[l->variable[outer]] = fxc_index_of(t, &sum, extent);
    return fxc_index_substitute(t, expression, first, extent) == fxc_index_substitute(t, expression, second, extent);
}

static bool can_merge(struct loops *l, uint32_t inner, uint32_t outer, uint32_t total) {
    struct fxc_index_table *t = &l->e->index;
    for (uint32_t i = 0; i < l->count; i++) {
        int64_t inner_stride = fxc_index_stride(t, l->expression[i], l->variable[inner]), reach;
        if (fxc_mul(inner_stride, l->size[inner], &reach) ||
            reach != fxc_index_stride(t, l->expression[i], l->variable[outer])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < l->count; i++) {
        if (!fxc_index_is_affine(t, l->expression[i]) && !pieces_merge(l, l->expression[i], inner, outer, total)) {
            return false;
        }
    }
    return true;
}

/* Joins loops until none can be; keeps[d] says which are left, with their new sizes. */
static void merge_loops(struct loops *l, uint32_t total, bool *keeps) {
    for (uint32_t d = 0; d < l->rank; d++) {
        keeps[d] = l->size[d] != 1;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = l->rank; i-- > 0;) {
            for (uint32_t j = l->rank; j-- > 0;) {
                if (i != j && keeps[i] && keeps[j] && can_merge(l, i, j, total)) {
                    l->e->overflowed |= fxc_mul(l->size[i], l->size[j], &l->size[i]);
                    keeps[j] = false;
                    changed = true;
                }
            }
        }
    }
}

/* The row-major index over these loops: with it among the expressions, only neighbours can be joined. */
static uint32_t row_major(struct loops *l) {
    struct fxc_index_sum sum = {0};
    int64_t weight = 1;
    for (uint32_t d = l->rank; d-- > 0;) {
        fxc_index_add(&l->e->index, &sum, weight, fxc_index_variable(&l->e->index, l->variable[d]));
        l->e->overflowed |= fxc_mul(weight, l->size[d], &weight);
    }
    return fxc_index_of(&l->e->index, &sum, l->all);
}

static void add_expression(struct loops *l, uint32_t expression, uint32_t weight) {
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->expression[i] == expression) {
            l->weight[i] += weight;
            return;
        }
    }
    if (l->count < EXPRESSIONS) {
        l->weight[l->count] = weight;
        l->expression[l->count++] = expression;
    }
}

/* ---- operations -----------------------------------------------------------------------------------------------------
 */

/* The address that an operation writes, over its loops as they were made. */
static uint32_t write_address(struct fxc_engine *e, const struct fxc_operation *op) {
    if (op->write_at != FXC_NONE) {
        return op->write_at;
    }
    uint32_t map[FXC_LOOP_RANK], buffer = e->number[op->output_begin];
    fxc_engine_variables(e, e->size + op->shape, op->outer_rank, map);
    return fxc_buffer_address(e, buffer, map, e->size + op->shape);
}

/* The addresses of an operation: its write, then its loads in order; indices used as numbers are in `other`. */
static void addresses_of(struct fxc_engine *e, const struct fxc_operation *op, struct loops *memory,
                         struct loops *other) {
    const int64_t *size = e->size + op->shape;
    add_expression(memory, write_address(e, op), 1);
    for (uint32_t i = 0; i < op->body.load_count; i++) {
        struct fxc_load load = e->load[op->body.load_begin + i];
        if (load.buffer == FXC_NONE) {
            add_expression(other, load.at, 1);
        } else {
            add_expression(memory, fxc_load_address(e, &load, size), load.times);
        }
    }
}

/* Orders and joins the loops first .. first + rank; gives each variable its new expression in map[], and the new sizes.
 */
static uint32_t simplify(struct fxc_engine *e, const struct loops *memory, const struct loops *formulas,
                         const struct fxc_operation *op, uint32_t first, uint32_t rank, uint32_t next, uint32_t *map,
                         int64_t *size) {
    uint32_t order[FXC_LOOP_RANK], total = (uint32_t)op->outer_rank + op->folded_rank;
    struct loops l;
    l.e = e;
    l.count = formulas->count;
    l.all = e->size + op->shape;
    uint32_t real[FXC_LOOP_RANK], count = 0;
    bool keeps[FXC_LOOP_RANK];
    for (uint32_t d = 0; d < rank; d++) {
        map[first + d] = 0;
        if (l.all[first + d] != 1) {
            real[count++] = first + d;
        }
    }
    int64_t *stride = malloc(((size_t)memory->count * count + 1) * sizeof *stride), extent[FXC_LOOP_RANK];
    if (stride == NULL) {
        e->failed = true;
        return 0;
    }
    for (uint32_t a = 0; a < memory->count; a++) {
        for (uint32_t d = 0; d < count; d++) {
            stride[a * count + d] = fxc_index_stride(&e->index, memory->expression[a], real[d]);
        }
    }
    for (uint32_t d = 0; d < count; d++) {
        extent[d] = l.all[real[d]];
    }
    fxc_fill_order(stride, memory->weight, memory->count, extent, count, order);
    free(stride);
    l.rank = count;
    for (uint32_t d = 0; d < count; d++) {
        l.variable[d] = real[order[count - 1 - d]];
        l.size[d] = extent[order[count - 1 - d]];
    }
    memcpy(l.expression, formulas->expression, formulas->count * sizeof *l.expression);
    add_expression(&l, row_major(&l), 1);
    merge_loops(&l, total, keeps);
    uint32_t made = 0;
    for (uint32_t d = 0; d < count; d++) {
        if (keeps[d]) {
            size[made] = l.size[d];
            map[l.variable[d]] = fxc_index_variable(&e->index, next + made++);
        }
    }
    return made;
}

/* Joins the loops of one access for itself, leaves out those at the end that it does not follow, and numbers the rest.
 */
static struct fxc_access normalise(struct fxc_engine *e, uint32_t buffer, uint32_t address, const int64_t *size,
                                   uint32_t rank) {
    struct loops l;
    l.e = e;
    l.count = 0;
    l.rank = rank;
    l.all = size;
    add_expression(&l, address, 1);
    bool keeps[FXC_LOOP_RANK];
    uint32_t map[FXC_LOOP_RANK] = {0}, sizes[FXC_LOOP_RANK], kept = 0;
    int64_t left[FXC_LOOP_RANK];
    for (uint32_t d = 0; d < rank; d++) {
        l.variable[d] = d;
        l.size[d] = size[d];
    }
    add_expression(&l, row_major(&l), 1);
    merge_loops(&l, rank, keeps);
    for (uint32_t d = 0; d < rank; d++) {
        if (keeps[d]) {
            left[kept] = l.size[d];
            map[d] = fxc_index_variable(&e->index, kept++);
        }
    }
    uint32_t at = rank == 0 ? address : fxc_index_substitute(&e->index, address, map, left);
    while (kept > 0 && (e->index.row[at].variables >> (kept - 1) & 1u) == 0) {
        kept--;
    }
    for (uint32_t d = 0; d < kept; d++) {
        sizes[d] = fxc_index_constant(&e->index, left[d]);
    }
    return (struct fxc_access){.buffer = buffer, .at = at, .sizes = fxc_index_tuple(&e->index, sizes, kept)};
}

static void add_access(struct fxc_engine *e, struct fxc_access access) {
    if (!FXC_ROOM(e->access, e->access_capacity, e->access_count + 1)) {
        e->failed = true;
        return;
    }
    e->access[e->access_count++] = access;
}

static bool has_access(struct fxc_engine *e, uint32_t begin, const struct fxc_access *access) {
    for (uint32_t i = begin; i < e->access_count; i++) {
        struct fxc_access *a = &e->access[i];
        if (a->buffer == access->buffer && a->at == access->at && a->sizes == access->sizes) {
            a->last = access->last;
            a->most = access->most == 0 ? 0 : a->most;
            return true;
        }
    }
    return false;
}

static void simplify_extern(struct fxc_engine *e, struct fxc_operation *op) {
    op->access_begin = e->access_count;
    for (uint32_t i = 0; i < op->output_count; i++) {
        add_access(e, (struct fxc_access){.buffer = e->number[op->output_begin + i], .at = FXC_NONE});
    }
    op->write_count = op->output_count;
    uint32_t reads = e->access_count;
    for (uint32_t i = 0; i < op->input_count; i++) {
        struct fxc_access access = {.buffer = e->number[op->input_begin + i], .at = FXC_NONE};
        if (!has_access(e, reads, &access)) {
            add_access(e, access);
        }
    }
    op->read_count = e->access_count - reads;
}

static uint32_t constant_tuple(struct fxc_engine *e, const int64_t *size, uint32_t count) {
    uint32_t item[FXC_LOOP_RANK];
    for (uint32_t d = 0; d < count; d++) {
        item[d] = fxc_index_constant(&e->index, size[d]);
    }
    return fxc_index_tuple(&e->index, item, count);
}

static void set_part(struct fxc_engine *e, struct fxc_access *access, const struct fxc_load *load) {
    access->most = load->part.elements;
    if (access->most != 0) {
        struct fxc_load own = *load;
        const int64_t *size = e->size + load->part.shape;
        own.at = load->part.at;
        access->part_at = fxc_load_address(e, &own, size);
        access->part_sizes = constant_tuple(e, size, load->part.rank);
    }
}

void fxc_operation_simplify(struct fxc_engine *e, uint32_t operation, const uint32_t *with, uint32_t with_count) {
    struct fxc_operation op = e->operation[operation];
    if (op.kind > FXC_OPERATION_REDUCTION) {
        simplify_extern(e, &e->operation[operation]);
        return;
    }
    struct loops memory, formulas; /* large: what is not counted is not set */
    memory.count = formulas.count = 0;
    addresses_of(e, &op, &memory, &formulas);
    for (uint32_t i = 0; i < memory.count; i++) {
        add_expression(&formulas, memory.expression[i], 1);
    }
    for (uint32_t w = 0; w < with_count; w++) {
        struct loops other;
        other.count = 0;
        addresses_of(e, &e->operation[with[w]], &other, &formulas);
        for (uint32_t i = 0; i < other.count; i++) {
            add_expression(&formulas, other.expression[i], 1);
        }
    }
    uint32_t map[FXC_LOOP_RANK * 2];
    int64_t size[FXC_LOOP_RANK * 2];
    uint32_t outer = simplify(e, &memory, &formulas, &op, 0, op.outer_rank, 0, map, size);
    uint32_t folded = simplify(e, &memory, &formulas, &op, op.outer_rank, op.folded_rank, outer, map, size + outer);
    op.outer = constant_tuple(e, size, outer);
    op.folded = constant_tuple(e, size + outer, folded);
    op.points = fxc_product(e, size, outer + folded);
    op.access_begin = e->access_count;
    op.write_count = 1;
    uint32_t written = fxc_index_substitute(&e->index, write_address(e, &op), map, size);
    uint32_t seen[LOADED], seen_count = 0;
    add_access(e,
               normalise(e, e->number[op.output_begin],
                         fxc_index_number_loaded(&e->index, written, seen, &seen_count, LOADED), size, outer + folded));
    uint32_t reads = e->access_count;
    for (uint32_t i = 0; i < op.body.load_count; i++) {
        struct fxc_load load = e->load[op.body.load_begin + i];
        if (load.buffer == FXC_NONE) {
            continue;
        }
        uint32_t at = fxc_load_address(e, &load, e->size + op.shape);
        at = fxc_index_substitute(&e->index, at, map, size);
        at = fxc_index_number_loaded(&e->index, at, seen, &seen_count, LOADED);
        struct fxc_access access = normalise(e, load.buffer, at, size, outer + folded);
        access.first = load.first;
        access.last = load.last;
        set_part(e, &access, &load);
        if (!has_access(e, reads, &access)) {
            add_access(e, access);
        }
    }
    op.read_count = e->access_count - reads;
    e->operation[operation] = op;
}
