/* verify --against-recorded: which shapes follow from a rule, and which rest on the recording. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* Result values of one operator. */
struct op_values {
    const char *op;
    uint32_t rule, recorded;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct op_values *)a)->op, ((const struct op_values *)b)->op);
}

/* Most values on the recording first, then most values by rule. */
static int by_trust(const void *a, const void *b) {
    const struct op_values *x = a, *y = b;
    if (x->recorded != y->recorded) {
        return x->recorded > y->recorded ? -1 : 1;
    }
    if (x->rule != y->rule) {
        return x->rule > y->rule ? -1 : 1;
    }
    return strcmp(x->op, y->op);
}

/* One row per tensor that a node computes. */
static fxc_status collect(const fxc_program *program, fxc_analysis *analysis, uint32_t values, struct op_values *rows,
                          uint32_t *count, fxc_error *err) {
    fxc_value_info info = {.struct_size = sizeof info};
    fxc_node_info node = {.struct_size = sizeof node};
    for (uint32_t value = 0; value < values; value++) {
        fxc_status status = fxc_analysis_value(analysis, value, &info, err);
        if (status == FXC_OK && info.source != FXC_SOURCE_NONE && info.source != FXC_SOURCE_INPUT) {
            status = fxc_program_get_node(program, info.producer, &node, err);
            rows[(*count)++] = (struct op_values){
                .op = node.op,
                .rule = info.source != FXC_SOURCE_RECORDED,
                .recorded = info.source == FXC_SOURCE_RECORDED,
            };
        }
        if (status != FXC_OK) {
            return status;
        }
    }
    return FXC_OK;
}

/* Adds up the rows of each operator, in place; returns how many are left. */
static uint32_t add_up(struct op_values *rows, uint32_t count) {
    uint32_t kept = 0;
    qsort(rows, count, sizeof *rows, by_name);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(rows[kept - 1].op, rows[i].op) != 0) {
            rows[kept++] = rows[i];
        } else {
            rows[kept - 1].rule += rows[i].rule;
            rows[kept - 1].recorded += rows[i].recorded;
        }
    }
    qsort(rows, kept, sizeof *rows, by_trust);
    return kept;
}

/* Every contradiction in a line of its own; returns how many, and keeps the first one's error. */
static uint32_t print_contradictions(fxc_analysis *analysis, uint32_t values, FILE *stream, fxc_error *first) {
    uint32_t count = 0;
    for (uint32_t value = 0; value < values; value++) {
        fxc_error err = FXC_ERROR_INIT;
        if (fxc_analysis_value_agrees(analysis, value, &err) != FXC_PROGRAM) {
            continue;
        }
        (void)fprintf(stream, "%s: expected %s, found %s\n", err.where, err.expected, err.found);
        if (count++ == 0) {
            *first = err;
        }
    }
    return count;
}

static void print_rows(const char *label, const struct op_values *rows, uint32_t count, uint32_t contradictions,
                       FILE *stream) {
    struct op_values all = {.op = ""};
    uint32_t without = 0;
    (void)fprintf(stream, "%8s %8s  operator\n", "by rule", "recorded");
    for (uint32_t i = 0; i < count; i++) {
        (void)fprintf(stream, "%8u %8u  %s\n", rows[i].rule, rows[i].recorded, rows[i].op);
        all.rule += rows[i].rule;
        all.recorded += rows[i].recorded;
        without += rows[i].recorded > 0;
    }
    (void)fprintf(stream, "%s: %u of %u values have a shape by rule, ", label, all.rule, all.rule + all.recorded);
    if (contradictions == 0) {
        (void)fputs("all as recorded; ", stream);
    } else {
        (void)fprintf(stream, "%u are recorded otherwise; ", contradictions);
    }
    if (all.recorded == 0) {
        (void)fputs("none rests on the recording\n", stream);
    } else {
        (void)fprintf(stream, "%u rest on the recording, of %u %s\n", all.recorded, without,
                      without == 1 ? "operator" : "operators");
    }
}

fxc_status cli_against_recorded(const fxc_program *program, fxc_analysis *analysis, const char *label, FILE *stream,
                                fxc_error *err) {
    fxc_program_info info = {.struct_size = sizeof info};
    fxc_status status = fxc_program_get_info(program, &info, err);
    if (status == FXC_OK) {
        status = fxc_analysis_set(analysis, "shapes", "listed", err);
    }
    if (status == FXC_OK) {
        status = fxc_require(analysis, "shapes", err);
    }
    if (status != FXC_OK) {
        return status;
    }
    uint32_t count = 0;
    struct op_values *rows = calloc((size_t)info.values + 1, sizeof *rows);
    if (rows == NULL) {
        return cli_fail(err, FXC_MEMORY, "verify: out of memory");
    }
    status = collect(program, analysis, info.values, rows, &count, err);
    if (status == FXC_OK) {
        uint32_t contradictions = print_contradictions(analysis, info.values, stream, err);
        print_rows(label, rows, add_up(rows, count), contradictions, stream);
        status = contradictions > 0 ? FXC_PROGRAM : FXC_OK;
    }
    free(rows);
    return status;
}
