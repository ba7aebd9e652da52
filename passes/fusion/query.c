/* The fusion fact as the public header shows it. */
#include <math.h>

#include "fxcost/fusion.h"
#include "passes/fusion/fusion.h"
#include "passes/fusion/profile.h"
#include "passes/kernel_cost/kernel_cost.h"

static const char *const kind_texts[] = {
#define X(name, text) text,
    FXC_KERNEL_KIND_LIST(X)
#undef X
};

static fxc_status out_of_range(const char *call, uint32_t index, uint32_t count, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s", call);
    fxc_expected(err, "an index below %u", count);
    fxc_found(err, "%u", index);
    return status;
}

/* The fusion fact, and a kernel that exists. */
static fxc_status require(fxc_analysis *analysis, const char *call, uint32_t kernel, fxc_error *err) {
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(fusion), err));
    if (kernel >= analysis->fusion->kernel_count) {
        return out_of_range(call, kernel, analysis->fusion->kernel_count, err);
    }
    return FXC_OK;
}

fxc_status fxc_analysis_kernel_count(fxc_analysis *analysis, uint32_t *count, fxc_error *err) {
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(fusion), err));
    *count = analysis->fusion->kernel_count;
    return FXC_OK;
}

fxc_status fxc_analysis_kernel(fxc_analysis *analysis, uint32_t index, fxc_kernel_info *out, fxc_error *err) {
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_kernel: struct_size is smaller than this version's structure");
    }
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(kernel_cost), err));
    FXC_TRY(require(analysis, "fxc_analysis_kernel", index, err));
    const struct fxc_fusion *f = analysis->fusion;
    const struct fxc_kernel_cost *cost = analysis->kernel_cost;
    fxc_time time = {.seconds = NAN, .efficiency = NAN, .error = NAN};
    time = cost->time == NULL ? time : cost->time[index];
    const struct fxc_kernel_row *k = &f->kernel[index];
    int64_t bytes = k->read + k->written;
    *out = (fxc_kernel_info){.struct_size = out->struct_size,
                             .kind = k->kind,
                             .kind_text = kind_texts[k->kind],
                             .nodes = f->member + k->member_begin,
                             .node_count = k->member_count,
                             .accesses = k->access_count,
                             .operations = k->operations,
                             .outer_rank = k->outer_rank,
                             .folded_rank = k->folded_rank,
                             .sizes = f->size + k->size_begin,
                             .bytes_read = k->read,
                             .bytes_written = k->written,
                             .bytes_copied = k->copied,
                             .bytes_reread = k->reread,
                             .inductor_bytes = k->whole_bytes,
                             .eager_bytes = k->eager_bytes,
                             .bytes_saved = k->eager_bytes - bytes,
                             .matrix_flops = k->matrix_flops,
                             .vector_flops = k->vector_flops,
                             .transcendentals = k->transcendentals,
                             .executed_flops = k->executed_flops,
                             .executed_transcendentals = k->executed_transcendentals,
                             .intensity = bytes == 0 ? NAN : (double)k->executed_flops / (double)bytes,
                             .seconds = time.seconds,
                             .efficiency = time.efficiency,
                             .error = time.error,
                             .work = cost->work == NULL ? (uint8_t)FXC_WORK_OTHER : cost->work[index],
                             .bound = time.bound,
                             .source = time.source,
                             .live_before = f->memory.before[index],
                             .peak_bytes = f->memory.most[index],
                             .live_after = f->memory.after[index]};
    return FXC_OK;
}

fxc_status fxc_analysis_kernel_peak(fxc_analysis *analysis, fxc_kernel_peak *out, fxc_error *err) {
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE,
                        "fxc_analysis_kernel_peak: struct_size is smaller than this version's structure");
    }
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(fusion), err));
    const struct fxc_kernel_memory *memory = &analysis->fusion->memory;
    *out = (fxc_kernel_peak){out->struct_size, memory->peak_bytes, memory->given_bytes, memory->peak_kernel};
    return FXC_OK;
}

fxc_status fxc_analysis_kernel_access(fxc_analysis *analysis, uint32_t kernel, uint32_t index,
                                      fxc_kernel_access_info *out, fxc_error *err) {
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE,
                        "fxc_analysis_kernel_access: struct_size is smaller than this version's structure");
    }
    FXC_TRY(require(analysis, "fxc_analysis_kernel_access", kernel, err));
    const struct fxc_fusion *f = analysis->fusion;
    const struct fxc_program *p = analysis->program;
    if (index >= f->kernel[kernel].access_count) {
        return out_of_range("fxc_analysis_kernel_access", index, f->kernel[kernel].access_count, err);
    }
    const struct fxc_kernel_access *a = &f->access[f->kernel[kernel].access_begin + index];
    *out = (fxc_kernel_access_info){.struct_size = out->struct_size,
                                    .value = a->value,
                                    .node = a->node,
                                    .buffer = a->buffer,
                                    .name = a->value != FXC_NONE  ? fxc_string(p, p->value_name[a->value])
                                            : a->node != FXC_NONE ? fxc_node_name(p, a->node)
                                                                  : "",
                                    .written = a->written,
                                    .bytes = a->exact,
                                    .inductor_bytes = a->whole};
    return FXC_OK;
}

fxc_status fxc_profile_get(uint32_t index, fxc_profile_info *out, fxc_error *err) {
    const struct fxc_profile *profile = fxc_profile_at(index);
    if (profile == NULL || out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_profile_get: no profile %u", index);
    }
    return fxc_profile_describe(profile, out, err);
}

fxc_status fxc_profile_describe(const fxc_profile *profile, fxc_profile_info *out, fxc_error *err) {
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_profile_describe: struct_size is smaller than this version's structure");
    }
    const char *lowered = profile->lowered == NULL ? "" : profile->lowered;
    *out = (fxc_profile_info){out->struct_size, profile->name, profile->summary, profile->source, lowered};
    return FXC_OK;
}
