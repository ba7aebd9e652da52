/* The cpu timing model: what class some work is of, and its features. */
#include <string.h>

#include "backends/cpu.h"

enum {
    BLOCK = 16, /* channels that oneDNN's blocked layouts keep together, for 512-bit vectors */
};
static const double most_work = 32; /* vector operations of an element of a pool */

#define CALL (1u << FXC_CPU_CALL)
#define CODE (1u << FXC_CPU_CODE2 | 1u << FXC_CPU_CODE3)
#define START (1u << FXC_CPU_START2 | 1u << FXC_CPU_START3)
#define SAME (1u << FXC_CPU_SAME2 | 1u << FXC_CPU_SAME3)
#define BATCH (1u << FXC_CPU_BATCH)
#define MAC (1u << FXC_CPU_MAC)
#define LEFT (1u << FXC_CPU_LEFT)
#define RIGHT (1u << FXC_CPU_RIGHT)
#define OUT (1u << FXC_CPU_OUT)
#define PAIR (1u << FXC_CPU_PAIR)
#define MASK (1u << FXC_CPU_MASK)
#define UNALIGNED (1u << FXC_CPU_UNALIGNED)
#define ROW (1u << FXC_CPU_ROW)
#define ELEMENT (1u << FXC_CPU_ELEMENT)
#define RESULT (1u << FXC_CPU_RESULT)
#define WORK (1u << FXC_CPU_WORK)
#define BYTE (1u << FXC_CPU_BYTE)
#define STRIDED (1u << FXC_CPU_STRIDED)
#define FOLD (1u << FXC_CPU_FOLD)
#define DIVIDE (1u << FXC_CPU_DIVIDE)
#define FUNCTIONS                                                                                                      \
    (1u << FXC_CPU_EXPONENTIAL | 1u << FXC_CPU_LOGARITHM | 1u << FXC_CPU_SINE | 1u << FXC_CPU_TANGENT |                \
     1u << FXC_CPU_ERROR)
#define L2 (1u << FXC_CPU_L2)
#define L3 (1u << FXC_CPU_L3)

const struct fxc_cpu_class_row fxc_cpu_classes[FXC_CPU_CLASS_COUNT] = {
#define CLASS(name, group, features) [FXC_CPU_CLASS_##name] = {#name, #group, features},
#include "backends/cpu_classes.def"
};

const char *const fxc_cpu_feature_names[FXC_CPU_FEATURE_COUNT] = {
#define X(name, text, what) text,
    FXC_CPU_FEATURE_LIST(X)
#undef X
};

static const struct {
    const char *name;
    uint8_t class;
} ops[] = {
#define OP(name, class) {name, FXC_CPU_CLASS_##class},
#include "backends/cpu_ops.def"
};

/* ---- classes --------------------------------------------------------------------------------------------------------
 */

/* "add" of "aten.add_.Tensor"; cut to the buffer's size. */
static void base_name(const char *op, char *out, size_t size) {
    const char *name = strncmp(op, "aten.", 5) == 0 ? op + 5 : op;
    size_t length = strcspn(name, ".");
    length -= length > 1 && name[length - 1] == '_' && name[length - 2] != '_';
    length = length < size ? length : size - 1;
    memcpy(out, name, length);
    out[length] = '\0';
}

uint32_t fxc_cpu_class_of_op(const char *op) {
    char name[64];
    size_t low = 0, high = sizeof ops / sizeof ops[0];
    base_name(op, name, sizeof name);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, ops[middle].name);
        if (order == 0) {
            return ops[middle].class;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return FXC_CPU_CLASS_COUNT;
}

bool fxc_cpu_is_measured(const fxc_work *work) {
    bool shaped = work->kind == FXC_WORK_GEMM || work->kind == FXC_WORK_CONVOLUTION ||
                  work->kind == FXC_WORK_ATTENTION || work->kind == FXC_WORK_NOTHING;
    return shaped || (work->op != NULL && fxc_cpu_class_of_op(work->op) != FXC_CPU_CLASS_COUNT);
}

static bool has_window(const fxc_convolution_shape *s) {
    return s->kernel[0] != 1 || s->kernel[1] != 1 || s->kernel[2] != 1;
}

/* torch's own condition for oneDNN in float32 (use_mkldnn of aten/src/ATen/native/Convolution.cpp, torch 2.13); what it
 * leaves goes through a matrix of patches and a product. */
static bool uses_onednn(const fxc_convolution_shape *s, double threads) {
    bool strided = s->stride[0] != 1 || s->stride[1] != 1 || s->stride[2] != 1;
    bool worth = strided || s->batch >= 16 || has_window(s) || threads > 1;
    bool large = s->groups > 1 || (s->kernel[0] > 3 && s->kernel[1] > 3) || s->batch > 1 ||
                 (double)s->in_channels * (double)s->in[0] * (double)s->in[1] * (double)s->in[2] > 20480;
    return worth && large;
}

/* Channels lie together: "channels last" in torch's words. */
static bool channels_last(const fxc_work *work) {
    return work->operand_count > 0 && work->operand[0].strided;
}

/* oneDNN's depthwise kernel for 512-bit vectors takes six results at once, and leaves padding of more than that to a
 * product for each channel (src/cpu/x64/jit_uni_dw_conv_kernel_utils.hpp). The last dimension is the width. */
static bool is_wide(const fxc_convolution_shape *s) {
    uint32_t last = s->kernel[2] > 1 ? 2 : s->kernel[1] > 1 ? 1 : 0;
    return (s->out[last] - 1) * s->stride[last] + s->kernel[last] - s->in[last] > (int64_t)2 * 6;
}

static uint32_t class_of_groups(const fxc_work *work, const fxc_convolution_shape *s) {
    if (s->groups == s->in_channels && s->out_channels == s->in_channels) {
        uint32_t narrow = channels_last(work) ? FXC_CPU_CLASS_conv_depthwise_last : FXC_CPU_CLASS_conv_depthwise;
        return is_wide(s) ? FXC_CPU_CLASS_conv_depthwise_wide : narrow;
    }
    bool whole = s->in_channels / s->groups % BLOCK == 0 && s->out_channels / s->groups % BLOCK == 0;
    return whole ? FXC_CPU_CLASS_conv_grouped : FXC_CPU_CLASS_conv_grouped_unfold;
}

static uint32_t class_of_convolution(const fxc_work *work, double threads) {
    const fxc_convolution_shape *s = &work->shape.convolution;
    if (s->gradients != 0) {
        return FXC_CPU_CLASS_COUNT;
    }
    if (s->transposed) {
        return FXC_CPU_CLASS_conv_transposed;
    }
    if (!uses_onednn(s, threads)) {
        if (s->groups > 1) { /* one after the other, then put together */
            return FXC_CPU_CLASS_conv_grouped_apart;
        }
        return has_window(s) ? FXC_CPU_CLASS_conv_unfold : FXC_CPU_CLASS_conv_1x1;
    }
    if (s->groups > 1) {
        return class_of_groups(work, s);
    }
    return s->in_channels < 8 ? FXC_CPU_CLASS_conv_stem : FXC_CPU_CLASS_conv_direct;
}

static uint32_t class_of_kind(uint8_t kind) {
    switch ((fxc_work_kind)kind) {
    case FXC_WORK_POINTWISE:
        return FXC_CPU_CLASS_other_pointwise;
    case FXC_WORK_REDUCTION:
        return FXC_CPU_CLASS_reduce;
    case FXC_WORK_NORM:
        return FXC_CPU_CLASS_layer_norm;
    case FXC_WORK_GATHER:
        return FXC_CPU_CLASS_index;
    case FXC_WORK_COPY:
        return FXC_CPU_CLASS_copy;
    case FXC_WORK_SCAN:
        return FXC_CPU_CLASS_scan;
    default:
        return FXC_CPU_CLASS_COUNT;
    }
}

/* Queries that torch's kernel takes together (aten/src/ATen/native/cpu/FlashAttentionKernel.cpp). */
static double query_block(const fxc_attention_shape *s) {
    return s->queries >= 768 ? 256 : s->queries >= 192 ? 64 : 32;
}

static uint32_t class_of_attention(const fxc_attention_shape *s) {
    if (s->backward) {
        return FXC_CPU_CLASS_COUNT;
    }
    double block = query_block(s);
    return block > 64 ? FXC_CPU_CLASS_attention_256 : block > 32 ? FXC_CPU_CLASS_attention_64 : FXC_CPU_CLASS_attention;
}

/* torch takes the mean over the whole image where one number is left of it. Rows are lines of images. */
static bool is_global(const fxc_work *work) {
    const fxc_rows_shape *rows = &work->shape.rows;
    return work->results > 0 && rows->rows % work->results == 0 && 2 * rows->rows / work->results >= rows->length;
}

/* torch has another kernel for images whose height and width are at most 128 together (_use_vectorized_kernel_cond_2d
 * of aten/src/ATen/native/cpu/UpSampleKernel.cpp, torch 2.13). Taken to be square: rows tell the width. */
static bool is_small_image(const fxc_work *work) {
    return 2 * work->shape.rows.length <= 128;
}

/* Of classes whose kernels differ by the operator's sizes, the other one where it applies. */
static uint32_t by_sizes(const fxc_work *work, uint32_t class) {
    switch (class) {
    case FXC_CPU_CLASS_pad: /* by nothing, or by less than that, is a copy (constant_pad_nd of torch 2.13) */
        return work->counts.bytes_written > work->counts.bytes_read ? class : FXC_CPU_CLASS_copy;
    case FXC_CPU_CLASS_adaptive_pool:
        return is_global(work) || work->shape.rows.rows == work->results ? FXC_CPU_CLASS_global_pool : class;
    case FXC_CPU_CLASS_nearest:
        return is_small_image(work) ? FXC_CPU_CLASS_nearest_small : class;
    case FXC_CPU_CLASS_bilinear:
        return is_small_image(work) ? FXC_CPU_CLASS_bilinear_small : class;
    case FXC_CPU_CLASS_reduce:
        return work->shape.rows.across ? FXC_CPU_CLASS_reduce_across : class;
    case FXC_CPU_CLASS_extreme:
        return work->shape.rows.across ? FXC_CPU_CLASS_extreme_across : class;
    case FXC_CPU_CLASS_scan:
        return work->shape.rows.across ? FXC_CPU_CLASS_scan_across : class;
    default:
        return class;
    }
}

static uint32_t class_of(const fxc_device *device, const fxc_work *work) {
    uint32_t known;
    switch ((fxc_work_kind)work->kind) {
    case FXC_WORK_NOTHING:
        return FXC_CPU_CLASS_view;
    case FXC_WORK_GEMM:
        if (work->shape.gemm.batch > 1) {
            return FXC_CPU_CLASS_bmm;
        }
        return work->shape.gemm.m == 1 || work->shape.gemm.n == 1 ? FXC_CPU_CLASS_gemv : FXC_CPU_CLASS_gemm;
    case FXC_WORK_CONVOLUTION:
        return class_of_convolution(work, device->units);
    case FXC_WORK_ATTENTION:
        return class_of_attention(&work->shape.attention);
    default:
        known = work->op == NULL ? FXC_CPU_CLASS_COUNT : fxc_cpu_class_of_op(work->op);
        return by_sizes(work, known != FXC_CPU_CLASS_COUNT ? known : class_of_kind(work->kind));
    }
}

/* ---- features ------------------------------------------------------------------------------------------------------
 */

static void gemm(const fxc_gemm_shape *s, double *x) {
    double batch = (double)s->batch, m = (double)s->m, n = (double)s->n, k = (double)s->k;
    x[FXC_CPU_BATCH] = batch;
    x[FXC_CPU_MAC] = batch * m * n * k;
    x[FXC_CPU_LEFT] = batch * m * k;
    x[FXC_CPU_RIGHT] = batch * n * k;
    x[FXC_CPU_OUT] = batch * m * n;
    if (s->n == 1 && s->m > 1) { /* a matrix times a vector: the matrix is on the left */
        x[FXC_CPU_LEFT] = batch * k;
        x[FXC_CPU_RIGHT] = batch * m * k;
    }
}

static double volume(const int64_t size[3]) {
    return (double)size[0] * (double)size[1] * (double)size[2];
}

static double filled(double channels) {
    return (double)BLOCK * (double)(((int64_t)channels + BLOCK - 1) / BLOCK);
}

static void convolution(const fxc_convolution_shape *s, uint32_t class, double *x) {
    double batch = (double)s->batch, groups = (double)s->groups, window = volume(s->kernel);
    double in = (double)s->in_channels, out = (double)s->out_channels;
    double positions = batch * volume(s->transposed ? s->in : s->out);
    bool blocked = class == FXC_CPU_CLASS_conv_direct || class == FXC_CPU_CLASS_conv_transposed;
    bool unfolded = class == FXC_CPU_CLASS_conv_unfold;
    x[FXC_CPU_BATCH] = s->groups > 1 ? batch * groups : batch;
    x[FXC_CPU_MAC] = positions * window * (blocked ? filled(in) * filled(out) : in / groups * out);
    x[FXC_CPU_LEFT] = batch * in * volume(s->in);
    x[FXC_CPU_RIGHT] = in / groups * out * window;
    x[FXC_CPU_OUT] = batch * out * volume(s->out);
    if (class == FXC_CPU_CLASS_conv_grouped_unfold) { /* a product for every group, vectors of its results */
        x[FXC_CPU_MAC] = positions * window * in * filled(out / groups);
        x[FXC_CPU_LEFT] = positions * in * window;
    }
    if (unfolded) {
        x[FXC_CPU_LEFT] = positions * in / groups * window; /* the matrix of patches */
    }
    x[FXC_CPU_UNALIGNED] =
        (s->in_channels % BLOCK != 0 ? x[FXC_CPU_LEFT] : 0) + (s->out_channels % BLOCK != 0 ? x[FXC_CPU_OUT] : 0);
}

/* A causal block of queries stops at its last one. */
static double pairs_of(const fxc_attention_shape *s) {
    double queries = (double)s->queries, keys = (double)s->keys;
    double block = query_block(s), seen = 0;
    if (!s->causal) {
        return queries * keys;
    }
    for (double begin = 0; begin < queries && begin < 1e6; begin += block) {
        double end = begin + block < queries ? begin + block : queries;
        seen += (end - begin) * (end < keys ? end : keys);
    }
    return seen;
}

static void attention(const fxc_work *work, double *x) {
    const fxc_attention_shape *s = &work->shape.attention;
    double heads = (double)s->batch * (double)s->heads, kv = (double)s->batch * (double)s->kv_heads;
    double depths = (double)s->depth + (double)s->value_depth;
    double given = heads * (double)s->queries * (double)s->depth + kv * (double)s->keys * depths;
    x[FXC_CPU_BATCH] = heads;
    x[FXC_CPU_PAIR] = heads * pairs_of(s);
    x[FXC_CPU_MAC] = x[FXC_CPU_PAIR] / (double)s->queries * filled((double)s->queries) * depths;
    x[FXC_CPU_LEFT] = heads * (double)s->queries * depths;
    x[FXC_CPU_RIGHT] = kv * (double)s->keys * depths;
    x[FXC_CPU_MASK] = (double)work->counts.bytes_read > 4.01 * given ? heads * (double)s->queries * (double)s->keys : 0;
}

/* Share of something that a cache no longer has, by what was touched since and itself: from none at half the size of
 * the cache to all at one and a half. */
static double missing(double touched, double cache) {
    double share = cache > 0 ? touched / cache - 0.5 : 0;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static void code(const fxc_device *device, int64_t touched, double *second, double *third) {
    *third = missing((double)touched, device->cache_bytes[2]);
    *second = missing((double)touched, device->cache_bytes[1]) - *third;
}

void fxc_cpu_memory(const fxc_device *device, const fxc_work *work, double x[FXC_CPU_FEATURE_COUNT]) {
    if (work->operand == NULL) { /* all there is to know: what is larger than a cache is not in it */
        double bytes = x[FXC_CPU_BYTE], beyond = missing(bytes, device->cache_bytes[2]);
        x[FXC_CPU_L3] = beyond * bytes;
        x[FXC_CPU_L2] = (missing(bytes, device->cache_bytes[1]) - beyond) * bytes;
    }
    for (uint32_t i = 0; i < work->operand_count; i++) {
        const fxc_operand *operand = &work->operand[i];
        double bytes = (double)operand->bytes, touched = (double)operand->distance + bytes;
        double beyond = missing(touched, device->cache_bytes[2]), second = missing(touched, device->cache_bytes[1]);
        x[FXC_CPU_L3] += beyond * bytes;
        x[FXC_CPU_L2] += (second > beyond ? second - beyond : 0) * bytes;
        x[FXC_CPU_STRIDED] += operand->strided ? bytes / 4 : 0;
    }
}

uint32_t fxc_cpu_describe(const fxc_device *device, const fxc_work *work, double feature[FXC_CPU_FEATURE_COUNT]) {
    memset(feature, 0, FXC_CPU_FEATURE_COUNT * sizeof feature[0]);
    if (work->loops > 0) {
        return fxc_cpu_describe_loops(device, work, feature);
    }
    uint32_t class = class_of(device, work);
    if (class == FXC_CPU_CLASS_COUNT) {
        return class;
    }
    feature[FXC_CPU_CALL] = 1;
    feature[FXC_CPU_ELEMENT] = (double)work->elements;
    feature[FXC_CPU_RESULT] = (double)work->results;
    feature[FXC_CPU_BYTE] = (double)work->counts.bytes_read + (double)work->counts.bytes_written;
    feature[FXC_CPU_WORK] =
        (double)work->counts.vector_flops + (double)work->counts.transcendentals + (double)work->counts.int_ops;
    if ((work->kind == FXC_WORK_REDUCTION) && is_global(work)) {
        feature[FXC_CPU_WORK] = feature[FXC_CPU_ELEMENT]; /* a window that is larger than the image */
    }
    if (feature[FXC_CPU_WORK] > most_work * feature[FXC_CPU_ELEMENT]) { /* windows that hang over the edge */
        feature[FXC_CPU_WORK] = most_work * feature[FXC_CPU_ELEMENT];
    }
    fxc_cpu_memory(device, work, feature);
    code(device, work->since_op, &feature[FXC_CPU_CODE2], &feature[FXC_CPU_CODE3]);
    code(device, work->since_same, &feature[FXC_CPU_SAME2], &feature[FXC_CPU_SAME3]);
    code(device, work->since_node, &feature[FXC_CPU_START2], &feature[FXC_CPU_START3]);
    switch ((fxc_work_kind)work->kind) {
    case FXC_WORK_GEMM:
        gemm(&work->shape.gemm, feature);
        break;
    case FXC_WORK_CONVOLUTION:
        convolution(&work->shape.convolution, class, feature);
        break;
    case FXC_WORK_ATTENTION:
        attention(work, feature);
        break;
    default:
        feature[FXC_CPU_ROW] = (double)work->shape.rows.rows;
        break;
    }
    for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
        feature[f] = (fxc_cpu_classes[class].features >> f & 1u) != 0 ? feature[f] : 0;
    }
    return class;
}
