/* Rendering: rows made of the report, and the faces that print them. */
#ifndef FXC_REPORT_RENDER_H
#define FXC_REPORT_RENDER_H

#include "passes/report/report.h"

/* A stream of text that remembers a failed write. */
struct fxc_stream {
    fxc_write_fn write;
    void *context;
    bool failed;
};
void fxc_put(struct fxc_stream *stream, const char *text);
void fxc_put_bytes(struct fxc_stream *stream, const void *bytes, size_t size);
void fxc_putf(struct fxc_stream *stream, const char *format, ...) FXC_PRINTF(2, 3);
/* Text left- or right-aligned in `width` columns, cut with an ellipsis when longer; code points count as one column. */
void fxc_put_cell(struct fxc_stream *stream, const char *text, uint32_t width, bool right);
/* A qualified name, left-aligned; when longer it loses its beginning, which says least. */
void fxc_put_path(struct fxc_stream *stream, const char *text, uint32_t width);
/* Columns a text takes. */
uint32_t fxc_columns_of(const char *text);

enum { FXC_NUMBER_SIZE = 32 };
/* 4_089_184_256 as "4.09 G", or exact when raw. Returns buffer. */
const char *fxc_human(int64_t number, bool raw, char buffer[FXC_NUMBER_SIZE]);
/* The same with its unit: "4.09 GB", "96 B". */
const char *fxc_human_bytes(int64_t number, bool raw, char buffer[FXC_NUMBER_SIZE]);
/* "12.5 %": a part of a whole. Returns buffer. */
const char *fxc_percent(double part, double whole, char buffer[FXC_NUMBER_SIZE]);
/* What the times of the named device come from, in a few words. */
const char *fxc_time_basis(const struct fxc_analysis *analysis);
/* Lines about predicted and measured time; nothing without a device. */
void fxc_put_time(const struct fxc_analysis *analysis, const fxc_totals *totals, bool raw, struct fxc_stream *out);
/* "90 % fitted, 10 % predicted; bound by: 60 % memory, 40 % compute" */
void fxc_put_time_shares(struct fxc_stream *out, const double *by_source, const double *by_bound, double total);
/* "memory": of enum fxc_bound. */
const char *fxc_bound_text(uint8_t bound);
/* Seconds as "1.25 ms"; "-" for NAN. */
const char *fxc_human_seconds(double seconds, bool raw, char buffer[FXC_NUMBER_SIZE]);

/* What a row is: X(NAME, option, title, second title or NULL, order unless told otherwise). */
#define FXC_BY_LIST(X)                                                                                                 \
    X(MODULE, "module", "module", "class", "order")                                                                    \
    X(CLASS, "class", "class", NULL, "flops")                                                                          \
    X(OP, "op", "operator", NULL, "flops")                                                                             \
    X(NODE, "node", "node", "operator", "order")                                                                       \
    X(OP_SHAPE, "op_shape", "operator", "shapes", "flops")                                                             \
    X(MODULE_OP, "module_op", "module", "operator", "order")                                                           \
    X(CALLER, "caller", "module", "class", "order")
enum fxc_by {
#define X(name, ...) FXC_BY_##name,
    FXC_BY_LIST(X)
#undef X
};
struct fxc_by_info {
    const char *option, *title, *second, *sort;
};
extern const struct fxc_by_info fxc_by_infos[]; /* indexed by enum fxc_by */

/* One row of a table or tree. Numbers are sums over all executions, and over all folded siblings. */
struct fxc_row {
    const char *name;       /* full name: qualified module, class, operator, node */
    const char *label;      /* what the tree prints: last part, or "0-31 ×32" */
    const char *class_name; /* what the second title says: class of the module, operator of a node; "" */
    uint32_t depth;
    int64_t folded;   /* siblings in this row, 1 when not folded */
    int64_t calls;    /* module calls, or node executions */
    int64_t unhooked; /* module calls that were explicit calls of forward */
    int64_t params;
    uint32_t order; /* comes before the order of the program */
    struct fxc_sum sum;
    int64_t self_flops, self_macs;     /* of a row of a module: what it does itself, without those below it */
    bool has_params;                   /* false: parameters do not belong to this kind of row */
    const char *shape, *file, *module; /* of a node: output "f32[1, 128]", source, owner; else NULL */
    uint32_t line;
    uint8_t coverage, bound; /* of a node */
    uint8_t work, source;    /* likewise, as in fxc_node_cost */
    double efficiency, error;
    bool dead, owner_view; /* of a node: nothing takes its result; its module's forward was called explicitly */
    int64_t live_before, live_after; /* of a node: bytes alive, where sum.peak_bytes is set */
    uint32_t node;                   /* its number, of a row of a node */
};

struct fxc_rows {
    struct fxc_row *row;
    uint32_t count;
    struct fxc_arena arena; /* owns rows and their made-up strings */
};

enum fxc_format { FXC_FORMAT_TREE, FXC_FORMAT_TABLE, FXC_FORMAT_JSON, FXC_FORMAT_CSV, FXC_FORMAT_MD, FXC_FORMAT_LATEX };

/* Largest first, but for ORDER: as in the program. */
enum fxc_sort { FXC_SORT_ORDER, FXC_SORT_FLOPS, FXC_SORT_BYTES, FXC_SORT_PARAMS, FXC_SORT_SECONDS, FXC_SORT_CALLS };

/* Options with defaults filled in and checked. */
struct fxc_view_options {
    enum fxc_by by;
    enum fxc_format format;
    enum fxc_sort sort;
    uint32_t root_module, depth, top;
    bool raw, unfold, memory, own;
};

/* Name of metric `index` of the user's own. */
const char *fxc_metric_name(const struct fxc_analysis *analysis, uint32_t index);
/* It in a row: "-" where no formula of it holds, "?" where none could tell, with "+?" behind where some could not. */
const char *fxc_metric_text(const struct fxc_metric_sum *sum, bool raw, char buffer[FXC_NUMBER_SIZE]);

/* The module of this qualified name, "" and NULL for the root; FXC_USAGE for one that does not exist. */
fxc_status fxc_find_module(const struct fxc_program *program, const char *name, uint32_t *out, fxc_error *err);

/* FLOPs of a row: "?" when none of its nodes has a formula, with "+?" behind when some have not. */
const char *fxc_flops_text(const struct fxc_row *row, bool raw, char buffer[FXC_NUMBER_SIZE]);

/* Rows for the options; the caller frees rows->arena. */
fxc_status fxc_rows_build(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                          struct fxc_rows *rows, fxc_error *err);

/* "fp32": the dtype of most parameters; "" when there are none. Returns buffer. */
const char *fxc_main_dtype(const struct fxc_program *program, char *buffer, size_t size);
/* "1×3×224², fp32": sizes of the user's inputs and main dtype, for the line to cite. Returns buffer. */
const char *fxc_cite_inputs(const struct fxc_analysis *analysis, char *buffer, size_t size);

/* Does the program hold measurements for the sizes of this analysis? */
bool fxc_is_measured(const struct fxc_analysis *analysis);
/* "12.3 GFLOP/s, MFU 40 %; estimate / measured 0.98": of the totals' measured time. */
void fxc_put_achieved(const fxc_totals *totals, bool raw, struct fxc_stream *out);
/* Lines of the head: the whole, the sum over nodes, and how it was measured; nothing without measurements. */
void fxc_put_measured(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out);

/* Title of a part of a training step (enum fxc_phase), at most 9 columns wide. */
const char *fxc_phase_title(uint32_t phase);
/* The line on modules that nothing calls; nothing when all are called. */
void fxc_put_uncalled(const struct fxc_analysis *analysis, struct fxc_stream *out);
/* The lines on operators without a formula and on shapes. */
void fxc_put_missing(const struct fxc_analysis *analysis, struct fxc_stream *out);
/* Devices in all and of one copy of the model, and what a whole copy does (render_devices.c). */
void fxc_put_devices(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out);
/* What the tool of the convention says, and what it leaves out. */
struct fxc_convention;
/* Kernels under the profile (fxc_render_options.by "kernel"). */
/* The innermost module that all nodes of a kernel lie in, FXC_NONE when there is none. */
struct fxc_kernel_info;
uint32_t fxc_kernel_module(const struct fxc_program *program, const struct fxc_kernel_info *kernel);
fxc_status fxc_render_kernels(fxc_analysis *analysis, const fxc_render_options *options, struct fxc_stream *out,
                              fxc_error *err);
void fxc_put_tool(const struct fxc_analysis *analysis, const struct fxc_convention *convention, bool raw,
                  struct fxc_stream *out);
/* The line on the peak of memory; the table of the tensors alive then. */
void fxc_put_peak(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out);
void fxc_put_peak_tensors(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out);
/* The lines on a training step. */
void fxc_put_step(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out);

void fxc_render_text(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                     const struct fxc_rows *rows, struct fxc_stream *out);
void fxc_render_json(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                     const struct fxc_rows *rows, struct fxc_stream *out);
void fxc_render_csv(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                    const struct fxc_rows *rows, struct fxc_stream *out);
void fxc_render_md(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                   const struct fxc_rows *rows, struct fxc_stream *out);
void fxc_render_latex(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                      const struct fxc_rows *rows, struct fxc_stream *out);

/* What the head of a report says of explicit calls of forward; false without one. */
bool fxc_unhooked_text(const struct fxc_analysis *analysis, char *text, size_t size);

#endif
