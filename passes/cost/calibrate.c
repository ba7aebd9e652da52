/* Calibration: measured nodes become samples of the cpu timing model, and the fit becomes a device. */
#include "fxcost/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu.h"
#include "fxcost/device.h"
#include "ir/ops.h"
#include "passes/cost/work.h"
#include "passes/grow.h"
#include "passes/kernel_cost/describe.h"

/* Above these a machine is too noisy: the spread of the least times of one probe over the programs; and by how much the
 * median time of a node is above its least, for the median node. */
static const double most_spread = 0.25, most_jitter = 0.20;
/* Samples of more bytes tell the bandwidth of the memory, or of a last cache that is larger. */
static const double most_cached = 40e6;
enum { MOST_PROBES = 16, MOST_NAME = 32 };

/* A kind of work that every program repeats. */
struct probe {
    char name[MOST_NAME];
    double least, most; /* seconds, of the least in each program */
};

struct calibration {
    const fxc_calibration *asked;
    fxc_device device;
    struct fxc_cpu_constants constants;
    struct fxc_cpu_residual residual[FXC_CPU_CLASS_COUNT];
    struct fxc_cpu_sample *sample;
    double *jitter; /* per sample: median over least, less 1 */
    uint32_t count, sample_capacity, jitter_capacity;
    struct probe probe[MOST_PROBES], own[MOST_PROBES]; /* of all programs; of one */
    uint32_t probes, own_probes;
    double python_seconds, calls; /* of models that ran as they are: beside their nodes; calls of modules */
};

/* ---- samples --------------------------------------------------------------------------------------------------------
 */

static struct probe *find_probe(struct probe *probes, uint32_t *count, const char *name) {
    for (uint32_t i = 0; i < *count; i++) {
        if (strncmp(probes[i].name, name, MOST_NAME - 1) == 0) {
            return &probes[i];
        }
    }
    if (*count == MOST_PROBES) {
        return NULL;
    }
    struct probe *probe = &probes[(*count)++];
    *probe = (struct probe){.least = INFINITY};
    (void)snprintf(probe->name, sizeof probe->name, "%s", name);
    return probe;
}

/* "probe_copy", "probe_copy_1", ... are one probe. */
static void note_probe(struct calibration *c, const char *node, double seconds) {
    char name[MOST_NAME];
    (void)snprintf(name, sizeof name, "%s", node);
    size_t length = strlen(name), digits = strcspn(name, "0123456789");
    if (digits < length && digits > 0 && name[digits - 1] == '_') {
        name[digits - 1] = '\0';
    }
    struct probe *probe = find_probe(c->own, &c->own_probes, name);
    if (probe != NULL) {
        probe->least = fmin(probe->least, seconds);
    }
}

static void keep_probes(struct calibration *c) {
    for (uint32_t i = 0; i < c->own_probes; i++) {
        struct probe *probe = find_probe(c->probe, &c->probes, c->own[i].name);
        if (probe != NULL) {
            probe->least = fmin(probe->least, c->own[i].least);
            probe->most = fmax(probe->most, c->own[i].least);
        }
    }
    c->own_probes = 0;
}

static bool add_sample(struct calibration *c, const fxc_work *work, double least, double median) {
    if (!FXC_ROOM(c->sample, c->sample_capacity, c->count + 1) ||
        !FXC_ROOM(c->jitter, c->jitter_capacity, c->count + 1)) {
        return false;
    }
    struct fxc_cpu_sample *sample = &c->sample[c->count];
    sample->class = fxc_cpu_describe(&c->device, work, sample->feature);
    sample->seconds = median;
    c->jitter[c->count] = median / least - 1;
    c->count += sample->class != FXC_CPU_CLASS_COUNT;
    /* Peaks of the roofline: the best that was met. */
    double flops = (double)work->counts.matrix_flops / least;
    double bytes = (double)work->counts.bytes_read + (double)work->counts.bytes_written;
    if (work->dtype == FXC_DTYPE_FLOAT32) {
        c->device.matrix_f32 = fmax(c->device.matrix_f32, flops);
    }
    if (bytes > fmin(2 * c->device.cache_bytes[2], most_cached)) {
        c->device.memory_bytes_per_second = fmax(c->device.memory_bytes_per_second, bytes / least);
    }
    return true;
}

static fxc_status add_nodes(struct calibration *c, const struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_measured *measured = analysis->measured;
    struct fxc_arena arena = {0};
    struct fxc_context context;
    fxc_status status = fxc_context_of(analysis, true, &arena, &context, err);
    double nodes = 0;
    struct fxc_rule rule = {.program = p, .shapes = analysis->shapes, .bindings = analysis->bindings};
    for (; status == FXC_OK && rule.node < FXC_COUNT(p, node); rule.node++) {
        double least = measured->least[rule.node], median = measured->seconds[rule.node];
        const struct fxc_op_row *row = fxc_node_row(p, rule.node);
        nodes += median > 0 ? median : 0;
        if (!(least > 0) || !(median > 0) || row == NULL || row->fuse == FXC_FUSE_NOTHING) {
            continue;
        }
        fxc_work work = fxc_work_of(analysis, &context, &rule);
        if (strncmp(fxc_node_name(p, rule.node), "probe_", 6) == 0) {
            note_probe(c, fxc_node_name(p, rule.node), least);
        }
        if (!add_sample(c, &work, least, median)) {
            status = fxc_fail_memory(err, "fxc_calibrate");
        }
    }
    fxc_arena_free(&arena);
    keep_probes(c);
    if (FXC_COUNT(p, call) > 0 && measured->whole > nodes) { /* a model run as it is: the rest is Python */
        c->python_seconds += measured->whole - nodes;
        c->calls += FXC_COUNT(p, call);
    }
    return status;
}

/* What a kernel took is written at one of its nodes. */
static void measured_of(const struct fxc_analysis *analysis, const struct fxc_kernel_row *k, double *least,
                        double *median) {
    *least = *median = 0;
    for (uint32_t i = k->member_begin; i < k->member_begin + k->member_count; i++) {
        uint32_t node = analysis->fusion->member[i];
        if (analysis->measured->seconds[node] > 0) {
            *least += analysis->measured->least[node];
            *median += analysis->measured->seconds[node];
        }
    }
}

/* A program whose kernels were measured as a compiler made them: loops, each of which shares its nodes with no other.
 */
static fxc_status add_kernels(struct calibration *c, const struct fxc_analysis *analysis, fxc_error *err) {
    struct fxc_arena arena = {0};
    struct fxc_kernel_describing describing;
    fxc_status status = fxc_describe_kernels(analysis, NULL, true, &arena, &describing, err);
    for (uint32_t i = 0; status == FXC_OK && i < analysis->fusion->kernel_count; i++) {
        const struct fxc_kernel_row *k = &analysis->fusion->kernel[i];
        double least, median;
        measured_of(analysis, k, &least, &median);
        if (!(least > 0) || fxc_kernel_lead(analysis->program, analysis->fusion, k) != FXC_NONE) {
            continue;
        }
        fxc_work work = fxc_describe_kernel(&describing, k);
        if (!add_sample(c, &work, least, median)) {
            status = fxc_fail_memory(err, "fxc_calibrate");
        }
    }
    fxc_arena_free(&arena);
    return status;
}

static fxc_status refuse(fxc_error *err, fxc_status status, const char *program, const char *expected,
                         const char *found) {
    (void)fxc_fail(err, status, "calibration with %s", program);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "%s", found);
    return status;
}

/* What the programs say of the host they ran on, which is to be one. */
static fxc_status read_host(struct calibration *c, const struct fxc_program *p, fxc_error *err) {
    const struct {
        const char *key;
        double *figure;
    } figures[] = {{"host_memory_bytes", &c->device.memory_bytes},
                   {"host_cache_1_bytes", &c->device.cache_bytes[0]},
                   {"host_cache_2_bytes", &c->device.cache_bytes[1]},
                   {"host_cache_3_bytes", &c->device.cache_bytes[2]},
                   {"measured_threads", &c->device.units}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        int64_t value = 0;
        if (!fxc_program_capture(p, figures[i].key, FXC_KIND_INT, &value) || value <= 0) {
            char expected[80];
            (void)snprintf(expected, sizeof expected, "a measured program that says %s", figures[i].key);
            return refuse(err, FXC_USAGE, p->file, expected, "none");
        }
        if (*figures[i].figure > 0 && *figures[i].figure < (double)value + 0.5 &&
            *figures[i].figure > (double)value - 0.5) {
            continue;
        }
        if (*figures[i].figure > 0) {
            return refuse(err, FXC_USAGE, p->file, "programs that were measured on one host with as many threads",
                          figures[i].key);
        }
        *figures[i].figure = (double)value;
    }
    return FXC_OK;
}

/* `profile`: the kernels that its times are of; NULL: of nodes. */
static fxc_status add_times(struct calibration *c, struct fxc_analysis *analysis, const char *profile, fxc_error *err) {
    if (profile != NULL) {
        FXC_TRY(fxc_analysis_set(analysis, "profile", profile, err));
    }
    FXC_TRY(fxc_require_facts(
        analysis, FXC_FACT_BIT(alias) | FXC_FACT_BIT(flops) | FXC_FACT_BIT(traffic) | FXC_FACT_BIT(measured), err));
    if (analysis->measured->least == NULL) {
        return refuse(err, FXC_USAGE, analysis->program->file, "a program with measured times", "none");
    }
    if (profile == NULL) {
        return add_nodes(c, analysis, err);
    }
    FXC_TRY(fxc_require_facts(analysis, FXC_FACT_BIT(fusion), err));
    return add_kernels(c, analysis, err);
}

static fxc_status add_program(struct calibration *c, const struct fxc_program *p, fxc_error *err) {
    struct fxc_analysis *analysis = NULL;
    int64_t text = 0;
    bool compiled = fxc_program_capture(p, "measured_kernels", FXC_KIND_STRING, &text);
    FXC_TRY(fxc_analysis_new(p, &analysis, err));
    fxc_status status = add_times(c, analysis, compiled ? fxc_string(p, (uint32_t)text) : NULL, err);
    fxc_analysis_free(analysis);
    return status;
}

/* ---- is it quiet? ---------------------------------------------------------------------------------------------------
 */

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static fxc_status too_noisy(const struct calibration *c, const char *found, fxc_error *err) {
    if (c->asked->noisy) {
        return FXC_OK;
    }
    fxc_status status = fxc_fail(err, FXC_DEVICE, "calibration");
    fxc_expected(err,
                 "a machine on which repeated measurements agree: probes within %.0f %%, medians of nodes within "
                 "%.0f %% of the least",
                 100 * most_spread, 100 * most_jitter);
    fxc_found(err, "%s", found);
    fxc_advice(err, "stop what else runs, and calibrate again");
    return status;
}

static fxc_status check_noise(const struct calibration *c, fxc_error *err) {
    char found[160];
    for (uint32_t i = 0; i < c->probes; i++) {
        double spread = c->probe[i].most / c->probe[i].least - 1;
        if (!(spread <= most_spread)) {
            (void)snprintf(found, sizeof found, "%s took from %.3g to %.3g s: %.0f %%", c->probe[i].name,
                           c->probe[i].least, c->probe[i].most, 100 * spread);
            return too_noisy(c, found, err);
        }
    }
    qsort(c->jitter, c->count, sizeof *c->jitter, by_value);
    double jitter = c->jitter[c->count / 2];
    if (!(jitter <= most_jitter)) {
        (void)snprintf(found, sizeof found, "the median node's median time is %.0f %% above its least", 100 * jitter);
        return too_noisy(c, found, err);
    }
    return FXC_OK;
}

/* ---- what comes of it -----------------------------------------------------------------------------------------------
 */

static bool tell(const struct calibration *c, const char *line) {
    return c->asked->report == NULL || c->asked->report(c->asked->report_context, line, strlen(line));
}

static bool report(const struct calibration *c) {
    char line[160];
    bool told = tell(c, "class             samples   mean  median  worst tenth: relative error out of the fit, %\n");
    for (uint32_t class = 0; told && class < FXC_CPU_CLASS_COUNT; class ++) {
        const struct fxc_cpu_residual *r = &c->residual[class];
        (void)snprintf(line, sizeof line, "%-17s %7u %6.1f %7.1f %7.1f\n", fxc_cpu_classes[class].name, r->samples,
                       100 * r->mean, 100 * r->median, 100 * r->worst_tenth);
        told = tell(c, line);
    }
    for (uint32_t i = 0; told && i < c->probes; i++) {
        (void)snprintf(line, sizeof line, "%s: %.4g s, within %.1f %% over the programs\n", c->probe[i].name,
                       c->probe[i].least, 100 * (c->probe[i].most / c->probe[i].least - 1));
        told = tell(c, line);
    }
    return told;
}

/* Vector work has no sample of its own: the rate of the lightest operators, whose bytes it is that they take. */
static fxc_status finish(struct calibration *c, fxc_write_fn write, void *context, fxc_error *err) {
    char source[160];
    int64_t torch = 0;
    const struct fxc_program *p = c->asked->programs[0];
    bool known = fxc_program_capture(p, "measured_torch", FXC_KIND_STRING, &torch);
    (void)snprintf(source, sizeof source, "fxcost calibrate, torch %s, %u samples",
                   known ? fxc_string(p, (uint32_t)torch) : "?", c->count);
    c->device.name = c->asked->name == NULL ? "host" : c->asked->name;
    known = fxc_program_capture(p, "measured_on", FXC_KIND_STRING, &torch);
    c->device.description = known ? fxc_string(p, (uint32_t)torch) : c->device.name;
    c->device.source = source;
    c->device.model = "cpu";
    c->device.vector_f32 = c->device.matrix_f32;
    c->device.cpu = &c->constants;
    return fxc_device_print(&c->device, write, context, err);
}

/* All samples, of a host whose last cache serves this process with this share of its size. */
static fxc_status add_programs(struct calibration *c, double share, fxc_error *err) {
    c->count = c->probes = 0;
    c->python_seconds = c->calls = 0;
    c->device = (fxc_device){.struct_size = sizeof c->device};
    for (uint32_t i = 0; i < c->asked->count; i++) {
        FXC_TRY(read_host(c, c->asked->programs[i], err));
    }
    c->device.cache_bytes[2] *= share;
    for (uint32_t i = 0; i < c->asked->count; i++) {
        FXC_TRY(add_program(c, c->asked->programs[i], err));
    }
    return FXC_OK;
}

static double mean_error(const struct calibration *c) {
    double sum = 0;
    for (uint32_t class = 0; class < FXC_CPU_CLASS_COUNT; class ++) {
        sum += c->residual[class].mean * c->residual[class].samples;
    }
    return sum / c->count;
}

static fxc_status fit(struct calibration *c, double share, fxc_error *err) {
    FXC_TRY(add_programs(c, share, err));
    if (c->count == 0 || c->device.matrix_f32 <= 0 || c->device.memory_bytes_per_second <= 0) {
        return refuse(err, FXC_USAGE, c->asked->count == 0 ? "no program" : c->asked->programs[0]->file,
                      "measured products, and copies of more than the caches", "none");
    }
    return fxc_cpu_fit(c->sample, c->count, &c->constants, c->residual) == FXC_OK
               ? FXC_OK
               : fxc_fail_memory(err, "fxc_calibrate");
}

/* glibc's allocator returns blocks of 32 MiB at once, and keeps smaller ones sooner or later (M_MMAP_THRESHOLD,
 * mallopt(3)). */
static void read_pages(struct calibration *c) {
    const struct fxc_program *p = c->asked->programs[0];
    int64_t bytes = 0, picoseconds = 0;
    if (fxc_program_capture(p, "host_page_bytes", FXC_KIND_INT, &bytes) && bytes > 0 &&
        fxc_program_capture(p, "host_page_picoseconds", FXC_KIND_INT, &picoseconds) && picoseconds > 0) {
        c->constants.page_bytes = (double)bytes;
        c->constants.page_seconds = 1e-12 * (double)picoseconds;
        c->constants.page_from = 32.0 * 1024 * 1024;
    }
}

/* Other tenants of a machine share its last cache: the share that explains the samples best, of those that a fit has
 * not seen, is the one that counts. */
static fxc_status calibrate(struct calibration *c, fxc_write_fn write, void *context, fxc_error *err) {
    static const double shares[] = {1, 0.75, 0.5, 0.35, 0.25};
    double best = 0, least = INFINITY;
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        FXC_TRY(fit(c, shares[i], err));
        double error = mean_error(c);
        best = error < least ? shares[i] : best;
        least = fmin(error, least);
    }
    FXC_TRY(fit(c, best, err));
    c->constants.module_seconds = c->calls > 0 ? c->python_seconds / c->calls : 0;
    read_pages(c);
    if (!report(c)) {
        return fxc_fail(err, FXC_IO, "fxc_calibrate: the report");
    }
    FXC_TRY(check_noise(c, err));
    return finish(c, write, context, err);
}

fxc_status fxc_calibrate(const fxc_calibration *asked, fxc_write_fn write, void *context, fxc_error *err) {
    if (asked->struct_size < sizeof *asked) {
        return fxc_fail(err, FXC_USAGE, "fxc_calibrate: struct_size %zu", asked->struct_size);
    }
    struct calibration *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return fxc_fail_memory(err, "fxc_calibrate");
    }
    c->asked = asked;
    fxc_status status = calibrate(c, write, context, err);
    free(c->sample);
    free(c->jitter);
    free(c);
    return status;
}
