/* An analysis: a program under options, and the facts computed so far. */
#ifndef FXC_PASSES_ANALYSIS_H
#define FXC_PASSES_ANALYSIS_H

#include "fxcost/fxcost.h"
#include "fxcost/op.h"
#include "ir/arena.h"
#include "ir/arith.h"
#include "ir/error.h"
#include "ir/expr.h"
#include "ir/program.h"

/* Facts, one per pass, in pipeline order. Fact name = pass name = file name. */
#define FXC_FACT_LIST(X)                                                                                               \
    X(verify)                                                                                                          \
    X(shapes)                                                                                                          \
    X(alias)                                                                                                           \
    X(flops)                                                                                                           \
    X(params)                                                                                                          \
    X(saved)                                                                                                           \
    X(optimizer)                                                                                                       \
    X(traffic)                                                                                                         \
    X(metrics)                                                                                                         \
    X(memory)                                                                                                          \
    X(fusion)                                                                                                          \
    X(tree)                                                                                                            \
    X(tool)                                                                                                            \
    X(cost)                                                                                                            \
    X(kernel_cost)                                                                                                     \
    X(measured)                                                                                                        \
    X(loops)                                                                                                           \
    X(report)

enum fxc_fact {
#define X(name) FXC_FACT_##name,
    FXC_FACT_LIST(X)
#undef X
        FXC_FACT_COUNT
};
#define FXC_FACT_BIT(name) (1u << FXC_FACT_##name)

struct fxc_device;
struct fxc_convention;
struct fxc_profile;
struct fxc_optimizer_row;
struct fxc_custom;
struct fxc_custom_index;
struct fxc_custom_metrics;
struct fxc_backend_handle;

/* What probabilities are counted in. */
enum { FXC_PROBABILITY_UNIT = 1000 * 1000 };

/* Sizes other than recorded are an error, and under STRICT a type or strides too; under LISTED nothing is: values are
 * marked, and the recording stands. */
enum fxc_shape_policy { FXC_SHAPES_AS_RECORDED, FXC_SHAPES_STRICT, FXC_SHAPES_LISTED };

struct fxc_analysis {
    const struct fxc_program *program;
    uint32_t facts;                         /* bits of facts that are present */
    struct fxc_arena arena[FXC_FACT_COUNT]; /* owns each fact */
    struct fxc_binding *bindings;           /* per symbol */
    int64_t world_size, model_parallel;     /* devices in all, and that one copy of the model is spread over; 0: one */
    int64_t attention_window;               /* 0: every pair of positions counts (struct fxc_rule) */
    int64_t *sequences;                     /* lengths of packed sequences; NULL: not told */
    uint32_t sequence_count;
    int32_t *probability;                       /* per node, of the branch taken when true, in millionths; -1, or NULL
                                                   altogether, where none is given */
    struct fxc_custom *custom;                  /* what the user added to the operator table; NULL: nothing */
    struct fxc_custom_metrics *metrics_of_user; /* NULL: none */
    bool borrows;                       /* probability, sequences, custom and metrics belong to another analysis */
    enum fxc_shape_policy shape_policy; /* what becomes of a rule that contradicts the recording */
    uint32_t single_trip;               /* a loop that counts once, or FXC_NONE (passes/loops.c) */
    bool cuda_allocator;                /* replay the run through the allocator model */
    const struct fxc_device *device;    /* NULL: none named */
    struct fxc_device *own_device;      /* read from a file; owned, or NULL */
    double measured_seconds;            /* that one run took; 0: not given */
    struct fxc_backend_handle *backend; /* a plug-in, passes/cost/backend.h; NULL: none */
    const struct fxc_optimizer_row *optimizer_row; /* NULL: no step of an optimiser */
    const struct fxc_convention *convention;       /* NULL: fxcost itself */
    const struct fxc_program *forward;             /* of a training step: its forward pass alone, or NULL */
    const struct fxc_profile *profile;             /* what runs as one kernel */
    struct fxc_profile *own_profile;               /* read from a file; owned, or NULL */

    struct fxc_tree *tree;
    struct fxc_shapes *shapes;
    struct fxc_alias *alias;
    struct fxc_flops *flops;
    struct fxc_params *params;
    struct fxc_saved *saved;
    struct fxc_optimizer *optimizer;
    struct fxc_traffic *traffic;
    struct fxc_metrics *metrics;
    struct fxc_memory *memory;
    struct fxc_fusion *fusion;
    struct fxc_tool *tool;
    struct fxc_measured *measured;
    struct fxc_cost *cost;
    struct fxc_kernel_cost *kernel_cost;
    struct fxc_loops *loops;
    struct fxc_report *report;
};

/* A pass: computes its fact into analysis-><name> from analysis->arena[fact]. */
typedef fxc_status (*fxc_pass_fn)(struct fxc_analysis *analysis, fxc_error *err);
struct fxc_pass {
    const char *name, *summary;
    uint32_t needs;   /* bits of facts */
    uint32_t options; /* bits of enum fxc_option (enums.h) that the fact itself reads */
    fxc_pass_fn run;
};
/* The visible pass list, in passes/pass.c, indexed by enum fxc_fact. */
extern const struct fxc_pass fxc_passes[FXC_FACT_COUNT];

#define X(name) fxc_status fxc_run_##name(struct fxc_analysis *analysis, fxc_error *err);
FXC_FACT_LIST(X)
#undef X

/* A new analysis of the same program under the same options, which it borrows: free it first. */
fxc_status fxc_analysis_borrow(const struct fxc_analysis *analysis, struct fxc_analysis **out, fxc_error *err);

/* fxc_require by bits. */
fxc_status fxc_require_facts(struct fxc_analysis *analysis, uint32_t facts, fxc_error *err);
/* Drops the facts that depend on these options (bits of enum fxc_option), and those that need them. */
void fxc_drop_facts(struct fxc_analysis *analysis, uint32_t options);

/* Checks the program's constraints on expressions under the bindings (passes/shapes/constraints.c). */
fxc_status fxc_check_constraints(const struct fxc_analysis *analysis, fxc_error *err);
/* Refuses a graph without shapes whose inputs have no sizes yet, naming them (passes/resolve/unresolved.c). */
fxc_status fxc_check_resolved(const struct fxc_program *program, fxc_error *err);

/* ---- facts ------------------------------------------------------------------------------------------------------ */

/* tree: how often each graph runs in one run of graph 0. */
struct fxc_tree {
    int64_t *graph_times;  /* per graph, times `unit`; 0 when no run, or an unknown number of them, is counted */
    int64_t unit;          /* 1, or a million where a branch has a probability */
    uint32_t *graph_owner; /* per graph: the first node that calls it, FXC_NONE for graph 0 and unused ones */
};

/* Where the shape of a value comes from. */
enum fxc_shape_source { FXC_SHAPE_RECORDED, FXC_SHAPE_RULE, FXC_SHAPE_TAGGED, FXC_SHAPE_NOT_A_TENSOR };

/* shapes: concrete sizes of every tensor value under the bindings. */
struct fxc_shapes {
    const int64_t *size;   /* pool; dims of value v start at dim_begin[v] */
    const int64_t *stride; /* pool, parallel to size */
    uint32_t *dim_begin;   /* per value */
    uint8_t *rank;         /* per value; 0 too for a value that is no tensor */
    uint8_t *dtype;        /* per value; FXC_DTYPE_OPAQUE for a value that is no tensor */
    int64_t *numel;        /* per value; 0 for a value that is no tensor, -1 when a symbol has no value */
    int64_t *offset;       /* per value: storage offset in elements */
    uint8_t *source;       /* per value: enum fxc_shape_source */
    uint8_t *told;         /* per value: bits of enum fxc_shape_told (fxcost.h) */
    uint32_t given_values; /* those that no node computes */
    uint8_t default_dtype; /* of numbers with a fraction, and of factories */
    const uint8_t *casts;  /* [graphs][FXC_CAST_DEVICES], NULL without autocast; see passes/shapes/autocast.h */
    uint32_t dtype_values, stride_values; /* those whose type, whose strides a rule told */
    uint32_t contradicted_values;         /* those where a rule told something else: the recording stands */
    uint32_t contradicted_node;           /* the first node of these, or FXC_NONE */
    enum fxc_shape_policy policy;
};

/* flops: counts per node (macs .. int_ops set, bytes zero) and coverage. */
struct fxc_flops {
    fxc_counts *counts;              /* per node */
    uint8_t *coverage;               /* per node: fxc_coverage */
    struct fxc_custom_index *custom; /* NULL when the user added nothing */
};

/* params: totals over distinct storages. */
struct fxc_params {
    int64_t params, param_bytes, buffers, buffer_bytes;
    int64_t trainable, trainable_bytes; /* parameters that require a gradient under any of their names */
    int64_t active;                     /* of params: those that one token meets (passes/experts.c) */
    int64_t *numel, *bytes;             /* per param row */
    uint8_t *first;                     /* per param row: the first with its storage, which is the one that counts */
};
/* Sets params->active; the rest of params is counted already. */
fxc_status fxc_count_active(const struct fxc_analysis *analysis, struct fxc_arena *arena, struct fxc_params *params,
                            fxc_error *err);

/* saved: bytes kept for the backward pass. */
struct fxc_saved {
    int64_t *bytes;                    /* per node: storages that it made */
    int64_t buffer_bytes, input_bytes; /* besides: buffers, and other inputs that are no parameters */
};

/* traffic: bytes and kernels per node, each run by eager dispatch. */
struct fxc_traffic {
    int64_t *bytes_read, *bytes_written; /* per node */
    int32_t *kernels;                    /* per node */
};

/* metrics: what the metrics of the user's own say of each node. */
struct fxc_metrics {
    uint32_t count;
    int64_t *value[FXC_MAX_METRICS];    /* per node, of one execution */
    uint8_t *coverage[FXC_MAX_METRICS]; /* per node: fxc_coverage; ZERO where the metric has no formula for it */
};

/* cost: what the timing model says of each node; absent without a device. */
struct fxc_cost {
    double *seconds, *efficiency, *error; /* NAN where not known */
    double *peak_seconds;                 /* of the matrix products at the device's peak */
    uint8_t *work;                        /* fxc_work_kind (fxcost/backend.h) */
    uint8_t *bound;                       /* fxc_bound */
    uint8_t *source;                      /* fxc_time_source (fxcost/backend.h) */
    /* Per param row, of the optimiser's step; seconds 0 where none updates it. */
    double *step_seconds;
    uint8_t *step_bound, *step_source;
    const struct fxc_context *context; /* what the model is told beside a node (passes/cost/work.h) */
};

/* measured: what a real run took, in seconds (medians, and the least of all runs) and bytes of live tensors. */
struct fxc_measured {
    double *seconds, *least;        /* per node, NAN where it was not measured; NULL: nothing was, or at other sizes */
    int64_t *before, *after, *most; /* bytes alive, per node; -1 where not measured */
    double whole, whole_least, compiled, compiled_least; /* of the model without instruments; NAN: not measured */
};

/* optimizer: see passes/optimizer.h. alias: see passes/alias/alias.h. memory: see passes/memory/memory.h. fusion: see
 * passes/fusion/fusion.h. kernel_cost: see passes/kernel_cost/kernel_cost.h. tool: see passes/tool/tool.h. loops: see
 * passes/loops.h. report: see passes/report/report.h. */

#endif
