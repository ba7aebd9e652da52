/* Lowering concatenation, and writes in place. */
#include <string.h>

#include "ir/ops.h"
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

/* The parts of a concatenation. */
struct concat {
    struct fxc_tensor_view part[FXC_MAX_INPUTS];
    uint32_t value[FXC_MAX_INPUTS], count, result;
    const int64_t *size;
    uint8_t rank;
    uint32_t dim;
};

static bool read_parts(const struct fxc_engine *e, struct concat *c) {
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_tensors);
    const int64_t *recorded;
    int64_t dim;
    c->count = 0;
    c->result = fxc_result_value(e, 0);
    if (list == FXC_NONE || c->result == FXC_NONE || !fxc_value_sizes(e, c->result, &c->size, &recorded, &c->rank) ||
        !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim) || c->rank == 0) {
        return false;
    }
    c->dim = (uint32_t)(dim < 0 ? dim + c->rank : dim);
    for (uint32_t i = e->p->list_begin[list]; i < e->p->list_begin[list + 1]; i++) {
        if (e->p->item_kind[i] != FXC_KIND_VALUE || c->count == FXC_MAX_INPUTS) {
            return false;
        }
        uint32_t value = (uint32_t)e->p->item_payload[i];
        if (e->view[value].box == FXC_NONE || e->view[value].rank != c->rank) {
            return false;
        }
        c->value[c->count] = value;
        c->part[c->count++] = e->view[value];
    }
    return c->count > 0;
}

/* ---- as a pointwise value (cat of torch/_inductor/lowering.py) ------------------------------------------------------
 */

static bool is_view(const struct fxc_program *p, uint32_t node) {
    const struct fxc_op_row *row = p->op_row[p->node_op[node]];
    return strcmp(fxc_string(p, p->op_name[p->node_op[node]]), "operator.getitem") == 0 ||
           (row != NULL && row->fuse == FXC_FUSE_VIEW);
}

static bool is_named(const struct fxc_program *p, uint32_t node, const char *name) {
    return strcmp(fxc_string(p, p->op_name[p->node_op[node]]), name) == 0;
}

/* Whether all that is done with a value, through views, is pointwise. */
static bool feeds_pointwise(const struct fxc_engine *e, uint32_t user, uint32_t depth) {
    const struct fxc_program *p = e->p;
    if (user == FXC_NONE || depth == 0) {
        return false;
    }
    if (!is_view(p, user)) {
        const struct fxc_op_row *row = p->op_row[p->node_op[user]];
        return (p->op_tags[p->node_op[user]] & FXC_OP_TAG_POINTWISE) != 0 ||
               (row != NULL && row->fuse == FXC_FUSE_POINTWISE);
    }
    uint32_t value = p->node_result[user];
    for (uint32_t u = e->user_begin[value]; u < e->user_begin[value + 1]; u++) {
        if (!feeds_pointwise(e, e->user[u], depth - 1)) {
            return false;
        }
    }
    return true;
}

/* What a kernel of its own can still write into a place of the concatenation. */
static bool can_be_placed(const struct fxc_engine *e, const struct fxc_tensor_view *part) {
    uint32_t buffer = e->box[part->box].buffer;
    return part->plain && buffer != FXC_NONE && e->buffer[buffer].flexible && e->buffer[buffer].operation != FXC_NONE;
}

static bool is_reduced(const struct fxc_engine *e, uint32_t buffer) {
    uint32_t operation = e->buffer[buffer].operation;
    return operation != FXC_NONE && e->operation[operation].kind == FXC_OPERATION_REDUCTION;
}

/* A part that a reduction makes, or that reads what one makes. */
static bool part_reduces(const struct fxc_engine *e, const struct fxc_tensor_view *part) {
    const struct fxc_box *box = &e->box[part->box];
    if (box->buffer != FXC_NONE) {
        return is_reduced(e, box->buffer);
    }
    for (uint32_t i = 0; i < box->body.load_count; i++) {
        uint32_t buffer = e->load[box->body.load_begin + i].buffer;
        if (buffer != FXC_NONE && is_reduced(e, buffer)) {
            return true;
        }
    }
    return false;
}

/* Whether a part is computed elsewhere as well, where it would be computed again. */
static bool is_shared(const struct fxc_engine *e, const struct fxc_tensor_view *part, uint32_t value) {
    if (e->users[value] <= 1) {
        return false;
    }
    for (uint32_t u = e->user_begin[value]; u < e->user_begin[value + 1]; u++) {
        if (e->user[u] != e->node && feeds_pointwise(e, e->user[u], FXC_LOOP_RANK)) {
            return true;
        }
    }
    return !fxc_is_realised(e, part);
}

static bool is_pointwise(const struct fxc_engine *e, const struct concat *c) {
    uint32_t copied = 0;
    bool pointwise_uses = true, reduces = false;
    if (c->count > e->profile->cat_inputs) {
        return false;
    }
    for (uint32_t u = e->user_begin[c->result]; u < e->user_begin[c->result + 1]; u++) {
        uint32_t user = e->user[u];
        pointwise_uses &= feeds_pointwise(e, user, FXC_LOOP_RANK) ||
                          (user != FXC_NONE && (is_named(e->p, user, "aten.cat.default") ||
                                                is_named(e->p, user, "aten.constant_pad_nd.default")));
    }
    for (uint32_t i = 0; i < c->count; i++) {
        copied += !can_be_placed(e, &c->part[i]);
        reduces |= part_reduces(e, &c->part[i]);
        if (is_shared(e, &c->part[i], c->value[i])) {
            return false;
        }
    }
    return (copied > 0 && pointwise_uses) || (copied == c->count && !reduces);
}

/* A part as a value whose loads happen under a condition. */
static struct fxc_tensor_view conditional(struct fxc_engine *e, const struct fxc_tensor_view *part) {
    const int64_t *size = fxc_view_size(e, part);
    int64_t elements = fxc_product(e, size, part->rank);
    uint32_t map[FXC_LOOP_RANK];
    struct fxc_body body;
    fxc_engine_variables(e, size, part->rank, map);
    fxc_body_start(e, &body);
    fxc_body_inline(e, &body, part, map, size);
    for (uint32_t i = 0; i < body.load_count; i++) {
        struct fxc_load *load = &e->load[body.load_begin + i];
        if (load->part.elements == 0 || elements < load->part.elements) {
            load->part = (struct fxc_part){elements, load->at, part->shape, part->rank};
        }
    }
    return fxc_engine_pointwise(e, part->shape, part->rank, e->box[part->box].dtype, &body);
}

/* Each element is that of the part that it lies in; the place is tested at every element. */
static void as_pointwise(struct fxc_engine *e, struct concat *c) {
    uint32_t shape = fxc_engine_sizes(e, c->size, c->rank), map[FXC_LOOP_RANK];
    int64_t offset = 0;
    struct fxc_body body;
    for (uint32_t i = 0; i < c->count; i++) {
        c->part[i] = conditional(e, &c->part[i]);
    }
    fxc_engine_variables(e, e->size + shape, c->rank, map);
    fxc_body_start(e, &body);
    uint32_t place = map[c->dim];
    fxc_body_load(e, &body, fxc_load_of(FXC_NONE, place, true));
    for (uint32_t i = 0; i < c->count; i++) {
        struct fxc_index_sum sum = {.offset = -offset};
        fxc_index_add(&e->index, &sum, 1, place);
        map[c->dim] = fxc_index_of(&e->index, &sum, e->size + shape);
        fxc_body_inline(e, &body, &c->part[i], map, e->size + shape);
        offset += fxc_view_size(e, &c->part[i])[c->dim];
    }
    fxc_own_work(e, &body, shape, c->rank, 0, (uint16_t)(2 * c->count));
    struct fxc_tensor_view out = fxc_engine_pointwise(e, shape, c->rank, e->analysis->shapes->dtype[c->result], &body);
    fxc_give(e, 0, &out);
}

/* ---- as a buffer whose pieces are computed in place
 * ------------------------------------------------------------------
 */

void fxc_lower_concat(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct concat c;
    struct fxc_inputs inputs = {.count = 0};
    int64_t stride[FXC_LOOP_RANK], offset = 0;
    if (!read_parts(e, &c)) {
        fxc_lower_fallback(e, how);
        return;
    }
    if (is_pointwise(e, &c)) {
        as_pointwise(e, &c);
        return;
    }
    choose_strides(e, c.part, c.value, c.count, c.size, c.rank, stride);
    uint32_t whole;
    struct fxc_tensor_view out = fxc_made_buffer(e, c.result, stride, &whole);
    for (uint32_t i = 0; i < c.count; i++) {
        inputs.buffer[i] = place_part(e, &c.part[i], whole, stride, offset);
        inputs.reach[i] = e->buffer[inputs.buffer[i]].numel;
        inputs.count++;
        offset += fxc_view_size(e, &c.part[i])[c.dim] * stride[c.dim];
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
    made.within = before;
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
