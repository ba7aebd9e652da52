/* resolve: what a node returns. Its rules tell sizes, type and strides; the schema's marks tell whose memory it is. */
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"
#include "passes/shapes/tell.h"

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* The storage of the argument that the schema says a result shares, FXC_NONE when it shares none. */
static uint32_t shared_storage(const struct fxc_resolver *x, const struct fxc_overload *overload, uint32_t node,
                               const struct fxc_schema_arg *result) {
    const struct fxc_program *p = &x->r->view;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint32_t at = fxc_schema_find(&overload->schema, fxc_string(p, p->argname_text[p->arg_name[a]]));
        if (at != FXC_NONE && (overload->schema.args[at].alias_sets & result->alias_sets) != 0 &&
            p->arg_kind[a] == FXC_KIND_VALUE) {
            return p->value_storage[p->arg_payload[a]];
        }
    }
    return FXC_NONE;
}

static uint32_t device_of(const struct fxc_resolver *x, uint32_t node) {
    const struct fxc_program *p = &x->r->view;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_DEVICE) {
            return (uint32_t)p->arg_payload[a];
        }
        if (p->arg_kind[a] == FXC_KIND_VALUE && p->value_storage[p->arg_payload[a]] != FXC_NONE) {
            return p->storage_device[p->value_storage[p->arg_payload[a]]];
        }
    }
    return fxc_reshape_string(x->r, "cpu");
}

static uint32_t new_storage(struct fxc_resolver *x, uint32_t device) {
    struct fxc_builder *b = &x->r->builder;
    uint32_t row = fxc_builder_length(b, FXC_COLUMN_storage_bytes);
    fxc_push_storage_bytes(b, 0);
    fxc_push_storage_device(b, device);
    fxc_push_storage_origin(b, FXC_STORAGE_ORIGIN_INTERMEDIATE);
    fxc_reshape_refresh(x->r);
    return row;
}

/* ---- one tensor -------------------------------------------------------------------------------------------------- */

/* The type that all tensor arguments have; FXC_DTYPE_OPAQUE when they differ or there are none. */
static uint8_t common_dtype(const struct fxc_rule *rule) {
    const struct fxc_program *p = rule->program;
    uint8_t common = FXC_DTYPE_OPAQUE;
    for (uint32_t a = p->node_arg_begin[rule->node]; a < p->node_arg_begin[rule->node + 1]; a++) {
        struct fxc_tensor tensor;
        uint32_t list = p->arg_kind[a] == FXC_KIND_LIST ? (uint32_t)p->arg_payload[a] : FXC_NONE;
        uint32_t count = p->arg_kind[a] == FXC_KIND_VALUE ? 1 : fxc_list_count(p, list);
        for (uint32_t i = 0; i < count; i++) {
            bool found = p->arg_kind[a] == FXC_KIND_VALUE ? fxc_rule_value(rule, (uint32_t)p->arg_payload[a], &tensor)
                                                          : fxc_rule_item_tensor(rule, list, i, &tensor);
            if (found && common != FXC_DTYPE_OPAQUE && tensor.dtype != common) {
                return FXC_DTYPE_OPAQUE;
            }
            common = found ? tensor.dtype : common;
        }
    }
    return common;
}

/* Row-major where no rule tells strides. False when the elements are too many. */
static bool settle_strides(const struct fxc_rule *rule, struct fxc_shape *told) {
    int64_t numel = 1;
    for (uint32_t dim = 0; dim < told->rank; dim++) {
        if (told->size[dim] > 0 && fxc_mul(numel, told->size[dim], &numel)) {
            return false;
        }
    }
    fxc_tell_strides(rule, told);
    if (!told->strides_told) {
        const struct fxc_tensor none = {.rank = UINT8_MAX};
        return fxc_reshape_strides_like(&none, told);
    }
    return true;
}

static fxc_status advise(fxc_status status, fxc_error *err) {
    if (status == FXC_PROGRAM) {
        fxc_advice(err, "the model does not take these input sizes: give others with --input-shape");
    }
    return status;
}

static void set_unknown(struct fxc_resolver *x, uint32_t value) {
    fxc_reshape_set_value(x->r, value, FXC_KIND_OPAQUE, fxc_reshape_string(x->r, "unknown"), 0);
}

static fxc_status settle_tensor(struct fxc_resolver *x, const struct fxc_overload *overload, struct fxc_rule *rule,
                                uint32_t value, uint32_t index, const struct fxc_schema_arg *result, fxc_error *err) {
    struct fxc_reshape *r = x->r;
    struct fxc_shape told;
    fxc_tell_nothing(&told, index);
    fxc_tell_dtype(rule, &told);
    fxc_status status = fxc_tell_sizes(rule, &told, err);
    told.dtype = told.dtype == FXC_DTYPE_OPAQUE ? common_dtype(rule) : told.dtype;
    if (status == FXC_UNKNOWN_OPS || (status == FXC_OK && told.dtype == FXC_DTYPE_OPAQUE)) {
        set_unknown(x, value);
        return FXC_OK;
    }
    FXC_TRY(advise(status, err));
    if (!settle_strides(rule, &told)) {
        status = fxc_fail_node(err, FXC_OVERFLOW, rule->program, rule->node);
        fxc_expected(err, "sizes whose product fits in 64 bits");
        fxc_found(err, "a larger result");
        fxc_advice(err, "give smaller input sizes");
        return status;
    }
    uint32_t storage = shared_storage(x, overload, rule->node, result);
    if (storage == FXC_NONE) {
        storage = new_storage(x, device_of(x, rule->node));
    }
    struct fxc_reshape_meta meta = {.dtype = told.dtype, .layout = FXC_LAYOUT_STRIDED, .rank = told.rank};
    memcpy(meta.size, told.size, told.rank * sizeof told.size[0]);
    memcpy(meta.stride, told.stride, told.rank * sizeof told.stride[0]);
    if (!r->builder.failed) {
        ((uint32_t *)r->builder.column[FXC_COLUMN_value_storage].data)[value] = storage;
        ((uint32_t *)r->builder.column[FXC_COLUMN_value_producer].data)[value] = rule->node;
    }
    fxc_reshape_place(r, rule, value, &told, &meta);
    fxc_reshape_set_tensor(r, value, fxc_reshape_meta_row(r, &meta), FXC_CHANGED_SIZES);
    return r->builder.failed ? fxc_fail_memory(err, r->source->file) : fxc_reshape_fill(r, value, err);
}

/* ---- several ----------------------------------------------------------------------------------------------------- */

/* How many tensors a node returns in its list; false when that depends on data. */
static bool count_results(const struct fxc_rule *rule, const struct fxc_op_row *row, uint32_t *out) {
    struct fxc_tensor tensor;
    uint32_t dim, list = fxc_rule_list(rule, FXC_NAME_split_size);
    int64_t pieces, size, step;
    bool subject = fxc_shape_subject(rule, &tensor);
    list = list != FXC_NONE ? list : fxc_rule_list(rule, FXC_NAME_split_sizes);
    if (list != FXC_NONE) {
        *out = fxc_list_count(rule->program, list);
        return true;
    }
    list = fxc_rule_list(rule, FXC_NAME_tensors);
    if (list != FXC_NONE && !subject) {
        *out = fxc_list_count(rule->program, list);
        return true;
    }
    list = fxc_rule_list(rule, FXC_NAME_indices);
    if (list != FXC_NONE) { /* tensor_split */
        *out = fxc_list_count(rule->program, list) + 1;
        return true;
    }
    if (!subject || !fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim)) {
        return false;
    }
    size = tensor.size[dim];
    if (strcmp(row->name, "aten.unbind.int") == 0) {
        pieces = size;
    } else if (fxc_rule_int(rule, FXC_NAME_chunks, 0, &pieces) && pieces > 0) {
        step = size == 0 ? 1 : (size - 1) / pieces + 1;
        pieces = size == 0 ? pieces : (size - 1) / step + 1;
    } else if (strcmp(row->name, "aten.tensor_split.sections") == 0) {
        if (!fxc_rule_int(rule, FXC_NAME_sections, 0, &pieces) || pieces <= 0) {
            return false;
        }
    } else if (fxc_rule_int(rule, FXC_NAME_split_size, 0, &step) && step > 0) {
        pieces = size == 0 ? 1 : (size - 1) / step + 1;
    } else {
        return false;
    }
    *out = (uint32_t)pieces;
    return pieces >= 0 && pieces <= UINT16_MAX;
}

static bool is_tensor_list(const struct fxc_schema_arg *result) {
    return result->tensor && result->list;
}

/* The elements of a list or of a tuple of results. */
static fxc_status settle_list(struct fxc_resolver *x, const struct fxc_overload *overload, struct fxc_rule *rule,
                              uint32_t value, uint32_t count, struct fxc_became *out, fxc_error *err) {
    const struct fxc_schema *schema = &overload->schema;
    struct fxc_became *items = FXC_NEW(&x->r->scratch, struct fxc_became, count);
    if (items == NULL) {
        return fxc_fail_memory(err, x->r->source->file);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct fxc_schema_arg *result = &schema->results[schema->result_count > 1 ? i : 0];
        uint32_t element = fxc_resolve_value(x, true, "");
        items[i] = (struct fxc_became){FXC_KIND_VALUE, element};
        if (x->r->builder.failed) {
            return fxc_fail_memory(err, x->r->source->file);
        }
        ((uint32_t *)x->r->builder.column[FXC_COLUMN_value_producer].data)[element] = rule->node;
        if (result->tensor) {
            FXC_TRY(settle_tensor(x, overload, rule, element, i, result, err));
        } else {
            set_unknown(x, element);
        }
    }
    *out = fxc_resolve_list(x, items, count);
    fxc_reshape_set_value(x->r, value, FXC_KIND_LIST, out->payload, 0);
    return FXC_OK;
}

fxc_status fxc_resolve_results(struct fxc_resolver *x, const struct fxc_overload *overload, uint32_t node,
                               struct fxc_became *out, fxc_error *err) {
    const struct fxc_schema *schema = &overload->schema;
    struct fxc_rule rule = {.program = &x->r->view, .shapes = &x->r->shapes, .bindings = x->r->unbound, .node = node};
    uint32_t value = x->r->view.node_result[node], count = schema->result_count;
    *out = (struct fxc_became){FXC_KIND_VALUE, value};
    if (count == 0) {
        fxc_reshape_set_value(x->r, value, FXC_KIND_NONE, 0, 0);
        *out = (struct fxc_became){FXC_KIND_NONE, 0};
        return FXC_OK;
    }
    if (count > 1) {
        return settle_list(x, overload, &rule, value, count, out, err);
    }
    if (is_tensor_list(&schema->results[0]) && count_results(&rule, overload->row, &count)) {
        return settle_list(x, overload, &rule, value, count, out, err);
    }
    if (schema->results[0].tensor && !schema->results[0].list) {
        return settle_tensor(x, overload, &rule, value, 0, &schema->results[0], err);
    }
    set_unknown(x, value);
    return FXC_OK;
}
