/* fxcost partition MODEL --stages N --device NAME: stages of a pipeline. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "fxcost/partition.h"

static fxc_status fail_number(const char *option, const char *expected, const char *text, fxc_error *err) {
    char message[300];
    (void)snprintf(message, sizeof message, "option %s\n  expected: %s\n  found: '%.100s'", option, expected, text);
    return cli_fail(err, FXC_USAGE, message);
}

/* Bytes such as 24e9, or "none". */
static fxc_status read_memory(const char *text, int64_t *out, fxc_error *err) {
    char *end;
    if (text == NULL || strcmp(text, "none") == 0) {
        *out = text == NULL ? 0 : -1;
        return FXC_OK;
    }
    double bytes = strtod(text, &end);
    if (end == text || *end != '\0' || !(bytes >= 1 && bytes < 9e18)) {
        return fail_number("--stage-memory", "bytes of a stage, such as 24e9, or none", text, err);
    }
    *out = (int64_t)bytes;
    return FXC_OK;
}

static fxc_status read_slack(const char *text, double *out, fxc_error *err) {
    char *end;
    *out = text == NULL ? 0.01 : strtod(text, &end);
    if (text != NULL && (end == text || *end != '\0' || !(*out >= 0 && *out <= 1))) {
        return fail_number("--slack", "a part of the slowest stage from 0 to 1, such as 0.01", text, err);
    }
    return FXC_OK;
}

static fxc_status read_stages(const char *text, uint32_t *out, fxc_error *err) {
    char *end;
    errno = 0;
    unsigned long stages = text == NULL ? 0 : strtoul(text, &end, 10);
    if (text == NULL || end == text || *end != '\0' || strchr(text, '-') != NULL || errno != 0 || stages > UINT32_MAX) {
        return fail_number("--stages", "how many stages", text == NULL ? "" : text, err);
    }
    *out = (uint32_t)stages;
    return FXC_OK;
}

static fxc_status render(const struct cli_options *options, const fxc_partition *partition, fxc_error *err) {
    struct cli_output output;
    CLI_TRY(cli_output_open(&output, options->output, err));
    fxc_status status = fxc_partition_render(partition, &options->render, cli_write, &output, err);
    return cli_output_close(&output, status, err);
}

static fxc_status cut(const struct cli_options *options, const fxc_partition_options *limits,
                      const fxc_program *program, fxc_error *err) {
    fxc_analysis *analysis = NULL;
    fxc_partition *partition = NULL;
    fxc_status status = fxc_analysis_new(program, &analysis, err);
    if (status == FXC_OK) {
        status = cli_set_options(options, analysis, err);
    }
    if (status == FXC_OK) {
        status = fxc_partition_new(analysis, limits, &partition, err);
    }
    if (status == FXC_OK) {
        status = render(options, partition, err);
    }
    fxc_partition_free(partition);
    fxc_analysis_free(analysis);
    return status;
}

fxc_status cli_partition(struct cli_options *options, fxc_error *err) {
    fxc_program *program;
    fxc_partition_options limits = {.struct_size = sizeof limits};
    CLI_TRY(read_stages(options->stages, &limits.stages, err));
    CLI_TRY(read_memory(options->stage_memory, &limits.memory_bytes, err));
    CLI_TRY(read_slack(options->slack, &limits.slack, err));
    CLI_TRY(cli_open(options, &program, err));
    fxc_status status = cut(options, &limits, program, err);
    fxc_program_free(program);
    return status;
}
