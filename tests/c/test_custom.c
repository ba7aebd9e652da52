/* Formulas of the user's own, through the public header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/op.h"

static const char text[] =
    "fxir 1.0\n"
    "op my.thing.default custom \"(Tensor x, Tensor[] parts, int n, int[] k) -> (Tensor, Tensor)\"\n"
    "graph \"main\" captured\n"
    "  input %x: f16[3, 4] @0\n"
    "  %thing = my.thing.default(x=%x, parts=[%x, %x], n=5, k=[2, 9]) -> [%: f16[3] @1, %: f16[7] @2]\n"
    "  %relu = aten.relu.default(self=%x) -> f16[3, 4] @3\n"
    "  return %relu\n";

struct setup {
    fxc_program *program;
    fxc_analysis *analysis;
    fxc_error err;
};

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

static fxc_totals totals_of(struct setup *setup) {
    fxc_totals totals = {.struct_size = sizeof totals};
    if (fxc_analysis_totals(setup->analysis, &totals, &setup->err) != FXC_OK) {
        fail_msg("%s", setup->err.message);
    }
    return totals;
}

static fxc_status count_thing(const fxc_op_call *call, fxc_counts *out, void *context, fxc_error *err) {
    fxc_tensor_info x = {.struct_size = sizeof x}, part = {.struct_size = sizeof part}, result = x;
    int64_t n, k;
    (void)err;
    ++*(int *)context;
    assert_string_equal(fxc_op_call_name(call), "my.thing.default");
    assert_true(fxc_op_call_tensor(call, "x", &x));
    assert_int_equal(x.rank, 2);
    assert_int_equal(x.size[1], 4);
    assert_int_equal(x.stride[0], 4);
    assert_true(fxc_op_call_tensor(call, "parts.1", &part));
    assert_int_equal(part.numel, 12);
    assert_false(fxc_op_call_tensor(call, "parts.2", &part));
    assert_false(fxc_op_call_tensor(call, "n", &part));
    assert_false(fxc_op_call_tensor(call, "y", &part));
    assert_true(fxc_op_call_result(call, 1, &result));
    assert_int_equal(result.size[0], 7);
    assert_false(fxc_op_call_result(call, 2, &result));
    assert_true(fxc_op_call_int(call, "n", &n));
    assert_true(fxc_op_call_int(call, "k.1", &k));
    assert_false(fxc_op_call_int(call, "x", &k));
    out->macs = n * k;
    out->matrix_flops = 2 * n * k;
    out->bytes_read = 12345; /* not a formula's to say */
    return FXC_OK;
}

static void test_a_callback_counts(void **state) {
    struct setup *setup = *state;
    int calls = 0;
    fxc_op_desc desc = {sizeof desc, "my::thing", false, count_thing, &calls};
    fxc_totals before = totals_of(setup);
    assert_int_equal(before.unknown_nodes, 1);
    assert_int_equal(fxc_analysis_add_op(setup->analysis, &desc, &setup->err), FXC_OK);
    fxc_totals after = totals_of(setup);
    assert_int_equal(calls, 1);
    assert_int_equal(after.unknown_nodes, 0);
    assert_int_equal(after.counts.macs, 45);
    assert_int_equal(after.flops, before.flops + 90);
    assert_int_equal(after.counts.bytes_read, before.counts.bytes_read);
    fxc_correction correction = {.struct_size = sizeof correction};
    assert_int_equal(fxc_analysis_correction(setup->analysis, 0, &correction, &setup->err), FXC_OK);
    assert_string_equal(correction.text, "formula my.thing");
    assert_int_equal(correction.nodes, 1);
    assert_int_equal(fxc_analysis_correction(setup->analysis, 1, &correction, &setup->err), FXC_USAGE);
}

static fxc_status fail_to_count(const fxc_op_call *call, fxc_counts *out, void *context, fxc_error *err) {
    (void)call, (void)out, (void)err;
    return *(fxc_status *)context;
}

static void test_a_callback_may_fail(void **state) {
    struct setup *setup = *state;
    fxc_status status = FXC_UNKNOWN_OPS;
    fxc_op_desc desc = {sizeof desc, "aten.relu", false, fail_to_count, &status};
    fxc_totals totals = {.struct_size = sizeof totals};
    assert_int_equal(fxc_analysis_add_op(setup->analysis, &desc, &setup->err), FXC_OK);
    assert_int_equal(totals_of(setup).unknown_nodes, 2);
    status = FXC_OVERFLOW;
    assert_int_equal(fxc_analysis_ignore_op(setup->analysis, "nothing", &setup->err), FXC_OK); /* drops the facts */
    assert_int_equal(fxc_analysis_totals(setup->analysis, &totals, &setup->err), FXC_OVERFLOW);
}

static void test_wrong_arguments(void **state) {
    struct setup *setup = *state;
    fxc_op_desc desc = {sizeof desc - 1, "aten.relu", false, fail_to_count, NULL};
    assert_int_equal(fxc_analysis_add_op(setup->analysis, &desc, &setup->err), FXC_USAGE);
    desc = (fxc_op_desc){sizeof desc, "aten.relu", false, NULL, NULL};
    assert_int_equal(fxc_analysis_add_op(setup->analysis, &desc, &setup->err), FXC_USAGE);
    desc = (fxc_op_desc){sizeof desc, "", false, fail_to_count, NULL};
    assert_int_equal(fxc_analysis_add_op(setup->analysis, &desc, &setup->err), FXC_USAGE);
    assert_int_equal(fxc_analysis_ignore_op(setup->analysis, NULL, &setup->err), FXC_USAGE);
    assert_int_equal(fxc_analysis_scale_op(setup->analysis, "aten.relu", "1e3", &setup->err), FXC_USAGE);
    assert_int_equal(fxc_analysis_scale_op(setup->analysis, "aten.relu", "", &setup->err), FXC_USAGE);
    assert_int_equal(fxc_analysis_scale_op(setup->analysis, "aten.relu", "1234567890", &setup->err), FXC_USAGE);
    assert_int_equal(totals_of(setup).ignored_nodes, 0);
}

static fxc_status measure_thing(const fxc_op_call *call, int64_t *out, void *context, fxc_error *err) {
    fxc_counts counts;
    (void)err;
    bool known = fxc_op_call_counts(call, &counts);
    assert_int_equal(known, strcmp(fxc_op_call_name(call), "my.thing.default") != 0); /* it has no formula */
    *out = known ? counts.bytes_written : *(int64_t *)context;
    return *out < 0 ? FXC_UNKNOWN_OPS : FXC_OK;
}

static void test_a_metric(void **state) {
    struct setup *setup = *state;
    int64_t number = 100;
    fxc_metric_desc desc = {sizeof desc, "mine", "*", false, measure_thing, &number};
    fxc_metric_total total = {.struct_size = sizeof total};
    assert_int_equal(fxc_analysis_metric(setup->analysis, 0, &total, &setup->err), FXC_USAGE);
    assert_int_equal(fxc_analysis_add_metric(setup->analysis, &desc, &setup->err), FXC_OK);
    assert_int_equal(fxc_analysis_metric(setup->analysis, 0, &total, &setup->err), FXC_OK);
    assert_string_equal(total.name, "mine");
    assert_int_equal(total.value, 100 + 2 * 12); /* relu writes f16[3, 4] */
    assert_int_equal(total.nodes, 2);
    assert_int_equal(fxc_analysis_node_metric(setup->analysis, 0, 1, &total, &setup->err), FXC_OK);
    assert_int_equal(total.value, 2 * 12);
    assert_int_equal(fxc_analysis_node_metric(setup->analysis, 0, 9, &total, &setup->err), FXC_USAGE);
    number = -1;
    assert_int_equal(fxc_analysis_add_metric(setup->analysis, &desc, &setup->err), FXC_OK); /* drops the fact */
    assert_int_equal(fxc_analysis_metric(setup->analysis, 0, &total, &setup->err), FXC_OK);
    assert_int_equal(total.value, 2 * 12);
    assert_int_equal(total.unknown_nodes, 1);
    desc.metric = "two words";
    assert_int_equal(fxc_analysis_add_metric(setup->analysis, &desc, &setup->err), FXC_USAGE);
    desc = (fxc_metric_desc){sizeof desc, "mine", "*", false, NULL, NULL};
    assert_int_equal(fxc_analysis_add_metric(setup->analysis, &desc, &setup->err), FXC_USAGE);
}

/* Every piece of a text, as it stands and cut short anywhere, is read or refused with a line. */
static void test_text_cut_anywhere(void **state) {
    struct setup *setup = *state;
    static const char formulas[] =
        "# c\nop my.thing: macs = numel(x) * (n + k.1) ^ 2 - -3; flops = min(x[0], rank(x)) / 2\n"
        "  ; int_ops = out1[0] % 4\nignore module a.b\nscale aten.relu 0.125\n"
        "module my.Class: transcendentals = ceildiv(in0[0], 3)\n"
        "metric m: macs + bytes_read\nmetric m op my::thing: n * k.0\n";
    int refused = 0;
    for (size_t size = 0; size < sizeof formulas; size++) {
        fxc_analysis *analysis;
        fxc_totals totals = {.struct_size = sizeof totals};
        assert_int_equal(fxc_analysis_new(setup->program, &analysis, &setup->err), FXC_OK);
        fxc_status status = fxc_analysis_add_formulas(analysis, formulas, size, "f", &setup->err);
        if (status != FXC_OK) {
            refused++;
            assert_int_equal(status, FXC_USAGE);
            assert_memory_equal(setup->err.where, "f:", 2);
        }
        status = fxc_analysis_totals(analysis, &totals, &setup->err);
        if (size == sizeof formulas - 1) {
            assert_int_equal(status, FXC_OK);
            assert_int_equal(totals.counts.macs, 12 * 14 * 14 + 3);
            fxc_metric_total metric = {.struct_size = sizeof metric};
            assert_int_equal(fxc_analysis_metric(analysis, 0, &metric, &setup->err), FXC_OK);
            assert_int_equal(metric.value, 5 * 2 + 2 * 12); /* the operator's; f16[3, 4] read by relu */
        }
        fxc_analysis_free(analysis);
    }
    assert_true(refused > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_callback_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_callback_may_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_metric, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_text_cut_anywhere, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
