/* The backend ABI: describing a device, and predicting the time of one node on it.
 *
 * A timing model is one C function over plain data. The same structures serve the built-in devices and plug-ins; each
 * begins with its size, and a model built for another size is refused. */
#ifndef FXCOST_BACKEND_H
#define FXCOST_BACKEND_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A figure that the data sheet does not give. */
#define FXC_NO_FIGURE 0.0

/* What a device can do at best, from its data sheet: dense peaks, no sparsity. FLOP/s and bytes/s. */
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
} fxc_device;

/* The work of one node. */
typedef struct fxc_work {
    size_t struct_size;
    fxc_counts counts;
    uint8_t dtype; /* enum fxc_dtype of its first floating-point operand, which picks the peak */
    bool counted;  /* false: no formula, only the bytes are known */
} fxc_work;

typedef struct fxc_time {
    size_t struct_size;
    double seconds;
    uint8_t bound; /* fxc_bound */
} fxc_time;

/* Predicts one execution. FXC_DEVICE when the device lacks a figure that the work needs. */
typedef fxc_status (*fxc_timing_fn)(const fxc_device *device, const fxc_work *work, fxc_time *out);

/* The roofline: the larger of work / peak and bytes / bandwidth, plus the overhead of each kernel.
 * Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009. */
FXC_API fxc_status fxc_roofline(const fxc_device *device, const fxc_work *work, fxc_time *out);

#ifdef __cplusplus
}
#endif

#endif
