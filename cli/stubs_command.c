/* fxcost stubs MODEL: stubs of formulas for the operators that have none. */
#include "cli/cli.h"
#include "fxcost/op.h"

static fxc_status put(const struct cli_options *options, fxc_analysis *analysis, fxc_error *err) {
    struct cli_output output;
    fxc_status status = cli_output_open(&output, options->output, err);
    if (status == FXC_OK) {
        status = fxc_analysis_stubs(analysis, cli_write, &output, err);
        status = cli_output_close(&output, status, err);
    }
    return status;
}

fxc_status cli_stubs(struct cli_options *options, fxc_error *err) {
    fxc_program *program = NULL;
    fxc_analysis *analysis = NULL;
    fxc_status status = cli_open(options, &program, err);
    if (status == FXC_OK) {
        status = fxc_analysis_new(program, &analysis, err);
    }
    if (status == FXC_OK) {
        status = cli_set_options(options, analysis, err);
    }
    if (status == FXC_OK) {
        status = put(options, analysis, err);
    }
    fxc_analysis_free(analysis);
    fxc_program_free(program);
    return status;
}
