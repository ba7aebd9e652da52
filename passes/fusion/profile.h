/* Fusion profiles: the limits and rules of a compiler, as data (passes/fusion/profiles.def). */
#ifndef FXC_PASSES_FUSION_PROFILE_H
#define FXC_PASSES_FUSION_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* Operations that cost so much on a CPU that a value which needs one is not computed twice. */
#define FXC_HEAVY_LIST(X)                                                                                              \
    X(EXP, "exp")                                                                                                      \
    X(LOG, "log")                                                                                                      \
    X(LOG10, "log10")                                                                                                  \
    X(LOG1P, "log1p")                                                                                                  \
    X(LOG2, "log2")                                                                                                    \
    X(SIGMOID, "sigmoid")                                                                                              \
    X(TANH, "tanh")

enum fxc_heavy_number {
#define X(name, text) FXC_HEAVY_NUMBER_##name,
    FXC_HEAVY_LIST(X)
#undef X
        FXC_HEAVY_COUNT
};
#define FXC_HEAVY_ALL ((1u << FXC_HEAVY_COUNT) - 1)

/* How a profile makes kernels. */
enum fxc_profile_engine {
    FXC_ENGINE_NODES, /* groups of nodes, by kinds of operators */
    FXC_ENGINE_LOOPS, /* loops over buffers, with inlining: Inductor */
};

/* How the loops of two nodes must relate to be one kernel. */
enum fxc_node_relation { FXC_RELATION_ANY, FXC_RELATION_SAME_ELEMENTS, FXC_RELATION_SAME_RUN };
enum fxc_node_users { FXC_USERS_ANY, FXC_USERS_ONE };

/* A node joins the kernel of a node that it reads (FXC_ENGINE_NODES). Masks are bits of enum fxc_fuse (ir/ops.h). */
struct fxc_node_rule {
    uint16_t producer, group, consumer; /* group: all that the producer's kernel may hold */
    uint8_t relation, users;            /* users ONE: nothing else reads the producer */
};
enum { FXC_NODE_RULES = 6 };

struct fxc_profile {
    const char *name, *summary, *source;
    uint8_t engine;

    /* Inlining (FXC_ENGINE_LOOPS): a value that is used more than once is computed into memory when it reads or
     * computes more than this, and any value beyond the second pair. */
    uint32_t reuse_reads, max_reads, max_operations, huge_operations;
    uint32_t heavy;    /* bits of operations that are not computed twice */
    uint32_t unroll;   /* reductions of fewer elements become sums of loads */
    uint32_t two_step; /* variances of fewer elements are two sums, of others one pass */

    /* Merging. */
    uint32_t max_nodes;    /* operations in a kernel */
    uint32_t max_siblings; /* the same where neither feeds the other */
    uint32_t max_distance; /* between these, in operations */
    uint32_t min_shared;   /* bytes that these have in common */
    uint32_t attempts;     /* partners that are tried for each reader of a buffer */
    uint32_t rounds;
    bool outer_loops;   /* loop nests with common outer loops run as one kernel */
    bool channels_last; /* convolutions take and give channels-last tensors */

    /* Merging whole nodes (FXC_ENGINE_NODES). */
    bool captured;    /* of the captured graph, though there is a lowered one */
    bool everything;  /* the whole graph is one kernel */
    uint16_t fusible; /* kinds that do not end a run of nodes */
    struct fxc_node_rule rule[FXC_NODE_RULES];
};

/* The profile of a name, or NULL. */
const struct fxc_profile *fxc_profile_find(const char *name);
/* Profile `index` in the order of the table, NULL past the end. */
const struct fxc_profile *fxc_profile_at(uint32_t index);

#endif
