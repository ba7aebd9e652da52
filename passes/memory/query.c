/* The memory fact as the public header shows it. */
#include "fxcost/memory.h"
#include "passes/memory/memory.h"

static fxc_status open_query(fxc_analysis *analysis, const char *function, size_t given, size_t needed,
                             fxc_error *err) {
    if (given < needed) {
        return fxc_fail(err, FXC_USAGE, "%s: struct_size is smaller than this version's structure", function);
    }
    return fxc_require_facts(analysis, FXC_FACT_BIT(memory), err);
}

static fxc_status past_end(const char *function, uint32_t index, uint32_t count, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s", function);
    fxc_expected(err, "an index below %u", count);
    fxc_found(err, "%u", index);
    return status;
}

fxc_status fxc_memory_get_summary(fxc_analysis *analysis, fxc_memory_summary *out, fxc_error *err) {
    FXC_TRY(open_query(analysis, "fxc_memory_get_summary", out->struct_size, sizeof *out, err));
    const struct fxc_memory *memory = analysis->memory;
    *out = (fxc_memory_summary){
        .struct_size = out->struct_size,
        .peak_bytes = memory->peak_bytes,
        .peak_node = memory->peak_node,
        .tensors = memory->holder_count,
        .given_bytes = memory->given_bytes,
        .hidden_bytes = memory->hidden_bytes,
        .state_bytes = memory->state_bytes,
        .step_bytes = memory->step_bytes,
        .allocated_bytes = memory->allocated_bytes,
        .reserved_bytes = memory->reserved_bytes,
        .unsized = memory->unsized,
        .untold = memory->untold,
    };
    return FXC_OK;
}

fxc_status fxc_memory_get_node(fxc_analysis *analysis, uint32_t node, fxc_memory_at *out, fxc_error *err) {
    FXC_TRY(open_query(analysis, "fxc_memory_get_node", out->struct_size, sizeof *out, err));
    if (node >= FXC_COUNT(analysis->program, node)) {
        return past_end("fxc_memory_get_node", node, FXC_COUNT(analysis->program, node), err);
    }
    const struct fxc_memory *memory = analysis->memory;
    *out = (fxc_memory_at){
        .struct_size = out->struct_size,
        .before = memory->before[node],
        .after = memory->after[node],
        .most = memory->most[node],
    };
    return FXC_OK;
}

fxc_status fxc_memory_get_tensor(fxc_analysis *analysis, uint32_t index, fxc_memory_tensor *out, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    FXC_TRY(open_query(analysis, "fxc_memory_get_tensor", out->struct_size, sizeof *out, err));
    if (index >= analysis->memory->holder_count) {
        return past_end("fxc_memory_get_tensor", index, analysis->memory->holder_count, err);
    }
    const struct fxc_holder *holder = &analysis->memory->holder[index];
    uint32_t storage = p->value_storage[holder->value];
    *out = (fxc_memory_tensor){
        .struct_size = out->struct_size,
        .name = fxc_string(p, p->value_name[holder->value]),
        .bytes = holder->bytes,
        .value = holder->value,
        .producer = p->value_producer[holder->value],
        .origin = storage == FXC_NONE ? (uint8_t)FXC_STORAGE_ORIGIN_OPAQUE : p->storage_origin[storage],
    };
    return FXC_OK;
}
