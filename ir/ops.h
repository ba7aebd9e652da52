/* The operator table: what fxcost knows of each ATen overload. The rows are in ir/ops.def. */
#ifndef FXC_IR_OPS_H
#define FXC_IR_OPS_H

#include "fxcost/fxcost.h"

/* How an op fuses. */
#define FXC_FUSE_LIST(X)                                                                                               \
    X(POINTWISE, "pointwise")   /* one output element from the same element of each input */                           \
    X(REDUCTION, "reduction")   /* folds dimensions */                                                                 \
    X(ANCHOR, "anchor")         /* matrix products and convolutions: a library kernel */                               \
    X(VIEW, "view")             /* new metadata over the same storage */                                               \
    X(GATHER, "gather")         /* reads at computed places */                                                         \
    X(SCAN, "scan")             /* prefix sums, sorts */                                                               \
    X(CONCAT, "concat")         /* cat, stack, pad */                                                                  \
    X(FACTORY, "factory")       /* makes a tensor from nothing */                                                      \
    X(OPAQUE, "opaque")         /* a kernel of its own that nothing fuses into */                                      \
    X(COLLECTIVE, "collective") /* communication */                                                                    \
    X(NOTHING, "nothing")       /* scalars, asserts, getitem: no kernel */

/* How an op touches memory, when it runs as a kernel of its own. */
#define FXC_TOUCH_LIST(X)                                                                                              \
    X(FULL, "full")       /* reads every tensor argument, writes every result */                                       \
    X(NONE, "none")       /* no data: views, scalars, asserts */                                                       \
    X(COPY, "copy")       /* as FULL, unless the result aliases the argument: then none (reshape, contiguous, to) */   \
    X(GATHER, "gather")   /* reads the indices and as many source elements as it writes */                             \
    X(SCATTER, "scatter") /* reads indices and source, writes as many elements of self as the source has */            \
    X(CLONE_SCATTER, "clone_scatter") /* out of place scatter: copies self, then as SCATTER */                         \
    X(WRITE, "write")                 /* writes the result only: factories, fill_ */                                   \
    X(INPLACE, "inplace")             /* reads every tensor argument, writes self */                                   \
    X(OVERWRITE, "overwrite")         /* reads every tensor argument but self, writes self (copy_) */                  \
    X(OUT, "out")                     /* reads every tensor argument but out, writes out */                            \
    X(OUTPUTS, "outputs")             /* reads every tensor argument but output*, writes those; without, all (c10d) */

/* What autocast does to an op: torch registers other operators for a CPU than for CUDA. */
#define FXC_AUTOCAST_LIST(X)                                                                                           \
    X(NONE, "none")                                                                                                    \
    X(LOWER, "lower_precision") /* floating arguments are cast to the region's type */                                 \
    X(FP32, "fp32")             /* they are cast to float32 */                                                         \
    X(PROMOTE, "promote")       /* they are cast to float32 if one of them is, else to the region's type */            \
    X(CPU_LOWER, "cpu: lower_precision")                                                                               \
    X(CPU_FP32, "cpu: fp32")                                                                                           \
    X(CPU_PROMOTE, "cpu: promote")                                                                                     \
    X(CUDA_LOWER, "cuda: lower_precision")                                                                             \
    X(CUDA_FP32, "cuda: fp32")                                                                                         \
    X(CUDA_PROMOTE, "cuda: promote")                                                                                   \
    X(MIXED, "cpu: fp32, cuda: promote")                                                                               \
    X(PARTS, "parts") /* what it consists of is cast, one way or another */

/* Where the schema's marks do not tell how results and arguments share memory. */
#define FXC_ALIAS_LIST(X)                                                                                              \
    X(SCHEMA, "schema")     /* the schema's marks are the truth */                                                     \
    X(RECORDED, "recorded") /* may alias or copy: the recorded storages say which (reshape, contiguous, to) */         \
    X(EVAL_IDENTITY, "eval_identity") /* returns its input itself when not training (dropout) */                       \
    X(BATCH_NORM, "batch_norm")       /* writes running_mean and running_var when training */                          \
    X(INSTANCE_NORM, "instance_norm") /* the same under use_input_stats */

enum fxc_fuse {
#define X(name, text) FXC_FUSE_##name,
    FXC_FUSE_LIST(X)
#undef X
        FXC_FUSE_COUNT
};
enum fxc_touch {
#define X(name, text) FXC_TOUCH_##name,
    FXC_TOUCH_LIST(X)
#undef X
        FXC_TOUCH_COUNT
};
enum fxc_autocast {
#define X(name, text) FXC_AUTOCAST_##name,
    FXC_AUTOCAST_LIST(X)
#undef X
        FXC_AUTOCAST_COUNT
};
enum fxc_alias_override {
#define X(name, text) FXC_ALIAS_##name,
    FXC_ALIAS_LIST(X)
#undef X
        FXC_ALIAS_COUNT
};

struct fxc_op_row {
    const char *name;       /* qualified overload, "aten.add.Tensor" */
    const char *schema;     /* ATen's own text after the name */
    uint8_t shape;          /* enum fxc_shape_rule_id of ir/rules.h */
    const char *shape_name; /* "-" when there is none: the recorded shape is kept */
    uint8_t dtype, layout;  /* enum fxc_dtype_rule_id, fxc_layout_rule_id; 0: as the shape rule's line says */
    uint8_t flops;          /* enum fxc_flop_rule_id of ir/rules.h */
    int32_t params[3];
    const char *flop_name;
    uint8_t fuse, touch, autocast, alias;
    bool activation;   /* fvcore's meaning: the output of a matrix product or convolution */
    const char *eager; /* what eager dispatch runs: "" for the op itself, else a comma-separated list, views included */
    const char *doc;   /* one sentence: the convention */
};

extern const struct fxc_op_row fxc_op_rows[];
extern const uint32_t fxc_op_row_count;

/* The row of an operator, NULL when the table has none. */
const struct fxc_op_row *fxc_op_lookup(const char *name);

#endif
