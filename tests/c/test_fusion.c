/* Kernels of small programs. The numbers of elements moved under inductor-cpu are those of PyTorch's own
 * test/inductor/test_perf.py, which counts bytes / 4 of float32 programs; tests in Python hold whole models against
 * Inductor's scheduler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/fusion.h"

struct totals {
    uint32_t kernels;
    int64_t bytes, inductor, flops, executed;
};

static fxc_analysis *analyse(const char *graph, const char *profile, fxc_program **p) {
    char text[4096];
    fxc_analysis *analysis = NULL;
    fxc_error err = FXC_ERROR_INIT;
    (void)snprintf(text, sizeof text, "fxir 1.0\ndevice \"cpu\"\ngraph \"main\" captured\n%s", graph);
    if (fxc_program_from_memory(text, strlen(text), "test", p, &err) != FXC_OK ||
        fxc_analysis_new(*p, &analysis, &err) != FXC_OK ||
        fxc_analysis_set(analysis, "profile", profile, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return analysis;
}

static struct totals run(const char *graph, const char *profile) {
    fxc_program *p;
    fxc_analysis *analysis = analyse(graph, profile, &p);
    fxc_error err = FXC_ERROR_INIT;
    struct totals totals = {0};
    assert_int_equal(fxc_analysis_kernel_count(analysis, &totals.kernels, &err), FXC_OK);
    for (uint32_t i = 0; i < totals.kernels; i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        assert_int_equal(fxc_analysis_kernel(analysis, i, &k, &err), FXC_OK);
        totals.bytes += k.bytes_read + k.bytes_written;
        totals.inductor += k.inductor_bytes;
        totals.flops += k.matrix_flops + k.vector_flops;
        totals.executed += k.executed_flops;
    }
    fxc_analysis_free(analysis);
    fxc_program_free(p);
    return totals;
}

struct row {
    const char *graph;
    uint32_t kernels;
    int64_t elements;
};

static void test_elements(void **state) {
    static const struct row rows[] = {
        {"input %x: f32[10] @0\n%y = aten.cos.default(self=%x) -> f32[10] @1\nreturn %y\n", 1, 20},
        {"input %x: f32[10] @0\ninput %z: f32[10] @1\n%y = aten.add.Tensor(self=%x, other=%z) -> f32[10] @2\nreturn "
         "%y\n",
         1, 30},
        {"input %x: f32[10] @0\n%y = aten.add.Tensor(self=%x, other=%x) -> f32[10] @1\nreturn %y\n", 1, 20},
        {"input %x: f32[10, 10] @0\ninput %z: f32[10] @1\n"
         "%y = aten.add.Tensor(self=%x, other=%z) -> f32[10, 10] @2\nreturn %y\n",
         1, 210},
        {"input %x: f32[10, 10] @0\n%t = aten.permute.default(self=%x, dims=[1, 0]) -> f32[10, 10]{1, 10} @0\n"
         "%y = aten.add.Tensor(self=%x, other=%t) -> f32[10, 10] @1\nreturn %y\n",
         1, 200},
        {"input %x: f32[10, 10] @0\n%y = aten.sum.dim_IntList(self=%x, dim=[1]) -> f32[10] @1\nreturn %y\n", 1, 110},
        {"input %x: f32[10, 10] @0\n%y = aten.mm.default(self=%x, mat2=%x) -> f32[10, 10] @1\nreturn %y\n", 1, 200},
        {"input %x: f32[10, 10] @0\n%c = aten.cos.default(self=%x) -> f32[10, 10] @1\n"
         "%m = aten.mm.default(self=%c, mat2=%c) -> f32[10, 10] @2\n"
         "%y = aten.cos.default(self=%m) -> f32[10, 10] @3\nreturn %y\n",
         3, 600},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct totals totals = run(rows[i].graph, "inductor-cpu");
        assert_int_equal(totals.kernels, rows[i].kernels);
        assert_int_equal(totals.inductor, rows[i].elements * 4);
    }
}

/* x.cos() twice used: inlined, its FLOPs run twice where the uses are in kernels of their own. */
static void test_recomputation(void **state) {
    static const char graph[] = "input %x: f32[8, 16] @0\n"
                                "%c = aten.sin.default(self=%x) -> f32[8, 16] @1\n"
                                "%m = aten.mul.Tensor(self=%c, other=2.0) -> f32[8, 16] @2\n"
                                "%n = aten.neg.default(self=%m) -> f32[8, 16] @3\n"
                                "%s = aten.sum.dim_IntList(self=%m, dim=[0]) -> f32[16] @4\n"
                                "return [%n, %s]\n";
    (void)state;
    struct totals cpu = run(graph, "inductor-cpu"), none = run(graph, "none"), ideal = run(graph, "ideal");
    assert_int_equal(cpu.kernels, 2);
    assert_true(cpu.executed > cpu.flops);
    assert_int_equal(none.kernels, 4);
    assert_int_equal(none.executed, none.flops);
    assert_int_equal(cpu.flops, none.flops);
    /* x is read, n and s are written. */
    assert_int_equal(ideal.bytes, 4 * (128 + 128 + 16));
    assert_int_equal(none.bytes, 4 * (2 * 128 + 2 * 128 + 2 * 128 + 128 + 16));
}

static void test_profiles(void **state) {
    fxc_profile_info info = {.struct_size = sizeof info};
    static const char graph[] = "input %x: f32[4, 8] @0\ninput %w: f32[8, 8] @1\n"
                                "%m = aten.mm.default(self=%x, mat2=%w) -> f32[4, 8] @2\n"
                                "%r = aten.relu.default(self=%m) -> f32[4, 8] @3\n"
                                "%a = aten.add.Tensor(self=%r, other=1.0) -> f32[4, 8] @4\nreturn %a\n";
    static const struct {
        const char *profile;
        uint32_t kernels;
    } expected[] = {{"eager", 3}, {"none", 3}, {"spans", 2}, {"pattern", 1}, {"ideal", 1}, {"inductor-cpu", 2}};
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(run(graph, expected[i].profile).kernels, expected[i].kernels);
    }
    for (uint32_t i = 0; fxc_profile_get(i, &info, NULL) == FXC_OK; i++) {
        assert_true(strlen(info.summary) > 0 && strlen(info.source) > 0);
    }
}

/* Programs in which there is nothing to merge, touch or order; for the sanitizers, in every profile. */
static void test_little(void **state) {
    static const char *const graphs[] = {
        "input %x: f32[2] @0\nreturn %x\n",
        "return []\n",
        "input %x: f32[] @0\n%y = aten.neg.default(self=%x) -> f32[] @1\nreturn %y\n",
        "input %x: f32[0, 3] @0\n%y = aten.neg.default(self=%x) -> f32[0, 3] @1\nreturn %y\n",
        "%y = aten.ones.default(size=[4]) -> f32[4] @0\nreturn %y\n",
        "input %x: f32[2, 2] @0\n%t = aten.t.default(self=%x) -> f32[2, 2]{1, 2} @0\nreturn %t\n",
        "input %x: f32[2] @0\n%y = aten.neg.default(self=%x) -> f32[2] @1\nreturn %x\n",
    };
    static const uint32_t kernels[] = {0, 0, 1, 1, 1, 0, 0};
    fxc_profile_info info = {.struct_size = sizeof info};
    (void)state;
    for (uint32_t i = 0; fxc_profile_get(i, &info, NULL) == FXC_OK; i++) {
        for (size_t g = 0; g < sizeof graphs / sizeof graphs[0]; g++) {
            struct totals totals = run(graphs[g], info.name);
            if (strcmp(info.name, "inductor-cpu") == 0) {
                assert_int_equal(totals.kernels, kernels[g]);
            }
        }
    }
}

static bool holds(const fxc_kernel_info *k, uint32_t node) {
    for (uint32_t i = 0; i < k->node_count; i++) {
        if (k->nodes[i] == node) {
            return true;
        }
    }
    return false;
}

/* Whether a kernel lists both nodes. */
static bool share_a_kernel(fxc_analysis *analysis, uint32_t a, uint32_t b) {
    uint32_t count = 0;
    assert_int_equal(fxc_analysis_kernel_count(analysis, &count, NULL), FXC_OK);
    for (uint32_t i = 0; i < count; i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        assert_int_equal(fxc_analysis_kernel(analysis, i, &k, NULL), FXC_OK);
        if (holds(&k, a) && holds(&k, b)) {
            return true;
        }
    }
    return false;
}

static fxc_explanation explain(fxc_analysis *analysis, const char *a, const char *b) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_explanation found = {.struct_size = sizeof found};
    if (fxc_fusion_explain(analysis, a, b, &found, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return found;
}

/* For each pair of nodes of a program, the explanation agrees with the list of kernels. */
static void test_explain_agrees(void **state) {
    static const char graph[] = "input %x: f32[8, 16] @0\ninput %w: f32[16, 16] @1\n"
                                "%n0 = aten.sin.default(self=%x) -> f32[8, 16] @2\n"
                                "%n1 = aten.mul.Tensor(self=%n0, other=2.0) -> f32[8, 16] @3\n"
                                "%n2 = aten.neg.default(self=%n1) -> f32[8, 16] @4\n"
                                "%n3 = aten.sum.dim_IntList(self=%n1, dim=[1], keepdim=true) -> f32[8, 1] @5\n"
                                "%n4 = aten.sub.Tensor(self=%x, other=%n3) -> f32[8, 16] @6\n"
                                "%n5 = aten.mm.default(self=%n2, mat2=%w) -> f32[8, 16] @7\n"
                                "%n6 = aten.add.Tensor(self=%n5, other=%n4) -> f32[8, 16] @8\n"
                                "%n7 = aten.sum.dim_IntList(self=%n6, dim=[0]) -> f32[16] @9\n"
                                "%n8 = aten.exp.default(self=%n7) -> f32[16] @10\n"
                                "%n9 = aten.cos.default(self=%x) -> f32[8, 16] @11\n"
                                "return [%n4, %n6, %n8]\n";
    fxc_profile_info info = {.struct_size = sizeof info};
    (void)state;
    for (uint32_t i = 0; fxc_profile_get(i, &info, NULL) == FXC_OK; i++) {
        fxc_program *p;
        fxc_analysis *analysis = analyse(graph, info.name, &p);
        uint32_t together = 0;
        for (uint32_t a = 0; a < 10; a++) {
            for (uint32_t b = 0; b < 10; b++) {
                char first[8], second[8];
                (void)snprintf(first, sizeof first, "n%u", a);
                (void)snprintf(second, sizeof second, "%%n%u", b);
                fxc_explanation found = explain(analysis, first, second);
                bool runs = share_a_kernel(analysis, a, a) && share_a_kernel(analysis, b, b);
                assert_int_equal(found.together, share_a_kernel(analysis, a, b));
                assert_true(!found.together || found.kernel_a == found.kernel_b);
                assert_int_equal(found.kernel_a != FXC_NONE, runs);
                assert_true(strlen(found.reason) > 0 && strstr(found.text, "rule: ") != NULL);
                together += found.together;
            }
        }
        assert_true(together >= 9);
        fxc_analysis_free(analysis);
        fxc_program_free(p);
    }
}

/* The limits of torch/_inductor/config.py: cpp.max_horizontal_fusion_size is 16. */
static void test_explain_limits(void **state) {
    char graph[4096] = "input %x: f32[64, 64] @0\n", end[512] = "return [";
    fxc_program *p;
    fxc_error err = FXC_ERROR_INIT;
    (void)state;
    for (uint32_t i = 0; i < 18; i++) {
        size_t used = strlen(graph), last = strlen(end);
        (void)snprintf(graph + used, sizeof graph - used,
                       "%%y%u = aten.add.Tensor(self=%%x, other=%u.0) -> f32[64, 64] @%u\n", i, i + 1, i + 1);
        (void)snprintf(end + last, sizeof end - last, "%s%%y%u", i == 0 ? "" : ", ", i);
    }
    (void)strcat(graph, end);
    (void)strcat(graph, "]\n");
    fxc_analysis *analysis = analyse(graph, "inductor-cpu", &p);
    bool apart = false;
    for (uint32_t i = 1; i < 18; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "y%u", i);
        fxc_explanation found = explain(analysis, "y0", name);
        assert_string_equal(found.reason, found.together ? "same_loops" : "too_many_siblings");
        assert_true(found.together || strstr(found.text, "at most 16 operations, together they are 18") != NULL);
        apart |= !found.together;
    }
    assert_true(apart);
    fxc_explanation found = {.struct_size = sizeof found};
    assert_int_equal(fxc_fusion_explain(analysis, "y00", "y1", &found, &err), FXC_USAGE);
    assert_non_null(strstr(err.advice, "y0"));
    fxc_analysis_free(analysis);
    fxc_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements), cmocka_unit_test(test_recomputation),  cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_little),   cmocka_unit_test(test_explain_agrees), cmocka_unit_test(test_explain_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
