/* FLOP rules of the default convention, and the macros that name them in ir/ops.def. docs/counting.md states every
 * formula with its source.
 *
 * A rule returns FXC_OK with its counts set, FXC_UNKNOWN_OPS when a size or a number that it needs has no value (the
 * node is then unknown, never zero), or FXC_OVERFLOW. */
#ifndef FXC_PASSES_FLOP_RULES_H
#define FXC_PASSES_FLOP_RULES_H

#include "passes/rule.h"

#define FXC_FLOP_RULE_LIST(X)                                                                                          \
    /* flop_rules.c: element by element */                                                                             \
    X(zero)                                                                                                            \
    X(each)                                                                                                            \
    X(python)                                                                                                          \
    X(input_each)                                                                                                      \
    X(add)                                                                                                             \
    X(abs)                                                                                                             \
    X(pow)                                                                                                             \
    X(gelu)                                                                                                            \
    X(addcmul)                                                                                                         \
    X(dropout)                                                                                                         \
    X(index_put)                                                                                                       \
    X(scatter_add)                                                                                                     \
    X(embedding_bag)                                                                                                   \
    X(search)                                                                                                          \
    /* flop_rules_reduce.c: folds, scans, sorts, pooling */                                                            \
    X(reduce)                                                                                                          \
    X(var)                                                                                                             \
    X(logsumexp)                                                                                                       \
    X(vector_norm)                                                                                                     \
    X(scan)                                                                                                            \
    X(sort)                                                                                                            \
    X(topk)                                                                                                            \
    X(avg_pool)                                                                                                        \
    X(max_pool)                                                                                                        \
    X(adaptive_pool)                                                                                                   \
    /* flop_rules_norm.c: normalisation and losses */                                                                  \
    X(layer_norm)                                                                                                      \
    X(group_norm)                                                                                                      \
    X(instance_norm)                                                                                                   \
    X(batch_norm)                                                                                                      \
    X(rms_norm)                                                                                                        \
    X(softmax)                                                                                                         \
    X(weight_norm)                                                                                                     \
    X(loss)                                                                                                            \
    X(kl_div)                                                                                                          \
    X(nll_loss)                                                                                                        \
    X(cross_entropy)                                                                                                   \
    X(distance)                                                                                                        \
    /* flop_rules_matrix.c: products and convolutions; einsum is in flop_rules_einsum.c */                             \
    X(mm)                                                                                                              \
    X(matmul)                                                                                                          \
    X(linear)                                                                                                          \
    X(inner)                                                                                                           \
    X(vecdot)                                                                                                          \
    X(tensordot)                                                                                                       \
    X(bilinear)                                                                                                        \
    X(grouped_mm)                                                                                                      \
    X(conv)                                                                                                            \
    X(conv_backward)                                                                                                   \
    X(einsum)                                                                                                          \
    /* flop_rules_attention.c, flop_rules_recurrent.c */                                                               \
    X(sdpa)                                                                                                            \
    X(sdpa_backward)                                                                                                   \
    X(native_mha)                                                                                                      \
    X(encoder_layer)                                                                                                   \
    X(lstm)                                                                                                            \
    X(gru)                                                                                                             \
    X(rnn)                                                                                                             \
    X(cell)

#define X(name)                                                                                                        \
    fxc_status fxc_flops_##name(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err);
FXC_FLOP_RULE_LIST(X)
#undef X

/* How rows of ir/ops.def name a rule. */
#define FXC_FLOPS(function, text, a, b, c) .flops = fxc_flops_##function, .params = {a, b, c}, .flop_name = text

#define UNKNOWN .flops = NULL, .flop_name = "unknown"
#define ZERO FXC_FLOPS(zero, "zero", 0, 0, 0)
/* Per element of the result: FLOPs, transcendentals. Integer and boolean work goes to int_ops. */
#define EACH(flops, transcendentals)                                                                                   \
    FXC_FLOPS(each, "each(" #flops ", " #transcendentals ")", flops, transcendentals, 0)
/* The same, with the FLOPs of an element of a complex result. */
#define COMPLEX_EACH(flops, transcendentals, complex_flops)                                                            \
    FXC_FLOPS(each, "each(" #flops ", " #transcendentals ", complex " #complex_flops ")", flops, transcendentals,      \
              complex_flops)
/* Python's operators: nothing on scalars; on tensors as EACH, or unknown when negative. */
#define PYTHON(flops, complex_flops) FXC_FLOPS(python, "python(" #flops ")", flops, 0, complex_flops)
#define INPUT_EACH(flops) FXC_FLOPS(input_each, "input_each(" #flops ")", flops, 0, 0)
#define ADD FXC_FLOPS(add, "add", 0, 0, 0)
#define ABS FXC_FLOPS(abs, "abs", 0, 0, 0)
#define POW FXC_FLOPS(pow, "pow", 0, 0, 0)
#define GELU FXC_FLOPS(gelu, "gelu", 0, 0, 0)
#define ADDCMUL FXC_FLOPS(addcmul, "addcmul", 0, 0, 0)
#define DROPOUT(flops) FXC_FLOPS(dropout, "dropout(" #flops ")", flops, 0, 0)
#define INDEX_PUT FXC_FLOPS(index_put, "index_put", 0, 0, 0)
#define SCATTER_ADD FXC_FLOPS(scatter_add, "scatter_add", 0, 0, 0)
#define EMBEDDING_BAG FXC_FLOPS(embedding_bag, "embedding_bag", 0, 0, 0)
#define SEARCH FXC_FLOPS(search, "search", 0, 0, 0)

/* n inputs to m results: (n - m) folds, element FLOPs per input, result FLOPs and transcendentals per result. */
#define REDUCE(element, result, result_transcendentals)                                                                \
    FXC_FLOPS(reduce, "reduce(" #element ", " #result ", " #result_transcendentals ")", element, result,               \
              result_transcendentals)
#define VAR(roots) FXC_FLOPS(var, "var(" #roots ")", roots, 0, 0)
#define LOGSUMEXP FXC_FLOPS(logsumexp, "logsumexp", 0, 0, 0)
#define VECTOR_NORM FXC_FLOPS(vector_norm, "vector_norm", 0, 0, 0)
#define SCAN FXC_FLOPS(scan, "scan", 0, 0, 0)
/* whole: 1 when a missing dimension means the flattened tensor. */
#define SORT(whole) FXC_FLOPS(sort, "sort(" #whole ")", whole, 0, 0)
#define TOPK FXC_FLOPS(topk, "topk", 0, 0, 0)
#define AVG_POOL(dims) FXC_FLOPS(avg_pool, "avg_pool(" #dims ")", dims, 0, 0)
#define MAX_POOL(dims) FXC_FLOPS(max_pool, "max_pool(" #dims ")", dims, 0, 0)
#define ADAPTIVE_POOL(dims, saved) FXC_FLOPS(adaptive_pool, "adaptive_pool(" #dims ", " #saved ")", dims, saved, 0)

#define LAYER_NORM FXC_FLOPS(layer_norm, "layer_norm", 0, 0, 0)
#define GROUP_NORM FXC_FLOPS(group_norm, "group_norm", 0, 0, 0)
#define INSTANCE_NORM FXC_FLOPS(instance_norm, "instance_norm", 0, 0, 0)
#define BATCH_NORM(training) FXC_FLOPS(batch_norm, "batch_norm(" #training ")", FXC_BATCH_NORM_##training, 0, 0)
#define RMS_NORM FXC_FLOPS(rms_norm, "rms_norm", 0, 0, 0)
#define SOFTMAX FXC_FLOPS(softmax, "softmax", 0, 0, 0)
#define LOG_SOFTMAX FXC_FLOPS(softmax, "log_softmax", 1, 0, 0)
#define WEIGHT_NORM FXC_FLOPS(weight_norm, "weight_norm", 0, 0, 0)
#define LOSS(flops, transcendentals)                                                                                   \
    FXC_FLOPS(loss, "loss(" #flops ", " #transcendentals ")", flops, transcendentals, 0)
#define KL_DIV FXC_FLOPS(kl_div, "kl_div", 0, 0, 0)
#define NLL_LOSS FXC_FLOPS(nll_loss, "nll_loss", 0, 0, 0)
#define CROSS_ENTROPY FXC_FLOPS(cross_entropy, "cross_entropy", 0, 0, 0)
/* Per element of the broadcast arguments and per result. */
#define DISTANCE(element, result, roots)                                                                               \
    FXC_FLOPS(distance, "distance(" #element ", " #result ", " #roots ")", element, result, roots)

#define MM FXC_FLOPS(mm, "mm", 0, 0, 0)
#define MATMUL FXC_FLOPS(matmul, "matmul", 0, 0, 0)
#define LINEAR FXC_FLOPS(linear, "linear", 0, 0, 0)
#define INNER FXC_FLOPS(inner, "inner", 0, 0, 0)
#define VECDOT FXC_FLOPS(vecdot, "vecdot", 0, 0, 0)
#define TENSORDOT FXC_FLOPS(tensordot, "tensordot", 0, 0, 0)
#define EINSUM FXC_FLOPS(einsum, "einsum", 0, 0, 0)
#define BILINEAR FXC_FLOPS(bilinear, "bilinear", 0, 0, 0)
#define GROUPED_MM FXC_FLOPS(grouped_mm, "grouped_mm", 0, 0, 0)
#define CONV(form) FXC_FLOPS(conv, "conv(" #form ")", FXC_CONV_##form, 0, 0)
#define CONV_BACKWARD FXC_FLOPS(conv_backward, "conv_backward", 0, 0, 0)

#define SDPA FXC_FLOPS(sdpa, "sdpa", 0, 0, 0)
#define SDPA_BACKWARD FXC_FLOPS(sdpa_backward, "sdpa_backward", 0, 0, 0)
#define NATIVE_MHA FXC_FLOPS(native_mha, "native_mha", 0, 0, 0)
#define ENCODER_LAYER FXC_FLOPS(encoder_layer, "encoder_layer", 0, 0, 0)
#define LSTM FXC_FLOPS(lstm, "lstm", 0, 0, 0)
#define GRU FXC_FLOPS(gru, "gru", 0, 0, 0)
#define RNN(nonlinearity) FXC_FLOPS(rnn, "rnn(" #nonlinearity ")", FXC_CELL_##nonlinearity, 0, 0)
#define CELL(kind) FXC_FLOPS(cell, "cell(" #kind ")", FXC_CELL_##kind, 0, 0)

enum { FXC_BATCH_NORM_evaluation, FXC_BATCH_NORM_training, FXC_BATCH_NORM_argument };
enum { FXC_CONV_forward, FXC_CONV_transposed, FXC_CONV_argument, FXC_CONV_tbc };
enum { FXC_CELL_lstm, FXC_CELL_gru, FXC_CELL_tanh, FXC_CELL_relu };

/* ---- helpers of the rules --------------------------------------------------------------------------------------- */

/* Arithmetic that remembers an overflow, so that a formula reads as a formula. */
struct fxc_tally {
    fxc_counts *out;
    bool overflow;
};

static inline int64_t fxc_times(struct fxc_tally *tally, int64_t a, int64_t b) {
    int64_t product = 0;
    tally->overflow |= fxc_mul(a, b, &product);
    return product;
}

static inline int64_t fxc_plus(struct fxc_tally *tally, int64_t a, int64_t b) {
    int64_t sum = 0;
    tally->overflow |= fxc_add(a, b, &sum);
    return sum;
}

/* a * n + b * m: the shape of most formulas. */
static inline int64_t fxc_linear(struct fxc_tally *tally, int64_t a, int64_t n, int64_t b, int64_t m) {
    return fxc_plus(tally, fxc_times(tally, a, n), fxc_times(tally, b, m));
}

/* Adds element work on data of this type: FLOPs and transcendentals of floating point, int_ops of anything else. */
void fxc_tally_work(struct fxc_tally *tally, uint8_t dtype, int64_t flops, int64_t transcendentals);
/* Adds multiply-adds of a matrix product on data of this type; a complex one is four real ones. */
void fxc_tally_macs(struct fxc_tally *tally, uint8_t dtype, int64_t macs);
/* FXC_OK, or FXC_OVERFLOW that names the node. */
fxc_status fxc_tally_end(const struct fxc_tally *tally, const struct fxc_rule *rule, fxc_error *err);

/* Arguments and results whose number of elements is known. */
bool fxc_known_tensor(const struct fxc_rule *rule, enum fxc_name name, struct fxc_tensor *out);
bool fxc_known_tensor2(const struct fxc_rule *rule, enum fxc_name name, enum fxc_name other, struct fxc_tensor *out);
bool fxc_known_result(const struct fxc_rule *rule, uint32_t index, struct fxc_tensor *out);
bool fxc_known_item(const struct fxc_rule *rule, uint32_t list, uint32_t index, struct fxc_tensor *out);
/* Whether an optional tensor argument was given. */
bool fxc_has_tensor(const struct fxc_rule *rule, enum fxc_name name);
/* The type that decides where a node's element work is counted: that of a floating-point argument, for comparisons and
 * tests give bool, or else of the result. */
uint8_t fxc_work_dtype(const struct fxc_rule *rule, const struct fxc_tensor *result);
bool fxc_dtype_is_complex(uint8_t dtype);
/* A number given as a literal; false when absent or computed. */
bool fxc_rule_float(const struct fxc_rule *rule, enum fxc_name name, double *out);

#define FXC_NEED(condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            return FXC_UNKNOWN_OPS;                                                                                    \
        }                                                                                                              \
    } while (0)

#endif
