/* What a timing model is told of a node. */
#ifndef FXC_PASSES_COST_WORK_H
#define FXC_PASSES_COST_WORK_H

#include "passes/cost/reuse.h"
#include "passes/rule.h"

/* The kind and shape of the node's work into `work`, whose counts and dtype are set. A node whose shape is not known
 * becomes FXC_WORK_OTHER. */
void fxc_describe_work(const struct fxc_rule *rule, fxc_work *work);

/* What is told of all nodes together. */
struct fxc_context {
    struct fxc_reuse reuse; /* all NULL where nobody asked for it */
    int64_t *calls;         /* per node: of modules */
};
/* In memory of the arena. After shapes, alias and traffic. `history`: what came before each node is told. */
fxc_status fxc_context_of(const struct fxc_analysis *analysis, bool history, struct fxc_arena *arena,
                          struct fxc_context *out, fxc_error *err);
/* All that a model is told of the rule's node. */
fxc_work fxc_work_of(const struct fxc_analysis *analysis, const struct fxc_context *context,
                     const struct fxc_rule *rule);

/* The shapes of passes/cost/shapes.c: false when something that they need is not known. */
bool fxc_gemm_of(const struct fxc_rule *rule, const fxc_counts *counts, fxc_gemm_shape *out);
bool fxc_convolution_of(const struct fxc_rule *rule, bool backward, const int32_t params[3],
                        fxc_convolution_shape *out);
bool fxc_attention_of(const struct fxc_rule *rule, bool backward, fxc_attention_shape *out);
/* False for collectives that no model knows: pairs of devices, scatters of several kinds. */
bool fxc_collective_of(const struct fxc_rule *rule, const fxc_counts *counts, fxc_collective_shape *out);
bool fxc_rows_of(const struct fxc_rule *rule, fxc_rows_shape *out);

#endif
