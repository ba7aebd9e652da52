/* memory: what is alive when, to the byte. docs/memory.md says which rules are followed, and how they were checked. */
#ifndef FXC_PASSES_MEMORY_H
#define FXC_PASSES_MEMORY_H

#include "passes/alias/alias.h"
#include "passes/rule.h"

/* A storage that is alive at the peak. */
struct fxc_holder {
    uint32_t value; /* the first value in it */
    int64_t bytes;
};

struct fxc_memory {
    /* Per node, at its first execution: bytes alive before it, after it with what it was the last to use gone, and the
     * most while it runs. -1 for a node that never runs. */
    int64_t *before, *after, *most;
    int64_t given_bytes; /* parameters, buffers, constants and inputs: alive from beginning to end */
    int64_t peak_bytes;
    uint32_t peak_node;        /* FXC_NONE when no node runs */
    int64_t hidden_bytes;      /* of the peak: what the node's own kernels hold beside its results */
    struct fxc_holder *holder; /* alive at the peak, largest first */
    uint32_t holder_count;
    int64_t state_bytes; /* of the optimiser, part of what is given: as in every step but the first */
    int64_t step_bytes;  /* alive at most while the named optimiser steps; 0 without one */
    bool peak_in_step;   /* peak_node is FXC_NONE then */
    int64_t allocated_bytes, reserved_bytes; /* at most, by the allocator model; -1 without one */
    uint32_t unsized;                        /* storages whose size depends on a symbol without a value: in no number */
    uint32_t untold;                         /* nodes whose kernels hold more than is known */
};

/* ---- what a node holds while it runs (passes/memory/temporaries.c) ------------------------------------------------
 */

/* Storages of the kernels behind one node that are no results of it. `beside` is alive together with all results,
 * `ahead` is gone when they are made. */
struct fxc_temporaries {
    int64_t beside, ahead;
    int64_t larger; /* bytes of the first result's storage beyond what was recorded: for as long as it lives */
};
typedef fxc_status (*fxc_temporary_rule)(const struct fxc_rule *rule, const int32_t params[2],
                                         struct fxc_temporaries *out);
struct fxc_temporary_row {
    const char *op;
    fxc_temporary_rule rule;
    int32_t params[2];
    const char *source; /* where torch allocates it */
};
extern const struct fxc_temporary_row fxc_temporary_rows[];
extern const uint32_t fxc_temporary_row_count;

/* The row of an operator; NULL when its kernels hold nothing but results. */
const struct fxc_temporary_row *fxc_temporary_find(const char *op);

/* ---- lifetimes (passes/memory/lifetimes.c) ------------------------------------------------------------------------
 */

/* Per value: the node of its own graph that uses it last. A result that nothing uses is held to the end by an
 * interpreter of the exported graph (in the model it is a variable that is never read again: torch.fx.Interpreter drops
 * a value after its last use only), and dropped at once by a body and by a program that was recorded as it ran. */
#define FXC_USED_NEVER FXC_NONE
#define FXC_USED_TO_THE_END (FXC_NONE - 1)
void fxc_last_uses(const struct fxc_program *program, uint32_t *last);
/* The same by nodes alone: FXC_USED_NEVER for what is only returned. */
void fxc_last_node_uses(const struct fxc_program *program, uint32_t *last);

/* ---- storages (passes/memory/sizes.c) -----------------------------------------------------------------------------
 */

/* Bytes of a memory class; -1 when a symbol has no value. */
int64_t fxc_class_bytes(const struct fxc_analysis *analysis, uint32_t memory);

#endif
