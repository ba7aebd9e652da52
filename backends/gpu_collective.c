/* Collectives between the GPUs of one node: latency and bandwidth, with a switch of protocol. */
#include <math.h>

#include "backends/gpu.h"

/* Bytes that pass each device's link, over the bytes of the collective: NCCL's tests call their ratio bus bandwidth. */
static double passes(uint8_t collective, double ranks) {
    switch (collective) {
    case FXC_COLLECTIVE_ALL_REDUCE:
        return 2 * (ranks - 1) / ranks;
    case FXC_COLLECTIVE_BROADCAST:
        return 1;
    default:
        return (ranks - 1) / ranks;
    }
}

static double protocol_seconds(const struct fxc_gpu_protocol *protocol, double link, double ranks, double bytes) {
    double bandwidth = protocol->bandwidth * link * pow(ranks / 2, protocol->widening);
    return protocol->latency + protocol->step * (ranks - 1) + bytes / bandwidth;
}

double fxc_gpu_collective_time(const fxc_device *device, const struct fxc_gpu_collective *fit,
                               const fxc_collective_shape *shape) {
    double ranks = (double)shape->ranks, bytes = (double)shape->bytes * passes(shape->collective, ranks);
    double link = device->link_bytes_per_second / 2;
    double small = protocol_seconds(&fit->small, link, ranks, bytes);
    double large = protocol_seconds(&fit->large, link, ranks, bytes);
    return small < large ? small : large;
}
