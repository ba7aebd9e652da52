/* The alias fact as the public header shows it. */
#include "passes/alias/alias.h"

static fxc_status open_query(fxc_analysis *analysis, const char *function, size_t given, size_t needed,
                             fxc_error *err) {
    if (given < needed) {
        return fxc_fail(err, FXC_USAGE, "%s: struct_size is smaller than this version's structure", function);
    }
    return fxc_require_facts(analysis, FXC_FACT_BIT(alias), err);
}

static fxc_status past_end(const char *function, uint32_t index, uint32_t count, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s", function);
    fxc_expected(err, "an index below %u", count);
    fxc_found(err, "%u", index);
    return status;
}

fxc_status fxc_analysis_memory(fxc_analysis *analysis, uint32_t value, fxc_memory_info *info, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    FXC_TRY(open_query(analysis, "fxc_analysis_memory", info->struct_size, sizeof *info, err));
    if (value >= FXC_COUNT(p, value)) {
        return past_end("fxc_analysis_memory", value, FXC_COUNT(p, value), err);
    }
    uint32_t memory = analysis->alias->value_memory[value];
    *info = (fxc_memory_info){
        .struct_size = info->struct_size,
        .name = fxc_string(p, p->value_name[value]),
        .producer = p->value_producer[value],
        .memory = memory,
        .origin = memory == FXC_NONE ? FXC_NONE : analysis->alias->memory_origin[memory],
        .relation = analysis->alias->result_memory[value],
    };
    return FXC_OK;
}

fxc_status fxc_analysis_write(fxc_analysis *analysis, uint32_t index, fxc_write_info *info, fxc_error *err) {
    FXC_TRY(open_query(analysis, "fxc_analysis_write", info->struct_size, sizeof *info, err));
    if (index >= analysis->alias->write_count) {
        return past_end("fxc_analysis_write", index, analysis->alias->write_count, err);
    }
    const struct fxc_write *write = &analysis->alias->write[index];
    *info = (fxc_write_info){
        .struct_size = info->struct_size,
        .node = write->node,
        .value = write->value,
        .memory = write->memory,
        .version = write->version,
        .whole = write->whole,
        .metadata = write->metadata,
    };
    return FXC_OK;
}

fxc_status fxc_analysis_writeback(fxc_analysis *analysis, uint32_t index, fxc_writeback_info *info, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    FXC_TRY(open_query(analysis, "fxc_analysis_writeback", info->struct_size, sizeof *info, err));
    if (index >= analysis->alias->writeback_count) {
        return past_end("fxc_analysis_writeback", index, analysis->alias->writeback_count, err);
    }
    const struct fxc_writeback *back = &analysis->alias->writeback[index];
    *info = (fxc_writeback_info){
        .struct_size = info->struct_size,
        .input = back->input,
        .value = p->input_value[back->input],
        .node = back->node,
        .kind = p->input_kind[back->input],
        .name = fxc_string(p, p->value_name[p->input_value[back->input]]),
        .target = fxc_string(p, p->input_target[back->input]),
    };
    return FXC_OK;
}

fxc_status fxc_analysis_dependency(fxc_analysis *analysis, uint32_t node, uint32_t index, fxc_dependency_info *info,
                                   fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    FXC_TRY(open_query(analysis, "fxc_analysis_dependency", info->struct_size, sizeof *info, err));
    if (node >= FXC_COUNT(p, node)) {
        return past_end("fxc_analysis_dependency", node, FXC_COUNT(p, node), err);
    }
    const struct fxc_alias *alias = analysis->alias;
    uint32_t count = alias->dep_begin[node + 1] - alias->dep_begin[node];
    if (index >= count) {
        return past_end("fxc_analysis_dependency", index, count, err);
    }
    uint32_t at = alias->dep_begin[node] + index;
    *info =
        (fxc_dependency_info){.struct_size = info->struct_size, .node = alias->dep[at], .kind = alias->dep_kind[at]};
    return FXC_OK;
}
