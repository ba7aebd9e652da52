/* Autocast: operators take casts of their arguments that leave no node. */
#ifndef FXC_PASSES_AUTOCAST_H
#define FXC_PASSES_AUTOCAST_H

#include "passes/rule.h"

/* Kinds of devices that autocast tells apart. */
enum { FXC_CAST_CPU, FXC_CAST_CUDA, FXC_CAST_DEVICES };

/* The type that autocast casts to, per graph and kind of device: FXC_DTYPE_OPAQUE where it is off. *casts is NULL for a
 * program without autocast. */
fxc_status fxc_autocast_graphs(const struct fxc_program *program, struct fxc_arena *arena, const uint8_t **casts,
                               fxc_error *err);

/* How a node takes its arguments. */
struct fxc_cast {
    uint8_t to;   /* floating types but float64 become this; FXC_DTYPE_OPAQUE: they stay */
    bool unknown; /* what the operator consists of is cast: nothing follows */
};
struct fxc_cast fxc_node_cast(const struct fxc_rule *rule);
/* The type that the node takes a tensor of this type as. */
uint8_t fxc_cast_dtype(struct fxc_cast cast, uint8_t dtype);

#endif
