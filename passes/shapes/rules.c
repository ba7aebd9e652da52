/* Shape rules: helpers, element-by-element operators, reductions, joins and look-ups. */
#include "passes/shapes/rules.h"

#include <stdio.h>
#include <string.h>

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

bool fxc_broadcast(struct fxc_shape *shape, const struct fxc_tensor *tensor) {
    if (tensor->rank > FXC_MAX_RANK) {
        return false;
    }
    if (tensor->rank > shape->rank) {
        uint32_t added = (uint32_t)tensor->rank - shape->rank;
        memmove(shape->size + added, shape->size, shape->rank * sizeof shape->size[0]);
        for (uint32_t dim = 0; dim < added; dim++) {
            shape->size[dim] = 1;
        }
        shape->rank = tensor->rank;
    }
    int64_t *aligned = shape->size + (shape->rank - tensor->rank);
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        if (aligned[dim] == 1) {
            aligned[dim] = tensor->size[dim];
        } else if (tensor->size[dim] != 1 && tensor->size[dim] != aligned[dim]) {
            return false;
        }
    }
    return true;
}

bool fxc_shape_argument(const struct fxc_rule *rule, enum fxc_name name, struct fxc_tensor *out) {
    return fxc_rule_tensor(rule, name, out) && out->numel >= 0 && out->rank <= FXC_MAX_RANK;
}

bool fxc_shape_subject(const struct fxc_rule *rule, struct fxc_tensor *out) {
    bool found = fxc_rule_tensor2(rule, FXC_NAME_self, FXC_NAME_input, out) || fxc_rule_tensor(rule, FXC_NAME_A, out);
    return found && out->numel >= 0 && out->rank <= FXC_MAX_RANK;
}

void fxc_shape_of(const struct fxc_tensor *tensor, struct fxc_shape *out) {
    out->rank = tensor->rank;
    memcpy(out->size, tensor->size, tensor->rank * sizeof out->size[0]);
}

void fxc_shape_without(struct fxc_shape *shape, uint32_t dim, bool keep) {
    if (keep) {
        shape->size[dim] = 1;
        return;
    }
    memmove(shape->size + dim, shape->size + dim + 1, (shape->rank - dim - 1u) * sizeof shape->size[0]);
    shape->rank--;
}

static bool wrap_dim(int64_t dim, uint32_t rank, uint32_t *out) {
    dim = dim < 0 ? dim + rank : dim;
    if (dim < 0 || dim >= rank) {
        return false;
    }
    *out = (uint32_t)dim;
    return true;
}

bool fxc_shape_dim(const struct fxc_rule *rule, enum fxc_name name, int64_t fallback, uint32_t rank, uint32_t *out) {
    int64_t dim;
    return fxc_rule_int(rule, name, fallback, &dim) && wrap_dim(dim, rank, out);
}

uint32_t fxc_list_count(const struct fxc_program *program, uint32_t list) {
    return list == FXC_NONE ? 0 : program->list_begin[list + 1] - program->list_begin[list];
}

const char *fxc_sizes_text(const int64_t *size, uint32_t rank, char *buffer, size_t bytes) {
    size_t used = (size_t)snprintf(buffer, bytes, "[");
    for (uint32_t dim = 0; dim < rank && used < bytes; dim++) {
        int written = size[dim] < 0
                          ? snprintf(buffer + used, bytes - used, "%s?", dim == 0 ? "" : ", ")
                          : snprintf(buffer + used, bytes - used, "%s%lld", dim == 0 ? "" : ", ", (long long)size[dim]);
        used += (size_t)written;
    }
    if (used < bytes) {
        (void)snprintf(buffer + used, bytes - used, "]");
    }
    return buffer;
}

fxc_status fxc_shape_conflict(const struct fxc_rule *rule, fxc_error *err, const char *a_name,
                              const struct fxc_tensor *a, const char *b_name, const struct fxc_tensor *b,
                              const char *expected) {
    char a_text[96], b_text[96];
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, rule->program, rule->node);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "%s is %s and %s is %s", a_name, fxc_sizes_text(a->size, a->rank, a_text, sizeof a_text), b_name,
              fxc_sizes_text(b->size, b->rank, b_text, sizeof b_text));
    fxc_advice(err, "the program contradicts itself: capture the model again, or bind other values to its symbols");
    return status;
}

/* ---- element by element ------------------------------------------------------------------------------------------ */

fxc_status fxc_shape_broadcast(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    const struct fxc_program *p = rule->program;
    struct fxc_tensor tensor, first = {0};
    bool any = false;
    out->rank = 0;
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        if (p->arg_kind[i] != FXC_KIND_VALUE || !fxc_rule_value(rule, (uint32_t)p->arg_payload[i], &tensor)) {
            continue;
        }
        FXC_NEED(tensor.numel >= 0 && tensor.rank <= FXC_MAX_RANK);
        if (!fxc_broadcast(out, &tensor)) {
            return fxc_shape_conflict(rule, err, "one argument", &first, fxc_string(p, p->argname_text[p->arg_name[i]]),
                                      &tensor, "arguments that broadcast together");
        }
        first = any ? first : tensor;
        any = true;
    }
    FXC_NEED(any);
    return FXC_OK;
}

fxc_status fxc_shape_same(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor));
    fxc_shape_of(&tensor, out);
    return FXC_OK;
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

/* Bits of the dimensions that `dim` names; all when it is absent or None. A tensor without dimensions has one to name.
 */
static bool reduced_dims(const struct fxc_rule *rule, uint32_t rank, bool empty_is_all, uint64_t *bits) {
    enum fxc_kind kind;
    int64_t payload;
    uint32_t dim, dims = rank == 0 ? 1 : rank;
    *bits = UINT64_MAX;
    if (!fxc_rule_arg(rule, FXC_NAME_dim, &kind, &payload) || kind == FXC_KIND_NONE) {
        return true;
    }
    uint32_t list = fxc_rule_list(rule, FXC_NAME_dim), count = fxc_list_count(rule->program, list);
    if (list == FXC_NONE) {
        if (!fxc_shape_dim(rule, FXC_NAME_dim, 0, dims, &dim)) {
            return false;
        }
        *bits = UINT64_C(1) << dim;
        return true;
    }
    if (count == 0 && empty_is_all) {
        return true;
    }
    *bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t number;
        if (!fxc_rule_item_int(rule, list, i, &number) || !wrap_dim(number, dims, &dim)) {
            return false;
        }
        *bits |= UINT64_C(1) << dim;
    }
    return true;
}

static fxc_status reduce(const struct fxc_rule *rule, bool empty_is_all, struct fxc_shape *out) {
    struct fxc_tensor tensor;
    uint64_t reduced;
    bool keep;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && reduced_dims(rule, tensor.rank, empty_is_all, &reduced));
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_keepdim, false, &keep));
    out->rank = 0;
    for (uint32_t dim = 0; dim < tensor.rank; dim++) {
        if ((reduced >> dim & 1) == 0) {
            out->size[out->rank++] = tensor.size[dim];
        } else if (keep) {
            out->size[out->rank++] = 1;
        }
    }
    return FXC_OK;
}

fxc_status fxc_shape_reduce(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return reduce(rule, true, out);
}

/* The same, where an empty list of dimensions is none. */
fxc_status fxc_shape_reduce_listed(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    (void)err;
    return reduce(rule, false, out);
}

/* ---- joins and look-ups ------------------------------------------------------------------------------------------ */

/* An old habit of torch.cat: 1-D tensors without elements are passed over. */
static bool is_passed_over(const struct fxc_tensor *tensor) {
    return tensor->rank == 1 && tensor->size[0] == 0;
}

fxc_status fxc_shape_cat(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), dim = 0;
    struct fxc_tensor first = {0}, tensor;
    bool any = false;
    FXC_NEED(list != FXC_NONE);
    for (uint32_t i = 0; i < fxc_list_count(rule->program, list); i++) {
        FXC_NEED(fxc_rule_item_tensor(rule, list, i, &tensor) && tensor.numel >= 0 && tensor.rank <= FXC_MAX_RANK);
        if (is_passed_over(&tensor)) {
            continue;
        }
        if (!any) {
            FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
            fxc_shape_of(&tensor, out);
            first = tensor;
            any = true;
            continue;
        }
        bool fits = tensor.rank == out->rank;
        for (uint32_t d = 0; fits && d < out->rank; d++) {
            fits = d == dim || tensor.size[d] == out->size[d];
        }
        if (!fits) {
            return fxc_shape_conflict(rule, err, "the first tensor", &first, "a later one", &tensor,
                                      "tensors that differ only in the joined dimension");
        }
        FXC_NEED(!fxc_add(out->size[dim], tensor.size[dim], &out->size[dim]));
    }
    FXC_NEED(fxc_list_count(rule->program, list) > 0);
    if (!any) {
        out->rank = 1;
        out->size[0] = 0;
    }
    return FXC_OK;
}

fxc_status fxc_shape_stack(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors), dim;
    struct fxc_tensor tensor;
    FXC_NEED(list != FXC_NONE && fxc_rule_item_tensor(rule, list, 0, &tensor));
    FXC_NEED(tensor.numel >= 0 && tensor.rank < FXC_MAX_RANK);
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank + 1u, &dim));
    fxc_shape_of(&tensor, out);
    struct fxc_tensor first = tensor;
    for (uint32_t i = 1; i < fxc_list_count(rule->program, list); i++) {
        FXC_NEED(fxc_rule_item_tensor(rule, list, i, &tensor) && tensor.numel >= 0);
        if (tensor.rank != first.rank || memcmp(tensor.size, out->size, first.rank * sizeof out->size[0]) != 0) {
            return fxc_shape_conflict(rule, err, "the first tensor", &first, "a later one", &tensor,
                                      "tensors of one shape");
        }
    }
    memmove(out->size + dim + 1, out->size + dim, (out->rank - dim) * sizeof out->size[0]);
    out->size[dim] = fxc_list_count(rule->program, list);
    out->rank++;
    return FXC_OK;
}

fxc_status fxc_shape_index_select(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor, index;
    uint32_t dim;
    (void)err;
    FXC_NEED(fxc_shape_subject(rule, &tensor) && fxc_shape_argument(rule, FXC_NAME_index, &index));
    fxc_shape_of(&tensor, out);
    if (tensor.rank == 0) {
        return FXC_OK;
    }
    FXC_NEED(fxc_shape_dim(rule, FXC_NAME_dim, 0, tensor.rank, &dim));
    out->size[dim] = index.numel;
    return FXC_OK;
}

fxc_status fxc_shape_gather(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor index;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_index, &index));
    fxc_shape_of(&index, out);
    return FXC_OK;
}

fxc_status fxc_shape_embedding(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor weight, indices;
    (void)err;
    FXC_NEED(fxc_shape_argument(rule, FXC_NAME_weight, &weight) &&
             fxc_shape_argument(rule, FXC_NAME_indices, &indices));
    FXC_NEED(weight.rank == 2 && indices.rank < FXC_MAX_RANK);
    fxc_shape_of(&indices, out);
    out->size[out->rank++] = weight.size[1];
    return FXC_OK;
}

fxc_status fxc_shape_repeat(const struct fxc_rule *rule, struct fxc_shape *out, fxc_error *err) {
    struct fxc_tensor tensor;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_repeats), count = fxc_list_count(rule->program, list);
    (void)err;
    FXC_NEED(list != FXC_NONE && fxc_shape_subject(rule, &tensor) && count >= tensor.rank && count <= FXC_MAX_RANK);
    out->rank = (uint8_t)count;
    for (uint32_t dim = 0; dim < count; dim++) {
        int64_t times, size = dim < count - tensor.rank ? 1 : tensor.size[dim - (count - tensor.rank)];
        FXC_NEED(fxc_rule_item_int(rule, list, dim, &times) && !fxc_mul(size, times, &out->size[dim]));
    }
    return FXC_OK;
}
