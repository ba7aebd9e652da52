/* optimizer: what a step of an optimiser computes (passes/optimizers.def). */
#ifndef FXC_PASSES_OPTIMIZER_H
#define FXC_PASSES_OPTIMIZER_H

#include "passes/analysis.h"

struct fxc_optimizer_row {
    const char *name;
    int64_t element, tensor, root; /* vector FLOPs per element and per tensor, square roots per element */
    bool factored;                 /* besides, what depends on rows and columns */
    const char *source;
};

struct fxc_optimizer {
    fxc_counts *counts; /* per param row */
    bool *updated;      /* per param row: does the step change it? */
};

/* Row `index`, NULL past the end; the row of a name, NULL when there is none. */
const struct fxc_optimizer_row *fxc_optimizer_at(uint32_t index);
const struct fxc_optimizer_row *fxc_optimizer_find(const char *name);

#endif
