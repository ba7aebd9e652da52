/* trace: the steps of a run, from nodes or from kernels. */
#include "passes/trace/steps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "passes/fusion/fusion.h"
#include "passes/fusion/profile.h"
#include "passes/memory/memory.h"
#include "passes/optimizer.h"
#include "passes/report/rows.h"

struct build {
    fxc_analysis *analysis;
    const struct fxc_program *p;
    struct fxc_steps *steps;
    bool *inside; /* per module: is it reported? */
};

static void push(struct build *b, struct fxc_step step) {
    b->steps->unknown += step.unknown;
    b->steps->untimed += b->steps->timed && isnan(step.seconds);
    b->steps->step[b->steps->count++] = step;
}

static fxc_status allocate(struct build *b, size_t count, fxc_error *err) {
    b->steps->step = FXC_NEW(&b->steps->arena, struct fxc_step, count);
    return b->steps->step == NULL ? fxc_fail_memory(err, "trace") : FXC_OK;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static bool does_nothing(const struct fxc_sum *sum) {
    const fxc_counts *c = &sum->counts;
    return sum->unknown_nodes == 0 && c->kernels == 0 && c->bytes_read == 0 && c->bytes_written == 0 &&
           c->int_ops == 0 && c->transcendentals == 0 && fxc_flops_of(c) == 0;
}

static fxc_status add_graph(struct build *b, uint32_t graph, uint32_t caller, fxc_error *err);

/* The bodies that this node is the first to call. */
static fxc_status add_bodies(struct build *b, uint32_t node, uint32_t call, fxc_error *err) {
    const struct fxc_program *p = b->p;
    const struct fxc_tree *tree = b->analysis->tree;
    for (uint32_t arg = p->node_arg_begin[node]; arg < p->node_arg_begin[node + 1]; arg++) {
        uint32_t graph = (uint32_t)p->arg_payload[arg];
        if (p->arg_kind[arg] != FXC_KIND_GRAPH || tree->graph_owner[graph] != node || tree->graph_times[graph] <= 0) {
            continue;
        }
        bool again = false; /* the same body twice among the arguments of one node */
        for (uint32_t before = p->node_arg_begin[node]; before < arg; before++) {
            again |= p->arg_kind[before] == FXC_KIND_GRAPH && (uint32_t)p->arg_payload[before] == graph;
        }
        if (!again) {
            FXC_TRY(add_graph(b, graph, call, err));
        }
    }
    return FXC_OK;
}

/* The nodes of a graph; those without a call of their own are in that of the node that calls the graph. */
static fxc_status add_graph(struct build *b, uint32_t graph, uint32_t caller, fxc_error *err) {
    const struct fxc_program *p = b->p;
    const struct fxc_memory *memory = b->analysis->memory;
    for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
        struct fxc_sum sum;
        uint32_t call = p->node_call[node] == FXC_NONE ? caller : p->node_call[node];
        uint32_t module = b->analysis->report->node_module[node];
        FXC_TRY(fxc_node_sum(b->analysis, node, graph, &sum, err));
        if (b->inside[module] && !does_nothing(&sum)) {
            push(b, (struct fxc_step){.node = node,
                                      .kernel = FXC_NONE,
                                      .param = FXC_NONE,
                                      .call = call,
                                      .module = module,
                                      .op = p->node_op[node],
                                      .executions = sum.nodes,
                                      .counts = sum.counts,
                                      .seconds = sum.seconds,
                                      .unknown = sum.unknown_nodes > 0,
                                      .live_within = memory->most[node],
                                      .live_after = memory->after[node]});
        }
        FXC_TRY(add_bodies(b, node, call, err));
    }
    return FXC_OK;
}

/* The step of the named optimiser, parameter by parameter. */
static void add_optimizer(struct build *b) {
    for (uint32_t param = 0; param < FXC_COUNT(b->p, param); param++) {
        if (b->analysis->optimizer->updated[param] && b->inside[b->p->param_module[param]]) {
            struct fxc_sum sum = fxc_optimizer_sum(b->analysis, param);
            push(b, (struct fxc_step){.node = FXC_NONE,
                                      .kernel = FXC_NONE,
                                      .param = param,
                                      .call = FXC_NONE,
                                      .module = b->p->param_module[param],
                                      .op = FXC_NONE,
                                      .executions = 1,
                                      .counts = sum.counts,
                                      .seconds = sum.seconds,
                                      .live_within = -1,
                                      .live_after = -1});
        }
    }
}

static fxc_status build_nodes(struct build *b, fxc_error *err) {
    FXC_TRY(allocate(b, (size_t)FXC_COUNT(b->p, node) + FXC_COUNT(b->p, param), err));
    FXC_TRY(add_graph(b, 0, FXC_NONE, err));
    add_optimizer(b);
    return FXC_OK;
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

static uint32_t call_of(const struct fxc_program *p, uint32_t node) {
    uint32_t call = p->node_call[node];
    bool lowered = call == FXC_NONE && p->node_origin != NULL && p->node_origin[node] != FXC_NONE;
    return lowered ? p->node_call[p->node_origin[node]] : call;
}

/* The innermost call that encloses all nodes whose call is known: callers come before what they call. */
static uint32_t common_call(const struct fxc_program *p, const fxc_kernel_info *k) {
    uint32_t common = FXC_NONE;
    bool any = false;
    for (uint32_t i = 0; i < k->node_count; i++) {
        uint32_t call = call_of(p, k->nodes[i]);
        if (call == FXC_NONE) {
            continue;
        }
        common = any ? common : call;
        any = true;
        while (common != call && common != FXC_NONE && call != FXC_NONE) {
            if (common > call) {
                common = p->call_parent[common];
            } else {
                call = p->call_parent[call];
            }
        }
        common = call == FXC_NONE ? FXC_NONE : common;
    }
    return common;
}

static bool is_unknown(const fxc_analysis *analysis, const fxc_kernel_info *k) {
    bool unknown = false;
    for (uint32_t i = 0; i < k->node_count; i++) {
        unknown |= analysis->flops->coverage[k->nodes[i]] == FXC_COVERAGE_UNKNOWN;
    }
    return unknown;
}

/* MACs of the nodes whose FLOPs the kernel holds: each node's at its first kernel. True on overflow. */
static bool add_macs(const fxc_analysis *analysis, uint32_t kernel, const fxc_kernel_info *k, int64_t *macs) {
    bool overflow = false;
    for (uint32_t i = 0; i < k->node_count; i++) {
        if (analysis->fusion->home[k->nodes[i]] == kernel) {
            overflow |= fxc_add(*macs, analysis->flops->counts[k->nodes[i]].macs, macs);
        }
    }
    return overflow;
}

static fxc_status add_kernel(struct build *b, uint32_t kernel, fxc_error *err) {
    fxc_kernel_info k = {.struct_size = sizeof k};
    FXC_TRY(fxc_analysis_kernel(b->analysis, kernel, &k, err));
    uint32_t call = common_call(b->p, &k), module = fxc_kernel_module(b->p, &k);
    module = call != FXC_NONE ? b->p->call_module[call] : module == FXC_NONE ? 0 : module;
    struct fxc_step step = {.node = FXC_NONE,
                            .kernel = kernel,
                            .param = FXC_NONE,
                            .call = call,
                            .module = module,
                            .op = FXC_NONE,
                            .executions = 1,
                            .counts = {.matrix_flops = k.matrix_flops,
                                       .vector_flops = k.executed_flops - k.matrix_flops,
                                       .transcendentals = k.executed_transcendentals,
                                       .bytes_read = k.bytes_read,
                                       .bytes_written = k.bytes_written,
                                       .kernels = 1},
                            .seconds = k.seconds,
                            .unknown = is_unknown(b->analysis, &k),
                            .live_within = k.peak_bytes,
                            .live_after = k.live_after};
    if (add_macs(b->analysis, kernel, &k, &step.counts.macs)) {
        return fxc_fail(err, FXC_OVERFLOW, "trace of kernel %u", kernel);
    }
    if (b->inside[module]) {
        push(b, step);
    }
    return FXC_OK;
}

static fxc_status build_kernels(struct build *b, fxc_error *err) {
    FXC_TRY(fxc_require_facts(b->analysis, FXC_FACT_BIT(fusion), err));
    uint32_t kernels = b->analysis->fusion->kernel_count;
    FXC_TRY(allocate(b, kernels, err));
    for (uint32_t kernel = 0; kernel < kernels; kernel++) {
        FXC_TRY(add_kernel(b, kernel, err));
    }
    return FXC_OK;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

/* Nodes under the eager profile and kernels under any other, unless told. */
static fxc_status choose(const fxc_analysis *analysis, const char *by, bool kernels_only, bool *of_kernels,
                         fxc_error *err) {
    bool given = by != NULL && by[0] != '\0';
    *of_kernels = given ? strcmp(by, "kernel") == 0 : kernels_only || analysis->profile != fxc_profile_at(0);
    if (given && !*of_kernels && (kernels_only || strcmp(by, "node") != 0)) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "option by");
        fxc_expected(err, kernels_only ? "kernel, in this format" : "node or kernel, of a trace");
        fxc_found(err, "'%s'", by);
        return status;
    }
    return FXC_OK;
}

fxc_status fxc_steps_build(fxc_analysis *analysis, const fxc_render_options *options, bool kernels_only,
                           struct fxc_steps *steps, fxc_error *err) {
    uint32_t root = 0;
    struct build b = {.analysis = analysis, .p = analysis->program, .steps = steps};
    *steps = (struct fxc_steps){.timed = analysis->device != NULL};
    FXC_TRY(choose(analysis, options->by, kernels_only, &steps->of_kernels, err));
    FXC_TRY(fxc_find_module(b.p, options->root, &root, err));
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(report), err));
    b.inside = fxc_rows_subtree(b.p, root, &steps->arena);
    if (b.inside == NULL) {
        return fxc_fail_memory(err, "trace");
    }
    return steps->of_kernels ? build_kernels(&b, err) : build_nodes(&b, err);
}

bool fxc_step_knows(const struct fxc_step *step, enum fxc_axis_id axis) {
    return axis == FXC_AXIS_SECONDS ? !isnan(step->seconds) : axis == FXC_AXIS_BYTES || !step->unknown;
}
