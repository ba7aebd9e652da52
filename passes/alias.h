/* alias: what shares memory, what is written, and what must therefore run after what.
 *
 * Node order is semantic in the captured dialect: after `v = y[0]; v.add_(1)` later readers of y have no edge to add_.
 * This fact makes the edges explicit. A memory class is a set of values that share one storage; every write gives the
 * class a new version. */
#ifndef FXC_PASSES_ALIAS_H
#define FXC_PASSES_ALIAS_H

#include "passes/analysis.h"

/* How a tensor result relates to the memory of the node's arguments. */
enum fxc_result_memory {
    FXC_MEMORY_FRESH,   /* storage of its own */
    FXC_MEMORY_VIEW,    /* other metadata over an argument's storage */
    FXC_MEMORY_SAME,    /* the argument itself (in-place ops, eval dropout) */
    FXC_MEMORY_NOTHING, /* no tensor */
};

struct fxc_write {
    uint32_t node;
    uint32_t value;   /* the argument written through */
    uint32_t memory;  /* its memory class */
    uint32_t version; /* the version this write makes; 1 for the first */
    bool whole;       /* every element of the class is known to be written */
};

struct fxc_alias {
    uint32_t memory_count;
    uint32_t *value_memory;  /* per value: memory class, FXC_NONE for a value that is no tensor */
    uint8_t *result_memory;  /* per value: enum fxc_result_memory */
    uint32_t *memory_origin; /* per memory class: the first value in it */

    /* Writes in execution order; those of node n are write[node_write_begin[n] .. node_write_begin[n + 1]). */
    struct fxc_write *write;
    uint32_t *node_write_begin;

    /* Order edges that FX's own uses do not show: nodes whose write is the latest before this node to memory that it
     * reads or writes (later readers of y -> add_). dep[dep_begin[n] .. dep_begin[n + 1]). */
    uint32_t *dep;
    uint32_t *dep_begin;

    /* Graph inputs of graph 0 whose memory is written during the run, each with the node that writes last. */
    struct fxc_writeback {
        uint32_t input; /* row of the input columns */
        uint32_t node;
    } *writeback;
    uint32_t writeback_count;
};

#endif
