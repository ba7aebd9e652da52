/* The operator table, the accessors of rules, and the passes shapes and flops on small programs in text form. The
 * Python tests hold the numbers against torch; here are the structures that captures rarely show: symbols without a
 * value, contradictions, overflows, packed sequences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/ops.h"
#include "passes/rule.h"
#include "passes/shapes/rules.h"

/* ---- the table --------------------------------------------------------------------------------------------------- */

static void test_lookup_finds_every_row(void **state) {
    (void)state;
    assert_true(fxc_op_row_count >= 1000);
    for (uint32_t i = 0; i < fxc_op_row_count; i++) {
        /* A name that occurs twice, or out of order in its family, is not found at its own row. */
        assert_ptr_equal(fxc_op_lookup(fxc_op_rows[i].name), &fxc_op_rows[i]);
    }
    assert_null(fxc_op_lookup(""));
    assert_null(fxc_op_lookup("aten.add"));
    assert_null(fxc_op_lookup("aten.add.Tensor2"));
    assert_null(fxc_op_lookup("zzz"));
}

static void test_rows_are_complete(void **state) {
    (void)state;
    for (uint32_t i = 0; i < fxc_op_row_count; i++) {
        const struct fxc_op_row *row = &fxc_op_rows[i];
        assert_true(row->flop_name[0] != '\0' && row->doc[0] != '\0' && row->eager != NULL);
        assert_int_equal(row->flops == FXC_FLOPS_UNKNOWN, strcmp(row->flop_name, "unknown") == 0);
        assert_int_equal(row->shape == FXC_SHAPE_RECORDED_ONLY, strcmp(row->shape_name, "-") == 0);
        assert_true(row->fuse < FXC_FUSE_COUNT && row->touch < FXC_TOUCH_COUNT);
        assert_true(row->autocast < FXC_AUTOCAST_COUNT && row->alias < FXC_ALIAS_COUNT);
        /* What touches no data computes nothing; what calls graphs leaves the work to them. */
        bool nothing = strcmp(row->flop_name, "zero") == 0 || strncmp(row->name, "higher_order.", 13) == 0;
        assert_true(row->touch != FXC_TOUCH_NONE || nothing);
    }
}

static void test_public_description(void **state) {
    (void)state;
    fxc_op_info info = {.struct_size = sizeof info};
    fxc_error err = FXC_ERROR_INIT;
    assert_int_equal(fxc_op_find("aten.linear.default", &info, &err), FXC_OK);
    assert_string_equal(info.name, "aten.linear.default");
    assert_string_equal(info.schema, "(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor");
    assert_string_equal(info.flop_rule, "linear");
    assert_string_equal(info.shape_rule, "linear");
    assert_string_equal(info.fuse, "anchor");
    assert_string_equal(info.autocast, "lower_precision");
    assert_true(info.activation);
    assert_int_equal(fxc_op_get(fxc_op_row_count - 1, &info, &err), FXC_OK);
    assert_int_equal(fxc_op_get(fxc_op_row_count, &info, &err), FXC_USAGE);
    assert_int_equal(fxc_op_find("aten.linear", &info, &err), FXC_USAGE);
    assert_non_null(strstr(err.message, "aten.linear"));
    assert_int_equal(fxc_op_find(NULL, &info, NULL), FXC_USAGE);
    info.struct_size = 4;
    assert_int_equal(fxc_op_get(0, &info, &err), FXC_USAGE);
}

/* ---- programs ---------------------------------------------------------------------------------------------------- */

/* Schemas matter to the parser only; rules read names. */
#define HEAD                                                                                                           \
    "fxir 1.0\n"                                                                                                       \
    "device \"cpu\"\n"                                                                                                 \
    "symbol s0 dim=\"B\" hint=6 min=2\n"                                                                               \
    "symbol u0 dim=\"\"\n"                                                                                             \
    "op aten.linear.default aten \"(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor\"\n"                     \
    "op aten.mm.default aten \"(Tensor self, Tensor mat2) -> Tensor\"\n"                                               \
    "op aten.add.Tensor aten \"(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor\"\n"                           \
    "op aten.relu.default aten \"(Tensor self) -> Tensor\"\n"                                                          \
    "op aten.sym_size.int aten \"(Tensor self, int dim) -> SymInt\"\n"                                                 \
    "op aten.view.default aten \"(Tensor(a) self, SymInt[] size) -> Tensor(a)\" view\n"                                \
    "op aten.slice.Tensor aten \"(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> " \
    "Tensor(a)\" view\n"                                                                                               \
    "op aten.cat.default aten \"(Tensor[] tensors, int dim=0) -> Tensor\"\n"                                           \
    "op aten.gelu.default aten \"(Tensor self, *, str approximate=\\\"none\\\") -> Tensor\"\n"                         \
    "op aten.lstm.data aten \"(Tensor data, Tensor batch_sizes, Tensor[] hx, Tensor[] params, bool has_biases, int "   \
    "num_layers, float dropout, bool train, bool bidirectional) -> (Tensor, Tensor, Tensor)\"\n"                       \
    "op my.op.default custom \"(Tensor self) -> Tensor\"\n"                                                            \
    "module 0 \"\" \"M\"\n"                                                                                            \
    "storage @0 bytes=9000000000000000000 device=\"cpu\" intermediate\n"                                               \
    "graph \"main\" captured\n"

struct run {
    fxc_program *p;
    fxc_analysis *analysis;
    fxc_status status;
    fxc_error err;
};

static struct run run(const char *text, const char *option, const char *value) {
    struct run r = {.err = FXC_ERROR_INIT};
    if (fxc_program_from_memory(text, strlen(text), "test", &r.p, &r.err) != FXC_OK ||
        fxc_analysis_new(r.p, &r.analysis, &r.err) != FXC_OK) {
        fail_msg("%s", r.err.message);
    }
    if (option != NULL && fxc_analysis_set(r.analysis, option, value, &r.err) != FXC_OK) {
        fail_msg("%s", r.err.message);
    }
    r.status = fxc_require(r.analysis, "flops", &r.err);
    return r;
}

static struct run run_well(const char *text) {
    struct run r = run(text, NULL, NULL);
    if (r.status != FXC_OK) {
        fail_msg("%s", r.err.message);
    }
    return r;
}

static void finish(struct run *r) {
    fxc_analysis_free(r->analysis);
    fxc_program_free(r->p);
}

static uint32_t node(const struct run *r, const char *name) {
    for (uint32_t n = 0; n < FXC_COUNT(r->p, node); n++) {
        if (strcmp(fxc_node_name(r->p, n), name) == 0) {
            return n;
        }
    }
    fail_msg("no node %s", name);
    return FXC_NONE;
}

static const fxc_counts *counts(const struct run *r, const char *name) {
    return &r->analysis->flops->counts[node(r, name)];
}

static uint8_t coverage(const struct run *r, const char *name) {
    return r->analysis->flops->coverage[node(r, name)];
}

static uint8_t source(const struct run *r, const char *name) {
    return r->analysis->shapes->source[r->p->node_result[node(r, name)]];
}

static struct fxc_rule rule_of(const struct run *r, const char *name) {
    return (struct fxc_rule){
        .program = r->p, .shapes = r->analysis->shapes, .bindings = r->analysis->bindings, .node = node(r, name)};
}

static void test_accessors(void **state) {
    (void)state;
    struct run r = run_well(HEAD "  input %x: f32[s0, 4] @0\n"
                                 "  input %w: f32[5, 4] @1\n"
                                 "  %n = aten.sym_size.int(self=%x, dim=0) -> symint(s0)\n"
                                 "  %v = aten.view.default(self=%x, size=[%n, 2, -1]) -> f32[s0, 2, 2] @0\n"
                                 "  %s = aten.slice.Tensor(self=%v, dim=-1, start=0, end=%n) -> f32[s0, 2, 2] @0\n"
                                 "  %g = aten.gelu.default(self=%x, approximate=\"tanh\") -> f32[s0, 4] @0\n"
                                 "  %c = aten.cat.default(tensors=[%x, %g], dim=1) -> f32[s0, 8] @0\n"
                                 "  return %c\n");
    struct fxc_tensor tensor;
    enum fxc_kind kind;
    int64_t number, payload;
    bool truth;
    struct fxc_rule rule = rule_of(&r, "v");
    assert_true(fxc_rule_tensor(&rule, FXC_NAME_self, &tensor));
    assert_int_equal(tensor.rank, 2);
    assert_int_equal(tensor.size[0], 6);
    assert_int_equal(tensor.numel, 24);
    assert_false(fxc_rule_tensor(&rule, FXC_NAME_other, &tensor));
    assert_false(fxc_rule_tensor(&rule, FXC_NAME_size, &tensor));
    assert_true(fxc_rule_tensor2(&rule, FXC_NAME_input, FXC_NAME_self, &tensor));
    assert_true(fxc_rule_arg(&rule, FXC_NAME_size, &kind, &payload));
    assert_int_equal(kind, FXC_KIND_LIST);
    uint32_t list = fxc_rule_list(&rule, FXC_NAME_size);
    assert_int_equal(fxc_list_count(r.p, list), 3);
    assert_true(fxc_rule_item_int(&rule, list, 0, &number)); /* what a node computed */
    assert_int_equal(number, 6);
    assert_true(fxc_rule_item_int(&rule, list, 2, &number));
    assert_int_equal(number, -1);
    assert_false(fxc_rule_item_int(&rule, list, 3, &number));
    assert_false(fxc_rule_item_tensor(&rule, list, 0, &tensor));
    assert_int_equal(fxc_rule_list(&rule, FXC_NAME_self), FXC_NONE);

    rule = rule_of(&r, "s");
    assert_true(fxc_rule_int(&rule, FXC_NAME_end, -7, &number));
    assert_int_equal(number, 6);
    assert_true(fxc_rule_int(&rule, FXC_NAME_step, 1, &number)); /* absent: the fallback */
    assert_int_equal(number, 1);
    assert_false(fxc_rule_int(&rule, FXC_NAME_self, 1, &number)); /* no integer */
    assert_true(fxc_rule_bool(&rule, FXC_NAME_keepdim, true, &truth));
    assert_true(truth);
    assert_true(fxc_rule_result(&rule, 0, &tensor));
    assert_false(fxc_rule_result(&rule, 1, &tensor));

    rule = rule_of(&r, "g");
    assert_string_equal(fxc_rule_string(&rule, FXC_NAME_approximate), "tanh");
    assert_null(fxc_rule_string(&rule, FXC_NAME_self));
    rule = rule_of(&r, "c");
    assert_true(fxc_rule_item_tensor(&rule, fxc_rule_list(&rule, FXC_NAME_tensors), 1, &tensor));
    assert_int_equal(tensor.value, r.p->node_result[node(&r, "g")]);
    finish(&r);
}

static void test_names_are_distinct(void **state) {
    (void)state;
    assert_string_equal(fxc_name_texts[FXC_NAME_other_name], "");
    assert_string_equal(fxc_name_texts[FXC_NAME_self], "self");
    for (uint32_t i = 2; i < FXC_NAME_COUNT; i++) {
        assert_true(strcmp(fxc_name_texts[i - 1], fxc_name_texts[i]) < 0);
    }
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static void test_shapes_follow_bindings(void **state) {
    (void)state;
    const char *text = HEAD "  input %x: f32[s0, 4] @0\n"
                            "  input %w: f32[5, 4] @1\n"
                            "  %y = aten.linear.default(input=%x, weight=%w) -> f32[s0, 5] @0\n"
                            "  return %y\n";
    struct run r = run(text, "dim.B", "10");
    assert_int_equal(r.status, FXC_OK);
    assert_int_equal(source(&r, "y"), FXC_SHAPE_RULE);
    assert_int_equal(counts(&r, "y")->macs, 10 * 5 * 4);
    assert_int_equal(counts(&r, "y")->matrix_flops, 2 * 10 * 5 * 4);
    assert_int_equal(fxc_analysis_set(r.analysis, "dim.B", "3", &r.err), FXC_OK);
    assert_int_equal(fxc_require(r.analysis, "flops", &r.err), FXC_OK);
    assert_int_equal(counts(&r, "y")->macs, 3 * 5 * 4);
    finish(&r);
}

static void assert_fails(const char *text, const char *option, const char *value, fxc_status status,
                         const char *message) {
    struct run r = run(text, option, value);
    assert_int_equal(r.status, status);
    if (strstr(r.err.message, message) == NULL) {
        fail_msg("expected '%s' in: %s", message, r.err.message);
    }
    finish(&r);
}

static void test_contradictions(void **state) {
    (void)state;
    assert_fails(HEAD "  input %x: f32[8, 512] @1\n"
                      "  input %w: f32[768, 10] @2\n"
                      "  %y = aten.mm.default(self=%x, mat2=%w) -> f32[8, 10] @3\n"
                      "  return %y\n",
                 NULL, NULL, FXC_PROGRAM, "mat1 is [8, 512] and mat2 is [768, 10]");
    assert_fails(HEAD "  input %x: f32[8, 4] @1\n"
                      "  input %w: f32[5, 4] @2\n"
                      "  %y = aten.linear.default(input=%x, weight=%w) -> f32[8, 6] @3\n"
                      "  return %y\n",
                 NULL, NULL, FXC_PROGRAM, "the recorded shape [8, 6]");
    assert_fails(HEAD "  input %x: f32[8, 4] @1\n"
                      "  %y = aten.relu.default(self=%x) -> f32[32] @2\n"
                      "  return %y\n",
                 NULL, NULL, FXC_PROGRAM, "the shape [8, 4] that follows from the arguments (rule broadcast)");
    assert_fails(HEAD "  input %x: f32[8, 4] @1\n"
                      "  %y = aten.view.default(self=%x, size=[5, -1]) -> f32[5, 6] @2\n"
                      "  return %y\n",
                 NULL, NULL, FXC_PROGRAM, "a shape with the 32 elements of [8, 4]");
    assert_fails(HEAD "  input %x: f32[8, 4] @1\n"
                      "  input %z: f32[3] @2\n"
                      "  %y = aten.add.Tensor(self=%x, other=%z) -> f32[8, 4] @3\n"
                      "  return %y\n",
                 NULL, NULL, FXC_PROGRAM, "[8, 4] and other is [3]");
    assert_fails(HEAD "  input %x: f32[8, 4] @1\n"
                      "  input %z: f32[2, 5] @2\n"
                      "  %y = aten.cat.default(tensors=[%x, %z]) -> f32[10, 4] @3\n"
                      "  return %y\n",
                 NULL, NULL, FXC_PROGRAM, "differ only in the joined dimension");
}

static void test_slice_bounds(void **state) {
    (void)state;
    struct run r =
        run_well(HEAD "  input %x: f32[9, 4] @1\n"
                      "  %a = aten.slice.Tensor(self=%x, start=-3) -> f32[3, 4] @2\n"
                      "  %b = aten.slice.Tensor(self=%x, end=9223372036854775807, step=4) -> f32[3, 4]{16, 1} @3\n"
                      "  %c = aten.slice.Tensor(self=%x, start=7, end=2) -> f32[0, 4] @4\n"
                      "  %d = aten.slice.Tensor(self=%x, dim=1, start=-100, end=-1, step=2) -> f32[9, 2]{4, 2} @5\n"
                      "  return %a\n");
    for (uint32_t v = 0; v < FXC_COUNT(r.analysis->program, value); v++) {
        assert_true(r.analysis->program->value_producer[v] == FXC_NONE ||
                    r.analysis->shapes->source[v] == FXC_SHAPE_RULE);
    }
    finish(&r);
}

/* A size without a value: what needs it is unknown, and never zero; what does not need it is counted. */
static void test_symbol_without_value(void **state) {
    (void)state;
    struct run r = run_well(HEAD "  input %x: f32[u0, 4] @0\n"
                                 "  input %w: f32[5, 4] @1\n"
                                 "  %y = aten.linear.default(input=%x, weight=%w) -> f32[u0, 5] @0\n"
                                 "  %z = aten.add.Tensor(self=%w, other=%w) -> f32[5, 4] @2\n"
                                 "  %v = aten.view.default(self=%x, size=[-1]) -> f32[Mul(4, u0)] @0\n"
                                 "  %m = my.op.default(self=%w) -> f32[5, 4] @3\n"
                                 "  return %y\n");
    assert_int_equal(coverage(&r, "y"), FXC_COVERAGE_UNKNOWN);
    assert_int_equal(counts(&r, "y")->macs, 0);
    assert_int_equal(r.analysis->shapes->numel[r.p->node_result[node(&r, "y")]], -1);
    assert_int_equal(coverage(&r, "z"), FXC_COVERAGE_COUNTED);
    assert_int_equal(counts(&r, "z")->vector_flops, 20);
    assert_int_equal(coverage(&r, "v"), FXC_COVERAGE_ZERO);
    assert_int_equal(coverage(&r, "m"), FXC_COVERAGE_UNKNOWN);
    finish(&r);
}

static void test_overflow_names_the_node(void **state) {
    (void)state;
    assert_fails(HEAD "  input %x: f32[s0, 4000000000] @0\n"
                      "  %y = aten.relu.default(self=%x) -> f32[s0, 4000000000] @0\n"
                      "  return %y\n",
                 "dim.B", "4000000000", FXC_OVERFLOW, "input 'x'");
    assert_fails(HEAD "  input %x: f32[s0, 4000000000] @0\n"
                      "  input %w: f32[400000, 4000000000] @1\n"
                      "  %y = aten.linear.default(input=%x, weight=%w) -> f32[s0, 400000] @0\n"
                      "  return %y\n",
                 "dim.B", "2000000000", FXC_OVERFLOW, "'y'");
}

static void test_negative_size(void **state) {
    (void)state;
    assert_fails(HEAD "  input %x: f32[s0, 4] @0\n"
                      "  %y = my.op.default(self=%x) -> f32[Add(s0, -5)] @0\n"
                      "  return %y\n",
                 "dim.B", "3", FXC_PROGRAM, "the size -2 in dimension 0");
}

/* ---- flops ------------------------------------------------------------------------------------------------------- */

/* Ten rows of packed sequences through two layers: rows * (4 H * in + 4 H * H) and rows * (4 H * H + 4 H * H). */
static void test_packed_lstm(void **state) {
    (void)state;
    struct run r = run_well(
        HEAD
        "  input %x: f32[10, 7] @1\n"
        "  input %sizes: i64[5] @2\n"
        "  input %h: f32[2, 3, 6] @3\n"
        "  input %w0: f32[24, 7] @4\n"
        "  input %u: f32[24, 6] @5\n"
        "  input %b: f32[24] @6\n"
        "  %y = aten.lstm.data(data=%x, batch_sizes=%sizes, hx=[%h, %h], params=[%w0, %u, %b, %b, %u, %u, %b, %b], "
        "has_biases=true, num_layers=2, dropout=0.0, train=false, bidirectional=false) -> [%: f32[10, 6] @7, %: "
        "f32[2, 3, 6] @8, %: f32[2, 3, 6] @9]\n"
        "  return %y\n");
    assert_int_equal(counts(&r, "y")->macs, 10 * (24 * 7 + 24 * 6) + 10 * (24 * 6 + 24 * 6));
    assert_int_equal(counts(&r, "y")->vector_flops, 2 * 10 * 17 * 6);
    assert_int_equal(counts(&r, "y")->transcendentals, 2 * 10 * 5 * 6);
    finish(&r);
}

/* Weights that do not fit the number of layers: unknown, not a guess. */
static void test_lstm_with_wrong_weights(void **state) {
    (void)state;
    struct run r = run_well(HEAD "  input %x: f32[10, 7] @1\n"
                                 "  input %sizes: i64[5] @2\n"
                                 "  input %w0: f32[24, 7] @3\n"
                                 "  %y = aten.lstm.data(data=%x, batch_sizes=%sizes, hx=[], params=[%w0], "
                                 "has_biases=true, num_layers=2, dropout=0.0, train=false, bidirectional=false) -> "
                                 "[%: f32[10, 6] @4, %: f32[2, 3, 6] @5, %: f32[2, 3, 6] @6]\n"
                                 "  return %y\n");
    assert_int_equal(coverage(&r, "y"), FXC_COVERAGE_UNKNOWN);
    finish(&r);
}

static void test_alpha_and_integers(void **state) {
    (void)state;
    struct run r = run_well(HEAD "  input %x: f32[8, 4] @1\n"
                                 "  input %i: i64[8, 4] @2\n"
                                 "  input %z: c64[8, 4] @3\n"
                                 "  %a = aten.add.Tensor(self=%x, other=%x, alpha=1) -> f32[8, 4] @4\n"
                                 "  %b = aten.add.Tensor(self=%x, other=%x, alpha=2.5) -> f32[8, 4] @5\n"
                                 "  %c = aten.add.Tensor(self=%i, other=1) -> i64[8, 4] @6\n"
                                 "  %d = aten.add.Tensor(self=%i, other=%x) -> f32[8, 4] @7\n"
                                 "  %e = aten.add.Tensor(self=%z, other=%z) -> c64[8, 4] @8\n"
                                 "  %f = aten.gelu.default(self=%z) -> c64[8, 4] @9\n"
                                 "  return %a\n");
    assert_int_equal(counts(&r, "a")->vector_flops, 32);
    assert_int_equal(counts(&r, "b")->vector_flops, 64);
    assert_int_equal(counts(&r, "c")->vector_flops, 0);
    assert_int_equal(counts(&r, "c")->int_ops, 32);
    assert_int_equal(counts(&r, "d")->vector_flops, 32);
    assert_int_equal(counts(&r, "e")->vector_flops, 64);
    finish(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup_finds_every_row),  cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_public_description),      cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_names_are_distinct),      cmocka_unit_test(test_shapes_follow_bindings),
        cmocka_unit_test(test_contradictions),          cmocka_unit_test(test_slice_bounds),
        cmocka_unit_test(test_symbol_without_value),    cmocka_unit_test(test_overflow_names_the_node),
        cmocka_unit_test(test_negative_size),           cmocka_unit_test(test_packed_lstm),
        cmocka_unit_test(test_lstm_with_wrong_weights), cmocka_unit_test(test_alpha_and_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
