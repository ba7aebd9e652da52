/* memory: how many bytes a storage has. */
#include "passes/memory/memory.h"

/* An example input may be a view: its storage is then recorded as it was, whatever sizes the input is to have. */
static bool is_example(const struct fxc_program *p, uint32_t value) {
    if (p->value_producer[value] != FXC_NONE || p->value_kind[value] != FXC_KIND_TENSOR) {
        return false;
    }
    uint32_t meta = (uint32_t)p->value_payload[value];
    for (uint32_t d = p->meta_dim_begin[meta]; d < p->meta_dim_begin[meta + 1]; d++) {
        if (!fxc_is_literal(p->dim_size[d])) {
            return true;
        }
    }
    return false;
}

int64_t fxc_class_bytes(const struct fxc_analysis *analysis, uint32_t memory) {
    const struct fxc_program *p = analysis->program;
    uint32_t value = analysis->alias->memory_origin[memory], storage = p->value_storage[value];
    int64_t bytes;
    if (storage != FXC_NONE && !is_example(p, value)) {
        return fxc_symint_eval(p, analysis->bindings, p->storage_bytes[storage], &bytes) && bytes >= 0 ? bytes : -1;
    }
    /* Also of a layout without one storage to speak of: its elements. */
    int64_t numel = analysis->shapes->numel[value];
    return numel < 0 || fxc_bytes_of(analysis->shapes->dtype[value], numel, &bytes) ? -1 : bytes;
}
