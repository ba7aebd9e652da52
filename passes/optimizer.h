/* optimizer: what a step of an optimiser computes (passes/optimizers.def). */
#ifndef FXC_PASSES_OPTIMIZER_H
#define FXC_PASSES_OPTIMIZER_H

#include "passes/analysis.h"

struct fxc_optimizer_row {
    const char *name;
    int64_t element, tensor, root; /* vector FLOPs per element and per tensor, square roots per element */
    bool factored;                 /* besides, what depends on rows and columns */
    int64_t state, state_bytes;    /* kept between steps: elements per element, bytes per tensor */
    int64_t held, held_before;     /* elements held by the step of a tensor; of the tensor before; -1: not known */
    const char *source;
};

struct fxc_optimizer {
    fxc_counts *counts; /* per param row */
    bool *updated;      /* per param row: does the step change it? */
};

/* Bytes that the optimiser keeps for the parameters that it updates, and the most that its step holds beside them. True
 * on overflow. */
bool fxc_optimizer_bytes(const struct fxc_analysis *analysis, int64_t *state, int64_t *held);

/* Row `index`, NULL past the end; the row of a name, NULL when there is none. */
const struct fxc_optimizer_row *fxc_optimizer_at(uint32_t index);
const struct fxc_optimizer_row *fxc_optimizer_find(const char *name);

#endif
