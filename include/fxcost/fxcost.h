/* fxcost: what a PyTorch model costs, op by op.
 *
 * A program is a loaded .fxir file: immutable, and safe to share between threads. An analysis is a program seen under
 * options (symbol bindings, convention, fusion profile, device); it computes facts on request and owns them. An
 * analysis may be used by one thread at a time; any number of analyses may work on one program at once.
 *
 * Functions that can fail return an fxc_status and fill *err when err is not NULL. The library never prints, never
 * exits, never reads the environment and keeps no global state. Units are in the names: flops, macs, bytes, seconds.
 */
#ifndef FXCOST_FXCOST_H
#define FXCOST_FXCOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fxcost/enums.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FXC_API __attribute__((visibility("default")))
#else
#define FXC_API
#endif

#define FXC_VERSION_MAJOR 0
#define FXC_VERSION_MINOR 1
#define FXC_VERSION_PATCH 0
#define FXC_VERSION "0.1.0"

/* Version of the .fxir format that this library reads: the major must match, a newer minor is read as far as known. */
#define FXC_FORMAT_MAJOR 1
#define FXC_FORMAT_MINOR 3

/* "No such row" in every optional index. */
#define FXC_NONE UINT32_MAX

/* Result of a call. The CLI's exit codes are these numbers. X(NAME, number, meaning). */
#define FXC_STATUS_LIST(X)                                                                                             \
    X(OK, 0, "success")                                                                                                \
    X(UNKNOWN_OPS, 1, "operators without a formula, and --fail-on-unknown was given")                                  \
    X(USAGE, 2, "wrong command line, option or argument")                                                              \
    X(IO, 3, "a file could not be read or written")                                                                    \
    X(FORMAT, 4, "not a valid .fxir or text file, or of a newer major version")                                        \
    X(PROGRAM, 5, "the program contradicts itself")                                                                    \
    X(CAPTURE, 6, "the model could not be captured")                                                                   \
    X(UNBOUND, 7, "a symbol has no value")                                                                             \
    X(OVERFLOW, 8, "a number does not fit in 64 bits")                                                                 \
    X(MEMORY, 9, "out of memory")                                                                                      \
    X(DEVICE, 10, "unknown device, or one that lacks a needed figure")                                                 \
    X(INTERNAL, 70, "a bug in fxcost")

typedef enum fxc_status {
#define FXC_X_STATUS(name, number, text) FXC_##name = number,
    FXC_STATUS_LIST(FXC_X_STATUS)
#undef FXC_X_STATUS
} fxc_status;

/* What went wrong: where it was seen, what was expected there, what was found, what to do. The caller owns it and sets
 * struct_size once (FXC_ERROR_INIT). `message` joins the parts in one text of one to three lines. */
typedef struct fxc_error {
    size_t struct_size;
    int32_t status;
    uint32_t node; /* the node concerned, or FXC_NONE */
    char where[256];
    char expected[256];
    char found[256];
    char advice[256];
    char message[1100];
} fxc_error;
#define FXC_ERROR_INIT {sizeof(fxc_error), 0, FXC_NONE, {0}, {0}, {0}, {0}, {0}}

/* The library's version ("0.1.0"). */
FXC_API const char *fxc_version(void);
/* The meaning of a status in a few words; "unknown status" for a number that is none. */
FXC_API const char *fxc_status_text(int32_t status);
/* The text of entry `index` of an enumeration ("dtype", "kind", "token", "op_tag", ... : the X lists of enums.h in
 * lower case without FXC_ and _LIST), NULL past the end or for an unknown enumeration. For bit sets the index is the
 * bit. */
FXC_API const char *fxc_enum_text(const char *enumeration, uint32_t index);

/* ---- programs --------------------------------------------------------------------------------------------------- */

typedef struct fxc_program fxc_program;

/* Receives text or bytes; returns false to stop, which makes the caller return FXC_IO. */
typedef bool (*fxc_write_fn)(void *context, const char *bytes, size_t size);

/* Opens a .fxir file (mapped, not copied) or a text-form file, told apart by their content, and checks every index,
 * enumerator, order, alignment and size in it. A mapped file must not be changed while the program lives: write a new
 * one and rename it, as fxcost does. Errors: FXC_IO, FXC_FORMAT, FXC_MEMORY. */
FXC_API fxc_status fxc_program_open(const char *path, fxc_program **out, fxc_error *err);
/* The same from memory, which is copied; `name` stands for the file in messages. */
FXC_API fxc_status fxc_program_from_memory(const void *bytes, size_t size, const char *name, fxc_program **out,
                                           fxc_error *err);
FXC_API void fxc_program_free(fxc_program *program);
/* Writes the text form: one line a node, exact, parsed back by the two functions above. */
FXC_API fxc_status fxc_program_print(const fxc_program *program, fxc_write_fn write, void *context, fxc_error *err);
/* FXC_OK with *equal set. Two programs are equal when they say the same, however their tables share rows. On
 * inequality and err given, err->message names the first difference. */
FXC_API fxc_status fxc_program_equal(const fxc_program *a, const fxc_program *b, bool *equal, fxc_error *err);

typedef struct fxc_program_info {
    size_t struct_size;
    uint16_t format_major, format_minor;
    uint32_t nodes, values, graphs, modules, ops, symbols, params;
    const char *file; /* the name it was opened under; lives as long as the program, like all strings below */
    const char *producer, *torch_version, *model, *route, *dialect, *inputs;
    bool training, grad;
} fxc_program_info;
/* Head of a program; info->struct_size must be set. */
FXC_API fxc_status fxc_program_get_info(const fxc_program *program, fxc_program_info *info, fxc_error *err);

/* Name of dynamic dimension `index` by the user's name for it, else torch's symbol; NULL past the end. Sizes that data
 * decide are none. */
FXC_API const char *fxc_program_dimension(const fxc_program *program, uint32_t index);

typedef struct fxc_node_info {
    size_t struct_size;
    uint32_t graph;
    const char *name; /* FX name, "linear_3" */
    const char *op;   /* "aten.linear.default" */
    const char *file; /* source position, NULL when unknown or stripped */
    uint32_t line;
    uint32_t call; /* innermost module call or FXC_NONE */
} fxc_node_info;
FXC_API fxc_status fxc_program_get_node(const fxc_program *program, uint32_t node, fxc_node_info *info, fxc_error *err);

/* ---- analyses --------------------------------------------------------------------------------------------------- */

typedef struct fxc_analysis fxc_analysis;

/* A new analysis of graph 0 under the default options. The program must outlive it. */
FXC_API fxc_status fxc_analysis_new(const fxc_program *program, fxc_analysis **out, fxc_error *err);
FXC_API void fxc_analysis_free(fxc_analysis *analysis);
/* Sets one option; facts that depend on it are dropped, others are kept. Options:
 *   "convention"  "fxcost"
 *   "profile"     a name from fxc_profile_get(), "eager" if none is set, or the path of a profile file (with a '/' or
 *                 ending in .profile; fxcost/fusion.h)
 *   "backend"     path of a plug-in (fxcost/backend.h), given before "device"; "" for none
 *   "device"      a name from fxc_device_get(), the path of a device file (with a '/' or ending in .device;
 *                 fxcost/device.h), or "" for none
 *   "shapes"      "recorded" (default): where a shape rule tells another element type or other strides than were
 *                 recorded, the recording stands and the totals count the value; "strict": an error. Other sizes than
 *                 recorded are an error under both; "listed": nothing is an error, the recording stands, and
 *                 fxc_analysis_value_agrees says what each value's rules tell
 *   "measured"    seconds that one run took, for achieved FLOP/s and utilisation; "" for none
 *   "optimizer"   "sgd", "momentum", "nesterov", "adam", "adamw", "adafactor" or "lion": its step counts too, on every
 *                 parameter that gets a gradient; "" for none
 *   "allocator"   "exact" (default): bytes of tensors; "cuda": besides, a replay through torch's allocator of device
 *                 memory (fxcost/memory.h)
 *   "dim.NAME"    the value of a symbol, by the user's Dim name or torch's symbol name ("" takes the captured hint)
 *   "attention"   "full" (default): every pair of a query and a key counts; "causal": in calls with is_causal only
 *                 pairs with a key at or before the query; "window:N": of these the last N keys of each query
 *   "sequences"   "128,64,256": the lengths of the sequences that varlen attention finds packed, which are data; "" for
 *                 none told
 *   "world_size", "model_parallel"  devices in all, and devices that one copy of the model is spread over: a report's
 *                 head gives the whole model's FLOPs and parameters, those counted times model_parallel
 *   "probability.NAME"  that the condition of the cond named NAME is true, from 0 to 1: both branches then count by
 *                 their share, rounded per node ("" counts the dearer branch, the default)
 * Errors: FXC_USAGE, FXC_DEVICE. */
FXC_API fxc_status fxc_analysis_set(fxc_analysis *analysis, const char *option, const char *value, fxc_error *err);
/* Computes a fact ("verify", "shapes", "flops", ...: fxc_pass_get lists them) and all it needs, if missing. */
FXC_API fxc_status fxc_require(fxc_analysis *analysis, const char *fact, fxc_error *err);

/* Work of a node, or of many. Each number is kept apart: macs are multiply-adds of matrix products and convolutions;
 * matrix_flops = 2 per MAC; vector_flops are all other floating-point operations; transcendentals (exp, log, sin, erf,
 * sqrt, ... one each) and int_ops (integer and boolean operations) are no FLOPs. */
typedef struct fxc_counts {
    int64_t macs, matrix_flops, vector_flops, transcendentals, int_ops;
    int64_t bytes_read, bytes_written;
    int64_t kernels; /* dispatched computations under the profile; views and metadata are none */
} fxc_counts;

typedef enum fxc_coverage {
    FXC_COVERAGE_COUNTED = 0, /* a formula gave the numbers */
    FXC_COVERAGE_ZERO = 1,    /* known to compute nothing: a claim, not a gap */
    FXC_COVERAGE_UNKNOWN = 2, /* no formula: the numbers are not known, and are in no total */
    FXC_COVERAGE_IGNORED = 3, /* left out on request (fxcost/op.h): the numbers are in no total */
} fxc_coverage;

typedef enum fxc_bound { FXC_BOUND_UNKNOWN = 0, FXC_BOUND_COMPUTE, FXC_BOUND_MEMORY, FXC_BOUND_OVERHEAD } fxc_bound;

typedef struct fxc_node_cost {
    size_t struct_size;
    fxc_counts counts;     /* of one execution of the node */
    int64_t times;         /* how often its graph runs in one run of the program, rounded */
    uint8_t coverage;      /* fxc_coverage */
    uint8_t bound;         /* fxc_bound, with a device only */
    double seconds;        /* of one execution; NAN without a device */
    double expected_times; /* as times, not rounded: they differ in branches with a probability */
    uint8_t work;          /* fxc_work_kind (fxcost/backend.h), with a device only, as are the rest */
    uint8_t source;        /* fxc_time_source: what `seconds` rests on */
    double efficiency;     /* the ideal time of what bounds it over `seconds`; NAN where not known */
    double error;          /* mean relative error of such estimates; NAN where not known */
} fxc_node_cost;
/* Cost of one node; runs the passes it needs. */
FXC_API fxc_status fxc_analysis_node(fxc_analysis *analysis, uint32_t node, fxc_node_cost *cost, fxc_error *err);

typedef struct fxc_totals {
    size_t struct_size;
    fxc_counts counts;
    int64_t flops;       /* matrix_flops + vector_flops */
    int64_t params;      /* elements of parameters, tied ones once */
    int64_t param_bytes; /* bytes of their storages */
    int64_t buffers;     /* elements of buffers and constants */
    int64_t buffer_bytes;
    int64_t nodes;               /* nodes executed in one run */
    int64_t unknown_nodes;       /* of these, nodes without a formula */
    int64_t unknown_elements;    /* output elements of unknown nodes */
    int64_t output_elements;     /* output elements of all nodes that compute: the base of the unknown share */
    int64_t recorded_values;     /* of the tensors that nodes compute, those whose shape no rule derived */
    int64_t values;              /* tensors that nodes compute */
    int64_t unsized_values;      /* values whose size depends on a symbol that has no value */
    int64_t contradicted_values; /* values where a rule tells another type or other strides: the recording stands */
    double seconds;              /* sum of predicted node times; NAN without a device */
    int64_t ignored_nodes;       /* nodes left out on request (fxcost/op.h), which are in nothing above */
    int64_t activations;         /* output elements of matrix products and convolutions: fvcore's meaning */
    int64_t phase_flops[FXC_PHASE_COUNT]; /* flops by part of a training step; all forward where none was captured */
    int64_t tagged_values; /* of `values`, those whose shape follows from the operator's tag `pointwise` alone */
    int64_t given_values;  /* tensors that come in: inputs, parameters, buffers */
    int64_t saved_bytes;   /* kept for the backward pass: storages that nodes make; -1 without a backward pass */
    int64_t saved_buffer_bytes, saved_input_bytes; /* besides, of buffers and of other inputs but parameters */
    int64_t trainable_params, trainable_bytes;     /* of params: those that require a gradient; the others are frozen */
    int64_t samples, tokens;  /* in the inputs of a training step; 0 where there are none, or not known */
    int64_t active_params;    /* of params: without the experts that a token does not meet; all where there are none */
    int64_t peak_bytes;       /* most bytes of tensors alive at once (fxcost/memory.h has what makes them up) */
    int64_t peak_node;        /* the node that runs then; FXC_NONE in a program without nodes */
    int64_t given_bytes;      /* of these, alive all of the time: parameters, buffers, constants and inputs */
    int64_t unsized_storages; /* storages of a size that is not known, in none of these: peak_bytes is a lower bound */
    int64_t untold_nodes;     /* nodes that hold more while they run than is known: the same */
    /* Of `seconds`: by bound (fxc_bound) and by what they rest on (fxc_time_source, fxcost/backend.h). */
    double seconds_by_bound[4], seconds_by_source[5];
    double seconds_error; /* sum of the errors of those times whose error is known, as if all missed the same way */
    double peak_seconds;  /* of the matrix products alone at the device's peak, without recomputation; NAN, likewise */
    double measured_seconds; /* what the option "measured" says, else what the program holds of a real run; NAN */
} fxc_totals;
/* Totals of one run of the program. */
FXC_API fxc_status fxc_analysis_totals(fxc_analysis *analysis, fxc_totals *totals, fxc_error *err);

/* An operator without a formula: name, executions, output elements, valid while the analysis keeps its facts. */
typedef struct fxc_unknown_op {
    size_t struct_size;
    const char *op;
    int64_t nodes;
    int64_t elements;
} fxc_unknown_op;
/* Entry `index` of the unknown operators, largest share first; FXC_USAGE past the end. */
FXC_API fxc_status fxc_analysis_unknown(fxc_analysis *analysis, uint32_t index, fxc_unknown_op *out, fxc_error *err);

/* Renders the whole report. Strings may be NULL for their default.
 *   format "tree" (default) | "table" | "json" | "csv" | "md" | "latex"; or of the run as a sequence (docs/traces.md)
 *          "chrome" | "speedscope" | "pprof", by "node" or "kernel"; "chakra" | "tvm", of kernels. pprof and chakra are
 *          binary
 *   by     "module" (default) | "caller" | "class" | "op" | "node"; of a module that is held by one and called by
 *          another "module" follows who holds it, "caller" whose call was open
 *   sort   "flops" (default of op and class) | "order" (of module and node) | "bytes" | "params" | "seconds" | "calls"
 *   root   qualified name of the module to report on; "" for all
 * depth and top: 0 for the default (all). */
typedef struct fxc_render_options {
    size_t struct_size;
    const char *format, *by, *sort, *root;
    uint32_t depth, top;
    bool raw;         /* exact integers instead of human units */
    bool unfold;      /* do not fold equal siblings */
    bool memory;      /* bytes alive in place of bytes moved, and the tensors alive at the peak (tree and table) */
    const char *axis; /* of a trace: "seconds" (default with a device) | "flops" (default without) | "bytes" */
    bool own; /* by module or caller: calls, and FLOPs without those below, in place of bytes moved (tree and table) */
} fxc_render_options;
FXC_API fxc_status fxc_analysis_render(fxc_analysis *analysis, const fxc_render_options *options, fxc_write_fn write,
                                       void *context, fxc_error *err);

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

/* Where the shape of a value comes from. */
typedef enum fxc_value_source {
    FXC_SOURCE_NONE = 0,  /* no tensor: it has no shape */
    FXC_SOURCE_INPUT,     /* an input of its graph, or a parameter: given, not derived */
    FXC_SOURCE_RULE,      /* derived from the arguments by the operator's shape rule, and equal to what was recorded */
    FXC_SOURCE_RECORDED,  /* no rule derived it: it rests on what the capture recorded */
    FXC_SOURCE_POINTWISE, /* derived by the broadcast rule, for the operator, which has no row, is tagged pointwise */
} fxc_value_source;

typedef struct fxc_value_info {
    size_t struct_size;
    const char *name;  /* FX name of the value, "" for an element of a list result */
    uint32_t producer; /* node that computes it, FXC_NONE for an input of its graph */
    uint8_t kind;      /* enum fxc_kind (enums.h); the fields below are of tensors, 0 or NULL for anything else */
    uint8_t dtype;     /* enum fxc_dtype, FXC_DTYPE_OPAQUE for what is no tensor */
    uint8_t rank;
    uint8_t source;        /* fxc_value_source */
    int64_t numel;         /* elements; -1 when a size depends on a symbol that has no value */
    int64_t offset;        /* storage offset in elements; -1 without a value */
    const int64_t *size;   /* [rank]; -1 without a value. Both valid while the analysis keeps its facts */
    const int64_t *stride; /* [rank], in elements; -1 without a value */
} fxc_value_info;
/* Shape and origin of one value (fxc_program_info.values of them), under the values given to symbols. Runs the pass
 * `shapes`, whose errors it returns: FXC_PROGRAM when a rule contradicts the recording. FXC_USAGE past the end. */
FXC_API fxc_status fxc_analysis_value(fxc_analysis *analysis, uint32_t value, fxc_value_info *out, fxc_error *err);

/* What rules derived of a value. FXC_SOURCE_RULE of a value is FXC_TOLD_SIZES; OTHERWISE: something else than was
 * recorded. */
enum fxc_shape_told { FXC_TOLD_SIZES = 1, FXC_TOLD_DTYPE = 2, FXC_TOLD_STRIDES = 4, FXC_TOLD_OTHERWISE = 8 };
/* The bits of one value; what is not told rests on the recording. Errors as fxc_analysis_value's. */
FXC_API fxc_status fxc_analysis_value_told(fxc_analysis *analysis, uint32_t value, uint32_t *told, fxc_error *err);
/* FXC_OK, or for a value with FXC_TOLD_OTHERWISE the error FXC_PROGRAM: what follows from the arguments, what was
 * recorded. */
FXC_API fxc_status fxc_analysis_value_agrees(fxc_analysis *analysis, uint32_t value, fxc_error *err);

/* ---- other input sizes ------------------------------------------------------------------------------------------ */

/* The shape that an input is to have. */
typedef struct fxc_input_shape {
    const char *name;    /* FX name of a user input, "x" */
    const int64_t *size; /* [rank] */
    uint32_t rank;
    int32_t dtype; /* enum fxc_dtype, or -1 for the captured one */
} fxc_input_shape;

typedef struct fxc_reshape_options {
    size_t struct_size;
    const fxc_input_shape *inputs; /* inputs that are not named keep their sizes */
    size_t input_count;
} fxc_reshape_options;

/* The program at other input sizes, derived node by node with the rules of the operator table, as if the model had been
 * captured there. The result is a program like any other, without symbols: those that the inputs do not imply take the
 * captured example's value; only sizes that depend on data keep theirs. The source stays as it is, and is not needed
 * afterwards.
 *
 * FXC_USAGE for an input that is not there, and for sizes out of the captured ranges; FXC_PROGRAM, naming the node,
 * where the model does not take these sizes, where no rule tells what a node makes of them, and where a number that
 * the capture wrote down may be a size that has changed. */
FXC_API fxc_status fxc_program_reshape(const fxc_program *program, const fxc_reshape_options *options,
                                       fxc_program **out, fxc_error *err);

/* ---- memory ----------------------------------------------------------------------------------------------------- */

/* How a tensor relates to the memory of the arguments of the node that returns it. */
typedef enum fxc_result_memory {
    FXC_MEMORY_FRESH = 0, /* memory of its own; also every graph input */
    FXC_MEMORY_VIEW,      /* other sizes, strides or offset over an argument's memory */
    FXC_MEMORY_SAME,      /* an argument's elements as they are (in-place operators, getitem, dropout in evaluation) */
    FXC_MEMORY_NOTHING,   /* no tensor */
} fxc_result_memory;

typedef enum fxc_dependency {
    FXC_DEPENDENCY_READ_AFTER_WRITE = 0,
    FXC_DEPENDENCY_WRITE_AFTER_WRITE,
    FXC_DEPENDENCY_WRITE_AFTER_READ,
} fxc_dependency;

typedef struct fxc_memory_info {
    size_t struct_size;
    const char *name;  /* FX name of the value, "" for an element of a list result */
    uint32_t producer; /* node that computes it, FXC_NONE for a graph input */
    uint32_t memory;   /* its memory class: values of one class share one storage; FXC_NONE for what is no tensor */
    uint32_t origin;   /* the first value of the class */
    uint8_t relation;  /* fxc_result_memory */
} fxc_memory_info;
/* The memory of one value (fxc_program_info.values of them). The four functions here run the pass `alias`, and return
 * FXC_USAGE past the end. */
FXC_API fxc_status fxc_analysis_memory(fxc_analysis *analysis, uint32_t value, fxc_memory_info *info, fxc_error *err);

typedef struct fxc_write_info {
    size_t struct_size;
    uint32_t node, value; /* the node that writes, and the argument it writes through */
    uint32_t memory;
    uint32_t version; /* the version of the class that this write makes, 1 for the first */
    bool whole;       /* every element of the class is known to be written */
    bool metadata;    /* only sizes and strides change: makes no version */
} fxc_write_info;
/* Write `index` of a run, in execution order. */
FXC_API fxc_status fxc_analysis_write(fxc_analysis *analysis, uint32_t index, fxc_write_info *info, fxc_error *err);

typedef struct fxc_writeback_info {
    size_t struct_size;
    uint32_t input, value; /* row of the input, and its value */
    uint32_t node;         /* the node that writes last */
    uint8_t kind;          /* enum fxc_input_kind */
    const char *name;      /* FX name of the input */
    const char *target;    /* qualified name of the parameter, buffer or constant; "" for a user input */
} fxc_writeback_info;
/* Input `index` of those whose memory holds other data after a run. */
FXC_API fxc_status fxc_analysis_writeback(fxc_analysis *analysis, uint32_t index, fxc_writeback_info *info,
                                          fxc_error *err);

typedef struct fxc_dependency_info {
    size_t struct_size;
    uint32_t node; /* must run before */
    uint8_t kind;  /* fxc_dependency */
} fxc_dependency_info;
/* Order edge `index` of a node: another node that must run before it though no argument says so. */
FXC_API fxc_status fxc_analysis_dependency(fxc_analysis *analysis, uint32_t node, uint32_t index,
                                           fxc_dependency_info *info, fxc_error *err);

/* ---- what the library knows ------------------------------------------------------------------------------------- */

typedef struct fxc_op_info {
    size_t struct_size;
    const char *name, *schema, *shape_rule, *flop_rule, *fuse, *touch, *eager, *autocast, *alias, *doc;
    bool activation;
} fxc_op_info;
/* Row `index` of the operator table; FXC_USAGE past the end. */
FXC_API fxc_status fxc_op_get(uint32_t index, fxc_op_info *out, fxc_error *err);
/* The row of an operator by name; FXC_USAGE when there is none. */
FXC_API fxc_status fxc_op_find(const char *name, fxc_op_info *out, fxc_error *err);

typedef struct fxc_pass_info {
    size_t struct_size;
    const char *name, *summary;
    uint32_t needs;   /* bit i: needs the fact of pass i */
    uint32_t options; /* bit i: depends on option i, fxc_enum_text("option", i) */
} fxc_pass_info;
/* Row `index` of the pass list, in pipeline order; FXC_USAGE past the end. */
FXC_API fxc_status fxc_pass_get(uint32_t index, fxc_pass_info *out, fxc_error *err);

typedef struct fxc_device_info {
    size_t struct_size;
    const char *name, *description, *source;
    double memory_bytes, memory_bytes_per_second, flops_per_second_f32, flops_per_second_bf16, kernel_overhead_seconds;
} fxc_device_info;
/* Row `index` of the device table; FXC_USAGE past the end. */
FXC_API fxc_status fxc_device_get(uint32_t index, fxc_device_info *out, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
