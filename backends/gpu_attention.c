/* Attention in one kernel on a GPU (Dao et al., "FlashAttention", 2022): scores stay in the units. */
#include <math.h>

#include "backends/gpu.h"

enum { DEPTHS = 4, DECODE_SPLITS = 8 };

/* Queries, and keys, of a block. */
static const double block = 128;

/* Between the depths 64, 128, 256 and 512. */
static double at_depth(const double table[DEPTHS], double depth) {
    double at = log2(depth / 64);
    at = at < 0 ? 0 : at > DEPTHS - 1 ? DEPTHS - 1 : at;
    int below = at >= DEPTHS - 1 ? DEPTHS - 2 : (int)at;
    return table[below] + (at - below) * (table[below + 1] - table[below]);
}

static double hidden(double compute, double memory, double overlap) {
    return compute + memory - overlap * (compute < memory ? compute : memory);
}

/* Seconds of the operands: the fewer they are, the more of them the last cache still holds. */
static double traffic(const fxc_device *device, double bytes, double memory, double held, double cache) {
    double missing = bytes / (bytes + held * device->cache_bytes[1]);
    return bytes * (missing / memory + (1 - missing) / cache) / device->memory_bytes_per_second;
}

struct fxc_gpu_parts fxc_gpu_prefill_time(const fxc_device *device, const struct fxc_gpu_prefill *fit,
                                          const fxc_attention_shape *shape, double peak, double size) {
    double batch = (double)shape->batch, heads = (double)shape->heads, kv_heads = (double)shape->kv_heads;
    double queries = (double)shape->queries, keys = (double)shape->keys;
    double depth = 0.5 * ((double)shape->depth + (double)shape->value_depth);
    /* Few queries: those of all heads that share a key head may make up one block; a single one always does. */
    double group = heads / kv_heads, packed = queries > 1 ? fit->packed : 1;
    double query_blocks = packed * ceil(queries * group / block) + (1 - packed) * group * ceil(queries / block);
    double full = queries * group / (query_blocks * block); /* of a block's queries */
    double key_blocks = ceil(keys / block), longest = key_blocks;
    double per_query_block = key_blocks;
    if (shape->causal && queries > 1) {
        /* Query block i sees the keys up to its end: a triangle on top of what was there before. */
        double before = keys > queries ? (keys - queries) / block : 0;
        per_query_block = before + 0.5 * (ceil(queries / block) + 1);
    }
    double blocks = batch * kv_heads * query_blocks;
    double keys_full = keys < block ? ceil(keys / 16) * 16 / block : 1;
    double filled = fit->padded + (1 - fit->padded) * keys_full * full;
    double block_seconds =
        filled * (4.0 * block * block * depth * device->units / (at_depth(fit->product, depth) * peak) +
                  fit->softmax * block * block / (16 * device->clock_hz));
    double share = blocks / device->units;
    double busy = share * per_query_block * block_seconds;
    double critical = longest * block_seconds * (share < 1 ? pow(share, fit->divided) : 1);
    double compute =
        (busy > critical ? busy + fit->tail * critical : critical + fit->tail * busy) + fit->tile * ceil(share);
    double bytes = size * batch * depth * (2 * heads * queries + 2 * kv_heads * keys);
    double memory = traffic(device, bytes, fit->memory, fit->held, fit->cache);
    double seconds = fit->launch + fit->sequence * batch + hidden(compute, memory, fit->overlap);
    return (struct fxc_gpu_parts){seconds, compute, memory};
}

struct fxc_gpu_parts fxc_gpu_decode_time(const fxc_device *device, const struct fxc_gpu_decode *fit,
                                         const fxc_attention_shape *shape, double size) {
    double batch = (double)shape->batch, kv_heads = (double)shape->kv_heads, keys = (double)shape->keys;
    double depth = (double)shape->depth + (double)shape->value_depth;
    double groups = ceil((double)shape->heads * (double)shape->queries / kv_heads / fit->group);
    double teams = batch * kv_heads * (groups < 1 ? 1 : groups);
    double bytes = size * batch * (kv_heads * keys + (double)shape->heads) * depth;
    double memory = traffic(device, bytes, fit->memory, fit->held, fit->cache);
    double block_bandwidth = fit->block_speed * device->memory_bytes_per_second / device->units;
    double slots = device->units * fit->resident;
    struct fxc_gpu_parts best = {INFINITY, 0, 0};
    for (int s = 0; s < DECODE_SPLITS; s++) {
        double split = (double)(1 << s);
        if (s > 0 && (keys < 64 * split || teams * split > 2 * slots)) {
            break;
        }
        double share = teams * split / slots;
        double waves = share < 1 ? 1 : share;
        double reading = waves * (fit->block + ceil(keys / split / 16) * 16 * size * depth / block_bandwidth);
        double seconds = hidden(reading, memory, fit->overlap) + (s > 0 ? fit->split : 0);
        if (seconds < best.seconds) {
            best = (struct fxc_gpu_parts){seconds, reading, memory};
        }
    }
    best.seconds += fit->launch;
    return best;
}
