/* params: elements and bytes of parameters and buffers over distinct storages, so that tied weights count once. */
#include "ir/expr.h"
#include "passes/analysis.h"

/* Elements of a tensor description under the bindings; false when a symbol has no value or the product overflows. */
static bool meta_numel(const struct fxc_analysis *analysis, uint32_t meta, int64_t *out) {
    const struct fxc_program *p = analysis->program;
    *out = 1;
    for (uint32_t d = p->meta_dim_begin[meta]; d < p->meta_dim_begin[meta + 1]; d++) {
        int64_t size;
        if (!fxc_symint_eval(p, analysis->bindings, p->dim_size[d], &size) || fxc_mul(*out, size, out)) {
            return false;
        }
    }
    return true;
}

static fxc_status fail(const struct fxc_program *p, uint32_t param, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_OVERFLOW, "%s: parameter %s", p->file, fxc_string(p, p->param_name[param]));
    fxc_expected(err, "a size that fits in 64 bits, with every symbol given");
    return status;
}

static bool is_trainable(const struct fxc_program *p, uint32_t param) {
    return p->param_kind[param] == FXC_INPUT_KIND_PARAMETER &&
           (p->param_flags[param] & FXC_PARAM_FLAG_REQUIRES_GRAD) != 0;
}

fxc_status fxc_run_params(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_params];
    struct fxc_params *params = FXC_NEW(arena, struct fxc_params, 1);
    uint8_t *seen = FXC_NEW(arena, uint8_t, FXC_COUNT(p, storage));
    uint8_t *trained = FXC_NEW(arena, uint8_t, FXC_COUNT(p, storage));
    if (params == NULL || seen == NULL || trained == NULL) {
        return fxc_fail_memory(err, "params");
    }
    params->first = FXC_NEW(arena, uint8_t, FXC_COUNT(p, param));
    params->numel = FXC_NEW(arena, int64_t, FXC_COUNT(p, param));
    params->bytes = FXC_NEW(arena, int64_t, FXC_COUNT(p, param));
    if (params->first == NULL || params->numel == NULL || params->bytes == NULL) {
        return fxc_fail_memory(err, "params");
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, param); i++) {
        uint32_t value = p->param_value[i];
        if (p->value_kind[value] != FXC_KIND_TENSOR) {
            continue;
        }
        uint32_t meta = (uint32_t)p->value_payload[value], storage = p->value_storage[value];
        int64_t numel, bytes;
        if (!meta_numel(analysis, meta, &numel) || fxc_bytes_of(p->meta_dtype[meta], numel, &bytes)) {
            return fail(p, i, err);
        }
        params->numel[i] = numel;
        params->bytes[i] = bytes;
        if (is_trainable(p, i) && (storage == FXC_NONE || !trained[storage])) {
            if (storage != FXC_NONE) {
                trained[storage] = 1;
            }
            if (fxc_add(params->trainable, numel, &params->trainable) ||
                fxc_add(params->trainable_bytes, bytes, &params->trainable_bytes)) {
                return fail(p, i, err);
            }
        }
        if (storage != FXC_NONE && seen[storage]) {
            continue;
        }
        if (storage != FXC_NONE) {
            seen[storage] = 1;
        }
        params->first[i] = 1;
        bool parameter = p->param_kind[i] == FXC_INPUT_KIND_PARAMETER;
        int64_t *elements = parameter ? &params->params : &params->buffers;
        int64_t *total = parameter ? &params->param_bytes : &params->buffer_bytes;
        if (fxc_add(*elements, numel, elements) || fxc_add(*total, bytes, total)) {
            return fail(p, i, err);
        }
    }
    FXC_TRY(fxc_count_active(analysis, arena, params, err));
    analysis->params = params;
    return FXC_OK;
}
