/* The row of the optimiser's step beside rows of operators and nodes, so that they add up to the totals. */
#include <stdio.h>
#include <string.h>

#include "passes/optimizer.h"
#include "passes/report/rows.h"

fxc_status fxc_rows_add_optimizer(struct fxc_node_walk *walk, fxc_error *err) {
    const struct fxc_analysis *analysis = walk->analysis;
    const struct fxc_program *p = analysis->program;
    struct fxc_rows *rows = walk->rows;
    char name[64];
    if (analysis->optimizer_row == NULL) {
        return FXC_OK;
    }
    struct fxc_row *grown = FXC_NEW(&rows->arena, struct fxc_row, (size_t)rows->count + 1);
    (void)snprintf(name, sizeof name, "optimizer.%.40s", analysis->optimizer_row->name);
    const char *kept = fxc_arena_string(&rows->arena, name);
    if (grown == NULL || kept == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    if (rows->count > 0) {
        memcpy(grown, rows->row, rows->count * sizeof *grown);
    }
    struct fxc_row *row = &grown[rows->count];
    *row = (struct fxc_row){.name = kept, .label = kept, .class_name = kept, .shape = "", .module = "", .folded = 1};
    row->sum = fxc_sum_zero(analysis);
    for (uint32_t param = 0; param < FXC_COUNT(p, param); param++) {
        if (analysis->optimizer->updated[param] && walk->inside[p->param_module[param]]) {
            struct fxc_sum sum = fxc_optimizer_sum(analysis, param);
            (void)fxc_sum_add(&row->sum, &sum); /* a part of the total, which was checked */
            row->calls++;
        }
    }
    rows->row = grown;
    rows->count++;
    return FXC_OK;
}
