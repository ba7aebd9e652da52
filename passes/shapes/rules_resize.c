/* Shape rules of operators that resample images: interpolation, sampling at a grid, patches and unpooling. */
#include <math.h>
#include <string.h>

#include "passes/shapes/rules.h"

/* Spatial sizes written in `output_size`, batch and channels as they are. */
fxc_status fxc_shape_resize(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_output_size), spatial = fxc_list_count(rule->program, list);
    uint32_t scales = fxc_rule_list(rule, FXC_NAME_scale_factors);
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &input));
    spatial = list != FXC_NONE ? spatial : fxc_list_count(rule->program, scales);
    FXC_NEED(spatial > 0 && input.rank > spatial);
    fxc_shape_of(&input, out);
    for (uint32_t i = 0; i < spatial; i++) {
        int64_t *size = &out->size[out->rank - spatial + i];
        double scale;
        if (list != FXC_NONE) {
            FXC_NEED(fxc_rule_item_int(rule, list, i, size) && *size >= 0);
            continue;
        }
        /* The size is rounded down to a whole number, in double. */
        FXC_NEED(fxc_rule_item_real(rule, scales, i, &scale));
        double scaled = floor((double)*size * scale);
        FXC_NEED(scaled >= 0 && scaled < 0x1p53);
        *size = (int64_t)scaled;
    }
    return FXC_OK;
}

/* Batch and channels of the input, places of the grid (whose last dimension are coordinates). */
fxc_status fxc_shape_grid_sample(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input, grid;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, &input) && fxc_shape_argument(rule, FXC_NAME_grid, &grid));
    FXC_NEED(input.rank == 4 || input.rank == 5);
    if (grid.rank != input.rank || grid.size[0] != input.size[0] || grid.size[grid.rank - 1] != input.rank - 2) {
        return fxc_shape_conflict(rule, err, "input", &input, "grid", &grid,
                                  "a grid of the input's batch, with one coordinate for each spatial dimension");
    }
    fxc_shape_of(&input, out);
    memcpy(out->size + 2, grid.size + 1, (out->rank - 2u) * sizeof out->size[0]);
    return FXC_OK;
}

/* Product of a list of positive integers. */
static bool product_of(const struct fxc_rule *rule, enum fxc_name name, int64_t *out) {
    uint32_t list = fxc_rule_list(rule, name), count = fxc_list_count(rule->program, list);
    *out = 1;
    for (uint32_t i = 0; i < count; i++) {
        int64_t item;
        if (!fxc_rule_item_int(rule, list, i, &item) || item <= 0 || fxc_mul(*out, item, out)) {
            return false;
        }
    }
    return count > 0;
}

/* im2col: (N, C, H, W) gives (N, C * kernel, places). */
fxc_status fxc_shape_im2col(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    int64_t area, places = 1;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &input) && (input.rank == 3 || input.rank == 4));
    FXC_NEED(product_of(rule, FXC_NAME_kernel_size, &area));
    fxc_shape_of(&input, out);
    uint32_t channels = input.rank - 3u;
    for (uint32_t dim = 0; dim < 2; dim++) {
        int64_t count;
        FXC_NEED(fxc_windows(rule, dim, input.size[channels + 1 + dim], &count) && !fxc_mul(places, count, &places));
    }
    FXC_NEED(!fxc_mul(input.size[channels], area, &out->size[channels]));
    out->size[channels + 1] = places;
    out->rank--;
    return FXC_OK;
}

/* col2im: back to an image of the size that is written. */
fxc_status fxc_shape_col2im(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input;
    int64_t area;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_output_size);
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &input) && (input.rank == 2 || input.rank == 3));
    FXC_NEED(product_of(rule, FXC_NAME_kernel_size, &area));
    fxc_shape_of(&input, out);
    uint32_t channels = input.rank - 2u;
    FXC_NEED(input.size[channels] % area == 0);
    out->size[channels] = input.size[channels] / area;
    out->rank++;
    for (uint32_t dim = 0; dim < 2; dim++) {
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &out->size[channels + 1 + dim]));
        FXC_NEED(out->size[channels + 1 + dim] >= 0);
    }
    return FXC_OK;
}
