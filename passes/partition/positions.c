/* partition: what each node costs, with the bodies that it calls, what it uses, and what crosses a cut before it. */
#include <math.h>

#include "passes/memory/memory.h"
#include "passes/partition/partition.h"
#include "passes/report/report.h"

/* Of one node or of all executions of a graph, bodies included. */
struct work {
    double seconds;
    int64_t flops;
    bool done; /* of a graph */
};

struct build {
    struct fxc_analysis *analysis;
    const struct fxc_program *p;
    struct fxc_positions *out;
    struct fxc_arena scratch;
    struct work *graph; /* per graph */
    int64_t *callers;   /* per graph: executions of the graphs whose nodes call it */
    uint32_t *last;     /* per value: the last node of its graph that uses it */
    bool *given;        /* per class: comes in */
    uint32_t *mark;     /* per class: position + 1 that it was last seen at */
};

static fxc_status fail_overflow(const struct build *b, uint32_t node, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, b->p, node);
    fxc_expected(err, "sums of a stage that fit in 64 bits");
    return status;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static fxc_status work_of(struct build *b, uint32_t node, uint32_t graph, struct work *out, fxc_error *err);

static fxc_status work_of_graph(struct build *b, uint32_t graph, fxc_error *err) {
    struct work sum = {.done = true};
    for (uint32_t node = b->p->graph_node_begin[graph]; node < b->p->graph_node_begin[graph + 1]; node++) {
        struct work work;
        FXC_TRY(work_of(b, node, graph, &work, err));
        sum.seconds += work.seconds;
        if (fxc_add(sum.flops, work.flops, &sum.flops)) {
            return fail_overflow(b, node, err);
        }
    }
    b->graph[graph] = sum;
    return FXC_OK;
}

/* A body that several nodes call is shared among them by how often they run. */
static fxc_status add_body(struct build *b, uint32_t caller, uint32_t body, struct work *out, fxc_error *err) {
    const int64_t *times = b->analysis->tree->graph_times;
    if (times[body] <= 0) {
        return FXC_OK;
    }
    if (!b->graph[body].done) {
        FXC_TRY(work_of_graph(b, body, err));
    }
    int64_t flops;
    out->seconds += (double)times[caller] / (double)b->callers[body] * b->graph[body].seconds;
    return fxc_scale(b->graph[body].flops, times[caller], b->callers[body], &flops) ||
                   fxc_add(out->flops, flops, &out->flops)
               ? FXC_OVERFLOW
               : FXC_OK;
}

static fxc_status work_of(struct build *b, uint32_t node, uint32_t graph, struct work *out, fxc_error *err) {
    const struct fxc_program *p = b->p;
    struct fxc_sum sum;
    FXC_TRY(fxc_node_sum(b->analysis, node, graph, &sum, err));
    b->out->untimed += isnan(sum.seconds) ? 1 : 0;
    *out = (struct work){.seconds = isnan(sum.seconds) ? 0 : sum.seconds, .flops = fxc_flops_of(&sum.counts)};
    for (uint32_t arg = p->node_arg_begin[node]; arg < p->node_arg_begin[node + 1]; arg++) {
        if (p->arg_kind[arg] == FXC_KIND_GRAPH) {
            fxc_status status = add_body(b, graph, (uint32_t)p->arg_payload[arg], out, err);
            if (status != FXC_OK) {
                return status == FXC_OVERFLOW ? fail_overflow(b, node, err) : status;
            }
        }
    }
    return FXC_OK;
}

/* How often all the nodes that call a body run: its executions are shared by that. */
static fxc_status count_callers(struct build *b, fxc_error *err) {
    const struct fxc_program *p = b->p;
    const int64_t *times = b->analysis->tree->graph_times;
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
            for (uint32_t arg = p->node_arg_begin[node]; arg < p->node_arg_begin[node + 1]; arg++) {
                int64_t *callers = &b->callers[p->arg_kind[arg] == FXC_KIND_GRAPH ? p->arg_payload[arg] : 0];
                if (p->arg_kind[arg] == FXC_KIND_GRAPH && fxc_add(*callers, times[graph], callers)) {
                    return fail_overflow(b, node, err);
                }
            }
        }
    }
    return FXC_OK;
}

static fxc_status add_up(struct build *b, fxc_error *err) {
    FXC_TRY(count_callers(b, err));
    for (uint32_t i = 0; i < b->out->count; i++) {
        struct work work;
        FXC_TRY(work_of(b, b->out->first + i, 0, &work, err));
        b->out->until[i + 1] = b->out->until[i] + work.seconds;
        b->out->flops[i] = work.flops;
    }
    return FXC_OK;
}

/* ---- what a node uses -------------------------------------------------------------------------------------------- */

static void mark_given(struct build *b) {
    const struct fxc_program *p = b->p;
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        uint32_t class = b->analysis->alias->value_memory[p->input_value[i]];
        if (class != FXC_NONE) {
            b->given[class] = true;
        }
    }
}

/* The uses of one position. */
struct use {
    struct build *build;
    uint32_t position, count; /* count: of all positions so far */
};

/* Counts what comes in and a node uses, or, where there is room for it, writes it down. */
static void use(uint32_t value, void *context) {
    struct use *use = context;
    struct build *b = use->build;
    uint32_t class = b->analysis->alias->value_memory[value];
    if (class == FXC_NONE || !b->given[class] || b->mark[class] == use->position + 1 || use->count == UINT32_MAX) {
        return;
    }
    int64_t bytes = fxc_class_bytes(b->analysis, class);
    b->mark[class] = use->position + 1;
    if (b->out->held != NULL) {
        b->out->held[use->count] = (struct fxc_held){class, bytes < 0 ? 0 : bytes};
    }
    use->count++;
}

/* False when there are too many. */
static bool list_uses(struct build *b) {
    const struct fxc_program *p = b->p;
    struct use all = {.build = b};
    for (; all.position < b->out->count; all.position++) {
        uint32_t node = b->out->first + all.position;
        b->out->held_begin[all.position] = all.count;
        for (uint32_t arg = p->node_arg_begin[node]; arg < p->node_arg_begin[node + 1]; arg++) {
            fxc_each_value(p, p->arg_kind[arg], p->arg_payload[arg], use, &all);
        }
    }
    b->out->held_begin[b->out->count] = all.count;
    return all.count < UINT32_MAX;
}

static fxc_status build_held(struct build *b, struct fxc_arena *arena, fxc_error *err) {
    mark_given(b);
    if (!list_uses(b)) {
        return fxc_fail_memory(err, "partition");
    }
    b->out->held = FXC_NEW(arena, struct fxc_held, b->out->held_begin[b->out->count]);
    if (b->out->held == NULL) {
        return fxc_fail_memory(err, "partition");
    }
    for (uint32_t class = 0; class < b->out->class_count; class ++) {
        b->mark[class] = 0;
    }
    (void)list_uses(b);
    return FXC_OK;
}

/* ---- what crosses a cut ------------------------------------------------------------------------------------------ */

/* Values that begin or cease to cross at a cut, as chains; and per class what crosses of it. */
struct crossing {
    uint32_t *begins, *ends;         /* per cut: the first value + 1 */
    uint32_t *next_begin, *next_end; /* per value */
    uint32_t *written, *used; /* per class that comes in: the positions + 1 of the first write and the last use */
    int64_t *elements;        /* per class: bytes of the values that cross */
    int64_t now;
};

/* The position of a node of graph 0; FXC_NONE for others, and for none. */
static uint32_t position_of(const struct build *b, uint32_t node) {
    return node == FXC_NONE || node - b->out->first >= b->out->count ? FXC_NONE : node - b->out->first;
}

static void note_writes(struct build *b, struct crossing *c) {
    const struct fxc_alias *alias = b->analysis->alias;
    for (uint32_t i = b->out->count; i-- > 0;) {
        uint32_t node = b->out->first + i;
        for (uint32_t w = alias->node_write_begin[node]; w < alias->node_write_end[node]; w++) {
            uint32_t class = alias->write[w].memory;
            if (!alias->write[w].metadata && class != FXC_NONE && b->given[class]) {
                c->written[class] = i + 1;
            }
        }
    }
    for (uint32_t value = 0; value < FXC_COUNT(b->p, value); value++) {
        uint32_t class = alias->value_memory[value], last = position_of(b, b->last[value]);
        if (class != FXC_NONE && last != FXC_NONE && last + 1 > c->used[class]) {
            c->used[class] = last + 1;
        }
    }
}

/* The cuts that a value crosses: behind the node that makes it, up to the one before its last use. What comes in is in
 * its place in every stage, until a node writes to it: then it crosses as a whole, by its first value. */
static bool find_cuts(const struct build *b, const struct crossing *c, uint32_t value, uint32_t *from, uint32_t *to) {
    uint32_t class = b->analysis->alias->value_memory[value];
    if (b->p->value_kind[value] != FXC_KIND_TENSOR || class == FXC_NONE) {
        return false;
    }
    if (b->given[class]) {
        *from = c->written[class];
        *to = c->used[class];
        return b->analysis->alias->memory_origin[class] == value && *from != 0 && *from < *to;
    }
    uint32_t made = position_of(b, b->p->value_producer[value]), last = position_of(b, b->last[value]);
    *from = made + 1;
    *to = last + 1;
    return made != FXC_NONE && last != FXC_NONE && made < last;
}

/* Bytes of a value's elements; of unknown size none, which is counted. */
static int64_t value_bytes(struct build *b, uint32_t value) {
    const struct fxc_shapes *shapes = b->analysis->shapes;
    int64_t bytes;
    return shapes->numel[value] < 0 || fxc_bytes_of(shapes->dtype[value], shapes->numel[value], &bytes) ? 0 : bytes;
}

/* Of one storage no more crosses than it has, however many views of it do. */
static int64_t class_crossing(const struct build *b, const struct crossing *c, uint32_t class) {
    int64_t whole = fxc_class_bytes(b->analysis, class);
    return whole >= 0 && whole < c->elements[class] ? whole : c->elements[class];
}

static bool move_value(struct build *b, struct crossing *c, uint32_t value, bool begins) {
    uint32_t class = b->analysis->alias->value_memory[value];
    int64_t bytes = value_bytes(b, value);
    c->now -= class_crossing(b, c, class);
    bool overflow = fxc_add(c->elements[class], begins ? bytes : -bytes, &c->elements[class]);
    return fxc_add(c->now, class_crossing(b, c, class), &c->now) || overflow;
}

static void chain_values(struct build *b, struct crossing *c) {
    for (uint32_t value = 0; value < FXC_COUNT(b->p, value); value++) {
        uint32_t from, to;
        if (find_cuts(b, c, value, &from, &to)) {
            b->out->unsized += b->analysis->shapes->numel[value] < 0;
            c->next_begin[value] = c->begins[from];
            c->begins[from] = value + 1;
            c->next_end[value] = c->ends[to];
            c->ends[to] = value + 1;
        }
    }
}

static fxc_status build_sent(struct build *b, fxc_error *err) {
    uint32_t values = FXC_COUNT(b->p, value), cuts = b->out->count + 1;
    struct crossing c = {.begins = FXC_NEW(&b->scratch, uint32_t, cuts),
                         .ends = FXC_NEW(&b->scratch, uint32_t, cuts),
                         .next_begin = FXC_NEW(&b->scratch, uint32_t, values),
                         .next_end = FXC_NEW(&b->scratch, uint32_t, values),
                         .written = FXC_NEW(&b->scratch, uint32_t, b->out->class_count),
                         .used = FXC_NEW(&b->scratch, uint32_t, b->out->class_count),
                         .elements = FXC_NEW(&b->scratch, int64_t, b->out->class_count)};
    if (c.begins == NULL || c.ends == NULL || c.next_begin == NULL || c.next_end == NULL || c.written == NULL ||
        c.used == NULL || c.elements == NULL) {
        return fxc_fail_memory(err, "partition");
    }
    note_writes(b, &c);
    chain_values(b, &c);
    for (uint32_t cut = 0; cut < b->out->count; cut++) {
        bool overflow = false;
        for (uint32_t at = c.ends[cut]; at != 0; at = c.next_end[at - 1]) {
            overflow |= move_value(b, &c, at - 1, false);
        }
        for (uint32_t at = c.begins[cut]; at != 0; at = c.next_begin[at - 1]) {
            overflow |= move_value(b, &c, at - 1, true);
        }
        if (overflow) {
            return fail_overflow(b, b->out->first + cut, err);
        }
        b->out->sent[cut] = c.now;
    }
    return FXC_OK;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Bytes of what earlier positions made and only the caller takes: it stays where it was made. */
static fxc_status build_parked(struct build *b, fxc_error *err) {
    const struct fxc_program *p = b->p;
    uint32_t classes = b->out->class_count, *ends = FXC_NEW(&b->scratch, uint32_t, p->count[FXC_GROUP_value]);
    bool *stays = FXC_NEW(&b->scratch, bool, classes);
    uint32_t *last = FXC_NEW(&b->scratch, uint32_t, classes);
    if (ends == NULL || stays == NULL || last == NULL) {
        return fxc_fail_memory(err, "partition");
    }
    fxc_last_uses(p, ends);
    for (uint32_t value = 0; value < FXC_COUNT(p, value); value++) {
        uint32_t class = b->analysis->alias->value_memory[value], made = position_of(b, p->value_producer[value]);
        if (class == FXC_NONE || b->given[class] || made == FXC_NONE) {
            continue;
        }
        uint32_t used = b->last[value] == FXC_USED_NEVER ? made : position_of(b, b->last[value]);
        stays[class] |= ends[value] == FXC_USED_TO_THE_END;
        last[class] = used > last[class] ? used : last[class];
    }
    for (uint32_t class = 0; class < classes; class ++) {
        int64_t bytes = stays[class] ? fxc_class_bytes(b->analysis, class) : -1;
        int64_t *parked = last[class] + 1 < b->out->count ? &b->out->parked[last[class] + 1] : NULL;
        if (bytes > 0 && parked != NULL && fxc_add(*parked, bytes, parked)) {
            return fail_overflow(b, b->out->first + last[class], err);
        }
    }
    for (uint32_t i = 1; i < b->out->count; i++) {
        if (fxc_add(b->out->parked[i], b->out->parked[i - 1], &b->out->parked[i])) {
            return fail_overflow(b, b->out->first + i, err);
        }
    }
    return FXC_OK;
}

static fxc_status build_alive(struct build *b, fxc_error *err) {
    const struct fxc_memory *memory = b->analysis->memory;
    for (uint32_t i = 0; i < b->out->count; i++) {
        int64_t most = memory->most[b->out->first + i];
        b->out->alive[i] = most > memory->given_bytes ? most - memory->given_bytes : 0;
    }
    return build_parked(b, err);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static bool allocate(struct build *b, struct fxc_arena *arena) {
    uint32_t count = b->out->count, classes = b->out->class_count, graphs = FXC_COUNT(b->p, graph);
    b->out->until = FXC_NEW(arena, double, (size_t)count + 1);
    b->out->flops = FXC_NEW(arena, int64_t, count);
    b->out->alive = FXC_NEW(arena, int64_t, count);
    b->out->parked = FXC_NEW(arena, int64_t, count);
    b->out->sent = FXC_NEW(arena, int64_t, count);
    b->out->held_begin = FXC_NEW(arena, uint32_t, (size_t)count + 1);
    b->graph = FXC_NEW(&b->scratch, struct work, graphs);
    b->callers = FXC_NEW(&b->scratch, int64_t, graphs);
    b->last = FXC_NEW(&b->scratch, uint32_t, FXC_COUNT(b->p, value));
    b->given = FXC_NEW(&b->scratch, bool, classes);
    b->mark = FXC_NEW(&b->scratch, uint32_t, classes);
    return b->out->until != NULL && b->out->flops != NULL && b->out->alive != NULL && b->out->parked != NULL &&
           b->out->sent != NULL && b->out->held_begin != NULL && b->graph != NULL && b->callers != NULL &&
           b->last != NULL && b->given != NULL && b->mark != NULL;
}

static fxc_status build(struct build *b, struct fxc_arena *arena, fxc_error *err) {
    if (!allocate(b, arena)) {
        return fxc_fail_memory(err, "partition");
    }
    fxc_last_node_uses(b->p, b->last);
    FXC_TRY(add_up(b, err));
    FXC_TRY(build_held(b, arena, err));
    FXC_TRY(build_sent(b, err));
    return build_alive(b, err);
}

fxc_status fxc_positions_build(struct fxc_analysis *analysis, struct fxc_arena *arena, struct fxc_positions *positions,
                               fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct build b = {.analysis = analysis, .p = p, .out = positions};
    *positions = (struct fxc_positions){.first = p->graph_node_begin[0],
                                        .count = p->graph_node_begin[1] - p->graph_node_begin[0],
                                        .class_count = analysis->alias->memory_count};
    fxc_status status = build(&b, arena, err);
    fxc_arena_free(&b.scratch);
    return status;
}
