/* What the command line says of an analysis. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "fxcost/convention.h"
#include "fxcost/op.h"

static fxc_status set(fxc_analysis *analysis, const char *option, const char *value, fxc_error *err) {
    return value == NULL ? FXC_OK : fxc_analysis_set(analysis, option, value, err);
}

/* NAME=VALUE pairs as options KIND.NAME. */
static fxc_status set_pairs(fxc_analysis *analysis, const char *kind, const struct cli_list *pairs, fxc_error *err) {
    fxc_status status = FXC_OK;
    for (int i = 0; i < pairs->count && status == FXC_OK; i++) {
        char option[160];
        const char *equals = strchr(pairs->item[i], '=');
        if (snprintf(option, sizeof option, "%s.%.*s", kind, (int)(equals - pairs->item[i]), pairs->item[i]) >=
            (int)sizeof option) {
            return cli_fail(err, FXC_USAGE, "command line: the name before '=' is too long");
        }
        status = fxc_analysis_set(analysis, option, equals + 1, err);
    }
    return status;
}

static fxc_status add_formulas(fxc_analysis *analysis, const char *path, fxc_error *err) {
    char *text = NULL;
    size_t size = 0;
    fxc_status status = cli_read(path, &text, &size, err);
    if (status == FXC_OK) {
        status = fxc_analysis_add_formulas(analysis, text, size, path, err);
    }
    free(text);
    return status;
}

static fxc_status set_corrections(const struct cli_options *options, fxc_analysis *analysis, fxc_error *err) {
    fxc_status status = FXC_OK;
    for (int i = 0; i < options->formulas.count && status == FXC_OK; i++) {
        status = add_formulas(analysis, options->formulas.item[i], err);
    }
    for (int i = 0; i < options->ignored_ops.count && status == FXC_OK; i++) {
        status = fxc_analysis_ignore_op(analysis, options->ignored_ops.item[i], err);
    }
    for (int i = 0; i < options->ignored_modules.count && status == FXC_OK; i++) {
        status = fxc_analysis_ignore_module(analysis, options->ignored_modules.item[i], err);
    }
    for (int i = 0; i < options->scales.count && status == FXC_OK; i++) {
        char name[256];
        const char *equals = strchr(options->scales.item[i], '=');
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - options->scales.item[i]), options->scales.item[i]);
        status = fxc_analysis_scale_op(analysis, name, equals + 1, err);
    }
    return status;
}

fxc_status cli_set_options(const struct cli_options *options, fxc_analysis *analysis, fxc_error *err) {
    fxc_status status = set(analysis, "convention", options->convention, err);
    if (status == FXC_OK) {
        status = set(analysis, "profile", options->profile, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "backend", options->backend, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "device", options->host[0] != '\0' ? options->host : options->device, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "measured", options->measured, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "attention", options->attention, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "sequences", options->sequences, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "world_size", options->world_size, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "model_parallel", options->model_parallel, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "optimizer", options->optimizer, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "allocator", options->allocator, err);
    }
    if (status == FXC_OK) {
        status = set_pairs(analysis, "dim", &options->dims, err);
    }
    if (status == FXC_OK) {
        status = set_pairs(analysis, "probability", &options->probabilities, err);
    }
    if (status == FXC_OK && options->beside != NULL && !options->generate) {
        status = fxc_analysis_set_forward(analysis, options->beside, err);
    }
    return status == FXC_OK ? set_corrections(options, analysis, err) : status;
}
