/* Fusion profiles: the limits and rules of a compiler, as data (passes/fusion/profiles.def). */
#ifndef FXC_PASSES_FUSION_PROFILE_H
#define FXC_PASSES_FUSION_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* Operations that cost so much that a value which needs one is not computed twice. */
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

/* How a profile makes kernels: of groups of nodes, by kinds of operators; of loops over buffers, with inlining. */
#define FXC_ENGINE_LIST(X)                                                                                             \
    X(NODES, "nodes")                                                                                                  \
    X(LOOPS, "loops")
enum fxc_profile_engine {
#define X(name, text) FXC_ENGINE_##name,
    FXC_ENGINE_LIST(X)
#undef X
        FXC_ENGINE_COUNT
};

/* How the loops of two nodes must relate to be one kernel. */
#define FXC_RELATION_LIST(X)                                                                                           \
    X(ANY, "any")                                                                                                      \
    X(SAME_ELEMENTS, "same_elements")                                                                                  \
    X(SAME_RUN, "same_run")
enum fxc_node_relation {
#define X(name, text) FXC_RELATION_##name,
    FXC_RELATION_LIST(X)
#undef X
        FXC_RELATION_COUNT
};
/* Who else may read the producer; dominated: whoever does, all of it ends in the consumer. */
#define FXC_USERS_LIST(X)                                                                                              \
    X(ANY, "any")                                                                                                      \
    X(ONE, "one")                                                                                                      \
    X(DOMINATED, "dominated")
enum fxc_node_users {
#define X(name, text) FXC_USERS_##name,
    FXC_USERS_LIST(X)
#undef X
        FXC_USERS_COUNT
};

/* A node joins the kernel of a node that it reads (FXC_ENGINE_NODES). Masks are bits of enum fxc_fuse (ir/ops.h). */
struct fxc_node_rule {
    uint16_t producer, group, consumer; /* group: all that the producer's kernel may hold */
    uint8_t relation, users;            /* users ONE: nothing else reads the producer */
};
enum { FXC_NODE_RULES = 6 };

struct fxc_profile {
    const char *name, *summary, *source;
    uint8_t engine;

    const char *lowered; /* the device that the lowered graph is made for: "cpu", "cuda"; NULL when none is needed */
    uint32_t heavy;      /* bits of operations that are not computed twice */
#define NUMBER(name, text) uint32_t name;
#define FLAG(name, text) bool name;
#include "passes/fusion/fields.def"

    uint16_t fusible; /* kinds that do not end a run of nodes */
    struct fxc_node_rule rule[FXC_NODE_RULES];
};

/* Profile `index` in the order of the table, NULL past the end. */
const struct fxc_profile *fxc_profile_at(uint32_t index);

#endif
