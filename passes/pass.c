/* The pass list, and the manager that runs what a fact needs. */
#include <string.h>

#include "passes/analysis.h"

#define BIT(name) FXC_FACT_BIT(name)

const struct fxc_pass fxc_passes[FXC_FACT_COUNT] = {
    [FXC_FACT_verify] = {"verify", "Checks that the program does not contradict itself", 0, 0, fxc_run_verify},
    [FXC_FACT_shapes] = {"shapes", "Gives every tensor its sizes, by rule or as recorded", BIT(verify),
                         FXC_OPTION_SYMBOLS, fxc_run_shapes},
    [FXC_FACT_alias] = {"alias", "Finds what shares memory, what is written, and the order that this implies",
                        BIT(verify), 0, fxc_run_alias},
    [FXC_FACT_flops] = {"flops", "Counts MACs, FLOPs, transcendentals and integer operations of every node",
                        BIT(shapes), FXC_OPTION_FORMULAS | FXC_OPTION_ATTENTION, fxc_run_flops},
    [FXC_FACT_params] = {"params", "Counts parameters and buffers, tied ones once", BIT(verify), FXC_OPTION_SYMBOLS,
                         fxc_run_params},
    [FXC_FACT_saved] = {"saved", "Finds what the forward pass keeps for the backward pass", BIT(shapes),
                        FXC_OPTION_SYMBOLS, fxc_run_saved},
    [FXC_FACT_optimizer] = {"optimizer", "Counts a step of the named optimiser on every parameter with a gradient",
                            BIT(params), FXC_OPTION_OPTIMIZER, fxc_run_optimizer},
    [FXC_FACT_memory] = {"memory", "Finds what is alive at every node, the peak, and what makes it up",
                         BIT(shapes) | BIT(alias) | BIT(params) | BIT(optimizer),
                         FXC_OPTION_SYMBOLS | FXC_OPTION_ALLOCATOR, fxc_run_memory},
    [FXC_FACT_traffic] = {"traffic",
                          "Counts bytes read and written and kernels of every node, as eager dispatch runs it",
                          BIT(shapes) | BIT(alias), 0, fxc_run_traffic},
    [FXC_FACT_metrics] = {"metrics", "Measures every node by the metrics of the user's own", BIT(flops) | BIT(traffic),
                          FXC_OPTION_METRICS, fxc_run_metrics},
    [FXC_FACT_fusion] = {"fusion", "Finds which nodes run as one kernel under the profile, and what each kernel costs",
                         BIT(shapes) | BIT(alias) | BIT(flops) | BIT(traffic), FXC_OPTION_PROFILE, fxc_run_fusion},
    [FXC_FACT_tree] = {"tree", "Resolves sub-graphs: how often each graph runs, and for which node", BIT(flops),
                       FXC_OPTION_PROBABILITY, fxc_run_tree},
    [FXC_FACT_tool] = {"tool", "Counts every node as another counter would, under the convention",
                       BIT(tree) | BIT(flops), FXC_OPTION_CONVENTION, fxc_run_tool},
    [FXC_FACT_cost] = {"cost", "Predicts the time of every node on the named device",
                       BIT(alias) | BIT(flops) | BIT(params) | BIT(optimizer) | BIT(traffic), FXC_OPTION_DEVICE,
                       fxc_run_cost},
    [FXC_FACT_kernel_cost] = {"kernel_cost", "Predicts the time of every kernel of the profile on the named device",
                              BIT(shapes) | BIT(flops) | BIT(fusion) | BIT(cost), FXC_OPTION_DEVICE,
                              fxc_run_kernel_cost},
    [FXC_FACT_measured] = {"measured", "Reads what a real run of every node took", BIT(verify), FXC_OPTION_SYMBOLS,
                           fxc_run_measured},
    [FXC_FACT_loops] = {"loops", "Adds up loops whose sizes change, trip by trip",
                        BIT(tree) | BIT(flops) | BIT(saved) | BIT(traffic) | BIT(metrics) | BIT(memory) | BIT(tool) |
                            BIT(cost) | BIT(measured),
                        0, fxc_run_loops},
    [FXC_FACT_report] = {"report", "Adds everything up by module, class, operator and node",
                         BIT(tree) | BIT(tool) | BIT(flops) | BIT(params) | BIT(saved) | BIT(optimizer) | BIT(traffic) |
                             BIT(metrics) | BIT(memory) | BIT(cost) | BIT(measured) | BIT(loops),
                         0, fxc_run_report},
};

/* Runs one pass whose needs are met, and drops what a failed pass left. */
static fxc_status run(struct fxc_analysis *analysis, uint32_t fact, fxc_error *err) {
    if ((fxc_passes[fact].options & FXC_OPTION_SYMBOLS) != 0) {
        FXC_TRY(fxc_check_constraints(analysis, err));
    }
    fxc_status status = fxc_passes[fact].run(analysis, err);
    if (status == FXC_OK) {
        analysis->facts |= 1u << fact;
    } else {
        fxc_arena_free(&analysis->arena[fact]);
    }
    return status;
}

fxc_status fxc_require_facts(struct fxc_analysis *analysis, uint32_t facts, fxc_error *err) {
    /* A pass needs only passes above it in the list, so one sweep down collects and one sweep up runs. */
    for (uint32_t fact = FXC_FACT_COUNT; fact-- > 0;) {
        if ((facts >> fact & 1u) != 0 && (analysis->facts >> fact & 1u) == 0) {
            facts |= fxc_passes[fact].needs;
        }
    }
    for (uint32_t fact = 0; fact < FXC_FACT_COUNT; fact++) {
        if ((facts >> fact & 1u) != 0 && (analysis->facts >> fact & 1u) == 0) {
            FXC_TRY(run(analysis, fact, err));
        }
    }
    return FXC_OK;
}

void fxc_drop_facts(struct fxc_analysis *analysis, uint32_t options) {
    uint32_t dropped = 0;
    for (uint32_t fact = 0; fact < FXC_FACT_COUNT; fact++) {
        if ((fxc_passes[fact].options & options) != 0 || (fxc_passes[fact].needs & dropped) != 0) {
            dropped |= 1u << fact;
            fxc_arena_free(&analysis->arena[fact]);
        }
    }
    analysis->facts &= ~dropped;
}

fxc_status fxc_require(fxc_analysis *analysis, const char *fact, fxc_error *err) {
    for (uint32_t i = 0; i < FXC_FACT_COUNT; i++) {
        if (strcmp(fxc_passes[i].name, fact) == 0) {
            return fxc_require_facts(analysis, 1u << i, err);
        }
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "fxc_require");
    fxc_expected(err, "the name of a pass, as listed by: fxcost passes");
    fxc_found(err, "'%s'", fact);
    return status;
}

fxc_status fxc_pass_get(uint32_t index, fxc_pass_info *out, fxc_error *err) {
    if (index >= FXC_FACT_COUNT || out->struct_size < sizeof *out) {
        return fxc_fail(err, FXC_USAGE, "fxc_pass_get: no pass %u", index);
    }
    const struct fxc_pass *pass = &fxc_passes[index];
    *out = (fxc_pass_info){out->struct_size, pass->name, pass->summary, pass->needs, pass->options};
    return FXC_OK;
}
