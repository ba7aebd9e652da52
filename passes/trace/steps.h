/* trace: a run as a sequence of steps, each a node or a kernel with what it costs and the module calls around it. The
 * writers of traces and of other tools' formats all read this. */
#ifndef FXC_PASSES_TRACE_STEPS_H
#define FXC_PASSES_TRACE_STEPS_H

#include "passes/report/render.h"

/* What a step is; the other of `node` and `kernel` is FXC_NONE, both are for the step of an optimiser. */
struct fxc_step {
    uint32_t node, kernel, param;
    uint32_t call, module; /* the innermost module call around it, or FXC_NONE; the module where there is no call */
    uint32_t op;           /* of the program, of a step of one node; else FXC_NONE */
    int64_t executions;    /* that the numbers are sums over */
    fxc_counts counts;
    double seconds;                  /* NAN: not known */
    bool unknown;                    /* an operator without a formula: FLOPs and MACs are not known */
    int64_t live_within, live_after; /* bytes; -1: not known */
};

struct fxc_steps {
    struct fxc_step *step; /* in an order in which they run */
    uint32_t count, unknown, untimed;
    bool of_kernels, timed; /* timed: a device was named */
    struct fxc_arena arena; /* owns the steps */
};

/* The run as options ask: by "node" or by "kernel", which may be all there is, below `root`. Free steps->arena. What
 * runs no kernel (views, sizes) is left out; a body stands where it is first called, with the sums of all its
 * executions. */
fxc_status fxc_steps_build(fxc_analysis *analysis, const fxc_render_options *options, bool kernels_only,
                           struct fxc_steps *steps, fxc_error *err);

/* A module call that is open around a step. */
struct fxc_open_call {
    uint32_t module, call; /* FXC_NONE for a module that is there by its place alone */
};
enum { FXC_STEP_DEPTH = 64 };
/* The calls around a step, outermost first, the model itself at the bottom; what is deeper than FXC_STEP_DEPTH is left
 * out. Returns their number. */
uint32_t fxc_step_stack(const struct fxc_program *program, const struct fxc_step *step,
                        struct fxc_open_call stack[FXC_STEP_DEPTH]);

enum { FXC_STEP_NAME = 256 };
/* "linear_3"; of a kernel "pointwise add mul"; of an optimiser's step its parameter. Returns buffer. */
const char *fxc_step_name(fxc_analysis *analysis, const struct fxc_step *step, char buffer[FXC_STEP_NAME]);
/* "aten.linear.default"; of a kernel its kind and operators. Returns buffer. */
const char *fxc_step_label(fxc_analysis *analysis, const struct fxc_step *step, char buffer[FXC_STEP_NAME]);
/* Source position of a step's (first) node; false where none was recorded. */
bool fxc_step_source(fxc_analysis *analysis, const struct fxc_step *step, const char **file, uint32_t *line);
/* "Linear layers.0", "Net (model)" for the root: viewers that shorten a name do so in its middle. Returns buffer. */
const char *fxc_module_label(const struct fxc_program *program, uint32_t module, char *buffer, size_t size);

/* The quantities that steps have. X(NAME, option, unit) */
#define FXC_AXIS_LIST(X)                                                                                               \
    X(SECONDS, "seconds", "seconds")                                                                                   \
    X(FLOPS, "flops", "FLOPs")                                                                                         \
    X(BYTES, "bytes", "bytes")
enum fxc_axis_id {
#define X(name, ...) FXC_AXIS_##name,
    FXC_AXIS_LIST(X)
#undef X
        FXC_AXIS_COUNT
};
/* Is this quantity of the step known? */
bool fxc_step_knows(const struct fxc_step *step, enum fxc_axis_id axis);

#endif
