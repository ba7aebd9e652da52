/* verify: that the program does not contradict itself. The reader has checked every index and enumerator; this pass
 * checks what the rows say of each other, so that the passes after it may rely on it. Everything is linear in the
 * size of the file. */
#include <string.h>

#include "passes/verify/verify.h"

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static uint32_t add_refs(uint32_t a, uint32_t b) {
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static uint32_t graph_inputs(const struct fxc_program *p, int64_t graph) {
    return p->graph_input_begin[graph + 1] - p->graph_input_begin[graph];
}

/* Before values are defined: depth, and whether a list names any value or graph at all. */
static fxc_status measure_list(struct fxc_verify *v, uint32_t list, fxc_error *err) {
    const struct fxc_program *p = v->p;
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (fxc_kind_holds_list(p->item_kind[i])) {
            uint32_t inner = (uint32_t)p->item_payload[i]; /* smaller: the reader checked it */
            uint8_t depth = (uint8_t)(v->list_depth[inner] + 1);
            v->list_refs[list] |= v->list_refs[inner];
            v->list_depth[list] = depth > v->list_depth[list] ? depth : v->list_depth[list];
        } else {
            v->list_refs[list] |= p->item_kind[i] == FXC_KIND_VALUE || p->item_kind[i] == FXC_KIND_GRAPH;
        }
    }
    if (v->list_depth[list] > FXC_MAX_LIST_NESTING) {
        fxc_status status = fxc_fail(err, FXC_PROGRAM, "%s: list %u", p->file, list);
        fxc_expected(err, "lists nested at most %d deep", FXC_MAX_LIST_NESTING);
        fxc_found(err, "%u", v->list_depth[list]);
        return status;
    }
    return FXC_OK;
}

/* After all values are defined. */
static void place_list(struct fxc_verify *v, uint32_t list) {
    const struct fxc_program *p = v->p;
    uint32_t graph = FXC_NONE, after = 0, refs = 0;
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        uint32_t item = (uint32_t)p->item_payload[i], item_graph = FXC_NONE, item_after = 0;
        if (p->item_kind[i] == FXC_KIND_VALUE) {
            item_graph = v->value_graph[item] == FXC_NONE ? FXC_VERIFY_MIXED : v->value_graph[item];
            item_after = v->value_after[item];
            refs = add_refs(refs, v->value_refs[item]);
        } else if (fxc_kind_holds_list(p->item_kind[i])) {
            item_graph = v->list_graph[item];
            item_after = v->list_after[item];
            refs = add_refs(refs, v->list_refs[item]);
        } else if (p->item_kind[i] == FXC_KIND_GRAPH) {
            refs = add_refs(refs, add_refs(graph_inputs(p, item), 1));
        }
        if (item_graph != FXC_NONE) {
            graph = graph == FXC_NONE || graph == item_graph ? item_graph : FXC_VERIFY_MIXED;
        }
        after = item_after > after ? item_after : after;
    }
    v->list_graph[list] = graph;
    v->list_after[list] = after;
    v->list_refs[list] = refs;
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* Where a value is defined: an input of a graph, or a node. */
struct place {
    uint32_t graph, input, node; /* node FXC_NONE for an input */
};

static fxc_status fail_place(const struct fxc_verify *v, struct place at, fxc_error *err) {
    if (at.node != FXC_NONE) {
        return fxc_fail_node(err, FXC_PROGRAM, v->p, at.node);
    }
    return fxc_fail(err, FXC_PROGRAM, "%s: graph %u, input %u", v->p->file, at.graph,
                    at.input - v->p->graph_input_begin[at.graph]);
}

static fxc_status fail_definition(const struct fxc_verify *v, struct place at, uint32_t value, const char *expected,
                                  fxc_error *err) {
    fxc_status status = fail_place(v, at, err);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "value %u '%s'", value, fxc_string(v->p, v->p->value_name[value]));
    fxc_advice(err, "the file contradicts itself; capture the model again");
    return status;
}

static fxc_status define(struct fxc_verify *v, struct place at, uint32_t value, uint32_t depth, fxc_error *err);

static fxc_status define_list(struct fxc_verify *v, struct place at, uint32_t list, uint32_t depth, fxc_error *err) {
    const struct fxc_program *p = v->p;
    if (v->list_refs[list] == 0) {
        return FXC_OK; /* also keeps shared lists of scalars from being walked once per result */
    }
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_VALUE) {
            FXC_TRY(define(v, at, (uint32_t)p->item_payload[i], depth + 1, err));
        } else if (fxc_kind_holds_list(p->item_kind[i])) {
            FXC_TRY(define_list(v, at, (uint32_t)p->item_payload[i], depth + 1, err));
        }
    }
    return FXC_OK;
}

/* Values in a list result; nested rows without a value of their own count by their length. */
static uint32_t element_refs(const struct fxc_verify *v, uint32_t list) {
    const struct fxc_program *p = v->p;
    uint32_t refs = p->list_begin[list + 1] - p->list_begin[list];
    for (uint32_t i = p->list_begin[list]; v->list_refs[list] != 0 && i < p->list_begin[list + 1]; i++) {
        refs = add_refs(refs, p->item_kind[i] == FXC_KIND_VALUE ? v->value_refs[p->item_payload[i]] : 0);
    }
    return refs;
}

/* Defines a value and, when it is a list, its elements. A list walked twice fails at its first value, so the whole
 * takes linear time. */
static fxc_status define(struct fxc_verify *v, struct place at, uint32_t value, uint32_t depth, fxc_error *err) {
    const struct fxc_program *p = v->p;
    if (v->value_graph[value] != FXC_NONE) {
        return fail_definition(v, at, value, "a value that nothing before it defines", err);
    }
    if (p->value_producer[value] != at.node) {
        return fail_definition(v, at, value, "a value whose producer is what defines it", err);
    }
    if (depth > 2 * FXC_MAX_LIST_NESTING) {
        return fail_definition(v, at, value, "a result whose lists are nested at most 32 deep", err);
    }
    v->value_graph[value] = at.graph;
    v->value_after[value] = at.node == FXC_NONE ? 0 : at.node + 1;
    if (!fxc_kind_holds_list(p->value_kind[value])) {
        v->value_refs[value] = 1;
        return FXC_OK;
    }
    uint32_t list = (uint32_t)p->value_payload[value];
    FXC_TRY(define_list(v, at, list, depth, err));
    v->value_refs[value] = element_refs(v, list);
    return FXC_OK;
}

static fxc_status define_graph(struct fxc_verify *v, uint32_t graph, fxc_error *err) {
    const struct fxc_program *p = v->p;
    for (uint32_t i = p->graph_input_begin[graph]; i < p->graph_input_begin[graph + 1]; i++) {
        FXC_TRY(define(v, (struct place){graph, i, FXC_NONE}, p->input_value[i], 0, err));
    }
    for (uint32_t n = p->graph_node_begin[graph]; n < p->graph_node_begin[graph + 1]; n++) {
        FXC_TRY(define(v, (struct place){graph, 0, n}, p->node_result[n], 0, err));
    }
    return FXC_OK;
}

/* ---- uses -------------------------------------------------------------------------------------------------------- */

static bool value_visible(const struct fxc_verify *v, uint32_t value, uint32_t graph, uint32_t node) {
    return v->value_graph[value] == graph && v->value_after[value] <= node;
}

static bool list_visible(const struct fxc_verify *v, uint32_t list, uint32_t graph, uint32_t node) {
    return v->list_graph[list] == FXC_NONE || (v->list_graph[list] == graph && v->list_after[list] <= node);
}

/* The first value in a list that is not visible; FXC_NONE when there is none. Only for messages. */
static uint32_t invisible_item(const struct fxc_verify *v, uint32_t list, uint32_t graph, uint32_t node) {
    const struct fxc_program *p = v->p;
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        uint32_t item = (uint32_t)p->item_payload[i];
        if (p->item_kind[i] == FXC_KIND_VALUE && !value_visible(v, item, graph, node)) {
            return item;
        }
        if (fxc_kind_holds_list(p->item_kind[i]) && !list_visible(v, item, graph, node)) {
            return invisible_item(v, item, graph, node);
        }
    }
    return FXC_NONE;
}

static void describe_value(const struct fxc_verify *v, uint32_t value, uint32_t graph, fxc_error *err) {
    const char *name = fxc_string(v->p, v->p->value_name[value]);
    if (v->value_graph[value] == FXC_NONE) {
        fxc_found(err, "value %u '%s', which no input or node defines", value, name);
    } else if (v->value_graph[value] != graph) {
        fxc_found(err, "value %u '%s' of graph %u", value, name, v->value_graph[value]);
    } else {
        fxc_found(err, "value %u '%s', which node %u computes later", value, name, v->value_after[value] - 1);
    }
    fxc_advice(err, "the file contradicts itself; capture the model again");
}

static fxc_status check_use(const struct fxc_verify *v, uint8_t kind, int64_t payload, uint32_t graph, uint32_t node,
                            uint32_t *value) {
    uint32_t row = (uint32_t)payload;
    if (kind == FXC_KIND_VALUE && !value_visible(v, row, graph, node)) {
        *value = row;
        return FXC_PROGRAM;
    }
    if (fxc_kind_holds_list(kind) && !list_visible(v, row, graph, node)) {
        *value = invisible_item(v, row, graph, node);
        return FXC_PROGRAM;
    }
    return FXC_OK;
}

/* How many values a pass meets that walks this argument. Higher-order operators have all their items looked at. */
static uint64_t argument_refs(const struct fxc_verify *v, uint32_t op, uint8_t kind, int64_t payload) {
    const struct fxc_program *p = v->p;
    if (fxc_kind_holds_list(kind)) {
        bool higher = p->op_origin[op] == FXC_OP_ORIGIN_HIGHER_ORDER;
        return (uint64_t)v->list_refs[payload] + (higher ? p->list_begin[payload + 1] - p->list_begin[payload] : 0);
    }
    if (kind == FXC_KIND_VALUE) {
        return v->op_getitem[op] ? 1 : v->value_refs[payload];
    }
    return kind == FXC_KIND_GRAPH ? graph_inputs(p, payload) : 0;
}

static fxc_status check_node(struct fxc_verify *v, uint32_t graph, uint32_t node, uint64_t *refs, fxc_error *err) {
    const struct fxc_program *p = v->p;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint32_t value = FXC_NONE;
        if (check_use(v, p->arg_kind[a], p->arg_payload[a], graph, node, &value) != FXC_OK) {
            fxc_status status = fxc_fail_node(err, FXC_PROGRAM, p, node);
            fxc_expected(err, "argument '%s': an input of graph %u, or the result of an earlier node in it",
                         fxc_string(p, p->argname_text[p->arg_name[a]]), graph);
            describe_value(v, value, graph, err);
            return status;
        }
        *refs += argument_refs(v, p->node_op[node], p->arg_kind[a], p->arg_payload[a]);
    }
    return FXC_OK;
}

static fxc_status check_outputs(struct fxc_verify *v, uint32_t graph, fxc_error *err) {
    const struct fxc_program *p = v->p;
    for (uint32_t i = p->graph_output_begin[graph]; i < p->graph_output_begin[graph + 1]; i++) {
        uint32_t value = FXC_NONE;
        uint32_t end = p->graph_node_begin[graph + 1];
        if (check_use(v, p->output_kind[i], p->output_payload[i], graph, end, &value) != FXC_OK) {
            fxc_status status =
                fxc_fail(err, FXC_PROGRAM, "%s: graph %u, output %u", p->file, graph, i - p->graph_output_begin[graph]);
            fxc_expected(err, "an input or a result of graph %u", graph);
            describe_value(v, value, graph, err);
            return status;
        }
    }
    return FXC_OK;
}

/* Lists may be shared, so that a small file could ask for endless walking: no real program names its values in lists
 * many times over. */
static fxc_status check_expansion(const struct fxc_program *p, uint64_t refs, fxc_error *err) {
    uint64_t limit = (UINT64_C(1) << 24) + 16 * ((uint64_t)FXC_COUNT(p, item) + FXC_COUNT(p, arg));
    if (refs <= limit) {
        return FXC_OK;
    }
    fxc_status status = fxc_fail(err, FXC_PROGRAM, "%s: lists of values", p->file);
    fxc_expected(err, "at most %llu values in all arguments", (unsigned long long)limit);
    fxc_found(err, "%llu", (unsigned long long)refs);
    fxc_advice(err, "the file is damaged; capture the model again");
    return status;
}

static fxc_status check_uses(struct fxc_verify *v, fxc_error *err) {
    const struct fxc_program *p = v->p;
    uint64_t refs = 0;
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        for (uint32_t n = p->graph_node_begin[graph]; n < p->graph_node_begin[graph + 1]; n++) {
            FXC_TRY(check_node(v, graph, n, &refs, err));
        }
        FXC_TRY(check_outputs(v, graph, err));
    }
    return check_expansion(p, refs, err);
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

static fxc_status prepare(struct fxc_verify *v, fxc_error *err) {
    const struct fxc_program *p = v->p;
    uint32_t values = FXC_COUNT(p, value), lists = FXC_COUNT(p, list);
    v->value_graph = FXC_NEW(v->arena, uint32_t, values);
    v->value_after = FXC_NEW(v->arena, uint32_t, values);
    v->value_refs = FXC_NEW(v->arena, uint32_t, values);
    v->list_refs = FXC_NEW(v->arena, uint32_t, lists);
    v->list_graph = FXC_NEW(v->arena, uint32_t, lists);
    v->list_after = FXC_NEW(v->arena, uint32_t, lists);
    v->list_depth = FXC_NEW(v->arena, uint8_t, lists);
    v->op_getitem = FXC_NEW(v->arena, bool, FXC_COUNT(p, op));
    if (v->value_graph == NULL || v->value_after == NULL || v->value_refs == NULL || v->list_refs == NULL ||
        v->list_graph == NULL || v->list_after == NULL || v->list_depth == NULL || v->op_getitem == NULL) {
        return fxc_fail_memory(err, "verify");
    }
    for (uint32_t i = 0; i < values; i++) {
        v->value_graph[i] = FXC_NONE;
    }
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        v->op_getitem[op] = strcmp(fxc_string(p, p->op_name[op]), "operator.getitem") == 0;
    }
    if (FXC_COUNT(p, graph) == 0) {
        fxc_status status = fxc_fail(err, FXC_PROGRAM, "%s", p->file);
        fxc_expected(err, "a captured graph");
        fxc_found(err, "no graph at all");
        return status;
    }
    return FXC_OK;
}

static fxc_status check_values(struct fxc_verify *v, fxc_error *err) {
    const struct fxc_program *p = v->p;
    FXC_TRY(prepare(v, err));
    for (uint32_t list = 0; list < FXC_COUNT(p, list); list++) {
        FXC_TRY(measure_list(v, list, err));
    }
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        FXC_TRY(define_graph(v, graph, err));
    }
    for (uint32_t list = 0; list < FXC_COUNT(p, list); list++) {
        place_list(v, list);
    }
    FXC_TRY(check_uses(v, err));
    return fxc_verify_calls(v, err);
}

fxc_status fxc_run_verify(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_arena scratch = {0}; /* the fact is that the checks passed: nothing is kept */
    struct fxc_verify v = {.p = analysis->program, .arena = &scratch};
    fxc_status status = fxc_verify_rows(v.p, err);
    if (status == FXC_OK) {
        status = check_values(&v, err);
    }
    if (status == FXC_OK) {
        status = fxc_verify_args(&scratch, v.p, err);
    }
    fxc_arena_free(&scratch);
    return status;
}
