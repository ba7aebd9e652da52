/* Plug-ins: the example runs, and bad ones are refused with a message that says what is wrong. Expected times are
 * computed here from the figures that the plug-ins write down. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/device.h"

static const char text[] = "fxir 1.0\n"
                           "graph \"main\" captured\n"
                           "  input %x: f32[64, 128] @0\n"
                           "  input %w: f32[256, 128] @1\n"
                           "  %linear = aten.linear.default(input=%x, weight=%w) -> f32[64, 256] @2\n"
                           "  %relu = aten.relu.default(self=%linear) -> f32[64, 256] @3\n"
                           "  return %relu\n";

struct setup {
    fxc_program *program;
    fxc_analysis *analysis;
    fxc_error err;
};

static void assert_close(double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance)) {
        fail_msg("%.17g, expected %.17g", found, expected);
    }
}

static int set_up(void **state) {
    static struct setup setup;
    setup = (struct setup){.err = FXC_ERROR_INIT};
    if (fxc_program_from_memory(text, strlen(text), "test", &setup.program, &setup.err) != FXC_OK ||
        fxc_analysis_new(setup.program, &setup.analysis, &setup.err) != FXC_OK) {
        fail_msg("%s", setup.err.message);
    }
    *state = &setup;
    return 0;
}

static int tear_down(void **state) {
    struct setup *setup = *state;
    fxc_analysis_free(setup->analysis);
    fxc_program_free(setup->program);
    return 0;
}

static fxc_status load(struct setup *setup, const char *name) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", FXC_TEST_BACKENDS, name);
    return fxc_analysis_set(setup->analysis, "backend", path, &setup->err);
}

static fxc_status predict(struct setup *setup, const char *device, fxc_node_cost *linear, fxc_totals *totals) {
    fxc_status status = fxc_analysis_set(setup->analysis, "device", device, &setup->err);
    linear->struct_size = sizeof *linear;
    totals->struct_size = sizeof *totals;
    if (status == FXC_OK) {
        status = fxc_analysis_node(setup->analysis, 0, linear, &setup->err);
    }
    return status == FXC_OK ? fxc_analysis_totals(setup->analysis, totals, &setup->err) : status;
}

static void example(void **state) {
    struct setup *setup = *state;
    fxc_node_cost linear;
    fxc_totals totals;
    assert_int_equal(load(setup, "libslow_memory.so"), FXC_OK);
    assert_int_equal(predict(setup, "example-accelerator", &linear, &totals), FXC_OK);
    double compute = 2.0 * 64 * 256 * 128 / (0.7 * 10e12);
    double read = 4.0 * (64 * 128 + 256 * 128), written = 4.0 * 64 * 256;
    double memory = 5e-6 + (read + written) / 200e9;
    assert_true(memory > compute);
    assert_close(linear.seconds, memory, 1e-15);
    assert_int_equal(linear.bound, FXC_BOUND_MEMORY);
    assert_int_equal(linear.source, FXC_TIME_PREDICTED);
    assert_int_equal(linear.work, FXC_WORK_GEMM);
    assert_true(isnan(linear.error));
    assert_close(totals.seconds, memory + 5e-6 + 2 * written / 200e9, 1e-15);
    /* The built-in devices are still there, under the plug-in's model. */
    assert_int_equal(predict(setup, "a100-sxm-80gb", &linear, &totals), FXC_OK);
    assert_close(linear.seconds, 5e-6 + (read + written) / 2039e9, 1e-15);
    /* Without the plug-in its device is gone. */
    assert_int_equal(fxc_analysis_set(setup->analysis, "backend", "", &setup->err), FXC_OK);
    assert_int_equal(predict(setup, "example-accelerator", &linear, &totals), FXC_DEVICE);
}

/* What loading says. */
static void refused(void **state) {
    struct setup *setup = *state;
    static const struct {
        const char *name, *message;
        fxc_status status;
    } cases[] = {
        {"no_such_file.so", "a shared object that loads", FXC_IO},
        {"libbad_1.so", "a function fxc_backend_entry", FXC_USAGE},
        {"libbad_2.so", "returned NULL", FXC_USAGE},
        {"libbad_3.so", "ABI 2 and a struct_size", FXC_USAGE},
        {"libbad_4.so", "a struct_size of 8", FXC_USAGE},
        {"libbad_5.so", "neither", FXC_USAGE},
        {"libbad_6.so", "matrix_f32 of device 'plugged'", FXC_USAGE},
        {"libbad_7.so", "memory_bytes_per_second of device 'plugged'", FXC_USAGE},
        {"libbad_8.so", "a device without one", FXC_USAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load(setup, cases[i].name), cases[i].status);
        if (strstr(setup->err.message, cases[i].message) == NULL || strstr(setup->err.message, cases[i].name) == NULL) {
            fail_msg("%s: %s", cases[i].name, setup->err.message);
        }
    }
    /* A plug-in that was refused changes nothing. */
    fxc_node_cost linear;
    fxc_totals totals;
    assert_int_equal(predict(setup, "a100-sxm-80gb", &linear, &totals), FXC_OK);
    assert_int_equal(linear.work, FXC_WORK_GEMM);
}

/* What a model that loads does wrong later. */
static void failing(void **state) {
    struct setup *setup = *state;
    static const struct {
        const char *name, *message;
        fxc_status status;
    } cases[] = {
        {"libbad_9.so", "out of memory", FXC_MEMORY},  {"libbad_10.so", "-1 seconds", FXC_INTERNAL},
        {"libbad_11.so", "nan seconds", FXC_INTERNAL}, {"libbad_12.so", "inf seconds", FXC_INTERNAL},
        {"libbad_13.so", "bound 77", FXC_INTERNAL},    {"libbad_16.so", "crystal ball", FXC_DEVICE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fxc_node_cost linear;
        fxc_totals totals;
        assert_int_equal(load(setup, cases[i].name), FXC_OK);
        assert_int_equal(predict(setup, "plugged", &linear, &totals), cases[i].status);
        if (strstr(setup->err.message, cases[i].message) == NULL) {
            fail_msg("%s: %s", cases[i].name, setup->err.message);
        }
    }
}

/* A missing figure is no error: the time is not known. */
static void missing(void **state) {
    struct setup *setup = *state;
    fxc_node_cost linear;
    fxc_totals totals;
    assert_int_equal(load(setup, "libbad_14.so"), FXC_OK);
    assert_int_equal(predict(setup, "plugged", &linear, &totals), FXC_OK);
    assert_true(isnan(linear.seconds) && isnan(totals.seconds));
    assert_int_equal(linear.source, FXC_TIME_NONE);
    assert_int_equal(linear.bound, FXC_BOUND_UNKNOWN);
}

/* A device of older headers has the figures that these knew. */
static void older(void **state) {
    struct setup *setup = *state;
    fxc_node_cost linear;
    fxc_totals totals;
    assert_int_equal(load(setup, "libbad_15.so"), FXC_OK);
    assert_int_equal(predict(setup, "plugged", &linear, &totals), FXC_OK);
    assert_close(linear.seconds, 2.0 * 64 * 256 * 128 / 1e12, 1e-12);
    assert_int_equal(linear.source, FXC_TIME_DATASHEET);
}

static void measured(void **state) {
    struct setup *setup = *state;
    fxc_node_cost linear;
    fxc_totals totals;
    assert_int_equal(fxc_analysis_set(setup->analysis, "measured", "0.001", &setup->err), FXC_OK);
    assert_int_equal(predict(setup, "epyc-9654", &linear, &totals), FXC_OK);
    assert_close(totals.measured_seconds, 1e-3, 0);
    assert_close(totals.peak_seconds, 2.0 * 64 * 256 * 128 / 7.3728e12, 1e-15);
    static const char *const wrong[] = {"-1", "0", "nan", "inf", "fast", "1s"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(fxc_analysis_set(setup->analysis, "measured", wrong[i], &setup->err), FXC_USAGE);
    }
}

/* The figures of the device are round, so that seconds can be told by hand. */
static void merging(void **state) {
    static const char figures[] = "device = round\nunits = 4\nclock_hz = 1e9\nmemory_bytes = 1e9\n"
                                  "memory_bytes_per_second = 1e9\nmatrix_f32 = 1e12\nkernel_overhead_seconds = 1e-6\n";
    (void)state;
    fxc_error err = FXC_ERROR_INIT;
    fxc_device *device = NULL;
    double seconds = 0;
    assert_int_equal(fxc_device_parse(figures, strlen(figures), "round", &device, &err), FXC_OK);
    fxc_merge merge = {.struct_size = sizeof merge, .bytes_saved = 4000};
    assert_int_equal(fxc_merge_seconds(device, &merge, &seconds, &err), FXC_OK);
    assert_close(seconds, 4e-6 + 1e-6, 1e-15);
    merge.operations = 8000; /* 2 us on 4 units; each call is 20 cycles of one */
    merge.calls = 4000;
    assert_int_equal(fxc_merge_seconds(device, &merge, &seconds, &err), FXC_OK);
    assert_close(seconds, 5e-6 - 2e-6 - 20e-6, 1e-15);
    device->clock_hz = FXC_NO_FIGURE;
    assert_int_equal(fxc_merge_seconds(device, &merge, &seconds, &err), FXC_DEVICE);
    assert_string_equal(err.expected, "a device with units and clock_hz");
    merge.struct_size = 0;
    assert_int_equal(fxc_merge_seconds(device, &merge, &seconds, &err), FXC_USAGE);
    fxc_device_free(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(example, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(older, set_up, tear_down),
        cmocka_unit_test_setup_teardown(measured, set_up, tear_down),
        cmocka_unit_test(merging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
