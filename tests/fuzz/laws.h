/* What must hold of every input, accepted or not. Shared by the fuzzers, the replay and the tests in tests/c. */
#ifndef FXC_TESTS_FUZZ_LAWS_H
#define FXC_TESTS_FUZZ_LAWS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fxcost/fxcost.h"

struct laws_text {
    char *bytes;
    size_t size, capacity;
};

static bool laws_append(void *context, const char *bytes, size_t size) {
    struct laws_text *text = context;
    if (text->size + size > text->capacity) {
        text->capacity = (text->size + size) * 2;
        char *grown = realloc(text->bytes, text->capacity);
        if (grown == NULL) {
            return false;
        }
        text->bytes = grown;
    }
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    return true;
}

/* A rejection says where and what. */
static const char *laws_of_error(fxc_status status, const fxc_error *err) {
    if (err->status != (int32_t)status) {
        return "the error's status is not the one returned";
    }
    if (err->where[0] == '\0' || err->message[0] == '\0') {
        return "an error without a place or a message";
    }
    if (err->expected[0] == '\0' && err->found[0] == '\0') {
        return "an error that says neither what was expected nor what was found";
    }
    return NULL;
}

/* The text of a program reads back as an equal program, whose text is the same. */
static const char *laws_of_text(const fxc_program *program, struct laws_text *first, struct laws_text *second,
                                fxc_error *err) {
    fxc_program *again = NULL;
    bool equal = false;
    if (fxc_program_print(program, laws_append, first, err) != FXC_OK) {
        return "an accepted program does not print";
    }
    if (fxc_program_from_memory(first->bytes, first->size, "printed", &again, err) != FXC_OK) {
        return "a printed text does not parse";
    }
    const char *broken = NULL;
    if (fxc_program_equal(program, again, &equal, err) != FXC_OK || !equal) {
        broken = "a printed text parses to another program";
    } else if (fxc_program_print(again, laws_append, second, err) != FXC_OK) {
        broken = "a program parsed from text does not print";
    } else if (first->size != second->size || memcmp(first->bytes, second->bytes, first->size) != 0) {
        broken = "text, program, text changes the text";
    }
    fxc_program_free(again);
    return broken;
}

/* An accepted program can be analysed, or refused with a message. */
static const char *laws_of_analysis(const fxc_program *program, fxc_error *err) {
    fxc_analysis *analysis = NULL;
    fxc_totals totals = {.struct_size = sizeof totals};
    if (fxc_analysis_new(program, &analysis, err) != FXC_OK) {
        return "no analysis of an accepted program";
    }
    const char *broken = NULL;
    fxc_status status = fxc_analysis_totals(analysis, &totals, err);
    if (status != FXC_OK) {
        broken = laws_of_error(status, err);
    } else if (totals.unknown_nodes > totals.nodes || totals.nodes < 0) {
        broken = "totals that contradict themselves";
    }
    fxc_analysis_free(analysis);
    return broken;
}

/* Rules at other sizes either answer with a program, or refuse with a message. */
static const char *laws_of_new_sizes(const fxc_program *program, const fxc_reshape_options *options, bool same,
                                     fxc_error *err) {
    fxc_program *reshaped = NULL;
    bool equal = false;
    fxc_status status = fxc_program_reshape(program, options, &reshaped, err);
    if (status != FXC_OK) {
        return reshaped != NULL ? "a program in spite of an error" : laws_of_error(status, err);
    }
    const char *broken = laws_of_analysis(reshaped, err);
    if (broken == NULL && same && (fxc_program_equal(program, reshaped, &equal, err) != FXC_OK || !equal)) {
        broken = "a program without symbols differs from itself at its own sizes";
    }
    fxc_program_free(reshaped);
    return broken;
}

/* One input after the other gets other sizes: one more in every dimension, then none. */
static const char *laws_of_inputs(const fxc_program *program, fxc_analysis *analysis, uint32_t values, fxc_error *err) {
    for (uint32_t value = 0, tried = 0; value < values && tried < 4; value++) {
        fxc_value_info info = {.struct_size = sizeof info};
        int64_t sizes[64];
        if (fxc_analysis_value(analysis, value, &info, err) != FXC_OK || info.source != FXC_SOURCE_INPUT ||
            info.rank > 64) {
            continue;
        }
        tried++;
        for (int64_t more = 1; more >= 0; more--) {
            for (uint32_t dim = 0; dim < info.rank; dim++) {
                sizes[dim] = more == 0 ? 0 : info.size[dim] < INT64_MAX ? info.size[dim] + 1 : info.size[dim];
                sizes[dim] = sizes[dim] < 0 ? 7 : sizes[dim];
            }
            fxc_input_shape input = {info.name, sizes, info.rank, more == 0 ? FXC_DTYPE_FLOAT16 : -1};
            fxc_reshape_options options = {.struct_size = sizeof options, .inputs = &input, .input_count = 1};
            const char *broken = laws_of_new_sizes(program, &options, false, err);
            if (broken != NULL) {
                return broken;
            }
        }
    }
    return NULL;
}

static const char *laws_of_reshape(const fxc_program *program, fxc_error *err) {
    fxc_reshape_options none = {.struct_size = sizeof none};
    fxc_program_info info = {.struct_size = sizeof info};
    fxc_analysis *analysis = NULL;
    if (fxc_program_get_info(program, &info, err) != FXC_OK) {
        return "an accepted program without a head";
    }
    /* A graph without shapes becomes another program: one of ATen overloads. */
    bool same = info.symbols == 0 && strcmp(info.dialect, "fx") != 0;
    const char *broken = laws_of_new_sizes(program, &none, same, err);
    if (broken == NULL && fxc_analysis_new(program, &analysis, err) == FXC_OK &&
        fxc_require(analysis, "shapes", err) == FXC_OK) {
        broken = laws_of_inputs(program, analysis, info.values, err);
    }
    fxc_analysis_free(analysis);
    return broken;
}

/* The broken law, or NULL. *accepted says what the reader did; err holds the last message. */
static const char *laws_of_input(const void *bytes, size_t size, bool *accepted, fxc_error *err) {
    struct laws_text first = {0}, second = {0};
    fxc_program *program = NULL;
    fxc_status status = fxc_program_from_memory(bytes, size, "input", &program, err);
    *accepted = status == FXC_OK;
    if (!*accepted) {
        return program != NULL ? "a program in spite of an error" : laws_of_error(status, err);
    }
    const char *broken = laws_of_text(program, &first, &second, err);
    if (broken == NULL) {
        broken = laws_of_analysis(program, err);
        broken = broken == NULL ? laws_of_reshape(program, err) : broken;
    } else if (first.size > 0) {
        (void)fprintf(stderr, "---- first text\n%.*s", (int)first.size, first.bytes);
        (void)fprintf(stderr, "---- second text\n%.*s", (int)second.size, second.bytes == NULL ? "" : second.bytes);
    }
    fxc_program_free(program);
    free(first.bytes);
    free(second.bytes);
    return broken;
}

/* For the fuzzers: an abort keeps the input. */
static inline bool laws_or_abort(const void *bytes, size_t size) {
    fxc_error err = FXC_ERROR_INIT;
    bool accepted;
    const char *broken = laws_of_input(bytes, size, &accepted, &err);
    if (broken != NULL) {
        (void)fprintf(stderr, "broken law: %s\n%s\n", broken, err.message);
        abort();
    }
    return accepted;
}

#endif
