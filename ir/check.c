/* The column checks: every index, enumerator, order and size of a loaded program, driven by ir/columns.def. */
#include <inttypes.h>
#include <string.h>

#include "ir/error.h"
#include "ir/program.h"

const char *const fxc_group_names[FXC_GROUP_COUNT] = {
#define GROUP(name) #name,
#define COLUMN(group, type, name, need, check, bound)
#include "ir/columns.def"
};

#define BOUND_ANY(bound) 0
#define BOUND_BEGIN(bound) FXC_GROUP_##bound
#define BOUND_INDEX(bound) FXC_GROUP_##bound
#define BOUND_MAYBE(bound) FXC_GROUP_##bound
#define BOUND_SYMINT(bound) FXC_GROUP_##bound
#define BOUND_ENUM(bound) FXC_##bound##_COUNT
#define BOUND_KIND(bound) FXC_##bound##_COUNT
#define BOUND_PAYLOAD(bound) 0
#define OPAQUE_ANY(bound) 0
#define OPAQUE_BEGIN(bound) 0
#define OPAQUE_INDEX(bound) 0
#define OPAQUE_MAYBE(bound) 0
#define OPAQUE_SYMINT(bound) 0
#define OPAQUE_ENUM(bound) FXC_##bound##_OPAQUE
#define OPAQUE_KIND(bound) FXC_##bound##_OPAQUE
#define OPAQUE_PAYLOAD(bound) 0
#define NEED_REQUIRED true
#define NEED_OPTIONAL false

const struct fxc_column_info fxc_columns[FXC_COLUMN_COUNT] = {
#define GROUP(name)
#define COLUMN(group, type, name, need, check, bound)                                                                  \
    {#name,       FXC_GROUP_##group,    sizeof(type),         FXC_CHECK_##check,                                       \
     NEED_##need, BOUND_##check(bound), OPAQUE_##check(bound)},
#include "ir/columns.def"
};

/* Rows are scanned in chunks without an early exit, so that compilers vectorise; only a bad chunk is searched. */
enum { CHUNK = 4096 };

#define FIRST_BAD(type, condition)                                                                                     \
    const type *values = data;                                                                                         \
    for (uint32_t begin = 0; begin < count;) {                                                                         \
        uint32_t end = count - begin > CHUNK ? begin + CHUNK : count;                                                  \
        uint32_t bad = 0;                                                                                              \
        for (uint32_t i = begin; i < end; i++) {                                                                       \
            bad |= (uint32_t)(condition);                                                                              \
        }                                                                                                              \
        for (uint32_t i = begin; bad != 0 && i < end; i++) {                                                           \
            if (condition) {                                                                                           \
                return i;                                                                                              \
            }                                                                                                          \
        }                                                                                                              \
        begin = end;                                                                                                   \
    }                                                                                                                  \
    return count

static uint32_t bad_index32(const void *data, uint32_t count, uint32_t bound) {
    FIRST_BAD(uint32_t, values[i] >= bound);
}
static uint32_t bad_index16(const void *data, uint32_t count, uint32_t bound) {
    FIRST_BAD(uint16_t, values[i] >= bound);
}
static uint32_t bad_maybe32(const void *data, uint32_t count, uint32_t bound) {
    FIRST_BAD(uint32_t, (uint32_t)(values[i] >= bound) & (uint32_t)(values[i] != FXC_NONE));
}
static uint32_t bad_enum8(const void *data, uint32_t count, uint32_t bound) {
    FIRST_BAD(uint8_t, values[i] >= bound);
}
static uint32_t bad_symint(const void *data, uint32_t count, uint32_t bound) {
    int64_t lowest = -(int64_t)bound;
    FIRST_BAD(int64_t, values[i] < lowest);
}
static uint32_t bad_begin(const void *data, uint32_t count, uint32_t bound) {
    (void)bound;
    FIRST_BAD(uint32_t, values[i] > values[i + 1]);
}

/* Smallest and largest payload of each kind. */
struct payload_limits {
    int64_t low[FXC_KIND_COUNT], high[FXC_KIND_COUNT];
};

static struct payload_limits payload_limits(const struct fxc_program *p) {
    struct payload_limits limits;
    memset(&limits, 0, sizeof limits);
#define LIMIT(kind, least, most) (limits.low[FXC_KIND_##kind] = (least), limits.high[FXC_KIND_##kind] = (most))
#define ROWS(kind, group) LIMIT(kind, 0, (int64_t)FXC_COUNT(p, group) - 1)
    LIMIT(NONE, 0, 0);
    LIMIT(BOOL, 0, 1);
    LIMIT(INT, INT64_MIN, INT64_MAX);
    ROWS(SYMINT, expr);
    ROWS(SYMFLOAT, expr);
    ROWS(SYMBOOL, expr);
    LIMIT(FLOAT, INT64_MIN, INT64_MAX);
    ROWS(COMPLEX, list);
    ROWS(STRING, string);
    LIMIT(DTYPE, 0, FXC_DTYPE_COUNT - 1);
    ROWS(DEVICE, string);
    LIMIT(LAYOUT, 0, FXC_LAYOUT_COUNT - 1);
    LIMIT(MEMORY_FORMAT, 0, FXC_MEMORY_FORMAT_COUNT - 1);
    ROWS(VALUE, value);
    ROWS(GRAPH, graph);
    ROWS(OP, op);
    ROWS(SCRIPT_OBJECT, string);
    ROWS(LIST, list);
    ROWS(DICT, list);
    ROWS(TENSOR, meta);
    LIMIT(TOKEN, 0, 0);
    ROWS(OPAQUE, string);
    ROWS(SLICE, list);
    LIMIT(ELLIPSIS, 0, 0);
#undef ROWS
#undef LIMIT
    return limits;
}

static uint32_t bad_payload(const void *data, const uint8_t *kinds, uint32_t count,
                            const struct payload_limits *limits) {
    FIRST_BAD(int64_t, (uint32_t)(values[i] < limits->low[kinds[i]]) | (uint32_t)(values[i] > limits->high[kinds[i]]));
}

/* The element as a number, for messages. */
static int64_t element(const void *data, uint8_t size, uint32_t index) {
    switch (size) {
    case 1:
        return ((const uint8_t *)data)[index];
    case 2:
        return ((const uint16_t *)data)[index];
    case 4:
        return ((const uint32_t *)data)[index];
    default:
        return ((const int64_t *)data)[index];
    }
}

static fxc_status refuse(const struct fxc_program *p, const struct fxc_column_info *info, uint32_t row,
                         const void *data, const char *expected, int64_t bound, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_FORMAT, "%s: column %s, row %u", p->file, info->name, row);
    fxc_expected(err, expected, bound);
    fxc_found(err, "%" PRId64, element(data, info->element_size, row));
    fxc_advice(err, "the file is damaged; capture the model again");
    return status;
}

/* A copy of an enum column with unknown enumerators read as OPAQUE: only for files of a newer minor version. */
static fxc_status sanitise_enum(struct fxc_program *p, uint32_t column, fxc_error *err) {
    const struct fxc_column_info *info = &fxc_columns[column];
    const uint8_t *data = p->column[column];
    uint32_t count = p->count[info->group];
    uint8_t *copy = fxc_arena_alloc(&p->arena, count);
    if (copy == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = data[i] < info->bound ? data[i] : info->opaque;
    }
    p->column[column] = copy;
    return FXC_OK;
}

/* What a payload of a newer minor version is read as: unknown dtypes and the like as OPAQUE, and the payload of a kind
 * that is unknown itself, whatever it meant, as the empty string. */
static int64_t known_payload(uint8_t kind, uint8_t original_kind, int64_t payload) {
    if (original_kind >= FXC_KIND_COUNT) {
        return 0;
    }
    switch (kind) {
    case FXC_KIND_DTYPE:
        return payload >= FXC_DTYPE_COUNT ? FXC_DTYPE_OPAQUE : payload;
    case FXC_KIND_LAYOUT:
        return payload >= FXC_LAYOUT_COUNT ? FXC_LAYOUT_OPAQUE : payload;
    case FXC_KIND_MEMORY_FORMAT:
        return payload >= FXC_MEMORY_FORMAT_COUNT ? FXC_MEMORY_FORMAT_OPAQUE : payload;
    default:
        return payload;
    }
}

/* The same for a column of kinds and the column of payloads behind it. */
static fxc_status sanitise_kinds(struct fxc_program *p, uint32_t column, fxc_error *err) {
    const uint8_t *kinds = p->column[column];
    const int64_t *payloads = p->column[column + 1];
    uint32_t count = p->count[fxc_columns[column].group];
    int64_t *copy = FXC_NEW(&p->arena, int64_t, count);
    if (copy == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    FXC_TRY(sanitise_enum(p, column, err));
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = known_payload(((const uint8_t *)p->column[column])[i], kinds[i], payloads[i]);
    }
    p->column[column + 1] = copy;
    return FXC_OK;
}

/* A file of a newer minor version may hold enumerators that this library does not know: they read as OPAQUE. */
static fxc_status sanitise(struct fxc_program *p, fxc_error *err) {
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        if (p->column[column] == NULL) {
            continue;
        }
        if (fxc_columns[column].check == FXC_CHECK_ENUM) {
            FXC_TRY(sanitise_enum(p, column, err));
        } else if (fxc_columns[column].check == FXC_CHECK_KIND) {
            FXC_TRY(sanitise_kinds(p, column, err));
        }
    }
    return FXC_OK;
}

static fxc_status check_begin(const struct fxc_program *p, const struct fxc_column_info *info, const uint32_t *data,
                              uint32_t count, fxc_error *err) {
    uint32_t rows = p->count[info->bound];
    uint32_t bad = bad_begin(data, count, 0);
    if (data[0] != 0) {
        return refuse(p, info, 0, data, "offsets that start at %" PRId64, 0, err);
    }
    if (bad != count) {
        return refuse(p, info, bad, data, "at most the next offset, %" PRId64, data[bad + 1], err);
    }
    if (data[count] != rows) {
        return refuse(p, info, count, data, "the end of the group, %" PRId64, rows, err);
    }
    return FXC_OK;
}

static fxc_status check_column(const struct fxc_program *p, uint32_t column, const struct payload_limits *limits,
                               fxc_error *err) {
    const struct fxc_column_info *info = &fxc_columns[column];
    const void *data = p->column[column];
    uint32_t count = p->count[info->group];
    uint32_t bound =
        info->check == FXC_CHECK_ENUM || info->check == FXC_CHECK_KIND ? info->bound : p->count[info->bound];
    uint32_t bad = count;
    if (data == NULL) {
        return FXC_OK; /* optional: the reader refused a missing required column */
    }
    switch ((enum fxc_check)info->check) {
    case FXC_CHECK_ANY:
        break;
    case FXC_CHECK_BEGIN:
        return check_begin(p, info, data, count, err);
    case FXC_CHECK_INDEX:
        bad = info->element_size == 2 ? bad_index16(data, count, bound) : bad_index32(data, count, bound);
        break;
    case FXC_CHECK_MAYBE:
        bad = bad_maybe32(data, count, bound);
        break;
    case FXC_CHECK_SYMINT:
        bad = bad_symint(data, count, bound);
        break;
    case FXC_CHECK_ENUM:
    case FXC_CHECK_KIND:
        bad = bad_enum8(data, count, bound);
        break;
    case FXC_CHECK_PAYLOAD:
        bad = bad_payload(data, p->column[column - 1], count, limits);
        break;
    }
    return bad == count ? FXC_OK : refuse(p, info, bad, data, "an entry that exists, below %" PRId64, bound, err);
}

/* Length of a well-formed UTF-8 sequence at s (s[0] >= 0x80), 0 when it is none. The blob ends in NUL, so looking
 * ahead is safe. Rejects overlong forms, surrogates and code points past U+10FFFF. */
static uint32_t utf8_sequence(const uint8_t *s) {
    uint32_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4) {
        return 0;
    }
    for (uint32_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F)) {
        return 0;
    }
    return length;
}

static bool valid_utf8(const uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size;) {
        uint64_t eight;
        if (size - i >= 8) {
            memcpy(&eight, bytes + i, 8);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += 8;
                continue;
            }
        }
        uint32_t length = bytes[i] < 0x80 ? 1 : utf8_sequence(bytes + i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

/* Every string ends in its only NUL, all are UTF-8, and string 0 is empty. */
static fxc_status check_strings(const struct fxc_program *p, fxc_error *err) {
    uint32_t count = FXC_COUNT(p, string), size = FXC_COUNT(p, byte), nuls = 0, ended = 0;
    for (uint32_t i = 0; i < size; i++) {
        nuls += p->string_bytes[i] == 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        ended += p->string_begin[i + 1] > p->string_begin[i] && p->string_bytes[p->string_begin[i + 1] - 1] == 0;
    }
    if (count == 0 || ended != count || nuls != count || p->string_begin[1] != 1 ||
        !valid_utf8(p->string_bytes, size)) {
        fxc_status status = fxc_fail(err, FXC_FORMAT, "%s: string table", p->file);
        fxc_expected(err, "NUL-terminated UTF-8 strings, the first one empty");
        fxc_found(err, "%u strings, of which %u end in NUL, in %u bytes with %u NULs", count, ended, size, nuls);
        fxc_advice(err, "the file is damaged; capture the model again");
        return status;
    }
    return FXC_OK;
}

static fxc_status refuse_order(const struct fxc_program *p, const char *what, uint32_t row, int64_t found,
                               fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_FORMAT, "%s: %s %u", p->file, what, row);
    fxc_expected(err, "a reference to an earlier row");
    fxc_found(err, "%" PRId64, found);
    fxc_advice(err, "the file is damaged; capture the model again");
    return status;
}

static fxc_status check_parents(const struct fxc_program *p, const char *what, const uint32_t *parent, uint32_t count,
                                fxc_error *err) {
    for (uint32_t i = 0; i < count; i++) {
        if (parent[i] != FXC_NONE && parent[i] >= i) {
            return refuse_order(p, what, i, parent[i], err);
        }
    }
    return FXC_OK;
}

static bool kind_holds_list(uint8_t kind) {
    return kind == FXC_KIND_LIST || kind == FXC_KIND_DICT || kind == FXC_KIND_SLICE || kind == FXC_KIND_COMPLEX;
}

/* Nested lists point backwards, so that walking them ends. */
static fxc_status check_lists(const struct fxc_program *p, fxc_error *err) {
    for (uint32_t list = 0; list < FXC_COUNT(p, list); list++) {
        for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
            if (kind_holds_list(p->item_kind[i]) && p->item_payload[i] >= list) {
                return refuse_order(p, "list", list, p->item_payload[i], err);
            }
        }
    }
    return FXC_OK;
}

/* What was measured is told whole, and is never negative. */
static fxc_status check_measures(const struct fxc_program *p, fxc_error *err) {
    const void *const columns[] = {p->measure_node, p->measure_what, p->measure_value};
    uint32_t rows = FXC_COUNT(p, measure), present = 0;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        present += columns[i] != NULL;
    }
    if (rows > 0 && present != 3) {
        fxc_status status = fxc_fail(err, FXC_FORMAT, "%s", p->file);
        fxc_expected(err, "the columns measure_node, measure_what and measure_value, or none of them");
        fxc_found(err, "%u of the three", present);
        return status;
    }
    for (uint32_t i = 0; i < rows; i++) {
        if (p->measure_value[i] < 0) {
            fxc_status status = fxc_fail(err, FXC_FORMAT, "%s", p->file);
            fxc_expected(err, "nanoseconds or bytes in measure_value, row %u", i);
            fxc_found(err, "%" PRId64, p->measure_value[i]);
            return status;
        }
    }
    return FXC_OK;
}

fxc_status fxc_program_check(struct fxc_program *p, fxc_error *err) {
    if (p->version_minor > FXC_FORMAT_MINOR) {
        FXC_TRY(sanitise(p, err));
    }
    struct payload_limits limits = payload_limits(p);
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        FXC_TRY(check_column(p, column, &limits, err));
    }
    FXC_TRY(check_strings(p, err));
    FXC_TRY(check_parents(p, "module", p->module_parent, FXC_COUNT(p, module), err));
    FXC_TRY(check_parents(p, "module call", p->call_parent, FXC_COUNT(p, call), err));
    FXC_TRY(check_parents(p, "region", p->region_parent, FXC_COUNT(p, region), err));
    FXC_TRY(check_lists(p, err));
    FXC_TRY(check_measures(p, err));
    if (FXC_COUNT(p, graph) == 0 || FXC_COUNT(p, module) == 0) {
        fxc_status status = fxc_fail(err, FXC_FORMAT, "%s", p->file);
        fxc_expected(err, "at least one graph and the root module");
        fxc_found(err, "%u graphs, %u modules", FXC_COUNT(p, graph), FXC_COUNT(p, module));
        return status;
    }
    return FXC_OK;
}
