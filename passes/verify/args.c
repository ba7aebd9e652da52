/* verify: a node's arguments are named once each, exist in its operator's schema, and none is missing. */
#include "ir/op_schema.h"
#include "passes/verify/verify.h"

struct args {
    const struct fxc_program *p;
    const struct fxc_op_schema *schemas;
    uint32_t *seen; /* per argname: the last node + 1 that used it; only for operators without a schema */
};

static fxc_status fail_arg(const struct args *x, uint32_t node, const char *expected, const char *name,
                           fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_PROGRAM, x->p, node);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "'%s'", name);
    const char *schema = fxc_string(x->p, x->p->op_schema[x->p->node_op[node]]);
    if (schema[0] != '\0') {
        fxc_advice(err, "the schema is %.200s", schema);
    }
    return status;
}

static const char *arg_text(const struct args *x, uint32_t arg) {
    return fxc_string(x->p, x->p->argname_text[x->p->arg_name[arg]]);
}

static fxc_status check_unnamed(struct args *x, uint32_t node, fxc_error *err) {
    const struct fxc_program *p = x->p;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint32_t *seen = &x->seen[p->arg_name[a]];
        if (*seen == node + 1) {
            return fail_arg(x, node, "every argument once", arg_text(x, a), err);
        }
        *seen = node + 1;
    }
    return FXC_OK;
}

static fxc_status check_known(const struct args *x, const struct fxc_op_schema *op, uint32_t node, fxc_error *err) {
    const struct fxc_program *p = x->p;
    struct fxc_arg_set given = {{0}};
    uint32_t next = 0;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint32_t i = fxc_op_schema_match(op, p->arg_name[a], &next);
        if (i == FXC_NONE) {
            return fail_arg(x, node, "an argument of the schema", arg_text(x, a), err);
        }
        uint64_t bit = UINT64_C(1) << (i % 64);
        if ((given.word[i / 64] & bit) != 0) {
            return fail_arg(x, node, "every argument once", arg_text(x, a), err);
        }
        given.word[i / 64] |= bit;
    }
    for (uint32_t i = 0; i < op->schema.arg_count; i++) {
        uint64_t missing = op->required.word[i / 64] & ~given.word[i / 64];
        if (missing == 0) {
            i |= 63;
        } else if ((missing >> (i % 64) & 1) != 0) {
            fxc_status status = fail_arg(x, node, "every argument that has no default", "", err);
            fxc_found(err, "no '%s'", op->schema.args[i].name);
            return status;
        }
    }
    return FXC_OK;
}

fxc_status fxc_verify_args(struct fxc_arena *arena, const struct fxc_program *p, fxc_error *err) {
    struct fxc_op_schema *schemas;
    FXC_TRY(fxc_op_schemas(arena, p, &schemas, err));
    struct args x = {p, schemas, FXC_NEW(arena, uint32_t, FXC_COUNT(p, argname))};
    if (x.seen == NULL) {
        return fxc_fail_memory(err, "verify");
    }
    for (uint32_t n = 0; n < FXC_COUNT(p, node); n++) {
        const struct fxc_op_schema *op = &schemas[p->node_op[n]];
        if (!op->known || op->schema.variadic) {
            FXC_TRY(check_unnamed(&x, n, err));
        } else {
            FXC_TRY(check_known(&x, op, n, err));
        }
    }
    return FXC_OK;
}
