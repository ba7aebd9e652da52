/* fxcost explain MODEL A B: why two nodes are or are not one kernel. */
#include "cli/cli.h"
#include "fxcost/fusion.h"

static fxc_status explain(const struct cli_options *options, fxc_analysis *analysis, fxc_error *err) {
    fxc_explanation explanation = {.struct_size = sizeof explanation};
    struct cli_output output;
    CLI_TRY(fxc_fusion_explain(analysis, options->more[0], options->more[1], &explanation, err));
    CLI_TRY(cli_output_open(&output, options->output, err));
    (void)fputs(explanation.text, output.stream);
    return cli_output_close(&output, FXC_OK, err);
}

fxc_status cli_explain(struct cli_options *options, fxc_error *err) {
    fxc_program *program;
    fxc_analysis *analysis = NULL;
    if (options->more_count != 2) {
        return cli_fail(err, FXC_USAGE,
                        "fxcost explain\n  expected: a model and two names of nodes\n  see: fxcost --help");
    }
    options->profile = options->profile == NULL ? "inductor-cpu" : options->profile;
    CLI_TRY(cli_open(options, &program, err));
    fxc_status status = fxc_analysis_new(program, &analysis, err);
    if (status == FXC_OK) {
        status = cli_set_options(options, analysis, err);
    }
    if (status == FXC_OK) {
        status = explain(options, analysis, err);
    }
    fxc_analysis_free(analysis);
    fxc_program_free(program);
    return status;
}
