/* memory: the rules of passes/memory/temporaries.def, and what they share. */
#ifndef FXC_MEMORY_TEMPORARIES_H
#define FXC_MEMORY_TEMPORARIES_H

#include "passes/memory/memory.h"

#define FXC_TEMPORARY_RULE(name)                                                                                       \
    fxc_status fxc_temporary_##name(const struct fxc_rule *rule, const int32_t params[2], struct fxc_temporaries *out)

FXC_TEMPORARY_RULE(none);
FXC_TEMPORARY_RULE(untold);
FXC_TEMPORARY_RULE(batch_statistics);
FXC_TEMPORARY_RULE(group_statistics);
FXC_TEMPORARY_RULE(instance_statistics);
FXC_TEMPORARY_RULE(layer_statistics);
FXC_TEMPORARY_RULE(rms_norm);
FXC_TEMPORARY_RULE(uneven_padding);
FXC_TEMPORARY_RULE(cross_entropy);
FXC_TEMPORARY_RULE(l1_loss);
FXC_TEMPORARY_RULE(joined);
FXC_TEMPORARY_RULE(noise);
FXC_TEMPORARY_RULE(as_complex);
FXC_TEMPORARY_RULE(converted);
FXC_TEMPORARY_RULE(pool_indices);
FXC_TEMPORARY_RULE(one_number);
FXC_TEMPORARY_RULE(reduced_in_place);
FXC_TEMPORARY_RULE(second_operand);
FXC_TEMPORARY_RULE(sorted_values);
FXC_TEMPORARY_RULE(matmul);
FXC_TEMPORARY_RULE(linear);
FXC_TEMPORARY_RULE(attention);

/* A tensor with every size known; FXC_UNKNOWN_OPS leaves a rule that lacks one. */
bool fxc_sized(const struct fxc_tensor *tensor);
/* The node's first result, and an argument by either name, sized. */
bool fxc_sized_result(const struct fxc_rule *rule, struct fxc_tensor *out);
bool fxc_sized_input(const struct fxc_rule *rule, struct fxc_tensor *out);
/* *sum += count * elements of this type; FXC_OVERFLOW. */
fxc_status fxc_add_elements(int64_t *sum, int64_t count, int64_t elements, uint8_t dtype);
/* Bytes of an argument of a batched product with its leading dimensions (all but two) broadcast to `batch` and then
 * joined: 0 where that is a view. */
fxc_status fxc_joined_batch_bytes(const struct fxc_tensor *tensor, const int64_t *batch, uint32_t batch_rank,
                                  int64_t *out);

#endif
