/* alias: which values share memory, which nodes write to it, and the order that follows. docs/alias.md. */
#include <stdlib.h>

#include "passes/alias/walk.h"
#include "passes/grow.h"

/* ---- a node's tensors ----------------------------------------------------------------------------------------------
 */

static void add_use(struct fxc_walk *w, uint32_t node, uint32_t row, uint32_t arg, uint32_t value) {
    if (w->alias->value_memory[value] == FXC_NONE) {
        fxc_alias_input(w, value); /* an element of a list within a list result: nothing tells but its storage */
    }
    uint32_t memory = w->alias->value_memory[value];
    if (!FXC_ROOM(w->use, w->use_capacity, w->use_count + 1)) {
        w->failed = true;
        return;
    }
    w->use[w->use_count++] = (struct fxc_use){value, memory, arg, row};
    struct fxc_memory_state *state = &w->order.memory[memory];
    if (state->stamp != node + 1) {
        state->stamp = node + 1;
        state->first = value;
    }
}

static void gather(struct fxc_walk *w, uint32_t node, uint32_t row, uint32_t arg, uint8_t kind, int64_t payload) {
    const struct fxc_program *p = w->p;
    if (kind == FXC_KIND_VALUE) {
        uint32_t value = (uint32_t)payload;
        if (p->value_kind[value] == FXC_KIND_TENSOR) {
            add_use(w, node, row, arg, value);
            return;
        }
        kind = p->value_kind[value]; /* a list that a node returned, handed on whole */
        payload = p->value_payload[value];
    }
    if (fxc_holds_list(kind)) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1]; i++) {
            gather(w, node, row, arg, p->item_kind[i], p->item_payload[i]);
        }
    }
}

void fxc_alias_gather(struct fxc_walk *w, uint32_t node) {
    const struct fxc_program *p = w->p;
    const struct fxc_op_schema *op = w->ops[p->node_op[node]].op;
    uint32_t next = 0;
    w->use_count = 0;
    for (uint32_t i = 0; i < op->schema.arg_count; i++) {
        w->uses[i] = 0;
    }
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint32_t before = w->use_count;
        uint32_t arg = op->known ? fxc_op_schema_match(op, p->arg_name[a], &next) : FXC_NONE;
        if (p->arg_kind[a] == FXC_KIND_VALUE || fxc_holds_list(p->arg_kind[a])) {
            gather(w, node, a, arg, p->arg_kind[a], p->arg_payload[a]);
        }
        if (arg != FXC_NONE) {
            w->first_use[arg] = before;
            w->uses[arg] = w->use_count - before;
        }
    }
}

/* Tensor `position` of an argument; its first when it has fewer; NULL when it has none. */
static const struct fxc_use *use_of(const struct fxc_walk *w, uint32_t arg, uint32_t position) {
    if (arg == FXC_NONE || w->uses[arg] == 0) {
        return NULL;
    }
    return &w->use[w->first_use[arg] + (position < w->uses[arg] ? position : 0)];
}

/* The row of the arg columns that holds this argument of the schema, FXC_NONE when it is left at its default. */
static uint32_t arg_row(const struct fxc_walk *w, uint32_t node, uint32_t arg) {
    const struct fxc_op_schema *op = w->ops[w->p->node_op[node]].op;
    for (uint32_t a = w->p->node_arg_begin[node]; arg != FXC_NONE && a < w->p->node_arg_begin[node + 1]; a++) {
        if (w->p->arg_name[a] == op->name[arg]) {
            return a;
        }
    }
    return FXC_NONE;
}

/* False only when the argument is given as False: a training flag that a tensor holds may be true. */
static bool may_be_true(const struct fxc_walk *w, uint32_t node, uint32_t arg) {
    uint32_t row = arg_row(w, node, arg);
    return row == FXC_NONE || w->p->arg_kind[row] != FXC_KIND_BOOL || w->p->arg_payload[row] != 0;
}

static bool is_zero(const struct fxc_walk *w, uint32_t node, uint32_t arg) {
    uint32_t row = arg_row(w, node, arg);
    /* 0 and 0.0 have the same payload: no bit set. */
    return row != FXC_NONE && (w->p->arg_kind[row] == FXC_KIND_FLOAT || w->p->arg_kind[row] == FXC_KIND_INT) &&
           w->p->arg_payload[row] == 0;
}

/* ---- classes -------------------------------------------------------------------------------------------------------
 */

void fxc_alias_assign(struct fxc_walk *w, uint32_t value, uint32_t memory, enum fxc_result_memory relation) {
    uint32_t storage = w->p->value_storage[value];
    w->alias->value_memory[value] = memory;
    w->alias->result_memory[value] = (uint8_t)relation;
    if (storage != FXC_NONE && w->storage_memory[storage] == FXC_NONE) {
        w->storage_memory[storage] = memory;
    }
}

static uint32_t new_memory(struct fxc_walk *w, uint32_t value) {
    uint32_t memory = w->alias->memory_count++;
    w->alias->memory_origin[memory] = value;
    return memory;
}

static uint32_t recorded_memory(const struct fxc_walk *w, uint32_t value) {
    uint32_t storage = w->p->value_storage[value];
    return storage == FXC_NONE ? FXC_NONE : w->storage_memory[storage];
}

void fxc_alias_input(struct fxc_walk *w, uint32_t value) {
    const struct fxc_program *p = w->p;
    uint32_t memory = recorded_memory(w, value);
    if (p->value_kind[value] == FXC_KIND_TENSOR) {
        fxc_alias_assign(w, value, memory == FXC_NONE ? new_memory(w, value) : memory, FXC_MEMORY_FRESH);
    } else if (fxc_holds_list(p->value_kind[value])) {
        int64_t list = p->value_payload[value];
        for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
            if (p->item_kind[i] == FXC_KIND_VALUE) {
                fxc_alias_input(w, (uint32_t)p->item_payload[i]);
            }
        }
    }
}

/* Element of a list that getitem picks; FXC_NONE when it is no tensor or not told by a plain index. */
static uint32_t picked_element(const struct fxc_walk *w, uint32_t node) {
    const struct fxc_program *p = w->p;
    uint32_t a = p->node_arg_begin[node];
    if (p->node_arg_begin[node + 1] - a != 2 || p->arg_kind[a] != FXC_KIND_VALUE ||
        p->arg_kind[a + 1] != FXC_KIND_INT || p->value_kind[p->arg_payload[a]] != FXC_KIND_LIST) {
        return FXC_NONE;
    }
    int64_t list = p->value_payload[p->arg_payload[a]], index = p->arg_payload[a + 1];
    int64_t count = (int64_t)p->list_begin[list + 1] - p->list_begin[list];
    index += index < 0 ? count : 0;
    if (index < 0 || index >= count || p->item_kind[p->list_begin[list] + index] != FXC_KIND_VALUE) {
        return FXC_NONE;
    }
    uint32_t element = (uint32_t)p->item_payload[p->list_begin[list] + index];
    return p->value_kind[element] == FXC_KIND_TENSOR ? element : FXC_NONE;
}

/* The class of a result, FXC_NONE for memory of its own. In order: what ops.def overrides, in-place marks, recorded
 * storages, and where nothing is recorded the other marks. */
static uint32_t result_memory(const struct fxc_walk *w, uint32_t node, uint32_t value, uint32_t result,
                              uint32_t position) {
    const struct fxc_op_memory *op = &w->ops[w->p->node_op[node]];
    const struct fxc_use *partner = NULL;
    if (w->identity != FXC_NONE) {
        return w->alias->value_memory[w->identity];
    }
    if (op->copies) {
        return FXC_NONE;
    }
    if (op->role == FXC_ROLE_GETITEM) {
        uint32_t element = picked_element(w, node);
        return element == FXC_NONE ? recorded_memory(w, value) : w->alias->value_memory[element];
    }
    if (op->role == FXC_ROLE_WRITES_FIRST && w->use_count > 0) {
        return w->use[0].memory;
    }
    if (op->op->known && result < op->op->schema.result_count) {
        partner = use_of(w, op->partner[result], position);
    }
    if (partner != NULL && op->replaces) {
        const struct fxc_use *source = use_of(w, op->source, 0);
        return source == NULL ? recorded_memory(w, value) : source->memory;
    }
    if (partner != NULL && (op->op->schema.args[op->partner[result]].writes || w->p->value_storage[value] == FXC_NONE ||
                            w->p->value_storage[partner->value] == FXC_NONE)) {
        return partner->memory;
    }
    return recorded_memory(w, value);
}

/* In-place results are the argument whatever was recorded of them. */
static enum fxc_result_memory relation_of(const struct fxc_walk *w, uint32_t node, uint32_t value, uint32_t memory,
                                          bool in_place) {
    const struct fxc_memory_state *state = &w->order.memory[memory];
    bool same = in_place || (state->stamp == node + 1 && fxc_same_layout(w->p, value, state->first));
    return same ? FXC_MEMORY_SAME : FXC_MEMORY_VIEW;
}

static bool returns_in_place(const struct fxc_walk *w, uint32_t node, uint32_t result) {
    const struct fxc_op_memory *op = &w->ops[w->p->node_op[node]];
    if (w->identity != FXC_NONE || op->role == FXC_ROLE_WRITES_FIRST ||
        (op->role == FXC_ROLE_GETITEM && picked_element(w, node) != FXC_NONE)) {
        return true;
    }
    return op->op->known && result < op->op->schema.result_count && op->partner[result] != FXC_NONE &&
           op->op->schema.args[op->partner[result]].writes && !op->metadata;
}

static void assign_result(struct fxc_walk *w, uint32_t node, uint32_t value, uint32_t memory, bool in_place) {
    if (memory == FXC_NONE) {
        fxc_alias_assign(w, value, new_memory(w, value), FXC_MEMORY_FRESH);
        return;
    }
    fxc_alias_assign(w, value, memory, relation_of(w, node, value, memory, in_place));
    w->order.memory[memory].returned = node + 1;
}

void fxc_alias_known_result(struct fxc_walk *w, uint32_t node, uint32_t value, uint32_t memory) {
    if (w->p->value_kind[value] == FXC_KIND_TENSOR) {
        assign_result(w, node, value, memory == FXC_NONE ? recorded_memory(w, value) : memory, false);
    }
}

/* `result` counts the schema's results, `position` the elements of one that is a list. */
static void define(struct fxc_walk *w, uint32_t node, uint32_t value, uint32_t result, uint32_t position) {
    const struct fxc_program *p = w->p;
    const struct fxc_op_schema *op = w->ops[p->node_op[node]].op;
    if (p->value_kind[value] == FXC_KIND_TENSOR) {
        assign_result(w, node, value, result_memory(w, node, value, result, position),
                      returns_in_place(w, node, result));
    } else if (fxc_holds_list(p->value_kind[value])) {
        int64_t list = p->value_payload[value];
        bool tuple = value == p->node_result[node] && (!op->known || op->schema.result_count != 1);
        for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
            uint32_t at = i - p->list_begin[list];
            if (p->item_kind[i] == FXC_KIND_VALUE) {
                define(w, node, (uint32_t)p->item_payload[i], tuple ? at : result, tuple ? 0 : at);
            }
        }
    }
}

void fxc_alias_result(struct fxc_walk *w, uint32_t node) {
    define(w, node, w->p->node_result[node], 0, 0);
}

/* ---- reads and writes ----------------------------------------------------------------------------------------------
 */

/* Dropout that drops nothing returns its input: not training, or p = 0 (torch's _dropout_impl). */
static uint32_t identity_of(const struct fxc_walk *w, uint32_t node) {
    const struct fxc_op_memory *op = &w->ops[w->p->node_op[node]];
    if (op->role != FXC_ROLE_EVAL_IDENTITY || w->use_count == 0 ||
        (may_be_true(w, node, op->training) && !is_zero(w, node, op->probability))) {
        return FXC_NONE;
    }
    return w->use[0].value;
}

static bool writes_to(const struct fxc_walk *w, const struct fxc_op_memory *op, const struct fxc_use *use,
                      bool active) {
    switch ((enum fxc_op_memory_role)op->role) {
    case FXC_ROLE_RUNNING_STATS:
        return active && use->arg != FXC_NONE &&
               (use->arg == op->stats[0] || use->arg == op->stats[1] || op->op->schema.args[use->arg].writes);
    case FXC_ROLE_WRITES_FIRST:
        return use == w->use;
    case FXC_ROLE_WRITES_ALL:
        return true;
    default:
        return active && use->arg != FXC_NONE && op->op->schema.args[use->arg].writes;
    }
}

/* A result in the class of an argument that is not written is that argument, looked at and not read. */
static void read_arguments(struct fxc_walk *w, uint32_t node, bool active) {
    const struct fxc_op_memory *op = &w->ops[w->p->node_op[node]];
    for (uint32_t i = 0; i < w->use_count; i++) {
        const struct fxc_use *use = &w->use[i];
        bool written = writes_to(w, op, use, active);
        bool viewed = !written && w->order.memory[use->memory].returned == node + 1;
        if (viewed || op->reads_nothing || (written && op->metadata)) {
            fxc_order_view(&w->order, node, use->memory);
        } else if (!written || !op->overwrites) {
            fxc_order_read(&w->order, node, use->memory);
        }
    }
}

static void write_arguments(struct fxc_walk *w, uint32_t node, bool active) {
    const struct fxc_op_memory *op = &w->ops[w->p->node_op[node]];
    for (uint32_t i = 0; i < w->use_count; i++) {
        const struct fxc_use *use = &w->use[i];
        if (writes_to(w, op, use, active)) {
            bool fills = op->whole && !op->metadata &&
                         (fxc_fills_storage(w->p, use->value) ||
                          (w->alias->result_memory[w->alias->memory_origin[use->memory]] == FXC_MEMORY_FRESH &&
                           w->p->value_producer[w->alias->memory_origin[use->memory]] != FXC_NONE &&
                           fxc_same_layout(w->p, use->value, w->alias->memory_origin[use->memory])));
            fxc_order_write(&w->order, (struct fxc_write){.node = node,
                                                          .value = use->value,
                                                          .memory = use->memory,
                                                          .whole = fills,
                                                          .metadata = op->metadata});
        }
    }
}

/* After set_ the first argument lives where its new storage does. */
static void replace_storage(struct fxc_walk *w, uint32_t node) {
    uint32_t result = w->p->node_result[node];
    if (w->use_count > 0 && w->p->value_kind[result] == FXC_KIND_TENSOR) {
        w->alias->value_memory[w->use[0].value] = w->alias->value_memory[result];
    }
}

/* getitem of a list looks at the one element: a list of n elements with n getitems must not take n * n steps. False
 * for getitem of a tensor, which is indexing like any other. */
static bool pick(struct fxc_walk *w, uint32_t node) {
    const struct fxc_program *p = w->p;
    uint32_t first = p->node_arg_begin[node], element = picked_element(w, node);
    if (first < p->node_arg_begin[node + 1] && p->arg_kind[first] == FXC_KIND_VALUE &&
        p->value_kind[p->arg_payload[first]] == FXC_KIND_TENSOR) {
        return false;
    }
    w->use_count = 0;
    if (element != FXC_NONE) {
        if (w->alias->value_memory[element] == FXC_NONE) {
            fxc_alias_input(w, element);
        }
        fxc_order_view(&w->order, node, w->alias->value_memory[element]);
    }
    fxc_alias_result(w, node);
    return true;
}

static void walk_node(struct fxc_walk *w, uint32_t node) {
    const struct fxc_op_memory *op = &w->ops[w->p->node_op[node]];
    w->identity = FXC_NONE;
    if (fxc_alias_call(w, node)) {
        return;
    }
    if (op->role == FXC_ROLE_GETITEM && pick(w, node)) {
        return;
    }
    fxc_alias_gather(w, node);
    w->identity = identity_of(w, node);
    bool active = w->identity == FXC_NONE && (op->role != FXC_ROLE_RUNNING_STATS || may_be_true(w, node, op->training));
    fxc_alias_result(w, node);
    read_arguments(w, node, active);
    write_arguments(w, node, active);
    if (op->replaces) {
        replace_storage(w, node);
    }
}

void fxc_alias_graph(struct fxc_walk *w, uint32_t graph) {
    const struct fxc_program *p = w->p;
    w->walked[graph] = true;
    for (uint32_t i = p->graph_input_begin[graph]; i < p->graph_input_begin[graph + 1]; i++) {
        if (w->alias->value_memory[p->input_value[i]] == FXC_NONE) { /* else a call has bound it to its operand */
            fxc_alias_input(w, p->input_value[i]);
        }
    }
    for (uint32_t n = p->graph_node_begin[graph]; n < p->graph_node_begin[graph + 1]; n++) {
        w->order.node_graph[n] = graph;
        w->alias->node_write_begin[n] = w->order.write_count;
        walk_node(w, n);
        w->alias->node_write_end[n] = w->order.write_count;
    }
}

/* ---- the pass ------------------------------------------------------------------------------------------------------
 */

static void fill_none(uint32_t *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = FXC_NONE;
    }
}

static fxc_status allocate(struct fxc_walk *w, struct fxc_arena *arena, fxc_error *err) {
    const struct fxc_program *p = w->p;
    uint32_t values = FXC_COUNT(p, value), nodes = FXC_COUNT(p, node), graphs = FXC_COUNT(p, graph);
    struct fxc_alias *alias = w->alias = FXC_NEW(arena, struct fxc_alias, 1);
    if (alias == NULL) {
        return fxc_fail_memory(err, "alias");
    }
    alias->value_memory = FXC_NEW(arena, uint32_t, values);
    alias->result_memory = FXC_NEW(arena, uint8_t, values);
    alias->memory_origin = FXC_NEW(arena, uint32_t, values);
    alias->node_write_begin = FXC_NEW(arena, uint32_t, nodes);
    alias->node_write_end = FXC_NEW(arena, uint32_t, nodes);
    w->order.memory = FXC_NEW(w->scratch, struct fxc_memory_state, values);
    w->order.node_graph = FXC_NEW(w->scratch, uint32_t, nodes);
    w->order.graph_caller = FXC_NEW(w->scratch, uint32_t, graphs);
    w->order.graph_depth = FXC_NEW(w->scratch, uint8_t, graphs);
    w->storage_memory = FXC_NEW(w->scratch, uint32_t, FXC_COUNT(p, storage));
    w->walked = FXC_NEW(w->scratch, bool, graphs);
    w->input_written = FXC_NEW(w->scratch, bool, FXC_COUNT(p, input));
    if (alias->value_memory == NULL || alias->result_memory == NULL || alias->memory_origin == NULL ||
        alias->node_write_begin == NULL || alias->node_write_end == NULL || w->order.memory == NULL ||
        w->order.node_graph == NULL || w->order.graph_caller == NULL || w->order.graph_depth == NULL ||
        w->storage_memory == NULL || w->walked == NULL || w->input_written == NULL) {
        return fxc_fail_memory(err, "alias");
    }
    fill_none(alias->value_memory, values);
    fill_none(w->order.node_graph, nodes);
    fill_none(w->order.graph_caller, graphs);
    fill_none(w->storage_memory, FXC_COUNT(p, storage));
    for (uint32_t i = 0; i < values; i++) {
        alias->result_memory[i] = FXC_MEMORY_NOTHING;
    }
    return fxc_alias_ops(w->scratch, p, &w->ops, err);
}

static fxc_status walk_program(struct fxc_walk *w, struct fxc_arena *arena, fxc_error *err) {
    FXC_TRY(allocate(w, arena, err));
    fxc_alias_graph(w, 0);
    FXC_TRY(fxc_alias_writebacks(w->p, w->order.memory, arena, w->scratch, w->alias, err));
    for (uint32_t graph = 1; graph < FXC_COUNT(w->p, graph); graph++) {
        if (!w->walked[graph]) {
            fxc_alias_graph(w, graph); /* another view of the program, or a body that nothing calls */
        }
    }
    if (w->failed) {
        return fxc_fail_memory(err, "alias");
    }
    return fxc_order_finish(&w->order, arena, w->scratch, w->alias, err);
}

fxc_status fxc_run_alias(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_arena scratch = {0};
    struct fxc_walk walk = {.p = analysis->program, .scratch = &scratch, .order.p = analysis->program};
    fxc_status status = walk_program(&walk, &analysis->arena[FXC_FACT_alias], err);
    free(walk.use);
    fxc_order_free(&walk.order);
    fxc_arena_free(&scratch);
    if (status == FXC_OK) {
        analysis->alias = walk.alias;
    }
    return status;
}
