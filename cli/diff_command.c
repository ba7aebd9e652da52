/* fxcost diff MODEL [OTHER] --fusion A[,B]: kernels under two profiles, or of two models, side by side. */
#include <string.h>

#include "cli/cli.h"
#include "fxcost/fusion.h"

enum { NAME_SIZE = 1024, SIDES = 2 };

struct side {
    char profile[NAME_SIZE];
    fxc_program *program; /* NULL: that of the first side */
    fxc_analysis *analysis;
};

/* The profiles of --fusion: one for both sides, or one for each; without it unfused nodes beside inductor-cpu, or
 * inductor-cpu of both models. */
static fxc_status name_profiles(const struct cli_options *options, struct side *side, fxc_error *err) {
    const char *list = options->profile != NULL  ? options->profile
                       : options->more_count > 0 ? "inductor-cpu"
                                                 : "none,inductor-cpu";
    const char *comma = strchr(list, ','), *second = comma == NULL ? list : comma + 1;
    size_t first = comma == NULL ? strlen(list) : (size_t)(comma - list);
    if (first >= NAME_SIZE || strlen(second) >= NAME_SIZE || strchr(second, ',') != NULL) {
        return cli_fail(err, FXC_USAGE, "option --fusion\n  expected: one profile, or two separated by a comma");
    }
    memcpy(side[0].profile, list, first);
    side[0].profile[first] = '\0';
    memcpy(side[1].profile, second, strlen(second) + 1);
    return FXC_OK;
}

/* Opens a side's model, lowered where one of the profiles is of a compiler, and its analysis. One model is opened twice
 * where it is lowered for two devices. */
static fxc_status open_side(const struct cli_options *options, struct side *side, uint32_t which, fxc_error *err) {
    struct cli_options own = *options;
    char device[SIDES][16];
    for (uint32_t i = 0; i < SIDES; i++) {
        cli_lowered_for(side[i].profile, device[i], sizeof device[i]);
    }
    bool other = which > 0 && device[0][0] != '\0' && device[1][0] != '\0' && strcmp(device[0], device[1]) != 0;
    own.profile = side[which > 0 || device[0][0] != '\0' ? which : 1].profile;
    if (which == 0 || options->more_count > 0 || other) {
        own.operand = which == 0 || options->more_count == 0 ? options->operand : options->more[0];
        CLI_TRY(cli_open(&own, &side[which].program, err));
        if (own.beside != options->beside) {
            fxc_program_free(own.beside);
        }
    }
    own.beside = NULL;
    own.profile = side[which].profile;
    CLI_TRY(fxc_analysis_new(side[which].program != NULL ? side[which].program : side[0].program, &side[which].analysis,
                             err));
    return cli_set_options(&own, side[which].analysis, err);
}

fxc_status cli_diff(struct cli_options *options, fxc_error *err) {
    struct side side[SIDES] = {0};
    struct cli_output output;
    fxc_status status = name_profiles(options, side, err);
    for (uint32_t i = 0; i < SIDES && status == FXC_OK; i++) {
        status = open_side(options, side, i, err);
    }
    if (status == FXC_OK) {
        status = cli_output_open(&output, options->output, err);
        if (status == FXC_OK) {
            status =
                fxc_fusion_diff_render(side[0].analysis, side[1].analysis, &options->render, cli_write, &output, err);
            status = cli_output_close(&output, status, err);
        }
    }
    for (uint32_t i = 0; i < SIDES; i++) {
        fxc_analysis_free(side[i].analysis);
    }
    for (uint32_t i = 0; i < SIDES; i++) {
        fxc_program_free(side[i].program);
    }
    return status;
}
