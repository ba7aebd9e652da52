#include "ir/op_schema.h"

#include <string.h>

#include "ir/error.h"
#include "ir/intern.h"
#include "ir/ops.h"

/* Numbers in `names` equal the rows of the argname columns: no text may occur twice. */
static fxc_status intern_names(const struct fxc_program *p, struct fxc_intern *names, fxc_error *err) {
    for (uint32_t i = 0; i < FXC_COUNT(p, argname); i++) {
        const char *text = fxc_string(p, p->argname_text[i]);
        uint32_t number = fxc_intern(names, text, strlen(text));
        if (names->failed) {
            return fxc_fail_memory(err, p->file);
        }
        if (number != i) {
            fxc_status status = fxc_fail(err, FXC_PROGRAM, "%s: argument name %u", p->file, i);
            fxc_expected(err, "every name once");
            fxc_found(err, "'%s' again", text);
            return status;
        }
    }
    return FXC_OK;
}

static const char *schema_text(const struct fxc_program *p, uint32_t op) {
    const char *text = fxc_string(p, p->op_schema[op]);
    bool named = p->op_origin[op] == FXC_OP_ORIGIN_ATEN || p->op_origin[op] == FXC_OP_ORIGIN_CUSTOM;
    return text[0] == '\0' && named && p->op_row[op] != NULL ? p->op_row[op]->schema : text;
}

static fxc_status read_schema(struct fxc_arena *arena, const struct fxc_program *p, uint32_t op,
                              const struct fxc_intern *names, struct fxc_op_schema *out, fxc_error *err) {
    const char *text = schema_text(p, op);
    struct fxc_schema_error error = {0};
    if (text == NULL || text[0] == '\0') {
        return FXC_OK;
    }
    fxc_status status = fxc_schema_parse(arena, text, &out->schema, &error);
    if (status == FXC_FORMAT) {
        status = fxc_fail(err, FXC_PROGRAM, "%s: operator %s, schema at character %u", p->file,
                          fxc_string(p, p->op_name[op]), error.offset);
        fxc_expected(err, "%s", error.reason);
        fxc_found(err, "%.100s", text + error.offset);
        fxc_advice(err, "the schema is the text of torch's FunctionSchema after the operator's name");
        return status;
    }
    out->name = status == FXC_OK ? FXC_NEW(arena, uint32_t, out->schema.arg_count) : NULL;
    if (out->name == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    out->known = true;
    for (uint32_t i = 0; i < out->schema.arg_count; i++) {
        const struct fxc_schema_arg *arg = &out->schema.args[i];
        out->name[i] = fxc_intern_find(names, arg->name, strlen(arg->name));
        if (!arg->has_default) {
            out->required.word[i / 64] |= UINT64_C(1) << (i % 64);
        }
    }
    return FXC_OK;
}

fxc_status fxc_op_schemas(struct fxc_arena *arena, const struct fxc_program *p, struct fxc_op_schema **out,
                          fxc_error *err) {
    struct fxc_op_schema *schemas = FXC_NEW(arena, struct fxc_op_schema, FXC_COUNT(p, op));
    struct fxc_intern names = {0};
    if (schemas == NULL) {
        return fxc_fail_memory(err, p->file);
    }
    fxc_status status = intern_names(p, &names, err);
    for (uint32_t op = 0; status == FXC_OK && op < FXC_COUNT(p, op); op++) {
        status = read_schema(arena, p, op, &names, &schemas[op], err);
    }
    fxc_intern_free(&names);
    *out = schemas;
    return status;
}
