/* fxcost conventions [NAME]: how other counters count. */
#include <string.h>

#include "cli/cli.h"
#include "fxcost/convention.h"

static bool is_markdown(const struct cli_options *options) {
    return options->render.format != NULL && strcmp(options->render.format, "md") == 0;
}

static void put_rows(FILE *out, uint32_t index, bool markdown) {
    fxc_convention_row_info row = {.struct_size = sizeof row};
    if (markdown) {
        (void)fputs("| sees | counts | after |\n|---|---|---|\n", out);
    }
    for (uint32_t i = 0; fxc_convention_get_row(index, i, &row, NULL) == FXC_OK; i++) {
        (void)fprintf(out, markdown ? "| %s `%s` | %s | `%s` |\n" : "%-8s  %-36s %s  (%s)\n", row.sight, row.name,
                      row.formula, row.source);
    }
}

static void put_convention(FILE *out, uint32_t index, const fxc_convention_info *info) {
    (void)fprintf(out, "\n## %s\n\n%s Follows %s; counts %ss%s by %s.\n", info->name, info->summary, info->tool,
                  info->unit, info->both ? " and MACs" : "", info->mark);
    if (info->rows > 0) {
        (void)fputs("\n", out);
        put_rows(out, index, true);
    }
}

static fxc_status put_all(FILE *out, const struct cli_options *options, fxc_error *err) {
    fxc_convention_info info = {.struct_size = sizeof info};
    bool found = false;
    for (uint32_t i = 0; fxc_convention_get(i, &info, NULL) == FXC_OK; i++) {
        if (options->operand != NULL && strcmp(options->operand, info.name) != 0) {
            continue;
        }
        found = true;
        if (is_markdown(options)) {
            put_convention(out, i, &info);
        } else {
            (void)fprintf(out, "%-21s %s\n", info.name, info.summary);
            (void)fprintf(out, "%-21s %s, %ss%s, %s\n", "", info.tool, info.unit, info.both ? " and MACs" : "",
                          info.mark);
            if (options->operand != NULL) {
                put_rows(out, i, false);
            }
        }
    }
    if (found) {
        return FXC_OK;
    }
    char message[400];
    (void)snprintf(message, sizeof message,
                   "fxcost conventions\n  expected: the name of a convention, or nothing for all\n  found: '%.200s'",
                   options->operand == NULL ? "" : options->operand);
    return cli_fail(err, FXC_USAGE, message);
}

fxc_status cli_conventions(struct cli_options *options, fxc_error *err) {
    struct cli_output output;
    if (options->render.format != NULL && !is_markdown(options)) {
        return cli_fail(err, FXC_USAGE,
                        "option --format\n  expected: md, or nothing, for a list\n  found: another format");
    }
    fxc_status status = cli_output_open(&output, options->output, err);
    if (status != FXC_OK) {
        return status;
    }
    return cli_output_close(&output, put_all(output.stream, options, err), err);
}
