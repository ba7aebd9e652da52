/* Boxes and buffers: what is computed into memory, and with which strides. */
#include <string.h>

#include "passes/fusion/engine.h"

uint32_t fxc_engine_sizes(struct fxc_engine *e, const int64_t *size, uint32_t count) {
    if (!FXC_ROOM(e->size, e->size_capacity, e->size_count + count + 1)) {
        e->failed = true;
        return 0;
    }
    uint32_t begin = e->size_count;
    for (uint32_t d = 0; d < count; d++) {
        e->size[begin + d] = size[d];
    }
    e->size_count += count;
    return begin;
}

static void contiguous(struct fxc_engine *e, const int64_t *size, uint32_t rank, int64_t *stride) {
    int64_t next = 1;
    for (uint32_t d = rank; d-- > 0;) {
        stride[d] = next;
        e->overflowed |= fxc_mul(next, size[d] > 0 ? size[d] : 1, &next);
    }
}

uint32_t fxc_engine_contiguous(struct fxc_engine *e, uint32_t shape, uint8_t rank) {
    int64_t stride[FXC_LOOP_RANK];
    contiguous(e, e->size + shape, rank, stride);
    return fxc_engine_sizes(e, stride, rank);
}

int64_t fxc_product(struct fxc_engine *e, const int64_t *size, uint32_t count) {
    int64_t product = 1;
    for (uint32_t d = 0; d < count; d++) {
        e->overflowed |= fxc_mul(product, size[d], &product);
    }
    return product;
}

void fxc_engine_variables(struct fxc_engine *e, const int64_t *size, uint32_t count, uint32_t *map) {
    for (uint32_t d = 0; d < count; d++) {
        map[d] = size[d] == 1 ? 0 : fxc_index_variable(&e->index, d);
    }
}

uint32_t fxc_engine_buffer(struct fxc_engine *e, struct fxc_buffer buffer) {
    if (!FXC_ROOM(e->buffer, e->buffer_capacity, e->buffer_count + 1)) {
        e->failed = true;
        return 0;
    }
    buffer.numel = buffer.charged = fxc_product(e, e->size + buffer.shape, buffer.rank);
    e->buffer[e->buffer_count] = buffer;
    return e->buffer_count++;
}

struct fxc_tensor_view fxc_engine_box(struct fxc_engine *e, const struct fxc_box *box) {
    if (!FXC_ROOM(e->box, e->box_capacity, e->box_count + 1)) {
        e->failed = true;
        return (struct fxc_tensor_view){.box = 0, .shape = box->shape, .rank = box->rank, .plain = true};
    }
    e->box[e->box_count] = *box;
    return (struct fxc_tensor_view){.box = e->box_count++, .shape = box->shape, .rank = box->rank, .plain = true};
}

struct fxc_tensor_view fxc_engine_pointwise(struct fxc_engine *e, uint32_t shape, uint8_t rank, uint8_t dtype,
                                            const struct fxc_body *body) {
    return fxc_engine_box(e, &(struct fxc_box){.buffer = FXC_NONE,
                                               .shape = shape,
                                               .body = *body,
                                               .node = e->node,
                                               .value = FXC_NONE,
                                               .rank = rank,
                                               .dtype = dtype});
}

uint32_t fxc_box_realise(struct fxc_engine *e, uint32_t box) {
    struct fxc_box *b = &e->box[box];
    if (b->buffer != FXC_NONE) {
        return b->buffer;
    }
    struct fxc_buffer made = {.value = b->value,
                              .node = b->node,
                              .operation = FXC_NONE,
                              .shape = b->shape,
                              .strides = fxc_engine_contiguous(e, b->shape, b->rank),
                              .within = FXC_NONE,
                              .rank = b->rank,
                              .dtype = b->dtype,
                              .flexible = true};
    uint32_t buffer = fxc_engine_buffer(e, made);
    (void)fxc_engine_loops(e, FXC_OPERATION_POINTWISE, buffer, &b->body, b->shape, b->rank, 0);
    b->buffer = buffer;
    return buffer;
}

/* ---- strides --------------------------------------------------------------------------------------------------------
 */

void fxc_buffer_freeze(struct fxc_engine *e, uint32_t buffer) {
    e->buffer[buffer].flexible = false;
}

void fxc_buffer_freeze_as(struct fxc_engine *e, uint32_t buffer, const int64_t *stride) {
    struct fxc_buffer *b = &e->buffer[buffer];
    if (b->flexible) {
        memcpy(e->size + b->strides, stride, b->rank * sizeof *stride);
        b->flexible = false;
    }
}

uint32_t fxc_buffer_address(struct fxc_engine *e, uint32_t buffer, const uint32_t *at, const int64_t *size) {
    const struct fxc_buffer *b = &e->buffer[buffer];
    struct fxc_index_sum sum;
    sum.offset = b->offset;
    sum.count = 0;
    for (uint32_t d = 0; d < b->rank; d++) {
        if (at[d] != 0) {
            fxc_index_add(&e->index, &sum, e->size[b->strides + d], at[d]);
        }
    }
    return fxc_index_of(&e->index, &sum, size);
}

/* Strides of a dense tensor whose dimensions are filled in this order. */
static void fill(struct fxc_engine *e, const int64_t *size, uint32_t rank, const uint32_t *order, int64_t *stride) {
    int64_t next = 1;
    for (uint32_t i = 0; i < rank; i++) {
        stride[order[i]] = next;
        e->overflowed |= fxc_mul(next, size[order[i]] > 0 ? size[order[i]] : 1, &next);
    }
}

uint32_t fxc_load_address(struct fxc_engine *e, const struct fxc_load *load, const int64_t *size) {
    if (load->address) {
        return load->at;
    }
    uint32_t item[FXC_LOOP_RANK], count = fxc_tuple_length(&e->index, load->at);
    memcpy(item, fxc_tuple_items(&e->index, load->at), count * sizeof *item);
    return fxc_buffer_address(e, load->buffer, item, size);
}

void fxc_buffer_decide(struct fxc_engine *e, uint32_t buffer) {
    struct fxc_buffer b = e->buffer[buffer];
    if (!b.flexible) {
        return;
    }
    struct fxc_operation op = e->operation[b.operation];
    uint32_t loads = 0, order[FXC_LOOP_RANK];
    int64_t *stride = malloc((op.body.load_count * (size_t)b.rank + 1) * sizeof *stride), chosen[FXC_LOOP_RANK];
    if (stride == NULL) {
        e->failed = true;
        return;
    }
    for (uint32_t i = 0; i < op.body.load_count && op.kind <= FXC_OPERATION_REDUCTION; i++) {
        struct fxc_load load = e->load[op.body.load_begin + i];
        if (load.buffer == FXC_NONE) {
            continue;
        }
        uint32_t address = fxc_load_address(e, &load, e->size + op.shape);
        for (uint32_t d = 0; d < b.rank; d++) {
            stride[loads * b.rank + d] = fxc_index_stride(&e->index, address, d);
        }
        loads++;
    }
    if (loads > 0) {
        fxc_fill_order(stride, NULL, loads, e->size + b.shape, b.rank, order);
        fill(e, e->size + b.shape, b.rank, order, chosen);
        fxc_buffer_freeze_as(e, buffer, chosen);
    }
    free(stride);
    fxc_buffer_freeze(e, buffer);
}

/* ---- layouts of views
 * ------------------------------------------------------------------------------------------------
 */

int64_t fxc_view_layout(struct fxc_engine *e, const struct fxc_tensor_view *view, int64_t *stride) {
    const struct fxc_buffer *b = &e->buffer[e->box[view->box].buffer];
    if (view->plain) {
        memcpy(stride, e->size + b->strides, b->rank * sizeof *stride);
        return b->offset;
    }
    for (uint32_t d = 0; d < view->rank; d++) {
        stride[d] = fxc_index_stride(&e->index, view->at, d);
    }
    return e->index.row[view->at].offset;
}

struct fxc_tensor_view fxc_engine_copy(struct fxc_engine *e, const struct fxc_tensor_view *view,
                                       const int64_t *stride) {
    uint32_t map[FXC_LOOP_RANK];
    struct fxc_body body;
    fxc_engine_variables(e, fxc_view_size(e, view), view->rank, map);
    fxc_body_start(e, &body);
    fxc_body_inline(e, &body, view, map, fxc_view_size(e, view));
    struct fxc_tensor_view copy = fxc_engine_pointwise(e, view->shape, view->rank, e->box[view->box].dtype, &body);
    bool moves = fxc_is_realised(e, view);
    uint32_t buffer = fxc_box_realise(e, copy.box);
    if (!e->failed) {
        e->buffer[buffer].copy = true;
        e->operation[e->buffer[buffer].operation].copies = moves;
    }
    if (stride != NULL) {
        fxc_buffer_freeze_as(e, buffer, stride);
    }
    return copy;
}
