/* FLOP rules: helpers, and the rules that work element by element. */
#include "passes/flops/rules.h"

#include <string.h>

#include "passes/shapes/rules.h"

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

void fxc_tally_work(struct fxc_tally *tally, uint8_t dtype, int64_t flops, int64_t transcendentals) {
    fxc_counts *out = tally->out;
    if (fxc_dtype_is_float(dtype)) {
        out->vector_flops = fxc_plus(tally, out->vector_flops, flops);
        out->transcendentals = fxc_plus(tally, out->transcendentals, transcendentals);
    } else {
        out->int_ops = fxc_plus(tally, out->int_ops, fxc_plus(tally, flops, transcendentals));
    }
}

void fxc_tally_macs(struct fxc_tally *tally, uint8_t dtype, int64_t macs) {
    fxc_counts *out = tally->out;
    if (!fxc_dtype_is_float(dtype)) {
        out->int_ops = fxc_plus(tally, out->int_ops, fxc_times(tally, 2, macs));
        return;
    }
    if (fxc_dtype_is_complex(dtype)) {
        macs = fxc_times(tally, 4, macs);
    }
    out->macs = fxc_plus(tally, out->macs, macs);
    out->matrix_flops = fxc_plus(tally, out->matrix_flops, fxc_times(tally, 2, macs));
}

int64_t fxc_tally_elements(struct fxc_tally *tally, const int64_t *size, uint32_t count) {
    int64_t product = 1;
    for (uint32_t i = 0; i < count; i++) {
        product = fxc_times(tally, product, size[i]);
    }
    return product;
}

void fxc_tally_sum(struct fxc_tally *tally, uint8_t dtype, int64_t *size, uint32_t count, uint32_t dim) {
    int64_t before = fxc_tally_elements(tally, size, count);
    size[dim] = 1;
    int64_t after = fxc_tally_elements(tally, size, count);
    fxc_tally_work(tally, dtype, before > after ? before - after : 0, 0);
}

fxc_status fxc_tally_end(const struct fxc_tally *tally, const struct fxc_rule *rule, fxc_error *err) {
    if (!tally->overflow) {
        return FXC_OK;
    }
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, rule->program, rule->node);
    fxc_expected(err, "counts below 2^63");
    fxc_found(err, "a larger number of operations");
    fxc_advice(err, "bind smaller values to the symbols of this program");
    return status;
}

bool fxc_known_tensor(const struct fxc_rule *rule, enum fxc_name name, struct fxc_tensor *out) {
    return fxc_rule_tensor(rule, name, out) && out->numel >= 0;
}

bool fxc_known_tensor2(const struct fxc_rule *rule, enum fxc_name name, enum fxc_name other, struct fxc_tensor *out) {
    return fxc_rule_tensor2(rule, name, other, out) && out->numel >= 0;
}

bool fxc_known_result(const struct fxc_rule *rule, uint32_t index, struct fxc_tensor *out) {
    return fxc_rule_result(rule, index, out) && out->numel >= 0;
}

bool fxc_known_item(const struct fxc_rule *rule, uint32_t list, uint32_t index, struct fxc_tensor *out) {
    return fxc_rule_item_tensor(rule, list, index, out) && out->numel >= 0;
}

bool fxc_has_tensor(const struct fxc_rule *rule, enum fxc_name name) {
    struct fxc_tensor tensor;
    return fxc_rule_tensor(rule, name, &tensor);
}

uint8_t fxc_work_dtype(const struct fxc_rule *rule, const struct fxc_tensor *result) {
    const struct fxc_program *p = rule->program;
    if (fxc_dtype_is_float(result->dtype)) {
        return result->dtype;
    }
    for (uint32_t i = p->node_arg_begin[rule->node]; i < p->node_arg_begin[rule->node + 1]; i++) {
        if (p->arg_kind[i] == FXC_KIND_VALUE) {
            uint8_t dtype = rule->shapes->dtype[p->arg_payload[i]];
            if (fxc_dtype_is_float(dtype)) {
                return dtype;
            }
        }
    }
    return result->dtype;
}

bool fxc_rule_float(const struct fxc_rule *rule, enum fxc_name name, double *out) {
    enum fxc_kind kind;
    int64_t payload;
    if (!fxc_rule_arg(rule, name, &kind, &payload)) {
        return false;
    }
    if (kind == FXC_KIND_FLOAT) {
        memcpy(out, &payload, sizeof *out);
        return true;
    }
    if (kind == FXC_KIND_INT || kind == FXC_KIND_BOOL) {
        *out = (double)payload;
        return true;
    }
    return false;
}

/* Work that is proportional to the elements of the result. */
static fxc_status count_each(const struct fxc_rule *rule, int64_t flops, int64_t transcendentals, fxc_counts *out,
                             fxc_error *err) {
    struct fxc_tensor result;
    struct fxc_tally tally = {.out = out};
    FXC_NEED(fxc_known_result(rule, 0, &result));
    fxc_tally_work(&tally, fxc_work_dtype(rule, &result), fxc_times(&tally, flops, result.numel),
                   fxc_times(&tally, transcendentals, result.numel));
    return fxc_tally_end(&tally, rule, err);
}

/* ---- rules ------------------------------------------------------------------------------------------------------- */

bool fxc_body_length(const struct fxc_rule *rule, int64_t *out) {
    struct fxc_tensor rows;
    uint32_t list = fxc_rule_list(rule, FXC_NAME_xs);
    if (list == FXC_NONE) {
        list = fxc_rule_list(rule, FXC_NAME_operand1);
    }
    if (!fxc_known_item(rule, list, 0, &rows) || rows.rank == 0) {
        return false;
    }
    *out = rows.size[0];
    return true;
}

/* The node itself computes nothing; the tree pass counts what its graphs do. */
fxc_status fxc_flops_body(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    int64_t runs;
    (void)out;
    (void)err;
    FXC_NEED(params[0] != FXC_BODY_length || fxc_body_length(rule, &runs));
    FXC_NEED(params[0] != FXC_BODY_trips || (fxc_rule_int(rule, FXC_NAME_trips, -1, &runs) && runs >= 0));
    return FXC_OK;
}

fxc_status fxc_flops_zero(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    (void)rule, (void)params, (void)out, (void)err;
    return FXC_OK;
}

/* params: FLOPs, transcendentals, FLOPs on complex numbers (0: not stated, hence unknown). */
fxc_status fxc_flops_each(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor result;
    FXC_NEED(fxc_known_result(rule, 0, &result));
    if (fxc_dtype_is_complex(fxc_work_dtype(rule, &result))) {
        FXC_NEED(params[2] != 0);
        return count_each(rule, params[2], params[1], out, err);
    }
    return count_each(rule, params[0], params[1], out, err);
}

fxc_status fxc_flops_input_each(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor input;
    struct fxc_tally tally = {.out = out};
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &input));
    fxc_tally_work(&tally, input.dtype, fxc_times(&tally, params[0], input.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* Python's operators mean scalars in a captured program, and tensors in an fx graph. params as for each, a negative
 * number of FLOPs for work on tensors that is not counted. */
fxc_status fxc_flops_python(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    if (rule->program->value_kind[rule->program->node_result[rule->node]] != FXC_KIND_TENSOR) {
        /* An opaque result, of a graph without types, may be a tensor. */
        FXC_NEED(rule->program->value_kind[rule->program->node_result[rule->node]] != FXC_KIND_OPAQUE);
        return FXC_OK;
    }
    FXC_NEED(params[0] >= 0);
    return fxc_flops_each(rule, params, out, err);
}

fxc_status fxc_flops_add(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor result;
    enum fxc_kind kind;
    int64_t payload;
    double alpha = 1;
    (void)params;
    FXC_NEED(fxc_known_result(rule, 0, &result));
    bool scaled = fxc_rule_arg(rule, FXC_NAME_alpha, &kind, &payload) && kind != FXC_KIND_NONE &&
                  !(fxc_rule_float(rule, FXC_NAME_alpha, &alpha) && alpha == 1);
    bool is_complex = fxc_dtype_is_complex(fxc_work_dtype(rule, &result));
    return count_each(rule, (is_complex ? 2 : 1) * (scaled ? 2 : 1), 0, out, err);
}

/* |a + bi| = sqrt(a * a + b * b); otherwise one operation. */
fxc_status fxc_flops_abs(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor result;
    (void)params;
    FXC_NEED(fxc_known_result(rule, 0, &result));
    struct fxc_tensor self;
    bool is_complex = fxc_rule_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &self) && fxc_dtype_is_complex(self.dtype);
    return count_each(rule, is_complex ? 3 : 1, is_complex ? 1 : 0, out, err);
}

/* The exponents that ATen's kernel computes without pow() cost their multiplications and divisions. */
fxc_status fxc_flops_pow(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor result;
    double exponent;
    (void)params;
    FXC_NEED(fxc_known_result(rule, 0, &result));
    FXC_NEED(!fxc_dtype_is_complex(fxc_work_dtype(rule, &result)));
    if (!fxc_rule_float(rule, FXC_NAME_exponent, &exponent)) {
        return count_each(rule, 0, 1, out, err);
    }
    if (exponent == 0 || exponent == 1) {
        return count_each(rule, 0, 0, out, err);
    }
    if (exponent == 2 || exponent == -1) {
        return count_each(rule, 1, 0, out, err);
    }
    if (exponent == 3 || exponent == -2) {
        return count_each(rule, 2, 0, out, err);
    }
    return count_each(rule, 0, 1, out, err);
}

fxc_status fxc_flops_gelu(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    const char *approximate = fxc_rule_string(rule, FXC_NAME_approximate);
    (void)params;
    return count_each(rule, approximate != NULL && strcmp(approximate, "tanh") == 0 ? 8 : 4, 1, out, err);
}

fxc_status fxc_flops_addcmul(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor result;
    double value = 1;
    enum fxc_kind kind;
    int64_t payload;
    (void)params;
    FXC_NEED(fxc_known_result(rule, 0, &result));
    FXC_NEED(!fxc_dtype_is_complex(fxc_work_dtype(rule, &result)));
    bool scaled = fxc_rule_arg(rule, FXC_NAME_value, &kind, &payload) &&
                  !(fxc_rule_float(rule, FXC_NAME_value, &value) && value == 1);
    return count_each(rule, scaled ? 3 : 2, 0, out, err);
}

/* params: FLOPs per element when it drops anything. */
fxc_status fxc_flops_dropout(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    bool train = false;
    double p = 1;
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_train, true, &train));
    if (!train || (fxc_rule_float(rule, FXC_NAME_p, &p) && p == 0)) {
        return FXC_OK;
    }
    return count_each(rule, params[0], 0, out, err);
}

/* With `accumulate`, one addition for each element of the indexed places: the broadcast shape of the indices times the
 * dimensions without an index. */
fxc_status fxc_flops_index_put(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    const struct fxc_program *p = rule->program;
    struct fxc_tally tally = {.out = out};
    struct fxc_shape places = {.rank = 0};
    struct fxc_tensor self, index;
    bool accumulate = false;
    int64_t written = 1;
    (void)params;
    FXC_NEED(fxc_rule_bool(rule, FXC_NAME_accumulate, false, &accumulate));
    if (!accumulate) {
        return FXC_OK;
    }
    uint32_t list = fxc_rule_list(rule, FXC_NAME_indices);
    FXC_NEED(list != FXC_NONE && fxc_known_tensor(rule, FXC_NAME_self, &self));
    uint32_t count = p->list_begin[list + 1] - p->list_begin[list];
    for (uint32_t dim = 0; dim < self.rank; dim++) {
        if (dim < count && fxc_rule_item_tensor(rule, list, dim, &index)) {
            FXC_NEED(index.numel >= 0 && index.dtype != FXC_DTYPE_BOOL && index.dtype != FXC_DTYPE_UINT8);
            FXC_NEED(fxc_broadcast(&places, &index));
        } else {
            written = fxc_times(&tally, written, self.size[dim]);
        }
    }
    for (uint32_t dim = 0; dim < places.rank; dim++) {
        written = fxc_times(&tally, written, places.size[dim]);
    }
    fxc_tally_work(&tally, self.dtype, written, 0);
    return fxc_tally_end(&tally, rule, err);
}

fxc_status fxc_flops_scatter_add(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                 fxc_error *err) {
    struct fxc_tensor self, source;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_self, &self));
    /* scatter visits the elements of index, which may be fewer than those of src; index_add those of source; col2im
     * has one argument. */
    if (!fxc_rule_tensor(rule, FXC_NAME_source, &source) && !fxc_rule_tensor(rule, FXC_NAME_index, &source)) {
        source = self;
    }
    FXC_NEED(source.numel >= 0);
    fxc_tally_work(&tally, self.dtype, source.numel, 0);
    return fxc_tally_end(&tally, rule, err);
}

/* mode 0 sum, 1 mean, 2 max. A sum of n rows of D is (n - 1) * D; bags may be empty, so n * D is the stated bound. */
fxc_status fxc_flops_embedding_bag(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out,
                                   fxc_error *err) {
    struct fxc_tensor weight, indices, result;
    struct fxc_tally tally = {.out = out};
    int64_t mode;
    (void)params;
    FXC_NEED(fxc_known_tensor(rule, FXC_NAME_weight, &weight) && fxc_known_tensor(rule, FXC_NAME_indices, &indices));
    FXC_NEED(weight.rank == 2 && fxc_known_result(rule, 0, &result) && fxc_rule_int(rule, FXC_NAME_mode, 0, &mode));
    int64_t added = fxc_times(&tally, indices.numel, weight.size[1]);
    int64_t flops = fxc_times(&tally, added, fxc_has_tensor(rule, FXC_NAME_per_sample_weights) ? 2 : 1);
    fxc_tally_work(&tally, weight.dtype, fxc_plus(&tally, flops, mode == 1 ? result.numel : 0), 0);
    return fxc_tally_end(&tally, rule, err);
}

/* Binary search: ceil(log2(boundaries + 1)) comparisons per searched element. */
fxc_status fxc_flops_search(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tensor sorted, result;
    struct fxc_tally tally = {.out = out};
    (void)params;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_boundaries, FXC_NAME_sorted_sequence, &sorted));
    FXC_NEED(fxc_known_result(rule, 0, &result));
    int64_t steps = 0;
    for (int64_t n = sorted.rank == 0 ? 1 : sorted.size[sorted.rank - 1]; n > 0; n /= 2) {
        steps++;
    }
    fxc_tally_work(&tally, sorted.dtype, fxc_times(&tally, steps, result.numel), 0);
    return fxc_tally_end(&tally, rule, err);
}

static bool is_scaled(const struct fxc_rule *rule, enum fxc_name name) {
    enum fxc_kind kind;
    int64_t payload;
    double factor = 1;
    return fxc_rule_arg(rule, name, &kind, &payload) && kind != FXC_KIND_NONE &&
           !(fxc_rule_float(rule, name, &factor) && factor == 1);
}

/* Every element of every tensor in a list. params as for each; an alpha or value other than 1 is one product more. */
fxc_status fxc_flops_foreach(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    uint32_t list = fxc_rule_list(rule, FXC_NAME_self);
    int64_t flops = params[0] + (is_scaled(rule, FXC_NAME_alpha) || is_scaled(rule, FXC_NAME_value) ? 1 : 0);
    FXC_NEED(list != FXC_NONE);
    for (uint32_t i = 0; i < rule->program->list_begin[list + 1] - rule->program->list_begin[list]; i++) {
        struct fxc_tensor tensor;
        FXC_NEED(fxc_known_item(rule, list, i, &tensor));
        fxc_tally_work(&tally, tensor.dtype, fxc_times(&tally, flops, tensor.numel),
                       fxc_times(&tally, params[1], tensor.numel));
    }
    return fxc_tally_end(&tally, rule, err);
}
