/* Shape rules of operators that decide by the data how many elements they return. What follows from the arguments is
 * derived; the number itself is the recording's symbol, which has a value only once one is given, and must then be a
 * possible one. */
#include "passes/shapes/rules.h"

/* The size of the result's dimension 0 as the symbol's value makes it: between 0 and what the arguments allow. */
static fxc_status given_length(const struct fxc_rule *rule, uint32_t index, int64_t most, int64_t *out) {
    struct fxc_tensor result;
    FXC_NEED(fxc_rule_result(rule, index, &result) && result.rank > 0 && result.size[0] >= 0);
    FXC_NEED(result.size[0] <= most);
    *out = result.size[0];
    return FXC_OK;
}

/* nonzero: the place of each element found. */
fxc_status fxc_shape_nonzero(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    out->rank = 2;
    out->size[1] = tensor.rank;
    FXC_TRY(given_length(rule, 0, tensor.numel, &out->size[0]));
    /* Found coordinate by coordinate. */
    out->stride[0] = 1;
    out->stride[1] = out->size[0];
    out->strides_told = true;
    return FXC_OK;
}

/* masked_select: the elements found, of both arguments as they broadcast. */
fxc_status fxc_shape_masked_select(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    int64_t most = 1;
    FXC_TRY(fxc_shape_masked(rule, out, err));
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        FXC_NEED(!fxc_mul(most, out->size[dim], &most));
    }
    out->rank = 1;
    return given_length(rule, 0, most, &out->size[0]);
}

/* unique: the different elements; for each element which of them it is; how often each occurs. What was not asked for
 * is empty. */
fxc_status fxc_shape_unique(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    enum fxc_kind kind;
    int64_t payload;
    bool inverse, counts;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_bool(rule, FXC_NAME_return_inverse, false, &inverse) &&
             fxc_rule_bool(rule, FXC_NAME_return_counts, false, &counts));
    /* Along a dimension whole slices are compared: not told. */
    FXC_NEED(!fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload) || kind == FXC_KIND_NONE);
    if (out->index == 1 && inverse) {
        fxc_shape_of(&tensor, out);
        return FXC_OK;
    }
    out->rank = 1;
    out->size[0] = 0;
    return out->index == 0 || (out->index == 2 && counts) ? given_length(rule, out->index, tensor.numel, &out->size[0])
                                                          : FXC_OK;
}
