/* The text form: what it prints, what it accepts, and where it says that it fails. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/builder.h"
#include "ir/error.h"
#include "tests/fuzz/laws.h"

static fxc_program *parse(const char *text) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = NULL;
    if (fxc_program_from_memory(text, strlen(text), "test.txt", &program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return program;
}

/* The caller frees. */
static char *print(const fxc_program *program) {
    fxc_error err = FXC_ERROR_INIT;
    struct laws_text text = {0};
    if (fxc_program_print(program, laws_append, &text, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(laws_append(&text, "", 1));
    return text.bytes;
}

static void assert_laws(const fxc_program *program) {
    fxc_error err = FXC_ERROR_INIT;
    struct laws_text first = {0}, second = {0};
    const char *broken = laws_of_text(program, &first, &second, &err);
    if (broken != NULL) {
        fail_msg("%s: %s\n%.*s", broken, err.message, (int)(first.size > 4000 ? 4000 : first.size), first.bytes);
    }
    free(first.bytes);
    free(second.bytes);
}

/* ---- what is printed --------------------------------------------------------------------------------------------- */

#define TOY                                                                                                            \
    "fxir 1.0\n"                                                                                                       \
    "device \"cpu\"\n"                                                                                                 \
    "op aten.linear.default aten \"(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor\" composite\n"           \
    "op aten.split.Tensor aten \"\" view\n"                                                                            \
    "module 0 \"\" \"Toy\"\n"                                                                                          \
    "module 1 \"fc\" \"Linear\" in 0\n"                                                                                \
    "config 1 in_features = 5\n"                                                                                       \
    "call 0 module=0 training inputs=[%x] outputs=[%linear]\n"                                                         \
    "call 1 module=1 in 0\n"                                                                                           \
    "graph \"main\" captured\n"                                                                                        \
    "  input %p_weight: f32[4, 5]<requires_grad> @0 = parameter \"fc.weight\"\n"                                       \
    "  input %x: f32[1, 5] @1\n"                                                                                       \
    "  %linear = aten.linear.default(input=%x, weight=%p_weight, bias=none) -> f32[1, 4] @2 call=1\n"                  \
    "  %split = aten.split.Tensor(self=%linear, split_size=2, dim=1) -> "                                              \
    "[%: f32[1, 2]{4, 1} @2, %: f32[1, 2]{4, 1}+2 @2] call=0\n"                                                        \
    "  return %linear\n"                                                                                               \
    "param %p_weight = parameter \"fc.weight\" module=1 requires_grad persistent\n"                                    \
    "param %p_unused: f32[3] @3 = parameter \"unused\" module=0 unused\n"

static void test_prints_what_it_parses(void **state) {
    (void)state;
    fxc_program *program = parse(TOY);
    char *text = print(program);
    assert_string_equal(text, TOY);
    assert_int_equal(FXC_COUNT(program, value), 7);
    assert_int_equal(FXC_COUNT(program, storage), 4);
    assert_int_equal(program->storage_bytes[0], 4 * 5 * 4);
    assert_int_equal(program->storage_origin[0], FXC_STORAGE_ORIGIN_PARAMETER);
    assert_int_equal(program->storage_origin[1], FXC_STORAGE_ORIGIN_USER_INPUT);
    assert_int_equal(program->storage_origin[2], FXC_STORAGE_ORIGIN_INTERMEDIATE);
    /* Elements come before the list they are in, as the exporter writes them. */
    assert_string_equal(fxc_node_name(program, 1), "split");
    assert_int_equal(program->node_result[1], 5);
    assert_int_equal(program->value_producer[3], 1);
    assert_int_equal(program->meta_offset[program->value_payload[4]], 2);
    assert_null(program->node_source);
    free(text);
    fxc_program_free(program);
}

static void test_short_text(void **state) {
    (void)state;
    /* What a hand-written text may leave out: operators, modules, row-major strides, storages, kinds. */
    fxc_program *program = parse("fxir 1.0\n# a comment\n\ngraph \"g\" captured\n"
                                 "input %x: f32[2, 3]\n%y = aten.relu.default(self=%x) -> f32[2, 3]\nreturn %y\n");
    assert_string_equal(fxc_node_op_name(program, 0), "aten.relu.default");
    assert_int_equal(program->op_origin[0], FXC_OP_ORIGIN_ATEN);
    assert_string_equal(fxc_string(program, program->op_schema[0]), "(Tensor self) -> Tensor");
    assert_int_equal(FXC_COUNT(program, module), 1);
    assert_int_equal(program->dim_stride[0], 3);
    assert_int_equal(program->value_storage[0], FXC_NONE);
    assert_laws(program);
    fxc_program_free(program);
}

static void test_implied_products(void **state) {
    (void)state;
    /* Strides and bytes that follow from symbolic sizes, as sympy writes products: the number, then names in order. */
    static const char head[] = "fxir 1.0\ndevice \"cpu\"\nsymbol s9\nsymbol s1\nmodule 0 \"\" \"\"\n";
    static const char body[] = "graph \"g\" captured\n  input %x: f32[2, s9, 3, s1] @0\n"
                               "  input %y: i64[Mul(2, s9), 4] @1\n  input %z: b8[s1] @2\n";
    char text[512];
    (void)snprintf(text, sizeof text, "%s%s", head, body);
    fxc_program *program = parse(text);
    char *printed = print(program);
    assert_string_equal(printed, text);
    free(printed);
    fxc_program *spelled =
        parse("fxir 1.0\ndevice \"cpu\"\nsymbol s9\nsymbol s1\n"
              "storage @0 bytes=Mul(Mul(24, s1), s9) device=\"cpu\" user_input\n"
              "storage @1 bytes=Mul(64, s9) device=\"cpu\" user_input\nstorage @2 bytes=s1 device=\"cpu\" user_input\n"
              "graph \"g\" captured\n  input %x: f32[2, s9, 3, s1]{Mul(Mul(3, s1), s9), Mul(3, s1), s1, 1} @0\n"
              "  input %y: i64[Mul(2, s9), 4]{4, 1} @1\n  input %z: b8[s1]{1} @2\n");
    fxc_error err = FXC_ERROR_INIT;
    bool equal = false;
    assert_int_equal(fxc_program_equal(program, spelled, &equal, &err), FXC_OK);
    assert_true(equal);
    fxc_program_free(spelled);
    fxc_program_free(program);
}

static void test_float_spelling(void **state) {
    (void)state;
    static const char *const spellings[] = {"0.0",
                                            "-0.0",
                                            "1.0",
                                            "0.1",
                                            "1.0e-6",
                                            "0.00001",
                                            "123456.789",
                                            "1.0e300",
                                            "5.0e-324",
                                            "inf",
                                            "-inf",
                                            "nan",
                                            "nan(0xfff8000000000123)",
                                            "1.7976931348623157e308",
                                            "12345678901234568.0",
                                            "3.141592653589793"};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        char text[256], line[128];
        (void)snprintf(line, sizeof line, "capture f = %s\n", spellings[i]);
        (void)snprintf(text, sizeof text, "fxir 1.0\n%sgraph \"g\" captured\n", line);
        fxc_program *program = parse(text);
        char *printed = print(program);
        assert_int_equal(program->capture_kind[0], FXC_KIND_FLOAT);
        assert_non_null(strstr(printed, line));
        free(printed);
        fxc_program_free(program);
    }
}

static void test_floats_in_another_locale(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8", "nl_NL.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && found == NULL; i++) {
        found = setlocale(LC_NUMERIC, names[i]);
    }
    if (found == NULL) {
        print_message("no locale with a decimal comma is installed: not tested\n");
        skip();
    }
    fxc_program *program = parse("fxir 1.0\ncapture f = [0.5, 1.5e-7]\ngraph \"g\" captured\n");
    char *printed = print(program);
    (void)setlocale(LC_NUMERIC, "C");
    assert_non_null(strstr(printed, "[0.5, 1.5e-7]"));
    free(printed);
    fxc_program_free(program);
}

static bool refuse(void *context, const char *bytes, size_t size) {
    (void)context;
    (void)bytes;
    (void)size;
    return false;
}

static void test_refused_output(void **state) {
    (void)state;
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = parse(TOY);
    assert_int_equal(fxc_program_print(program, refuse, NULL, &err), FXC_IO);
    assert_string_not_equal(err.message, "");
    fxc_program_free(program);
}

/* ---- where it fails ---------------------------------------------------------------------------------------------- */

static void test_error_positions(void **state) {
    (void)state;
    static const struct {
        const char *text, *where, *expected;
    } cases[] = {
        {"grph \"g\" captured\n", "t:2:1", "a statement"},
        {"graph \"g\" captured extra\n", "t:2:20", "end of the line"},
        {"graph \"g\" upside_down\n", "t:2:11", "a view"},
        {"graph \"g\n", "t:2:9", "'\"'"},
        {"capture x = \"\\q\"\n", "t:2:15", "one of"},
        {"capture x = \"a\\xff\"\n", "t:2:13", "UTF-8"},
        {"capture x = \"\xc0\x80\"\n", "t:2:13", "UTF-8"},
        {"capture x = \"\xed\xa0\x80\"\n", "t:2:13", "UTF-8"},
        {"capture x = 9223372036854775808\n", "t:2:13", "64 bits"},
        {"capture x = 1.\n", "t:2:15", "a digit"},
        {"capture x = 1e999\n", "t:2:13", "range of a double"},
        {"capture x = wat\n", "t:2:13", "a literal"},
        {"capture x = [1, 2\n", "t:2:18", "','"},
        {"capture x = f32[2]{1, 1}\n", "t:2:16", "as many strides"},
        {"capture x = f32[-2]\n", "t:2:17", "a size"},
        {"capture x = symint(s0)\n", "t:2:20", "a declared symbol"},
        {"capture x = symint(Add(1))\n", "t:2:25", "','"},
        {"capture x = list#0\n", "t:2:17", "list N"},
        {"capture x = $3\n", "t:2:13", "a string that exists"},
        {"capture x = %y\ngraph \"g\" captured\n", "t:2:13", "a value that this graph defines"},
        {"capture x = nan(0x7ff0000000000000)\n", "t:2:17", "the bits of a NaN"},
        {"input %x: f32[]\n", "t:2:1", "a graph before"},
        {"graph \"g\" captured\ninput %x: f32[]\ninput %x: f32[]\n", "t:4:7", "does not define yet"},
        {"graph \"g\" captured\ninput %x#1: f32[]\n", "t:3:7", "a number that no other value has"},
        {"graph \"g\" captured\ninput %x: f32[] @1\n", "t:3:18", "a number that no other storage has"},
        {"symbol s0\ngraph \"g\" captured\ninput %x: f32[Add(s0, 1)] @0\n", "t:4:28", "a line of its own"},
        {"symbol s0\ngraph \"g\" captured\ninput %x: f32[2, s0, 3, s0]\n", "t:4:14", "strides"},
        {"graph \"g\" captured\n%y = f(x=1) ->\n", "t:3:15", "a literal"},
        {"graph \"g\" captured\n%y = f(x=1) -> none call=\n", "t:3:26", "an integer"},
        {"graph \"g\" captured\n%y = f(x=1) -> none colour=1\n", "t:3:21", "call="},
        {"module 1 \"\" \"\"\n", "t:2:8", "number 0"},
        {"source 0 line=1\nsource 1 file=\"f\"\n", "t:3:18", "every source line"},
        {"", "t:2:1", "at least one graph"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        fxc_error err = FXC_ERROR_INIT;
        fxc_program *program = NULL;
        (void)snprintf(text, sizeof text, "fxir 1.0\n%s", cases[i].text);
        assert_int_equal(fxc_program_from_memory(text, strlen(text), "t", &program, &err), FXC_FORMAT);
        if (strcmp(err.where, cases[i].where) != 0 || strstr(err.expected, cases[i].expected) == NULL) {
            fail_msg("%s: wanted %s, %s; got %s", text, cases[i].where, cases[i].expected, err.message);
        }
        assert_string_not_equal(err.found, "");
    }
}

static void test_depth_limits(void **state) {
    (void)state;
    char text[4096];
    for (int depth = 32; depth <= 1000; depth += 968) {
        fxc_error err = FXC_ERROR_INIT;
        fxc_program *program = NULL;
        size_t used = (size_t)snprintf(text, sizeof text, "fxir 1.0\ncapture x = ");
        memset(text + used, '[', (size_t)depth);
        memset(text + used + depth, ']', (size_t)depth);
        (void)snprintf(text + used + 2 * depth, sizeof text - used - 2 * (size_t)depth, "\ngraph \"g\" captured\n");
        fxc_status status = fxc_program_from_memory(text, strlen(text), "t", &program, &err);
        assert_int_equal(status, depth < 64 ? FXC_OK : FXC_FORMAT);
        if (status == FXC_OK) {
            assert_laws(program);
        } else {
            assert_non_null(strstr(err.expected, "deep"));
        }
        fxc_program_free(program);
    }
}

/* ---- hostile programs -------------------------------------------------------------------------------------------- */

static uint32_t string_of(struct fxc_builder *b, const char *text) {
    return fxc_builder_string(b, text, strlen(text));
}

/* One graph, the root module, and one capture entry of this kind and payload. */
static fxc_program *finish_minor(struct fxc_builder *b, uint8_t kind, int64_t payload, uint16_t minor) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = fxc_program_alloc("built");
    assert_non_null(program);
    fxc_push_capture_key(b, string_of(b, "x"));
    fxc_push_capture_kind(b, kind);
    fxc_push_capture_payload(b, payload);
    fxc_push_module_parent(b, FXC_NONE);
    fxc_push_module_name(b, 0);
    fxc_push_module_class(b, 0);
    fxc_push_graph_name(b, string_of(b, "g"));
    fxc_push_graph_view(b, 0);
    fxc_push_graph_node_begin(b, 0);
    fxc_push_graph_input_begin(b, 0);
    fxc_push_graph_output_begin(b, 0);
    program->version_major = FXC_FORMAT_MAJOR;
    program->version_minor = minor;
    if (fxc_builder_finish(b, program, &err) != FXC_OK || fxc_program_check(program, &err) != FXC_OK ||
        fxc_program_bind(program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    fxc_builder_free(b);
    return program;
}

static fxc_program *finish(struct fxc_builder *b, uint8_t kind, int64_t payload) {
    return finish_minor(b, kind, payload, FXC_FORMAT_MINOR);
}

static void push_item(struct fxc_builder *b, uint8_t kind, int64_t payload) {
    fxc_push_item_kind(b, kind);
    fxc_push_item_payload(b, payload);
}

/* Each list holds the one before it `times` times: 2^60 items if they were all written out. */
static void test_shared_and_deep_lists(void **state) {
    (void)state;
    for (uint32_t times = 1; times <= 2; times++) {
        struct fxc_builder b;
        uint32_t depth = times == 1 ? 10000 : 60;
        fxc_builder_start(&b);
        for (uint32_t list = 0; list < depth; list++) {
            fxc_push_list_begin(&b, fxc_builder_length(&b, FXC_COLUMN_item_kind));
            for (uint32_t i = 0; i < times; i++) {
                push_item(&b, list == 0 ? FXC_KIND_INT : FXC_KIND_LIST, list == 0 ? 7 : list - 1);
            }
        }
        fxc_program *program = finish(&b, FXC_KIND_LIST, depth - 1);
        char *text = print(program);
        assert_true(strlen(text) < 100000);
        free(text);
        assert_laws(program);
        fxc_program_free(program);
    }
}

static void test_long_expressions(void **state) {
    (void)state;
    struct fxc_builder b;
    fxc_builder_start(&b);
    fxc_push_expr_begin(&b, 0);
    for (uint32_t i = 0; i < 5000; i++) {
        fxc_push_token_op(&b, FXC_TOKEN_CONST);
        fxc_push_token_payload(&b, i);
        if (i > 0) {
            fxc_push_token_op(&b, FXC_TOKEN_ADD);
            fxc_push_token_payload(&b, 0);
        }
    }
    fxc_program *program = finish(&b, FXC_KIND_SYMINT, 0);
    assert_laws(program);
    fxc_program_free(program);
}

/* A long name that every one of many rows has is written once. */
static void test_long_shared_string(void **state) {
    (void)state;
    struct fxc_builder b;
    char name[20001];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    fxc_builder_start(&b);
    uint32_t string = string_of(&b, name);
    for (uint32_t i = 0; i < 1000; i++) {
        fxc_push_op_name(&b, string);
        fxc_push_op_origin(&b, FXC_OP_ORIGIN_CUSTOM);
        fxc_push_op_schema(&b, string);
        fxc_push_op_tags(&b, i);
    }
    fxc_program *program = finish(&b, FXC_KIND_OP, 999);
    char *text = print(program);
    assert_true(strlen(text) < 200000);
    free(text);
    assert_laws(program);
    fxc_program_free(program);
}

/* Enumerators of a newer minor version print as opaque, and read back as equal. */
static void test_newer_minor_version(void **state) {
    (void)state;
    struct fxc_builder b;
    fxc_builder_start(&b);
    fxc_push_meta_dtype(&b, 200);
    fxc_push_meta_layout(&b, 200);
    fxc_push_meta_flags(&b, 0x8000);
    fxc_push_meta_dim_begin(&b, 0);
    fxc_push_meta_offset(&b, 0);
    fxc_push_list_begin(&b, 0);
    push_item(&b, FXC_KIND_TENSOR, 0);
    push_item(&b, FXC_KIND_DTYPE, 200);
    push_item(&b, FXC_KIND_LAYOUT, 200);
    push_item(&b, FXC_KIND_MEMORY_FORMAT, 200);
    fxc_program *program = finish_minor(&b, FXC_KIND_LIST, 0, FXC_FORMAT_MINOR + 1);
    char *text = print(program);
    assert_non_null(strstr(text, "[opaque[]<opaque, bit15>, dtype(opaque), layout(opaque), memory_format(opaque)]"));
    free(text);
    assert_laws(program);
    fxc_program_free(program);
}

static void test_many_dimensions(void **state) {
    (void)state;
    struct fxc_builder b;
    fxc_builder_start(&b);
    fxc_push_meta_dtype(&b, FXC_DTYPE_INT8);
    fxc_push_meta_layout(&b, 0);
    fxc_push_meta_flags(&b, 0);
    fxc_push_meta_dim_begin(&b, 0);
    fxc_push_meta_offset(&b, 0);
    for (uint32_t i = 0; i < 3000; i++) {
        fxc_push_dim_size(&b, INT64_MAX);
        fxc_push_dim_stride(&b, i);
    }
    fxc_program *program = finish(&b, FXC_KIND_TENSOR, 0);
    assert_laws(program);
    fxc_program_free(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prints_what_it_parses),    cmocka_unit_test(test_short_text),
        cmocka_unit_test(test_implied_products),         cmocka_unit_test(test_float_spelling),
        cmocka_unit_test(test_floats_in_another_locale), cmocka_unit_test(test_refused_output),
        cmocka_unit_test(test_error_positions),          cmocka_unit_test(test_depth_limits),
        cmocka_unit_test(test_shared_and_deep_lists),    cmocka_unit_test(test_long_expressions),
        cmocka_unit_test(test_long_shared_string),       cmocka_unit_test(test_many_dimensions),
        cmocka_unit_test(test_newer_minor_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
