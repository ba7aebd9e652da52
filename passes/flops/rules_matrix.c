/* FLOP rules of matrix products and convolutions: 2 FLOPs per multiply-add, a bias included. */
#include "passes/flops/rules.h"
#include "passes/shapes/rules.h"

static fxc_status count_macs(const struct fxc_rule *rule, struct fxc_tally *tally, uint8_t dtype, int64_t macs,
                             fxc_error *err) {
    fxc_tally_macs(tally, dtype, macs);
    return fxc_tally_end(tally, rule, err);
}

/* The operands of a product, whatever the schema calls them. */
static bool known_operands(const struct fxc_rule *rule, struct fxc_tensor *a, struct fxc_tensor *b) {
    static const uint16_t names[][2] = {
        {FXC_NAME_mat1, FXC_NAME_mat2},  {FXC_NAME_batch1, FXC_NAME_batch2}, {FXC_NAME_mat, FXC_NAME_vec},
        {FXC_NAME_self, FXC_NAME_mat2},  {FXC_NAME_self, FXC_NAME_vec},      {FXC_NAME_self, FXC_NAME_tensor},
        {FXC_NAME_self, FXC_NAME_other}, {FXC_NAME_input, FXC_NAME_other},   {FXC_NAME_a, FXC_NAME_b},
    };
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (fxc_known_tensor(rule, (enum fxc_name)names[i][0], a) &&
            fxc_known_tensor(rule, (enum fxc_name)names[i][1], b)) {
            return true;
        }
    }
    return false;
}

/* mm, bmm, mv, dot and their added forms: the elements of the first operand times the columns of the second. */
fxc_status fxc_flops_mm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor a, b;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(known_operands(rule, &a, &b));
    int64_t columns = b.rank >= 2 ? b.size[b.rank - 1] : 1;
    return count_macs(rule, &tally, a.dtype, fxc_times(&tally, a.numel, columns), err);
}

/* All rank cases of torch.matmul: batch dimensions broadcast, a missing row or column counts one. */
fxc_status fxc_flops_matmul(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor a, b, result;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(known_operands(rule, &a, &b) && fxc_known_result(rule, 0, &result) && a.rank > 0 && b.rank > 0);
    return count_macs(rule, &tally, a.dtype, fxc_times(&tally, result.numel, a.size[a.rank - 1]), err);
}

fxc_status fxc_flops_linear(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, weight;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && fxc_known_tensor(rule, FXC_NAME_weight, &weight));
    int64_t columns = weight.rank >= 2 ? weight.size[0] : 1;
    return count_macs(rule, &tally, input.dtype, fxc_times(&tally, input.numel, columns), err);
}

/* inner: the last dimensions of both are summed over; with a scalar it is a plain product. */
fxc_status fxc_flops_inner(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor a, b, result;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(known_operands(rule, &a, &b) && fxc_known_result(rule, 0, &result));
    if (a.rank == 0 || b.rank == 0) {
        fxc_tally_work(&tally, result.dtype, result.numel, 0);
        return fxc_tally_end(&tally, rule, err);
    }
    return count_macs(rule, &tally, a.dtype, fxc_times(&tally, result.numel, a.size[a.rank - 1]), err);
}

/* linalg.vecdot: a dot product along one dimension of the broadcast operands. */
fxc_status fxc_flops_vecdot(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor x, y;
    struct fxc_shape shape = {.rank = 0};
    struct fxc_tally tally = {.out = out};
    int64_t macs = 1;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_x, &x) && fxc_known_tensor(rule, FXC_NAME_y, &y));
    FXC_NEED(fxc_broadcast(&shape, &x) && fxc_broadcast(&shape, &y));
    for (uint32_t dim = 0; dim < shape.rank; dim++) {
        macs = fxc_times(&tally, macs, shape.size[dim]);
    }
    return count_macs(rule, &tally, x.dtype, macs, err);
}

/* One matrix product: the elements of the first operand times the dimensions of the second that are kept. */
fxc_status fxc_flops_tensordot(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor a, b;
    struct fxc_tally tally = {.out = out};
    const struct fxc_program *p = rule->program;
    uint64_t summed = 0;
    (void)params;
    FXC_NEED(known_operands(rule, &a, &b) && b.rank <= FXC_MAX_RANK);
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dims_other);
    FXC_NEED(list != FXC_NONE);
    for (uint32_t i = 0; i < p->list_begin[list + 1] - p->list_begin[list]; i++) {
        int64_t dim;
        FXC_NEED(fxc_rule_item_int(rule, list, i, &dim));
        dim = dim < 0 ? dim + b.rank : dim;
        FXC_NEED(dim >= 0 && dim < b.rank);
        summed |= UINT64_C(1) << dim;
    }
    int64_t macs = a.numel;
    for (uint32_t dim = 0; dim < b.rank; dim++) {
        macs = (summed >> dim & 1) != 0 ? macs : fxc_times(&tally, macs, b.size[dim]);
    }
    return count_macs(rule, &tally, a.dtype, macs, err);
}

/* y[n, o] = sum_ij x1[n, i] W[o, i, j] x2[n, j]: first x1 W (rows * o * i * j), then times x2 (rows * o * j). */
fxc_status fxc_flops_bilinear(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor weight, result;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_weight, &weight) && fxc_known_result(rule, 0, &result));
    FXC_NEED(weight.rank == 3);
    int64_t per_result = fxc_linear(&tally, weight.size[1], weight.size[2], 1, weight.size[2]);
    return count_macs(rule, &tally, result.dtype, fxc_times(&tally, result.numel, per_result), err);
}

/* Groups of rows (or of the summed dimension) of different sizes, which add up to the whole: as one product over all
 * rows, whatever the groups' boundaries, which are data. */
fxc_status fxc_flops_grouped_mm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor a, b;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(known_operands(rule, &a, &b) ||
             (fxc_known_tensor(rule, FXC_NAME_input, &a) && fxc_known_tensor(rule, FXC_NAME_weight, &b)));
    FXC_NEED(a.rank >= 2 && b.rank >= 2);
    /* 2-D x 3-D: rows are grouped; 2-D x 2-D: the summed dimension; 3-D x 3-D: bmm; all a.numel * columns. 3-D x 2-D:
     * each column belongs to one of the G groups. */
    int64_t columns = b.size[b.rank - 1];
    int64_t elements = a.numel;
    if (a.rank == 3 && b.rank == 2) {
        elements = a.size[0] == 0 ? 0 : a.numel / a.size[0];
    }
    return count_macs(rule, &tally, a.dtype, fxc_times(&tally, elements, columns), err);
}

/* A weight is (out channels, in channels / groups, kernel...) or, transposed, (in channels, out channels / groups,
 * kernel...): each of its elements meets every output position of its channel, or every input position. */
fxc_status fxc_flops_conv(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input, weight, result;
    struct fxc_tally tally = {.out = out};
    bool transposed = params[0] == FXC_CONV_transposed;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_input, FXC_NAME_self, &input) &&
             fxc_known_tensor(rule, FXC_NAME_weight, &weight) && fxc_known_result(rule, 0, &result));
    FXC_NEED(weight.rank >= 2);
    if (params[0] == FXC_CONV_argument) {
        FXC_NEED(fxc_rule_bool(rule, FXC_NAME_transposed, false, &transposed));
    }
    /* conv_tbc keeps its output channels last. */
    int64_t channels = params[0] == FXC_CONV_tbc ? weight.size[weight.rank - 1] : weight.size[0];
    int64_t positions = channels == 0 ? 0 : (transposed ? input.numel : result.numel) / channels;
    return count_macs(rule, &tally, input.dtype, fxc_times(&tally, weight.numel, positions), err);
}

/* The gradients of input and weight are convolutions with as many multiply-adds as the forward one; that of the bias is
 * a sum. output_mask says which are wanted. */
fxc_status fxc_flops_conv_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor input, weight, gradient;
    struct fxc_tally tally = {.out = out};
    int64_t wanted[3];
    bool transposed;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && fxc_known_tensor(rule, FXC_NAME_weight, &weight) &&
             fxc_known_tensor(rule, FXC_NAME_grad_output, &gradient) && weight.rank >= 2);
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_transposed, false, &transposed));
    uint32_t mask = fxc_rule_list(rule, FXC_NAME_output_mask);
    for (uint32_t i = 0; i < 3; i++) {
        FXC_NEED(fxc_rule_item_int(rule, mask, i, &wanted[i]));
    }
    int64_t channels = weight.size[0];
    int64_t positions = channels == 0 ? 0 : (transposed ? input.numel : gradient.numel) / channels;
    int64_t macs = fxc_times(&tally, weight.numel, positions);
    if (wanted[2] != 0) {
        int64_t sums = gradient.rank >= 2 ? gradient.size[1] : 0;
        fxc_tally_work(&tally, input.dtype, gradient.numel > sums ? gradient.numel - sums : 0, 0);
    }
    return count_macs(rule, &tally, input.dtype, fxc_times(&tally, (wanted[0] != 0) + (wanted[1] != 0), macs), err);
}

enum { MAX_CHAIN = 32 };

/* A chain of products in the order with the fewest multiply-adds, which torch searches for as well. */
fxc_status fxc_flops_multi_dot(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor item = {0};
    int64_t size[MAX_CHAIN + 1], least[MAX_CHAIN][MAX_CHAIN];
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors);
    (void)params;
    list = list == FXC_NONE ? fxc_rule_list(rule, FXC_NAME_matrices) : list;
    uint32_t count = fxc_list_count(rule->program, list);
    FXC_NEED(count >= 1 && count <= MAX_CHAIN);
    for (uint32_t i = 0; i < count; i++) {
        /* A vector is a row at the start of the chain, a column at its end. */
        FXC_NEED(fxc_known_item(rule, list, i, &item) && (item.rank == 2 || (item.rank == 1 && count > 1)));
        size[i] = item.rank == 2 ? item.size[0] : i == 0 ? 1 : item.size[0];
        size[i + 1] = item.rank == 2 ? item.size[1] : i == 0 ? item.size[0] : 1;
        least[i][i] = 0;
    }
    for (uint32_t length = 1; length < count; length++) {
        for (uint32_t from = 0; from + length < count; from++) {
            uint32_t to = from + length;
            least[from][to] = INT64_MAX;
            for (uint32_t middle = from; middle < to; middle++) {
                int64_t last = fxc_times(&tally, size[from], fxc_times(&tally, size[middle + 1], size[to + 1]));
                int64_t macs = fxc_plus(&tally, last, fxc_plus(&tally, least[from][middle], least[middle + 1][to]));
                least[from][to] = macs < least[from][to] ? macs : least[from][to];
            }
        }
    }
    return count_macs(rule, &tally, item.dtype, least[0][count - 1], err);
}
