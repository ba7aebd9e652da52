/* What a report says of a training step: its loss and its parts. */
#include "passes/report/render.h"

const char *fxc_phase_title(uint32_t phase) {
    static const char *const titles[FXC_PHASE_COUNT] = {"forward", "backward", "accumul.", "recompute", "optimizer"};
    return titles[phase];
}

void fxc_put_step(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out) {
    const int64_t *flops = analysis->report->totals.phase_flops;
    int64_t loss;
    char text[FXC_NUMBER_SIZE];
    if (fxc_program_capture(analysis->program, "loss", FXC_KIND_STRING, &loss)) {
        fxc_putf(out, "loss        %s\n", fxc_string(analysis->program, (uint32_t)loss));
    }
    const char *before = "step        ";
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
        if (flops[phase] != 0) {
            fxc_putf(out, "%s%s %s", before, fxc_enum_text("phase", phase), fxc_human(flops[phase], raw, text));
            before = ", ";
        }
    }
    fxc_put(out, before[0] == ',' ? "\n" : "");
    const fxc_totals *t = &analysis->report->totals;
    if (t->samples > 0) {
        fxc_putf(out, "each        sample %s FLOPs", fxc_human(t->flops / t->samples, raw, text));
        if (t->tokens > 0) {
            fxc_putf(out, ", token %s FLOPs", fxc_human(t->flops / t->tokens, raw, text));
        }
        fxc_put(out, "\n");
    }
    if (t->saved_bytes < 0) {
        return;
    }
    fxc_putf(out, "saved       %s for the backward pass", fxc_human_bytes(t->saved_bytes, raw, text));
    fxc_putf(out, ", besides %s of buffers", fxc_human_bytes(t->saved_buffer_bytes, raw, text));
    fxc_putf(out, ", %s of inputs\n", fxc_human_bytes(t->saved_input_bytes, raw, text));
}
