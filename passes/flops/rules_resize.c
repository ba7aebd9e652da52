/* FLOP rules of antialiased resizing. A result is the weighted sum over a window of the input whose size follows from
 * the scale; windows and passes are those of ATen's UpSampleKernel.cpp (_compute_indices_min_size_weights_aa,
 * separable_upsample_generic_Nd_kernel_impl): one pass along the width, then one along the height. Weights of positions
 * are not counted, as of all resizing. */
#include "passes/flops/rules.h"

/* Results of one pass: a hostile file must not make the loop over them run for hours. */
enum { MAX_RESULTS = 1 << 24 };

struct axis {
    int64_t input, output;
    double scale; /* input positions for one of the output */
};

/* ATen computes the places of windows in float32, unless elements are float64. */
static double rounded(double number, bool single) {
    return single ? (double)(float)number : number;
}

/* Sum of the windows of all results of a pass. */
static int64_t windows(const struct axis *axis, int32_t taps, bool single, struct fxc_tally *tally) {
    int64_t sum = 0;
    double support = rounded(taps * 0.5 * (axis->scale >= 1 ? axis->scale : 1), single);
    for (int64_t i = 0; i < axis->output; i++) {
        double center = rounded(axis->scale * ((double)i + 0.5), single);
        double first = rounded(center - support, single) + 0.5, end = rounded(center + support, single) + 0.5;
        int64_t from = first > 0 ? (int64_t)first : 0;
        int64_t to = end < (double)axis->input ? (int64_t)end : axis->input;
        sum = fxc_plus(tally, sum, to > from ? to - from : 0);
    }
    return sum;
}

/* area_pixel_compute_scale: what was given decides, else the sizes. */
static bool scaled(const struct fxc_rule *rule, struct axis *axis, enum fxc_name name, uint32_t index, bool single) {
    bool aligned;
    double given = 0;
    uint32_t factors = fxc_rule_list(rule, FXC_NAME_scale_factors);
    bool found =
        factors == FXC_NONE ? fxc_rule_float(rule, name, &given) : fxc_rule_item_real(rule, factors, index, &given);
    if (!fxc_rule_bool(rule, FXC_NAME_align_corners, false, &aligned) || axis->input <= 0 || axis->output <= 0 ||
        axis->output > MAX_RESULTS) {
        return false;
    }
    if (aligned) {
        axis->scale = axis->output > 1 ? (double)(axis->input - 1) / (double)(axis->output - 1) : 0;
    } else {
        axis->scale = found && given > 0 ? 1 / given : (double)axis->input / (double)axis->output;
    }
    axis->scale = rounded(axis->scale, single);
    return true;
}

static bool both_scaled(const struct fxc_rule *rule, struct axis *high, struct axis *wide, uint8_t dtype) {
    bool single = dtype != FXC_DTYPE_FLOAT64;
    return scaled(rule, high, FXC_NAME_scales_h, 0, single) && scaled(rule, wide, FXC_NAME_scales_w, 1, single);
}

/* A window of n costs n products and n - 1 sums. params: taps at scale 1 (2 linear, 4 cubic, 6 Lanczos). */
fxc_status fxc_flops_resize_aa(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor input, result;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &input) && fxc_known_result(rule, 0, &result));
    FXC_NEED(input.rank == 4 && result.rank == 4);
    struct axis high = {.input = input.size[2], .output = result.size[2]};
    struct axis wide = {.input = input.size[3], .output = result.size[3]};
    FXC_NEED(both_scaled(rule, &high, &wide, input.dtype));
    bool single = input.dtype != FXC_DTYPE_FLOAT64;
    int64_t across = fxc_linear(&tally, 2, windows(&wide, params[0], single, &tally), -1, wide.output);
    int64_t down = fxc_linear(&tally, 2, windows(&high, params[0], single, &tally), -1, high.output);
    int64_t planes = fxc_times(&tally, input.size[0], input.size[1]);
    int64_t work = fxc_linear(&tally, high.input, across, wide.output, down);
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, planes, work), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* The gradient goes element by element, in one pass: a product and a sum for each place of its window in both
 * dimensions (cpu_upsample_genNd_backward_aa). */
fxc_status fxc_flops_resize_aa_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                        fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor gradient;
    uint32_t sizes = fxc_rule_list(rule, FXC_NAME_input_size);
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_grad_output, &gradient) && gradient.rank == 4 && sizes != FXC_NONE);
    struct axis high = {.output = gradient.size[2]}, wide = {.output = gradient.size[3]};
    FXC_NEED(fxc_rule_item_int(rule, sizes, 2, &high.input) && fxc_rule_item_int(rule, sizes, 3, &wide.input));
    FXC_NEED(both_scaled(rule, &high, &wide, gradient.dtype));
    bool single = gradient.dtype != FXC_DTYPE_FLOAT64;
    int64_t places =
        fxc_times(&tally, windows(&high, params[0], single, &tally), windows(&wide, params[0], single, &tally));
    int64_t planes = fxc_times(&tally, gradient.size[0], gradient.size[1]);
    fxc_tally_work(&tally, gradient.dtype, fxc_times(&tally, 2, fxc_times(&tally, planes, places)), 0);
    return fxc_tally_end(&tally, rule, err);
}
