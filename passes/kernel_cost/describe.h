/* What a timing model is told of a kernel. */
#ifndef FXC_PASSES_KERNEL_COST_DESCRIBE_H
#define FXC_PASSES_KERNEL_COST_DESCRIBE_H

#include "passes/cost/work.h"
#include "passes/fusion/fusion.h"

/* What all kernels of an analysis are described with. */
struct fxc_kernel_describing {
    const struct fxc_analysis *analysis;
    const struct fxc_context *context; /* of nodes */
    struct fxc_rule rule;
    fxc_operand *operand;   /* as the accesses of the fusion fact; NULL: the model does not read them */
    fxc_executed *executed; /* as `run` of the fusion fact; NULL without loops */
};

/* In memory of the arena; `history`: what came before each kernel is told. */
fxc_status fxc_describe_kernels(const struct fxc_analysis *analysis, const struct fxc_context *context, bool history,
                                struct fxc_arena *arena, struct fxc_kernel_describing *out, fxc_error *err);
fxc_work fxc_describe_kernel(struct fxc_kernel_describing *describing, const struct fxc_kernel_row *kernel);
/* The node as which a kernel is described: of a library the operator that it is; of whole nodes the only one, or the
 * only product, convolution or attention. FXC_NONE for loops. */
uint32_t fxc_kernel_lead(const struct fxc_program *program, const struct fxc_fusion *fusion,
                         const struct fxc_kernel_row *kernel);

#endif
