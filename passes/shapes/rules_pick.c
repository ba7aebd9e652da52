/* Shape rules of diagonals, turns and moves of dimensions, picks by index, quantiles, and losses over pairs. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* ---- dimensions -------------------------------------------------------------------------------------------------- */

/* diag_embed: the last dimension becomes the diagonal of a square in the dimensions dim1 and dim2. */
fxc_status fxc_shape_diag_embed(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t offset, side;
    uint32_t a, b;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank > 0 && tensor.rank < FXC_MAX_RANK);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_offset, 0, &offset) && offset > INT64_MIN &&
             fxc_shape_dim(rule, FXC_NAME_dim1, -2, tensor.rank + 1u, &a) &&
             fxc_shape_dim(rule, FXC_NAME_dim2, -1, tensor.rank + 1u, &b) && a != b);
    FXC_NEED(!fxc_add(tensor.size[tensor.rank - 1], offset < 0 ? -offset : offset, &side));
    out->rank = (uint8_t)(tensor.rank + 1);
    for (uint32_t dim = 0, from = 0; dim < out->rank; dim++) {
        out->size[dim] = dim == a || dim == b ? side : tensor.size[from++];
    }
    return FXC_OK;
}

/* diagflat: the same of all elements in a row. */
fxc_status fxc_shape_diagflat(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t offset;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_int(rule, FXC_NAME_offset, 0, &offset));
    FXC_NEED(offset > INT64_MIN && !fxc_add(tensor.numel, offset < 0 ? -offset : offset, &out->size[0]));
    out->rank = 2;
    out->size[1] = out->size[0];
    return FXC_OK;
}

/* diag: the diagonal of a matrix, or the matrix of a diagonal. */
fxc_status fxc_shape_diag(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t offset, rows, columns;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_int(rule, FXC_NAME_diagonal, 0, &offset));
    FXC_NEED(offset > INT64_MIN && (tensor.rank == 1 || tensor.rank == 2));
    if (tensor.rank == 1) {
        FXC_NEED(!fxc_add(tensor.numel, offset < 0 ? -offset : offset, &out->size[0]));
        out->rank = 2;
        out->size[1] = out->size[0];
        return FXC_OK;
    }
    rows = tensor.size[0] + (offset < 0 ? offset : 0);
    columns = tensor.size[1] - (offset > 0 ? offset : 0);
    rows = rows < columns ? rows : columns;
    out->rank = 1;
    out->size[0] = rows > 0 ? rows : 0;
    return FXC_OK;
}

/* rot90: an odd number of quarter turns swaps two dimensions. */
fxc_status fxc_shape_rot90(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dims);
    int64_t turns, a = 0, b = 1;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_int(rule, FXC_NAME_k, 1, &turns));
    FXC_NEED(list == FXC_NONE || (fxc_rule_item_int(rule, list, 0, &a) && fxc_rule_item_int(rule, list, 1, &b)));
    a = a < 0 ? a + tensor.rank : a;
    b = b < 0 ? b + tensor.rank : b;
    FXC_NEED(a >= 0 && a < tensor.rank && b >= 0 && b < tensor.rank);
    fxc_shape_of(&tensor, out);
    if (turns % 2 != 0) {
        out->size[a] = tensor.size[b];
        out->size[b] = tensor.size[a];
    }
    return FXC_OK;
}

/* movedim: some dimensions go to given places, the others fill the rest in order. */
fxc_status fxc_shape_movedim(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t from = fxc_rule_list(rule, FXC_NAME_source), to = fxc_rule_list(rule, FXC_NAME_destination);
    uint32_t count = from == FXC_NONE ? 1 : fxc_list_count(rule->program, from);
    uint32_t source_at[FXC_MAX_RANK];
    uint64_t taken = 0, filled = 0;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && (from == FXC_NONE) == (to == FXC_NONE));
    FXC_NEED(to == FXC_NONE || fxc_list_count(rule->program, to) == count);
    for (uint32_t i = 0; i < count; i++) {
        int64_t a, b;
        FXC_NEED(from == FXC_NONE
                     ? fxc_rule_int(rule, FXC_NAME_source, 0, &a) && fxc_rule_int(rule, FXC_NAME_destination, 0, &b)
                     : fxc_rule_item_int(rule, from, i, &a) && fxc_rule_item_int(rule, to, i, &b));
        a = a < 0 ? a + tensor.rank : a;
        b = b < 0 ? b + tensor.rank : b;
        if (tensor.rank == 0) {
            continue;
        }
        FXC_NEED(a >= 0 && a < tensor.rank && b >= 0 && b < tensor.rank);
        FXC_NEED((taken >> a & 1) == 0 && (filled >> b & 1) == 0);
        source_at[b] = (uint32_t)a;
        taken |= UINT64_C(1) << a;
        filled |= UINT64_C(1) << b;
    }
    fxc_start_view(&tensor, out);
    for (uint32_t dim = 0, next = 0; dim < tensor.rank; dim++) {
        if ((filled >> dim & 1) == 0) {
            while ((taken >> next & 1) != 0) {
                next++;
            }
            source_at[dim] = next++;
        }
        out->size[dim] = tensor.size[source_at[dim]];
        out->stride[dim] = tensor.stride[source_at[dim]];
    }
    return FXC_OK;
}

/* tile: as repeat, where the shorter of sizes and times is filled up with ones in front. */
fxc_status fxc_shape_tile(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dims), count = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_shape_subject(rule, &tensor) && count <= FXC_MAX_RANK);
    uint32_t rank = count > tensor.rank ? count : tensor.rank;
    for (uint32_t dim = 0; dim < rank; dim++) {
        int64_t times = 1, size = dim < rank - tensor.rank ? 1 : tensor.size[dim - (rank - tensor.rank)];
        FXC_NEED(dim < rank - count || fxc_rule_item_int(rule, list, dim - (rank - count), &times));
        FXC_NEED(!fxc_mul(size, times, &out->size[dim]));
    }
    out->rank = (uint8_t)rank;
    return FXC_OK;
}

/* cumulative_trapezoid: areas between neighbours. */
fxc_status fxc_shape_between(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor y;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_y, &y) && fxc_shape_dim(rule, FXC_NAME_dim, -1, y.rank, &dim));
    fxc_shape_of(&y, out);
    out->size[dim] = y.size[dim] > 0 ? y.size[dim] - 1 : 0;
    return FXC_OK;
}

/* trapezoid: their sum. */
fxc_status fxc_shape_area(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor y;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_y, &y) && fxc_shape_dim(rule, FXC_NAME_dim, -1, y.rank, &dim));
    fxc_shape_of(&y, out);
    fxc_shape_without(out, dim, false);
    return FXC_OK;
}

/* histogram: so many bins, and their edges. */
fxc_status fxc_shape_histogram(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    int64_t bins;
    struct fxc_tensor edges;
    (void)err;
    if (fxc_shape_argument(rule, FXC_NAME_bins, &edges)) {
        FXC_NEED(edges.rank == 1 && edges.size[0] > 0);
        bins = edges.size[0] - 1;
    } else {
        FXC_NEED(fxc_rule_int(rule, FXC_NAME_bins, 100, &bins));
    }
    FXC_NEED(bins >= 0);
    out->rank = 1;
    FXC_NEED(!fxc_add(bins, out->index == 0 ? 0 : 1, &out->size[0]));
    return FXC_OK;
}

/* ---- picks ------------------------------------------------------------------------------------------------------- */

/* Folds the last dimension unless `dim` says: mode, kthvalue. */
fxc_status fxc_shape_reduce_last(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    bool keep;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_bool(rule, FXC_NAME_keepdim, false, &keep));
    fxc_shape_of(&tensor, out);
    if (tensor.rank == 0) {
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim, -1, tensor.rank, &dim));
    fxc_shape_without(out, dim, keep);
    return FXC_OK;
}

/* take: one element for each index. */
fxc_status fxc_shape_take(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    return fxc_shape_gather(rule, out, err);
}

/* take_along_dim: self and indices broadcast but for the dimension; without one both are flat. */
fxc_status fxc_shape_take_along(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor self, indices;
    enum fxc_kind kind;
    int64_t payload, size[FXC_MAX_RANK];
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &self) && fxc_shape_argument(rule, FXC_NAME_indices, &indices));
    if (!fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload) || kind == FXC_KIND_NONE) {
        out->rank = 1;
        out->size[0] = indices.numel;
        return FXC_OK;
    }
    FXC_NEED(self.rank == indices.rank && fxc_shape_dim(rule, FXC_NAME_dim, 0, self.rank, &dim));
    memcpy(size, self.size, self.rank * sizeof size[0]);
    size[dim] = indices.size[dim];
    self.size = size;
    out->rank = 0;
    FXC_NEED(fxc_broadcast(out, &self) && fxc_broadcast(out, &indices));
    out->size[dim] = indices.size[dim];
    return FXC_OK;
}

/* nonzero_static: so many places, a number for each dimension. */
fxc_status fxc_shape_places(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_int(rule, FXC_NAME_size, -1, &out->size[0]));
    FXC_NEED(out->size[0] >= 0);
    out->rank = 2;
    out->size[1] = tensor.rank;
    return FXC_OK;
}

/* one_hot with a number of classes; without one it depends on the data. */
fxc_status fxc_shape_one_hot(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t classes;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank < FXC_MAX_RANK);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_num_classes, -1, &classes) && classes > 0);
    fxc_shape_of(&tensor, out);
    out->size[out->rank++] = classes;
    return FXC_OK;
}

/* multinomial: so many draws for each row. */
fxc_status fxc_shape_draws(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    int64_t draws;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && tensor.rank > 0);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_num_samples, -1, &draws) && draws >= 0);
    fxc_shape_of(&tensor, out);
    out->size[out->rank - 1] = draws;
    return FXC_OK;
}

/* quantile: a dimension or everything is folded; several quantiles are a new first dimension. */
fxc_status fxc_shape_quantile(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor, q = {.rank = 0};
    enum fxc_kind kind;
    int64_t payload;
    uint32_t dim;
    bool keep;
    bool whole = !fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload) || kind == FXC_KIND_NONE;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_rule_bool(rule, FXC_NAME_keepdim, false, &keep));
    FXC_NEED(!fxc_rule_tensor(rule, FXC_NAME_q, &q) || (q.numel >= 0 && q.rank <= 1));
    FXC_NEED(tensor.rank < FXC_MAX_RANK &&
             (whole || tensor.rank == 0 || fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim)));
    out->rank = 0;
    if (q.rank == 1) {
        out->size[out->rank++] = q.size[0];
    }
    for (uint32_t i = 0; i < tensor.rank; i++) {
        bool folded = whole || i == dim;
        if (!folded || keep) {
            out->size[out->rank++] = folded ? 1 : tensor.size[i];
        }
    }
    return FXC_OK;
}

/* ---- losses ------------------------------------------------------------------------------------------------------ */

/* One number; with reduction 0 the tensor `name`, without its last dimension where `rows` says. */
static fxc_status reduced_to(const struct fxc_rule *rule, enum fxc_name name, bool rows, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    int64_t reduction;
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_reduction, 1, &reduction));
    out->rank = 0;
    if (reduction != 0) {
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_argument(rule, name, &tensor));
    fxc_shape_of(&tensor, out);
    out->rank = (uint8_t)(out->rank - (rows && out->rank > 0));
    return FXC_OK;
}

/* margin_ranking_loss: the broadcast of all arguments. */
fxc_status fxc_shape_loss_of_all(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    int64_t reduction;
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_reduction, 1, &reduction));
    out->rank = 0;
    return reduction != 0 ? FXC_OK : fxc_shape_broadcast(rule, out, err);
}

/* triplet_margin_loss: the same without the last dimension. */
fxc_status fxc_shape_loss_of_rows(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    int64_t reduction;
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_reduction, 1, &reduction));
    out->rank = 0;
    if (reduction != 0) {
        return FXC_OK;
    }
    FXC_TRY(fxc_shape_broadcast(rule, out, err));
    FXC_NEED(out->rank > 0);
    out->rank--;
    return FXC_OK;
}

/* cosine_embedding_loss: a number for each target. */
fxc_status fxc_shape_loss_of_targets(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return reduced_to(rule, FXC_NAME_target, false, out);
}

/* multi_margin_loss, multilabel_margin_loss: a number for each row of the input. */
fxc_status fxc_shape_loss_of_inputs(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return reduced_to(rule, FXC_NAME_self, true, out);
}
