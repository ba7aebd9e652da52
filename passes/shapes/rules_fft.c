/* Shape rules of Fourier transforms. A transform of a real signal keeps half of it and the middle. */
#include <string.h>

#include "passes/shapes/layout_rules.h"
#include "passes/shapes/rules.h"

/* The dimensions that are transformed, in order, and the lengths they are cut or padded to (-1: as they are). */
struct transform {
    struct fxc_tensor signal;
    uint32_t count;
    uint32_t dim[FXC_MAX_RANK];
    int64_t length[FXC_MAX_RANK];
};

/* The dimension list `dim`, else the last `fallback` dimensions. */
static bool read_dims(const struct fxc_rule *rule, struct transform *t, uint32_t fallback) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dim);
    t->count = list != FXC_NONE ? fxc_list_count(rule->program, list) : fallback;
    if (t->count == 0 || t->count > t->signal.rank) {
        return false;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        int64_t dim = (int64_t)t->signal.rank - t->count + i;
        if (list != FXC_NONE && !fxc_rule_item_int(rule, list, i, &dim)) {
            return false;
        }
        dim = dim < 0 ? dim + t->signal.rank : dim;
        if (dim < 0 || dim >= t->signal.rank) {
            return false;
        }
        t->dim[i] = (uint32_t)dim;
        t->length[i] = -1;
    }
    return true;
}

/* fft, rfft, irfft: one dimension and its length n. */
static bool read_one(const struct fxc_rule *rule, struct transform *t) {
    t->count = 1;
    return fxc_shape_subject(rule, &t->signal) && fxc_rule_int(rule, FXC_NAME_n, -1, &t->length[0]) &&
           fxc_shape_dim(rule, FXC_NAME_dim, -1, t->signal.rank, &t->dim[0]);
}

/* fftn, fft2 and their like: lengths `s`, which without `dim` belong to the last dimensions. */
static bool read_several(const struct fxc_rule *rule, struct transform *t, uint32_t fallback) {
    uint32_t lengths = fxc_rule_list(rule, FXC_NAME_s), count = fxc_list_count(rule->program, lengths);
    if (!fxc_shape_subject(rule, &t->signal)) {
        return false;
    }
    fallback = fallback != 0 ? fallback : lengths != FXC_NONE ? count : t->signal.rank;
    if (!read_dims(rule, t, fallback) || (lengths != FXC_NONE && count != t->count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!fxc_rule_item_int(rule, lengths, i, &t->length[i])) {
            return false;
        }
    }
    return true;
}

/* Row-major where the signal is and its last dimensions are transformed; else the kernel chooses. */
static void settle_strides(const struct transform *t, struct fxc_shape *out) {
    uint64_t transformed = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        transformed |= UINT64_C(1) << (t->signal.rank - 1 - t->dim[i]);
    }
    if (t->count < FXC_MAX_RANK && transformed == (UINT64_C(1) << t->count) - 1 && fxc_known_strides(&t->signal) &&
        fxc_is_contiguous(&t->signal)) {
        (void)fxc_contiguous_strides(out);
    }
}

static void start(const struct transform *t, struct fxc_shape *out) {
    fxc_shape_of(&t->signal, out);
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->length[i] >= 0) {
            out->size[t->dim[i]] = t->length[i];
        }
    }
    settle_strides(t, out);
}

static fxc_status halve(const struct transform *t, struct fxc_shape *out) {
    int64_t *last = &out->size[t->dim[t->count - 1]];
    start(t, out);
    *last = *last / 2 + 1;
    settle_strides(t, out);
    return FXC_OK;
}

static fxc_status unfold_half(const struct transform *t, struct fxc_shape *out) {
    uint32_t last = t->count - 1;
    int64_t *size = &out->size[t->dim[last]];
    start(t, out);
    FXC_NEED(t->length[last] >= 0 || (*size > 0 && !fxc_mul(2, *size - 1, size)));
    settle_strides(t, out);
    return FXC_OK;
}

fxc_status fxc_shape_fft(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_one(rule, &t));
    start(&t, out);
    return FXC_OK;
}

fxc_status fxc_shape_rfft(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_one(rule, &t));
    return halve(&t, out);
}

fxc_status fxc_shape_irfft(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_one(rule, &t));
    return unfold_half(&t, out);
}

fxc_status fxc_shape_fftn(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_several(rule, &t, 0));
    start(&t, out);
    return FXC_OK;
}

fxc_status fxc_shape_fft2(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_several(rule, &t, 2));
    start(&t, out);
    return FXC_OK;
}

fxc_status fxc_shape_rfftn(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_several(rule, &t, 0));
    return halve(&t, out);
}

fxc_status fxc_shape_irfftn(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_several(rule, &t, 0));
    return unfold_half(&t, out);
}

fxc_status fxc_shape_rfft2(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_several(rule, &t, 2));
    return halve(&t, out);
}

fxc_status fxc_shape_irfft2(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_several(rule, &t, 2));
    return unfold_half(&t, out);
}

/* What the others become: _fft_r2c keeps half only when told. */
fxc_status fxc_shape_fft_r2c(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    bool half;
    (void)err;
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_onesided, false, &half) && read_several(rule, &t, 0));
    if (half) {
        return halve(&t, out);
    }
    start(&t, out);
    return FXC_OK;
}

fxc_status fxc_shape_fft_c2r(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct transform t;
    (void)err;
    FXC_NEED(read_several(rule, &t, 0));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_last_dim_size, -1, &t.length[t.count - 1]) && t.length[t.count - 1] >= 0);
    start(&t, out);
    return FXC_OK;
}

/* Elements of the whole signals, real or complex, and points of each transform. */
static bool measure(const struct transform *t, const struct fxc_shape *whole, int64_t *elements, int64_t *points) {
    bool overflow = false;
    *elements = *points = 1;
    for (uint32_t dim = 0; dim < whole->rank; dim++) {
        overflow |= fxc_mul(*elements, whole->size[dim], elements);
    }
    for (uint32_t i = 0; i < t->count; i++) {
        overflow |= fxc_mul(*points, whole->size[t->dim[i]], points);
    }
    return !overflow;
}

bool fxc_fft_extent(const struct fxc_rule *rule, uint32_t dims, bool halved, int64_t *elements, int64_t *points) {
    struct transform t;
    struct fxc_shape whole = {.rank = 0};
    if (!(dims == 1 ? read_one(rule, &t) : read_several(rule, &t, dims))) {
        return false;
    }
    int64_t *last = &t.length[t.count - 1];
    if (*last < 0 && !fxc_rule_int(rule, FXC_NAME_last_dim_size, -1, last)) {
        return false;
    }
    if (halved && *last < 0) {
        return unfold_half(&t, &whole) == FXC_OK && measure(&t, &whole, elements, points);
    }
    start(&t, &whole);
    return measure(&t, &whole, elements, points);
}
