/* memory: how many bytes a storage has. */
#include "passes/memory/memory.h"

int64_t fxc_class_bytes(const struct fxc_analysis *analysis, uint32_t memory) {
    const struct fxc_program *p = analysis->program;
    uint32_t value = analysis->alias->memory_origin[memory], storage = p->value_storage[value];
    int64_t bytes;
    if (storage != FXC_NONE) {
        return fxc_symint_eval(p, analysis->bindings, p->storage_bytes[storage], &bytes) && bytes >= 0 ? bytes : -1;
    }
    /* A layout without one storage to speak of: its elements. */
    int64_t numel = analysis->shapes->numel[value];
    return numel < 0 || fxc_bytes_of(analysis->shapes->dtype[value], numel, &bytes) ? -1 : bytes;
}
