/* Shape rules of operators with several results that each follow an argument: norms with their statistics, and the
 * backward operators of joint graphs. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* Result i has the shape of argument names[i]. */
static fxc_status as_arguments(const struct fxc_rule *rule, const enum fxc_name *names, uint32_t count,
                               struct fxc_shape *out) {
    struct fxc_tensor tensor;
    FXC_NEED(out->index < count && fxc_shape_argument(rule, names[out->index], &tensor));
    fxc_shape_of(&tensor, out);
    return FXC_OK;
}

/* A gradient has the shape of what it is the gradient of: input, weight, bias of a norm. */
fxc_status fxc_shape_norm_backward(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_input, FXC_NAME_weight, FXC_NAME_bias};
    struct fxc_tensor input;
    (void)err;
    if (out->index < 2 || as_arguments(rule, names, 3, out) == FXC_OK) {
        return as_arguments(rule, names, 3, out);
    }
    /* Not every one of them takes the bias: one number for each channel. */
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, &input) && input.rank > 1);
    out->rank = 1;
    out->size[0] = input.size[1];
    return FXC_OK;
}

fxc_status fxc_shape_conv_backward(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_input, FXC_NAME_weight};
    uint32_t bias = fxc_rule_list(rule, FXC_NAME_bias_sizes);
    (void)err;
    if (out->index < 2) {
        return as_arguments(rule, names, 2, out);
    }
    FXC_NEED(fxc_list_count(rule->program, bias) == 1 && fxc_rule_item_int(rule, bias, 0, &out->size[0]));
    out->rank = 1;
    return FXC_OK;
}

fxc_status fxc_shape_sdpa_backward(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_query, FXC_NAME_key, FXC_NAME_value, FXC_NAME_attn_bias};
    (void)err;
    return as_arguments(rule, names, 4, out);
}

/* The attention kernels that a joint graph names: the result, and one number for each query and head. */
fxc_status fxc_shape_sdpa_forward(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor query;
    if (out->index == 0) {
        return fxc_shape_sdpa(rule, out, err);
    }
    FXC_NEED(out->index == 1 && fxc_shape_argument(rule, FXC_NAME_query, &query) && query.rank == 4);
    fxc_shape_of(&query, out);
    out->rank = 3;
    return FXC_OK;
}

/* Attention over sequences of different lengths, one behind the other: the result, a number for each head and position,
 * and the state of the random numbers. */
fxc_status fxc_shape_varlen(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor query;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_query, &query) && query.rank == 3 && out->index < 3);
    fxc_shape_of(&query, out);
    if (out->index > 0) {
        out->rank = out->index == 1 ? 2 : 1;
        out->size[0] = out->index == 1 ? query.size[1] : 2;
        out->size[1] = query.size[0];
    }
    return FXC_OK;
}

/* native_layer_norm: mean and reciprocal deviation keep the normalised dimensions at size 1. */
fxc_status fxc_shape_native_layer_norm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    uint32_t normalized = fxc_list_count(rule->program, fxc_rule_list(rule, FXC_NAME_normalized_shape));
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, &input) && normalized > 0 && normalized <= input.rank);
    fxc_shape_of(&input, out);
    for (uint32_t dim = input.rank - normalized; out->index > 0 && dim < input.rank; dim++) {
        out->size[dim] = 1;
    }
    return FXC_OK;
}

/* native_group_norm: statistics for each sample and group. */
fxc_status fxc_shape_native_group_norm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, &input));
    fxc_shape_of(&input, out);
    if (out->index > 0) {
        out->rank = 2;
        FXC_NEED(fxc_rule_int(rule, FXC_NAME_N, -1, &out->size[0]) && out->size[0] >= 0);
        FXC_NEED(fxc_rule_int(rule, FXC_NAME_group, -1, &out->size[1]) && out->size[1] >= 0);
    }
    return FXC_OK;
}

/* native_batch_norm: statistics of each channel, empty when the running ones were used. On a CPU; elsewhere they may
 * stay. */
fxc_status fxc_shape_native_batch_norm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    enum fxc_kind kind;
    int64_t payload;
    bool training;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, &input) && input.rank > 1);
    fxc_shape_of(&input, out);
    if (out->index == 0) {
        return FXC_OK;
    }
    const char *device = fxc_rule_device(rule, input.value);
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_training, false, &training));
    FXC_NEED(training || (device != NULL && strcmp(device, "cpu") == 0));
    /* Without running statistics the samples' own are used whatever `training` says. */
    bool kept = fxc_rule_arg(rule, FXC_NAME_running_mean, &kind, &payload) && kind != FXC_KIND_NONE;
    FXC_NEED(training || kept);
    out->rank = 1;
    out->size[0] = training || out->index > 2 ? input.size[1] : 0;
    return FXC_OK;
}

/* The gradient of a table: as many rows as the table has. */
fxc_status fxc_shape_table_backward(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor grad;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_grad_output, &grad) && grad.rank > 0);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_num_weights, -1, &out->size[0]) && out->size[0] >= 0);
    out->size[1] = grad.size[grad.rank - 1];
    out->rank = 2;
    return FXC_OK;
}

/* The gradient of a view or of a resampled image: of the size that is written. */
fxc_status fxc_shape_input_sized(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_input_sizes), count;
    (void)err;
    list = list != FXC_NONE ? list : fxc_rule_list(rule, FXC_NAME_input_size);
    count = fxc_list_count(rule->program, list);
    FXC_NEED(list != FXC_NONE && count <= FXC_MAX_RANK);
    out->rank = (uint8_t)count;
    for (uint32_t dim = 0; dim < count; dim++) {
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &out->size[dim]) && out->size[dim] >= 0);
    }
    return FXC_OK;
}

/* The gradient of a softmax: as its result. */
fxc_status fxc_shape_like_output(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_output};
    (void)err;
    return as_arguments(rule, names, 1, out);
}

/* nll_loss_forward: the loss, and the sum of the weights it was divided by. */
fxc_status fxc_shape_class_loss_forward(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    if (out->index == 0) {
        return fxc_shape_class_loss(rule, out, err);
    }
    out->rank = 0;
    return FXC_OK;
}

/* masked_scatter: the mask broadcasts with what it is laid over; what is scattered has any shape. */
fxc_status fxc_shape_masked(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor self, mask;
    FXC_NEED(fxc_shape_subject(rule, &self) && fxc_shape_argument(rule, FXC_NAME_mask, &mask));
    fxc_shape_of(&self, out);
    return fxc_broadcast(out, &mask)
               ? FXC_OK
               : fxc_shape_conflict(rule, err, "self", &self, "mask", &mask, "arguments that broadcast together");
}

/* _weight_norm: the direction's shape; the magnitudes broadcast. */
fxc_status fxc_shape_direction(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_v, FXC_NAME_g};
    (void)err;
    return as_arguments(rule, names, 2, out);
}

/* _weight_norm_interface and its backward: directions, then magnitudes. */
fxc_status fxc_shape_saved(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name forward[] = {FXC_NAME_v, FXC_NAME_g};
    static const enum fxc_name backward[] = {FXC_NAME_saved_v, FXC_NAME_saved_g};
    struct fxc_tensor saved;
    (void)err;
    return as_arguments(rule, fxc_rule_tensor(rule, FXC_NAME_saved_v, &saved) ? backward : forward, 2, out);
}

/* grid_sampler_2d_backward: gradients of the image and of the grid. */
fxc_status fxc_shape_input_and_grid(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_input, FXC_NAME_grid};
    (void)err;
    return as_arguments(rule, names, 2, out);
}

/* mkldnn_rnn_layer: outputs of one direction, both last states, and a workspace of which nothing is known (fake tensors
 * say that it is empty). */
fxc_status fxc_shape_recurrent_layer(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    static const enum fxc_name names[] = {FXC_NAME_input, FXC_NAME_hx_, FXC_NAME_cx_};
    (void)err;
    FXC_TRY(as_arguments(rule, names, 3, out));
    return out->index > 0 ||
                   (out->rank == 3 && fxc_rule_int(rule, FXC_NAME_hidden_size, -1, &out->size[2]) && out->size[2] >= 0)
               ? FXC_OK
               : FXC_UNKNOWN_OPS;
}

/* _embedding_bag: a row for each bag; what else it returns for its backward. */
fxc_status fxc_shape_embedding_bag(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor weight, offsets;
    bool whole;
    int64_t mode;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_weight, &weight) &&
             fxc_shape_argument(rule, FXC_NAME_offsets, &offsets));
    FXC_NEED(weight.rank == 2 && offsets.rank == 1);
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_include_last_offset, false, &whole));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_mode, 0, &mode) && offsets.size[0] >= whole);
    if (out->index == 1) { /* the bag of each index; a sum (mode 0) may do without */
        struct fxc_tensor indices;
        FXC_NEED(mode != 0 && fxc_shape_argument(rule, FXC_NAME_indices, &indices) && indices.rank == 1);
        fxc_shape_of(&indices, out);
        return FXC_OK;
    }
    FXC_NEED(out->index == 0 || !whole); /* kernels differ in whether the last offset gets a place */
    out->size[0] = offsets.size[0] - whole;
    out->size[1] = weight.size[1];
    /* Places of the largest are kept when bags are reduced by their maximum (mode 2). */
    out->rank = out->index == 0 || (out->index == 3 && mode == 2) ? 2 : 1;
    return FXC_OK;
}

/* Distances between the rows of two lists, or within one. */
fxc_status fxc_shape_distances(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor a, b;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_x1, &a) && fxc_shape_argument(rule, FXC_NAME_x2, &b));
    FXC_NEED(a.rank >= 2 && b.rank >= 2);
    struct fxc_tensor a_batch = a, b_batch = b;
    a_batch.rank = (uint8_t)(a.rank - 2);
    b_batch.rank = (uint8_t)(b.rank - 2);
    out->rank = 0;
    if (!fxc_broadcast(out, &a_batch) || !fxc_broadcast(out, &b_batch)) {
        return fxc_shape_conflict(rule, err, "x1", &a, "x2", &b, "batch dimensions that broadcast");
    }
    out->size[out->rank++] = a.size[a.rank - 2];
    out->size[out->rank++] = b.size[b.rank - 2];
    return FXC_OK;
}

fxc_status fxc_shape_pairs(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank == 2);
    int64_t rows = tensor.size[0], pairs;
    FXC_NEED(!fxc_mul(rows, rows - 1, &pairs));
    out->rank = 1;
    out->size[0] = rows > 1 ? pairs / 2 : 0;
    return FXC_OK;
}
