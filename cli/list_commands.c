/* Commands that list what the library knows: ops, passes. */
#include <string.h>

#include "cli/cli.h"
#include "fxcost/fusion.h"

bool cli_wants_markdown(const struct cli_options *options) {
    return options->render.format != NULL && strcmp(options->render.format, "md") == 0;
}

fxc_status cli_check_list_format(struct cli_options *options, fxc_error *err) {
    if (options->render.format == NULL || cli_wants_markdown(options)) {
        return FXC_OK;
    }
    return cli_fail(err, FXC_USAGE, "option --format\n  expected: md, or nothing, for a list\n  found: another format");
}

/* '|' ends a cell in Markdown, so it is escaped. */
static void put_markdown(FILE *stream, const char *text) {
    for (; *text != '\0'; text++) {
        (void)fputs(*text == '|' ? "\\|" : (char[]){*text, '\0'}, stream);
    }
}

static void put_op(FILE *stream, const fxc_op_info *op, bool markdown) {
    if (!markdown) {
        (void)fprintf(stream, "%-44s %-12s %-24s %s\n", op->name, op->fuse, op->flop_rule, op->doc);
        return;
    }
    (void)fprintf(stream, "| `%s` | `", op->name);
    put_markdown(stream, op->schema);
    (void)fprintf(stream, "` | %s | %s | %s | %s | %s | ", op->shape_rule, op->flop_rule, op->fuse, op->touch,
                  op->eager[0] == '\0' ? "itself" : op->eager);
    put_markdown(stream, op->doc);
    (void)fputs(" |\n", stream);
}

fxc_status cli_ops(struct cli_options *options, fxc_error *err) {
    fxc_op_info op = {.struct_size = sizeof op};
    struct cli_output output;
    bool found = false;
    fxc_status status = cli_check_list_format(options, err);
    if (status == FXC_OK) {
        status = cli_output_open(&output, options->output, err);
    }
    if (status != FXC_OK) {
        return status;
    }
    if (cli_wants_markdown(options)) {
        (void)fputs("| operator | schema | shape rule | FLOP rule | fuses as | memory | eager runs | convention |\n"
                    "|---|---|---|---|---|---|---|---|\n",
                    output.stream);
    }
    for (uint32_t i = 0; fxc_op_get(i, &op, NULL) == FXC_OK; i++) {
        if (options->operand == NULL || strstr(op.name, options->operand) != NULL) {
            put_op(output.stream, &op, cli_wants_markdown(options));
            found = true;
        }
    }
    if (!found) {
        char message[400];
        (void)snprintf(
            message, sizeof message,
            "fxcost ops\n  expected: part of an operator's name, such as aten.add\n  found: '%.200s', in no row",
            options->operand == NULL ? "" : options->operand);
        status = cli_fail(err, FXC_USAGE, message);
    }
    return cli_output_close(&output, status, err);
}

/* Names of the set bits, comma-separated; the name of bit i is given by `name`. */
static void put_bits(FILE *stream, uint32_t bits, const char *(*name)(uint32_t)) {
    const char *separator = "";
    for (uint32_t i = 0; i < 32; i++) {
        if ((bits >> i & 1u) != 0) {
            (void)fprintf(stream, "%s%s", separator, name(i));
            separator = ", ";
        }
    }
}

static const char *pass_name(uint32_t index) {
    fxc_pass_info pass = {.struct_size = sizeof pass};
    return fxc_pass_get(index, &pass, NULL) == FXC_OK ? pass.name : "?";
}

static const char *option_name(uint32_t index) {
    const char *text = fxc_enum_text("option", index);
    return text == NULL ? "?" : text;
}

static void put_pass(FILE *stream, const fxc_pass_info *pass, bool markdown) {
    (void)fprintf(stream, markdown ? "| `%s` | %s | " : "%-8s %s\n", pass->name, pass->summary);
    if (markdown || pass->needs != 0) {
        (void)fputs(markdown ? "" : "         needs ", stream);
        put_bits(stream, pass->needs, pass_name);
        (void)fputs(markdown ? " | " : "\n", stream);
    }
    if (markdown || pass->options != 0) {
        (void)fputs(markdown ? "" : "         depends on option ", stream);
        put_bits(stream, pass->options, option_name);
        (void)fputs(markdown ? " |\n" : "\n", stream);
    }
}

fxc_status cli_passes(struct cli_options *options, fxc_error *err) {
    fxc_pass_info pass = {.struct_size = sizeof pass};
    fxc_status status = cli_check_list_format(options, err);
    if (status != FXC_OK) {
        return status;
    }
    if (cli_wants_markdown(options)) {
        (void)fputs("| pass | what it does | needs | depends on option |\n|---|---|---|---|\n", stdout);
    }
    for (uint32_t i = 0; fxc_pass_get(i, &pass, NULL) == FXC_OK; i++) {
        put_pass(stdout, &pass, cli_wants_markdown(options));
    }
    return FXC_OK;
}

/* One profile, by name or from a file, as a profile file. */
static fxc_status print_profile(const struct cli_options *options, fxc_error *err) {
    const char *name = options->operand;
    fxc_profile *own = NULL;
    struct cli_output output;
    if (fxc_profile_is_path(name)) {
        fxc_status status = fxc_profile_open(name, &own, err);
        if (status != FXC_OK) {
            return status;
        }
    }
    const fxc_profile *profile = own != NULL ? own : fxc_profile_find(name);
    if (profile == NULL) {
        char message[200];
        (void)snprintf(message, sizeof message,
                       "fxcost profiles\n  expected: a name that this lists, or a profile file: fxcost profiles\n"
                       "  found: '%.80s'",
                       name);
        return cli_fail(err, FXC_USAGE, message);
    }
    fxc_status status = cli_output_open(&output, options->output, err);
    if (status == FXC_OK) {
        status = fxc_profile_print(profile, cli_write, &output, err);
        status = cli_output_close(&output, status, err);
    }
    fxc_profile_free(own);
    return status;
}

fxc_status cli_profiles(struct cli_options *options, fxc_error *err) {
    fxc_profile_info profile = {.struct_size = sizeof profile};
    fxc_status status = cli_check_list_format(options, err);
    if (status != FXC_OK || options->operand != NULL) {
        return status == FXC_OK ? print_profile(options, err) : status;
    }
    bool markdown = cli_wants_markdown(options);
    if (markdown) {
        (void)fputs("| profile | what runs as one kernel | from |\n|---|---|---|\n", stdout);
    }
    for (uint32_t i = 0; fxc_profile_get(i, &profile, NULL) == FXC_OK; i++) {
        if (markdown) {
            (void)printf("| `%s` | %s | %s |\n", profile.name, profile.summary, profile.source);
        } else {
            (void)printf("%-22s %s\n%-22s from %s\n", profile.name, profile.summary, "", profile.source);
        }
    }
    return FXC_OK;
}
