/* resolve: the walk. See passes/resolve/resolve.h. */
#include "passes/resolve/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool says(const struct fxc_program *p, const char *key, const char *text) {
    int64_t string;
    return fxc_program_capture(p, key, FXC_KIND_STRING, &string) && strcmp(fxc_string(p, (uint32_t)string), text) == 0;
}

bool fxc_is_symbolic(const struct fxc_program *p) {
    return says(p, "route", "symbolic_trace") && says(p, "dialect", "fx") && FXC_COUNT(p, graph) > 0;
}

/* ---- the source's tables ----------------------------------------------------------------------------------------- */

/* Nodes, arguments and operators are written anew; what nodes return has no producer until then. */
static void clear_nodes(struct fxc_reshape *r) {
    struct fxc_builder *b = &r->builder;
    uint32_t *producer = b->column[FXC_COLUMN_value_producer].data;
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        uint8_t group = fxc_columns[column].group;
        if (group == FXC_GROUP_node || group == FXC_GROUP_arg || group == FXC_GROUP_op) {
            b->column[column].length = 0;
        }
    }
    r->op_row.length = 0;
    fxc_push_node_arg_begin(b, 0);
    for (uint32_t v = 0; !b->failed && v < FXC_COUNT(r->source, value); v++) {
        producer[v] = FXC_NONE;
    }
    fxc_reshape_refresh(r);
}

/* The pass `verify` saw to it that no argument name is listed twice, so that ids are rows. */
static void start_names(struct fxc_resolver *x) {
    const struct fxc_program *p = x->r->source;
    for (uint32_t i = 0; i < FXC_COUNT(p, argname); i++) {
        const char *name = fxc_string(p, p->argname_text[i]);
        (void)fxc_intern(&x->argnames, name, strlen(name));
    }
}

/* ---- one node ---------------------------------------------------------------------------------------------------- */

/* The name of positional argument `position` in a file: a, b, ... f, operand0; a method's are self, operand0. */
static bool is_positional(const char *name, uint32_t position, bool method) {
    char expected[24];
    static const char letters[] = "abcdef";
    uint32_t named = method ? 1 : 6;
    if (position >= named) {
        (void)snprintf(expected, sizeof expected, "operand%u", position - named);
        return strcmp(name, expected) == 0;
    }
    return method ? strcmp(name, "self") == 0 : name[0] == letters[position] && name[1] == '\0';
}

static fxc_status read_call(struct fxc_resolver *x, struct fxc_call *call, fxc_error *err) {
    const struct fxc_program *p = x->r->source;
    uint32_t begin = p->node_arg_begin[x->node], end = p->node_arg_begin[x->node + 1];
    uint8_t origin = p->op_origin[p->node_op[x->node]];
    bool positional = true;
    call->name = fxc_node_op_name(p, x->node);
    call->count = 0;
    call->inner = false;
    for (uint32_t a = begin; a < end && call->count < FXC_CALL_MAX_ARGS; a++) {
        const char *name = fxc_string(p, p->argname_text[p->arg_name[a]]);
        struct fxc_argument *arg = &call->args[call->count++];
        positional = positional && origin != FXC_OP_ORIGIN_MODULE &&
                     is_positional(name, a - begin, origin == FXC_OP_ORIGIN_METHOD);
        arg->name = positional ? NULL : name;
        FXC_TRY(fxc_resolve_argument(x, p->arg_kind[a], p->arg_payload[a], &arg->what, err));
    }
    return end - begin <= FXC_CALL_MAX_ARGS ? FXC_OK : FXC_UNKNOWN_OPS;
}

static bool any_unknown(const struct fxc_resolver *x, const struct fxc_call *call) {
    for (uint32_t i = 0; i < call->count; i++) {
        if (fxc_resolve_unknown(x, call->args[i].what)) {
            return true;
        }
    }
    return false;
}

static fxc_status make(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out, fxc_error *err) {
    static const fxc_python_fn ways[] = {fxc_python_operator, fxc_python_functional, fxc_python_method,
                                         fxc_resolve_packet};
    fxc_status status = FXC_UNKNOWN_OPS;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && status == FXC_UNKNOWN_OPS; i++) {
        status = ways[i](x, call, out, err);
    }
    return status;
}

static fxc_status step(struct fxc_resolver *x, fxc_error *err) {
    struct fxc_reshape *r = x->r;
    struct fxc_call call;
    uint32_t value = r->source->node_result[x->node];
    struct fxc_became *out = &r->became[value];
    fxc_reshape_set_value(r, value, FXC_KIND_NONE, 0, 0);
    fxc_status status = read_call(x, &call, err);
    if (status == FXC_OK) {
        status = any_unknown(x, &call) ? FXC_UNKNOWN_OPS : make(x, &call, out, err);
    }
    return status == FXC_UNKNOWN_OPS ? fxc_resolve_nothing(x, &call, out) : status;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* What there is now are ATen overloads as torch.export has them in its training dialect. */
static void settle_dialect(struct fxc_reshape *r) {
    uint32_t training = fxc_reshape_string(r, "training");
    for (uint32_t i = 0; i < FXC_COUNT(r->source, capture) && !r->builder.failed; i++) {
        if (strcmp(fxc_string(r->source, r->source->capture_key[i]), "dialect") == 0) {
            ((int64_t *)r->builder.column[FXC_COLUMN_capture_payload].data)[i] = training;
        }
    }
}

static fxc_status settle_outputs(struct fxc_resolver *x, fxc_error *err) {
    struct fxc_reshape *r = x->r;
    for (uint32_t i = 0; i < FXC_COUNT(r->source, output); i++) {
        struct fxc_became what;
        FXC_TRY(fxc_resolve_argument(x, r->source->output_kind[i], r->source->output_payload[i], &what, err));
        ((uint8_t *)r->builder.column[FXC_COLUMN_output_kind].data)[i] = what.kind;
        ((int64_t *)r->builder.column[FXC_COLUMN_output_payload].data)[i] = what.payload;
    }
    return FXC_OK;
}

static fxc_status walk(struct fxc_resolver *x, const fxc_reshape_options *options, fxc_error *err) {
    struct fxc_reshape *r = x->r;
    const struct fxc_program *p = r->source;
    uint32_t *graph_begin = r->builder.column[FXC_COLUMN_graph_node_begin].data;
    FXC_TRY(fxc_resolve_inputs(r, options, err));
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        graph_begin[graph] = FXC_COUNT(&r->view, node);
        for (x->node = p->graph_node_begin[graph]; x->node < p->graph_node_begin[graph + 1]; x->node++) {
            FXC_TRY(step(x, err));
            if (r->builder.failed) {
                return fxc_fail_memory(err, p->file);
            }
        }
    }
    graph_begin[FXC_COUNT(p, graph)] = FXC_COUNT(&r->view, node);
    settle_dialect(r);
    return settle_outputs(x, err);
}

fxc_status fxc_resolve(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err) {
    struct fxc_resolver x = {.r = r};
    fxc_status status = fxc_reshape_start(r, err);
    if (status == FXC_OK) {
        clear_nodes(r);
        start_names(&x);
        status = walk(&x, options, err);
    }
    free(x.weights.data);
    free(x.packets.data);
    fxc_intern_free(&x.packet_names);
    fxc_intern_free(&x.argnames);
    fxc_intern_free(&x.ops);
    return status;
}
