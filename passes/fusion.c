/* fusion: which nodes run as one kernel under the profile, what each kernel reads, writes and computes.
 *
 * Profiles of compilers that make loops of operators go through the loop engine (passes/fusion/engine.h): lowering,
 * then merging, then accounting. Others put whole nodes together (passes/fusion/nodes.h). */
#include "passes/fusion/fusion.h"

#include <stdlib.h>
#include <string.h>

#include "passes/fusion/account.h"
#include "passes/fusion/live.h"
#include "passes/fusion/lower.h"
#include "passes/fusion/merge.h"
#include "passes/fusion/nodes.h"

/* The lowered graph if there is one and the profile is of a compiler, else graph 0. */
static uint32_t graph_of(const struct fxc_program *p, const struct fxc_profile *profile) {
    for (uint32_t g = 0; g < FXC_COUNT(p, graph); g++) {
        if (p->graph_view[g] == FXC_VIEW_LOWERED && !profile->captured) {
            return g;
        }
    }
    return 0;
}

/* ---- users ----------------------------------------------------------------------------------------------------------
 */

struct use {
    uint32_t value, node;
};

struct uses {
    struct use *use;
    uint32_t count, capacity;
    uint32_t node;  /* the user whose values are noted */
    uint32_t *last; /* per value: the node that was last noted as its user, plus 2 */
    bool failed;
};

static void note_use(uint32_t value, void *context) {
    struct uses *u = context;
    if (u->last[value] == u->node + 2) {
        return;
    }
    u->last[value] = u->node + 2;
    if (!FXC_ROOM(u->use, u->capacity, u->count + 1)) {
        u->failed = true;
        return;
    }
    u->use[u->count++] = (struct use){value, u->node};
}

/* Who uses each value; FXC_NONE is the graph's output. */
static bool list_users(struct fxc_engine *e, struct fxc_arena *arena) {
    const struct fxc_program *p = e->p;
    uint32_t values = FXC_COUNT(p, value);
    struct uses u = {.last = calloc((size_t)values + 1, sizeof(uint32_t))};
    for (uint32_t node = e->first_node; u.last != NULL && node < e->end_node; node++) {
        u.node = node;
        for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
            fxc_each_value(p, p->arg_kind[a], p->arg_payload[a], note_use, &u);
        }
    }
    u.node = FXC_NONE;
    for (uint32_t o = p->graph_output_begin[e->graph]; u.last != NULL && o < p->graph_output_begin[e->graph + 1]; o++) {
        fxc_each_value(p, p->output_kind[o], p->output_payload[o], note_use, &u);
    }
    e->user = FXC_NEW(arena, uint32_t, u.count + 1);
    bool ok = u.last != NULL && !u.failed && e->user != NULL;
    for (uint32_t i = 0; ok && i < u.count; i++) {
        e->users[u.use[i].value]++;
        e->is_output[u.use[i].value] |= u.use[i].node == FXC_NONE;
    }
    for (uint32_t o = p->graph_output_begin[e->graph]; ok && o < p->graph_output_begin[e->graph + 1]; o++) {
        if (p->output_kind[o] == FXC_KIND_VALUE && p->output_role[o] != FXC_OUTPUT_KIND_SAVED) {
            e->is_visible[p->output_payload[o]] = true;
        }
    }
    for (uint32_t v = 0; ok && v < values; v++) {
        e->user_begin[v + 1] = e->user_begin[v] + e->users[v];
    }
    for (uint32_t i = u.count; ok && i-- > 0;) {
        uint32_t value = u.use[i].value;
        e->user[e->user_begin[value] + --e->users[value]] = u.use[i].node;
    }
    for (uint32_t v = 0; ok && v < values; v++) {
        e->users[v] = e->user_begin[v + 1] - e->user_begin[v];
    }
    free(u.use);
    free(u.last);
    return ok;
}

/* ---- the loop engine ------------------------------------------------------------------------------------------------
 */

/* Pools are pointed into even where a program puts nothing there. */
static bool reserve_pools(struct fxc_engine *e) {
    return FXC_ROOM(e->load, e->load_capacity, 1) && FXC_ROOM(e->work, e->work_capacity, 1) &&
           FXC_ROOM(e->access, e->access_capacity, 1) && FXC_ROOM(e->size, e->size_capacity, 1) &&
           FXC_ROOM(e->number, e->number_capacity, 1);
}

static bool start(struct fxc_engine *e, struct fxc_analysis *analysis, uint32_t graph) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_fusion];
    uint32_t values = FXC_COUNT(p, value);
    *e = (struct fxc_engine){.analysis = analysis,
                             .p = p,
                             .profile = analysis->profile,
                             .graph = graph,
                             .first_node = p->graph_node_begin[graph],
                             .end_node = p->graph_node_begin[graph + 1]};
    e->view = FXC_NEW(arena, struct fxc_tensor_view, values);
    e->users = FXC_NEW(arena, uint32_t, values);
    e->user_begin = FXC_NEW(arena, uint32_t, values + 1);
    e->is_output = FXC_NEW(arena, bool, values);
    e->is_visible = FXC_NEW(arena, bool, values);
    if (e->view == NULL || e->users == NULL || e->user_begin == NULL || e->is_output == NULL || e->is_visible == NULL ||
        !fxc_index_init(&e->index) || !reserve_pools(e)) {
        return false;
    }
    for (uint32_t v = 0; v < values; v++) {
        e->view[v].box = FXC_NONE;
    }
    return list_users(e, arena);
}

static void stop(struct fxc_engine *e) {
    fxc_index_free(&e->index);
    free(e->box);
    free(e->buffer);
    free(e->operation);
    free(e->load);
    free(e->work);
    free(e->access);
    free(e->size);
    free(e->number);
}

fxc_status fxc_fusion_with_loops(struct fxc_analysis *analysis, uint32_t graph, fxc_loops_fn visit, void *context,
                                 fxc_error *err) {
    struct fxc_engine e;
    struct fxc_merge merge = {0};
    fxc_status status = FXC_OK;
    if (!start(&e, analysis, graph)) {
        status = fxc_fail_memory(err, "fusion");
    }
    if (status == FXC_OK) {
        status = fxc_engine_lower(&e, err);
    }
    for (uint32_t i = 0; status == FXC_OK && i < e.operation_count && !e.failed; i++) {
        fxc_operation_simplify(&e, i, NULL, 0);
    }
    if (status == FXC_OK) {
        status = fxc_merge_run(&e, &merge, err);
    }
    if (status == FXC_OK) {
        status = visit(&merge, context, err);
    }
    if (status == FXC_OK && (e.failed || e.index.failed)) {
        status = fxc_fail_memory(err, "fusion");
    }
    if (status == FXC_OK && (e.overflowed || e.index.overflowed)) {
        status = fxc_fail(err, FXC_OVERFLOW, "%s: kernels under profile %s", analysis->program->file,
                          analysis->profile->name);
        fxc_expected(err, "sizes, bytes and FLOPs that fit in 64 bits");
    }
    fxc_merge_free(&merge);
    stop(&e);
    return status;
}

static fxc_status account(struct fxc_merge *merge, void *context, fxc_error *err) {
    return fxc_account(merge, context, err);
}

/* ---- the pass -------------------------------------------------------------------------------------------------------
 */

/* Moves an array that grew on the heap into the arena of the fact. */
static bool keep(struct fxc_arena *arena, void **array, size_t size) {
    void *kept = fxc_arena_alloc(arena, size);
    if (kept != NULL && size > 0) {
        memcpy(kept, *array, size);
    }
    free(*array);
    *array = kept;
    return kept != NULL;
}

static bool keep_all(struct fxc_arena *arena, struct fxc_fusion *f) {
    size_t members = 0, accesses = 0, sizes = 0;
    for (uint32_t k = 0; k < f->kernel_count; k++) {
        members += f->kernel[k].member_count;
        accesses += f->kernel[k].access_count;
        sizes += f->kernel[k].outer_rank + f->kernel[k].folded_rank;
    }
    bool ok = keep(arena, (void **)&f->member, members * sizeof *f->member);
    ok &= f->run == NULL || keep(arena, (void **)&f->run, members * sizeof *f->run);
    ok &= keep(arena, (void **)&f->access, accesses * sizeof *f->access);
    ok &= keep(arena, (void **)&f->size, sizes * sizeof *f->size);
    ok &= keep(arena, (void **)&f->memory.buffer, f->memory.buffer_count * sizeof *f->memory.buffer);
    return keep(arena, (void **)&f->kernel, f->kernel_count * sizeof *f->kernel) && ok;
}

static int compare_numbers(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_members(struct fxc_fusion *f) {
    for (uint32_t k = 0; k < f->kernel_count; k++) {
        if (f->kernel[k].member_count > 1) {
            qsort(f->member + f->kernel[k].member_begin, f->kernel[k].member_count, sizeof *f->member, compare_numbers);
        }
    }
}

fxc_status fxc_run_fusion(struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_fusion];
    uint32_t nodes = FXC_COUNT(analysis->program, node);
    struct fxc_fusion *fusion = FXC_NEW(arena, struct fxc_fusion, 1);
    uint32_t *home = FXC_NEW(arena, uint32_t, nodes);
    if (fusion == NULL || home == NULL) {
        return fxc_fail_memory(err, "fusion");
    }
    memset(home, 0xff, nodes * sizeof *home);
    *fusion = (struct fxc_fusion){
        .profile = analysis->profile, .graph = graph_of(analysis->program, analysis->profile), .home = home};
    fxc_status status = analysis->profile->engine == FXC_ENGINE_LOOPS
                            ? fxc_fusion_with_loops(analysis, fusion->graph, account, fusion, err)
                            : fxc_nodes_run(analysis, fusion, err);
    if (!keep_all(arena, fusion) && status == FXC_OK) {
        status = fxc_fail_memory(err, "fusion");
    }
    if (status == FXC_OK) {
        sort_members(fusion);
    }
    analysis->fusion = fusion;
    return status == FXC_OK ? fxc_live_sum(analysis, fusion, err) : status;
}
