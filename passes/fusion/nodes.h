/* The node engine: kernels of whole nodes, put together by the rules of a profile. */
#ifndef FXC_PASSES_FUSION_NODES_H
#define FXC_PASSES_FUSION_NODES_H

#include "passes/fusion/fusion.h"
#include "passes/fusion/profile.h"

/* Nodes put together: union-find over the nodes of a graph, with the members of each group in a list. */
struct fxc_node_groups {
    const struct fxc_analysis *analysis;
    const struct fxc_program *p;
    const struct fxc_profile *profile;
    uint32_t first, end;   /* nodes of the graph; the arrays below start at `first` */
    uint32_t *parent;      /* a root is its own */
    uint32_t *next, *last; /* members of a root, FXC_NONE at the end */
    uint32_t *lowest;      /* per root: its first node */
    uint32_t *count;       /* per root */
    uint16_t *kinds;       /* per root: bits of enum fxc_fuse */
    bool *runs;            /* whether the node runs anything */
    uint32_t *span;        /* how many nodes that fuse with nothing come before it */
    uint32_t *stamp, *stack;
    uint32_t *use_count;       /* per node: nodes that read its results, through views; the output counts */
    uint32_t *through, *depth; /* per node: what all that is computed from it passes through, FXC_NONE for the end */
    bool *is_read;
    uint32_t stamps;
};

uint32_t fxc_nodes_root(struct fxc_node_groups *groups, uint32_t node);
/* The nodes whose results a node reads, through views; `each` may be called twice with one. */
void fxc_nodes_each_source(struct fxc_node_groups *groups, uint32_t node,
                           void (*each)(struct fxc_node_groups *, uint32_t source, void *context), void *context);
/* The same of what the graph returns. */
void fxc_nodes_each_output(struct fxc_node_groups *groups, uint32_t graph,
                           void (*each)(struct fxc_node_groups *, uint32_t source, void *context), void *context);
int64_t fxc_nodes_elements(const struct fxc_node_groups *groups, uint32_t node);
void fxc_nodes_join(struct fxc_node_groups *groups, uint32_t a, uint32_t b);
/* passes/fusion/nodes_dominate.c: fills `through`, and applies a rule whose users are dominated. */
void fxc_nodes_dominate(struct fxc_node_groups *groups, uint32_t graph);
void fxc_nodes_fuse_dominated(struct fxc_node_groups *groups, const struct fxc_node_rule *rule);

/* Why two nodes are or are not one kernel. X(NAME, token, text). */
#define FXC_NODE_REASON_LIST(X)                                                                                        \
    X(EVERYTHING, "everything", "the profile runs the whole program as one kernel")                                    \
    X(RULE, "rule", "rules of the profile put nodes with what they read, along a path between the two")                \
    X(ALONE, "alone", "the profile runs each node by itself")                                                          \
    X(NOT_NEIGHBOURS, "not_neighbours", "the second does not read what the first makes, and nothing else joined them") \
    X(NO_RULE, "no_rule", "no rule of the profile puts the second with the first")                                     \
    X(BETWEEN, "between", "another kernel must run between them")

enum fxc_node_reason {
#define X(name, token, text) FXC_NODES_##name,
    FXC_NODE_REASON_LIST(X)
#undef X
        FXC_NODE_REASON_COUNT
};
/* Why node `node` can run with `source`, or not. Below FXC_NODES_ALONE: it does. */
enum fxc_node_reason fxc_nodes_reason(struct fxc_node_groups *groups, uint32_t source, uint32_t node);
/* Puts the nodes of a graph into groups, in the arena of the fact. */
fxc_status fxc_nodes_group(struct fxc_analysis *analysis, uint32_t graph, struct fxc_node_groups *groups,
                           fxc_error *err);
/* Puts the nodes of the fact's graph into groups, and makes kernels of these. */
fxc_status fxc_nodes_run(struct fxc_analysis *analysis, struct fxc_fusion *fusion, fxc_error *err);
/* Kernels of groups (passes/fusion/nodes_account.c). */
fxc_status fxc_nodes_account(struct fxc_node_groups *groups, struct fxc_fusion *fusion, fxc_error *err);

#endif
