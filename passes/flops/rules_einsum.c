/* FLOP rule of einsum: the pairwise contractions that torch.einsum runs, left to right or along `path`. A pair that
 * sums something is one batched matrix product; one that sums nothing is a multiplication per element; a dimension that
 * only one operand has is summed before the product. */
#include "passes/einsum.h"
#include "passes/flops/rules.h"

/* Contraction in progress: operands left, and how many of them still have each dimension. */
struct contraction {
    struct fxc_einsum equation;
    uint32_t order[FXC_EINSUM_OPERANDS]; /* rows of equation.size, in torch's order */
    uint32_t left;
    uint32_t holders[FXC_EINSUM_LABELS];
};

/* Contracts operand b into operand a. */
static void contract(struct contraction *c, struct fxc_tally *tally, int64_t *a, const int64_t *b_sizes) {
    struct fxc_einsum *equation = &c->equation;
    int64_t b[FXC_EINSUM_LABELS];
    uint64_t summed = 0;
    for (uint32_t i = 0; i < equation->labels; i++) {
        b[i] = b_sizes[i];
    }
    for (uint32_t i = equation->out_rank; i < equation->labels; i++) {
        if (a[i] != 1 && b[i] != 1) {
            if (--c->holders[i] == 1) {
                summed |= UINT64_C(1) << i;
                c->holders[i] = 0;
            }
        } else if (c->holders[i] == 1 && (a[i] != 1 || b[i] != 1)) {
            fxc_tally_sum(tally, equation->dtype, a[i] != 1 ? a : b, equation->labels, i);
            c->holders[i] = 0;
        }
    }
    int64_t work = 1;
    for (uint32_t i = 0; i < equation->labels; i++) {
        int64_t size = a[i] != 1 ? a[i] : b[i];
        work = fxc_times(tally, work, size);
        a[i] = (summed >> i & 1) != 0 ? 1 : size;
    }
    if (summed != 0) {
        fxc_tally_macs(tally, equation->dtype, work);
    } else {
        fxc_tally_work(tally, equation->dtype, work, 0);
    }
}

/* Takes operand `place` out of the order. */
static uint32_t take(struct contraction *c, uint32_t place) {
    uint32_t row = c->order[place];
    for (uint32_t i = place; i + 1 < c->left; i++) {
        c->order[i] = c->order[i + 1];
    }
    c->left--;
    return row;
}

/* One step of the path, the first two operands without one. */
static bool next_pair(const struct fxc_rule *rule, const struct contraction *c, uint32_t path, uint32_t step,
                      int64_t *first, int64_t *second) {
    *first = 0;
    *second = 1;
    if (path != FXC_NONE) {
        if (!fxc_rule_item_int(rule, path, 2 * step, first) || !fxc_rule_item_int(rule, path, 2 * step + 1, second)) {
            return false;
        }
        if (*first > *second) {
            int64_t larger = *first;
            *first = *second;
            *second = larger;
        }
    }
    return *first >= 0 && *first < *second && *second < c->left;
}

fxc_status fxc_flops_einsum(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct contraction c = {.left = 0};
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_einsum_read(rule, &c.equation));
    uint32_t path = fxc_rule_list(rule, FXC_NAME_path);
    for (; c.left < c.equation.operands; c.left++) {
        c.order[c.left] = c.left;
        for (uint32_t i = 0; i < c.equation.labels; i++) {
            c.holders[i] += c.equation.size[c.left][i] != 1;
        }
    }
    if (c.left == 1) {
        for (uint32_t i = c.equation.out_rank; i < c.equation.labels; i++) {
            fxc_tally_sum(&tally, c.equation.dtype, c.equation.size[0], c.equation.labels, i);
        }
    }
    for (uint32_t step = 0; c.left > 1; step++) {
        int64_t first, second;
        FXC_NEED(next_pair(rule, &c, path, step, &first, &second));
        uint32_t b = take(&c, (uint32_t)second), a = take(&c, (uint32_t)first);
        contract(&c, &tally, c.equation.size[a], c.equation.size[b]);
        /* torch puts the product first, or last when it follows a path. */
        if (path == FXC_NONE) {
            for (uint32_t i = c.left; i > 0; i--) {
                c.order[i] = c.order[i - 1];
            }
        }
        c.order[path == FXC_NONE ? 0 : c.left] = a;
        c.left++;
    }
    return fxc_tally_end(&tally, rule, err);
}
