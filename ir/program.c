/* Opening programs: mapping the file, adopting its columns, what is derived once at load, and the accessors. */
#include "ir/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ir/error.h"
#include "ir/ops.h"
#include "ir/reader.h"
#include "ir/text.h"

struct fxc_program *fxc_program_alloc(const char *name) {
    struct fxc_program *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->file = fxc_arena_string(&p->arena, name);
    if (p->file == NULL) {
        free(p);
        return NULL;
    }
    return p;
}

void fxc_program_free(fxc_program *p) {
    if (p == NULL) {
        return;
    }
    if (p->mapped) {
        (void)munmap(p->mapping, p->mapping_size);
    } else {
        free(p->mapping);
    }
    fxc_arena_free(&p->arena);
    free(p);
}

/* ---- columns of a binary file ------------------------------------------------------------------------------------ */

static fxc_status damaged(const struct fxc_program *p, const char *expected, const char *found, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_FORMAT, "%s", p->file);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "%s", found);
    fxc_advice(err, "the file is damaged or no .fxir file; write it again with: fxcost capture MODEL -o FILE");
    return status;
}

static fxc_status adopt_column(struct fxc_program *p, uint32_t column, struct fxc_raw_column raw, bool *counted,
                               fxc_error *err) {
    const struct fxc_column_info *info = &fxc_columns[column];
    uint32_t extra = info->check == FXC_CHECK_BEGIN;
    char found[96];
    if (raw.data == NULL && !info->required) {
        return FXC_OK;
    }
    if (raw.data == NULL || raw.length < extra) {
        (void)snprintf(found, sizeof found, "column %s %s", info->name, raw.data == NULL ? "missing" : "empty");
        return damaged(p, "every required column", found, err);
    }
    if ((uintptr_t)raw.data % info->element_size != 0) {
        (void)snprintf(found, sizeof found, "column %s misaligned", info->name);
        return damaged(p, "columns aligned to their elements", found, err);
    }
    uint32_t rows = raw.length - extra;
    if (counted[info->group] && p->count[info->group] != rows) {
        (void)snprintf(found, sizeof found, "column %s with %u rows where its group has %u", info->name, rows,
                       p->count[info->group]);
        return damaged(p, "columns of one length in each group", found, err);
    }
    counted[info->group] = true;
    p->count[info->group] = rows;
    p->column[column] = raw.data;
    return FXC_OK;
}

static fxc_status adopt_binary(struct fxc_program *p, fxc_error *err) {
    struct fxc_raw_column columns[FXC_COLUMN_COUNT];
    struct fxc_raw_program raw = {.columns = columns};
    bool counted[FXC_GROUP_COUNT] = {false};
    switch (fxc_raw_read(p->mapping, p->mapping_size, &raw)) {
    case FXC_RAW_NO_IDENTIFIER:
        return damaged(p, "the identifier FXIR", "another file", err);
    case FXC_RAW_DAMAGED:
        return damaged(p, "a FlatBuffer that its verifier accepts", "a truncated or changed one", err);
    case FXC_RAW_OK:
        break;
    }
    p->version_major = raw.version_major;
    p->version_minor = raw.version_minor;
    if (raw.version_major != FXC_FORMAT_MAJOR) {
        fxc_status status = fxc_fail(err, FXC_FORMAT, "%s", p->file);
        fxc_expected(err, "format version %d.x", FXC_FORMAT_MAJOR);
        fxc_found(err, "version %u.%u", raw.version_major, raw.version_minor);
        fxc_advice(err, raw.version_major > FXC_FORMAT_MAJOR ? "update fxcost" : "capture the model again");
        return status;
    }
    for (uint32_t column = 0; column < FXC_COLUMN_COUNT; column++) {
        FXC_TRY(adopt_column(p, column, columns[column], counted, err));
    }
    return FXC_OK;
}

/* ---- what is derived once ---------------------------------------------------------------------------------------- */

fxc_status fxc_program_bind(struct fxc_program *p, fxc_error *err) {
    uint32_t ops = FXC_COUNT(p, op), names = FXC_COUNT(p, argname);
    const struct fxc_op_row **rows = FXC_NEW(&p->arena, const struct fxc_op_row *, ops);
    uint16_t *ids = FXC_NEW(&p->arena, uint16_t, names);
    if (rows == NULL || ids == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    for (uint32_t i = 0; i < ops; i++) {
        rows[i] = fxc_op_lookup(fxc_string(p, p->op_name[i]));
    }
    for (uint32_t i = 0; i < names; i++) {
        ids[i] = fxc_name_of(fxc_string(p, p->argname_text[i]));
    }
    p->op_row = rows;
    p->argname_id = ids;
    return FXC_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static bool is_binary(const void *bytes, size_t size) {
    return size >= 8 && memcmp((const char *)bytes + 4, "FXIR", 4) == 0;
}

static bool is_text(const void *bytes, size_t size) {
    return size >= 5 && memcmp(bytes, "fxir ", 5) == 0;
}

/* Fills a program from p->mapping. */
static fxc_status load(struct fxc_program *p, fxc_error *err) {
    if (is_binary(p->mapping, p->mapping_size)) {
        FXC_TRY(adopt_binary(p, err));
    } else if (is_text(p->mapping, p->mapping_size)) {
        FXC_TRY(fxc_text_parse(p->mapping, p->mapping_size, p, err));
    } else {
        return damaged(p, "a .fxir file (identifier FXIR) or its text form (first line 'fxir 1.0')", "neither", err);
    }
    FXC_TRY(fxc_program_check(p, err));
    return fxc_program_bind(p, err);
}

static fxc_status finish(struct fxc_program *p, fxc_status status, fxc_program **out) {
    if (status != FXC_OK) {
        fxc_program_free(p);
        return status;
    }
    *out = p;
    return FXC_OK;
}

static fxc_status fail_system(const char *path, int number, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_IO, "%s", path);
    fxc_expected(err, "a readable file");
    fxc_found(err, "%s", number == 0 ? "no regular file" : strerror(number));
    return status;
}

static fxc_status map_file(struct fxc_program *p, const char *path, fxc_error *err) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (descriptor < 0) {
        return fail_system(path, errno, err);
    }
    if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
        (void)close(descriptor);
        return fail_system(path, 0, err);
    }
    if (info.st_size > 0) {
        void *mapping = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
        if (mapping == MAP_FAILED) {
            int number = errno;
            (void)close(descriptor);
            return fail_system(path, number, err);
        }
        p->mapping = mapping;
        p->mapping_size = (size_t)info.st_size;
        p->mapped = true;
    }
    (void)close(descriptor);
    return FXC_OK;
}

fxc_status fxc_program_open(const char *path, fxc_program **out, fxc_error *err) {
    *out = NULL;
    struct fxc_program *p = fxc_program_alloc(path);
    if (p == NULL) {
        return fxc_fail_memory(err, path);
    }
    fxc_status status = map_file(p, path, err);
    if (status == FXC_OK) {
        status = load(p, err);
    }
    return finish(p, status, out);
}

fxc_status fxc_program_from_memory(const void *bytes, size_t size, const char *name, fxc_program **out,
                                   fxc_error *err) {
    *out = NULL;
    struct fxc_program *p = fxc_program_alloc(name);
    if (p == NULL) {
        return fxc_fail_memory(err, name);
    }
    /* malloc aligns for every element type, which the caller's buffer need not do. */
    p->mapping = malloc(size == 0 ? 1 : size);
    if (p->mapping == NULL) {
        return finish(p, fxc_fail_memory(err, name), out);
    }
    if (size > 0) {
        memcpy(p->mapping, bytes, size);
    }
    p->mapping_size = size;
    return finish(p, load(p, err), out);
}

/* ---- accessors --------------------------------------------------------------------------------------------------- */

void fxc_each_value(const struct fxc_program *p, uint8_t kind, int64_t payload,
                    void (*each)(uint32_t value, void *context), void *context) {
    if (kind == FXC_KIND_VALUE) {
        each((uint32_t)payload, context);
    } else if (kind == FXC_KIND_LIST || kind == FXC_KIND_DICT || kind == FXC_KIND_SLICE) {
        for (uint32_t i = p->list_begin[payload]; i < p->list_begin[payload + 1]; i++) {
            fxc_each_value(p, p->item_kind[i], p->item_payload[i], each, context); /* of smaller index */
        }
    }
}

uint32_t fxc_program_node_graph(const struct fxc_program *p, uint32_t node) {
    uint32_t low = 0, high = FXC_COUNT(p, graph);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (p->graph_node_begin[middle] <= node) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

bool fxc_program_capture(const struct fxc_program *p, const char *key, enum fxc_kind kind, int64_t *payload) {
    for (uint32_t i = 0; i < FXC_COUNT(p, capture); i++) {
        if (p->capture_kind[i] == kind && strcmp(fxc_string(p, p->capture_key[i]), key) == 0) {
            *payload = p->capture_payload[i];
            return true;
        }
    }
    return false;
}

static void prepend(char *buffer, size_t size, const char *name) {
    size_t length = strlen(buffer), extra = strlen(name);
    size_t dot = length == 0 ? 0 : 1;
    if (extra == 0 || extra + dot + length + 1 > size) {
        return;
    }
    memmove(buffer + extra + dot, buffer, length + 1);
    memcpy(buffer, name, extra);
    if (dot != 0) {
        buffer[extra] = '.';
    }
}

const char *fxc_module_path(const struct fxc_program *p, uint32_t module, char *buffer, size_t size) {
    buffer[0] = '\0';
    for (; module != FXC_NONE; module = p->module_parent[module]) {
        prepend(buffer, size, fxc_string(p, p->module_name[module]));
    }
    return buffer;
}

static const char *capture_string(const struct fxc_program *p, const char *key) {
    int64_t payload;
    return fxc_program_capture(p, key, FXC_KIND_STRING, &payload) ? fxc_string(p, (uint32_t)payload) : "";
}

static bool capture_bool(const struct fxc_program *p, const char *key) {
    int64_t payload;
    return fxc_program_capture(p, key, FXC_KIND_BOOL, &payload) && payload != 0;
}

static fxc_status old_struct(const char *what, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s", what);
    fxc_expected(err, "struct_size of this version's structure");
    fxc_found(err, "a smaller one");
    fxc_advice(err, "set struct_size = sizeof(...) and compile against the installed header");
    return status;
}

fxc_status fxc_program_get_info(const fxc_program *p, fxc_program_info *info, fxc_error *err) {
    if (info->struct_size < sizeof *info) {
        return old_struct("fxc_program_get_info", err);
    }
    *info = (fxc_program_info){
        .struct_size = info->struct_size,
        .format_major = p->version_major,
        .format_minor = p->version_minor,
        .nodes = FXC_COUNT(p, node),
        .values = FXC_COUNT(p, value),
        .graphs = FXC_COUNT(p, graph),
        .modules = FXC_COUNT(p, module),
        .ops = FXC_COUNT(p, op),
        .symbols = FXC_COUNT(p, symbol),
        .params = FXC_COUNT(p, param),
        .file = p->file,
        .producer = capture_string(p, "producer"),
        .torch_version = capture_string(p, "torch"),
        .model = capture_string(p, "model"),
        .route = capture_string(p, "route"),
        .dialect = capture_string(p, "dialect"),
        .inputs = capture_string(p, "inputs"),
        .training = capture_bool(p, "training"),
        .grad = capture_bool(p, "grad"),
    };
    return FXC_OK;
}

const char *fxc_program_dimension(const fxc_program *p, uint32_t index) {
    const uint8_t decided = FXC_SYMBOL_FLAG_UNBACKED | FXC_SYMBOL_FLAG_FLOAT | FXC_SYMBOL_FLAG_TRIP;
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        if ((p->symbol_flags[i] & decided) == 0 && index-- == 0) {
            const char *dim = fxc_string(p, p->symbol_dim[i]);
            return dim[0] == '\0' ? fxc_string(p, p->symbol_name[i]) : dim;
        }
    }
    return NULL;
}

fxc_status fxc_program_get_node(const fxc_program *p, uint32_t node, fxc_node_info *info, fxc_error *err) {
    if (info->struct_size < sizeof *info) {
        return old_struct("fxc_program_get_node", err);
    }
    if (node >= FXC_COUNT(p, node)) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: fxc_program_get_node", p->file);
        fxc_expected(err, "a node below %u", FXC_COUNT(p, node));
        fxc_found(err, "%u", node);
        return status;
    }
    uint32_t source = p->node_source == NULL ? FXC_NONE : p->node_source[node];
    bool located = source != FXC_NONE && p->source_file != NULL && p->source_line != NULL;
    *info = (fxc_node_info){
        .struct_size = info->struct_size,
        .graph = fxc_program_node_graph(p, node),
        .name = fxc_node_name(p, node),
        .op = fxc_node_op_name(p, node),
        .file = located ? fxc_string(p, p->source_file[source]) : NULL,
        .line = located ? p->source_line[source] : 0,
        .call = p->node_call[node],
    };
    return FXC_OK;
}

int64_t fxc_element(const struct fxc_program *p, uint32_t column, uint32_t row) {
    const void *data = p->column[column];
    switch (fxc_columns[column].element_size) {
    case 1:
        return ((const uint8_t *)data)[row];
    case 2:
        return ((const uint16_t *)data)[row];
    case 4:
        return ((const uint32_t *)data)[row];
    default:
        return ((const int64_t *)data)[row];
    }
}
