/* reshape: numbers that the capture wrote down and that may be sizes.
 *
 * A static capture runs `x.view(x.size(0), -1)` and records the number that x.size(0) was; nothing tells it from a
 * constant of the model. Where such a number could have come from a size that is another one now, the node is refused:
 * a guess would be silently wrong. Views are judged by position, other operators by value. Symbolic sizes of a capture
 * are no such numbers, and modules of torch.nn whose configuration holds the number are believed. */
#include <inttypes.h>
#include <string.h>

#include "passes/reshape/reshape.h"
#include "passes/shapes/rules.h"

struct check {
    struct fxc_reshape *r;
    const struct fxc_program *p; /* the source: what is a literal there was written down by the capture */
    struct fxc_rule rule;        /* of the new program */
    uint32_t node;
    fxc_error *err;
};

/* ---- sizes that have changed ------------------------------------------------------------------------------------- */

void fxc_reshape_note(struct fxc_reshape *r, const struct fxc_tensor *recorded, uint32_t rank, const int64_t *size) {
    for (uint32_t dim = 0; dim < recorded->rank; dim++) {
        int64_t now = rank == recorded->rank ? size[dim] : -1;
        uint32_t known = r->old_sizes.count;
        if (now != recorded->size[dim] &&
            fxc_intern(&r->old_sizes, &recorded->size[dim], sizeof recorded->size[dim]) == known) {
            fxc_reshape_push(r, &r->new_sizes, &now, sizeof now);
        }
    }
    r->builder.failed = r->builder.failed || r->old_sizes.failed;
}

/* What the size became of which a number may be the recording; FXC_NONE when there is none. */
static uint32_t find_size(const struct fxc_reshape *r, int64_t number) {
    return fxc_intern_find(&r->old_sizes, &number, sizeof number);
}

/* The same of sizes that are not small: near misses of small numbers say nothing. */
static uint32_t find_large(const struct fxc_reshape *r, int64_t number) {
    return number >= 8 ? find_size(r, number) : FXC_NONE;
}

/* A changed size that this number is, or is a simple function of: one more or less, half, twice, a product of two. */
static uint32_t related(const struct fxc_reshape *r, int64_t number) {
    int64_t twice = number > 0 && number <= INT64_MAX / 2 ? 2 * number : number; /* a size is never negative */
    const int64_t from[] = {number - (number > 0), number < INT64_MAX ? number + 1 : number, twice, number / 2};
    uint32_t found = find_size(r, number);
    for (uint32_t i = 0; found == FXC_NONE && number > 0 && i < 4 - (uint32_t)(number % 2); i++) {
        found = find_large(r, from[i]);
    }
    for (uint32_t i = 0; found == FXC_NONE && number >= 16 && i < r->old_sizes.count && i < 256; i++) {
        int64_t factor;
        memcpy(&factor, r->old_sizes.bytes + r->old_sizes.entries[i].begin, sizeof factor);
        bool divides = factor >= 2 && number % factor == 0 && find_size(r, number / factor) != FXC_NONE;
        found = divides ? i : found;
    }
    return found;
}

/* ---- refusing ---------------------------------------------------------------------------------------------------- */

static fxc_status refuse(const struct check *c, const char *argument, int64_t number, int64_t was, int64_t now) {
    fxc_status status = fxc_fail_node(c->err, FXC_PROGRAM, c->rule.program, c->node);
    fxc_expected(c->err, "no number in '%s' that may be a size of the capture", argument);
    if (now < 0) {
        fxc_found(c->err, "%" PRId64 ", where a size was %" PRId64 " that is none any more", number, was);
    } else {
        fxc_found(c->err, "%" PRId64 ", where a size was %" PRId64 " that is %" PRId64 " now", number, was, now);
    }
    fxc_advice(c->err, "a static capture does not tell constants from sizes: capture the model at these sizes, or "
                       "with the dimensions dynamic");
    return status;
}

static fxc_status refuse_related(const struct check *c, const char *argument, int64_t number, uint32_t size) {
    int64_t was;
    memcpy(&was, c->r->old_sizes.bytes + c->r->old_sizes.entries[size].begin, sizeof was);
    return refuse(c, argument, number, was, ((const int64_t *)c->r->new_sizes.data)[size]);
}

/* ---- what is written in the arguments ---------------------------------------------------------------------------- */

/* Row of the source's arg columns; FXC_NONE when absent. */
static uint32_t argument(const struct check *c, const char *name) {
    for (uint32_t a = c->p->node_arg_begin[c->node]; a < c->p->node_arg_begin[c->node + 1]; a++) {
        if (strcmp(fxc_string(c->p, c->p->argname_text[c->p->arg_name[a]]), name) == 0) {
            return a;
        }
    }
    return FXC_NONE;
}

static bool literal_argument(const struct check *c, const char *name, int64_t *out) {
    uint32_t a = argument(c, name);
    if (a == FXC_NONE || c->p->arg_kind[a] != FXC_KIND_INT) {
        return false;
    }
    *out = c->p->arg_payload[a];
    return true;
}

/* Literal items of a list argument. */
struct literals {
    uint32_t count;
    int64_t number[FXC_MAX_RANK];
    bool literal[FXC_MAX_RANK];
};

static bool literal_list(const struct check *c, const char *name, struct literals *out) {
    uint32_t a = argument(c, name);
    out->count = 0;
    if (a == FXC_NONE || c->p->arg_kind[a] != FXC_KIND_LIST) {
        return false;
    }
    uint32_t begin = c->p->list_begin[c->p->arg_payload[a]], end = c->p->list_begin[c->p->arg_payload[a] + 1];
    for (uint32_t i = begin; i < end && out->count < FXC_MAX_RANK; i++) {
        out->literal[out->count] = c->p->item_kind[i] == FXC_KIND_INT;
        out->number[out->count++] = c->p->item_payload[i];
    }
    return true;
}

/* The tensor that an operator works on, as recorded and as it is now. False when it is no tensor of one rank. */
struct subject {
    struct fxc_tensor was, now;
};

static bool find_subject(const struct check *c, struct subject *out) {
    struct fxc_rule recorded = {.program = c->p, .shapes = c->r->recorded->shapes, .node = c->node};
    return fxc_shape_subject(&c->rule, &out->now) && fxc_shape_subject(&recorded, &out->was) &&
           out->now.rank == out->was.rank;
}

static bool changed(const struct subject *s, uint32_t dim) {
    return s->was.size[dim] != s->now.size[dim];
}

/* Modules of torch.nn whose numbers are configuration. */
static bool is_configured(const struct check *c) {
    static const char *const families[] = {"torch.nn.modules.padding.", "torch.nn.modules.pooling.",
                                           "torch.nn.modules.upsampling.", "torch.nn.modules.flatten.",
                                           "torch.nn.modules.conv."};
    uint32_t call = c->p->node_call[c->node];
    const char *name = call == FXC_NONE ? "" : fxc_string(c->p, c->p->module_class[c->p->call_module[call]]);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strncmp(name, families[i], strlen(families[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

/* Dimensions from which elements before `product` and those before `end` divide the recorded shape; dimensions of one
 * element may lie on either side. */
static void span(const struct fxc_tensor *was, int64_t product, int64_t end, uint32_t *first, uint32_t *last) {
    int64_t before = 1, start = -1;
    *first = 0;
    *last = was->rank;
    for (uint32_t dim = 0; dim <= was->rank; dim++) {
        if (before <= product && before != start) {
            *first = dim;
            start = before;
        }
        if (before > end && dim > 0) {
            /* The dimension before reached the end, or went past it. */
            *last = before / was->size[dim - 1] >= end ? dim - 1 : dim;
            return;
        }
        before *= dim < was->rank ? was->size[dim] : 1;
    }
}

/* A view's sizes: each written number stands for the dimensions of the recorded shape that it covers. */
static fxc_status check_view(const struct check *c, const char *name) {
    struct subject s;
    struct literals sizes;
    struct fxc_rule recorded = {.program = c->p, .shapes = c->r->recorded->shapes, .node = c->node};
    struct fxc_tensor out;
    if (!literal_list(c, name, &sizes) || !find_subject(c, &s) || !fxc_rule_result(&recorded, 0, &out) ||
        out.rank != sizes.count || out.numel <= 0) {
        return FXC_OK;
    }
    int64_t before = 1;
    for (uint32_t dim = 0; dim < out.rank; dim++) {
        uint32_t first, last;
        span(&s.was, before, before * out.size[dim], &first, &last);
        for (uint32_t from = first; sizes.literal[dim] && sizes.number[dim] >= 0 && from < last; from++) {
            if (changed(&s, from)) {
                return refuse(c, name, sizes.number[dim], s.was.size[from], s.now.size[from]);
            }
        }
        before *= out.size[dim];
    }
    return FXC_OK;
}

/* expand and repeat: numbers aligned with the dimensions of what is expanded. `neutral` leaves a dimension as it is. */
static fxc_status check_aligned(const struct check *c, const char *name, bool repeats) {
    struct subject s;
    struct literals sizes;
    if (!literal_list(c, name, &sizes) || !find_subject(c, &s) || sizes.count < s.was.rank) {
        return FXC_OK;
    }
    for (uint32_t i = 0; i < sizes.count; i++) {
        uint32_t added = sizes.count - s.was.rank, dim = i - added;
        bool has_dim = i >= added;
        if (!sizes.literal[i] || sizes.number[i] < 0) {
            continue;
        }
        if (has_dim && changed(&s, dim) && !repeats) {
            return refuse(c, name, sizes.number[i], s.was.size[dim], s.now.size[dim]);
        }
        bool grows = !has_dim || s.was.size[dim] == 1 || (repeats && sizes.number[i] > 1);
        uint32_t size = grows ? related(c->r, sizes.number[i]) : FXC_NONE;
        if (size != FXC_NONE) {
            return refuse_related(c, name, sizes.number[i], size);
        }
    }
    return FXC_OK;
}

/* A bound of a slice, counted from the start or, negative, from the end. 0, 1 and -1 are what models write; so are
 * numbers on dimensions that keep their size, unless a changed size is behind them. */
static fxc_status check_bound(const struct check *c, const char *name, const struct subject *s, uint32_t dim) {
    int64_t number;
    if (!literal_argument(c, name, &number) || number == INT64_MAX || number == INT64_MIN) {
        return FXC_OK;
    }
    int64_t distance = number < 0 ? -number : number;
    bool first_of_one = number == 1 && s->was.size[dim] == 1 && strcmp(name, "start") != 0;
    if (changed(s, dim) && (number > 1 || first_of_one)) {
        return refuse(c, name, number, s->was.size[dim], s->now.size[dim]);
    }
    uint32_t size =
        distance > 1 || (number == 1 && strcmp(name, "start") != 0 && s->was.size[dim] > 1 && !changed(s, dim))
            ? related(c->r, distance)
            : FXC_NONE;
    return size == FXC_NONE ? FXC_OK : refuse_related(c, name, number, size);
}

static fxc_status check_bounds(const struct check *c, const char *const names[2]) {
    struct subject s;
    uint32_t dim;
    if (!find_subject(c, &s) || !fxc_shape_dim(&c->rule, FXC_NAME_dim, 0, s.was.rank, &dim)) {
        return FXC_OK;
    }
    FXC_TRY(check_bound(c, names[0], &s, dim));
    return check_bound(c, names[1], &s, dim);
}

/* A loop over a dimension leaves one select for each step: their number was the dimension's size. The first and those
 * from the end are what models pick. */
static fxc_status check_step(const struct check *c) {
    struct subject s;
    uint32_t dim;
    int64_t index;
    if (!literal_argument(c, "index", &index) || index <= 0 || !find_subject(c, &s) ||
        !fxc_shape_dim(&c->rule, FXC_NAME_dim, 0, s.was.rank, &dim) || !changed(&s, dim)) {
        return FXC_OK;
    }
    return refuse(c, "index", index, s.was.size[dim], s.now.size[dim]);
}

/* Pieces of a dimension: how many there are is written in the program. */
static fxc_status check_pieces(const struct check *c, uint8_t shape) {
    struct subject s;
    uint32_t dim, result = c->p->node_result[c->node];
    int64_t chunks;
    if (c->p->value_kind[result] != FXC_KIND_LIST || !find_subject(c, &s) ||
        !fxc_shape_dim(&c->rule, FXC_NAME_dim, 0, s.was.rank, &dim) || !changed(&s, dim)) {
        return FXC_OK;
    }
    uint32_t pieces = fxc_list_count(c->p, (uint32_t)c->p->value_payload[result]);
    int64_t size = s.now.size[dim];
    if (shape == FXC_SHAPE_chunk && fxc_rule_int(&c->rule, FXC_NAME_chunks, 0, &chunks) && chunks > 0 && size > 0) {
        int64_t step = (size - 1) / chunks + 1;
        if ((size - 1) / step + 1 == pieces) {
            return FXC_OK;
        }
    }
    fxc_status status = fxc_fail_node(c->err, FXC_PROGRAM, c->rule.program, c->node);
    fxc_expected(c->err, "the %u pieces that the capture has, of a dimension of %" PRId64, pieces, s.was.size[dim]);
    fxc_found(c->err, "a dimension of %" PRId64, size);
    fxc_advice(c->err, "capture the model at these sizes");
    return status;
}

/* ---- numbers by value -------------------------------------------------------------------------------------------- */

static fxc_status check_numbers(const struct check *c, const char *name) {
    struct literals sizes;
    int64_t number;
    uint32_t size;
    if (literal_argument(c, name, &number) && (size = related(c->r, number)) != FXC_NONE) {
        return refuse_related(c, name, number, size);
    }
    (void)literal_list(c, name, &sizes);
    for (uint32_t i = 0; i < sizes.count; i++) {
        size = sizes.literal[i] ? related(c->r, sizes.number[i]) : FXC_NONE;
        if (size != FXC_NONE) {
            return refuse_related(c, name, sizes.number[i], size);
        }
    }
    return FXC_OK;
}

/* Padding of a dimension that has changed may have been computed from its size. */
static fxc_status check_padding(const struct check *c, const char *name) {
    struct subject s;
    struct literals widths;
    if (is_configured(c) || !literal_list(c, name, &widths) || !find_subject(c, &s)) {
        return FXC_OK;
    }
    for (uint32_t i = 0; i < widths.count && i / 2 < s.was.rank; i++) {
        uint32_t dim = s.was.rank - 1 - i / 2;
        if (widths.literal[i] && widths.number[i] != 0 && changed(&s, dim)) {
            return refuse(c, name, widths.number[i], s.was.size[dim], s.now.size[dim]);
        }
    }
    return FXC_OK;
}

/* A pooling window as large as what it pools may have been given that size: F.avg_pool2d(x, x.shape[2:]). */
static fxc_status check_window(const struct check *c) {
    struct subject s;
    struct literals kernel;
    bool whole = true, large = false, differs = false;
    if (is_configured(c) || !literal_list(c, "kernel_size", &kernel) || !find_subject(c, &s) ||
        kernel.count > s.was.rank) {
        return FXC_OK;
    }
    for (uint32_t i = 0; i < kernel.count; i++) {
        uint32_t dim = s.was.rank - kernel.count + i;
        whole = whole && kernel.literal[i] && kernel.number[i] == s.was.size[dim];
        large = large || kernel.number[i] > 2;
        differs = differs || changed(&s, dim);
    }
    uint32_t last = s.was.rank - 1u;
    return whole && large && differs && kernel.count > 0
               ? refuse(c, "kernel_size", kernel.number[kernel.count - 1], s.was.size[last], s.now.size[last])
               : FXC_OK;
}

/* Sizes by the names that ATen's schemas give them. Adaptive pooling has fixed sizes for its purpose. */
static fxc_status check_by_name(const struct check *c, uint8_t shape) {
    static const char *const names[] = {"size",  "shape",   "sizes",  "output_size", "end",         "start",
                                        "steps", "n",       "m",      "s",           "row",         "col",
                                        "k",     "repeats", "length", "num_samples", "output_sizes"};
    if (shape == FXC_SHAPE_adaptive_pool || is_configured(c)) {
        return FXC_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        FXC_TRY(check_numbers(c, names[i]));
    }
    return FXC_OK;
}

static bool is_op(const struct check *c, const char *name) {
    return strncmp(fxc_node_op_name(c->p, c->node), name, strlen(name)) == 0;
}

fxc_status fxc_reshape_baked(struct fxc_reshape *r, uint32_t node, fxc_error *err) {
    static const char *const slice[2] = {"start", "end"}, *const narrow[2] = {"length", "length"};
    const struct fxc_op_row *row = fxc_node_row(r->source, node);
    struct check c = {.r = r, .p = r->source, .node = node, .err = err};
    uint8_t shape = row == NULL ? (uint8_t)FXC_SHAPE_RECORDED_ONLY : row->shape;
    c.rule = (struct fxc_rule){.program = &r->view, .shapes = &r->shapes, .bindings = r->unbound, .node = node};
    if (r->old_sizes.count == 0) {
        return FXC_OK;
    }
    if (is_op(&c, "aten.unbind.") || is_op(&c, "aten.tensor_split.")) {
        return check_pieces(&c, shape);
    }
    switch (shape) {
    case FXC_SHAPE_view:
        return check_view(&c, argument(&c, "size") != FXC_NONE ? "size" : "shape");
    case FXC_SHAPE_expand:
        return check_aligned(&c, "size", false);
    case FXC_SHAPE_repeat:
        return check_aligned(&c, argument(&c, "repeats") != FXC_NONE ? "repeats" : "dims", true);
    case FXC_SHAPE_select:
        return check_step(&c);
    case FXC_SHAPE_slice:
        return check_bounds(&c, slice);
    case FXC_SHAPE_narrow:
        return check_bounds(&c, narrow);
    case FXC_SHAPE_split:
    case FXC_SHAPE_chunk:
        return check_pieces(&c, shape);
    case FXC_SHAPE_pad:
        return check_padding(&c, argument(&c, "pad") != FXC_NONE ? "pad" : "padding");
    case FXC_SHAPE_pool:
        return check_window(&c);
    default:
        return is_op(&c, "aten.unfold.") ? FXC_OK : check_by_name(&c, shape);
    }
}
