/* Which of the user's entries concerns which node, and counting by it. */
#include <string.h>

#include "ir/error.h"
#include "passes/custom/custom.h"

/* "aten.mm.default" by its own name, and "aten.mm" for all overloads. */
static bool names_op(const char *entry, const char *op) {
    size_t length = strlen(entry);
    return strncmp(entry, op, length) == 0 &&
           (op[length] == '\0' ||
            (op[length] == '.' && strchr(op + length + 1, '.') == NULL && strchr(entry, '.') != NULL));
}

/* A module by its qualified name, and everything below it. */
static bool is_below(const struct fxc_program *p, uint32_t module, const char *name) {
    const char *own = fxc_string(p, p->module_name[module]);
    size_t length = strlen(name);
    return strncmp(own, name, length) == 0 && (own[length] == '\0' || own[length] == '.');
}

static void index_ops(const struct fxc_program *p, struct fxc_custom_index *index) {
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        index->op_formula[op] = index->op_ignored[op] = index->op_scale[op] = -1;
        for (uint32_t e = 0; e < index->custom->count; e++) {
            const struct fxc_custom_entry *entry = &index->custom->entries[e];
            int32_t *slot = entry->kind == FXC_CUSTOM_OP          ? &index->op_formula[op]
                            : entry->kind == FXC_CUSTOM_IGNORE_OP ? &index->op_ignored[op]
                            : entry->kind == FXC_CUSTOM_SCALE     ? &index->op_scale[op]
                                                                  : NULL;
            bool any = fxc_is_any(entry->name); /* what names the operator comes before what names all */
            if (slot != NULL && (any ? *slot < 0 || fxc_is_any(index->custom->entries[*slot].name)
                                     : names_op(entry->name, fxc_string(p, p->op_name[op])))) {
                *slot = (int32_t)e;
            }
        }
    }
}

static int32_t entry_of_module(const struct fxc_program *p, const struct fxc_custom *custom, uint32_t module) {
    int32_t found = -1;
    for (uint32_t e = 0; e < custom->count; e++) {
        const struct fxc_custom_entry *entry = &custom->entries[e];
        if ((entry->kind == FXC_CUSTOM_IGNORE_MODULE && is_below(p, module, entry->name)) ||
            (entry->kind == FXC_CUSTOM_MODULE && strcmp(fxc_string(p, p->module_class[module]), entry->name) == 0)) {
            found = (int32_t)e;
        }
    }
    return found;
}

/* A call stands under the entry of its caller, which comes before it in the table, else under its own. */
static void index_calls(const struct fxc_program *p, struct fxc_custom_index *index) {
    for (uint32_t call = 0; call < FXC_COUNT(p, call); call++) {
        uint32_t parent = p->call_parent[call];
        if (parent != FXC_NONE && parent < call && index->call_entry[parent] >= 0) {
            index->call_entry[call] = index->call_entry[parent];
            index->call_outer[call] = index->call_outer[parent];
        } else {
            index->call_entry[call] = entry_of_module(p, index->custom, p->call_module[call]);
            index->call_outer[call] = call;
        }
    }
}

fxc_status fxc_custom_index_build(const struct fxc_program *p, const struct fxc_custom *custom, struct fxc_arena *arena,
                                  struct fxc_custom_index **out, fxc_error *err) {
    struct fxc_custom_index *index = *out = FXC_NEW(arena, struct fxc_custom_index, 1);
    if (index == NULL) {
        return fxc_fail_memory(err, "flops");
    }
    index->custom = custom;
    index->op_formula = FXC_NEW(arena, int32_t, FXC_COUNT(p, op));
    index->op_ignored = FXC_NEW(arena, int32_t, FXC_COUNT(p, op));
    index->op_scale = FXC_NEW(arena, int32_t, FXC_COUNT(p, op));
    index->call_entry = FXC_NEW(arena, int32_t, FXC_COUNT(p, call));
    index->call_outer = FXC_NEW(arena, uint32_t, FXC_COUNT(p, call));
    index->call_counted = FXC_NEW(arena, uint8_t, FXC_COUNT(p, call));
    index->entry_nodes = FXC_NEW(arena, int64_t, custom->count);
    if (index->op_formula == NULL || index->op_ignored == NULL || index->op_scale == NULL ||
        index->call_entry == NULL || index->call_outer == NULL || index->call_counted == NULL ||
        index->entry_nodes == NULL) {
        return fxc_fail_memory(err, "flops");
    }
    index_ops(p, index);
    index_calls(p, index);
    return FXC_OK;
}

/* ---- counting
 * -------------------------------------------------------------------------------------------------------- */

static bool is_negative(const fxc_counts *c) {
    return c->macs < 0 || c->matrix_flops < 0 || c->vector_flops < 0 || c->transcendentals < 0 || c->int_ops < 0;
}

/* By a formula of the user's. */
static fxc_status apply(const struct fxc_custom_entry *entry, const fxc_op_call *call, fxc_counts *counts,
                        uint8_t *coverage, fxc_error *err) {
    fxc_counts own = {0};
    void *context = entry->count == fxc_custom_count_terms ? (void *)(uintptr_t)entry : entry->context;
    fxc_status status = entry->count(call, &own, context, err);
    *coverage = FXC_COVERAGE_UNKNOWN;
    if (status == FXC_UNKNOWN_OPS) {
        return FXC_OK;
    }
    FXC_TRY(status);
    if (is_negative(&own)) {
        status = fxc_fail_node(err, FXC_USAGE, call->rule.program, call->rule.node);
        fxc_expected(err, "counts of 0 or more from the formula of %s", entry->name);
        return status;
    }
    /* bytes and kernels are another pass's */
    own.bytes_read = own.bytes_written = own.kernels = 0;
    *counts = own;
    *coverage = FXC_COVERAGE_COUNTED;
    return FXC_OK;
}

/* Of the nodes inside a module's call that a formula holds for the first one stands for the whole call. */
const struct fxc_custom_entry *fxc_custom_formula(struct fxc_custom_index *index, const struct fxc_rule *rule,
                                                  fxc_op_call *call, bool *covered) {
    const struct fxc_program *p = rule->program;
    uint32_t inner = p->node_call[rule->node];
    int32_t entry = inner == FXC_NONE ? -1 : index->call_entry[inner];
    *call = (fxc_op_call){.rule = *rule, .module_call = entry < 0 ? FXC_NONE : index->call_outer[inner]};
    entry = entry < 0 ? index->op_formula[p->node_op[rule->node]] : entry;
    if (entry < 0) {
        *covered = false;
        return NULL;
    }
    index->entry_nodes[entry]++;
    *covered = call->module_call != FXC_NONE && index->call_counted[call->module_call];
    if (call->module_call != FXC_NONE) {
        index->call_counted[call->module_call] = 1;
    }
    return &index->custom->entries[entry];
}

fxc_status fxc_custom_count(struct fxc_custom_index *index, const struct fxc_rule *rule, fxc_counts *counts,
                            uint8_t *coverage, bool *done, fxc_error *err) {
    uint32_t op = rule->program->node_op[rule->node];
    fxc_op_call call;
    bool covered;
    *done = true;
    if (index->op_ignored[op] >= 0) {
        index->entry_nodes[index->op_ignored[op]]++;
        *coverage = FXC_COVERAGE_IGNORED;
        return FXC_OK;
    }
    const struct fxc_custom_entry *entry = fxc_custom_formula(index, rule, &call, &covered);
    *done = entry != NULL;
    if (entry == NULL) {
        return FXC_OK;
    }
    if (covered || entry->kind == FXC_CUSTOM_IGNORE_MODULE) {
        *coverage = entry->kind == FXC_CUSTOM_IGNORE_MODULE ? FXC_COVERAGE_IGNORED : FXC_COVERAGE_ZERO;
        return FXC_OK;
    }
    return apply(entry, &call, counts, coverage, err);
}

fxc_status fxc_custom_correct(struct fxc_custom_index *index, const struct fxc_rule *rule, fxc_counts *counts,
                              fxc_error *err) {
    int32_t entry = index->op_scale[rule->program->node_op[rule->node]];
    if (entry < 0) {
        return FXC_OK;
    }
    const struct fxc_custom_entry *scale = &index->custom->entries[entry];
    int64_t *const numbers[] = {&counts->macs, &counts->matrix_flops, &counts->vector_flops, &counts->transcendentals,
                                &counts->int_ops};
    index->entry_nodes[entry]++;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (fxc_scale(*numbers[i], scale->numerator, scale->denominator, numbers[i])) {
            fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, rule->program, rule->node);
            fxc_expected(err, "scaled counts that fit in 64 bits");
            return status;
        }
    }
    return FXC_OK;
}
