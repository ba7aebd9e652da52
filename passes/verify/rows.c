/* verify: rows that stand alone. Expressions, tensor descriptions, tensors within their storages, modules. */
#include <inttypes.h>

#include "passes/verify/verify.h"

static const uint8_t token_arity[FXC_TOKEN_COUNT] = {
#define X(name, text, arity) arity,
    FXC_TOKEN_LIST(X)
#undef X
};

/* ---- expressions ------------------------------------------------------------------------------------------------- */

static fxc_status fail_token(const struct fxc_program *p, uint32_t expr, uint32_t token, const char *expected,
                             fxc_error *err) {
    fxc_status status =
        fxc_fail(err, FXC_PROGRAM, "%s: expression %u, token %u", p->file, expr, token - p->expr_begin[expr]);
    fxc_expected(err, "%s", expected);
    fxc_advice(err, "the file is damaged; capture the model again");
    return status;
}

/* Postfix: every operator finds its operands on the stack, and one result is left. */
static fxc_status check_expr(const struct fxc_program *p, uint32_t expr, fxc_error *err) {
    uint32_t depth = 0, end = p->expr_begin[expr + 1];
    for (uint32_t t = p->expr_begin[expr]; t < end; t++) {
        uint32_t arity = token_arity[p->token_op[t]];
        if (depth < arity) {
            fxc_status status = fail_token(p, expr, t, "as many operands before an operator as it takes", err);
            fxc_found(err, "%u before one that takes %u", depth, arity);
            return status;
        }
        depth += 1 - arity;
        if (p->token_op[t] == FXC_TOKEN_SYMBOL && (uint64_t)p->token_payload[t] >= FXC_COUNT(p, symbol)) {
            fxc_status status = fail_token(p, expr, t, "a symbol that exists", err);
            fxc_found(err, "symbol %" PRId64 " of %u", p->token_payload[t], FXC_COUNT(p, symbol));
            return status;
        }
        if (depth > FXC_MAX_EXPR_STACK) {
            fxc_status status = fail_token(p, expr, t, "at most 64 operands in waiting", err);
            fxc_found(err, "more");
            return status;
        }
    }
    if (depth != 1) {
        fxc_status status = fail_token(p, expr, end, "one result", err);
        fxc_found(err, "%u", depth);
        return status;
    }
    return FXC_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static fxc_status check_rank(const struct fxc_program *p, uint32_t meta, fxc_error *err) {
    uint32_t rank = p->meta_dim_begin[meta + 1] - p->meta_dim_begin[meta];
    if (rank <= FXC_MAX_DIMS) {
        return FXC_OK;
    }
    fxc_status status = fxc_fail(err, FXC_PROGRAM, "%s: tensor description %u", p->file, meta);
    fxc_expected(err, "at most %d dimensions", FXC_MAX_DIMS);
    fxc_found(err, "%u", rank);
    return status;
}

enum extent { EXTENT_KNOWN, EXTENT_SYMBOLIC, EXTENT_OVERFLOW };

/* Bytes of storage that a tensor reaches, when all its sizes are literal. Empty tensors reach none. */
static enum extent reach(const struct fxc_program *p, uint32_t meta, int64_t element_bits, int64_t *bytes) {
    int64_t last = p->meta_offset[meta];
    bool symbolic = !fxc_is_literal(last), overflow = false, empty = false;
    for (uint32_t d = p->meta_dim_begin[meta]; d < p->meta_dim_begin[meta + 1]; d++) {
        int64_t step;
        if (p->dim_size[d] == 0) {
            empty = true;
        } else if (!fxc_is_literal(p->dim_size[d]) || !fxc_is_literal(p->dim_stride[d])) {
            symbolic = true;
        } else {
            overflow |= fxc_mul(p->dim_size[d] - 1, p->dim_stride[d], &step) || fxc_add(last, step, &last);
        }
    }
    if (empty || symbolic) {
        *bytes = 0;
        return empty ? EXTENT_KNOWN : EXTENT_SYMBOLIC;
    }
    overflow |= fxc_add(last, 1, &last) || fxc_mul(last, element_bits / 8, bytes);
    return overflow ? EXTENT_OVERFLOW : EXTENT_KNOWN;
}

static fxc_status fail_value(const struct fxc_program *p, fxc_status status, uint32_t value, fxc_error *err) {
    if (p->value_producer[value] != FXC_NONE) {
        return fxc_fail_node(err, status, p, p->value_producer[value]);
    }
    return fxc_fail(err, status, "%s: value %u '%s'", p->file, value, fxc_string(p, p->value_name[value]));
}

static fxc_status check_tensor(const struct fxc_program *p, uint32_t value, fxc_error *err) {
    static const uint8_t bits[FXC_DTYPE_COUNT] = {
#define X(name, text, text2, bits) bits,
        FXC_DTYPE_LIST(X)
#undef X
    };
    uint32_t meta = (uint32_t)p->value_payload[value], storage = p->value_storage[value];
    if (p->meta_layout[meta] != FXC_LAYOUT_STRIDED) {
        return FXC_OK;
    }
    if (storage == FXC_NONE) {
        fxc_status status = fail_value(p, FXC_PROGRAM, value, err);
        fxc_expected(err, "a storage for the strided tensor %u", value);
        fxc_found(err, "none");
        return status;
    }
    int64_t bytes;
    enum extent extent = reach(p, meta, bits[p->meta_dtype[meta]], &bytes);
    if (extent == EXTENT_OVERFLOW) {
        fxc_status status = fail_value(p, FXC_OVERFLOW, value, err);
        fxc_expected(err, "a tensor whose bytes fit in 64 bits");
        fxc_found(err, "tensor description %u", meta);
        return status;
    }
    if (extent == EXTENT_KNOWN && fxc_is_literal(p->storage_bytes[storage]) && bytes > p->storage_bytes[storage]) {
        fxc_status status = fail_value(p, FXC_PROGRAM, value, err);
        fxc_expected(err, "a tensor within the %" PRId64 " bytes of its storage", p->storage_bytes[storage]);
        fxc_found(err, "one that reaches to byte %" PRId64, bytes);
        return status;
    }
    return FXC_OK;
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

/* Row 0 is the root and the only one without a parent; parents come first, as the reader checked. */
static fxc_status check_modules(const struct fxc_program *p, fxc_error *err) {
    for (uint32_t m = 0; m < FXC_COUNT(p, module); m++) {
        if ((p->module_parent[m] == FXC_NONE) != (m == 0)) {
            fxc_status status = fxc_fail(err, FXC_PROGRAM, "%s: module %u", p->file, m);
            fxc_expected(err, m == 0 ? "a root without a parent" : "a parent");
            fxc_found(err, m == 0 ? "parent %u" : "none", p->module_parent[m]);
            return status;
        }
    }
    return FXC_OK;
}

fxc_status fxc_verify_rows(const struct fxc_program *p, fxc_error *err) {
    for (uint32_t i = 0; i < FXC_COUNT(p, expr); i++) {
        FXC_TRY(check_expr(p, i, err));
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, meta); i++) {
        FXC_TRY(check_rank(p, i, err));
    }
    for (uint32_t i = 0; i < FXC_COUNT(p, value); i++) {
        if (p->value_kind[i] == FXC_KIND_TENSOR) {
            FXC_TRY(check_tensor(p, i, err));
        }
    }
    return check_modules(p, err);
}
