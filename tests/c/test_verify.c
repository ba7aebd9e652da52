/* The program verifier: a sound program passes, and each contradiction is refused with the place and the reason.
 * Contradictions are made by changing one column of a sound program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "passes/alias/alias.h"

static const char sound[] =
    "fxir 1.0\n"
    "device \"cpu\"\n"
    "symbol s0 hint=4 min=2 max=9\n"
    "op aten.add.Tensor aten \"(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor\"\n"
    "op aten.split.Tensor aten \"(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]\"\n"
    "op aten.cat.default aten \"(Tensor[] tensors, int dim=0) -> Tensor\"\n"
    "op higher_order.wrap higher_order \"\"\n"
    "op operator.getitem builtin \"\"\n"
    "module 0 \"\" \"M\"\n"
    "module 1 \"fc\" \"L\" in 0\n"
    "storage @1 bytes=300 device=\"cpu\" user_input\n"
    "graph \"main\" captured\n"
    "  input %x: f32[4, 3] @0\n"
    "  input %y: f32[s0, 3] @1\n"
    "  %add = aten.add.Tensor(self=%x, other=2) -> f32[4, 3] @2\n"
    "  %split = aten.split.Tensor(self=%add, split_size=2) -> [%: f32[2, 3] @2, %: f32[2, 3]+6 @2]\n"
    "  %a = operator.getitem(a=%split, b=0) -> f32[2, 3] @2\n"
    "  %b = operator.getitem(a=%split, b=1) -> f32[2, 3]+6 @2\n"
    "  %cat = aten.cat.default(tensors=[%a, %b]) -> f32[4, 3] @3\n"
    "  %wrap = higher_order.wrap(body=graph(\"inner\"), operand0=%cat) -> [%: f32[4, 3] @4]\n"
    "  return %wrap\n"
    "graph \"inner\" body\n"
    "  input %z: f32[4, 3] @3\n"
    "  %twice = aten.add.Tensor(self=%z, other=%z) -> f32[4, 3] @4\n"
    "  return %twice\n";

static fxc_program *load(const char *text) {
    fxc_program *program = NULL;
    fxc_error err = FXC_ERROR_INIT;
    if (fxc_program_from_memory(text, strlen(text), "test", &program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    return program;
}

static fxc_status verify(const fxc_program *program, fxc_error *err) {
    fxc_analysis *analysis = NULL;
    assert_int_equal(fxc_analysis_new(program, &analysis, NULL), FXC_OK);
    fxc_status status = fxc_require(analysis, "verify", err);
    fxc_analysis_free(analysis);
    return status;
}

/* The program must be refused with these words in the message. Frees it. */
static void refused(fxc_program *program, const char *where, const char *words) {
    fxc_error err = FXC_ERROR_INIT;
    fxc_status status = verify(program, &err);
    if (status != FXC_PROGRAM || strstr(err.message, where) == NULL || strstr(err.message, words) == NULL) {
        fail_msg("status %d, expected '%s' and '%s' in: %s", (int)status, where, words, err.message);
    }
    fxc_program_free(program);
}

/* Columns of a parsed text are in memory of their own: a test may change them. */
#define CHANGE(program, column, row, value)                                                                            \
    do {                                                                                                               \
        void *data = (void *)(uintptr_t)(program)->column;                                                             \
        __typeof__(*(program)->column) changed = (__typeof__(*(program)->column))(value);                              \
        memcpy((char *)data + (size_t)(row) * sizeof changed, &changed, sizeof changed);                               \
    } while (0)

static uint32_t find_node(const fxc_program *p, const char *name) {
    for (uint32_t n = 0; n < FXC_COUNT(p, node); n++) {
        if (strcmp(fxc_node_name(p, n), name) == 0) {
            return n;
        }
    }
    fail_msg("no node %s", name);
    return 0;
}

static uint32_t result(const fxc_program *p, const char *name) {
    return p->node_result[find_node(p, name)];
}

static uint32_t first_arg(const fxc_program *p, const char *name) {
    return p->node_arg_begin[find_node(p, name)];
}

static void test_sound(void **state) {
    (void)state;
    fxc_program *program = load(sound);
    fxc_error err = FXC_ERROR_INIT;
    if (verify(program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    fxc_program_free(program);
}

static void test_uses(void **state) {
    (void)state;
    fxc_program *p = load(sound);
    CHANGE(p, arg_payload, first_arg(p, "split"), result(p, "cat"));
    refused(p, "node 1 'split' (aten.split.Tensor)", "which node 4 computes later");

    p = load(sound);
    CHANGE(p, arg_payload, first_arg(p, "add"), result(p, "add"));
    refused(p, "node 0 'add'", "argument 'self'");

    p = load(sound);
    CHANGE(p, arg_payload, first_arg(p, "twice"), result(p, "add"));
    refused(p, "'twice'", "of graph 0");

    p = load(sound);
    int64_t list = p->arg_payload[first_arg(p, "cat")];
    CHANGE(p, item_payload, p->list_begin[list], result(p, "cat"));
    refused(p, "'cat'", "computes later");

    p = load(sound);
    CHANGE(p, output_payload, p->graph_output_begin[1], result(p, "add"));
    refused(p, "graph 1, output 0", "of graph 0");
}

static void test_definitions(void **state) {
    (void)state;
    fxc_program *p = load(sound);
    CHANGE(p, value_producer, result(p, "cat"), find_node(p, "add"));
    refused(p, "'cat'", "a value whose producer is what defines it");

    p = load(sound);
    CHANGE(p, node_result, find_node(p, "cat"), result(p, "add"));
    refused(p, "node 4", "a value that nothing before it defines");

    p = load(sound);
    CHANGE(p, input_value, 1, p->input_value[0]);
    refused(p, "graph 0, input 1", "a value that nothing before it defines");

    p = load(sound);
    CHANGE(p, value_producer, p->input_value[0], 0);
    refused(p, "graph 0, input 0", "a value whose producer is what defines it");

    /* An element of a list result that is the list itself. */
    p = load(sound);
    int64_t list = p->value_payload[result(p, "split")];
    CHANGE(p, item_payload, p->list_begin[list], result(p, "split"));
    refused(p, "'split'", "a value that nothing before it defines");
}

static void test_arguments(void **state) {
    (void)state;
    fxc_program *p = load(sound);
    uint32_t arg = first_arg(p, "add");
    CHANGE(p, arg_name, arg + 1, p->arg_name[arg]);
    refused(p, "'add'", "every argument once");

    p = load(sound);
    CHANGE(p, arg_name, first_arg(p, "split"), p->arg_name[first_arg(p, "cat")]);
    refused(p, "'split'", "'tensors'");

    p = load(sound);
    CHANGE(p, node_op, find_node(p, "cat"), p->node_op[find_node(p, "split")]);
    refused(p, "'cat'", "an argument of the schema");

    p = load(sound); /* add's second argument becomes split's: split_size goes missing */
    CHANGE(p, node_arg_begin, find_node(p, "split"), p->node_arg_begin[find_node(p, "split")] + 1);
    refused(p, "'add'", "'self'");

    p = load(sound);
    arg = first_arg(p, "wrap");
    CHANGE(p, arg_name, arg + 1, p->arg_name[arg]);
    refused(p, "'wrap'", "every argument once");

    p = load("fxir 1.0\ndevice \"cpu\"\nop aten.neg.default aten \"(Tensor self) -> Tensor\"\nmodule 0 \"\" \"M\"\n"
             "graph \"main\" captured\n  input %x: f32[2] @0\n  %neg = aten.neg.default() -> f32[2] @1\n"
             "  return %neg\n");
    refused(p, "'neg'", "no 'self'");

    p = load("fxir 1.0\ndevice \"cpu\"\nop my.op.default custom \"(Tensor(a! self) -> Tensor\"\nmodule 0 \"\" \"M\"\n"
             "graph \"main\" captured\n  input %x: f32[2] @0\n  %op = my.op.default(self=%x) -> f32[2] @1\n"
             "  return %op\n");
    refused(p, "operator my.op.default, schema at character 11", "')' after the alias set");
}

static void test_calls(void **state) {
    (void)state;
    fxc_program *p = load(sound);
    CHANGE(p, arg_payload, first_arg(p, "wrap"), 0);
    refused(p, "'wrap'", "calls of graphs that do not lead back");

    /* The body calls itself. */
    p = load(sound);
    uint32_t arg = first_arg(p, "twice");
    CHANGE(p, arg_kind, arg, FXC_KIND_GRAPH);
    CHANGE(p, arg_payload, arg, 1);
    refused(p, "'twice'", "calls of graphs that do not lead back");
}

/* A chain of bodies, each calling the next. */
static fxc_program *chain(uint32_t length) {
    static char text[65536];
    size_t used = (size_t)snprintf(text, sizeof text,
                                   "fxir 1.0\ndevice \"cpu\"\nop higher_order.wrap higher_order \"\"\n"
                                   "module 0 \"\" \"M\"\n");
    for (uint32_t i = 0; i <= length; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "graph \"g%u\" %s\n  input %%x: f32[2] @0\n", i,
                                 i == 0 ? "captured" : "body");
        if (i < length) {
            used +=
                (size_t)snprintf(text + used, sizeof text - used,
                                 "  %%w = higher_order.wrap(body=graph(\"g%u\"), operand0=%%x) -> f32[2] @0\n", i + 1);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "  return %%x\n");
    }
    assert_true(used < sizeof text);
    return load(text);
}

static void test_depth_of_calls(void **state) {
    (void)state;
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program = chain(64);
    if (verify(program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    fxc_program_free(program);
    refused(chain(65), "'w'", "calls nested at most 64 deep");
}

static void test_rows(void **state) {
    (void)state;
    fxc_program *p = load(sound);
    uint32_t tokens = FXC_COUNT(p, token);
    assert_true(tokens > 0);
    CHANGE(p, token_op, 0, FXC_TOKEN_ADD);
    refused(p, "expression 0, token 0", "0 before one that takes 2");

    p = load(sound);
    CHANGE(p, token_payload, 0, 7);
    refused(p, "expression 0, token 0", "symbol 7 of 1");

    p = load(sound);
    uint32_t meta = (uint32_t)p->value_payload[result(p, "b")];
    CHANGE(p, meta_offset, meta, 7);
    refused(p, "(", "a tensor within the 48 bytes of its storage");

    p = load(sound);
    meta = (uint32_t)p->value_payload[result(p, "cat")];
    CHANGE(p, dim_stride, p->meta_dim_begin[meta], INT64_MAX / 2);
    fxc_error err = FXC_ERROR_INIT;
    assert_int_equal(verify(p, &err), FXC_OVERFLOW);
    assert_non_null(strstr(err.message, "fit in 64 bits"));
    fxc_program_free(p);

    p = load(sound);
    CHANGE(p, value_storage, result(p, "cat"), FXC_NONE);
    refused(p, "'cat'", "a storage");

    p = load(sound);
    CHANGE(p, module_parent, 1, FXC_NONE);
    refused(p, "module 1", "a parent");
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* One element of a random column becomes another of the same column, or its neighbour number. */
static void damage(fxc_program *p, uint64_t *seed) {
    uint32_t column = (uint32_t)(next_random(seed) % FXC_COLUMN_COUNT);
    const struct fxc_column_info *info = &fxc_columns[column];
    uint32_t rows = p->count[info->group] + (info->check == FXC_CHECK_BEGIN);
    unsigned char *bytes = (unsigned char *)(uintptr_t)p->column[column];
    if (bytes == NULL || rows == 0) {
        return;
    }
    unsigned char *row = bytes + next_random(seed) % rows * info->element_size;
    if (next_random(seed) % 2 == 0) {
        memmove(row, bytes + next_random(seed) % rows * info->element_size, info->element_size);
    } else {
        row[0] = (unsigned char)(row[0] + (next_random(seed) % 2 == 0 ? 1 : 255));
    }
}

/* Damage that the reader's checks let pass is refused with a message, or harmless: alias runs on what verify accepts,
 * and its numbers stay in range. */
static void test_damage(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252;
    uint32_t accepted = 0, rejected = 0;
    for (uint32_t round = 0; round < 4000; round++) {
        fxc_error err = FXC_ERROR_INIT;
        fxc_program *p = load(sound);
        fxc_analysis *analysis = NULL;
        for (uint64_t left = 1 + next_random(&seed) % 3; left > 0; left--) {
            damage(p, &seed);
        }
        fxc_status status = fxc_program_check(p, &err);
        if (status == FXC_OK) {
            assert_int_equal(fxc_program_bind(p, &err), FXC_OK);
            assert_int_equal(fxc_analysis_new(p, &analysis, &err), FXC_OK);
            status = fxc_require(analysis, "alias", &err);
            rejected += status != FXC_OK;
            accepted += status == FXC_OK;
        }
        if (status != FXC_OK) {
            assert_true(err.message[0] != '\0');
        } else {
            for (uint32_t v = 0; v < FXC_COUNT(p, value); v++) {
                uint32_t memory = analysis->alias->value_memory[v];
                assert_true(memory == FXC_NONE || memory < analysis->alias->memory_count);
            }
            for (uint32_t n = 0; n < FXC_COUNT(p, node); n++) {
                for (uint32_t d = analysis->alias->dep_begin[n]; d < analysis->alias->dep_begin[n + 1]; d++) {
                    assert_true(analysis->alias->dep[d] < n);
                }
            }
        }
        fxc_analysis_free(analysis);
        fxc_program_free(p);
    }
    assert_true(accepted > 100 && rejected > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),     cmocka_unit_test(test_uses),   cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_calls),  cmocka_unit_test(test_depth_of_calls),
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
