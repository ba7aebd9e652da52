/* resolve: functions of torch.nn.functional that ask for sizes before they call ATen. Their arguments have names. */
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

/* ---- softmax ----------------------------------------------------------------------------------------------------- */

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

/* ---- interpolate ------------------------------------------------------------------------------------------------- */

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

/* ---- embedding_bag ----------------------------------------------------------------------------------------------- */

/* Bags of one length, as rows of a matrix: where each begins, and all indices in one row. */
static fxc_status rows_as_bags(struct fxc_resolver *x, const struct fxc_tensor *indices, struct fxc_became *flat,
                               struct fxc_became *offsets, fxc_error *err) {
    struct fxc_call begin = {.name = "aten.arange.start_step", .inner = true};
    struct fxc_call reshape = {.name = "aten.reshape", .inner = true};
    struct fxc_became all = fxc_int(-1);
    fxc_call_add(&begin, fxc_int(0));
    fxc_call_add(&begin, fxc_int(indices->numel));
    fxc_call_add(&begin, fxc_int(indices->size[1]));
    begin.args[begin.count++] = (struct fxc_argument){"dtype", {FXC_KIND_DTYPE, indices->dtype}};
    FXC_TRY(fxc_resolve_packet(x, &begin, offsets, err));
    fxc_call_add(&reshape, *flat);
    fxc_call_add(&reshape, fxc_resolve_list(x, &all, 1));
    return fxc_resolve_packet(x, &reshape, flat, err);
}

static int64_t bag_mode(const struct fxc_resolver *x, struct fxc_became mode) {
    const char *name = mode.kind == FXC_KIND_STRING ? fxc_string(&x->r->view, (uint32_t)mode.payload) : "mean";
    return strcmp(name, "sum") == 0 ? 0 : strcmp(name, "max") == 0 ? 2 : 1;
}

static fxc_status embedding_bag(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                                fxc_error *err) {
    const struct fxc_became none = {FXC_KIND_NONE, 0}, no = {FXC_KIND_BOOL, 0};
    struct fxc_became indices, weight, offsets = none, mode = none, scale = no, sparse = no, each = none, last = no;
    struct fxc_became padding = none, limit = none;
    struct fxc_tensor tensor;
    if (!fxc_call_arg_at(call, 0, "input", &indices) || !fxc_call_arg_at(call, 1, "weight", &weight) ||
        !fxc_resolve_tensor(x, indices, &tensor)) {
        return FXC_UNKNOWN_OPS;
    }
    (void)fxc_call_arg_at(call, 2, "offsets", &offsets);
    (void)fxc_call_arg_at(call, 3, "max_norm", &limit);
    (void)fxc_call_arg_at(call, 5, "scale_grad_by_freq", &scale);
    (void)fxc_call_arg_at(call, 6, "mode", &mode);
    (void)fxc_call_arg_at(call, 7, "sparse", &sparse);
    (void)fxc_call_arg_at(call, 8, "per_sample_weights", &each);
    (void)fxc_call_arg_at(call, 9, "include_last_offset", &last);
    (void)fxc_call_arg_at(call, 10, "padding_idx", &padding);
    if (limit.kind != FXC_KIND_NONE || (tensor.rank == 2) != (offsets.kind == FXC_KIND_NONE) ||
        (tensor.rank == 2 && (tensor.size[1] == 0 || each.kind != FXC_KIND_NONE))) {
        return FXC_UNKNOWN_OPS;
    }
    if (tensor.rank == 2) {
        FXC_TRY(rows_as_bags(x, &tensor, &indices, &offsets, err));
    }
    struct fxc_call meant = {.name = "aten.embedding_bag.padding_idx"};
    const struct fxc_became arguments[] = {weight, indices, offsets, scale,  fxc_int(bag_mode(x, mode)),
                                           sparse, each,    last,    padding};
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        fxc_call_add(&meant, arguments[i]);
    }
    FXC_TRY(fxc_resolve_packet(x, &meant, out, err));
    uint32_t results = fxc_resolve_list_row(x, *out);
    if (results != FXC_NONE) {
        *out = fxc_resolve_item(x, results, 0);
    }
    return FXC_OK;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    fxc_python_fn run;
} functions[] = {
    {"torch.nn.functional.softmax", softmax},
    {"torch.nn.functional.log_softmax", softmax},
    {"torch.nn.functional.interpolate", interpolate},
    {"torch.nn.functional.embedding_bag", embedding_bag},
};

fxc_status fxc_python_functional(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                                 fxc_error *err) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(functions[i].name, call->name) == 0) {
            return functions[i].run(x, call, out, err);
        }
    }
    return FXC_UNKNOWN_OPS;
}
