/* alias: inputs of the program whose memory holds other data after a run. */
#include "passes/alias/walk.h"

struct writers {
    const struct fxc_program *p;
    uint32_t *node; /* per input of graph 0: the last writer */
    bool *written;
    uint32_t *by_target, *by_name; /* per string: input of graph 0 + 1 */
};

/* Which input an output is copied back to: buffers and parameters by qualified name, user inputs by FX name. */
static uint32_t copied_back(const struct writers *w, uint32_t output) {
    uint32_t target = w->p->output_target[output];
    switch (w->p->output_role[output]) {
    case FXC_OUTPUT_KIND_BUFFER_MUTATION:
    case FXC_OUTPUT_KIND_PARAMETER_MUTATION:
        return w->by_target[target];
    case FXC_OUTPUT_KIND_USER_INPUT_MUTATION:
        return w->by_name[target];
    default:
        return 0;
    }
}

/* In a functional program nothing is written in place, and the signature says what is copied back. */
static void add_outputs(struct writers *w) {
    const struct fxc_program *p = w->p;
    for (uint32_t i = p->graph_output_begin[0]; i < p->graph_output_begin[1]; i++) {
        uint32_t input = copied_back(w, i);
        if (input != 0) {
            w->written[input - 1] = true;
            w->node[input - 1] =
                p->output_kind[i] == FXC_KIND_VALUE ? p->value_producer[p->output_payload[i]] : FXC_NONE;
        }
    }
}

fxc_status fxc_alias_writebacks(const struct fxc_program *p, const struct fxc_memory_state *memory,
                                struct fxc_arena *arena, struct fxc_arena *scratch, struct fxc_alias *alias,
                                fxc_error *err) {
    uint32_t first = p->graph_input_begin[0], inputs = p->graph_input_begin[1] - first, strings = FXC_COUNT(p, string);
    struct writers w = {p, FXC_NEW(scratch, uint32_t, inputs), FXC_NEW(scratch, bool, inputs),
                        FXC_NEW(scratch, uint32_t, strings), FXC_NEW(scratch, uint32_t, strings)};
    alias->writeback = FXC_NEW(arena, struct fxc_writeback, inputs);
    if (w.node == NULL || w.written == NULL || w.by_target == NULL || w.by_name == NULL || alias->writeback == NULL) {
        return fxc_fail_memory(err, "alias");
    }
    for (uint32_t i = 0; i < inputs; i++) {
        uint32_t value = p->input_value[first + i], class = alias->value_memory[value];
        w.by_target[p->input_target[first + i]] = i + 1;
        w.by_name[p->value_name[value]] = i + 1;
        if (class != FXC_NONE && memory[class].last_data_write != 0) {
            w.written[i] = true;
            w.node[i] = memory[class].last_data_write - 1;
        }
    }
    add_outputs(&w);
    for (uint32_t i = 0; i < inputs; i++) {
        if (w.written[i]) {
            alias->writeback[alias->writeback_count++] = (struct fxc_writeback){first + i, w.node[i]};
        }
    }
    return FXC_OK;
}
