/* alias: what its files share. The pass walks the program in execution order: body graphs where they are called. */
#ifndef FXC_PASSES_ALIAS_WALK_H
#define FXC_PASSES_ALIAS_WALK_H

#include "ir/op_schema.h"
#include "passes/alias/alias.h"

/* ---- what an operator does to memory, apart from its arguments (passes/alias/ops.c)
 * --------------------------------------
 */

/* How results and arguments of an operator share memory. */
enum fxc_op_memory_role {
    FXC_ROLE_SCHEMA,        /* marks and recorded storages tell */
    FXC_ROLE_GETITEM,       /* element of a list: the element itself */
    FXC_ROLE_EVAL_IDENTITY, /* its first tensor itself, unless training */
    FXC_ROLE_RUNNING_STATS, /* writes its running statistics when training, which no mark admits */
    FXC_ROLE_WRITES_FIRST,  /* without a schema, but named like an in-place operator: writes and returns argument 0 */
    FXC_ROLE_WRITES_ALL,    /* may write any tensor it is given */
    FXC_ROLE_WRAPPER,       /* runs its body once, and returns the body's outputs */
};

struct fxc_op_memory {
    const struct fxc_op_schema *op;
    uint8_t role;
    bool metadata;                          /* in-place, but changes only sizes and strides */
    bool replaces;                          /* set_: the first argument gets the storage of `source` */
    bool reads_nothing;                     /* looks at no element of its arguments */
    bool overwrites;                        /* what it writes it does not read */
    bool whole;                             /* writes every element of what it writes */
    bool copies;                            /* its result is never a view, though lift_fresh_copy is recorded as one */
    bool binds;                             /* operands after the body are the body's inputs */
    uint32_t training, probability, source; /* arguments of the schema, or FXC_NONE */
    uint32_t stats[2];                      /* running_mean, running_var */
    uint32_t *partner;                      /* per result of the schema: the argument that it aliases, or FXC_NONE */
};

fxc_status fxc_alias_ops(struct fxc_arena *arena, const struct fxc_program *program, struct fxc_op_memory **out,
                         fxc_error *err);

/* ---- reads and writes (passes/alias/order.c)
 * ------------------------------------------------------------------------------
 */

struct fxc_event {
    uint32_t node, next; /* next: an event + 1, 0 ends the chain */
};

struct fxc_edge {
    uint32_t from, to;
    uint8_t kind; /* fxc_dependency */
};

/* Per memory class. */
struct fxc_memory_state {
    uint32_t last_write;      /* node + 1 of the latest write of any kind, 0: none yet */
    uint32_t last_data_write; /* the same, without writes of metadata */
    uint32_t version;
    uint32_t readers;      /* events since the last write: nodes that read elements */
    uint32_t views;        /* events since the last metadata write: nodes that made views */
    uint32_t stamp, first; /* first: an argument of node stamp - 1 in this class */
    uint32_t returned;     /* node + 1 of the latest node with a result in this class */
};

struct fxc_order {
    const struct fxc_program *p;
    struct fxc_memory_state *memory;
    struct fxc_event *event;
    uint32_t event_count, event_capacity;
    struct fxc_edge *edge;
    size_t edge_count, edge_capacity;
    struct fxc_write *write;
    uint32_t write_count, write_capacity;
    uint32_t *node_graph;   /* FXC_NONE for nodes not walked yet */
    uint32_t *graph_caller; /* the node that first calls the graph, FXC_NONE for a root */
    uint8_t *graph_depth;
    bool failed; /* out of memory */
};

void fxc_order_read(struct fxc_order *order, uint32_t node, uint32_t memory);
void fxc_order_view(struct fxc_order *order, uint32_t node, uint32_t memory);
void fxc_order_write(struct fxc_order *order, struct fxc_write write);
/* Sorts the edges into alias->dep, without those that arguments show. */
fxc_status fxc_order_finish(struct fxc_order *order, struct fxc_arena *arena, struct fxc_arena *scratch,
                            struct fxc_alias *alias, fxc_error *err);
void fxc_order_free(struct fxc_order *order);

/* ---- tensors (passes/alias/tensor.c)
 * --------------------------------------------------------------------------------------
 */

/* Equal sizes, strides and offset. */
bool fxc_same_layout(const struct fxc_program *program, uint32_t value_a, uint32_t value_b);
/* Every element of the storage is an element of the tensor; false too when sizes are symbolic. */
bool fxc_fills_storage(const struct fxc_program *program, uint32_t value);

/* ---- write-backs (passes/alias/writeback.c)
 * -------------------------------------------------------------------------------
 */

/* After the walk of graph 0 alone. */
fxc_status fxc_alias_writebacks(const struct fxc_program *program, const struct fxc_memory_state *memory,
                                struct fxc_arena *arena, struct fxc_arena *scratch, struct fxc_alias *alias,
                                fxc_error *err);

/* ---- the walk (alias.c) ---------------------------------------------------------------------------------------------
 */

/* A tensor among a node's arguments. */
struct fxc_use {
    uint32_t value, memory;
    uint32_t arg; /* of the schema, or FXC_NONE */
    uint32_t row; /* of the arg columns */
};

/* The pass at work. */
struct fxc_walk {
    const struct fxc_program *p;
    struct fxc_arena *scratch;
    struct fxc_alias *alias;
    struct fxc_op_memory *ops;
    struct fxc_order order;
    uint32_t *storage_memory; /* per storage: its class, or FXC_NONE */
    bool *walked;             /* per graph */
    bool *input_written;      /* per input of a body: its run writes to the operand */
    struct fxc_use *use;      /* tensors of the node at hand, in the order of its arguments */
    uint32_t use_count, use_capacity;
    uint32_t first_use[FXC_SCHEMA_MAX_ARGS], uses[FXC_SCHEMA_MAX_ARGS]; /* per argument of the schema: its tensors */
    uint32_t identity; /* the argument that eval dropout returns, or FXC_NONE */
    bool failed;       /* out of memory */
};

void fxc_alias_graph(struct fxc_walk *walk, uint32_t graph);
/* Collects the tensors of a node into walk->use. */
void fxc_alias_gather(struct fxc_walk *walk, uint32_t node);
/* Gives a value its class. */
void fxc_alias_assign(struct fxc_walk *walk, uint32_t value, uint32_t memory, enum fxc_result_memory relation);
/* The same for an input: by its storage, or a class of its own. */
void fxc_alias_input(struct fxc_walk *walk, uint32_t value);
/* Gives the tensors of a node's result their classes, by marks and recorded storages. */
void fxc_alias_result(struct fxc_walk *walk, uint32_t node);
/* Gives one tensor of a node's result a class that is known (FXC_NONE: by recorded storages). */
void fxc_alias_known_result(struct fxc_walk *walk, uint32_t node, uint32_t value, uint32_t memory);
/* A node that runs body graphs (passes/alias/calls.c). False when the node calls none. */
bool fxc_alias_call(struct fxc_walk *walk, uint32_t node);

static inline bool fxc_holds_list(uint8_t kind) {
    return kind == FXC_KIND_LIST || kind == FXC_KIND_DICT || kind == FXC_KIND_SLICE;
}

#endif
