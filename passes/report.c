/* report: adds nodes up by module, operator and in total. */
#include "passes/loops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ops.h"
#include "passes/memory/memory.h"
#include "passes/optimizer.h"
#include "passes/tool/tool.h"

/* ---- sums -------------------------------------------------------------------------------------------------------- */

fxc_counts fxc_node_counts(const struct fxc_analysis *analysis, uint32_t node) {
    fxc_counts counts = analysis->flops->counts[node];
    counts.bytes_read = analysis->traffic->bytes_read[node];
    counts.bytes_written = analysis->traffic->bytes_written[node];
    counts.kernels = analysis->traffic->kernels[node];
    return counts;
}

enum fxc_phase fxc_node_phase(const struct fxc_program *program, uint32_t node) {
    uint16_t flags = program->node_flags[node];
    if ((flags & FXC_NODE_FLAG_OPTIMIZER) != 0) {
        return FXC_PHASE_OPTIMIZER;
    }
    if ((flags & FXC_NODE_FLAG_RECOMPUTED) != 0) {
        return FXC_PHASE_RECOMPUTE;
    }
    if ((flags & FXC_NODE_FLAG_GRADIENT_ACCUMULATION) != 0) {
        return FXC_PHASE_ACCUMULATION;
    }
    return (flags & FXC_NODE_FLAG_BACKWARD) != 0 ? FXC_PHASE_BACKWARD : FXC_PHASE_FORWARD;
}

/* Output elements of a node: of its tensor, or of the tensors in its list. */
static int64_t output_elements(const struct fxc_analysis *analysis, uint32_t node) {
    const struct fxc_program *p = analysis->program;
    const int64_t *numel = analysis->shapes->numel;
    uint32_t result = p->node_result[node];
    int64_t total = 0;
    if (p->value_kind[result] != FXC_KIND_LIST) {
        return numel[result] > 0 ? numel[result] : 0;
    }
    uint32_t list = (uint32_t)p->value_payload[result];
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_VALUE && numel[p->item_payload[i]] > 0) {
            /* Sizes were checked one by one; a saturated sum still gives a share of nearly one. */
            if (fxc_add(total, numel[p->item_payload[i]], &total)) {
                return INT64_MAX;
            }
        }
    }
    return total;
}

static bool scale_counts(fxc_counts *c, int64_t times, int64_t unit) {
    int64_t *const numbers[] = {&c->macs,    &c->matrix_flops, &c->vector_flops,  &c->transcendentals,
                                &c->int_ops, &c->bytes_read,   &c->bytes_written, &c->kernels};
    bool overflow = false;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        overflow |= fxc_scale(*numbers[i], times, unit, numbers[i]);
    }
    return overflow;
}

static bool add_counts(fxc_counts *a, const fxc_counts *b) {
    int64_t flops;
    bool overflow = fxc_add(a->macs, b->macs, &a->macs);
    overflow |= fxc_add(a->matrix_flops, b->matrix_flops, &a->matrix_flops);
    overflow |= fxc_add(a->vector_flops, b->vector_flops, &a->vector_flops);
    overflow |= fxc_add(a->matrix_flops, a->vector_flops, &flops);
    overflow |= fxc_add(a->transcendentals, b->transcendentals, &a->transcendentals);
    overflow |= fxc_add(a->int_ops, b->int_ops, &a->int_ops);
    overflow |= fxc_add(a->bytes_read, b->bytes_read, &a->bytes_read);
    overflow |= fxc_add(a->bytes_written, b->bytes_written, &a->bytes_written);
    overflow |= fxc_add(a->kernels, b->kernels, &a->kernels);
    return overflow;
}

struct fxc_sum fxc_sum_zero(const struct fxc_analysis *analysis) {
    double nothing = analysis->cost->seconds == NULL ? NAN : 0;
    return (struct fxc_sum){
        .seconds = nothing, .peak_seconds = nothing, .measured = analysis->measured->seconds == NULL ? NAN : 0};
}

bool fxc_sum_add(struct fxc_sum *a, const struct fxc_sum *b) {
    bool overflow = add_counts(&a->counts, &b->counts);
    overflow |= fxc_add(a->nodes, b->nodes, &a->nodes);
    overflow |= fxc_add(a->unknown_nodes, b->unknown_nodes, &a->unknown_nodes);
    overflow |= fxc_add(a->ignored_nodes, b->ignored_nodes, &a->ignored_nodes);
    overflow |= fxc_add(a->unknown_elements, b->unknown_elements, &a->unknown_elements);
    overflow |= fxc_add(a->activations, b->activations, &a->activations);
    overflow |= fxc_add(a->output_elements, b->output_elements, &a->output_elements);
    overflow |= fxc_add(a->tool, b->tool, &a->tool);
    overflow |= fxc_add(a->tool_macs, b->tool_macs, &a->tool_macs);
    a->seconds += b->seconds;
    a->measured += b->measured;
    a->seconds_error += b->seconds_error;
    a->peak_seconds += b->peak_seconds;
    for (uint32_t i = 0; i < 4; i++) {
        a->seconds_by_bound[i] += b->seconds_by_bound[i];
    }
    for (uint32_t i = 0; i < 5; i++) {
        a->seconds_by_source[i] += b->seconds_by_source[i];
    }
    for (uint32_t phase = 0; phase < FXC_PHASE_COUNT; phase++) {
        overflow |= fxc_add(a->phase_flops[phase], b->phase_flops[phase], &a->phase_flops[phase]);
    }
    overflow |= fxc_add(a->saved_bytes, b->saved_bytes, &a->saved_bytes);
    for (uint32_t i = 0; i < FXC_MAX_METRICS; i++) {
        overflow |= fxc_add(a->metric[i].value, b->metric[i].value, &a->metric[i].value);
        overflow |= fxc_add(a->metric[i].nodes, b->metric[i].nodes, &a->metric[i].nodes);
        overflow |= fxc_add(a->metric[i].unknown_nodes, b->metric[i].unknown_nodes, &a->metric[i].unknown_nodes);
    }
    a->peak_bytes = b->peak_bytes > a->peak_bytes ? b->peak_bytes : a->peak_bytes;
    return overflow;
}

static fxc_status fail_overflow(const struct fxc_analysis *analysis, uint32_t node, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, analysis->program, node);
    fxc_expected(err, "a sum that fits in 64 bits");
    return status;
}

void fxc_time_sum(const struct fxc_analysis *analysis, uint32_t node, double times, struct fxc_sum *out) {
    const struct fxc_cost *cost = analysis->cost;
    double seconds = cost->seconds[node] * times;
    out->seconds = seconds;
    if (fxc_node_phase(analysis->program, node) != FXC_PHASE_RECOMPUTE) {
        out->peak_seconds = cost->peak_seconds[node] * times;
    }
    out->seconds_by_bound[cost->bound[node]] = seconds;
    out->seconds_by_source[cost->source[node]] = seconds;
    out->seconds_error = isnan(cost->error[node]) ? 0 : seconds * cost->error[node];
}

/* What the metrics of the user's own say of all executions; true on overflow. */
static bool measure_node(const struct fxc_analysis *analysis, uint32_t node, int64_t times, int64_t unit,
                         struct fxc_sum *out) {
    bool overflow = false;
    for (uint32_t i = 0; i < analysis->metrics->count; i++) {
        struct fxc_metric_sum *sum = &out->metric[i];
        uint8_t coverage = analysis->metrics->coverage[i][node];
        overflow |= fxc_scale(analysis->metrics->value[i][node], times, unit, &sum->value);
        overflow |= coverage == FXC_COVERAGE_COUNTED && fxc_scale(1, times, unit, &sum->nodes);
        overflow |= coverage == FXC_COVERAGE_UNKNOWN && fxc_scale(1, times, unit, &sum->unknown_nodes);
    }
    return overflow;
}

fxc_status fxc_node_sum(const struct fxc_analysis *analysis, uint32_t node, uint32_t graph, struct fxc_sum *out,
                        fxc_error *err) {
    int64_t peak = analysis->memory->most[node] > 0 ? analysis->memory->most[node] : 0;
    if (analysis->loops != NULL && analysis->loops->varies[graph]) {
        *out = analysis->loops->sum[node];
        out->peak_bytes = peak;
        return FXC_OK;
    }
    int64_t times = analysis->tree->graph_times[graph], unit = analysis->tree->unit;
    uint8_t coverage = analysis->flops->coverage[node];
    int64_t elements = coverage == FXC_COVERAGE_ZERO ? 0 : output_elements(analysis, node);
    int64_t flops;
    bool unknown = coverage == FXC_COVERAGE_UNKNOWN;
    *out = fxc_sum_zero(analysis);
    out->peak_bytes = peak;
    if (coverage == FXC_COVERAGE_IGNORED) {
        return fxc_scale(1, times, unit, &out->ignored_nodes) ? fail_overflow(analysis, node, err) : FXC_OK;
    }
    out->counts = fxc_node_counts(analysis, node);
    if (analysis->cost->seconds != NULL) {
        fxc_time_sum(analysis, node, (double)times / (double)unit, out);
    }
    if (analysis->measured->seconds != NULL && graph == 0) {
        out->measured = analysis->measured->seconds[node]; /* with the graphs that it calls */
    }
    const struct fxc_tool *tool = analysis->tool;
    bool large = measure_node(analysis, node, times, unit, out) ||
                 (tool->count != NULL && (fxc_scale(tool->count[node], times, unit, &out->tool) ||
                                          fxc_scale(tool->macs[node], times, unit, &out->tool_macs)));
    if (large || scale_counts(&out->counts, times, unit) || fxc_scale(1, times, unit, &out->nodes) ||
        fxc_scale(elements, times, unit, &out->output_elements) ||
        fxc_add(out->counts.matrix_flops, out->counts.vector_flops, &flops) ||
        fxc_scale(analysis->saved->bytes[node], times, unit, &out->saved_bytes)) {
        return fail_overflow(analysis, node, err);
    }
    out->phase_flops[fxc_node_phase(analysis->program, node)] = flops;
    /* A branch that is hardly ever taken still counts as one unknown node, rather than none. */
    out->unknown_nodes = !unknown ? 0 : out->nodes > 0 ? out->nodes : 1;
    out->unknown_elements = unknown ? out->output_elements : 0;
    const struct fxc_op_row *row = fxc_node_row(analysis->program, node);
    bool forward = fxc_node_phase(analysis->program, node) == FXC_PHASE_FORWARD;
    out->activations = row != NULL && row->activation && forward ? out->output_elements : 0;
    return FXC_OK;
}

/* ---- the pass ---------------------------------------------------------------------------------------------------- */

static fxc_status allocate(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_report];
    struct fxc_report *report = FXC_NEW(arena, struct fxc_report, 1);
    if (report == NULL) {
        return fxc_fail_memory(err, "report");
    }
    report->module_self = FXC_NEW(arena, struct fxc_sum, FXC_COUNT(p, module));
    report->module_total = FXC_NEW(arena, struct fxc_sum, FXC_COUNT(p, module));
    report->module_params = FXC_NEW(arena, int64_t, FXC_COUNT(p, module));
    report->module_calls = FXC_NEW(arena, int64_t, FXC_COUNT(p, module));
    report->module_reached = FXC_NEW(arena, int64_t, FXC_COUNT(p, module));
    report->module_unhooked = FXC_NEW(arena, int64_t, FXC_COUNT(p, module));
    report->node_module = FXC_NEW(arena, uint32_t, FXC_COUNT(p, node));
    report->op = FXC_NEW(arena, struct fxc_sum, FXC_COUNT(p, op));
    report->unknown = FXC_NEW(arena, fxc_unknown_op, FXC_COUNT(p, op));
    if (report->module_self == NULL || report->module_total == NULL || report->module_params == NULL ||
        report->module_calls == NULL || report->module_reached == NULL || report->module_unhooked == NULL ||
        report->node_module == NULL || report->op == NULL || report->unknown == NULL) {
        return fxc_fail_memory(err, "report");
    }
    for (uint32_t m = 0; m < FXC_COUNT(p, module); m++) {
        report->module_self[m] = report->module_total[m] = fxc_sum_zero(analysis);
    }
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        report->op[op] = fxc_sum_zero(analysis);
    }
    analysis->report = report;
    return FXC_OK;
}

/* Module of a graph's nodes that carry no call of their own: that of the node that calls the graph, else the root. */
static uint32_t graph_module(const struct fxc_analysis *analysis, uint32_t graph) {
    uint32_t owner = analysis->tree->graph_owner[graph];
    return owner == FXC_NONE ? 0 : analysis->report->node_module[owner];
}

static void place_nodes(const struct fxc_analysis *analysis, uint32_t graph) {
    const struct fxc_program *p = analysis->program;
    uint32_t fallback = graph_module(analysis, graph);
    for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
        uint32_t call = p->node_call[node];
        analysis->report->node_module[node] = call == FXC_NONE ? fallback : p->call_module[call];
    }
}

static fxc_status add_graph(struct fxc_analysis *analysis, uint32_t graph, struct fxc_sum *all, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_report *report = analysis->report;
    for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
        struct fxc_sum sum;
        FXC_TRY(fxc_node_sum(analysis, node, graph, &sum, err));
        bool overflow = fxc_sum_add(&report->module_self[report->node_module[node]], &sum);
        overflow |= fxc_sum_add(&report->op[p->node_op[node]], &sum);
        if (fxc_sum_add(all, &sum) || overflow) {
            return fail_overflow(analysis, node, err);
        }
    }
    return FXC_OK;
}

struct fxc_sum fxc_optimizer_sum(const struct fxc_analysis *analysis, uint32_t param) {
    struct fxc_sum sum = fxc_sum_zero(analysis);
    sum.counts = analysis->optimizer->counts[param];
    sum.phase_flops[FXC_PHASE_OPTIMIZER] = fxc_flops_of(&sum.counts);
    if (analysis->cost->seconds != NULL) {
        sum.seconds = analysis->cost->step_seconds[param];
        sum.seconds_by_bound[analysis->cost->step_bound[param]] = sum.seconds;
        sum.seconds_by_source[analysis->cost->step_source[param]] = sum.seconds;
    }
    return sum;
}

static fxc_status add_optimizer(struct fxc_analysis *analysis, struct fxc_sum *all, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_report *report = analysis->report;
    for (uint32_t param = 0; param < FXC_COUNT(p, param); param++) {
        if (analysis->optimizer->updated[param]) {
            struct fxc_sum sum = fxc_optimizer_sum(analysis, param);
            bool overflow = fxc_sum_add(&report->module_self[p->param_module[param]], &sum);
            if (fxc_sum_add(all, &sum) || overflow) {
                fxc_status status = fxc_fail(err, FXC_OVERFLOW, "%s: %s", p->file, fxc_string(p, p->param_name[param]));
                fxc_expected(err, "a sum that fits in 64 bits");
                return status;
            }
        }
    }
    report->phased |= analysis->optimizer_row != NULL;
    return FXC_OK;
}

/* Children follow their parents in the table, so one sweep from the end carries every self sum to the root. */
static void add_up_modules(struct fxc_analysis *analysis) {
    const struct fxc_program *p = analysis->program;
    struct fxc_report *report = analysis->report;
    for (uint32_t i = 0; i < FXC_COUNT(p, param); i++) {
        if (analysis->params->first[i] && p->param_kind[i] == FXC_INPUT_KIND_PARAMETER) {
            report->module_params[p->param_module[i]] += analysis->params->numel[i];
        }
    }
    for (uint32_t call = 0; call < FXC_COUNT(p, call); call++) {
        report->module_calls[p->call_module[call]]++;
        report->module_unhooked[p->call_module[call]] += (p->call_flags[call] & FXC_CALL_FLAG_OWNER_VIEW) != 0;
    }
    for (uint32_t m = FXC_COUNT(p, module); m-- > 0;) {
        /* No overflow: each is a part of a sum that was checked as a whole. */
        (void)fxc_sum_add(&report->module_total[m], &report->module_self[m]);
        report->module_reached[m] += report->module_calls[m] + report->module_self[m].nodes;
        uint32_t parent = p->module_parent[m];
        if (parent != FXC_NONE) {
            report->module_reached[parent] += report->module_reached[m];
            (void)fxc_sum_add(&report->module_total[parent], &report->module_total[m]);
            report->module_params[parent] += report->module_params[m];
        }
    }
}

static int by_elements(const void *a, const void *b) {
    const fxc_unknown_op *x = a, *y = b;
    if (x->elements != y->elements) {
        return x->elements > y->elements ? -1 : 1;
    }
    return (x->op > y->op) - (x->op < y->op); /* both point into one string table: the file's order */
}

static void list_unknown(struct fxc_analysis *analysis) {
    const struct fxc_program *p = analysis->program;
    struct fxc_report *report = analysis->report;
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        if (report->op[op].unknown_nodes > 0) {
            report->unknown[report->unknown_count++] =
                (fxc_unknown_op){sizeof(fxc_unknown_op), fxc_string(p, p->op_name[op]), report->op[op].unknown_nodes,
                                 report->op[op].unknown_elements};
        }
    }
    qsort(report->unknown, report->unknown_count, sizeof *report->unknown, by_elements);
}

static bool is_phased(const struct fxc_program *p, uint32_t graph) {
    for (uint32_t node = p->graph_node_begin[graph]; node < p->graph_node_begin[graph + 1]; node++) {
        if (fxc_node_phase(p, node) != FXC_PHASE_FORWARD) {
            return true;
        }
    }
    return false;
}

/* The nodes of graph 0 and its bodies: those of another view of them lie behind. */
static uint32_t captured_nodes(const struct fxc_program *p) {
    for (uint32_t graph = 1; graph < FXC_COUNT(p, graph); graph++) {
        if (p->graph_view[graph] == FXC_VIEW_LOWERED) {
            return p->graph_node_begin[graph];
        }
    }
    return FXC_COUNT(p, node);
}

/* Where the sizes of tensors come from, lowered views left out. */
static void count_values(const struct fxc_analysis *analysis, fxc_totals *totals) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_shapes *shapes = analysis->shapes;
    uint32_t nodes = captured_nodes(p);
    for (uint32_t v = 0; v < FXC_COUNT(p, value); v++) {
        bool computed = p->value_producer[v] != FXC_NONE;
        if (computed && p->value_producer[v] >= nodes) {
            continue;
        }
        totals->unsized_values += shapes->numel[v] < 0;
        if (computed && shapes->source[v] != FXC_SHAPE_NOT_A_TENSOR) {
            totals->values++;
            totals->recorded_values += shapes->source[v] == FXC_SHAPE_RECORDED;
            totals->tagged_values += shapes->source[v] == FXC_SHAPE_TAGGED;
        }
    }
    totals->given_values = shapes->given_values;
    totals->contradicted_values = shapes->contradicted_values;
}

fxc_status fxc_run_report(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    FXC_TRY(allocate(analysis, err));
    struct fxc_sum all = fxc_sum_zero(analysis);
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        place_nodes(analysis, graph);
    }
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        if (analysis->tree->graph_times[graph] > 0) {
            FXC_TRY(add_graph(analysis, graph, &all, err));
            analysis->report->phased |= is_phased(p, graph);
        }
    }
    bool differentiated = analysis->report->phased;
    FXC_TRY(add_optimizer(analysis, &all, err));
    add_up_modules(analysis);
    list_unknown(analysis);
    analysis->report->totals = (fxc_totals){
        .struct_size = sizeof(fxc_totals),
        .counts = all.counts,
        .flops = fxc_flops_of(&all.counts),
        .params = analysis->params->params,
        .param_bytes = analysis->params->param_bytes,
        .buffers = analysis->params->buffers,
        .buffer_bytes = analysis->params->buffer_bytes,
        .nodes = all.nodes,
        .unknown_nodes = all.unknown_nodes,
        .ignored_nodes = all.ignored_nodes,
        .activations = all.activations,
        .unknown_elements = all.unknown_elements,
        .output_elements = all.output_elements,
        .seconds = all.seconds,
        .seconds_error = all.seconds_error,
        .peak_seconds = all.peak_seconds,
        .measured_seconds = analysis->measured_seconds > 0 ? analysis->measured_seconds : analysis->measured->whole,
        .trainable_params = analysis->params->trainable,
        .trainable_bytes = analysis->params->trainable_bytes,
        .active_params = analysis->params->active,
        .peak_bytes = analysis->memory->peak_bytes,
        .peak_node = analysis->memory->peak_node,
        .given_bytes = analysis->memory->given_bytes,
        .unsized_storages = analysis->memory->unsized,
        .untold_nodes = analysis->memory->untold,
    };
    analysis->report->measured = all.measured;
    memcpy(analysis->report->metric, all.metric, sizeof all.metric);
    memcpy(analysis->report->totals.seconds_by_bound, all.seconds_by_bound, sizeof all.seconds_by_bound);
    memcpy(analysis->report->totals.seconds_by_source, all.seconds_by_source, sizeof all.seconds_by_source);
    count_values(analysis, &analysis->report->totals);
    (void)fxc_program_capture(p, "samples", FXC_KIND_INT, &analysis->report->totals.samples);
    (void)fxc_program_capture(p, "tokens", FXC_KIND_INT, &analysis->report->totals.tokens);
    analysis->report->totals.saved_bytes = differentiated ? all.saved_bytes : -1;
    analysis->report->totals.saved_buffer_bytes = analysis->saved->buffer_bytes;
    analysis->report->totals.saved_input_bytes = analysis->saved->input_bytes;
    memcpy(analysis->report->totals.phase_flops, all.phase_flops, sizeof all.phase_flops);
    return FXC_OK;
}
