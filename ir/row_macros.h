/* How the rows of ops.def are written: a rule by its name, with its parameters and the text that lists show. */
#ifndef FXC_IR_ROW_MACROS_H
#define FXC_IR_ROW_MACROS_H

#include "ir/ops.h"
#include "ir/rules.h"

/* ---- in rows: shape rules ---------------------------------------------------------------------------------------- */

#define RULE(function) .shape = FXC_SHAPE_##function, .shape_name = #function
/* The same, where element type, or element type and strides, do not follow the shape rule's line. */
#define TYPED(function, dtype_rule) RULE(function), .dtype = FXC_DTYPES_##dtype_rule
#define LAID(function, dtype_rule, layout_rule) TYPED(function, dtype_rule), .layout = FXC_LAYOUTS_##layout_rule
#define RECORDED .shape = FXC_SHAPE_RECORDED_ONLY, .shape_name = "-"

/* ---- in rows: FLOP rules -------------------------------------------------------------------------------------------
 */

#define FXC_FLOPS(function, text, a, b, c) .flops = FXC_FLOPS_##function, .params = {a, b, c}, .flop_name = text

#define UNKNOWN .flops = FXC_FLOPS_UNKNOWN, .flop_name = "unknown"
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
/* Calls graphs: runs each once, only the dearer one, as often as the first dimension of `xs` is long, or as often as
 * the argument `trips` says. */
#define BODY(policy) FXC_FLOPS(body, "body(" #policy ")", FXC_BODY_##policy, 0, 0)
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

#define ADAPTIVE_POOL_BACKWARD(dims) FXC_FLOPS(adaptive_pool_backward, "adaptive_pool_backward(" #dims ")", dims, 0, 0)

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
#define TRILINEAR FXC_FLOPS(trilinear, "trilinear", 0, 0, 0)
#define GROUPED_MM FXC_FLOPS(grouped_mm, "grouped_mm", 0, 0, 0)
#define MULTI_DOT FXC_FLOPS(multi_dot, "multi_dot", 0, 0, 0)
#define CONV(form) FXC_FLOPS(conv, "conv(" #form ")", FXC_CONV_##form, 0, 0)
#define CONV_BACKWARD FXC_FLOPS(conv_backward, "conv_backward", 0, 0, 0)

/* The factorisation, and its parameter: vectors too (eigh, eig), the whole of U (svd), comparisons per value (svdvals).
 */
#define LINALG(kind, parameter) FXC_FLOPS(linalg, "linalg(" #kind ", " #parameter ")", FXC_LINALG_##kind, parameter, 0)
#define SLOGDET FXC_FLOPS(slogdet, "slogdet", 0, 0, 0)
/* Solves with factors of a kind; made: 1 when it factors the matrix itself. */
#define SOLVE(kind, made) FXC_FLOPS(solve, "solve(" #kind ", " #made ")", FXC_LINALG_##kind, made, 0)
#define REFLECT(applied) FXC_FLOPS(reflect, "reflect(" #applied ")", applied, 0, 0)
#define PINV FXC_FLOPS(pinv, "pinv", 0, 0, 0)
#define MATRIX_POWER FXC_FLOPS(matrix_power, "matrix_power", 0, 0, 0)
/* dims: how many dimensions when the call does not say, 0 all. */
#define FFT(form, dims) FXC_FLOPS(fft, "fft(" #form ", " #dims ")", FXC_FFT_##form, dims, 0)
#define STFT FXC_FLOPS(stft, "stft", 0, 0, 0)
#define ISTFT FXC_FLOPS(istft, "istft", 0, 0, 0)
#define GRID_SAMPLE FXC_FLOPS(grid_sample, "grid_sample", 0, 0, 0)
#define GRID_SAMPLE_BACKWARD FXC_FLOPS(grid_sample_backward, "grid_sample_backward", 0, 0, 0)
/* taps: places in a window at scale 1. */
#define RESIZE_AA(taps) FXC_FLOPS(resize_aa, "resize_aa(" #taps ")", taps, 0, 0)
#define RESIZE_AA_BACKWARD(taps) FXC_FLOPS(resize_aa_backward, "resize_aa_backward(" #taps ")", taps, 0, 0)
/* reduced: 1 when the losses of sequences are reduced as the call says. */
#define CTC(reduced) FXC_FLOPS(ctc, "ctc(" #reduced ")", reduced, 0, 0)
#define CTC_BACKWARD FXC_FLOPS(ctc_backward, "ctc_backward", 0, 0, 0)
#define MULTINOMIAL FXC_FLOPS(multinomial, "multinomial", 0, 0, 0)
/* sorted: 1 when elements are sorted first. */
#define UNIQUE(sorted) FXC_FLOPS(unique, "unique(" #sorted ")", sorted, 0, 0)
/* sums: gradients that each coordinate is added to. */
#define DISTANCES_BACKWARD(sums) FXC_FLOPS(distances_backward, "distances_backward(" #sums ")", sums, 0, 0)
#define DISTANCES FXC_FLOPS(distances, "distances", 0, 0, 0)
#define PAIRS FXC_FLOPS(pairs, "pairs", 0, 0, 0)

#define FOREACH(flops, transcendentals)                                                                                \
    FXC_FLOPS(foreach, "foreach(" #flops ", " #transcendentals ")", flops, transcendentals, 0)
#define GRAD_EACH(flops, transcendentals)                                                                              \
    FXC_FLOPS(grad_each, "grad_each(" #flops ", " #transcendentals ")", flops, transcendentals, 0)
#define TARGET_EACH(flops) FXC_FLOPS(target_each, "target_each(" #flops ")", flops, 0, 0)
#define POOL_BACKWARD(dims) FXC_FLOPS(pool_backward, "pool_backward(" #dims ")", dims, 0, 0)
#define GELU_BACKWARD FXC_FLOPS(gelu_backward, "gelu_backward", 0, 0, 0)
#define SOFTMAX_BACKWARD(form) FXC_FLOPS(softmax_backward, "softmax_backward(" #form ")", FXC_SOFTMAX_##form, 0, 0)
#define WEIGHT_NORM_BACKWARD FXC_FLOPS(weight_norm_backward, "weight_norm_backward", 0, 0, 0)
#define NORM_BACKWARD FXC_FLOPS(norm_backward, "norm_backward", 0, 0, 0)

#define SDPA FXC_FLOPS(sdpa, "sdpa", 0, 0, 0)
#define SDPA_BACKWARD FXC_FLOPS(sdpa_backward, "sdpa_backward", 0, 0, 0)
#define FLEX FXC_FLOPS(flex, "flex", 0, 0, 0)
#define VARLEN FXC_FLOPS(varlen, "varlen", 0, 0, 0)
#define NATIVE_MHA FXC_FLOPS(native_mha, "native_mha", 0, 0, 0)
#define ENCODER_LAYER FXC_FLOPS(encoder_layer, "encoder_layer", 0, 0, 0)
#define LSTM FXC_FLOPS(lstm, "lstm", 0, 0, 0)
#define GRU FXC_FLOPS(gru, "gru", 0, 0, 0)
#define RNN(nonlinearity) FXC_FLOPS(rnn, "rnn(" #nonlinearity ")", FXC_CELL_##nonlinearity, 0, 0)
#define RNN_LAYER FXC_FLOPS(rnn_layer, "rnn_layer", 0, 0, 0)
#define RNN_LAYER_BACKWARD FXC_FLOPS(rnn_layer_backward, "rnn_layer_backward", 0, 0, 0)
#define ISIN FXC_FLOPS(isin, "isin", 0, 0, 0)
#define COMBINE FXC_FLOPS(combine, "combine", 0, 0, 0)
#define CELL(kind) FXC_FLOPS(cell, "cell(" #kind ")", FXC_CELL_##kind, 0, 0)

#endif
