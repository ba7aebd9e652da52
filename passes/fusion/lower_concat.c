/* Lowering concatenation, and writes in place. */
#include <string.h>

#include "passes/fusion/lower.h"

static bool is_channels_last(const int64_t *size, const int64_t *stride, uint32_t rank) {
    static const uint32_t order[] = {1, 3, 2, 0};
    int64_t next = 1;
    for (uint32_t i = 0; rank == 4 && i < 4; i++) {
        if (size[order[i]] != 1 && stride[order[i]] != next) {
            return false;
        }
        next *= size[order[i]];
    }
    return rank == 4 && size[1] > 1;
}

/* The strides of a concatenation: channels-last if a part has decided to be so, or if none is in memory and eager has
 * one so; else row-major. */
static void choose_strides(struct fxc_engine *e, const struct fxc_tensor_view *part, const uint32_t *value,
                           uint32_t count, const int64_t *size, uint8_t rank, int64_t *stride) {
    bool last = false, in_memory = false;
    for (uint32_t i = 0; i < count; i++) {
        int64_t has[FXC_LOOP_RANK];
        if (fxc_has_layout(e, &part[i])) {
            in_memory = true;
            (void)fxc_view_layout(e, &part[i], has);
            bool flexible = part[i].plain && e->buffer[e->box[part[i].box].buffer].flexible;
            last |= !flexible && is_channels_last(fxc_view_size(e, &part[i]), has, part[i].rank);
        }
    }
    for (uint32_t i = 0; i < count && !in_memory; i++) {
        const int64_t *sizes, *recorded;
        uint8_t own;
        if (fxc_value_sizes(e, value[i], &sizes, &recorded, &own)) {
            last |= is_channels_last(sizes, recorded, own);
        }
    }
    int64_t next = 1;
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t d = !last ? rank - 1u - i : i == 0 ? 1 : i == rank - 1u ? 0 : rank - i;
        stride[d] = next;
        next *= size[d];
    }
}

/* Computes a part into its place, or copies it there; returns the buffer that the place is. */
static uint32_t place_part(struct fxc_engine *e, const struct fxc_tensor_view *part, uint32_t whole,
                           const int64_t *stride, int64_t offset) {
    struct fxc_box *box = &e->box[part->box];
    uint32_t buffer;
    bool open = part->plain && (box->buffer == FXC_NONE ||
                                (e->buffer[box->buffer].flexible && e->buffer[box->buffer].operation != FXC_NONE));
    if (open) {
        buffer = fxc_box_realise(e, part->box);
        fxc_buffer_freeze_as(e, buffer, stride);
    } else {
        struct fxc_tensor_view copy = fxc_combine(e, part, 1, part->shape, part->rank, box->dtype, 0, 0, 0);
        buffer = fxc_box_realise(e, copy.box);
        fxc_buffer_freeze_as(e, buffer, stride);
    }
    e->buffer[buffer].offset = offset;
    e->buffer[buffer].within = whole;
    return buffer;
}

void fxc_lower_concat(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view part[FXC_MAX_INPUTS];
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_tensors), count = 0, value = fxc_result_value(e, 0);
    uint32_t values[FXC_MAX_INPUTS];
    struct fxc_inputs inputs = {.count = 0};
    const int64_t *size, *recorded;
    int64_t dim, stride[FXC_LOOP_RANK], offset = 0;
    uint8_t rank;
    bool known = list != FXC_NONE && value != FXC_NONE && fxc_value_sizes(e, value, &size, &recorded, &rank) &&
                 fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim) && rank > 0;
    for (uint32_t i = known ? e->p->list_begin[list] : 0; known && i < e->p->list_begin[list + 1]; i++) {
        known = e->p->item_kind[i] == FXC_KIND_VALUE && count < FXC_MAX_INPUTS &&
                e->view[e->p->item_payload[i]].box != FXC_NONE && e->view[e->p->item_payload[i]].rank == rank;
        if (known) {
            values[count] = (uint32_t)e->p->item_payload[i];
            part[count++] = e->view[e->p->item_payload[i]];
        }
    }
    if (!known) {
        fxc_lower_fallback(e, how);
        return;
    }
    dim = dim < 0 ? dim + rank : dim;
    choose_strides(e, part, values, count, size, rank, stride);
    uint32_t whole;
    struct fxc_tensor_view out = fxc_made_buffer(e, value, stride, &whole);
    for (uint32_t i = 0; i < count; i++) {
        inputs.buffer[i] = place_part(e, &part[i], whole, stride, offset);
        inputs.reach[i] = e->buffer[inputs.buffer[i]].numel;
        inputs.count++;
        offset += fxc_view_size(e, &part[i])[dim] * stride[dim];
    }
    (void)fxc_engine_extern(e, FXC_OPERATION_NONE, &inputs, &whole, 1);
    fxc_give(e, 0, &out);
}

/* copy(self, src): the elements of src in the shape of self, which is not read. */
void fxc_lower_copy(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view source;
    uint32_t value = fxc_result_value(e, 0);
    const int64_t *size, *stride;
    uint8_t rank;
    if (!fxc_operand(e, FXC_NAME_src, &source) || value == FXC_NONE ||
        !fxc_value_sizes(e, value, &size, &stride, &rank)) {
        fxc_lower_fallback(e, how);
        return;
    }
    source = fxc_view_expand(e, &source, size, rank);
    struct fxc_tensor_view out = fxc_combine(e, &source, 1, fxc_engine_sizes(e, size, rank), rank,
                                             e->analysis->shapes->dtype[value], 0, how->operations, 0);
    fxc_give(e, 0, &out);
}

/* The layout of a mutation has the sizes of the view (MutationLayoutSHOULDREMOVE of ir.py). */
uint32_t fxc_written_buffer(struct fxc_engine *e, const struct fxc_tensor_view *self, uint32_t value) {
    uint32_t before = e->box[self->box].buffer;
    fxc_buffer_freeze(e, before);
    struct fxc_buffer made = e->buffer[before];
    made.value = value;
    made.node = e->node;
    made.operation = FXC_NONE;
    made.output |= made.input;
    made.input = made.parameter = false;
    made.written = e->buffer[before].written = true;
    uint32_t after = fxc_engine_buffer(e, made);
    if (!e->failed) {
        e->buffer[after].charged = fxc_product(e, fxc_view_size(e, self), self->rank);
    }
    return after;
}

/* self.copy_(src): the source is computed into the memory of self, which whatever reads it later finds there. */
void fxc_lower_copy_(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, source;
    uint32_t value = fxc_result_value(e, 0), map[FXC_LOOP_RANK];
    if (!fxc_operand(e, FXC_NAME_self, &self) || !fxc_operand(e, FXC_NAME_src, &source) || value == FXC_NONE ||
        !fxc_has_layout(e, &self)) {
        fxc_lower_fallback(e, how);
        return;
    }
    int64_t size[FXC_LOOP_RANK], stride[FXC_LOOP_RANK];
    memcpy(size, fxc_view_size(e, &self), self.rank * sizeof *size);
    fxc_realise_hint(e, &source);
    source = fxc_view_expand(e, &source, size, self.rank);
    uint32_t before = e->box[self.box].buffer, after = fxc_written_buffer(e, &self, value);
    struct fxc_index_sum address = {.offset = fxc_view_layout(e, &self, stride)};
    fxc_engine_variables(e, size, self.rank, map);
    for (uint32_t d = 0; d < self.rank; d++) {
        if (map[d] != 0) {
            fxc_index_add(&e->index, &address, stride[d], map[d]);
        }
    }
    struct fxc_body body;
    fxc_body_start(e, &body);
    fxc_body_inline(e, &body, &source, map, size);
    fxc_own_work(e, &body, self.shape, self.rank, 0, 0);
    uint32_t operation = fxc_engine_loops(e, FXC_OPERATION_POINTWISE, after, &body, self.shape, self.rank, 0);
    if (!e->failed) {
        e->operation[operation].write_at = fxc_index_of(&e->index, &address, size);
        e->operation[operation].mutated = before;
        e->box[self.box].buffer = after;
    }
    fxc_give(e, 0, &self);
}
