#include "ir/overload.h"

#include <string.h>

enum { NO_FIT = -1 };

/* ---- the rows of a packet ---------------------------------------------------------------------------------------- */

/* Python's bindings leave these out: a number becomes a tensor there, and the overload for tensors is called. */
static bool is_unbound(const char *name) {
    static const char *const unbound[] = {"aten.add.Scalar",          "aten.add_.Scalar", "aten.div.Scalar",
                                          "aten.div.Scalar_mode",     "aten.div_.Scalar", "aten.div_.Scalar_mode",
                                          "aten.floor_divide.Scalar", "aten.mul.Scalar",  "aten.mul_.Scalar",
                                          "aten.sub.Scalar",          "aten.sub_.Scalar"};
    for (size_t i = 0; i < sizeof unbound / sizeof unbound[0]; i++) {
        if (strcmp(name, unbound[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of(const char *row, const char *packet, size_t length) {
    if (strcmp(row, packet) == 0) {
        return true; /* an overload by its own name */
    }
    return strncmp(row, packet, length) == 0 && row[length] == '.' && strchr(row + length + 1, '.') == NULL &&
           !is_unbound(row);
}

fxc_status fxc_packet_find(struct fxc_arena *arena, const char *name, struct fxc_packet *out) {
    size_t length = strlen(name);
    uint32_t count = 0;
    *out = (struct fxc_packet){0};
    for (uint32_t i = 0; i < fxc_op_row_count; i++) {
        count += is_of(fxc_op_rows[i].name, name, length);
    }
    out->overloads = FXC_NEW(arena, struct fxc_overload, count);
    if (out->overloads == NULL) {
        return FXC_MEMORY;
    }
    for (uint32_t i = 0; i < fxc_op_row_count; i++) {
        const struct fxc_op_row *row = &fxc_op_rows[i];
        if (!is_of(row->name, name, length)) {
            continue;
        }
        struct fxc_overload *overload = &out->overloads[out->count];
        fxc_status status = fxc_schema_parse(arena, row->schema, &overload->schema, NULL);
        if (status == FXC_MEMORY) {
            return status;
        }
        overload->row = row;
        out->count += status == FXC_OK;
    }
    return FXC_OK;
}

/* ---- one argument ------------------------------------------------------------------------------------------------ */

static bool starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_number(uint8_t kind) {
    return kind == FXC_KIND_INT || kind == FXC_KIND_FLOAT || kind == FXC_KIND_BOOL || kind == FXC_KIND_COMPLEX;
}

/* What it costs to take this kind for an element type: 0 as it is, more for each conversion, NO_FIT. */
static int fit_element(uint8_t kind, const char *type) {
    static const struct {
        const char *type;
        uint8_t kind;
        int8_t cost;
    } fits[] = {
        {"Tensor", FXC_KIND_TENSOR, 0},
        {"Tensor", FXC_KIND_INT, 3},
        {"Tensor", FXC_KIND_FLOAT, 3},
        {"Tensor", FXC_KIND_BOOL, 3},
        {"Tensor", FXC_KIND_COMPLEX, 3},
        {"ScalarType", FXC_KIND_DTYPE, 0},
        {"SymInt", FXC_KIND_INT, 0},
        {"SymInt", FXC_KIND_BOOL, 2},
        {"int", FXC_KIND_INT, 0},
        {"int", FXC_KIND_BOOL, 2},
        {"float", FXC_KIND_FLOAT, 0},
        {"float", FXC_KIND_INT, 1},
        {"bool", FXC_KIND_BOOL, 0},
        {"bool", FXC_KIND_INT, 2},
        {"str", FXC_KIND_STRING, 0},
        {"Device", FXC_KIND_DEVICE, 0},
        {"Device", FXC_KIND_STRING, 0},
        {"Layout", FXC_KIND_LAYOUT, 0},
        {"MemoryFormat", FXC_KIND_MEMORY_FORMAT, 0},
    };
    if (starts(type, "Scalar") && !starts(type, "ScalarType")) {
        return is_number(kind) ? 0 : NO_FIT;
    }
    for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++) {
        if (fits[i].kind == kind && starts(type, fits[i].type) &&
            (strcmp(fits[i].type, "Tensor") != 0 || type[6] != 'T')) {
            return fits[i].cost;
        }
    }
    return NO_FIT;
}

/* A list of a fixed length takes one number for all: "int[2]". */
static bool repeats_one(const char *type) {
    const char *bracket = strchr(type, '[');
    return bracket != NULL && bracket[1] != ']';
}

static int fit(const struct fxc_call_arg *arg, const struct fxc_schema_arg *want) {
    if (arg->kind == FXC_KIND_NONE) {
        return want->optional ? 0 : NO_FIT;
    }
    if (!want->list) {
        return fit_element(arg->kind, want->type);
    }
    if (arg->kind == FXC_KIND_LIST) {
        bool anything = arg->item == FXC_KIND_NONE;
        return anything ? 0 : fit_element(arg->item, want->type);
    }
    int cost = repeats_one(want->type) && is_number(arg->kind) ? fit_element(arg->kind, want->type) : NO_FIT;
    return cost == NO_FIT ? NO_FIT : cost + 1;
}

/* ---- a call ------------------------------------------------------------------------------------------------------ */

/* Names that Python's bindings take besides the schema's. */
static uint32_t find_named(const struct fxc_schema *schema, const char *name) {
    static const char *const same[][2] = {{"input", "self"}, {"axis", "dim"}, {"keepdims", "keepdim"},
                                          {"x", "self"},     {"x2", "other"}, {"axes", "dims"}};
    uint32_t found = fxc_schema_find(schema, name);
    for (size_t i = 0; found == FXC_NONE && i < sizeof same / sizeof same[0]; i++) {
        if (strcmp(name, same[i][0]) == 0) {
            found = fxc_schema_find(schema, same[i][1]);
        }
    }
    return found;
}

/* x.view(2, 3): integers in a row are one list where that is the only argument after self. */
static bool takes_in_a_row(const struct fxc_schema *schema, uint32_t at) {
    const struct fxc_schema_arg *arg = &schema->args[at];
    bool last = at + 1 == schema->arg_count || schema->args[at + 1].kwarg_only;
    return at <= 1 && last && arg->list && (starts(arg->type, "int") || starts(arg->type, "SymInt"));
}

struct matching {
    uint64_t given[(FXC_SCHEMA_MAX_ARGS + 63) / 64];
    uint32_t next; /* place of the next positional argument */
    int cost;
};

static bool give(struct matching *m, uint32_t at, int cost) {
    uint64_t bit = UINT64_C(1) << (at % 64);
    if (cost == NO_FIT || (m->given[at / 64] & bit) != 0) {
        return false;
    }
    m->given[at / 64] |= bit;
    m->cost += cost;
    return true;
}

/* Places arguments from `i` on that stand for one of the schema; how many they are, 0 when they do not fit. */
static uint32_t place_one(const struct fxc_schema *schema, const struct fxc_call_arg *args, uint32_t count, uint32_t i,
                          struct matching *m, uint32_t *place) {
    if (args[i].name != NULL) {
        uint32_t at = find_named(schema, args[i].name);
        place[i] = at;
        return at != FXC_NONE && give(m, at, fit(&args[i], &schema->args[at])) ? 1 : 0;
    }
    uint32_t at = m->next++, taken = 0;
    if (at >= schema->arg_count || schema->args[at].kwarg_only) {
        return 0;
    }
    while (takes_in_a_row(schema, at) && i + taken < count && args[i + taken].name == NULL &&
           args[i + taken].kind == FXC_KIND_INT) {
        place[i + taken++] = at;
    }
    if (taken > 0) {
        return give(m, at, 1) ? taken : 0;
    }
    place[i] = at;
    return give(m, at, fit(&args[i], &schema->args[at])) ? 1 : 0;
}

static int match(const struct fxc_schema *schema, const struct fxc_call_arg *args, uint32_t count, uint32_t *place) {
    struct matching m = {.next = 0};
    for (uint32_t i = 0, taken; i < count; i += taken) {
        taken = place_one(schema, args, count, i, &m, place);
        if (taken == 0) {
            return NO_FIT;
        }
    }
    for (uint32_t i = 0; i < schema->arg_count; i++) {
        if (!schema->args[i].has_default && (m.given[i / 64] >> (i % 64) & 1) == 0) {
            return NO_FIT;
        }
    }
    return m.cost;
}

const struct fxc_overload *fxc_packet_choose(const struct fxc_packet *packet, const struct fxc_call_arg *args,
                                             uint32_t count, uint32_t *place) {
    const struct fxc_overload *best = NULL;
    int least = 0;
    for (uint32_t i = 0; i < packet->count; i++) {
        int cost = match(&packet->overloads[i].schema, args, count, place);
        if (cost != NO_FIT && (best == NULL || cost < least)) {
            best = &packet->overloads[i];
            least = cost;
        }
    }
    if (best != NULL) {
        (void)match(&best->schema, args, count, place);
    }
    return best;
}
