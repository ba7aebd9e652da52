/* Lowering pooling: every element of a small window is a load; large windows are reductions, or go to the library. */
#include <string.h>

#include "passes/fusion/lower.h"

enum { WINDOW_LIMIT = 25 }; /* larger windows fall back (max_pool2d and avg_pool2d of torch/_inductor/lowering.py) */

struct window {
    struct fxc_tensor_view view;
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    uint32_t shape;
    uint8_t rank;
};

bool fxc_image_pair(const struct fxc_rule *rule, enum fxc_name name, int64_t fallback, int64_t *out) {
    uint32_t list = fxc_rule_list(rule, name);
    out[0] = out[1] = fallback;
    if (list == FXC_NONE || !fxc_rule_item_int(rule, list, 0, &out[0])) {
        return fallback >= 0;
    }
    if (!fxc_rule_item_int(rule, list, 1, &out[1])) {
        out[1] = out[0];
    }
    return true;
}

bool fxc_is_window(const int64_t *kernel, const int64_t *step, const int64_t *padding) {
    bool known = true;
    for (uint32_t d = 0; d < 2; d++) {
        known &= kernel[d] > 0 && kernel[d] <= INT16_MAX && step[d] > 0 && step[d] <= INT32_MAX && padding[d] >= 0 &&
                 padding[d] <= INT32_MAX;
    }
    return known;
}

static bool start(struct fxc_engine *e, struct window *w) {
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t value = fxc_result_value(e, 0);
    const int64_t *size, *stride;
    if (!fxc_operand(e, FXC_NAME_self, &w->view) || value == FXC_NONE ||
        !fxc_value_sizes(e, value, &size, &stride, &w->rank) || w->rank < 3 || w->rank != w->view.rank ||
        !fxc_image_pair(&rule, FXC_NAME_kernel_size, -1, w->kernel)) {
        return false;
    }
    if (!fxc_image_pair(&rule, FXC_NAME_stride, -1, w->stride)) {
        memcpy(w->stride, w->kernel, sizeof w->stride);
    }
    (void)fxc_image_pair(&rule, FXC_NAME_padding, 0, w->padding);
    (void)fxc_image_pair(&rule, FXC_NAME_dilation, 1, w->dilation);
    if (!fxc_is_window(w->kernel, w->stride, w->padding) || !fxc_is_window(w->kernel, w->dilation, w->padding)) {
        return false;
    }
    w->shape = fxc_engine_sizes(e, size, w->rank);
    return true;
}

/* A load for each element of the window. */
static void load_window(struct fxc_engine *e, const struct window *w, struct fxc_body *body) {
    uint32_t map[FXC_LOOP_RANK], at[FXC_LOOP_RANK];
    const int64_t *size = e->size + w->shape;
    fxc_engine_variables(e, size, w->rank, map);
    fxc_body_start(e, body);
    bool padded = w->padding[0] != 0 || w->padding[1] != 0;
    for (int64_t y = 0; y < w->kernel[0]; y++) {
        for (int64_t x = 0; x < w->kernel[1]; x++) {
            int64_t shift[2] = {y * w->dilation[0] - w->padding[0], x * w->dilation[1] - w->padding[1]};
            memcpy(at, map, w->rank * sizeof *at);
            for (uint32_t d = 0; d < 2; d++) {
                struct fxc_index_sum sum = {.offset = shift[d]};
                uint32_t dim = (uint32_t)w->rank - 2 + d;
                fxc_index_add(&e->index, &sum, w->stride[d], map[dim]);
                at[dim] = fxc_view_size(e, &w->view)[dim] == 1 ? 0 : fxc_index_of(&e->index, &sum, size);
                if (padded) {
                    fxc_body_load(e, body, fxc_load_of(FXC_NONE, fxc_index_of(&e->index, &sum, size), true));
                }
            }
            fxc_body_inline(e, body, &w->view, at, size);
        }
    }
}

void fxc_lower_max_pool(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct window w;
    if (!start(e, &w) || w.kernel[0] * w.kernel[1] > WINDOW_LIMIT) {
        fxc_lower_fallback(e, how);
        return;
    }
    fxc_realise_hint(e, &w.view);
    for (uint32_t i = 0; i < 2 && fxc_result_value(e, i) != FXC_NONE; i++) {
        struct fxc_body body;
        uint8_t dtype = e->analysis->shapes->dtype[fxc_result_value(e, i)];
        load_window(e, &w, &body);
        fxc_own_work(e, &body, w.shape, w.rank, (uint16_t)i,
                     (uint16_t)(how->operations * (uint16_t)(w.kernel[0] * w.kernel[1])));
        struct fxc_tensor_view out = fxc_engine_pointwise(e, w.shape, w.rank, dtype, &body);
        fxc_give(e, i, &out);
    }
}

/* The window of each element as two more dimensions of the result. */
static struct fxc_tensor_view windows(struct fxc_engine *e, const struct window *w) {
    int64_t size[FXC_LOOP_RANK];
    uint32_t map[FXC_LOOP_RANK], from = (uint32_t)w->rank - 2;
    struct fxc_body body;
    memcpy(size, e->size + w->shape, w->rank * sizeof *size);
    memcpy(size + w->rank, w->kernel, sizeof w->kernel);
    uint32_t shape = fxc_engine_sizes(e, size, w->rank + 2u);
    fxc_engine_variables(e, size, w->rank + 2u, map);
    fxc_body_start(e, &body);
    for (uint32_t d = 0; d < 2; d++) {
        struct fxc_index_sum sum = {.offset = -w->padding[d]};
        fxc_index_add(&e->index, &sum, w->stride[d], map[from + d]);
        fxc_index_add(&e->index, &sum, 1, map[w->rank + d]);
        uint32_t at = fxc_index_of(&e->index, &sum, size);
        if (w->padding[0] != 0 || w->padding[1] != 0) {
            fxc_body_load(e, &body, fxc_load_of(FXC_NONE, at, true));
        }
        map[from + d] = fxc_view_size(e, &w->view)[from + d] == 1 ? 0 : at;
    }
    fxc_body_inline(e, &body, &w->view, map, size);
    return fxc_engine_pointwise(e, shape, (uint8_t)(w->rank + 2), e->box[w->view.box].dtype, &body);
}

void fxc_lower_avg_pool(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct window w;
    bool known = start(e, &w) && w.rank + 2 <= FXC_LOOP_RANK,
         small = known && w.kernel[0] * w.kernel[1] <= WINDOW_LIMIT;
    if (!known || (!small && (w.kernel[0] != w.stride[0] || w.kernel[1] != w.stride[1]))) {
        fxc_lower_fallback(e, how);
        return;
    }
    fxc_realise_hint(e, &w.view);
    struct fxc_tensor_view every = windows(e, &w);
    struct fxc_tensor_view out = fxc_mean_of_last(e, &every, 2, e->analysis->shapes->dtype[fxc_result_value(e, 0)],
                                                  small ? WINDOW_LIMIT : (int64_t)e->profile->unroll);
    fxc_give(e, 0, &out);
}

/* From places within a window to places in the input: each is computed from the element's own place. */
void fxc_lower_pool_indices(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view offsets;
    struct fxc_rule rule = fxc_engine_rule(e);
    struct fxc_body body;
    struct fxc_index_sum place = {0};
    uint32_t sizes = fxc_rule_list(&rule, FXC_NAME_input_size), strides = fxc_rule_list(&rule, FXC_NAME_stride);
    uint32_t map[FXC_LOOP_RANK], dims = sizes == FXC_NONE ? 0 : e->p->list_begin[sizes + 1] - e->p->list_begin[sizes];
    bool known = fxc_operand(e, FXC_NAME_self, &offsets) && strides != FXC_NONE && dims > 0 && dims <= offsets.rank;
    int64_t weight = 1;
    fxc_engine_variables(e, known ? fxc_view_size(e, &offsets) : NULL, known ? offsets.rank : 0, map);
    for (uint32_t d = dims; known && d-- > 0;) {
        int64_t size, stride, step;
        known = fxc_rule_item_int(&rule, sizes, d, &size) && fxc_rule_item_int(&rule, strides, d, &stride);
        if (known) {
            e->overflowed |= fxc_mul(stride, weight, &step) || fxc_mul(weight, size, &weight);
            fxc_index_add(&e->index, &place, step, map[offsets.rank - dims + d]);
        }
    }
    if (!known) {
        fxc_lower_fallback(e, how);
        return;
    }
    const int64_t *size = fxc_view_size(e, &offsets);
    fxc_body_start(e, &body);
    fxc_body_inline(e, &body, &offsets, map, size);
    fxc_body_load(e, &body, fxc_load_of(FXC_NONE, fxc_index_of(&e->index, &place, size), true));
    fxc_own_work(e, &body, offsets.shape, offsets.rank, 0, how->operations);
    struct fxc_tensor_view out = fxc_engine_pointwise(e, offsets.shape, offsets.rank, FXC_DTYPE_INT64, &body);
    fxc_give(e, 0, &out);
}
