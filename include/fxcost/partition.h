/* Cutting a program into stages of a pipeline: contiguous parts of its order, balanced by predicted time, each within
 * the memory of a device.
 *
 * A stage holds the parameters, buffers and inputs that its nodes use, each once, and what is alive while its nodes
 * run; what a later stage needs passes through every stage between. Of all cuts that fit into memory the slowest stage
 * of the best is found exactly; then, among the cuts whose slowest stage is at most `slack` above it, one that sends
 * the fewest bytes. docs/partition.md says what is in these numbers. */
#ifndef FXCOST_PARTITION_H
#define FXCOST_PARTITION_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fxc_partition fxc_partition;

typedef struct fxc_partition_options {
    size_t struct_size;
    uint32_t stages;
    int64_t
        memory_bytes; /* of one stage; 0: of the device of the analysis, no limit where that is not known; -1: none */
    double slack;     /* 0.01: a slowest stage of up to 1 % above the best, where that saves communication */
} fxc_partition_options;

/* Cuts graph 0 under the options of the analysis, which must name a device. The program must outlive the result, the
 * analysis need not. FXC_DEVICE without a device; FXC_USAGE for no stages, for more stages than nodes, for a program
 * with a backward pass, and when no cut fits into memory, where the message says what would. */
FXC_API fxc_status fxc_partition_new(fxc_analysis *analysis, const fxc_partition_options *options, fxc_partition **out,
                                     fxc_error *err);
FXC_API void fxc_partition_free(fxc_partition *partition);

typedef struct fxc_partition_info {
    size_t struct_size;
    uint32_t stages;
    double seconds;            /* of all nodes */
    double bottleneck_seconds; /* of the slowest stage */
    double best_seconds;       /* the least that the slowest stage of any such cut takes */
    double imbalance;          /* the slowest stage over the mean, less 1; 0 where nothing takes time */
    double largest_seconds;    /* of a single node: no cut does better */
    uint32_t largest_node;
    int64_t memory_bytes;    /* the limit of a stage; -1: none */
    int64_t sent_bytes;      /* over all cuts */
    uint32_t untimed_nodes;  /* whose time is not known, and in no sum: seconds are lower bounds */
    uint32_t unsized_values; /* tensors of unknown size, in no number: bytes are lower bounds */
    bool bound;              /* nodes hold more memory than is known: memory is a lower bound too */
    const char *device;
} fxc_partition_info;
FXC_API fxc_status fxc_partition_get_info(const fxc_partition *partition, fxc_partition_info *info, fxc_error *err);

typedef struct fxc_stage_info {
    size_t struct_size;
    uint32_t first_node, nodes; /* nodes first_node .. first_node + nodes - 1 of the program */
    double seconds;
    int64_t flops;
    int64_t held_bytes;     /* parameters, buffers and inputs that it uses; what several stages use is in each */
    int64_t alive_bytes;    /* besides, at most while it runs */
    int64_t received_bytes; /* from the stage before */
    int64_t sent_bytes;     /* to the stage behind */
    const char *module;     /* qualified name of the module of the first node; valid as long as the partition */
} fxc_stage_info;
/* Stage `index`; FXC_USAGE past the end. */
FXC_API fxc_status fxc_partition_stage(const fxc_partition *partition, uint32_t index, fxc_stage_info *out,
                                       fxc_error *err);

/* Writes it. Formats: table (default), csv, json (docs/partition.schema.json). options->raw as in a report. */
FXC_API fxc_status fxc_partition_render(const fxc_partition *partition, const fxc_render_options *options,
                                        fxc_write_fn write, void *context, fxc_error *err);

#ifdef __cplusplus
}
#endif

#endif
