/* reshape: the new program while it grows. Tables that say nothing of sizes are copied at once. */
#include <stdlib.h>
#include <string.h>

#include "passes/reshape/reshape.h"
#include "passes/shapes/autocast.h"
#include "passes/shapes/tell.h"

/* ---- values ------------------------------------------------------------------------------------------------------ */

#define AT(vector, type, index) (((type *)(vector).data)[index])

void fxc_reshape_set_value(struct fxc_reshape *r, uint32_t value, uint8_t kind, int64_t payload, uint8_t changed) {
    if (r->builder.failed) {
        return;
    }
    AT(r->builder.column[FXC_COLUMN_value_kind], uint8_t, value) = kind;
    AT(r->builder.column[FXC_COLUMN_value_payload], int64_t, value) = payload;
    AT(r->changed, uint8_t, value) = changed;
    r->any_changed = r->any_changed || changed != 0;
}

void fxc_reshape_set_tensor(struct fxc_reshape *r, uint32_t value, uint32_t meta, uint8_t changed) {
    fxc_reshape_set_value(r, value, FXC_KIND_TENSOR, meta, changed);
    if (r->builder.failed) {
        return;
    }
    AT(r->dim_begin, uint32_t, value) = r->view.meta_dim_begin[meta];
    AT(r->rank, uint8_t, value) = (uint8_t)(r->view.meta_dim_begin[meta + 1] - r->view.meta_dim_begin[meta]);
    AT(r->dtype, uint8_t, value) = r->view.meta_dtype[meta];
    AT(r->numel, int64_t, value) = AT(r->meta_numel, int64_t, meta);
}

void fxc_reshape_adopt(struct fxc_reshape *r, uint32_t value) {
    const struct fxc_program *p = r->source;
    uint8_t kind;
    int64_t payload;
    fxc_reshape_literal(r, p->value_kind[value], p->value_payload[value], &kind, &payload);
    if (kind == FXC_KIND_TENSOR) {
        fxc_reshape_set_tensor(r, value, (uint32_t)payload, 0);
    } else {
        fxc_reshape_set_value(r, value, kind, payload, 0);
    }
    r->settled[value] = true;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void push_number(struct fxc_builder *b, uint32_t column, int64_t number) {
    uint8_t u8 = (uint8_t)number;
    uint16_t u16 = (uint16_t)number;
    uint32_t u32 = (uint32_t)number;
    size_t size = fxc_columns[column].element_size;
    const void *element = size == 1   ? (const void *)&u8
                          : size == 2 ? (const void *)&u16
                          : size == 4 ? (const void *)&u32
                                      : (const void *)&number;
    fxc_builder_push(b, (enum fxc_column)column, element);
}

/* Whether a column of kinds, and the payloads behind it, say nothing of symbols or tensor descriptions. */
static bool is_plain(const struct fxc_program *p, uint32_t column) {
    const uint8_t *kinds = p->column[column];
    uint32_t rows = p->count[fxc_columns[column].group], found = 0;
    for (uint32_t row = 0; row < rows; row++) {
        found += kinds[row] == FXC_KIND_SYMINT || kinds[row] == FXC_KIND_SYMFLOAT || kinds[row] == FXC_KIND_SYMBOOL ||
                 kinds[row] == FXC_KIND_TENSOR;
    }
    return found == 0;
}

static void copy_whole(struct fxc_reshape *r, uint32_t column) {
    const struct fxc_column_info *info = &fxc_columns[column];
    uint32_t rows = r->source->count[info->group] + (info->check == FXC_CHECK_BEGIN);
    r->builder.failed = r->builder.failed || !fxc_vector_append(&r->builder.column[column], r->source->column[column],
                                                                rows, info->element_size);
}

/* One column; a payload column with the column of kinds before it. */
static void copy_column(struct fxc_reshape *r, uint32_t column) {
    const struct fxc_program *p = r->source;
    const struct fxc_column_info *info = &fxc_columns[column];
    bool kinds = info->check == FXC_CHECK_KIND, symints = info->check == FXC_CHECK_SYMINT;
    if (p->column[column] == NULL || info->check == FXC_CHECK_PAYLOAD) {
        return;
    }
    if (kinds ? is_plain(p, column) : !symints || FXC_COUNT(p, expr) == 0) {
        copy_whole(r, column);
        if (kinds) {
            copy_whole(r, column + 1);
        }
        return;
    }
    for (uint32_t row = 0; row < p->count[info->group]; row++) {
        int64_t number = fxc_element(p, column, row);
        if (kinds) {
            uint8_t kind;
            fxc_reshape_literal(r, (uint8_t)number, fxc_element(p, column + 1, row), &kind, &number);
            push_number(&r->builder, column, kind);
            push_number(&r->builder, column + 1, number);
        } else {
            push_number(&r->builder, column, fxc_reshape_symint(r, number));
        }
    }
}

static bool is_built_by_hand(uint32_t group) {
    switch (group) {
    case FXC_GROUP_string:
    case FXC_GROUP_byte:
    case FXC_GROUP_symbol:
    case FXC_GROUP_constraint:
    case FXC_GROUP_expr:
    case FXC_GROUP_token:
    case FXC_GROUP_meta:
    case FXC_GROUP_dim:
    case FXC_GROUP_value:
    case FXC_GROUP_measure: /* of the sizes that it ran with */
        return true;
    default:
        return false;
    }
}

/* Only symbols without a value are left, and constraints on them. */
static void copy_symbols(struct fxc_reshape *r) {
    const struct fxc_program *p = r->source;
    struct fxc_builder *b = &r->builder;
    for (uint32_t i = 0, row = 0; i < FXC_COUNT(p, symbol); i++) {
        r->symbol_map[i] = r->recorded->bindings[i].known ? FXC_NONE : row++;
        if (r->symbol_map[i] != FXC_NONE) {
            fxc_push_symbol_name(b, p->symbol_name[i]);
            fxc_push_symbol_dim(b, p->symbol_dim[i]);
            fxc_push_symbol_flags(b, p->symbol_flags[i]);
            fxc_push_symbol_hint(b, p->symbol_hint[i]);
            fxc_push_symbol_min(b, p->symbol_min[i]);
            fxc_push_symbol_max(b, p->symbol_max[i]);
        }
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, constraint); i++) {
        struct fxc_reshape_expr mapped = fxc_reshape_map_expr(r, p->constraint_expr[i]);
        if (mapped.state == FXC_EXPR_SYMBOLIC) {
            fxc_push_constraint_expr(b, (uint32_t)mapped.value);
            fxc_push_constraint_flags(b, p->constraint_flags[i]);
            fxc_push_constraint_min(b, p->constraint_min[i]);
            fxc_push_constraint_max(b, p->constraint_max[i]);
        }
    }
}

static uint32_t push_value(struct fxc_reshape *r, uint32_t producer, uint32_t name, uint32_t storage) {
    struct fxc_builder *b = &r->builder;
    const uint32_t none = 0, row = fxc_builder_length(b, FXC_COLUMN_value_kind);
    const int64_t zero = 0;
    const uint8_t opaque = FXC_DTYPE_OPAQUE, nothing = 0;
    fxc_push_value_kind(b, FXC_KIND_OPAQUE);
    fxc_push_value_payload(b, 0);
    fxc_push_value_producer(b, producer);
    fxc_push_value_name(b, name);
    fxc_push_value_storage(b, storage);
    fxc_reshape_push(r, &r->dim_begin, &none, sizeof none);
    fxc_reshape_push(r, &r->rank, &nothing, 1);
    fxc_reshape_push(r, &r->dtype, &opaque, 1);
    fxc_reshape_push(r, &r->numel, &zero, sizeof zero);
    fxc_reshape_push(r, &r->changed, &nothing, 1);
    return row;
}

uint32_t fxc_reshape_new_value(struct fxc_reshape *r, const char *name) {
    uint32_t value = push_value(r, FXC_NONE, fxc_reshape_string(r, name), FXC_NONE);
    fxc_reshape_refresh(r);
    return value;
}

static void append(struct fxc_reshape *r, struct fxc_vector *vector, const void *data, uint32_t count, size_t size) {
    r->builder.failed = r->builder.failed || !fxc_vector_append(vector, data, count, size);
}

static void start_values(struct fxc_reshape *r) {
    const struct fxc_program *p = r->source;
    struct fxc_vector *columns = r->builder.column;
    uint32_t count = FXC_COUNT(p, value);
    append(r, &columns[FXC_COLUMN_value_kind], NULL, count, 1);
    append(r, &columns[FXC_COLUMN_value_payload], NULL, count, sizeof(int64_t));
    copy_whole(r, FXC_COLUMN_value_producer);
    copy_whole(r, FXC_COLUMN_value_name);
    copy_whole(r, FXC_COLUMN_value_storage);
    append(r, &r->dim_begin, NULL, count, sizeof(uint32_t));
    append(r, &r->rank, NULL, count, 1);
    append(r, &r->dtype, NULL, count, 1);
    append(r, &r->numel, NULL, count, sizeof(int64_t));
    append(r, &r->changed, NULL, count, 1);
    for (uint32_t v = 0; v < count && !r->builder.failed; v++) {
        ((uint8_t *)columns[FXC_COLUMN_value_kind].data)[v] = FXC_KIND_OPAQUE;
        ((uint8_t *)r->dtype.data)[v] = FXC_DTYPE_OPAQUE;
        r->became[v] = (struct fxc_became){FXC_KIND_VALUE, v};
    }
}

static void start_ops(struct fxc_reshape *r) {
    const struct fxc_program *p = r->source;
    append(r, &r->op_row, p->op_row, FXC_COUNT(p, op), sizeof p->op_row[0]);
    append(r, &r->argname_id, p->argname_id, FXC_COUNT(p, argname), sizeof p->argname_id[0]);
}

static bool allocate(struct fxc_reshape *r) {
    const struct fxc_program *p = r->source;
    struct fxc_arena *a = &r->scratch;
    r->became = FXC_NEW(a, struct fxc_became, FXC_COUNT(p, value));
    r->settled = FXC_NEW(a, bool, FXC_COUNT(p, value));
    r->walked = FXC_NEW(a, bool, FXC_COUNT(p, graph));
    r->storage_used = FXC_NEW(a, bool, FXC_COUNT(p, storage));
    r->expr_map = FXC_NEW(a, struct fxc_reshape_expr, FXC_COUNT(p, expr));
    r->meta_map = FXC_NEW(a, uint32_t, FXC_COUNT(p, meta));
    r->symbol_map = FXC_NEW(a, uint32_t, FXC_COUNT(p, symbol));
    r->unbound = FXC_NEW(a, struct fxc_binding, FXC_COUNT(p, symbol));
    for (uint32_t i = 0; r->meta_map != NULL && i < FXC_COUNT(p, meta); i++) {
        r->meta_map[i] = FXC_NONE;
    }
    return r->became != NULL && r->settled != NULL && r->walked != NULL && r->storage_used != NULL &&
           r->expr_map != NULL && r->meta_map != NULL && r->symbol_map != NULL && r->unbound != NULL;
}

fxc_status fxc_reshape_start(struct fxc_reshape *r, fxc_error *err) {
    const struct fxc_program *p = r->source;
    fxc_builder_start(&r->builder);
    if (!allocate(r)) {
        return fxc_fail_memory(err, p->file);
    }
    r->view = (struct fxc_program){.version_major = p->version_major, .version_minor = p->version_minor};
    r->view.file = p->file;
    fxc_builder_adopt_strings(&r->builder, p);
    fxc_push_expr_begin(&r->builder, 0);
    fxc_push_meta_dim_begin(&r->builder, 0);
    copy_symbols(r);
    start_ops(r);
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        if (!is_built_by_hand(fxc_columns[column].group)) {
            copy_column(r, column);
        }
    }
    start_values(r);
    if (r->builder.failed) {
        return fxc_fail_memory(err, p->file);
    }
    fxc_reshape_refresh(r);
    r->shapes.default_dtype = fxc_default_dtype(p);
    return fxc_autocast_graphs(p, &r->scratch, &r->shapes.casts, err);
}

void fxc_reshape_refresh(struct fxc_reshape *r) {
    static const int64_t nothing = 0; /* a pointer for programs without any dimension */
    struct fxc_program *v = &r->view;
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        const struct fxc_vector *vector = &r->builder.column[column];
        v->column[column] = vector->data;
        if (vector->length > 0 || fxc_columns[column].required) {
            bool closed = fxc_columns[column].check == FXC_CHECK_BEGIN && column != FXC_COLUMN_string_begin;
            v->count[fxc_columns[column].group] = vector->length - (closed && vector->length > 0);
        }
    }
    v->op_row = r->op_row.data;
    v->argname_id = r->argname_id.data;
    r->shapes.size = v->dim_size == NULL ? &nothing : v->dim_size;
    r->shapes.stride = v->dim_stride == NULL ? &nothing : v->dim_stride;
    r->shapes.dim_begin = r->dim_begin.data;
    r->shapes.rank = r->rank.data;
    r->shapes.dtype = r->dtype.data;
    r->shapes.numel = r->numel.data;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

fxc_status fxc_reshape_finish(struct fxc_reshape *r, struct fxc_program **out, fxc_error *err) {
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        struct fxc_vector *vector = &r->builder.column[column];
        if (fxc_columns[column].check == FXC_CHECK_BEGIN && column != FXC_COLUMN_string_begin && vector->length > 0) {
            vector->length--; /* the view's end; the builder writes its own */
        }
    }
    struct fxc_program *program = fxc_program_alloc(r->source->file);
    if (program == NULL) {
        return fxc_fail_memory(err, r->source->file);
    }
    program->version_major = r->source->version_major;
    program->version_minor = r->source->version_minor;
    fxc_status status = fxc_builder_finish(&r->builder, program, err);
    if (status == FXC_OK) {
        status = fxc_program_check(program, err);
    }
    if (status == FXC_OK) {
        status = fxc_program_bind(program, err);
    }
    if (status != FXC_OK) {
        fxc_program_free(program);
        return status;
    }
    *out = program;
    return FXC_OK;
}

void fxc_reshape_free(struct fxc_reshape *r) {
    struct fxc_vector *vectors[] = {&r->dim_begin, &r->rank,       &r->dtype,      &r->numel,    &r->changed,
                                    &r->op_row,    &r->argname_id, &r->meta_numel, &r->new_sizes};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        free(vectors[i]->data);
    }
    fxc_builder_free(&r->builder);
    fxc_intern_free(&r->metas);
    fxc_intern_free(&r->old_sizes);
    fxc_arena_free(&r->scratch);
    fxc_analysis_free(r->recorded);
}
