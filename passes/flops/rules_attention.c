/* FLOP rules of attention, whole: both matrix products count, whatever kernel runs them. A causal mask is discounted on
 * request only: the result needs half of the scores, the definition computes all. */
#include "passes/flops/rules.h"

/* Scores of every head and pair of positions. */
struct scores {
    int64_t rows;  /* batch * heads * query positions */
    int64_t count; /* rows * key positions */
};

/* Scale, mask, softmax (4 n - 2 rows, see softmax) and dropout of the scores. */
static void count_scores(struct fxc_tally *tally, uint8_t dtype, struct scores scores, bool masked, bool dropped) {
    int64_t per_score = 1 + (masked ? 1 : 0) + 4 + (dropped ? 2 : 0);
    fxc_tally_work(tally, dtype, fxc_linear(tally, per_score, scores.count, -2, scores.rows), scores.count);
}

/* Batch times heads: the leading dimensions broadcast. Grouped-query attention repeats the heads of key and value, so
 * there the query's count. */
static bool attention_batch(const struct fxc_tensor *query, const struct fxc_tensor *key, struct fxc_tally *tally,
                            int64_t *batch) {
    uint32_t rank = query->rank > key->rank ? query->rank : key->rank;
    *batch = 1;
    for (uint32_t from_end = 3; from_end <= rank; from_end++) {
        int64_t q = from_end <= query->rank ? query->size[query->rank - from_end] : 1;
        int64_t k = from_end <= key->rank ? key->size[key->rank - from_end] : 1;
        bool grouped = from_end == 3 && k > 0 && q % k == 0;
        if (q != k && q != 1 && k != 1 && !grouped) {
            return false;
        }
        *batch = fxc_times(tally, *batch, q == 1 ? k : q);
    }
    return true;
}

/* Pairs of a query with a key that it sees: query i sees keys up to i, and of these the last `window`. */
static int64_t causal_pairs(struct fxc_tally *tally, int64_t queries, int64_t keys, int64_t window) {
    int64_t most = keys < window ? keys : window;     /* keys that a late query sees */
    int64_t rising = queries < most ? queries : most; /* queries that see fewer, one more each */
    int64_t triangle = fxc_times(tally, rising, fxc_plus(tally, rising, 1));
    return fxc_plus(tally, triangle / 2, fxc_times(tally, queries - rising, most));
}

/* What both directions of attention work on. */
struct attention {
    struct fxc_tensor query;
    struct scores scores;
    int64_t query_depth, value_depth;
    bool masked, dropped; /* a mask is added, scores are dropped */
};

static bool known_attention(const struct fxc_rule *rule, struct fxc_tally *tally, struct attention *out) {
    struct fxc_tensor key, value, mask;
    int64_t batch;
    double dropout = 0;
    if (!fxc_known_tensor(rule, FXC_NAME_query, &out->query) || !fxc_known_tensor(rule, FXC_NAME_key, &key) ||
        !fxc_known_tensor(rule, FXC_NAME_value, &value) || out->query.rank < 2 || key.rank < 2 || value.rank < 2 ||
        !attention_batch(&out->query, &key, tally, &batch)) {
        return false;
    }
    out->query_depth = out->query.size[out->query.rank - 1];
    out->value_depth = value.size[value.rank - 1];
    out->scores.rows = fxc_times(tally, batch, out->query.size[out->query.rank - 2]);
    out->scores.count = fxc_times(tally, out->scores.rows, key.size[key.rank - 2]);
    bool causal = false;
    if (rule->window > 0 && fxc_rule_bool(rule, FXC_NAME_is_causal, false, &causal) && causal) {
        int64_t pairs = causal_pairs(tally, out->query.size[out->query.rank - 2], key.size[key.rank - 2], rule->window);
        out->scores.count = fxc_times(tally, batch, pairs);
    }
    out->masked = fxc_rule_tensor2(rule, FXC_NAME_attn_mask, FXC_NAME_attn_bias, &mask) && mask.dtype != FXC_DTYPE_BOOL;
    out->dropped = fxc_rule_float(rule, FXC_NAME_dropout_p, &dropout) && dropout > 0;
    return true;
}

fxc_status fxc_flops_sdpa(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct attention a;
    (void)params;
    FXC_NEED(known_attention(rule, &tally, &a));
    int64_t depth = fxc_plus(&tally, a.query_depth, a.value_depth);
    fxc_tally_macs(&tally, a.query.dtype, fxc_times(&tally, a.scores.count, depth));
    count_scores(&tally, a.query.dtype, a.scores, a.masked, a.dropped);
    return fxc_tally_end(&tally, rule, err);
}

/* Four products, as the unfused form has them: the gradients of scores and value (Dv each), of query and key (Dq each),
 * each where something takes it: a kernel computes all three, autograd may drop some.
 * Per score: grad = p (dp - delta), scaled: 3 operations, dropout 2; delta, a dot product of gradient and output, per
 * row. What the kernel computes again of the forward pass (a product, the mask, an exp) is no work of the model. */
fxc_status fxc_flops_sdpa_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct attention a;
    (void)params;
    FXC_NEED(known_attention(rule, &tally, &a));
    bool query = fxc_rule_wanted(rule, 0), key = fxc_rule_wanted(rule, 1), value = fxc_rule_wanted(rule, 2);
    bool scores = query || key;
    int64_t depth = fxc_linear(&tally, query + key, a.query_depth, scores + value, a.value_depth);
    fxc_tally_macs(&tally, a.query.dtype, fxc_times(&tally, a.scores.count, depth));
    int64_t per_row = fxc_linear(&tally, 2, a.value_depth, -1, 1);
    fxc_tally_work(&tally, a.query.dtype,
                   fxc_linear(&tally, 3 + (a.dropped ? 2 : 0), a.scores.count, per_row, a.scores.rows), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* Self- or cross-attention of nn.MultiheadAttention's fast path: q, k, v and the output are projections of D x D. */
static bool count_multi_head(const struct fxc_rule *rule, const struct fxc_tensor *query, const struct fxc_tensor *key,
                             enum fxc_name heads_name, struct fxc_tally *tally) {
    int64_t heads, width;
    if (!fxc_rule_int(rule, FXC_NAME_embed_dim, -1, &width) || !fxc_rule_int(rule, heads_name, -1, &heads) ||
        heads < 0 || query->rank != 3 || key->rank != 3 || query->size[2] != width || key->size[2] != width) {
        return false;
    }
    /* Elements times the columns of each projection: query and output; key and value. */
    int64_t projected = fxc_linear(tally, 2, query->numel, 2, key->numel);
    /* Both products: every head takes its share of the width. */
    int64_t pairs = fxc_times(tally, query->size[0], fxc_times(tally, query->size[1], key->size[1]));
    fxc_tally_macs(tally, query->dtype, fxc_times(tally, width, fxc_linear(tally, 1, projected, 2, pairs)));
    struct scores scores = {.rows = fxc_times(tally, heads, fxc_times(tally, query->size[0], query->size[1])),
                            .count = fxc_times(tally, heads, pairs)};
    /* Masks of the fast path are boolean: a selection. */
    count_scores(tally, query->dtype, scores, false, false);
    return true;
}

fxc_status fxc_flops_native_mha(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor query, key, weights;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_query, &query) && fxc_known_tensor(rule, FXC_NAME_key, &key));
    FXC_NEED(count_multi_head(rule, &query, &key, FXC_NAME_num_head, &tally));
    bool wanted, averaged;
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_need_weights, true, &wanted) &&
             fxc_rule_bool(rule, FXC_NAME_average_attn_weights, true, &averaged));
    if (wanted && averaged) {
        /* The mean over heads of the attention weights. */
        int64_t heads;
        FXC_NEED(fxc_known_result(rule, 1, &weights) && fxc_rule_int(rule, FXC_NAME_num_head, -1, &heads));
        fxc_tally_work(&tally, query.dtype, fxc_times(&tally, weights.numel, heads), 0);
    }
    return fxc_tally_end(&tally, rule, err);
}

/* Attention, two linear layers with an activation between, two residual sums, two layer norms with weight and bias. */
fxc_status fxc_flops_encoder_layer(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor src, inner, outer;
    struct fxc_tally tally = {.out = out};
    bool gelu;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_src, &src) && fxc_known_tensor(rule, FXC_NAME_ffn_weight_1, &inner) &&
             fxc_known_tensor(rule, FXC_NAME_ffn_weight_2, &outer) &&
             fxc_rule_bool(rule, FXC_NAME_use_gelu, false, &gelu));
    FXC_NEED(count_multi_head(rule, &src, &src, FXC_NAME_num_heads, &tally));
    FXC_NEED(inner.rank == 2 && outer.rank == 2);
    int64_t rows = src.size[2] == 0 ? 0 : src.numel / src.size[2];
    fxc_tally_macs(&tally, src.dtype, fxc_times(&tally, rows, fxc_plus(&tally, inner.numel, outer.numel)));
    int64_t activated = fxc_times(&tally, rows, inner.size[0]);
    fxc_tally_work(&tally, src.dtype, fxc_times(&tally, gelu ? 4 : 1, activated), gelu ? activated : 0);
    /* Sums n each; layer norms 7 n and 1 per row each, one rsqrt per row. */
    fxc_tally_work(&tally, src.dtype, fxc_linear(&tally, 16, src.numel, 2, rows), fxc_times(&tally, 2, rows));
    return fxc_tally_end(&tally, rule, err);
}

/* ---- flex and varlen --------------------------------------------------------------------------------------------- */

/* What the graph that changes a score does for one of them. */
static bool count_score_mod(const struct fxc_rule *rule, struct fxc_tally *each, fxc_error *err) {
    enum fxc_kind kind;
    int64_t graph;
    if (!fxc_rule_arg(rule, FXC_NAME_score_mod, &kind, &graph) || kind != FXC_KIND_GRAPH) {
        return false;
    }
    struct fxc_rule inner = *rule;
    const struct fxc_program *p = rule->program;
    for (inner.node = p->graph_node_begin[graph]; inner.node < p->graph_node_begin[graph + 1]; inner.node++) {
        const struct fxc_op_row *row = fxc_node_row(p, inner.node);
        fxc_counts counts = {0};
        uint8_t coverage;
        /* A graph in a score's graph, or this one again in a file that is none of ours: not followed. */
        if (row == NULL || row->flops == FXC_FLOPS_flex || row->flops == FXC_FLOPS_body ||
            fxc_flops_of_node(&inner, row, &counts, &coverage, err) != FXC_OK || coverage == FXC_COVERAGE_UNKNOWN ||
            counts.macs != 0) {
            return false;
        }
        each->out->vector_flops = fxc_plus(each, each->out->vector_flops, counts.vector_flops);
        each->out->transcendentals = fxc_plus(each, each->out->transcendentals, counts.transcendentals);
        each->out->int_ops = fxc_plus(each, each->out->int_ops, counts.int_ops);
    }
    return true;
}

/* As scaled_dot_product_attention, all pairs, and for every score what score_mod does. A block mask selects: it is not
 * discounted, as no mask is, and torch's FlopCounterMode counts all pairs too. */
fxc_status fxc_flops_flex(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct attention a;
    fxc_counts each = {0};
    struct fxc_tally score = {.out = &each};
    (void)params;
    FXC_NEED(known_attention(rule, &tally, &a) && count_score_mod(rule, &score, err));
    tally.overflow |= score.overflow;
    int64_t depth = fxc_plus(&tally, a.query_depth, a.value_depth);
    fxc_tally_macs(&tally, a.query.dtype, fxc_times(&tally, a.scores.count, depth));
    count_scores(&tally, a.query.dtype, a.scores, false, false);
    out->vector_flops = fxc_plus(&tally, out->vector_flops, fxc_times(&tally, each.vector_flops, a.scores.count));
    out->transcendentals =
        fxc_plus(&tally, out->transcendentals, fxc_times(&tally, each.transcendentals, a.scores.count));
    out->int_ops = fxc_plus(&tally, out->int_ops, fxc_times(&tally, each.int_ops, a.scores.count));
    return fxc_tally_end(&tally, rule, err);
}

/* Sequences packed into one tensor: their lengths are data. */
struct packed {
    int64_t queries, keys; /* tokens in all */
    int64_t longest_query, longest_key;
    int64_t count;
    bool causal;
};

static int64_t pairs_of(const struct fxc_rule *rule, const struct packed *packed, struct fxc_tally *tally,
                        int64_t queries, int64_t keys) {
    return rule->window > 0 && packed->causal ? causal_pairs(tally, queries, keys, rule->window)
                                              : fxc_times(tally, queries, keys);
}

/* Pairs of positions within a sequence, where the lengths are known: they are told; or there is one sequence; or all
 * are as long as the longest. */
static bool known_pairs(const struct fxc_rule *rule, const struct packed *packed, struct fxc_tally *tally,
                        int64_t *pairs) {
    int64_t tokens = 0;
    *pairs = 0;
    for (uint32_t i = 0; i < rule->sequence_count; i++) {
        tokens = fxc_plus(tally, tokens, rule->sequences[i]);
        *pairs = fxc_plus(tally, *pairs, pairs_of(rule, packed, tally, rule->sequences[i], rule->sequences[i]));
    }
    if (rule->sequence_count > 0) {
        return rule->sequence_count == packed->count && tokens == packed->queries && tokens == packed->keys;
    }
    if (packed->count == 1) {
        *pairs = pairs_of(rule, packed, tally, packed->queries, packed->keys);
        return true;
    }
    *pairs = fxc_times(tally, packed->count, pairs_of(rule, packed, tally, packed->longest_query, packed->longest_key));
    return fxc_times(tally, packed->count, packed->longest_query) == packed->queries &&
           fxc_times(tally, packed->count, packed->longest_key) == packed->keys;
}

/* varlen_attn: query [tokens, heads, depth], offsets one more than sequences. */
fxc_status fxc_flops_varlen(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor query, key, value, offsets;
    struct packed packed = {0};
    int64_t pairs;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_query, &query) && fxc_known_tensor(rule, FXC_NAME_key, &key) &&
             fxc_known_tensor(rule, FXC_NAME_value, &value) && query.rank == 3 && key.rank == 3 && value.rank == 3);
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_cu_seq_q, &offsets) && offsets.rank == 1 && offsets.size[0] > 1);
    FXC_NEED(!fxc_has_tensor(rule, FXC_NAME_block_table)); /* keys are then elsewhere */
    packed.queries = query.size[0];
    packed.keys = key.size[0];
    packed.count = offsets.size[0] - 1;
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_max_q, -1, &packed.longest_query) &&
             fxc_rule_int(rule, FXC_NAME_max_k, -1, &packed.longest_key) &&
             fxc_rule_bool(rule, FXC_NAME_is_causal, false, &packed.causal));
    FXC_NEED(known_pairs(rule, &packed, &tally, &pairs));
    struct scores scores = {.rows = fxc_times(&tally, packed.queries, query.size[1]),
                            .count = fxc_times(&tally, query.size[1], pairs)};
    int64_t depth = fxc_plus(&tally, query.size[2], value.size[2]);
    fxc_tally_macs(&tally, query.dtype, fxc_times(&tally, scores.count, depth));
    count_scores(&tally, query.dtype, scores, false, false);
    return fxc_tally_end(&tally, rule, err);
}
