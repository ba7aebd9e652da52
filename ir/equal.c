/* Equality of programs: what they say, row by row of ir/columns.def, not how their pooled tables share rows. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/canon.h"
#include "ir/error.h"
#include "ir/program.h"

struct comparison {
    const struct fxc_program *program[2];
    struct fxc_canon_map map[2];
    fxc_error *err;
};

/* Tables that are compared where they are referred to. */
static bool is_pool(uint32_t group) {
    switch (group) {
    case FXC_GROUP_string:
    case FXC_GROUP_byte:
    case FXC_GROUP_expr:
    case FXC_GROUP_token:
    case FXC_GROUP_meta:
    case FXC_GROUP_dim:
    case FXC_GROUP_list:
    case FXC_GROUP_item:
    case FXC_GROUP_argname:
        return true;
    default:
        return false;
    }
}

/* Hints and bounds count only where their flag says so. */
static bool counts(const struct fxc_program *p, uint32_t column, uint32_t row) {
    switch (column) {
    case FXC_COLUMN_symbol_hint:
        return (p->symbol_flags[row] & FXC_SYMBOL_FLAG_HAS_HINT) != 0;
    case FXC_COLUMN_symbol_min:
        return (p->symbol_flags[row] & FXC_SYMBOL_FLAG_HAS_MIN) != 0;
    case FXC_COLUMN_symbol_max:
        return (p->symbol_flags[row] & FXC_SYMBOL_FLAG_HAS_MAX) != 0;
    case FXC_COLUMN_constraint_min:
        return (p->constraint_flags[row] & FXC_SYMBOL_FLAG_HAS_MIN) != 0;
    case FXC_COLUMN_constraint_max:
        return (p->constraint_flags[row] & FXC_SYMBOL_FLAG_HAS_MAX) != 0;
    default:
        return true;
    }
}

static int64_t canonical_index(const struct fxc_canon_map *map, const struct fxc_program *p, uint32_t group,
                               int64_t row) {
    if (row == FXC_NONE) {
        return row;
    }
    switch (group) {
    case FXC_GROUP_string:
        return map->string[row];
    case FXC_GROUP_argname:
        return map->string[p->argname_text[row]];
    case FXC_GROUP_expr:
        return map->expr[row];
    case FXC_GROUP_list:
        return map->list[row];
    default:
        return row;
    }
}

/* What a row says, as a number that both programs share. */
static int64_t canonical(const struct comparison *c, int side, uint32_t column, uint32_t row) {
    const struct fxc_program *p = c->program[side];
    const struct fxc_column_info *info = &fxc_columns[column];
    if (p->column[column] == NULL) {
        return FXC_NONE;
    }
    if (!counts(p, column, row)) {
        return 0;
    }
    int64_t raw = fxc_element(p, column, row);
    switch ((enum fxc_check)info->check) {
    case FXC_CHECK_INDEX:
    case FXC_CHECK_MAYBE:
        return canonical_index(&c->map[side], p, info->bound, raw);
    case FXC_CHECK_SYMINT:
        return fxc_canon_symint(&c->map[side], raw);
    case FXC_CHECK_PAYLOAD:
        return fxc_canon_payload(&c->map[side], (uint8_t)fxc_element(p, column - 1, row), raw);
    case FXC_CHECK_ANY:
    case FXC_CHECK_BEGIN:
    case FXC_CHECK_ENUM:
    case FXC_CHECK_KIND:
        break;
    }
    return raw;
}

static void differ(const struct comparison *c, const char *where, int64_t a, int64_t b) {
    (void)fxc_fail(c->err, FXC_OK, "%s and %s differ in %s", c->program[0]->file, c->program[1]->file, where);
    fxc_expected(c->err, "%" PRId64 ", as in the first", a);
    fxc_found(c->err, "%" PRId64 " in the second", b);
}

/* The rows' own numbers where they are plain, else the texts behind them. */
static void differ_in_row(const struct comparison *c, uint32_t column, uint32_t row) {
    const struct fxc_column_info *info = &fxc_columns[column];
    const struct fxc_program *const *p = c->program;
    bool text = (info->check == FXC_CHECK_INDEX || info->check == FXC_CHECK_MAYBE) && info->bound == FXC_GROUP_string;
    char where[96];
    (void)snprintf(where, sizeof where, "column %s, row %u", info->name, row);
    if (p[0]->column[column] == NULL || p[1]->column[column] == NULL) {
        int absent = p[1]->column[column] == NULL;
        (void)fxc_fail(c->err, FXC_OK, "%s and %s differ in %s", p[0]->file, p[1]->file, where);
        fxc_found(c->err, "no such column in the %s", absent == 0 ? "first" : "second");
        return;
    }
    int64_t a = fxc_element(p[0], column, row), b = fxc_element(p[1], column, row);
    differ(c, where, a, b);
    if (text && a != FXC_NONE && b != FXC_NONE) {
        fxc_expected(c->err, "'%s', as in the first", fxc_string(p[0], (uint32_t)a));
        fxc_found(c->err, "'%s' in the second", fxc_string(p[1], (uint32_t)b));
    }
}

/* An absent column means NONE in every row only where NONE can be an entry; the columns of sources and
 * of measurements have none. */
static bool compare_column(const struct comparison *c, uint32_t column) {
    const struct fxc_column_info *info = &fxc_columns[column];
    uint32_t rows = c->program[0]->count[info->group];
    bool present[2] = {c->program[0]->column[column] != NULL, c->program[1]->column[column] != NULL};
    if (!present[0] && !present[1]) {
        return true;
    }
    if (present[0] != present[1] && (info->group == FXC_GROUP_source || info->group == FXC_GROUP_measure) && rows > 0) {
        differ_in_row(c, column, 0);
        return false;
    }
    for (uint32_t row = 0; row < rows; row++) {
        if (canonical(c, 0, column, row) != canonical(c, 1, column, row)) {
            differ_in_row(c, column, row);
            return false;
        }
    }
    return true;
}

static bool compare(const struct comparison *c) {
    const struct fxc_program *a = c->program[0], *b = c->program[1];
    if (a->version_major != b->version_major || a->version_minor != b->version_minor) {
        differ(c, "the format's minor version", a->version_minor, b->version_minor);
        return false;
    }
    for (uint32_t group = 0; group < FXC_GROUP_COUNT; group++) {
        if (!is_pool(group) && a->count[group] != b->count[group]) {
            char where[96];
            (void)snprintf(where, sizeof where, "the number of rows of group '%s'", fxc_group_names[group]);
            differ(c, where, a->count[group], b->count[group]);
            return false;
        }
    }
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        if (!is_pool(fxc_columns[column].group) && !compare_column(c, column)) {
            return false;
        }
    }
    return true;
}

fxc_status fxc_program_equal(const fxc_program *a, const fxc_program *b, bool *equal, fxc_error *err) {
    struct fxc_canon canon = {0};
    struct comparison c = {.program = {a, b}, .err = err};
    fxc_status status = fxc_canon_add(&canon, a, &c.map[0], err);
    if (status == FXC_OK) {
        status = fxc_canon_add(&canon, b, &c.map[1], err);
    }
    if (status == FXC_OK) {
        *equal = compare(&c);
    }
    fxc_canon_map_free(&c.map[0]);
    fxc_canon_map_free(&c.map[1]);
    fxc_canon_free(&canon);
    return status;
}
