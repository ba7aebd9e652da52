/* Kernels as JSON: members, loops, buffers, bytes, FLOPs and, with a device, times. docs/kernels.schema.json. */
#include "passes/kernel_cost/kernel_cost.h"
#include "passes/report/kernels.h"

static void put_accesses(struct fxc_json *json, fxc_analysis *analysis, uint32_t kernel, uint32_t count) {
    fxc_json_open(json, "buffers", '[');
    for (uint32_t i = 0; i < count; i++) {
        fxc_kernel_access_info a = {.struct_size = sizeof a};
        (void)fxc_analysis_kernel_access(analysis, kernel, i, &a, NULL);
        fxc_json_open(json, NULL, '{');
        fxc_json_string(json, "name", a.name);
        fxc_json_int(json, "buffer", a.buffer);
        fxc_json_bool(json, "written", a.written);
        fxc_json_int(json, "bytes", a.bytes);
        fxc_json_int(json, "inductor_bytes", a.inductor_bytes);
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, ']');
}

static void put_sizes(struct fxc_json *json, const char *key, const int64_t *size, uint32_t rank) {
    fxc_json_open(json, key, '[');
    for (uint32_t d = 0; d < rank; d++) {
        fxc_json_int(json, NULL, size[d]);
    }
    fxc_json_close(json, ']');
}

static void put_kernel(struct fxc_json *json, fxc_analysis *analysis, uint32_t index) {
    char path[FXC_KERNEL_PATH_SIZE];
    fxc_kernel_info k = {.struct_size = sizeof k};
    (void)fxc_analysis_kernel(analysis, index, &k, NULL);
    struct fxc_kernel_sum sum = {0};
    (void)fxc_kernel_sum_add(&sum, &k); /* of one */
    fxc_put(json->out, json->comma ? "" : "\n");
    fxc_json_open(json, NULL, '{');
    fxc_json_string(json, "kind", k.kind_text);
    fxc_json_string(json, "module", fxc_kernel_module_path(analysis, &k, path));
    fxc_json_open(json, "nodes", '[');
    for (uint32_t i = 0; i < k.node_count; i++) {
        fxc_json_string(json, NULL, fxc_node_name(analysis->program, k.nodes[i]));
    }
    fxc_json_close(json, ']');
    put_sizes(json, "sizes", k.sizes, k.outer_rank);
    put_sizes(json, "folded", k.sizes + k.outer_rank, k.folded_rank);
    fxc_json_int(json, "operations", k.operations);
    fxc_json_kernel_sum(json, &sum);
    fxc_json_double(json, "intensity", k.intensity);
    fxc_json_int(json, "live_bytes_before", k.live_before);
    fxc_json_int(json, "peak_bytes", k.peak_bytes);
    fxc_json_int(json, "live_bytes_after", k.live_after);
    if (analysis->device != NULL) {
        fxc_json_string(json, "bound", fxc_bound_text(k.bound));
        fxc_json_work_time(json, k.work, k.source, k.efficiency, k.error);
    }
    put_accesses(json, analysis, index, k.accesses);
    fxc_json_close(json, '}');
}

fxc_status fxc_put_kernels_json(fxc_analysis *analysis, struct fxc_stream *out, fxc_error *err) {
    struct fxc_json json = {out, false};
    FXC_TRY(fxc_json_kernels_head(&json, analysis, "kernel", err));
    fxc_json_open(&json, "kernels", '[');
    for (uint32_t i = 0; i < analysis->fusion->kernel_count; i++) {
        put_kernel(&json, analysis, i);
    }
    fxc_json_close(&json, ']');
    fxc_json_close(&json, '}');
    fxc_put(out, "\n");
    return FXC_OK;
}
