/* loops: sums over the trips of loops whose sizes change from trip to trip.
 *
 * A recording stores a run of equal operators once, as the body of `repeat` (docs/fxir.md, "Repeats"). Sizes that grow
 * are expressions in the symbol that the argument `trip` names: the trip's number, from 0. A formula of a node over
 * sizes need not be a polynomial, so nothing is interpolated: the body is evaluated trip by trip, under an analysis of
 * its own that binds the symbol, and its nodes' sums are added. Loops whose sizes stay the same need none of this. */
#include <math.h>

#include "ir/ops.h"
#include "passes/flops/rules.h"
#include "passes/loops.h"

/* Node evaluations that a program may ask for: a hostile file must not run for hours. */
#define MAX_EVALUATIONS (INT64_C(1) << 26)

struct loop {
    uint32_t node, body, symbol;
    int64_t trips;
};

/* The graph among the arguments; FXC_NONE unless there is exactly one. */
static uint32_t body_of(const struct fxc_program *p, uint32_t node) {
    uint32_t body = FXC_NONE;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_GRAPH) {
            if (body != FXC_NONE) {
                return FXC_NONE;
            }
            body = (uint32_t)p->arg_payload[a];
        }
    }
    return body;
}

/* Whether a node is a loop over a symbol, and which. */
static bool find_loop(const struct fxc_analysis *analysis, uint32_t node, struct loop *loop) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_op_row *row = fxc_node_row(p, node);
    struct fxc_rule rule = {.program = p, .shapes = analysis->shapes, .bindings = analysis->bindings, .node = node};
    enum fxc_kind kind;
    int64_t payload;
    if (row == NULL || row->flops != FXC_FLOPS_body || row->params[0] != FXC_BODY_trips ||
        !fxc_rule_arg(&rule, FXC_NAME_trip, &kind, &payload) || kind != FXC_KIND_SYMINT) {
        return false;
    }
    uint32_t begin = p->expr_begin[payload], body = body_of(p, node);
    if (p->expr_begin[payload + 1] != begin + 1 || p->token_op[begin] != FXC_TOKEN_SYMBOL || body == FXC_NONE ||
        analysis->tree->graph_times[body] == 0 || !fxc_rule_int(&rule, FXC_NAME_trips, -1, &loop->trips)) {
        return false;
    }
    loop->node = node;
    loop->body = body;
    loop->symbol = (uint32_t)p->token_payload[begin];
    return loop->trips > 0;
}

static fxc_status check(const struct fxc_analysis *analysis, const struct loop *loop, int64_t *left, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    int64_t evaluations;
    for (uint32_t n = p->graph_node_begin[loop->body]; n < p->graph_node_begin[loop->body + 1]; n++) {
        if (body_of(p, n) != FXC_NONE) {
            fxc_status status = fxc_fail_node(err, FXC_PROGRAM, p, n);
            fxc_expected(err, "no call of a graph in a loop whose sizes change");
            fxc_found(err, "one");
            return status;
        }
    }
    if (fxc_mul(loop->trips, (int64_t)FXC_COUNT(p, node) + 1, &evaluations) || evaluations > *left) {
        fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, p, loop->node);
        fxc_expected(err, "at most %lld evaluations of nodes in all loops", (long long)MAX_EVALUATIONS);
        fxc_found(err, "%lld trips", (long long)loop->trips);
        return status;
    }
    *left -= evaluations;
    return FXC_OK;
}

static fxc_status add_trip(const struct fxc_analysis *trip, const struct loop *loop, struct fxc_sum *sums,
                           fxc_error *err) {
    const struct fxc_program *p = trip->program;
    for (uint32_t node = p->graph_node_begin[loop->body]; node < p->graph_node_begin[loop->body + 1]; node++) {
        struct fxc_sum sum;
        FXC_TRY(fxc_node_sum(trip, node, loop->body, &sum, err));
        if (fxc_sum_add(&sums[node], &sum)) {
            fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, p, node);
            fxc_expected(err, "a sum that fits in 64 bits");
            return status;
        }
    }
    return FXC_OK;
}

static fxc_status run_loop(const struct fxc_analysis *analysis, struct fxc_analysis *trip, const struct loop *loop,
                           fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_loops *loops = analysis->loops;
    for (uint32_t node = p->graph_node_begin[loop->body]; node < p->graph_node_begin[loop->body + 1]; node++) {
        loops->sum[node] = fxc_sum_zero(analysis);
    }
    loops->varies[loop->body] = true;
    struct fxc_binding before = trip->bindings[loop->symbol];
    trip->single_trip = loop->node;
    for (int64_t i = 0; i < loop->trips; i++) {
        trip->bindings[loop->symbol] = (struct fxc_binding){.value = i, .known = true, .given = true};
        fxc_drop_facts(trip, FXC_OPTION_SYMBOLS);
        FXC_TRY(fxc_require_facts(trip, fxc_passes[FXC_FACT_loops].needs, err));
        FXC_TRY(add_trip(trip, loop, loops->sum, err));
    }
    trip->bindings[loop->symbol] = before;
    return FXC_OK;
}

static fxc_status run_loops(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_analysis *trip = NULL;
    int64_t left = MAX_EVALUATIONS;
    fxc_status status = FXC_OK;
    for (uint32_t node = 0; node < FXC_COUNT(p, node) && status == FXC_OK; node++) {
        struct loop loop;
        if (!find_loop(analysis, node, &loop)) {
            continue;
        }
        status = check(analysis, &loop, &left, err);
        if (status == FXC_OK && trip == NULL) {
            status = fxc_analysis_borrow(analysis, &trip, err);
        }
        if (status == FXC_OK) {
            status = run_loop(analysis, trip, &loop, err);
        }
    }
    fxc_analysis_free(trip);
    return status;
}

fxc_status fxc_run_loops(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_loops];
    struct fxc_loops *loops = FXC_NEW(arena, struct fxc_loops, 1);
    if (loops == NULL) {
        return fxc_fail_memory(err, "loops");
    }
    loops->varies = FXC_NEW(arena, bool, FXC_COUNT(p, graph));
    loops->sum = FXC_NEW(arena, struct fxc_sum, FXC_COUNT(p, graph) > 1 ? FXC_COUNT(p, node) : 0);
    if (loops->varies == NULL || loops->sum == NULL) {
        return fxc_fail_memory(err, "loops");
    }
    analysis->loops = loops;
    return FXC_COUNT(p, graph) > 1 ? run_loops(analysis, err) : FXC_OK;
}
