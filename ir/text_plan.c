#include "ir/text_plan.h"

#include <string.h>

#include "ir/error.h"

/* ---- where values and storages are defined ----------------------------------------------------------------------- */

struct walk {
    struct fxc_text_plan *plan;
    uint32_t next_value; /* the number a definition gets by itself */
    bool *storage_seen;
    uint32_t *first_claim; /* scratch of is_claimable */
};

static bool implied(const struct walk *walk, uint32_t value, uint8_t origin) {
    const struct fxc_program *p = walk->plan->program;
    uint32_t storage = p->value_storage[value];
    struct fxc_text_product bytes;
    if (p->value_kind[value] != FXC_KIND_TENSOR) {
        return false;
    }
    uint32_t meta = (uint32_t)p->value_payload[value];
    uint32_t begin = p->meta_dim_begin[meta], end = p->meta_dim_begin[meta + 1];
    return fxc_text_implied_bytes(&walk->plan->exprs_view, p->meta_dtype[meta], end - begin, p->dim_size + begin,
                                  p->dim_stride + begin, p->meta_offset[meta], &bytes) &&
           fxc_text_is_product(&walk->plan->exprs_view, &bytes, p->storage_bytes[storage]) &&
           p->storage_origin[storage] == origin &&
           strcmp(fxc_string(p, p->storage_device[storage]), walk->plan->device) == 0;
}

/* The definition of a value is complete: it takes its number, and its storage may be new. */
static void define(struct walk *walk, uint32_t value, uint8_t origin) {
    struct fxc_text_plan *plan = walk->plan;
    uint32_t storage = plan->program->value_storage[value];
    plan->values[value].numbered = value != walk->next_value;
    if (value >= walk->next_value) {
        walk->next_value = value + 1;
    }
    if (storage != FXC_NONE && !walk->storage_seen[storage]) {
        walk->storage_seen[storage] = true;
        plan->storage_line[storage] = !implied(walk, value, origin);
    }
}

static bool has_elements(const struct fxc_program *p, uint32_t value) {
    return p->value_kind[value] == FXC_KIND_LIST || p->value_kind[value] == FXC_KIND_DICT;
}

bool fxc_text_is_element(const struct fxc_text_plan *plan, uint32_t owner, uint32_t value) {
    const struct fxc_text_value *v = &plan->values[value];
    return v->place == FXC_TEXT_ELEMENT && v->where == owner && !v->printed;
}

static void claim(struct walk *walk, uint32_t value, enum fxc_text_place place, uint32_t where, uint32_t scope,
                  uint8_t origin, uint32_t depth);

/* Unnamed elements of a list result are defined where the list is, but not as keys of a dict, where the colon after
 * the name would mean something else. A list in the table is never written there. */
static void claim_elements(struct walk *walk, uint32_t value, uint32_t scope, uint8_t origin, uint32_t depth) {
    struct fxc_text_plan *plan = walk->plan;
    const struct fxc_program *p = plan->program;
    uint32_t list = (uint32_t)p->value_payload[value];
    if (depth >= FXC_TEXT_ELEMENT_DEPTH || fxc_text_in_table(&plan->lists, plan->map.list[list])) {
        return;
    }
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        bool key = p->value_kind[value] == FXC_KIND_DICT && (i - p->list_begin[list]) % 2 == 0;
        if (p->item_kind[i] != FXC_KIND_VALUE || key) {
            continue;
        }
        uint32_t element = (uint32_t)p->item_payload[i];
        if (plan->values[element].place == FXC_TEXT_NOWHERE && fxc_string(p, p->value_name[element])[0] == '\0' &&
            p->value_producer[element] == p->value_producer[value]) {
            claim(walk, element, FXC_TEXT_ELEMENT, value, scope, origin, depth + 1);
        }
    }
}

static void claim(struct walk *walk, uint32_t value, enum fxc_text_place place, uint32_t where, uint32_t scope,
                  uint8_t origin, uint32_t depth) {
    struct fxc_text_value *v = &walk->plan->values[value];
    v->place = (uint8_t)place;
    v->where = where;
    v->scope = scope;
    if (has_elements(walk->plan->program, value)) {
        claim_elements(walk, value, scope, origin, depth);
    }
    define(walk, value, origin);
}

static void claim_graph(struct walk *walk, uint32_t graph) {
    const struct fxc_program *p = walk->plan->program;
    const struct fxc_text_value *values = walk->plan->values;
    for (uint32_t i = p->graph_input_begin[graph]; i < p->graph_input_begin[graph + 1]; i++) {
        uint32_t value = p->input_value[i];
        if (values[value].place == FXC_TEXT_NOWHERE && p->value_producer[value] == FXC_NONE) {
            claim(walk, value, FXC_TEXT_INPUT, i, graph, fxc_text_implied_origin(p->input_kind[i]), 0);
        }
    }
    for (uint32_t i = p->graph_node_begin[graph]; i < p->graph_node_begin[graph + 1]; i++) {
        uint32_t value = p->node_result[i];
        if (values[value].place == FXC_TEXT_NOWHERE && p->value_producer[value] == i) {
            claim(walk, value, FXC_TEXT_NODE, i, graph, FXC_STORAGE_ORIGIN_INTERMEDIATE, 0);
        }
    }
}

/* The order is that of the text: graphs, parameters, the rest. */
static void claim_all(struct walk *walk) {
    const struct fxc_program *p = walk->plan->program;
    const struct fxc_text_value *values = walk->plan->values;
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        claim_graph(walk, graph);
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, param); i++) {
        uint32_t value = p->param_value[i];
        if (values[value].place == FXC_TEXT_NOWHERE && p->value_producer[value] == FXC_NONE) {
            claim(walk, value, FXC_TEXT_PARAM, i, 0, fxc_text_implied_origin(p->param_kind[i]), 0);
        }
    }
    for (uint32_t value = 0; value < FXC_COUNT(p, value); value++) {
        if (values[value].place == FXC_TEXT_NOWHERE) {
            define(walk, value, FXC_STORAGE_ORIGIN_INTERMEDIATE);
        }
    }
}

static bool plan_places(struct fxc_text_plan *plan) {
    const struct fxc_program *p = plan->program;
    uint32_t storages = FXC_COUNT(p, storage);
    struct walk walk = {.plan = plan, .storage_seen = FXC_NEW(&plan->arena, bool, storages)};
    plan->storage_line = FXC_NEW(&plan->arena, bool, storages);
    plan->values = FXC_NEW(&plan->arena, struct fxc_text_value, FXC_COUNT(p, value));
    if (walk.storage_seen == NULL || plan->storage_line == NULL || plan->values == NULL) {
        return false;
    }
    plan->device = storages == 0 ? "cpu" : fxc_string(p, p->storage_device[0]);
    claim_all(&walk);
    for (uint32_t storage = 0; storage < storages; storage++) {
        plan->storage_line[storage] = plan->storage_line[storage] || !walk.storage_seen[storage];
    }
    return true;
}

/* ---- names that need a number ------------------------------------------------------------------------------------ */

/* Marks the rows whose name (a string column) is empty or occurs more than once. */
static bool *plan_names(struct fxc_text_plan *plan, const uint32_t *name, uint32_t count) {
    uint32_t *seen = FXC_NEW(&plan->arena, uint32_t, plan->canon.strings.count);
    bool *ambiguous = FXC_NEW(&plan->arena, bool, count);
    if (seen == NULL || ambiguous == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        seen[plan->map.string[name[i]]]++;
    }
    for (uint32_t i = 0; i < count; i++) {
        ambiguous[i] = seen[plan->map.string[name[i]]] > 1 || fxc_string(plan->program, name[i])[0] == '\0';
    }
    return ambiguous;
}

/* Names of values are looked up in one graph. */
static bool plan_value_names(struct fxc_text_plan *plan) {
    const struct fxc_program *p = plan->program;
    uint32_t count = FXC_COUNT(p, value);
    struct fxc_intern names = {0};
    uint32_t *key = FXC_NEW(&plan->arena, uint32_t, count);
    uint32_t *seen = FXC_NEW(&plan->arena, uint32_t, count);
    if (key == NULL || seen == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count && !names.failed; i++) {
        uint32_t pair[2] = {plan->values[i].scope, plan->map.string[p->value_name[i]]};
        key[i] = fxc_intern(&names, pair, sizeof pair);
        if (key[i] != FXC_NONE) {
            seen[key[i]]++;
        }
    }
    bool done = !names.failed;
    fxc_intern_free(&names);
    for (uint32_t i = 0; i < count && done; i++) {
        struct fxc_text_value *v = &plan->values[i];
        bool unnamed = fxc_string(p, p->value_name[i])[0] == '\0';
        v->ambiguous = unnamed || seen[key[i]] > 1;
        /* An unnamed value has no name to mistake; a repeated name is numbered wherever it stands. */
        v->numbered = v->numbered || (v->ambiguous && !unnamed);
    }
    return done;
}

/* ---- rows that are written once ---------------------------------------------------------------------------------- */

static bool start_table(struct fxc_text_plan *plan, struct fxc_text_table *table, uint32_t canonical) {
    table->number = FXC_NEW(&plan->arena, uint32_t, canonical);
    table->row = FXC_NEW(&plan->arena, uint32_t, canonical);
    if (table->number == NULL || table->row == NULL) {
        return false;
    }
    memset(table->number, 0xFF, canonical * sizeof(uint32_t));
    return true;
}

static void add_to_table(struct fxc_text_table *table, uint32_t canonical, uint32_t row) {
    if (!fxc_text_in_table(table, canonical)) {
        table->row[table->count] = row;
        table->number[canonical] = table->count++;
    }
}

/* Inline expressions are well formed: each operation finds its operands, and one value remains. */
static bool is_inline(const struct fxc_program *p, uint32_t expr) {
    uint32_t begin = p->expr_begin[expr], end = p->expr_begin[expr + 1], height = 0;
    if (end - begin > FXC_TEXT_INLINE_TOKENS) {
        return false;
    }
    for (uint32_t i = begin; i < end; i++) {
        uint32_t operands = fxc_text_token_operands[p->token_op[i]];
        if (operands > height) {
            return false;
        }
        height = height - operands + 1;
    }
    return height == 1;
}

static bool plan_tables(struct fxc_text_plan *plan) {
    const struct fxc_program *p = plan->program;
    if (!start_table(plan, &plan->strings, plan->canon.strings.count) ||
        !start_table(plan, &plan->exprs, plan->canon.exprs.count) ||
        !start_table(plan, &plan->metas, plan->canon.metas.count)) {
        return false;
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, string); i++) {
        if (p->string_begin[i + 1] - p->string_begin[i] > FXC_TEXT_INLINE_STRING) {
            add_to_table(&plan->strings, plan->map.string[i], i);
        }
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, expr); i++) {
        if (!is_inline(p, i)) {
            add_to_table(&plan->exprs, plan->map.expr[i], i);
        }
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, meta); i++) {
        if (p->meta_dim_begin[i + 1] - p->meta_dim_begin[i] > FXC_TEXT_INLINE_DIMS) {
            add_to_table(&plan->metas, plan->map.meta[i], i);
        }
    }
    return fxc_text_plan_lists(plan);
}

static int compare_symbols(const void *context, uint32_t a, uint32_t b) {
    const struct fxc_program *p = context;
    return strcmp(fxc_string(p, p->symbol_name[a]), fxc_string(p, p->symbol_name[b]));
}

static bool make(struct fxc_text_plan *plan) {
    const struct fxc_program *p = plan->program;
    plan->exprs_view =
        (struct fxc_text_exprs){p->expr_begin,       p->token_op,          p->token_payload, FXC_COUNT(p, expr),
                                FXC_COUNT(p, token), FXC_COUNT(p, symbol), compare_symbols,  p};
    if (!plan_tables(plan) || !plan_places(plan) || !plan_value_names(plan)) {
        return false;
    }
    plan->op_ambiguous = plan_names(plan, p->op_name, FXC_COUNT(p, op));
    plan->symbol_ambiguous = plan_names(plan, p->symbol_name, FXC_COUNT(p, symbol));
    plan->graph_ambiguous = plan_names(plan, p->graph_name, FXC_COUNT(p, graph));
    return plan->op_ambiguous != NULL && plan->symbol_ambiguous != NULL && plan->graph_ambiguous != NULL;
}

fxc_status fxc_text_plan_make(struct fxc_text_plan *plan, const struct fxc_program *p, fxc_error *err) {
    *plan = (struct fxc_text_plan){.program = p};
    FXC_TRY(fxc_canon_add(&plan->canon, p, &plan->map, err));
    return make(plan) ? FXC_OK : fxc_fail_memory(err, p->file);
}

void fxc_text_plan_free(struct fxc_text_plan *plan) {
    fxc_canon_map_free(&plan->map);
    fxc_canon_free(&plan->canon);
    fxc_arena_free(&plan->arena);
}
