/* Which function lowers an operator. */
#include <string.h>

#include "ir/ops.h"
#include "passes/fusion/lower.h"

enum { NEEDS_ANY, NEEDS_MEMORY, NEEDS_STRIDES };
#define HEAVY_NONE 0u
#define X(name, text) HEAVY_BIT_##name = 1u << FXC_HEAVY_NUMBER_##name,
enum { FXC_HEAVY_LIST(X) };
#undef X
#define HEAVY_BIT_NONE 0u

static const struct fxc_lowering rows[] = {
#define LOWER(packet, function, operations, heavy, needs)                                                              \
    {packet,                                                                                                           \
     fxc_lower_##function,                                                                                             \
     operations,                                                                                                       \
     HEAVY_BIT_##heavy,                                                                                                \
     NEEDS_##needs != NEEDS_ANY,                                                                                       \
     NEEDS_##needs == NEEDS_STRIDES},
#include "passes/fusion/inductor.def"
};

/* Operators without a row of their own. */
static const struct fxc_lowering as_pointwise = {"", fxc_lower_pointwise, 1, 0, false, false};
static const struct fxc_lowering as_factory = {"", fxc_lower_pointwise, 0, 0, false, false};
static const struct fxc_lowering as_nothing = {"", fxc_lower_nothing, 0, 0, false, false};
static const struct fxc_lowering as_library = {"", fxc_lower_fallback, 0, 0, true, false};

static const struct fxc_lowering *by_kind(const struct fxc_program *p, uint32_t op) {
    const struct fxc_op_row *row = p->op_row[op];
    if (row == NULL) {
        return (p->op_tags[op] & FXC_OP_TAG_POINTWISE) != 0 ? &as_pointwise : &as_library;
    }
    switch ((enum fxc_fuse)row->fuse) {
    case FXC_FUSE_POINTWISE:
        return &as_pointwise;
    case FXC_FUSE_FACTORY:
        return &as_factory;
    case FXC_FUSE_NOTHING:
        return &as_nothing;
    default:
        return &as_library;
    }
}

/* The row of the first `length` characters of a name. */
static const struct fxc_lowering *find_packet(const char *name, size_t length) {
    size_t low = 0, high = sizeof rows / sizeof rows[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strncmp(name, rows[middle].packet, length);
        if (order == 0 && rows[middle].packet[length] != '\0') {
            order = -1;
        }
        if (order == 0) {
            return &rows[middle];
        }
        *(order < 0 ? &high : &low) = order < 0 ? middle : middle + 1;
    }
    return NULL;
}

/* The row of "aten.mm.out" is that of its packet; packets and functions have no overload. */
static const struct fxc_lowering *find(const char *name) {
    const char *overload = strrchr(name, '.');
    const struct fxc_lowering *row = find_packet(name, strlen(name));
    return row != NULL || overload == NULL ? row : find_packet(name, (size_t)(overload - name));
}

fxc_status fxc_lowering_bind(struct fxc_engine *e, const struct fxc_lowering ***out, fxc_error *err) {
    uint32_t count = FXC_COUNT(e->p, op);
    const struct fxc_lowering **how = FXC_NEW(&e->analysis->arena[FXC_FACT_fusion], const struct fxc_lowering *, count);
    if (how == NULL) {
        return fxc_fail_memory(err, "fusion");
    }
    for (uint32_t op = 0; op < count; op++) {
        how[op] = find(fxc_string(e->p, e->p->op_name[op]));
        if (how[op] == NULL) {
            how[op] = by_kind(e->p, op);
        }
    }
    *out = how;
    return FXC_OK;
}
