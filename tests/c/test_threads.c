/* One program, many threads, an analysis each: the same bytes as one thread gives. Meant for ThreadSanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fxcost/fxcost.h"

enum { THREADS = 4, ROUNDS = 20, TEXT_SIZE = 16384 };

static const char source[] = "fxir 1.0\n"
                             "device \"cpu\"\n"
                             "symbol s0 dim=\"batch\" hint=4 min=1 max=1024\n"
                             "op aten.relu.default aten \"(Tensor self) -> Tensor\" core pointwise\n"
                             "op aten.mm.default aten \"(Tensor self, Tensor mat2) -> Tensor\" core\n"
                             "module 0 \"\" \"Net\"\n"
                             "storage @0 bytes=Mul(64, s0) device=\"cpu\" user_input\n"
                             "storage @1 bytes=1024 device=\"cpu\" parameter\n"
                             "storage @2 bytes=Mul(64, s0) device=\"cpu\" intermediate\n"
                             "storage @3 bytes=Mul(64, s0) device=\"cpu\" intermediate\n"
                             "graph \"main\" captured\n"
                             "  input %x: f32[s0, 16] @0\n"
                             "  input %w: f32[16, 16] @1 = parameter \"w\"\n"
                             "  %mm = aten.mm.default(self=%x, mat2=%w) -> f32[s0, 16] @2\n"
                             "  %relu = aten.relu.default(self=%mm) -> f32[s0, 16] @3\n"
                             "  return %relu\n";

struct text {
    char bytes[TEXT_SIZE];
    size_t size;
};

static bool append(void *context, const char *bytes, size_t size) {
    struct text *text = context;
    if (size > sizeof text->bytes - text->size) {
        return false;
    }
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    return true;
}

/* Totals and the JSON report at one batch size; false on any failure. */
static bool analyse(const fxc_program *program, int batch, fxc_totals *totals, struct text *text) {
    fxc_render_options options = {.struct_size = sizeof options, .format = "json", .by = "node"};
    fxc_analysis *analysis;
    char value[16];
    text->size = 0;
    *totals = (fxc_totals){.struct_size = sizeof *totals};
    if (fxc_analysis_new(program, &analysis, NULL) != FXC_OK) {
        return false;
    }
    (void)snprintf(value, sizeof value, "%d", batch);
    bool ok = fxc_analysis_set(analysis, "dim.batch", value, NULL) == FXC_OK &&
              fxc_analysis_set(analysis, "device", "h100-sxm", NULL) == FXC_OK &&
              fxc_analysis_totals(analysis, totals, NULL) == FXC_OK &&
              fxc_analysis_render(analysis, &options, append, text, NULL) == FXC_OK;
    fxc_analysis_free(analysis);
    return ok;
}

struct job {
    const fxc_program *program;
    int first; /* batch sizes first .. first + ROUNDS - 1 */
    int failures;
};

static void *work(void *context) {
    struct job *job = context;
    struct text text;
    for (int i = 0; i < ROUNDS; i++) {
        int batch = job->first + i;
        fxc_totals totals;
        /* 2 * batch * 16 * 16 for the product, one FLOP an element for the relu. */
        int64_t expected = INT64_C(512) * batch + INT64_C(16) * batch;
        job->failures += !analyse(job->program, batch, &totals, &text) || totals.flops != expected;
    }
    return NULL;
}

static void threads_share_a_program(void **state) {
    (void)state;
    fxc_error err = FXC_ERROR_INIT;
    fxc_program *program;
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    if (fxc_program_from_memory(source, sizeof source - 1, "threads", &program, &err) != FXC_OK) {
        fail_msg("%s", err.message);
    }
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){program, 1 + i * 3, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(jobs[i].failures, 0);
    }
    fxc_program_free(program);
}

static void results_are_the_same_bytes(void **state) {
    (void)state;
    fxc_program *program;
    fxc_totals totals;
    static struct text one, two;
    assert_int_equal(fxc_program_from_memory(source, sizeof source - 1, "threads", &program, NULL), FXC_OK);
    assert_true(analyse(program, 7, &totals, &one));
    assert_true(analyse(program, 7, &totals, &two));
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.bytes, two.bytes, one.size);
    fxc_program_free(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_program),
        cmocka_unit_test(results_are_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
