/* Fuzzes the rules of the operator table: shapes, element types, strides and FLOPs of programs made from the bytes
 * (rule_program.c). What a rule tells must be a shape: no negative size, no negative stride, no negative count. The
 * sanitizers see the rest. */
#include <stdio.h>
#include <stdlib.h>

#include "ir/error.h"
#include "passes/shapes/tell.h"
#include "tests/fuzz/laws.h"
#include "tests/fuzz/rule_program.h"
#include "tests/fuzz/rule_reach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const struct fxc_rule *rule, const char *law) {
    (void)fprintf(stderr, "broken law: %s (%s)\n", law, fxc_node_op_name(rule->program, rule->node));
    abort();
}

/* What the node's rules tell of one result. */
static void tell(const struct fxc_rule *rule, uint32_t value, uint32_t index, struct rule_told *told) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    struct fxc_shape *out = &told->shape[value];
    fxc_error err = FXC_ERROR_INIT;
    fxc_tell_nothing(out, index);
    fxc_tell_dtype(rule, out);
    told->dtype[value] = out->dtype != FXC_DTYPE_OPAQUE;
    fxc_status status = fxc_tell_sizes(rule, out, &err);
    if (status == FXC_PROGRAM && laws_of_error(status, &err) != NULL) {
        broken(rule, laws_of_error(status, &err));
    }
    if (status != FXC_OK) {
        if (status != FXC_UNKNOWN_OPS && status != FXC_PROGRAM) {
            broken(rule, "neither told, unknown nor a contradiction");
        }
        return;
    }
    int64_t count = 1;
    bool overflow = false, empty = false;
    if (out->rank > FXC_MAX_RANK) {
        broken(rule, "a rank beyond the limit");
    }
    for (uint32_t dim = 0; dim < out->rank; dim++) {
        if (out->size[dim] < 0) {
            broken(rule, "a negative size");
        }
        empty = empty || out->size[dim] == 0;
        overflow = fxc_mul(count, out->size[dim], &count) || overflow;
    }
    fxc_tell_strides(rule, out);
    for (uint32_t dim = 0; out->strides_told && dim < out->rank; dim++) {
        if (out->stride[dim] < 0) {
            broken(rule, "a negative stride");
        }
    }
    /* More than 2^63 elements: the passes refuse such a description with FXC_OVERFLOW, so it is not recorded. */
    told->sizes[value] = !overflow || empty;
    told->strides[value] = out->strides_told;
    rule_reached(row, index, told->dtype[value], out->strides_told);
}

static void tell_node(const struct fxc_rule *rule, struct rule_told *told) {
    const struct fxc_program *p = rule->program;
    uint32_t result = p->node_result[rule->node];
    if (p->value_kind[result] == FXC_KIND_TENSOR) {
        tell(rule, result, 0, told);
    } else if (p->value_kind[result] == FXC_KIND_LIST) {
        uint32_t list = (uint32_t)p->value_payload[result], begin = p->list_begin[list];
        for (uint32_t i = begin; i < p->list_begin[list + 1]; i++) {
            tell(rule, (uint32_t)p->item_payload[i], i - begin, told);
        }
    }
}

/* Facts straight from the passes: the verifier would refuse most of these programs for sizes beyond their storage. */
static fxc_status analyse(fxc_analysis *analysis, uint32_t facts) {
    fxc_error err = FXC_ERROR_INIT;
    analysis->facts |= FXC_FACT_BIT(verify);
    fxc_status status = fxc_require_facts(analysis, facts, &err);
    if (status != FXC_OK) {
        const char *law = laws_of_error(status, &err);
        if (law != NULL) {
            (void)fprintf(stderr, "broken law: %s\n%s\n", law, err.message);
            abort();
        }
    }
    return status;
}

static void check_counts(fxc_analysis *analysis) {
    const struct fxc_program *p = analysis->program;
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        struct fxc_rule rule = {.program = p, .shapes = analysis->shapes, .node = node};
        const fxc_counts *counts = &analysis->flops->counts[node];
        if (analysis->flops->coverage[node] == FXC_COVERAGE_UNKNOWN) {
            continue;
        }
        if (counts->macs < 0 || counts->matrix_flops < 0 || counts->vector_flops < 0 || counts->transcendentals < 0 ||
            counts->int_ops < 0) {
            broken(&rule, "a negative count");
        }
        rule_counted(fxc_node_row(p, node));
    }
}

static fxc_analysis *listed(const fxc_program *program) {
    fxc_analysis *analysis = NULL;
    fxc_error err = FXC_ERROR_INIT;
    if (fxc_analysis_new(program, &analysis, &err) != FXC_OK ||
        fxc_analysis_set(analysis, "shapes", "listed", &err) != FXC_OK) {
        fxc_analysis_free(analysis);
        return NULL;
    }
    return analysis;
}

/* First with results of any shape, to learn what rules tell; then with those results, to count over them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rule_told *told = calloc(1, sizeof *told);
    for (uint32_t round = 0; told != NULL && round < 2; round++) {
        fxc_program *program = rule_program(data, size, round == 0 ? NULL : told);
        fxc_analysis *analysis = program != NULL ? listed(program) : NULL;
        if (analysis != NULL && analyse(analysis, FXC_FACT_BIT(shapes)) == FXC_OK) {
            struct fxc_rule rule = {
                .program = program, .shapes = analysis->shapes, .bindings = analysis->bindings, .node = 0};
            for (; round == 0 && rule.node < FXC_COUNT(program, node); rule.node++) {
                tell_node(&rule, told);
            }
            if (analyse(analysis, FXC_FACT_BIT(flops)) == FXC_OK) {
                check_counts(analysis);
            }
        }
        fxc_analysis_free(analysis);
        fxc_program_free(program);
    }
    free(told);
    return 0;
}
