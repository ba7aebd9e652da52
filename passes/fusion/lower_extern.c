/* Lowering to library kernels. */
#include <string.h>

#include "passes/fusion/lower.h"

void fxc_library_kernel(struct fxc_engine *e, const struct fxc_inputs *inputs, const int64_t *stride,
                        uint32_t results) {
    uint32_t outputs[FXC_MAX_INPUTS], made = 0, count = fxc_result_count(e);
    for (uint32_t i = 0; i < results && i < count && made < FXC_MAX_INPUTS; i++) {
        uint32_t value = fxc_result_value(e, i); /* a gradient that is not wanted is none */
        if (value == FXC_NONE) {
            continue;
        }
        const int64_t *size, *recorded;
        uint8_t rank;
        if (!fxc_value_sizes(e, value, &size, &recorded, &rank)) {
            continue;
        }
        struct fxc_tensor_view view = fxc_made_buffer(e, value, stride != NULL ? stride : recorded, &outputs[made]);
        made++;
        fxc_give(e, i, &view);
    }
    uint32_t operation = fxc_engine_extern(e, FXC_OPERATION_EXTERN, inputs, outputs, made);
    if (!e->failed) {
        e->operation[operation].apart = stride == NULL; /* FallbackKernel of torch/_inductor/ir.py */
    }
}

void fxc_lower_fallback(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view operand[FXC_MAX_INPUTS];
    struct fxc_inputs inputs = {.count = 0};
    uint32_t count = fxc_operands(e, operand, FXC_MAX_INPUTS);
    (void)how;
    count = count == FXC_NONE ? 0 : count;
    for (uint32_t i = 0; i < count; i++) {
        fxc_engine_input(e, &operand[i], &inputs);
    }
    fxc_library_kernel(e, &inputs, NULL, FXC_MAX_INPUTS);
}

/* mm, addmm, bmm, baddbmm: a row-major result. */
void fxc_lower_product(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view operand[FXC_MAX_INPUTS];
    struct fxc_inputs inputs = {.count = 0};
    uint32_t count = fxc_operands(e, operand, FXC_MAX_INPUTS), value = fxc_result_value(e, 0);
    const int64_t *size, *recorded;
    uint8_t rank;
    if (count == FXC_NONE || value == FXC_NONE || !fxc_value_sizes(e, value, &size, &recorded, &rank)) {
        fxc_lower_fallback(e, how);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        fxc_engine_input(e, &operand[i], &inputs);
    }
    int64_t stride[FXC_LOOP_RANK], next = 1;
    for (uint32_t d = rank; d-- > 0;) {
        stride[d] = next;
        next *= size[d];
    }
    fxc_library_kernel(e, &inputs, stride, 1);
    struct fxc_buffer *made = &e->buffer[e->box[e->view[value].box].buffer];
    made->flexible = true; /* it can write into a part of another buffer */
    e->operation[made->operation].out = true;
}

/* A parameter that the compiler has laid out ahead of time. */
static bool is_frozen(const struct fxc_engine *e, const struct fxc_tensor_view *view) {
    uint32_t buffer = e->box[view->box].buffer;
    return e->profile->frozen && buffer != FXC_NONE && e->buffer[buffer].parameter;
}

/* A tensor of a convolution in the order of strides that its kernel wants. */
static void conv_input(struct fxc_engine *e, struct fxc_tensor_view view, bool last, struct fxc_inputs *inputs) {
    if (is_frozen(e, &view)) {
        fxc_engine_input(e, &view, inputs);
        return;
    }
    int64_t size[FXC_LOOP_RANK], wanted[FXC_LOOP_RANK];
    memcpy(size, fxc_view_size(e, &view), view.rank * sizeof *size);
    (void)fxc_box_realise(e, view.box);
    for (uint32_t d = 0; d < view.rank; d++) {
        wanted[d] = (int64_t)(view.rank - d);
    }
    if (last) {
        fxc_channels_last(size, view.rank, wanted);
    }
    view = fxc_engine_require(e, &view, wanted, false);
    fxc_engine_input(e, &view, inputs);
}

/* The bias, which goes along a dimension, is added to what the kernel has written. */
static void add_bias(struct fxc_engine *e, const struct fxc_tensor_view *bias, uint32_t value, uint32_t along) {
    struct fxc_tensor_view operand[2] = {e->view[value], *bias};
    struct fxc_box *box = &e->box[operand[0].box];
    box->value = e->buffer[box->buffer].value = FXC_NONE;
    e->buffer[box->buffer].flexible = true;
    int64_t size[FXC_LOOP_RANK], sizes[FXC_LOOP_RANK];
    uint8_t rank = operand[0].rank, dtype = box->dtype;
    memcpy(size, fxc_view_size(e, &operand[0]), rank * sizeof *size);
    for (uint32_t d = 0; d < rank; d++) {
        sizes[d] = d == along ? size[d] : 1;
    }
    operand[1] = fxc_view_reshape(e, &operand[1], sizes + along, (uint8_t)(rank - along));
    operand[1] = fxc_view_expand(e, &operand[1], size, rank);
    struct fxc_tensor_view out = fxc_combine(e, operand, 2, fxc_engine_sizes(e, size, rank), rank, dtype, 1, 1, 0);
    fxc_give(e, 0, &out);
}

void fxc_lower_convolution(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view input, weight, bias;
    struct fxc_inputs inputs = {.count = 0};
    uint32_t value = fxc_result_value(e, 0);
    const int64_t *size, *recorded;
    int64_t stride[FXC_LOOP_RANK];
    uint8_t rank;
    if (!fxc_operand(e, FXC_NAME_input, &input) || !fxc_operand(e, FXC_NAME_weight, &weight) || value == FXC_NONE ||
        !fxc_value_sizes(e, value, &size, &recorded, &rank) || rank < 3 ||
        !((rank == 4 && e->convolves) || e->profile->bias_apart)) {
        fxc_lower_fallback(e, how);
        return;
    }
    bool last = rank == 4 && e->convolves, biased = fxc_operand(e, FXC_NAME_bias, &bias);
    conv_input(e, input, last, &inputs);
    conv_input(e, weight, last, &inputs);
    if (biased && !e->profile->bias_apart) {
        fxc_engine_input(e, &bias, &inputs);
    }
    fxc_channels_last(size, rank, stride);
    fxc_library_kernel(e, &inputs, last ? stride : recorded, 1);
    if (biased && e->profile->bias_apart) {
        add_bias(e, &bias, value, 1);
    }
}

/* The strides that a convolution's backward kernel wants: channels-last where convolutions rule the layouts, else in
 * the order of a gradient that it gives. */
static struct fxc_tensor_view gradient_input(struct fxc_engine *e, const struct fxc_tensor_view *view,
                                             uint32_t gradient) {
    const int64_t *size, *recorded;
    int64_t last[FXC_LOOP_RANK];
    uint8_t rank;
    if (gradient == FXC_NONE || !fxc_value_sizes(e, gradient, &size, &recorded, &rank) || rank != view->rank) {
        return *view;
    }
    fxc_channels_last(fxc_view_size(e, view), rank, last);
    return fxc_engine_require(e, view, e->convolves && rank == 4 ? last : recorded, false);
}

/* Tensors are first laid out in eager's order where no convolution rules the layouts
 * (constrain_conv_bwd_to_fx_strides), then in that of the gradients (convolution_backward_lowering of
 * torch/_inductor/kernel/conv.py). */
void fxc_lower_convolution_backward(struct fxc_engine *e, const struct fxc_lowering *how) {
    static const enum fxc_name names[] = {FXC_NAME_grad_output, FXC_NAME_input, FXC_NAME_weight};
    struct fxc_tensor_view operand[3];
    struct fxc_inputs inputs = {.count = 0};
    struct fxc_rule rule = fxc_engine_rule(e);
    for (uint32_t i = 0; i < 3; i++) {
        enum fxc_kind kind;
        int64_t value;
        const int64_t *size, *recorded;
        uint8_t rank;
        if (!fxc_operand(e, names[i], &operand[i]) || !fxc_rule_arg(&rule, names[i], &kind, &value) ||
            !fxc_value_sizes(e, (uint32_t)value, &size, &recorded, &rank)) {
            fxc_lower_fallback(e, how);
            return;
        }
        if (!e->convolves) {
            operand[i] = fxc_engine_require(e, &operand[i], recorded, false);
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        (void)fxc_box_realise(e, operand[i].box);
    }
    uint32_t of_input = fxc_result_value(e, 0), of_weight = fxc_result_value(e, 1);
    operand[1] = gradient_input(e, &operand[1], of_weight);
    operand[0] = gradient_input(e, &operand[0], of_weight);
    operand[0] = gradient_input(e, &operand[0], of_input);
    operand[2] = gradient_input(e, &operand[2], of_input);
    for (uint32_t i = 0; i < 3; i++) {
        fxc_engine_input(e, &operand[i], &inputs);
    }
    fxc_library_kernel(e, &inputs, NULL, FXC_MAX_INPUTS);
}

/* oneDNN's linear layer with a packed weight: what is packed is opaque, so the weight that it was made of counts. The
 * bias is added behind it (mkl_packed_linear of torch/_inductor/mkldnn_lowerings.py). */
void fxc_lower_packed_linear(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view x, weight, bias;
    struct fxc_inputs inputs = {.count = 0};
    uint32_t value = fxc_result_value(e, 0);
    const int64_t *size, *recorded;
    uint8_t rank;
    if (!fxc_operand(e, FXC_NAME_X, &x) || !fxc_operand(e, FXC_NAME_ORI_W, &weight) || value == FXC_NONE ||
        !fxc_value_sizes(e, value, &size, &recorded, &rank)) {
        fxc_lower_fallback(e, how);
        return;
    }
    fxc_engine_input(e, &x, &inputs);
    fxc_engine_input(e, &weight, &inputs);
    fxc_library_kernel(e, &inputs, recorded, 1);
    if (fxc_operand(e, FXC_NAME_B, &bias)) {
        add_bias(e, &bias, value, (uint32_t)rank - 1);
    }
}

/* oneDNN's kernels with what is fused into them: images channels-last, weights packed. */
void fxc_lower_packed(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view operand[FXC_MAX_INPUTS];
    struct fxc_inputs inputs = {.count = 0};
    uint32_t count = fxc_operands(e, operand, FXC_MAX_INPUTS);
    if (count == FXC_NONE) {
        fxc_lower_fallback(e, how);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (operand[i].rank == 4) {
            conv_input(e, operand[i], true, &inputs);
        } else {
            fxc_engine_input(e, &operand[i], &inputs);
        }
    }
    fxc_library_kernel(e, &inputs, NULL, FXC_MAX_INPUTS);
}

/* A result in the strides that the caller expects. */
void fxc_lower_force_strides(struct fxc_engine *e, const struct fxc_lowering *how) {
    struct fxc_tensor_view view;
    struct fxc_rule rule = fxc_engine_rule(e);
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_stride);
    int64_t wanted[FXC_LOOP_RANK];
    bool known = list != FXC_NONE && fxc_operand(e, FXC_NAME_input, &view);
    for (uint32_t d = 0; known && d < view.rank; d++) {
        known = fxc_rule_item_int(&rule, list, d, &wanted[d]);
    }
    if (!known) {
        fxc_lower_fallback(e, how);
        return;
    }
    (void)fxc_box_realise(e, view.box);
    view = fxc_engine_require(e, &view, wanted, false);
    fxc_give(e, 0, &view);
}

/* Attention's kernel wants its inputs in row-major order, or as eager has them where that is not dense inside. */
void fxc_lower_attention(struct fxc_engine *e, const struct fxc_lowering *how) {
    const struct fxc_program *p = e->p;
    struct fxc_inputs inputs = {.count = 0};
    (void)how;
    for (uint32_t a = p->node_arg_begin[e->node]; a < p->node_arg_begin[e->node + 1]; a++) {
        if (p->arg_kind[a] != FXC_KIND_VALUE || e->view[p->arg_payload[a]].box == FXC_NONE) {
            continue;
        }
        struct fxc_tensor_view view = e->view[p->arg_payload[a]];
        const int64_t *size, *recorded;
        int64_t wanted[FXC_LOOP_RANK];
        uint8_t rank;
        if (fxc_value_sizes(e, (uint32_t)p->arg_payload[a], &size, &recorded, &rank) && rank == view.rank) {
            bool dense_inside = true; /* the last dimension has the least stride */
            for (uint32_t d = 0; d + 1 < rank; d++) {
                dense_inside &= recorded[d] >= recorded[rank - 1];
            }
            for (uint32_t d = 0; d < rank; d++) {
                wanted[d] = dense_inside ? recorded[d] : (int64_t)(rank - d);
            }
            view = fxc_engine_require(e, &view, wanted, false);
        }
        fxc_engine_input(e, &view, &inputs);
    }
    fxc_library_kernel(e, &inputs, NULL, FXC_MAX_INPUTS);
}
