/* Shared by the builders of rows. */
#ifndef FXC_REPORT_ROWS_H
#define FXC_REPORT_ROWS_H

#include "passes/report/render.h"

/* What a sort order compares, 0 for the program's own order. */
double fxc_row_key(const struct fxc_row *row, enum fxc_sort sort);
/* A walk over the nodes that run and that are reported; each comes with the sum over its executions. */
struct fxc_node_walk {
    const struct fxc_analysis *analysis;
    const struct fxc_view_options *options;
    struct fxc_rows *rows;
    const bool *inside; /* per module */
    void *context;
};
typedef fxc_status (*fxc_node_fn)(struct fxc_node_walk *walk, uint32_t node, const struct fxc_sum *sum, fxc_error *err);
fxc_status fxc_rows_each_node(struct fxc_node_walk *walk, fxc_node_fn fn, fxc_error *err);
fxc_status fxc_rows_sort(struct fxc_rows *rows, const struct fxc_view_options *options, fxc_error *err);
/* "bf16" */
const char *fxc_dtype_short(uint8_t dtype);
/* "f32[1, 128]": a value's element type and sizes, or its kind. Returns buffer. */
const char *fxc_shape_text(const struct fxc_analysis *analysis, uint32_t value, char *buffer, size_t size);
/* Rows by operator and input shapes; by module and operator. */
fxc_status fxc_rows_by_op_shape(struct fxc_node_walk *walk, fxc_error *err);
fxc_status fxc_rows_by_caller(struct fxc_node_walk *walk, fxc_error *err);
fxc_status fxc_rows_by_module_op(struct fxc_node_walk *walk, fxc_error *err);
/* One more row, of the optimiser's step where one is named. */
fxc_status fxc_rows_add_optimizer(struct fxc_node_walk *walk, fxc_error *err);
/* Per module: is it `root` or below? NULL when memory is out. */
bool *fxc_rows_subtree(const struct fxc_program *program, uint32_t root, struct fxc_arena *arena);
fxc_status fxc_rows_by_module(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                              struct fxc_rows *rows, fxc_error *err);

#endif
