/* Reads a .fxir file and prints its totals and its five dearest nodes, through an installed libfxcost.
 *
 *   cmake -S examples/c -B build-example -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build-example
 *   cc cost.c $(pkg-config --cflags --libs fxcost)
 *   ./cost bert.fxir
 */
#include <fxcost/fxcost.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct entry {
    int64_t flops;
    uint32_t node;
};

static int dearest_first(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    return x->flops < y->flops ? 1 : x->flops > y->flops ? -1 : 0;
}

static fxc_status print_nodes(const fxc_program *program, fxc_analysis *analysis, uint32_t count, fxc_error *err) {
    struct entry *entries = calloc(count == 0 ? 1 : count, sizeof *entries);
    fxc_status status = entries == NULL ? FXC_MEMORY : FXC_OK;
    for (uint32_t node = 0; node < count && status == FXC_OK; node++) {
        fxc_node_cost cost = {.struct_size = sizeof cost};
        status = fxc_analysis_node(analysis, node, &cost, err);
        entries[node] = (struct entry){(cost.counts.matrix_flops + cost.counts.vector_flops) * cost.times, node};
    }
    if (status == FXC_OK) {
        qsort(entries, count, sizeof *entries, dearest_first);
    }
    for (uint32_t i = 0; i < count && i < 5 && status == FXC_OK; i++) {
        fxc_node_info info = {.struct_size = sizeof info};
        status = fxc_program_get_node(program, entries[i].node, &info, err);
        printf("%-24s %-32s %" PRId64 " FLOPs\n", info.name, info.op, entries[i].flops);
    }
    free(entries);
    return status;
}

static fxc_status print_totals(const fxc_program *program, fxc_analysis *analysis, fxc_error *err) {
    fxc_totals totals = {.struct_size = sizeof totals};
    fxc_program_info info = {.struct_size = sizeof info};
    fxc_status status = fxc_analysis_totals(analysis, &totals, err);
    if (status == FXC_OK) {
        status = fxc_program_get_info(program, &info, err);
    }
    if (status == FXC_OK) {
        printf("flops %" PRId64 "\nmacs %" PRId64 "\nparams %" PRId64 "\nunknown_nodes %" PRId64 "\n", totals.flops,
               totals.counts.macs, totals.params, totals.unknown_nodes);
        status = print_nodes(program, analysis, info.nodes, err);
    }
    return status;
}

int main(int argc, char **argv) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = NULL;
    fxc_analysis *analysis = NULL;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: cost FILE.fxir\n");
        return FXC_USAGE;
    }
    fxc_status status = fxc_program_open(argv[1], &program, &err);
    if (status == FXC_OK) {
        status = fxc_analysis_new(program, &analysis, &err);
    }
    if (status == FXC_OK) {
        status = print_totals(program, analysis, &err);
    }
    if (status != FXC_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
    }
    fxc_analysis_free(analysis);
    fxc_program_free(program);
    return (int)status;
}
