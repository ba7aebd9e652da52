/* memory: whether a run fits on a device, the largest sizes that do, and what a cache of keys and values takes. */
#include <string.h>

#include "fxcost/backend.h"
#include "fxcost/memory.h"
#include "ir/ops.h"
#include "passes/memory/memory.h"

/* ---- keys and values ----------------------------------------------------------------------------------------------
 */

static bool only_rearranges(const struct fxc_op_row *row) {
    return row != NULL &&
           (row->fuse == FXC_FUSE_VIEW || row->touch == FXC_TOUCH_COPY || strcmp(row->name, "aten.clone.default") == 0);
}

/* Elements of a tensor before it was repeated for groups of heads: the fewest on the way back through what only
 * rearranges it. */
static int64_t elements_kept(const struct fxc_analysis *analysis, uint32_t value) {
    const struct fxc_program *p = analysis->program;
    int64_t fewest = analysis->shapes->numel[value];
    for (uint32_t node = p->value_producer[value]; node != FXC_NONE && only_rearranges(fxc_node_row(p, node));
         node = p->value_producer[value]) {
        uint32_t arg = p->node_arg_begin[node];
        if (arg == p->node_arg_begin[node + 1] || p->arg_kind[arg] != FXC_KIND_VALUE) {
            break;
        }
        value = (uint32_t)p->arg_payload[arg];
        int64_t numel = analysis->shapes->numel[value];
        fewest = numel > 0 && numel < fewest ? numel : fewest;
    }
    return fewest;
}

/* Bytes that a cache keeps for a token of one sequence, of a key or value [batch, heads, tokens, depth]. True on
 * overflow. */
static bool add_kept(const struct fxc_analysis *analysis, const struct fxc_tensor *t, int64_t *sum) {
    int64_t tokens, bytes;
    if (t->rank != 4 || t->numel <= 0 || fxc_mul(t->size[0], t->size[2], &tokens)) {
        return false;
    }
    int64_t elements = elements_kept(analysis, t->value);
    if (elements % tokens != 0) {
        return false;
    }
    return fxc_bytes_of(t->dtype, elements / tokens, &bytes) || fxc_add(*sum, bytes, sum);
}

static fxc_status count_token(const struct fxc_analysis *analysis, int64_t *out, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    *out = 0;
    for (uint32_t node = p->graph_node_begin[0]; node < p->graph_node_begin[1]; node++) {
        struct fxc_rule rule = {.program = p, .shapes = analysis->shapes, .bindings = analysis->bindings, .node = node};
        struct fxc_tensor query, key, value;
        if (!fxc_rule_tensor(&rule, FXC_NAME_query, &query) || !fxc_rule_tensor(&rule, FXC_NAME_key, &key) ||
            !fxc_rule_tensor(&rule, FXC_NAME_value, &value)) {
            continue;
        }
        if (add_kept(analysis, &key, out) || add_kept(analysis, &value, out)) {
            return fxc_fail_node(err, FXC_OVERFLOW, p, node);
        }
    }
    return FXC_OK;
}

/* ---- one run ------------------------------------------------------------------------------------------------------
 */

static fxc_status capacity_of(const fxc_analysis *analysis, int64_t *out, fxc_error *err) {
    const fxc_device *device = analysis->device;
    if (device == NULL || !(device->memory_bytes > 0) || device->memory_bytes > 9e18) {
        fxc_status status = fxc_fail(err, FXC_DEVICE, "%s", device == NULL ? "fxc_memory_fits" : device->name);
        fxc_expected(err, "a device whose size of memory is known");
        fxc_found(err, "%s", device == NULL ? "no device" : "one that names none");
        return status;
    }
    *out = (int64_t)device->memory_bytes;
    return FXC_OK;
}

static int64_t needed(const struct fxc_memory *memory) {
    return memory->reserved_bytes >= 0 ? memory->reserved_bytes : memory->peak_bytes;
}

fxc_status fxc_memory_fits(fxc_analysis *analysis, fxc_fit *out, fxc_error *err) {
    int64_t capacity = 0, token = 0;
    if (out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_memory_fits: struct_size is smaller than this version's structure");
    }
    FXC_TRY(capacity_of(analysis, &capacity, err));
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(memory), err));
    FXC_TRY(count_token(analysis, &token, err));
    const struct fxc_memory *memory = analysis->memory;
    *out = (fxc_fit){.struct_size = out->struct_size,
                     .fits = needed(memory) <= capacity,
                     .needed = needed(memory),
                     .capacity = capacity,
                     .token_bytes = token,
                     .bound = memory->unsized > 0 || memory->untold > 0};
    return FXC_OK;
}

/* ---- the largest size ---------------------------------------------------------------------------------------------
 */

enum { NEIGHBOURS = 64 }; /* values tried downwards for one that the program takes */

struct search {
    struct fxc_analysis *trial;
    uint32_t symbol;
    int64_t capacity;
};

/* Does `*value` fit, or the next smaller value that the program takes? *known is false when it takes none of them.
 * A size that overflows does not fit. */
static fxc_status try_value(struct search *s, int64_t least, int64_t *value, bool *known, bool *fits) {
    *known = *fits = false;
    for (int64_t tried = *value; tried >= least && tried > *value - NEIGHBOURS; tried--) {
        s->trial->bindings[s->symbol] = (struct fxc_binding){.value = tried, .known = true, .given = true};
        fxc_drop_facts(s->trial, FXC_OPTION_SYMBOLS);
        fxc_status status = fxc_require_facts(s->trial, FXC_FACT_BIT(memory), NULL);
        if (status == FXC_MEMORY || status == FXC_INTERNAL) {
            return status;
        }
        if (status == FXC_OK || status == FXC_OVERFLOW) {
            *value = tried;
            *known = true;
            *fits = status == FXC_OK && needed(s->trial->memory) <= s->capacity;
            return FXC_OK;
        }
    }
    return FXC_OK;
}

/* *best is the largest value that fits, 0 for none: upwards by doubling, then between the last that fits and the first
 * that does not. Values that the program does not take are passed over. */
static fxc_status bisect(struct search *s, int64_t least, int64_t most, int64_t *best) {
    int64_t floor = least - 1, high = most, step = least;
    bool known, fits = true;
    *best = 0;
    for (bool last = false; fits && !last;) {
        int64_t value = step;
        last = step == most;
        FXC_TRY(try_value(s, least, &value, &known, &fits));
        *best = known && fits ? value : *best;
        floor = !known || fits ? step : floor;
        high = known && !fits ? value : high;
        fits = !known || fits;
        step = step > most / 2 ? most : step * 2;
    }
    while (high - floor > 1) {
        int64_t middle = floor + (high - floor) / 2, value = middle;
        FXC_TRY(try_value(s, floor + 1, &value, &known, &fits));
        *best = known && fits ? value : *best;
        high = known && !fits ? value : high;
        floor = !known || fits ? middle : floor;
    }
    return FXC_OK;
}

static uint32_t find_dimension(const struct fxc_program *p, const char *name) {
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        if ((p->symbol_flags[i] & (FXC_SYMBOL_FLAG_TRIP | FXC_SYMBOL_FLAG_FLOAT)) == 0 &&
            (strcmp(fxc_string(p, p->symbol_dim[i]), name) == 0 ||
             strcmp(fxc_string(p, p->symbol_name[i]), name) == 0)) {
            return i;
        }
    }
    return FXC_NONE;
}

fxc_status fxc_memory_largest(fxc_analysis *analysis, const char *dimension, int64_t *out, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    const int64_t far = (int64_t)1 << 40;
    struct search s = {.symbol = find_dimension(p, dimension)};
    *out = 0;
    if (s.symbol == FXC_NONE) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: fxc_memory_largest", p->file);
        fxc_expected(err, "a dynamic dimension of this program");
        fxc_found(err, "'%s'", dimension);
        return status;
    }
    FXC_TRY(capacity_of(analysis, &s.capacity, err));
    uint8_t flags = p->symbol_flags[s.symbol];
    int64_t least = (flags & FXC_SYMBOL_FLAG_HAS_MIN) != 0 && p->symbol_min[s.symbol] > 1 ? p->symbol_min[s.symbol] : 1;
    bool endless = (flags & FXC_SYMBOL_FLAG_HAS_MAX) == 0 || p->symbol_max[s.symbol] > far;
    FXC_TRY(fxc_analysis_borrow(analysis, &s.trial, err));
    s.trial->optimizer_row = analysis->optimizer_row;
    fxc_status status = bisect(&s, least, endless ? far : p->symbol_max[s.symbol], out);
    fxc_analysis_free(s.trial);
    *out = endless && *out > far - NEIGHBOURS ? INT64_MAX : *out;
    return status == FXC_OK ? FXC_OK : fxc_fail(err, status, "%s: fxc_memory_largest", p->file);
}
