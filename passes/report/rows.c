/* Rows of a report: by class, operator and node. Rows by module are in rows_module.c. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "passes/memory/memory.h"
#include "passes/report/rows.h"

/* ---- sorting -------------------------------------------------------------------------------------------------------
 */

double fxc_row_key(const struct fxc_row *row, enum fxc_sort sort) {
    const fxc_counts *c = &row->sum.counts;
    switch (sort) {
    case FXC_SORT_ORDER:
        return -(double)row->order;
    case FXC_SORT_FLOPS:
        return (double)fxc_flops_of(c);
    case FXC_SORT_BYTES:
        return (double)c->bytes_read + (double)c->bytes_written;
    case FXC_SORT_PARAMS:
        return (double)row->params;
    case FXC_SORT_SECONDS:
        return isnan(row->sum.seconds) ? 0 : row->sum.seconds;
    case FXC_SORT_CALLS:
        return (double)row->calls;
    }
    return 0;
}

struct sort_entry {
    double key, bytes; /* bytes decide between equal keys */
    uint32_t index;
};

/* Largest key first, then most bytes, then the order of the program. */
static int by_key(const void *a, const void *b) {
    const struct sort_entry *x = a, *y = b;
    if (x->key != y->key) {
        return x->key > y->key ? -1 : 1;
    }
    if (x->bytes != y->bytes) {
        return x->bytes > y->bytes ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

fxc_status fxc_rows_sort(struct fxc_rows *rows, const struct fxc_view_options *options, fxc_error *err) {
    struct sort_entry *entries = FXC_NEW(&rows->arena, struct sort_entry, rows->count);
    struct fxc_row *sorted = FXC_NEW(&rows->arena, struct fxc_row, rows->count);
    if (entries == NULL || sorted == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        entries[i] =
            (struct sort_entry){fxc_row_key(&rows->row[i], options->sort),
                                options->sort == FXC_SORT_ORDER ? 0 : fxc_row_key(&rows->row[i], FXC_SORT_BYTES), i};
    }
    qsort(entries, rows->count, sizeof *entries, by_key);
    for (uint32_t i = 0; i < rows->count; i++) {
        sorted[i] = rows->row[entries[i].index];
    }
    rows->row = sorted;
    if (rows->count > options->top) {
        rows->count = options->top;
    }
    return FXC_OK;
}

/* ---- the part of the program that is reported ----------------------------------------------------------------------
 */

bool *fxc_rows_subtree(const struct fxc_program *p, uint32_t root, struct fxc_arena *arena) {
    bool *inside = FXC_NEW(arena, bool, FXC_COUNT(p, module));
    for (uint32_t m = root; inside != NULL && m < FXC_COUNT(p, module); m++) {
        inside[m] = m == root || (p->module_parent[m] != FXC_NONE && inside[p->module_parent[m]]);
    }
    return inside;
}

fxc_status fxc_rows_each_node(struct fxc_node_walk *walk, fxc_node_fn fn, fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    for (uint32_t graph = 0; graph < FXC_COUNT(p, graph); graph++) {
        int64_t times = walk->analysis->tree->graph_times[graph];
        for (uint32_t node = p->graph_node_begin[graph]; times > 0 && node < p->graph_node_begin[graph + 1]; node++) {
            if (walk->inside[walk->analysis->report->node_module[node]]) {
                struct fxc_sum sum;
                FXC_TRY(fxc_node_sum(walk->analysis, node, graph, &sum, err));
                FXC_TRY(fn(walk, node, &sum, err));
            }
        }
    }
    return FXC_OK;
}

static fxc_status allocate_rows(struct fxc_rows *rows, uint32_t count, fxc_error *err) {
    rows->row = FXC_NEW(&rows->arena, struct fxc_row, count);
    return rows->row == NULL ? fxc_fail_memory(err, "report rows") : FXC_OK;
}

/* ---- by operator
 * ----------------------------------------------------------------------------------------------------- */

static fxc_status add_to_op(struct fxc_node_walk *walk, uint32_t node, const struct fxc_sum *sum, fxc_error *err) {
    struct fxc_row *row = &walk->rows->row[walk->analysis->program->node_op[node]];
    row->calls += sum->nodes;
    (void)err;
    (void)fxc_sum_add(&row->sum, sum); /* a part of the total, which was checked */
    return FXC_OK;
}

static void drop_empty(struct fxc_rows *rows) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        if (rows->row[i].calls > 0) {
            rows->row[kept++] = rows->row[i];
        }
    }
    rows->count = kept;
}

static fxc_status rows_by_op(struct fxc_node_walk *walk, fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    FXC_TRY(allocate_rows(walk->rows, FXC_COUNT(p, op), err));
    walk->rows->count = FXC_COUNT(p, op);
    for (uint32_t op = 0; op < FXC_COUNT(p, op); op++) {
        const char *name = fxc_string(p, p->op_name[op]);
        walk->rows->row[op] = (struct fxc_row){
            .name = name, .label = name, .class_name = "", .folded = 1, .sum = fxc_sum_zero(walk->analysis)};
    }
    FXC_TRY(fxc_rows_each_node(walk, add_to_op, err));
    drop_empty(walk->rows);
    FXC_TRY(fxc_rows_add_optimizer(walk, err));
    return fxc_rows_sort(walk->rows, walk->options, err);
}

/* ---- by node
 * --------------------------------------------------------------------------------------------------------- */

static const char *const dtype_short[] = {
#define X(name, text, brief, bits) brief,
    FXC_DTYPE_LIST(X)
#undef X
};

const char *fxc_dtype_short(uint8_t dtype) {
    return dtype_short[dtype];
}

const char *fxc_shape_text(const struct fxc_analysis *analysis, uint32_t value, char *buffer, size_t size) {
    const struct fxc_shapes *shapes = analysis->shapes;
    if (analysis->program->value_kind[value] != FXC_KIND_TENSOR) {
        (void)snprintf(buffer, size, "%s", fxc_enum_text("kind", analysis->program->value_kind[value]));
        return buffer;
    }
    size_t used = (size_t)snprintf(buffer, size, "%s[", dtype_short[shapes->dtype[value]]);
    for (uint32_t d = 0; d < shapes->rank[value] && used < size; d++) {
        used += (size_t)snprintf(buffer + used, size - used, "%s%" PRId64, d == 0 ? "" : ", ",
                                 shapes->size[shapes->dim_begin[value] + d]);
    }
    if (used < size) {
        (void)snprintf(buffer + used, size - used, "]");
    }
    return buffer;
}

static fxc_status add_node(struct fxc_node_walk *walk, uint32_t node, const struct fxc_sum *sum, fxc_error *err) {
    const struct fxc_analysis *analysis = walk->analysis;
    const struct fxc_program *p = analysis->program;
    const struct fxc_cost *cost = analysis->cost;
    char text[512];
    fxc_node_info info = {.struct_size = sizeof info};
    FXC_TRY(fxc_program_get_node(p, node, &info, err));
    struct fxc_row row = {
        .name = info.name,
        .label = info.name,
        .class_name = info.op,
        .folded = 1,
        .calls = sum->nodes,
        .sum = *sum,
        .file = info.file,
        .line = info.line,
        .coverage = analysis->flops->coverage[node],
        .node = node,
        .bound = cost->bound == NULL ? FXC_BOUND_UNKNOWN : cost->bound[node],
        .work = cost->work == NULL ? 0 : cost->work[node],
        .source = cost->source == NULL ? 0 : cost->source[node],
        .efficiency = cost->efficiency == NULL ? NAN : cost->efficiency[node],
        .error = cost->error == NULL ? NAN : cost->error[node],
        .dead = (p->node_flags[node] & FXC_NODE_FLAG_DEAD) != 0,
        .owner_view =
            p->node_call[node] != FXC_NONE && (p->call_flags[p->node_call[node]] & FXC_CALL_FLAG_OWNER_VIEW) != 0,
        .live_before = analysis->memory->before[node],
        .live_after = analysis->memory->after[node],
    };
    row.shape = fxc_arena_string(&walk->rows->arena, fxc_shape_text(analysis, p->node_result[node], text, sizeof text));
    row.module = fxc_arena_string(&walk->rows->arena,
                                  fxc_module_path(p, analysis->report->node_module[node], text, sizeof text));
    if (row.shape == NULL || row.module == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    walk->rows->row[walk->rows->count++] = row;
    return FXC_OK;
}

static fxc_status rows_by_node(struct fxc_node_walk *walk, fxc_error *err) {
    FXC_TRY(allocate_rows(walk->rows, FXC_COUNT(walk->analysis->program, node), err));
    FXC_TRY(fxc_rows_each_node(walk, add_node, err));
    FXC_TRY(fxc_rows_add_optimizer(walk, err));
    return fxc_rows_sort(walk->rows, walk->options, err);
}

/* ---- by class
 * -------------------------------------------------------------------------------------------------------- */

static fxc_status rows_by_class(struct fxc_node_walk *walk, fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    const struct fxc_report *report = walk->analysis->report;
    uint32_t *row_of = FXC_NEW(&walk->rows->arena, uint32_t, FXC_COUNT(p, string));
    int64_t *own_params = FXC_NEW(&walk->rows->arena, int64_t, FXC_COUNT(p, module));
    FXC_TRY(allocate_rows(walk->rows, FXC_COUNT(p, module), err));
    if (row_of == NULL || own_params == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    for (uint32_t m = 0; m < FXC_COUNT(p, module); m++) {
        own_params[m] += report->module_params[m];
        if (p->module_parent[m] != FXC_NONE) {
            own_params[p->module_parent[m]] -= report->module_params[m];
        }
    }
    for (uint32_t m = 0; m < FXC_COUNT(p, module); m++) {
        if (!walk->inside[m]) {
            continue;
        }
        uint32_t *index = &row_of[p->module_class[m]]; /* 1-based */
        if (*index == 0) {
            const char *name = fxc_string(p, p->module_class[m]);
            walk->rows->row[walk->rows->count] = (struct fxc_row){.name = name,
                                                                  .label = name,
                                                                  .class_name = "",
                                                                  .folded = 1,
                                                                  .has_params = true,
                                                                  .sum = fxc_sum_zero(walk->analysis)};
            *index = ++walk->rows->count;
        }
        struct fxc_row *row = &walk->rows->row[*index - 1];
        (void)fxc_sum_add(&row->sum, &report->module_self[m]);
        row->params += own_params[m];
        row->calls += report->module_calls[m];
    }
    return fxc_rows_sort(walk->rows, walk->options, err);
}

fxc_status fxc_rows_build(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                          struct fxc_rows *rows, fxc_error *err) {
    struct fxc_node_walk walk = {analysis, options, rows, NULL, NULL};
    walk.inside = fxc_rows_subtree(analysis->program, options->root_module, &rows->arena);
    if (walk.inside == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    switch (options->by) {
    case FXC_BY_CLASS:
        return rows_by_class(&walk, err);
    case FXC_BY_OP:
        return rows_by_op(&walk, err);
    case FXC_BY_NODE:
        return rows_by_node(&walk, err);
    case FXC_BY_OP_SHAPE:
        return fxc_rows_by_op_shape(&walk, err);
    case FXC_BY_MODULE_OP:
        return fxc_rows_by_module_op(&walk, err);
    case FXC_BY_CALLER:
        return fxc_rows_by_caller(&walk, err);
    default:
        return fxc_rows_by_module(analysis, options, rows, err);
    }
}
