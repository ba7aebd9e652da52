/* fusion: which nodes run as one kernel under the profile, what each kernel reads, writes and computes. */
#ifndef FXC_PASSES_FUSION_FUSION_H
#define FXC_PASSES_FUSION_FUSION_H

#include "fxcost/fusion.h"
#include "passes/analysis.h"

struct fxc_profile;

/* A buffer as a kernel touches it. */
struct fxc_kernel_access {
    uint32_t value;  /* the value of the program that it holds; FXC_NONE for one that the compiler made */
    uint32_t node;   /* the node that it was made for, FXC_NONE for an input */
    uint32_t buffer; /* its number */
    bool written;
    bool strided;         /* neighbours in the innermost loop are not neighbours in memory */
    int64_t exact, whole; /* bytes touched; bytes as Inductor counts them */
};

/* A member of a kernel of loops: for how many elements it is computed, and the FLOPs of that. */
struct fxc_kernel_run {
    uint32_t node;
    int64_t points, flops;
};

struct fxc_kernel_row {
    uint8_t kind;                        /* enum fxc_kernel_kind */
    uint32_t member_begin, member_count; /* in fusion->member */
    uint32_t access_begin, access_count; /* in fusion->access */
    uint32_t size_begin, outer_rank, folded_rank;
    uint32_t operations;   /* merged into it */
    int64_t read, written; /* exact bytes */
    int64_t copied,
        reread; /* of these: for copies into other layouts and what nodes make for themselves; to compute again */
    int64_t whole_bytes; /* Inductor's own count */
    int64_t eager_bytes; /* what its nodes move when each runs alone; of a node in several kernels, by the first */
    int64_t matrix_flops, vector_flops, transcendentals; /* each node once over all kernels */
    int64_t executed_flops, executed_transcendentals;    /* with recomputation */
};

/* Memory that kernels read and write: buffers of loops, or memory classes. */
struct fxc_kernel_buffer {
    int64_t bytes;
    uint32_t within;      /* the buffer in whose memory it lies; its own number where it has memory of its own */
    uint32_t first, last; /* of memory: the kernels between which it lives; FXC_NONE: never made, and to the end */
    bool given, returned; /* of memory: held by the caller from beginning to end; lives on */
    bool made;            /* a kernel touches it, rather than holds it in registers */
};

struct fxc_kernel_memory {
    struct fxc_kernel_buffer *buffer; /* [buffer_count] */
    uint32_t buffer_count;
    int64_t *before, *most, *after; /* per kernel: bytes alive */
    int64_t given_bytes, peak_bytes;
    uint32_t peak_kernel; /* FXC_NONE without kernels */
};

struct fxc_fusion {
    const struct fxc_profile *profile;
    uint32_t graph;
    struct fxc_kernel_row *kernel;
    uint32_t kernel_count;
    uint32_t *member;           /* nodes, rising within a kernel */
    struct fxc_kernel_run *run; /* as many as members, in an order of their own; NULL for profiles without loops */
    struct fxc_kernel_access *access;
    int64_t *size;
    uint32_t *home; /* per node of the program: the first kernel that computes it, or FXC_NONE */
    struct fxc_kernel_memory memory;
};

#endif
