/* Metrics of the user's own: their formulas, and what the public header reads of their sums. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "passes/custom/custom.h"
#include "passes/report/render.h"

/* A word, so that it can be a title and a field of JSON and CSV; none of the names that those have already. */
static bool is_name(const char *name) {
    static const char *const taken[] = {"flops",   "calls",      "params", "shape",        "shapes",
                                        "seconds", "module",     "class",  "node",         "op",
                                        "kernels", "bytes_read", "share",  "bytes_written"};
    size_t length = name == NULL ? 0 : strlen(name);
    bool good = length > 0 && length < FXC_METRIC_NAME_SIZE && isalpha((unsigned char)name[0]);
    for (size_t i = 0; good && i < length; i++) {
        good = isalnum((unsigned char)name[i]) || name[i] == '_';
    }
    for (size_t i = 0; good && i < sizeof taken / sizeof taken[0]; i++) {
        good = strcmp(name, taken[i]) != 0;
    }
    return good && fxc_custom_field(name, length) == SIZE_MAX;
}

fxc_status fxc_custom_metric(struct fxc_analysis *analysis, const char *name, struct fxc_custom **out, fxc_error *err) {
    if (!is_name(name)) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "the name of a metric");
        fxc_expected(err, "a letter, then letters, digits and '_', at most %d in all; no name of a column",
                     FXC_METRIC_NAME_SIZE - 1);
        fxc_found(err, "'%.60s'", name == NULL ? "" : name);
        return status;
    }
    if (analysis->metrics_of_user == NULL) {
        analysis->metrics_of_user = calloc(1, sizeof *analysis->metrics_of_user);
    }
    struct fxc_custom_metrics *metrics = analysis->metrics_of_user;
    if (metrics == NULL) {
        return fxc_fail_memory(err, "metrics");
    }
    uint32_t i = 0;
    while (i < metrics->count && strcmp(metrics->metric[i].name, name) != 0) {
        i++;
    }
    if (i == FXC_MAX_METRICS) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "metric %s", name);
        fxc_expected(err, "at most %d metrics", FXC_MAX_METRICS);
        return status;
    }
    if (i == metrics->count) {
        memcpy(metrics->metric[i].name, name, strlen(name) + 1);
        metrics->count++;
    }
    *out = &metrics->metric[i].formulas;
    fxc_drop_facts(analysis, FXC_OPTION_METRICS);
    return FXC_OK;
}

fxc_status fxc_analysis_add_metric(fxc_analysis *analysis, const fxc_metric_desc *desc, fxc_error *err) {
    struct fxc_custom *formulas;
    if (desc->struct_size < sizeof *desc || desc->measure == NULL) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_add_metric: %s",
                        desc->struct_size < sizeof *desc ? "struct_size is smaller than this version's structure"
                                                         : "measure is NULL");
    }
    FXC_TRY(fxc_custom_check_name("fxc_analysis_add_metric", desc->name, err));
    FXC_TRY(fxc_custom_metric(analysis, desc->metric, &formulas, err));
    struct fxc_custom_entry *entry =
        fxc_custom_add(formulas, desc->is_module ? FXC_CUSTOM_MODULE : FXC_CUSTOM_OP, desc->name);
    if (entry == NULL) {
        return fxc_fail_memory(err, "fxc_analysis_add_metric");
    }
    entry->measure = desc->measure;
    entry->context = desc->context;
    return FXC_OK;
}

const char *fxc_metric_name(const struct fxc_analysis *analysis, uint32_t index) {
    return analysis->metrics_of_user->metric[index].name;
}

/* ---- results ------------------------------------------------------------------------------------------------------
 */

static fxc_status check(fxc_analysis *analysis, uint32_t index, const fxc_metric_total *out, uint32_t facts,
                        fxc_error *err) {
    const struct fxc_custom_metrics *metrics = analysis->metrics_of_user;
    uint32_t count = metrics == NULL ? 0 : metrics->count;
    if (out->struct_size < sizeof *out || index >= count) {
        return fxc_fail(err, FXC_USAGE, "metric %u of %u, or a structure of another version", index, count);
    }
    return fxc_require_facts(analysis, facts, err);
}

fxc_status fxc_analysis_metric(fxc_analysis *analysis, uint32_t index, fxc_metric_total *out, fxc_error *err) {
    FXC_TRY(check(analysis, index, out, FXC_FACT_BIT(report), err));
    const struct fxc_metric_sum *sum = &analysis->report->metric[index];
    *out = (fxc_metric_total){out->struct_size, analysis->metrics_of_user->metric[index].name, sum->value, sum->nodes,
                              sum->unknown_nodes};
    return FXC_OK;
}

fxc_status fxc_analysis_node_metric(fxc_analysis *analysis, uint32_t index, uint32_t node, fxc_metric_total *out,
                                    fxc_error *err) {
    FXC_TRY(check(analysis, index, out, FXC_FACT_BIT(metrics), err));
    if (node >= FXC_COUNT(analysis->program, node)) {
        return fxc_fail(err, FXC_USAGE, "fxc_analysis_node_metric: node %u of %u", node,
                        FXC_COUNT(analysis->program, node));
    }
    uint8_t coverage = analysis->metrics->coverage[index][node];
    *out = (fxc_metric_total){out->struct_size, analysis->metrics_of_user->metric[index].name,
                              analysis->metrics->value[index][node], coverage == FXC_COVERAGE_COUNTED,
                              coverage == FXC_COVERAGE_UNKNOWN};
    return FXC_OK;
}
