/* Values and storages of the text form: names, numbers, references before definitions. */
#include <stdlib.h>
#include <string.h>

#include "ir/text_parse.h"

/* ---- subjects and references ------------------------------------------------------------------------------------- */

bool fxc_parse_subject(struct fxc_text_parser *ps, struct fxc_text_subject *out) {
    (void)fxc_lex_peek(&ps->lex);
    *out = (struct fxc_text_subject){.at = ps->lex.at, .name = 0, .number = FXC_NONE};
    if (!fxc_lex_expect(&ps->lex, '%')) {
        return false;
    }
    char next = ps->lex.at < ps->lex.end ? *ps->lex.at : '\n';
    bool named = next == '"' || next == '$' || fxc_text_is_plain_char(next, true);
    return (!named || fxc_parse_name(ps, &out->name)) && fxc_parse_number_sign(ps, &out->number);
}

static struct fxc_text_named *find(struct fxc_text_parser *ps, uint32_t scope, uint32_t name) {
    uint32_t key[2] = {scope, name};
    return name == 0 ? NULL : fxc_text_name_find(&ps->values, key, sizeof key);
}

static bool fail_ambiguous(struct fxc_text_parser *ps, const char *at) {
    return fxc_lex_fail_at(&ps->lex, at, "write %name#number, in the definitions too",
                           "the number too: several values of this graph have this name");
}

bool fxc_parse_reference(struct fxc_text_parser *ps, const struct fxc_text_subject *subject,
                         struct fxc_text_literal *out) {
    *out = (struct fxc_text_literal){.fixup = FXC_NONE, .kind = FXC_KIND_VALUE};
    struct fxc_text_named *named = subject->number == FXC_NONE ? find(ps, ps->scope, subject->name) : NULL;
    if (named != NULL) {
        if (named->ambiguous) {
            return fail_ambiguous(ps, subject->at);
        }
        named->used = true;
        out->payload = named->row;
        return true;
    }
    struct fxc_text_fixup fixup = {.subject = *subject, .scope = ps->scope, .column = FXC_COLUMN_COUNT};
    out->fixup = ps->fixups.length;
    return fxc_stack_push(ps, &ps->fixups, &fixup, sizeof fixup);
}

static void place_fixup(struct fxc_text_parser *ps, const struct fxc_text_literal *literal, uint32_t column) {
    if (literal->fixup != FXC_NONE) {
        struct fxc_text_fixup *fixup = (struct fxc_text_fixup *)ps->fixups.data + literal->fixup;
        fixup->column = column;
        fixup->row = ps->builder.column[column].length;
    }
}

void fxc_push_literal(struct fxc_text_parser *ps, enum fxc_column kind_column, const struct fxc_text_literal *literal) {
    /* In ir/columns.def the payload is the column after the kind. */
    uint32_t payload_column = (uint32_t)kind_column + 1;
    place_fixup(ps, literal, payload_column);
    fxc_builder_push(&ps->builder, kind_column, &literal->kind);
    fxc_builder_push(&ps->builder, (enum fxc_column)payload_column, &literal->payload);
}

void fxc_push_reference(struct fxc_text_parser *ps, enum fxc_column column, const struct fxc_text_literal *literal) {
    uint32_t value = (uint32_t)literal->payload;
    place_fixup(ps, literal, column);
    fxc_builder_push(&ps->builder, column, &value);
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static bool add_name(struct fxc_text_parser *ps, const struct fxc_text_subject *subject, uint32_t value) {
    uint32_t key[2] = {ps->scope, subject->name};
    bool known;
    if (subject->name == 0) {
        return true;
    }
    struct fxc_text_named *named = fxc_text_name_add(ps, &ps->values, key, sizeof key, value, &known);
    if (named == NULL || !known) {
        return named != NULL;
    }
    named->ambiguous = true;
    if (subject->number == FXC_NONE || named->used) {
        return fxc_lex_fail_at(&ps->lex, subject->at, "rename it, or write %name#number wherever the name stands",
                               "a name that this graph does not define yet");
    }
    return true;
}

bool fxc_define_value(struct fxc_text_parser *ps, const struct fxc_text_subject *subject,
                      const struct fxc_text_literal *literal, struct fxc_text_origin origin, uint32_t storage,
                      uint32_t *value) {
    struct fxc_builder *b = &ps->builder;
    *value = subject->number == FXC_NONE ? ps->next_value : subject->number;
    if (*value >= FXC_NONE - 1) {
        return fxc_lex_fail_at(&ps->lex, subject->at, "", "a number below that of the values");
    }
    if (*value >= ps->next_value) {
        ps->next_value = *value + 1;
    }
    fxc_push_literal(ps, FXC_COLUMN_value_kind, literal);
    fxc_push_value_producer(b, origin.producer);
    fxc_push_value_name(b, subject->name);
    fxc_push_value_storage(b, storage);
    return (!b->failed || fxc_lex_fail_memory(&ps->lex)) && fxc_stack_push(ps, &ps->value_ids, value, sizeof *value) &&
           fxc_stack_push(ps, &ps->value_places, &subject->at, sizeof subject->at) && add_name(ps, subject, *value);
}

/* ---- storages ---------------------------------------------------------------------------------------------------- */

static bool push_storage(struct fxc_text_parser *ps, const char *at, int64_t bytes, uint32_t device, uint8_t origin) {
    fxc_push_storage_bytes(&ps->builder, bytes);
    fxc_push_storage_device(&ps->builder, device);
    fxc_push_storage_origin(&ps->builder, origin);
    return (!ps->builder.failed || fxc_lex_fail_memory(&ps->lex)) &&
           fxc_stack_push(ps, &ps->storage_places, &at, sizeof at);
}

/* The tensor's row is the one that was just read, or of the table. */
static bool implied_bytes(const struct fxc_text_parser *ps, const struct fxc_text_literal *literal,
                          struct fxc_text_product *bytes) {
    const struct fxc_vector *column = ps->builder.column;
    if (literal->kind != FXC_KIND_TENSOR) {
        return false;
    }
    struct fxc_text_exprs exprs = fxc_parsed_exprs(ps);
    const uint32_t *begins = column[FXC_COLUMN_meta_dim_begin].data;
    uint32_t meta = (uint32_t)literal->payload, rows = column[FXC_COLUMN_meta_dim_begin].length;
    uint32_t begin = begins[meta];
    uint32_t end = meta + 1 < rows ? begins[meta + 1] : column[FXC_COLUMN_dim_size].length;
    const int64_t *sizes = NULL, *strides = NULL;
    if (begin < end) {
        /* Without any dimension the columns may have no memory yet, and null plus an offset is undefined. */
        sizes = (const int64_t *)column[FXC_COLUMN_dim_size].data + begin;
        strides = (const int64_t *)column[FXC_COLUMN_dim_stride].data + begin;
    }
    return fxc_text_implied_bytes(&exprs, ((const uint8_t *)column[FXC_COLUMN_meta_dtype].data)[meta], end - begin,
                                  sizes, strides, ((const int64_t *)column[FXC_COLUMN_meta_offset].data)[meta], bytes);
}

bool fxc_parse_storage(struct fxc_text_parser *ps, const struct fxc_text_literal *literal, uint8_t origin,
                       uint32_t *storage) {
    struct fxc_text_product product;
    int64_t bytes;
    *storage = FXC_NONE;
    if (!fxc_lex_accept(&ps->lex, '@')) {
        return true;
    }
    const char *at = ps->lex.at;
    if (!fxc_lex_uint32(&ps->lex, storage)) {
        return false;
    }
    uint32_t known = ps->storages.count;
    uint32_t row = fxc_intern(&ps->storages, storage, sizeof *storage);
    if (row == FXC_NONE) {
        return fxc_lex_fail_memory(&ps->lex);
    }
    if (row != known) {
        return true;
    }
    if (!implied_bytes(ps, literal, &product)) {
        return fxc_lex_fail_at(&ps->lex, at, "add a line: storage @N bytes=... device=\"cpu\" intermediate",
                               "a storage with a line of its own, since its first tensor does not imply its size");
    }
    return fxc_build_product(ps, &product, &bytes) && push_storage(ps, at, bytes, ps->device, origin);
}

/* storage @0 bytes=Mul(4, s0) device="cpu" intermediate */
bool fxc_parse_storage_line(struct fxc_text_parser *ps) {
    uint32_t number, device;
    int64_t bytes;
    uint8_t origin;
    if (!fxc_lex_expect(&ps->lex, '@')) {
        return false;
    }
    const char *at = ps->lex.at;
    if (!fxc_lex_uint32(&ps->lex, &number) || !fxc_lex_expect_word(&ps->lex, "bytes") ||
        !fxc_lex_expect(&ps->lex, '=') || !fxc_parse_symint(ps, &bytes) || !fxc_lex_expect_word(&ps->lex, "device") ||
        !fxc_lex_expect(&ps->lex, '=') || !fxc_parse_string(ps, &device) ||
        !fxc_parse_enum(ps, &fxc_text_storage_origins, "where the storage comes from", &origin)) {
        return false;
    }
    uint32_t known = ps->storages.count;
    uint32_t row = fxc_intern(&ps->storages, &number, sizeof number);
    if (row != known) {
        return row == FXC_NONE ? fxc_lex_fail_memory(&ps->lex)
                               : fxc_lex_fail_at(&ps->lex, at, "", "a storage that has no line yet");
    }
    return push_storage(ps, at, bytes, device, origin);
}

/* ---- at the end -------------------------------------------------------------------------------------------------- */

static bool resolve(struct fxc_text_parser *ps, const uint32_t *name_of, const struct fxc_text_fixup *fixup) {
    const struct fxc_text_subject *subject = &fixup->subject;
    uint32_t value = subject->number;
    if (value == FXC_NONE) {
        const struct fxc_text_named *named = find(ps, fixup->scope, subject->name);
        if (named == NULL) {
            return fxc_lex_fail_at(&ps->lex, subject->at, "a value of another graph is referred to as %name#number",
                                   "a value that this graph defines");
        }
        if (named->ambiguous) {
            return fail_ambiguous(ps, subject->at);
        }
        value = named->row;
    } else if (value >= ps->value_ids.length || name_of[value] != subject->name) {
        return fxc_lex_fail_at(&ps->lex, subject->at, "", "the name and number of a value");
    }
    struct fxc_vector *column = &ps->builder.column[fixup->column];
    if (fxc_columns[fixup->column].element_size == sizeof(int64_t)) {
        ((int64_t *)column->data)[fixup->row] = value;
    } else {
        ((uint32_t *)column->data)[fixup->row] = value;
    }
    return true;
}

/* Row i of the columns goes to row number[i]; the numbers must be a permutation. */
static bool permute(struct fxc_text_parser *ps, const uint32_t *number, uint32_t count, enum fxc_column first,
                    enum fxc_column last) {
    uint8_t *sorted = malloc(count == 0 ? 1 : (size_t)count * sizeof(int64_t));
    if (sorted == NULL) {
        return fxc_lex_fail_memory(&ps->lex);
    }
    for (uint32_t column = first; column <= (uint32_t)last; column++) {
        size_t size = fxc_columns[column].element_size;
        uint8_t *data = ps->builder.column[column].data;
        for (uint32_t i = 0; i < count; i++) {
            memcpy(sorted + number[i] * size, data + i * size, size);
        }
        if (count > 0) {
            memcpy(data, sorted, count * size);
        }
    }
    free(sorted);
    return true;
}

static bool is_identity(const uint32_t *number, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (number[i] != i) {
            return false;
        }
    }
    return true;
}

static bool fail_number(struct fxc_text_parser *ps, const char *at, const char *what, uint32_t count) {
    return fxc_lex_fail_at(&ps->lex, at, "numbers have no gaps and no repetitions",
                           "a number that no other %s has, below their count, %u", what, count);
}

/* name_of[value]: its name; also proves that the numbers are a permutation. */
static bool place_names(struct fxc_text_parser *ps, uint32_t *name_of) {
    const uint32_t *number = ps->value_ids.data;
    const uint32_t *names = ps->builder.column[FXC_COLUMN_value_name].data;
    uint32_t count = ps->value_ids.length;
    memset(name_of, 0xFF, count * sizeof *name_of);
    for (uint32_t i = 0; i < count; i++) {
        if (number[i] >= count || name_of[number[i]] != FXC_NONE) {
            return fail_number(ps, ((const char *const *)ps->value_places.data)[i], "value", count);
        }
        name_of[number[i]] = names[i];
    }
    return true;
}

static bool finish_storages(struct fxc_text_parser *ps) {
    const uint32_t *number = (const uint32_t *)(const void *)ps->storages.bytes;
    uint32_t count = ps->storages.count;
    for (uint32_t i = 0; i < count; i++) {
        if (number[i] >= count) {
            return fail_number(ps, ((const char *const *)ps->storage_places.data)[i], "storage", count);
        }
    }
    return is_identity(number, count) ||
           permute(ps, number, count, FXC_COLUMN_storage_bytes, FXC_COLUMN_storage_origin);
}

bool fxc_finish_values(struct fxc_text_parser *ps) {
    uint32_t count = ps->value_ids.length;
    uint32_t *name_of = malloc(count == 0 ? 1 : (size_t)count * sizeof *name_of);
    if (name_of == NULL) {
        return fxc_lex_fail_memory(&ps->lex);
    }
    bool done = place_names(ps, name_of);
    const struct fxc_text_fixup *fixups = ps->fixups.data;
    for (uint32_t i = 0; i < ps->fixups.length && done; i++) {
        done = resolve(ps, name_of, &fixups[i]);
    }
    if (done && !is_identity(ps->value_ids.data, count)) {
        done = permute(ps, ps->value_ids.data, count, FXC_COLUMN_value_kind, FXC_COLUMN_value_storage);
    }
    free(name_of);
    return done && finish_storages(ps);
}
