/* What the formulas of conventions see: arguments and results of a node or of a module's call, and the module. */
#include <string.h>

#include "passes/convention/convention.h"

/* The tensor at `index` among the tensors of a list of values. */
static bool tensor_of_list(const struct fxc_seen *seen, uint32_t list, uint32_t index, struct fxc_tensor *out) {
    const struct fxc_program *p = seen->rule.program;
    if (list == FXC_NONE) {
        return false;
    }
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (i - p->list_begin[list] == index) {
            return p->item_kind[i] == FXC_KIND_VALUE &&
                   fxc_rule_value(&seen->rule, (uint32_t)p->item_payload[i], out) && out->numel >= 0;
        }
    }
    return false;
}

bool fxc_seen_input(const struct fxc_seen *seen, uint32_t index, struct fxc_tensor *out) {
    const struct fxc_program *p = seen->rule.program;
    uint32_t node = seen->rule.node;
    if (seen->call != FXC_NONE) {
        return tensor_of_list(seen, p->call_inputs[seen->call], index, out);
    }
    for (uint32_t i = p->node_arg_begin[node]; i < p->node_arg_begin[node + 1]; i++) {
        if (p->arg_kind[i] == FXC_KIND_VALUE && fxc_rule_value(&seen->rule, (uint32_t)p->arg_payload[i], out) &&
            index-- == 0) {
            return out->numel >= 0;
        }
    }
    return false;
}

bool fxc_seen_output(const struct fxc_seen *seen, uint32_t index, struct fxc_tensor *out) {
    if (seen->call != FXC_NONE) {
        return tensor_of_list(seen, seen->rule.program->call_outputs[seen->call], index, out);
    }
    return fxc_known_result(&seen->rule, index, out);
}

uint32_t fxc_seen_module(const struct fxc_seen *seen) {
    return seen->rule.program->call_module[seen->call];
}

bool fxc_seen_param(const struct fxc_seen *seen, const char *name, struct fxc_tensor *out) {
    const struct fxc_program *p = seen->rule.program;
    for (uint32_t i = seen->index->first_param[fxc_seen_module(seen)]; i != FXC_NONE; i = seen->index->next_param[i]) {
        const char *path = fxc_string(p, p->param_name[i]), *dot = strrchr(path, '.');
        if (strcmp(dot == NULL ? path : dot + 1, name) == 0) {
            return fxc_rule_value(&seen->rule, p->param_value[i], out) && out->numel >= 0;
        }
    }
    return false;
}

static uint32_t config_row(const struct fxc_seen *seen, const char *name) {
    return fxc_tool_config(seen->rule.program, seen->index, fxc_seen_module(seen), name);
}

bool fxc_seen_config(const struct fxc_seen *seen, const char *name, uint32_t index, int64_t *out) {
    const struct fxc_program *p = seen->rule.program;
    uint32_t row = config_row(seen, name);
    if (row == FXC_NONE) {
        return false;
    }
    if (p->config_kind[row] == FXC_KIND_LIST) {
        return fxc_rule_item_int(&seen->rule, (uint32_t)p->config_payload[row], index, out);
    }
    return fxc_eval_int(p, seen->rule.bindings, p->config_kind[row], p->config_payload[row], out);
}

bool fxc_seen_config_is_number(const struct fxc_seen *seen, const char *name) {
    uint32_t row = config_row(seen, name);
    return row != FXC_NONE && seen->rule.program->config_kind[row] != FXC_KIND_LIST;
}

const char *fxc_seen_config_string(const struct fxc_seen *seen, const char *name) {
    const struct fxc_program *p = seen->rule.program;
    uint32_t row = config_row(seen, name);
    return row != FXC_NONE && p->config_kind[row] == FXC_KIND_STRING ? fxc_string(p, (uint32_t)p->config_payload[row])
                                                                     : NULL;
}

bool fxc_seen_has(const struct fxc_seen *seen, const char *param, enum fxc_name argument) {
    struct fxc_tensor tensor;
    return seen->call == FXC_NONE ? fxc_has_tensor(&seen->rule, argument) : fxc_seen_param(seen, param, &tensor);
}

int64_t fxc_sizes(struct fxc_tally *tally, const struct fxc_tensor *tensor, uint32_t first, uint32_t last) {
    int64_t product = 1;
    for (uint32_t dim = first; dim < last && dim < tensor->rank; dim++) {
        product = fxc_times(tally, product, tensor->size[dim]);
    }
    return product;
}

bool fxc_seen_keyword(const struct fxc_seen *seen, const char *name) {
    return seen->region != FXC_NONE && fxc_tool_region_keyword(seen->rule.program, seen->region, name);
}

int64_t fxc_seen_macs(const struct fxc_seen *seen) {
    struct fxc_tensor first;
    const fxc_counts *own = seen->own;
    if (!fxc_seen_input(seen, 0, &first)) {
        return own->macs;
    }
    return fxc_dtype_is_complex(first.dtype) ? own->macs / 4
           : fxc_dtype_is_float(first.dtype) ? own->macs
                                             : own->int_ops / 2;
}
