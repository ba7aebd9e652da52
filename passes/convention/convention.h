/* Conventions: how other counters count, as data. A convention is a row of passes/conventions.def and a file of rows,
 * passes/convention/NAME.def, one for each thing that the tool looks at: an operator that it dispatches or traces, a
 * module whose call it hooks, a function that it patches or intercepts. What no row names, the tool does not see.
 *
 * A row names a formula of FXC_CONVENTION_RULE_LIST with parameters, and the place in the tool's source that it
 * follows. The pass `tool` (passes/tool.c) applies the rows; nothing else knows the names of conventions. */
#ifndef FXC_PASSES_CONVENTION_H
#define FXC_PASSES_CONVENTION_H

#include "passes/flops/rules.h"
#include "passes/tool/tool.h"

/* What a row matches. */
enum fxc_sight {
    FXC_SIGHT_OPERATOR, /* a node, by overload ("aten.conv2d.padding") or by packet ("aten.conv2d") */
    FXC_SIGHT_MODULE,   /* a call of a module, by class without "torch.nn.modules." ("conv.Conv2d") */
    FXC_SIGHT_FUNCTION, /* a call of a Python function, by the name it was called under ("torch.matmul") */
};

/* How the class of a module is compared with a row. */
enum fxc_class_match {
    FXC_CLASS_EXACT,   /* the class itself */
    FXC_CLASS_DERIVED, /* or the nearest base class of torch.nn */
    FXC_CLASS_SHORT,   /* any class of that name, whatever package it is from */
    FXC_CLASS_LEAF,    /* any module without children; the row is named "*" */
};

/* Which calls of functions a tool sees. */
enum fxc_function_match {
    FXC_FUNCTION_PATCHED,     /* those that look the function up under its public name, which the tool replaced */
    FXC_FUNCTION_INTERCEPTED, /* those that pass torch's function override: outermost calls, however reached */
};

/* What happens to what no row names. */
enum fxc_missing {
    FXC_MISSING_SILENT, /* counted as nothing, without notice */
    FXC_MISSING_LISTED, /* counted as nothing, and reported by the tool */
};

enum fxc_convention_flag {
    /* A module with a row hides modules below it (thop). */
    FXC_CONVENTION_OUTERMOST = 1,
    /* A module with a row hides functions called inside it. */
    FXC_CONVENTION_MODULES_HIDE_FUNCTIONS = 2,
    /* Counts of modules are divided by the size of the first dimension of the first input (ptflops). */
    FXC_CONVENTION_PER_SAMPLE = 4,
    /* A module under several parents counts once for each (flops_profiler, calflops). */
    FXC_CONVENTION_PER_PARENT = 8,
    /* Hooks of a module under several parents are set again for each, so that they count that often (thop). */
    FXC_CONVENTION_HOOKED_AGAIN = 16,
    /* The tool puts the model into evaluation mode. */
    FXC_CONVENTION_EVALUATES = 32,
    /* The tool also gives multiply-adds, as a second number. */
    FXC_CONVENTION_BOTH = 64,
    /* What runs inside a fused kernel of evaluation (nn.MultiheadAttention's fast path) is not seen. */
    FXC_CONVENTION_FAST_PATH_HIDES = 128,
    /* What no output needs is dropped before counting (tools that trace with torch.jit). */
    FXC_CONVENTION_PRUNES = 256,
    /* Modules of torch.nn are not entered (tools that trace with torch.fx). */
    FXC_CONVENTION_LAYERS_ARE_LEAVES = 512,
    /* The fused kernels of evaluation are switched off. */
    FXC_CONVENTION_NO_FAST_PATH = 1024,
    /* The backward pass is seen as the forward pass is (tools that watch what is dispatched). */
    FXC_CONVENTION_SEES_BACKWARD = 2048,
    /* The backward pass is taken to be two forward passes (flops_profiler, deepspeed). */
    FXC_CONVENTION_BACKWARD_TWICE = 4096,
};

/* What its rows look at. */
struct fxc_seen {
    const struct fxc_analysis *analysis;
    const struct fxc_tool_index *index;
    const struct fxc_convention_row *row;
    struct fxc_rule rule;  /* the node: the operator itself, or the main one of a function or a module call */
    uint32_t call;         /* of a module; FXC_NONE otherwise */
    uint32_t region;       /* of a function; FXC_NONE otherwise */
    bool fast;             /* eager runs the call around the node as one fused kernel, made of unfused products */
    const fxc_counts *own; /* what fxcost counts for the node */
};

/* What a tool would say. */
struct fxc_told {
    int64_t count, macs; /* its number; and multiply-adds, of tools that give both */
    const char *key;     /* the tool's name of the operator; NULL: the row's */
    struct {             /* parts of the count that stand under other names in the tool's table by operator */
        const char *key;
        int64_t count;
    } also[2];
    const char *failure; /* the tool raises an exception here: which; NULL for none */
};

/* FXC_OK, or FXC_UNKNOWN_OPS when a size or a fact that the formula needs is not in the program. */
typedef fxc_status (*fxc_convention_rule)(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out);

#define FXC_CONVENTION_RULE_LIST(X)                                                                                    \
    /* rules_element.c */                                                                                              \
    X(nothing)                                                                                                         \
    X(input)                                                                                                           \
    X(output)                                                                                                          \
    X(norm)                                                                                                            \
    X(norm_or_raise)                                                                                                   \
    X(batch_norm)                                                                                                      \
    X(left_broadcast)                                                                                                  \
    X(broadcast)                                                                                                       \
    X(first_of_two)                                                                                                    \
    X(softmax_parts)                                                                                                   \
    X(reduced_swapped)                                                                                                 \
    X(grid_sample)                                                                                                     \
    X(raises)                                                                                                          \
    /* rules_matrix.c */                                                                                               \
    X(macs)                                                                                                            \
    X(added_product)                                                                                                   \
    X(first_by_columns)                                                                                                \
    X(dot_products)                                                                                                    \
    X(einsum_indices)                                                                                                  \
    X(numpy_einsum)                                                                                                    \
    X(functional_conv)                                                                                                 \
    X(traced_conv)                                                                                                     \
    X(functional_transposed)                                                                                           \
    X(attention_products)                                                                                              \
    X(attention_parts)                                                                                                 \
    /* rules_dispatched.c */                                                                                           \
    X(dispatched_linear)                                                                                               \
    X(dispatched_recurrent)                                                                                            \
    X(dispatched_conv)                                                                                                 \
    X(dispatched_conv_backward)                                                                                        \
    X(dispatched_matmul)                                                                                               \
    X(dispatched_attention)                                                                                            \
    /* rules_module.c */                                                                                               \
    X(module_conv)                                                                                                     \
    X(hooked_conv)                                                                                                     \
    X(module_linear)                                                                                                   \
    X(module_softmax)                                                                                                  \
    X(module_average)                                                                                                  \
    X(module_windows)                                                                                                  \
    X(module_pool)                                                                                                     \
    X(module_upsample)                                                                                                 \
    X(module_interpolate)                                                                                              \
    X(module_params)                                                                                                   \
    X(interpolate)                                                                                                     \
    X(attention_module)                                                                                                \
    X(attention_hook)                                                                                                  \
    /* rules_recurrent.c */                                                                                            \
    X(module_recurrent)                                                                                                \
    X(weighted_recurrent)                                                                                              \
    X(traced_lstm)

enum fxc_convention_rule_id {
#define X(name) FXC_COUNT_##name,
    FXC_CONVENTION_RULE_LIST(X)
#undef X
        FXC_CONVENTION_RULE_COUNT
};

#define X(name) fxc_status fxc_count_##name(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out);
FXC_CONVENTION_RULE_LIST(X)
#undef X

struct fxc_convention_row {
    uint8_t sight; /* enum fxc_sight */
    uint8_t rule;  /* enum fxc_convention_rule_id */
    int32_t params[4];
    const char *name;      /* what the row matches */
    const char *key;       /* the tool's name of it in its own table */
    const char *rule_text; /* "input(2)" */
    const char *source;    /* file and function of the tool */
};

struct fxc_convention {
    const char *name;
    const char *tool;    /* package and version that the rows follow */
    const char *unit;    /* what its number is: "MAC" or "FLOP" */
    const char *mark;    /* how the tool looks at a model, in a few words */
    const char *summary; /* one sentence */
    uint8_t classes, functions, missing;
    uint32_t flags;
    const struct fxc_convention_row *row; /* NULL for fxcost itself */
    uint32_t rows;
};
extern const struct fxc_convention fxc_conventions[];
extern const uint32_t fxc_convention_count;

/* The row of a convention by name, NULL when there is none. */
const struct fxc_convention *fxc_convention_find(const char *name);

/* ---- what rules see (seen.c) --------------------------------------------------------------------------------------
 */

/* Tensor argument `index` of the call of a module, or of the node; in the order in which they were given. */
bool fxc_seen_input(const struct fxc_seen *seen, uint32_t index, struct fxc_tensor *out);
bool fxc_seen_output(const struct fxc_seen *seen, uint32_t index, struct fxc_tensor *out);
/* The module that is called. */
uint32_t fxc_seen_module(const struct fxc_seen *seen);
/* Its parameter or buffer of that name. */
bool fxc_seen_param(const struct fxc_seen *seen, const char *name, struct fxc_tensor *out);
/* Its attribute: a number, or item `index` of a tuple (a plain number stands for every item). False when it has none.
 */
bool fxc_seen_config(const struct fxc_seen *seen, const char *name, uint32_t index, int64_t *out);
/* Whether the attribute is a plain number and no tuple. */
bool fxc_seen_config_is_number(const struct fxc_seen *seen, const char *name);
const char *fxc_seen_config_string(const struct fxc_seen *seen, const char *name);
/* Whether a tensor argument of the node or a parameter of the module of this name is there. */
bool fxc_seen_has(const struct fxc_seen *seen, const char *param, enum fxc_name argument);
/* Whether the caller of the function gave this argument by keyword. */
bool fxc_seen_keyword(const struct fxc_seen *seen, const char *name);
/* Multiply-adds by shape alone: what fxcost counts, without its factor for complex numbers, and of integers too. */
int64_t fxc_seen_macs(const struct fxc_seen *seen);
/* The product of sizes from dimension `first` to before `last`. */
int64_t fxc_sizes(struct fxc_tally *tally, const struct fxc_tensor *tensor, uint32_t first, uint32_t last);

#endif
