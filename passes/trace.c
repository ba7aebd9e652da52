/* trace: a run step by step, in the formats of tools that show such things. */
#include "passes/trace/trace.h"

#include <string.h>

static const struct {
    const char *option;
    fxc_trace_fn write;
    bool kernels;
} formats[] = {
#define X(option, writer, kernels) {option, writer, kernels},
    FXC_TRACE_LIST(X)
#undef X
};
enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

static const char *const axes[] = {
#define X(name, option, unit) option,
    FXC_AXIS_LIST(X)
#undef X
};

static size_t find_format(const char *text) {
    size_t i = 0;
    while (i < FORMAT_COUNT && (text == NULL || strcmp(formats[i].option, text) != 0)) {
        i++;
    }
    return i;
}

bool fxc_is_trace(const char *format) {
    return find_format(format) < FORMAT_COUNT;
}

/* What the length of a step shows: seconds where a device is named, else FLOPs. */
static fxc_status choose_axis(bool timed, const char *text, enum fxc_axis_id *axis, fxc_error *err) {
    bool given = text != NULL && text[0] != '\0';
    *axis = timed ? FXC_AXIS_SECONDS : FXC_AXIS_FLOPS;
    for (uint32_t i = 0; given && i < FXC_AXIS_COUNT; i++) {
        if (strcmp(axes[i], text) == 0) {
            *axis = (enum fxc_axis_id)i;
            given = false;
        }
    }
    if (given) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "option axis");
        fxc_expected(err, "seconds, flops or bytes");
        fxc_found(err, "'%s'", text);
        return status;
    }
    if (*axis == FXC_AXIS_SECONDS && !timed) {
        fxc_status status = fxc_fail(err, FXC_DEVICE, "option axis");
        fxc_expected(err, "a device, for times");
        fxc_found(err, "'seconds', and no device");
        fxc_advice(err, "name one (--device NAME), or take flops or bytes");
        return status;
    }
    return FXC_OK;
}

fxc_status fxc_render_trace(fxc_analysis *analysis, const fxc_render_options *options, struct fxc_stream *out,
                            fxc_error *err) {
    enum fxc_axis_id axis;
    struct fxc_steps steps;
    size_t format = find_format(options->format);
    fxc_status status = fxc_steps_build(analysis, options, formats[format].kernels, &steps, err);
    if (status == FXC_OK) {
        status = choose_axis(steps.timed, options->axis, &axis, err);
    }
    if (status == FXC_OK) {
        status = formats[format].write(analysis, &steps, axis, out, err);
    }
    fxc_arena_free(&steps.arena);
    return status;
}
