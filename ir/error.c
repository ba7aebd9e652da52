#include "ir/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ir/program.h"

const char *fxc_status_text(int32_t status) {
    switch (status) {
#define FXC_X_STATUS(name, number, text)                                                                               \
    case number:                                                                                                       \
        return text;
        FXC_STATUS_LIST(FXC_X_STATUS)
#undef FXC_X_STATUS
    default:
        return "unknown status";
    }
}

static void append(char *buffer, size_t size, const char *before, const char *text) {
    size_t used = strlen(buffer);
    if (text[0] != '\0' && used < size) {
        (void)snprintf(buffer + used, size - used, "%s%s", before, text);
    }
}

/* One line a part, those that there are. */
static void build_message(fxc_error *err) {
    err->message[0] = '\0';
    append(err->message, sizeof err->message, "", err->where);
    append(err->message, sizeof err->message, "\n  expected: ", err->expected);
    append(err->message, sizeof err->message, "\n  found: ", err->found);
    append(err->message, sizeof err->message, "\n  ", err->advice);
}

/* A caller compiled against an older, smaller fxc_error gets nothing rather than an overrun. */
static bool usable(const fxc_error *err) {
    return err != NULL && err->struct_size >= sizeof *err;
}

static void start(fxc_error *err, fxc_status status) {
    size_t struct_size = err->struct_size;
    memset(err, 0, sizeof *err);
    err->struct_size = struct_size;
    err->status = (int32_t)status;
    err->node = FXC_NONE;
}

fxc_status fxc_fail(fxc_error *err, fxc_status status, const char *where, ...) {
    if (usable(err)) {
        start(err, status);
        va_list arguments;
        va_start(arguments, where);
        (void)vsnprintf(err->where, sizeof err->where, where, arguments);
        va_end(arguments);
        build_message(err);
    }
    return status;
}

fxc_status fxc_fail_node(fxc_error *err, fxc_status status, const struct fxc_program *p, uint32_t node) {
    if (!usable(err)) {
        return status;
    }
    char module[128] = "";
    char in_module[160] = "";
    char source[160] = "";
    if (p->node_call[node] != FXC_NONE) {
        (void)fxc_module_path(p, p->call_module[p->node_call[node]], module, sizeof module);
    }
    if (module[0] != '\0') {
        (void)snprintf(in_module, sizeof in_module, " in %s", module);
    }
    if (p->node_source != NULL && p->node_source[node] != FXC_NONE && p->source_file != NULL) {
        uint32_t position = p->node_source[node];
        (void)snprintf(source, sizeof source, ", %s:%u", fxc_string(p, p->source_file[position]),
                       p->source_line == NULL ? 0 : p->source_line[position]);
    }
    start(err, status);
    err->node = node;
    (void)snprintf(err->where, sizeof err->where, "%s: node %u '%s' (%s)%s%s", p->file, node, fxc_node_name(p, node),
                   fxc_node_op_name(p, node), in_module, source);
    build_message(err);
    return status;
}

#define FILL(part)                                                                                                     \
    if (usable(err)) {                                                                                                 \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        (void)vsnprintf(err->part, sizeof err->part, format, arguments);                                               \
        va_end(arguments);                                                                                             \
        build_message(err);                                                                                            \
    }

void fxc_expected(fxc_error *err, const char *format, ...) {
    FILL(expected)
}

void fxc_found(fxc_error *err, const char *format, ...) {
    FILL(found)
}

void fxc_advice(fxc_error *err, const char *format, ...){FILL(advice)}

fxc_status fxc_fail_memory(fxc_error *err, const char *where) {
    fxc_status status = fxc_fail(err, FXC_MEMORY, "%s", where);
    fxc_expected(err, "memory for the result");
    fxc_found(err, "none left");
    return status;
}
