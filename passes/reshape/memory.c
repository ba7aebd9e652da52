/* reshape: where results lie. A view lies in the storage of what it views, at an offset; anything else in the storage
 * that was recorded for it, which is sized anew. */
#include "passes/reshape/reshape.h"
#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* ---- offsets ----------------------------------------------------------------------------------------------------- */

static int64_t offset_of(const struct fxc_reshape *r, uint32_t value) {
    return r->view.meta_offset[r->view.value_payload[value]];
}

/* A bound counted from the end when negative, then cut to the size. */
static int64_t clamp(int64_t bound, int64_t size) {
    bound = bound < 0 ? bound + size : bound;
    return bound < 0 ? 0 : bound > size ? size : bound;
}

/* Elements before piece `index` of a dimension. */
static bool pieces_before(const struct fxc_rule *rule, uint8_t shape, int64_t size, uint32_t index, int64_t *out) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_split_sizes);
    int64_t step = 0, chunks;
    list = list != FXC_NONE ? list : fxc_rule_list(rule, FXC_NAME_split_size);
    *out = 0;
    for (uint32_t i = 0; list != FXC_NONE && i < index; i++) {
        if (!fxc_rule_item_int(rule, list, i, &step) || fxc_add(*out, step, out)) {
            return false;
        }
    }
    if (list != FXC_NONE) {
        return true;
    }
    if (shape == FXC_SHAPE_chunk) {
        if (!fxc_rule_int(rule, FXC_NAME_chunks, 0, &chunks) || chunks <= 0 || size <= 0) {
            return false;
        }
        step = (size - 1) / chunks + 1;
    } else if (!fxc_rule_int(rule, FXC_NAME_split_size, 0, &step)) {
        return false;
    }
    return !fxc_mul(step, index, out);
}

/* Elements of one dimension that a view leaves out at its start. False for views that leave none out. */
static bool skipped(const struct fxc_rule *rule, const struct fxc_tensor *base, uint32_t index, uint32_t *dim,
                    int64_t *out) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    if (row == NULL || base->rank == 0 || !fxc_shape_dim(rule, FXC_NAME_dim, 0, base->rank, dim)) {
        return false;
    }
    int64_t size = base->size[*dim];
    switch (row->shape) {
    case FXC_SHAPE_select:
        if (!fxc_rule_int(rule, FXC_NAME_index, 0, out)) {
            return false;
        }
        *out = *out < 0 ? *out + size : *out;
        return *out >= 0 && *out < size;
    case FXC_SHAPE_slice:
    case FXC_SHAPE_narrow:
        if (!fxc_rule_int(rule, FXC_NAME_start, 0, out)) {
            return false;
        }
        *out = clamp(*out, size);
        return *out < size;
    case FXC_SHAPE_split:
    case FXC_SHAPE_chunk:
        return pieces_before(rule, row->shape, size, index, out);
    default:
        return false;
    }
}

/* ---- storages ---------------------------------------------------------------------------------------------------- */

/* Element of a list that getitem picks. */
static bool find_element(const struct fxc_rule *rule, uint32_t list, struct fxc_tensor *out) {
    int64_t index, count = fxc_list_count(rule->program, list);
    if (!fxc_rule_int(rule, FXC_NAME_b, 0, &index)) {
        return false;
    }
    index = index < 0 ? index + count : index;
    return index >= 0 && index < count && fxc_rule_item_tensor(rule, list, (uint32_t)index, out);
}

/* The first tensor argument that lies in this storage, or the element of a list that is picked. */
static bool find_base(const struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t storage,
                      struct fxc_tensor *out) {
    const struct fxc_program *p = &r->view;
    for (uint32_t a = p->node_arg_begin[rule->node]; a < p->node_arg_begin[rule->node + 1]; a++) {
        if (p->arg_kind[a] != FXC_KIND_VALUE) {
            continue;
        }
        uint32_t value = (uint32_t)p->arg_payload[a];
        bool found = p->value_kind[value] == FXC_KIND_LIST ? find_element(rule, (uint32_t)p->value_payload[value], out)
                                                           : fxc_rule_value(rule, value, out);
        if (found && p->value_storage[out->value] == storage) {
            return true;
        }
    }
    return false;
}

static bool same_layout(const struct fxc_tensor *base, const struct fxc_shape *told) {
    if (base->rank != told->rank || base->dtype != told->dtype) {
        return false;
    }
    for (uint32_t dim = 0; dim < told->rank; dim++) {
        if (base->size[dim] != told->size[dim] || (told->size[dim] > 1 && base->stride[dim] != told->stride[dim])) {
            return false;
        }
    }
    return true;
}

/* reshape, contiguous and the like return a view where they can, else a copy: at other sizes that may be otherwise. */
static bool still_views(const struct fxc_rule *rule, const struct fxc_tensor *base, const struct fxc_shape *told) {
    const struct fxc_op_row *row = fxc_node_row(rule->program, rule->node);
    struct fxc_shape view = *told;
    if (row == NULL || row->alias != FXC_ALIAS_RECORDED) {
        return true;
    }
    switch (row->shape) {
    case FXC_SHAPE_view:
    case FXC_SHAPE_flatten:
    case FXC_SHAPE_other:
        return base->dtype == told->dtype && fxc_view_strides(base, &view);
    case FXC_SHAPE_same:
        return same_layout(base, told);
    default:
        return true;
    }
}

/* A further storage like one of the source's. */
static uint32_t new_storage(struct fxc_reshape *r, uint32_t like) {
    struct fxc_builder *b = &r->builder;
    uint32_t row = fxc_builder_length(b, FXC_COLUMN_storage_bytes);
    fxc_push_storage_bytes(b, 0);
    fxc_push_storage_device(b, r->view.storage_device[like]);
    fxc_push_storage_origin(b, FXC_STORAGE_ORIGIN_INTERMEDIATE);
    fxc_reshape_refresh(r);
    return row;
}

static void set_storage(struct fxc_reshape *r, uint32_t value, uint32_t storage) {
    if (!r->builder.failed) {
        ((uint32_t *)r->builder.column[FXC_COLUMN_value_storage].data)[value] = storage;
    }
}

void fxc_reshape_place(struct fxc_reshape *r, const struct fxc_rule *rule, uint32_t value, const struct fxc_shape *told,
                       struct fxc_reshape_meta *meta) {
    uint32_t storage = r->view.value_storage[value], dim;
    struct fxc_tensor base;
    int64_t steps, distance;
    meta->offset = 0;
    if (storage == FXC_NONE || !find_base(r, rule, storage, &base)) {
        return;
    }
    if (!still_views(rule, &base, told)) {
        set_storage(r, value, new_storage(r, storage));
        return;
    }
    meta->offset = offset_of(r, base.value);
    if (meta->offset >= 0 && skipped(rule, &base, told->index, &dim, &steps) &&
        !fxc_mul(steps, base.stride[dim], &distance)) {
        (void)fxc_add(meta->offset, distance, &meta->offset);
    }
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* Bytes from the start of a storage to the end of a tensor. */
static bool reach(const struct fxc_reshape *r, uint32_t value, int64_t *bytes) {
    const struct fxc_program *p = &r->view;
    uint32_t meta = (uint32_t)p->value_payload[value];
    int64_t last = p->meta_offset[meta], step;
    bool empty = false, overflow = false;
    for (uint32_t d = p->meta_dim_begin[meta]; d < p->meta_dim_begin[meta + 1]; d++) {
        empty = empty || p->dim_size[d] == 0;
        overflow = overflow || fxc_mul(p->dim_size[d] - 1, p->dim_stride[d], &step) || fxc_add(last, step, &last);
    }
    *bytes = 0;
    return empty || (!overflow && !fxc_add(last, 1, &last) && !fxc_bytes_of(p->meta_dtype[meta], last, bytes));
}

fxc_status fxc_reshape_fill(struct fxc_reshape *r, uint32_t value, fxc_error *err) {
    uint32_t storage = r->view.value_storage[value];
    uint8_t changed = r->builder.failed ? 0 : ((const uint8_t *)r->changed.data)[value];
    int64_t bytes;
    if (r->builder.failed || storage == FXC_NONE) {
        return FXC_OK;
    }
    bool recorded = storage < FXC_COUNT(r->source, storage);
    bool first = recorded && !r->storage_used[storage];
    if (recorded) {
        r->storage_used[storage] = true;
    }
    if (recorded && changed == 0) {
        return FXC_OK;
    }
    if (!reach(r, value, &bytes)) {
        fxc_status status = fxc_fail(err, FXC_OVERFLOW, "%s: value '%s'", r->source->file,
                                     fxc_string(&r->view, r->view.value_name[value]));
        fxc_expected(err, "a tensor whose bytes fit in 64 bits");
        fxc_found(err, "a larger one");
        return status;
    }
    int64_t *room = &((int64_t *)r->builder.column[FXC_COLUMN_storage_bytes].data)[storage];
    if (first || (*room >= 0 && *room < bytes)) {
        *room = bytes;
    }
    return FXC_OK;
}
