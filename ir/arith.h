/* Checked 64-bit arithmetic and element sizes. */
#ifndef FXC_IR_ARITH_H
#define FXC_IR_ARITH_H

#include <stdbool.h>
#include <stdint.h>

#include "fxcost/enums.h"

/* Return true on overflow, like the builtins. */
static inline bool fxc_mul(int64_t a, int64_t b, int64_t *out) {
    return __builtin_mul_overflow(a, b, out);
}
static inline bool fxc_add(int64_t a, int64_t b, int64_t *out) {
    return __builtin_add_overflow(a, b, out);
}

/* count * times / unit, rounded half up; unit is above 0, the others are not negative. True on overflow. */
static inline bool fxc_scale(int64_t count, int64_t times, int64_t unit, int64_t *out) {
    int64_t product;
    if (unit == 1) {
        return fxc_mul(count, times, out);
    }
    if (!fxc_mul(count, times, &product)) {
        *out = product / unit + (product % unit >= unit - product % unit);
        return false;
    }
    /* The product is too wide: split the count, whose parts are each small enough, or the result is too large. */
    int64_t whole, part, rest = count % unit;
    if (fxc_mul(count / unit, times, &whole) || fxc_mul(rest, times, &part)) {
        return true;
    }
    return fxc_add(whole, part / unit + (part % unit >= unit - part % unit), out);
}

/* Bits per element of each dtype. */
extern const uint8_t fxc_dtype_bits[FXC_DTYPE_COUNT];
/* Bytes of `elements` elements, rounded up; true on overflow. */
static inline bool fxc_bytes_of(uint8_t dtype, int64_t elements, int64_t *out) {
    int64_t bits;
    if (__builtin_mul_overflow(elements, (int64_t)fxc_dtype_bits[dtype], &bits)) {
        return true;
    }
    *out = bits / 8 + (bits % 8 != 0);
    return false;
}

#endif
