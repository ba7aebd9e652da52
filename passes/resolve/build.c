/* resolve: rows of the new program, and what its values are. */
#include <stdio.h>
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static bool is_rows(uint8_t kind) {
    return kind == FXC_KIND_LIST || kind == FXC_KIND_DICT || kind == FXC_KIND_SLICE;
}

/* Weights of the lists up to `end`, of which some may have come with the source. */
static void weigh(struct fxc_resolver *x, uint32_t end) {
    const struct fxc_program *p = &x->r->view;
    for (uint32_t row = x->weights.length; row < end && !x->r->builder.failed; row++) {
        struct fxc_weight weight = {0, 1};
        for (uint32_t i = p->list_begin[row]; i < p->list_begin[row + 1]; i++) {
            bool rows = is_rows(p->item_kind[i]) && p->item_payload[i] < (int64_t)row;
            struct fxc_weight inner = {0, 0};
            if (rows) {
                inner = ((const struct fxc_weight *)x->weights.data)[p->item_payload[i]];
            }
            weight.items = weight.items > FXC_RESOLVE_MAX_ITEMS ? weight.items : weight.items + inner.items + 1;
            weight.depth = inner.depth >= weight.depth ? inner.depth + 1 : weight.depth;
        }
        fxc_reshape_push(x->r, &x->weights, &weight, sizeof weight);
    }
}

struct fxc_became fxc_resolve_list(struct fxc_resolver *x, const struct fxc_became *items, uint32_t count) {
    struct fxc_builder *b = &x->r->builder;
    uint32_t row = fxc_builder_length(b, FXC_COLUMN_list_begin) - 1;
    for (uint32_t i = 0; i < count; i++) {
        fxc_push_item_kind(b, items[i].kind);
        fxc_push_item_payload(b, items[i].payload);
    }
    fxc_push_list_begin(b, fxc_builder_length(b, FXC_COLUMN_item_kind));
    fxc_reshape_refresh(x->r);
    weigh(x, row + 1);
    if (!b->failed) {
        struct fxc_weight weight = ((const struct fxc_weight *)x->weights.data)[row];
        if (weight.items <= FXC_RESOLVE_MAX_ITEMS && weight.depth <= FXC_RESOLVE_MAX_DEPTH) {
            return (struct fxc_became){FXC_KIND_LIST, row};
        }
    }
    return (struct fxc_became){FXC_KIND_OPAQUE, 0};
}

/* Lists nest at most 32 deep: the pass `verify` saw to it. */
fxc_status fxc_resolve_argument(struct fxc_resolver *x, uint8_t kind, int64_t payload, struct fxc_became *out,
                                fxc_error *err) {
    const struct fxc_program *p = x->r->source;
    if (kind == FXC_KIND_VALUE) {
        *out = x->r->became[payload];
        return FXC_OK;
    }
    if (!is_rows(kind)) {
        fxc_reshape_literal(x->r, kind, payload, &out->kind, &out->payload);
        return FXC_OK;
    }
    uint32_t begin = p->list_begin[payload], count = p->list_begin[payload + 1] - begin;
    struct fxc_became *items = FXC_NEW(&x->r->scratch, struct fxc_became, count);
    if (items == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    for (uint32_t i = 0; i < count; i++) {
        FXC_TRY(fxc_resolve_argument(x, p->item_kind[begin + i], p->item_payload[begin + i], &items[i], err));
    }
    *out = fxc_resolve_list(x, items, count);
    out->kind = out->kind == FXC_KIND_LIST ? kind : out->kind;
    return FXC_OK;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

uint32_t fxc_resolve_value(struct fxc_resolver *x, bool inner, const char *name) {
    const struct fxc_program *p = x->r->source;
    char text[160];
    if (!inner) {
        return p->node_result[x->node];
    }
    if (name[0] == '\0') {
        text[0] = '\0';
    } else {
        (void)snprintf(text, sizeof text, "%.100s_%.40s", fxc_node_name(p, x->node), name);
    }
    return fxc_reshape_new_value(x->r, text);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static uint32_t push_op(struct fxc_resolver *x, const char *name, uint8_t origin, const char *schema, uint32_t tags,
                        const struct fxc_op_row *row) {
    struct fxc_reshape *r = x->r;
    uint32_t known = x->ops.count, id = fxc_intern(&x->ops, name, strlen(name));
    if (id == FXC_NONE) {
        r->builder.failed = true;
        return 0;
    }
    if (id == known) {
        fxc_push_op_name(&r->builder, fxc_reshape_string(r, name));
        fxc_push_op_origin(&r->builder, origin);
        fxc_push_op_schema(&r->builder, fxc_reshape_string(r, schema));
        fxc_push_op_tags(&r->builder, tags);
        fxc_reshape_push(r, &r->op_row, &row, sizeof row);
        fxc_reshape_refresh(r);
    }
    return id;
}

uint32_t fxc_resolve_op(struct fxc_resolver *x, const struct fxc_op_row *row) {
    return push_op(x, row->name, FXC_OP_ORIGIN_ATEN, row->schema, 0, row);
}

uint32_t fxc_resolve_other_op(struct fxc_resolver *x, const char *name) {
    const struct fxc_program *p = x->r->source;
    uint32_t op = p->node_op[x->node];
    return push_op(x, name, p->op_origin[op], fxc_string(p, p->op_schema[op]), p->op_tags[op], fxc_op_lookup(name));
}

static uint16_t push_argname(struct fxc_resolver *x, const char *name) {
    struct fxc_reshape *r = x->r;
    uint32_t known = x->argnames.count, id = fxc_intern(&x->argnames, name, strlen(name));
    if (id == FXC_NONE || id > UINT16_MAX) {
        r->builder.failed = true;
        return 0;
    }
    if (id == known) {
        uint16_t number = fxc_name_of(name);
        fxc_push_argname_text(&r->builder, fxc_reshape_string(r, name));
        r->builder.failed = r->builder.failed || !fxc_vector_push(&r->argname_id, &number, sizeof number);
    }
    return (uint16_t)id;
}

uint32_t fxc_resolve_push(struct fxc_resolver *x, uint32_t op, const struct fxc_argument *args, uint32_t count,
                          uint32_t result) {
    const struct fxc_program *p = x->r->source;
    struct fxc_builder *b = &x->r->builder;
    uint32_t node = fxc_builder_length(b, FXC_COLUMN_node_op);
    for (uint32_t i = 0; i < count; i++) {
        fxc_push_arg_name(b, push_argname(x, args[i].name));
        fxc_push_arg_kind(b, args[i].what.kind);
        fxc_push_arg_payload(b, args[i].what.payload);
    }
    fxc_push_node_op(b, op);
    fxc_push_node_arg_begin(b, fxc_builder_length(b, FXC_COLUMN_arg_name));
    fxc_push_node_result(b, result);
    fxc_push_node_call(b, p->node_call[x->node]);
    fxc_push_node_flags(b, p->node_flags[x->node]);
    if (p->node_region != NULL) {
        fxc_push_node_region(b, p->node_region[x->node]);
    }
    if (p->node_origin != NULL) {
        fxc_push_node_origin(b, p->node_origin[x->node]);
    }
    if (p->node_source != NULL) {
        fxc_push_node_source(b, p->node_source[x->node]);
    }
    if (!b->failed) {
        ((uint32_t *)b->column[FXC_COLUMN_value_producer].data)[result] = node;
    }
    fxc_reshape_refresh(x->r);
    return node;
}

/* ---- what arguments are ------------------------------------------------------------------------------------------ */

uint8_t fxc_resolve_kind(const struct fxc_resolver *x, struct fxc_became what) {
    return what.kind == FXC_KIND_VALUE ? x->r->view.value_kind[what.payload] : what.kind;
}

bool fxc_resolve_tensor(const struct fxc_resolver *x, struct fxc_became what, struct fxc_tensor *out) {
    struct fxc_rule rule = {.program = &x->r->view, .shapes = &x->r->shapes};
    return what.kind == FXC_KIND_VALUE && fxc_rule_value(&rule, (uint32_t)what.payload, out);
}

uint32_t fxc_resolve_list_row(const struct fxc_resolver *x, struct fxc_became what) {
    (void)x;
    return what.kind == FXC_KIND_LIST ? (uint32_t)what.payload : FXC_NONE;
}

struct fxc_became fxc_resolve_item(const struct fxc_resolver *x, uint32_t row, uint32_t index) {
    const struct fxc_program *p = &x->r->view;
    uint32_t item = p->list_begin[row] + index;
    return (struct fxc_became){p->item_kind[item], p->item_payload[item]};
}

bool fxc_resolve_unknown(const struct fxc_resolver *x, struct fxc_became what) {
    const struct fxc_program *p = &x->r->view;
    if (is_rows(what.kind)) {
        for (uint32_t i = 0; i < p->list_begin[what.payload + 1] - p->list_begin[what.payload]; i++) {
            if (fxc_resolve_unknown(x, fxc_resolve_item(x, (uint32_t)what.payload, i))) {
                return true;
            }
        }
        return false;
    }
    return what.kind == FXC_KIND_OPAQUE || fxc_resolve_kind(x, what) == FXC_KIND_OPAQUE;
}

/* The kind that holds items of both. */
static uint8_t common(uint8_t a, uint8_t b) {
    bool numbers = (a == FXC_KIND_INT || a == FXC_KIND_FLOAT) && (b == FXC_KIND_INT || b == FXC_KIND_FLOAT);
    if (a == b || b == FXC_KIND_NONE) {
        return a;
    }
    return a == FXC_KIND_NONE ? b : numbers ? FXC_KIND_FLOAT : FXC_KIND_OPAQUE;
}

struct fxc_call_arg fxc_resolve_class(const struct fxc_resolver *x, const struct fxc_argument *arg) {
    struct fxc_call_arg out = {arg->name, fxc_resolve_kind(x, arg->what), FXC_KIND_NONE};
    uint32_t list = fxc_resolve_list_row(x, arg->what);
    for (uint32_t i = 0; i < fxc_list_count(&x->r->view, list); i++) {
        out.item = common(out.item, fxc_resolve_kind(x, fxc_resolve_item(x, list, i)));
    }
    return out;
}

bool fxc_call_arg_at(const struct fxc_call *call, uint32_t position, const char *name, struct fxc_became *out) {
    for (uint32_t i = 0; i < call->count; i++) {
        const char *given = call->args[i].name;
        if (given == NULL ? i == position : strcmp(given, name) == 0) {
            *out = call->args[i].what;
            return true;
        }
    }
    return false;
}
