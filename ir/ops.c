/* The operator table: ir/ops.def expanded into rows, and look-up by name. */
#include "ir/ops.h"

#include <string.h>

#include "ir/error.h"
#include "ir/row_macros.h"

const struct fxc_op_row fxc_op_rows[] = {
#define FAMILY(family)
#define OP(op_name, op_schema, shape_rule, flop_rule, op_fuse, op_touch, op_autocast, op_alias, is_activation,         \
           op_eager, op_doc)                                                                                           \
    {.name = op_name,                                                                                                  \
     .schema = op_schema,                                                                                              \
     shape_rule,                                                                                                       \
     flop_rule,                                                                                                        \
     .fuse = FXC_FUSE_##op_fuse,                                                                                       \
     .touch = FXC_TOUCH_##op_touch,                                                                                    \
     .autocast = FXC_AUTOCAST_##op_autocast,                                                                           \
     .alias = FXC_ALIAS_##op_alias,                                                                                    \
     .activation = is_activation,                                                                                      \
     .eager = op_eager,                                                                                                \
     .doc = op_doc},
#include "ir/ops.def"
};

#define ROW_COUNT (sizeof fxc_op_rows / sizeof fxc_op_rows[0])
const uint32_t fxc_op_row_count = ROW_COUNT;

/* Numbers every row, so that BEGIN_family is the first row of each family. */
#define JOIN(a, b) a##b
#define NUMBERED(counter) JOIN(ROW_, counter)
enum row_number {
#define FAMILY(family) BEGIN_##family, BEFORE_##family = BEGIN_##family - 1,
#define OP(...) NUMBERED(__COUNTER__),
#include "ir/ops.def"
};

static const uint16_t family_begin[] = {
#define FAMILY(family) BEGIN_##family,
#define OP(...)
#include "ir/ops.def"
    ROW_COUNT,
};
#define FAMILY_COUNT (sizeof family_begin / sizeof family_begin[0] - 1)

static const struct fxc_op_row *find_between(uint32_t low, uint32_t high, const char *name) {
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(name, fxc_op_rows[middle].name);
        if (order == 0) {
            return &fxc_op_rows[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct fxc_op_row *fxc_op_lookup(const char *name) {
    for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
        const struct fxc_op_row *row = find_between(family_begin[family], family_begin[family + 1], name);
        if (row != NULL) {
            return row;
        }
    }
    return NULL;
}

/* ---- public descriptions ----------------------------------------------------------------------------------------- */

#define X(name, text) text,
static const char *const fuse_texts[] = {FXC_FUSE_LIST(X)};
static const char *const touch_texts[] = {FXC_TOUCH_LIST(X)};
static const char *const autocast_texts[] = {FXC_AUTOCAST_LIST(X)};
static const char *const alias_texts[] = {FXC_ALIAS_LIST(X)};
#undef X

static fxc_status describe(const struct fxc_op_row *row, fxc_op_info *out, fxc_error *err) {
    if (out == NULL || out->struct_size < sizeof *out) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "fxc_op_info");
        fxc_expected(err, "struct_size of at least %zu", sizeof *out);
        fxc_found(err, "%zu", out == NULL ? (size_t)0 : out->struct_size);
        fxc_advice(err, "set out->struct_size = sizeof *out");
        return status;
    }
    *out = (fxc_op_info){.struct_size = out->struct_size,
                         .name = row->name,
                         .schema = row->schema,
                         .shape_rule = row->shape_name,
                         .flop_rule = row->flop_name,
                         .fuse = fuse_texts[row->fuse],
                         .touch = touch_texts[row->touch],
                         .eager = row->eager,
                         .autocast = autocast_texts[row->autocast],
                         .alias = alias_texts[row->alias],
                         .doc = row->doc,
                         .activation = row->activation};
    return FXC_OK;
}

fxc_status fxc_op_get(uint32_t index, fxc_op_info *out, fxc_error *err) {
    if (index >= fxc_op_row_count) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "row of the operator table");
        fxc_expected(err, "an index below %u", fxc_op_row_count);
        fxc_found(err, "%u", index);
        return status;
    }
    return describe(&fxc_op_rows[index], out, err);
}

fxc_status fxc_op_find(const char *name, fxc_op_info *out, fxc_error *err) {
    const struct fxc_op_row *row = name == NULL ? NULL : fxc_op_lookup(name);
    if (row == NULL) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "operator table");
        fxc_expected(err, "the qualified name of an operator, such as aten.add.Tensor");
        fxc_found(err, "%s", name == NULL ? "no name" : name);
        fxc_advice(err, "fxcost ops lists all operators");
        return status;
    }
    return describe(row, out, err);
}
