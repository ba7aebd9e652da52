/* Operations: loops and library kernels, and what the latter want of their inputs. */
#include <string.h>

#include "passes/fusion/footprint.h"

static uint32_t add_numbers(struct fxc_engine *e, const uint32_t *numbers, uint32_t count) {
    if (!FXC_ROOM(e->number, e->number_capacity, e->number_count + count + 1)) {
        e->failed = true;
        return 0;
    }
    uint32_t begin = e->number_count;
    for (uint32_t i = 0; i < count; i++) {
        e->number[begin + i] = numbers[i];
    }
    e->number_count += count;
    return begin;
}

static uint32_t add_operation(struct fxc_engine *e, struct fxc_operation operation) {
    if (!FXC_ROOM(e->operation, e->operation_capacity, e->operation_count + 1)) {
        e->failed = true;
        return 0;
    }
    e->operation[e->operation_count] = operation;
    for (uint32_t i = 0; i < operation.output_count; i++) {
        e->buffer[e->number[operation.output_begin + i]].operation = e->operation_count;
    }
    return e->operation_count++;
}

uint32_t fxc_engine_loops(struct fxc_engine *e, enum fxc_operation_kind kind, uint32_t buffer,
                          const struct fxc_body *body, uint32_t shape, uint8_t outer_rank, uint8_t folded_rank) {
    return add_operation(e, (struct fxc_operation){.kind = (uint8_t)kind,
                                                   .node = e->node,
                                                   .shape = shape,
                                                   .outer_rank = outer_rank,
                                                   .folded_rank = folded_rank,
                                                   .body = *body,
                                                   .output_begin = add_numbers(e, &buffer, 1),
                                                   .output_count = 1,
                                                   .write_at = FXC_NONE,
                                                   .mutated = FXC_NONE});
}

uint32_t fxc_engine_extern(struct fxc_engine *e, enum fxc_operation_kind kind, const struct fxc_inputs *inputs,
                           const uint32_t *outputs, uint32_t output_count) {
    struct fxc_operation op = {.kind = (uint8_t)kind, .node = e->node, .write_at = FXC_NONE, .mutated = FXC_NONE};
    op.input_begin = add_numbers(e, inputs->buffer, inputs->count);
    op.input_count = inputs->count;
    op.reach_begin = fxc_engine_sizes(e, inputs->reach, inputs->count);
    op.output_begin = add_numbers(e, outputs, output_count);
    op.output_count = output_count;
    return add_operation(e, op);
}

/* ---- what library kernels want --------------------------------------------------------------------------------------
 */

static bool is_channels_last(const int64_t *size, const int64_t *stride, uint32_t rank) {
    if (rank != 4) {
        return false;
    }
    int64_t next = 1;
    static const uint32_t order[] = {1, 3, 2, 0};
    for (uint32_t i = 0; i < 4; i++) {
        if (size[order[i]] != 1 && stride[order[i]] != next) {
            return false;
        }
        next *= size[order[i]];
    }
    return true;
}

/* Decides the strides of a buffer that a view of it makes a library kernel read: as eager has it when that is
 * channels-last, else row-major. */
static void freeze_as_recorded(struct fxc_engine *e, uint32_t buffer) {
    const struct fxc_buffer *b = &e->buffer[buffer];
    const struct fxc_shapes *shapes = e->analysis->shapes;
    if (b->flexible && b->value != FXC_NONE && shapes->rank[b->value] == b->rank) {
        const int64_t *stride = shapes->stride + shapes->dim_begin[b->value];
        int64_t contiguous = 1;
        bool plain = true;
        for (uint32_t d = b->rank; d-- > 0;) {
            plain &= e->size[b->shape + d] == 1 || stride[d] == contiguous;
            contiguous *= e->size[b->shape + d];
        }
        if (!plain && is_channels_last(e->size + b->shape, stride, b->rank)) {
            fxc_buffer_freeze_as(e, buffer, stride);
        }
    }
    fxc_buffer_freeze(e, buffer);
}

/* A view that is arithmetic so far, as a strided view of memory; false when no strides give it. */
static bool make_strided(struct fxc_engine *e, struct fxc_tensor_view *view) {
    uint32_t buffer = e->box[view->box].buffer, at = view->at;
    freeze_as_recorded(e, buffer);
    if (!view->address) {
        uint32_t item[FXC_LOOP_RANK];
        memcpy(item, fxc_tuple_items(&e->index, at), e->box[view->box].rank * sizeof *item);
        at = fxc_buffer_address(e, buffer, item, fxc_view_size(e, view));
    }
    if (!fxc_index_is_affine(&e->index, at)) {
        return false;
    }
    view->at = at;
    view->address = view->strided = true;
    return true;
}

/* Elements of memory that a strided view goes over. */
static int64_t reach_of(struct fxc_engine *e, const struct fxc_tensor_view *view) {
    int64_t stride[FXC_LOOP_RANK], reach = 1;
    (void)fxc_view_layout(e, view, stride);
    for (uint32_t d = 0; d < view->rank; d++) {
        int64_t size = fxc_view_size(e, view)[d];
        e->overflowed |= (stride[d] != 0 || size == 0) && fxc_mul(reach, size, &reach);
    }
    return reach;
}

/* The elements of memory that a strided view goes over, whatever the order: a tuple of its offset and of strides with
 * their sizes, by rising stride. */
static uint32_t part_of(struct fxc_engine *e, const struct fxc_tensor_view *view) {
    int64_t stride[FXC_LOOP_RANK];
    struct fxc_footprint f = {.offset = fxc_view_layout(e, view, stride)};
    uint32_t item[2 * FXC_LOOP_RANK + 1];
    for (uint32_t d = 0; d < view->rank; d++) {
        fxc_footprint_add(&f, stride[d], fxc_view_size(e, view)[d]);
    }
    item[0] = fxc_index_constant(&e->index, f.offset);
    for (uint32_t d = 0; d < f.rank; d++) {
        item[1 + 2 * d] = fxc_index_constant(&e->index, f.stride[d]);
        item[2 + 2 * d] = fxc_index_constant(&e->index, f.size[d]);
    }
    return fxc_index_tuple(&e->index, item, 2 * f.rank + 1);
}

void fxc_engine_input(struct fxc_engine *e, const struct fxc_tensor_view *asked, struct fxc_inputs *inputs) {
    struct fxc_tensor_view view = *asked;
    uint32_t buffer = fxc_box_realise(e, view.box);
    if (!view.plain && !view.strided && !make_strided(e, &view)) {
        view = fxc_engine_copy(e, &view, NULL);
        buffer = e->box[view.box].buffer;
    }
    fxc_buffer_freeze(e, buffer);
    if (inputs->count < FXC_MAX_INPUTS) {
        uint32_t part = part_of(e, &view);
        int64_t reach = reach_of(e, &view);
        for (uint32_t i = 0; i < inputs->count; i++) { /* what it reads already costs nothing */
            reach = inputs->buffer[i] == buffer && inputs->part[i] == part ? 0 : reach;
        }
        inputs->buffer[inputs->count] = buffer;
        inputs->part[inputs->count] = part;
        inputs->reach[inputs->count++] = reach;
    }
}

/* Dimensions larger than 1 in the order of their wanted strides have strides that do not fall. */
static bool is_ordered(const int64_t *size, const int64_t *stride, const int64_t *wanted, uint32_t rank) {
    for (uint32_t a = 0; a < rank; a++) {
        for (uint32_t b = 0; b < rank; b++) {
            bool before = wanted[a] < wanted[b] || (wanted[a] == wanted[b] && a > b);
            if (size[a] != 1 && size[b] != 1 && before && stride[a] > stride[b]) {
                return false;
            }
        }
    }
    return true;
}

static bool is_as_wanted(const int64_t *size, const int64_t *stride, const int64_t *wanted, uint32_t rank, bool exact) {
    if (!exact) {
        return is_ordered(size, stride, wanted, rank);
    }
    for (uint32_t d = 0; d < rank; d++) {
        if (size[d] != 1 && stride[d] != wanted[d]) {
            return false;
        }
    }
    return true;
}

/* Dense strides in the order of those wanted. */
static void dense_like(struct fxc_engine *e, const int64_t *size, const int64_t *wanted, uint32_t rank,
                       int64_t *stride) {
    bool done[FXC_LOOP_RANK] = {false};
    int64_t next = 1;
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t least = FXC_NONE;
        for (uint32_t d = 0; d < rank; d++) {
            if (!done[d] && (least == FXC_NONE || wanted[d] <= wanted[least])) {
                least = d;
            }
        }
        done[least] = true;
        stride[least] = next;
        e->overflowed |= fxc_mul(next, size[least] > 0 ? size[least] : 1, &next);
    }
}

struct fxc_tensor_view fxc_engine_require(struct fxc_engine *e, const struct fxc_tensor_view *asked,
                                          const int64_t *wanted, bool exact) {
    struct fxc_tensor_view view = *asked;
    int64_t size[FXC_LOOP_RANK], stride[FXC_LOOP_RANK], dense[FXC_LOOP_RANK];
    memcpy(size, fxc_view_size(e, &view), view.rank * sizeof *size);
    int64_t numel = fxc_product(e, size, view.rank);
    if (numel <= 1 && !exact) {
        return view;
    }
    if (exact) {
        memcpy(dense, wanted, view.rank * sizeof *dense);
    } else {
        dense_like(e, size, wanted, view.rank, dense);
    }
    if (fxc_is_realised(e, &view) && !view.plain && !view.strided) {
        (void)make_strided(e, &view);
    }
    if (fxc_has_layout(e, &view)) {
        uint32_t buffer = e->box[view.box].buffer;
        (void)fxc_view_layout(e, &view, stride);
        bool flexible = view.plain && e->buffer[buffer].flexible;
        if (flexible && !exact && is_ordered(size, stride, wanted, view.rank)) {
            fxc_buffer_freeze(e, buffer);
            return view;
        }
        if (flexible) {
            fxc_buffer_freeze_as(e, buffer, dense);
            return view;
        }
        if (is_as_wanted(size, stride, wanted, view.rank, exact)) {
            return view;
        }
    }
    return fxc_engine_copy(e, &view, dense);
}
