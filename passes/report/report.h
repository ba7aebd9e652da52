/* report: the sums that every face shows. */
#ifndef FXC_PASSES_REPORT_H
#define FXC_PASSES_REPORT_H

#include "passes/analysis.h"

/* Of a metric of the user's own. */
struct fxc_metric_sum {
    int64_t value, nodes, unknown_nodes; /* as in fxc_metric_total */
};

/* A sum over node executions. */
struct fxc_sum {
    fxc_counts counts;
    int64_t nodes;            /* executions */
    int64_t unknown_nodes;    /* of these, without a formula */
    int64_t ignored_nodes;    /* executions left out on request, which are in nothing else */
    int64_t unknown_elements; /* their output elements */
    int64_t activations;      /* output elements of matrix products and convolutions */
    int64_t output_elements;  /* output elements of nodes that compute */
    int64_t tool, tool_macs;  /* what the tool of the convention counts; 0 under fxcost's own */
    double seconds;           /* NAN without a device, or when one of the times is not known */
    double measured;          /* seconds that a real run took; NAN where it was not measured */
    double seconds_by_bound[4], seconds_by_source[5], seconds_error, peak_seconds; /* as in fxc_totals */
    int64_t phase_flops[FXC_PHASE_COUNT];
    int64_t saved_bytes; /* kept for the backward pass */
    struct fxc_metric_sum metric[FXC_MAX_METRICS];
    int64_t peak_bytes; /* alive at most while one of the nodes runs: the largest, not a sum; 0 for none */
};

struct fxc_report {
    fxc_totals totals;
    fxc_unknown_op *unknown; /* largest share first */
    uint32_t unknown_count;
    double measured; /* seconds of all nodes in a real run, NAN without one */
    bool phased;     /* more than a forward pass was captured */
    struct fxc_metric_sum metric[FXC_MAX_METRICS];

    /* Per module; a node belongs to the module of its innermost call, a total includes the modules below. */
    struct fxc_sum *module_self, *module_total;
    int64_t *module_params; /* elements of parameters owned by the module or one below, shared storages once */
    int64_t *module_calls;
    int64_t *module_reached;  /* calls of it and of all below, and nodes that it does itself; 0: it has no part */
    int64_t *module_unhooked; /* of them, explicit calls of forward, past the hooks */
    uint32_t *node_module;    /* per node */
    struct fxc_sum *op;       /* per op of the program */
};

/* The part of a training step that a node belongs to. */
enum fxc_phase fxc_node_phase(const struct fxc_program *program, uint32_t node);

/* Counts of one execution of a node, bytes and kernels included; needs the facts flops and traffic. */
fxc_counts fxc_node_counts(const struct fxc_analysis *analysis, uint32_t node);
/* Sum over all executions of a node of this graph, which runs; FXC_OVERFLOW names the node. */
fxc_status fxc_node_sum(const struct fxc_analysis *analysis, uint32_t node, uint32_t graph, struct fxc_sum *out,
                        fxc_error *err);
/* The times of `times` executions of a node; needs a device. */
void fxc_time_sum(const struct fxc_analysis *analysis, uint32_t node, double times, struct fxc_sum *out);
/* The optimiser's step on a parameter; needs the fact optimizer. */
struct fxc_sum fxc_optimizer_sum(const struct fxc_analysis *analysis, uint32_t param);
/* a += b; true on overflow. */
bool fxc_sum_add(struct fxc_sum *a, const struct fxc_sum *b);
/* An empty sum, with seconds 0 under a device and NAN without. */
struct fxc_sum fxc_sum_zero(const struct fxc_analysis *analysis);

static inline int64_t fxc_flops_of(const fxc_counts *counts) {
    return counts->matrix_flops + counts->vector_flops; /* the sum is checked where counts are added */
}

#endif
