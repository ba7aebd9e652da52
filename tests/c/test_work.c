/* What a timing model is told of a node, against shapes read off the programs by hand; and what the gpu model makes of
 * it where the answer follows without its constants. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backends/models.h"
#include "passes/cost/work.h"
#include "passes/report/report.h"

static const char text[] =
    "fxir 1.0\n"
    "graph \"main\" captured\n"
    "  input %x: bf16[2, 64, 128] @0\n"
    "  input %w: bf16[256, 128] @1\n"
    "  input %a: bf16[8, 32, 48] @2\n"
    "  input %b: bf16[8, 48, 96] @3\n"
    "  input %q: bf16[2, 32, 1, 128] @4\n"
    "  input %kv: bf16[2, 8, 512, 128] @5\n"
    "  input %image: f32[4, 16, 20, 20] @6\n"
    "  input %kernel: f32[32, 8, 3, 3] @7\n"
    "  %linear = aten.linear.default(input=%x, weight=%w) -> bf16[2, 64, 256] @8\n"
    "  %bmm = aten.bmm.default(self=%a, mat2=%b) -> bf16[8, 32, 96] @9\n"
    "  %sdpa = aten.scaled_dot_product_attention.default(query=%q, key=%kv, value=%kv, is_causal=true, "
    "enable_gqa=true) -> bf16[2, 32, 1, 128] @10\n"
    "  %conv = aten.conv2d.default(input=%image, weight=%kernel, stride=[2, 2], padding=[1, 1], groups=2) -> "
    "f32[4, 32, 10, 10] @11\n"
    "  %softmax = aten.softmax.int(self=%linear, dim=-1) -> bf16[2, 64, 256] @12\n"
    "  %view = aten.view.default(self=%linear, size=[128, 256]) -> bf16[128, 256] @8\n"
    "  %relu = aten.relu.default(self=%view) -> bf16[128, 256] @13\n"
    "  %gather = _c10d_functional.all_gather_into_tensor.default(input=%w, group_size=4, group_name=\"0\") -> "
    "bf16[1024, 128] @14\n"
    "  %reduce = _c10d_functional.all_reduce.default(input=%w, reduce_op=\"sum\", group_name=\"none\") -> "
    "bf16[256, 128] @15\n"
    "  %sum = aten.sum.dim_IntList(self=%linear, dim=[0, 1]) -> bf16[256] @16\n"
    "  %mean = aten.mean.dim(self=%linear, dim=[0, 2]) -> bf16[64] @17\n"
    "  %cumsum = aten.cumsum.default(self=%linear, dim=1) -> bf16[2, 64, 256] @18\n"
    "  return %relu\n";

enum { LINEAR, BMM, SDPA, CONV, SOFTMAX, VIEW, RELU, ALL_GATHER, ALL_REDUCE, SUM, MEAN, CUMSUM };

struct setup {
    fxc_program *program;
    fxc_analysis *analysis;
};

static int set_up(void **state) {
    static struct setup setup;
    fxc_error err = FXC_ERROR_INIT;
    if (fxc_program_from_memory(text, strlen(text), "test", &setup.program, &err) != FXC_OK ||
        fxc_analysis_new(setup.program, &setup.analysis, &err) != FXC_OK ||
        fxc_require(setup.analysis, "cost", &err) != FXC_OK) {
        fail_msg("%s", err.message);
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

static fxc_work work_of(const struct setup *setup, uint32_t node) {
    const struct fxc_analysis *analysis = setup->analysis;
    struct fxc_rule rule = {
        .program = analysis->program, .shapes = analysis->shapes, .bindings = analysis->bindings, .node = node};
    fxc_work work = {.struct_size = sizeof work,
                     .counts = fxc_node_counts(analysis, node),
                     .dtype = FXC_DTYPE_BFLOAT16,
                     .counted = analysis->flops->coverage[node] != FXC_COVERAGE_UNKNOWN};
    fxc_describe_work(&rule, &work);
    return work;
}

static void products(void **state) {
    fxc_work linear = work_of(*state, LINEAR), bmm = work_of(*state, BMM);
    assert_int_equal(linear.kind, FXC_WORK_GEMM);
    assert_memory_equal(&linear.shape.gemm, &((fxc_gemm_shape){1, 128, 256, 128}), sizeof linear.shape.gemm);
    assert_int_equal(bmm.kind, FXC_WORK_GEMM);
    assert_memory_equal(&bmm.shape.gemm, &((fxc_gemm_shape){8, 32, 96, 48}), sizeof bmm.shape.gemm);
}

static void attention(void **state) {
    fxc_work work = work_of(*state, SDPA);
    const fxc_attention_shape *shape = &work.shape.attention;
    assert_int_equal(work.kind, FXC_WORK_ATTENTION);
    assert_int_equal(shape->batch, 2);
    assert_int_equal(shape->heads, 32);
    assert_int_equal(shape->kv_heads, 8);
    assert_int_equal(shape->queries, 1);
    assert_int_equal(shape->keys, 512);
    assert_int_equal(shape->depth, 128);
    assert_int_equal(shape->value_depth, 128);
    assert_true(shape->causal && !shape->backward);
}

static void convolution(void **state) {
    fxc_work work = work_of(*state, CONV);
    const fxc_convolution_shape *shape = &work.shape.convolution;
    assert_int_equal(work.kind, FXC_WORK_CONVOLUTION);
    assert_int_equal(shape->batch, 4);
    assert_int_equal(shape->in_channels, 16);
    assert_int_equal(shape->out_channels, 32);
    assert_int_equal(shape->groups, 2);
    assert_memory_equal(shape->in, ((int64_t[]){20, 20, 1}), sizeof shape->in);
    assert_memory_equal(shape->out, ((int64_t[]){10, 10, 1}), sizeof shape->out);
    assert_memory_equal(shape->kernel, ((int64_t[]){3, 3, 1}), sizeof shape->kernel);
    assert_memory_equal(shape->stride, ((int64_t[]){2, 2, 1}), sizeof shape->stride);
    assert_int_equal(shape->gradients, FXC_CONVOLUTION_FORWARD);
}

static void streams(void **state) {
    fxc_work softmax = work_of(*state, SOFTMAX);
    assert_int_equal(softmax.kind, FXC_WORK_NORM);
    assert_int_equal(softmax.shape.rows.rows, 128);
    assert_int_equal(softmax.shape.rows.length, 256);
    assert_false(softmax.shape.rows.across);
    fxc_work sum = work_of(*state, SUM), mean = work_of(*state, MEAN), cumsum = work_of(*state, CUMSUM);
    assert_int_equal(sum.kind, FXC_WORK_REDUCTION);
    assert_true(sum.shape.rows.across && !mean.shape.rows.across && cumsum.shape.rows.across);
    assert_int_equal(work_of(*state, VIEW).kind, FXC_WORK_NOTHING);
    assert_int_equal(work_of(*state, RELU).kind, FXC_WORK_POINTWISE);
}

static void collectives(void **state) {
    fxc_work gather = work_of(*state, ALL_GATHER);
    assert_int_equal(gather.kind, FXC_WORK_COLLECTIVE);
    assert_int_equal(gather.shape.collective.collective, FXC_COLLECTIVE_ALL_GATHER);
    assert_int_equal(gather.shape.collective.ranks, 4);
    assert_int_equal(gather.shape.collective.bytes, 2 * 1024 * 128);
    /* Nothing says how many devices are in this group: bytes are all there is. */
    assert_int_equal(work_of(*state, ALL_REDUCE).kind, FXC_WORK_OTHER);
}

static fxc_time predict(const char *device, const fxc_work *work) {
    fxc_time time = {.struct_size = sizeof time};
    assert_int_equal(fxc_gpu(fxc_device_find(device), work, &time), FXC_OK);
    return time;
}

/* Whatever the constants: no faster than the peak, slower when there is more to do, labelled as it is. */
static void model(void **state) {
    static const char *const devices[] = {"a100-sxm-80gb", "h200-sxm", "l40s", "h100-sxm"};
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof devices[0]; d++) {
        double before = 0;
        for (int64_t n = 1024; n <= 16384; n *= 2) {
            fxc_work work = {.struct_size = sizeof work, .dtype = FXC_DTYPE_BFLOAT16, .counted = true};
            work.kind = FXC_WORK_GEMM;
            work.shape.gemm = (fxc_gemm_shape){1, n, n, n};
            work.counts.matrix_flops = 2 * n * n * n;
            work.counts.bytes_read = 4 * n * n;
            work.counts.bytes_written = 2 * n * n;
            work.counts.kernels = 1;
            fxc_time time = predict(devices[d], &work);
            assert_true(time.seconds > before && time.efficiency > 0 && time.efficiency < 1);
            assert_int_equal(time.bound, n >= 4096 ? FXC_BOUND_COMPUTE : time.bound);
            bool fitted = fxc_device_find(devices[d])->gpu != NULL;
            assert_int_equal(time.source, fitted ? FXC_TIME_FITTED : FXC_TIME_PREDICTED);
            assert_true(fitted ? time.error > 0 && time.error < 0.15 : isnan(time.error));
            before = time.seconds;
            /* Another element type is no measured kernel. */
            work.dtype = FXC_DTYPE_FLOAT32;
            fxc_time single = predict(devices[d], &work);
            assert_true(single.seconds > time.seconds && single.source == FXC_TIME_PREDICTED && isnan(single.error));
            /* Without a formula only its bytes have a time, and the bound is not known. */
            work.kind = FXC_WORK_OTHER;
            work.counted = false;
            assert_int_equal(predict(devices[d], &work).bound, FXC_BOUND_UNKNOWN);
        }
    }
}

/* A device that lacks what a kernel needs. */
static void figures(void **state) {
    fxc_work gather = work_of(*state, ALL_GATHER), linear = work_of(*state, LINEAR);
    fxc_time time = {.struct_size = sizeof time};
    fxc_device device = *fxc_device_find("h200-sxm");
    device.link_bytes_per_second = FXC_NO_FIGURE;
    assert_int_equal(fxc_gpu(&device, &gather, &time), FXC_DEVICE);
    assert_int_equal(fxc_gpu(&device, &linear, &time), FXC_OK);
    device.matrix_bf16 = FXC_NO_FIGURE;
    assert_int_equal(fxc_gpu(&device, &linear, &time), FXC_DEVICE);
    device = *fxc_device_find("h200-sxm");
    device.units = FXC_NO_FIGURE;
    assert_int_equal(fxc_gpu(&device, &linear, &time), FXC_DEVICE);
    device.struct_size = 8;
    assert_int_equal(fxc_gpu(&device, &linear, &time), FXC_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(products, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attention, set_up, tear_down),
        cmocka_unit_test_setup_teardown(convolution, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(collectives, set_up, tear_down),
        cmocka_unit_test(model),
        cmocka_unit_test_setup_teardown(figures, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
