/* The parts of a report's head that need a look at the program: input sizes and main dtype. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "passes/report/render.h"

static void append(char *buffer, size_t size, const char *text) {
    size_t used = strlen(buffer);
    if (used < size) {
        (void)snprintf(buffer + used, size - used, "%s", text);
    }
}

/* "1×3×224²": equal last sizes are squared, as papers write images. "scalar" for rank 0. */
static void shape_text(const struct fxc_shapes *shapes, uint32_t value, char *buffer, size_t size) {
    const int64_t *dims = shapes->size + shapes->dim_begin[value];
    uint32_t rank = shapes->rank[value];
    bool square = rank >= 4 && dims[rank - 1] == dims[rank - 2];
    buffer[0] = '\0';
    for (uint32_t d = 0; d + (square ? 1 : 0) < rank; d++) {
        char number[48];
        (void)snprintf(number, sizeof number, "%s%" PRId64, d == 0 ? "" : "\xC3\x97", dims[d]); /* × */
        append(buffer, size, number);
    }
    append(buffer, size, square ? "\xC2\xB2" : rank == 0 ? "scalar" : ""); /* ² */
}

/* "float32" as "fp32", "bfloat16" as "bf16", others as torch names them. */
static void dtype_text(const char *name, char *buffer, size_t size) {
    if (strncmp(name, "float", 5) == 0 && strspn(name + 5, "0123456789") == strlen(name + 5)) {
        (void)snprintf(buffer, size, "fp%s", name + 5);
    } else if (strncmp(name, "bfloat", 6) == 0) {
        (void)snprintf(buffer, size, "bf%s", name + 6);
    } else {
        (void)snprintf(buffer, size, "%s", name);
    }
}

const char *fxc_main_dtype(const struct fxc_program *p, char *buffer, size_t size) {
    int64_t dtype;
    buffer[0] = '\0';
    if (fxc_program_capture(p, "dtype", FXC_KIND_DTYPE, &dtype) && dtype < FXC_DTYPE_COUNT) {
        dtype_text(fxc_enum_text("dtype", (uint32_t)dtype), buffer, size);
    }
    return buffer;
}

enum { MAX_SHAPES = 4, SHAPE_SIZE = 96 };

const char *fxc_cite_inputs(const struct fxc_analysis *analysis, char *buffer, size_t size) {
    const struct fxc_program *p = analysis->program;
    char seen[MAX_SHAPES][SHAPE_SIZE];
    uint32_t count = 0;
    buffer[0] = '\0';
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1] && count < MAX_SHAPES; i++) {
        uint32_t value = p->input_value[i];
        if (p->input_kind[i] != FXC_INPUT_KIND_USER_INPUT || p->value_kind[value] != FXC_KIND_TENSOR) {
            continue;
        }
        char text[SHAPE_SIZE];
        shape_text(analysis->shapes, value, text, sizeof text);
        bool repeated = false;
        for (uint32_t k = 0; k < count; k++) {
            repeated |= strcmp(seen[k], text) == 0;
        }
        if (!repeated) {
            memcpy(seen[count++], text, sizeof text);
            append(buffer, size, buffer[0] == '\0' ? "" : " + ");
            append(buffer, size, text);
        }
    }
    char dtype[32];
    if (fxc_main_dtype(p, dtype, sizeof dtype)[0] != '\0') {
        append(buffer, size, buffer[0] == '\0' ? "" : ", ");
        append(buffer, size, dtype);
    }
    return buffer;
}
