/* resolve: Python's operators and built-in functions, on tensors as its protocols send them to torch. */
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

/* ---- operators --------------------------------------------------------------------------------------------------- */

/* What tensor (operator) other calls, and what number (operator) tensor does; NULL: the same, arguments swapped. */
static const struct {
    const char *name, *packet, *reflected;
} operators[] = {
    {"operator.add", "aten.add", NULL},
    {"operator.sub", "aten.sub", "aten.rsub"},
    {"operator.mul", "aten.mul", NULL},
    {"operator.truediv", "aten.div", "reciprocal"},
    {"operator.floordiv", "aten.floor_divide", "aten.floor_divide"},
    {"operator.mod", "aten.remainder", "aten.remainder"},
    {"operator.pow", "aten.pow", "aten.pow"},
    {"operator.matmul", "aten.matmul", NULL},
    {"operator.eq", "aten.eq", NULL},
    {"operator.ne", "aten.ne", NULL},
    {"operator.lt", "aten.lt", "aten.gt"},
    {"operator.le", "aten.le", "aten.ge"},
    {"operator.gt", "aten.gt", "aten.lt"},
    {"operator.ge", "aten.ge", "aten.le"},
    {"operator.and_", "aten.__and__", NULL},
    {"operator.or_", "aten.__or__", NULL},
    {"operator.xor", "aten.__xor__", NULL},
    {"operator.lshift", "aten.__lshift__", "aten.bitwise_left_shift"},
    {"operator.rshift", "aten.__rshift__", "aten.bitwise_right_shift"},
    {"operator.neg", "aten.neg", NULL},
    {"operator.pos", "aten.positive", NULL},
    {"operator.invert", "aten.bitwise_not", NULL},
    {"operator.abs", "aten.abs", NULL},
    {"builtins.abs", "aten.abs", NULL},
    {"operator.iadd", "aten.add_", NULL},
    {"operator.isub", "aten.sub_", NULL},
    {"operator.imul", "aten.mul_", NULL},
    {"operator.itruediv", "aten.div_", NULL},
    {"operator.ifloordiv", "aten.floor_divide_", NULL},
    {"operator.imod", "aten.remainder_", NULL},
    {"operator.ipow", "aten.pow_", NULL},
    {"operator.iand", "aten.__iand__", NULL},
    {"operator.ior", "aten.__ior__", NULL},
    {"operator.ixor", "aten.__ixor__", NULL},
};

/* 1 / x is x.reciprocal() * 1 in torch. */
static fxc_status reciprocal(struct fxc_resolver *x, struct fxc_became number, struct fxc_became tensor,
                             struct fxc_became *out, fxc_error *err) {
    struct fxc_call call = {.name = "aten.reciprocal", .inner = true};
    struct fxc_became inverse;
    fxc_call_add(&call, tensor);
    FXC_TRY(fxc_resolve_packet(x, &call, &inverse, err));
    call = (struct fxc_call){.name = "aten.mul"};
    fxc_call_add(&call, inverse);
    fxc_call_add(&call, number);
    return fxc_resolve_packet(x, &call, out, err);
}

/* number (operator) tensor: torch's function where there is one that takes them in this order or the other. */
static fxc_status reflected(struct fxc_resolver *x, const char *packet, const char *other, struct fxc_became number,
                            struct fxc_became tensor, struct fxc_became *out, fxc_error *err) {
    struct fxc_call call = {.name = other == NULL ? packet : other};
    bool in_order = other != NULL && (strcmp(other, "aten.pow") == 0 || strcmp(other, "aten.remainder") == 0 ||
                                      strcmp(other, "aten.floor_divide") == 0 || strstr(other, "shift") != NULL);
    if (other != NULL && strcmp(other, "reciprocal") == 0) {
        return reciprocal(x, number, tensor, out, err);
    }
    fxc_call_add(&call, in_order ? number : tensor);
    fxc_call_add(&call, in_order ? tensor : number);
    return fxc_resolve_packet(x, &call, out, err);
}

static fxc_status on_tensor(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                            fxc_error *err) {
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (strcmp(operators[i].name, call->name) != 0) {
            continue;
        }
        bool first = fxc_resolve_kind(x, call->args[0].what) == FXC_KIND_TENSOR;
        if (call->count == 2 && !first && fxc_resolve_kind(x, call->args[1].what) == FXC_KIND_TENSOR) {
            return reflected(x, operators[i].packet, operators[i].reflected, call->args[0].what, call->args[1].what,
                             out, err);
        }
        struct fxc_call meant = *call;
        meant.name = operators[i].packet;
        return first ? fxc_resolve_packet(x, &meant, out, err) : FXC_UNKNOWN_OPS;
    }
    return FXC_UNKNOWN_OPS;
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static struct fxc_became sizes_of(struct fxc_resolver *x, const struct fxc_tensor *tensor) {
    struct fxc_became items[FXC_MAX_RANK];
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        items[dim] = fxc_int(tensor->size[dim]);
    }
    return fxc_resolve_list(x, items, tensor->rank);
}

/* max(...).values: names of what a tuple holds. */
static fxc_status element_named(struct fxc_resolver *x, struct fxc_became tuple, const char *name,
                                struct fxc_became *out) {
    static const char *const second[] = {"indices", "R", "eigenvectors", "logabsdet"};
    static const char *const first[] = {"values", "Q", "eigenvalues", "sign", "hist"};
    uint32_t row = fxc_resolve_list_row(x, tuple), count = fxc_list_count(&x->r->view, row);
    for (size_t i = 0; i < sizeof first / sizeof first[0] && count > 0; i++) {
        if (strcmp(name, first[i]) == 0) {
            *out = fxc_resolve_item(x, row, 0);
            return FXC_OK;
        }
    }
    for (size_t i = 0; i < sizeof second / sizeof second[0] && count > 1; i++) {
        if (strcmp(name, second[i]) == 0) {
            *out = fxc_resolve_item(x, row, 1);
            return FXC_OK;
        }
    }
    return FXC_UNKNOWN_OPS;
}

static fxc_status transposed(struct fxc_resolver *x, struct fxc_became what, const struct fxc_tensor *tensor,
                             bool matrix, struct fxc_became *out, fxc_error *err) {
    struct fxc_call call = {.name = matrix ? "aten.transpose" : "aten.permute"};
    struct fxc_became dims[FXC_MAX_RANK];
    fxc_call_add(&call, what);
    if (matrix) {
        fxc_call_add(&call, fxc_int(-2));
        fxc_call_add(&call, fxc_int(-1));
        return fxc_resolve_packet(x, &call, out, err);
    }
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        dims[dim] = fxc_int((int64_t)tensor->rank - 1 - dim);
    }
    fxc_call_add(&call, fxc_resolve_list(x, dims, tensor->rank));
    return fxc_resolve_packet(x, &call, out, err);
}

static fxc_status attribute(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                            fxc_error *err) {
    struct fxc_became what = call->args[0].what;
    struct fxc_tensor tensor;
    if (call->count < 2 || call->args[1].what.kind != FXC_KIND_STRING) {
        return FXC_UNKNOWN_OPS;
    }
    const char *name = fxc_string(&x->r->view, (uint32_t)call->args[1].what.payload);
    if (!fxc_resolve_tensor(x, what, &tensor)) {
        return element_named(x, what, name, out);
    }
    if (strcmp(name, "shape") == 0) {
        *out = sizes_of(x, &tensor);
    } else if (strcmp(name, "ndim") == 0) {
        *out = fxc_int(tensor.rank);
    } else if (strcmp(name, "dtype") == 0) {
        *out = (struct fxc_became){FXC_KIND_DTYPE, tensor.dtype};
    } else if (strcmp(name, "device") == 0) {
        uint32_t storage = x->r->view.value_storage[tensor.value];
        uint32_t device = storage == FXC_NONE ? fxc_reshape_string(x->r, "cpu") : x->r->view.storage_device[storage];
        *out = (struct fxc_became){FXC_KIND_DEVICE, device};
    } else if (strcmp(name, "layout") == 0) {
        *out = (struct fxc_became){FXC_KIND_LAYOUT, FXC_LAYOUT_STRIDED};
    } else if (strcmp(name, "data") == 0) {
        *out = what;
    } else if (strcmp(name, "T") == 0 || strcmp(name, "mT") == 0) {
        return transposed(x, what, &tensor, name[0] == 'm', out, err);
    } else {
        return FXC_UNKNOWN_OPS;
    }
    return FXC_OK;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

fxc_status fxc_python_operator(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                               fxc_error *err) {
    if (strncmp(call->name, "aten.", 5) == 0 || call->count == 0) {
        return FXC_UNKNOWN_OPS;
    }
    if (strcmp(call->name, "operator.getitem") == 0) {
        return fxc_python_getitem(x, call, out, err);
    }
    if (strcmp(call->name, "operator.setitem") == 0) {
        return fxc_python_setitem(x, call, out, err);
    }
    if (strcmp(call->name, "builtins.getattr") == 0) {
        return attribute(x, call, out, err);
    }
    fxc_status status = fxc_python_number(x, call, out);
    return status == FXC_UNKNOWN_OPS ? on_tensor(x, call, out, err) : status;
}
