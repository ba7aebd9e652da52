/* fxcost/convention.h: how other counters count, and what they would say of a program.
 *
 * A convention is chosen with fxc_analysis_set(analysis, "convention", NAME). It changes none of the numbers that
 * fxcost counts itself; it adds those of another tool, and what that tool leaves out.
 */
#ifndef FXCOST_CONVENTION_H
#define FXCOST_CONVENTION_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fxc_convention_info {
    size_t struct_size;
    const char *name, *tool; /* as the option takes it; package and version that it follows */
    const char *unit;        /* what the tool's number is: "MAC", "FLOP" or "activation" */
    const char *mark;        /* how the tool looks at a model, in a few words */
    const char *summary;     /* one sentence */
    const char *functions;   /* which calls of functions it sees: "patched" or "intercepted" */
    uint32_t rows;
    bool both; /* the tool also gives multiply-adds */
} fxc_convention_info;
/* Convention `index`; the first is fxcost itself. FXC_USAGE past the end. */
FXC_API fxc_status fxc_convention_get(uint32_t index, fxc_convention_info *out, fxc_error *err);

typedef struct fxc_convention_row_info {
    size_t struct_size;
    const char *sight;   /* "operator", "module" or "function": what the row matches */
    const char *name;    /* the operator, class or function */
    const char *key;     /* the tool's own name for it in a table by operator; "" for none */
    const char *formula; /* in words */
    const char *source;  /* function of the tool that the row follows */
} fxc_convention_row_info;
/* Row `row` of convention `index`; FXC_USAGE past the end. */
FXC_API fxc_status fxc_convention_get_row(uint32_t index, uint32_t row, fxc_convention_row_info *out, fxc_error *err);

/* Tools that look at modules and functions, or trace, see the forward pass of a training step. Gives an analysis of a
 * step the same model's forward pass, captured in training; NULL takes it back. The program must outlive the analysis.
 * Without it such a convention knows nothing of a step. FXC_USAGE when either is something else. */
FXC_API fxc_status fxc_analysis_set_forward(fxc_analysis *analysis, const fxc_program *forward, fxc_error *err);

typedef struct fxc_tool_totals {
    size_t struct_size;
    int64_t count, macs;                   /* the tool's number; multiply-adds, of tools that give both */
    int64_t left_out_flops, left_out_macs; /* what fxcost counts where the tool counts nothing */
    int64_t unknown_nodes;                 /* nodes of which it cannot be told what the tool would say */
    uint32_t failed_node;                  /* where the tool raises an exception, or FXC_NONE */
    const char *failure;                   /* which; NULL for none. The total is then what it had counted of the rest */
    int64_t forward; /* of a training step counted by its forward pass: that alone; the total is three times as much for
                        tools that take the backward pass to be two forward passes */
} fxc_tool_totals;
/* What the tool would say of one run. FXC_USAGE under the convention fxcost, which fxc_analysis_totals answers. */
FXC_API fxc_status fxc_analysis_tool(fxc_analysis *analysis, fxc_tool_totals *out, fxc_error *err);

typedef struct fxc_tool_op {
    size_t struct_size;
    const char *key; /* the tool's own name of the operator, function or layer */
    int64_t calls, count, macs;
} fxc_tool_op;
/* Entry `index` of the tool's table by operator, largest first; FXC_USAGE past the end. */
FXC_API fxc_status fxc_analysis_tool_op(fxc_analysis *analysis, uint32_t index, fxc_tool_op *out, fxc_error *err);

typedef struct fxc_left_out {
    size_t struct_size;
    const char *op;
    int64_t nodes, flops, macs; /* as fxcost counts them */
    bool listed;                /* the tool reports that it does not count it */
} fxc_left_out;
/* Operator `index` of those that the tool leaves out, most FLOPs first; FXC_USAGE past the end. */
FXC_API fxc_status fxc_analysis_left_out(fxc_analysis *analysis, uint32_t index, fxc_left_out *out, fxc_error *err);

/* Writes what several tools say of one program, by operator and by module, and why they differ. Each analysis is of the
 * same program, under the convention of one tool. Of the options depth, top, raw and unfold are read. */
FXC_API fxc_status fxc_compare_render(fxc_analysis *const *analyses, size_t count, const fxc_render_options *options,
                                      fxc_write_fn write, void *context, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
