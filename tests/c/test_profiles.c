/* Profiles of compilers that are no torch: the rules that their sources document, on small programs. And profile files,
 * good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/fusion.h"

enum { TEXT = 4096 };

struct totals {
    uint32_t kernels;
    int64_t flops, executed, reread, copied, inductor;
};

static fxc_program *open(const char *graph) {
    char text[TEXT];
    fxc_program *p = NULL;
    fxc_error err = FXC_ERROR_INIT;
    (void)snprintf(text, sizeof text, "fxir 1.0\ndevice \"cpu\"\ngraph \"main\" captured\n%s", graph);
    if (fxc_program_from_memory(text, strlen(text), "test", &p, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return p;
}

static struct totals run(const char *graph, const char *profile) {
    fxc_program *p = open(graph);
    fxc_analysis *analysis = NULL;
    fxc_error err = FXC_ERROR_INIT;
    struct totals t = {0};
    if (fxc_analysis_new(p, &analysis, &err) != FXC_OK ||
        fxc_analysis_set(analysis, "profile", profile, &err) != FXC_OK ||
        fxc_analysis_kernel_count(analysis, &t.kernels, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    for (uint32_t i = 0; i < t.kernels; i++) {
        fxc_kernel_info k = {.struct_size = sizeof k};
        assert_int_equal(fxc_analysis_kernel(analysis, i, &k, &err), FXC_OK);
        t.flops += k.matrix_flops + k.vector_flops;
        t.executed += k.executed_flops;
        t.reread += k.bytes_reread;
        t.copied += k.bytes_copied;
        t.inductor += k.inductor_bytes;
    }
    fxc_analysis_free(analysis);
    fxc_program_free(p);
    return t;
}

static uint32_t kernels(const char *graph, const char *profile) {
    return run(graph, profile).kernels;
}

#define INPUT "input %x: f32[8, 16] @0\n"

/* A value that two read: once cheap, once an exponential. */
#define CHEAP_TWICE                                                                                                    \
    INPUT "%c = aten.mul.Tensor(self=%x, other=2.0) -> f32[8, 16] @1\n"                                                \
          "%a = aten.neg.default(self=%c) -> f32[8, 16] @2\n"                                                          \
          "%s = aten.sum.dim_IntList(self=%c, dim=[1]) -> f32[8] @3\nreturn [%a, %s]\n"
#define EXP_TWICE                                                                                                      \
    INPUT "%c = aten.exp.default(self=%x) -> f32[8, 16] @1\n"                                                          \
          "%a = aten.neg.default(self=%c) -> f32[8, 16] @2\n"                                                          \
          "%s = aten.sum.dim_IntList(self=%c, dim=[1]) -> f32[8] @3\nreturn [%a, %s]\n"
#define FOLD_AND_MORE                                                                                                  \
    INPUT "%e = aten.exp.default(self=%x) -> f32[8, 16] @1\n"                                                          \
          "%s = aten.sum.dim_IntList(self=%e, dim=[1]) -> f32[8] @2\n"                                                 \
          "%r = aten.relu.default(self=%s) -> f32[8] @3\nreturn %r\n"
#define LAYER                                                                                                          \
    INPUT "input %w: f32[16, 16] @1\ninput %b: f32[16] @2\n"                                                           \
          "%m = aten.mm.default(self=%x, mat2=%w) -> f32[8, 16] @3\n"                                                  \
          "%a = aten.add.Tensor(self=%m, other=%b) -> f32[8, 16] @4\n"                                                 \
          "%r = aten.relu.default(self=%a) -> f32[8, 16] @5\nreturn %r\n"

/* xla/service/instruction_fusion.cc: producers are duplicated into their consumers, expensive ones are not; a reduction
 * takes what it folds, and what goes over its results takes the reduction. */
static void test_xla(void **state) {
    (void)state;
    struct totals cheap = run(CHEAP_TWICE, "xla"), heavy = run(EXP_TWICE, "xla");
    assert_int_equal(cheap.kernels, 2);
    assert_int_equal(cheap.executed - cheap.flops, 8 * 16);
    assert_int_equal(cheap.reread, 4 * 8 * 16);
    assert_int_equal(heavy.kernels, 3);
    assert_int_equal(heavy.reread, 0);
    assert_int_equal(kernels(FOLD_AND_MORE, "xla"), 1);
    assert_int_equal(kernels(LAYER, "xla"), 2);
    assert_int_equal(cheap.inductor, -2); /* not counted: -1 of each kernel */
}

/* src/relax/transform/fuse_ops.cc: products with what is elementwise behind them; elementwise into a reduction, nothing
 * behind it; through both ways of a residual; not where a value is returned too. */
static void test_tvm(void **state) {
    static const char residual[] = INPUT "input %w: f32[16, 16] @1\n"
                                         "%m = aten.mm.default(self=%x, mat2=%w) -> f32[8, 16] @2\n"
                                         "%r = aten.relu.default(self=%m) -> f32[8, 16] @3\n"
                                         "%s = aten.neg.default(self=%m) -> f32[8, 16] @4\n"
                                         "%a = aten.add.Tensor(self=%r, other=%s) -> f32[8, 16] @5\nreturn %a\n";
    static const char returned[] = INPUT "input %w: f32[16, 16] @1\n"
                                         "%m = aten.mm.default(self=%x, mat2=%w) -> f32[8, 16] @2\n"
                                         "%r = aten.relu.default(self=%m) -> f32[8, 16] @3\nreturn [%m, %r]\n";
    static const char two[] = INPUT "input %w: f32[16, 16] @1\n"
                                    "%m = aten.mm.default(self=%x, mat2=%w) -> f32[8, 16] @2\n"
                                    "%n = aten.mm.default(self=%m, mat2=%w) -> f32[8, 16] @3\n"
                                    "%r = aten.relu.default(self=%n) -> f32[8, 16] @4\nreturn %r\n";
    static const char folded[] = INPUT "input %w: f32[16, 16] @1\n"
                                       "%m = aten.mm.default(self=%x, mat2=%w) -> f32[8, 16] @2\n"
                                       "%s = aten.sum.dim_IntList(self=%m, dim=[1]) -> f32[8] @3\nreturn %s\n";
    (void)state;
    assert_int_equal(kernels(LAYER, "tvm"), 1);
    assert_int_equal(kernels(residual, "tvm"), 1);
    assert_int_equal(kernels(returned, "tvm"), 2);
    assert_int_equal(kernels(two, "tvm"), 2);
    assert_int_equal(kernels(folded, "tvm"), 2);
    assert_int_equal(kernels(FOLD_AND_MORE, "tvm"), 2);
    struct totals twice = run(CHEAP_TWICE, "tvm"); /* whose end is the program's: nothing joins, nothing runs twice */
    assert_int_equal(twice.kernels, 3);
    assert_int_equal(twice.executed, twice.flops);
}

/* tinygrad/schedule/rangeify.py: a value of at most 3 buffers is computed again by whoever reads it, also an
 * exponential; one of more, or a reduction, is kept; a reduction takes what goes over its results. */
static void test_tinygrad(void **state) {
    static const char inputs[] = "input %x: f32[8, 16] @0\ninput %y: f32[8, 16] @1\ninput %z: f32[8, 16] @2\n"
                                 "input %w: f32[8, 16] @3\n"
                                 "%a = aten.add.Tensor(self=%x, other=%y) -> f32[8, 16] @4\n"
                                 "%b = aten.add.Tensor(self=%a, other=%z) -> f32[8, 16] @5\n";
    static const char ends[] = "%n = aten.neg.default(self=%c) -> f32[8, 16] @7\n"
                               "%s = aten.sum.dim_IntList(self=%c, dim=[1]) -> f32[8] @8\nreturn [%n, %s]\n";
    char three[TEXT], four[TEXT];
    (void)state;
    (void)snprintf(three, sizeof three, "%s%s%s", inputs, "%c = aten.exp.default(self=%b) -> f32[8, 16] @6\n", ends);
    (void)snprintf(four, sizeof four, "%s%s%s", inputs, "%c = aten.add.Tensor(self=%b, other=%w) -> f32[8, 16] @6\n",
                   ends);
    assert_int_equal(kernels(EXP_TWICE, "tinygrad"), 2);
    assert_int_equal(kernels(three, "tinygrad"), 2);
    assert_int_equal(kernels(four, "tinygrad"), 3);
    assert_int_equal(kernels(FOLD_AND_MORE, "tinygrad"), 1);
}

/* ---- profile files --------------------------------------------------------------------------------------------------
 */

static bool append(void *context, const char *bytes, size_t size) {
    char *text = context;
    size_t used = strlen(text);
    if (used + size >= TEXT) {
        return false;
    }
    memcpy(text + used, bytes, size);
    text[used + size] = '\0';
    return true;
}

/* What is printed reads as what it was. */
static void test_round_trip(void **state) {
    fxc_profile_info info = {.struct_size = sizeof info};
    (void)state;
    for (uint32_t i = 0; fxc_profile_get(i, &info, NULL) == FXC_OK; i++) {
        char once[TEXT] = "", twice[TEXT] = "";
        fxc_profile *own = NULL;
        fxc_error err = FXC_ERROR_INIT;
        assert_int_equal(fxc_profile_print(fxc_profile_find(info.name), append, once, &err), FXC_OK);
        if (fxc_profile_parse(once, strlen(once), info.name, &own, &err) != FXC_OK) {
            fail_msg("%s", err.message);
        }
        assert_int_equal(fxc_profile_print(own, append, twice, &err), FXC_OK);
        assert_string_equal(once, twice);
        fxc_profile_free(own);
    }
    const char *name, *text;
    assert_int_equal(fxc_profile_word(0, &name, &text, NULL), FXC_OK);
    assert_int_equal(fxc_profile_word(1000, &name, &text, NULL), FXC_USAGE);
}

static void test_bad_files(void **state) {
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"profile = p\n", "from = PROFILE, or engine = nodes or loops"},
        {"from = none\n", "profile = NAME"},
        {"profile = p\nfrom = nine\n", "line 2"},
        {"profile = p\nengine = oil\n", "nodes or loops"},
        {"profile = p\nengine = loops\n", "max_nodes of at least 1"},
        {"profile = p\nmax_nodes = 2\n", "first"},
        {"profile = p\nfrom = none\nmax_nodes = -1\n", "a whole number"},
        {"profile = p\nfrom = none\nmax_nodes = 2x\n", "a whole number"},
        {"profile = p\nfrom = none\nmax_nodes = 2\nmax_nodes = 2\n", "each name once"},
        {"profile = p\nfrom = none\nouter_loops = yes\n", "true or false"},
        {"profile = p\nfrom = none\nmax_kernels = 2\n", "a word of a profile"},
        {"profile = p\nfrom = inductor-cpu\nheavy = sin\n", "exp, log, log10"},
        {"profile = p\nfrom = spans\nfusible = soft\n", "kinds of operators"},
        {"profile = p\nfrom = spans\nrule = pointwise | pointwise\n", "producers | what their kernel may hold"},
        {"profile = p\nfrom = spans\nrule = pointwise | soft | view | any | any\n", "kinds of operators"},
        {"profile = p\nfrom = spans\nrule = view | view | view | near | any\n", "same_elements"},
        {"profile = p\nprofile = q\n", "each name once"},
        {"profile\n", "name = value"},
        {"profile = # nothing\n", "a value after '='"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fxc_profile *own = NULL;
        fxc_error err = FXC_ERROR_INIT;
        assert_int_equal(fxc_profile_parse(bad[i].text, strlen(bad[i].text), "bad.profile", &own, &err), FXC_USAGE);
        assert_null(own);
        if (strstr(err.message, bad[i].said) == NULL || strstr(err.message, "bad.profile") == NULL) {
            fail_msg("'%s' is not in:\n%s", bad[i].said, err.message);
        }
    }
    fxc_profile *own = NULL;
    fxc_error err = FXC_ERROR_INIT;
    assert_int_equal(fxc_profile_open("./no-such.profile", &own, &err), FXC_IO);
    assert_int_equal(fxc_profile_parse("profile\0", 8, "nul", &own, &err), FXC_USAGE);
}

/* A profile of rules alone: pointwise nodes that one reads, at most two together. */
static void test_own_rules(void **state) {
    static const char text[] = "profile = pairs # two at a time\nengine = nodes\nmax_nodes = 2\n"
                               "rule = pointwise | pointwise | pointwise | same_elements | one\n";
    static const char chain[] = INPUT "%a = aten.neg.default(self=%x) -> f32[8, 16] @1\n"
                                      "%b = aten.exp.default(self=%a) -> f32[8, 16] @2\n"
                                      "%c = aten.neg.default(self=%b) -> f32[8, 16] @3\nreturn %c\n";
    char path[] = "pairs-XXXXXX.profile";
    (void)state;
    int file = mkstemps(path, 8);
    assert_true(file >= 0);
    FILE *stream = fdopen(file, "w");
    assert_non_null(stream);
    (void)fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(kernels(chain, path), 2);
    (void)remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xla),        cmocka_unit_test(test_tvm),       cmocka_unit_test(test_tinygrad),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bad_files), cmocka_unit_test(test_own_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
