/* Where shapes come from, through the public header: inputs, rules, the recording, what is no tensor, symbols. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/enums.h"
#include "passes/analysis.h"

static const char text[] = "fxir 1.0\n"
                           "symbol s0 min=2 max=9\n"
                           "op my.thing.default custom \"(Tensor x) -> Tensor\"\n"
                           "graph \"main\" captured\n"
                           "  input %x: f16[3, 4] @0\n"
                           "  input %y: f32[s0, 3] @1\n"
                           "  %t = aten.t.default(self=%x) -> f16[4, 3]{1, 4} @0\n"
                           "  %thing = my.thing.default(x=%t) -> i64[7] @2\n"
                           "  %relu = aten.relu.default(self=%y) -> f32[s0, 3] @3\n"
                           "  %split = aten.split.Tensor(self=%x, split_size=2, dim=1) -> [%: f16[3, 2]{4, 1} @0, %: "
                           "f16[3, 2]{4, 1}+2 @0]\n"
                           "  return %thing\n";

static fxc_value_info by_name(fxc_analysis *analysis, uint32_t count, const char *name) {
    fxc_value_info info = {.struct_size = sizeof info};
    fxc_error err = FXC_ERROR_INIT;
    for (uint32_t value = 0; value < count; value++) {
        if (fxc_analysis_value(analysis, value, &info, &err) != FXC_OK) {
            fail_msg("%s", err.message);
        }
        if (strcmp(info.name, name) == 0) {
            return info;
        }
    }
    fail_msg("no value %s", name);
    return info;
}

static void test_sources(void **state) {
    (void)state;
    fxc_program *program = NULL;
    fxc_analysis *analysis = NULL;
    fxc_error err = FXC_ERROR_INIT;
    fxc_program_info head = {.struct_size = sizeof head};
    if (fxc_program_from_memory(text, strlen(text), "test", &program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(fxc_program_get_info(program, &head, &err), FXC_OK);
    assert_int_equal(fxc_analysis_new(program, &analysis, &err), FXC_OK);

    fxc_value_info info = by_name(analysis, head.values, "x");
    assert_int_equal(info.source, FXC_SOURCE_INPUT);
    assert_true(info.producer == FXC_NONE);
    assert_int_equal(info.dtype, FXC_DTYPE_FLOAT16);

    info = by_name(analysis, head.values, "t");
    assert_int_equal(info.source, FXC_SOURCE_RULE);
    assert_int_equal(info.producer, 0);
    assert_int_equal(info.kind, FXC_KIND_TENSOR);
    assert_int_equal(info.rank, 2);
    assert_int_equal(info.numel, 12);
    assert_int_equal(info.size[0], 4);
    assert_int_equal(info.size[1], 3);
    assert_int_equal(info.stride[0], 1);
    assert_int_equal(info.stride[1], 4);

    info = by_name(analysis, head.values, "thing");
    assert_int_equal(info.source, FXC_SOURCE_RECORDED);
    assert_int_equal(info.dtype, FXC_DTYPE_INT64);

    info = by_name(analysis, head.values, "relu"); /* s0 has no value: nothing to derive */
    assert_int_equal(info.source, FXC_SOURCE_RECORDED);
    assert_int_equal(info.numel, -1);
    assert_int_equal(info.size[0], -1);
    assert_int_equal(fxc_analysis_set(analysis, "dim.s0", "5", &err), FXC_OK);
    info = by_name(analysis, head.values, "relu");
    assert_int_equal(info.source, FXC_SOURCE_RULE);
    assert_int_equal(info.numel, 15);

    info = by_name(analysis, head.values, "split"); /* a list: its elements have shapes */
    assert_int_equal(info.source, FXC_SOURCE_NONE);
    assert_int_equal(info.dtype, FXC_DTYPE_OPAQUE);
    assert_null(info.size);

    assert_int_equal(fxc_analysis_value(analysis, head.values, &info, &err), FXC_USAGE);
    info.struct_size = 4;
    assert_int_equal(fxc_analysis_value(analysis, 0, &info, &err), FXC_USAGE);
    fxc_analysis_free(analysis);
    fxc_program_free(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
