/* The cpu timing model: its coefficients from measured samples. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu.h"

enum {
    FOLDS = 5,
    ROUNDS = 12,       /* of weights */
    SWEEPS = 400,      /* of coordinate descent */
    LEAST_SAMPLES = 6, /* of a class, and with a feature: what fewer tell is not told */
};

/* Coefficients of these features are one for all classes of a group. */
static const uint32_t shared = 1u << FXC_CPU_START2 | 1u << FXC_CPU_START3 | 1u << FXC_CPU_BYTE |
                               1u << FXC_CPU_STRIDED | 1u << FXC_CPU_EXPONENTIAL | 1u << FXC_CPU_LOGARITHM |
                               1u << FXC_CPU_SINE | 1u << FXC_CPU_TANGENT | 1u << FXC_CPU_ERROR | 1u << FXC_CPU_L2 |
                               1u << FXC_CPU_L3;

/* Timer and scheduler leave that much in doubt: shorter samples weigh by absolute error. */
static const double least_seconds = 1.5e-6;

/* 1: errors count relative to the time, 0: by themselves. The least cross-validated error above 100 us is between. */
static const double power = 0.85;

/* A least-squares problem in coefficients that are at least 0: one group of classes. */
struct problem {
    const struct fxc_cpu_sample *samples;
    uint32_t count;
    const char *group;
    uint32_t size;                                                /* unknowns */
    uint16_t unknown[FXC_CPU_CLASS_COUNT][FXC_CPU_FEATURE_COUNT]; /* which one, for classes of the group */
    double *gram, *right, *solution;                              /* [size][size], [size] */
    uint32_t *met;                                                /* [size] samples that each is about */
};

static bool in_group(const struct problem *problem, uint32_t class) {
    return class < FXC_CPU_CLASS_COUNT && strcmp(fxc_cpu_classes[class].group, problem->group) == 0;
}

static void number_unknowns(struct problem *problem) {
    uint16_t common[FXC_CPU_FEATURE_COUNT];
    bool numbered[FXC_CPU_FEATURE_COUNT] = {false};
    problem->size = 0;
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        for (uint32_t f = 0; in_group(problem, class) && f < FXC_CPU_FEATURE_COUNT; f++) {
            if ((fxc_cpu_classes[class].features >> f & 1u) == 0) {
                continue;
            }
            if ((shared >> f & 1u) == 0) {
                problem->unknown[class][f] = (uint16_t)problem->size++;
                continue;
            }
            if (!numbered[f]) {
                numbered[f] = true;
                common[f] = (uint16_t)problem->size++;
            }
            problem->unknown[class][f] = common[f];
        }
    }
}

/* Unknowns that too few samples are about stay 0. */
static void count_samples(struct problem *problem) {
    memset(problem->met, 0, problem->size * sizeof *problem->met);
    for (uint32_t i = 0; i < problem->count; i++) {
        const struct fxc_cpu_sample *sample = &problem->samples[i];
        for (uint32_t f = 0; in_group(problem, sample->class) && f < FXC_CPU_FEATURE_COUNT; f++) {
            if (sample->feature[f] > 0) {
                problem->met[problem->unknown[sample->class][f]]++;
            }
        }
    }
}

static bool is_used(const struct problem *problem, uint32_t i, uint32_t fold) {
    return in_group(problem, problem->samples[i].class) && (fold == FOLDS || i % FOLDS != fold);
}

static double predicted(const struct problem *problem, const struct fxc_cpu_sample *sample) {
    double seconds = 0;
    for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
        if ((fxc_cpu_classes[sample->class].features >> f & 1u) != 0) {
            seconds += problem->solution[problem->unknown[sample->class][f]] * sample->feature[f];
        }
    }
    return seconds;
}

/* Relative, but not of less than a few microseconds. */
static double error_of(const struct problem *problem, const struct fxc_cpu_sample *sample) {
    return fabs(predicted(problem, sample) - sample->seconds) / fmax(sample->seconds, least_seconds);
}

static void accumulate(struct problem *problem, const struct fxc_cpu_sample *sample, double weight) {
    for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
        if (sample->feature[f] == 0) {
            continue;
        }
        uint32_t row = problem->unknown[sample->class][f];
        problem->right[row] += weight * sample->feature[f] * sample->seconds;
        for (uint32_t g = 0; g < FXC_CPU_FEATURE_COUNT; g++) {
            if (sample->feature[g] != 0) {
                problem->gram[row * problem->size + problem->unknown[sample->class][g]] +=
                    weight * sample->feature[f] * sample->feature[g];
            }
        }
    }
}

/* Coordinate descent, which ends at the least for a convex problem with bounds. */
static void descend(struct problem *problem) {
    uint32_t n = problem->size;
    for (uint32_t sweep = 0; sweep < SWEEPS; sweep++) {
        for (uint32_t i = 0; i < n; i++) {
            const double *row = problem->gram + (size_t)i * n;
            double gradient = problem->right[i];
            if (row[i] <= 0 || problem->met[i] < LEAST_SAMPLES) {
                problem->solution[i] = 0;
                continue;
            }
            for (uint32_t j = 0; j < n; j++) {
                gradient -= row[j] * problem->solution[j];
            }
            problem->solution[i] = fmax(0, problem->solution[i] + gradient / row[i]);
        }
    }
}

/* Least absolute relative error by least squares with weights that are renewed. `fold` is left out; FOLDS: none is.
 *
 * Errors are relative to what is predicted, but in the first round: relative to what was measured, a guess of too much
 * weighs more than one of too little, and where times scatter the fit comes out below their middle. */
static void solve(struct problem *problem, uint32_t fold) {
    size_t n = problem->size;
    memset(problem->solution, 0, n * sizeof(double));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        memset(problem->gram, 0, n * n * sizeof(double));
        memset(problem->right, 0, n * sizeof(double));
        for (uint32_t i = 0; i < problem->count; i++) {
            const struct fxc_cpu_sample *sample = &problem->samples[i];
            if (is_used(problem, i, fold)) {
                double whole = fmax(round == 0 ? sample->seconds : predicted(problem, sample), least_seconds);
                double base = pow(whole, power);
                double residual = round == 0 ? 1 : fabs(predicted(problem, sample) - sample->seconds) / whole;
                accumulate(problem, sample, 1 / (base * base * fmax(residual, 0.02)));
            }
        }
        descend(problem);
    }
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Errors of every sample under a fit without its fold, sorted by class. */
static fxc_status cross_validate(struct problem *problem, struct fxc_cpu_residual *residuals) {
    double *errors = calloc(problem->count, sizeof *errors), *own = calloc(problem->count, sizeof *own);
    if (errors == NULL || own == NULL) {
        free(errors);
        free(own);
        return FXC_MEMORY;
    }
    for (uint32_t fold = 0; fold < FOLDS; fold++) {
        solve(problem, fold);
        for (uint32_t i = fold; i < problem->count; i += FOLDS) {
            errors[i] = in_group(problem, problem->samples[i].class) ? error_of(problem, &problem->samples[i]) : 0;
        }
    }
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        uint32_t count = 0;
        double sum = 0;
        for (uint32_t i = 0; i < problem->count && in_group(problem, class); i++) {
            if (problem->samples[i].class == class) {
                own[count++] = errors[i];
                sum += errors[i];
            }
        }
        if (count > 0) {
            qsort(own, count, sizeof *own, by_value);
            residuals[class] = (struct fxc_cpu_residual){count, sum / count, own[count / 2], own[count * 9 / 10]};
        }
    }
    free(errors);
    free(own);
    return FXC_OK;
}

static void take_solution(const struct problem *problem, const struct fxc_cpu_residual *residuals,
                          struct fxc_cpu_constants *out) {
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        if (!in_group(problem, class) || residuals[class].samples < LEAST_SAMPLES) {
            continue;
        }
        for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
            if ((fxc_cpu_classes[class].features >> f & 1u) != 0) {
                out->seconds[class][f] = problem->solution[problem->unknown[class][f]];
            }
        }
        out->error[class] = fmax(residuals[class].mean, 1e-3);
    }
}

static fxc_status fit_group(struct problem *problem, struct fxc_cpu_constants *out,
                            struct fxc_cpu_residual *residuals) {
    number_unknowns(problem);
    size_t n = problem->size;
    double *memory = calloc(n * n + 2 * n, sizeof *memory);
    problem->met = calloc(n, sizeof *problem->met);
    if (memory == NULL || problem->met == NULL) {
        free(memory);
        free(problem->met);
        return FXC_MEMORY;
    }
    count_samples(problem);
    problem->gram = memory;
    problem->right = memory + n * n;
    problem->solution = memory + n * n + n;
    fxc_status status = cross_validate(problem, residuals);
    if (status == FXC_OK) {
        solve(problem, FOLDS);
        take_solution(problem, residuals, out);
    }
    free(memory);
    free(problem->met);
    return status;
}

fxc_status fxc_cpu_fit(const struct fxc_cpu_sample *samples, uint32_t count, struct fxc_cpu_constants *out,
                       struct fxc_cpu_residual residuals[FXC_CPU_CLASS_COUNT]) {
    memset(out, 0, sizeof *out);
    memset(residuals, 0, FXC_CPU_CLASS_COUNT * sizeof residuals[0]);
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        const char *group = fxc_cpu_classes[class].group;
        bool first = class == 0 || strcmp(fxc_cpu_classes[class - 1].group, group) != 0;
        struct problem problem = {.samples = samples, .count = count, .group = group};
        fxc_status status = first ? fit_group(&problem, out, residuals) : FXC_OK;
        if (status != FXC_OK) {
            return status;
        }
    }
    return FXC_OK;
}
