/* reshape: strings, expressions, literals and tensor descriptions of the source in the new program. */
#include <string.h>

#include "passes/reshape/reshape.h"

void fxc_reshape_push(struct fxc_reshape *r, struct fxc_vector *vector, const void *element, size_t size) {
    r->builder.failed = r->builder.failed || !fxc_vector_push(vector, element, size);
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

uint32_t fxc_reshape_string(struct fxc_reshape *r, const char *text) {
    uint32_t id = fxc_builder_string(&r->builder, text, strlen(text));
    r->view.string_begin = r->builder.column[FXC_COLUMN_string_begin].data; /* which may have moved */
    r->view.string_bytes = r->builder.column[FXC_COLUMN_string_bytes].data;
    return id;
}

/* ---- expressions ------------------------------------------------------------------------------------------------- */

/* Symbols that have a value are written as that value. */
static uint32_t copy_expr(struct fxc_reshape *r, uint32_t expr) {
    const struct fxc_program *p = r->source;
    struct fxc_builder *b = &r->builder;
    uint32_t row = fxc_builder_length(b, FXC_COLUMN_expr_begin) - 1;
    for (uint32_t t = p->expr_begin[expr]; t < p->expr_begin[expr + 1]; t++) {
        int64_t payload = p->token_payload[t];
        uint8_t op = p->token_op[t];
        if (op == FXC_TOKEN_SYMBOL) {
            uint32_t symbol = r->symbol_map[payload];
            op = symbol == FXC_NONE ? FXC_TOKEN_CONST : op;
            payload = symbol == FXC_NONE ? r->recorded->bindings[payload].value : symbol;
        }
        fxc_push_token_op(b, op);
        fxc_push_token_payload(b, payload);
    }
    fxc_push_expr_begin(b, fxc_builder_length(b, FXC_COLUMN_token_op));
    return row;
}

struct fxc_reshape_expr fxc_reshape_map_expr(struct fxc_reshape *r, uint32_t expr) {
    struct fxc_reshape_expr *mapped = &r->expr_map[expr];
    struct fxc_number number;
    if (mapped->state != FXC_EXPR_UNMAPPED) {
        return *mapped;
    }
    if (!fxc_expr_eval(r->source, r->recorded->bindings, expr, &number)) {
        *mapped = (struct fxc_reshape_expr){FXC_EXPR_SYMBOLIC, copy_expr(r, expr)};
    } else if (number.is_float) {
        *mapped = (struct fxc_reshape_expr){.state = FXC_EXPR_FLOAT};
        memcpy(&mapped->value, &number.f, sizeof mapped->value);
    } else {
        *mapped = (struct fxc_reshape_expr){FXC_EXPR_INTEGER, number.i};
    }
    return *mapped;
}

/* Sizes that are no integers of zero or more are none of ours: the pass `shapes` has refused them or has no value. */
int64_t fxc_reshape_symint(struct fxc_reshape *r, int64_t symint) {
    if (fxc_is_literal(symint)) {
        return symint;
    }
    uint32_t expr = fxc_symint_expr(symint);
    struct fxc_reshape_expr mapped = fxc_reshape_map_expr(r, expr);
    if (mapped.state == FXC_EXPR_INTEGER && mapped.value >= 0) {
        return mapped.value;
    }
    return -1 - (mapped.state == FXC_EXPR_SYMBOLIC ? mapped.value : (int64_t)copy_expr(r, expr));
}

static int64_t float_bits(int64_t integer) {
    double number = (double)integer;
    int64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static void symbolic_literal(struct fxc_reshape *r, uint8_t kind, int64_t payload, uint8_t *new_kind,
                             int64_t *new_payload) {
    struct fxc_reshape_expr mapped = fxc_reshape_map_expr(r, (uint32_t)payload);
    *new_kind = kind;
    *new_payload = mapped.value;
    switch (mapped.state) {
    case FXC_EXPR_INTEGER:
        *new_kind = kind == FXC_KIND_SYMINT ? FXC_KIND_INT : kind == FXC_KIND_SYMBOOL ? FXC_KIND_BOOL : FXC_KIND_FLOAT;
        if (kind == FXC_KIND_SYMFLOAT) {
            *new_payload = float_bits(mapped.value);
        } else if (kind == FXC_KIND_SYMBOOL) {
            *new_payload = mapped.value != 0;
        }
        return;
    case FXC_EXPR_FLOAT:
        *new_kind = FXC_KIND_FLOAT;
        return;
    default:
        return;
    }
}

void fxc_reshape_literal(struct fxc_reshape *r, uint8_t kind, int64_t payload, uint8_t *new_kind,
                         int64_t *new_payload) {
    *new_kind = kind;
    *new_payload = payload;
    switch (kind) {
    case FXC_KIND_SYMINT:
    case FXC_KIND_SYMFLOAT:
    case FXC_KIND_SYMBOOL:
        symbolic_literal(r, kind, payload, new_kind, new_payload);
        return;
    case FXC_KIND_TENSOR:
        *new_payload = fxc_reshape_adopted_meta(r, (uint32_t)payload);
        return;
    default:
        return; /* numbers, strings, and rows that keep theirs */
    }
}

/* ---- tensor descriptions ----------------------------------------------------------------------------------------- */

uint32_t fxc_reshape_meta_row(struct fxc_reshape *r, const struct fxc_reshape_meta *meta) {
    struct fxc_builder *b = &r->builder;
    int64_t words[2 + 2 * FXC_MAX_RANK], numel = 1;
    uint32_t count = 0, known = r->metas.count;
    words[count++] = meta->dtype | (int64_t)meta->layout << 8 | (int64_t)meta->flags << 16;
    words[count++] = meta->offset;
    for (uint32_t dim = 0; dim < meta->rank; dim++) {
        words[count++] = meta->size[dim];
        words[count++] = meta->stride[dim];
    }
    uint32_t row = fxc_intern(&r->metas, words, count * sizeof words[0]);
    if (row == FXC_NONE) {
        b->failed = true;
        return 0;
    }
    if (row < known) {
        return row;
    }
    for (uint32_t dim = 0; dim < meta->rank; dim++) {
        fxc_push_dim_size(b, meta->size[dim]);
        fxc_push_dim_stride(b, meta->stride[dim]);
        /* Overflow was refused when the sizes were told. */
        if (meta->size[dim] < 0 || numel < 0 || fxc_mul(numel, meta->size[dim], &numel)) {
            numel = -1;
        }
    }
    fxc_push_meta_dtype(b, meta->dtype);
    fxc_push_meta_layout(b, meta->layout);
    fxc_push_meta_flags(b, meta->flags);
    fxc_push_meta_offset(b, meta->offset);
    fxc_push_meta_dim_begin(b, fxc_builder_length(b, FXC_COLUMN_dim_size));
    fxc_reshape_push(r, &r->meta_numel, &numel, sizeof numel);
    fxc_reshape_refresh(r);
    return row;
}

uint32_t fxc_reshape_adopted_meta(struct fxc_reshape *r, uint32_t meta) {
    const struct fxc_program *p = r->source;
    uint32_t begin = p->meta_dim_begin[meta];
    if (r->meta_map[meta] == FXC_NONE) {
        struct fxc_reshape_meta out = {.dtype = p->meta_dtype[meta],
                                       .layout = p->meta_layout[meta],
                                       .flags = p->meta_flags[meta],
                                       .offset = fxc_reshape_symint(r, p->meta_offset[meta]),
                                       .rank = p->meta_dim_begin[meta + 1] - begin};
        for (uint32_t dim = 0; dim < out.rank; dim++) {
            out.size[dim] = fxc_reshape_symint(r, p->dim_size[begin + dim]);
            out.stride[dim] = fxc_reshape_symint(r, p->dim_stride[begin + dim]);
        }
        r->meta_map[meta] = fxc_reshape_meta_row(r, &out);
    }
    return r->meta_map[meta];
}
