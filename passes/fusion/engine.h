/* The loop engine: lowers a graph of operators to loops over buffers, as a compiler of the Inductor kind does.
 *
 * A tensor is a view of a box. A box is a buffer in memory, or a body that is not computed yet: a pointwise expression
 * over loads from buffers, which is inlined into whatever uses it until a rule of the profile makes a buffer of it. A
 * buffer that loops fill is an operation with an iteration space; operations are then merged into kernels
 * (passes/fusion/merge.c). The rules are those of torch/_inductor (lowering.py, ir.py, graph.py) of torch 2.13. */
#ifndef FXC_PASSES_FUSION_ENGINE_H
#define FXC_PASSES_FUSION_ENGINE_H

#include "passes/fusion/fusion.h"
#include "passes/fusion/index.h"
#include "passes/fusion/profile.h"
#include "passes/grow.h"
#include "passes/rule.h"

enum { FXC_LOOP_RANK = 16 }; /* dimensions of a tensor that the engine takes */

/* ---- bodies -------------------------------------------------------------------------------------------------------
 */

/* The elements of a box, `rank` sizes, at which a load happens under a condition, such as those of one part of a
 * concatenation. */
struct fxc_part {
    int64_t elements; /* 0: no condition, it happens at every point */
    uint32_t at;      /* what is loaded, as a load's `at`, over the variables of the box */
    uint32_t shape;
    uint8_t rank;
};

/* A read of a buffer: one expression for each of its dimensions, or one address. */
struct fxc_load {
    uint32_t buffer;      /* FXC_NONE: none is read, the address itself is used as a number */
    uint32_t at;          /* a tuple, or an expression */
    bool address;         /* `at` is an expression */
    uint32_t times;       /* how often the body says it; it is loaded once */
    uint32_t first, last; /* nodes that say so, plus 1: the first and the last of them */
    struct fxc_part part; /* for which a condition lets it happen */
};

static inline struct fxc_load fxc_load_of(uint32_t buffer, uint32_t at, bool address) {
    return (struct fxc_load){.buffer = buffer, .at = at, .address = address, .times = 1};
}

/* Part `part` of what node `node` computes, at the elements that the tuple `at` gives. The same part at the same
 * elements is computed once, however often a body uses it. */
struct fxc_work {
    uint32_t node, at;
    uint16_t part, operations;
    int64_t points; /* elements that the part has */
};

struct fxc_body {
    uint32_t load_begin, load_count; /* in engine->load */
    uint32_t work_begin, work_count; /* in engine->work */
    uint32_t operations;
    uint32_t heavy; /* bits of enum fxc_heavy */
};

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

struct fxc_buffer {
    uint32_t value;     /* the value of the program that lies in it, FXC_NONE for a copy */
    uint32_t node;      /* the node that it belongs to, FXC_NONE for an input */
    uint32_t operation; /* what fills it, FXC_NONE for an input */
    uint32_t shape;     /* sizes at engine->size[shape .. shape + rank) */
    uint32_t strides;   /* the same for its strides; valid while `flexible`: row-major */
    int64_t offset, numel;
    int64_t charged; /* elements that Inductor counts for all of it: numel, but of one written in part that part */
    uint32_t
        within; /* the buffer in whose memory it is: of a piece of a concatenation, of one written over; FXC_NONE */
    uint8_t rank, dtype;
    bool flexible; /* the strides are not decided */
    bool input, output, parameter;
    bool copy, partial; /* another layout of what is in memory; made by a node for itself */
    bool written;       /* in place, after it was made */
};

struct fxc_box {
    uint32_t buffer; /* FXC_NONE: not computed */
    uint32_t shape;
    struct fxc_body body;
    uint32_t node; /* whose result it is */
    uint32_t value;
    uint32_t formula; /* an expression over its dimensions, plus 1, that its elements are; 0: none is known */
    uint8_t rank, dtype;
};

/* A tensor of the graph. */
struct fxc_tensor_view {
    uint32_t box;   /* FXC_NONE: the value is no tensor, or is not modelled */
    uint32_t shape; /* its sizes */
    uint32_t at;    /* plain: unused; strided: an address; else a tuple over the box's dimensions, or an address */
    uint8_t rank;
    bool plain;   /* the box itself */
    bool address; /* `at` is an address in the box's buffer */
    bool strided; /* ... which strides and an offset give: another view of the same memory */
};

/* ---- operations ---------------------------------------------------------------------------------------------------
 */

enum fxc_operation_kind { FXC_OPERATION_POINTWISE, FXC_OPERATION_REDUCTION, FXC_OPERATION_EXTERN, FXC_OPERATION_NONE };

/* A read or write of a buffer over an iteration space, in a form in which equal ones are equal; `at` FXC_NONE means
 * the whole buffer, in an order that is not known. */
struct fxc_access {
    uint32_t buffer, at, sizes;   /* sizes: a tuple of constants */
    uint32_t first, last;         /* of a read: nodes that do so, as of a load; 0: the operation's own */
    int64_t most;                 /* elements for which a condition lets it happen; 0: every point */
    uint32_t part_at, part_sizes; /* then: the address and the sizes of those elements */
};

struct fxc_operation {
    uint8_t kind;
    bool atomic;     /* writes with atomic additions */
    bool copies;     /* into another layout, what is in memory */
    bool effect;     /* runs for more than what it writes: an assertion */
    bool apart;      /* each result that is used counts as one more operation */
    bool out;        /* of externs: writes into memory that it is given */
    uint32_t node;   /* whose result it makes */
    uint32_t number; /* place among the live operations, as the compiler counts them (passes/fusion/rounds.c) */
    uint32_t shape;  /* sizes before simplification: outer[outer_rank], then folded[folded_rank] */
    uint8_t outer_rank, folded_rank;
    struct fxc_body body;                /* of loops */
    uint32_t input_begin, input_count;   /* of externs: buffers at engine->number[] */
    uint32_t reach_begin;                /* and how many of their elements it reads, at engine->size[] */
    uint32_t output_begin, output_count; /* buffers written, the same way */
    uint32_t write_at;                   /* of loops: address of the write; FXC_NONE: by the buffer's strides */
    uint32_t mutated;                    /* the buffer that is written in place, or FXC_NONE */
    /* Simplified (passes/fusion/space.c): */
    uint32_t outer, folded; /* tuples of sizes */
    uint32_t access_begin;  /* writes, then reads */
    uint32_t write_count, read_count;
    int64_t points; /* of the whole iteration space */
};

/* ---- the engine ---------------------------------------------------------------------------------------------------
 */

struct fxc_engine {
    struct fxc_analysis *analysis;
    const struct fxc_program *p;
    const struct fxc_profile *profile;
    uint32_t graph, first_node, end_node;
    struct fxc_index_table index;

    struct fxc_tensor_view *view; /* per value */
    uint32_t *users;              /* per value: distinct nodes that use it, the graph's output counting as one */
    uint32_t *user_begin, *user;  /* per value: these nodes; FXC_NONE stands for the output */
    bool *is_output;              /* per value: returned by the graph */
    bool *is_visible;             /* per value: of these, for the caller, not kept for the backward graph */
    bool *channels_last;          /* per value: convolutions want it, or what comes of it, channels-last */

    struct fxc_box *box;
    struct fxc_buffer *buffer;
    struct fxc_operation *operation;
    struct fxc_load *load;
    struct fxc_work *work;
    struct fxc_access *access;
    int64_t *size;    /* pool of sizes and strides */
    uint32_t *number; /* pool of lists */
    uint32_t box_count, box_capacity, buffer_count, buffer_capacity, operation_count, operation_capacity;
    uint32_t load_count, load_capacity, work_count, work_capacity, access_count, access_capacity;
    uint32_t size_count, size_capacity, number_count, number_capacity;
    uint32_t node;  /* at hand */
    bool convolves; /* the graph holds a convolution, so that layouts follow what convolutions want */
    bool failed;    /* out of memory */
    bool overflowed;
};

/* ---- passes/fusion/body.c: what is computed, and on what ------------------------------------------------------------
 */

/* A body under construction: its loads and work are the last of the engine's pools. */
void fxc_body_start(struct fxc_engine *engine, struct fxc_body *body);
void fxc_body_load(struct fxc_engine *engine, struct fxc_body *body, struct fxc_load load);
void fxc_body_work(struct fxc_engine *engine, struct fxc_body *body, struct fxc_work work);
/* Inlines what a tensor is, seen from a space: `map`[d] gives dimension d of the tensor over variables with extents
 * `size`. A tensor in memory becomes a load. */
void fxc_body_inline(struct fxc_engine *engine, struct fxc_body *body, const struct fxc_tensor_view *view,
                     const uint32_t *map, const int64_t *size);
/* Loads from buffers; those whose place depends on the element. */
uint32_t fxc_body_reads(const struct fxc_engine *engine, const struct fxc_body *body);
uint32_t fxc_body_moving_loads(const struct fxc_engine *engine, const struct fxc_body *body);

/* ---- passes/fusion/box.c: boxes, buffers and views
 * -------------------------------------------------------------------
 */

uint32_t fxc_engine_sizes(struct fxc_engine *engine, const int64_t *size, uint32_t count);
uint32_t fxc_engine_contiguous(struct fxc_engine *engine, uint32_t shape, uint8_t rank);
uint32_t fxc_engine_buffer(struct fxc_engine *engine, struct fxc_buffer buffer);
/* A box with a body, or with a buffer, and the plain view of it. */
struct fxc_tensor_view fxc_engine_box(struct fxc_engine *engine, const struct fxc_box *box);
/* A pointwise box of `node` over `shape`, whose body has just been made. */
struct fxc_tensor_view fxc_engine_pointwise(struct fxc_engine *engine, uint32_t shape, uint8_t rank, uint8_t dtype,
                                            const struct fxc_body *body);
/* Computes a box into memory; returns the buffer. */
uint32_t fxc_box_realise(struct fxc_engine *engine, uint32_t box);
/* Decides the strides of a buffer: row-major, those given, or as its loads go (the innermost loop where most of them
 * are dense). No effect once decided. */
void fxc_buffer_freeze(struct fxc_engine *engine, uint32_t buffer);
void fxc_buffer_freeze_as(struct fxc_engine *engine, uint32_t buffer, const int64_t *stride);
void fxc_buffer_decide(struct fxc_engine *engine, uint32_t buffer);
/* The address that a tuple of its dimensions has in a buffer, over variables with extents `size`. */
uint32_t fxc_buffer_address(struct fxc_engine *engine, uint32_t buffer, const uint32_t *at, const int64_t *size);

/* The address of a load over variables with extents `size`. */
uint32_t fxc_load_address(struct fxc_engine *engine, const struct fxc_load *load, const int64_t *size);

static inline bool fxc_is_realised(const struct fxc_engine *engine, const struct fxc_tensor_view *view) {
    return engine->box[view->box].buffer != FXC_NONE;
}
/* In memory, with strides: the box itself, or a strided view of it. */
static inline bool fxc_has_layout(const struct fxc_engine *engine, const struct fxc_tensor_view *view) {
    return fxc_is_realised(engine, view) && (view->plain || view->strided);
}
static inline const int64_t *fxc_view_size(const struct fxc_engine *engine, const struct fxc_tensor_view *view) {
    return engine->size + view->shape;
}
int64_t fxc_product(struct fxc_engine *engine, const int64_t *size, uint32_t count);
/* Strides and offset of a view with a layout. */
int64_t fxc_view_layout(struct fxc_engine *engine, const struct fxc_tensor_view *view, int64_t *stride);
/* Variables 0, 1, ... for dimensions that are larger than 1, else 0. */
void fxc_engine_variables(struct fxc_engine *engine, const int64_t *size, uint32_t count, uint32_t *map);
/* Copies a tensor into a buffer of its own; `stride` NULL: flexible. */
struct fxc_tensor_view fxc_engine_copy(struct fxc_engine *engine, const struct fxc_tensor_view *view,
                                       const int64_t *stride);

/* ---- passes/fusion/view.c: views
 * ---------------------------------------------------------------------------------------
 */

/* The tensor with dimension d of the old given by map[d] over the new sizes; `strided`: in memory it is strided too. */
struct fxc_tensor_view fxc_view_mapped(struct fxc_engine *engine, const struct fxc_tensor_view *view,
                                       const uint32_t *map, uint32_t shape, uint8_t rank, bool strided);
struct fxc_tensor_view fxc_view_reshape(struct fxc_engine *engine, const struct fxc_tensor_view *view,
                                        const int64_t *size, uint8_t rank);
struct fxc_tensor_view fxc_view_expand(struct fxc_engine *engine, const struct fxc_tensor_view *view,
                                       const int64_t *size, uint8_t rank);
struct fxc_tensor_view fxc_view_slice(struct fxc_engine *engine, const struct fxc_tensor_view *view, uint32_t dim,
                                      int64_t start, int64_t length, int64_t step);
struct fxc_tensor_view fxc_view_permute(struct fxc_engine *engine, const struct fxc_tensor_view *view,
                                        const uint32_t *order);

/* ---- passes/fusion/operation.c: operations
 * ------------------------------------------------------------------------------
 */

/* An operation that fills `buffer` by loops over outer[] and folded[]. */
uint32_t fxc_engine_loops(struct fxc_engine *engine, enum fxc_operation_kind kind, uint32_t buffer,
                          const struct fxc_body *body, uint32_t shape, uint8_t outer_rank, uint8_t folded_rank);
/* What a library kernel reads: buffers, and of each so many elements. */
enum { FXC_MAX_INPUTS = 256 };
struct fxc_inputs {
    uint32_t count, buffer[FXC_MAX_INPUTS];
    uint32_t part[FXC_MAX_INPUTS]; /* which elements these are: equal for equal ones */
    int64_t reach[FXC_MAX_INPUTS];
};
/* A library kernel over buffers. */
uint32_t fxc_engine_extern(struct fxc_engine *engine, enum fxc_operation_kind kind, const struct fxc_inputs *inputs,
                           const uint32_t *outputs, uint32_t output_count);
/* The buffer of an extern kernel's input: `order`, when given, are the strides that it wants, of which the order
 * counts, or with `exact` the numbers. Copies where the tensor cannot be had so. */
void fxc_engine_input(struct fxc_engine *engine, const struct fxc_tensor_view *view, struct fxc_inputs *inputs);
struct fxc_tensor_view fxc_engine_require(struct fxc_engine *engine, const struct fxc_tensor_view *view,
                                          const int64_t *stride, bool exact);

/* ---- passes/fusion/space.c: iteration spaces
 * ------------------------------------------------------------------------------
 */

/* Order in which dimensions are filled, the fastest first: `stride`[a * rank + d] of each access a, which counts
 * weight[a] times (NULL: once). */
void fxc_fill_order(const int64_t *stride, const uint32_t *weight, uint32_t accesses, const int64_t *size,
                    uint32_t rank, uint32_t *order);
/* Simplifies the loops of an operation, and writes down its accesses; loops that could not be joined in the operations
 * `with`, which run over the same sizes, stay apart. */
void fxc_operation_simplify(struct fxc_engine *engine, uint32_t operation, const uint32_t *with, uint32_t with_count);

/* ---- passes/fusion/lower*.c
 * ----------------------------------------------------------------------------------------------
 */

/* passes/fusion/layout.c: whether convolutions take and give channels-last tensors. */
bool fxc_engine_wants_channels_last(const struct fxc_engine *engine);
/* Lowers every node of the graph. */
fxc_status fxc_engine_lower(struct fxc_engine *engine, fxc_error *err);

#endif
