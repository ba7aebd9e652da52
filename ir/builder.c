#include "ir/builder.h"

#include <stdlib.h>
#include <string.h>

#include "ir/error.h"

void fxc_builder_start(struct fxc_builder *b) {
    *b = (struct fxc_builder){0};
    (void)fxc_builder_string(b, "", 0);
}

void fxc_builder_free(struct fxc_builder *b) {
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        free(b->column[column].data);
    }
    fxc_intern_free(&b->strings);
    *b = (struct fxc_builder){0};
}

static void push_string(struct fxc_builder *b, const void *text, uint32_t size) {
    struct fxc_vector *bytes = &b->column[FXC_COLUMN_string_bytes];
    const uint8_t nul = 0;
    fxc_push_string_begin(b, bytes->length);
    b->failed = b->failed || !fxc_vector_append(bytes, text, size, 1) || !fxc_vector_push(bytes, &nul, 1);
}

void fxc_builder_adopt_strings(struct fxc_builder *b, const struct fxc_program *program) {
    b->adopted = true;
    b->failed =
        b->failed ||
        !fxc_vector_append(&b->column[FXC_COLUMN_string_begin], program->string_begin, FXC_COUNT(program, string),
                           sizeof program->string_begin[0]) ||
        !fxc_vector_append(&b->column[FXC_COLUMN_string_bytes], program->string_bytes, FXC_COUNT(program, byte), 1);
}

/* Entry 0 is "", as is string 0 of every program. */
uint32_t fxc_builder_string(struct fxc_builder *b, const char *text, size_t size) {
    uint32_t known = b->strings.count, id = fxc_intern(&b->strings, text, size);
    if (id == FXC_NONE) {
        b->failed = true;
        return 0;
    }
    if (!b->adopted || id == 0) {
        return id;
    }
    if (id == known) {
        push_string(b, b->strings.bytes + b->strings.entries[id].begin, (uint32_t)size); /* text may be in the column */
    }
    return b->column[FXC_COLUMN_string_begin].length - (b->strings.count - id);
}

static bool reserve(struct fxc_vector *vector, uint32_t capacity, size_t element_size) {
    void *data = realloc(vector->data, capacity * element_size);
    if (data == NULL) {
        return false;
    }
    vector->data = data;
    vector->capacity = capacity;
    return true;
}

static bool grow(struct fxc_vector *vector, size_t element_size) {
    return vector->capacity <= UINT32_MAX / 2 &&
           reserve(vector, vector->capacity == 0 ? 64 : vector->capacity * 2, element_size);
}

bool fxc_vector_append(struct fxc_vector *vector, const void *data, uint32_t count, size_t size) {
    if (count == 0 || count > UINT32_MAX - vector->length) {
        return count == 0;
    }
    if (count > vector->capacity - vector->length && !reserve(vector, vector->length + count, size)) {
        return false;
    }
    char *end = (char *)vector->data + vector->length * size;
    if (data != NULL) {
        memcpy(end, data, count * size);
    } else {
        memset(end, 0, count * size);
    }
    vector->length += count;
    return true;
}

bool fxc_vector_push(struct fxc_vector *vector, const void *element, size_t size) {
    if (vector->length == vector->capacity && !grow(vector, size)) {
        return false;
    }
    memcpy((char *)vector->data + vector->length * size, element, size);
    vector->length++;
    return true;
}

void fxc_builder_push(struct fxc_builder *b, enum fxc_column column, const void *element) {
    b->failed = b->failed || !fxc_vector_push(&b->column[column], element, fxc_columns[column].element_size);
}

/* The two columns of the string table, from the interned strings. */
static void push_strings(struct fxc_builder *b) {
    for (uint32_t id = 0; id < b->strings.count && !b->failed && !b->adopted; id++) {
        uint32_t size;
        const char *text = fxc_builder_text(b, id, &size);
        push_string(b, text, size);
    }
}

static void count_groups(const struct fxc_builder *b, struct fxc_program *program) {
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        uint32_t length = b->column[column].length;
        if (fxc_columns[column].required || length > 0) {
            program->count[fxc_columns[column].group] = length;
        }
    }
}

static void push_ends(struct fxc_builder *b, const struct fxc_program *program) {
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        if (fxc_columns[column].check == FXC_CHECK_BEGIN) {
            fxc_builder_push(b, (enum fxc_column)column, &program->count[fxc_columns[column].bound]);
        }
    }
}

/* Columns of one group that were pushed unevenly would be a bug of the caller. */
static bool even(const struct fxc_builder *b, const struct fxc_program *program) {
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        uint32_t extra = fxc_columns[column].check == FXC_CHECK_BEGIN;
        uint32_t length = b->column[column].length;
        if ((fxc_columns[column].required || length > 0) &&
            length != program->count[fxc_columns[column].group] + extra) {
            return false;
        }
    }
    return true;
}

fxc_status fxc_builder_finish(struct fxc_builder *b, struct fxc_program *program, fxc_error *err) {
    push_strings(b);
    count_groups(b, program);
    push_ends(b, program);
    if (b->failed) {
        return fxc_fail_memory(err, program->file);
    }
    if (!even(b, program)) {
        fxc_status status = fxc_fail(err, FXC_INTERNAL, "%s", program->file);
        fxc_expected(err, "columns of one length in each group");
        fxc_found(err, "uneven ones");
        fxc_advice(err, "this is a bug in fxcost; please report it");
        return status;
    }
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        const struct fxc_vector *vector = &b->column[column];
        if (vector->length == 0 && !fxc_columns[column].required) {
            continue;
        }
        size_t size = fxc_columns[column].element_size;
        void *copy = fxc_arena_array(&program->arena, vector->length, size);
        if (copy == NULL) {
            return fxc_fail_memory(err, program->file);
        }
        if (vector->length > 0) {
            memcpy(copy, vector->data, vector->length * size);
        }
        program->column[column] = copy;
    }
    return FXC_OK;
}
