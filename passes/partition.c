/* partition: a program cut into stages of a pipeline. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "fxcost/backend.h"
#include "passes/memory/memory.h"
#include "passes/partition/partition.h"
#include "passes/report/report.h"

static fxc_status refuse(fxc_error *err, fxc_status kind, const struct fxc_program *p, const char *expected,
                         const char *found) {
    fxc_status status = fxc_fail(err, kind, "%s: partition", p->file);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "%s", found);
    return status;
}

static fxc_status check_stages(const struct fxc_program *p, uint32_t stages, fxc_error *err) {
    uint32_t nodes = p->graph_node_begin[1] - p->graph_node_begin[0];
    if (stages == 0 || stages > nodes) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: partition", p->file);
        fxc_expected(err, "from 1 to %u stages, for there are so many nodes", nodes);
        fxc_found(err, "%u", stages);
        return status;
    }
    return FXC_OK;
}

static fxc_status check(const struct fxc_analysis *analysis, const fxc_partition_options *options, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    if (options->struct_size < sizeof *options) {
        return fxc_fail(err, FXC_USAGE, "fxc_partition_new: struct_size is smaller than this version's structure");
    }
    FXC_TRY(check_stages(p, options->stages, err));
    if (analysis->device == NULL) {
        fxc_status status = refuse(err, FXC_DEVICE, p, "a device, whose predicted times are balanced", "none");
        fxc_advice(err, "name one: --device NAME (see fxcost devices)");
        return status;
    }
    if (!(options->slack >= 0 && options->slack <= 1)) {
        return refuse(err, FXC_USAGE, p, "a slack from 0 to 1", isnan(options->slack) ? "no number" : "another");
    }
    return options->memory_bytes < -1
               ? refuse(err, FXC_USAGE, p, "bytes of memory, or -1 for no limit", "a negative number")
               : FXC_OK;
}

/* The nodes of a backward pass belong to the stage of what they differentiate, which no cut of the order gives. */
static fxc_status check_forward(const struct fxc_analysis *analysis, fxc_error *err) {
    if (analysis->report->phased) {
        fxc_status status = refuse(err, FXC_USAGE, analysis->program, "a forward pass", "a training step");
        fxc_advice(err, "capture the model without --train, or with --train --forward");
        return status;
    }
    return FXC_OK;
}

static int64_t limit_of(const struct fxc_analysis *analysis, int64_t asked) {
    double memory = analysis->device->memory_bytes;
    return asked != 0 ? asked : memory > 0 && memory < 9e18 ? (int64_t)memory : -1;
}

/* ---- numbers of the stages --------------------------------------------------------------------------------------- */

static fxc_status fill_stage(const struct fxc_analysis *analysis, const struct fxc_positions *positions,
                             struct fxc_window *window, uint32_t begin, uint32_t end, struct fxc_partition *out,
                             struct fxc_stage *stage, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    char path[512];
    while (window->end < end) {
        fxc_window_grow(window);
    }
    while (window->begin < begin) {
        fxc_window_shrink(window);
    }
    uint32_t first = positions->first + begin;
    *stage = (struct fxc_stage){
        .info = {.struct_size = sizeof stage->info,
                 .first_node = first,
                 .nodes = end - begin,
                 .seconds = fxc_window_seconds(window),
                 .held_bytes = window->held,
                 .alive_bytes = fxc_window_alive(window),
                 .received_bytes = begin == 0 ? 0 : positions->sent[begin],
                 .sent_bytes = end == positions->count ? 0 : positions->sent[end],
                 .module = fxc_arena_string(
                     &out->arena, fxc_module_path(p, analysis->report->node_module[first], path, sizeof path))},
        .first = fxc_node_name(p, first),
        .last = fxc_node_name(p, first + (end - begin) - 1)};
    bool overflow = fxc_add(out->info.sent_bytes, stage->info.sent_bytes, &out->info.sent_bytes);
    for (uint32_t i = begin; i < end; i++) {
        overflow |= fxc_add(stage->info.flops, positions->flops[i], &stage->info.flops);
    }
    if (overflow) {
        return fxc_fail_node(err, FXC_OVERFLOW, p, first);
    }
    return stage->info.module == NULL ? fxc_fail_memory(err, "partition") : FXC_OK;
}

static void find_largest(const struct fxc_positions *positions, fxc_partition_info *info) {
    for (uint32_t i = 0; i < positions->count; i++) {
        double seconds = positions->until[i + 1] - positions->until[i];
        if (seconds > info->largest_seconds || i == 0) {
            info->largest_seconds = seconds;
            info->largest_node = positions->first + i;
        }
    }
}

static fxc_status fill(const struct fxc_analysis *analysis, const struct fxc_positions *positions,
                       const struct fxc_cut *cut, struct fxc_arena *scratch, struct fxc_partition *out,
                       fxc_error *err) {
    struct fxc_window window;
    fxc_partition_info *info = &out->info;
    out->stage = FXC_NEW(&out->arena, struct fxc_stage, info->stages);
    info->device = fxc_arena_string(&out->arena, analysis->device->name);
    if (!fxc_window_init(&window, positions, scratch) || out->stage == NULL || info->device == NULL) {
        return fxc_fail_memory(err, "partition");
    }
    for (uint32_t i = 0; i < info->stages; i++) {
        FXC_TRY(fill_stage(analysis, positions, &window, cut->begin[i], cut->begin[i + 1], out, &out->stage[i], err));
        double seconds = out->stage[i].info.seconds;
        info->bottleneck_seconds = seconds > info->bottleneck_seconds ? seconds : info->bottleneck_seconds;
    }
    find_largest(positions, info);
    info->seconds = positions->until[positions->count];
    info->best_seconds = cut->best;
    info->imbalance = info->seconds > 0 ? info->bottleneck_seconds * info->stages / info->seconds - 1 : 0;
    info->untimed_nodes = positions->untimed;
    info->unsized_values = positions->unsized;
    info->bound = analysis->memory->unsized > 0 || analysis->memory->untold > 0;
    return FXC_OK;
}

static fxc_status build(struct fxc_analysis *analysis, const fxc_partition_options *options, struct fxc_arena *scratch,
                        struct fxc_partition *out, fxc_error *err) {
    struct fxc_positions positions;
    struct fxc_cut cut;
    int64_t limit = limit_of(analysis, options->memory_bytes);
    out->program = analysis->program;
    out->info = (fxc_partition_info){.struct_size = sizeof out->info, .stages = options->stages, .memory_bytes = limit};
    FXC_TRY(fxc_positions_build(analysis, scratch, &positions, err));
    FXC_TRY(fxc_find_cut(analysis->program, &positions, options->stages, limit < 0 ? INT64_MAX : limit, options->slack,
                         scratch, &cut, err));
    return fill(analysis, &positions, &cut, scratch, out, err);
}

/* ---- the public functions ---------------------------------------------------------------------------------------- */

fxc_status fxc_partition_new(fxc_analysis *analysis, const fxc_partition_options *options, fxc_partition **out,
                             fxc_error *err) {
    struct fxc_arena scratch = {0};
    *out = NULL;
    FXC_TRY(check(analysis, options, err));
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(report), err));
    FXC_TRY(check_forward(analysis, err));
    struct fxc_partition *partition = calloc(1, sizeof *partition);
    if (partition == NULL) {
        return fxc_fail_memory(err, "partition");
    }
    fxc_status status = build(analysis, options, &scratch, partition, err);
    fxc_arena_free(&scratch);
    if (status != FXC_OK) {
        fxc_partition_free(partition);
        return status;
    }
    *out = partition;
    return FXC_OK;
}

void fxc_partition_free(fxc_partition *partition) {
    if (partition != NULL) {
        fxc_arena_free(&partition->arena);
        free(partition);
    }
}

fxc_status fxc_partition_get_info(const fxc_partition *partition, fxc_partition_info *info, fxc_error *err) {
    if (info->struct_size < sizeof *info) {
        return fxc_fail(err, FXC_USAGE, "fxc_partition_get_info: struct_size is smaller than this version's structure");
    }
    *info = partition->info;
    return FXC_OK;
}

fxc_status fxc_partition_stage(const fxc_partition *partition, uint32_t index, fxc_stage_info *out, fxc_error *err) {
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_partition_stage: struct_size is smaller than this version's structure");
    }
    if (index >= partition->info.stages) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "fxc_partition_stage");
        fxc_expected(err, "a stage below %u", partition->info.stages);
        fxc_found(err, "%u", index);
        return status;
    }
    *out = partition->stage[index].info;
    return FXC_OK;
}
