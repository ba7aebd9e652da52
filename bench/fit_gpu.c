/* Fits the constants of one kernel family of the gpu timing model: fit_gpu FAMILY DEVICE < rows.
 *
 * A row is "use size... microseconds": where `use` is 0 it is not fitted. Prints the constants, then for every row the
 * log of measured over predicted; bench/fit_gpu.py drives it. The search moves one constant at a time, in the log, with
 * steps of its own; from several seeded starts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/gpu.h"

enum { MAX_CONSTANTS = 64, MAX_ROWS = 40000, MAX_SIZES = 6, COLLECTIVES = 4, ROUNDS = 60, LEAST_ROUNDS = 20 };

union constants {
    struct fxc_gpu_gemm gemm;
    struct fxc_gpu_prefill prefill;
    struct fxc_gpu_decode decode;
    struct fxc_gpu_collective collective[COLLECTIVES];
    double number[MAX_CONSTANTS];
};

struct row {
    int64_t size[MAX_SIZES];
    double seconds;
    bool use;
};

struct family {
    const char *name;
    int sizes;
    size_t constants;
    union constants start;
    double (*predict)(const fxc_device *device, const union constants *constants, const struct row *row);
    uint64_t shares; /* bits of constants that are at most 1 */
};

/* Weight of differences between collectives, in rows. */
#ifndef APART
#define APART 0.5
#endif

/* bfloat16, as all measured products and attentions. */
static const double size_of_element = 2;

static double predict_gemm(const fxc_device *device, const union constants *constants, const struct row *row) {
    fxc_gemm_shape shape = {1, row->size[0], row->size[1], row->size[2]};
    return fxc_gpu_gemm_time(device, &constants->gemm, &shape, device->matrix_bf16, size_of_element).seconds;
}

static fxc_attention_shape attention(const struct row *row) {
    const int64_t *s = row->size; /* batch, queries, cached, heads, kv heads, depth */
    return (fxc_attention_shape){.batch = s[0],
                                 .heads = s[3],
                                 .kv_heads = s[4],
                                 .queries = s[1],
                                 .keys = s[1] + s[2],
                                 .depth = s[5],
                                 .value_depth = s[5],
                                 .causal = 1};
}

static double predict_prefill(const fxc_device *device, const union constants *constants, const struct row *row) {
    fxc_attention_shape shape = attention(row);
    return fxc_gpu_prefill_time(device, &constants->prefill, &shape, device->matrix_bf16, size_of_element).seconds;
}

static double predict_decode(const fxc_device *device, const union constants *constants, const struct row *row) {
    fxc_attention_shape shape = attention(row);
    return fxc_gpu_decode_time(device, &constants->decode, &shape, size_of_element).seconds;
}

static double predict_collective(const fxc_device *device, const union constants *constants, const struct row *row) {
    fxc_collective_shape shape = {row->size[1], row->size[2], (uint8_t)row->size[0]};
    return fxc_gpu_collective_time(device, &constants->collective[row->size[0]], &shape);
}

#define CONSTANTS(type) (sizeof(struct type) / sizeof(double))

#define COLLECTIVE {{4e-6, 1e-6, 0.2, 0.1}, {10e-6, 1e-6, 0.8, 0.1}}

static const struct family families[] = {
    {"gemm",
     3,
     CONSTANTS(fxc_gpu_gemm),
     {.gemm = {.launch = 2.3e-6,
               .prologue = 5e-7,
               .quantised = 0.8,
               .memory = 0.85,
               .subscription = 1,
               .cache = 3,
               .held_weight = 0.1,
               .held_rest = 0.5,
               .sharpness = 4,
               .overlap = 0.8,
               .split = 2e-6,
               .depth = 150,
               .sustained = 0.02,
               .tile = {{0.05, 0.08, 0.15, 0.3, 0.4},
                        {0.08, 0.15, 0.3, 0.4, 0.5},
                        {0.15, 0.3, 0.5, 0.7, 0.8},
                        {0.3, 0.4, 0.7, 0.8, 0.9},
                        {0.4, 0.5, 0.8, 0.9, 0}}}},
     predict_gemm,
     UINT64_C(1) << 27 | UINT64_C(1) << 34},
    {"prefill",
     6,
     CONSTANTS(fxc_gpu_prefill),
     {.prefill = {8e-6, {0.6, 0.7, 0.8, 0.8}, 0.5, 1e-6, 0.5, 0.8, 0.5, 1e-8, 0.5, 0.5, 0.2, 0.3, 3}},
     predict_prefill,
     UINT64_C(1) << 9 | UINT64_C(7) << 11},
    {"decode",
     6,
     CONSTANTS(fxc_gpu_decode),
     {.decode = {8e-6, 1e-6, 2, 2, 0.8, 0.2, 3, 0.7, 2e-6, 16}},
     predict_decode,
     UINT64_C(1) << 7},
    {"collective",
     3,
     COLLECTIVES *CONSTANTS(fxc_gpu_collective),
     {.collective = {COLLECTIVE, COLLECTIVE, COLLECTIVE, COLLECTIVE}},
     predict_collective,
     0},
};

struct fit {
    const struct family *family;
    const fxc_device *device;
    const struct row *rows;
    int count;
};

static double residual(const struct fit *fit, const union constants *constants, const struct row *row) {
    return log(row->seconds / fit->family->predict(fit->device, constants, row));
}

/* Collectives run on the same links and protocols: their constants differ no more than the rows demand. */
static double apart(const struct fit *fit, const union constants *constants) {
    size_t each = CONSTANTS(fxc_gpu_collective);
    double sum = 0;
    for (size_t i = 0; fit->family->predict == predict_collective && i < each; i++) {
        double mean = 0;
        for (size_t c = 0; c < COLLECTIVES; c++) {
            mean += log(constants->number[c * each + i]) / (double)COLLECTIVES;
        }
        for (size_t c = 0; c < COLLECTIVES; c++) {
            double away = log(constants->number[c * each + i]) - mean;
            sum += away * away;
        }
    }
    return APART * sum;
}

static double loss(const struct fit *fit, const union constants *constants) {
    double sum = apart(fit, constants);
    for (size_t i = 0; i < fit->family->constants; i++) {
        if ((fit->family->shares >> i & 1) != 0 && constants->number[i] > 1) {
            return INFINITY;
        }
    }
    int used = 0;
    for (int i = 0; i < fit->count; i++) {
        if (fit->rows[i].use) {
            sum += fabs(residual(fit, constants, &fit->rows[i]));
            used++;
        }
    }
    /* Constants that the rows say nothing about stay where they start. */
    for (size_t i = 0; i < fit->family->constants; i++) {
        double start = fit->family->start.number[i];
        double away = start > 0 ? log(constants->number[i] / start) : 0;
        sum += 2e-4 * away * away * used;
    }
    return isfinite(sum) ? sum / used : INFINITY;
}

/* Improves the constants in place; returns the loss. */
static double descend(const struct fit *fit, union constants *constants) {
    double step[MAX_CONSTANTS], best = loss(fit, constants);
    for (size_t i = 0; i < fit->family->constants; i++) {
        step[i] = 0.3;
    }
    double before = INFINITY;
    for (int round = 0; round < ROUNDS && best < before - 1e-5; round++) {
        before = round < LEAST_ROUNDS ? INFINITY : best;
        for (size_t i = 0; i < fit->family->constants; i++) {
            double old = constants->number[i];
            bool better = false;
            for (int sign = -1; sign <= 1 && !better && old != 0; sign += 2) {
                constants->number[i] = old * exp(sign * step[i]);
                double value = loss(fit, constants);
                better = value < best;
                best = better ? value : best;
            }
            constants->number[i] = better ? constants->number[i] : old;
            step[i] = better ? 1.5 * step[i] : step[i] < 0.008 ? 0.03 : 0.5 * step[i];
        }
    }
    return best;
}

/* Uniform in [-1, 1), the same on every machine. */
static double noise(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 33) / (double)(UINT64_C(1) << 30) - 1;
}

static union constants search(const struct fit *fit, int starts) {
    union constants best = fit->family->start;
    double least = descend(fit, &best);
    uint64_t state = 1;
    for (int start = 1; start < starts; start++) {
        union constants trial = start % 2 != 0 ? fit->family->start : best;
        for (size_t i = 0; i < fit->family->constants; i++) {
            trial.number[i] *= exp((start % 2 != 0 ? 0.8 : 0.25) * noise(&state));
            if ((fit->family->shares >> i & 1) != 0 && trial.number[i] > 1) {
                trial.number[i] = 1;
            }
        }
        double value = descend(fit, &trial);
        best = value < least ? trial : best;
        least = value < least ? value : least;
    }
    (void)fprintf(stderr, "%s %s: %d rows, mean absolute log error %.4f\n", fit->device->name, fit->family->name,
                  fit->count, least);
    return best;
}

static int read_rows(const struct family *family, struct row *rows) {
    int count = 0;
    for (double number; count < MAX_ROWS; count++) {
        if (scanf("%lf", &number) != 1) {
            return count;
        }
        rows[count].use = number != 0;
        for (int i = 0; i < family->sizes; i++) {
            if (scanf("%lf", &number) != 1) {
                return count;
            }
            rows[count].size[i] = (int64_t)number;
        }
        if (scanf("%lf", &number) != 1) {
            return count;
        }
        rows[count].seconds = 1e-6 * number;
    }
    return count;
}

int main(int argc, char **argv) {
    static struct row rows[MAX_ROWS];
    const struct family *family = NULL;
    for (size_t i = 0; argc == 4 && i < sizeof families / sizeof families[0]; i++) {
        family = strcmp(families[i].name, argv[1]) == 0 ? &families[i] : family;
    }
    const fxc_device *device = argc == 4 ? fxc_device_find(argv[2]) : NULL;
    if (family == NULL || device == NULL) {
        (void)fprintf(stderr, "fit_gpu gemm|prefill|decode|collective DEVICE STARTS < rows\n");
        return 2;
    }
    struct fit fit = {family, device, rows, read_rows(family, rows)};
    union constants found = search(&fit, atoi(argv[3]));
    for (size_t i = 0; i < family->constants; i++) {
        (void)printf("%.6g ", found.number[i]);
    }
    (void)printf("\n");
    for (int i = 0; i < fit.count; i++) {
        (void)printf("%.6g\n", residual(&fit, &found, &rows[i]));
    }
    return 0;
}
