/* What a formula of the user's sees of a call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/custom/custom.h"

const char *fxc_op_call_name(const fxc_op_call *call) {
    const struct fxc_program *p = call->rule.program;
    return call->module_call == FXC_NONE ? fxc_string(p, p->op_name[p->node_op[call->rule.node]])
                                         : fxc_string(p, p->module_class[p->call_module[call->module_call]]);
}

bool fxc_op_call_counts(const fxc_op_call *call, fxc_counts *out) {
    if (call->counts == NULL) {
        return false;
    }
    *out = *call->counts;
    return true;
}

/* ---- one argument -------------------------------------------------------------------------------------------------
 */

struct item {
    uint8_t kind;
    int64_t payload;
};

static bool list_item(const struct fxc_program *p, const struct item *list, uint32_t index, struct item *out) {
    uint32_t at = fxc_list_item(p, fxc_list_row(p, list->kind, list->payload), index);
    if (at == FXC_NONE) {
        return false;
    }
    *out = (struct item){p->item_kind[at], p->item_payload[at]};
    return true;
}

static bool node_argument(const struct fxc_rule *rule, const char *name, size_t length, struct item *out) {
    const struct fxc_program *p = rule->program;
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        const char *text = fxc_string(p, p->argname_text[p->arg_name[i]]);
        if (strncmp(text, name, length) == 0 && text[length] == '\0') {
            *out = (struct item){p->arg_kind[i], p->arg_payload[i]};
            return true;
        }
    }
    return false;
}

/* "in0": an input of the module; else an entry of its configuration. */
static bool module_argument(const fxc_op_call *call, const char *name, size_t length, struct item *out) {
    const struct fxc_program *p = call->rule.program;
    if (length > 2 && strncmp(name, "in", 2) == 0 && name[2] >= '0' && name[2] <= '9') {
        uint32_t inputs = p->call_inputs[call->module_call];
        struct item list = {FXC_KIND_LIST, inputs};
        return inputs != FXC_NONE && list_item(p, &list, (uint32_t)strtoul(name + 2, NULL, 10), out);
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, config); i++) {
        const char *key = fxc_string(p, p->config_key[i]);
        if (p->config_module[i] == p->call_module[call->module_call] && strncmp(key, name, length) == 0 &&
            key[length] == '\0') {
            *out = (struct item){p->config_kind[i], p->config_payload[i]};
            return true;
        }
    }
    return false;
}

/* "name" or "name.3". */
static bool find(const fxc_op_call *call, const char *argument, struct item *out) {
    size_t length = strcspn(argument, ".");
    bool found = call->module_call == FXC_NONE ? node_argument(&call->rule, argument, length, out)
                                               : module_argument(call, argument, length, out);
    if (!found || argument[length] == '\0') {
        return found;
    }
    struct item list = *out;
    return list_item(call->rule.program, &list, (uint32_t)strtoul(argument + length + 1, NULL, 10), out);
}

/* ---- public accessors ---------------------------------------------------------------------------------------------
 */

static bool give(const struct fxc_tensor *tensor, fxc_tensor_info *out) {
    if (tensor->numel < 0 || out->struct_size < sizeof *out) {
        return false;
    }
    *out =
        (fxc_tensor_info){out->struct_size, tensor->size, tensor->stride, tensor->numel, tensor->rank, tensor->dtype};
    return true;
}

bool fxc_op_call_tensor(const fxc_op_call *call, const char *argument, fxc_tensor_info *out) {
    struct item item;
    struct fxc_tensor tensor;
    return find(call, argument, &item) && item.kind == FXC_KIND_VALUE &&
           fxc_rule_value(&call->rule, (uint32_t)item.payload, &tensor) && give(&tensor, out);
}

bool fxc_op_call_result(const fxc_op_call *call, uint32_t index, fxc_tensor_info *out) {
    const struct fxc_program *p = call->rule.program;
    struct fxc_tensor tensor;
    if (call->module_call == FXC_NONE) {
        return fxc_rule_result(&call->rule, index, &tensor) && give(&tensor, out);
    }
    struct item item, list = {FXC_KIND_LIST, p->call_outputs[call->module_call]};
    return p->call_outputs[call->module_call] != FXC_NONE && list_item(p, &list, index, &item) &&
           item.kind == FXC_KIND_VALUE && fxc_rule_value(&call->rule, (uint32_t)item.payload, &tensor) &&
           give(&tensor, out);
}

bool fxc_op_call_int(const fxc_op_call *call, const char *argument, int64_t *out) {
    struct item item;
    return find(call, argument, &item) &&
           fxc_eval_int(call->rule.program, call->rule.bindings, item.kind, item.payload, out);
}
