/* Shape rules of operators with several results; out->index says which result is asked for. */
#include "passes/shapes/rules.h"

/* Piece `index` of pieces of this size. */
static bool piece(int64_t whole, int64_t size, uint32_t index, int64_t *out) {
    int64_t start;
    if (whole == 0) {
        *out = 0; /* of nothing there is at least one piece */
        return size >= 0;
    }
    if (size <= 0 || fxc_mul(size, index, &start) || start >= whole) {
        return false;
    }
    *out = whole - start < size ? whole - start : size;
    return true;
}

/* split: pieces of split_size, or of the sizes that a list gives (which one overload calls split_size too). */
fxc_status fxc_shape_split(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim, list = fxc_rule_list(rule, FXC_NAME_split_sizes);
    int64_t size;
    (void)err;
    list = list != FXC_NONE ? list : fxc_rule_list(rule, FXC_NAME_split_size);
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    fxc_start_view(&tensor, out);
    if (list != FXC_NONE) {
        FXC_NEED(fxc_rule_item_int(rule, list, out->index, &out->size[dim]) && out->size[dim] >= 0);
        return FXC_OK;
    }
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_split_size, 0, &size));
    FXC_NEED(piece(tensor.size[dim], size, out->index, &out->size[dim]));
    return FXC_OK;
}

/* chunk: pieces of ceil(size / chunks). */
fxc_status fxc_shape_chunk(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    int64_t chunks;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_chunks, 0, &chunks) && chunks > 0);
    fxc_start_view(&tensor, out);
    int64_t size = tensor.size[dim] == 0 ? 0 : (tensor.size[dim] - 1) / chunks + 1;
    FXC_NEED(piece(tensor.size[dim], size, out->index, &out->size[dim]));
    return FXC_OK;
}

/* The k largest: values and places. */
fxc_status fxc_shape_topk(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t dim;
    int64_t k;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    fxc_shape_of(&tensor, out);
    if (tensor.rank == 0) {
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim, -1, tensor.rank, &dim));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_k, -1, &k) && k >= 0);
    out->size[dim] = k;
    return FXC_OK;
}

/* lstm, gru, rnn on a whole sequence: its outputs (steps and batch as given, features of all directions), then the last
 * states (layers * directions, batch, features), the second of an LSTM without projection. */
fxc_status fxc_shape_recurrent(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor input, state;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_hx);
    bool both_ways;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_input, &input));
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_bidirectional, false, &both_ways));
    /* The states have the shapes of those that come in. */
    uint32_t which = out->index > 0 ? out->index - 1 : 0;
    bool found = list != FXC_NONE ? fxc_rule_item_tensor(rule, list, which, &state)
                                  : which == 0 && fxc_shape_argument(rule, FXC_NAME_hx, &state);
    FXC_NEED(found && state.numel >= 0 && state.rank <= FXC_MAX_RANK);
    if (out->index > 0) {
        fxc_shape_of(&state, out);
        return FXC_OK;
    }
    FXC_NEED(input.rank > 0 && state.rank > 0);
    fxc_shape_of(&input, out);
    FXC_NEED(!fxc_mul(state.size[state.rank - 1], both_ways ? 2 : 1, &out->size[out->rank - 1]));
    return FXC_OK;
}
