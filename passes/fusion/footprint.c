/* Which elements of a buffer an access goes over, whatever the order. */
#include "passes/fusion/account.h"

struct footprint {
    int64_t offset, stride[FXC_LOOP_RANK * 2], size[FXC_LOOP_RANK * 2];
    uint32_t rank;
};

/* Dimensions by rising stride, those joined that go on where another ends; false when the access is no such box. */
static bool footprint_of(const struct fxc_engine *e, const struct fxc_access *access, struct footprint *f) {
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
        if (stride == 0 || size == 1) {
            continue;
        }
        uint32_t place = f->rank++;
        for (; place > 0 && f->stride[place - 1] > stride; place--) {
            f->stride[place] = f->stride[place - 1];
            f->size[place] = f->size[place - 1];
        }
        f->stride[place] = stride;
        f->size[place] = size;
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
    struct footprint x, y;
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
