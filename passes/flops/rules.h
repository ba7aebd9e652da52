/* FLOP rules of the default convention, one function for each name of FXC_FLOP_RULE_LIST (ir/rules.h). docs/counting.md
 * states every formula with its source.
 *
 * A rule returns FXC_OK with its counts set, FXC_UNKNOWN_OPS when a size or a number that it needs has no value (the
 * node is then unknown, never zero), or FXC_OVERFLOW. */
#ifndef FXC_PASSES_FLOP_RULES_H
#define FXC_PASSES_FLOP_RULES_H

#include "ir/rules.h"
#include "passes/rule.h"

#define X(name)                                                                                                        \
    fxc_status fxc_flops_##name(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err);
FXC_FLOP_RULE_LIST(X)
#undef X

/* One execution of the rule's node by its row: counts, and whether they mean anything. */
fxc_status fxc_flops_of_node(const struct fxc_rule *rule, const struct fxc_op_row *row, fxc_counts *counts,
                             uint8_t *coverage, fxc_error *err);

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
/* The product of sizes. */
int64_t fxc_tally_elements(struct fxc_tally *tally, const int64_t *size, uint32_t count);
/* Adds the additions that sum dimension `dim` of a tensor of these sizes, which becomes 1. */
void fxc_tally_sum(struct fxc_tally *tally, uint8_t dtype, int64_t *size, uint32_t count, uint32_t dim);
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
/* A number given as a literal; false when absent or computed. */
bool fxc_rule_float(const struct fxc_rule *rule, enum fxc_name name, double *out);

/* How often a node runs its body when that is the length of the first dimension of what it maps or scans over: of the
 * first tensor in `xs` (scan) or in the second operand (map). False when there is none, or its size has no value. */
bool fxc_body_length(const struct fxc_rule *rule, int64_t *out);

/* How many devices take part in a collective: its argument, or what the capture says of the group by its name. */
bool fxc_group_size(const struct fxc_rule *rule, int64_t *out);

#endif
