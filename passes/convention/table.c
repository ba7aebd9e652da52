/* The tables of conventions, from passes/conventions.def and passes/convention/NAME.def. */
#include <string.h>

#include "passes/convention/convention.h"

#define FORMULA(function, text, a, b, c, d) .rule = FXC_COUNT_##function, .rule_text = text, .params = {a, b, c, d}

#define NOTHING FORMULA(nothing, "nothing", 0, 0, 0, 0)
#define INPUT(each) FORMULA(input, #each " per input element", each, 0, 0, 0)
#define OUTPUT(each) FORMULA(output, #each " per result element", each, 0, 0, 0)
#define NORM(affine, plain)                                                                                            \
    FORMULA(norm, #affine " per input element, " #plain " without a weight", affine, plain, 0, 0)
#define BATCH_NORM_MODES(train_affine, train_plain, affine, plain)                                                     \
    FORMULA(batch_norm,                                                                                                \
            #affine " per input element, " #plain " without a weight; when training " #train_affine                    \
                    " and " #train_plain,                                                                              \
            train_affine, train_plain, affine, plain)
#define RAISES FORMULA(raises, "raises an exception", 0, 0, 0, 0)
#define MACS(each, bias) FORMULA(macs, #each " per multiply-add, " #bias " per element of a bias", each, bias, 0, 0)
#define FIRST_BY_COLUMNS(each, macs, raises)                                                                           \
    FORMULA(first_by_columns, #each " per element of the first operand and column of the second", each, macs, raises, 0)
#define NUMPY_EINSUM(divisor) FORMULA(numpy_einsum, "numpy.einsum_path's count by " #divisor, divisor, 0, 0, 0)
#define DISPATCHED_LINEAR(each) FORMULA(dispatched_linear, #each " per multiply-add", each, 0, 0, 0)
#define DISPATCHED_MATMUL(each) FORMULA(dispatched_matmul, #each " per multiply-add of mm and bmm", each, 0, 0, 0)
#define DISPATCHED_RECURRENT(each, added)                                                                              \
    FORMULA(dispatched_recurrent, #each " per multiply-add, " #added " per element of an addition", each, added, 0, 0)
#define SCALED_ATTENTION(each, scaled)                                                                                 \
    FORMULA(dispatched_attention, #each " per multiply-add and " #scaled " per scaled element where not fused", each,  \
            0, scaled, 0)
#define DISPATCHED_ATTENTION(each, whole)                                                                              \
    FORMULA(dispatched_attention, #each " per multiply-add, fused " #whole, each, whole, 0, 0)
#define BATCHED_CONV(each) FORMULA(dispatched_conv, #each " per multiply-add, with a batch only", each, 0, 0, 0)
#define DISPATCHED_CONV_BACKWARD(each)                                                                                 \
    FORMULA(dispatched_conv_backward, #each " per multiply-add, the weight's gradient without groups", each, 0, 0, 0)
#define TRACED_CONV                                                                                                    \
    FORMULA(traced_conv, "1 per result element, input channel of the weight and kernel place", 0, 0, 0, 0)
#define NORM_OUTPUT(affine) FORMULA(norm, #affine " per element, 0 without a weight", affine, 0, 0, 0)
#define NORM_OR_RAISE(affine)                                                                                          \
    FORMULA(norm_or_raise, #affine " per input element, an AttributeError without a weight", affine, 0, 0, 0)
#define MODULE_NORM(affine, plain)                                                                                     \
    FORMULA(norm, #affine " per input element, " #plain " without a weight", affine, plain, 0, 0)
#define LEFT_BROADCAST(each)                                                                                           \
    FORMULA(left_broadcast, #each " per element, broadcast from the first dimension on", each, 0, 0, 0)
#define BROADCAST(each) FORMULA(broadcast, #each " per element", each, 0, 0, 0)
#define FIRST_OF_TWO(each) FORMULA(first_of_two, #each " per element of the first operand", each, 0, 0, 0)
#define SOFTMAX_PARTS FORMULA(softmax_parts, "3 n - 1 per row of n", 0, 0, 0, 0)
#define REDUCED_SWAPPED                                                                                                \
    FORMULA(reduced_swapped, "n - 1; along dimensions, their size times one less than results", 0, 0, 0, 0)
#define GRID_SAMPLE(bilinear, nearest, bicubic)                                                                        \
    FORMULA(grid_sample, "per result element: bilinear " #bilinear ", nearest " #nearest ", bicubic " #bicubic,        \
            bilinear, nearest, bicubic, 0)
#define MACS_TOO(each, bias)                                                                                           \
    FORMULA(macs, #each " per multiply-add, " #bias " per element of a bias; the MACs", each, bias, 1, 0)
#define MACS_OF_RESULT FORMULA(macs, "1 per multiply-add", 1, 0, 0, 0)
#define ADDED_PRODUCT(each, added, macs, beta)                                                                         \
    FORMULA(added_product, #each " per multiply-add, " #added " per element that is added", each, added, macs, beta)
#define DOT_PRODUCTS(form) FORMULA(dot_products, "2 k - 1 per result element, 2 k with a bias", form, 0, 0, 0)
#define EINSUM_INDICES FORMULA(einsum_indices, "the product of all indices", 0, 0, 0, 0)
#define FUNCTIONAL_CONV(each, bias, text)                                                                              \
    FORMULA(functional_conv, #each " per multiply-add, " #bias " per element of a bias; the MACs", each, bias, 1, text)
#define FUNCTIONAL_TRANSPOSED                                                                                          \
    FORMULA(functional_transposed, "2 per multiply-add divided by groups once more; the MACs", 1, 1, 0, 0)
#define ATTENTION_PRODUCTS(each, macs, heads)                                                                          \
    FORMULA(attention_products, #each " per multiply-add of both products", each, macs, heads, 0)
#define ATTENTION_PARTS FORMULA(attention_parts, "both products, scale, mask, softmax, dropout", 0, 0, 0, 0)
#define ATTENTION_MODULE FORMULA(attention_module, "projections, both products, softmax", 0, 0, 0, 0)
#define ATTENTION_HOOK FORMULA(attention_hook, "scale, projections and biases, both products, scores", 0, 0, 0, 0)
#define MODULE_HOOKED_CONV(transposed)                                                                                 \
    FORMULA(hooked_conv, "1 per multiply-add, 1 per element of a bias", transposed, 0, 0, 0)
#define MODULE_WINDOWS(dims, adaptive)                                                                                 \
    FORMULA(module_windows, "1 per input in a window and 1 per result element", dims, adaptive, 0, 0)
#define MODULE_POOL(off, adaptive)                                                                                     \
    FORMULA(module_pool, "kernel places less " #off " per result element", off, adaptive, 0, 0)
#define MODULE_PARAMS FORMULA(module_params, "parameters times the size of the result", 0, 0, 0, 0)
#define MODULE_INTERPOLATE(each) FORMULA(module_interpolate, #each " per result element of one sample", each, 0, 0, 0)
#define INTERPOLATE(sized, scaled, raises)                                                                             \
    FORMULA(interpolate, "by size " #sized ", by scale " #scaled, sized, scaled, raises, 0)
#define WEIGHTED_RECURRENT(each, off, work, cell)                                                                      \
    FORMULA(weighted_recurrent, #each " per weight and step, " #work " per hidden unit", each, off, work, cell)
#define TRACED_LSTM FORMULA(traced_lstm, "4 h (inputs + h) per step", 0, 0, 0, 0)
#define MODULE_CONV(each, side)                                                                                        \
    FORMULA(module_conv, #each " per element, channel of a group and kernel place", each, side, 0, 0)
#define MODULE_LINEAR(each) FORMULA(module_linear, #each " per result element and input feature", each, 0, 0, 0)
#define MODULE_SOFTMAX(row, each)                                                                                      \
    FORMULA(module_softmax, "3 n - 1 per row of n, and " #row " per row, " #each " per element", row, each, 0, 0)
#define MODULE_AVERAGE FORMULA(module_average, "the window and 1 per result element", 0, 0, 0, 0)
#define MODULE_UPSAMPLE(nearest, linear, bilinear, bicubic)                                                            \
    FORMULA(module_upsample,                                                                                           \
            "per result element: nearest " #nearest ", linear " #linear ", bilinear " #bilinear ", bicubic " #bicubic, \
            nearest, linear, bilinear, bicubic)
#define MODULE_RECURRENT(states, work, cell)                                                                           \
    FORMULA(module_recurrent, #states " states and " #work " per hidden unit and step", states, work, cell, 0)

#define OPERATOR(name_, formula, key_, source_)                                                                        \
    {.sight = FXC_SIGHT_OPERATOR, .name = name_, formula, .key = key_, .source = source_},
#define MODULE(name_, formula, source_)                                                                                \
    {.sight = FXC_SIGHT_MODULE, .name = name_, formula, .key = NULL, .source = source_},
#define FUNCTION(name_, formula, source_)                                                                              \
    {.sight = FXC_SIGHT_FUNCTION, .name = name_, formula, .key = NULL, .source = source_},

static const struct fxc_convention_row rows_flop_counter[] = {
#include "passes/convention/flop_counter.def"
};
static const struct fxc_convention_row rows_flop_counter_complete[] = {
#include "passes/convention/flop_counter_complete.def"
};
static const struct fxc_convention_row rows_fvcore[] = {
#include "passes/convention/fvcore.def"
};
static const struct fxc_convention_row rows_fvcore_activations[] = {
#include "passes/convention/fvcore_activations.def"
};
static const struct fxc_convention_row rows_thop[] = {
#include "passes/convention/thop.def"
};
static const struct fxc_convention_row rows_torch_profiler[] = {
#include "passes/convention/torch_profiler.def"
};
static const struct fxc_convention_row rows_torchprofile[] = {
#include "passes/convention/torchprofile.def"
};
static const struct fxc_convention_row rows_torchinfo[] = {
#include "passes/convention/torchinfo.def"
};
static const struct fxc_convention_row rows_ultralytics_thop[] = {
#include "passes/convention/ultralytics_thop.def"
};
static const struct fxc_convention_row rows_ptflops[] = {
#include "passes/convention/ptflops.def"
};
static const struct fxc_convention_row rows_flops_profiler[] = {
#include "passes/convention/flops_profiler.def"
};
static const struct fxc_convention_row rows_calflops[] = {
#include "passes/convention/calflops.def"
};
static const struct fxc_convention_row rows_deepspeed[] = {
#include "passes/convention/deepspeed.def"
};
static const struct fxc_convention_row rows_torch_flops[] = {
#include "passes/convention/torch_flops.def"
};

enum {
    OUTERMOST = FXC_CONVENTION_OUTERMOST,
    HIDE_FUNCTIONS = FXC_CONVENTION_MODULES_HIDE_FUNCTIONS,
    PER_SAMPLE = FXC_CONVENTION_PER_SAMPLE,
    PER_PARENT = FXC_CONVENTION_PER_PARENT,
    HOOKED_AGAIN = FXC_CONVENTION_HOOKED_AGAIN,
    EVALUATES = FXC_CONVENTION_EVALUATES,
    BOTH = FXC_CONVENTION_BOTH,
    FAST_PATH_HIDES = FXC_CONVENTION_FAST_PATH_HIDES,
    PRUNES = FXC_CONVENTION_PRUNES,
    LAYERS_ARE_LEAVES = FXC_CONVENTION_LAYERS_ARE_LEAVES,
    NO_FAST_PATH = FXC_CONVENTION_NO_FAST_PATH,
    SEES_BACKWARD = FXC_CONVENTION_SEES_BACKWARD,
    BACKWARD_TWICE = FXC_CONVENTION_BACKWARD_TWICE,
};

const struct fxc_convention fxc_conventions[] = {
    {.name = "fxcost",
     .tool = "fxcost",
     .unit = "FLOP",
     .mark = "every operator",
     .summary = "Every operator by its formula, 2 FLOPs per multiply-add, what has none listed (docs/counting.md)."},
#define CONVENTION(id, name_, tool_, unit_, classes_, functions_, missing_, flags_, mark_, summary_)                   \
    {.name = name_,                                                                                                    \
     .tool = tool_,                                                                                                    \
     .unit = unit_,                                                                                                    \
     .mark = mark_,                                                                                                    \
     .summary = summary_,                                                                                              \
     .classes = FXC_CLASS_##classes_,                                                                                  \
     .functions = FXC_FUNCTION_##functions_,                                                                           \
     .missing = FXC_MISSING_##missing_,                                                                                \
     .flags = flags_,                                                                                                  \
     .row = rows_##id,                                                                                                 \
     .rows = sizeof rows_##id / sizeof rows_##id[0]},
#include "passes/conventions.def"
};
const uint32_t fxc_convention_count = sizeof fxc_conventions / sizeof fxc_conventions[0];

const struct fxc_convention *fxc_convention_find(const char *name) {
    for (uint32_t i = 0; i < fxc_convention_count; i++) {
        if (strcmp(fxc_conventions[i].name, name) == 0) {
            return &fxc_conventions[i];
        }
    }
    return NULL;
}
