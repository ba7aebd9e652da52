/* Equality of programs: every column counts, how tables share rows does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/program.h"

static fxc_program *parse(const char *text) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = NULL;
    if (fxc_program_from_memory(text, strlen(text), "test.txt", &program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return program;
}

static char *read_everything(void) {
    FILE *file = fopen(FXC_TEST_DATA "/fuzz/corpus/text/everything.txt", "rb");
    char *text = calloc(1, 1 << 16);
    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    (void)fclose(file);
    return text;
}

/* One change for every column that is compared row by row, and for what the pooled tables say. */
static const struct change {
    const char *column, *from, *to;
} changes[] = {
    {"capture_key", "capture flag", "capture flags"},
    {"capture_kind", "capture empty = none", "capture empty = token"},
    {"capture_payload", "capture flag = true", "capture flag = false"},
    {"capture_payload", "slice(0, none, 2)", "slice(0, none, 3)"},
    {"capture_payload", "0xfff8000000000001", "0xfff8000000000002"},
    {"capture_payload", "-0.0", "0.0"},
    {"capture_payload", "a string of the table", "another string"},
    {"capture_payload", "s0#0 1 Add", "s0#0 2 Add"},
    {"op_name", "op spare", "op other"},
    {"op_origin", "op \"<odd op>\" custom", "op \"<odd op>\" builtin"},
    {"op_schema", "(Tensor self) -> Tensor", "(Tensor self) -> Tensor(a)"},
    {"op_tags", "core pointwise bit31", "core pointwise"},
    {"symbol_name", "symbol spare_size", "symbol other"},
    {"symbol_dim", "dim=\"batch\"", "dim=\"rows\""},
    {"symbol_flags", "symbol u0 min=0 unbacked", "symbol u0 min=0"},
    {"symbol_hint", "hint=4", "hint=5"},
    {"symbol_min", "hint=4 min=2", "hint=4 min=3"},
    {"symbol_max", "max=64", "max=65"},
    {"constraint_expr", "constraint Mul(2, u0)", "constraint Mul(3, u0)"},
    {"constraint_flags", "ModularIndexing(u0, 4, 8)", "ModularIndexing(u0, 4, 8) max=7"},
    {"constraint_min", "u0) min=2", "u0) min=1"},
    {"constraint_max", "max=128", "max=129"},
    {"storage_bytes", "bytes=Mul(4, u0)", "bytes=Mul(8, u0)"},
    {"storage_bytes", "bytes=const(12)", "bytes=12"},
    {"storage_device", "cuda:1", "cuda:2"},
    {"storage_origin", "user_input\n", "buffer\n"},
    {"value_kind", "value %left: token", "value %left: none"},
    {"value_payload", "f32[u0]{const(1)}", "f32[u0]{1}"},
    {"value_payload", "<conj, neg>", "<conj>"},
    {"storage_bytes", "f32[2]+2 @2", "f32[2]+1 @2"},
    {"value_payload", "f32[2] @2, none", "f32[2]+1 @2, none"},
    {"value_producer", "producer=2", "producer=1"},
    {"value_name", "%left", "%right"},
    {"value_storage", "f32[2] @2, none", "f32[2], none"},
    {"node_op", "\"<odd op>\"#1(", "\"<odd op>\"#2("},
    {"node_result", "  %x = aten", "  %w = aten"},
    {"node_call", " call=1", ""},
    {"node_flags", "dead bit12", "dead"},
    {"arg_name", "(inner=", "(outer="},
    {"arg_kind", "self=%x)", "self=1)"},
    {"arg_payload", "self=%x)", "self=%w)"},
    {"graph_name", "graph \"main\"", "graph \"first\""},
    {"graph_view", "\"body\" lowered", "\"body\" joint"},
    {"input_value", "  input %x\n", "  input %w\n"},
    {"input_kind", "  input %x\n", "  input %x = token\n"},
    {"input_target", "= parameter \"fc.weight\"\n  input", "= parameter \"fc.bias\"\n  input"},
    {"output_role", "= loss \"l\"", "= user_output \"l\""},
    {"output_kind", "return [%later, 1]", "return {%later: 1}"},
    {"output_payload", "return [%later, 1]", "return [%later, 2]"},
    {"output_target", "= loss \"l\"", "= loss \"m\""},
    {"module_parent", "\"Linear\" in 0", "\"Linear\""},
    {"module_name", "\"fc\" \"Linear\"", "\"fd\" \"Linear\""},
    {"module_class", "\"fc\" \"Linear\"", "\"fc\" \"Bilinear\""},
    {"config_module", "config 1 in_features", "config 0 in_features"},
    {"config_key", "in_features", "out_features"},
    {"config_kind", "in_features = 4", "in_features = 4.0"},
    {"config_payload", "in_features = 4", "in_features = 5"},
    {"call_module", "call 1 module=1", "call 1 module=0"},
    {"call_parent", "number=0 in 0", "number=0"},
    {"call_number", "number=0", "number=1"},
    {"call_flags", "training bit7", "bit7"},
    {"call_inputs", "inputs=[%x]", "inputs=[]"},
    {"call_outputs", " outputs=list#0", ""},
    {"param_value", "param %w", "param %x"},
    {"param_module", "module=1 requires_grad", "module=0 requires_grad"},
    {"param_name", "param %w = parameter \"fc.weight\"", "param %w = parameter \"w\""},
    {"param_kind", "param %w = parameter", "param %w = constant"},
    {"param_flags", "unused bit5", "unused"},
    {"region_kind", "region 0 checkpoint", "region 0 grad_mode"},
    {"region_parent", "autocast in 0", "autocast"},
    {"region_config", "dtype(f16)", "dtype(bf16)"},
    {"node_region", " region=1", ""},
    {"node_origin", " origin=0", ""},
    {"node_source", " src=0", ""},
    {"source_file", "model.py", "other.py"},
    {"source_line", "line=88", "line=89"},
    {"source_function", " function=\"forward\"", ""},
    {"measure_node", "measure program median_ns", "measure 0 median_ns"},
    {"measure_what", "measure program median_ns", "measure program min_ns"},
    {"measure_value", "= 67890", "= 67891"},
};

static char *replace(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (at == NULL) {
        fail_msg("nothing to change: %s", from);
    }
    size_t before = (size_t)(at - text), size = strlen(text) + strlen(to) + 1;
    char *changed = malloc(size);
    assert_non_null(changed);
    (void)snprintf(changed, size, "%.*s%s%s", (int)before, text, to, at + strlen(from));
    return changed;
}

static void test_every_column_counts(void **state) {
    (void)state;
    char *text = read_everything();
    fxc_program *program = parse(text);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        fxc_error err = FXC_ERROR_INIT;
        bool equal = true;
        char *changed_text = replace(text, changes[i].from, changes[i].to);
        fxc_program *changed = parse(changed_text);
        assert_int_equal(fxc_program_equal(program, changed, &equal, &err), FXC_OK);
        if (equal || strstr(err.message, changes[i].column) == NULL) {
            fail_msg("%s to %s: wanted a difference in %s, got: %s", changes[i].from, changes[i].to, changes[i].column,
                     equal ? "none" : err.message);
        }
        fxc_program_free(changed);
        free(changed_text);
    }
    fxc_program_free(program);
    free(text);
}

static bool is_changed(const char *column) {
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (strcmp(changes[i].column, column) == 0) {
            return true;
        }
    }
    return false;
}

/* A new column needs a change above. */
static void test_no_column_is_forgotten(void **state) {
    (void)state;
    static const char pools[] = " string byte expr token meta dim list item argname ";
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        char group[64];
        (void)snprintf(group, sizeof group, " %s ", fxc_group_names[fxc_columns[column].group]);
        if (strstr(pools, group) == NULL && fxc_columns[column].check != FXC_CHECK_BEGIN &&
            !is_changed(fxc_columns[column].name)) {
            fail_msg("column %s is in no change", fxc_columns[column].name);
        }
    }
}

/* How tables share rows says nothing. */
static void test_sharing_does_not_count(void **state) {
    (void)state;
    fxc_error err = FXC_ERROR_INIT;
    bool equal = false;
    fxc_program *a = parse("fxir 1.0\nlist 0 = [1, f32[2]]\ncapture x = list#0\ncapture y = list#0\n"
                           "graph \"g\" captured\n");
    fxc_program *b = parse("fxir 1.0\ncapture x = [1, f32[2]]\ncapture y = [1, f32[2]{1}]\nmeta 0 = f64[9]\n"
                           "graph \"g\" captured\n");
    assert_int_not_equal(FXC_COUNT(a, list), FXC_COUNT(b, list));
    assert_int_equal(fxc_program_equal(a, b, &equal, &err), FXC_OK);
    assert_true(equal);
    fxc_program_free(a);
    fxc_program_free(b);
}

/* Hints and bounds without their flag, and columns that say NONE throughout, say nothing. */
static void test_what_says_nothing_does_not_count(void **state) {
    (void)state;
    fxc_error err = FXC_ERROR_INIT;
    bool equal = false;
    fxc_program *a = parse("fxir 1.0\nsymbol s0\ngraph \"g\" captured\n%y = f() -> none\n");
    fxc_program b = *a;
    int64_t hint = 5;
    uint32_t none = FXC_NONE;
    assert_null(a->node_source);
    b.symbol_hint = &hint;
    b.node_source = &none;
    assert_int_equal(fxc_program_equal(a, &b, &equal, &err), FXC_OK);
    assert_true(equal);
    fxc_program_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_column_counts),
        cmocka_unit_test(test_no_column_is_forgotten),
        cmocka_unit_test(test_sharing_does_not_count),
        cmocka_unit_test(test_what_says_nothing_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
