/* The text form: what it prints, what it accepts, where it says that it fails, and equality of programs. */
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

/* ---- equality ---------------------------------------------------------------------------------------------------- */

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
        cmocka_unit_test(test_prints_what_it_parses),
        cmocka_unit_test(test_short_text),
        cmocka_unit_test(test_implied_products),
        cmocka_unit_test(test_float_spelling),
        cmocka_unit_test(test_floats_in_another_locale),
        cmocka_unit_test(test_refused_output),
        cmocka_unit_test(test_error_positions),
        cmocka_unit_test(test_depth_limits),
        cmocka_unit_test(test_shared_and_deep_lists),
        cmocka_unit_test(test_long_expressions),
        cmocka_unit_test(test_long_shared_string),
        cmocka_unit_test(test_many_dimensions),
        cmocka_unit_test(test_newer_minor_version),
        cmocka_unit_test(test_every_column_counts),
        cmocka_unit_test(test_no_column_is_forgotten),
        cmocka_unit_test(test_sharing_does_not_count),
        cmocka_unit_test(test_what_says_nothing_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
