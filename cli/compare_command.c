/* --compare NAME,NAME,...: what several tools say, side by side; and fxcost check, which runs one of them. */
#include <string.h>

#include "cli/cli.h"
#include "fxcost/convention.h"

enum { MOST_TOOLS = 16, NAME_SIZE = 64 };

/* An analysis under each name of a comma-separated list. */
static fxc_status prepare(const struct cli_options *options, const fxc_program *program, fxc_analysis **analyses,
                          size_t *count, fxc_error *err) {
    const char *at = options->compare;
    while (*at != '\0') {
        char name[NAME_SIZE];
        size_t length = strcspn(at, ",");
        if (length >= sizeof name || *count == MOST_TOOLS) {
            return cli_fail(err, FXC_USAGE,
                            "option --compare\n  expected: names of at most 16 conventions, separated by commas");
        }
        memcpy(name, at, length);
        name[length] = '\0';
        fxc_status status = fxc_analysis_new(program, &analyses[*count], err);
        if (status != FXC_OK) {
            return status;
        }
        *count += 1;
        status = cli_set_options(options, analyses[*count - 1], err);
        if (status == FXC_OK) {
            status = fxc_analysis_set(analyses[*count - 1], "convention", name, err);
        }
        if (status != FXC_OK) {
            return status;
        }
        at += length + (at[length] == ',');
    }
    return FXC_OK;
}

fxc_status cli_compare(struct cli_options *options, fxc_error *err) {
    fxc_program *program;
    fxc_analysis *analyses[MOST_TOOLS];
    struct cli_output output;
    size_t count = 0;
    fxc_status status = cli_open(options, &program, err);
    if (status != FXC_OK) {
        return status;
    }
    status = prepare(options, program, analyses, &count, err);
    if (status == FXC_OK) {
        status = cli_output_open(&output, options->output, err);
        if (status == FXC_OK) {
            status = fxc_compare_render(analyses, count, &options->render, cli_write, &output, err);
            status = cli_output_close(&output, status, err);
        }
    }
    for (size_t i = 0; i < count; i++) {
        fxc_analysis_free(analyses[i]);
    }
    fxc_program_free(program);
    return status;
}
