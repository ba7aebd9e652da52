/* Shape rules of sliding windows: convolutions and pooling. */
#include <string.h>

#include "passes/shapes/rules.h"

/* A window setting of one spatial dimension: item `dim` of a list, the one item of a short list, a single number, or
 * the fallback. */
static bool setting(const struct fxc_rule *rule, enum fxc_name name, uint32_t dim, int64_t fallback, int64_t *out) {
    uint32_t list = fxc_rule_list(rule, name), count = fxc_list_count(rule->program, list);
    if (list == FXC_NONE) {
        return fxc_rule_int(rule, name, fallback, out);
    }
    if (count == 0) {
        *out = fallback;
        return true;
    }
    return fxc_rule_item_int(rule, list, count == 1 ? 0 : dim, out);
}

struct window {
    int64_t kernel, stride, padding, dilation;
};

/* Number of windows: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1, or, rounded up, one more for
 * what is left over, unless that would start beyond the input and its left padding. */
static bool windows(int64_t size, const struct window *w, bool round_up, int64_t *out) {
    int64_t padded, reach, steps, start;
    if (w->stride <= 0 || w->kernel < 0 || w->dilation < 0 || fxc_mul(2, w->padding, &padded) ||
        fxc_add(size, padded, &padded) || fxc_mul(w->dilation, w->kernel - 1, &reach) ||
        fxc_add(padded, -reach - 1, &steps) || (round_up && fxc_add(steps, w->stride - 1, &steps)) || steps < 0) {
        return false;
    }
    *out = steps / w->stride + 1;
    if (round_up) {
        if (fxc_mul(*out - 1, w->stride, &start)) {
            return false;
        }
        *out -= start >= size + w->padding;
    }
    return true;
}

bool fxc_windows(const struct fxc_rule *rule, uint32_t dim, int64_t size, int64_t *out) {
    struct window w;
    return setting(rule, FXC_NAME_kernel_size, dim, -1, &w.kernel) && w.kernel > 0 &&
           setting(rule, FXC_NAME_stride, dim, 1, &w.stride) && setting(rule, FXC_NAME_padding, dim, 0, &w.padding) &&
           setting(rule, FXC_NAME_dilation, dim, 1, &w.dilation) && windows(size, &w, false, out);
}

/* Output size of one spatial dimension; "same" keeps it (its stride is one), "valid" pads nothing. */
static fxc_status conv_size(const struct fxc_rule *rule, uint32_t dim, int64_t size, int64_t kernel, int64_t *out) {
    struct window w = {.kernel = kernel};
    const char *padding = fxc_rule_string(rule, FXC_NAME_padding);
    if (padding != NULL && strcmp(padding, "same") == 0) {
        *out = size;
        return FXC_OK;
    }
    FXC_NEED(setting(rule, FXC_NAME_stride, dim, 1, &w.stride) &&
             setting(rule, FXC_NAME_dilation, dim, 1, &w.dilation) &&
             (padding != NULL || setting(rule, FXC_NAME_padding, dim, 0, &w.padding)));
    FXC_NEED(windows(size, &w, false, out));
    return FXC_OK;
}

/* input and weight of a convolution of any kind. */
static fxc_status known_conv(const struct fxc_rule *rule, struct fxc_tensor *input, struct fxc_tensor *weight) {
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, input) && fxc_shape_argument(rule, FXC_NAME_weight, weight));
    /* With a batch dimension or without one. */
    FXC_NEED(weight->rank >= 3 && (input->rank == weight->rank || input->rank + 1 == weight->rank));
    return FXC_OK;
}

fxc_status fxc_shape_conv(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input, weight;
    int64_t groups, channels;
    bool transposed;
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_transposed, false, &transposed));
    if (transposed) {
        return fxc_shape_conv_transposed(rule, out, err);
    }
    FXC_TRY(known_conv(rule, &input, &weight));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_groups, 1, &groups));
    uint32_t spatial = weight.rank - 2u, first = input.rank - spatial;
    if (fxc_mul(groups, weight.size[1], &channels) || channels != input.size[first - 1]) {
        return fxc_shape_conflict(rule, err, "input", &input, "weight", &weight,
                                  "input channels equal to groups times the weight's second size");
    }
    fxc_shape_of(&input, out);
    out->size[first - 1] = input.size[first - 1] == 0 ? 0 : weight.size[0]; /* torch's rule for no channels */
    for (uint32_t dim = 0; dim < spatial; dim++) {
        FXC_TRY(conv_size(rule, dim, input.size[first + dim], weight.size[2 + dim], &out->size[first + dim]));
    }
    return FXC_OK;
}

/* (size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1. */
fxc_status fxc_shape_conv_transposed(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input, weight;
    int64_t groups;
    FXC_TRY(known_conv(rule, &input, &weight));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_groups, 1, &groups));
    uint32_t spatial = weight.rank - 2u, first = input.rank - spatial;
    if (weight.size[0] != input.size[first - 1]) {
        return fxc_shape_conflict(rule, err, "input", &input, "weight", &weight,
                                  "input channels equal to the weight's first size");
    }
    fxc_shape_of(&input, out);
    FXC_NEED(!fxc_mul(groups, weight.size[1], &out->size[first - 1]));
    for (uint32_t dim = 0; dim < spatial; dim++) {
        struct window w = {.kernel = weight.size[2 + dim]};
        int64_t extra, spread, reach, size;
        FXC_NEED(setting(rule, FXC_NAME_stride, dim, 1, &w.stride) &&
                 setting(rule, FXC_NAME_padding, dim, 0, &w.padding) &&
                 setting(rule, FXC_NAME_output_padding, dim, 0, &extra) &&
                 setting(rule, FXC_NAME_dilation, dim, 1, &w.dilation));
        FXC_NEED(!fxc_mul(input.size[first + dim] - 1, w.stride, &spread) &&
                 !fxc_mul(w.dilation, w.kernel - 1, &reach) && !fxc_add(spread, reach, &size) &&
                 !fxc_add(extra, 1, &extra) && !fxc_add(size, extra, &size) && !fxc_mul(w.padding, -2, &reach) &&
                 !fxc_add(size, reach, &size) && size >= 0);
        out->size[first + dim] = size;
    }
    return FXC_OK;
}

/* Pooling windows; the number of spatial dimensions is that of the kernel's list. */
fxc_status fxc_shape_pool(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    bool round_up;
    uint32_t kernel = fxc_rule_list(rule, FXC_NAME_kernel_size), spatial = fxc_list_count(rule->program, kernel);
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &input) && fxc_rule_bool(rule, FXC_NAME_ceil_mode, false, &round_up));
    /* A list of one item may stand for two or three dimensions: only what the ranks allow is told. */
    FXC_NEED(spatial >= 1 && (input.rank == spatial + 1 || input.rank == spatial + 2));
    FXC_NEED(spatial > 1 || input.rank == 2 || input.rank == 3);
    uint32_t first = input.rank - spatial;
    fxc_shape_of(&input, out);
    for (uint32_t dim = 0; dim < spatial; dim++) {
        struct window w;
        FXC_NEED(setting(rule, FXC_NAME_kernel_size, dim, -1, &w.kernel) && w.kernel > 0);
        FXC_NEED(setting(rule, FXC_NAME_stride, dim, w.kernel, &w.stride) &&
                 setting(rule, FXC_NAME_padding, dim, 0, &w.padding) &&
                 setting(rule, FXC_NAME_dilation, dim, 1, &w.dilation));
        FXC_NEED(windows(input.size[first + dim], &w, round_up, &out->size[first + dim]));
    }
    return FXC_OK;
}

fxc_status fxc_shape_adaptive_pool(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_output_size), spatial = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_shape_subject(rule, &input) && spatial > 0);
    FXC_NEED(input.rank == spatial + 1 || input.rank == spatial + 2);
    fxc_shape_of(&input, out);
    for (uint32_t dim = 0; dim < spatial; dim++) {
        int64_t size;
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &size));
        out->size[input.rank - spatial + dim] = size;
    }
    return FXC_OK;
}
