/* Which ATen overload a call means: "aten.max" of a tensor and an integer is aten.max.dim.
 *
 * A graph without shapes names packets. What the arguments are decides among the packet's rows of ir/ops.def: a row
 * fits when each argument finds a place of its type and no required one is left; of rows that fit, the one that
 * converts least is meant, and of equals the first. */
#ifndef FXC_IR_OVERLOAD_H
#define FXC_IR_OVERLOAD_H

#include "ir/ops.h"
#include "ir/schema.h"

/* One argument of a call. */
struct fxc_call_arg {
    const char *name; /* NULL when positional; positional ones come first */
    uint8_t kind;     /* enum fxc_kind; FXC_KIND_TENSOR for a tensor */
    uint8_t item; /* of a list, what its items are: a kind, FXC_KIND_NONE without items, FXC_KIND_OPAQUE when mixed */
};

struct fxc_overload {
    const struct fxc_op_row *row;
    struct fxc_schema schema;
};

struct fxc_packet {
    struct fxc_overload *overloads;
    uint32_t count;
};

/* The overloads of a packet, "aten.max", that the operator table knows, or the one overload "aten.max.dim"; none is no
 * error. */
fxc_status fxc_packet_find(struct fxc_arena *arena, const char *name, struct fxc_packet *out);

/* The overload that these arguments mean, NULL when none fits. place[i] is the argument of its schema that argument i
 * stands for; successive integers that stand for one list (x.view(2, 3)) share it. */
const struct fxc_overload *fxc_packet_choose(const struct fxc_packet *packet, const struct fxc_call_arg *args,
                                             uint32_t count, uint32_t *place);

#endif
