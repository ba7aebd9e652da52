/* What a timing model is told of a kernel.
 *
 * A kernel that a library runs is described as its operator is, with the bytes that the kernel touches. Loops that a
 * compiler makes have no operator: they are described by their bytes, what they execute, and the loops. */
#include "passes/kernel_cost/describe.h"

#include <string.h>

#include "ir/ops.h"
#include "passes/kernel_cost/operands.h"

static const uint32_t *members(const struct fxc_fusion *f, const struct fxc_kernel_row *k) {
    return f->member + k->member_begin;
}

static uint8_t fuse_of(const struct fxc_program *p, uint32_t node) {
    const struct fxc_op_row *row = fxc_node_row(p, node);
    return row == NULL ? (uint8_t)FXC_FUSE_OPAQUE : (uint8_t)row->fuse;
}

uint32_t fxc_kernel_lead(const struct fxc_program *p, const struct fxc_fusion *f, const struct fxc_kernel_row *k) {
    const uint32_t *node = members(f, k);
    if (k->kind != FXC_KERNEL_LIBRARY && k->kind != FXC_KERNEL_NODES) {
        return FXC_NONE;
    }
    if (k->member_count == 1) {
        return node[0];
    }
    uint32_t found = FXC_NONE;
    for (uint32_t i = 0; i < k->member_count; i++) {
        if (fuse_of(p, node[i]) == FXC_FUSE_ANCHOR) {
            if (found != FXC_NONE) {
                return FXC_NONE;
            }
            found = node[i];
        }
    }
    return found;
}

static bool has_fuse(const struct fxc_program *p, const struct fxc_fusion *f, const struct fxc_kernel_row *k,
                     uint8_t fuse) {
    for (uint32_t i = 0; i < k->member_count; i++) {
        if (fuse_of(p, members(f, k)[i]) == fuse) {
            return true;
        }
    }
    return false;
}

static uint8_t kind_of_loops(const struct fxc_program *p, const struct fxc_fusion *f, const struct fxc_kernel_row *k) {
    if (has_fuse(p, f, k, FXC_FUSE_ANCHOR) || has_fuse(p, f, k, FXC_FUSE_OPAQUE)) {
        return FXC_WORK_OTHER; /* several products at once */
    }
    if (k->kind == FXC_KERNEL_OUTER_LOOP || (k->kind == FXC_KERNEL_REDUCTION && k->operations > 1)) {
        return FXC_WORK_NORM; /* goes over its rows more than once */
    }
    if (k->kind == FXC_KERNEL_REDUCTION || has_fuse(p, f, k, FXC_FUSE_REDUCTION)) {
        return FXC_WORK_REDUCTION;
    }
    if (has_fuse(p, f, k, FXC_FUSE_GATHER)) {
        return FXC_WORK_GATHER;
    }
    return k->executed_flops == 0 && k->executed_transcendentals == 0 ? FXC_WORK_COPY : FXC_WORK_POINTWISE;
}

/* The product of a kernel's loops; they are at most the points of its iteration space, which were checked. */
static int64_t points(const struct fxc_fusion *f, uint32_t begin, uint32_t rank) {
    int64_t product = 1;
    for (uint32_t d = 0; d < rank; d++) {
        product *= f->size[begin + d];
    }
    return product;
}

/* Rows of loops: the folded dimensions are a row, else the innermost. */
static fxc_rows_shape rows_of(const struct fxc_fusion *f, const struct fxc_kernel_row *k) {
    uint32_t rank = (uint32_t)k->outer_rank + k->folded_rank, inner = k->folded_rank > 0 ? k->folded_rank : 1;
    inner = inner < rank ? inner : rank;
    return (fxc_rows_shape){.rows = points(f, k->size_begin, rank - inner),
                            .length = points(f, k->size_begin + rank - inner, inner)};
}

/* The first floating-point tensor that the kernel touches decides which peak applies, else the first of any type. */
static uint8_t dtype_of(const struct fxc_analysis *analysis, const struct fxc_kernel_row *k) {
    const struct fxc_fusion *f = analysis->fusion;
    uint8_t found = FXC_DTYPE_COUNT;
    for (uint32_t i = 0; i < k->access_count; i++) {
        uint32_t value = f->access[k->access_begin + i].value;
        uint8_t dtype = value == FXC_NONE ? (uint8_t)FXC_DTYPE_COUNT : analysis->shapes->dtype[value];
        if (dtype < FXC_DTYPE_COUNT && fxc_dtype_is_float(dtype)) {
            return dtype;
        }
        found = found == FXC_DTYPE_COUNT ? dtype : found;
    }
    return found;
}

static bool is_counted(const struct fxc_analysis *analysis, const struct fxc_kernel_row *k) {
    for (uint32_t i = 0; i < k->member_count; i++) {
        if (analysis->flops->coverage[members(analysis->fusion, k)[i]] == FXC_COVERAGE_UNKNOWN) {
            return false;
        }
    }
    return true;
}

static fxc_counts counts_of(const struct fxc_kernel_row *k) {
    return (fxc_counts){.macs = k->matrix_flops / 2,
                        .matrix_flops = k->matrix_flops,
                        .vector_flops = k->executed_flops > k->matrix_flops ? k->executed_flops - k->matrix_flops : 0,
                        .transcendentals = k->executed_transcendentals,
                        .bytes_read = k->read,
                        .bytes_written = k->written,
                        .kernels = 1};
}

static void describe_loops(const struct fxc_analysis *analysis, const struct fxc_kernel_row *k, fxc_work *work) {
    const struct fxc_fusion *f = analysis->fusion;
    work->loops = k->kind == FXC_KERNEL_NODES ? 0 : k->operations;
    work->kind = kind_of_loops(analysis->program, f, k);
    if (work->kind != FXC_WORK_OTHER) {
        work->shape.rows = rows_of(f, k);
        work->elements = points(f, k->size_begin, (uint32_t)k->outer_rank + k->folded_rank);
        work->results = points(f, k->size_begin, k->outer_rank);
    }
}

static bool is_draw(const char *op) {
    return strcmp(op, "prims.inductor_random.default") == 0 || strcmp(op, "prims.inductor_randint.default") == 0;
}

/* Random numbers are no FLOPs, but most of the time of loops that make them. The points of a run that overflowed were
 * refused before. */
static void describe_draws(const struct fxc_analysis *analysis, const struct fxc_kernel_row *k, fxc_work *work) {
    const struct fxc_fusion *f = analysis->fusion;
    for (uint32_t i = 0; f->run != NULL && i < k->member_count; i++) {
        const struct fxc_kernel_run *run = &f->run[k->member_begin + i];
        if (is_draw(fxc_node_op_name(analysis->program, run->node)) &&
            fxc_add(work->draws, run->points, &work->draws)) {
            work->draws = INT64_MAX;
        }
    }
    for (uint32_t i = 0; work->draws > 0 && i < k->access_count; i++) {
        const struct fxc_kernel_access *access = &f->access[k->access_begin + i];
        bool is_bool = access->value != FXC_NONE && analysis->shapes->dtype[access->value] == FXC_DTYPE_BOOL;
        work->writes_bool |= access->written && is_bool;
    }
}

/* What the loops of every kernel compute, by operator. */
static fxc_status describe_runs(const struct fxc_analysis *analysis, struct fxc_arena *arena, fxc_executed **out,
                                fxc_error *err) {
    const struct fxc_fusion *f = analysis->fusion;
    size_t members = 0;
    for (uint32_t k = 0; k < f->kernel_count; k++) {
        members += f->kernel[k].member_count;
    }
    fxc_executed *executed = *out = FXC_NEW(arena, fxc_executed, members);
    for (size_t i = 0; executed != NULL && i < members; i++) {
        const struct fxc_kernel_run *run = &f->run[i];
        const struct fxc_op_row *row = fxc_node_row(analysis->program, run->node);
        executed[i] = (fxc_executed){.op = row == NULL ? NULL : row->name,
                                     .points = run->points,
                                     .flops = run->flops,
                                     .folds = fuse_of(analysis->program, run->node) == FXC_FUSE_REDUCTION};
    }
    return executed == NULL ? fxc_fail_memory(err, "kernel_cost") : FXC_OK;
}

fxc_status fxc_describe_kernels(const struct fxc_analysis *analysis, const struct fxc_context *context, bool history,
                                struct fxc_arena *arena, struct fxc_kernel_describing *out, fxc_error *err) {
    const struct fxc_fusion *f = analysis->fusion;
    *out = (struct fxc_kernel_describing){.analysis = analysis,
                                          .context = context,
                                          .rule = {.program = analysis->program,
                                                   .shapes = analysis->shapes,
                                                   .bindings = analysis->bindings,
                                                   .window = analysis->attention_window}};
    if (history) {
        FXC_TRY(fxc_kernel_operands(analysis, arena, &out->operand, err));
    }
    return f->run == NULL ? FXC_OK : describe_runs(analysis, arena, &out->executed, err);
}

fxc_work fxc_describe_kernel(struct fxc_kernel_describing *d, const struct fxc_kernel_row *k) {
    const struct fxc_analysis *analysis = d->analysis;
    fxc_work work = {.struct_size = sizeof work};
    d->rule.node = fxc_kernel_lead(analysis->program, analysis->fusion, k);
    if (d->rule.node != FXC_NONE) {
        work = fxc_work_of(analysis, d->context, &d->rule);
        work.calls = 0; /* no module's Python runs */
    }
    int64_t macs = d->rule.node != FXC_NONE ? work.counts.macs : k->matrix_flops / 2;
    work.counts = counts_of(k);
    work.counts.macs = macs;
    work.counted = is_counted(analysis, k);
    work.operand = d->operand == NULL ? NULL : d->operand + k->access_begin;
    work.operand_count = d->operand == NULL ? 0 : k->access_count;
    if (d->rule.node == FXC_NONE) {
        work.dtype = dtype_of(analysis, k);
        describe_loops(analysis, k, &work);
        work.executed = d->executed == NULL ? NULL : d->executed + k->member_begin;
        work.executed_count = d->executed == NULL ? 0 : k->member_count;
        describe_draws(analysis, k, &work);
    }
    return work;
}
