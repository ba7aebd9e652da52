/* tool: what another counter would say of each node, under the convention of the analysis. */
#ifndef FXC_PASSES_TOOL_H
#define FXC_PASSES_TOOL_H

#include "passes/analysis.h"

/* What the tool makes of a node. */
enum fxc_tool_sight {
    FXC_TOOL_UNSEEN,  /* does not see it, or silently counts nothing */
    FXC_TOOL_LISTED,  /* counts nothing, and reports that */
    FXC_TOOL_ZERO,    /* knows it and says that it computes nothing */
    FXC_TOOL_COUNTED, /* counts it, alone or as part of a module */
    FXC_TOOL_UNKNOWN, /* what it would say cannot be told */
};

/* A sum under the tool's own name of an operator. */
struct fxc_tool_sum {
    const char *key;
    int64_t calls, count, macs;
};

/* An operator that the tool leaves out, with what fxcost counts for it. */
struct fxc_tool_gap {
    const char *op;
    int64_t nodes, flops, macs;
    uint8_t sight;
};

struct fxc_tool {
    int64_t *count, *macs; /* per node, of one execution; NULL under the convention fxcost */
    uint8_t *sight;        /* per node: enum fxc_tool_sight */
    int64_t total, total_macs;
    int64_t forward;         /* of a training step that is counted by its forward pass: that alone */
    struct fxc_tool_sum *op; /* largest first */
    uint32_t op_count;
    struct fxc_tool_gap *left_out; /* most FLOPs first */
    uint32_t left_out_count;
    int64_t left_out_flops, left_out_macs; /* sums of these */
    int64_t unknown_nodes;                 /* what the tool would say of them cannot be told */
    uint32_t failed_node;                  /* where the tool raises an exception, FXC_NONE for nowhere */
    const char *failure;
};

/* Whether the analysis is of a training step, under the convention of a tool that sees only its forward pass. */
bool fxc_tool_needs_forward(const struct fxc_analysis *analysis);

/* ---- the program as hooks see it (passes/tool/index.c)
 * ------------------------------------------------------------------ */

struct fxc_tool_index {
    uint32_t *first_config;  /* per module: row of its first attribute or FXC_NONE */
    uint32_t *next_config;   /* per config row: the next of the same module */
    uint32_t *first_param;   /* per module: row of its first parameter or FXC_NONE */
    uint32_t *next_param;    /* per param row: the next of the same module */
    uint32_t *call_anchor;   /* per call: the node inside that does most, FXC_NONE for none */
    uint32_t *region_anchor; /* per region: the last node inside, FXC_NONE for none */
    uint32_t *parents;       /* per module: modules that hold it directly; 1 for the root */
    uint32_t *children;      /* per module: modules that it holds directly */
    uint8_t *live;           /* per node: an output needs it, or it writes to one of its arguments */
    uint8_t *call_fast;      /* per call: runs as one fused kernel in eager evaluation */
};
fxc_status fxc_tool_index_build(const struct fxc_analysis *analysis, struct fxc_arena *arena,
                                struct fxc_tool_index *out, fxc_error *err);

/* The nearest class of torch.nn of a module whose own class is another, NULL for none. */
const char *fxc_tool_base(const struct fxc_program *program, const struct fxc_tool_index *index, uint32_t module);
/* Is a module a layer of torch.nn, and no container? */
bool fxc_tool_is_layer(const struct fxc_program *program, uint32_t module);
/* The name of a region that is the call of a function, NULL of others; and one of its facts. */
const char *fxc_tool_region_name(const struct fxc_program *program, uint32_t region);
bool fxc_tool_region_flag(const struct fxc_program *program, uint32_t region, const char *flag);
/* Whether the caller of a function gave this argument by keyword. */
bool fxc_tool_region_keyword(const struct fxc_program *program, uint32_t region, const char *keyword);
/* Finds calls that eager evaluation runs as one fused kernel (passes/tool/fast_path.c). */
void fxc_tool_find_fast_paths(const struct fxc_analysis *analysis, struct fxc_tool_index *index);
/* An attribute of a module that is a plain number, or FXC_NONE's absence as false. */
bool fxc_tool_config_int(const struct fxc_program *program, const struct fxc_tool_index *index, uint32_t module,
                         const char *name, int64_t *out);
/* Row of an attribute of a module, FXC_NONE for none. */
uint32_t fxc_tool_config(const struct fxc_program *program, const struct fxc_tool_index *index, uint32_t module,
                         const char *name);

#endif
