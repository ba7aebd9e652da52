/* The alias pass on small programs in text form. tests/python/test_alias.py holds it against real tensors; here are
 * the structures that captures rarely show: shared bodies, missing records, old fx graphs, and order edges one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "passes/alias/alias.h"

#define HEAD                                                                                                           \
    "fxir 1.0\n"                                                                                                       \
    "device \"cpu\"\n"                                                                                                 \
    "op aten.mul.Tensor aten \"(Tensor self, Tensor other) -> Tensor\" core pointwise\n"                               \
    "op aten.sum.default aten \"(Tensor self, *, ScalarType? dtype=None) -> Tensor\"\n"                                \
    "op aten.select.int aten \"(Tensor(a) self, int dim, SymInt index) -> Tensor(a)\" core view\n"                     \
    "op aten.add_.Tensor aten \"(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)\" mutable\n"          \
    "op aten.copy_.default aten \"(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)\" mutable\n"    \
    "op aten.t_.default aten \"(Tensor(a!) self) -> Tensor(a!)\" mutable inplace_view\n"                               \
    "op aten.dropout.default aten \"(Tensor input, float p, bool train) -> Tensor\" composite\n"                       \
    "op aten.unbind.int aten \"(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]\" view\n"                               \
    "op my.pour.default custom \"(Tensor(a!)[] into, Tensor from) -> ()\" mutable\n"                                   \
    "op operator.getitem builtin \"\"\n"                                                                               \
    "op higher_order.wrap_with_set_grad_enabled higher_order \"\"\n"                                                   \
    "op higher_order.cond higher_order \"\"\n"                                                                         \
    "op method.add_ method \"\"\n"                                                                                     \
    "op method.mul method \"\"\n"                                                                                      \
    "module 0 \"\" \"M\"\n"

struct run {
    fxc_program *p;
    fxc_analysis *analysis;
    const struct fxc_alias *alias;
};

static struct run run(const char *text) {
    struct run r = {0};
    fxc_error err = FXC_ERROR_INIT;
    if (fxc_program_from_memory(text, strlen(text), "test", &r.p, &err) != FXC_OK ||
        fxc_analysis_new(r.p, &r.analysis, &err) != FXC_OK || fxc_require(r.analysis, "alias", &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    r.alias = r.analysis->alias;
    return r;
}

static void finish(struct run *r) {
    fxc_analysis_free(r->analysis);
    fxc_program_free(r->p);
}

static uint32_t value(const struct run *r, const char *name) {
    for (uint32_t v = 0; v < FXC_COUNT(r->p, value); v++) {
        if (strcmp(fxc_string(r->p, r->p->value_name[v]), name) == 0) {
            return v;
        }
    }
    fail_msg("no value %s", name);
    return 0;
}

static uint32_t node(const struct run *r, const char *name) {
    return r->p->value_producer[value(r, name)];
}

static uint32_t memory(const struct run *r, const char *name) {
    return r->alias->value_memory[value(r, name)];
}

static int relation(const struct run *r, const char *name) {
    return r->alias->result_memory[value(r, name)];
}

/* "add_ mul(raw) ..." : what a node waits for beyond its arguments. */
static void assert_deps(const struct run *r, const char *name, const char *expected) {
    static const char *const kinds[] = {"RAW", "WAW", "WAR"};
    char found[256] = "";
    uint32_t n = node(r, name);
    for (uint32_t i = r->alias->dep_begin[n]; i < r->alias->dep_begin[n + 1]; i++) {
        size_t used = strlen(found);
        (void)snprintf(found + used, sizeof found - used, "%s%s:%s", used == 0 ? "" : " ",
                       fxc_node_name(r->p, r->alias->dep[i]), kinds[r->alias->dep_kind[i]]);
    }
    assert_string_equal(found, expected);
}

static void test_order_edges(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %x: f32[4, 3] @0\n"
                            "  %y = aten.mul.Tensor(self=%x, other=2) -> f32[4, 3] @1\n"
                            "  %before = aten.sum.default(self=%y) -> f32[] @2\n"
                            "  %v = aten.select.int(self=%y, dim=0, index=0) -> f32[3] @1\n"
                            "  %add_ = aten.add_.Tensor(self=%v, other=1) -> f32[3] @1\n"
                            "  %after = aten.sum.default(self=%y) -> f32[] @3\n"
                            "  %shown = aten.sum.default(self=%add_) -> f32[] @4\n"
                            "  %again = aten.add_.Tensor(self=%y, other=%x) -> f32[4, 3] @1\n"
                            "  %w = aten.select.int(self=%x, dim=0, index=1) -> f32[3]+3 @0\n"
                            "  return %after\n");
    assert_int_equal(memory(&r, "v"), memory(&r, "y"));
    assert_int_equal(memory(&r, "add_"), memory(&r, "y"));
    assert_int_not_equal(memory(&r, "x"), memory(&r, "y"));
    assert_int_equal(relation(&r, "y"), FXC_MEMORY_FRESH);
    assert_int_equal(relation(&r, "v"), FXC_MEMORY_VIEW);
    assert_int_equal(relation(&r, "add_"), FXC_MEMORY_SAME);
    assert_int_equal(r.alias->memory_origin[memory(&r, "v")], value(&r, "y"));
    assert_deps(&r, "y", "");
    assert_deps(&r, "before", "");
    assert_deps(&r, "v", "");
    assert_deps(&r, "add_", "before:WAR"); /* not y: its argument v comes from there */
    assert_deps(&r, "after", "add_:RAW");
    assert_deps(&r, "shown", ""); /* FX shows it */
    assert_deps(&r, "again", "add_:RAW after:WAR shown:WAR");
    assert_deps(&r, "w", "");
    assert_int_equal(r.alias->write_count, 2);
    assert_int_equal(r.alias->write[0].node, node(&r, "add_"));
    assert_int_equal(r.alias->write[0].value, value(&r, "v"));
    assert_int_equal(r.alias->write[0].version, 1);
    assert_false(r.alias->write[0].whole);
    assert_int_equal(r.alias->write[1].version, 2);
    assert_true(r.alias->write[1].whole);
    assert_int_equal(r.alias->writeback_count, 0);
    finish(&r);
}

static void test_metadata_writes(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %x: f32[4, 3] @0\n"
                            "  %y = aten.mul.Tensor(self=%x, other=2) -> f32[4, 3] @1\n"
                            "  %v = aten.select.int(self=%y, dim=0, index=0) -> f32[3] @1\n"
                            "  %t_ = aten.t_.default(self=%y) -> f32[3, 4]{1, 3} @1\n"
                            "  %late = aten.sum.default(self=%v) -> f32[] @2\n"
                            "  return %late\n");
    assert_int_equal(r.alias->write_count, 1);
    assert_true(r.alias->write[0].metadata);
    assert_int_equal(r.alias->write[0].version, 0);
    assert_int_equal(relation(&r, "t_"), FXC_MEMORY_VIEW);
    assert_int_equal(memory(&r, "t_"), memory(&r, "y"));
    assert_deps(&r, "t_", "v:WAR"); /* the view was taken of the old sizes */
    finish(&r);
}

static void test_lists(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %x: f32[2, 3] @0\n"
                            "  input %z: f32[3] @1\n"
                            "  %rows = aten.unbind.int(self=%x) -> [%: f32[3] @0, %: f32[3]+3 @0]\n"
                            "  %a = operator.getitem(a=%rows, b=0) -> f32[3] @0\n"
                            "  %b = operator.getitem(a=%rows, b=-1) -> f32[3]+3 @0\n"
                            "  %pour = my.pour.default(into=[%a, %z], from=%b) -> none\n"
                            "  return %b\n");
    assert_int_equal(memory(&r, "a"), memory(&r, "x"));
    assert_int_equal(memory(&r, "b"), memory(&r, "x"));
    assert_int_equal(relation(&r, "a"), FXC_MEMORY_SAME);
    assert_int_equal(memory(&r, "pour"), FXC_NONE);
    assert_int_equal(relation(&r, "pour"), FXC_MEMORY_NOTHING);
    assert_int_equal(r.alias->node_write_end[node(&r, "pour")] - r.alias->node_write_begin[node(&r, "pour")], 2);
    assert_false(r.alias->write[0].whole);
    assert_int_equal(r.alias->writeback_count, 2);
    assert_int_equal(r.alias->writeback[0].input, 0);
    assert_int_equal(r.alias->writeback[1].input, 1);
    assert_int_equal(r.alias->writeback[1].node, node(&r, "pour"));
    finish(&r);
}

/* fx graphs index tensors with operator.getitem too: a view or a copy, as recorded. */
static void test_getitem_of_tensors(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %x: f32[4, 3] @0\n"
                            "  %row = operator.getitem(a=%x, b=1) -> f32[3]+3 @0\n"
                            "  %rows = operator.getitem(a=%x, b=[0, 2]) -> f32[2, 3] @1\n"
                            "  %add_ = aten.add_.Tensor(self=%row, other=1) -> f32[3]+3 @0\n"
                            "  return %rows\n");
    assert_int_equal(memory(&r, "row"), memory(&r, "x"));
    assert_int_equal(relation(&r, "row"), FXC_MEMORY_VIEW);
    assert_int_not_equal(memory(&r, "rows"), memory(&r, "x"));
    assert_deps(&r, "add_", "rows:WAR");
    finish(&r);
}

/* Records say that dropout gives memory of its own; in evaluation it returns its input. */
static void test_dropout(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %x: f32[3] @0\n"
                            "  %eval = aten.dropout.default(input=%x, p=0.5, train=false) -> f32[3] @1\n"
                            "  %view = aten.select.int(self=%eval, dim=0, index=0) -> f32[] @1\n"
                            "  %none = aten.dropout.default(input=%x, p=0.0, train=true) -> f32[3] @2\n"
                            "  %real = aten.dropout.default(input=%x, p=0.5, train=true) -> f32[3] @3\n"
                            "  %add_ = aten.add_.Tensor(self=%view, other=1) -> f32[] @1\n"
                            "  return %real\n");
    assert_int_equal(memory(&r, "eval"), memory(&r, "x"));
    assert_int_equal(relation(&r, "eval"), FXC_MEMORY_SAME);
    assert_int_equal(memory(&r, "view"), memory(&r, "x"));
    assert_int_equal(memory(&r, "none"), memory(&r, "x"));
    assert_int_not_equal(memory(&r, "real"), memory(&r, "x"));
    assert_int_equal(r.alias->writeback_count, 1);
    assert_deps(&r, "add_", "real:WAR"); /* eval and none look at nothing */
    finish(&r);
}

/* A body that two nodes call: the second call is judged by the first. */
static void test_shared_body(void **state) {
    (void)state;
    struct run r =
        run(HEAD "graph \"main\" captured\n"
                 "  input %x: f32[3] @0\n"
                 "  input %y: f32[3] @1\n"
                 "  %sum_x = aten.sum.default(self=%x) -> f32[] @2\n"
                 "  %one = higher_order.wrap_with_set_grad_enabled(enable_grad=false, wrapped_func=graph(\"body\"), "
                 "operand0=%x) -> [%: f32[3] @0, %: f32[] @3]\n"
                 "  %two = higher_order.wrap_with_set_grad_enabled(enable_grad=false, wrapped_func=graph(\"body\"), "
                 "operand0=%y) -> [%: f32[3] @1, %: f32[] @4]\n"
                 "  %x1 = operator.getitem(a=%one, b=0) -> f32[3] @0\n"
                 "  %y1 = operator.getitem(a=%two, b=0) -> f32[3] @1\n"
                 "  %s1 = operator.getitem(a=%one, b=1) -> f32[] @3\n"
                 "  %s2 = operator.getitem(a=%two, b=1) -> f32[] @4\n"
                 "  %late_x = aten.sum.default(self=%x) -> f32[] @5\n"
                 "  %late_y = aten.sum.default(self=%y) -> f32[] @6\n"
                 "  return %late_x\n"
                 "graph \"body\" body\n"
                 "  input %in: f32[3] @0\n"
                 "  %total = aten.sum.default(self=%in) -> f32[] @3\n"
                 "  %inner = aten.add_.Tensor(self=%in, other=1) -> f32[3] @0\n"
                 "  %inner2 = aten.sum.default(self=%in) -> f32[] @7\n"
                 "  return %inner\n"
                 "  return %total\n");
    assert_int_equal(memory(&r, "x1"), memory(&r, "x"));
    assert_int_equal(memory(&r, "y1"), memory(&r, "y"));
    assert_int_equal(memory(&r, "in"), memory(&r, "x"));
    assert_int_not_equal(memory(&r, "s1"), memory(&r, "s2"));
    assert_int_equal(r.alias->write_count, 2);
    assert_int_equal(r.alias->write[0].node, node(&r, "inner"));
    assert_int_equal(r.alias->write[1].node, node(&r, "two"));
    assert_int_equal(r.alias->write[1].memory, memory(&r, "y"));
    assert_int_equal(r.alias->node_write_begin[node(&r, "one")], 0);
    assert_int_equal(r.alias->node_write_end[node(&r, "one")], 1);
    assert_deps(&r, "one", "sum_x:WAR");
    assert_deps(&r, "late_x", "one:RAW");
    assert_deps(&r, "late_y", "two:RAW");
    assert_deps(&r, "inner", "total:WAR");
    assert_deps(&r, "inner2", "inner:RAW");
    assert_int_equal(r.alias->writeback_count, 2);
    finish(&r);
}

static void test_cond(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %x: f32[3] @0\n"
                            "  input %flag: b8[] @1\n"
                            "  %set = aten.add_.Tensor(self=%flag, other=%flag) -> b8[] @1\n"
                            "  %if = higher_order.cond(pred=%flag, true_fn=graph(\"yes\"), false_fn=graph(\"no\"), "
                            "operands=[%x]) -> [%: f32[3] @2]\n"
                            "  %late = aten.add_.Tensor(self=%x, other=1) -> f32[3] @0\n"
                            "  return %late\n"
                            "graph \"yes\" body\n"
                            "  input %a: f32[3] @0\n"
                            "  %double = aten.mul.Tensor(self=%a, other=2) -> f32[3] @2\n"
                            "  return %double\n"
                            "graph \"no\" body\n"
                            "  input %b: f32[3] @0\n"
                            "  %triple = aten.mul.Tensor(self=%b, other=3) -> f32[3] @3\n"
                            "  return %triple\n");
    assert_int_equal(memory(&r, "a"), memory(&r, "x"));
    assert_int_equal(memory(&r, "b"), memory(&r, "x"));
    assert_deps(&r, "if", "set:RAW");
    assert_deps(&r, "late", "if:WAR");
    finish(&r);
}

/* An fx graph of methods has no schemas: names tell in-place operators. */
static void test_methods(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %x: f32[3] @0\n"
                            "  %y = method.mul(self=%x, operand0=2) -> f32[3] @1\n"
                            "  %z = method.add_(self=%y, operand0=%x) -> f32[3] @1\n"
                            "  %late = method.mul(self=%y, operand0=2) -> f32[3] @2\n"
                            "  return %late\n");
    assert_int_equal(memory(&r, "z"), memory(&r, "y"));
    assert_int_equal(relation(&r, "z"), FXC_MEMORY_SAME);
    assert_int_equal(r.alias->write_count, 1);
    assert_deps(&r, "late", "z:RAW");
    finish(&r);
}

static void test_public_queries(void **state) {
    (void)state;
    struct run r = run(HEAD "graph \"main\" captured\n"
                            "  input %b: f32[3] @0 = buffer \"state.b\"\n"
                            "  input %x: f32[3] @1\n"
                            "  %copy_ = aten.copy_.default(self=%b, src=%x) -> f32[3] @0\n"
                            "  %late = aten.sum.default(self=%b) -> f32[] @2\n"
                            "  return %late\n");
    fxc_error err = FXC_ERROR_INIT;
    fxc_memory_info memory_info = {.struct_size = sizeof memory_info};
    assert_int_equal(fxc_analysis_memory(r.analysis, value(&r, "copy_"), &memory_info, &err), FXC_OK);
    assert_string_equal(memory_info.name, "copy_");
    assert_int_equal(memory_info.producer, 0);
    assert_int_equal(memory_info.origin, value(&r, "b"));
    assert_int_equal(memory_info.relation, FXC_MEMORY_SAME);
    assert_int_equal(fxc_analysis_memory(r.analysis, 99, &memory_info, &err), FXC_USAGE);

    fxc_write_info write = {.struct_size = sizeof write};
    assert_int_equal(fxc_analysis_write(r.analysis, 0, &write, &err), FXC_OK);
    assert_int_equal(write.node, 0);
    assert_int_equal(write.value, value(&r, "b"));
    assert_int_equal(write.version, 1);
    assert_true(write.whole);
    assert_int_equal(fxc_analysis_write(r.analysis, 1, &write, &err), FXC_USAGE);

    fxc_writeback_info back = {.struct_size = sizeof back};
    assert_int_equal(fxc_analysis_writeback(r.analysis, 0, &back, &err), FXC_OK);
    assert_string_equal(back.name, "b");
    assert_string_equal(back.target, "state.b");
    assert_int_equal(back.kind, FXC_INPUT_KIND_BUFFER);
    assert_int_equal(back.node, 0);
    assert_int_equal(fxc_analysis_writeback(r.analysis, 1, &back, &err), FXC_USAGE);

    fxc_dependency_info dependency = {.struct_size = sizeof dependency};
    assert_int_equal(fxc_analysis_dependency(r.analysis, 1, 0, &dependency, &err), FXC_OK);
    assert_int_equal(dependency.node, 0);
    assert_int_equal(dependency.kind, FXC_DEPENDENCY_READ_AFTER_WRITE);
    assert_int_equal(fxc_analysis_dependency(r.analysis, 1, 1, &dependency, &err), FXC_USAGE);
    assert_int_equal(fxc_analysis_dependency(r.analysis, 2, 0, &dependency, &err), FXC_USAGE);
    dependency.struct_size = 4;
    assert_int_equal(fxc_analysis_dependency(r.analysis, 1, 0, &dependency, &err), FXC_USAGE);
    finish(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_edges),    cmocka_unit_test(test_metadata_writes),
        cmocka_unit_test(test_lists),          cmocka_unit_test(test_getitem_of_tensors),
        cmocka_unit_test(test_dropout),        cmocka_unit_test(test_shared_body),
        cmocka_unit_test(test_cond),           cmocka_unit_test(test_methods),
        cmocka_unit_test(test_public_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
