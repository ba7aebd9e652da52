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
#define DISPATCHED_ATTENTION(each, whole)                                                                              \
    FORMULA(dispatched_attention, #each " per multiply-add, fused " #whole, each, whole, 0, 0)
#define MODULE_CONV(each)                                                                                              \
    FORMULA(module_conv, #each " per result element, channel of a group and kernel place", each, 0, 0, 0)
#define MODULE_LINEAR(each) FORMULA(module_linear, #each " per result element and input feature", each, 0, 0, 0)
#define MODULE_SOFTMAX FORMULA(module_softmax, "3 n - 1 per row of n", 0, 0, 0, 0)
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
static const struct fxc_convention_row rows_thop[] = {
#include "passes/convention/thop.def"
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
