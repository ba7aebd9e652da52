/* How the loops of two groups relate: CppScheduling of torch/_inductor/codegen/cpp.py, and for GPUs SIMDScheduling of
 * codegen/simd.py. */
#include "passes/fusion/merge.h"

static int64_t size_at(const struct fxc_engine *e, uint32_t tuple, uint32_t d) {
    return e->index.row[fxc_tuple_items(&e->index, tuple)[d]].offset;
}

static int64_t points(struct fxc_engine *e, uint32_t tuple) {
    int64_t product = 1;
    for (uint32_t d = 0; d < fxc_tuple_length(&e->index, tuple); d++) {
        e->overflowed |= fxc_mul(product, size_at(e, tuple, d), &product);
    }
    return product;
}

/* a == b followed by c. */
static bool is_joined(const struct fxc_engine *e, uint32_t a, uint32_t b, uint32_t c) {
    const struct fxc_index_table *t = &e->index;
    uint32_t first = fxc_tuple_length(t, b), second = fxc_tuple_length(t, c);
    if (fxc_tuple_length(t, a) != first + second) {
        return false;
    }
    for (uint32_t d = 0; d < first + second; d++) {
        uint32_t item = d < first ? fxc_tuple_items(t, b)[d] : fxc_tuple_items(t, c)[d - first];
        if (fxc_tuple_items(t, a)[d] != item) {
            return false;
        }
    }
    return true;
}

/* The sizes that all operations of a group were made with; false when they differ. */
static bool made_with(const struct fxc_merge *m, uint32_t group, const int64_t **size, uint32_t *rank) {
    const struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *g = &m->group[group];
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &e->operation[m->member[g->member_begin + i]];
        bool same = i > 0 && *rank == op->outer_rank;
        for (uint32_t d = 0; same && d < *rank; d++) {
            same = (*size)[d] == e->size[op->shape + d];
        }
        if (i > 0 && !same) {
            return false;
        }
        *size = e->size + op->shape;
        *rank = op->outer_rank;
    }
    return true;
}

/* Simplifies a single operation, keeping apart what the operations of another group keep apart; true when the sizes of
 * its loops are then those of the other group. */
static bool try_align(struct fxc_merge *m, uint32_t narrow, uint32_t wide) {
    struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *n = &m->group[narrow], *w = &m->group[wide];
    uint32_t operation = m->member[n->member_begin];
    struct fxc_operation before = e->operation[operation];
    fxc_operation_simplify(e, operation, m->member + w->member_begin, w->member_count);
    bool same = e->operation[operation].outer == w->outer;
    e->operation[operation] = before;
    return same;
}

/* Both pointwise, as many elements, one of them with a single loop: the same loops if it was made with the same sizes.
 */
static bool same_sizes(struct fxc_merge *m, uint32_t a, uint32_t b) {
    struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    uint32_t x_rank = fxc_tuple_length(&e->index, x->outer), y_rank = fxc_tuple_length(&e->index, y->outer);
    if (x->folded != 0 || y->folded != 0 || (x_rank != 1 && y_rank != 1) ||
        points(e, x->outer) != points(e, y->outer)) {
        return false;
    }
    uint32_t narrow = x_rank < y_rank ? a : b, wide = x_rank < y_rank ? b : a, rank = 0, other = 0;
    const int64_t *size = NULL, *sizes = NULL;
    if (m->group[narrow].member_count > 1 || !made_with(m, wide, &sizes, &other) ||
        !made_with(m, narrow, &size, &rank) || rank != other) {
        return false;
    }
    for (uint32_t d = 0; d < rank; d++) {
        if (size[d] != sizes[d]) {
            return false;
        }
    }
    return try_align(m, narrow, wide);
}

/* ---- by how many points loops have (SIMDScheduling of torch/_inductor/codegen/simd.py) -----------------------------
 */

/* Whether each operation's loops fall into two parts, of which the first has so many points. */
static bool all_split_at(struct fxc_merge *m, uint32_t group, int64_t first) {
    const struct fxc_engine *e = m->e;
    const struct fxc_kernel_group *g = &m->group[group];
    for (uint32_t i = 0; i < g->member_count; i++) {
        const struct fxc_operation *op = &e->operation[m->member[g->member_begin + i]];
        int64_t left = first;
        for (uint32_t d = 0; d < fxc_tuple_length(&e->index, op->outer) && left > 1; d++) {
            int64_t size = size_at(e, op->outer, d);
            if (size <= 0 || (left % size != 0 && size % left != 0)) {
                return false;
            }
            left = size >= left ? 1 : left / size;
        }
    }
    return true;
}

static bool same_points(struct fxc_merge *m, uint32_t a, uint32_t b) {
    struct fxc_engine *e = m->e;
    if (m->group[a].reduces && !m->group[b].reduces) {
        return same_points(m, b, a);
    }
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    int64_t kept = points(e, y->outer), folded = points(e, y->folded), all = 0, own = points(e, x->outer);
    if (x->reduces || !y->reduces) {
        return own == kept && points(e, x->folded) == folded;
    }
    e->overflowed |= fxc_mul(kept, folded, &all);
    return own == kept || (own == all && all_split_at(m, a, kept));
}

enum fxc_merge_reason fxc_loops_relate(struct fxc_merge *m, uint32_t a, uint32_t b) {
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    if (x->fixed || y->fixed || x->parts > 0 || y->parts > 0) {
        return FXC_MERGE_OTHER_LOOPS;
    }
    if (x->outer == y->outer && x->folded == y->folded) {
        return FXC_MERGE_SAME_LOOPS;
    }
    if (x->folded == 0 && is_joined(m->e, x->outer, y->outer, y->folded)) {
        return FXC_MERGE_INTO_REDUCTION;
    }
    if (m->e->profile->by_points) {
        return same_points(m, a, b) ? FXC_MERGE_SAME_POINTS : FXC_MERGE_OTHER_LOOPS;
    }
    return same_sizes(m, a, b) ? FXC_MERGE_SAME_SIZES : FXC_MERGE_OTHER_LOOPS;
}

void fxc_loops_align(struct fxc_merge *m, uint32_t a, uint32_t b) {
    struct fxc_engine *e = m->e;
    uint32_t x_rank = fxc_tuple_length(&e->index, m->group[a].outer);
    uint32_t y_rank = fxc_tuple_length(&e->index, m->group[b].outer);
    struct fxc_kernel_group *narrow = &m->group[x_rank < y_rank ? a : b], *wide = &m->group[x_rank < y_rank ? b : a];
    uint32_t operation = m->member[narrow->member_begin];
    fxc_operation_simplify(e, operation, m->member + wide->member_begin, wide->member_count);
    const struct fxc_operation *op = &e->operation[operation];
    narrow->outer = narrow->head[0] = narrow->tail[0] = op->outer;
    uint32_t count = op->write_count + op->read_count;
    if (!FXC_ROOM(m->access, m->access_capacity, m->access_count + count)) {
        e->failed = true;
        return;
    }
    narrow->access_begin = m->access_count;
    narrow->access_count = count;
    for (uint32_t i = 0; i < count; i++) {
        m->access[m->access_count++] = e->access[op->access_begin + i];
    }
}

uint32_t fxc_outer_depth(struct fxc_merge *m, uint32_t a, uint32_t b) {
    const struct fxc_kernel_group *x = &m->group[a], *y = &m->group[b];
    const struct fxc_index_table *t = &m->e->index;
    if (!m->e->profile->outer_loops || x->fixed || y->fixed) {
        return 0;
    }
    uint32_t x_rank = fxc_tuple_length(t, x->tail[0]), y_rank = fxc_tuple_length(t, y->head[0]);
    if (x->parts > 0 && y->parts > 0) {
        bool folds = x_rank == 0 && y_rank == 0 && x->tail[1] != 0 && y->head[1] != 0;
        return x->depth == y->depth && !folds ? x->depth : 0;
    }
    uint32_t depth = x_rank < y_rank ? x_rank : y_rank;
    for (uint32_t d = 0; d < depth; d++) {
        if (fxc_tuple_items(t, x->tail[0])[d] != fxc_tuple_items(t, y->head[0])[d]) {
            return 0;
        }
    }
    if (x->parts > 0 || y->parts > 0) {
        return (x->parts > 0 ? x->depth : y->depth) == depth ? depth : 0;
    }
    return depth;
}
