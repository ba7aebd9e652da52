/* Bodies: what an element of a value takes, as loads from buffers and operations on them. */
#include "passes/fusion/engine.h"

enum { MANY = 1 << 16 }; /* more than this is not told apart */

void fxc_body_start(struct fxc_engine *e, struct fxc_body *body) {
    *body = (struct fxc_body){.load_begin = e->load_count, .work_begin = e->work_count};
}

void fxc_body_load(struct fxc_engine *e, struct fxc_body *body, struct fxc_load load) {
    if (load.first == 0) { /* else it comes with a body that is inlined */
        load.first = load.last = e->node + 1;
    }
    for (uint32_t i = 0; i < body->load_count; i++) {
        struct fxc_load *have = &e->load[body->load_begin + i];
        if (have->buffer == load.buffer && have->at == load.at && have->address == load.address) {
            have->times += have->times < MANY ? load.times : 0;
            have->last = load.last;
            if (load.part.elements == 0) {
                have->part.elements = 0; /* one of the two happens everywhere */
            }
            return;
        }
    }
    if (!FXC_ROOM(e->load, e->load_capacity, e->load_count + 1)) {
        e->failed = true;
        return;
    }
    e->load[e->load_count++] = load;
    body->load_count++;
    body->operations++;
}

void fxc_body_work(struct fxc_engine *e, struct fxc_body *body, struct fxc_work work) {
    for (uint32_t i = body->work_count; i-- > 0;) {
        const struct fxc_work *have = &e->work[body->work_begin + i];
        if (have->node == work.node && have->at == work.at && have->part == work.part) {
            return;
        }
    }
    if (!FXC_ROOM(e->work, e->work_capacity, e->work_count + 1)) {
        e->failed = true;
        return;
    }
    e->work[e->work_count++] = work;
    body->work_count++;
    body->operations += work.operations;
}

/* The tuple `at`, whose expressions are over the variables that `coordinate` gives. */
static uint32_t substitute_tuple(struct fxc_engine *e, uint32_t at, const uint32_t *coordinate, const int64_t *size) {
    uint32_t item[FXC_LOOP_RANK], count = fxc_tuple_length(&e->index, at);
    for (uint32_t d = 0; d < count; d++) {
        item[d] = fxc_index_substitute(&e->index, fxc_tuple_items(&e->index, at)[d], coordinate, size);
    }
    return fxc_index_tuple(&e->index, item, count);
}

static bool is_identity(struct fxc_engine *e, const struct fxc_box *box, const uint32_t *coordinate) {
    for (uint32_t d = 0; d < box->rank; d++) {
        uint32_t own = e->size[box->shape + d] == 1 ? 0 : fxc_index_variable(&e->index, d);
        if (coordinate[d] != own) {
            return false;
        }
    }
    return true;
}

/* Adds the body of a box, whose dimension d is at coordinate[d]. */
static void inline_box(struct fxc_engine *e, struct fxc_body *body, const struct fxc_box *box,
                       const uint32_t *coordinate, const int64_t *size) {
    bool same = is_identity(e, box, coordinate);
    uint32_t last = FXC_NONE, last_at = 0; /* most parts of a body are at the same elements */
    for (uint32_t i = 0; i < box->body.load_count; i++) {
        struct fxc_load load = e->load[box->body.load_begin + i];
        if (!same) {
            load.at = load.address ? fxc_index_substitute(&e->index, load.at, coordinate, size)
                                   : substitute_tuple(e, load.at, coordinate, size);
        }
        fxc_body_load(e, body, load);
    }
    for (uint32_t i = 0; i < box->body.work_count; i++) {
        struct fxc_work work = e->work[box->body.work_begin + i];
        if (!same) {
            if (work.at != last) {
                last = work.at;
                last_at = substitute_tuple(e, work.at, coordinate, size);
            }
            work.at = last_at;
        }
        fxc_body_work(e, body, work);
    }
    body->heavy |= box->body.heavy;
}

/* A buffer of numbers that come from the place alone, as constants do, is computed again rather than read
 * (ComputedBuffer.make_loader of torch/_inductor/ir.py), unless somebody writes into it. */
static bool is_formula(const struct fxc_engine *e, uint32_t buffer) {
    uint32_t operation = e->buffer[buffer].operation;
    if (operation == FXC_NONE || e->buffer[buffer].written) {
        return false;
    }
    const struct fxc_operation *op = &e->operation[operation];
    return op->kind == FXC_OPERATION_POINTWISE && op->write_at == FXC_NONE && fxc_body_reads(e, &op->body) == 0;
}

void fxc_body_inline(struct fxc_engine *e, struct fxc_body *body, const struct fxc_tensor_view *view,
                     const uint32_t *map, const int64_t *size) {
    struct fxc_box box = e->box[view->box];
    if (view->address) {
        fxc_body_load(e, body, fxc_load_of(box.buffer, fxc_index_substitute(&e->index, view->at, map, size), true));
        return;
    }
    uint32_t coordinate[FXC_LOOP_RANK];
    for (uint32_t d = 0; d < box.rank; d++) {
        coordinate[d] =
            view->plain ? map[d] : fxc_index_substitute(&e->index, fxc_tuple_items(&e->index, view->at)[d], map, size);
    }
    if (box.buffer != FXC_NONE && !is_formula(e, box.buffer)) {
        uint32_t at = fxc_index_tuple(&e->index, coordinate, box.rank);
        fxc_body_load(e, body, fxc_load_of(box.buffer, at, false));
        return;
    }
    inline_box(e, body, &box, coordinate, size);
}

static bool moves(const struct fxc_engine *e, const struct fxc_load *load) {
    if (load->address) {
        return e->index.row[load->at].count > 0;
    }
    for (uint32_t d = 0; d < fxc_tuple_length(&e->index, load->at); d++) {
        if (e->index.row[fxc_tuple_items(&e->index, load->at)[d]].count > 0) {
            return true;
        }
    }
    return false;
}

uint32_t fxc_body_reads(const struct fxc_engine *e, const struct fxc_body *body) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < body->load_count; i++) {
        count += e->load[body->load_begin + i].buffer != FXC_NONE;
    }
    return count;
}

uint32_t fxc_body_moving_loads(const struct fxc_engine *e, const struct fxc_body *body) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < body->load_count; i++) {
        const struct fxc_load *load = &e->load[body->load_begin + i];
        count += load->buffer != FXC_NONE && moves(e, load);
    }
    return count;
}
