/* resolve: x[...] as the views and the one gather that torch makes of it. */
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

/* ---- lists and tuples -------------------------------------------------------------------------------------------- */

/* A bound of a slice: `fallback` for None, counted from the end when negative, within [0, length]. */
static bool bound(struct fxc_became what, int64_t fallback, int64_t length, int64_t *out) {
    if (what.kind != FXC_KIND_INT && what.kind != FXC_KIND_NONE) {
        return false;
    }
    *out = what.kind == FXC_KIND_NONE ? fallback : what.payload < 0 ? what.payload + length : what.payload;
    *out = *out < 0 ? 0 : *out > length ? length : *out;
    return true;
}

static bool slice_list(struct fxc_resolver *x, uint32_t list, uint32_t slice, struct fxc_became *out) {
    struct fxc_became step = fxc_resolve_item(x, slice, 2), items[FXC_MAX_RANK];
    int64_t begin, end, length = fxc_list_count(&x->r->view, list);
    uint32_t count = 0;
    bool plain = step.kind == FXC_KIND_NONE || (step.kind == FXC_KIND_INT && step.payload > 0);
    if (!plain || !bound(fxc_resolve_item(x, slice, 0), 0, length, &begin) ||
        !bound(fxc_resolve_item(x, slice, 1), length, length, &end) || end - begin > FXC_MAX_RANK) {
        return false;
    }
    for (int64_t i = begin; i < end; i += step.kind == FXC_KIND_INT ? step.payload : 1) {
        items[count++] = fxc_resolve_item(x, list, (uint32_t)i);
        if (step.kind == FXC_KIND_INT && step.payload > end - i) {
            break;
        }
    }
    *out = fxc_resolve_list(x, items, count);
    return true;
}

static fxc_status element(struct fxc_resolver *x, uint32_t list, struct fxc_became index, struct fxc_became *out) {
    int64_t count = fxc_list_count(&x->r->view, list);
    if (index.kind == FXC_KIND_SLICE) {
        return slice_list(x, list, (uint32_t)index.payload, out) ? FXC_OK : FXC_UNKNOWN_OPS;
    }
    int64_t at = index.payload < 0 ? index.payload + count : index.payload;
    if (index.kind != FXC_KIND_INT || at < 0 || at >= count) {
        return FXC_UNKNOWN_OPS;
    }
    *out = fxc_resolve_item(x, list, (uint32_t)at);
    return FXC_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

/* What an index does to a tensor: views, one after the other, then a gather by the tensors in it. */
struct view {
    uint8_t kind;         /* FXC_KIND_INT: select, SLICE: slice, NONE: unsqueeze */
    struct fxc_became of; /* the number or the slice */
    int64_t dim;
};

struct plan {
    struct view views[FXC_MAX_RANK];
    uint32_t view_count;
    struct fxc_became places[FXC_MAX_RANK]; /* index tensors by dimension, None between them */
    uint32_t place_count;
    int64_t dim; /* of the result so far */
};

static bool is_whole(const struct fxc_resolver *x, struct fxc_became slice) {
    for (uint32_t i = 0; i < 3; i++) {
        if (fxc_resolve_item(x, (uint32_t)slice.payload, i).kind != FXC_KIND_NONE) {
            return false;
        }
    }
    return true;
}

/* Dimensions of the tensor that an item of the index takes. */
static int64_t dims_taken(const struct fxc_resolver *x, struct fxc_became item) {
    struct fxc_tensor mask;
    switch (fxc_resolve_kind(x, item)) {
    case FXC_KIND_INT:
    case FXC_KIND_SLICE:
        return 1;
    case FXC_KIND_TENSOR:
        (void)fxc_resolve_tensor(x, item, &mask);
        return mask.dtype == FXC_DTYPE_BOOL ? mask.rank : 1;
    default:
        return 0;
    }
}

static bool plan_item(const struct fxc_resolver *x, struct fxc_became item, int64_t free_dims, struct plan *plan) {
    uint8_t kind = fxc_resolve_kind(x, item);
    if (plan->view_count == FXC_MAX_RANK || plan->dim >= FXC_MAX_RANK) {
        return false;
    }
    switch (kind) {
    case FXC_KIND_ELLIPSIS:
        plan->dim += free_dims;
        return true;
    case FXC_KIND_SLICE:
        if (!is_whole(x, item)) {
            plan->views[plan->view_count++] = (struct view){kind, item, plan->dim};
        }
        plan->dim++;
        return true;
    case FXC_KIND_NONE:
        plan->views[plan->view_count++] = (struct view){kind, item, plan->dim++};
        return true;
    case FXC_KIND_INT:
        plan->views[plan->view_count++] = (struct view){kind, item, plan->dim};
        return true;
    case FXC_KIND_TENSOR:
        while (plan->place_count < plan->dim) {
            plan->places[plan->place_count++] = (struct fxc_became){FXC_KIND_NONE, 0};
        }
        plan->places[plan->place_count++] = item;
        plan->dim += dims_taken(x, item);
        return true;
    default:
        return false;
    }
}

static bool make_plan(const struct fxc_resolver *x, const struct fxc_tensor *tensor, struct fxc_became index,
                      struct plan *plan) {
    bool tuple = index.kind == FXC_KIND_LIST;
    uint32_t list = tuple ? (uint32_t)index.payload : FXC_NONE;
    uint32_t count = tuple ? fxc_list_count(&x->r->view, list) : 1;
    int64_t free_dims = tensor->rank;
    *plan = (struct plan){.dim = 0};
    for (uint32_t i = 0; i < count; i++) {
        free_dims -= dims_taken(x, tuple ? fxc_resolve_item(x, list, i) : index);
    }
    for (uint32_t i = 0; free_dims >= 0 && i < count; i++) {
        if (!plan_item(x, tuple ? fxc_resolve_item(x, list, i) : index, free_dims, plan)) {
            return false;
        }
    }
    return free_dims >= 0;
}

static fxc_status view(struct fxc_resolver *x, const struct view *view, bool inner, struct fxc_became *tensor,
                       fxc_error *err) {
    struct fxc_call call = {.inner = inner};
    call.name = view->kind == FXC_KIND_INT     ? "aten.select"
                : view->kind == FXC_KIND_SLICE ? "aten.slice"
                                               : "aten.unsqueeze";
    fxc_call_add(&call, *tensor);
    fxc_call_add(&call, fxc_int(view->dim));
    if (view->kind == FXC_KIND_INT) {
        fxc_call_add(&call, view->of);
    } else if (view->kind == FXC_KIND_SLICE) {
        struct fxc_became step = fxc_resolve_item(x, (uint32_t)view->of.payload, 2);
        fxc_call_add(&call, fxc_resolve_item(x, (uint32_t)view->of.payload, 0));
        fxc_call_add(&call, fxc_resolve_item(x, (uint32_t)view->of.payload, 1));
        fxc_call_add(&call, step.kind == FXC_KIND_NONE ? fxc_int(1) : step);
    }
    return fxc_resolve_packet(x, &call, tensor, err);
}

static fxc_status views(struct fxc_resolver *x, const struct plan *plan, bool inner, struct fxc_became *tensor,
                        fxc_error *err) {
    for (uint32_t i = 0; i < plan->view_count; i++) {
        FXC_TRY(view(x, &plan->views[i], inner || i + 1 < plan->view_count, tensor, err));
    }
    return FXC_OK;
}

fxc_status fxc_python_getitem(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err) {
    struct fxc_tensor tensor;
    struct plan plan;
    if (call->count != 2) {
        return FXC_UNKNOWN_OPS;
    }
    struct fxc_became what = call->args[0].what, index = call->args[1].what;
    if (fxc_resolve_list_row(x, what) != FXC_NONE) {
        return element(x, fxc_resolve_list_row(x, what), index, out);
    }
    if (!fxc_resolve_tensor(x, what, &tensor) || !make_plan(x, &tensor, index, &plan)) {
        return FXC_UNKNOWN_OPS;
    }
    FXC_TRY(views(x, &plan, plan.place_count > 0, &what, err));
    *out = what;
    if (plan.place_count == 0) {
        return FXC_OK;
    }
    struct fxc_call gather = {.name = "aten.index"};
    fxc_call_add(&gather, what);
    fxc_call_add(&gather, fxc_resolve_list(x, plan.places, plan.place_count));
    return fxc_resolve_packet(x, &gather, out, err);
}

fxc_status fxc_python_setitem(struct fxc_resolver *x, const struct fxc_call *call, struct fxc_became *out,
                              fxc_error *err) {
    struct fxc_tensor tensor;
    struct plan plan;
    if (call->count != 3) {
        return FXC_UNKNOWN_OPS;
    }
    struct fxc_became what = call->args[0].what, value = call->args[2].what, ignored;
    if (!fxc_resolve_tensor(x, what, &tensor) || !make_plan(x, &tensor, call->args[1].what, &plan)) {
        return FXC_UNKNOWN_OPS;
    }
    bool copies = fxc_resolve_kind(x, value) == FXC_KIND_TENSOR;
    FXC_TRY(views(x, &plan, true, &what, err));
    struct fxc_call write = {.name = plan.place_count > 0 ? "aten.index_put_" : copies ? "aten.copy_" : "aten.fill_"};
    fxc_call_add(&write, what);
    if (plan.place_count > 0) {
        fxc_call_add(&write, fxc_resolve_list(x, plan.places, plan.place_count));
    }
    fxc_call_add(&write, value);
    FXC_TRY(fxc_resolve_packet(x, &write, &ignored, err));
    *out = (struct fxc_became){FXC_KIND_NONE, 0};
    return FXC_OK;
}
