/* Sums over kernels: counters, times, and the lines and members that show them. */
#include <inttypes.h>
#include <math.h>

#include "passes/fusion/profile.h"
#include "passes/kernel_cost/kernel_cost.h"
#include "passes/report/kernels.h"

bool fxc_kernel_sum_join(struct fxc_kernel_sum *a, const struct fxc_kernel_sum *b) {
    bool overflow = fxc_add(a->kernels, b->kernels, &a->kernels);
    overflow |= fxc_add(a->bytes_read, b->bytes_read, &a->bytes_read);
    overflow |= fxc_add(a->bytes_written, b->bytes_written, &a->bytes_written);
    overflow |= fxc_add(a->bytes_copied, b->bytes_copied, &a->bytes_copied);
    overflow |= fxc_add(a->bytes_reread, b->bytes_reread, &a->bytes_reread);
    if (a->inductor_bytes < 0 || b->inductor_bytes < 0) { /* none under this profile */
        a->inductor_bytes = -1;
    } else {
        overflow |= fxc_add(a->inductor_bytes, b->inductor_bytes, &a->inductor_bytes);
    }
    overflow |= fxc_add(a->eager_bytes, b->eager_bytes, &a->eager_bytes);
    overflow |= fxc_add(a->bytes_saved, b->bytes_saved, &a->bytes_saved);
    overflow |= fxc_add(a->matrix_flops, b->matrix_flops, &a->matrix_flops);
    overflow |= fxc_add(a->vector_flops, b->vector_flops, &a->vector_flops);
    overflow |= fxc_add(a->transcendentals, b->transcendentals, &a->transcendentals);
    overflow |= fxc_add(a->executed_flops, b->executed_flops, &a->executed_flops);
    overflow |= fxc_add(a->executed_transcendentals, b->executed_transcendentals, &a->executed_transcendentals);
    a->seconds += b->seconds;
    return overflow;
}

bool fxc_kernel_sum_add(struct fxc_kernel_sum *a, const fxc_kernel_info *k) {
    struct fxc_kernel_sum one = {.kernels = 1,
                                 .bytes_read = k->bytes_read,
                                 .bytes_written = k->bytes_written,
                                 .bytes_copied = k->bytes_copied,
                                 .bytes_reread = k->bytes_reread,
                                 .inductor_bytes = k->inductor_bytes,
                                 .eager_bytes = k->eager_bytes,
                                 .bytes_saved = k->bytes_saved,
                                 .matrix_flops = k->matrix_flops,
                                 .vector_flops = k->vector_flops,
                                 .transcendentals = k->transcendentals,
                                 .executed_flops = k->executed_flops,
                                 .executed_transcendentals = k->executed_transcendentals,
                                 .seconds = k->seconds};
    return fxc_kernel_sum_join(a, &one);
}

fxc_status fxc_kernel_totals(fxc_analysis *analysis, struct fxc_kernel_sum *out, fxc_error *err) {
    bool overflow = false;
    *out = (struct fxc_kernel_sum){.seconds = analysis->device == NULL ? NAN : 0};
    for (uint32_t i = 0; i < analysis->fusion->kernel_count; i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        FXC_TRY(fxc_analysis_kernel(analysis, i, &k, err));
        overflow |= fxc_kernel_sum_add(out, &k);
    }
    return overflow ? fxc_fail(err, FXC_OVERFLOW, "sums over kernels under profile %s", analysis->fusion->profile->name)
                    : FXC_OK;
}

const char *fxc_kernel_module_path(const struct fxc_analysis *analysis, const fxc_kernel_info *kernel,
                                   char buffer[FXC_KERNEL_PATH_SIZE]) {
    uint32_t module = fxc_kernel_module(analysis->program, kernel);
    return module == FXC_NONE ? NULL : fxc_module_path(analysis->program, module, buffer, (size_t)FXC_KERNEL_PATH_SIZE);
}

/* ---- text ----------------------------------------------------------------------------------------------------------
 */

static void put_times(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out) {
    const struct fxc_kernel_cost *cost = analysis->kernel_cost;
    const fxc_totals *eager = &analysis->report->totals;
    char text[FXC_NUMBER_SIZE];
    if (isnan(cost->seconds)) {
        fxc_putf(out, "time not known: %s lacks a figure that this needs\n", analysis->device->name);
        return;
    }
    fxc_putf(out, "%s on %s: ", fxc_human_seconds(cost->seconds, raw, text), analysis->device->name);
    fxc_put_time_shares(out, cost->seconds_by_source, cost->seconds_by_bound, cost->seconds);
    if (cost->seconds_error > 0 && cost->seconds_by_source[FXC_TIME_FITTED] > 0) {
        fxc_putf(out, " (fitted kernels miss by %.0f %% on average)",
                 100 * cost->seconds_error / cost->seconds_by_source[FXC_TIME_FITTED]);
    }
    fxc_putf(out, "\n%s eager", fxc_human_seconds(eager->seconds, raw, text));
    fxc_putf(out, ", eager / compiled %.3g\n", eager->seconds / cost->seconds);
    if (!isnan(analysis->measured->compiled)) {
        fxc_putf(out, "%s measured compiled", fxc_human_seconds(analysis->measured->compiled, raw, text));
        fxc_putf(out, ", %s eager", fxc_human_seconds(analysis->measured->whole, raw, text));
        fxc_putf(out, ", eager / compiled %.3g; estimate / measured %.3f\n",
                 analysis->measured->whole / analysis->measured->compiled,
                 cost->seconds / analysis->measured->compiled);
    }
}

void fxc_put_kernel_totals(const struct fxc_analysis *analysis, const struct fxc_kernel_sum *sum, bool raw,
                           struct fxc_stream *out) {
    char text[FXC_NUMBER_SIZE], more[FXC_NUMBER_SIZE];
    fxc_putf(out, "\n%" PRId64 " kernels, %s read, ", sum->kernels, fxc_human_bytes(sum->bytes_read, raw, text));
    fxc_putf(out, "%s written, %s saved against running each node alone\n",
             fxc_human_bytes(sum->bytes_written, raw, text), fxc_human_bytes(sum->bytes_saved, raw, more));
    fxc_putf(out, "of these bytes %s for copies into other layouts, %s read to compute again\n",
             fxc_human_bytes(sum->bytes_copied, raw, text), fxc_human_bytes(sum->bytes_reread, raw, more));
    fxc_putf(out, "%s FLOPs, %s executed with what is computed again\n",
             fxc_human(sum->matrix_flops + sum->vector_flops, raw, text), fxc_human(sum->executed_flops, raw, more));
    const struct fxc_kernel_memory *memory = &analysis->fusion->memory;
    fxc_putf(out, "%s alive at most, ", fxc_human_bytes(memory->peak_bytes, raw, text));
    fxc_putf(out, "%s of them throughout", fxc_human_bytes(memory->given_bytes, raw, text));
    if (memory->peak_kernel != FXC_NONE) {
        fxc_putf(out, "; in kernel %" PRIu32, memory->peak_kernel);
    }
    fxc_put(out, "\n");
    if (analysis->device != NULL) {
        put_times(analysis, raw, out);
    }
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------
 */

void fxc_json_kernel_sum(struct fxc_json *json, const struct fxc_kernel_sum *sum) {
    fxc_json_int(json, "bytes_read", sum->bytes_read);
    fxc_json_int(json, "bytes_written", sum->bytes_written);
    fxc_json_int(json, "bytes_copied", sum->bytes_copied);
    fxc_json_int(json, "bytes_reread", sum->bytes_reread);
    fxc_json_int(json, "inductor_bytes", sum->inductor_bytes);
    fxc_json_int(json, "eager_bytes", sum->eager_bytes);
    fxc_json_int(json, "bytes_saved", sum->bytes_saved);
    fxc_json_int(json, "matrix_flops", sum->matrix_flops);
    fxc_json_int(json, "vector_flops", sum->vector_flops);
    fxc_json_int(json, "transcendentals", sum->transcendentals);
    fxc_json_int(json, "executed_flops", sum->executed_flops);
    fxc_json_int(json, "executed_transcendentals", sum->executed_transcendentals);
    fxc_json_double(json, "seconds", sum->seconds);
}

fxc_status fxc_json_kernels_head(struct fxc_json *json, fxc_analysis *analysis, const char *by, fxc_error *err) {
    const struct fxc_kernel_cost *cost = analysis->kernel_cost;
    struct fxc_kernel_sum totals;
    FXC_TRY(fxc_kernel_totals(analysis, &totals, err));
    fxc_json_open(json, NULL, '{');
    fxc_json_string(json, "schema", "fxcost.kernels");
    fxc_json_int(json, "version", 1);
    fxc_json_string(json, "fxcost", fxc_version());
    fxc_json_string(json, "file", analysis->program->file);
    fxc_json_string(json, "profile", analysis->fusion->profile->name);
    fxc_json_string(json, "device", analysis->device == NULL ? NULL : analysis->device->name);
    fxc_json_string(json, "by", by);
    fxc_json_open(json, "totals", '{');
    fxc_json_int(json, "kernels", totals.kernels);
    fxc_json_kernel_sum(json, &totals);
    fxc_json_int(json, "peak_bytes", analysis->fusion->memory.peak_bytes);
    fxc_json_int(json, "given_bytes", analysis->fusion->memory.given_bytes);
    if (analysis->device != NULL) {
        fxc_json_time_parts(json, cost->seconds_by_bound, cost->seconds_by_source);
        fxc_json_double(json, "seconds_error", cost->seconds_error);
        fxc_json_double(json, "eager_seconds", analysis->report->totals.seconds);
        fxc_json_double(json, "eager_over_compiled", analysis->report->totals.seconds / cost->seconds);
    }
    fxc_json_close(json, '}');
    return FXC_OK;
}
