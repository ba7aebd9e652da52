/* saved: bytes that the forward pass keeps for the backward pass, once per storage.
 *
 * A storage is kept when the backward pass (what it computes again included) takes a value in it that the forward pass
 * or an input gave. Parameters are not counted: they are there anyway. Buffers and other inputs have sums of their own.
 * A kept storage belongs to the node that made it. */
#include "ir/expr.h"
#include "ir/ops.h"
#include "passes/report/report.h"

struct walk {
    struct fxc_analysis *analysis;
    const struct fxc_program *p;
    struct fxc_saved *saved;
    uint32_t *maker; /* per storage: the first node that has a result in it; FXC_NONE: an input */
    bool *seen;      /* per storage */
    bool *given;     /* per storage: comes into the program */
    bool *counted;   /* per value without a storage of its own */
};

static bool in_forward(const struct fxc_program *p, uint32_t producer) {
    return producer == FXC_NONE || fxc_node_phase(p, producer) == FXC_PHASE_FORWARD;
}

static fxc_status fail(const struct walk *walk, uint32_t value, fxc_error *err) {
    const struct fxc_program *p = walk->p;
    fxc_status status = fxc_fail(err, FXC_OVERFLOW, "%s: value %s", p->file, fxc_string(p, p->value_name[value]));
    fxc_expected(err, "a size that fits in 64 bits, with every symbol given");
    return status;
}

static fxc_status add(struct walk *walk, uint32_t value, uint32_t maker, uint8_t origin, int64_t bytes,
                      fxc_error *err) {
    struct fxc_saved *saved = walk->saved;
    int64_t *sum = origin == FXC_STORAGE_ORIGIN_BUFFER ? &saved->buffer_bytes
                   : maker == FXC_NONE                 ? &saved->input_bytes
                                                       : &saved->bytes[maker];
    return fxc_add(*sum, bytes, sum) ? fail(walk, value, err) : FXC_OK;
}

static fxc_status keep(struct walk *walk, uint32_t value, fxc_error *err) {
    const struct fxc_program *p = walk->p;
    uint32_t storage = p->value_storage[value];
    int64_t bytes;
    if (p->value_kind[value] != FXC_KIND_TENSOR || !in_forward(p, p->value_producer[value])) {
        return FXC_OK;
    }
    if (storage == FXC_NONE) { /* a layout without one storage to speak of: its elements */
        if (walk->counted[value]) {
            return FXC_OK;
        }
        walk->counted[value] = true;
        int64_t numel = walk->analysis->shapes->numel[value];
        if (numel < 0 || fxc_bytes_of(walk->analysis->shapes->dtype[value], numel, &bytes)) {
            return fail(walk, value, err);
        }
        return add(walk, value, p->value_producer[value], FXC_STORAGE_ORIGIN_INTERMEDIATE, bytes, err);
    }
    uint8_t origin = p->storage_origin[storage];
    if (walk->seen[storage] || origin == FXC_STORAGE_ORIGIN_PARAMETER) {
        return FXC_OK;
    }
    walk->seen[storage] = true;
    if (walk->maker[storage] == FXC_NONE && !walk->given[storage]) {
        return FXC_OK; /* comes into a body: counted where its caller has it from */
    }
    if (!fxc_symint_eval(p, walk->analysis->bindings, p->storage_bytes[storage], &bytes)) {
        return fail(walk, value, err);
    }
    return add(walk, value, walk->maker[storage], origin, bytes, err);
}

static fxc_status take(struct walk *walk, uint8_t kind, int64_t payload, fxc_error *err) {
    const struct fxc_program *p = walk->p;
    if (kind == FXC_KIND_VALUE) {
        return keep(walk, (uint32_t)payload, err);
    }
    if (kind == FXC_KIND_LIST) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1]; i++) {
            FXC_TRY(take(walk, p->item_kind[i], p->item_payload[i], err)); /* of smaller index: checked when read */
        }
    }
    return FXC_OK;
}

static void find_makers(struct walk *walk) {
    const struct fxc_program *p = walk->p;
    for (uint32_t storage = 0; storage < FXC_COUNT(p, storage); storage++) {
        walk->maker[storage] = FXC_NONE;
    }
    for (uint32_t value = FXC_COUNT(p, value); value-- > 0;) { /* values are in the order of their makers */
        if (p->value_storage[value] != FXC_NONE) {
            walk->maker[p->value_storage[value]] = p->value_producer[value];
        }
    }
}

fxc_status fxc_run_saved(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_saved];
    struct walk walk = {.analysis = analysis, .p = p, .saved = FXC_NEW(arena, struct fxc_saved, 1)};
    walk.maker = FXC_NEW(arena, uint32_t, FXC_COUNT(p, storage));
    walk.seen = FXC_NEW(arena, bool, FXC_COUNT(p, storage));
    walk.given = FXC_NEW(arena, bool, FXC_COUNT(p, storage));
    walk.counted = FXC_NEW(arena, bool, FXC_COUNT(p, value));
    if (walk.saved == NULL || walk.maker == NULL || walk.seen == NULL || walk.given == NULL || walk.counted == NULL) {
        return fxc_fail_memory(err, "saved");
    }
    walk.saved->bytes = FXC_NEW(arena, int64_t, FXC_COUNT(p, node));
    if (walk.saved->bytes == NULL) {
        return fxc_fail_memory(err, "saved");
    }
    find_makers(&walk);
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        uint32_t storage = p->value_storage[p->input_value[i]];
        if (storage != FXC_NONE) {
            walk.given[storage] = true;
        }
    }
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        enum fxc_phase phase = fxc_node_phase(p, node);
        const struct fxc_op_row *row = fxc_node_row(p, node);
        bool sizes_only = row != NULL && row->fuse == FXC_FUSE_FACTORY; /* zeros_like: autograd keeps no tensor */
        if (phase == FXC_PHASE_FORWARD || phase == FXC_PHASE_OPTIMIZER || sizes_only) {
            continue;
        }
        for (uint32_t arg = p->node_arg_begin[node]; arg < p->node_arg_begin[node + 1]; arg++) {
            FXC_TRY(take(&walk, p->arg_kind[arg], p->arg_payload[arg], err));
        }
    }
    analysis->saved = walk.saved;
    return FXC_OK;
}
