/* alias: what each operator of the program does to memory, found once per operator and not once per node. */
#include <string.h>

#include "ir/ops.h"
#include "passes/alias/walk.h"

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

/* In-place by its name alone: an fx method ("method.add_"), an unresolved packet ("aten.add_"), or a Python operator
 * ("operator.iadd", "operator.setitem"). */
static bool named_in_place(const char *name, uint8_t origin) {
    static const char *const python[] = {"iadd",    "isub",    "imul",    "itruediv", "ifloordiv",
                                         "imod",    "ipow",    "iand",    "ior",      "ixor",
                                         "ilshift", "irshift", "imatmul", "setitem",  "delitem"};
    if (origin == FXC_OP_ORIGIN_METHOD || origin == FXC_OP_ORIGIN_PACKET) {
        return (ends_with(name, "_") && !ends_with(name, "__")) || ends_with(name, ".__setitem__");
    }
    if (origin == FXC_OP_ORIGIN_BUILTIN && starts_with(name, "operator.")) {
        for (size_t i = 0; i < sizeof python / sizeof python[0]; i++) {
            if (strcmp(name + strlen("operator."), python[i]) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Higher-order operators whose results are the results of one run of their body. */
static bool is_wrapper(const char *name) {
    static const char *const parts[] = {"wrap", "checkpoint", "invoke_subgraph", "strict_mode", "run_const_graph"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(name, parts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static enum fxc_op_memory_role role_of(const struct fxc_program *p, uint32_t op, bool known) {
    const char *name = fxc_string(p, p->op_name[op]);
    const struct fxc_op_row *row = p->op_row[op];
    uint8_t origin = p->op_origin[op];
    if (origin == FXC_OP_ORIGIN_HIGHER_ORDER) {
        return strstr(name, "wrapper_mutation") != NULL ? FXC_ROLE_WRITES_ALL
               : is_wrapper(name)                       ? FXC_ROLE_WRAPPER
                                                        : FXC_ROLE_SCHEMA;
    }
    if (origin == FXC_OP_ORIGIN_BUILTIN && strcmp(name, "operator.getitem") == 0) {
        return FXC_ROLE_GETITEM;
    }
    if (row != NULL && row->alias == FXC_ALIAS_EVAL_IDENTITY) {
        return FXC_ROLE_EVAL_IDENTITY;
    }
    if (row != NULL && (row->alias == FXC_ALIAS_BATCH_NORM || row->alias == FXC_ALIAS_INSTANCE_NORM)) {
        return FXC_ROLE_RUNNING_STATS;
    }
    return !known && named_in_place(name, origin) ? FXC_ROLE_WRITES_FIRST : FXC_ROLE_SCHEMA;
}

/* The argument that a result aliases by the schema's marks. A wildcard names none. */
static uint32_t partner_of(const struct fxc_schema *schema, uint32_t result) {
    for (uint32_t i = 0; i < schema->arg_count; i++) {
        if ((schema->args[i].alias_sets & schema->results[result].alias_sets & ~FXC_SCHEMA_WILDCARD) != 0) {
            return i;
        }
    }
    return FXC_NONE;
}

static uint32_t find_either(const struct fxc_schema *schema, const char *a, const char *b) {
    uint32_t found = fxc_schema_find(schema, a);
    return found == FXC_NONE ? fxc_schema_find(schema, b) : found;
}

/* Written arguments are all results to fill: out= variants. */
static bool only_fills_outputs(const struct fxc_schema *schema) {
    uint32_t written = 0, outputs = 0;
    for (uint32_t i = 0; i < schema->arg_count; i++) {
        written += schema->args[i].writes;
        outputs += schema->args[i].writes && schema->args[i].kwarg_only;
    }
    return written > 0 && written == outputs;
}

static void describe_schema(const struct fxc_program *p, uint32_t op, struct fxc_op_memory *out) {
    const struct fxc_schema *schema = &out->op->schema;
    const struct fxc_op_row *row = p->op_row[op];
    bool stats_by_input = row != NULL && row->alias == FXC_ALIAS_INSTANCE_NORM;
    bool fills = only_fills_outputs(schema);
    bool aten = p->op_origin[op] == FXC_OP_ORIGIN_ATEN;
    out->metadata = (p->op_tags[op] & FXC_OP_TAG_INPLACE_VIEW) != 0;
    out->copies =
        (p->op_tags[op] & FXC_OP_TAG_VIEW_COPY) != 0 && schema->result_count == 1 && schema->results[0].alias_sets == 0;
    out->source = fxc_schema_find(schema, "source");
    out->replaces = out->metadata && starts_with(fxc_string(p, p->op_name[op]), "aten.set_.");
    out->training =
        stats_by_input ? fxc_schema_find(schema, "use_input_stats") : find_either(schema, "training", "train");
    out->probability = fxc_schema_find(schema, "p");
    out->stats[0] = fxc_schema_find(schema, "running_mean");
    out->stats[1] = fxc_schema_find(schema, "running_var");
    out->overwrites = (fills && aten) || (row != NULL && row->touch == FXC_TOUCH_WRITE);
    /* A scatter or a mask leaves elements as they were; of an operator without a row nothing is known. */
    out->whole = (fills && aten) ||
                 (row != NULL && row->touch != FXC_TOUCH_SCATTER && fxc_schema_find(schema, "mask") == FXC_NONE);
}

static fxc_status describe(struct fxc_arena *arena, const struct fxc_program *p, uint32_t op,
                           const struct fxc_op_schema *schema, struct fxc_op_memory *out, fxc_error *err) {
    const struct fxc_op_row *row = p->op_row[op];
    bool data_decides = (p->op_tags[op] & (FXC_OP_TAG_DATA_DEPENDENT_OUTPUT | FXC_OP_TAG_DYNAMIC_OUTPUT_SHAPE)) != 0;
    *out = (struct fxc_op_memory){.op = schema,
                                  .role = (uint8_t)role_of(p, op, schema->known),
                                  .training = FXC_NONE,
                                  .probability = FXC_NONE,
                                  .source = FXC_NONE,
                                  .stats = {FXC_NONE, FXC_NONE}};
    out->binds = p->op_origin[op] == FXC_OP_ORIGIN_HIGHER_ORDER &&
                 strstr(fxc_string(p, p->op_name[op]), "flex_attention") == NULL;
    out->reads_nothing = row != NULL && out->role != FXC_ROLE_GETITEM &&
                         ((row->touch == FXC_TOUCH_NONE && !data_decides) ||
                          (row->touch == FXC_TOUCH_WRITE && row->fuse == FXC_FUSE_FACTORY));
    if (schema->known) {
        describe_schema(p, op, out);
        out->partner = FXC_NEW(arena, uint32_t, schema->schema.result_count);
        if (out->partner == NULL) {
            return fxc_fail_memory(err, "alias");
        }
        for (uint32_t i = 0; i < schema->schema.result_count; i++) {
            out->partner[i] = partner_of(&schema->schema, i);
        }
    }
    return FXC_OK;
}

fxc_status fxc_alias_ops(struct fxc_arena *arena, const struct fxc_program *p, struct fxc_op_memory **out,
                         fxc_error *err) {
    struct fxc_op_schema *schemas;
    struct fxc_op_memory *ops = FXC_NEW(arena, struct fxc_op_memory, FXC_COUNT(p, op));
    if (ops == NULL) {
        return fxc_fail_memory(err, "alias");
    }
    FXC_TRY(fxc_op_schemas(arena, p, &schemas, err));
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        FXC_TRY(describe(arena, p, op, &schemas[op], &ops[op], err));
    }
    *out = ops;
    return FXC_OK;
}
