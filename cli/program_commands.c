/* Commands over one program: report, print, verify. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"

static fxc_status set(fxc_analysis *analysis, const char *option, const char *value, fxc_error *err) {
    return value == NULL ? FXC_OK : fxc_analysis_set(analysis, option, value, err);
}

/* NAME=VALUE pairs as options KIND.NAME. */
static fxc_status set_pairs(fxc_analysis *analysis, const char *kind, const char *const *pairs, int count,
                            fxc_error *err) {
    fxc_status status = FXC_OK;
    for (int i = 0; i < count && status == FXC_OK; i++) {
        char option[160];
        const char *equals = strchr(pairs[i], '=');
        if (snprintf(option, sizeof option, "%s.%.*s", kind, (int)(equals - pairs[i]), pairs[i]) >=
            (int)sizeof option) {
            return cli_fail(err, FXC_USAGE, "command line: the name before '=' is too long");
        }
        status = fxc_analysis_set(analysis, option, equals + 1, err);
    }
    return status;
}

static fxc_status set_options(const struct cli_options *options, fxc_analysis *analysis, fxc_error *err) {
    fxc_status status = set(analysis, "convention", options->convention, err);
    if (status == FXC_OK) {
        status = set(analysis, "profile", options->profile, err);
    }
    if (status == FXC_OK) {
        status = set(analysis, "device", options->device, err);
    }
    if (status == FXC_OK) {
        status = set_pairs(analysis, "dim", options->dims, options->dim_count, err);
    }
    if (status == FXC_OK) {
        status = set_pairs(analysis, "probability", options->probabilities, options->probability_count, err);
    }
    return status;
}

/* FXC_UNKNOWN_OPS when the report is complete but for operators without a formula. */
static fxc_status check_unknown(fxc_analysis *analysis, fxc_error *err) {
    fxc_totals totals = {.struct_size = sizeof totals};
    fxc_status status = fxc_analysis_totals(analysis, &totals, err);
    if (status == FXC_OK && totals.unknown_nodes > 0) {
        char message[160];
        (void)snprintf(message, sizeof message, "%" PRId64 " nodes have no formula, and --fail-on-unknown was given",
                       totals.unknown_nodes);
        return cli_fail(err, FXC_UNKNOWN_OPS, message);
    }
    return status;
}

static fxc_status render(const struct cli_options *options, fxc_analysis *analysis, fxc_error *err) {
    struct cli_output output;
    fxc_status status = cli_output_open(&output, options->output, err);
    if (status != FXC_OK) {
        return status;
    }
    status = fxc_analysis_render(analysis, &options->render, cli_write, &output, err);
    if (status == FXC_OK && options->fail_on_unknown) {
        status = check_unknown(analysis, err);
    }
    return cli_output_close(&output, status, err);
}

fxc_status cli_report(struct cli_options *options, fxc_error *err) {
    fxc_program *program;
    fxc_analysis *analysis = NULL;
    fxc_status status = cli_open(options, &program, err);
    if (status != FXC_OK) {
        return status;
    }
    status = fxc_analysis_new(program, &analysis, err);
    if (status == FXC_OK) {
        status = set_options(options, analysis, err);
    }
    if (status == FXC_OK) {
        status = render(options, analysis, err);
    }
    fxc_analysis_free(analysis);
    fxc_program_free(program);
    return status;
}

fxc_status cli_print(struct cli_options *options, fxc_error *err) {
    fxc_program *program;
    struct cli_output output;
    fxc_status status = cli_open(options, &program, err);
    if (status != FXC_OK) {
        return status;
    }
    status = cli_output_open(&output, options->output, err);
    if (status == FXC_OK) {
        status = fxc_program_print(program, cli_write, &output, err);
        status = cli_output_close(&output, status, err);
    }
    fxc_program_free(program);
    return status;
}

/* Verifies a program and prints one line about it. */
static fxc_status describe(const fxc_program *program, fxc_error *err) {
    fxc_analysis *analysis;
    fxc_program_info info = {.struct_size = sizeof info};
    fxc_status status = fxc_analysis_new(program, &analysis, err);
    if (status != FXC_OK) {
        return status;
    }
    status = fxc_require(analysis, "verify", err);
    if (status == FXC_OK) {
        status = fxc_program_get_info(program, &info, err);
    }
    if (status == FXC_OK) {
        (void)printf("%s: format %u.%u, %u nodes, %u values, %u graphs, %u modules, %u operators: ok\n", info.file,
                     info.format_major, info.format_minor, info.nodes, info.values, info.graphs, info.modules,
                     info.ops);
    }
    fxc_analysis_free(analysis);
    return status;
}

fxc_status cli_describe(const char *path, fxc_error *err) {
    fxc_program *program;
    fxc_status status = fxc_program_open(path, &program, err);
    if (status == FXC_OK) {
        status = describe(program, err);
        fxc_program_free(program);
    }
    return status;
}

/* verify --against-recorded, under the sizes of --dim. */
static fxc_status compare(const struct cli_options *options, const fxc_program *program, fxc_error *err) {
    fxc_analysis *analysis;
    struct cli_output output;
    fxc_status status = fxc_analysis_new(program, &analysis, err);
    if (status != FXC_OK) {
        return status;
    }
    status = set_options(options, analysis, err);
    if (status == FXC_OK) {
        status = cli_output_open(&output, options->output, err);
    }
    if (status == FXC_OK) {
        status = cli_against_recorded(program, analysis, options->operand, output.stream, err);
        status = cli_output_close(&output, status, err);
    }
    fxc_analysis_free(analysis);
    return status;
}

fxc_status cli_verify(struct cli_options *options, fxc_error *err) {
    fxc_program *program;
    fxc_status status = cli_open(options, &program, err);
    if (status == FXC_OK) {
        status = options->against_recorded ? compare(options, program, err) : describe(program, err);
        fxc_program_free(program);
    }
    return status;
}
