/* Shape rules of functional collectives: of one tensor `input` (`tensor` where it is waited for), or of each of a list
 * `inputs`. */
#include "passes/shapes/rules.h"

static bool subject(const struct fxc_rule *rule, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_inputs);
    bool found = list != FXC_NONE ? fxc_rule_item_tensor(rule, list, out->index, &tensor)
                                  : fxc_shape_argument(rule, FXC_NAME_input, &tensor) ||
                                        fxc_shape_argument(rule, FXC_NAME_tensor, &tensor);
    if (!found || tensor.rank > FXC_MAX_RANK) {
        return false;
    }
    fxc_shape_of(&tensor, out);
    return true;
}

fxc_status fxc_shape_group_same(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    FXC_NEED(subject(rule, out));
    return FXC_OK;
}

/* The parts of all devices, one after another. */
fxc_status fxc_shape_group_gathered(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    int64_t devices;
    (void)err;
    FXC_NEED(subject(rule, out) && fxc_rule_int(rule, FXC_NAME_group_size, 0, &devices) && devices > 0);
    if (out->rank == 0) { /* as torch: a number becomes a row of them */
        out->rank = 1;
        out->size[0] = 1;
    }
    FXC_NEED(!fxc_mul(out->size[0], devices, &out->size[0]));
    return FXC_OK;
}

/* This device's part of what all devices combine. */
fxc_status fxc_shape_group_scattered(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    int64_t devices;
    (void)err;
    FXC_NEED(subject(rule, out) && fxc_rule_int(rule, FXC_NAME_group_size, 0, &devices) && devices > 0);
    FXC_NEED(out->rank > 0 && out->size[0] % devices == 0);
    out->size[0] /= devices;
    return FXC_OK;
}

/* all_to_all: as many rows as output_split_sizes adds up to; equal parts without. */
fxc_status fxc_shape_group_exchanged(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_output_split_sizes);
    int64_t rows = 0, part;
    (void)err;
    FXC_NEED(subject(rule, out));
    if (fxc_list_count(rule->program, list) == 0) {
        return FXC_OK;
    }
    for (uint32_t i = 0; i < fxc_list_count(rule->program, list); i++) {
        FXC_NEED(fxc_rule_item_int(rule, list, i, &part) && part >= 0 && !fxc_add(rows, part, &rows));
    }
    FXC_NEED(out->rank > 0);
    out->size[0] = rows;
    return FXC_OK;
}
