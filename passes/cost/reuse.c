/* Reuse distances: how much other memory was touched since an operand's memory was (Mattson et al., "Evaluation
 * techniques for storage hierarchies", IBM Systems Journal 9(2), 1970).
 *
 * The program is walked twice, as it is run over and over; the second walk counts. Time is the number of the access; a
 * binary indexed tree holds, at the time of each storage's latest access, its bytes, so that a sum over times is a
 * distance. Memory that is freed is had again by the next allocations that fit, as by an allocator that keeps what it
 * has: the new tensor then lies where the freed one did, and so does what a cache holds of it. */
#include "passes/cost/reuse.h"

#include <stdlib.h>
#include <string.h>

#include "ir/ops.h"
#include "passes/grow.h"
#include "passes/memory/memory.h"
#include "passes/traffic/touch.h"

/* Freed memory, and when it was last touched. */
struct block {
    int64_t bytes;
    uint32_t time;
};

struct walk {
    struct fxc_touch_sink sink; /* first: see collect */
    const struct fxc_analysis *analysis;
    struct fxc_reuse *out;
    uint32_t count;   /* of operands */
    uint32_t *memory; /* per operand: its memory class */
    uint32_t operand_capacity, memory_capacity;
    uint32_t node;
    bool out_of_memory;

    uint32_t now, times; /* next time, and one more than the last */
    int64_t *tree;       /* [times + 1] */
    uint32_t *touched;   /* per memory class: time of the latest access, FXC_NONE before the first */
    uint32_t *last;      /* per memory class: the node that touches it last; FXC_NONE for what is returned */
    uint32_t *made;      /* per memory class: the node that allocates it, FXC_NONE for what is given */
    uint32_t *same;      /* per node: the first node with the same operator and sizes */
    uint32_t *same_ran;  /* per such first node: the time at which one of them last ran */
    uint32_t *op_ran;    /* per op: the time at which it last ran, FXC_NONE before that */
    struct block *freed; /* [freed_count] */
    uint32_t freed_count, freed_capacity;
};

/* ---- sums over times ------------------------------------------------------------------------------------------------
 */

static void add(struct walk *walk, uint32_t time, int64_t bytes) {
    for (uint32_t i = time + 1; i <= walk->times; i += i & (0 - i)) {
        walk->tree[i] += bytes;
    }
}

/* Of times below this one. */
static int64_t sum(const struct walk *walk, uint32_t time) {
    int64_t bytes = 0;
    for (uint32_t i = time; i > 0; i -= i & (0 - i)) {
        bytes += walk->tree[i];
    }
    return bytes;
}

/* Memory touched at this time or later; all there is for FXC_NONE. */
static int64_t since_time(const struct walk *walk, uint32_t time) {
    return time == FXC_NONE ? INT64_MAX : sum(walk, walk->times) - sum(walk, time);
}

/* Memory touched after this time. */
static int64_t since(const struct walk *walk, uint32_t time) {
    return time == FXC_NONE ? INT64_MAX : since_time(walk, time + 1);
}

/* ---- operands of a node ---------------------------------------------------------------------------------------------
 */

static bool is_strided(const struct fxc_shapes *shapes, uint32_t value) {
    const int64_t *size = shapes->size + shapes->dim_begin[value], *stride = shapes->stride + shapes->dim_begin[value];
    for (uint32_t d = shapes->rank[value]; d-- > 0;) {
        if (size[d] > 1) {
            return stride[d] > 1;
        }
    }
    return false;
}

/* The dimension, counted from the last, along which elements lie closest together; FXC_NONE where there is one element.
 */
static uint32_t innermost(const struct fxc_shapes *shapes, uint32_t value) {
    const int64_t *size = shapes->size + shapes->dim_begin[value], *stride = shapes->stride + shapes->dim_begin[value];
    uint32_t rank = shapes->rank[value], best = FXC_NONE;
    for (uint32_t d = rank; d-- > 0;) {
        best = size[d] > 1 && (best == FXC_NONE || stride[d] < stride[best]) ? d : best;
    }
    return best == FXC_NONE ? FXC_NONE : rank - 1 - best;
}

/* An operator on elements goes along its result; tensors that all lie in one unusual order cost nothing more. */
static bool is_turned(const struct fxc_shapes *shapes, uint32_t value, uint32_t result) {
    uint32_t inner = innermost(shapes, result), rank = shapes->rank[value];
    if (inner >= rank) { /* FXC_NONE, too */
        return false;
    }
    uint32_t d = shapes->dim_begin[value] + rank - 1 - inner;
    return shapes->size[d] > 1 && shapes->stride[d] > 1;
}

static bool reads_across(const struct walk *walk, uint32_t value) {
    const struct fxc_program *p = walk->analysis->program;
    const struct fxc_op_row *row = fxc_node_row(p, walk->node);
    uint32_t result = p->node_result[walk->node];
    bool elements = row != NULL && row->fuse == FXC_FUSE_POINTWISE && p->value_kind[result] == FXC_KIND_TENSOR;
    return elements ? is_turned(walk->analysis->shapes, value, result) : is_strided(walk->analysis->shapes, value);
}

/* A storage that a node both reads and writes is one operand, and so is one that it reads twice. */
static void collect(struct fxc_touch_sink *sink, uint32_t value, int64_t bytes, bool written) {
    struct walk *walk = (struct walk *)sink;
    uint32_t memory = walk->analysis->alias->value_memory[value];
    if (bytes <= 0 || memory == FXC_NONE) {
        return;
    }
    uint32_t i = walk->out->begin[walk->node];
    while (i < walk->count && walk->memory[i] != memory) {
        i++;
    }
    if (i == walk->count) {
        if (!FXC_ROOM(walk->out->operand, walk->operand_capacity, walk->count + 1) ||
            !FXC_ROOM(walk->memory, walk->memory_capacity, walk->count + 1)) {
            walk->out_of_memory = true;
            return;
        }
        walk->memory[walk->count] = memory;
        walk->out->operand[walk->count++] =
            (fxc_operand){.fresh = walk->made[memory] == walk->node, .distance = INT64_MAX};
    }
    fxc_operand *operand = &walk->out->operand[i];
    int64_t all = fxc_class_bytes(walk->analysis, memory);
    operand->bytes = bytes > operand->bytes ? bytes : operand->bytes;
    operand->bytes = all > 0 && all < operand->bytes ? all : operand->bytes;
    operand->written = operand->written || written;
    operand->strided = operand->strided || (!written && reads_across(walk, value));
}

static fxc_status collect_all(struct walk *walk, fxc_error *err) {
    uint32_t nodes = FXC_COUNT(walk->analysis->program, node);
    walk->sink.tensor = collect;
    for (walk->node = 0; walk->node < nodes; walk->node++) {
        walk->out->begin[walk->node] = walk->count;
        (void)fxc_touch_node(walk->analysis, walk->node, &walk->sink);
        if (walk->out_of_memory) {
            return fxc_fail_memory(err, "cost");
        }
    }
    walk->out->begin[nodes] = walk->count;
    return FXC_OK;
}

/* ---- memory that is had again ---------------------------------------------------------------------------------------
 */

/* The smallest freed block that is large enough, or else several; how long ago the longest untouched of it was used. */
static int64_t allocate(struct walk *walk, int64_t bytes) {
    int64_t distance = 0;
    while (bytes > 0) {
        uint32_t best = FXC_NONE;
        for (uint32_t i = 0; i < walk->freed_count; i++) {
            const struct block *block = &walk->freed[i], *found = &walk->freed[best == FXC_NONE ? i : best];
            bool better = found->bytes < bytes ? block->bytes > found->bytes
                                               : block->bytes >= bytes && block->bytes <= found->bytes;
            best = best == FXC_NONE || better ? i : best;
        }
        if (best == FXC_NONE) {
            return INT64_MAX;
        }
        struct block *block = &walk->freed[best];
        int64_t ago = since(walk, block->time), taken = block->bytes < bytes ? block->bytes : bytes;
        distance = ago > distance ? ago : distance;
        add(walk, block->time, -taken);
        block->bytes -= taken;
        bytes -= taken;
        if (block->bytes == 0) {
            *block = walk->freed[--walk->freed_count];
        }
    }
    return distance;
}

static bool free_memory(struct walk *walk, uint32_t memory, int64_t bytes) {
    if (!FXC_ROOM(walk->freed, walk->freed_capacity, walk->freed_count + 1)) {
        return false;
    }
    walk->freed[walk->freed_count++] = (struct block){bytes, walk->touched[memory]};
    walk->touched[memory] = FXC_NONE;
    return true;
}

/* ---- the walk
 * --------------------------------------------------------------------------------------------------------
 */

static int64_t bytes_of(const struct walk *walk, uint32_t i) {
    int64_t all = fxc_class_bytes(walk->analysis, walk->memory[i]);
    return all > 0 ? all : walk->out->operand[i].bytes;
}

static bool touch_operands(struct walk *walk, uint32_t begin, uint32_t end) {
    for (uint32_t i = begin; i < end; i++) { /* distances before this node's own accesses */
        fxc_operand *operand = &walk->out->operand[i];
        uint32_t memory = walk->memory[i];
        if (walk->touched[memory] == FXC_NONE && walk->made[memory] != FXC_NONE) {
            operand->distance = allocate(walk, bytes_of(walk, i));
        } else {
            operand->distance = since(walk, walk->touched[memory]);
        }
    }
    for (uint32_t i = begin; i < end; i++) {
        uint32_t memory = walk->memory[i];
        int64_t bytes = bytes_of(walk, i);
        if (walk->touched[memory] != FXC_NONE) {
            add(walk, walk->touched[memory], -bytes);
        }
        walk->touched[memory] = walk->now++;
        add(walk, walk->touched[memory], bytes);
    }
    for (uint32_t i = begin; i < end; i++) {
        uint32_t memory = walk->memory[i];
        if (walk->last[memory] == walk->node && walk->made[memory] != FXC_NONE &&
            !free_memory(walk, memory, bytes_of(walk, i))) {
            return false;
        }
    }
    return true;
}

/* What the program returns, and what a view outlived, is freed before the next run. */
static bool free_rest(struct walk *walk) {
    uint32_t operands = walk->count;
    for (uint32_t i = 0; i < operands; i++) {
        uint32_t memory = walk->memory[i];
        if (walk->made[memory] != FXC_NONE && walk->touched[memory] != FXC_NONE &&
            !free_memory(walk, memory, bytes_of(walk, i))) {
            return false;
        }
    }
    return true;
}

static bool walk_twice(struct walk *walk) {
    const struct fxc_program *p = walk->analysis->program;
    uint32_t nodes = FXC_COUNT(p, node), before = FXC_NONE;
    for (int run = 0; run < 2; run++) {
        for (walk->node = 0; walk->node < nodes; walk->node++) {
            uint32_t op = p->node_op[walk->node];
            walk->out->since_op[walk->node] = since_time(walk, walk->op_ran[op]);
            walk->out->since_same[walk->node] = since_time(walk, walk->same_ran[walk->same[walk->node]]);
            walk->out->since_node[walk->node] = since_time(walk, before);
            before = walk->now;
            if (!touch_operands(walk, walk->out->begin[walk->node], walk->out->begin[walk->node + 1])) {
                return false;
            }
            walk->op_ran[op] = walk->same_ran[walk->same[walk->node]] = walk->now;
        }
        if (!free_rest(walk)) {
            return false;
        }
    }
    return true;
}

/* ---- nodes alike
 * ------------------------------------------------------------------------------------------------------
 */

static bool same_sizes(const struct fxc_shapes *shapes, uint32_t a, uint32_t b) {
    return shapes->rank[a] == shapes->rank[b] &&
           memcmp(shapes->size + shapes->dim_begin[a], shapes->size + shapes->dim_begin[b],
                  shapes->rank[a] * sizeof(int64_t)) == 0;
}

/* The same operator on tensors of the same sizes, with the same result. */
static bool is_same(const struct fxc_analysis *analysis, uint32_t a, uint32_t b) {
    const struct fxc_program *p = analysis->program;
    uint32_t args = p->node_arg_begin[a + 1] - p->node_arg_begin[a];
    if (p->node_op[a] != p->node_op[b] || p->node_arg_begin[b + 1] - p->node_arg_begin[b] != args ||
        !same_sizes(analysis->shapes, p->node_result[a], p->node_result[b])) {
        return false;
    }
    for (uint32_t i = 0; i < args; i++) {
        uint32_t left = p->node_arg_begin[a] + i, right = p->node_arg_begin[b] + i;
        bool values = p->arg_kind[left] == FXC_KIND_VALUE;
        if (p->arg_kind[left] != p->arg_kind[right] ||
            (values &&
             !same_sizes(analysis->shapes, (uint32_t)p->arg_payload[left], (uint32_t)p->arg_payload[right]))) {
            return false;
        }
    }
    return true;
}

static uint64_t mixed(uint64_t hash, uint64_t number) {
    return (hash ^ number) * UINT64_C(0x9E3779B97F4A7C15) >> 7;
}

static uint64_t hash_of(const struct fxc_analysis *analysis, uint32_t node) {
    const struct fxc_program *p = analysis->program;
    uint64_t hash = mixed(1, p->node_op[node]);
    for (uint32_t i = p->node_arg_begin[node]; i < p->node_arg_begin[node + 1]; i++) {
        uint32_t value = p->arg_kind[i] == FXC_KIND_VALUE ? (uint32_t)p->arg_payload[i] : FXC_NONE;
        for (uint32_t d = 0; value != FXC_NONE && d < analysis->shapes->rank[value]; d++) {
            hash = mixed(hash, (uint64_t)analysis->shapes->size[analysis->shapes->dim_begin[value] + d]);
        }
    }
    return hash;
}

static bool find_same(struct walk *walk, struct fxc_arena *arena) {
    uint32_t nodes = FXC_COUNT(walk->analysis->program, node);
    size_t slots = 16;
    while (slots < 2 * (size_t)nodes) {
        slots *= 2;
    }
    uint32_t *table = FXC_NEW(arena, uint32_t, slots);
    walk->same = FXC_NEW(arena, uint32_t, nodes);
    walk->same_ran = FXC_NEW(arena, uint32_t, nodes);
    if (table == NULL || walk->same == NULL || walk->same_ran == NULL) {
        return false;
    }
    memset(table, 0xFF, slots * sizeof *table); /* FXC_NONE */
    for (uint32_t node = 0; node < nodes; node++) {
        size_t slot = hash_of(walk->analysis, node) & (slots - 1);
        while (table[slot] != FXC_NONE && !is_same(walk->analysis, table[slot], node)) {
            slot = (slot + 1) & (slots - 1);
        }
        table[slot] = table[slot] == FXC_NONE ? node : table[slot];
        walk->same[node] = table[slot];
        walk->same_ran[node] = FXC_NONE;
    }
    return true;
}

/* Who makes each memory class. */
static fxc_status find_makers(struct walk *walk, struct fxc_arena *arena, fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    const struct fxc_alias *alias = walk->analysis->alias;
    walk->made = FXC_NEW(arena, uint32_t, alias->memory_count);
    walk->last = FXC_NEW(arena, uint32_t, alias->memory_count);
    walk->touched = FXC_NEW(arena, uint32_t, alias->memory_count);
    walk->op_ran = FXC_NEW(arena, uint32_t, FXC_COUNT(p, op));
    if (walk->made == NULL || walk->last == NULL || walk->touched == NULL || walk->op_ran == NULL) {
        return fxc_fail_memory(err, "cost");
    }
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        walk->op_ran[op] = FXC_NONE;
    }
    for (uint32_t m = 0; m < alias->memory_count; m++) {
        walk->touched[m] = walk->last[m] = FXC_NONE;
        walk->made[m] = p->value_producer[alias->memory_origin[m]];
    }
    return FXC_OK;
}

/* Who touches each memory class last: it is freed then, but for what the program returns. */
static void find_last(struct walk *walk) {
    const struct fxc_program *p = walk->analysis->program;
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        for (uint32_t i = walk->out->begin[node]; i < walk->out->begin[node + 1]; i++) {
            walk->last[walk->memory[i]] = node;
        }
    }
    for (uint32_t output = 0; output < FXC_COUNT(p, output); output++) {
        uint32_t value = p->output_kind[output] == FXC_KIND_VALUE ? (uint32_t)p->output_payload[output] : FXC_NONE;
        if (value != FXC_NONE && walk->analysis->alias->value_memory[value] != FXC_NONE) {
            walk->last[walk->analysis->alias->value_memory[value]] = FXC_NONE;
        }
    }
}

/* The operands move into the arena, which then owns them. */
static fxc_status keep(struct walk *walk, struct fxc_arena *arena, fxc_error *err) {
    fxc_operand *kept = FXC_NEW(arena, fxc_operand, walk->count);
    if (kept == NULL) {
        return fxc_fail_memory(err, "cost");
    }
    if (walk->count > 0) {
        memcpy(kept, walk->out->operand, walk->count * sizeof *kept);
    }
    free(walk->out->operand);
    walk->out->operand = kept;
    return FXC_OK;
}

static fxc_status run(struct walk *walk, struct fxc_arena *arena, fxc_error *err) {
    FXC_TRY(find_makers(walk, arena, err));
    FXC_TRY(collect_all(walk, err));
    find_last(walk);
    if (!find_same(walk, arena)) {
        return fxc_fail_memory(err, "cost");
    }
    if (walk->count > UINT32_MAX / 4) {
        return fxc_fail(err, FXC_OVERFLOW, "cost");
    }
    walk->times = 2 * walk->count;
    walk->tree = FXC_NEW(arena, int64_t, (size_t)walk->times + 1);
    if (walk->tree == NULL || !walk_twice(walk)) {
        return fxc_fail_memory(err, "cost");
    }
    return keep(walk, arena, err);
}

fxc_status fxc_find_reuse(const struct fxc_analysis *analysis, struct fxc_arena *arena, struct fxc_reuse *out,
                          fxc_error *err) {
    struct walk walk = {.analysis = analysis, .out = out};
    out->operand = NULL;
    out->begin = FXC_NEW(arena, uint32_t, (size_t)FXC_COUNT(analysis->program, node) + 1);
    out->since_op = FXC_NEW(arena, int64_t, FXC_COUNT(analysis->program, node));
    out->since_same = FXC_NEW(arena, int64_t, FXC_COUNT(analysis->program, node));
    out->since_node = FXC_NEW(arena, int64_t, FXC_COUNT(analysis->program, node));
    if (out->begin == NULL || out->since_op == NULL || out->since_same == NULL || out->since_node == NULL) {
        return fxc_fail_memory(err, "cost");
    }
    fxc_status status = run(&walk, arena, err);
    if (status != FXC_OK) {
        free(out->operand);
        out->operand = NULL;
    }
    free(walk.memory);
    free(walk.freed);
    return status;
}
