/* Rows that group nodes by two things: operator and input shapes, module and operator. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/intern.h"
#include "passes/report/rows.h"

/* Keys in the order of their first appearance, which is the order of the rows. */
struct groups {
    struct fxc_intern keys;
    uint32_t capacity;
};

/* The row of a key, new or known; NULL when out of memory. *is_new says which. */
static struct fxc_row *row_of(struct fxc_node_walk *walk, const void *key, size_t size, bool *is_new) {
    struct groups *groups = walk->context;
    struct fxc_rows *rows = walk->rows;
    uint32_t index = fxc_intern(&groups->keys, key, size);
    if (index == FXC_NONE) {
        return NULL;
    }
    *is_new = index == rows->count;
    if (*is_new && rows->count == groups->capacity) {
        uint32_t capacity = groups->capacity == 0 ? 64 : groups->capacity * 2;
        struct fxc_row *grown = capacity < groups->capacity ? NULL : FXC_NEW(&rows->arena, struct fxc_row, capacity);
        if (grown == NULL) {
            return NULL;
        }
        if (rows->count > 0) {
            memcpy(grown, rows->row, rows->count * sizeof *grown);
        }
        rows->row = grown;
        groups->capacity = capacity;
    }
    if (*is_new) {
        rows->row[rows->count++] = (struct fxc_row){.folded = 1, .sum = fxc_sum_zero(walk->analysis)};
    }
    return &rows->row[index];
}

static void add(struct fxc_row *row, const struct fxc_sum *sum) {
    row->calls += sum->nodes;
    (void)fxc_sum_add(&row->sum, sum); /* a part of the total, which was checked */
}

static fxc_status collect(struct fxc_node_walk *walk, fxc_node_fn fn, fxc_error *err) {
    struct groups groups = {0};
    walk->context = &groups;
    fxc_status status = fxc_rows_each_node(walk, fn, err);
    fxc_intern_free(&groups.keys);
    status = status == FXC_OK ? fxc_rows_add_optimizer(walk, err) : status;
    return status == FXC_OK ? fxc_rows_sort(walk->rows, walk->options, err) : status;
}

/* ---- by operator and input shapes -----------------------------------------------------------------------------------
 */

struct shapes_text {
    char *text;
    size_t used, size;
    int dtype; /* of the tensor before; -1 at first */
};

static void append(struct shapes_text *out, const char *format, const char *text) {
    int length = snprintf(out->text + out->used, out->size - out->used, format, text);
    if (length > 0) {
        size_t left = out->size - out->used - 1;
        out->used += (size_t)length < left ? (size_t)length : left;
    }
}

static void append_value(const struct fxc_analysis *analysis, int64_t value, struct shapes_text *out) {
    const struct fxc_shapes *s = analysis->shapes;
    char number[32];
    if (analysis->program->value_kind[value] != FXC_KIND_TENSOR) {
        return;
    }
    append(out, "%s", out->dtype < 0 ? "" : ", ");
    if (s->dtype[value] != out->dtype) {
        append(out, s->rank[value] == 0 ? "%s" : "%s ", fxc_dtype_short(s->dtype[value]));
        out->dtype = s->dtype[value];
    }
    for (uint32_t d = 0; d < s->rank[value]; d++) {
        int64_t size = s->size[s->dim_begin[value] + d];
        (void)snprintf(number, sizeof number, size < 0 ? "?" : "%" PRId64, size);
        append(out, d == 0 ? "%s" : "\xC3\x97%s", number);
    }
}

/* "bf16 2×128×4096, 14336×4096": the tensors that a node takes, those in lists too; a type holds until the next one. */
static void input_shapes(const struct fxc_analysis *analysis, uint32_t node, char *text, size_t size) {
    const struct fxc_program *p = analysis->program;
    struct shapes_text out = {text, 0, size, -1};
    text[0] = '\0';
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (p->arg_kind[a] == FXC_KIND_VALUE) {
            append_value(analysis, p->arg_payload[a], &out);
        } else if (p->arg_kind[a] == FXC_KIND_LIST) {
            uint32_t list = (uint32_t)p->arg_payload[a];
            for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
                if (p->item_kind[i] == FXC_KIND_VALUE) {
                    append_value(analysis, p->item_payload[i], &out);
                }
            }
        }
    }
}

static fxc_status add_by_shape(struct fxc_node_walk *walk, uint32_t node, const struct fxc_sum *sum, fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    const char *op = fxc_string(p, p->op_name[p->node_op[node]]);
    char key[1024];
    bool is_new;
    size_t length = (size_t)snprintf(key, sizeof key, "%.250s", op) + 1;
    input_shapes(walk->analysis, node, key + length, sizeof key - length);
    struct fxc_row *row = row_of(walk, key, length + strlen(key + length), &is_new);
    if (row != NULL && is_new) {
        row->name = row->label = op;
        row->class_name = fxc_arena_string(&walk->rows->arena, key + length);
    }
    if (row == NULL || row->class_name == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    add(row, sum);
    return FXC_OK;
}

fxc_status fxc_rows_by_op_shape(struct fxc_node_walk *walk, fxc_error *err) {
    return collect(walk, add_by_shape, err);
}

/* ---- by module and operator
 * ------------------------------------------------------------------------------------------ */

static uint32_t depth_of(const struct fxc_program *p, uint32_t module) {
    uint32_t depth = 0;
    for (; p->module_parent[module] != FXC_NONE; module = p->module_parent[module]) {
        depth++;
    }
    return depth;
}

static fxc_status name_row(struct fxc_node_walk *walk, struct fxc_row *row, uint32_t module, uint32_t op,
                           fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    char path[512];
    row->name = fxc_arena_string(&walk->rows->arena, fxc_module_path(p, module, path, sizeof path));
    row->class_name = fxc_string(p, p->op_name[op]);
    row->depth = depth_of(p, module);
    row->order = module; /* modules come after those that they are in */
    if (row->name == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    row->label = row->name[0] == '\0' ? "(model)" : row->name;
    return FXC_OK;
}

/* A node counts for its module and for all that this one is in, down to the depth that was asked for. */
static fxc_status add_by_module(struct fxc_node_walk *walk, uint32_t node, const struct fxc_sum *sum, fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    uint32_t module = walk->analysis->report->node_module[node];
    for (; module != FXC_NONE && walk->inside[module]; module = p->module_parent[module]) {
        uint32_t key[2] = {module, p->node_op[node]};
        bool is_new;
        if (depth_of(p, module) > walk->options->depth) {
            continue;
        }
        struct fxc_row *row = row_of(walk, key, sizeof key, &is_new);
        if (row == NULL) {
            return fxc_fail_memory(err, "report rows");
        }
        if (is_new) {
            FXC_TRY(name_row(walk, row, module, p->node_op[node], err));
        }
        add(row, sum);
    }
    return FXC_OK;
}

fxc_status fxc_rows_by_module_op(struct fxc_node_walk *walk, fxc_error *err) {
    return collect(walk, add_by_module, err);
}

/* ---- by caller ------------------------------------------------------------------------------------------------------
 */

/* The call that a node ran in: its own, or that of the node that runs its graph. */
static uint32_t call_of(const struct fxc_analysis *analysis, uint32_t node) {
    const struct fxc_program *p = analysis->program;
    while (p->node_call[node] == FXC_NONE) {
        uint32_t owner = analysis->tree->graph_owner[fxc_program_node_graph(p, node)];
        if (owner == FXC_NONE) {
            return FXC_NONE;
        }
        node = owner;
    }
    return p->node_call[node];
}

/* Was the module called again inside its own call? */
static bool is_open(const struct fxc_program *p, uint32_t inner, uint32_t outer) {
    for (; inner != outer; inner = p->call_parent[inner]) {
        if (p->call_module[inner] == p->call_module[outer]) {
            return true;
        }
    }
    return false;
}

static fxc_status add_to_module(struct fxc_node_walk *walk, uint32_t module, bool own, const struct fxc_sum *sum,
                                fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    bool is_new;
    if (depth_of(p, module) > walk->options->depth) {
        return FXC_OK;
    }
    struct fxc_row *row = row_of(walk, &module, sizeof module, &is_new);
    if (row == NULL) {
        return fxc_fail_memory(err, "report rows");
    }
    if (is_new) {
        FXC_TRY(name_row(walk, row, module, 0, err));
        row->class_name = fxc_string(p, p->module_class[module]);
        row->calls = walk->analysis->report->module_calls[module];
    }
    (void)fxc_sum_add(&row->sum, sum); /* a part of the total, which was checked */
    row->self_flops += own ? fxc_flops_of(&sum->counts) : 0;
    row->self_macs += own ? sum->counts.macs : 0;
    return FXC_OK;
}

/* A node counts for every module whose call was open, once for each, and for the model. Below a root of the report
 * those count that ran inside its calls. */
static fxc_status add_by_caller(struct fxc_node_walk *walk, uint32_t node, const struct fxc_sum *sum, fxc_error *err) {
    const struct fxc_program *p = walk->analysis->program;
    uint32_t inner = call_of(walk->analysis, node), root = walk->options->root_module, last = inner;
    bool found = root == 0;
    for (uint32_t call = inner; call != FXC_NONE; call = p->call_parent[call]) {
        found |= p->call_module[call] == root;
        last = root != 0 && p->call_module[call] == root ? call : last;
    }
    if (!found) {
        return FXC_OK;
    }
    bool model = inner == FXC_NONE;
    for (uint32_t call = inner; call != FXC_NONE; call = p->call_parent[call]) {
        model |= p->call_module[call] == 0;
        if (!is_open(p, inner, call)) {
            FXC_TRY(add_to_module(walk, p->call_module[call], call == inner, sum, err));
        }
        if (root != 0 && call == last) {
            return FXC_OK;
        }
    }
    return root == 0 && (!model || inner == FXC_NONE) ? add_to_module(walk, 0, inner == FXC_NONE, sum, err) : FXC_OK;
}

fxc_status fxc_rows_by_caller(struct fxc_node_walk *walk, fxc_error *err) {
    walk->inside = fxc_rows_subtree(walk->analysis->program, 0, &walk->rows->arena); /* owners may lie elsewhere */
    return walk->inside == NULL ? fxc_fail_memory(err, "report rows") : collect(walk, add_by_caller, err);
}
