/* alias: what shares memory, what is written, and what must therefore run after what.
 *
 * Node order is semantic in the captured dialect: after `v = y[0]; v.add_(1)` later readers of y have no edge to add_.
 * This fact makes the edges explicit. A memory class is a set of values that share one storage; every write gives the
 * class a new version. docs/alias.md says where each statement comes from. */
#ifndef FXC_PASSES_ALIAS_H
#define FXC_PASSES_ALIAS_H

#include "passes/analysis.h"

struct fxc_write {
    uint32_t node;    /* the node that writes: the one inside a body, not the node that calls the body */
    uint32_t value;   /* the argument written through */
    uint32_t memory;  /* its memory class */
    uint32_t version; /* the version this write makes, 1 for the first; a metadata write makes none */
    bool whole;       /* every element of the class is known to be written */
    bool metadata;    /* only sizes and strides change (unsqueeze_, t_, ...): order matters, no data are written */
};

struct fxc_alias {
    uint32_t memory_count;
    uint32_t *value_memory;  /* per value: memory class, FXC_NONE for a value that is no tensor */
    uint8_t *result_memory;  /* per value: fxc_result_memory; FRESH for the inputs of a graph */
    uint32_t *memory_origin; /* per memory class: the first value in it */

    /* Writes in execution order. Those of node n are write[node_write_begin[n] .. node_write_end[n]); the range of a
     * node that calls a body holds the writes inside it. */
    struct fxc_write *write;
    uint32_t write_count;
    uint32_t *node_write_begin, *node_write_end;

    /* Order edges that FX's own uses do not show, from n to earlier nodes of the same graph: dep[dep_begin[n] ..
     * dep_begin[n + 1]), rising, with fxc_dependency beside each. Per memory class that n touches: the node of the
     * latest write (when n reads: later readers of y -> add_; or writes), and, when n writes, every node that read
     * since that write. Work inside a body counts for the node that calls it. A node whose result n uses directly is
     * left out. Classes are whole storages: writes to disjoint slices of one storage are ordered too. */
    uint32_t *dep;
    uint8_t *dep_kind;
    uint32_t *dep_begin;

    /* Graph inputs of graph 0 whose memory holds other data after the run, by rising row, each with the node that
     * writes last; in a functional program, the node that computes the value copied back. */
    struct fxc_writeback {
        uint32_t input; /* row of the input columns */
        uint32_t node;  /* FXC_NONE when an input is copied back unchanged */
    } *writeback;
    uint32_t writeback_count;
};

#endif
