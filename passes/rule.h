/* What a shape or FLOP rule sees: one node, its arguments by name, concrete tensors. Rules are pure: no allocation,
 * no I/O, no globals. */
#ifndef FXC_PASSES_RULE_H
#define FXC_PASSES_RULE_H

#include "ir/names.h"
#include "ir/ops.h"
#include "passes/analysis.h"

struct fxc_rule {
    const struct fxc_program *program;
    const struct fxc_shapes *shapes;
    const struct fxc_binding *bindings;
    uint32_t node;
    int64_t window;           /* causal attention: keys that a query sees; 0: all pairs count */
    const int64_t *sequences; /* lengths of packed sequences, as told */
    uint32_t sequence_count;
    const bool *used; /* per value: does any node or output take it? NULL: not known */
};

/* A tensor with concrete sizes. */
struct fxc_tensor {
    const int64_t *size, *stride; /* [rank] */
    int64_t numel;
    uint32_t value;
    uint8_t rank, dtype;
};

/* Result `index` (0 for a single tensor), which the pass sets, as rules tell it. The pass presets "not told". */
enum { FXC_MAX_RANK = 64 };
struct fxc_shape {
    int64_t size[FXC_MAX_RANK];
    int64_t stride[FXC_MAX_RANK]; /* in elements; conventional for dimensions of size 0 and 1 */
    uint32_t index;               /* which result is asked for */
    uint8_t rank;
    uint8_t dtype; /* FXC_DTYPE_OPAQUE: not told */
    bool strides_told;
};

/* Derives sizes of the result from the arguments. FXC_OK, or an error that names the node. */
typedef fxc_status (*fxc_shape_rule)(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err);
/* Counts the work of one execution; params are the row's. Sets only macs .. int_ops. */
typedef fxc_status (*fxc_flop_rule)(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                    fxc_error *err);

/* Leaves a rule that cannot tell: the recorded shape is kept, the node is unknown. */
#define FXC_NEED(condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            return FXC_UNKNOWN_OPS;                                                                                    \
        }                                                                                                              \
    } while (0)

/* The argument `name`: kind and payload; false when absent (left at its default). */
bool fxc_rule_arg(const struct fxc_rule *rule, enum fxc_name name, enum fxc_kind *kind, int64_t *payload);
/* The argument as a tensor; false when absent, None or no tensor. */
bool fxc_rule_tensor(const struct fxc_rule *rule, enum fxc_name name, struct fxc_tensor *out);
/* The first present of two names (ATen says `input` and `self` for the same role). */
bool fxc_rule_tensor2(const struct fxc_rule *rule, enum fxc_name name, enum fxc_name other, struct fxc_tensor *out);
/* Tensor results of the node: result itself, or element `index` of a list result; false when there is none. */
bool fxc_rule_result(const struct fxc_rule *rule, uint32_t index, struct fxc_tensor *out);
/* Whether anything takes result `index` of several; true when that is not known. */
bool fxc_rule_wanted(const struct fxc_rule *rule, uint32_t index);
/* Any value as a tensor; false when it is none. */
bool fxc_rule_value(const struct fxc_rule *rule, uint32_t value, struct fxc_tensor *out);
/* Whether the node takes or returns a sparse or nested tensor: no rule is about those. */
bool fxc_rule_is_foreign(const struct fxc_program *program, uint32_t node);
/* The device of a value, "cpu" or "cuda:0"; NULL for a value without storage. */
const char *fxc_rule_device(const struct fxc_rule *rule, uint32_t value);
/* An integer, evaluated when symbolic or computed by a node; `fallback` when absent or None. False when it has no
 * value or is no integer. */
bool fxc_rule_int(const struct fxc_rule *rule, enum fxc_name name, int64_t fallback, int64_t *out);
/* The same for a number with a fraction. */
bool fxc_rule_real(const struct fxc_rule *rule, enum fxc_name name, double fallback, double *out);
bool fxc_rule_bool(const struct fxc_rule *rule, enum fxc_name name, bool fallback, bool *out);
/* A string, NULL when absent. */
const char *fxc_rule_string(const struct fxc_rule *rule, enum fxc_name name);
/* A list argument: its row, or FXC_NONE when absent or no list. */
uint32_t fxc_rule_list(const struct fxc_rule *rule, enum fxc_name name);
/* The list that a kind and payload mean, itself or the value of one: its row, or FXC_NONE. */
uint32_t fxc_list_row(const struct fxc_program *program, uint8_t kind, int64_t payload);
/* Position of item `index` in the item columns, FXC_NONE past the end or without a list. */
uint32_t fxc_list_item(const struct fxc_program *program, uint32_t list, uint32_t index);
/* Item `index` of a list as an integer. */
bool fxc_rule_item_int(const struct fxc_rule *rule, uint32_t list, uint32_t index, int64_t *out);
bool fxc_rule_item_real(const struct fxc_rule *rule, uint32_t list, uint32_t index, double *out);
/* Item `index` of a list as a tensor. */
bool fxc_rule_item_tensor(const struct fxc_rule *rule, uint32_t list, uint32_t index, struct fxc_tensor *out);

/* An integer given as kind and payload: literal, symbolic, or a value that a node computed. */
bool fxc_eval_int(const struct fxc_program *program, const struct fxc_binding *bindings, uint8_t kind, int64_t payload,
                  int64_t *out);
/* The same for a number with a fraction. */
bool fxc_eval_real(const struct fxc_program *program, const struct fxc_binding *bindings, uint8_t kind, int64_t payload,
                   double *out);

static inline bool fxc_dtype_is_float(uint8_t dtype) {
    switch (dtype) {
    case FXC_DTYPE_INT64:
    case FXC_DTYPE_INT32:
    case FXC_DTYPE_INT16:
    case FXC_DTYPE_INT8:
    case FXC_DTYPE_UINT8:
    case FXC_DTYPE_BOOL:
    case FXC_DTYPE_UINT16:
    case FXC_DTYPE_UINT32:
    case FXC_DTYPE_UINT64:
    case FXC_DTYPE_QINT8:
    case FXC_DTYPE_QUINT8:
    case FXC_DTYPE_QINT32:
    case FXC_DTYPE_OPAQUE:
        return false;
    default:
        return true;
    }
}

static inline bool fxc_dtype_is_complex(uint8_t dtype) {
    return dtype == FXC_DTYPE_COMPLEX64 || dtype == FXC_DTYPE_COMPLEX128 || dtype == FXC_DTYPE_COMPLEX32;
}

#endif
