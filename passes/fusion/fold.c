/* Reductions as loops, or as sums of loads. */
#include "passes/fusion/fold.h"

#include <string.h>

enum { PARTS = 0x8000 }; /* a part of a node's work that puts parts together, which no FLOPs are counted for */

void fxc_fold_plan(struct fxc_engine *e, struct fxc_fold *f) {
    const int64_t *size = fxc_view_size(e, &f->view);
    f->kept_rank = f->folded_rank = f->result_rank = 0;
    for (uint32_t d = 0; d < f->view.rank; d++) {
        if ((f->dims >> d & 1u) != 0) {
            f->folded[f->folded_rank++] = size[d];
            if (f->keepdim) {
                f->result[f->result_rank++] = 1;
            }
        } else {
            f->kept[f->kept_rank++] = size[d];
            f->result[f->result_rank++] = size[d];
        }
    }
    f->elements = fxc_product(e, f->folded, f->folded_rank);
}

/* Every element that is folded, one after the other, as a pointwise value over the result. */
static struct fxc_tensor_view unrolled(struct fxc_engine *e, const struct fxc_fold *f) {
    struct fxc_body body;
    uint32_t shape = fxc_engine_sizes(e, f->result, f->result_rank), variable[FXC_LOOP_RANK], map[FXC_LOOP_RANK];
    fxc_engine_variables(e, f->result, f->result_rank, variable);
    fxc_body_start(e, &body);
    for (int64_t i = 0; i < f->elements; i++) {
        int64_t rest = i;
        for (uint32_t d = f->view.rank, r = f->result_rank, k = f->folded_rank; d-- > 0;) {
            bool folds = (f->dims >> d & 1u) != 0;
            if (folds) {
                k--;
                map[d] = fxc_index_constant(&e->index, rest % f->folded[k]);
                rest /= f->folded[k];
                r -= f->keepdim;
            } else {
                map[d] = variable[--r];
            }
        }
        fxc_body_inline(e, &body, &f->view, map, e->size + shape);
    }
    fxc_own_work(e, &body, shape, f->result_rank, f->part, (uint16_t)(f->elements > 1 ? f->elements - 1 : 0));
    return fxc_engine_pointwise(e, shape, f->result_rank, f->dtype, &body);
}

/* Loops over outer[] and folded[] that fill a new buffer over the outer sizes; `map` gives the view's dimensions. */
static uint32_t make_loops(struct fxc_engine *e, const struct fxc_fold *f, const int64_t *all, uint8_t outer,
                           uint8_t rank, const uint32_t *map, uint16_t part) {
    uint32_t variable[FXC_LOOP_RANK], shape = fxc_engine_sizes(e, all, rank);
    fxc_engine_variables(e, all, rank, variable);
    struct fxc_body body;
    fxc_body_start(e, &body);
    fxc_body_inline(e, &body, &f->view, map, e->size + shape);
    uint32_t at = fxc_index_tuple(&e->index, variable, rank);
    fxc_body_work(e, &body, (struct fxc_work){e->node, at, part, 1, fxc_product(e, all, rank)});
    uint32_t kept = fxc_engine_sizes(e, all, outer);
    struct fxc_buffer made = {.value = FXC_NONE,
                              .node = e->node,
                              .operation = FXC_NONE,
                              .shape = kept,
                              .strides = fxc_engine_contiguous(e, kept, outer),
                              .within = FXC_NONE,
                              .rank = outer,
                              .dtype = f->dtype,
                              .flexible = true};
    uint32_t buffer = fxc_engine_buffer(e, made);
    (void)fxc_engine_loops(e, FXC_OPERATION_REDUCTION, buffer, &body, shape, outer, (uint8_t)(rank - outer));
    return buffer;
}

/* In parts of as many elements, then over the parts (Reduction.create_multilayer of torch/_inductor/ir.py). */
static uint32_t in_parts(struct fxc_engine *e, const struct fxc_fold *f, int64_t parts) {
    int64_t all[FXC_LOOP_RANK], block = (f->elements + parts - 1) / parts, weight = 1;
    uint32_t map[FXC_LOOP_RANK], variable[FXC_LOOP_RANK];
    uint8_t outer = (uint8_t)(f->kept_rank + 1), rank = (uint8_t)(f->kept_rank + 2);
    memcpy(all, f->kept, f->kept_rank * sizeof *all);
    all[f->kept_rank] = parts;
    all[f->kept_rank + 1] = block;
    fxc_engine_variables(e, all, rank, variable);
    struct fxc_index_sum sum = {0};
    fxc_index_add(&e->index, &sum, block, variable[f->kept_rank]);
    fxc_index_add(&e->index, &sum, 1, variable[f->kept_rank + 1]);
    uint32_t place = fxc_index_of(&e->index, &sum, all);
    for (uint32_t d = f->view.rank, k = f->kept_rank, r = f->folded_rank; d-- > 0;) {
        if ((f->dims >> d & 1u) == 0) {
            map[d] = variable[--k];
            continue;
        }
        int64_t size = f->folded[--r];
        map[d] = size <= 1 ? 0 : fxc_index_piece(&e->index, place, weight, r == 0 ? 0 : size, all);
        e->overflowed |= fxc_mul(weight, size, &weight);
    }
    struct fxc_fold rest = *f;
    if (f->elements % parts == 0 && f->dims >> f->kept_rank << f->kept_rank == f->dims) { /* the last dimensions */
        rest.view = fxc_view_reshape(e, &f->view, all, rank);
        memcpy(map, variable, rank * sizeof *map);
    }
    uint32_t first = make_loops(e, &rest, all, outer, rank, map, f->part);
    rest.view = fxc_engine_box(e, &(struct fxc_box){.buffer = first,
                                                    .shape = e->buffer[first].shape,
                                                    .node = e->node,
                                                    .value = FXC_NONE,
                                                    .rank = outer,
                                                    .dtype = f->dtype});
    return make_loops(e, &rest, all, f->kept_rank, outer, variable, (uint16_t)(f->part | PARTS));
}

uint32_t fxc_fold_loops(struct fxc_engine *e, const struct fxc_fold *f) {
    int64_t all[FXC_LOOP_RANK], parts = fxc_fold_splits(e, f);
    uint32_t variable[FXC_LOOP_RANK], map[FXC_LOOP_RANK];
    if (parts > 1 && f->kept_rank + 2 <= FXC_LOOP_RANK) {
        return in_parts(e, f, parts);
    }
    memcpy(all, f->kept, f->kept_rank * sizeof *all);
    memcpy(all + f->kept_rank, f->folded, f->folded_rank * sizeof *all);
    uint8_t rank = (uint8_t)(f->kept_rank + f->folded_rank);
    fxc_engine_variables(e, all, rank, variable);
    for (uint32_t d = 0, k = 0, r = f->kept_rank; d < f->view.rank; d++) {
        map[d] = (f->dims >> d & 1u) != 0 ? variable[r++] : variable[k++];
    }
    return make_loops(e, f, all, f->kept_rank, rank, map, f->part);
}

struct fxc_tensor_view fxc_fold_result(struct fxc_engine *e, const struct fxc_fold *f, uint32_t buffer) {
    struct fxc_tensor_view view = fxc_engine_box(e, &(struct fxc_box){.buffer = buffer,
                                                                      .shape = e->buffer[buffer].shape,
                                                                      .node = e->node,
                                                                      .value = FXC_NONE,
                                                                      .rank = f->kept_rank,
                                                                      .dtype = f->dtype});
    return fxc_view_reshape(e, &view, f->result, f->result_rank);
}

struct fxc_tensor_view fxc_fold_all(struct fxc_engine *e, struct fxc_fold *f) {
    fxc_fold_plan(e, f);
    bool several = fxc_product(e, f->kept, f->kept_rank) != 1;
    if (f->elements <= 1 || (f->elements < f->unroll && (several || e->profile->unroll_single))) {
        return unrolled(e, f);
    }
    return fxc_fold_result(e, f, fxc_fold_loops(e, f));
}
