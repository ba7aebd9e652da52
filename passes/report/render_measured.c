/* What a report says of a real run, where the program holds one. */
#include <inttypes.h>
#include <math.h>

#include "passes/memory/memory.h"
#include "passes/report/json.h"

bool fxc_is_measured(const struct fxc_analysis *analysis) {
    return analysis->measured->seconds != NULL;
}

static int64_t number_of(const struct fxc_analysis *analysis, const char *key) {
    int64_t payload = 0;
    (void)fxc_program_capture(analysis->program, key, FXC_KIND_INT, &payload);
    return payload;
}

static const char *text_of(const struct fxc_analysis *analysis, const char *key) {
    int64_t payload;
    bool found = fxc_program_capture(analysis->program, key, FXC_KIND_STRING, &payload);
    return found ? fxc_string(analysis->program, (uint32_t)payload) : NULL;
}

/* At how many nodes what was alive is what the pass `memory` says. */
static void put_memory(const struct fxc_analysis *analysis, struct fxc_stream *out) {
    const struct fxc_measured *measured = analysis->measured;
    const struct fxc_memory *memory = analysis->memory;
    uint32_t seen = 0, equal = 0;
    for (uint32_t node = 0; node < FXC_COUNT(analysis->program, node); node++) {
        if (measured->before[node] >= 0) {
            seen++;
            equal += measured->before[node] == memory->before[node] && measured->after[node] == memory->after[node] &&
                     (measured->most[node] < 0 || measured->most[node] == memory->most[node]);
        }
    }
    if (seen > 0) {
        fxc_putf(out, "            bytes alive as predicted at %" PRIu32 " of %" PRIu32 " nodes\n", equal, seen);
    }
}

void fxc_put_measured(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out) {
    const struct fxc_measured *measured = analysis->measured;
    const fxc_totals *totals = &analysis->report->totals;
    const char *device = text_of(analysis, "measured_on");
    int64_t threads = number_of(analysis, "measured_threads");
    char text[FXC_NUMBER_SIZE];
    if (!fxc_is_measured(analysis)) {
        fxc_put(out, FXC_COUNT(analysis->program, measure) > 0 ? "measured    at other sizes than these\n" : "");
        return;
    }
    fxc_putf(out, "measured    %s as a whole", fxc_human_seconds(measured->whole, raw, text));
    fxc_putf(out, ", %s summed over nodes", fxc_human_seconds(analysis->report->measured, raw, text));
    if (!isnan(measured->compiled)) {
        fxc_putf(out, ", %s compiled", fxc_human_seconds(measured->compiled, raw, text));
        fxc_putf(out, " (eager / compiled %.3g)", measured->whole / measured->compiled);
    }
    fxc_putf(out, "; medians of %" PRId64 " runs\n", number_of(analysis, "measured_repeats"));
    fxc_putf(out, "            on %s, %" PRId64 " thread%s", device == NULL ? "an unnamed device" : device, threads,
             threads == 1 ? "" : "s");
    if (!(analysis->measured_seconds > 0) && measured->whole > 0) { /* else that of the option is shown */
        fxc_put(out, "; ");
        fxc_put_achieved(totals, raw, out);
    } else {
        fxc_put(out, "\n");
    }
    put_memory(analysis, out);
}

void fxc_json_measured(struct fxc_json *json, const struct fxc_analysis *analysis) {
    const struct fxc_measured *measured = analysis->measured;
    fxc_json_open(json, "measured", '{');
    fxc_json_string(json, "on", text_of(analysis, "measured_on"));
    fxc_json_int(json, "threads", number_of(analysis, "measured_threads"));
    fxc_json_int(json, "runs", number_of(analysis, "measured_repeats"));
    fxc_json_string(json, "torch", text_of(analysis, "measured_torch"));
    fxc_json_double(json, "seconds", measured->whole);
    fxc_json_double(json, "least_seconds", measured->whole_least);
    fxc_json_double(json, "compiled_seconds", measured->compiled);
    fxc_json_double(json, "compiled_least_seconds", measured->compiled_least);
    fxc_json_double(json, "node_seconds", analysis->report->measured);
    fxc_json_close(json, '}');
}

void fxc_json_measured_node(struct fxc_json *json, const struct fxc_analysis *analysis, uint32_t node) {
    const struct fxc_measured *measured = analysis->measured;
    fxc_json_double(json, "measured_least_seconds", measured->least[node]);
    if (measured->before[node] >= 0 && measured->after[node] >= 0) {
        fxc_json_int(json, "measured_bytes_before", measured->before[node]);
        fxc_json_int(json, "measured_bytes_after", measured->after[node]);
    }
    if (measured->most[node] >= 0) {
        fxc_json_int(json, "measured_bytes_peak", measured->most[node]);
    }
}
