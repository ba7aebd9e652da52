/* verify: what its files share. */
#ifndef FXC_PASSES_VERIFY_H
#define FXC_PASSES_VERIFY_H

#include "passes/analysis.h"

/* Limits that keep later passes' recursion and repeated walks bounded, far above what torch.export emits. */
enum { FXC_MAX_LIST_NESTING = 32, FXC_MAX_BODY_NESTING = 64, FXC_MAX_EXPR_STACK = 64, FXC_MAX_DIMS = 64 };

struct fxc_verify {
    const struct fxc_program *p;
    struct fxc_arena *arena;

    /* Per value: its graph, FXC_NONE while no input or node defines it; and the node after which it exists: 0 for an
     * input, else its producer + 1. */
    uint32_t *value_graph, *value_after;
    uint32_t *value_refs; /* how many values using it names: 1, or those in it when it is a list (saturating) */

    /* Per list row, nested rows included: how many values using it names, and inputs of graphs in it (saturating);
     * the graph that all its values belong to (FXC_NONE: no values; FXC_VERIFY_MIXED: none or several); and the node
     * after which all exist. */
    uint32_t *list_refs, *list_graph, *list_after;
    uint8_t *list_depth;
    bool *op_getitem; /* per operator: picks one element and looks at no other */
};
#define FXC_VERIFY_MIXED (UINT32_MAX - 1)

/* Rows that stand alone: expressions, tensor descriptions, storage bounds, modules (passes/verify/rows.c). */
fxc_status fxc_verify_rows(const struct fxc_program *program, fxc_error *err);
/* Every node's arguments against its operator's schema (passes/verify/args.c). */
fxc_status fxc_verify_args(struct fxc_arena *arena, const struct fxc_program *program, fxc_error *err);
/* Calls of body graphs: in range, without cycles, of bounded depth (passes/verify/calls.c). */
fxc_status fxc_verify_calls(struct fxc_verify *verify, fxc_error *err);

static inline bool fxc_kind_holds_list(uint8_t kind) {
    return kind == FXC_KIND_LIST || kind == FXC_KIND_DICT || kind == FXC_KIND_SLICE || kind == FXC_KIND_COMPLEX;
}

#endif
