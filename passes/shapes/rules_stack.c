/* Shape rules of joins that first give every tensor a least rank, and of what gives one a least rank. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* A tensor with at least this many dimensions: one dimension becomes a row, and in three its middle. */
static void raise(const struct fxc_tensor *tensor, uint32_t rank, struct fxc_shape *out) {
    fxc_start_view(tensor, out);
    while (out->rank < rank) {
        /* [] -> [1] -> [1, n] -> [1, n, 1]; [m, n] -> [m, n, 1]. */
        uint32_t at = out->rank == 1 && rank >= 2 ? 0 : out->rank;
        memmove(out->size + at + 1, out->size + at, (out->rank - at) * sizeof out->size[0]);
        memmove(out->stride + at + 1, out->stride + at, (out->rank - at) * sizeof out->stride[0]);
        out->size[at] = out->stride[at] = 1;
        out->rank++;
    }
}

static fxc_status at_least(const struct fxc_rule *rule, uint32_t rank, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors);
    bool known =
        list != FXC_NONE ? fxc_rule_item_tensor(rule, list, out->index, &tensor) : fxc_shape_subject(rule, &tensor);
    FXC_NEED(known && tensor.numel >= 0 && tensor.rank <= FXC_MAX_RANK);
    raise(&tensor, rank, out);
    return FXC_OK;
}

fxc_status fxc_shape_atleast_1d(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return at_least(rule, 1, out);
}

fxc_status fxc_shape_atleast_2d(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return at_least(rule, 2, out);
}

fxc_status fxc_shape_atleast_3d(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return at_least(rule, 3, out);
}

/* Joins tensors of at least this rank along `dim`; one dimension is a column where `column` says so. */
static fxc_status join(const struct fxc_rule *rule, uint32_t rank, uint32_t dim, bool column, struct fxc_shape *out) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), count = fxc_list_count(rule->program, list);
    struct fxc_tensor tensor;
    struct fxc_shape raised;
    FXC_NEED(list != FXC_NONE && count > 0);
    for (uint32_t i = 0; i < count; i++) {
        FXC_NEED(fxc_rule_item_tensor(rule, list, i, &tensor) && tensor.numel >= 0 && tensor.rank <= FXC_MAX_RANK);
        raise(&tensor, rank, &raised);
        if (column && tensor.rank <= 1) {
            raised.size[0] = tensor.rank == 0 ? 1 : tensor.size[0];
            raised.size[1] = 1;
        }
        uint32_t along = dim < raised.rank ? dim : raised.rank - 1u;
        if (i == 0) {
            memcpy(out->size, raised.size, raised.rank * sizeof out->size[0]);
            out->rank = raised.rank;
            continue;
        }
        FXC_NEED(raised.rank == out->rank && !fxc_add(out->size[along], raised.size[along], &out->size[along]));
    }
    return FXC_OK;
}

/* hstack joins along dimension 1, vectors along their own. */
fxc_status fxc_shape_hstack(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return join(rule, 1, 1, false, out);
}

fxc_status fxc_shape_vstack(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return join(rule, 2, 0, false, out);
}

fxc_status fxc_shape_dstack(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return join(rule, 3, 2, false, out);
}

fxc_status fxc_shape_column_stack(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return join(rule, 2, 1, true, out);
}

/* block_diag: rows and columns add up; a vector is a row. */
fxc_status fxc_shape_block_diag(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors);
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(list != FXC_NONE);
    out->rank = 2;
    out->size[0] = out->size[1] = 0;
    for (uint32_t i = 0; i < fxc_list_count(rule->program, list); i++) {
        FXC_NEED(fxc_rule_item_tensor(rule, list, i, &tensor) && tensor.numel >= 0 && tensor.rank <= 2);
        int64_t rows = tensor.rank < 2 ? 1 : tensor.size[0];
        int64_t columns = tensor.rank == 0 ? 1 : tensor.size[tensor.rank - 1];
        FXC_NEED(!fxc_add(out->size[0], rows, &out->size[0]) && !fxc_add(out->size[1], columns, &out->size[1]));
    }
    return FXC_OK;
}

/* cartesian_prod: every choice of one element of each vector; of one vector itself. */
fxc_status fxc_shape_cartesian(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), count = fxc_list_count(rule->program, list);
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(count > 0);
    out->rank = count == 1 ? 1 : 2;
    out->size[0] = 1;
    out->size[1] = count;
    for (uint32_t i = 0; i < count; i++) {
        FXC_NEED(fxc_rule_item_tensor(rule, list, i, &tensor) && tensor.numel >= 0 && tensor.rank <= 1);
        FXC_NEED(!fxc_mul(out->size[0], tensor.numel, &out->size[0]));
    }
    return FXC_OK;
}

/* tensor_split: so many pieces, the first ones larger by one where it does not come out even; or cuts at indices. */
static fxc_status cut(const struct fxc_rule *rule, uint32_t dim, enum fxc_name parts, enum fxc_name cuts,
                      struct fxc_shape *out) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, cuts);
    int64_t sections, from = 0, to;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && dim < tensor.rank);
    fxc_start_view(&tensor, out);
    int64_t whole = tensor.size[dim];
    if (list == FXC_NONE) {
        FXC_NEED(fxc_rule_int(rule, parts, 0, &sections) && sections > 0);
        out->size[dim] = whole / sections + (out->index < whole % sections);
        return FXC_OK;
    }
    uint32_t count = fxc_list_count(rule->program, list);
    FXC_NEED(out->index <= count && (out->index == 0 || fxc_rule_item_int(rule, list, out->index - 1, &from)));
    to = whole;
    FXC_NEED(out->index == count || fxc_rule_item_int(rule, list, out->index, &to));
    /* Python's slices: from the end when negative, cut to the size. */
    from = from < 0 ? (from + whole < 0 ? 0 : from + whole) : from > whole ? whole : from;
    to = to < 0 ? (to + whole < 0 ? 0 : to + whole) : to > whole ? whole : to;
    out->size[dim] = to > from ? to - from : 0;
    return FXC_OK;
}

fxc_status fxc_shape_tensor_split(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    return cut(rule, dim, FXC_NAME_sections, FXC_NAME_indices, out);
}

/* hsplit cuts dimension 1, of a vector its own. */
fxc_status fxc_shape_hsplit(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    return cut(rule, tensor.rank == 1 ? 0 : 1, FXC_NAME_sections, FXC_NAME_indices, out);
}

fxc_status fxc_shape_vsplit(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return cut(rule, 0, FXC_NAME_sections, FXC_NAME_indices, out);
}

fxc_status fxc_shape_dsplit(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return cut(rule, 2, FXC_NAME_sections, FXC_NAME_indices, out);
}
