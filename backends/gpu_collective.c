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

/* Hops of data that pass from device to device: around the ring, or from each to each at once. */
static double hops(uint8_t collective, double ranks) {
    return collective == FXC_COLLECTIVE_ALL_TO_ALL ? 1 : ranks - 1;
}

static double protocol_seconds(const struct fxc_gpu_protocol *protocol, const fxc_collective_shape *shape, double link,
                               double bytes) {
    double ranks = (double)shape->ranks;
    double bandwidth = protocol->bandwidth * link * pow(ranks / 2, protocol->widening);
    return protocol->latency + protocol->step * hops(shape->collective, ranks) + bytes / bandwidth;
}

double fxc_gpu_collective_time(const fxc_device *device, const struct fxc_gpu_collective *fit,
                               const fxc_collective_shape *shape) {
    double ranks = (double)shape->ranks, bytes = (double)shape->bytes * passes(shape->collective, ranks);
    double link = device->link_bytes_per_second / 2;
    double small = protocol_seconds(&fit->small, shape, link, bytes);
    double large = protocol_seconds(&fit->large, shape, link, bytes);
    return small < large ? small : large;
}
