/* Commands over one program: report, print, verify. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"

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
    if (options->compare != NULL) {
        return cli_compare(options, err);
    }
    fxc_program *program;
    fxc_analysis *analysis = NULL;
    fxc_status status = cli_open(options, &program, err);
    if (status != FXC_OK) {
        return status;
    }
    status = fxc_analysis_new(program, &analysis, err);
    if (status == FXC_OK) {
        status = cli_set_options(options, analysis, err);
    }
    if (status == FXC_OK) {
        status = options->fits != NULL ? cli_fits(options, program, analysis, err) : render(options, analysis, err);
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
    status = cli_set_options(options, analysis, err);
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
