/* What a compiler does with a cost model: it knows two ways to run a program, each node by itself or fused as Inductor
 * fuses, asks what the kernels of both cost on a device, and takes for each group of nodes the cheaper one.
 *
 *   cmake -S examples/c -B build-example -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build-example
 *   ./compiler bert.fxir h100-sxm
 */
#include <fxcost/fusion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* One way to run the program. */
struct plan {
    fxc_analysis *analysis;
    uint32_t kernels;
};

static fxc_status open_plan(const fxc_program *program, const char *profile, const char *device, struct plan *plan,
                            fxc_error *err) {
    fxc_status status = fxc_analysis_new(program, &plan->analysis, err);
    if (status == FXC_OK) {
        status = fxc_analysis_set(plan->analysis, "profile", profile, err);
    }
    if (status == FXC_OK) {
        status = fxc_analysis_set(plan->analysis, "device", device, err);
    }
    return status == FXC_OK ? fxc_analysis_kernel_count(plan->analysis, &plan->kernels, err) : status;
}

/* Seconds of every node by itself. A node that runs no kernel takes none; one whose time is not known is NAN. */
static fxc_status price_nodes(const struct plan *split, double *seconds, fxc_error *err) {
    for (uint32_t i = 0; i < split->kernels; i++) {
        fxc_kernel_info kernel = {.struct_size = sizeof kernel};
        fxc_status status = fxc_analysis_kernel(split->analysis, i, &kernel, err);
        if (status != FXC_OK) {
            return status;
        }
        for (uint32_t n = 0; n < kernel.node_count; n++) {
            seconds[kernel.nodes[n]] = n == 0 ? kernel.seconds : 0;
        }
    }
    return FXC_OK;
}

struct sums {
    double split, fused, chosen;
    uint32_t groups, fused_groups;
};

/* A node that several fused kernels compute again is priced with the first of them. */
static double price_split(const fxc_kernel_info *kernel, double *seconds) {
    double sum = 0;
    for (uint32_t n = 0; n < kernel->node_count; n++) {
        sum += seconds[kernel->nodes[n]];
        seconds[kernel->nodes[n]] = 0;
    }
    return sum;
}

static fxc_status decide(const fxc_program *program, const struct plan *fused, double *seconds, struct sums *sums,
                         fxc_error *err) {
    for (uint32_t i = 0; i < fused->kernels; i++) {
        fxc_kernel_info kernel = {.struct_size = sizeof kernel};
        fxc_node_info first = {.struct_size = sizeof first};
        fxc_status status = fxc_analysis_kernel(fused->analysis, i, &kernel, err);
        if (status == FXC_OK) {
            status = fxc_program_get_node(program, kernel.nodes[0], &first, err);
        }
        if (status != FXC_OK) {
            return status;
        }
        double split = price_split(&kernel, seconds);
        if (isnan(kernel.seconds) || isnan(split)) {
            printf("%-28s %3u nodes  not known\n", first.name, kernel.node_count);
            continue; /* the compiler keeps to its heuristic */
        }
        bool fuse = kernel.seconds <= split;
        sums->split += split;
        sums->fused += kernel.seconds;
        sums->chosen += fuse ? kernel.seconds : split;
        sums->groups++;
        sums->fused_groups += fuse;
        if (kernel.node_count > 1 || !fuse) {
            printf("%-28s %3u nodes  %10.3f us apart  %10.3f us fused  %s\n", first.name, kernel.node_count,
                   split * 1e6, kernel.seconds * 1e6, fuse ? "fuse" : "apart");
        }
    }
    return FXC_OK;
}

static fxc_status compile(const fxc_program *program, const char *device, fxc_error *err) {
    struct plan split = {0}, fused = {0};
    struct sums sums = {0};
    fxc_program_info info = {.struct_size = sizeof info};
    fxc_status status = fxc_program_get_info(program, &info, err);
    double *seconds = status == FXC_OK ? calloc(info.nodes + 1u, sizeof *seconds) : NULL;
    if (status == FXC_OK && seconds == NULL) {
        status = FXC_MEMORY;
    }
    if (status == FXC_OK) {
        status = open_plan(program, "none", device, &split, err);
    }
    if (status == FXC_OK) {
        status = open_plan(program, "inductor-cpu", device, &fused, err);
    }
    if (status == FXC_OK) {
        status = price_nodes(&split, seconds, err);
    }
    if (status == FXC_OK) {
        status = decide(program, &fused, seconds, &sums, err);
    }
    if (status == FXC_OK) {
        printf("%u of %u groups as Inductor runs them\n", sums.fused_groups, sums.groups);
        printf("apart %.9g s, fused %.9g s, chosen %.9g s\n", sums.split, sums.fused, sums.chosen);
    }
    free(seconds);
    fxc_analysis_free(split.analysis);
    fxc_analysis_free(fused.analysis);
    return status;
}

int main(int argc, char **argv) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = NULL;
    if (argc != 3) {
        (void)fprintf(stderr, "usage: compiler FILE.fxir DEVICE\n");
        return FXC_USAGE;
    }
    fxc_status status = fxc_program_open(argv[1], &program, &err);
    if (status == FXC_OK) {
        status = compile(program, argv[2], &err);
    }
    if (status != FXC_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
    }
    fxc_program_free(program);
    return (int)status;
}
