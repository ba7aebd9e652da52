/* trace: a run written for other tools. */
#ifndef FXC_PASSES_TRACE_TRACE_H
#define FXC_PASSES_TRACE_TRACE_H

#include "fxcost/backend.h"
#include "passes/trace/steps.h"

/* X(option, writer, kernels): the formats of fxc_render_options.format that are a run step by step; kernels: of kernels
 * only, under every profile. */
#define FXC_TRACE_LIST(X)                                                                                              \
    X("chrome", fxc_write_chrome, false)                                                                               \
    X("speedscope", fxc_write_speedscope, false)                                                                       \
    X("pprof", fxc_write_pprof, false)                                                                                 \
    X("chakra", fxc_write_chakra, true)                                                                                \
    X("tvm", fxc_write_tvm, true)

typedef fxc_status (*fxc_trace_fn)(fxc_analysis *analysis, const struct fxc_steps *steps, enum fxc_axis_id axis,
                                   struct fxc_stream *out, fxc_error *err);
#define X(option, writer, kernels)                                                                                     \
    fxc_status writer(fxc_analysis *analysis, const struct fxc_steps *steps, enum fxc_axis_id axis,                    \
                      struct fxc_stream *out, fxc_error *err);
FXC_TRACE_LIST(X)
#undef X

bool fxc_is_trace(const char *format);
/* Checks the options, builds the steps, hands them to the writer. */
fxc_status fxc_render_trace(fxc_analysis *analysis, const fxc_render_options *options, struct fxc_stream *out,
                            fxc_error *err);

/* ---- frames: places of a stack, each once ------------------------------------------------------------------------ */

struct fxc_frame {
    const char *name, *file; /* file: "" for none */
    uint32_t line;
};
struct fxc_frames {
    struct fxc_frame *frame;
    uint32_t count;
    uint32_t *module; /* per module of the program: its frame, or FXC_NONE */
    uint32_t *step;   /* per step: the frame of its operator or kernel */
    struct fxc_arena arena;
};
/* Free frames->arena. */
fxc_status fxc_frames_build(fxc_analysis *analysis, const struct fxc_steps *steps, struct fxc_frames *frames,
                            fxc_error *err);

/* ---- texts, each once -------------------------------------------------------------------------------------------- */

struct fxc_texts {
    const char **text;
    uint32_t count, capacity;
    uint32_t *slot; /* [slots]: index + 1 */
    uint32_t slots;
    struct fxc_arena arena;
};
/* The number of a text, which is copied when it is new; FXC_NONE when memory is out. A zeroed table is empty. */
uint32_t fxc_texts_find(struct fxc_texts *texts, const char *text);
void fxc_texts_free(struct fxc_texts *texts);

#endif
