/* fxcost MODEL --fits DEVICE: does one run fit, by how much, and up to which sizes. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "fxcost/memory.h"

/* 16.6 GB of 80.0 GB. */
static void put_bytes(FILE *stream, const char *before, int64_t bytes, const char *after) {
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (fabs(value) >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    (void)fprintf(stream, unit == 0 ? "%s%.0f %s%s" : "%s%.2f %s%s", before, value, units[unit], after);
}

static void put_verdict(FILE *stream, const struct cli_options *options, const fxc_fit *fit) {
    (void)fprintf(stream, "fits        %s", fit->fits ? "yes" : "no");
    put_bytes(stream, ": ", fit->needed, fit->bound ? " or more" : "");
    put_bytes(stream, " of ", fit->capacity, "");
    (void)fprintf(stream, " on %s", options->fits);
    put_bytes(stream, ", ", fit->fits ? fit->capacity - fit->needed : fit->needed - fit->capacity,
              fit->fits ? " left\n" : " too much\n");
}

/* Sizes that the user can set: those with a name of the user's, or any that an input has. */
static fxc_status put_largest(FILE *stream, const fxc_program *program, fxc_analysis *analysis, fxc_error *err) {
    const char *name;
    bool any = false;
    for (uint32_t i = 0; (name = fxc_program_dimension(program, i)) != NULL; i++) {
        int64_t largest;
        fxc_status status = fxc_memory_largest(analysis, name, &largest, err);
        if (status != FXC_OK) {
            return status;
        }
        any = true;
        if (largest == INT64_MAX) {
            (void)fprintf(stream, "%-11s any that was tried\n", name);
        } else if (largest == 0) {
            (void)fprintf(stream, "%-11s none fits, the others as they are\n", name);
        } else {
            (void)fprintf(stream, "%-11s at most %" PRId64 ", the others as they are\n", name, largest);
        }
    }
    if (!any) {
        (void)fputs("            a capture with --dynamic batch,seq would tell the largest sizes\n", stream);
    }
    return FXC_OK;
}

static void put_cache(FILE *stream, const fxc_fit *fit) {
    if (fit->token_bytes == 0) {
        return;
    }
    put_bytes(stream, "cache       ", fit->token_bytes, " of keys and values a token, where they are kept");
    for (int64_t length = 1024; length <= 131072; length *= 8) {
        int64_t bytes;
        if (__builtin_mul_overflow(fit->token_bytes, length, &bytes)) {
            break;
        }
        put_bytes(stream, length == 1024 ? ": " : ", ", bytes, " at length ");
        (void)fprintf(stream, "%" PRId64, length);
    }
    if (fit->fits) {
        (void)fprintf(stream, "\n            room for %" PRId64 " tokens in what is left",
                      (fit->capacity - fit->needed) / fit->token_bytes);
    }
    (void)fputs("\n", stream);
}

fxc_status cli_fits(const struct cli_options *options, const fxc_program *program, fxc_analysis *analysis,
                    fxc_error *err) {
    fxc_fit fit = {.struct_size = sizeof fit};
    struct cli_output output;
    fxc_status status = fxc_analysis_set(analysis, "device", options->fits, err);
    if (status == FXC_OK) {
        status = fxc_memory_fits(analysis, &fit, err);
    }
    if (status == FXC_OK) {
        status = cli_output_open(&output, options->output, err);
    }
    if (status != FXC_OK) {
        return status;
    }
    put_verdict(output.stream, options, &fit);
    status = put_largest(output.stream, program, analysis, err);
    put_cache(output.stream, &fit);
    return cli_output_close(&output, status, err);
}
