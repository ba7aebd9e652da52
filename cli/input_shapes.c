/* --input-shape NAME=1,3,64,64 or NAME=f32[1,3,64,64]: other sizes of a program's inputs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { MAX_RANK = 64, NAME_SIZE = 128 };

struct shape {
    char name[NAME_SIZE];
    int64_t size[MAX_RANK];
    uint32_t rank;
    int32_t dtype;
};

static fxc_status bad_shape(const char *text, fxc_error *err) {
    char message[512];
    (void)snprintf(message, sizeof message,
                   "option --input-shape\n  expected: NAME=1,3,64,64 or NAME=f32[1,3,64,64]\n  found: '%.200s'", text);
    return cli_fail(err, FXC_USAGE, message);
}

/* Element types by torch's name and by the short one of program texts. */
static int32_t find_dtype(const char *text, size_t length) {
    static const char *const names[][2] = {
#define X(name, full, brief, bits) {full, brief},
        FXC_DTYPE_LIST(X)
#undef X
    };
    for (int32_t i = 0; i < FXC_DTYPE_OPAQUE; i++) {
        for (size_t k = 0; k < 2; k++) {
            if (strlen(names[i][k]) == length && strncmp(names[i][k], text, length) == 0) {
                return i;
            }
        }
    }
    return -1;
}

/* Sizes up to `end`, separated by commas; none for a scalar. */
static bool parse_sizes(const char *text, char end, struct shape *out) {
    while (*text != end) {
        char *after;
        errno = 0;
        long long size = strtoll(text, &after, 10);
        if (after == text || errno != 0 || size < 0 || out->rank == MAX_RANK || (*after != ',' && *after != end)) {
            return false;
        }
        out->size[out->rank++] = size;
        text = *after == ',' ? after + 1 : after;
    }
    return end == '\0' || text[1] == '\0';
}

static bool parse_shape(const char *text, struct shape *out) {
    const char *equals = strchr(text, '='), *open = strchr(text, '[');
    size_t length = (size_t)(equals - text);
    if (length == 0 || length >= NAME_SIZE) {
        return false;
    }
    memcpy(out->name, text, length);
    out->name[length] = '\0';
    out->rank = 0;
    out->dtype = -1;
    if (open == NULL) {
        return equals[1] != '\0' && parse_sizes(equals + 1, '\0', out);
    }
    if (open > equals + 1) {
        out->dtype = find_dtype(equals + 1, (size_t)(open - equals - 1));
    }
    return (out->dtype >= 0 || open == equals + 1) && parse_sizes(open + 1, ']', out);
}

/* Replaces a program by itself at other sizes. */
static fxc_status reshape(fxc_program **program, const struct shape *shapes, size_t count, fxc_error *err) {
    fxc_input_shape *inputs = calloc(count + 1, sizeof *inputs);
    fxc_program *reshaped = NULL;
    if (inputs == NULL) {
        return cli_fail(err, FXC_MEMORY, "option --input-shape: out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        inputs[i] = (fxc_input_shape){shapes[i].name, shapes[i].size, shapes[i].rank, shapes[i].dtype};
    }
    fxc_reshape_options options = {.struct_size = sizeof options, .inputs = inputs, .input_count = count};
    fxc_status status = fxc_program_reshape(*program, &options, &reshaped, err);
    free(inputs);
    if (status == FXC_OK) {
        fxc_program_free(*program);
        *program = reshaped;
    }
    return status;
}

/* A graph of torch.fx without shapes whose inputs have sizes all the same needs no others. Where they are missing, the
 * command says so if it needs them. */
static fxc_status resolve(fxc_program **program, fxc_error *err) {
    fxc_program_info info = {.struct_size = sizeof info};
    fxc_error missing = FXC_ERROR_INIT;
    fxc_status status = fxc_program_get_info(*program, &info, err);
    if (status != FXC_OK || strcmp(info.route, "symbolic_trace") != 0 || strcmp(info.dialect, "fx") != 0) {
        return status;
    }
    status = reshape(program, NULL, 0, &missing);
    if (status != FXC_OK && status != FXC_USAGE) {
        *err = missing;
        return status;
    }
    return FXC_OK;
}

fxc_status cli_apply_shapes(const struct cli_options *options, fxc_program **program, fxc_error *err) {
    size_t count = (size_t)options->shapes.count;
    if (count == 0) {
        return resolve(program, err);
    }
    struct shape *shapes = calloc(count, sizeof *shapes);
    fxc_status status = FXC_OK;
    if (shapes == NULL) {
        return cli_fail(err, FXC_MEMORY, "option --input-shape: out of memory");
    }
    for (size_t i = 0; status == FXC_OK && i < count; i++) {
        status = parse_shape(options->shapes.item[i], &shapes[i]) ? FXC_OK : bad_shape(options->shapes.item[i], err);
    }
    if (status == FXC_OK) {
        status = reshape(program, shapes, count, err);
    }
    free(shapes);
    return status;
}
