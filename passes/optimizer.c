/* optimizer: the work of one step of the named optimiser on every parameter that has a gradient.
 *
 * The formulas are of passes/optimizers.def; the tests hold them against recordings of the optimisers themselves. A
 * step that was recorded is in the nodes instead, and needs no name. */
#include "passes/optimizer.h"

#include <string.h>

#include "passes/flops/rules.h"

static const struct fxc_optimizer_row rows[] = {
#define OPTIMIZER(name, ...) {name, __VA_ARGS__},
#include "passes/optimizers.def"
#undef OPTIMIZER
};

const struct fxc_optimizer_row *fxc_optimizer_at(uint32_t index) {
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}

const struct fxc_optimizer_row *fxc_optimizer_find(const char *name) {
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Adafactor without momentum or weight decay. Both norms, of parameter and update: 2 n - 1 and a square root each.
 * A vector: the square of the gradient 1, its lerp 3. A matrix: norms of rows (2 n - rows) and of columns, squared,
 * divided and blended with the state (5 each), their outer product (n multiply-adds), divided by the mean of the rows
 * (rows, and a comparison for each matrix) 1. Either: clamp, rsqrt, times the gradient, twice for the step. */
static void count_factored(struct fxc_tally *tally, uint8_t dtype, const int64_t *size, uint32_t rank, int64_t n) {
    int64_t both_norms = fxc_linear(tally, 4, n, -2, 1), last = fxc_linear(tally, 4, n, 0, 0);
    if (rank < 2 || n == 0) {
        fxc_tally_work(tally, dtype, fxc_plus(tally, fxc_plus(tally, both_norms, last), fxc_times(tally, 4, n)),
                       fxc_plus(tally, n, 2));
        return;
    }
    int64_t of_rows = n / size[rank - 1], of_columns = n / size[rank - 2];
    int64_t matrices = of_rows / size[rank - 2], lines = fxc_plus(tally, of_rows, of_columns);
    int64_t norms = fxc_linear(tally, 4, n, -1, lines), state = fxc_times(tally, 5, lines);
    int64_t mean = fxc_plus(tally, of_rows, matrices);
    fxc_tally_macs(tally, dtype, n);
    int64_t matrix_work = fxc_plus(tally, fxc_plus(tally, norms, state), fxc_plus(tally, mean, n));
    fxc_tally_work(tally, dtype, fxc_plus(tally, fxc_plus(tally, both_norms, last), matrix_work),
                   fxc_plus(tally, fxc_plus(tally, n, 2), lines));
}

static fxc_status count_param(const struct fxc_analysis *analysis, uint32_t param, fxc_counts *out, fxc_error *err) {
    enum { MAX_DIMS = 64 };
    const struct fxc_program *p = analysis->program;
    const struct fxc_optimizer_row *row = analysis->optimizer_row;
    uint32_t value = p->param_value[param], meta = (uint32_t)p->value_payload[value];
    uint32_t rank = p->meta_dim_begin[meta + 1] - p->meta_dim_begin[meta];
    uint8_t dtype = p->meta_dtype[meta];
    int64_t n = analysis->params->numel[param], size[MAX_DIMS];
    struct fxc_tally tally = {.out = out};
    bool known = rank <= MAX_DIMS;
    for (uint32_t d = 0; known && d < rank; d++) {
        known = fxc_symint_eval(p, analysis->bindings, p->dim_size[p->meta_dim_begin[meta] + d], &size[d]);
    }
    if (!known) {
        return fxc_fail(err, FXC_UNBOUND, "%s: parameter %s", p->file, fxc_string(p, p->param_name[param]));
    }
    fxc_tally_work(&tally, dtype, fxc_linear(&tally, row->element, n, row->tensor, 1), fxc_times(&tally, row->root, n));
    if (row->factored) {
        count_factored(&tally, dtype, size, rank, n);
    }
    if (tally.overflow) {
        fxc_status status =
            fxc_fail(err, FXC_OVERFLOW, "%s: parameter %s", p->file, fxc_string(p, p->param_name[param]));
        fxc_expected(err, "numbers of an optimiser's step that fit in 64 bits");
        return status;
    }
    return FXC_OK;
}

/* Storages of the parameters that get a gradient: those that the step gives out, or else all that require one and that
 * something reads. Returns whether the program says which. */
static bool mark_updated(const struct fxc_program *p, bool *updated) {
    bool told = false;
    for (uint32_t output = 0; output < FXC_COUNT(p, output); output++) {
        for (uint32_t i = 0; p->output_role[output] == FXC_OUTPUT_KIND_GRADIENT_TO_PARAMETER && i < FXC_COUNT(p, param);
             i++) {
            uint32_t storage = p->value_storage[p->param_value[i]];
            if (p->param_name[i] == p->output_target[output] && storage != FXC_NONE) {
                updated[storage] = told = true;
            }
        }
    }
    return told;
}

static bool is_updated(const struct fxc_analysis *analysis, uint32_t param, const bool *updated, bool told) {
    const struct fxc_program *p = analysis->program;
    uint32_t storage = p->value_storage[p->param_value[param]];
    if (!analysis->params->first[param] || p->param_kind[param] != FXC_INPUT_KIND_PARAMETER) {
        return false;
    }
    if (told) {
        return storage != FXC_NONE && updated[storage];
    }
    return (p->param_flags[param] & (FXC_PARAM_FLAG_REQUIRES_GRAD | FXC_PARAM_FLAG_UNUSED)) ==
           FXC_PARAM_FLAG_REQUIRES_GRAD;
}

/* Elements of what Adafactor keeps of a matrix: a number for each row and each column. */
static int64_t factored_elements(const struct fxc_analysis *analysis, uint32_t param, int64_t n) {
    const struct fxc_program *p = analysis->program;
    uint32_t meta = (uint32_t)p->value_payload[p->param_value[param]], end = p->meta_dim_begin[meta + 1];
    int64_t rows, columns;
    if (end - p->meta_dim_begin[meta] < 2 || n == 0 ||
        !fxc_symint_eval(p, analysis->bindings, p->dim_size[end - 2], &rows) ||
        !fxc_symint_eval(p, analysis->bindings, p->dim_size[end - 1], &columns)) {
        return n;
    }
    return n / columns + n / rows; /* n is their product with others, and not 0 */
}

bool fxc_optimizer_bytes(const struct fxc_analysis *analysis, int64_t *state, int64_t *held) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_optimizer_row *row = analysis->optimizer_row;
    int64_t before = 0;
    bool overflow = false;
    *state = *held = 0;
    for (uint32_t param = 0; row != NULL && param < FXC_COUNT(p, param); param++) {
        if (!analysis->optimizer->updated[param]) {
            continue;
        }
        int64_t n = analysis->params->numel[param], bytes = analysis->params->bytes[param], kept, own, last;
        uint8_t dtype = p->meta_dtype[p->value_payload[p->param_value[param]]];
        overflow |= fxc_mul(row->state, bytes, &kept);
        if (row->factored) {
            overflow |= fxc_bytes_of(dtype, factored_elements(analysis, param, n), &kept);
        }
        overflow |= fxc_add(kept, row->state_bytes, &kept) || fxc_add(*state, kept, state);
        overflow |= row->held > 0 && (fxc_mul(row->held, bytes, &own) || fxc_mul(row->held_before, before, &last) ||
                                      fxc_add(own, last, &own));
        *held = row->held > 0 && !overflow && own > *held ? own : *held;
        before = bytes;
    }
    return overflow;
}

fxc_status fxc_run_optimizer(struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    struct fxc_arena *arena = &analysis->arena[FXC_FACT_optimizer];
    struct fxc_optimizer *fact = FXC_NEW(arena, struct fxc_optimizer, 1);
    bool *updated = FXC_NEW(arena, bool, FXC_COUNT(p, storage));
    if (fact == NULL || updated == NULL) {
        return fxc_fail_memory(err, "optimizer");
    }
    fact->counts = FXC_NEW(arena, fxc_counts, FXC_COUNT(p, param));
    fact->updated = FXC_NEW(arena, bool, FXC_COUNT(p, param));
    if (fact->counts == NULL || fact->updated == NULL) {
        return fxc_fail_memory(err, "optimizer");
    }
    bool told = analysis->optimizer_row != NULL && mark_updated(p, updated);
    for (uint32_t param = 0; analysis->optimizer_row != NULL && param < FXC_COUNT(p, param); param++) {
        fact->updated[param] = is_updated(analysis, param, updated, told);
        if (fact->updated[param]) {
            FXC_TRY(count_param(analysis, param, &fact->counts[param], err));
        }
    }
    analysis->optimizer = fact;
    return FXC_OK;
}
