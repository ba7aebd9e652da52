/* resolve: methods and functions that torch writes in Python, or binds by hand, over its packets. */
#include <string.h>

#include "passes/resolve.h"
#include "passes/shape_rules.h"

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

/* ---- functions of torch.nn.functional that ask for the rank ------------------------------------------------------ */

/* softmax without a dimension: the one that torch picks. */
static fxc_status softmax(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out, fxc_error *err) {
    struct fxc_became input, dtype;
    struct fxc_tensor tensor;
    struct fxc_call meant = {.name = strstr(call->name, "log_") != NULL ? "aten.log_softmax" : "aten.softmax"};
    if (!fxc_call_arg_at(call, 0, "input", &input) || !fxc_resolve_tensor(x, input, &tensor)) {
        return FXC_UNKNOWN_OPS;
    }
    fxc_call_add(&meant, input);
    fxc_call_add(&meant, fxc_int(tensor.rank == 0 || tensor.rank == 1 || tensor.rank == 3 ? 0 : 1));
    if (fxc_call_arg_at(call, FXC_CALL_MAX_ARGS, "dtype", &dtype)) {
        fxc_call_add(&meant, dtype);
    }
    return fxc_resolve_packet(x, &meant, out, err);
}

/* A number or a list, one for each spatial dimension. */
static struct fxc_became each_dimension(struct fxc_resolver *x, struct fxc_became what, uint32_t dims) {
    struct fxc_became items[3];
    if (what.kind == FXC_KIND_LIST || what.kind == FXC_KIND_NONE) {
        return what;
    }
    for (uint32_t i = 0; i < dims; i++) {
        items[i] = what;
    }
    return fxc_resolve_list(x, items, dims);
}

static struct fxc_became as_scales(struct fxc_resolver *x, struct fxc_became what, uint32_t dims) {
    struct fxc_became list = each_dimension(x, what, dims), items[3];
    uint32_t row = fxc_resolve_list_row(x, list), count = fxc_list_count(&x->r->view, row);
    for (uint32_t i = 0; row != FXC_NONE && i < count && i < 3; i++) {
        items[i] = fxc_resolve_item(x, row, i);
        if (items[i].kind == FXC_KIND_INT) {
            double number = (double)items[i].payload;
            items[i].kind = FXC_KIND_FLOAT;
            memcpy(&items[i].payload, &number, sizeof number);
        }
    }
    return row == FXC_NONE || count > 3 ? list : fxc_resolve_list(x, items, count);
}

static const struct {
    const char *mode;
    bool corners; /* takes align_corners */
    const char *packets[3];
} modes[] = {
    {"nearest", false, {"aten.upsample_nearest1d.vec", "aten.upsample_nearest2d.vec", "aten.upsample_nearest3d.vec"}},
    {"nearest-exact",
     false,
     {"aten._upsample_nearest_exact1d.vec", "aten._upsample_nearest_exact2d.vec",
      "aten._upsample_nearest_exact3d.vec"}},
    {"linear", true, {"aten.upsample_linear1d.vec", NULL, NULL}},
    {"bilinear", true, {NULL, "aten.upsample_bilinear2d.vec", NULL}},
    {"bicubic", true, {NULL, "aten.upsample_bicubic2d.vec", NULL}},
    {"trilinear", true, {NULL, NULL, "aten.upsample_trilinear3d.vec"}},
};

static fxc_status interpolate(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err) {
    struct fxc_became none = {FXC_KIND_NONE, 0}, no = {FXC_KIND_BOOL, 0}, input, sizes = none, scales = none;
    struct fxc_became mode = none, corners = no, other = none;
    struct fxc_tensor tensor;
    struct fxc_call meant = {.name = NULL};
    if (!fxc_call_arg_at(call, 0, "input", &input) || !fxc_resolve_tensor(x, input, &tensor) || tensor.rank < 3 ||
        tensor.rank > 5) {
        return FXC_UNKNOWN_OPS;
    }
    (void)fxc_call_arg_at(call, 1, "size", &sizes);
    (void)fxc_call_arg_at(call, 2, "scale_factor", &scales);
    (void)fxc_call_arg_at(call, 3, "mode", &mode);
    (void)fxc_call_arg_at(call, 4, "align_corners", &corners);
    bool rescales =
        fxc_call_arg_at(call, 5, "recompute_scale_factor", &other) && other.kind == FXC_KIND_BOOL && other.payload != 0;
    bool smooths = fxc_call_arg_at(call, 6, "antialias", &other) && other.payload != 0;
    const char *name = mode.kind == FXC_KIND_STRING ? fxc_string(&x->r->view, (uint32_t)mode.payload) : "nearest";
    uint32_t dims = (uint32_t)tensor.rank - 2;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0] && !rescales && !smooths; i++) {
        if (strcmp(modes[i].mode, name) == 0 && modes[i].packets[dims - 1] != NULL) {
            meant.name = modes[i].packets[dims - 1];
            fxc_call_add(&meant, input);
            fxc_call_add(&meant, each_dimension(x, sizes, dims));
            if (modes[i].corners) {
                fxc_call_add(&meant, corners.kind == FXC_KIND_NONE ? no : corners);
            }
            fxc_call_add(&meant, as_scales(x, scales, dims));
        }
    }
    return meant.name == NULL ? FXC_UNKNOWN_OPS : fxc_resolve_packet(x, &meant, out, err);
}

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

static const struct {
    const char *name;
    fxc_python_fn run;
} functions[] = {
    {"torch.nn.functional.softmax", softmax},
    {"torch.nn.functional.log_softmax", softmax},
    {"torch.nn.functional.interpolate", interpolate},
};

fxc_status fxc_python_torch(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                            fxc_error *err) {
    const char *dot = strchr(call->name, '.');
    bool method = strncmp(call->name, "aten.", 5) == 0 || strncmp(call->name, "method.", 7) == 0;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(functions[i].name, call->name) == 0) {
            return functions[i].run(x, call, out, err);
        }
    }
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
