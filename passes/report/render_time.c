/* Predicted and measured time, in text and JSON. */
#include <math.h>
#include <stdio.h>

#include "fxcost/backend.h"
#include "passes/report/json.h"

static const char *const sources[] = {
#define X(name, text) text,
    FXC_TIME_SOURCE_LIST(X)
#undef X
};
static const char *const bounds[] = {"unknown", "compute", "memory", "overhead"};
static const char *const kinds[] = {
#define X(name, text) text,
    FXC_WORK_KIND_LIST(X)
#undef X
};

_Static_assert(sizeof sources / sizeof sources[0] == sizeof((fxc_totals *)NULL)->seconds_by_source / sizeof(double),
               "fxc_totals has a number for every source");

const char *fxc_time_basis(const struct fxc_analysis *analysis) {
    const double *by = analysis->report->totals.seconds_by_source;
    uint32_t most = FXC_TIME_NONE;
    for (uint32_t i = 0; i < FXC_TIME_SOURCE_COUNT; i++) {
        most = by[i] > by[most] ? i : most;
    }
    return by[most] > 0 ? sources[most] : "no kernel";
}

/* ", 12 % of them <what>" for the parts that matter. */
static void put_shares(struct fxc_stream *out, const double *part, const char *const *names, uint32_t count,
                       double total) {
    const char *separator = "";
    for (uint32_t i = 0; i < count; i++) {
        double share = total > 0 ? 100 * part[i] / total : 0;
        if (share >= 0.5) {
            fxc_putf(out, "%s%.0f %% %s", separator, share, names[i]);
            separator = ", ";
        }
    }
}

void fxc_put_time_shares(struct fxc_stream *out, const double *by_source, const double *by_bound, double total) {
    put_shares(out, by_source, sources, FXC_TIME_SOURCE_COUNT, total);
    fxc_put(out, "; bound by: ");
    put_shares(out, by_bound, bounds, 4, total);
}

static void put_predicted(const fxc_totals *t, bool raw, struct fxc_stream *out) {
    char text[FXC_NUMBER_SIZE];
    fxc_putf(out, "time        %s: ", fxc_human_seconds(t->seconds, raw, text));
    put_shares(out, t->seconds_by_source, sources, FXC_TIME_SOURCE_COUNT, t->seconds);
    if (t->seconds_error > 0 && t->seconds_by_source[FXC_TIME_FITTED] > 0) {
        fxc_putf(out, " (fitted kernels miss by %.0f %% on average)",
                 100 * t->seconds_error / t->seconds_by_source[FXC_TIME_FITTED]);
    }
    fxc_put(out, "\n            bound by: ");
    put_shares(out, t->seconds_by_bound, bounds, 4, t->seconds);
    fxc_put(out, "\n");
    if (t->peak_seconds > 0 && t->seconds > 0) {
        fxc_putf(out, "            %.1f %% of the peak of matrix products\n", 100 * t->peak_seconds / t->seconds);
    }
}

void fxc_put_achieved(const fxc_totals *t, bool raw, struct fxc_stream *out) {
    char rate[FXC_NUMBER_SIZE];
    fxc_put(out, fxc_human((int64_t)((double)t->flops / t->measured_seconds), raw, rate));
    fxc_put(out, raw ? " FLOP/s" : "FLOP/s");
    if (t->peak_seconds > 0) {
        fxc_putf(out, ", MFU %.1f %%", 100 * t->peak_seconds / t->measured_seconds);
    }
    if (!isnan(t->seconds)) {
        fxc_putf(out, "; estimate / measured %.3f", t->seconds / t->measured_seconds);
    }
    fxc_put(out, "\n");
}

void fxc_put_time(const struct fxc_analysis *analysis, const fxc_totals *totals, bool raw, struct fxc_stream *out) {
    if (analysis->device != NULL && isnan(totals->seconds)) {
        fxc_putf(out, "time        not known: %s lacks a figure that this needs\n", analysis->device->name);
    } else if (!isnan(totals->seconds)) {
        put_predicted(totals, raw, out);
    }
    if (analysis->measured_seconds > 0) { /* as told; what the program holds is fxc_put_measured's */
        char text[FXC_NUMBER_SIZE];
        fxc_putf(out, "measured    %s, ", fxc_human_seconds(totals->measured_seconds, raw, text));
        fxc_put_achieved(totals, raw, out);
    }
}

static void json_parts(struct fxc_json *json, const char *key, const double *part, const char *const *names,
                       uint32_t count) {
    fxc_json_open(json, key, '{');
    for (uint32_t i = 0; i < count; i++) {
        fxc_json_double(json, names[i], part[i]);
    }
    fxc_json_close(json, '}');
}

void fxc_json_time_parts(struct fxc_json *json, const double *by_bound, const double *by_source) {
    json_parts(json, "seconds_by_bound", by_bound, bounds, 4);
    json_parts(json, "seconds_by_source", by_source, sources, FXC_TIME_SOURCE_COUNT);
}

const char *fxc_bound_text(uint8_t bound) {
    return bound < sizeof bounds / sizeof bounds[0] ? bounds[bound] : bounds[FXC_BOUND_UNKNOWN];
}

void fxc_json_time(struct fxc_json *json, const fxc_totals *t) {
    fxc_json_time_parts(json, t->seconds_by_bound, t->seconds_by_source);
    fxc_json_double(json, "seconds_error", t->seconds_error);
    fxc_json_double(json, "peak_seconds", t->peak_seconds);
    fxc_json_double(json, "measured_seconds", t->measured_seconds);
    fxc_json_double(json, "achieved_flops_per_second", (double)t->flops / t->measured_seconds);
    fxc_json_double(json, "mfu", t->peak_seconds / t->measured_seconds);
}

void fxc_json_work_time(struct fxc_json *json, uint8_t work, uint8_t source, double efficiency, double error) {
    fxc_json_string(json, "work", kinds[work]);
    fxc_json_string(json, "time_source", sources[source]);
    fxc_json_double(json, "efficiency", efficiency);
    fxc_json_double(json, "error", error);
}
