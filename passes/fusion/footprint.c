/* Which elements of a buffer an access goes over, and whether in their order. */
#include "passes/fusion/footprint.h"

void fxc_footprint_add(struct fxc_footprint *f, int64_t stride, int64_t size) {
    if (size == 1) {
        return;
    }
    uint32_t place = f->rank++;
    for (; place > 0 && f->stride[place - 1] > stride; place--) {
        f->stride[place] = f->stride[place - 1];
        f->size[place] = f->size[place - 1];
    }
    f->stride[place] = stride;
    f->size[place] = size;
}

/* Dimensions by rising stride, those joined that go on where another ends; false when the access is no such box. */
static bool footprint_of(const struct fxc_engine *e, const struct fxc_access *access, struct fxc_footprint *f) {
    const struct fxc_index_table *t = &e->index;
    uint32_t at = access->most != 0 ? access->part_at : access->at;
    uint32_t sizes = access->most != 0 ? access->part_sizes : access->sizes;
    if (at == FXC_NONE || t->row[at].loaded || !fxc_index_is_affine(t, at)) {
        return false;
    }
    f->rank = 0;
    f->offset = t->row[at].offset;
    for (uint32_t d = 0; d < fxc_tuple_length(t, sizes) && d < FXC_LOOP_RANK * 2; d++) {
        int64_t stride = fxc_index_stride(t, at, d);
        int64_t size = t->row[fxc_tuple_items(t, sizes)[d]].offset;
        if (stride != 0) {
            fxc_footprint_add(f, stride, size);
        }
    }
    uint32_t kept = 0;
    for (uint32_t d = 1; d < f->rank; d++) {
        int64_t reach;
        if (!fxc_mul(f->stride[kept], f->size[kept], &reach) && reach == f->stride[d]) {
            if (fxc_mul(f->size[kept], f->size[d], &f->size[kept])) {
                return false;
            }
        } else {
            kept++;
            f->stride[kept] = f->stride[d];
            f->size[kept] = f->size[d];
        }
    }
    f->rank = f->rank == 0 ? 0 : kept + 1;
    return true;
}

bool fxc_same_footprint(const struct fxc_engine *e, const struct fxc_access *a, const struct fxc_access *b) {
    struct fxc_footprint x, y;
    if (!footprint_of(e, a, &x) || !footprint_of(e, b, &y) || x.rank != y.rank || x.offset != y.offset) {
        return false;
    }
    for (uint32_t d = 0; d < x.rank; d++) {
        if (x.stride[d] != y.stride[d] || x.size[d] != y.size[d]) {
            return false;
        }
    }
    return true;
}

/* The last of some loops that has more than one step; FXC_NONE: none has. */
static uint32_t innermost(const struct fxc_index_table *t, uint32_t sizes, uint32_t begin, uint32_t end) {
    for (uint32_t d = end; d-- > begin;) {
        if (t->row[fxc_tuple_items(t, sizes)[d]].offset > 1) {
            return d;
        }
    }
    return FXC_NONE;
}

static bool steps_over(const struct fxc_index_table *t, const struct fxc_access *access, uint32_t loop) {
    int64_t stride = fxc_index_stride(t, access->at, loop);
    bool fetched = t->row[access->at].loaded && stride == 0; /* an element here, an element there */
    return fetched || (stride != 0 && stride != 1);
}

bool fxc_is_strided(const struct fxc_engine *e, const struct fxc_access *access, const struct fxc_operation *op) {
    const struct fxc_index_table *t = &e->index;
    if (access->at == FXC_NONE) {
        return false;
    }
    uint32_t rank = fxc_tuple_length(t, access->sizes), outer = fxc_tuple_length(t, op->outer);
    outer = outer < rank ? outer : rank;
    uint32_t folded = innermost(t, access->sizes, outer, rank), result = innermost(t, access->sizes, 0, outer);
    if (folded != FXC_NONE && steps_over(t, access, folded)) {
        return result == FXC_NONE || steps_over(t, access, result);
    }
    return folded == FXC_NONE && result != FXC_NONE && steps_over(t, access, result);
}
