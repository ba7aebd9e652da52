/* Formulas of the user's own: for operators and module classes that fxcost has none for, or counts in another way, and
 * for metrics that fxcost does not know. */
#ifndef FXCOST_OP_H
#define FXCOST_OP_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One execution of an operator, or one call of a module, as a formula sees it; valid during the callback only. */
typedef struct fxc_op_call fxc_op_call;

typedef struct fxc_tensor_info {
    size_t struct_size;
    const int64_t *size, *stride; /* [rank]; strides in elements */
    int64_t numel;
    uint32_t rank;
    uint8_t dtype; /* enum fxc_dtype */
} fxc_tensor_info;

/* Name of the operator ("aten.mm.default"), or class of the module. */
FXC_API const char *fxc_op_call_name(const fxc_op_call *call);
/* Tensor argument by its name in the operator's schema ("self"); of a module "in0", "in1". A list of tensors has its
 * items as "tensors.0", "tensors.1". False when there is none, or when a size of it has no value. */
FXC_API bool fxc_op_call_tensor(const fxc_op_call *call, const char *argument, fxc_tensor_info *out);
/* Tensor result `index`, 0 for a single one. */
FXC_API bool fxc_op_call_result(const fxc_op_call *call, uint32_t index, fxc_tensor_info *out);
/* Integer or bool argument by name; of a module an entry of its configuration ("in_features"). Items of a list as
 * "kernel_size.0". False when absent, left at its default, or without a value. */
FXC_API bool fxc_op_call_int(const fxc_op_call *call, const char *argument, int64_t *out);

/* Counts one execution: sets macs, matrix_flops, vector_flops, transcendentals and int_ops of *out, which come in as 0,
 * and nothing else. FXC_UNKNOWN_OPS: it cannot tell, the node is unknown. Other errors end the analysis. Called from
 * the thread that runs the analysis, one call at a time. */
typedef fxc_status (*fxc_op_count_fn)(const fxc_op_call *call, fxc_counts *out, void *context, fxc_error *err);

typedef struct fxc_op_desc {
    size_t struct_size;
    /* An overload ("mylib.scan.default"), all overloads of an operator ("mylib.scan", "mylib::scan"), or a module class
     * ("my.package.Scan"), whose calls then count as a whole and what they call does not. Copied. */
    const char *name;
    bool is_module;
    fxc_op_count_fn count;
    void *context; /* must outlive the analysis */
} fxc_op_desc;

/* Gives an analysis a formula, before any of the table's own; of several for one name the last one counts. It holds
 * under the convention "fxcost". Errors: FXC_USAGE, FXC_MEMORY. */
FXC_API fxc_status fxc_analysis_add_op(fxc_analysis *analysis, const fxc_op_desc *desc, fxc_error *err);
/* Reads formulas, exclusions, corrections and metrics from a text file (docs/formulas.md). `name` is for messages.
 * Errors name the line: FXC_USAGE; FXC_MEMORY. */
FXC_API fxc_status fxc_analysis_add_formulas(fxc_analysis *analysis, const char *text, size_t size, const char *name,
                                             fxc_error *err);
/* Leaves out what an operator, or everything below a module (by its qualified name), does. Nodes that are left out
 * are in no total, and reports say how many they are. */
FXC_API fxc_status fxc_analysis_ignore_op(fxc_analysis *analysis, const char *name, fxc_error *err);
FXC_API fxc_status fxc_analysis_ignore_module(fxc_analysis *analysis, const char *module, fxc_error *err);
/* Multiplies the counts of an operator by a decimal number from 0 on ("1.07"), exactly, rounded half up per node. */
FXC_API fxc_status fxc_analysis_scale_op(fxc_analysis *analysis, const char *name, const char *factor, fxc_error *err);

/* ---- metrics of your own: numbers that reports add up and show as they do FLOPs ---------------------------------- */

enum { FXC_MAX_METRICS = 4, FXC_METRIC_NAME_SIZE = 32 };

/* Measures one execution: sets *out, which comes in as 0 and is no number below 0. The rest as of fxc_op_count_fn. */
typedef fxc_status (*fxc_metric_fn)(const fxc_op_call *call, int64_t *out, void *context, fxc_error *err);
/* What the node does by the formulas of the operator table, corrections included, and the bytes that it moves. False
 * outside formulas of metrics, of a module's call, and where the node has no formula. */
FXC_API bool fxc_op_call_counts(const fxc_op_call *call, fxc_counts *out);

typedef struct fxc_metric_desc {
    size_t struct_size;
    const char *metric; /* its name: a letter, then letters, digits and '_', at most 31 in all. Copied, as all here */
    /* As in fxc_op_desc; "*" for every operator that computes or runs a kernel and has no formula of its own. */
    const char *name;
    bool is_module;
    fxc_metric_fn measure;
    void *context; /* must outlive the analysis */
} fxc_metric_desc;

/* Gives a metric, new or not, a formula. A metric is the sum over the nodes that one of its formulas holds for; nodes
 * whose formula cannot tell are counted apart, and nodes that are left out have none. Errors: FXC_USAGE (a fifth
 * metric among them), FXC_MEMORY. */
FXC_API fxc_status fxc_analysis_add_metric(fxc_analysis *analysis, const fxc_metric_desc *desc, fxc_error *err);

typedef struct fxc_metric_total {
    size_t struct_size;
    const char *name;      /* valid while the analysis lives */
    int64_t value;         /* over all executions of all nodes */
    int64_t nodes;         /* executions that a formula told */
    int64_t unknown_nodes; /* those that one could not tell: they are in no value */
} fxc_metric_total;
/* Metric `index`, in the order in which they were named; FXC_USAGE past the last. */
FXC_API fxc_status fxc_analysis_metric(fxc_analysis *analysis, uint32_t index, fxc_metric_total *out, fxc_error *err);
/* The same of one execution of a node. */
FXC_API fxc_status fxc_analysis_node_metric(fxc_analysis *analysis, uint32_t index, uint32_t node,
                                            fxc_metric_total *out, fxc_error *err);

/* What was set by the functions above but fxc_analysis_add_metric, in order, for reports. */
typedef struct fxc_correction {
    size_t struct_size;
    const char *text; /* "formula mylib.scan", "scale aten.mm.default by 1.07", "ignore module head" */
    int64_t nodes;    /* how many nodes of the program it concerns */
} fxc_correction;
/* FXC_USAGE beyond the last. */
FXC_API fxc_status fxc_analysis_correction(fxc_analysis *analysis, uint32_t index, fxc_correction *out, fxc_error *err);

/* Writes a stub for every operator without a formula, in the syntax that fxc_analysis_add_formulas reads: its name, the
 * arguments and sizes of its first execution, and a statement to complete, behind a # that makes it a comment. Errors:
 * those of the analysis, FXC_IO. */
FXC_API fxc_status fxc_analysis_stubs(fxc_analysis *analysis, fxc_write_fn write, void *context, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
