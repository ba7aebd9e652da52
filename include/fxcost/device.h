/* Devices by their figures, and device files.
 *
 * A figure that no source gives is unknown, never zero: what needs it is unknown too. A device file is text, one
 * `name = value` a line, '#' begins a comment; fxc_device_print writes one, and fxc_analysis_set(.., "device", path)
 * reads one. */
#ifndef FXCOST_DEVICE_H
#define FXCOST_DEVICE_H

#include "fxcost/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a figure rests on. X(NAME, text). */
#define FXC_FIGURE_MARK_LIST(X)                                                                                        \
    X(UNKNOWN, "unknown")                                                                                              \
    X(DATASHEET, "datasheet") /* published by the maker */                                                             \
    X(DERIVED, "derived")     /* computed from published figures */                                                    \
    X(REPORTED, "reported")   /* by the device or its driver */                                                        \
    X(MEASURED, "measured")                                                                                            \
    X(FITTED, "fitted")                                                                                                \
    X(ESTIMATE, "estimate") /* by somebody else than the maker */                                                      \
    X(GIVEN, "given")       /* by a device file */

typedef enum fxc_figure_mark {
#define FXC_X_MARK(name, text) FXC_FIGURE_##name,
    FXC_FIGURE_MARK_LIST(FXC_X_MARK)
#undef FXC_X_MARK
        FXC_FIGURE_MARK_COUNT
} fxc_figure_mark;

typedef struct fxc_figure {
    size_t struct_size;
    const char *name, *unit, *text;
    double value;       /* FXC_NO_FIGURE when unknown */
    uint8_t mark;       /* fxc_figure_mark */
    const char *source; /* NULL when unknown */
} fxc_figure;
/* Figure `index` of a device; FXC_USAGE past the end. */
FXC_API fxc_status fxc_device_figure(const fxc_device *device, uint32_t index, fxc_figure *out, fxc_error *err);
/* The text of a mark, "datasheet". */
FXC_API const char *fxc_figure_mark_text(uint8_t mark);

/* Writes a device as a device file, with the source of every figure beside it. */
FXC_API fxc_status fxc_device_print(const fxc_device *device, fxc_write_fn write, void *context, fxc_error *err);
/* Reads a device file; `name` stands for it in messages. What is missing is unknown, but for the name, the size and the
 * bandwidth of the memory, and one peak of matrix products. Free it with fxc_device_free. Errors: FXC_DEVICE, which
 * names the line; FXC_MEMORY. */
FXC_API fxc_status fxc_device_parse(const char *text, size_t size, const char *name, fxc_device **out, fxc_error *err);
FXC_API void fxc_device_free(fxc_device *device);

/* Two kernels that a compiler could run as one, as the compiler knows them. `operations` and `calls` are of loops that
 * would no longer be vectorised: instructions, accesses to memory among them, and functions of the mathematical library
 * (exp, tanh, ...), over all elements; 0 where nothing changes. */
typedef struct fxc_merge {
    size_t struct_size;
    int64_t bytes_saved; /* that need not be read or written any more */
    int64_t operations, calls;
} fxc_merge;
/* The seconds that one kernel takes less than two: traffic and the overhead of a kernel, less what scalar code costs.
 * Negative where two are faster. FXC_DEVICE when the device lacks a figure that this needs. */
FXC_API fxc_status fxc_merge_seconds(const fxc_device *device, const fxc_merge *merge, double *seconds, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
