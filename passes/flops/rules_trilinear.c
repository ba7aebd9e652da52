/* FLOP rule of aten._trilinear: two products of two tensors each. One that sums something is a batched matrix product,
 * in which what only one of the two has is summed before; one that sums nothing is a multiplication per element. */
#include "passes/flops/rules.h"
#include "passes/trilinear.h"

static int64_t elements(struct fxc_tally *tally, const int64_t *size, uint32_t dims) {
    int64_t product = 1;
    for (uint32_t i = 0; i < dims; i++) {
        product = fxc_times(tally, product, size[i]);
    }
    return product;
}

/* The additions that sum a dimension of these sizes. */
static void sum_away(struct fxc_tally *tally, const struct fxc_trilinear *p, int64_t *size, uint32_t dim) {
    int64_t before = elements(tally, size, p->dims);
    size[dim] = 1;
    int64_t after = elements(tally, size, p->dims);
    fxc_tally_work(tally, p->dtype, before > after ? before - after : 0, 0);
}

/* Multiplies operand b into a, and sums. */
static void multiply(struct fxc_tally *tally, const struct fxc_trilinear *p, int64_t *a, int64_t *b, uint64_t summed) {
    for (uint32_t dim = 0; dim < p->dims; dim++) {
        if ((summed >> dim & 1) != 0 && (a[dim] == 1) != (b[dim] == 1)) {
            sum_away(tally, p, a[dim] != 1 ? a : b, dim);
        }
    }
    for (uint32_t dim = 0; dim < p->dims; dim++) {
        a[dim] = a[dim] != 1 ? a[dim] : b[dim];
    }
    int64_t work = elements(tally, a, p->dims);
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
            sum_away(&tally, &product, product.size[0], dim);
        }
    }
    return fxc_tally_end(&tally, rule, err);
}
