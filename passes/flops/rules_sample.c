/* FLOP rules of resampling at a grid of points, and of distances between all pairs of rows. */
#include <math.h>

#include "passes/flops/rules.h"
#include "passes/shapes/rules.h"

enum { BILINEAR, NEAREST, BICUBIC }; /* at::native::GridSamplerInterpolation */
enum { ZEROS, BORDER, REFLECTION };  /* at::native::GridSamplerPadding */

/* Work on one coordinate of one point: from [-1, 1] to a place, what the padding does to it, what the interpolation
 * makes of it. */
static int64_t coordinate_work(int64_t mode, int64_t padding, bool align_corners) {
    /* ((x + 1) size - 1) / 2, with aligned corners (x + 1) / 2 (size - 1). */
    int64_t placed = align_corners ? 3 : 4;
    /* A clamp; before it |x - least|, its remainder and its quotient by the span, that rounded down, the remainder put
     * back on its side: 8. */
    int64_t padded = padding == BORDER ? 1 : padding == REFLECTION ? 8 : 0;
    if (mode == NEAREST) {
        return placed + padded + 1;
    }
    /* The place rounded down, the rest of it, one less that; cubic: rounded, the rest, 3 more distances, two
     * polynomials of 5 and two of 6 operations. */
    return placed + padded + (mode == BILINEAR ? 3 : 27);
}

struct samples {
    struct fxc_tensor input, grid;
    uint32_t dims;
    int64_t points, values; /* of the grid; points times channels */
    int64_t mode, padding;
    bool align_corners;
};

static bool known_samples(const struct fxc_rule *rule, struct fxc_tally *tally, struct samples *out) {
    if (!fxc_known_tensor(rule, FXC_NAME_input, &out->input) || !fxc_known_tensor(rule, FXC_NAME_grid, &out->grid) ||
        !fxc_rule_int(rule, FXC_NAME_interpolation_mode, -1, &out->mode) ||
        !fxc_rule_int(rule, FXC_NAME_padding_mode, -1, &out->padding) ||
        !fxc_rule_bool(rule, FXC_NAME_align_corners, false, &out->align_corners) || out->input.rank < 4 ||
        out->input.rank > 5 || out->mode < BILINEAR || out->mode > BICUBIC) {
        return false;
    }
    out->dims = out->input.rank - 2u;
    out->points = out->grid.numel / out->dims;
    out->values = fxc_times(tally, out->points, out->input.size[1]);
    return out->dims == 2 || out->mode != BICUBIC;
}

/* Per point: its coordinates, and the weights of its corners as products (4 of two factors; of three 12, for 4 products
 * of two are shared). A cubic sum has no such weights: it goes row by row. */
static int64_t point_work(const struct samples *s, struct fxc_tally *tally) {
    int64_t per_point = s->dims * coordinate_work(s->mode, s->padding, s->align_corners);
    per_point += s->mode == BILINEAR ? (s->dims == 2 ? 4 : 12) : 0;
    return fxc_times(tally, per_point, s->points);
}

/* Per value the weighted sum, as upsample has it: of 4, 8 or 16 corners. */
fxc_status fxc_flops_grid_sample(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                 fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct samples s;
    (void)params;
    FXC_NEED(known_samples(rule, &tally, &s));
    int64_t per_value = s.mode == NEAREST ? 0 : s.mode == BICUBIC ? 35 : s.dims == 2 ? 7 : 15;
    fxc_tally_work(&tally, s.input.dtype,
                   fxc_plus(&tally, point_work(&s, &tally), fxc_times(&tally, per_value, s.values)), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* Derivatives of the four cubic weights (get_cubic_coefficients_grad): distances 4, two polynomials of 4 operations,
 * two of 3. */
enum { CUBIC_DERIVATIVES = 18 };

/* Where the input's gradient is asked for, every corner is given its weighted share: a product and a sum, or the sum
 * alone. Of a coordinate: at each corner the value times the gradient times the weight of the other coordinates, added
 * up (3 per corner and value), and the factor of its placing. */
fxc_status fxc_flops_grid_sample_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                          fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct samples s;
    int64_t input = 1, grid = 1;
    (void)params;
    FXC_NEED(known_samples(rule, &tally, &s));
    uint32_t mask = fxc_rule_list(rule, FXC_NAME_output_mask);
    FXC_NEED(mask == FXC_NONE || (fxc_rule_item_int(rule, mask, 0, &input) && fxc_rule_item_int(rule, mask, 1, &grid)));
    int64_t corners = s.mode == BICUBIC ? 16 : s.dims == 2 ? 4 : 8;
    /* Cubic weights stay two factors: a product more for the input, one more for each coordinate. */
    int64_t factors = s.mode == BICUBIC;
    int64_t per_value = input != 0 ? (s.mode == NEAREST ? 1 : (2 + factors) * corners) : 0;
    int64_t per_point = 0;
    if (grid != 0 && s.mode != NEAREST) {
        per_value += (3 + factors) * corners * s.dims;
        per_point += s.dims * (1 + factors * CUBIC_DERIVATIVES);
    }
    int64_t work = fxc_linear(&tally, per_value, s.values, per_point, s.points);
    fxc_tally_work(&tally, s.input.dtype, fxc_plus(&tally, work, point_work(&s, &tally)), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* ---- distances --------------------------------------------------------------------------------------------------- */

/* sum(|a - b|^p)^(1/p) over `depth` coordinates of each pair: difference, magnitude (or square, or test), fold; other
 * orders take a power per coordinate. */
static void count_pairs(struct fxc_tally *tally, uint8_t dtype, int64_t pairs, int64_t depth, double p) {
    bool powers = p != 0 && p != 1 && p != 2 && !isinf(p);
    int64_t per_pair = depth > 0 ? fxc_linear(tally, 3, depth, -1, 1) : 0;
    int64_t roots = depth > 0 && p != 0 && p != 1 && !isinf(p) ? pairs : 0;
    fxc_tally_work(tally, dtype, fxc_times(tally, pairs, per_pair),
                   fxc_plus(tally, roots, powers ? fxc_times(tally, pairs, depth) : 0));
}

/* Every row of x1 with every row of x2 (cdist). */
fxc_status fxc_flops_distances(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor rows, result;
    double p = 2;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_x1, &rows) && fxc_known_result(rule, 0, &result) && rows.rank >= 1);
    FXC_NEED(fxc_rule_real(rule, FXC_NAME_p, 2, &p));
    count_pairs(&tally, result.dtype, result.numel, rows.size[rows.rank - 1], p);
    return fxc_tally_end(&tally, rule, err);
}

/* Every two rows of one matrix (pdist), or two tensors as one row each (dist). */
fxc_status fxc_flops_pairs(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor rows, other, result;
    struct fxc_shape shape = {.rank = 0};
    int64_t depth = 1;
    double p = 2;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_self, &rows) && fxc_known_result(rule, 0, &result));
    FXC_NEED(fxc_rule_real(rule, FXC_NAME_p, 2, &p));
    if (fxc_rule_tensor(rule, FXC_NAME_other, &other)) {
        FXC_NEED(other.numel >= 0 && fxc_broadcast(&shape, &rows) && fxc_broadcast(&shape, &other));
        for (uint32_t dim = 0; dim < shape.rank; dim++) {
            depth = fxc_times(&tally, depth, shape.size[dim]);
        }
    } else {
        FXC_NEED(rows.rank == 2);
        depth = rows.size[1];
    }
    count_pairs(&tally, result.dtype, result.numel, depth, p);
    return fxc_tally_end(&tally, rule, err);
}

/* Gradients of distances, coordinate by coordinate, as ATen's DistanceOpsKernel.cpp: the difference, what the order
 * makes of it, and the sum into the gradient of a row. Orders: sign(d) g; d g / dist; below 2 sign(d) |d|^(p-1) g /
 * dist^(p-1), above d |d|^(p-2) g / dist^(p-1); infinity sign(d) g (1 - min(1, ceil(| |d| - dist |))). */
static int64_t derivative_work(double p, bool *powers) {
    *powers = p != 0 && p != 1 && p != 2 && !isinf(p);
    return p == 0 ? 0 : p == 1 || p == 2 ? 2 : isinf(p) ? 9 : p < 2 ? 5 : 4;
}

static void count_gradients(struct fxc_tally *tally, uint8_t dtype, int64_t pairs, int64_t depth, double p,
                            int64_t sums) {
    bool powers;
    int64_t work = derivative_work(p, &powers), coordinates = fxc_times(tally, pairs, depth);
    fxc_tally_work(tally, dtype, fxc_times(tally, work == 0 ? 0 : work + 1 + sums, coordinates),
                   powers ? fxc_plus(tally, coordinates, pairs) : 0);
}

/* params: sums per coordinate. Of cdist one row's gradient is asked for, of pdist both rows have theirs. */
fxc_status fxc_flops_distances_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                        fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor rows, distances;
    double p;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_x1, FXC_NAME_self, &rows) && rows.rank >= 1);
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_cdist, FXC_NAME_pdist, &distances));
    FXC_NEED(fxc_rule_real(rule, FXC_NAME_p, 2, &p));
    count_gradients(&tally, rows.dtype, distances.numel, rows.size[rows.rank - 1], p, params[0]);
    return fxc_tally_end(&tally, rule, err);
}
