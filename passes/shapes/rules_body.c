/* Shape rules of operators that call graphs: their results are what the graphs return. */
#include "passes/flops/rules.h"
#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* Output `index` of a graph, when it is a tensor. */
static bool output_of(const struct fxc_rule *rule, uint32_t graph, uint32_t index, struct fxc_tensor *out) {
    const struct fxc_program *p = rule->program;
    uint32_t output = p->graph_output_begin[graph] + index;
    return output < p->graph_output_begin[graph + 1] && p->output_kind[output] == FXC_KIND_VALUE &&
           fxc_rule_value(rule, (uint32_t)p->output_payload[output], out) && out->numel >= 0 &&
           out->rank <= FXC_MAX_RANK;
}

/* Graph argument number `which` of the node; FXC_NONE past the last. */
static uint32_t graph_argument(const struct fxc_rule *rule, uint32_t which) {
    const struct fxc_program *p = rule->program;
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        if (p->arg_kind[i] == FXC_KIND_GRAPH && which-- == 0) {
            return (uint32_t)p->arg_payload[i];
        }
    }
    return FXC_NONE;
}

uint8_t fxc_body_dtype(const struct fxc_rule *rule, uint32_t which, uint32_t index) {
    struct fxc_tensor tensor;
    uint32_t graph = graph_argument(rule, which);
    return graph != FXC_NONE && output_of(rule, graph, index, &tensor) ? tensor.dtype : (uint8_t)FXC_DTYPE_OPAQUE;
}

/* Wrappers and cond: what the graph returns; of several branches, what all of them return. */
fxc_status fxc_shape_body(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor first, other;
    uint32_t graph = graph_argument(rule, 0);
    FXC_NEED(graph != FXC_NONE && output_of(rule, graph, out->index, &first));
    fxc_start_view(&first, out);
    for (uint32_t which = 1; (graph = graph_argument(rule, which)) != FXC_NONE; which++) {
        FXC_NEED(output_of(rule, graph, out->index, &other));
        bool same = other.rank == first.rank;
        for (uint32_t dim = 0; same && dim < first.rank; dim++) {
            same = other.size[dim] == first.size[dim];
            out->strides_told = out->strides_told && (first.size[dim] <= 1 || other.stride[dim] == first.stride[dim]);
        }
        if (!same) {
            return fxc_shape_conflict(rule, err, "the first branch's result", &first, "another's", &other,
                                      "branches that return equal shapes");
        }
    }
    return FXC_OK;
}

/* map and scan: what is carried as it is, the rest once for each row. */
fxc_status fxc_shape_rows(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor row;
    int64_t length;
    uint32_t graph = graph_argument(rule, 0);
    uint32_t carried = fxc_list_count(rule->program, fxc_rule_list(rule, FXC_NAME_init));
    (void)err;
    FXC_NEED(graph != FXC_NONE && output_of(rule, graph, out->index, &row));
    if (out->index < carried) {
        fxc_start_view(&row, out);
        return FXC_OK;
    }
    FXC_NEED(fxc_body_length(rule, &length) && row.rank < FXC_MAX_RANK);
    out->rank = (uint8_t)(row.rank + 1);
    out->size[0] = length;
    for (uint32_t dim = 0; dim < row.rank; dim++) {
        out->size[dim + 1] = row.size[dim];
    }
    (void)fxc_contiguous_strides(out);
    return FXC_OK;
}

/* while_loop: what goes round has one shape. */
fxc_status fxc_shape_carried(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor before, after;
    uint32_t graph = graph_argument(rule, 1);
    FXC_NEED(graph != FXC_NONE && output_of(rule, graph, out->index, &after));
    FXC_NEED(fxc_rule_item_tensor(rule, fxc_rule_list(rule, FXC_NAME_carried_inputs), out->index, &before));
    fxc_start_view(&after, out);
    bool same = before.rank == after.rank;
    for (uint32_t dim = 0; same && dim < after.rank; dim++) {
        same = before.size[dim] == after.size[dim];
    }
    return same ? FXC_OK
                : fxc_shape_conflict(rule, err, "the loop's input", &before, "what its body returns", &after,
                                     "a body that keeps the shape");
}

/* associative_scan: each result is as what is scanned. */
fxc_status fxc_shape_scanned(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_rule_item_tensor(rule, fxc_rule_list(rule, FXC_NAME_xs), out->index, &tensor) && tensor.numel >= 0);
    FXC_NEED(tensor.rank <= FXC_MAX_RANK);
    fxc_shape_of(&tensor, out);
    return FXC_OK;
}

/* auto_functionalized: what the operator returns, which only it knows, then what it wrote to. */
bool fxc_written_tensor(const struct fxc_rule *rule, uint32_t index, struct fxc_tensor *out) {
    const struct fxc_program *p = rule->program;
    uint32_t result = p->node_result[rule->node], bases = fxc_rule_list(rule, FXC_NAME__all_bases);
    if (p->value_kind[result] != FXC_KIND_LIST) {
        return false;
    }
    uint32_t results = fxc_list_count(p, (uint32_t)p->value_payload[result]), written = fxc_list_count(p, bases);
    return written <= results && index >= results - written &&
           fxc_rule_item_tensor(rule, bases, index - (results - written), out);
}

fxc_status fxc_shape_functionalized(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor base;
    (void)err;
    FXC_NEED(fxc_written_tensor(rule, out->index, &base) && base.numel >= 0 && base.rank <= FXC_MAX_RANK);
    fxc_start_view(&base, out);
    return FXC_OK;
}

/* flex_attention: as attention, then the logarithms of the sums and the largest scores, one for each query. */
fxc_status fxc_shape_flex(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor query, value;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_query, &query) && fxc_shape_argument(rule, FXC_NAME_value, &value));
    FXC_NEED(query.rank == 4 && value.rank == 4 && out->index < 3);
    fxc_start_view(&query, out);
    if (out->index > 0) {
        out->rank = 3;
        (void)fxc_contiguous_strides(out);
        return FXC_OK;
    }
    out->size[3] = value.size[3];
    if (out->strides_told) {
        out->strides_told = false;
        fxc_iterated_strides(out);
    }
    return FXC_OK;
}
