/* The schema reader. Expected facts are what torch 2.13 prints for these operators and reports through
 * torch._C.FunctionSchema (name, alias_info, kwarg_only, default) of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/schema.h"

static struct fxc_schema parse(struct fxc_arena *arena, const char *text) {
    struct fxc_schema schema;
    struct fxc_schema_error error;
    fxc_status status = fxc_schema_parse(arena, text, &schema, &error);
    if (status != FXC_OK) {
        fail_msg("%s: at %u, expected %s", text, error.offset, error.reason);
    }
    return schema;
}

static void test_in_place(void **state) {
    (void)state;
    struct fxc_arena arena = {0};
    struct fxc_schema s = parse(&arena, "(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)");
    assert_int_equal(s.arg_count, 3);
    assert_string_equal(s.args[0].name, "self");
    assert_string_equal(s.args[0].type, "Tensor");
    assert_true(s.args[0].writes);
    assert_true(s.args[0].tensor);
    assert_false(s.args[1].writes);
    assert_int_equal(s.args[1].alias_sets, 0);
    assert_false(s.args[1].kwarg_only);
    assert_true(s.args[2].kwarg_only);
    assert_true(s.args[2].has_default);
    assert_false(s.args[2].tensor);
    assert_int_equal(s.result_count, 1);
    assert_int_equal(s.results[0].alias_sets, s.args[0].alias_sets);
    assert_int_equal(fxc_schema_find(&s, "other"), 1);
    assert_int_equal(fxc_schema_find(&s, "alph"), FXC_NONE);
    fxc_arena_free(&arena);
}

static void test_lists_and_optionals(void **state) {
    (void)state;
    struct fxc_arena arena = {0};
    struct fxc_schema s =
        parse(&arena, "(Tensor(a!) self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor(a!)");
    assert_string_equal(s.args[1].type, "Tensor?[]");
    assert_true(s.args[1].list);
    assert_false(s.args[1].optional);
    assert_true(s.args[1].tensor);
    s = parse(&arena, "(Tensor(a -> *) self, SymInt[] split_sizes, int dim=0) -> Tensor(a)[]");
    assert_true((s.args[0].alias_sets & FXC_SCHEMA_WILDCARD) != 0);
    assert_true((s.args[0].alias_sets & s.results[0].alias_sets) != 0);
    assert_false(s.args[0].writes);
    assert_true(s.results[0].list);
    assert_true(s.results[0].tensor);
    assert_string_equal(s.results[0].type, "Tensor[]");
    s = parse(&arena, "(Tensor(a!)[] self, Tensor? scale, SymInt[2]? size=[1, 2], str mode=\"a,)b\") -> ()");
    assert_true(s.args[0].writes);
    assert_true(s.args[0].list);
    assert_true(s.args[1].optional);
    assert_string_equal(s.args[2].type, "SymInt[2]?");
    assert_true(s.args[2].has_default);
    assert_true(s.args[3].has_default);
    assert_int_equal(s.result_count, 0);
    fxc_arena_free(&arena);
}

static void test_results(void **state) {
    (void)state;
    struct fxc_arena arena = {0};
    struct fxc_schema s = parse(&arena, "(Tensor self, Tensor(a!) running_mean, Tensor(b!) running_var) -> "
                                        "(Tensor out, Tensor(a!) mean, Tensor(b!) var, Tensor)");
    assert_int_equal(s.result_count, 4);
    assert_string_equal(s.results[0].name, "out");
    assert_string_equal(s.results[3].name, "");
    assert_int_equal(s.results[1].alias_sets, s.args[1].alias_sets);
    assert_int_equal(s.results[2].alias_sets, s.args[2].alias_sets);
    assert_int_not_equal(s.results[1].alias_sets, s.results[2].alias_sets);
    s = parse(&arena, "() -> Dict(str, Tensor)");
    assert_int_equal(s.arg_count, 0);
    assert_string_equal(s.results[0].type, "Dict(str, Tensor)");
    s = parse(&arena, "(Tensor(a) self, __torch__.torch.classes.q.Packed w) -> Tensor(b|a)");
    assert_true((s.results[0].alias_sets & s.args[0].alias_sets) != 0);
    assert_string_equal(s.args[1].type, "__torch__.torch.classes.q.Packed");
    s = parse(&arena, "(...) -> ...");
    assert_true(s.variadic);
    assert_true(s.variadic_results);
    s = parse(&arena, "(Dict(str, t)(a!) self, t(c -> *) default_value) -> t(*)");
    assert_true(s.args[0].writes);
    assert_int_equal(s.results[0].alias_sets, FXC_SCHEMA_WILDCARD);
    fxc_arena_free(&arena);
}

static void refuse(const char *text, const char *reason) {
    struct fxc_arena arena = {0};
    struct fxc_schema schema;
    struct fxc_schema_error error = {0};
    assert_int_equal(fxc_schema_parse(&arena, text, &schema, &error), FXC_FORMAT);
    assert_string_equal(error.reason, reason);
    assert_true(error.offset <= strlen(text));
    fxc_arena_free(&arena);
}

static void test_damaged(void **state) {
    (void)state;
    refuse("", "'(' before the arguments");
    refuse("(", "a type");
    refuse("(Tensor", "the argument's name");
    refuse("(Tensor self", "',' or ')' after an argument");
    refuse("(Tensor self)", "'->' before the results");
    refuse("(Tensor self) ->", "a type");
    refuse("(Tensor(a self) -> Tensor", "')' after the alias set");
    refuse("(Tensor( self) -> Tensor", "the argument's name");
    refuse("(Tensor() self) -> Tensor", "the name of an alias set");
    refuse("(Tensor[ self) -> Tensor", "']' after the list's length");
    refuse("(int a=) -> Tensor", "a default value after '='");
    refuse("(str a=\"b) -> Tensor", "the end of the quoted default");
    refuse("(str a='\\", "the end of the quoted default");
    refuse("(Tensor self) -> (Tensor", "',' or ')' after a result");
    refuse("(Tensor self) -> Tensor x y", "the end of the schema");
    refuse("(((((((((((((((((((((((((((((((", "types nested at most 8 deep");
}

/* Every prefix of a schema, and every single-byte change of it, is read or refused without harm. */
static void test_mutations(void **state) {
    (void)state;
    const char *text =
        "(Tensor(a!)[] self, Dict(str, Tensor(b|c)) d, *, SymInt[2]? s=[1, \"x\"]) -> (Tensor(a!), t(*) y)";
    char changed[128];
    size_t length = strlen(text);
    uint32_t read = 0;
    assert_true(length < sizeof changed);
    for (size_t i = 0; i < length; i++) {
        for (int c = 0; c < 256; c++) {
            struct fxc_arena arena = {0};
            struct fxc_schema schema;
            struct fxc_schema_error error = {0};
            memcpy(changed, text, length + 1);
            changed[i] = (char)c;
            fxc_status status = fxc_schema_parse(&arena, changed, &schema, &error);
            assert_true(status == FXC_OK || (error.reason != NULL && error.offset <= length));
            read += status == FXC_OK;
            fxc_arena_free(&arena);
        }
    }
    assert_true(read > length);
}

static void test_limits(void **state) {
    (void)state;
    char text[8192] = "(";
    for (int i = 0; i < 255; i++) {
        strcat(text, i == 0 ? "int a" : ", int a");
    }
    size_t length = strlen(text);
    strcat(text, ") -> ()");
    struct fxc_arena arena = {0};
    assert_int_equal(parse(&arena, text).arg_count, 255);
    fxc_arena_free(&arena);
    strcpy(text + length, ", int a) -> ()");
    refuse(text, "at most 255 arguments");
    strcpy(text, "(Tensor(a0");
    for (int i = 1; i < 32; i++) {
        char set[8] = {'|', 'a', (char)('a' + i % 26), (char)('0' + i / 26)};
        strcat(text, set);
    }
    strcat(text, ") self) -> ()");
    refuse(text, "at most 31 alias sets");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_place), cmocka_unit_test(test_lists_and_optionals), cmocka_unit_test(test_results),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_mutations),           cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
