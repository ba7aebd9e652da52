/* memory: rules on matrix products and attention, which copy operands that they cannot look at as one batch. */
#include "passes/memory/temporaries.h"

#include <string.h>

/* ---- batches ------------------------------------------------------------------------------------------------------
 */

/* Can the first `count` dimensions be seen as one? Those of one element do not matter. */
static bool joins(const int64_t *size, const int64_t *stride, uint32_t count) {
    int64_t below_size = 0, below_stride = 0;
    bool any = false;
    for (uint32_t d = count; d-- > 0;) {
        if (size[d] == 1) {
            continue;
        }
        int64_t step;
        if (any && (fxc_mul(below_size, below_stride, &step) || stride[d] != step)) {
            return false;
        }
        below_size = size[d];
        below_stride = stride[d];
        any = true;
    }
    return true;
}

fxc_status fxc_joined_batch_bytes(const struct fxc_tensor *t, const int64_t *batch, uint32_t batch_rank, int64_t *out) {
    int64_t size[FXC_MAX_RANK], stride[FXC_MAX_RANK], elements = 1;
    uint32_t own = t->rank > 2 ? t->rank - 2u : 0;
    *out = 0;
    for (uint32_t d = 0; d < batch_rank; d++) {
        bool missing = d + own < batch_rank;
        uint32_t at = missing ? 0 : d + own - batch_rank;
        size[d] = batch[d];
        stride[d] = missing || t->size[at] != batch[d] ? 0 : t->stride[at];
        if (fxc_mul(elements, size[d], &elements)) {
            return FXC_OVERFLOW;
        }
    }
    if (joins(size, stride, batch_rank)) {
        return FXC_OK;
    }
    for (uint32_t d = own; d < t->rank; d++) {
        if (fxc_mul(elements, t->size[d], &elements)) {
            return FXC_OVERFLOW;
        }
    }
    return fxc_add_elements(out, 1, elements, t->dtype);
}

static bool needs_gradient(const struct fxc_rule *rule, uint32_t value) {
    const struct fxc_program *p = rule->program;
    return (p->meta_flags[p->value_payload[value]] & FXC_TENSOR_FLAG_REQUIRES_GRAD) != 0;
}

/* should_fold of LinearAlgebra.cpp: a large operand times one matrix is one product of two matrices. */
static bool folds(const struct fxc_rule *rule, const struct fxc_tensor *a, const struct fxc_tensor *b) {
    const struct fxc_tensor *large = a->rank >= b->rank ? a : b, *small = a->rank >= b->rank ? b : a;
    if (large->rank < 3 || small->rank > 2) {
        return false;
    }
    if (needs_gradient(rule, small->value)) {
        return true;
    }
    if (a->rank == 2) {
        return false;
    }
    return large->numel == 0 || joins(large->size, large->stride, large->rank - 1u);
}

static fxc_status folded_bytes(const struct fxc_tensor *large, bool transposed, int64_t *out) {
    int64_t size[FXC_MAX_RANK], stride[FXC_MAX_RANK];
    memcpy(size, large->size, large->rank * sizeof *size);
    memcpy(stride, large->stride, large->rank * sizeof *stride);
    if (transposed) { /* the larger one is second: it is folded as its transpose */
        size[large->rank - 2] = large->size[large->rank - 1];
        stride[large->rank - 2] = large->stride[large->rank - 1];
    }
    *out = 0;
    return joins(size, stride, large->rank - 1u) ? FXC_OK : fxc_add_elements(out, 1, large->numel, large->dtype);
}

static fxc_status product_copies(const struct fxc_rule *rule, const struct fxc_tensor *a, const struct fxc_tensor *b,
                                 int64_t *out) {
    int64_t batch[FXC_MAX_RANK], of_a, of_b;
    *out = 0;
    if (a->rank <= 2 && b->rank <= 2) {
        return FXC_OK;
    }
    if (folds(rule, a, b)) {
        bool transposed = b->rank > a->rank;
        return folded_bytes(transposed ? b : a, transposed, out);
    }
    uint32_t rank_a = a->rank > 2 ? a->rank - 2u : 0, rank_b = b->rank > 2 ? b->rank - 2u : 0;
    uint32_t rank = rank_a > rank_b ? rank_a : rank_b;
    for (uint32_t d = 0; d < rank; d++) {
        int64_t size_a = d + rank_a < rank ? 1 : a->size[d + rank_a - rank];
        int64_t size_b = d + rank_b < rank ? 1 : b->size[d + rank_b - rank];
        batch[d] = size_a == 1 ? size_b : size_a;
    }
    FXC_TRY(fxc_joined_batch_bytes(a, batch, rank, &of_a));
    FXC_TRY(fxc_joined_batch_bytes(b, batch, rank, &of_b));
    return fxc_add(of_a, of_b, out) ? FXC_OVERFLOW : FXC_OK;
}

FXC_TEMPORARY_RULE(matmul) {
    struct fxc_tensor a, b;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &a) && fxc_rule_tensor2(rule, FXC_NAME_other, FXC_NAME_tensor2, &b) &&
             fxc_sized(&b));
    return product_copies(rule, &a, &b, &out->beside);
}

static bool is_contiguous(const struct fxc_tensor *t) {
    int64_t expected = 1;
    for (uint32_t d = t->rank; d-- > 0;) {
        if (t->size[d] != 1 && t->stride[d] != expected) {
            return false;
        }
        expected *= t->size[d] > 0 ? t->size[d] : 1; /* at most numel, which was checked */
    }
    return true;
}

FXC_TEMPORARY_RULE(linear) {
    struct fxc_tensor input, weight, bias;
    (void)params;
    FXC_NEED(fxc_sized_input(rule, &input) && fxc_rule_tensor(rule, FXC_NAME_weight, &weight) && fxc_sized(&weight));
    bool has_bias = fxc_rule_tensor(rule, FXC_NAME_bias, &bias);
    if (input.rank <= 2 || (has_bias && is_contiguous(&input))) {
        return FXC_OK; /* one addmm of a view */
    }
    FXC_TRY(product_copies(rule, &input, &weight, &out->beside));
    /* The bias comes in a second tensor under a dispatch mode, which is how this was observed; else in place. */
    struct fxc_tensor result;
    int64_t sum = 0;
    FXC_NEED(fxc_sized_result(rule, &result));
    FXC_TRY(fxc_add_elements(&sum, has_bias ? 1 : 0, result.numel, result.dtype));
    out->beside = sum > out->beside ? sum : out->beside;
    return FXC_OK;
}

/* ---- attention ----------------------------------------------------------------------------------------------------
 */

struct attention {
    struct fxc_tensor q, k, v, mask;
    bool has_mask, causal, grouped;
    double dropout;
    int64_t heads; /* batch times heads of the query */
};

static bool read_attention(const struct fxc_rule *rule, struct attention *a) {
    if (!fxc_rule_tensor(rule, FXC_NAME_query, &a->q) || !fxc_rule_tensor(rule, FXC_NAME_key, &a->k) ||
        !fxc_rule_tensor(rule, FXC_NAME_value, &a->v) || !fxc_sized(&a->q) || !fxc_sized(&a->k) || !fxc_sized(&a->v) ||
        a->q.rank < 3 || a->k.rank != a->q.rank || a->v.rank != a->q.rank) {
        return false;
    }
    a->has_mask = fxc_rule_tensor(rule, FXC_NAME_attn_mask, &a->mask) && fxc_sized(&a->mask);
    a->heads = a->q.size[0];
    return fxc_rule_bool(rule, FXC_NAME_is_causal, false, &a->causal) &&
           fxc_rule_bool(rule, FXC_NAME_enable_gqa, false, &a->grouped) &&
           fxc_rule_real(rule, FXC_NAME_dropout_p, 0, &a->dropout) &&
           (a->q.rank == 3 || !fxc_mul(a->heads, a->q.size[1], &a->heads));
}

/* use_flash_attention_cpp of sdp_utils_cpp.cpp. */
static bool is_flash(const struct fxc_rule *rule, const struct attention *a) {
    const struct fxc_tensor *all[] = {&a->q, &a->k, &a->v};
    if (a->q.rank != 4 || a->dropout > 0 || (a->has_mask && needs_gradient(rule, a->mask.value))) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (all[i]->size[3] != a->q.size[3] || all[i]->size[0] != a->q.size[0] || all[i]->size[2] == 0 ||
            (all[i]->stride[3] != 1 && all[i]->size[3] != 1) || (all[i]->size[1] != a->q.size[1] && !a->grouped)) {
            return false;
        }
    }
    return true;
}

/* A boolean mask becomes numbers of the query's type, from two scalars. */
static fxc_status mask_bytes(const struct attention *a, int64_t *out) {
    *out = 0;
    if (!a->has_mask || a->mask.dtype != FXC_DTYPE_BOOL) {
        return FXC_OK;
    }
    FXC_TRY(fxc_add_elements(out, 1, a->mask.numel, a->q.dtype));
    return FXC_OK;
}

/* Without the fused kernel: scaled operands, scores, their sum with the mask, weights, in turn. */
static fxc_status plain_attention(const struct fxc_rule *rule, const struct attention *a, int64_t mask,
                                  struct fxc_temporaries *out) {
    int64_t rows = a->q.size[a->q.rank - 2], keys = a->k.size[a->k.rank - 2], copies, scores = 0, scaled = 0, other = 0;
    int64_t pairs, weights;
    if (fxc_mul(rows, keys, &pairs)) {
        return FXC_OVERFLOW;
    }
    if (a->causal) { /* two boolean triangles, one after the other, and their numbers */
        FXC_TRY(fxc_add_elements(&mask, 1, pairs, a->q.dtype));
    }
    FXC_TRY(fxc_add_elements(&scores, a->heads, pairs, a->q.dtype));
    FXC_TRY(fxc_add_elements(&scaled, 1, a->q.numel, a->q.dtype));
    FXC_TRY(fxc_add_elements(&other, 1, a->k.numel, a->k.dtype));
    FXC_TRY(product_copies(rule, &a->q, &a->k, &copies));
    int64_t product, softmax;
    if (fxc_add(mask, scaled, &scaled) || fxc_add(scaled, scores, &weights) || fxc_add(weights, other, &product) ||
        fxc_add(product, copies, &product) || fxc_add(weights, scores, &softmax)) {
        return FXC_OVERFLOW;
    }
    FXC_TRY(product_copies(rule, &a->q, &a->v, &copies)); /* the weights are contiguous: the values may not be */
    out->ahead = product > softmax ? product : softmax;
    out->beside = weights;
    return FXC_OK;
}

FXC_TEMPORARY_RULE(attention) {
    struct attention a;
    int64_t mask;
    (void)params;
    FXC_NEED(read_attention(rule, &a));
    FXC_TRY(mask_bytes(&a, &mask));
    if (!is_flash(rule, &a)) {
        return plain_attention(rule, &a, mask, out);
    }
    /* The fused kernel returns a number a row beside its result, at least in float32. */
    uint8_t type = a.q.dtype == FXC_DTYPE_FLOAT64 ? (uint8_t)FXC_DTYPE_FLOAT64 : (uint8_t)FXC_DTYPE_FLOAT32;
    out->beside = mask;
    return fxc_add_elements(&out->beside, a.heads, a.q.size[2], type);
}
