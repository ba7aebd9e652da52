/* The fxcost program. Capturing a model is the one thing for which it calls Python (cli/capture_command.c). */
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *name;
    fxc_status (*run)(struct cli_options *options, fxc_error *err);
} commands[] = {
    {"report", cli_report},           {"capture", cli_capture},     {"print", cli_print},
    {"verify", cli_verify},           {"sweep", cli_sweep},         {"formula", cli_formula},
    {"explain", cli_explain},         {"diff", cli_diff},           {"ops", cli_ops},
    {"passes", cli_passes},           {"devices", cli_devices},     {"profiles", cli_profiles},
    {"conventions", cli_conventions}, {"check", cli_check},         {"stubs", cli_stubs},
    {"measure", cli_measure},         {"calibrate", cli_calibrate}, {"annotate", cli_annotate},
    {"partition", cli_partition},
};

static fxc_status run(struct cli_options *options, fxc_error *err) {
    if (options->help) {
        cli_print_help(stdout);
        return FXC_OK;
    }
    if (options->version) {
        (void)printf("fxcost %s\n", fxc_version());
        return FXC_OK;
    }
    bool host = options->device != NULL && strcmp(options->device, "host") == 0;
    CLI_TRY(host ? cli_name_host(options, err) : FXC_OK);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, options->command) == 0) {
            return commands[i].run(options, err);
        }
    }
    return FXC_INTERNAL;
}

int main(int argc, char **argv) {
    fxc_error err = FXC_ERROR_INIT;
    struct cli_options options;
    fxc_status status = cli_parse(argc, argv, &options, &err);
    if (status == FXC_OK) {
        status = run(&options, &err);
    }
    fxc_program_free(options.beside);
    if (status != FXC_OK) {
        if (!options.reported) {
            (void)fprintf(stderr, "fxcost: %s\n",
                          err.message[0] == '\0' ? fxc_status_text((int32_t)status) : err.message);
        }
    }
    return (int)status;
}
