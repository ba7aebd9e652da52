/* Formulas of conventions for recurrent layers. */
#include <stdio.h>

#include "passes/convention/convention.h"

enum { MOST_LAYERS = 10000 };

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
    FXC_NEED(layers <= MOST_LAYERS && (directions == 0 || directions == 1));
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

/* By the real weights of the forward direction: every weight once or, with the additions, twice less one for each row;
 * each bias element once; other work per hidden unit; times steps and batch, and 2 when there are two directions.
 * params: per weight; off per row of both weights; other work per hidden unit; 1 for a cell. */
fxc_status fxc_count_weighted_recurrent(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    const int32_t *params = seen->row->params;
    struct fxc_tensor input, w_in, w_hidden, b_in, b_hidden;
    int64_t hidden, layers = 1, both = 0;
    bool cell = params[3] != 0;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && input.rank >= 2 && fxc_seen_config(seen, "hidden_size", 0, &hidden));
    FXC_NEED(cell ||
             (fxc_seen_config(seen, "num_layers", 0, &layers) && fxc_seen_config(seen, "bidirectional", 0, &both)));
    FXC_NEED(layers <= MOST_LAYERS);
    for (int64_t layer = 0; layer < layers; layer++) {
        char names[4][32];
        static const char *const stems[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
        for (uint32_t i = 0; i < 4; i++) {
            (void)snprintf(names[i], sizeof names[i], cell ? "%s" : "%s_l%d", stems[i], (int)layer);
        }
        FXC_NEED(fxc_seen_param(seen, names[0], &w_in) && fxc_seen_param(seen, names[1], &w_hidden) && w_in.rank == 2);
        int64_t weights = fxc_plus(tally, w_in.numel, w_hidden.numel);
        int64_t work = fxc_linear(tally, params[0], weights, -2 * (int64_t)params[1], w_in.size[0]);
        work = fxc_plus(tally, work, fxc_times(tally, params[2], hidden));
        if (fxc_seen_param(seen, names[2], &b_in) && fxc_seen_param(seen, names[3], &b_hidden)) {
            work = fxc_plus(tally, work, fxc_plus(tally, b_in.numel, b_hidden.numel));
        }
        out->count = fxc_plus(tally, out->count, work);
    }
    int64_t steps = cell ? input.size[0] : fxc_times(tally, input.size[0], input.size[1]);
    out->count = fxc_times(tally, out->count, fxc_times(tally, steps, both != 0 ? 2 : 1));
    return FXC_OK;
}

/* The traced operator: 4 h (inputs + h) for each layer, direction, step and sample, by the sizes of the results. */
fxc_status fxc_count_traced_lstm(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output, state;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && fxc_seen_output(seen, 1, &state));
    FXC_NEED(input.rank >= 2 && output.rank >= 2 && state.rank == 3 && state.size[2] > 0);
    int64_t hidden = state.size[2], directions = output.size[output.rank - 1] / hidden;
    FXC_NEED(directions > 0 && state.size[0] <= MOST_LAYERS);
    for (int64_t layer = 0; layer < state.size[0] / directions && !tally->overflow; layer++) {
        int64_t width = layer == 0 ? input.size[input.rank - 1] : fxc_times(tally, hidden, directions);
        int64_t gates = fxc_times(tally, 4, fxc_times(tally, hidden, fxc_plus(tally, width, hidden)));
        out->count = fxc_plus(tally, out->count, gates);
    }
    out->count = fxc_times(tally, out->count, fxc_times(tally, fxc_sizes(tally, &output, 0, 2), directions));
    return FXC_OK;
}
