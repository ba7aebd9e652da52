/* The backend ABI: describing a device, and predicting the time of one node on it.
 *
 * A timing model is one C function over plain data. The same structures serve the built-in devices and plug-ins; each
 * begins with its size, fields are only ever appended, and a model built for a larger size is refused. A shared object
 * that exports FXC_BACKEND_ENTRY is a plug-in (examples/backend is one); fxc_analysis_set(.., "backend", path) and
 * `fxcost --backend` load it. */
#ifndef FXCOST_BACKEND_H
#define FXCOST_BACKEND_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when a structure below changes otherwise than by appending. */
#define FXC_BACKEND_ABI 1u

/* A figure that the data sheet does not give. */
#define FXC_NO_FIGURE 0.0

/* Constants of the gpu timing model, fitted to measured kernels (backends/gpu.h). */
struct fxc_gpu_constants;
/* Constants of the cpu timing model, fitted to measurements of one host (backends/cpu.h). */
struct fxc_cpu_constants;

/* What a device can do at best, from its data sheet: dense peaks, no sparsity. FLOP/s, bytes/s, bytes, seconds. */
typedef struct fxc_device {
    size_t struct_size;
    const char *name;                                                  /* "a100-sxm-80gb" */
    const char *description;                                           /* one line for people */
    const char *source;                                                /* where the figures are published */
    double matrix_f64, matrix_f32, matrix_f16, matrix_bf16, matrix_f8; /* of matrix products and convolutions */
    double vector_f64, vector_f32;                                     /* of everything else */
    double matrix_i8;                                                  /* integer operations per second */
    double memory_bytes, memory_bytes_per_second;
    double kernel_overhead_seconds; /* per dispatched kernel; 0 when the source gives none */
    const char *model;              /* its timing model: "gpu", "cpu", "roofline"; NULL: roofline */
    const char *architecture;       /* "ampere", "hopper", ...: whose fitted constants may be transferred; or NULL */
    double matrix_tf32, matrix_f4;
    double units;                        /* streaming multiprocessors, compute units, cores */
    double clock_hz;                     /* at which the peaks hold */
    double cache_bytes[3];               /* first level, of one unit; second, third, of the whole device */
    double link_bytes_per_second;        /* to the other devices of its node, both directions together */
    const struct fxc_gpu_constants *gpu; /* NULL: none were fitted for this device */
    const struct fxc_cpu_constants *cpu; /* the same */
} fxc_device;

/* ---- work -------------------------------------------------------------------------------------------------------- */

/* What kind of kernel a node runs. X(NAME, text). */
#define FXC_WORK_KIND_LIST(X)                                                                                          \
    X(OTHER, "other")             /* no model of its own: bytes and FLOPs are all there is */                          \
    X(NOTHING, "nothing")         /* no kernel: views, scalars */                                                      \
    X(GEMM, "gemm")               /* shape.gemm */                                                                     \
    X(CONVOLUTION, "convolution") /* shape.convolution */                                                              \
    X(ATTENTION, "attention")     /* shape.attention */                                                                \
    X(POINTWISE, "pointwise")     /* one pass over the bytes, as are the rest of these */                              \
    X(REDUCTION, "reduction")     /* shape.rows */                                                                     \
    X(NORM, "norm")               /* shape.rows: normalisations and softmax, forward and backward */                   \
    X(GATHER, "gather")           /* shape.rows: embeddings, index_select, scatters */                                 \
    X(COPY, "copy")               /* shape.rows: copies, concatenations, factories */                                  \
    X(SCAN, "scan")               /* shape.rows: prefix sums, sorts */                                                 \
    X(COLLECTIVE, "collective")   /* shape.collective */

typedef enum fxc_work_kind {
#define FXC_X_WORK(name, text) FXC_WORK_##name,
    FXC_WORK_KIND_LIST(FXC_X_WORK)
#undef FXC_X_WORK
        FXC_WORK_KIND_COUNT
} fxc_work_kind;

typedef enum fxc_collective_kind {
    FXC_COLLECTIVE_ALL_REDUCE = 0,
    FXC_COLLECTIVE_ALL_GATHER,
    FXC_COLLECTIVE_REDUCE_SCATTER,
    FXC_COLLECTIVE_ALL_TO_ALL,
    FXC_COLLECTIVE_BROADCAST,
    FXC_COLLECTIVE_COUNT
} fxc_collective_kind;

/* `batch` products C[m, n] = A[m, k] B[k, n]. */
typedef struct fxc_gemm_shape {
    int64_t batch, m, n, k;
} fxc_gemm_shape;

enum { FXC_CONVOLUTION_FORWARD = 0, FXC_CONVOLUTION_INPUT_GRADIENT = 1, FXC_CONVOLUTION_WEIGHT_GRADIENT = 2 };

/* A convolution of up to three spatial dimensions; those that it has not are 1. */
typedef struct fxc_convolution_shape {
    int64_t batch, in_channels, out_channels, groups;
    int64_t in[3], out[3], kernel[3], stride[3];
    uint8_t transposed;
    uint8_t gradients; /* bits: FXC_CONVOLUTION_INPUT_GRADIENT, .._WEIGHT_GRADIENT; 0: forward */
} fxc_convolution_shape;

typedef struct fxc_attention_shape {
    int64_t batch, heads, kv_heads, queries, keys, depth, value_depth;
    uint8_t causal, backward;
} fxc_attention_shape;

/* What is folded, normalised, sorted or fetched: `rows` times `length` elements. */
typedef struct fxc_rows_shape {
    int64_t rows, length;
    uint8_t across; /* folded along other dimensions than the last: neighbours in memory go to different results */
} fxc_rows_shape;

/* `bytes` as NCCL's tests say it: of the larger of a device's input and output. */
typedef struct fxc_collective_shape {
    int64_t ranks, bytes;
    uint8_t collective; /* fxc_collective_kind */
} fxc_collective_shape;

typedef union fxc_work_shape {
    fxc_gemm_shape gemm;
    fxc_convolution_shape convolution;
    fxc_attention_shape attention;
    fxc_rows_shape rows;
    fxc_collective_shape collective;
    int64_t reserved[32]; /* room to append to a shape without moving what follows the union */
} fxc_work_shape;

/* A tensor that a node reads or writes, and what a cache may still hold of it. Runs of the program follow one another,
 * so that a parameter was last used in the run before. */
typedef struct fxc_operand {
    int64_t bytes;    /* that are touched; at most those of its storage */
    int64_t distance; /* bytes of other memory touched since its own was; INT64_MAX: never before */
    uint8_t written;  /* read otherwise; in place is both, and written */
    uint8_t fresh;    /* memory allocated for it; `distance` is that of the freed memory it is made of */
    uint8_t strided;  /* read in another order than it lies in: along its last dimension, or as the result of an
                         operator on elements lies */
} fxc_operand;

/* What loops compute for one operator. */
typedef struct fxc_executed {
    const char *op; /* "aten.exp.default" */
    int64_t points; /* elements for which it is computed, again where it is inlined again */
    int64_t flops;  /* over all of them */
    uint8_t folds;  /* of these it makes fewer elements: a reduction */
} fxc_executed;

/* The work of one node, or of one kernel of a fusion profile. */
typedef struct fxc_work {
    size_t struct_size;
    fxc_counts counts;
    uint8_t dtype; /* enum fxc_dtype of its first floating-point operand, which picks the peak */
    bool counted;  /* false: no formula, only the bytes are known */
    uint8_t kind;  /* fxc_work_kind, which says what of `shape` holds */
    fxc_work_shape shape;
    const char *op;             /* "aten.gelu.default"; NULL for a kernel of many, as of an optimiser's step */
    const fxc_operand *operand; /* NULL: not known; the counts say how many bytes there are */
    uint32_t operand_count;
    int64_t elements; /* of its results, or if that is more of its largest operand */
    int64_t results;  /* elements of its results */
    int64_t calls;    /* of modules, whose Python runs just before the node */
    /* What a cache may still hold of code: bytes of memory touched since an operator of this name last ran; since it
     * ran with operands of these sizes, for which a library may have made a kernel; and by the node before, which the
     * dispatcher's own code has to outlive. INT64_MAX: not before. */
    int64_t since_op, since_same, since_node;
    /* Loop nests of a kernel that a compiler made, which no library runs; 0: the kernel of one operator. */
    uint32_t loops;
    const fxc_executed *executed; /* what they compute; NULL: only the counts are known */
    uint32_t executed_count;
    int64_t draws;    /* random numbers that they make, each by itself from its place in the tensor */
    bool writes_bool; /* they write booleans */
} fxc_work;

/* ---- time -------------------------------------------------------------------------------------------------------- */

/* What an estimate rests on. X(NAME, text), from the firmest down. */
#define FXC_TIME_SOURCE_LIST(X)                                                                                        \
    X(NONE, "none") /* no time: a figure is missing */                                                                 \
    X(MEASURED, "measured")                                                                                            \
    X(FITTED, "fitted")       /* constants fitted to measured kernels of this device */                                \
    X(PREDICTED, "predicted") /* constants fitted to another device, scaled by the data sheets of both */              \
    X(DATASHEET, "datasheet") /* the data sheet's peaks: a lower bound rather than an estimate */

typedef enum fxc_time_source {
#define FXC_X_SOURCE(name, text) FXC_TIME_##name,
    FXC_TIME_SOURCE_LIST(FXC_X_SOURCE)
#undef FXC_X_SOURCE
        FXC_TIME_SOURCE_COUNT
} fxc_time_source;

/* What a timing model sets; all but struct_size come preset to "not known". */
typedef struct fxc_time {
    size_t struct_size;
    double seconds;
    uint8_t bound;     /* fxc_bound */
    uint8_t source;    /* fxc_time_source */
    double efficiency; /* the ideal time of what bounds it, work / peak or bytes / bandwidth, over `seconds`; NAN */
    double error;      /* mean relative error of such estimates, on kernels that the fit did not see; NAN: not known */
} fxc_time;

/* Predicts one execution. FXC_DEVICE when the device lacks a figure that the work needs. */
typedef fxc_status (*fxc_timing_fn)(const fxc_device *device, const fxc_work *work, fxc_time *out);

/* The roofline: the larger of work / peak and bytes / bandwidth, plus the overhead of each kernel.
 * Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009. */
FXC_API fxc_status fxc_roofline(const fxc_device *device, const fxc_work *work, fxc_time *out);
/* A built-in device by name: all its figures; NULL when there is none. */
FXC_API const fxc_device *fxc_device_find(const char *name);

/* ---- plug-ins ---------------------------------------------------------------------------------------------------- */

/* What a plug-in offers: a timing model, devices, or both. */
typedef struct fxc_backend {
    size_t struct_size;
    uint32_t abi; /* FXC_BACKEND_ABI of the header it was built with */
    const char *name, *description;
    fxc_timing_fn predict; /* NULL: its devices use the built-in models that they name */
    const fxc_device *devices;
    uint32_t device_count; /* devices that --device finds before the built-in ones */
} fxc_backend;

/* The function that a plug-in exports under this name. Called once for each analysis that loads it; what it returns
 * must live as long as the object is loaded. `predict` is called by one thread for each analysis. */
#define FXC_BACKEND_ENTRY fxc_backend_entry
typedef const fxc_backend *(*fxc_backend_entry_fn)(void);

#ifdef __cplusplus
}
#endif

#endif
