/* Exact polynomials: what was put in is found again, and what is no polynomial is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/formula.h"
#include "passes/formula/polynomial.h"

enum { VARS = 2, SIDE = 8, ROWS = SIDE * SIDE };

struct setup {
    struct fxc_basis basis;
    struct fxc_polynomial polynomial;
    int64_t point[ROWS * VARS], value[ROWS];
};

typedef int64_t (*function)(int64_t x, int64_t y);

static enum fxc_fit fit(struct setup *s, uint32_t dx, uint32_t dy, function f) {
    const uint32_t groups[VARS] = {1, 2}, degree[VARS] = {dx, dy};
    fxc_basis_build(&s->basis, VARS, groups, VARS, degree);
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t x = 2 + 3 * (i % SIDE), y = 1 + 5 * (i / SIDE);
        s->point[i * VARS] = x;
        s->point[i * VARS + 1] = y;
        s->value[i] = f(x, y);
    }
    return fxc_polynomial_fit(&s->basis, s->point, s->value, ROWS, &s->polynomial);
}

static int64_t attention(int64_t x, int64_t y) {
    return x * (INT64_C(170659840) * y + 36864 * y * y) - 7;
}
static int64_t triangle(int64_t x, int64_t y) {
    return x * y * (y + 1) / 2;
}
static int64_t binomial(int64_t x, int64_t y) {
    (void)y;
    return x * (x - 1) * (x - 2) * (x - 3) / 24;
}
static int64_t half(int64_t x, int64_t y) {
    return x / 2 * y;
}
static int64_t large(int64_t x, int64_t y) {
    return (INT64_C(1) << 50) * x - y;
}
static int64_t huge(int64_t x, int64_t y) {
    (void)y;
    return x > 20 ? INT64_MAX : INT64_MIN;
}
static int64_t zero(int64_t x, int64_t y) {
    (void)x;
    (void)y;
    return 0;
}

static void finds_what_was_put_in(void **state) {
    static struct setup s;
    (void)state;
    const struct {
        function f;
        uint32_t dx, dy, terms;
        int64_t denominator;
    } cases[] = {
        {attention, 1, 2, 3, 1}, {attention, 2, 4, 3, 1}, {triangle, 1, 2, 2, 2},
        {binomial, 4, 0, 4, 24}, {large, 1, 1, 2, 1},     {zero, 2, 2, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(fit(&s, cases[i].dx, cases[i].dy, cases[i].f), FXC_FIT_OK);
        assert_int_equal(s.polynomial.terms, cases[i].terms);
        assert_int_equal(s.polynomial.denominator, cases[i].denominator);
        const int64_t far[VARS] = {1001, 77};
        int64_t value;
        assert_true(fxc_polynomial_value(&s.polynomial, far, &value));
        assert_true(value == cases[i].f(far[0], far[1]));
    }
}

static void refuses_what_is_none(void **state) {
    static struct setup s;
    (void)state;
    assert_int_equal(fit(&s, 1, 1, attention), FXC_FIT_NONE); /* of a higher degree */
    assert_int_equal(fit(&s, 2, 2, half), FXC_FIT_NONE);      /* rounded */
    assert_int_equal(fit(&s, 3, 3, huge), FXC_FIT_NONE);      /* numbers that do not fit */
}

static void overflow_is_no_value(void **state) {
    static struct setup s;
    (void)state;
    const int64_t end[VARS] = {INT64_MAX, INT64_MAX};
    int64_t value;
    assert_int_equal(fit(&s, 1, 2, attention), FXC_FIT_OK);
    assert_false(fxc_polynomial_value(&s.polynomial, end, &value));
    assert_int_equal(fit(&s, 1, 2, triangle), FXC_FIT_OK);
    assert_false(fxc_polynomial_value(&s.polynomial, end, &value));
}

static void basis_is_bounded(void **state) {
    static struct fxc_basis basis;
    (void)state;
    uint32_t groups[FXC_POLY_VARS], degree[2] = {4, 4};
    for (uint32_t v = 0; v < FXC_POLY_VARS; v++) {
        groups[v] = v % 2 == 0 ? 1 : 2;
    }
    fxc_basis_build(&basis, FXC_POLY_VARS, groups, 2, degree);
    assert_true(basis.full);
    groups[1] = 0;
    fxc_basis_build(&basis, 2, groups, 2, degree);
    assert_false(basis.full);
    assert_int_equal(basis.count, 5); /* 1, x .. x^4: a variable of no group does not occur */
}

/* Two symbols, a derived constraint and a step: relu over batch * ceil(seq / 2) elements. */
static const char source[] =
    "fxir 1.0\n"
    "device \"cpu\"\n"
    "symbol s0 dim=\"batch\" hint=4 min=1 max=64\n"
    "symbol s1 dim=\"seq\" hint=6 min=2 max=100\n"
    "constraint Mul(2, s0) max=40\n"
    "op aten.relu.default aten \"(Tensor self) -> Tensor\" core pointwise\n"
    "module 0 \"\" \"Net\"\n"
    "storage @0 bytes=4096 device=\"cpu\" user_input\n"
    "storage @1 bytes=4096 device=\"cpu\" intermediate\n"
    "graph \"main\" captured\n"
    "  input %x: f32[Mul(s0, Add(1, FloorDiv(Add(-1, s1), 2)))] @0\n"
    "  %relu = aten.relu.default(self=%x) -> f32[Mul(s0, Add(1, FloorDiv(Add(-1, s1), 2)))] @1\n"
    "  return %relu\n";

static void formula_of_a_program(void **state) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program;
    fxc_formula *formula;
    fxc_formula_info info = {.struct_size = sizeof info};
    int64_t value = 0;
    (void)state;
    assert_int_equal(fxc_program_from_memory(source, sizeof source - 1, "net", &program, &err), FXC_OK);
    assert_int_equal(fxc_formula_new(program, "flops", &formula, &err), FXC_OK);
    assert_int_equal(fxc_formula_get_info(formula, &info, &err), FXC_OK);
    assert_int_equal(info.kind, FXC_FORMULA_PIECEWISE);
    assert_string_equal(info.text, "batch*ceil(seq/2)");
    assert_string_equal(fxc_formula_step(formula, 0), "ceil(seq/2)");
    assert_null(fxc_formula_step(formula, 1));
    assert_int_equal(info.refused_at, 0);

    fxc_size sizes[] = {{"batch", 20}, {"s1", 7}};
    assert_int_equal(fxc_formula_evaluate(formula, sizes, 2, &value, &err), FXC_OK);
    assert_int_equal(value, 80);
    assert_int_equal(fxc_formula_evaluate(formula, sizes, 1, &value, &err), FXC_UNBOUND);
    sizes[0].value = 21; /* in the range of batch, not in that of 2*batch */
    assert_int_equal(fxc_formula_evaluate(formula, sizes, 2, &value, &err), FXC_USAGE);
    assert_non_null(strstr(err.message, "2*batch"));
    assert_non_null(strstr(err.message, "at most 40"));
    sizes[0].value = 65;
    assert_int_equal(fxc_formula_evaluate(formula, sizes, 2, &value, &err), FXC_USAGE);
    assert_non_null(strstr(err.message, "at most 64"));
    fxc_formula_free(formula);
    assert_int_equal(fxc_formula_new(program, "beauty", &formula, &err), FXC_USAGE);
    assert_non_null(strstr(err.message, "matrix_flops"));
    fxc_program_free(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_put_in), cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(overflow_is_no_value),  cmocka_unit_test(basis_is_bounded),
        cmocka_unit_test(formula_of_a_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
