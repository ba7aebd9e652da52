/* What a node reads and writes when eager dispatch runs it, tensor by tensor. What a row's `touch` says is in ir/ops.h.
 */
#include "passes/traffic/touch.h"

#include "ir/ops.h"
#include "passes/alias/alias.h"
#include "passes/rule.h"

struct touch {
    const struct fxc_analysis *analysis;
    const struct fxc_program *p;
    struct fxc_touch_sink *sink;
};

/* Bytes of the distinct elements of a tensor value; 0 for other values, and for sizes that are not known. */
static int64_t value_bytes(const struct touch *t, uint32_t value) {
    const struct fxc_shapes *shapes = t->analysis->shapes;
    int64_t elements = shapes->numel[value], bytes = 0;
    if (t->p->value_kind[value] != FXC_KIND_TENSOR || elements <= 0) {
        return 0;
    }
    const int64_t *size = shapes->size + shapes->dim_begin[value], *stride = shapes->stride + shapes->dim_begin[value];
    for (uint32_t d = 0; d < shapes->rank[value]; d++) {
        if (stride[d] == 0 && size[d] > 1) {
            elements /= size[d];
        }
    }
    t->sink->overflow |= fxc_bytes_of(shapes->dtype[value], elements, &bytes);
    return bytes;
}

/* Calls `each` with a tensor, or with those in a list; collectives take lists of lists (the inner one has the smaller
 * index). */
static void each_tensor(const struct touch *t, uint8_t kind, int64_t payload,
                        void (*each)(const struct touch *, uint32_t, void *), void *context) {
    const struct fxc_program *p = t->p;
    if (kind == FXC_KIND_VALUE) {
        each(t, (uint32_t)payload, context);
    }
    for (uint32_t i = kind == FXC_KIND_LIST ? p->list_begin[payload] : 0;
         kind == FXC_KIND_LIST && i < p->list_begin[payload + 1]; i++) {
        each_tensor(t, p->item_kind[i], p->item_payload[i], each, context);
    }
}

static void tell_read(const struct touch *t, uint32_t value, void *context) {
    (void)context;
    t->sink->tensor(t->sink, value, value_bytes(t, value), false);
}

static void tell_written(const struct touch *t, uint32_t value, void *context) {
    (void)context;
    t->sink->tensor(t->sink, value, value_bytes(t, value), true);
}

static void add_bytes(const struct touch *t, uint32_t value, void *context) {
    int64_t *total = context;
    t->sink->overflow |= fxc_add(*total, value_bytes(t, value), total);
}

/* The result of a node, or those in a list. */
static void each_result(const struct touch *t, uint32_t node, void (*each)(const struct touch *, uint32_t, void *),
                        void *context) {
    uint32_t result = t->p->node_result[node];
    if (t->p->value_kind[result] == FXC_KIND_LIST) {
        each_tensor(t, FXC_KIND_LIST, t->p->value_payload[result], each, context);
    } else {
        each_tensor(t, FXC_KIND_VALUE, result, each, context);
    }
}

static void write_result(const struct touch *t, uint32_t node) {
    each_result(t, node, tell_written, NULL);
}

static bool is_source(uint16_t name) {
    return name == FXC_NAME_self || name == FXC_NAME_input || name == FXC_NAME_weight;
}

static bool is_out(uint16_t name) {
    return name == FXC_NAME_out;
}

/* Reads all tensor arguments but the first of a name, which is returned: the source that an indexed op reads or writes
 * in part, of embedding(weight, indices) and index_select(self, dim, index); or what is written. NULL: reads all. */
static uint32_t read_arguments(const struct touch *t, uint32_t node, bool (*but)(uint16_t)) {
    const struct fxc_program *p = t->p;
    uint32_t source = FXC_NONE;
    bool skipped = but == NULL;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (!skipped && but(p->argname_id[p->arg_name[a]])) {
            skipped = true;
            source = p->arg_kind[a] == FXC_KIND_VALUE ? (uint32_t)p->arg_payload[a] : FXC_NONE;
            continue;
        }
        each_tensor(t, p->arg_kind[a], p->arg_payload[a], tell_read, NULL);
    }
    return source;
}

/* Bytes of the source of a scatter: its `source`, `src`, `values` or `value`; 0 when it writes a scalar. */
static int64_t scattered_bytes(const struct touch *t, uint32_t node) {
    static const enum fxc_name names[] = {FXC_NAME_source, FXC_NAME_src, FXC_NAME_values, FXC_NAME_value,
                                          FXC_NAME_tensor};
    const struct fxc_program *p = t->p;
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
            if (p->argname_id[p->arg_name[a]] == names[n]) {
                int64_t bytes = 0;
                each_tensor(t, p->arg_kind[a], p->arg_payload[a], add_bytes, &bytes);
                return bytes;
            }
        }
    }
    return 0;
}

static bool is_output(uint16_t name) {
    return name == FXC_NAME_out || name == FXC_NAME_output || name == FXC_NAME_outputs ||
           name == FXC_NAME_output_tensor || name == FXC_NAME_output_tensors || name == FXC_NAME_output_lists;
}

/* What is written goes by the names of arguments, for the schemas of collectives do not mark it. Without such an
 * argument what is read is written: in place, or (fsdp's copy) to its share of all_gather_output. */
static void touch_outputs(const struct touch *t, uint32_t node) {
    const struct fxc_program *p = t->p;
    bool named = false;
    uint32_t gathered = FXC_NONE;
    int64_t read = 0;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint16_t name = p->argname_id[p->arg_name[a]];
        named |= is_output(name);
        if (name == FXC_NAME_all_gather_output) {
            gathered = a;
        } else if (is_output(name)) {
            each_tensor(t, p->arg_kind[a], p->arg_payload[a], tell_written, NULL);
        } else {
            each_tensor(t, p->arg_kind[a], p->arg_payload[a], tell_read, NULL);
            each_tensor(t, p->arg_kind[a], p->arg_payload[a], add_bytes, &read);
        }
    }
    if (named && gathered != FXC_NONE) {
        each_tensor(t, p->arg_kind[gathered], p->arg_payload[gathered], tell_read, NULL);
    } else if (!named) {
        uint32_t into = gathered == FXC_NONE ? p->node_arg_begin[node] : gathered;
        bool tensor = into < p->node_arg_begin[node + 1] && p->arg_kind[into] == FXC_KIND_VALUE;
        t->sink->tensor(t->sink, tensor ? (uint32_t)p->arg_payload[into] : p->node_result[node], read, true);
    }
}

/* Does the node hand on an argument's memory and write none? Then nothing runs: a view, a reshape or contiguous that
 * had nothing to do, dropout in eval. */
static bool only_aliases(const struct touch *t, uint32_t node) {
    const struct fxc_alias *alias = t->analysis->alias;
    uint8_t memory = alias->result_memory[t->p->node_result[node]];
    bool writes = alias->node_write_begin[node] != alias->node_write_end[node];
    return (memory == FXC_MEMORY_VIEW || memory == FXC_MEMORY_SAME) && !writes;
}

/* Python's operators work on scalars, mostly. */
static bool only_scalars(const struct touch *t, uint32_t node) {
    return t->p->op_origin[t->p->node_op[node]] == FXC_OP_ORIGIN_BUILTIN &&
           t->analysis->alias->result_memory[t->p->node_result[node]] == FXC_MEMORY_NOTHING;
}

/* The part of an indexed operator's source that it reads: as much as it returns. */
static void read_part(const struct touch *t, uint32_t node, uint32_t source) {
    int64_t bytes = 0;
    each_result(t, node, add_bytes, &bytes);
    t->sink->tensor(t->sink, source == FXC_NONE ? t->p->node_result[node] : source, bytes, false);
}

static void scatter(const struct touch *t, uint32_t node) {
    t->sink->tensor(t->sink, t->p->node_result[node], scattered_bytes(t, node), true);
}

bool fxc_touch_node(const struct fxc_analysis *analysis, uint32_t node, struct fxc_touch_sink *sink) {
    const struct touch touch = {analysis, analysis->program, sink}, *t = &touch;
    const struct fxc_op_row *row = fxc_node_row(t->p, node);
    /* An op without a row moves at least its arguments and results. */
    enum fxc_touch kind = row == NULL ? FXC_TOUCH_FULL : (enum fxc_touch)row->touch;
    if (kind == FXC_TOUCH_NONE || only_aliases(t, node) || only_scalars(t, node)) {
        return false;
    }
    switch (kind) {
    case FXC_TOUCH_GATHER:
        read_part(t, node, read_arguments(t, node, is_source));
        write_result(t, node);
        break;
    case FXC_TOUCH_SCATTER:
        (void)read_arguments(t, node, is_source);
        scatter(t, node);
        break;
    case FXC_TOUCH_CLONE_SCATTER:
        (void)read_arguments(t, node, NULL);
        write_result(t, node);
        scatter(t, node);
        break;
    case FXC_TOUCH_OVERWRITE:
        (void)read_arguments(t, node, is_source);
        write_result(t, node);
        break;
    case FXC_TOUCH_OUT:
        (void)read_arguments(t, node, is_out);
        write_result(t, node);
        break;
    case FXC_TOUCH_OUTPUTS:
        touch_outputs(t, node);
        break;
    case FXC_TOUCH_WRITE:
        write_result(t, node);
        break;
    default:
        (void)read_arguments(t, node, NULL);
        write_result(t, node);
        break;
    }
    return true;
}
