#include "ir/text_implied.h"

#include "fxcost/fxcost.h"

static bool is_literal(int64_t symint) {
    return symint >= 0;
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

static bool multiply_factor(struct fxc_text_product *product, int64_t factor) {
    return factor > 0 && !__builtin_mul_overflow(product->factor, factor, &product->factor);
}

/* Inserted in order; a square would be a power, which is no product of this kind. */
static bool multiply_symbol(const struct fxc_text_exprs *exprs, struct fxc_text_product *product, int64_t payload) {
    if (payload < 0 || payload >= exprs->symbols || product->symbols == FXC_TEXT_PRODUCT_SYMBOLS) {
        return false;
    }
    uint32_t symbol = (uint32_t)payload, at = product->symbols;
    for (uint32_t i = 0; i < product->symbols; i++) {
        int order = exprs->compare(exprs->context, product->symbol[i], symbol);
        if (order == 0) {
            return false;
        }
        if (order > 0) {
            at = i;
            break;
        }
    }
    for (uint32_t i = product->symbols; i > at; i--) {
        product->symbol[i] = product->symbol[i - 1];
    }
    product->symbol[at] = symbol;
    product->symbols++;
    return true;
}

static uint32_t expr_end(const struct fxc_text_exprs *exprs, uint32_t expr) {
    return expr + 1 < exprs->count ? exprs->begin[expr + 1] : exprs->tokens;
}

/* A symbol, or factors joined by Mul in any order: then every token is a symbol, a constant or a Mul, and the Muls are
 * one fewer than the rest. */
bool fxc_text_multiply(const struct fxc_text_exprs *exprs, struct fxc_text_product *product, int64_t symint) {
    if (is_literal(symint)) {
        return multiply_factor(product, symint);
    }
    uint32_t expr = (uint32_t)(-1 - symint), operands = 0, products = 0;
    uint32_t begin = exprs->begin[expr], end = expr_end(exprs, expr);
    if (end - begin > 2 * FXC_TEXT_PRODUCT_TOKENS) {
        return false; /* a chain of ones may be long, and be asked for often */
    }
    for (uint32_t i = begin; i < end; i++) {
        bool done = true;
        switch (exprs->op[i]) {
        case FXC_TOKEN_CONST:
            done = multiply_factor(product, exprs->payload[i]);
            operands++;
            break;
        case FXC_TOKEN_SYMBOL:
            done = multiply_symbol(exprs, product, exprs->payload[i]);
            operands++;
            break;
        case FXC_TOKEN_MUL:
            products++;
            break;
        default:
            return false;
        }
        if (!done || products >= operands) {
            return false;
        }
    }
    return operands == products + 1;
}

uint32_t fxc_text_product_tokens(const struct fxc_text_product *product, uint8_t op[FXC_TEXT_PRODUCT_TOKENS],
                                 int64_t payload[FXC_TEXT_PRODUCT_TOKENS]) {
    uint32_t count = 0;
    if (product->symbols == 0) {
        return 0;
    }
    if (product->factor != 1) {
        op[count] = FXC_TOKEN_CONST;
        payload[count++] = product->factor;
    }
    for (uint32_t i = 0; i < product->symbols; i++) {
        op[count] = FXC_TOKEN_SYMBOL;
        payload[count++] = product->symbol[i];
        if (count > 1) {
            op[count] = FXC_TOKEN_MUL;
            payload[count++] = 0;
        }
    }
    return count;
}

bool fxc_text_is_product(const struct fxc_text_exprs *exprs, const struct fxc_text_product *product, int64_t symint) {
    uint8_t op[FXC_TEXT_PRODUCT_TOKENS];
    int64_t payload[FXC_TEXT_PRODUCT_TOKENS];
    uint32_t count = fxc_text_product_tokens(product, op, payload);
    if (count == 0 || is_literal(symint)) {
        return count == 0 && symint == product->factor;
    }
    uint32_t expr = (uint32_t)(-1 - symint), begin = exprs->begin[expr];
    if (expr_end(exprs, expr) - begin != count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool same_payload = op[i] == FXC_TOKEN_MUL || payload[i] == exprs->payload[begin + i];
        if (op[i] != exprs->op[begin + i] || !same_payload) {
            return false;
        }
    }
    return true;
}

/* ---- strides ----------------------------------------------------------------------------------------------------- */

bool fxc_text_multiply_stride(const struct fxc_text_exprs *exprs, struct fxc_text_product *stride, int64_t size) {
    return fxc_text_multiply(exprs, stride, size == 0 ? 1 : size);
}

bool fxc_text_strides_implied(const struct fxc_text_exprs *exprs, bool strided, uint32_t dims, const int64_t *size,
                              const int64_t *stride) {
    struct fxc_text_product implied = {.factor = strided ? 1 : 0};
    for (uint32_t i = dims; i-- > 0;) {
        if (!fxc_text_is_product(exprs, &implied, stride[i])) {
            return false;
        }
        if (i > 0 && strided && !fxc_text_multiply_stride(exprs, &implied, size[i])) {
            return false;
        }
    }
    return true;
}

/* ---- storages ---------------------------------------------------------------------------------------------------- */

#define BITS(name, text, short_text, bits) bits,
static const uint8_t dtype_bits[] = {FXC_DTYPE_LIST(BITS)};

/* One past the last element, in elements; only for literal sizes. */
static bool reach(uint32_t dims, const int64_t *size, const int64_t *stride, int64_t offset, int64_t *elements) {
    int64_t last = offset, step;
    bool empty = false;
    for (uint32_t i = 0; i < dims; i++) {
        if (!is_literal(size[i]) || !is_literal(stride[i])) {
            return false;
        }
        empty = empty || size[i] == 0;
        if (size[i] > 0 &&
            (__builtin_mul_overflow(size[i] - 1, stride[i], &step) || __builtin_add_overflow(last, step, &last))) {
            return false;
        }
    }
    *elements = 0;
    return empty || !__builtin_add_overflow(last, (int64_t)1, elements);
}

bool fxc_text_implied_bytes(const struct fxc_text_exprs *exprs, uint8_t dtype, uint32_t dims, const int64_t *size,
                            const int64_t *stride, int64_t offset, struct fxc_text_product *bytes) {
    int64_t elements, element_bytes = dtype_bits[dtype] / 8;
    *bytes = (struct fxc_text_product){.factor = element_bytes};
    if (!is_literal(offset)) {
        return false;
    }
    if (reach(dims, size, stride, offset, &elements)) {
        return !__builtin_mul_overflow(elements, element_bytes, &bytes->factor);
    }
    if (offset != 0 || element_bytes == 0 || !fxc_text_strides_implied(exprs, true, dims, size, stride)) {
        return false;
    }
    for (uint32_t i = 0; i < dims; i++) {
        if (!fxc_text_multiply(exprs, bytes, size[i])) {
            return false;
        }
    }
    return true;
}
