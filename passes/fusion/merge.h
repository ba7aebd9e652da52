/* Merging operations into kernels. */
#ifndef FXC_PASSES_FUSION_MERGE_H
#define FXC_PASSES_FUSION_MERGE_H

#include "passes/fusion/engine.h"

/* Why two groups of operations are or are not one kernel. X(NAME, token, text): the token is what users are given. */
#define FXC_MERGE_REASON_LIST(X)                                                                                       \
    X(NONE, "not_tried", "not tried")                                                                                  \
    X(SAME_LOOPS, "same_loops", "they run the same loops")                                                             \
    X(INTO_REDUCTION, "into_reduction", "the first runs over what the second folds")                                   \
    X(SAME_SIZES, "same_sizes", "their loops, written otherwise, are the same")                                        \
    X(SAME_POINTS, "same_points", "their loops have as many points")                                                   \
    X(EPILOGUE, "epilogue", "the second goes over the results of the first")                                           \
    X(OUTER_LOOPS, "outer_loops", "they share their outer loops")                                                      \
    X(LIBRARY, "library", "one of them is a library kernel")                                                           \
    X(ORDER, "order", "the second must run first")                                                                     \
    X(NOTHING_SHARED, "nothing_shared", "they have no access in common")                                               \
    X(TOO_MANY, "too_many", "together they are more operations than a kernel may hold")                                \
    X(TOO_MANY_SIBLINGS, "too_many_siblings",                                                                          \
      "together they are more operations than a kernel may hold whose parts do not feed each other")                   \
    X(KEPT, "kept", "what the first makes is kept, and a kernel keeps one result")                                     \
    X(MEMORY, "memory", "memory that could be used again would not be")                                                \
    X(OTHER_ELEMENTS, "other_elements", "the second reads other elements than the first has just written")             \
    X(BETWEEN, "between", "another kernel must run between them")                                                      \
    X(OTHER_LOOPS, "other_loops", "their loops differ")                                                                \
    X(LITTLE_SHARED, "little_shared", "what they share is too little")                                                 \
    X(FAR, "far", "they are too far apart")                                                                            \
    X(CYCLE, "cycle", "each would have to run before the other")                                                       \
    X(NOT_NEIGHBOURS, "not_neighbours", "they do not touch a common buffer, or others that do were tried first")

enum fxc_merge_reason {
#define X(name, token, text) FXC_MERGE_##name,
    FXC_MERGE_REASON_LIST(X)
#undef X
        FXC_MERGE_REASON_COUNT
};

/* Operations that run as one kernel. */
struct fxc_kernel_group {
    uint32_t member_begin, member_count; /* operations, at merge->member, in the order in which they were merged */
    uint32_t access_begin, access_count; /* distinct writes and reads, at merge->access, sorted */
    uint32_t parts;                      /* loop nests, of a group with common outer loops; else 0 */
    uint32_t depth;                      /* of the common loops */
    uint32_t lowest, highest;            /* places of its operations */
    uint32_t outer, folded;              /* tuples of sizes: of its first reduction, else of its first operation */
    uint32_t head[2], tail[2];           /* the same of the first and of the last loop nest */
    uint32_t edge_begin, edge_count;     /* operations outside that must run before, at merge->edge */
    uint32_t stamp;
    uint32_t into;       /* the group that this one merged into, FXC_NONE for a kernel */
    uint32_t from[2];    /* the two that it was made of, in the order in which they run; FXC_NONE */
    uint8_t reason;      /* enum fxc_merge_reason: why these two merged */
    bool reduces, fixed; /* fixed: a library kernel, or nothing */
    bool live;
};

struct fxc_merge {
    struct fxc_engine *e;
    uint32_t *order; /* live operations, in order */
    uint32_t count;
    uint32_t *group_of;             /* per operation: its group, FXC_NONE for one that is dead */
    struct fxc_kernel_group *group; /* a group is never changed: two that merge make a new one */
    uint32_t group_count, group_capacity;
    uint32_t *member;
    uint32_t member_count, member_capacity;
    struct fxc_access *access;
    uint32_t access_count, access_capacity;
    uint32_t *edge;
    uint32_t edge_count, edge_capacity;
    uint32_t *readers; /* per buffer: how many operations read it */
    uint32_t *stack;
    uint32_t stamp;
    uint32_t *seen; /* per operation: the stamp of the search that met it */
};

fxc_status fxc_merge_run(struct fxc_engine *engine, struct fxc_merge *merge, fxc_error *err);
/* The groups in an order in which they can run: order[] has room for all operations. */
uint32_t fxc_merge_order(struct fxc_merge *merge, uint32_t *order);
void fxc_merge_free(struct fxc_merge *merge);
/* Why group b can run with group a, which comes first, or not. Below FXC_MERGE_LIBRARY: it can, and `shared` is what
 * fxc_merge_shared gives. */
enum fxc_merge_reason fxc_merge_reason_of(struct fxc_merge *merge, uint32_t a, uint32_t b, int64_t *shared);
/* Whether nothing but what merged before keeps b from running with group a in the same loops. The compiler finds out
 * only when it is about to merge them: while such a pair is left, it does not look for common outer loops (ancestors of
 * a node in scheduler.py are those that it had alone). */
bool fxc_merge_is_blocked(struct fxc_merge *merge, uint32_t a, uint32_t b);
/* Operations between the places of two groups. */
uint32_t fxc_merge_distance(const struct fxc_kernel_group *a, const struct fxc_kernel_group *b);
/* Bytes of the accesses that two groups have in common. */
int64_t fxc_merge_shared(struct fxc_merge *merge, uint32_t a, uint32_t b);

/* Lowers a graph and merges its operations, and lets `visit` see the outcome (passes/fusion.c). What is kept lies in
 * the arena of the fact. */
typedef fxc_status (*fxc_loops_fn)(struct fxc_merge *merge, void *context, fxc_error *err);
fxc_status fxc_fusion_with_loops(struct fxc_analysis *analysis, uint32_t graph, fxc_loops_fn visit, void *context,
                                 fxc_error *err);

/* passes/fusion/relate.c: how loops relate. */
enum fxc_merge_reason fxc_loops_relate(struct fxc_merge *merge, uint32_t a, uint32_t b);
/* Depth of the outer loops that two groups share so that they can run as one nest; 0: none. */
uint32_t fxc_outer_depth(struct fxc_merge *merge, uint32_t a, uint32_t b);
/* Gives two groups whose loops are written otherwise the same loops. */
void fxc_loops_align(struct fxc_merge *merge, uint32_t a, uint32_t b);

#endif
