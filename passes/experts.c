/* Active parameters: of a stack of E experts a token meets the K that its router picks.
 *
 * A stack is a parameter [E, ...] that a product by groups takes as its second operand; parameters [E, ...] of the same
 * module, such as biases, go with it. K is what a top-k over E scores asks for. Without such a top-k, or with several
 * that disagree, all experts count. */
#include "ir/arith.h"
#include "ir/expr.h"
#include "ir/names.h"
#include "ir/ops.h"
#include "ir/rules.h"
#include "passes/rule.h"

enum { AMBIGUOUS = -1 };

/* A size of a tensor value; false when there is no such dimension or no value for it. */
static bool size_of(const struct fxc_analysis *analysis, uint32_t value, int64_t dim, int64_t *out) {
    const struct fxc_program *p = analysis->program;
    if (p->value_kind[value] != FXC_KIND_TENSOR) {
        return false;
    }
    uint32_t meta = (uint32_t)p->value_payload[value];
    int64_t rank = (int64_t)p->meta_dim_begin[meta + 1] - p->meta_dim_begin[meta];
    dim = dim < 0 ? dim + rank : dim;
    return dim >= 0 && dim < rank &&
           fxc_symint_eval(p, analysis->bindings, p->dim_size[p->meta_dim_begin[meta] + dim], out);
}

/* Row of a node's argument by name, FXC_NONE without. */
static uint32_t argument(const struct fxc_program *p, uint32_t node, enum fxc_name name) {
    for (uint32_t i = p->node_arg_begin[node]; i < p->node_arg_begin[node + 1]; i++) {
        if (p->argname_id[p->arg_name[i]] == (uint16_t)name) {
            return i;
        }
    }
    return FXC_NONE;
}

static uint32_t value_argument(const struct fxc_program *p, uint32_t node, enum fxc_name name) {
    uint32_t row = argument(p, node, name);
    return row != FXC_NONE && p->arg_kind[row] == FXC_KIND_VALUE ? (uint32_t)p->arg_payload[row] : FXC_NONE;
}

static bool has_rule(const struct fxc_program *p, uint32_t node, uint8_t rule) {
    const struct fxc_op_row *row = fxc_op_lookup(fxc_string(p, p->op_name[p->node_op[node]]));
    return row != NULL && row->flops == rule;
}

/* The K of the top-k over `experts` scores: 0 without one, AMBIGUOUS when they differ. */
static int64_t picked(const struct fxc_analysis *analysis, int64_t experts) {
    const struct fxc_program *p = analysis->program;
    int64_t found = 0;
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        int64_t size, k, dim = -1;
        uint32_t scores = value_argument(p, node, FXC_NAME_self), row = argument(p, node, FXC_NAME_k);
        if (scores == FXC_NONE || row == FXC_NONE || !has_rule(p, node, FXC_FLOPS_topk)) {
            continue;
        }
        uint32_t along = argument(p, node, FXC_NAME_dim);
        if ((along != FXC_NONE &&
             !fxc_eval_int(p, analysis->bindings, p->arg_kind[along], p->arg_payload[along], &dim)) ||
            !fxc_eval_int(p, analysis->bindings, p->arg_kind[row], p->arg_payload[row], &k) ||
            !size_of(analysis, scores, dim, &size) || size != experts || k < 1 || k > experts) {
            continue;
        }
        found = found == 0 || found == k ? k : AMBIGUOUS;
    }
    return found;
}

/* Notes, per module, how many experts its stacks hold. */
static void note_stacks(const struct fxc_analysis *analysis, int64_t *experts) {
    const struct fxc_program *p = analysis->program;
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        uint32_t weight = value_argument(p, node, FXC_NAME_mat2);
        weight = weight != FXC_NONE ? weight : value_argument(p, node, FXC_NAME_weight);
        if (weight == FXC_NONE || p->value_storage[weight] == FXC_NONE || !has_rule(p, node, FXC_FLOPS_grouped_mm)) {
            continue;
        }
        for (uint32_t i = 0; i < FXC_COUNT(p, param); i++) {
            int64_t size;
            if (p->value_storage[p->param_value[i]] == p->value_storage[weight] &&
                size_of(analysis, p->param_value[i], 0, &size)) {
                experts[p->param_module[i]] = size;
            }
        }
    }
}

fxc_status fxc_count_active(const struct fxc_analysis *analysis, struct fxc_arena *arena, struct fxc_params *params,
                            fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    int64_t *experts = FXC_NEW(arena, int64_t, FXC_COUNT(p, module));
    if (experts == NULL) {
        return fxc_fail_memory(err, "params");
    }
    note_stacks(analysis, experts);
    params->active = params->params;
    for (uint32_t i = 0; i < FXC_COUNT(p, param); i++) {
        int64_t all = experts[p->param_module[i]], size;
        if (all < 2 || !params->first[i] || p->param_kind[i] != FXC_INPUT_KIND_PARAMETER ||
            !size_of(analysis, p->param_value[i], 0, &size) || size != all) {
            continue;
        }
        int64_t k = picked(analysis, all);
        params->active -= k < 1 ? 0 : params->numel[i] / all * (all - k);
    }
    return FXC_OK;
}
