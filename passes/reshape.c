/* reshape: the walk. See passes/reshape/reshape.h. */
#include "passes/reshape/reshape.h"

#include "passes/resolve/resolve.h"

/* What one node of the source becomes. Nodes of a recorded program become themselves: they were copied, and what they
 * compute is derived. */
static fxc_status step(struct fxc_reshape *r, uint32_t node, fxc_error *err) {
    FXC_TRY(fxc_reshape_baked(r, node, err));
    FXC_TRY(fxc_reshape_calls(r, node, err));
    return fxc_reshape_derive(r, node, err);
}

fxc_status fxc_reshape_walk_graph(struct fxc_reshape *r, uint32_t graph, fxc_error *err) {
    const struct fxc_program *p = r->source;
    r->walked[graph] = true;
    for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
        FXC_TRY(step(r, node, err));
        if (r->builder.failed) {
            return fxc_fail_memory(err, p->file);
        }
    }
    return FXC_OK;
}

/* The captured graph, and with it those that it calls; then what nothing calls or reads, as it was. */
static fxc_status walk(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err) {
    const struct fxc_program *p = r->source;
    if (fxc_is_symbolic(p)) {
        return fxc_resolve(r, options, err);
    }
    FXC_TRY(fxc_reshape_start(r, err));
    FXC_TRY(fxc_reshape_inputs(r, options, err));
    FXC_TRY(fxc_reshape_walk_graph(r, 0, err));
    for (uint32_t value = 0; value < FXC_COUNT(p, value); value++) {
        if (!r->settled[value]) {
            fxc_reshape_adopt(r, value);
        }
    }
    return FXC_OK;
}

/* The recording at the sizes that the inputs imply. */
static fxc_status record(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err) {
    FXC_TRY(fxc_analysis_new(r->source, &r->recorded, err));
    FXC_TRY(fxc_require_facts(r->recorded, FXC_FACT_BIT(verify), err));
    if (!fxc_is_symbolic(r->source)) {
        FXC_TRY(fxc_reshape_bind(r->recorded, options, err));
    }
    return fxc_require_facts(r->recorded, FXC_FACT_BIT(shapes), err);
}

fxc_status fxc_program_reshape(const fxc_program *program, const fxc_reshape_options *options, fxc_program **out,
                               fxc_error *err) {
    struct fxc_reshape r = {.source = program};
    *out = NULL;
    if (options->struct_size < sizeof *options) {
        return fxc_fail(err, FXC_USAGE, "fxc_program_reshape: struct_size is smaller than this version's structure");
    }
    fxc_status status = record(&r, options, err);
    if (status == FXC_OK) {
        status = walk(&r, options, err);
    }
    if (status == FXC_OK) {
        fxc_reshape_describe(&r);
        status = fxc_reshape_finish(&r, out, err);
    }
    fxc_reshape_free(&r);
    return status;
}
