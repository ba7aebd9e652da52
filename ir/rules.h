/* The rules that rows of ir/ops.def name: shape rules, FLOP rules, and the macros that write them in a row. The
 * functions behind the names are in passes/shapes/rules.h and passes/flops/rules.h, which expand the same lists. */
#ifndef FXC_IR_RULES_H
#define FXC_IR_RULES_H

/* X(shape rule, dtype rule, layout rule): the last two hold for a row that names no others. */
#define FXC_SHAPE_RULE_LIST(X)                                                                                         \
    /* passes/shapes/rules.c */                                                                                        \
    X(broadcast, promote, pointwise)                                                                                   \
    X(same, subject, subject)                                                                                          \
    X(reduce, subject, contiguous)                                                                                     \
    X(reduce_listed, subject, contiguous)                                                                              \
    X(cat, promote_list, joined)                                                                                       \
    X(stack, promote_list, stacked)                                                                                    \
    X(index_select, subject, contiguous)                                                                               \
    X(gather, subject, contiguous)                                                                                     \
    X(embedding, weight, contiguous)                                                                                   \
    X(repeat, subject, contiguous)                                                                                     \
    /* passes/shapes/rules_view.c */                                                                                   \
    X(view, subject, shaped)                                                                                           \
    X(flatten, subject, shaped)                                                                                        \
    X(transpose, subject, shaped)                                                                                      \
    X(swap_last, subject, shaped)                                                                                      \
    X(permute, subject, shaped)                                                                                        \
    X(unsqueeze, subject, shaped)                                                                                      \
    X(squeeze, subject, shaped)                                                                                        \
    X(expand, subject, shaped)                                                                                         \
    X(select, subject, shaped)                                                                                         \
    X(slice, subject, shaped)                                                                                          \
    X(narrow, subject, shaped)                                                                                         \
    /* passes/shapes/rules_make.c */                                                                                   \
    X(sized, made, contiguous)                                                                                         \
    X(other, subject, shaped)                                                                                          \
    X(getitem, element, shaped)                                                                                        \
    X(index, subject, shaped)                                                                                          \
    X(pad, subject, padded)                                                                                            \
    X(loss, common, untold)                                                                                            \
    X(class_loss, subject, contiguous)                                                                                 \
    X(pixel_shuffle, subject, plain)                                                                                   \
    X(pixel_unshuffle, subject, plain)                                                                                 \
    X(glu, subject, plain)                                                                                             \
    /* passes/shapes/rules_axes.c */                                                                                   \
    X(reverse, subject, shaped)                                                                                        \
    X(unflatten, subject, shaped)                                                                                      \
    X(unfold, subject, shaped)                                                                                         \
    X(diagonal, subject, shaped)                                                                                       \
    X(as_strided, subject, shaped)                                                                                     \
    X(part, part, shaped)                                                                                              \
    X(parts, part, shaped)                                                                                             \
    X(expand_as, subject, shaped)                                                                                      \
    X(broadcast_each, listed, shaped)                                                                                  \
    X(meshgrid, listed, shaped)                                                                                        \
    /* passes/shapes/rules_resize.c */                                                                                 \
    X(resize, subject, suggested)                                                                                      \
    X(grid_sample, subject, contiguous)                                                                                \
    X(im2col, subject, contiguous)                                                                                     \
    X(col2im, subject, contiguous)                                                                                     \
    /* passes/shapes/rules_line.c */                                                                                   \
    X(arange, range, contiguous)                                                                                       \
    X(steps, made, contiguous)                                                                                         \
    X(bins, subject, contiguous)                                                                                       \
    X(randperm, whole, contiguous)                                                                                     \
    X(eye, made, contiguous)                                                                                           \
    X(scalar, subject, contiguous)                                                                                     \
    X(repeat_interleave, subject, contiguous)                                                                          \
    X(diff, promote, shaped)                                                                                           \
    X(to_complex, spectrum, shaped)                                                                                    \
    /* passes/shapes/rules_body.c */                                                                                   \
    X(body, body, shaped)                                                                                              \
    X(rows, body, shaped)                                                                                              \
    X(carried, carried, shaped)                                                                                        \
    X(scanned, untold, untold)                                                                                         \
    X(functionalized, functionalized, shaped)                                                                          \
    X(flex, attended, shaped)                                                                                          \
    /* passes/shapes/rules_results.c */                                                                                \
    X(norm_backward, subject, norm_backward)                                                                           \
    X(conv_backward, subject, conv_backward)                                                                           \
    X(sdpa_backward, query, untold)                                                                                    \
    X(sdpa_forward, attended, flash)                                                                                   \
    X(varlen, varlen, attended)                                                                                        \
    X(native_layer_norm, statistics, contiguous)                                                                       \
    X(native_group_norm, statistics, grouped)                                                                          \
    X(native_batch_norm, statistics, normed)                                                                           \
    X(table_backward, gradient, contiguous)                                                                            \
    X(input_sized, gradient, contiguous)                                                                               \
    X(like_output, gradient, contiguous)                                                                               \
    X(class_loss_forward, subject, contiguous)                                                                         \
    X(saved, saved, normed)                                                                                            \
    X(input_and_grid, subject, contiguous)                                                                             \
    X(recurrent_layer, layered, contiguous)                                                                            \
    X(masked, subject, contiguous)                                                                                     \
    X(direction, common, pointwise)                                                                                    \
    X(embedding_bag, bags, contiguous)                                                                                 \
    X(distances, common, contiguous)                                                                                   \
    X(pairs, subject, contiguous)                                                                                      \
    /* passes/shapes/rules_fft.c */                                                                                    \
    X(fft, spectrum, shaped)                                                                                           \
    X(rfft, spectrum, shaped)                                                                                          \
    X(irfft, real, shaped)                                                                                             \
    X(fftn, spectrum, shaped)                                                                                          \
    X(rfftn, spectrum, shaped)                                                                                         \
    X(irfftn, real, shaped)                                                                                            \
    X(fft2, spectrum, shaped)                                                                                          \
    X(rfft2, spectrum, shaped)                                                                                         \
    X(irfft2, real, shaped)                                                                                            \
    X(fft_r2c, spectrum, shaped)                                                                                       \
    X(fft_c2r, part, shaped)                                                                                           \
    /* passes/shapes/rules_data.c */                                                                                   \
    X(nonzero, indices, shaped)                                                                                        \
    X(masked_select, subject, contiguous)                                                                              \
    X(unique, with_indices, contiguous)                                                                                \
    /* passes/shapes/rules_several.c */                                                                                \
    X(split, subject, shaped)                                                                                          \
    X(chunk, subject, shaped)                                                                                          \
    X(topk, with_indices, contiguous)                                                                                  \
    X(recurrent, subject, recurrent)                                                                                   \
    /* passes/shapes/rules_matrix.c */                                                                                 \
    X(mm, common, contiguous)                                                                                          \
    X(bmm, common, contiguous)                                                                                         \
    X(matmul, common, contiguous)                                                                                      \
    X(linear, common, contiguous)                                                                                      \
    X(grouped_mm, subject, contiguous)                                                                                 \
    X(outer, promote, contiguous)                                                                                      \
    X(mv, common, contiguous)                                                                                          \
    X(einsum, common_list, einsum)                                                                                     \
    X(sdpa, query, attention)                                                                                          \
    /* passes/shapes/rules_linalg.c */                                                                                 \
    X(per_matrix, subject, contiguous)                                                                                 \
    X(svd, singular, columns)                                                                                          \
    X(svd_reduced, singular, columns)                                                                                  \
    X(svd_old, singular, untold)                                                                                       \
    X(singular, part, contiguous)                                                                                      \
    X(eigen, eigen, columns)                                                                                           \
    X(qr, subject, columns)                                                                                            \
    X(geqrf, subject, columns)                                                                                         \
    X(lu, sides, contiguous)                                                                                           \
    X(lu_factor, factored, columns)                                                                                    \
    X(same_and_info, factored, columns)                                                                                \
    X(determinant, solved, columns)                                                                                    \
    X(log_determinant, singular, columns)                                                                              \
    X(solve, factored, columns)                                                                                        \
    X(solve_lu, solved, columns)                                                                                       \
    X(solve_factored, sides, columns)                                                                                  \
    X(third, subject, columns)                                                                                         \
    X(matrix_norm, part, contiguous)                                                                                   \
    X(vander, common, contiguous)                                                                                      \
    /* passes/shapes/rules_products.c */                                                                               \
    X(batch_sum, common, contiguous)                                                                                   \
    X(add_outer, promote, untold)                                                                                      \
    X(number, subject, contiguous)                                                                                     \
    X(inner, common, contiguous)                                                                                       \
    X(tensordot, common, contiguous)                                                                                   \
    X(kron, promote, untold)                                                                                           \
    X(bilinear, common, contiguous)                                                                                    \
    X(trilinear, common, contiguous)                                                                                   \
    X(multi_dot, common_list, contiguous)                                                                              \
    X(vecdot, common, untold)                                                                                          \
    X(similarity, promote, untold)                                                                                     \
    X(pairwise, promote, untold)                                                                                       \
    /* passes/shapes/rules_stack.c */                                                                                  \
    X(atleast_1d, listed, shaped)                                                                                      \
    X(atleast_2d, listed, shaped)                                                                                      \
    X(atleast_3d, listed, shaped)                                                                                      \
    X(hstack, promote_list, joined)                                                                                    \
    X(vstack, promote_list, joined)                                                                                    \
    X(dstack, promote_list, joined)                                                                                    \
    X(column_stack, promote_list, joined)                                                                              \
    X(block_diag, promote_list, contiguous)                                                                            \
    X(cartesian, common_list, contiguous)                                                                              \
    X(tensor_split, subject, shaped)                                                                                   \
    X(hsplit, subject, shaped)                                                                                         \
    X(vsplit, subject, shaped)                                                                                         \
    X(dsplit, subject, shaped)                                                                                         \
    /* passes/shapes/rules_pick.c */                                                                                   \
    X(diag_embed, subject, contiguous)                                                                                 \
    X(diagflat, subject, contiguous)                                                                                   \
    X(diag, subject, contiguous)                                                                                       \
    X(rot90, subject, untold)                                                                                          \
    X(movedim, subject, shaped)                                                                                        \
    X(histogram, subject, contiguous)                                                                                  \
    X(area, untold, contiguous)                                                                                        \
    X(between, untold, untold)                                                                                         \
    X(tile, subject, contiguous)                                                                                       \
    X(linalg_diagonal, subject, shaped)                                                                                \
    X(reduce_last, with_indices, contiguous)                                                                           \
    X(take, subject, contiguous)                                                                                       \
    X(take_along, subject, contiguous)                                                                                 \
    X(places, indices, contiguous)                                                                                     \
    X(one_hot, subject, contiguous)                                                                                    \
    X(draws, indices, contiguous)                                                                                      \
    X(quantile, subject, contiguous)                                                                                   \
    X(loss_of_all, floating, pointwise)                                                                                \
    X(loss_of_rows, floating, untold)                                                                                  \
    X(loss_of_targets, floating, contiguous)                                                                           \
    X(loss_of_inputs, subject, contiguous)                                                                             \
    /* passes/shapes/rules_window.c */                                                                                 \
    X(conv, subject, conv)                                                                                             \
    X(conv_transposed, subject, conv)                                                                                  \
    X(pool, subject, window)                                                                                           \
    X(adaptive_pool, subject, window)                                                                                  \
    /* passes/shapes/rules_collective.c */                                                                             \
    X(group_same, subject, untold)                                                                                     \
    X(group_gathered, subject, contiguous)                                                                             \
    X(group_scattered, subject, contiguous)                                                                            \
    X(group_exchanged, subject, contiguous)

#define FXC_FLOP_RULE_LIST(X)                                                                                          \
    /* passes/flops/rules.c: element by element */                                                                     \
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
    X(body)                                                                                                            \
    X(search)                                                                                                          \
    /* passes/flops/rules_reduce.c: folds, scans, sorts, pooling */                                                    \
    X(reduce)                                                                                                          \
    X(var)                                                                                                             \
    X(logsumexp)                                                                                                       \
    X(vector_norm)                                                                                                     \
    X(scan)                                                                                                            \
    X(sort)                                                                                                            \
    X(topk)                                                                                                            \
    X(multinomial)                                                                                                     \
    X(unique)                                                                                                          \
    X(avg_pool)                                                                                                        \
    X(max_pool)                                                                                                        \
    X(adaptive_pool)                                                                                                   \
    X(adaptive_pool_backward)                                                                                          \
    /* passes/flops/rules_norm.c: normalisation and losses */                                                          \
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
    /* passes/flops/rules_matrix.c: products and convolutions; einsum is in passes/flops/rules_einsum.c */             \
    X(mm)                                                                                                              \
    X(matmul)                                                                                                          \
    X(linear)                                                                                                          \
    X(inner)                                                                                                           \
    X(vecdot)                                                                                                          \
    X(tensordot)                                                                                                       \
    X(bilinear)                                                                                                        \
    X(trilinear)                                                                                                       \
    X(grouped_mm)                                                                                                      \
    X(conv)                                                                                                            \
    X(conv_backward)                                                                                                   \
    X(einsum)                                                                                                          \
    X(multi_dot)                                                                                                       \
    /* passes/flops/rules_linalg.c, passes/flops/rules_fft.c */                                                        \
    X(linalg)                                                                                                          \
    X(slogdet)                                                                                                         \
    X(solve)                                                                                                           \
    X(reflect)                                                                                                         \
    X(pinv)                                                                                                            \
    X(matrix_power)                                                                                                    \
    X(fft)                                                                                                             \
    X(stft)                                                                                                            \
    X(istft)                                                                                                           \
    /* passes/flops/rules_resize.c, passes/flops/rules_ctc.c */                                                        \
    X(resize_aa)                                                                                                       \
    X(resize_aa_backward)                                                                                              \
    X(ctc)                                                                                                             \
    X(ctc_backward)                                                                                                    \
    /* passes/flops/rules_sample.c */                                                                                  \
    X(grid_sample)                                                                                                     \
    X(grid_sample_backward)                                                                                            \
    X(distances)                                                                                                       \
    X(distances_backward)                                                                                              \
    X(pairs)                                                                                                           \
    /* passes/flops/rules_backward.c */                                                                                \
    X(grad_each)                                                                                                       \
    X(foreach)                                                                                                         \
    X(target_each)                                                                                                     \
    X(pool_backward)                                                                                                   \
    X(gelu_backward)                                                                                                   \
    X(softmax_backward)                                                                                                \
    X(norm_backward)                                                                                                   \
    X(weight_norm_backward)                                                                                            \
    /* passes/flops/rules_attention.c, passes/flops/rules_recurrent.c */                                               \
    X(sdpa)                                                                                                            \
    X(sdpa_backward)                                                                                                   \
    X(flex)                                                                                                            \
    X(varlen)                                                                                                          \
    X(native_mha)                                                                                                      \
    X(encoder_layer)                                                                                                   \
    X(lstm)                                                                                                            \
    X(gru)                                                                                                             \
    X(rnn)                                                                                                             \
    X(cell)                                                                                                            \
    X(rnn_layer)                                                                                                       \
    X(rnn_layer_backward)                                                                                              \
    X(isin)                                                                                                            \
    /* passes/flops/rules_collective.c */                                                                              \
    X(combine)

/* The element type of a result (passes/shapes/dtype_rules.c). */
#define FXC_DTYPE_RULE_LIST(X)                                                                                         \
    X(untold)         /* the recorded type is kept */                                                                  \
    X(promote)        /* torch.result_type of tensors and numbers */                                                   \
    X(promote_list)   /* the same of a list of tensors */                                                              \
    X(common_list)    /* the one of a list of tensors */                                                               \
    X(floating)       /* torch.result_type, and the default type where that is an integer or bool */                   \
    X(subject)        /* that of `self` or `input` */                                                                  \
    X(common)         /* the one of all tensor arguments */                                                            \
    X(weight)         /* that of `weight` */                                                                           \
    X(query)          /* that of `query` */                                                                            \
    X(other)          /* that of `other` */                                                                            \
    X(truth)          /* bool */                                                                                       \
    X(tested)         /* bool, but uint8 of uint8 */                                                                   \
    X(indices)        /* int64 */                                                                                      \
    X(with_indices)   /* that of the subject, then int64 */                                                            \
    X(padded)         /* that of the subject; of pad, which autocast takes in parts */                                 \
    X(softmax)        /* float32 if half_to_float, else that of the subject */                                         \
    X(saved)          /* that of `saved_v` or `v` */                                                                   \
    X(layered)        /* that of `input`, then bytes */                                                                \
    X(varlen)         /* that of `query`, float32, uint64 */                                                           \
    X(with_mask)      /* that of the subject, then bool */                                                             \
    X(singular)       /* that of the subject; result 1 is real, result 3 int32: factors and singular values */         \
    X(eigen)          /* real eigenvalues, then vectors of the subject's type */                                       \
    X(factored)       /* that of the subject, then int32: pivots, and whether it went well */                          \
    X(solved)         /* that of the subject twice, then int32 */                                                      \
    X(sides)          /* that of `B`, else of the subject, else of `LU_data` */                                        \
    X(statistics)     /* that of the subject, of statistics too where that is float32 or float64 */                    \
    X(attended)       /* that of `query`, then float32 */                                                              \
    X(gradient)       /* that of `grad_output` or `grad` */                                                            \
    X(input_dtype)    /* the argument input_dtype */                                                                   \
    X(bags)           /* that of `weight`, then that of `offsets` */                                                   \
    X(body)           /* that of what the graph returns */                                                             \
    X(carried)        /* that of what goes round */                                                                    \
    X(functionalized) /* that of what is written to */                                                                 \
    X(asked)          /* the argument dtype, else that of the subject */                                               \
    X(folded)         /* the same, and int64 where that is an integer or bool */                                       \
    X(squared)        /* that of the subject, and int64 for bool */                                                    \
    X(summed)         /* that of the subject, and folded where `size` is another than its own */                       \
    X(listed)         /* that of the tensor at the result's place in a list */                                         \
    X(part)           /* the argument dtype, else that of the subject, of its parts when complex */                    \
    X(spectrum)       /* the complex type of the subject's precision */                                                \
    X(real)           /* that of the subject, of its parts when complex, and the default type of an integer */         \
    X(made)           /* the argument dtype, else the default type */                                                  \
    X(whole)          /* the argument dtype, else int64 */                                                             \
    X(filled)         /* the argument dtype, else that of fill_value */                                                \
    X(range)          /* the argument dtype, else that of start, end and step */                                       \
    X(element)        /* that of an element of a list */

/* The strides of a result (passes/shapes/layout_rules.c). */
#define FXC_LAYOUT_RULE_LIST(X)                                                                                        \
    X(untold)       /* the recorded strides are kept */                                                                \
    X(shaped)       /* the shape rule tells them: views */                                                             \
    X(pointwise)    /* TensorIterator's order of the operands' dimensions */                                           \
    X(subject)      /* those of `self` or `input`, which the result is */                                              \
    X(preserve)     /* memory_format, else those of the subject, made dense */                                         \
    X(physical)     /* the subject unless it is complex, else the same */                                              \
    X(unless_eval)  /* made dense; in evaluation the subject, of which torch.export records a copy */                  \
    X(format)       /* memory_format, else row-major */                                                                \
    X(maybe_copied) /* the subject itself or a copy, where both have the same strides */                               \
    X(contiguous)   /* row-major */                                                                                    \
    X(columns)      /* row-major, but the last two dimensions of what has matrices column by column */                 \
    X(plain)        /* row-major if all tensor arguments are, else not told */                                         \
    /* passes/shapes/layout_formats.c */                                                                               \
    X(suggested) /* channels-last if the subject is, else row-major */                                                 \
    X(padded)    /* the same, but row-major in mode circular */                                                        \
    X(window)    /* the same; one spatial dimension counts as two */                                                   \
    X(conv)      /* channels-last if input or weight is, else row-major */                                             \
    X(joined)    /* channels-last if all of a list are, else row-major */                                              \
    X(stacked)   /* the same, joined and split */                                                                      \
    /* passes/shapes/layout_kernels.c */                                                                               \
    X(attention) /* the query's where the flash kernel runs, else row-major */                                         \
    X(einsum)    /* those of the batched product that it becomes */                                                    \
    X(flash)     /* the query's; the rest row-major */                                                                 \
    X(recurrent) /* time outermost */                                                                                  \
    /* passes/shapes/layout_backward.c */                                                                              \
    X(normed)             /* the subject's, made dense; statistics row-major */                                        \
    X(attended)           /* the query's, made dense; others row-major */                                              \
    X(grouped)            /* as suggested; statistics row-major */                                                     \
    X(norm_backward)      /* TensorIterator's of gradient and argument; others row-major */                            \
    X(resize_backward)    /* as the result's gradient suggests */                                                      \
    X(conv_backward)      /* channels-last if input or weight is, else row-major */                                    \
    X(attention_backward) /* heads within positions */

enum fxc_shape_rule_id {
    FXC_SHAPE_RECORDED_ONLY, /* no rule: the recorded shape is kept */
#define X(name, dtype, layout) FXC_SHAPE_##name,
    FXC_SHAPE_RULE_LIST(X)
#undef X
        FXC_SHAPE_RULE_COUNT
};

enum fxc_dtype_rule_id {
    FXC_DTYPES_BY_SHAPE, /* what the shape rule's line says */
#define X(name) FXC_DTYPES_##name,
    FXC_DTYPE_RULE_LIST(X)
#undef X
        FXC_DTYPE_RULE_COUNT
};

enum fxc_layout_rule_id {
    FXC_LAYOUTS_BY_SHAPE,
#define X(name) FXC_LAYOUTS_##name,
    FXC_LAYOUT_RULE_LIST(X)
#undef X
        FXC_LAYOUT_RULE_COUNT
};

enum fxc_flop_rule_id {
    FXC_FLOPS_UNKNOWN, /* no formula */
#define X(name) FXC_FLOPS_##name,
    FXC_FLOP_RULE_LIST(X)
#undef X
        FXC_FLOP_RULE_COUNT
};

/* Parameters that rows give by name. */
enum { FXC_BATCH_NORM_evaluation, FXC_BATCH_NORM_training, FXC_BATCH_NORM_argument };
enum { FXC_CONV_forward, FXC_CONV_transposed, FXC_CONV_argument, FXC_CONV_tbc };
enum { FXC_BODY_once, FXC_BODY_dearer, FXC_BODY_length, FXC_BODY_trips };
enum { FXC_SOFTMAX_plain, FXC_SOFTMAX_log };
enum { FXC_FFT_complex, FXC_FFT_from_real, FXC_FFT_to_real };
enum {
    FXC_LINALG_cholesky,
    FXC_LINALG_cholesky_inverse,
    FXC_LINALG_symmetric,
    FXC_LINALG_ldl,
    FXC_LINALG_lu,
    FXC_LINALG_triangular,
    FXC_LINALG_inverse,
    FXC_LINALG_det,
    FXC_LINALG_qr,
    FXC_LINALG_geqrf,
    FXC_LINALG_eigh,
    FXC_LINALG_eig,
    FXC_LINALG_svd,
    FXC_LINALG_svdvals,
};
enum { FXC_CELL_lstm, FXC_CELL_gru, FXC_CELL_tanh, FXC_CELL_relu };

#endif
