/* Kernels: which nodes a compiler runs as one, what each kernel reads, writes and computes.
 *
 * What becomes a kernel is said by the option "profile" (fxc_profile_get lists them). Profiles of compilers work on the
 * lowered graph where the program holds one (view "lowered"), else on graph 0. */
#ifndef FXCOST_FUSION_H
#define FXCOST_FUSION_H

#include "fxcost/fxcost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, text): a kernel of a library; loops; loops that fold dimensions; loop nests with common outer loops; nodes
 * that a profile without loops puts together. */
#define FXC_KERNEL_KIND_LIST(X)                                                                                        \
    X(LIBRARY, "extern")                                                                                               \
    X(POINTWISE, "pointwise")                                                                                          \
    X(REDUCTION, "reduction")                                                                                          \
    X(OUTER_LOOP, "outer_loop")                                                                                        \
    X(NODES, "nodes")

enum fxc_kernel_kind {
#define FXC_X_KERNEL(name, text) FXC_KERNEL_##name,
    FXC_KERNEL_KIND_LIST(FXC_X_KERNEL)
#undef FXC_X_KERNEL
        FXC_KERNEL_KIND_COUNT
};

typedef struct fxc_kernel_info {
    size_t struct_size;
    uint8_t kind;          /* fxc_kernel_kind */
    const char *kind_text; /* "extern", "pointwise", ... */
    const uint32_t *nodes; /* [node_count] of the program, rising; a node that is recomputed is in several kernels */
    uint32_t node_count;
    uint32_t accesses;   /* fxc_analysis_kernel_access of them */
    uint32_t operations; /* loop nests that were merged into it */
    uint32_t outer_rank, folded_rank;
    const int64_t *sizes; /* of the loops: [outer_rank], then of the folded dimensions [folded_rank] */
    int64_t bytes_read,
        bytes_written;    /* elements that it touches, each once: slices and broadcasts count what they are */
    int64_t bytes_copied; /* of these: copies into other layouts, and what a node makes for itself, such as parts of a
                             sum */
    int64_t
        bytes_reread; /* of these: read for nodes that an earlier kernel has computed, and this one computes again */
    int64_t inductor_bytes; /* as torch._inductor.metrics.num_bytes_accessed counts them */
    int64_t eager_bytes;    /* what its nodes move when each runs alone; recomputed ones count at their first kernel */
    int64_t bytes_saved;    /* eager_bytes less bytes_read and bytes_written */
    int64_t matrix_flops, vector_flops, transcendentals; /* of each node once, at its first kernel */
    int64_t executed_flops, executed_transcendentals;    /* with what is computed more than once */
    double intensity; /* executed FLOPs per byte read or written; NAN without bytes */
    /* With a device, as in fxc_node_cost: */
    double seconds, efficiency, error; /* NAN where not known */
    uint8_t work, bound, source;       /* fxc_work_kind, fxc_bound, fxc_time_source */
    /* Bytes alive before it, at most while it runs, and after it, parameters and inputs included. */
    int64_t live_before, peak_bytes, live_after;
} fxc_kernel_info;
/* How many kernels there are under the profile. */
FXC_API fxc_status fxc_analysis_kernel_count(fxc_analysis *analysis, uint32_t *count, fxc_error *err);
/* Kernel `index` in an order in which they can run; FXC_USAGE past the end. The pointers are valid while the analysis
 * keeps its facts. */
FXC_API fxc_status fxc_analysis_kernel(fxc_analysis *analysis, uint32_t index, fxc_kernel_info *out, fxc_error *err);

typedef struct fxc_kernel_peak {
    size_t struct_size;
    int64_t peak_bytes, given_bytes; /* alive at most; parameters, buffers, constants and inputs, all of the time */
    uint32_t kernel;                 /* where, FXC_NONE without kernels */
} fxc_kernel_peak;
/* The peak of memory when the program runs as these kernels: buffers that only their own kernel uses are never made,
 * and results are written over what is read for the last time, as the profile's compiler does it. */
FXC_API fxc_status fxc_analysis_kernel_peak(fxc_analysis *analysis, fxc_kernel_peak *out, fxc_error *err);

typedef struct fxc_kernel_access_info {
    size_t struct_size;
    uint32_t value;   /* the value in the buffer, FXC_NONE for one that the compiler made for itself */
    uint32_t node;    /* the node that it belongs to, FXC_NONE for an input of the graph */
    uint32_t buffer;  /* its number: the same in all kernels */
    const char *name; /* of the value, or of the node */
    bool written;     /* else it is only read */
    int64_t bytes, inductor_bytes;
} fxc_kernel_access_info;
/* Buffer `index` that a kernel touches. */
FXC_API fxc_status fxc_analysis_kernel_access(fxc_analysis *analysis, uint32_t kernel, uint32_t index,
                                              fxc_kernel_access_info *out, fxc_error *err);

typedef struct fxc_explanation {
    size_t struct_size;
    bool together;               /* a kernel computes both */
    const char *reason;          /* the rule as a word: "same_loops", "too_many", ... (docs/fusion.md) */
    uint32_t kernel_a, kernel_b; /* the kernels that were compared, FXC_NONE where there is none */
    char text[4096];             /* the answer, the rule, its limits and the kernels, a line each */
} fxc_explanation;
/* Why nodes `a` and `b` are or are not one kernel. Names are those of the graph that the profile fuses, or of captured
 * nodes, each of which stands for all that was lowered from it; FXC_USAGE with near names for one that does not exist.
 * Where a node is computed in several kernels, the pair of kernels that is nearest to being one is explained. */
FXC_API fxc_status fxc_fusion_explain(fxc_analysis *analysis, const char *a, const char *b, fxc_explanation *out,
                                      fxc_error *err);

/* Writes kernels, bytes and FLOPs of two analyses side by side: in all, by kind of kernel, and by the innermost module
 * around a kernel (no deeper than options->depth). They may be of one program under two profiles, or of two programs.
 * Formats: table, csv. */
FXC_API fxc_status fxc_fusion_diff_render(fxc_analysis *a, fxc_analysis *b, const fxc_render_options *options,
                                          fxc_write_fn write, void *context, fxc_error *err);

typedef struct fxc_profile fxc_profile;
typedef struct fxc_profile_info {
    size_t struct_size;
    const char *name, *summary, *source;
    const char *lowered; /* the device that the lowered graph is made for, "cpu" or "cuda"; "" when it needs none */
} fxc_profile_info;
/* Profile `index` of those that fxcost knows; FXC_USAGE past the end. */
FXC_API fxc_status fxc_profile_get(uint32_t index, fxc_profile_info *out, fxc_error *err);
/* The profile of a name, or NULL. */
FXC_API const fxc_profile *fxc_profile_find(const char *name);
FXC_API fxc_status fxc_profile_describe(const fxc_profile *profile, fxc_profile_info *out, fxc_error *err);
/* Word `index` of a profile that is a number or a truth, and what it means; FXC_USAGE past the end. */
FXC_API fxc_status fxc_profile_word(uint32_t index, const char **name, const char **text, fxc_error *err);

/* Profile files are text, one `name = value` a line, '#' begins a comment: a profile to start `from` and what differs,
 * or an `engine` and all of it. fxc_profile_print writes one, and fxc_analysis_set(.., "profile", path) reads one
 * itself where the value holds a '/' or ends in .profile. Errors: FXC_USAGE, which names the line; FXC_IO; FXC_MEMORY.
 */
FXC_API fxc_status fxc_profile_print(const fxc_profile *profile, fxc_write_fn write, void *context, fxc_error *err);
/* `name` stands for the text in messages. Free the profile with fxc_profile_free. */
FXC_API fxc_status fxc_profile_parse(const char *text, size_t size, const char *name, fxc_profile **out,
                                     fxc_error *err);
FXC_API fxc_status fxc_profile_open(const char *path, fxc_profile **out, fxc_error *err);
FXC_API bool fxc_profile_is_path(const char *value);
FXC_API void fxc_profile_free(fxc_profile *profile);

#ifdef __cplusplus
}
#endif

#endif
