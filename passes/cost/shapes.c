/* Shapes of products, convolutions, attention and rows, as a timing model wants them. */
#include "passes/cost/work.h"

#include <string.h>

#include "ir/rules.h"
#include "passes/flops/rules.h"

static bool any_tensor(const struct fxc_rule *rule, const enum fxc_name *names, size_t count, struct fxc_tensor *out) {
    for (size_t i = 0; i < count; i++) {
        if (fxc_rule_tensor(rule, names[i], out) && out->numel >= 0) {
            return true;
        }
    }
    return false;
}

#define ANY_TENSOR(rule, out, ...)                                                                                     \
    any_tensor(rule, (const enum fxc_name[]){__VA_ARGS__},                                                             \
               sizeof((const enum fxc_name[]){__VA_ARGS__}) / sizeof(enum fxc_name), out)

/* The summed length follows from the multiply-adds and the result; products in batches have a right-hand side for each.
 */
bool fxc_gemm_of(const struct fxc_rule *rule, const fxc_counts *counts, fxc_gemm_shape *out) {
    struct fxc_tensor right, result;
    if (!fxc_rule_result(rule, 0, &result) || result.numel <= 0 || counts->macs <= 0 ||
        !ANY_TENSOR(rule, &right, FXC_NAME_mat2, FXC_NAME_batch2, FXC_NAME_vec, FXC_NAME_tensor, FXC_NAME_weight,
                    FXC_NAME_other, FXC_NAME_b)) {
        /* einsum takes a list: one product of the whole result. */
        if (!fxc_rule_result(rule, 0, &result) || result.numel <= 0 || counts->macs <= 0) {
            return false;
        }
        right.rank = 2;
    }
    int64_t batch = 1;
    for (uint32_t d = 0; right.rank > 2 && d < right.rank - 2u; d++) {
        batch *= right.size[d] > 0 ? right.size[d] : 1; /* at most right.numel, which was checked */
    }
    bool vector = right.rank < 2 || result.rank == 0;
    int64_t n = vector ? 1 : result.size[result.rank - 1];
    int64_t rows = n > 0 ? result.numel / n : 0;
    batch = batch > 0 && rows % batch == 0 ? batch : 1;
    *out = (fxc_gemm_shape){batch, rows / batch, n, counts->macs / result.numel};
    return out->m > 0 && out->n > 0 && out->k > 0;
}

/* Spatial sizes of a tensor (batch, channels, ...); false for more than three dimensions. */
static bool spatial(const struct fxc_tensor *tensor, bool batched, int64_t out[3]) {
    uint32_t first = batched ? 2 : 1;
    for (uint32_t d = 0; d < 3; d++) {
        out[d] = first + d < tensor->rank ? tensor->size[first + d] : 1;
    }
    return tensor->rank >= first && tensor->rank <= first + 3;
}

bool fxc_convolution_of(const struct fxc_rule *rule, bool backward, const int32_t params[3],
                        fxc_convolution_shape *out) {
    struct fxc_tensor input, weight, result;
    if (!fxc_rule_tensor2(rule, FXC_NAME_input, FXC_NAME_self, &input) ||
        !fxc_rule_tensor(rule, FXC_NAME_weight, &weight) || params[0] == FXC_CONV_tbc ||
        !(backward ? fxc_rule_tensor(rule, FXC_NAME_grad_output, &result) : fxc_rule_result(rule, 0, &result))) {
        return false;
    }
    bool transposed = params[0] == FXC_CONV_transposed, batched = input.rank == weight.rank;
    int64_t kernel[3];
    if ((backward || params[0] == FXC_CONV_argument) && !fxc_rule_bool(rule, FXC_NAME_transposed, false, &transposed)) {
        return false;
    }
    *out = (fxc_convolution_shape){.batch = batched ? input.size[0] : 1, .transposed = transposed};
    if (!fxc_rule_int(rule, FXC_NAME_groups, 1, &out->groups) || !spatial(&input, batched, out->in) ||
        !spatial(&result, batched, out->out) || !spatial(&weight, true, kernel) || out->groups < 1) {
        return false;
    }
    out->in_channels = input.size[batched ? 1 : 0];
    out->out_channels = result.size[batched ? 1 : 0];
    uint32_t strides = fxc_rule_list(rule, FXC_NAME_stride);
    for (uint32_t d = 0; d < 3; d++) {
        out->kernel[d] = kernel[d];
        if (!fxc_rule_item_int(rule, strides, d, &out->stride[d])) {
            out->stride[d] = 1;
        }
    }
    int64_t wanted = 0;
    for (uint32_t i = 0; backward && i < 2; i++) {
        if (fxc_rule_item_int(rule, fxc_rule_list(rule, FXC_NAME_output_mask), i, &wanted) && wanted != 0) {
            out->gradients |= (uint8_t)(i == 0 ? FXC_CONVOLUTION_INPUT_GRADIENT : FXC_CONVOLUTION_WEIGHT_GRADIENT);
        }
    }
    return out->in_channels > 0 && out->out_channels > 0 && (!backward || out->gradients != 0);
}

bool fxc_attention_of(const struct fxc_rule *rule, bool backward, fxc_attention_shape *out) {
    struct fxc_tensor query, key, value;
    bool causal = false;
    if (!fxc_rule_tensor(rule, FXC_NAME_query, &query) || !fxc_rule_tensor(rule, FXC_NAME_key, &key) ||
        !fxc_rule_tensor(rule, FXC_NAME_value, &value) || query.rank < 3 || key.rank < 3 || value.rank < 3 ||
        query.numel <= 0 || key.numel <= 0) {
        return false;
    }
    int64_t heads = query.size[query.rank - 3], kv_heads = key.size[key.rank - 3];
    *out = (fxc_attention_shape){.heads = heads,
                                 .kv_heads = kv_heads,
                                 .queries = query.size[query.rank - 2],
                                 .keys = key.size[key.rank - 2],
                                 .depth = query.size[query.rank - 1],
                                 .value_depth = value.size[value.rank - 1],
                                 .causal = fxc_rule_bool(rule, FXC_NAME_is_causal, false, &causal) && causal,
                                 .backward = backward};
    out->batch = query.numel / (heads * out->queries * out->depth);
    return out->batch > 0;
}

/* Whether the operator works along dimensions that it names, and the last is none of them. */
static bool is_across(const struct fxc_rule *rule, uint32_t rank) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dim), count = 0;
    int64_t dim = -1;
    if (list == FXC_NONE) {
        return fxc_rule_int(rule, FXC_NAME_dim, -1, &dim) && dim != -1 && dim != (int64_t)rank - 1;
    }
    for (; fxc_rule_item_int(rule, list, count, &dim); count++) {
        if (dim == -1 || dim == (int64_t)rank - 1) {
            return false;
        }
    }
    return count > 0;
}

/* Rows of what is folded or fetched: the last dimension of the largest of operand and result is a row. */
bool fxc_rows_of(const struct fxc_rule *rule, fxc_rows_shape *out) {
    struct fxc_tensor source, result;
    if (!fxc_rule_result(rule, 0, &result) || result.numel <= 0) {
        return false;
    }
    if (!fxc_rule_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &source) || source.numel < result.numel) {
        source = result;
    }
    int64_t length = source.rank > 0 && source.size[source.rank - 1] > 0 ? source.size[source.rank - 1] : 1;
    /* A sum over everything has one result but many workers: rows are what is read, not what is left. */
    *out = (fxc_rows_shape){source.numel / length, length, is_across(rule, source.rank)};
    return out->rows > 0;
}

/* Bytes as NCCL's tests count them: of the larger of what a device puts in and what it gets. */
bool fxc_collective_of(const struct fxc_rule *rule, const fxc_counts *counts, fxc_collective_shape *out) {
    static const struct {
        const char *part;
        uint8_t collective;
    } names[] = {{"all_reduce", FXC_COLLECTIVE_ALL_REDUCE},         {"allreduce", FXC_COLLECTIVE_ALL_REDUCE},
                 {"all_gather", FXC_COLLECTIVE_ALL_GATHER},         {"allgather", FXC_COLLECTIVE_ALL_GATHER},
                 {"reduce_scatter", FXC_COLLECTIVE_REDUCE_SCATTER}, {"all_to_all", FXC_COLLECTIVE_ALL_TO_ALL},
                 {"alltoall", FXC_COLLECTIVE_ALL_TO_ALL},           {"broadcast", FXC_COLLECTIVE_BROADCAST}};
    const char *name = fxc_node_op_name(rule->program, rule->node);
    int64_t more = counts->bytes_read > counts->bytes_written ? counts->bytes_read : counts->bytes_written;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strstr(name, names[i].part) != NULL) {
            *out = (fxc_collective_shape){0, more, names[i].collective};
            return fxc_group_size(rule, &out->ranks) && more > 0;
        }
    }
    return false;
}
