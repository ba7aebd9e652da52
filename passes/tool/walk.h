/* Shared by the files of the pass `tool`: one walk over a program under one convention. */
#ifndef FXC_PASSES_TOOL_WALK_H
#define FXC_PASSES_TOOL_WALK_H

#include "passes/convention/convention.h"

struct fxc_tool_walk {
    const struct fxc_analysis *analysis;
    const struct fxc_program *p;
    const struct fxc_convention *convention;
    struct fxc_tool *tool;
    struct fxc_tool_index index;
    struct fxc_arena *arena;
    const struct fxc_convention_row **call_row; /* per call: the row of its module that counts, NULL for none */
    uint32_t op_room;
    int64_t samples, carried; /* under PER_SAMPLE: the divisor, and what earlier divisions left over */
};

/* A node keeps the best that any row says of it. */
static inline void fxc_tool_raise(struct fxc_tool *tool, uint32_t node, uint8_t sight) {
    tool->sight[node] = sight > tool->sight[node] ? sight : tool->sight[node];
}
/* The row that matches a name of this length, NULL when there is none. */
const struct fxc_convention_row *fxc_tool_row(const struct fxc_convention *convention, enum fxc_sight sight,
                                              const char *name, size_t length);
/* Applies a row to a node; `call` is that of a module, `region` that of a function, FXC_NONE otherwise. */
fxc_status fxc_tool_apply(struct fxc_tool_walk *walk, const struct fxc_convention_row *row, uint32_t node,
                          uint32_t call, uint32_t region, fxc_error *err);
/* Is a node dropped before counting, or inside a call that eager runs as one fused kernel? */
bool fxc_tool_is_hidden(const struct fxc_tool_walk *walk, uint32_t node);

/* Counts what the convention's rows of modules and of functions match (passes/tool/modules.c, passes/tool/functions.c).
 */
fxc_status fxc_tool_count_modules(struct fxc_tool_walk *walk, fxc_error *err);
fxc_status fxc_tool_count_functions(struct fxc_tool_walk *walk, fxc_error *err);
/* Counts a training step by its forward pass (passes/tool/forward.c). */
fxc_status fxc_tool_count_forward(struct fxc_tool_walk *walk, fxc_error *err);

#endif
