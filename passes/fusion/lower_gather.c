/* Lowering reads at places that are only known at run time. */
#include <string.h>

#include "passes/fusion/lower.h"

/* A body over the result: the indices are inlined, and the source is read where they say. */
struct gather {
    uint32_t shape, map[FXC_LOOP_RANK], at[FXC_LOOP_RANK];
    uint8_t rank, dtype;
    struct fxc_body body;
};

static bool start(struct fxc_engine *e, struct gather *g) {
    uint32_t value = fxc_result_value(e, 0);
    const int64_t *size, *stride;
    if (value == FXC_NONE || !fxc_value_sizes(e, value, &size, &stride, &g->rank)) {
        return false;
    }
    g->shape = fxc_engine_sizes(e, size, g->rank);
    g->dtype = e->analysis->shapes->dtype[value];
    fxc_engine_variables(e, size, g->rank, g->map);
    return true;
}

static void finish(struct fxc_engine *e, struct gather *g, const struct fxc_tensor_view *source, uint16_t operations) {
    fxc_body_inline(e, &g->body, source, g->at, e->size + g->shape);
    fxc_own_work(e, &g->body, g->shape, g->rank, 0, operations);
    struct fxc_tensor_view out = fxc_engine_pointwise(e, g->shape, g->rank, g->dtype, &g->body);
    fxc_give(e, 0, &out);
}

/* Row `indices` of `weight`. */
void fxc_lower_embedding(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view weight, indices;
    struct gather g;
    if (!fxc_operand(e, FXC_NAME_weight, &weight) || !fxc_operand(e, FXC_NAME_indices, &indices) || !start(e, &g) ||
        g.rank != indices.rank + weight.rank - 1) {
        fxc_lower_fallback(e, how);
        return;
    }
    fxc_body_start(e, &g.body);
    fxc_body_inline(e, &g.body, &indices, g.map, e->size + g.shape);
    g.at[0] = fxc_view_size(e, &weight)[0] == 1 ? 0 : fxc_index_loaded(&e->index);
    for (uint32_t d = 1; d < weight.rank; d++) {
        g.at[d] = g.map[indices.rank + d - 1];
    }
    finish(e, &g, &weight, how->operations);
}

/* self[indices]: tensors for some dimensions, which together take the place of the first of them if they are next to
 * each other, else come first. */
void fxc_lower_index(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, index[FXC_LOOP_RANK];
    struct fxc_rule rule = fxc_engine_rule(e);
    struct gather g;
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_indices), count = 0, first = FXC_NONE, last = 0, broad = 0;
    uint32_t dim_of[FXC_LOOP_RANK];
    bool known = list != FXC_NONE && fxc_operand(e, FXC_NAME_self, &self) && start(e, &g);
    uint32_t items = known ? e->p->list_begin[list + 1] - e->p->list_begin[list] : 0;
    for (uint32_t d = 0; known && d < items && d < FXC_LOOP_RANK; d++) {
        uint32_t item = e->p->list_begin[list] + d;
        if (e->p->item_kind[item] != FXC_KIND_VALUE) {
            continue;
        }
        index[count] = e->view[e->p->item_payload[item]];
        known = index[count].box != FXC_NONE && e->box[index[count].box].dtype != FXC_DTYPE_BOOL;
        broad = known && index[count].rank > broad ? index[count].rank : broad;
        dim_of[count++] = d;
        first = first == FXC_NONE ? d : first;
        last = d;
    }
    if (!known || count == 0 || g.rank != self.rank - count + broad) {
        fxc_lower_fallback(e, how);
        return;
    }
    uint32_t place = last - first + 1 == count ? first : 0; /* of the indices' dimensions in the result */
    int64_t size[FXC_LOOP_RANK];
    for (uint32_t d = 0; d < broad; d++) {
        size[d] = e->size[g.shape + place + d];
    }
    for (uint32_t i = 0; i < count; i++) {
        index[i] = fxc_view_expand(e, &index[i], size, (uint8_t)broad);
    }
    fxc_body_start(e, &g.body);
    for (uint32_t d = 0, to = 0, i = 0; d < self.rank; d++) {
        if (i < count && dim_of[i] == d) {
            fxc_body_inline(e, &g.body, &index[i++], g.map + place, e->size + g.shape);
            g.at[d] = fxc_view_size(e, &self)[d] == 1 ? 0 : fxc_index_loaded(&e->index);
            continue;
        }
        to = to == place ? to + broad : to;
        g.at[d] = g.map[to++];
    }
    finish(e, &g, &self, (uint16_t)(how->operations * count));
}

/* gather(self, dim, index): as index, along one dimension. */
void fxc_lower_gather(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, index;
    struct fxc_rule rule = fxc_engine_rule(e);
    struct gather g;
    int64_t dim;
    if (!fxc_operand(e, FXC_NAME_self, &self) || !fxc_operand(e, FXC_NAME_index, &index) ||
        !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim) || !start(e, &g) || self.rank != g.rank || g.rank == 0) {
        fxc_lower_fallback(e, how);
        return;
    }
    dim = dim < 0 ? dim + self.rank : dim;
    fxc_body_start(e, &g.body);
    fxc_body_inline(e, &g.body, &index, g.map, e->size + g.shape);
    for (uint32_t d = 0; d < self.rank; d++) {
        g.at[d] = fxc_view_size(e, &self)[d] == 1 ? 0 : d == dim ? fxc_index_loaded(&e->index) : g.map[d];
    }
    finish(e, &g, &self, how->operations);
}

/* ---- writes at places that are only known at run time ---------------------------------------------------------------
 */

/* A copy of self, then loops over what is written, whose address at[] gives in the copy. `g` is over these loops. */
static void scatter_into(struct fxc_engine *e, struct gather *g, const struct fxc_tensor_view *self,
                         const struct fxc_tensor_view *source) {
    struct fxc_body written;
    struct fxc_tensor_view clone = fxc_combine(e, self, 1, self->shape, self->rank, e->box[self->box].dtype, 0, 0, 0);
    uint32_t before = fxc_box_realise(e, clone.box), after;
    fxc_buffer_freeze(e, before);
    uint32_t address = fxc_buffer_address(e, before, g->at, e->size + g->shape);
    struct fxc_tensor_view out = fxc_made_buffer(e, fxc_result_value(e, 0), NULL, &after);
    fxc_body_start(e, &written);
    for (uint32_t i = 0; i < g->body.load_count; i++) {
        fxc_body_load(e, &written, e->load[g->body.load_begin + i]);
    }
    for (uint32_t i = 0; i < g->body.work_count; i++) {
        fxc_body_work(e, &written, e->work[g->body.work_begin + i]);
    }
    if (source != NULL) {
        fxc_body_inline(e, &written, source, g->map, e->size + g->shape);
    }
    fxc_body_load(e, &written, (struct fxc_load){before, address, true, 1});
    fxc_own_work(e, &written, g->shape, g->rank, 1, 1);
    uint32_t operation = fxc_engine_loops(e, FXC_OPERATION_POINTWISE, after, &written, g->shape, g->rank, 0);
    if (!e->failed) {
        e->operation[operation].write_at = address;
    }
    fxc_give(e, 0, &out);
}

/* scatter, scatter_add: self with src added or written at index along a dimension. */
void fxc_lower_scatter(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, index, source;
    struct fxc_rule rule = fxc_engine_rule(e);
    struct gather g;
    int64_t dim;
    bool has_source = fxc_operand(e, FXC_NAME_src, &source);
    if (!fxc_operand(e, FXC_NAME_self, &self) || !fxc_operand(e, FXC_NAME_index, &index) || self.rank == 0 ||
        self.rank != index.rank || fxc_result_value(e, 0) == FXC_NONE || !fxc_rule_int(&rule, FXC_NAME_dim, 0, &dim) ||
        (has_source && source.rank != index.rank)) {
        fxc_lower_fallback(e, how);
        return;
    }
    dim = dim < 0 ? dim + self.rank : dim;
    g.shape = index.shape;
    g.rank = index.rank;
    fxc_engine_variables(e, e->size + g.shape, g.rank, g.map);
    fxc_body_start(e, &g.body);
    fxc_body_inline(e, &g.body, &index, g.map, e->size + g.shape);
    for (uint32_t d = 0; d < g.rank; d++) {
        g.at[d] = d == (uint32_t)dim ? fxc_index_loaded(&e->index) : g.map[d];
    }
    scatter_into(e, &g, &self, has_source ? &source : NULL);
}

/* index_put(self, indices, values): tensors for the first dimensions. */
void fxc_lower_index_put(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, values, index[FXC_LOOP_RANK];
    struct fxc_rule rule = fxc_engine_rule(e);
    struct gather g;
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_indices), count = 0, broad = 0;
    bool known = list != FXC_NONE && fxc_operand(e, FXC_NAME_self, &self) && fxc_operand(e, FXC_NAME_values, &values) &&
                 fxc_result_value(e, 0) != FXC_NONE;
    for (uint32_t i = known ? e->p->list_begin[list] : 0; known && i < e->p->list_begin[list + 1]; i++) {
        known = e->p->item_kind[i] == FXC_KIND_VALUE && count < FXC_LOOP_RANK &&
                e->view[e->p->item_payload[i]].box != FXC_NONE;
        if (known) {
            index[count] = e->view[e->p->item_payload[i]];
            known = e->box[index[count].box].dtype != FXC_DTYPE_BOOL;
            broad = index[count].rank > broad ? index[count].rank : broad;
            count++;
        }
    }
    known = known && count > 0 && count <= self.rank && broad + self.rank - count <= FXC_LOOP_RANK;
    for (uint32_t i = 0; known && i < count; i++) {
        known = index[i].rank == broad; /* all of one shape, as the indices of caches are */
    }
    if (!known) {
        fxc_lower_fallback(e, how);
        return;
    }
    int64_t size[FXC_LOOP_RANK];
    memcpy(size, fxc_view_size(e, &index[0]), broad * sizeof *size);
    for (uint32_t d = count; d < self.rank; d++) {
        size[broad + d - count] = fxc_view_size(e, &self)[d];
    }
    g.rank = (uint8_t)(broad + self.rank - count);
    if (values.rank > g.rank) {
        fxc_lower_fallback(e, how);
        return;
    }
    g.shape = fxc_engine_sizes(e, size, g.rank);
    fxc_engine_variables(e, size, g.rank, g.map);
    values = fxc_view_expand(e, &values, size, g.rank);
    fxc_body_start(e, &g.body);
    for (uint32_t d = 0; d < self.rank; d++) {
        if (d < count) {
            fxc_body_inline(e, &g.body, &index[d], g.map, e->size + g.shape);
        }
        g.at[d] = d < count ? fxc_index_loaded(&e->index) : g.map[broad + d - count];
    }
    scatter_into(e, &g, &self, &values);
}
