/* fxc_program_reshape: where results lie, what stays symbolic, what is refused, and the arguments of the call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/program.h"

static fxc_program *parse(const char *body) {
    char text[4096];
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = NULL;
    (void)snprintf(text, sizeof text, "fxir 1.0\n%s", body);
    if (fxc_program_from_memory(text, strlen(text), "test", &program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return program;
}

/* At other sizes of one input; FXC_OK is not expected here but by `at`. */
static fxc_status try_at(const fxc_program *program, const char *name, uint32_t rank, const int64_t *size,
                         fxc_program **out, fxc_error *err) {
    fxc_input_shape input = {name, size, rank, -1};
    fxc_reshape_options options = {.struct_size = sizeof options, .inputs = &input, .input_count = 1};
    return fxc_program_reshape(program, &options, out, err);
}

static fxc_program *at(const fxc_program *program, const char *name, uint32_t rank, const int64_t *size) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *out = NULL;
    if (try_at(program, name, rank, size, &out, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return out;
}

static uint32_t value(const fxc_program *p, const char *name) {
    for (uint32_t v = 0; v < FXC_COUNT(p, value); v++) {
        if (strcmp(fxc_string(p, p->value_name[v]), name) == 0) {
            return v;
        }
    }
    fail_msg("no value %s", name);
    return 0;
}

static int64_t size_of(const fxc_program *p, const char *name, uint32_t dim) {
    return p->dim_size[p->meta_dim_begin[p->value_payload[value(p, name)]] + dim];
}
static int64_t stride_of(const fxc_program *p, const char *name, uint32_t dim) {
    return p->dim_stride[p->meta_dim_begin[p->value_payload[value(p, name)]] + dim];
}
static int64_t offset_of(const fxc_program *p, const char *name) {
    return p->meta_offset[p->value_payload[value(p, name)]];
}
static uint32_t storage_of(const fxc_program *p, const char *name) {
    return p->value_storage[value(p, name)];
}

static void test_views_lie_where_they_lay(void **state) {
    (void)state;
    fxc_program *p =
        parse("graph \"main\" captured\n"
              "  input %x: f32[4, 6] @0\n"
              "  %t = aten.t.default(self=%x) -> f32[6, 4]{1, 6} @0\n"
              "  %s = aten.select.int(self=%t, dim=0, index=-1) -> f32[4]{6}+5 @0\n"
              "  %c = aten.split.Tensor(self=%x, split_size=2, dim=0) -> [%: f32[2, 6] @0, %: f32[2, 6]+12 @0]\n"
              "  %g = operator.getitem(a=%c, b=1) -> f32[2, 6]+12 @0\n"
              "  %r = aten.relu.default(self=%g) -> f32[2, 6] @1\n"
              "  return %r\n");
    fxc_program *q = at(p, "x", 2, (const int64_t[]){4, 9});
    assert_int_equal(size_of(q, "t", 0), 9);
    assert_int_equal(stride_of(q, "t", 1), 9);
    assert_int_equal(offset_of(q, "s"), 8);
    assert_int_equal(offset_of(q, "g"), 18);
    assert_int_equal(storage_of(q, "g"), storage_of(q, "x"));
    assert_int_not_equal(storage_of(q, "r"), storage_of(q, "x"));
    assert_int_equal(q->storage_bytes[storage_of(q, "x")], 4 * 4 * 9);
    assert_int_equal(q->storage_bytes[storage_of(q, "r")], 4 * 2 * 9);
    fxc_program_free(q);
    fxc_program_free(p);
}

/* A reshape that could return a view of one row must copy several. */
static void test_a_view_may_become_a_copy(void **state) {
    (void)state;
    fxc_program *p = parse("graph \"main\" captured\n"
                           "  input %x: f32[2, 1, 3] @0\n"
                           "  %t = aten.transpose.int(self=%x, dim0=1, dim1=2) -> f32[2, 3, 1]{3, 1, 3} @0\n"
                           "  %r = aten.reshape.default(self=%t, shape=[2, -1]) -> f32[2, 3] @0\n"
                           "  return %r\n");
    fxc_program *q = at(p, "x", 3, (const int64_t[]){2, 5, 3});
    assert_int_equal(size_of(q, "r", 1), 15);
    assert_int_not_equal(storage_of(q, "r"), storage_of(q, "x"));
    assert_int_equal(q->storage_bytes[storage_of(q, "r")], 4 * 30);
    fxc_program_free(q);
    fxc_program_free(p);
}

static void test_sizes_that_are_data_stay_symbols(void **state) {
    (void)state;
    fxc_program *p = parse("symbol s0 dim=\"rows\" hint=3 min=2 max=8\n"
                           "symbol u0 min=0\n"
                           "storage @1 bytes=Mul(16, u0) device=\"cpu\" intermediate\n"
                           "op aten.nonzero.default aten \"(Tensor self) -> Tensor\" dynamic_output_shape\n"
                           "graph \"main\" captured\n"
                           "  input %x: f32[s0, 2] @0\n"
                           "  input %k: f32[5] @3\n"
                           "  %n = aten.nonzero.default(self=%x) -> i64[u0, 2]{1, u0} @1\n"
                           "  %e = aten.exp.default(self=%x) -> f32[s0, 2] @2\n"
                           "  return %n\n");
    fxc_program *q = at(p, "x", 2, (const int64_t[]){7, 2}), *again = NULL;
    fxc_error err = FXC_ERROR_INIT;
    assert_int_equal(FXC_COUNT(q, symbol), 1);
    assert_string_equal(fxc_string(q, q->symbol_name[0]), "u0");
    assert_false(fxc_is_literal(size_of(q, "n", 0)));
    assert_int_equal(size_of(q, "e", 0), 7);
    assert_int_equal(try_at(p, "x", 2, (const int64_t[]){9, 2}, &again, &err), FXC_USAGE);
    assert_null(again);
    assert_non_null(strstr(err.message, "at most 8"));
    /* By rules from here on: the sizes of what is found are still data. */
    again = at(q, "x", 2, (const int64_t[]){4, 2});
    assert_int_equal(size_of(again, "e", 0), 4);
    assert_int_equal(FXC_COUNT(again, symbol), 1);
    fxc_program_free(again);
    fxc_program_free(q);
    fxc_program_free(p);
}

static void test_the_source_is_not_needed_afterwards(void **state) {
    (void)state;
    fxc_program *p = parse("graph \"main\" captured\n"
                           "  input %x: f32[4, 6] @0\n"
                           "  %r = aten.relu.default(self=%x) -> f32[4, 6] @1\n"
                           "  return %r\n");
    fxc_program *q = at(p, "x", 1, (const int64_t[]){9});
    fxc_analysis *analysis = NULL;
    fxc_totals totals = {.struct_size = sizeof totals};
    fxc_error err = FXC_ERROR_INIT;
    fxc_program_free(p);
    assert_int_equal(fxc_analysis_new(q, &analysis, &err), FXC_OK);
    assert_int_equal(fxc_analysis_totals(analysis, &totals, &err), FXC_OK);
    assert_int_equal(totals.counts.vector_flops, 9);
    assert_int_equal(totals.values, 1);
    assert_int_equal(totals.given_values, 1);
    fxc_analysis_free(analysis);
    fxc_program_free(q);
}

static void test_refusals(void **state) {
    (void)state;
    fxc_program *p = parse("op my.thing.default custom \"(Tensor x) -> Tensor\"\n"
                           "graph \"main\" captured\n"
                           "  input %w: f32[5, 6] @1 = parameter \"w\"\n"
                           "  input %x: f32[4, 6] @0\n"
                           "  input %y: f32[4] @3\n"
                           "  %l = aten.linear.default(input=%x, weight=%w) -> f32[4, 5] @2\n"
                           "  %o = my.thing.default(x=%y) -> f32[2] @4\n"
                           "  return %l\n");
    fxc_program *q = p;
    fxc_error err = FXC_ERROR_INIT;
    fxc_reshape_options small = {.struct_size = 4};
    assert_int_equal(try_at(p, "x", 2, (const int64_t[]){4, 7}, &q, &err), FXC_PROGRAM);
    assert_null(q);
    assert_int_equal(err.node, 0);
    assert_string_equal(err.found, "input is [4, 7] and weight is [5, 6]");
    assert_int_equal(try_at(p, "y", 1, (const int64_t[]){5}, &q, &err), FXC_PROGRAM);
    assert_int_equal(err.node, 1);
    assert_non_null(strstr(err.expected, "a rule for the sizes"));
    assert_int_equal(try_at(p, "w", 2, (const int64_t[]){5, 7}, &q, &err), FXC_USAGE); /* no input of the user's */
    assert_int_equal(try_at(p, "x", 2, (const int64_t[]){INT64_MAX, 6}, &q, NULL), FXC_OVERFLOW);
    assert_int_equal(fxc_program_reshape(p, &small, &q, &err), FXC_USAGE);
    fxc_program_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_lie_where_they_lay),
        cmocka_unit_test(test_a_view_may_become_a_copy),
        cmocka_unit_test(test_sizes_that_are_data_stay_symbols),
        cmocka_unit_test(test_the_source_is_not_needed_afterwards),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
