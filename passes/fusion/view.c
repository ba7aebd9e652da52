/* Views: the same elements under other sizes. What lies in memory with strides stays a strided view of it; of anything
 * else a view is arithmetic on indices. */
#include <string.h>

#include "passes/fusion/engine.h"

struct fxc_tensor_view fxc_view_mapped(struct fxc_engine *e, const struct fxc_tensor_view *view, const uint32_t *map,
                                       uint32_t shape, uint8_t rank, bool strided) {
    struct fxc_tensor_view out = {.box = view->box, .shape = shape, .rank = rank};
    const int64_t *size = e->size + shape;
    uint32_t buffer = e->box[view->box].buffer, item[FXC_LOOP_RANK];
    if (strided && fxc_has_layout(e, view)) {
        out.address = out.strided = true;
        if (view->plain) {
            fxc_buffer_decide(e, buffer);
            out.at = fxc_buffer_address(e, buffer, map, size);
        } else {
            out.at = fxc_index_substitute(&e->index, view->at, map, size);
        }
        return out;
    }
    if (view->address) {
        out.address = true;
        out.at = fxc_index_substitute(&e->index, view->at, map, size);
        return out;
    }
    uint32_t count = e->box[view->box].rank;
    for (uint32_t d = 0; d < count; d++) {
        item[d] =
            view->plain ? map[d] : fxc_index_substitute(&e->index, fxc_tuple_items(&e->index, view->at)[d], map, size);
    }
    out.at = fxc_index_tuple(&e->index, item, count);
    return out;
}

static bool same_sizes(const int64_t *a, uint32_t a_rank, const int64_t *b, uint32_t b_rank) {
    return a_rank == b_rank && (a_rank == 0 || memcmp(a, b, a_rank * sizeof *a) == 0);
}

/* Row-major, dimensions of size 1 aside. */
static bool is_contiguous(const int64_t *size, const int64_t *stride, uint32_t rank) {
    int64_t next = 1;
    for (uint32_t d = rank; d-- > 0;) {
        if (size[d] != 1 && stride[d] != next) {
            return false;
        }
        next *= size[d];
    }
    return true;
}

/* Where dimension d of the old sizes is, over the new: through one index over all elements. */
static void reshape_flat(struct fxc_engine *e, const int64_t *old, uint32_t old_rank, const int64_t *size,
                         uint32_t rank, uint32_t *map) {
    struct fxc_index_sum flat = {0};
    int64_t weight = 1;
    uint32_t variable[FXC_LOOP_RANK];
    fxc_engine_variables(e, size, rank, variable);
    for (uint32_t d = rank; d-- > 0;) {
        fxc_index_add(&e->index, &flat, weight, variable[d]);
        e->overflowed |= fxc_mul(weight, size[d] > 0 ? size[d] : 1, &weight);
    }
    uint32_t place = fxc_index_of(&e->index, &flat, size);
    weight = 1;
    for (uint32_t d = old_rank; d-- > 0;) {
        map[d] = old[d] <= 1 ? 0 : fxc_index_piece(&e->index, place, weight, old[d], size);
        weight *= old[d] > 0 ? old[d] : 1;
    }
}

/* The same dimension by dimension from the last: old and new ones that have as many elements go together, so that their
 * indices stay simple (View._dynamic_reshape_indexer of torch/_inductor/ir.py). */
static void reshape_map(struct fxc_engine *e, const int64_t *old, uint32_t old_rank, const int64_t *size, uint32_t rank,
                        uint32_t *map) {
    uint32_t variable[FXC_LOOP_RANK], o = old_rank, n = rank;
    fxc_engine_variables(e, size, rank, variable);
    while (o > 0) {
        int64_t has = old[o - 1], made = 1;
        struct fxc_index_sum sum = {0};
        if (has == 1) {
            map[--o] = 0;
            continue;
        }
        while (made < has && n > 0) {
            n--;
            fxc_index_add(&e->index, &sum, made, variable[n]);
            e->overflowed |= fxc_mul(made, size[n], &made);
        }
        uint32_t place = fxc_index_of(&e->index, &sum, size);
        int64_t divisor = 1;
        while (o > 0 && divisor < made) {
            has = old[--o];
            map[o] = has == 1 ? 0 : fxc_index_piece(&e->index, place, divisor, has, size);
            divisor *= has;
        }
        if (divisor != made || made <= 1) {
            reshape_flat(e, old, old_rank, size, rank, map);
            return;
        }
    }
}

/* A view of row-major memory is row-major. */
static struct fxc_tensor_view flat_view(struct fxc_engine *e, const struct fxc_tensor_view *view, int64_t offset,
                                        uint32_t shape, uint8_t rank) {
    struct fxc_index_sum sum = {.offset = offset};
    uint32_t variable[FXC_LOOP_RANK];
    int64_t weight = 1;
    const int64_t *size = e->size + shape;
    fxc_engine_variables(e, size, rank, variable);
    for (uint32_t d = rank; d-- > 0;) {
        fxc_index_add(&e->index, &sum, weight, variable[d]);
        weight *= size[d] > 0 ? size[d] : 1;
    }
    return (struct fxc_tensor_view){.box = view->box,
                                    .shape = shape,
                                    .at = fxc_index_of(&e->index, &sum, size),
                                    .rank = rank,
                                    .address = true,
                                    .strided = true};
}

struct fxc_tensor_view fxc_view_reshape(struct fxc_engine *e, const struct fxc_tensor_view *view, const int64_t *size,
                                        uint8_t rank) {
    int64_t old[FXC_LOOP_RANK], stride[FXC_LOOP_RANK];
    memcpy(old, fxc_view_size(e, view), view->rank * sizeof *old);
    if (same_sizes(old, view->rank, size, rank)) {
        return *view;
    }
    uint32_t shape = fxc_engine_sizes(e, size, rank), map[FXC_LOOP_RANK];
    if (fxc_has_layout(e, view)) {
        int64_t offset = fxc_view_layout(e, view, stride);
        if (is_contiguous(old, stride, view->rank)) {
            if (view->plain) {
                fxc_buffer_freeze(e, e->box[view->box].buffer);
            }
            return flat_view(e, view, offset, shape, rank);
        }
    }
    reshape_map(e, old, view->rank, e->size + shape, rank, map);
    struct fxc_tensor_view out = fxc_view_mapped(e, view, map, shape, rank, true);
    if (out.strided && !fxc_index_is_affine(&e->index, out.at)) {
        out.strided = false;
    }
    return out;
}

/* Whether repeating a value costs so much that it is computed into memory first. */
static bool too_heavy_to_repeat(const struct fxc_engine *e, const struct fxc_body *body) {
    return (e->profile->heavy & body->heavy) != 0 || body->operations > e->profile->max_operations;
}

struct fxc_tensor_view fxc_view_expand(struct fxc_engine *e, const struct fxc_tensor_view *view, const int64_t *size,
                                       uint8_t rank) {
    int64_t old[FXC_LOOP_RANK];
    uint32_t map[FXC_LOOP_RANK], variable[FXC_LOOP_RANK], skip = (uint32_t)rank - view->rank;
    memcpy(old, fxc_view_size(e, view), view->rank * sizeof *old);
    if (same_sizes(old, view->rank, size, rank)) {
        return *view;
    }
    int64_t before = fxc_product(e, old, view->rank), after = fxc_product(e, size, rank);
    if (!fxc_is_realised(e, view) && before > 0 && after / before > 1 &&
        too_heavy_to_repeat(e, &e->box[view->box].body)) {
        (void)fxc_box_realise(e, view->box);
    }
    uint32_t shape = fxc_engine_sizes(e, size, rank);
    fxc_engine_variables(e, e->size + shape, rank, variable);
    for (uint32_t d = 0; d < view->rank; d++) {
        map[d] = old[d] == 1 ? 0 : variable[d + skip];
    }
    return fxc_view_mapped(e, view, map, shape, rank, true);
}

struct fxc_tensor_view fxc_view_slice(struct fxc_engine *e, const struct fxc_tensor_view *view, uint32_t dim,
                                      int64_t start, int64_t length, int64_t step) {
    int64_t size[FXC_LOOP_RANK];
    uint32_t map[FXC_LOOP_RANK];
    memcpy(size, fxc_view_size(e, view), view->rank * sizeof *size);
    size[dim] = length;
    uint32_t shape = fxc_engine_sizes(e, size, view->rank);
    fxc_engine_variables(e, size, view->rank, map);
    struct fxc_index_sum sum = {.offset = start};
    fxc_index_add(&e->index, &sum, step, map[dim]);
    map[dim] = fxc_index_of(&e->index, &sum, size);
    return fxc_view_mapped(e, view, map, shape, view->rank, true);
}

struct fxc_tensor_view fxc_view_permute(struct fxc_engine *e, const struct fxc_tensor_view *view,
                                        const uint32_t *order) {
    int64_t size[FXC_LOOP_RANK];
    uint32_t map[FXC_LOOP_RANK], variable[FXC_LOOP_RANK];
    for (uint32_t d = 0; d < view->rank; d++) {
        size[d] = fxc_view_size(e, view)[order[d]];
    }
    uint32_t shape = fxc_engine_sizes(e, size, view->rank);
    fxc_engine_variables(e, size, view->rank, variable);
    for (uint32_t d = 0; d < view->rank; d++) {
        map[order[d]] = variable[d];
    }
    return fxc_view_mapped(e, view, map, shape, view->rank, true);
}
