/* fxcost formula MODEL: what a model costs, as exact formulas in its dynamic dimensions. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "fxcost/formula.h"

static const char *const quantities[] = {
#define X(name) #name,
    FXC_QUANTITY_LIST(X)
#undef X
};
enum { QUANTITIES = sizeof quantities / sizeof quantities[0] };

static void put_json_string(FILE *out, const char *text) {
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20) {
            (void)fprintf(out, "\\u%04x", c);
        } else {
            (void)fprintf(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
        }
    }
    (void)fputc('"', out);
}

static const char *kind_text(uint8_t kind) {
    return kind == FXC_FORMULA_POLYNOMIAL ? "polynomial" : kind == FXC_FORMULA_PIECEWISE ? "piecewise" : "none";
}

static void put_json(FILE *out, const fxc_formula *formula, const fxc_formula_info *info, bool first) {
    (void)fprintf(out, "%s\n{\"quantity\": \"%s\", \"kind\": \"%s\", \"formula\": ", first ? "" : ",", info->quantity,
                  kind_text(info->kind));
    if (info->kind == FXC_FORMULA_NONE) {
        (void)fputs("null", out);
    } else {
        put_json_string(out, info->text);
    }
    (void)fputs(", \"domain\": ", out);
    put_json_string(out, info->domain);
    (void)fputs(", \"steps\": [", out);
    for (uint32_t i = 0; i < info->steps; i++) {
        (void)fputs(i == 0 ? "" : ", ", out);
        put_json_string(out, fxc_formula_step(formula, i));
    }
    (void)fprintf(out,
                  "], \"solved_at\": %" PRIu32 ", \"verified_at\": %" PRIu32 ", \"refused_at\": %" PRIu32
                  ", \"unknown_nodes\": %" PRId64 "}",
                  info->solved_at, info->verified_at, info->refused_at, info->unknown_nodes);
}

static void put_text(FILE *out, const fxc_formula *formula, const fxc_formula_info *info) {
    if (info->kind == FXC_FORMULA_NONE) {
        (void)fprintf(out, "%-15s  no polynomial, with or without steps: no formula\n", info->quantity);
        return;
    }
    (void)fprintf(out, "%-15s  %s\n", info->quantity, info->text);
    if (info->domain[0] != '\0') {
        (void)fprintf(out, "                 for %s\n", info->domain);
    }
    for (uint32_t i = 0; i < info->steps; i++) {
        (void)fprintf(out, "%s%s", i == 0 ? "                 piecewise, with steps at " : ", ",
                      fxc_formula_step(formula, i));
    }
    (void)fputs(info->steps == 0 ? "" : "\n", out);
    if (info->refused_at > 0) {
        (void)fprintf(out, "                 the program contradicts itself at %" PRIu32 " points in its ranges\n",
                      info->refused_at);
    }
}

static fxc_status put_one(FILE *out, const fxc_program *program, const fxc_program *step, const char *quantity,
                          bool json, bool first, int64_t *unknown, fxc_error *err) {
    fxc_formula *formula;
    fxc_formula_info info = {.struct_size = sizeof info};
    fxc_status status = step == NULL
                            ? fxc_formula_new(program, quantity, &formula, err)
                            : fxc_formula_generation(program, "prompt", step, "cache", quantity, &formula, err);
    if (status != FXC_OK) {
        return status;
    }
    status = fxc_formula_get_info(formula, &info, err);
    if (status == FXC_OK) {
        *unknown = info.unknown_nodes;
        if (json) {
            put_json(out, formula, &info, first);
        } else {
            put_text(out, formula, &info);
        }
    }
    fxc_formula_free(formula);
    return status;
}

static fxc_status put_all(FILE *out, const struct cli_options *options, const fxc_program *program, bool json,
                          fxc_error *err) {
    int64_t unknown = 0;
    if (options->generate && options->beside == NULL) {
        return cli_fail(err, FXC_USAGE,
                        "fxcost formula --generate\n  expected: --decode-step FILE beside a first pass that is a file\n"
                        "  found: none");
    }
    if (json) {
        (void)fputs("{\"schema\": \"fxcost.formula\", \"version\": 1, \"formulas\": [", out);
    }
    for (size_t i = 0; i < QUANTITIES; i++) {
        const char *quantity = options->quantity == NULL ? quantities[i] : options->quantity;
        const fxc_program *step = options->generate ? options->beside : NULL;
        fxc_status status = put_one(out, program, step, quantity, json, i == 0, &unknown, err);
        if (status != FXC_OK) {
            return status;
        }
        if (options->quantity != NULL) {
            break;
        }
    }
    if (json) {
        (void)fputs("]}\n", out);
    } else if (unknown > 0) {
        (void)fprintf(out, "unknown          %" PRId64 " nodes without a formula of their own are in none of these\n",
                      unknown);
    }
    return FXC_OK;
}

fxc_status cli_formula(struct cli_options *options, fxc_error *err) {
    fxc_program *program = NULL;
    struct cli_output output;
    const char *format = options->render.format == NULL ? "text" : options->render.format;
    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
        return cli_fail(err, FXC_USAGE,
                        "option --format\n  expected: text or json for a formula\n  found: another format");
    }
    fxc_status status = cli_open(options, &program, err);
    if (status == FXC_OK) {
        status = cli_output_open(&output, options->output, err);
        if (status == FXC_OK) {
            status = put_all(output.stream, options, program, strcmp(format, "json") == 0, err);
            status = cli_output_close(&output, status, err);
        }
    }
    fxc_program_free(program);
    return status;
}
