/* Shape rules of ranges and of operators along one dimension: repeats, differences. */
#include <math.h>
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* ceil((end - start) / step), in whole numbers where the result holds such. */
fxc_status fxc_shape_arange(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    enum fxc_kind kind;
    int64_t payload;
    double start, end, step;
    (void)err;
    FXC_NEED(fxc_rule_arg(rule, FXC_NAME_end, &kind, &payload));
    FXC_NEED(fxc_rule_real(rule, FXC_NAME_start, 0, &start) && fxc_rule_real(rule, FXC_NAME_end, 0, &end) &&
             fxc_rule_real(rule, FXC_NAME_step, 1, &step));
    FXC_NEED(out->dtype != FXC_DTYPE_OPAQUE);
    if (!fxc_dtype_is_float(out->dtype)) {
        start = trunc(start);
        end = trunc(end);
        step = trunc(step);
    }
    FXC_NEED(step != 0);
    double length = ceil((end - start) / step);
    FXC_NEED(length >= 0 && length < 0x1p53);
    out->rank = 1;
    out->size[0] = (int64_t)length;
    return FXC_OK;
}

/* One dimension of the length that the argument says: linspace, histc, randperm. */
static fxc_status line_of(const struct fxc_rule *rule, enum fxc_name name, int64_t fallback, struct fxc_shape *out) {
    FXC_NEED(fxc_rule_int(rule, name, fallback, &out->size[0]) && out->size[0] >= 0);
    out->rank = 1;
    return FXC_OK;
}

fxc_status fxc_shape_steps(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return line_of(rule, FXC_NAME_steps, -1, out);
}

fxc_status fxc_shape_bins(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return line_of(rule, FXC_NAME_bins, 100, out);
}

fxc_status fxc_shape_randperm(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return line_of(rule, FXC_NAME_n, -1, out);
}

fxc_status fxc_shape_eye(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_n, -1, &out->size[0]) && out->size[0] >= 0);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_m, out->size[0], &out->size[1]) && out->size[1] >= 0);
    out->rank = 2;
    return FXC_OK;
}

/* One number. */
fxc_status fxc_shape_scalar(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)rule;
    (void)err;
    out->rank = 0;
    return FXC_OK;
}

/* repeat_interleave: every element of a dimension as often as `repeats` says, the flattened tensor's without one. As
 * many as a tensor of repeats says is data, unless output_size tells it. */
fxc_status fxc_shape_repeat_interleave(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    enum fxc_kind kind;
    int64_t payload, given, times;
    uint32_t dim = 0;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) || fxc_shape_argument(rule, FXC_NAME_repeats, &tensor));
    fxc_shape_of(&tensor, out);
    if (fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload) && kind != FXC_KIND_NONE) {
        FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    } else {
        out->rank = 1;
        out->size[0] = tensor.numel;
    }
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_output_size, -1, &given));
    if (given >= 0) {
        out->size[dim] = given;
        return FXC_OK;
    }
    FXC_NEED(fxc_rule_arg(rule, FXC_NAME_repeats, &kind, &payload) && fxc_rule_int(rule, FXC_NAME_repeats, -1, &times));
    FXC_NEED(times >= 0 && !fxc_mul(out->size[dim], times, &out->size[dim]));
    return FXC_OK;
}

/* diff: differences of neighbours, n times over, with what is put before and after. */
fxc_status fxc_shape_diff(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor, more;
    static const enum fxc_name ends[] = {FXC_NAME_prepend, FXC_NAME_append};
    uint32_t dim;
    int64_t times;
    bool longer = false;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, -1, tensor.rank, &dim));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_n, 1, &times) && times >= 0);
    fxc_start_view(&tensor, out);
    if (times == 0) { /* a copy of the argument */
        if (out->strides_told) {
            out->strides_told = false;
            fxc_iterated_strides(out);
        }
        return FXC_OK;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (fxc_rule_tensor(rule, ends[i], &more)) {
            FXC_NEED(more.numel >= 0 && more.rank == tensor.rank);
            FXC_NEED(!fxc_add(out->size[dim], more.size[dim], &out->size[dim]));
            longer = true;
        }
    }
    out->size[dim] = out->size[dim] > times ? out->size[dim] - times : 0;
    if (longer && tensor.rank < 4) {
        /* Joined first, and what is joined is row-major. */
        (void)fxc_contiguous_strides(out);
    } else if (longer) {
        out->strides_told = false;
    } else if (out->strides_told) {
        out->strides_told = false;
        fxc_iterated_strides(out);
    }
    return FXC_OK;
}
