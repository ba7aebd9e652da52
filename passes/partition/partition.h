/* partition: stages of a pipeline. */
#ifndef FXC_PASSES_PARTITION_PARTITION_H
#define FXC_PASSES_PARTITION_PARTITION_H

#include "fxcost/partition.h"
#include "passes/analysis.h"

/* Something that a stage holds throughout when one of its nodes uses it. */
struct fxc_held {
    uint32_t class; /* of memory */
    int64_t bytes;
};

/* What the nodes of graph 0 cost, position by position: position i is node first + i. A cut `i` lies before it. */
struct fxc_positions {
    uint32_t count, first;
    double *until;         /* [count + 1]: seconds of all positions before */
    int64_t *flops;        /* [count], with those of the bodies that it calls */
    int64_t *alive;        /* [count]: bytes at most while it runs, without what is given */
    int64_t *parked;       /* [count]: of these, results of earlier positions that are only returned */
    int64_t *sent;         /* [count]: bytes made before the cut and used behind it */
    uint32_t *held_begin;  /* [count + 1] */
    struct fxc_held *held; /* parameters, buffers and inputs that it uses, each once a position */
    uint32_t class_count, untimed, unsized;
};
fxc_status fxc_positions_build(struct fxc_analysis *analysis, struct fxc_arena *arena, struct fxc_positions *positions,
                               fxc_error *err);

/* The limits of a stage. */
struct fxc_stage_limits {
    double seconds;
    int64_t bytes; /* INT64_MAX: none */
};

/* The positions that a stage covers, which grows at its end and shrinks at its beginning. */
struct fxc_window {
    const struct fxc_positions *positions;
    uint32_t begin, end;
    int64_t held;
    uint32_t *uses; /* per class: positions in the window that use it */
    uint32_t *high; /* positions of falling `alive`: high[high_begin] has the most of the window */
    uint32_t high_begin, high_end;
};
bool fxc_window_init(struct fxc_window *window, const struct fxc_positions *positions, struct fxc_arena *arena);
/* Empty, before the first position. */
void fxc_window_reset(struct fxc_window *window);
/* Takes the position at its end in; gives up the one at its beginning. */
void fxc_window_grow(struct fxc_window *window);
void fxc_window_shrink(struct fxc_window *window);
double fxc_window_seconds(const struct fxc_window *window);
/* Bytes alive at most, beside what is held. */
int64_t fxc_window_alive(const struct fxc_window *window);
/* True when held and alive bytes do not fit in 64 bits. */
bool fxc_window_bytes(const struct fxc_window *window, int64_t *out);

/* The cut: begin[0] = 0 .. begin[stages] = count. */
struct fxc_cut {
    double best; /* least time of the slowest stage */
    uint32_t *begin;
};
/* FXC_USAGE when no cut keeps the limit of memory. */
fxc_status fxc_find_cut(const struct fxc_program *program, const struct fxc_positions *positions, uint32_t stages,
                        int64_t bytes, double slack, struct fxc_arena *arena, struct fxc_cut *out, fxc_error *err);

struct fxc_stage {
    fxc_stage_info info;
    const char *first, *last; /* names of nodes */
};
struct fxc_partition {
    const struct fxc_program *program;
    fxc_partition_info info;
    struct fxc_stage *stage;
    struct fxc_arena arena; /* owns all but itself */
};

#endif
