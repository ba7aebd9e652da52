/* Every allocation in turn fails, once, while a text is parsed, printed, compared and analysed: the status is
 * FXC_MEMORY, nothing crashes, and with the leak sanitizer nothing is lost. Linked with --wrap for the allocators. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fxcost/fxcost.h"
#include "fxcost/partition.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Allocations until the one that fails; none fails once it is negative. */
static long countdown = -1;

static bool fails(void) {
    return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

static bool discard(void *context, const char *bytes, size_t size) {
    (void)context;
    (void)bytes;
    (void)size;
    return true;
}

/* At other sizes of the input x, where the corpus's programs have one. Whether a program takes them is not asked. */
static fxc_status reshape(const fxc_program *program, fxc_error *err) {
    static const int64_t size[2] = {3, 5};
    const fxc_input_shape input = {"x", size, 2, -1};
    fxc_reshape_options options = {.struct_size = sizeof options, .inputs = &input, .input_count = 1};
    fxc_program *reshaped = NULL;
    fxc_status status = fxc_program_reshape(program, &options, &reshaped, err);
    fxc_program_free(reshaped);
    return status == FXC_MEMORY ? status : FXC_OK;
}

/* Every format of a trace, of nodes and of kernels. */
static fxc_status trace(fxc_analysis *analysis, fxc_error *err) {
    static const char *const formats[] = {"chrome", "speedscope", "pprof", "chakra", "tvm"};
    enum { FORMATS = sizeof formats / sizeof formats[0], OF_NODES = 3 };
    fxc_status status = FXC_OK;
    for (size_t i = 0; i < FORMATS + OF_NODES && status == FXC_OK; i++) {
        fxc_render_options options = {
            .struct_size = sizeof options, .format = formats[i % FORMATS], .by = i < FORMATS ? "kernel" : "node"};
        status = fxc_analysis_render(analysis, &options, discard, NULL, err);
    }
    return status;
}

/* Two stages on a device. Whether a program has so many nodes, or is a training step, is not asked. */
static fxc_status partition(fxc_analysis *analysis, fxc_error *err) {
    fxc_partition *result = NULL;
    fxc_partition_options options = {.struct_size = sizeof options, .stages = 2, .slack = 0.01};
    fxc_status status = fxc_analysis_set(analysis, "device", "h100-sxm", err);
    if (status == FXC_OK) {
        status = fxc_partition_new(analysis, &options, &result, err);
    }
    fxc_partition_free(result);
    return status == FXC_MEMORY ? status : FXC_OK;
}

static fxc_status use(const char *text, size_t size, fxc_error *err) {
    fxc_program *program = NULL;
    fxc_program *again = NULL;
    fxc_analysis *analysis = NULL;
    bool equal = false;
    fxc_totals totals = {.struct_size = sizeof totals};
    fxc_status status = fxc_program_from_memory(text, size, "text", &program, err);
    if (status == FXC_OK) {
        status = fxc_program_print(program, discard, NULL, err);
    }
    if (status == FXC_OK) {
        status = fxc_program_from_memory(text, size, "text", &again, err);
    }
    if (status == FXC_OK) {
        status = fxc_program_equal(program, again, &equal, err);
    }
    if (status == FXC_OK) {
        status = fxc_analysis_new(program, &analysis, err);
    }
    if (status == FXC_OK) {
        status = fxc_analysis_totals(analysis, &totals, err);
    }
    if (status == FXC_OK) {
        status = trace(analysis, err);
    }
    if (status == FXC_OK) {
        status = partition(analysis, err);
    }
    if (status == FXC_OK) {
        status = reshape(program, err);
    }
    fxc_analysis_free(analysis);
    fxc_program_free(program);
    fxc_program_free(again);
    return status;
}

int main(int count, char **arguments) {
    static char text[1 << 16];
    FILE *file = count > 1 ? fopen(arguments[1], "rb") : NULL;
    if (file == NULL) {
        (void)fprintf(stderr, "usage: out_of_memory TEXT\n");
        return 2;
    }
    size_t size = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    fxc_error err = FXC_ERROR_INIT;
    fxc_status normal = use(text, size, &err);
    for (long nth = 0;; nth++) {
        err = (fxc_error)FXC_ERROR_INIT;
        countdown = nth;
        fxc_status status = use(text, size, &err);
        bool ran_out = countdown < 0;
        countdown = -1;
        if (!ran_out) {
            (void)printf("each of %ld allocations failed once\n", nth);
            return status == normal && nth > 0 ? 0 : 1;
        }
        if (status != FXC_MEMORY || err.message[0] == '\0') {
            (void)fprintf(stderr, "allocation %ld failed, and the status is %d: %s\n", nth, (int)status, err.message);
            return 1;
        }
    }
}
