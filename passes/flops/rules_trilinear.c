/* FLOP rule of aten._trilinear: two products of two tensors each. One that sums something is a batched matrix product,
 * in which what only one of the two has is summed before; one that sums nothing is a multiplication per element. */
#include "passes/flops/rules.h"
#include "passes/trilinear.h"

/* Multiplies operand b into a, and sums. */
static void multiply(struct fxc_tally *tally, const struct fxc_trilinear *p, int64_t *a, int64_t *b, uint64_t summed) {
    for (uint32_t dim = 0; dim < p->dims; dim++) {
        if ((summed >> dim & 1) != 0 && (a[dim] == 1) != (b[dim] == 1)) {
            fxc_tally_sum(tally, p->dtype, a[dim] != 1 ? a : b, p->dims, dim);
        }
    }
    for (uint32_t dim = 0; dim < p->dims; dim++) {
        a[dim] = a[dim] != 1 ? a[dim] : b[dim];
    }
    int64_t work = fxc_tally_elements(tally, a, p->dims);
    if (summed == 0) {
        fxc_tally_work(tally, p->dtype, work, 0);
        return;
    }
    fxc_tally_macs(tally, p->dtype, work);
    for (uint32_t dim = 0; dim < p->dims; dim++) {
        a[dim] = (summed >> dim & 1) != 0 ? 1 : a[dim];
    }
}

fxc_status fxc_flops_trilinear(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_trilinear product;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_trilinear_read(rule, &product));
    multiply(&tally, &product, product.size[0], product.size[1], product.summed_first);
    multiply(&tally, &product, product.size[0], product.size[2], product.summed_second);
    for (uint32_t dim = 0; dim < product.dims; dim++) {
        if ((product.summed >> dim & 1) != 0) { /* what is left of them is the unrolled one */
            fxc_tally_sum(&tally, product.dtype, product.size[0], product.dims, dim);
        }
    }
    return fxc_tally_end(&tally, rule, err);
}
