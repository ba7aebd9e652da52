/* Whether the value of a node is computed into memory or inlined, and with which strides: what is decided after each
 * node and each input (GraphLowering.run_node and find_nodes_prefer_channels_last of torch/_inductor/graph.py). */
#include <string.h>

#include "passes/fusion/lower.h"

static bool is_open(const struct fxc_engine *e, const struct fxc_tensor_view *view) {
    return !fxc_is_realised(e, view);
}

/* ---- channels-last --------------------------------------------------------------------------------------------------
 */

void fxc_channels_last(const int64_t *size, uint32_t rank, int64_t *stride) {
    int64_t next = 1;
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t d = i == 0 ? 1 : i == rank - 1 ? 0 : rank - i;
        stride[d] = next;
        (void)fxc_mul(next, size[d], &next); /* of an empty tensor it may wrap */
    }
}

static bool is_convolution(const struct fxc_lowering *how) {
    return how->lower == fxc_lower_convolution;
}

/* Batched products do not hand the wish on, to either side. */
static bool stops(const struct fxc_lowering *how) {
    return strcmp(how->packet, "aten.bmm") == 0;
}

/* Marks what must be channels-last so that a value can be: convolutions and what leads to them. Returns the last one.
 */
static uint32_t mark_upwards(struct fxc_engine *e, const struct fxc_lowering *const *how) {
    const struct fxc_program *p = e->p;
    uint32_t last = FXC_NONE;
    for (uint32_t node = e->end_node; node-- > e->first_node;) {
        const struct fxc_lowering *row = how[p->node_op[node]];
        uint32_t value = p->node_result[node];
        if (is_convolution(row)) {
            last = last == FXC_NONE ? node : last;
            e->channels_last[value] = true;
        }
        for (uint32_t u = e->user_begin[value]; u < e->user_begin[value + 1] && !stops(row); u++) {
            e->channels_last[value] |= e->user[u] != FXC_NONE && e->channels_last[p->node_result[e->user[u]]];
        }
    }
    for (uint32_t i = p->graph_input_begin[e->graph]; i < p->graph_input_begin[e->graph + 1]; i++) {
        uint32_t value = p->input_value[i];
        for (uint32_t u = e->user_begin[value]; u < e->user_begin[value + 1]; u++) {
            e->channels_last[value] |= e->user[u] != FXC_NONE && e->channels_last[p->node_result[e->user[u]]];
        }
    }
    return last;
}

static void mark_users(struct fxc_engine *e, const struct fxc_lowering *const *how, uint32_t value) {
    for (uint32_t u = e->user_begin[value]; e->channels_last[value] && u < e->user_begin[value + 1]; u++) {
        if (e->user[u] != FXC_NONE && !stops(how[e->p->node_op[e->user[u]]])) {
            e->channels_last[e->p->node_result[e->user[u]]] = true;
        }
    }
}

fxc_status fxc_prefer_channels_last(struct fxc_engine *e, const struct fxc_lowering *const *how, fxc_error *err) {
    const struct fxc_program *p = e->p;
    e->channels_last = FXC_NEW(&e->analysis->arena[FXC_FACT_fusion], bool, FXC_COUNT(p, value));
    if (e->channels_last == NULL) {
        return fxc_fail_memory(err, "fusion");
    }
    uint32_t last = fxc_engine_wants_channels_last(e) ? mark_upwards(e, how) : FXC_NONE;
    if (last == FXC_NONE) {
        return FXC_OK;
    }
    e->convolves = true;
    for (uint32_t i = p->graph_input_begin[e->graph]; i < p->graph_input_begin[e->graph + 1]; i++) {
        mark_users(e, how, p->input_value[i]);
    }
    for (uint32_t node = e->first_node; node < last; node++) {
        mark_users(e, how, p->node_result[node]);
    }
    return FXC_OK;
}

/* Each element once, without gaps. */
static bool is_dense(const int64_t *size, const int64_t *stride, uint32_t rank) {
    int64_t next = 1;
    for (uint32_t found = 0, taken = 0; found < rank; found++) {
        uint32_t d = 0;
        while (d < rank && ((taken >> d & 1u) != 0 || (size[d] != 1 && stride[d] != next))) {
            d++;
        }
        if (d == rank) {
            return false;
        }
        taken |= 1u << d;
        if (fxc_mul(next, size[d], &next)) {
            return false;
        }
    }
    return true;
}

static bool feeds_as_strided(const struct fxc_engine *e, const struct fxc_lowering *const *how, uint32_t value) {
    for (uint32_t u = e->user_begin[value]; u < e->user_begin[value + 1]; u++) {
        if (e->user[u] != FXC_NONE && how[e->p->node_op[e->user[u]]]->lower == fxc_lower_as_strided) {
            return true;
        }
    }
    return false;
}

/* Whether a value that nobody outside sees is to be channels-last; then gives the strides. */
static bool wants_channels_last(const struct fxc_engine *e, const struct fxc_lowering *const *how, uint32_t value,
                                int64_t *wanted) {
    const int64_t *size, *stride;
    uint8_t rank;
    if (!e->channels_last[value] || e->is_visible[value] || feeds_as_strided(e, how, value) ||
        !fxc_value_sizes(e, value, &size, &stride, &rank) || rank != 4 || !is_dense(size, stride, rank)) {
        return false;
    }
    fxc_channels_last(size, rank, wanted);
    return true;
}

/* ---- memory or not --------------------------------------------------------------------------------------------------
 */

void fxc_realise_hint(struct fxc_engine *e, const struct fxc_tensor_view *view) {
    if (is_open(e, view) && fxc_body_moving_loads(e, &e->box[view->box].body) > 1) {
        (void)fxc_box_realise(e, view->box);
    }
}

static bool is_large(const struct fxc_engine *e, const struct fxc_body *body) {
    return body->operations > e->profile->max_operations;
}

/* Lays a value out with these strides, or (not exact) with strides in their order. */
static void lay_out(struct fxc_engine *e, uint32_t value, const int64_t *stride, bool exact) {
    struct fxc_tensor_view *view = &e->view[value];
    struct fxc_tensor_view wanted = fxc_engine_require(e, view, stride, exact);
    if (wanted.box != view->box && wanted.plain) {
        e->box[wanted.box].value = value;
        e->buffer[e->box[wanted.box].buffer].value = value;
    }
    *view = wanted;
}

/* What a returned value must look like, or one whose memory is viewed otherwise: in memory, with the strides that eager
 * gives. */
static void make_output(struct fxc_engine *e, const struct fxc_lowering *const *how, uint32_t value) {
    struct fxc_tensor_view *view = &e->view[value];
    const int64_t *size, *stride;
    int64_t last[FXC_LOOP_RANK];
    uint8_t rank;
    if (!view->plain && e->is_output[value]) {
        (void)fxc_box_realise(e, view->box);
    }
    if (fxc_value_sizes(e, value, &size, &stride, &rank) && rank > 0 && rank == view->rank) {
        lay_out(e, value, wants_channels_last(e, how, value, last) ? last : stride, view->plain);
    }
}

/* A user that would rather find its input in memory; `fixed`: laid out as eager has it. */
static void decide_for_user(struct fxc_engine *e, const struct fxc_lowering *how, uint32_t value) {
    const int64_t *size, *stride;
    uint8_t rank;
    fxc_realise_hint(e, &e->view[value]);
    if (how->needs_strides && fxc_value_sizes(e, value, &size, &stride, &rank) && rank == e->view[value].rank) {
        lay_out(e, value, stride, false);
    }
}

/* What users ask of a value that has several, and what is computed into memory when it is used twice. */
static void decide_for_users(struct fxc_engine *e, const struct fxc_lowering *const *how, uint32_t value) {
    int64_t last[FXC_LOOP_RANK];
    for (uint32_t u = e->user_begin[value]; u < e->user_begin[value + 1]; u++) {
        uint32_t user = e->user[u];
        const struct fxc_tensor_view *view = &e->view[value];
        if (user == FXC_NONE) {
            const struct fxc_body *body = &e->box[view->box].body;
            bool cheap = is_open(e, view) && fxc_body_reads(e, body) == 0 && !is_large(e, body);
            if (is_open(e, view) && !cheap) {
                (void)fxc_box_realise(e, view->box);
            }
        } else if (how[e->p->node_op[user]]->needs_memory) {
            decide_for_user(e, how[e->p->node_op[user]], value);
        }
    }
    struct fxc_box *box = &e->box[e->view[value].box];
    if (box->buffer == FXC_NONE && ((box->body.heavy & e->profile->heavy) != 0 || is_large(e, &box->body) ||
                                    fxc_body_reads(e, &box->body) > e->profile->reuse_reads)) {
        if (wants_channels_last(e, how, value, last)) {
            lay_out(e, value, last, false);
        }
        (void)fxc_box_realise(e, e->view[value].box);
    }
}

void fxc_decide(struct fxc_engine *e, const struct fxc_lowering *const *how, uint32_t value) {
    struct fxc_tensor_view *view = &e->view[value];
    int64_t last[FXC_LOOP_RANK];
    if (view->box == FXC_NONE) {
        return;
    }
    if (e->is_output[value] || feeds_as_strided(e, how, value)) {
        make_output(e, how, value);
    }
    if (e->users[value] > 1) {
        decide_for_users(e, how, value);
    }
    if (is_open(e, view)) {
        const struct fxc_body *body = &e->box[view->box].body;
        if (fxc_body_reads(e, body) > e->profile->max_reads || is_large(e, body)) {
            if (wants_channels_last(e, how, value, last)) {
                lay_out(e, value, last, false);
            }
            fxc_realise_hint(e, view);
        }
    }
    if (is_open(e, view) && view->plain && e->box[view->box].body.operations > e->profile->huge_operations) {
        (void)fxc_box_realise(e, view->box);
    }
}
