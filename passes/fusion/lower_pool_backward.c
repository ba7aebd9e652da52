/* Lowering gradients of pooling: an element of the input adds up what the windows that it is in give it. */
#include <string.h>

#include "passes/fusion/lower.h"

enum { WINDOWS_LIMIT = 25 }; /* more of them around an element fall back (avg_pool2d_backward of lowering.py) */

struct spread {
    struct fxc_tensor_view grad, input;
    int64_t kernel[2], stride[2], padding[2], windows; /* windows: that an element can be in */
    uint32_t map[FXC_LOOP_RANK];
    struct fxc_body body;
};

static int64_t windows_around(int64_t kernel, int64_t stride) {
    int64_t most = 1;
    for (int64_t at = 0; at < 2 * kernel; at++) {
        int64_t first = at < kernel ? 0 : (at - kernel) / stride, count = at / stride - first;
        most = count > most ? count : most;
    }
    return most;
}

/* Which windows an element is in follows from its place, each dimension for itself. */
static void load_places(struct fxc_engine *e, struct spread *s) {
    const int64_t *size = fxc_view_size(e, &s->input);
    for (uint32_t d = 0; d < 2; d++) {
        uint32_t at = s->map[(uint32_t)s->input.rank - 2 + d];
        struct fxc_index_sum sum = {.offset = s->padding[d] + s->stride[d] - s->kernel[d]};
        fxc_index_add(&e->index, &sum, 1, at);
        uint32_t place = fxc_index_of(&e->index, &sum, size);
        if (s->stride[d] != 1 && at != 0) {
            place = fxc_index_piece(&e->index, place, s->stride[d], 0, size);
        }
        fxc_body_load(e, &s->body, fxc_load_of(FXC_NONE, place, true));
    }
}

static bool start(struct fxc_engine *e, struct spread *s) {
    struct fxc_rule rule = fxc_engine_rule(e);
    if (!fxc_operand(e, FXC_NAME_grad_output, &s->grad) || !fxc_operand(e, FXC_NAME_self, &s->input) ||
        s->input.rank < 3 || s->input.rank != s->grad.rank || fxc_result_value(e, 0) == FXC_NONE ||
        !fxc_image_pair(&rule, FXC_NAME_kernel_size, -1, s->kernel)) {
        return false;
    }
    if (!fxc_image_pair(&rule, FXC_NAME_stride, -1, s->stride)) {
        memcpy(s->stride, s->kernel, sizeof s->stride);
    }
    (void)fxc_image_pair(&rule, FXC_NAME_padding, 0, s->padding);
    if (!fxc_is_window(s->kernel, s->stride, s->padding)) {
        return false;
    }
    s->windows = windows_around(s->kernel[0], s->stride[0]) * windows_around(s->kernel[1], s->stride[1]);
    if (s->windows > WINDOWS_LIMIT) {
        return false;
    }
    fxc_realise_hint(e, &s->grad);
    fxc_engine_variables(e, fxc_view_size(e, &s->input), s->input.rank, s->map);
    fxc_body_start(e, &s->body);
    load_places(e, s);
    return true;
}

/* Reads a tensor of the pooled sizes at each window that the element is in. */
static void load_windows(struct fxc_engine *e, struct spread *s, const struct fxc_tensor_view *pooled,
                         const uint32_t *place) {
    uint32_t at[FXC_LOOP_RANK];
    memcpy(at, s->map, s->input.rank * sizeof *at);
    for (int64_t w = 0; w < s->windows; w++) {
        for (uint32_t d = 0; d < 2; d++) {
            uint32_t dim = (uint32_t)s->input.rank - 2 + d;
            at[dim] = fxc_view_size(e, pooled)[dim] == 1 ? 0 : place[2 * w + d];
        }
        fxc_body_inline(e, &s->body, pooled, at, fxc_view_size(e, &s->input));
    }
}

static struct fxc_tensor_view finish(struct fxc_engine *e, struct spread *s, const struct fxc_tensor_view *indices,
                                     uint16_t operations) {
    uint32_t place[2 * WINDOWS_LIMIT];
    for (int64_t i = 0; i < 2 * s->windows; i++) {
        place[i] = fxc_index_loaded(&e->index);
    }
    if (indices != NULL) {
        load_windows(e, s, indices, place);
    }
    load_windows(e, s, &s->grad, place);
    fxc_own_work(e, &s->body, s->input.shape, s->input.rank, 0, (uint16_t)(operations * s->windows));
    return fxc_engine_pointwise(e, s->input.shape, s->input.rank, e->box[s->grad.box].dtype, &s->body);
}

void fxc_lower_avg_pool_backward(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct spread s;
    if (!start(e, &s)) {
        fxc_lower_fallback(e, how);
        return;
    }
    struct fxc_tensor_view out = finish(e, &s, NULL, how->operations);
    fxc_give(e, 0, &out);
}

static bool is_channels_last(struct fxc_engine *e, const struct fxc_tensor_view *view) {
    int64_t stride[FXC_LOOP_RANK];
    if (!fxc_has_layout(e, view)) {
        return false;
    }
    (void)fxc_view_layout(e, view, stride);
    return stride[1] == 1;
}

/* Laid out channels-last where the input or its gradient is. */
void fxc_lower_max_pool_backward(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view indices;
    struct fxc_rule rule = fxc_engine_rule(e);
    struct spread s;
    int64_t dilation[2], wanted[FXC_LOOP_RANK];
    (void)fxc_image_pair(&rule, FXC_NAME_dilation, 1, dilation);
    if (dilation[0] != 1 || dilation[1] != 1 || !fxc_operand(e, FXC_NAME_indices, &indices) || !start(e, &s)) {
        fxc_lower_fallback(e, how);
        return;
    }
    bool last = s.input.rank == 4 && (is_channels_last(e, &s.input) || is_channels_last(e, &s.grad));
    struct fxc_tensor_view out = finish(e, &s, &indices, how->operations);
    if (last) {
        fxc_channels_last(fxc_view_size(e, &out), out.rank, wanted);
        out = fxc_engine_require(e, &out, wanted, false);
    }
    fxc_give(e, 0, &out);
}
