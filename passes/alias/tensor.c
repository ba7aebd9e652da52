/* alias: two questions about recorded tensors. */
#include "passes/alias/walk.h"

bool fxc_same_layout(const struct fxc_program *p, uint32_t value_a, uint32_t value_b) {
    uint32_t a = (uint32_t)p->value_payload[value_a], b = (uint32_t)p->value_payload[value_b];
    uint32_t first_a = p->meta_dim_begin[a], first_b = p->meta_dim_begin[b];
    uint32_t rank = p->meta_dim_begin[a + 1] - first_a;
    if (a == b) {
        return true;
    }
    if (p->meta_dtype[a] != p->meta_dtype[b] || p->meta_layout[a] != p->meta_layout[b] ||
        p->meta_offset[a] != p->meta_offset[b] || p->meta_dim_begin[b + 1] - first_b != rank) {
        return false;
    }
    for (uint32_t d = 0; d < rank; d++) {
        if (p->dim_size[first_a + d] != p->dim_size[first_b + d] ||
            p->dim_stride[first_a + d] != p->dim_stride[first_b + d]) {
            return false;
        }
    }
    return true;
}

/* Dimensions longer than 1 by rising stride; verify bounds the rank. False when a size or stride is symbolic. */
static bool sorted_dims(const struct fxc_program *p, uint32_t meta, uint32_t order[64], uint32_t *count) {
    *count = 0;
    for (uint32_t d = p->meta_dim_begin[meta]; d < p->meta_dim_begin[meta + 1]; d++) {
        if (!fxc_is_literal(p->dim_size[d]) || !fxc_is_literal(p->dim_stride[d])) {
            return false;
        }
        if (p->dim_size[d] == 1) {
            continue;
        }
        uint32_t at = (*count)++;
        while (at > 0 && p->dim_stride[order[at - 1]] > p->dim_stride[d]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = d;
    }
    return true;
}

/* Dense when each stride is the product of the sizes below it: then elements lie without gap or overlap. */
bool fxc_fills_storage(const struct fxc_program *p, uint32_t value) {
    static const uint8_t bits[FXC_DTYPE_COUNT] = {
#define X(name, text, text2, bits) bits,
        FXC_DTYPE_LIST(X)
#undef X
    };
    uint32_t meta = (uint32_t)p->value_payload[value], storage = p->value_storage[value], order[64], count;
    int64_t elements = 1, bytes;
    if (storage == FXC_NONE || p->meta_offset[meta] != 0 || !fxc_is_literal(p->storage_bytes[storage]) ||
        !sorted_dims(p, meta, order, &count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (p->dim_stride[order[i]] != elements || fxc_mul(elements, p->dim_size[order[i]], &elements)) {
            return false;
        }
    }
    return !fxc_mul(elements, bits[p->meta_dtype[meta]] / 8, &bytes) && bytes == p->storage_bytes[storage];
}
