/* Reuse distances, against programs whose memory can be followed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "passes/cost/reuse.h"

struct reused {
    fxc_program *program;
    fxc_analysis *analysis;
    struct fxc_arena arena;
    struct fxc_reuse reuse;
};

static struct reused reused(const char *text) {
    fxc_error err = FXC_ERROR_INIT;
    struct reused r = {0};
    assert_int_equal(fxc_program_from_memory(text, strlen(text), "text", &r.program, &err), FXC_OK);
    assert_int_equal(fxc_analysis_new(r.program, &r.analysis, &err), FXC_OK);
    assert_int_equal(fxc_require(r.analysis, "traffic", &err), FXC_OK);
    assert_int_equal(fxc_find_reuse(r.analysis, &r.arena, &r.reuse, &err), FXC_OK);
    return r;
}

static void release(struct reused *r) {
    fxc_arena_free(&r->arena);
    fxc_analysis_free(r->analysis);
    fxc_program_free(r->program);
}

/* x and y are 4,096 bytes, w is 8,192; runs follow one another, so that w was last used by b of the run before. */
static const char chain[] = "fxir 1.2\n"
                            "graph \"main\" captured\n"
                            "  input %x: f32[1024] @0\n"
                            "  input %w: f32[2048] @1\n"
                            "  %a = aten.relu.default(self=%x) -> f32[1024] @2\n"
                            "  %b = aten.relu.default(self=%w) -> f32[2048] @3\n"
                            "  %c = aten.add.Tensor(self=%a, other=%x) -> f32[1024] @4\n"
                            "  return %c\n";

static void test_distances(void **state) {
    (void)state;
    struct reused r = reused(chain);
    assert_int_equal(r.reuse.begin[3], 7);
    /* c reads a: since then w and what b makes of it, 8,192 bytes each. It reads x, which a read just before it wrote.
     */
    const fxc_operand *c = r.reuse.operand + r.reuse.begin[2];
    assert_int_equal(c[0].bytes, 4096);
    assert_int_equal(c[0].distance, 16384);
    assert_int_equal(c[1].distance, 4096 + 16384);
    assert_true(c[2].written && c[2].fresh && !c[0].written && !c[0].fresh);
    /* b's result is of no use to anybody, and its memory is what c's result is made of: touched just before. */
    assert_int_equal(c[2].distance, 0);
    /* w: since b of the run before, x and a again, and c: a, x, and what it wrote on what b had left. */
    const fxc_operand *b = r.reuse.operand + r.reuse.begin[1];
    assert_true(b[0].distance > 8192 && b[0].distance < 8192 + 4 * 4096);
    assert_int_equal(r.reuse.since_op[1], 0);                 /* a relu ran just before, */
    assert_int_equal(r.reuse.since_node[1], 8192);            /* and touched x and its result */
    assert_true(r.reuse.since_op[2] > r.reuse.since_node[2]); /* an addition in the run before */
    assert_true(r.reuse.since_same[1] > r.reuse.since_op[1]); /* that of a had other sizes */
    release(&r);
}

/* An operator on elements goes along its result: what lies in another order is read across, be it the usual one. Other
 * operators go along the last dimension. */
static const char orders[] = "fxir 1.2\n"
                             "graph \"main\" captured\n"
                             "  input %x: f32[32, 64] @0\n"
                             "  input %y: f32[64, 32] @1\n"
                             "  input %bias: f32[64, 1] @2\n"
                             "  %t = aten.permute.default(self=%x, dims=[1, 0]) -> f32[64, 32]{1, 64} @0\n"
                             "  %a = aten.relu.default(self=%t) -> f32[64, 32]{1, 64} @3\n"
                             "  %b = aten.add.Tensor(self=%a, other=%y) -> f32[64, 32]{1, 64} @4\n"
                             "  %c = aten.mul.Tensor(self=%y, other=%bias) -> f32[64, 32] @5\n"
                             "  %d = aten.softmax.int(self=%b, dim=-1) -> f32[64, 32]{1, 64} @6\n"
                             "  return [%c, %d]\n";

static void test_orders(void **state) {
    (void)state;
    struct reused r = reused(orders);
    const fxc_operand *a = r.reuse.operand + r.reuse.begin[1], *b = r.reuse.operand + r.reuse.begin[2];
    const fxc_operand *c = r.reuse.operand + r.reuse.begin[3], *d = r.reuse.operand + r.reuse.begin[4];
    assert_true(!a[0].strided);                  /* input and result lie alike */
    assert_true(!b[0].strided && b[1].strided);  /* y lies in the usual order, the result does not */
    assert_true(!c[0].strided && !c[1].strided); /* one number for every row */
    assert_true(d[0].strided);
    release(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
