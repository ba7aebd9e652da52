/* What the text form leaves unsaid of tensors: strides of contiguous ones, and sizes of their storages. Both are
 * products of sizes, which may be symbols. */
#ifndef FXC_IR_TEXT_IMPLIED_H
#define FXC_IR_TEXT_IMPLIED_H

#include <stdbool.h>
#include <stdint.h>

enum { FXC_TEXT_PRODUCT_SYMBOLS = 8, FXC_TEXT_PRODUCT_TOKENS = 2 * FXC_TEXT_PRODUCT_SYMBOLS + 1 };

/* The expressions of a program, whole or under construction. */
struct fxc_text_exprs {
    const uint32_t *begin;
    const uint8_t *op;
    const int64_t *payload;
    uint32_t count, tokens, symbols;
    /* Order of two symbols by name. */
    int (*compare)(const void *context, uint32_t a, uint32_t b);
    const void *context;
};

/* factor * symbol * symbol ..., the symbols different and in the order of their names, as sympy writes a product. */
struct fxc_text_product {
    int64_t factor;
    uint32_t symbol[FXC_TEXT_PRODUCT_SYMBOLS];
    uint32_t symbols;
};

/* Multiplies by a symint: a literal, a symbol or a product of these. False when the result is no such product. */
bool fxc_text_multiply(const struct fxc_text_exprs *exprs, struct fxc_text_product *product, int64_t symint);
/* The product in postfix order: how many tokens, 0 for a literal. */
uint32_t fxc_text_product_tokens(const struct fxc_text_product *product, uint8_t op[FXC_TEXT_PRODUCT_TOKENS],
                                 int64_t payload[FXC_TEXT_PRODUCT_TOKENS]);
/* Whether a symint says this product, token by token. */
bool fxc_text_is_product(const struct fxc_text_exprs *exprs, const struct fxc_text_product *product, int64_t symint);

/* The step from one stride to the stride before it; as in ATen, a dimension of size 0 counts as 1. */
bool fxc_text_multiply_stride(const struct fxc_text_exprs *exprs, struct fxc_text_product *stride, int64_t size);
/* Whether the strides are those that may be left out: row-major of a strided layout, zeros of any other. */
bool fxc_text_strides_implied(const struct fxc_text_exprs *exprs, bool strided, uint32_t dims, const int64_t *size,
                              const int64_t *stride);
/* The bytes of a storage that is first seen under this tensor: as far as it reaches, or its contiguous elements where
 * sizes are symbols. False when neither is a product. */
bool fxc_text_implied_bytes(const struct fxc_text_exprs *exprs, uint8_t dtype, uint32_t dims, const int64_t *size,
                            const int64_t *stride, int64_t offset, struct fxc_text_product *bytes);

#endif
