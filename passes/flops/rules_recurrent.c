/* FLOP rules of recurrent networks, whole: every step of every layer and direction, as the same network written with
 * plain operators. Weights meet every row (time step of a sequence) once, so only the number of rows matters; packed
 * sequences give it directly. */
#include "passes/flops/rules.h"

/* Element work of one cell per row and hidden unit. */
struct cell_work {
    int32_t gates, flops, transcendentals;
};

static const struct cell_work cells[] = {
    /* 4 gate sums, 3 sigmoids of 3, c = f c + i g of 3, h = o tanh(c) of 1; transcendentals: 3 sigmoids, 2 tanh. */
    [FXC_CELL_lstm] = {4, 17, 5},
    /* 2 gate sums, 2 sigmoids of 3, n = tanh(x + r h) of 2, h = (1 - z) n + z h of 4; 2 sigmoids, 1 tanh. */
    [FXC_CELL_gru] = {3, 14, 3},
    /* 1 sum, then tanh or relu. */
    [FXC_CELL_tanh] = {1, 1, 1},
    [FXC_CELL_relu] = {1, 2, 0},
};

/* Rows of a sequence: its elements over the size of its features. */
static bool sequence_rows(const struct fxc_tensor *input, int64_t *rows) {
    if (input->rank == 0 || input->size[input->rank - 1] == 0) {
        return false;
    }
    *rows = input->numel / input->size[input->rank - 1];
    return true;
}

static fxc_status count_network(const struct fxc_rule *rule, uint32_t kind, fxc_counts *out, fxc_error *err) {
    const struct fxc_program *p = rule->program;
    struct cell_work cell = cells[kind];
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor input, recurrent, weight;
    int64_t rows, layers;
    bool biased, both_ways, train;
    double dropout = 0;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_input, FXC_NAME_data, &input) && sequence_rows(&input, &rows));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_num_layers, -1, &layers) && layers > 0 &&
             fxc_rule_bool(rule, FXC_NAME_has_biases, true, &biased) &&
             fxc_rule_bool(rule, FXC_NAME_bidirectional, false, &both_ways) &&
             fxc_rule_bool(rule, FXC_NAME_train, false, &train));
    uint32_t list = fxc_rule_list(rule, FXC_NAME_params);
    FXC_NEED(list != FXC_NONE && layers <= UINT32_MAX / 2);
    uint32_t count = p->list_begin[list + 1] - p->list_begin[list];
    uint32_t runs = (uint32_t)layers * (both_ways ? 2 : 1);
    uint32_t stride = count / runs;
    /* w_ih, w_hh, b_ih, b_hh with biases, and w_hr of an LSTM with projections. */
    uint32_t least = biased ? 4 : 2;
    FXC_NEED(count == stride * runs && (stride == least || stride == least + 1));
    for (uint32_t run = 0; run < runs; run++) {
        FXC_NEED(fxc_known_item(rule, list, run * stride, &weight));
        FXC_NEED(fxc_known_item(rule, list, run * stride + 1, &recurrent) && recurrent.rank == 2);
        int64_t weights = fxc_plus(&tally, weight.numel, recurrent.numel);
        int64_t hidden = recurrent.size[0] / cell.gates;
        int64_t returned = hidden;
        if (stride > least) {
            FXC_NEED(fxc_known_item(rule, list, run * stride + least, &weight) && weight.rank == 2);
            weights = fxc_plus(&tally, weights, weight.numel);
            returned = weight.size[0];
        }
        fxc_tally_macs(&tally, input.dtype, fxc_times(&tally, rows, weights));
        int64_t units = fxc_times(&tally, rows, hidden);
        fxc_tally_work(&tally, input.dtype, fxc_times(&tally, cell.flops, units),
                       fxc_times(&tally, cell.transcendentals, units));
        /* Dropout follows every layer but the last: mask and scale. */
        bool last = run / (both_ways ? 2u : 1u) + 1 == (uint32_t)layers;
        if (train && !last && fxc_rule_float(rule, FXC_NAME_dropout, &dropout) && dropout > 0) {
            fxc_tally_work(&tally, input.dtype, fxc_times(&tally, 2, fxc_times(&tally, rows, returned)), 0);
        }
    }
    return fxc_tally_end(&tally, rule, err);
}

fxc_status fxc_flops_lstm(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    (void)params;
    return count_network(rule, FXC_CELL_lstm, out, err);
}

fxc_status fxc_flops_gru(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    (void)params;
    return count_network(rule, FXC_CELL_gru, out, err);
}

/* params: tanh or relu. */
fxc_status fxc_flops_rnn(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    return count_network(rule, (uint32_t)params[0], out, err);
}

/* One step of one cell. params: which. */
fxc_status fxc_flops_cell(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct cell_work cell = cells[params[0]];
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor input, weight, recurrent;
    int64_t rows;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && sequence_rows(&input, &rows) &&
             fxc_known_tensor(rule, FXC_NAME_w_ih, &weight) && fxc_known_tensor(rule, FXC_NAME_w_hh, &recurrent));
    FXC_NEED(recurrent.rank == 2);
    fxc_tally_macs(&tally, input.dtype, fxc_times(&tally, rows, fxc_plus(&tally, weight.numel, recurrent.numel)));
    int64_t units = fxc_times(&tally, rows, recurrent.size[0] / cell.gates);
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, cell.flops, units),
                   fxc_times(&tally, cell.transcendentals, units));
    return fxc_tally_end(&tally, rule, err);
}

/* One layer in one direction, as oneDNN runs it; its modes are numbered as ideep's. */
fxc_status fxc_flops_rnn_layer(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    static const uint8_t kinds[] = {FXC_CELL_relu, FXC_CELL_tanh, FXC_CELL_lstm, FXC_CELL_gru};
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor input, weight, recurrent;
    int64_t rows, mode, hidden;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && sequence_rows(&input, &rows) &&
             fxc_known_tensor(rule, FXC_NAME_weight0, &weight) &&
             fxc_known_tensor(rule, FXC_NAME_weight1, &recurrent) &&
             fxc_rule_int(rule, FXC_NAME_hidden_size, -1, &hidden) && hidden >= 0);
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_mode, -1, &mode) && mode >= 0 && mode < (int64_t)sizeof kinds);
    struct cell_work cell = cells[kinds[mode]];
    fxc_tally_macs(&tally, input.dtype, fxc_times(&tally, rows, fxc_plus(&tally, weight.numel, recurrent.numel)));
    int64_t units = fxc_times(&tally, rows, hidden);
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, cell.flops, units),
                   fxc_times(&tally, cell.transcendentals, units));
    return fxc_tally_end(&tally, rule, err);
}

/* Of an LSTM: each weight meets each row twice, for the gradient of what it multiplied and for its own. Per unit, from
 * h = o tanh(c), c = f c' + i g: of o 1, of c 5 (with tanh(c) again), of i, g, f and c' 1 each, through the gates'
 * sigmoids 3 each and tanh 3, the sum with the gradient of the next step 1; biases 4. */
fxc_status fxc_flops_rnn_layer_backward(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                        fxc_error *err) {
    enum { LSTM = 2 };
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor input, weight, recurrent;
    int64_t rows, mode, hidden;
    bool biased;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_input, &input) && sequence_rows(&input, &rows) &&
             fxc_known_tensor(rule, FXC_NAME_weight1, &weight) &&
             fxc_known_tensor(rule, FXC_NAME_weight2, &recurrent) &&
             fxc_rule_int(rule, FXC_NAME_hidden_size, -1, &hidden) && hidden >= 0 &&
             fxc_rule_bool(rule, FXC_NAME_has_biases, true, &biased));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_mode, -1, &mode) && mode == LSTM);
    int64_t macs = fxc_times(&tally, rows, fxc_plus(&tally, weight.numel, recurrent.numel));
    fxc_tally_macs(&tally, input.dtype, fxc_times(&tally, 2, macs));
    int64_t units = fxc_times(&tally, rows, hidden);
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, biased ? 27 : 23, units), units);
    return fxc_tally_end(&tally, rule, err);
}
