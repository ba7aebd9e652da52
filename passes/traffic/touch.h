/* What a node reads and writes when eager dispatch runs it, tensor by tensor. */
#ifndef FXC_PASSES_TRAFFIC_TOUCH_H
#define FXC_PASSES_TRAFFIC_TOUCH_H

#include "passes/analysis.h"

/* Told of each tensor that a node touches: bytes of its distinct elements, or of those that the node touches. */
struct fxc_touch_sink {
    void (*tensor)(struct fxc_touch_sink *sink, uint32_t value, int64_t bytes, bool written);
    bool overflow; /* bytes do not fit in 64 bits */
};

/* False when the node runs no kernel, and touches nothing. After shapes and alias. */
bool fxc_touch_node(const struct fxc_analysis *analysis, uint32_t node, struct fxc_touch_sink *sink);

#endif
