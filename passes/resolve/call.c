/* resolve: a call of an ATen packet becomes a node of one of its overloads. */
#include <stdio.h>
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

/* ---- packets ----------------------------------------------------------------------------------------------------- */

static fxc_status find_packet(struct fxc_resolver *x, const char *name, struct fxc_packet *out, fxc_error *err) {
    uint32_t known = x->packet_names.count, id = fxc_intern(&x->packet_names, name, strlen(name));
    if (id == FXC_NONE) {
        return fxc_fail_memory(err, x->r->source->file);
    }
    if (id == known) {
        if (fxc_packet_find(&x->r->scratch, name, out) != FXC_OK || !fxc_vector_push(&x->packets, out, sizeof *out)) {
            return fxc_fail_memory(err, x->r->source->file);
        }
    }
    *out = ((const struct fxc_packet *)x->packets.data)[id];
    return FXC_OK;
}

/* ---- arguments as the schema has them ---------------------------------------------------------------------------- */

static bool is_type(const char *type, const char *name) {
    return strncmp(type, name, strlen(name)) == 0;
}

/* A number of the schema's type: 1 for a float is 1.0. */
static struct fxc_became as_element(struct fxc_became what, const char *type) {
    if (is_type(type, "float") && (what.kind == FXC_KIND_INT || what.kind == FXC_KIND_BOOL)) {
        double number = (double)what.payload;
        what.kind = FXC_KIND_FLOAT;
        memcpy(&what.payload, &number, sizeof number);
    } else if (is_type(type, "bool") && what.kind == FXC_KIND_INT) {
        what = (struct fxc_became){FXC_KIND_BOOL, what.payload != 0};
    } else if ((is_type(type, "int") || is_type(type, "SymInt")) && what.kind == FXC_KIND_BOOL) {
        what.kind = FXC_KIND_INT;
    } else if (is_type(type, "Device") && what.kind == FXC_KIND_STRING) {
        what.kind = FXC_KIND_DEVICE;
    }
    return what;
}

/* One number for a list of a fixed length stands for all of it: 2 for "int[2]" is [2, 2]. */
static struct fxc_became repeat(struct fxc_resolver *x, struct fxc_became what, const char *type) {
    const char *bracket = strchr(type, '[');
    struct fxc_became items[8];
    uint32_t count = 1;
    if (bracket != NULL && bracket[1] >= '1' && bracket[1] <= '8') {
        count = (uint32_t)(bracket[1] - '0');
    }
    for (uint32_t i = 0; i < count; i++) {
        items[i] = what;
    }
    return fxc_resolve_list(x, items, count);
}

static struct fxc_became as_argument(struct fxc_resolver *x, struct fxc_became what,
                                     const struct fxc_schema_arg *want) {
    if (what.kind == FXC_KIND_NONE || what.kind == FXC_KIND_VALUE) {
        return what;
    }
    if (what.kind != FXC_KIND_LIST) {
        what = as_element(what, want->type);
        return want->list ? repeat(x, what, want->type) : what;
    }
    return what;
}

/* Gathers the arguments under the schema's names, in the schema's order. */
static uint32_t arrange(struct fxc_resolver *x, const struct fxc_call *call, const struct fxc_schema *schema,
                        const uint32_t *place, struct fxc_argument *out) {
    struct fxc_became row[FXC_CALL_MAX_ARGS];
    uint32_t count = 0;
    for (uint32_t at = 0; at < schema->arg_count; at++) {
        const struct fxc_schema_arg *want = &schema->args[at];
        uint32_t found = 0;
        for (uint32_t i = 0; i < call->count; i++) {
            if (place[i] == at) {
                row[found++] = call->args[i].what;
            }
        }
        if (found == 0) {
            continue;
        }
        bool in_a_row = want->list && row[0].kind == FXC_KIND_INT && strchr(want->type, '[')[1] == ']';
        struct fxc_became what = found > 1 || in_a_row ? fxc_resolve_list(x, row, found) : as_argument(x, row[0], want);
        if (what.kind != FXC_KIND_NONE || !want->has_default) {
            out[count++] = (struct fxc_argument){want->name, what};
        }
    }
    return count;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static const char *short_name(const char *name) {
    const char *dot = strchr(name, '.');
    return dot == NULL ? name : dot + 1;
}

fxc_status fxc_resolve_packet(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err) {
    struct fxc_packet packet;
    struct fxc_call_arg class[FXC_CALL_MAX_ARGS];
    struct fxc_argument args[FXC_CALL_MAX_ARGS];
    uint32_t place[FXC_CALL_MAX_ARGS];
    if (strncmp(call->name, "aten.", 5) != 0) {
        return FXC_UNKNOWN_OPS;
    }
    FXC_TRY(find_packet(x, call->name, &packet, err));
    for (uint32_t i = 0; i < call->count; i++) {
        class[i] = fxc_resolve_class(x, &call->args[i]);
    }
    const struct fxc_overload *overload = fxc_packet_choose(&packet, class, call->count, place);
    if (overload == NULL) {
        return FXC_UNKNOWN_OPS;
    }
    uint32_t count = arrange(x, call, &overload->schema, place, args);
    uint32_t op = fxc_resolve_op(x, overload->row);
    uint32_t value = fxc_resolve_value(x, call->inner, short_name(call->name));
    uint32_t node = fxc_resolve_push(x, op, args, count, value);
    return x->r->builder.failed ? fxc_fail_memory(err, x->r->source->file)
                                : fxc_resolve_results(x, overload, node, out, err);
}

/* An operator of Python counts nothing on numbers: of something unknown it must not pass for that. */
static const char *unknown_name(const char *name, char *buffer, size_t size) {
    if (strncmp(name, "operator.", 9) != 0 || strcmp(name, "operator.getitem") == 0) {
        return name;
    }
    (void)snprintf(buffer, size, "unknown.%.100s", name + 9);
    return buffer;
}

fxc_status fxc_resolve_nothing(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out) {
    struct fxc_reshape *r = x->r;
    char buffer[128];
    const char *name = unknown_name(fxc_node_op_name(r->source, x->node), buffer, sizeof buffer);
    uint32_t value = r->source->node_result[x->node], first = r->source->node_arg_begin[x->node];
    struct fxc_argument args[FXC_CALL_MAX_ARGS];
    for (uint32_t i = 0; i < call->count; i++) {
        args[i].name = fxc_string(r->source, r->source->argname_text[r->source->arg_name[first + i]]);
        args[i].what = call->args[i].what;
    }
    (void)fxc_resolve_push(x, fxc_resolve_other_op(x, name), args, call->count, value);
    fxc_reshape_set_value(r, value, FXC_KIND_OPAQUE, fxc_reshape_string(r, "unknown"), 0);
    *out = (struct fxc_became){FXC_KIND_VALUE, value};
    return FXC_OK;
}
