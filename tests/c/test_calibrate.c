/* Calibration: classes and the fit against numbers that are known here, bad measurements, and device files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/cpu.h"
#include "backends/models.h"
#include "fxcost/calibrate.h"
#include "fxcost/device.h"

static void assert_close(double found, double expected, double share) {
    if (!(fabs(found - expected) <= share * fabs(expected))) {
        fail_msg("%.17g, expected %.17g", found, expected);
    }
}

/* Numbers from 0 to 1 (Lehmer's generator). */
static double drawn(uint64_t *state) {
    *state = *state * 48271 % 2147483647;
    return (double)*state / 2147483647.0;
}

/* ---- classes --------------------------------------------------------------------------------------------------------
 */

static uint32_t class_of(const fxc_work *work, double feature[FXC_CPU_FEATURE_COUNT]) {
    const fxc_device device = {.struct_size = sizeof device, .units = 1, .cache_bytes = {48e3, 1e6, 32e6}};
    return fxc_cpu_describe(&device, work, feature);
}

/* Which of torch's kernels convolutions of groups take. */
static void test_groups(void **state) {
    (void)state;
    double feature[FXC_CPU_FEATURE_COUNT];
    fxc_operand image = {.bytes = 4};
    fxc_work work = {.struct_size = sizeof work, .kind = FXC_WORK_CONVOLUTION, .operand = &image, .operand_count = 1};
    fxc_convolution_shape *s = &work.shape.convolution;
    *s = (fxc_convolution_shape){1, 64, 64, 64, {14, 14, 1}, {14, 14, 1}, {3, 3, 1}, {1, 1, 1}, 0, 0};
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_conv_depthwise);
    image.strided = 1;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_conv_depthwise_last);
    image.strided = 0;
    s->groups = 4;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_conv_grouped);
    s->groups = 8; /* of eight channels */
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_conv_grouped_unfold);
    assert_close(feature[FXC_CPU_MAC], 14. * 14 * 9 * 8 * 16 * 8, 0);
    assert_close(feature[FXC_CPU_BATCH], 8, 0);
    s->kernel[0] = s->kernel[1] = 1; /* oneDNN takes no 1x1 of one image with one thread */
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_conv_grouped_apart);
    *s = (fxc_convolution_shape){1, 64, 64, 64, {100, 1, 1}, {100, 1, 1}, {13, 1, 1}, {1, 1, 1}, 0, 0};
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_conv_depthwise); /* six of padding on each side */
    s->kernel[0] = 15;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_conv_depthwise_wide);
}

/* Operators with several kernels. */
static void test_kernels_by_size(void **state) {
    (void)state;
    double feature[FXC_CPU_FEATURE_COUNT];
    fxc_work work = {.struct_size = sizeof work, .kind = FXC_WORK_REDUCTION, .op = "aten.amax.default"};
    work.shape.rows = (fxc_rows_shape){64, 32, 0};
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_extreme);
    work.shape.rows.across = 1;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_extreme_across);
    work.op = "aten.upsample_nearest2d.vec";
    work.shape.rows = (fxc_rows_shape){64, 64, 0}; /* height and width are 128 together */
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_nearest_small);
    work.shape.rows.length = 66;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_nearest);
    work.op = "aten.adaptive_avg_pool1d.default";
    work.shape.rows = (fxc_rows_shape){64, 49, 0};
    work.results = 64;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_global_pool);
    work.results = 4 * 64;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_adaptive_pool);
    work = (fxc_work){.struct_size = sizeof work, .kind = FXC_WORK_COPY, .op = "aten.pad.default"};
    work.counts.bytes_read = 100;
    work.counts.bytes_written = 144;
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_pad);
    work.counts.bytes_written = 100; /* by nothing */
    assert_int_equal(class_of(&work, feature), FXC_CPU_CLASS_copy);
}

/* ---- the fit --------------------------------------------------------------------------------------------------------
 */

enum { SAMPLES = 400 };

static const double truth[FXC_CPU_FEATURE_COUNT] = {
    [FXC_CPU_CALL] = 3e-6,   [FXC_CPU_CODE2] = 5e-6, [FXC_CPU_CODE3] = 4e-5, [FXC_CPU_MAC] = 1.8e-11,
    [FXC_CPU_RIGHT] = 7e-10, [FXC_CPU_OUT] = 2e-10,  [FXC_CPU_L3] = 5e-11};

static void make_samples(struct fxc_cpu_sample *samples, double noise, double outliers) {
    uint64_t state = 1;
    memset(samples, 0, SAMPLES * sizeof *samples);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        struct fxc_cpu_sample *sample = &samples[i];
        double m = pow(2, 10 * drawn(&state)), n = pow(2, 6 + 6 * drawn(&state)), k = pow(2, 6 + 6 * drawn(&state));
        double cold = drawn(&state);
        sample->class = FXC_CPU_CLASS_gemm;
        sample->feature[FXC_CPU_CALL] = sample->feature[FXC_CPU_BATCH] = 1;
        sample->feature[FXC_CPU_CODE3] = cold;
        sample->feature[FXC_CPU_CODE2] = (1 - cold) * drawn(&state);
        sample->feature[FXC_CPU_MAC] = m * n * k;
        sample->feature[FXC_CPU_LEFT] = m * k;
        sample->feature[FXC_CPU_RIGHT] = n * k;
        sample->feature[FXC_CPU_OUT] = m * n;
        sample->feature[FXC_CPU_L3] = drawn(&state) * 4 * n * k;
        for (uint32_t f = 0; f < FXC_CPU_FEATURE_COUNT; f++) {
            sample->seconds += truth[f] * sample->feature[f];
        }
        sample->seconds *= 1 + noise * (2 * drawn(&state) - 1);
        sample->seconds *= drawn(&state) < outliers ? 2.5 : 1;
    }
}

static void assert_fits(double noise, double outliers, double share) {
    static struct fxc_cpu_sample samples[SAMPLES];
    static struct fxc_cpu_constants found;
    struct fxc_cpu_residual residual[FXC_CPU_CLASS_COUNT];
    make_samples(samples, noise, outliers);
    assert_int_equal(fxc_cpu_fit(samples, SAMPLES, &found, residual), FXC_OK);
    static const uint32_t large[] = {FXC_CPU_MAC, FXC_CPU_RIGHT, FXC_CPU_L3, FXC_CPU_CODE3};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        assert_close(found.seconds[FXC_CPU_CLASS_gemm][large[i]], truth[large[i]], share);
    }
    assert_int_equal(residual[FXC_CPU_CLASS_gemm].samples, SAMPLES);
    assert_true(residual[FXC_CPU_CLASS_gemm].median <= noise + 0.01);
    assert_true(found.error[FXC_CPU_CLASS_gemm] > 0);
    /* Of what was not measured nothing is told. */
    assert_true(found.error[FXC_CPU_CLASS_attention] <= 0 && residual[FXC_CPU_CLASS_attention].samples == 0);
}

static void test_fit_finds_the_constants(void **state) {
    (void)state;
    assert_fits(0, 0, 0.01);
    assert_fits(0.03, 0, 0.1);
}

static void test_fit_bears_outliers(void **state) {
    (void)state;
    assert_fits(0.02, 0.1, 0.15);
}

/* ---- calibration ----------------------------------------------------------------------------------------------------
 */

enum { NODES = 60, TEXT = 1 << 16 };

struct host {
    double jitter; /* median over least, less 1 */
    double probe;  /* how much longer the probe takes here */
    int threads;
    bool timed, told; /* with times; with what the host is */
};

/* Products of many sizes on a host where one takes 2 us + 20 ps a multiply-add, and copies at 10 GB/s. */
static void write_program(char *out, struct host host, uint64_t seed) {
    static int m[NODES], k[NODES], n[NODES];
    size_t used = 0;
#define PUT(...) used += (size_t)snprintf(out + used, TEXT - used, __VA_ARGS__)
    PUT("fxir 1.2\ncapture measured_threads = %d\n", host.threads);
    if (host.told) {
        PUT("capture host_memory_bytes = 8000000000\ncapture host_cache_1_bytes = 32768\n"
            "capture host_page_bytes = 4096\ncapture host_page_picoseconds = 2000000\n"
            "capture host_cache_2_bytes = 1048576\ncapture host_cache_3_bytes = 16777216\n");
    }
    for (int i = 0; i < NODES; i++) {
        m[i] = 16 + (int)(100 * drawn(&seed));
        k[i] = 64 + (int)(400 * drawn(&seed));
        n[i] = 64 + (int)(400 * drawn(&seed));
        double nanoseconds = 2000 + 0.02 * m[i] * k[i] * n[i];
        if (host.timed) {
            PUT("measure %d min_ns = %.0f\nmeasure %d median_ns = %.0f\n", i, nanoseconds, i,
                nanoseconds * (1 + host.jitter));
        }
    }
    if (host.timed) {
        double copy = 2 * 4 * 8e6 / 10 * host.probe;
        PUT("measure %d min_ns = %.0f\nmeasure %d median_ns = %.0f\n", NODES, copy, NODES, copy);
    }
    PUT("graph \"main\" captured\n");
    for (int i = 0; i < NODES; i++) {
        PUT("  input %%x%d: f32[%d, %d] @%d\n  input %%w%d: f32[%d, %d] @%d\n", i, m[i], k[i], 3 * i, i, n[i], k[i],
            3 * i + 1);
    }
    PUT("  input %%large: f32[8000000] @%d\n", 3 * NODES);
    for (int i = 0; i < NODES; i++) {
        PUT("  %%y%d = aten.linear.default(input=%%x%d, weight=%%w%d) -> f32[%d, %d] @%d\n", i, i, i, m[i], n[i],
            3 * i + 2);
    }
    PUT("  %%probe_copy = aten.clone.default(self=%%large) -> f32[8000000] @%d\n  return %%y0\n", 3 * NODES + 1);
#undef PUT
}

struct written {
    char text[TEXT];
    size_t size;
};

static bool keep(void *context, const char *bytes, size_t size) {
    struct written *written = context;
    if (written->size + size >= TEXT) {
        return false;
    }
    memcpy(written->text + written->size, bytes, size);
    written->size += size;
    written->text[written->size] = '\0';
    return true;
}

static fxc_status calibrate(struct host first, struct host second, bool noisy, struct written *out, fxc_error *err) {
    static char text[TEXT];
    fxc_program *programs[2];
    struct host hosts[2] = {first, second};
    for (uint32_t i = 0; i < 2; i++) {
        write_program(text, hosts[i], 11 + i);
        assert_int_equal(fxc_program_from_memory(text, strlen(text), "samples", &programs[i], err), FXC_OK);
    }
    fxc_calibration asked = {.struct_size = sizeof asked,
                             .name = "test",
                             .programs = (const fxc_program *const *)programs,
                             .count = 2,
                             .noisy = noisy};
    out->size = 0;
    fxc_status status = fxc_calibrate(&asked, keep, out, err);
    fxc_program_free(programs[0]);
    fxc_program_free(programs[1]);
    return status;
}

static const struct host quiet = {0.02, 1, 1, true, true};

static void test_calibration_gives_a_device(void **state) {
    (void)state;
    static struct written out;
    fxc_error err = FXC_ERROR_INIT;
    fxc_device *device;
    assert_int_equal(calibrate(quiet, quiet, false, &out, &err), FXC_OK);
    assert_int_equal(fxc_device_parse(out.text, out.size, "out", &device, &err), FXC_OK);
    assert_string_equal(device->model, "cpu");
    assert_close(device->units, 1, 0);
    fxc_work work = {.struct_size = sizeof work,
                     .dtype = FXC_DTYPE_FLOAT32,
                     .counted = true,
                     .kind = FXC_WORK_GEMM,
                     .counts = {.macs = 256000000, .matrix_flops = 512000000, .kernels = 1},
                     .shape = {.gemm = {1, 1000, 512, 500}},
                     .op = "aten.linear.default"};
    fxc_time time = {.struct_size = sizeof time};
    assert_int_equal(fxc_cpu(device, &work, &time), FXC_OK);
    /* 2 % jitter is in the median, which is what a run takes; the sizes are well beyond those that were measured. */
    assert_close(time.seconds, 1.02 * (2e-6 + 20e-12 * 256e6), 0.03);
    assert_int_equal(time.bound, FXC_BOUND_COMPUTE);
    assert_int_equal(time.source, FXC_TIME_FITTED);
    assert_true(time.error > 0 && time.error < 0.05);
    assert_true(time.efficiency > 0.9 && time.efficiency <= 1.05);
    /* A new tensor of 32 MiB lies on 8,192 pages of 2 us each; one that is smaller on pages that the allocator kept. */
    fxc_operand made = {.bytes = (32 << 20) - 1, .distance = 0, .written = 1, .fresh = 1};
    work.operand = &made;
    work.operand_count = 1;
    assert_int_equal(fxc_cpu(device, &work, &time), FXC_OK);
    double kept = time.seconds;
    made.bytes++;
    assert_int_equal(fxc_cpu(device, &work, &time), FXC_OK);
    assert_close(time.seconds - kept, 8192 * 2e-6, 0.001);
    work.operand = NULL;
    work.operand_count = 0;
    /* A kind that was not measured: the roofline, which is no fit. */
    work.kind = FXC_WORK_ATTENTION;
    work.op = "aten.scaled_dot_product_attention.default";
    assert_int_equal(fxc_cpu(device, &work, &time), FXC_OK);
    assert_int_equal(time.source, FXC_TIME_PREDICTED);
    assert_true(isnan(time.error));
    fxc_device_free(device);
}

static void assert_refused(struct host first, struct host second, fxc_status status, const char *words) {
    static struct written out;
    fxc_error err = FXC_ERROR_INIT;
    assert_int_equal(calibrate(first, second, false, &out, &err), status);
    assert_int_equal(out.size, 0);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' not in: %s", words, err.message);
    }
}

static void test_noise_is_refused(void **state) {
    (void)state;
    static struct written out;
    fxc_error err = FXC_ERROR_INIT;
    struct host shaken = quiet, slower = quiet;
    shaken.jitter = 0.6;
    slower.probe = 1.5;
    assert_refused(shaken, shaken, FXC_DEVICE, "median time is 60 % above its least");
    assert_refused(quiet, slower, FXC_DEVICE, "probe_copy took");
    assert_int_equal(calibrate(quiet, slower, true, &out, &err), FXC_OK);
    assert_true(out.size > 0);
}

static void test_bad_measurements_are_refused(void **state) {
    (void)state;
    struct host untimed = quiet, untold = quiet, other = quiet;
    untimed.timed = false;
    untold.told = false;
    other.threads = 2;
    assert_refused(untimed, quiet, FXC_USAGE, "measured times");
    assert_refused(untold, quiet, FXC_USAGE, "host_memory_bytes");
    assert_refused(quiet, other, FXC_USAGE, "measured_threads");
    fxc_error err = FXC_ERROR_INIT;
    fxc_calibration nothing = {.struct_size = sizeof nothing};
    assert_int_equal(fxc_calibrate(&nothing, keep, NULL, &err), FXC_USAGE);
    nothing.struct_size = 8;
    assert_int_equal(fxc_calibrate(&nothing, keep, NULL, &err), FXC_USAGE);
}

/* ---- device files ---------------------------------------------------------------------------------------------------
 */

static const char head[] = "device = x\nmodel = cpu\nmatrix_f32 = 1e11\nmemory_bytes = 1e9\n"
                           "memory_bytes_per_second = 1e10\n";

static void test_constants_in_device_files(void **state) {
    (void)state;
    static const struct {
        const char *lines, *words;
    } bad[] = {
        {"", "cpu.CLASS.FEATURE"},
        {"cpu.gemm.mac = 1e-11\n", "cpu.gemm.error"},
        {"cpu.gemm.mac = -1e-11\ncpu.gemm.error = 0.1\n", "at least 0"},
        {"cpu.gemm.mac = nan\n", "at least 0"},
        {"cpu.gemm.mac = 1e-11\ncpu.gemm.mac = 1e-11\n", "once"},
        {"cpu.gem.mac = 1e-11\n", "cpu.gem.mac"},
        {"cpu.gemm.pair = 1e-11\n", "cpu.gemm.pair"}, /* pairs are of attention */
        {"cpu.gemm = 1e-11\n", "cpu.gemm"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[400];
        fxc_error err = FXC_ERROR_INIT;
        fxc_device *device;
        (void)snprintf(text, sizeof text, "%s%s", head, bad[i].lines);
        assert_int_equal(fxc_device_parse(text, strlen(text), "bad", &device, &err), FXC_DEVICE);
        if (strstr(err.message, bad[i].words) == NULL) {
            fail_msg("'%s' not in: %s", bad[i].words, err.message);
        }
    }
}

/* What is printed is read back as it was. */
static void test_constants_round_trip(void **state) {
    (void)state;
    static struct written first, second;
    fxc_error err = FXC_ERROR_INIT;
    fxc_device *device, *again;
    assert_int_equal(calibrate(quiet, quiet, false, &first, &err), FXC_OK);
    assert_int_equal(fxc_device_parse(first.text, first.size, "first", &device, &err), FXC_OK);
    second.size = 0;
    assert_int_equal(fxc_device_print(device, keep, &second, &err), FXC_OK);
    assert_int_equal(fxc_device_parse(second.text, second.size, "second", &again, &err), FXC_OK);
    assert_memory_equal(device->cpu, again->cpu, sizeof *device->cpu);
    fxc_device_free(device);
    fxc_device_free(again);
}

/* The table of operators is searched by halves. */
static void test_operators_are_sorted(void **state) {
    (void)state;
    static const char *const names[] = {
#define OP(name, class) name,
#include "backends/cpu_ops.def"
    };
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++) {
        assert_true(strcmp(names[i - 1], names[i]) < 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_kernels_by_size),
        cmocka_unit_test(test_fit_finds_the_constants),
        cmocka_unit_test(test_fit_bears_outliers),
        cmocka_unit_test(test_calibration_gives_a_device),
        cmocka_unit_test(test_noise_is_refused),
        cmocka_unit_test(test_bad_measurements_are_refused),
        cmocka_unit_test(test_constants_in_device_files),
        cmocka_unit_test(test_constants_round_trip),
        cmocka_unit_test(test_operators_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
