/* Shared by the builders of rows. */
#ifndef FXC_REPORT_ROWS_H
#define FXC_REPORT_ROWS_H

#include "passes/report/render.h"

/* What a sort order compares, 0 for the program's own order. */
double fxc_row_key(const struct fxc_row *row, enum fxc_sort sort);
/* Per module: is it `root` or below? NULL when memory is out. */
bool *fxc_rows_subtree(const struct fxc_program *program, uint32_t root, struct fxc_arena *arena);
fxc_status fxc_rows_by_module(const struct fxc_analysis *analysis, const struct fxc_view_options *options,
                              struct fxc_rows *rows, fxc_error *err);

#endif
