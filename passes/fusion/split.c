/* Reductions to few elements, which leave most of a GPU idle, are computed in parts
 * (Reduction.num_splits of torch/_inductor/ir.py, InductorChoices.reduction_split_factor of choices.py). */
#include "passes/fusion/fold.h"

#include <stdlib.h>

enum {
    WARP = 32,          /* threads; also the least elements for each */
    MOST = 512,         /* elements for each thread */
    BLOCK = 256,        /* threads of a block */
    UNSPLIT = 8192,     /* elements that one block takes */
    OUTER_VALUES = 4,   /* elements for each thread, over an outer dimension */
    OUTER_RESULTS = 128 /* results of a block there */
};

static int64_t ceiling(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* The divisor of `number` that is nearest to `wanted`, the smaller of two. */
static int64_t nearest_divisor(int64_t number, int64_t wanted) {
    int64_t found = 1;
    for (int64_t d = 1; d <= number / d; d++) {
        if (number % d != 0) {
            continue;
        }
        int64_t pair[2] = {d, number / d};
        for (uint32_t i = 0; i < 2; i++) {
            int64_t off = llabs(pair[i] - wanted), best = llabs(found - wanted);
            found = off < best || (off == best && pair[i] < found) ? pair[i] : found;
        }
    }
    return found;
}

/* Elements of each thread: a divisor where one is near. */
static int64_t share_of(int64_t folded, int64_t wanted, int64_t near) {
    int64_t divisor = nearest_divisor(folded, wanted);
    if (llabs(divisor - wanted) >= near) {
        return wanted;
    }
    return divisor > WARP ? divisor : WARP;
}

/* `blocks`: that would fill the device; each takes `unit` elements for each of a thread's. */
static int64_t parts_of(const struct fxc_profile *p, int64_t folded, int64_t total, int64_t blocks, int64_t unit,
                        int64_t near) {
    int64_t threads = (int64_t)p->processors * p->threads, share;
    if (total <= WARP * threads) {
        share = WARP;
    } else if (total < MOST * threads) {
        share = share_of(folded, ceiling(folded, unit * blocks), near);
    } else {
        int64_t divisor = nearest_divisor(folded, MOST);
        share = llabs(divisor - MOST) < 50 ? divisor : MOST;
    }
    return ceiling(folded, share * unit);
}

/* What is folded, over the kept and folded dimensions, whose sizes are returned. */
static uint32_t body_of(struct fxc_engine *e, const struct fxc_fold *f, struct fxc_body *body) {
    int64_t all[FXC_LOOP_RANK];
    uint32_t variable[FXC_LOOP_RANK], map[FXC_LOOP_RANK];
    uint8_t rank = (uint8_t)(f->kept_rank + f->folded_rank);
    for (uint32_t d = 0; d < rank; d++) {
        all[d] = d < f->kept_rank ? f->kept[d] : f->folded[d - f->kept_rank];
    }
    fxc_engine_variables(e, all, rank, variable);
    for (uint32_t d = 0, k = 0, r = f->kept_rank; d < f->view.rank; d++) {
        map[d] = (f->dims >> d & 1u) != 0 ? variable[r++] : variable[k++];
    }
    uint32_t shape = fxc_engine_sizes(e, all, rank);
    fxc_body_start(e, body);
    fxc_body_inline(e, body, &f->view, map, e->size + shape);
    return shape;
}

/* Whether most reads that go over what is folded go over it densely. */
static bool folds_inside(struct fxc_engine *e, const struct fxc_fold *f) {
    struct fxc_body body;
    uint32_t shape = body_of(e, f, &body), rank = (uint32_t)f->kept_rank + f->folded_rank, inside = 0, outside = 0;
    for (uint32_t i = 0; i < body.load_count; i++) {
        struct fxc_load load = e->load[body.load_begin + i];
        if (load.buffer == FXC_NONE) {
            continue;
        }
        uint32_t address = fxc_load_address(e, &load, e->size + shape);
        bool folds = false, dense = false;
        for (uint32_t d = f->kept_rank; d < rank; d++) {
            int64_t stride = fxc_index_stride(&e->index, address, d);
            folds |= stride != 0;
            dense |= stride == 1;
        }
        inside += folds && dense;
        outside += folds && !dense;
    }
    return inside > outside;
}

/* The loops of reductions that a body reads, `depth` pointwise buffers away. */
struct before {
    int64_t kept, folded; /* 0: none so far */
    bool differ;
};

static void look_before(struct fxc_engine *e, const struct fxc_body *body, uint32_t depth, struct before *found) {
    for (uint32_t i = 0; i < body->load_count && !found->differ; i++) {
        uint32_t buffer = e->load[body->load_begin + i].buffer;
        uint32_t operation = buffer == FXC_NONE ? FXC_NONE : e->buffer[buffer].operation;
        if (operation == FXC_NONE || e->operation[operation].kind > FXC_OPERATION_REDUCTION) {
            continue;
        }
        const struct fxc_operation *op = &e->operation[operation];
        if (op->kind == FXC_OPERATION_POINTWISE && depth > 0) {
            look_before(e, &op->body, depth - 1, found);
        }
        if (op->kind == FXC_OPERATION_REDUCTION && depth == 0) {
            int64_t kept = fxc_product(e, e->size + op->shape, op->outer_rank);
            int64_t folded = fxc_product(e, e->size + op->shape + op->outer_rank, op->folded_rank);
            found->differ = found->folded != 0 && (found->kept != kept || found->folded != folded);
            found->kept = kept;
            found->folded = folded;
        }
    }
}

/* Parts in which the nearest reductions before go over the same elements, so that one kernel can do both
 * (extract_input_node_reduction_ranges of dependencies.py); 0: there are none, or they differ. */
static int64_t parts_before(struct fxc_engine *e, const struct fxc_fold *f) {
    enum { FAR = 4 };
    struct fxc_body body;
    struct before found = {0};
    int64_t all = 0;
    (void)body_of(e, f, &body);
    for (uint32_t depth = 0; depth < FAR && found.folded == 0; depth++) {
        look_before(e, &body, depth, &found);
    }
    e->overflowed |= fxc_mul(found.kept, found.folded, &all);
    return found.differ || all != f->elements ? 0 : found.kept;
}

int64_t fxc_fold_splits(struct fxc_engine *e, const struct fxc_fold *f) {
    const struct fxc_profile *p = e->profile;
    int64_t kept = fxc_product(e, f->kept, f->kept_rank), total = 0;
    if (p->processors == 0 || f->whole || kept <= 0 || f->elements <= WARP ||
        kept >= (int64_t)p->processors * 2 * WARP) {
        return 1;
    }
    e->overflowed |= fxc_mul(kept, f->elements, &total);
    int64_t threads = (int64_t)p->processors * p->threads;
    if (kept == 1 || folds_inside(e, f)) {
        if (kept >= 2 * (int64_t)p->processors || f->elements <= UNSPLIT) {
            return 1;
        }
        int64_t parts = parts_of(p, f->elements, total, ceiling(threads / (2 * BLOCK), kept), BLOCK, 30);
        int64_t before = kept == 1 && parts > 1 ? parts_before(e, f) : 0;
        return before > 1 ? before : parts;
    }
    int64_t blocks = ceiling(threads / BLOCK, ceiling(kept, OUTER_RESULTS));
    return parts_of(p, f->elements, total, blocks, OUTER_VALUES, 20);
}
