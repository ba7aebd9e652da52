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

/* Whether no element of a space makes it negative. */
static bool is_natural(struct fxc_engine *e, uint32_t expression, uint32_t rank) {
    bool natural = fxc_index_is_affine(&e->index, expression) && e->index.row[expression].offset >= 0;
    for (uint32_t v = 0; v < rank && natural; v++) {
        natural = fxc_index_stride(&e->index, expression, v) >= 0;
    }
    return natural;
}

/* The place that an index, whose dimension d is at map[d], picks from `extent` ones: one that only the run knows,
 * unless the index follows from the element. */
static uint32_t picked(struct fxc_engine *e, struct gather *g, const struct fxc_tensor_view *index, const uint32_t *map,
                       int64_t extent) {
    fxc_body_inline(e, &g->body, index, map, e->size + g->shape);
    uint32_t formula = extent == 1 ? FXC_NONE : fxc_formula_at(e, index, map, e->size + g->shape);
    if (formula != FXC_NONE && is_natural(e, formula, g->rank)) {
        fxc_body_load(e, &g->body, fxc_load_of(FXC_NONE, formula, true)); /* tested against the bounds */
        return formula;
    }
    return extent == 1 ? 0 : fxc_index_loaded(&e->index);
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
    g.at[0] = picked(e, &g, &indices, g.map, fxc_view_size(e, &weight)[0]);
    for (uint32_t d = 1; d < weight.rank; d++) {
        g.at[d] = g.map[indices.rank + d - 1];
    }
    finish(e, &g, &weight, how->operations);
}

/* ---- reads at several indices ---------------------------------------------------------------------------------------
 */

/* Tensors that index some dimensions of a tensor, made one shape. In the result they together take the place of the
 * first such dimension if these are next to each other, else come first. */
struct picks {
    struct fxc_tensor_view index[FXC_LOOP_RANK];
    uint32_t dim[FXC_LOOP_RANK], count; /* the dimension that each picks from */
    int64_t size[FXC_LOOP_RANK];        /* their shape */
    uint32_t rank, place;               /* of their first dimension in the result */
};

/* False where one is not modelled, or is a mask, whose result has a size that is not known. */
static bool read_picks(struct fxc_engine *e, const struct fxc_tensor_view *self, struct picks *picks) {
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_indices);
    uint32_t items = list == FXC_NONE ? 0 : e->p->list_begin[list + 1] - e->p->list_begin[list];
    picks->count = picks->rank = 0;
    for (uint32_t d = 0; d < items && d < self->rank; d++) {
        uint32_t item = e->p->list_begin[list] + d;
        if (e->p->item_kind[item] != FXC_KIND_VALUE) {
            continue;
        }
        const struct fxc_tensor_view *view = &e->view[e->p->item_payload[item]];
        if (view->box == FXC_NONE || e->box[view->box].dtype == FXC_DTYPE_BOOL ||
            e->box[view->box].dtype == FXC_DTYPE_UINT8) {
            return false;
        }
        picks->rank = view->rank > picks->rank ? view->rank : picks->rank;
        picks->index[picks->count] = *view;
        picks->dim[picks->count++] = d;
    }
    for (uint32_t d = 0; d < picks->rank; d++) {
        picks->size[d] = 1;
        for (uint32_t i = 0; i < picks->count; i++) {
            uint32_t skip = picks->rank - picks->index[i].rank;
            int64_t extent = d < skip ? 1 : fxc_view_size(e, &picks->index[i])[d - skip];
            picks->size[d] = extent != 1 ? extent : picks->size[d];
        }
    }
    for (uint32_t i = 0; i < picks->count; i++) {
        picks->index[i] = fxc_view_expand(e, &picks->index[i], picks->size, (uint8_t)picks->rank);
    }
    bool neighbours = picks->count > 0 && picks->dim[picks->count - 1] - picks->dim[0] + 1 == picks->count;
    picks->place = neighbours ? picks->dim[0] : 0;
    return picks->count > 0 && picks->rank + self->rank - picks->count <= FXC_LOOP_RANK;
}

/* Inlines the indices into a body over the result, and gives the place in `self` that they pick. */
static void pick(struct fxc_engine *e, struct gather *g, const struct fxc_tensor_view *self,
                 const struct picks *picks) {
    fxc_body_start(e, &g->body);
    for (uint32_t d = 0, to = 0, i = 0; d < self->rank; d++) {
        if (i < picks->count && picks->dim[i] == d) {
            g->at[d] = picked(e, g, &picks->index[i++], g->map + picks->place, fxc_view_size(e, self)[d]);
            continue;
        }
        to = to == picks->place ? to + picks->rank : to;
        g->at[d] = g->map[to++];
    }
}

/* self[indices] */
void fxc_lower_index(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self;
    struct picks picks;
    struct gather g;
    if (!fxc_operand(e, FXC_NAME_self, &self) || !read_picks(e, &self, &picks) || !start(e, &g) ||
        g.rank != self.rank - picks.count + picks.rank) {
        fxc_lower_fallback(e, how);
        return;
    }
    pick(e, &g, &self, &picks);
    finish(e, &g, &self, (uint16_t)(how->operations * picks.count));
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
    for (uint32_t d = 0; d < self.rank; d++) {
        int64_t extent = fxc_view_size(e, &self)[d];
        g.at[d] = d == dim ? picked(e, &g, &index, g.map, extent) : extent == 1 ? 0 : g.map[d];
    }
    finish(e, &g, &self, how->operations);
}

/* ---- writes at places that are only known at run time ---------------------------------------------------------------
 */

/* Loops over what is written, whose place in `self` at[] gives, into the memory that self is in. `g` is over these
 * loops. */
static void scatter_in_place(struct fxc_engine *e, struct gather *g, struct fxc_tensor_view self,
                             const struct fxc_tensor_view *source) {
    struct fxc_body written;
    uint32_t before = fxc_box_realise(e, self.box);
    fxc_buffer_freeze(e, before);
    uint32_t address = self.address ? fxc_index_substitute(&e->index, self.at, g->at, e->size + g->shape)
                                    : fxc_buffer_address(e, before, g->at, e->size + g->shape);
    uint32_t after = fxc_written_buffer(e, &self, fxc_result_value(e, 0));
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
    fxc_body_load(e, &written, fxc_load_of(before, address, true));
    fxc_own_work(e, &written, g->shape, g->rank, 0, 1);
    uint32_t operation = fxc_engine_loops(e, FXC_OPERATION_POINTWISE, after, &written, g->shape, g->rank, 0);
    if (!e->failed) {
        e->operation[operation].write_at = address;
        e->box[self.box].buffer = after;
    }
    fxc_give(e, 0, &self);
}

/* The same into a copy of self. */
static void scatter_into(struct fxc_engine *e, struct gather *g, const struct fxc_tensor_view *self,
                         const struct fxc_tensor_view *source) {
    scatter_in_place(e, g, fxc_combine(e, self, 1, self->shape, self->rank, e->box[self->box].dtype, 1, 0, 0), source);
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
    for (uint32_t d = 0; d < g.rank; d++) {
        g.at[d] = d == (uint32_t)dim ? picked(e, &g, &index, g.map, INT64_MAX) : g.map[d];
    }
    scatter_into(e, &g, &self, has_source ? &source : NULL);
}

/* Loops over what index_put writes: the indices picked, and `values` over them. False where it has more dimensions. */
static bool start_put(struct fxc_engine *e, struct gather *g, const struct fxc_tensor_view *self,
                      const struct picks *picks, struct fxc_tensor_view *values) {
    int64_t size[FXC_LOOP_RANK];
    for (uint32_t d = 0, to = 0, i = 0; d < self->rank; d++) {
        if (i < picks->count && picks->dim[i] == d) {
            i++;
            continue;
        }
        to = to == picks->place ? to + picks->rank : to;
        size[to++] = fxc_view_size(e, self)[d];
    }
    memcpy(size + picks->place, picks->size, picks->rank * sizeof *size);
    g->rank = (uint8_t)(self->rank - picks->count + picks->rank);
    if (values->rank > g->rank) {
        return false;
    }
    g->shape = fxc_engine_sizes(e, size, g->rank);
    fxc_engine_variables(e, size, g->rank, g->map);
    *values = fxc_view_expand(e, values, size, g->rank);
    pick(e, g, self, picks);
    return true;
}

static bool read_put(struct fxc_engine *e, struct fxc_tensor_view *self, struct fxc_tensor_view *values,
                     struct picks *picks) {
    return fxc_operand(e, FXC_NAME_self, self) && fxc_operand(e, FXC_NAME_values, values) &&
           fxc_result_value(e, 0) != FXC_NONE && read_picks(e, self, picks);
}

/* index_put(self, indices, values): a copy of self into which the values are written, or to which they are added. */
void fxc_lower_index_put(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, values;
    struct picks picks;
    struct gather g;
    if (!read_put(e, &self, &values, &picks) || !start_put(e, &g, &self, &picks, &values)) {
        fxc_lower_fallback(e, how);
        return;
    }
    scatter_into(e, &g, &self, &values);
}

/* In place; values that read what is written are computed into memory first. */
void fxc_lower_index_put_(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, values;
    struct picks picks;
    struct gather g;
    bool known = read_put(e, &self, &values, &picks);
    if (known && fxc_is_realised(e, &self) && !fxc_is_realised(e, &values)) {
        const struct fxc_body *body = &e->box[values.box].body;
        bool overlaps = false;
        for (uint32_t i = 0; i < body->load_count; i++) {
            overlaps |= e->load[body->load_begin + i].buffer == e->box[self.box].buffer;
        }
        if (overlaps) {
            (void)fxc_box_realise(e, values.box);
        }
    }
    if (!known || !start_put(e, &g, &self, &picks, &values)) {
        fxc_lower_fallback(e, how);
        return;
    }
    scatter_in_place(e, &g, self, &values);
}

/* The same where a mask allows it: other values are 0, indices are kept within bounds. */
void fxc_lower_masked_index_put(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view self, masked[2];
    struct picks picks;
    struct gather g;
    int64_t size[FXC_LOOP_RANK];
    if (!read_put(e, &self, &masked[0], &picks) || !fxc_operand(e, FXC_NAME_mask, &masked[1]) ||
        masked[1].rank > masked[0].rank) {
        fxc_lower_fallback(e, how);
        return;
    }
    enum { CHOOSE = 2, CLAMP }; /* parts, after those of scatter_into */
    memcpy(size, fxc_view_size(e, &masked[0]), masked[0].rank * sizeof *size);
    masked[1] = fxc_view_expand(e, &masked[1], size, masked[0].rank);
    struct fxc_tensor_view values =
        fxc_combine(e, masked, 2, masked[0].shape, masked[0].rank, e->box[masked[0].box].dtype, CHOOSE, 2, 0);
    for (uint32_t i = 0; i < picks.count; i++) {
        struct fxc_tensor_view index = picks.index[i];
        picks.index[i] =
            fxc_combine(e, &index, 1, index.shape, index.rank, e->box[index.box].dtype, (uint16_t)(CLAMP + i), 4, 0);
    }
    if (!start_put(e, &g, &self, &picks, &values)) {
        fxc_lower_fallback(e, how);
        return;
    }
    scatter_into(e, &g, &self, &values);
}
