/* Formulas of conventions for hooked modules: they look at the module's attributes and at what goes in and out. */
#include <string.h>

#include "passes/convention/convention.h"

/* Elements of the result, times channels of the input by groups, times the kernel: of transposed convolutions too,
 * where it is the input that each weight meets. params: per such product. */
fxc_status fxc_count_module_conv(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output, weight;
    int64_t groups;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && input.rank >= 2 &&
             fxc_seen_param(seen, "weight", &weight) && fxc_seen_config(seen, "groups", 0, &groups) && groups > 0);
    int64_t window = fxc_times(tally, input.size[1] / groups, fxc_sizes(tally, &weight, 2, weight.rank));
    out->count = fxc_times(tally, seen->row->params[0], fxc_times(tally, output.numel, window));
    return FXC_OK;
}

/* params: per element of the result and input feature. */
fxc_status fxc_count_module_linear(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    int64_t features;
    FXC_NEED(fxc_seen_output(seen, 0, &output) && fxc_seen_config(seen, "in_features", 0, &features));
    out->count = fxc_times(tally, seen->row->params[0], fxc_times(tally, features, output.numel));
    return FXC_OK;
}

/* n exponentials, n - 1 additions and n divisions for each row of n. */
fxc_status fxc_count_module_softmax(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    int64_t dim;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_config(seen, "dim", 0, &dim));
    dim = dim < 0 ? dim + input.rank : dim;
    FXC_NEED(dim >= 0 && dim < input.rank && input.size[dim] > 0);
    int64_t rows = input.numel / input.size[dim];
    out->count = fxc_linear(tally, 3, input.numel, -1, rows);
    return FXC_OK;
}

/* Adaptive average pooling: the window as the ratio of the sizes, which may be a fraction, and one division. */
fxc_status fxc_count_module_average(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output;
    double window = 1;
    (void)tally;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && input.rank == output.rank);
    for (uint32_t dim = 2; dim < input.rank; dim++) {
        FXC_NEED(output.size[dim] > 0);
        window *= (double)input.size[dim] / (double)output.size[dim];
    }
    out->count = (int64_t)((window + 1) * (double)output.numel);
    return FXC_OK;
}

/* By mode, per element of the result. params: nearest, linear, bilinear, bicubic; other modes count nothing. */
fxc_status fxc_count_module_upsample(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    static const char *const modes[] = {"nearest", "linear", "bilinear", "bicubic"};
    const char *mode = fxc_seen_config_string(seen, "mode");
    struct fxc_tensor output;
    FXC_NEED(mode != NULL && fxc_seen_output(seen, 0, &output));
    for (uint32_t i = 0; i < 4; i++) {
        if (strcmp(mode, modes[i]) == 0) {
            out->count = fxc_times(tally, seen->row->params[i], output.numel);
        }
    }
    return FXC_OK;
}

/* A recurrent layer, or a cell, over its steps and batch. One state costs h (i + h) multiply-adds, h additions and 2 h
 * for a bias. params: states (gates); other work per hidden unit; 1 for a cell. */
fxc_status fxc_count_module_recurrent(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    const int32_t *params = seen->row->params;
    int64_t features, hidden, bias, layers = 1, directions = 0;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && input.rank >= 2 && fxc_seen_config(seen, "input_size", 0, &features) &&
             fxc_seen_config(seen, "hidden_size", 0, &hidden) && fxc_seen_config(seen, "bias", 0, &bias));
    bool cell = params[2] != 0;
    FXC_NEED(cell || (fxc_seen_config(seen, "num_layers", 0, &layers) &&
                      fxc_seen_config(seen, "bidirectional", 0, &directions) && input.rank == 3));
    directions += 1;
    for (int64_t layer = 0; layer < layers && !tally->overflow; layer++) {
        int64_t width = layer == 0 ? features : fxc_times(tally, directions, hidden);
        int64_t state = fxc_times(tally, hidden, fxc_plus(tally, fxc_plus(tally, width, hidden), bias != 0 ? 3 : 1));
        int64_t step = fxc_linear(tally, params[0], state, params[1], hidden);
        out->count = fxc_plus(tally, out->count, fxc_times(tally, directions, step));
    }
    int64_t steps = cell ? input.size[0] : fxc_times(tally, input.size[0], input.size[1]);
    out->count = fxc_times(tally, out->count, steps);
    return FXC_OK;
}
