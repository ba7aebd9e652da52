/* memory: bytes alive before, while and after every node, and what makes up the peak.
 *
 * Storages are the classes of the pass `alias`. A storage is born with the first value in it and dies after the last
 * use of any value in it, as in an interpreter that drops a value after its last use; what nothing uses dies at once.
 * What comes in (parameters, buffers, constants, inputs) is held by the caller, what goes out lives on. A body's
 * values die when it returns. Bodies are walked where they are first called; a later call of the same body holds as
 * much again. */
#include <stdlib.h>
#include <string.h>

#include "fxcost/memory.h"
#include "passes/memory/memory.h"
#include "passes/optimizer.h"

struct walk {
    struct fxc_analysis *analysis;
    const struct fxc_program *p;
    struct fxc_memory *memory;
    uint32_t *last;         /* per value: FXC_USED_..., or a node */
    uint32_t *dying, *next; /* per node: the first value + 1 that dies after it; per value: the next one */
    bool *held;             /* per value: its node has run */
    uint32_t returned;      /* the first value + 1 that lives to the end of the graph that is walked */
    uint32_t *holders;      /* per class: values alive in it */
    int64_t *bytes;         /* per class, -1 unknown */
    uint32_t *born, *died;  /* per class: the steps between which it lives */
    int64_t *extra;         /* per graph: the most above what was alive when it was called; -1: not walked */
    const struct fxc_temporary_row **row; /* per op */
    uint32_t step, peak_step;
    fxc_allocator *allocator; /* NULL: not asked for */
    uint32_t *block;          /* per class: its block there */
    fxc_status status;        /* of the allocator, whose failures end the walk */
    int64_t now;
};

static fxc_status fail_overflow(const struct walk *w, uint32_t node, fxc_error *err) {
    fxc_status status =
        node == FXC_NONE ? fxc_fail(err, FXC_OVERFLOW, "%s", w->p->file) : fxc_fail_node(err, FXC_OVERFLOW, w->p, node);
    fxc_expected(err, "bytes alive at once that fit in 64 bits");
    return status;
}

/* ---- births and deaths ------------------------------------------------------------------------------------------- */

/* The allocator's part, once a class's bytes are known. */
static uint32_t take_block(struct walk *w, int64_t bytes) {
    uint32_t block = FXC_NONE;
    if (w->allocator != NULL && bytes > 0 && w->status == FXC_OK) {
        w->status = fxc_allocator_take(w->allocator, bytes, &block, NULL);
    }
    return block;
}

static void give_block(struct walk *w, uint32_t block) {
    if (w->allocator != NULL) {
        fxc_allocator_give(w->allocator, block);
    }
}

/* True on overflow. */
static bool hold(struct walk *w, uint32_t class) {
    if (class == FXC_NONE || w->holders[class]++ > 0) {
        return false;
    }
    w->born[class] = w->step;
    w->died[class] = UINT32_MAX;
    w->memory->unsized += w->bytes[class] < 0;
    w->block[class] = take_block(w, w->bytes[class]);
    return w->bytes[class] > 0 && fxc_add(w->now, w->bytes[class], &w->now);
}

static void release(struct walk *w, uint32_t class) {
    if (class != FXC_NONE && w->holders[class] > 0 && --w->holders[class] == 0) {
        w->died[class] = w->step;
        give_block(w, w->block[class]);
        w->now -= w->bytes[class] > 0 ? w->bytes[class] : 0;
    }
}

static void die_with(struct walk *w, uint32_t *chain, uint32_t value) {
    w->next[value] = *chain;
    *chain = value + 1;
}

/* Which values of a node's result take hold: those in storages that are alive, which a body hands on, or the others. */
enum part { HANDED_ON, FRESH };

static bool give_tensor(struct walk *w, uint32_t node, uint32_t value, uint32_t graph_end, enum part part) {
    uint32_t class = w->analysis->alias->value_memory[value];
    bool alive = class != FXC_NONE && w->holders[class] > 0;
    if (w->held[value] || (part == HANDED_ON && !alive)) {
        return false;
    }
    uint32_t last = w->last[value] == FXC_USED_NEVER ? node : w->last[value];
    w->held[value] = true;
    die_with(w, last < graph_end ? &w->dying[last] : &w->returned, value);
    return hold(w, class);
}

/* A value that a node returns, or the items of a list. True on overflow. */
static bool give(struct walk *w, uint32_t node, uint32_t value, uint32_t graph_end, enum part part) {
    const struct fxc_program *p = w->p;
    bool overflow = false;
    if (p->value_kind[value] == FXC_KIND_LIST) {
        uint32_t list = (uint32_t)p->value_payload[value];
        for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
            if (p->item_kind[i] == FXC_KIND_VALUE) {
                overflow |= give(w, node, (uint32_t)p->item_payload[i], graph_end, part);
            }
        }
        return overflow;
    }
    /* An item that another node has made is held by its own uses. */
    return p->value_kind[value] == FXC_KIND_TENSOR && p->value_producer[value] == node &&
           give_tensor(w, node, value, graph_end, part);
}

static void bury(struct walk *w, uint32_t chain) {
    for (uint32_t at = chain; at != 0; at = w->next[at - 1]) {
        release(w, w->analysis->alias->value_memory[at - 1]);
    }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static void see_peak(struct walk *w, uint32_t node, int64_t bytes, int64_t hidden) {
    if (bytes > w->memory->peak_bytes || w->memory->peak_node == FXC_NONE) {
        w->memory->peak_bytes = bytes;
        w->memory->peak_node = node;
        w->memory->hidden_bytes = hidden;
        w->peak_step = w->step;
    }
}

static fxc_status walk_graph(struct walk *w, uint32_t graph, fxc_error *err);

/* A body returns: its node holds what is handed on, and the rest is gone. */
static fxc_status run_body(struct walk *w, uint32_t node, uint32_t graph, uint32_t graph_end, fxc_error *err) {
    uint32_t outer = w->returned;
    w->returned = 0;
    FXC_TRY(walk_graph(w, graph, err));
    uint32_t body = w->returned;
    w->returned = outer;
    if (give(w, node, w->p->node_result[node], graph_end, HANDED_ON)) {
        return fail_overflow(w, node, err);
    }
    bury(w, body);
    return FXC_OK;
}

/* Runs the bodies that a node calls; *most is what they take above what is alive already. */
static fxc_status walk_bodies(struct walk *w, uint32_t node, uint32_t graph_end, int64_t *most, fxc_error *err) {
    const struct fxc_program *p = w->p;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_GRAPH) {
            uint32_t graph = (uint32_t)p->arg_payload[a];
            if (w->extra[graph] < 0) {
                FXC_TRY(run_body(w, node, graph, graph_end, err));
            }
            *most = w->extra[graph] > *most ? w->extra[graph] : *most;
        }
    }
    return FXC_OK;
}

/* A loop whose sizes grow is walked at the sizes of its first trip: a lower bound, which the report says. */
static bool grows(const struct walk *w, uint32_t node) {
    struct fxc_rule rule = {
        .program = w->p, .shapes = w->analysis->shapes, .bindings = w->analysis->bindings, .node = node};
    enum fxc_kind kind;
    int64_t payload;
    return fxc_rule_arg(&rule, FXC_NAME_trip, &kind, &payload) && kind != FXC_KIND_NONE;
}

/* What the kernels of a node hold beside its results. */
static fxc_status find_temporaries(struct walk *w, uint32_t node, struct fxc_temporaries *found, fxc_error *err) {
    const struct fxc_temporary_row *row = w->row[w->p->node_op[node]];
    struct fxc_rule rule = {
        .program = w->p, .shapes = w->analysis->shapes, .bindings = w->analysis->bindings, .node = node};
    fxc_status status = row == NULL ? FXC_OK : row->rule(&rule, row->params, found);
    if (status == FXC_UNKNOWN_OPS) { /* the results are known: the peak is a lower bound, which the report says */
        w->memory->untold++;
        *found = (struct fxc_temporaries){0};
        return FXC_OK;
    }
    uint32_t class = w->analysis->alias->value_memory[w->p->node_result[node]];
    bool widens = status == FXC_OK && found->larger > 0 && class != FXC_NONE && w->bytes[class] >= 0;
    return status != FXC_OK || (widens && fxc_add(w->bytes[class], found->larger, &w->bytes[class]))
               ? fail_overflow(w, node, err)
               : FXC_OK;
}

static fxc_status walk_node(struct walk *w, uint32_t node, uint32_t graph_end, fxc_error *err) {
    struct fxc_memory *memory = w->memory;
    struct fxc_temporaries found = {0};
    int64_t before = w->now, most = 0, at_most;
    FXC_TRY(walk_bodies(w, node, graph_end, &most, err));
    memory->untold += grows(w, node);
    FXC_TRY(find_temporaries(w, node, &found, err));
    w->step++;
    give_block(w, take_block(w, found.ahead));
    uint32_t beside = take_block(w, found.beside);
    if (give(w, node, w->p->node_result[node], graph_end, FRESH) ||
        fxc_add(w->now - before, found.beside, &found.beside)) {
        return fail_overflow(w, node, err);
    }
    most = found.beside > most ? found.beside : most;
    most = found.ahead > most ? found.ahead : most;
    if (fxc_add(before, most, &at_most)) {
        return fail_overflow(w, node, err);
    }
    memory->before[node] = before;
    memory->most[node] = at_most;
    see_peak(w, node, at_most, at_most - w->now);
    give_block(w, beside);
    bury(w, w->dying[node]);
    memory->after[node] = w->now;
    return w->status == FXC_OK ? FXC_OK : fxc_fail_node(err, w->status, w->p, node);
}

static fxc_status walk_graph(struct walk *w, uint32_t graph, fxc_error *err) {
    const struct fxc_program *p = w->p;
    int64_t base = w->now, most = w->now;
    uint32_t end = p->graph_node_begin[graph + 1];
    w->extra[graph] = 0;
    for (uint32_t node = p->graph_node_begin[graph]; node < end; node++) {
        FXC_TRY(walk_node(w, node, end, err));
        most = w->memory->most[node] > most ? w->memory->most[node] : most;
    }
    w->extra[graph] = most - base;
    return FXC_OK;
}

/* ---- the pass -----------------------------------------------------------------------------------------------------
 */

static fxc_status allocate(struct walk *w, struct fxc_arena *arena, struct fxc_arena *scratch, fxc_error *err) {
    const struct fxc_program *p = w->p;
    uint32_t nodes = FXC_COUNT(p, node), values = FXC_COUNT(p, value), classes = w->analysis->alias->memory_count;
    struct fxc_memory *memory = w->memory = FXC_NEW(arena, struct fxc_memory, 1);
    if (memory == NULL) {
        return fxc_fail_memory(err, "memory");
    }
    memory->before = FXC_NEW(arena, int64_t, nodes);
    memory->after = FXC_NEW(arena, int64_t, nodes);
    memory->most = FXC_NEW(arena, int64_t, nodes);
    w->last = FXC_NEW(scratch, uint32_t, values);
    w->next = FXC_NEW(scratch, uint32_t, values);
    w->held = FXC_NEW(scratch, bool, values);
    w->dying = FXC_NEW(scratch, uint32_t, nodes);
    w->holders = FXC_NEW(scratch, uint32_t, classes);
    w->bytes = FXC_NEW(scratch, int64_t, classes);
    w->block = FXC_NEW(scratch, uint32_t, classes);
    w->born = FXC_NEW(scratch, uint32_t, classes);
    w->died = FXC_NEW(scratch, uint32_t, classes);
    w->extra = FXC_NEW(scratch, int64_t, FXC_COUNT(p, graph));
    w->row = FXC_NEW(scratch, const struct fxc_temporary_row *, FXC_COUNT(p, op));
    if (memory->before == NULL || memory->after == NULL || memory->most == NULL || w->last == NULL || w->next == NULL ||
        w->held == NULL || w->dying == NULL || w->holders == NULL || w->bytes == NULL || w->block == NULL ||
        w->born == NULL || w->died == NULL || w->extra == NULL || w->row == NULL) {
        return fxc_fail_memory(err, "memory");
    }
    for (uint32_t node = 0; node < nodes; node++) {
        memory->before[node] = memory->after[node] = memory->most[node] = -1;
    }
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        w->extra[graph] = -1;
    }
    return FXC_OK;
}

static void measure(struct walk *w) {
    const struct fxc_program *p = w->p;
    const struct fxc_alias *alias = w->analysis->alias;
    for (uint32_t class = 0; class < alias->memory_count; class ++) {
        w->bytes[class] = fxc_class_bytes(w->analysis, class);
    }
    /* What a body is given belongs to its caller, also where the two could not be matched. */
    for (uint32_t input = p->graph_input_begin[1]; input < FXC_COUNT(p, input); input++) {
        uint32_t class = alias->value_memory[p->input_value[input]];
        if (class != FXC_NONE && alias->memory_origin[class] == p->input_value[input]) {
            w->bytes[class] = 0;
        }
    }
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        w->row[op] = fxc_temporary_find(fxc_string(p, p->op_name[op]));
    }
    fxc_last_uses(p, w->last);
}

/* A parameter that no graph takes: it is in no class, and there all the same. */
static bool is_idle(const struct walk *w, uint32_t param) {
    return w->analysis->alias->value_memory[w->p->param_value[param]] == FXC_NONE && w->analysis->params->first[param];
}

/* The optimiser's state as blocks: of a parameter's size, as many as it keeps. Counts of steps are on the host. */
static void take_state(struct walk *w) {
    const struct fxc_optimizer_row *row = w->analysis->optimizer_row;
    for (uint32_t i = 0; row != NULL && i < FXC_COUNT(w->p, param); i++) {
        for (int64_t k = 0; w->analysis->optimizer->updated[i] && k < row->state; k++) {
            (void)take_block(w, w->analysis->params->bytes[i]);
        }
    }
}

/* What comes in is held by the caller from beginning to end, parameters that nothing uses too. */
static bool hold_given(struct walk *w) {
    const struct fxc_program *p = w->p;
    bool overflow = false;
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        overflow |= hold(w, w->analysis->alias->value_memory[p->input_value[i]]);
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, param); i++) {
        if (is_idle(w, i)) {
            (void)take_block(w, w->analysis->params->bytes[i]);
            overflow |= fxc_add(w->now, w->analysis->params->bytes[i], &w->now);
        } else {
            overflow |= hold(w, w->analysis->alias->value_memory[p->param_value[i]]);
        }
    }
    take_state(w);
    overflow |= fxc_add(w->now, w->memory->state_bytes, &w->now);
    w->memory->given_bytes = w->memory->peak_bytes = w->now;
    return overflow;
}

static int by_bytes(const void *a, const void *b) {
    const struct fxc_holder *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes > y->bytes ? -1 : 1;
    }
    return (x->value > y->value) - (x->value < y->value);
}

static fxc_status list_holders(struct walk *w, struct fxc_arena *arena, fxc_error *err) {
    struct fxc_memory *memory = w->memory;
    const struct fxc_alias *alias = w->analysis->alias;
    memory->holder = FXC_NEW(arena, struct fxc_holder, (size_t)alias->memory_count + FXC_COUNT(w->p, param));
    if (memory->holder == NULL) {
        return fxc_fail_memory(err, "memory");
    }
    for (uint32_t class = 0; class < alias->memory_count; class ++) {
        bool alive = w->died[class] != 0 && w->born[class] <= w->peak_step && w->died[class] >= w->peak_step;
        if (alive && w->bytes[class] > 0) {
            memory->holder[memory->holder_count++] = (struct fxc_holder){alias->memory_origin[class], w->bytes[class]};
        }
    }
    for (uint32_t i = 0; i < FXC_COUNT(w->p, param); i++) {
        if (is_idle(w, i) && w->analysis->params->bytes[i] > 0) {
            memory->holder[memory->holder_count++] =
                (struct fxc_holder){w->p->param_value[i], w->analysis->params->bytes[i]};
        }
    }
    qsort(memory->holder, memory->holder_count, sizeof *memory->holder, by_bytes);
    return FXC_OK;
}

/* The optimiser's step comes after the program, with what goes out (gradients, the loss) still alive. */
static fxc_status step(struct walk *w, int64_t held, fxc_error *err) {
    struct fxc_memory *memory = w->memory;
    if (fxc_add(w->now, held, &memory->step_bytes)) {
        return fail_overflow(w, FXC_NONE, err);
    }
    give_block(w, take_block(w, held));
    memory->untold += w->analysis->optimizer_row->held < 0;
    if (memory->step_bytes > memory->peak_bytes) {
        w->step++;
        memory->peak_in_step = true;
        see_peak(w, FXC_NONE, memory->step_bytes, held);
    }
    return FXC_OK;
}

static fxc_status run(struct walk *w, struct fxc_arena *arena, struct fxc_arena *scratch, fxc_error *err) {
    FXC_TRY(allocate(w, arena, scratch, err));
    measure(w);
    w->memory->peak_node = FXC_NONE;
    w->memory->allocated_bytes = w->memory->reserved_bytes = -1;
    if (w->analysis->cuda_allocator) {
        FXC_TRY(fxc_allocator_new(&w->allocator, err));
    }
    int64_t held;
    if (fxc_optimizer_bytes(w->analysis, &w->memory->state_bytes, &held) || hold_given(w)) {
        return fail_overflow(w, FXC_NONE, err);
    }
    FXC_TRY(walk_graph(w, 0, err));
    if (w->analysis->optimizer_row != NULL) {
        FXC_TRY(step(w, held, err));
    }
    if (w->allocator != NULL) {
        fxc_allocator_state state = {.struct_size = sizeof state};
        fxc_allocator_get(w->allocator, &state);
        w->memory->allocated_bytes = state.most_allocated;
        w->memory->reserved_bytes = state.most_reserved;
    }
    return w->status == FXC_OK ? list_holders(w, arena, err) : fxc_fail(err, w->status, "%s", w->p->file);
}

fxc_status fxc_run_memory(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_arena scratch = {0};
    struct walk walk = {.analysis = analysis, .p = analysis->program};
    fxc_status status = run(&walk, &analysis->arena[FXC_FACT_memory], &scratch, err);
    fxc_allocator_free(walk.allocator);
    fxc_arena_free(&scratch);
    if (status == FXC_OK) {
        analysis->memory = walk.memory;
    }
    return status;
}
