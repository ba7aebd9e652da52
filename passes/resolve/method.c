/* resolve: methods of tensors that torch binds by hand. */
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

/* ---- what a tensor says of itself -------------------------------------------------------------------------------- */

static fxc_status size(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out, fxc_error *err) {
    struct fxc_became dim, items[FXC_MAX_RANK];
    struct fxc_tensor tensor;
    (void)err;
    (void)fxc_resolve_tensor(x, call->args[0].what, &tensor);
    if (!fxc_call_arg_at(call, 1, "dim", &dim) || dim.kind == FXC_KIND_NONE) {
        for (uint32_t i = 0; i < tensor.rank; i++) {
            items[i] = fxc_int(tensor.size[i]);
        }
        *out = fxc_resolve_list(x, items, tensor.rank);
        return FXC_OK;
    }
    int64_t at = dim.payload < 0 ? dim.payload + tensor.rank : dim.payload;
    if (dim.kind != FXC_KIND_INT || at < 0 || at >= tensor.rank) {
        return FXC_UNKNOWN_OPS;
    }
    *out = fxc_int(tensor.size[at]);
    return FXC_OK;
}

static fxc_status rank(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    (void)fxc_resolve_tensor(x, call->args[0].what, &tensor);
    *out = fxc_int(tensor.rank);
    return FXC_OK;
}

static fxc_status elements(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                           fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    (void)fxc_resolve_tensor(x, call->args[0].what, &tensor);
    *out = fxc_int(tensor.numel);
    return FXC_OK;
}

static fxc_status is_floating(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    (void)fxc_resolve_tensor(x, call->args[0].what, &tensor);
    bool complex = tensor.dtype == FXC_DTYPE_COMPLEX32 || tensor.dtype == FXC_DTYPE_COMPLEX64 ||
                   tensor.dtype == FXC_DTYPE_COMPLEX128;
    *out = (struct fxc_became){FXC_KIND_BOOL, fxc_dtype_is_float(tensor.dtype) && !complex};
    return FXC_OK;
}

/* Moves between devices, and marks of autograd: the same tensor to us. */
static fxc_status itself(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out, fxc_error *err) {
    (void)x;
    (void)err;
    *out = call->args[0].what;
    return FXC_OK;
}

/* ---- conversions ------------------------------------------------------------------------------------------------- */

static fxc_status convert(struct fxc_resolver *x, const struct fxc_call *call, uint8_t dtype, struct fxc_became *out,
                          fxc_error *err) {
    struct fxc_call to = {.name = "aten.to"};
    struct fxc_became copy, format;
    fxc_call_add(&to, call->args[0].what);
    fxc_call_add(&to, (struct fxc_became){FXC_KIND_DTYPE, dtype});
    if (fxc_call_arg_at(call, FXC_CALL_MAX_ARGS, "copy", &copy)) {
        to.args[to.count++] = (struct fxc_argument){"copy", copy};
    }
    if (fxc_call_arg_at(call, FXC_CALL_MAX_ARGS, "memory_format", &format)) {
        to.args[to.count++] = (struct fxc_argument){"memory_format", format};
    }
    return fxc_resolve_packet(x, &to, out, err);
}

/* x.to(dtype), x.to(device), x.to(device, dtype), x.to(other): only the type is of interest. */
static fxc_status to(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out, fxc_error *err) {
    struct fxc_tensor tensor, other;
    (void)fxc_resolve_tensor(x, call->args[0].what, &tensor);
    uint8_t dtype = tensor.dtype;
    bool formats = false;
    for (uint32_t i = 1; i < call->count; i++) {
        if (call->args[i].what.kind == FXC_KIND_DTYPE) {
            dtype = (uint8_t)call->args[i].what.payload;
        } else if (fxc_resolve_tensor(x, call->args[i].what, &other)) {
            dtype = other.dtype;
        }
        formats = formats || call->args[i].what.kind == FXC_KIND_MEMORY_FORMAT ||
                  (call->args[i].name != NULL && strcmp(call->args[i].name, "copy") == 0);
    }
    if (dtype == tensor.dtype && !formats) {
        *out = call->args[0].what;
        return FXC_OK;
    }
    return convert(x, call, dtype, out, err);
}

static const struct {
    const char *name;
    uint8_t dtype;
} casts[] = {{"float", FXC_DTYPE_FLOAT32}, {"double", FXC_DTYPE_FLOAT64},    {"half", FXC_DTYPE_FLOAT16},
             {"long", FXC_DTYPE_INT64},    {"bfloat16", FXC_DTYPE_BFLOAT16}, {"int", FXC_DTYPE_INT32},
             {"short", FXC_DTYPE_INT16},   {"char", FXC_DTYPE_INT8},         {"byte", FXC_DTYPE_UINT8},
             {"bool", FXC_DTYPE_BOOL}};

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    fxc_python_fn run;
} methods[] = {
    {"size", size},
    {"dim", rank},
    {"ndimension", rank},
    {"numel", elements},
    {"nelement", elements},
    {"is_floating_point", is_floating},
    {"to", to},
    {"type", to},
    {"cuda", itself},
    {"cpu", itself},
    {"requires_grad_", itself},
};

fxc_status fxc_python_method(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                             fxc_error *err) {
    const char *dot = strchr(call->name, '.');
    bool method = strncmp(call->name, "aten.", 5) == 0 || strncmp(call->name, "method.", 7) == 0;
    if (!method || call->count == 0 || fxc_resolve_kind(x, call->args[0].what) != FXC_KIND_TENSOR) {
        return FXC_UNKNOWN_OPS;
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i].name, dot + 1) == 0) {
            return methods[i].run(x, call, out, err);
        }
    }
    for (size_t i = 0; i < sizeof casts / sizeof casts[0]; i++) {
        if (strcmp(casts[i].name, dot + 1) == 0) {
            return convert(x, call, casts[i].dtype, out, err);
        }
    }
    return FXC_UNKNOWN_OPS;
}
