/* The cpu timing model: the time of an operator is linear in a few features of its work, with coefficients for each
 * class of work that were fitted to measurements of one host. docs/cost.md states the classes, and how they were
 * chosen. */
#ifndef FXC_BACKENDS_CPU_H
#define FXC_BACKENDS_CPU_H

#include "fxcost/backend.h"

/* What times are linear in. X(NAME, text, what it is). */
#define FXC_CPU_FEATURE_LIST(X)                                                                                        \
    X(CALL, "call", "once a call: what dispatch and the start of the kernel take")                                     \
    X(CODE2, "code_l2", "1 where other memory has driven the operator's code from the second level, not the third")    \
    X(CODE3, "code_l3", "1 where it is in no cache")                                                                   \
    X(SAME2, "same_l2", "the same of the kernel for these sizes")                                                      \
    X(SAME3, "same_l3", "the same")                                                                                    \
    X(START2, "start_l2", "1 where the node before drove the dispatcher's code from the second level")                 \
    X(START3, "start_l3", "1 where it is in no cache")                                                                 \
    X(BATCH, "batch", "products of a batch, images, or heads times batch of attention")                                \
    X(MAC, "mac", "multiply-adds; channels of a convolution, and queries, filled up to 16")                            \
    X(LEFT, "left", "elements of the left operand, or a convolution's input, or query and result")                     \
    X(RIGHT, "right", "elements of the right operand or weight, or key and value")                                     \
    X(OUT, "out", "elements of the product")                                                                           \
    X(PAIR, "pair", "pairs of a query and a key")                                                                      \
    X(MASK, "mask", "of these, those whose mask is read")                                                              \
    X(UNALIGNED, "unaligned", "elements of input and result with channels that are no multiple of 16")                 \
    X(ROW, "row", "rows of what is normalised, fetched or joined")                                                     \
    X(ELEMENT, "element", "elements of the largest tensor")                                                            \
    X(RESULT, "result", "elements of the results")                                                                     \
    X(WORK, "work", "vector operations")                                                                               \
    X(BYTE, "byte", "bytes read and written")                                                                          \
    X(STRIDED, "strided", "elements read in another order than they lie in")                                           \
    X(FOLD, "fold", "elements that a reduction folds")                                                                 \
    X(DIVIDE, "divide", "elements of divisions and roots in loops that a compiler made")                               \
    X(EXPONENTIAL, "exponential", "the same of exponentials")                                                          \
    X(LOGARITHM, "logarithm", "of logarithms")                                                                         \
    X(SINE, "sine", "of sines and cosines")                                                                            \
    X(TANGENT, "tangent", "of hyperbolic tangents")                                                                    \
    X(ERROR, "erf", "of error functions")                                                                              \
    X(L2, "l2", "bytes that are no longer in the second level of cache, but in the third")                             \
    X(L3, "l3", "bytes that are in no cache")

enum fxc_cpu_feature {
#define X(name, text, what) FXC_CPU_##name,
    FXC_CPU_FEATURE_LIST(X)
#undef X
        FXC_CPU_FEATURE_COUNT
};

enum fxc_cpu_class {
#define CLASS(name, group, features) FXC_CPU_CLASS_##name,
#include "backends/cpu_classes.def"
    FXC_CPU_CLASS_COUNT
};

/* Seconds for each unit of a feature, and the mean relative error on samples that the fit did not see (0: no fit). */
struct fxc_cpu_constants {
    double seconds[FXC_CPU_CLASS_COUNT][FXC_CPU_FEATURE_COUNT];
    double error[FXC_CPU_CLASS_COUNT];
    double module_seconds; /* Python of a module's call */
    /* Tensors of at least `page_from` bytes (0: none) lie on pages that the system hands out anew, and takes so long
     * for. */
    double page_seconds, page_bytes, page_from;
};

struct fxc_cpu_class_row {
    const char *name, *group;
    uint32_t features; /* bits of enum fxc_cpu_feature */
};
extern const struct fxc_cpu_class_row fxc_cpu_classes[FXC_CPU_CLASS_COUNT];
extern const char *const fxc_cpu_feature_names[FXC_CPU_FEATURE_COUNT];

/* The class of some work and its features; FXC_CPU_CLASS_COUNT for what has no class: collectives, and operators of a
 * kind that was never measured. The device says how many threads there are and how large the caches. */
uint32_t fxc_cpu_describe(const fxc_device *device, const fxc_work *work, double feature[FXC_CPU_FEATURE_COUNT]);

/* The class of an operator by its name, whatever kind of work it is; FXC_CPU_CLASS_COUNT for one that is not listed. */
uint32_t fxc_cpu_class_of_op(const char *op);

/* Bytes by the level of cache that no longer has them, and elements read across memory. */
void fxc_cpu_memory(const fxc_device *device, const fxc_work *work, double feature[FXC_CPU_FEATURE_COUNT]);

/* Loops that a compiler made (backends/cpu_loops.c): their class and features, and their time where no such loops were
 * measured; device->cpu is not NULL. */
uint32_t fxc_cpu_describe_loops(const fxc_device *device, const fxc_work *work, double feature[FXC_CPU_FEATURE_COUNT]);
fxc_status fxc_cpu_loops(const fxc_device *device, const fxc_work *work, fxc_time *out);

/* Whether the operator itself was measured; false where it goes by the kind of its work. */
bool fxc_cpu_is_measured(const fxc_work *work);

/* ---- fitting (backends/cpu_fit.c) -----------------------------------------------------------------------------------
 */

struct fxc_cpu_sample {
    uint32_t class;
    double feature[FXC_CPU_FEATURE_COUNT];
    double seconds;
};

/* How a class was met. */
struct fxc_cpu_residual {
    uint32_t samples;
    double mean, median, worst_tenth; /* relative errors of samples that the fit did not see */
};

/* Coefficients at least 0 with the least sum of relative errors. FXC_MEMORY. */
fxc_status fxc_cpu_fit(const struct fxc_cpu_sample *samples, uint32_t count, struct fxc_cpu_constants *out,
                       struct fxc_cpu_residual residuals[FXC_CPU_CLASS_COUNT]);

#endif
