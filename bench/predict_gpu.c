/* What the gpu timing model says of kernels: predict_gpu FAMILY DEVICE CONSTANTS < rows.
 *
 * A row is "size... " as bench/gpu_kernels.py gives them. Prints predicted seconds and those of the datasheet roofline,
 * and at the end "ns N": nanoseconds of one prediction, in the fastest of five runs. CONSTANTS names the device whose
 * fitted constants are used. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backends/models.h"

enum { MAX_SIZES = 6, MAX_ROWS = 40000 };

static const struct {
    const char *name;
    int sizes;
    uint8_t kind, dtype;
} families[] = {{"gemm", 3, FXC_WORK_GEMM, FXC_DTYPE_BFLOAT16},
                {"prefill", 6, FXC_WORK_ATTENTION, FXC_DTYPE_BFLOAT16},
                {"decode", 6, FXC_WORK_ATTENTION, FXC_DTYPE_BFLOAT16},
                {"collective", 3, FXC_WORK_COLLECTIVE, FXC_DTYPE_FLOAT16}};

/* The counts that fxcost has for such a node: operands read once, all pairs of causal attention but half. */
static void count(fxc_work *work, const int64_t *s) {
    fxc_counts *c = &work->counts;
    c->kernels = 1;
    if (work->kind == FXC_WORK_GEMM) {
        work->shape.gemm = (fxc_gemm_shape){1, s[0], s[1], s[2]};
        c->matrix_flops = 2 * s[0] * s[1] * s[2];
        c->bytes_read = 2 * (s[0] * s[2] + s[1] * s[2]);
        c->bytes_written = 2 * s[0] * s[1];
    } else if (work->kind == FXC_WORK_ATTENTION) {
        int64_t keys = s[1] + s[2];
        work->shape.attention = (fxc_attention_shape){.batch = s[0],
                                                      .heads = s[3],
                                                      .kv_heads = s[4],
                                                      .queries = s[1],
                                                      .keys = keys,
                                                      .depth = s[5],
                                                      .value_depth = s[5],
                                                      .causal = 1};
        c->matrix_flops = (s[1] == 1 ? 4 : 2) * s[0] * s[3] * s[1] * keys * s[5];
        c->bytes_read = 2 * s[0] * s[5] * (s[3] * s[1] + 2 * s[4] * keys);
        c->bytes_written = 2 * s[0] * s[5] * s[3] * s[1];
    } else {
        work->shape.collective = (fxc_collective_shape){s[1], s[2], (uint8_t)s[0]};
        c->bytes_read = s[2];
    }
}

/* A collective at the speed of the link, which the roofline of one device does not know. */
static double link_seconds(const fxc_device *device, const int64_t *s) {
    double passes = (s[0] == FXC_COLLECTIVE_ALL_REDUCE ? 2.0 : 1.0) * (double)(s[1] - 1) / (double)s[1];
    return passes * (double)s[2] / (device->link_bytes_per_second / 2);
}

static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int main(int argc, char **argv) {
    static fxc_work rows[MAX_ROWS];
    static int64_t sizes[MAX_ROWS][MAX_SIZES];
    const fxc_device *named = argc == 4 ? fxc_device_find(argv[2]) : NULL;
    const fxc_device *constants = argc == 4 ? fxc_device_find(argv[3]) : NULL;
    size_t family = 0;
    while (argc == 4 && family < 4 && strcmp(families[family].name, argv[1]) != 0) {
        family++;
    }
    if (named == NULL || constants == NULL || family == 4) {
        (void)fprintf(stderr, "predict_gpu gemm|prefill|decode|collective DEVICE CONSTANTS < rows\n");
        return 2;
    }
    fxc_device device = *named;
    device.gpu = constants->gpu;
    int read = 0;
    for (bool more = true; more && read < MAX_ROWS; read += more) {
        for (int i = 0; more && i < families[family].sizes; i++) {
            double number;
            more = scanf("%lf", &number) == 1;
            sizes[read][i] = more ? (int64_t)number : 0;
        }
        rows[read] = (fxc_work){.struct_size = sizeof(fxc_work),
                                .dtype = families[family].dtype,
                                .counted = true,
                                .kind = families[family].kind};
        count(&rows[read], sizes[read]);
    }
    double seconds = 0, sum = 0;
    for (int run = 0; run < 5; run++) {
        double start = now();
        for (int i = 0; i < read; i++) {
            fxc_time time = {.struct_size = sizeof time};
            sum += fxc_gpu(&device, &rows[i], &time) == FXC_OK ? time.seconds : 0;
        }
        seconds = run == 0 || now() - start < seconds ? now() - start : seconds;
    }
    for (int i = 0; i < read; i++) {
        fxc_time time = {.struct_size = sizeof time}, bound = {.struct_size = sizeof bound};
        if (fxc_gpu(&device, &rows[i], &time) != FXC_OK || fxc_roofline(&device, &rows[i], &bound) != FXC_OK) {
            return 1;
        }
        double ideal = rows[i].kind == FXC_WORK_COLLECTIVE ? link_seconds(&device, sizes[i]) : bound.seconds;
        (void)printf("%.9g %.9g\n", time.seconds, ideal);
    }
    (void)printf("ns %.1f\n", sum > 0 ? 1e9 * seconds / read : 0);
    return 0;
}
