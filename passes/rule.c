/* Accessors of a node's arguments: what shape and FLOP rules see. */
#include "passes/rule.h"

#include <string.h>

#include "ir/expr.h"

bool fxc_rule_arg(const struct fxc_rule *rule, enum fxc_name name, enum fxc_kind *kind, int64_t *payload) {
    const struct fxc_program *p = rule->program;
    uint32_t end = p->node_arg_begin[rule->node + 1];
    for (uint32_t i = p->node_arg_begin[rule->node]; i < end; i++) {
        if (p->argname_id[p->arg_name[i]] == (uint16_t)name) {
            *kind = (enum fxc_kind)p->arg_kind[i];
            *payload = p->arg_payload[i];
            return true;
        }
    }
    return false;
}

bool fxc_rule_value(const struct fxc_rule *rule, uint32_t value, struct fxc_tensor *out) {
    const struct fxc_shapes *s = rule->shapes;
    if (rule->program->value_kind[value] != FXC_KIND_TENSOR) {
        return false;
    }
    *out = (struct fxc_tensor){.size = s->size + s->dim_begin[value],
                               .stride = s->stride + s->dim_begin[value],
                               .numel = s->numel[value],
                               .value = value,
                               .rank = s->rank[value],
                               .dtype = s->dtype[value]};
    return true;
}

const char *fxc_rule_device(const struct fxc_rule *rule, uint32_t value) {
    const struct fxc_program *p = rule->program;
    uint32_t storage = p->value_storage[value];
    return storage == FXC_NONE ? NULL : fxc_string(p, p->storage_device[storage]);
}

static bool is_foreign(const struct fxc_program *p, uint8_t kind, int64_t payload) {
    if (kind == FXC_KIND_LIST) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1]; i++) {
            /* Lists in lists hold no tensors that an operator works on. */
            if (p->item_kind[i] == FXC_KIND_VALUE && is_foreign(p, p->item_kind[i], p->item_payload[i])) {
                return true;
            }
        }
        return false;
    }
    if (kind != FXC_KIND_VALUE) {
        return false;
    }
    if (p->value_kind[payload] == FXC_KIND_LIST) {
        return is_foreign(p, FXC_KIND_LIST, p->value_payload[payload]);
    }
    if (p->value_kind[payload] != FXC_KIND_TENSOR) {
        return false;
    }
    uint8_t layout = p->meta_layout[p->value_payload[payload]];
    return layout >= FXC_LAYOUT_SPARSE_COO && layout <= FXC_LAYOUT_NESTED;
}

bool fxc_rule_is_foreign(const struct fxc_program *p, uint32_t node) {
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (is_foreign(p, p->arg_kind[a], p->arg_payload[a])) {
            return true;
        }
    }
    return is_foreign(p, FXC_KIND_VALUE, p->node_result[node]);
}

bool fxc_rule_tensor(const struct fxc_rule *rule, enum fxc_name name, struct fxc_tensor *out) {
    enum fxc_kind kind;
    int64_t payload;
    return fxc_rule_arg(rule, name, &kind, &payload) && kind == FXC_KIND_VALUE &&
           fxc_rule_value(rule, (uint32_t)payload, out);
}

bool fxc_rule_tensor2(const struct fxc_rule *rule, enum fxc_name name, enum fxc_name other, struct fxc_tensor *out) {
    return fxc_rule_tensor(rule, name, out) || fxc_rule_tensor(rule, other, out);
}

/* Row of a list, given as an argument or as the result of a node. */
uint32_t fxc_list_row(const struct fxc_program *p, uint8_t kind, int64_t payload) {
    if (kind == FXC_KIND_VALUE) {
        kind = p->value_kind[payload];
        payload = p->value_payload[payload];
    }
    return kind == FXC_KIND_LIST ? (uint32_t)payload : FXC_NONE;
}

bool fxc_rule_result(const struct fxc_rule *rule, uint32_t index, struct fxc_tensor *out) {
    const struct fxc_program *p = rule->program;
    uint32_t result = p->node_result[rule->node];
    if (p->value_kind[result] == FXC_KIND_LIST) {
        return fxc_rule_item_tensor(rule, (uint32_t)p->value_payload[result], index, out);
    }
    return index == 0 && fxc_rule_value(rule, result, out);
}

bool fxc_rule_wanted(const struct fxc_rule *rule, uint32_t index) {
    const struct fxc_program *p = rule->program;
    uint32_t result = p->node_result[rule->node];
    if (rule->used == NULL || p->value_kind[result] != FXC_KIND_LIST || rule->used[result]) {
        return true;
    }
    uint32_t item = p->list_begin[p->value_payload[result]] + index;
    if (item >= p->list_begin[p->value_payload[result] + 1]) {
        return false;
    }
    return p->item_kind[item] == FXC_KIND_VALUE && rule->used[p->item_payload[item]];
}

bool fxc_eval_int(const struct fxc_program *program, const struct fxc_binding *bindings, uint8_t kind, int64_t payload,
                  int64_t *out) {
    if (kind == FXC_KIND_VALUE) {
        kind = program->value_kind[payload];
        payload = program->value_payload[payload];
    }
    switch (kind) {
    case FXC_KIND_INT:
    case FXC_KIND_BOOL:
        *out = payload;
        return true;
    case FXC_KIND_SYMINT:
    case FXC_KIND_SYMBOOL: {
        struct fxc_number number;
        if (!fxc_expr_eval(program, bindings, (uint32_t)payload, &number) || number.is_float) {
            return false;
        }
        *out = number.i;
        return true;
    }
    default:
        return false;
    }
}

bool fxc_rule_int(const struct fxc_rule *rule, enum fxc_name name, int64_t fallback, int64_t *out) {
    enum fxc_kind kind;
    int64_t payload;
    if (!fxc_rule_arg(rule, name, &kind, &payload) || kind == FXC_KIND_NONE) {
        *out = fallback;
        return true;
    }
    return fxc_eval_int(rule->program, rule->bindings, (uint8_t)kind, payload, out);
}

bool fxc_eval_real(const struct fxc_program *program, const struct fxc_binding *bindings, uint8_t kind, int64_t payload,
                   double *out) {
    struct fxc_number number;
    int64_t whole;
    if (kind == FXC_KIND_VALUE) {
        kind = program->value_kind[payload];
        payload = program->value_payload[payload];
    }
    if (kind == FXC_KIND_FLOAT) {
        memcpy(out, &payload, sizeof *out);
        return true;
    }
    if (kind == FXC_KIND_SYMFLOAT) {
        if (!fxc_expr_eval(program, bindings, (uint32_t)payload, &number)) {
            return false;
        }
        *out = number.is_float ? number.f : (double)number.i;
        return true;
    }
    if (!fxc_eval_int(program, bindings, kind, payload, &whole)) {
        return false;
    }
    *out = (double)whole;
    return true;
}

bool fxc_rule_real(const struct fxc_rule *rule, enum fxc_name name, double fallback, double *out) {
    enum fxc_kind kind;
    int64_t payload;
    if (!fxc_rule_arg(rule, name, &kind, &payload) || kind == FXC_KIND_NONE) {
        *out = fallback;
        return true;
    }
    return fxc_eval_real(rule->program, rule->bindings, (uint8_t)kind, payload, out);
}

bool fxc_rule_bool(const struct fxc_rule *rule, enum fxc_name name, bool fallback, bool *out) {
    int64_t number;
    if (!fxc_rule_int(rule, name, fallback, &number)) {
        return false;
    }
    *out = number != 0;
    return true;
}

const char *fxc_rule_string(const struct fxc_rule *rule, enum fxc_name name) {
    enum fxc_kind kind;
    int64_t payload;
    return fxc_rule_arg(rule, name, &kind, &payload) && kind == FXC_KIND_STRING
               ? fxc_string(rule->program, (uint32_t)payload)
               : NULL;
}

uint32_t fxc_rule_list(const struct fxc_rule *rule, enum fxc_name name) {
    enum fxc_kind kind;
    int64_t payload;
    return fxc_rule_arg(rule, name, &kind, &payload) ? fxc_list_row(rule->program, (uint8_t)kind, payload) : FXC_NONE;
}

uint32_t fxc_list_item(const struct fxc_program *p, uint32_t list, uint32_t index) {
    if (list == FXC_NONE || index >= p->list_begin[list + 1] - p->list_begin[list]) {
        return FXC_NONE;
    }
    return p->list_begin[list] + index;
}

bool fxc_rule_item_int(const struct fxc_rule *rule, uint32_t list, uint32_t index, int64_t *out) {
    const struct fxc_program *p = rule->program;
    uint32_t item = fxc_list_item(p, list, index);
    return item != FXC_NONE && fxc_eval_int(p, rule->bindings, p->item_kind[item], p->item_payload[item], out);
}

bool fxc_rule_item_real(const struct fxc_rule *rule, uint32_t list, uint32_t index, double *out) {
    const struct fxc_program *p = rule->program;
    uint32_t item = fxc_list_item(p, list, index);
    return item != FXC_NONE && fxc_eval_real(p, rule->bindings, p->item_kind[item], p->item_payload[item], out);
}

bool fxc_rule_item_tensor(const struct fxc_rule *rule, uint32_t list, uint32_t index, struct fxc_tensor *out) {
    const struct fxc_program *p = rule->program;
    uint32_t item = fxc_list_item(p, list, index);
    return item != FXC_NONE && p->item_kind[item] == FXC_KIND_VALUE &&
           fxc_rule_value(rule, (uint32_t)p->item_payload[item], out);
}
