/* traffic: bytes read and written and kernels of every node under the eager profile.
 *
 * Each node runs as eager dispatch runs it: every kernel reads its operands from memory and writes its results, and
 * nothing stays in a cache between nodes. A byte is counted once per node however often the node uses it; an element
 * that a stride of 0 repeats is read once. What a row's `touch` says is in ir/ops.h. Workspace that a kernel allocates
 * for itself is not counted. */
#include <stdio.h>
#include <string.h>

#include "ir/ops.h"
#include "passes/alias/alias.h"
#include "passes/rule.h"

struct sums {
    int64_t read, written;
    bool overflow;
};

struct traffic_pass {
    struct fxc_analysis *analysis;
    const struct fxc_program *p;
    uint16_t *op_kernels; /* per op of the program */
};

static void add(struct sums *sums, int64_t *total, int64_t bytes) {
    sums->overflow |= fxc_add(*total, bytes, total);
}

/* Bytes of the distinct elements of a tensor value; 0 for other values, and for sizes that are not known. */
static int64_t value_bytes(const struct traffic_pass *pass, uint32_t value, struct sums *sums) {
    const struct fxc_shapes *shapes = pass->analysis->shapes;
    int64_t elements = shapes->numel[value], bytes = 0;
    if (pass->p->value_kind[value] != FXC_KIND_TENSOR || elements <= 0) {
        return 0;
    }
    const int64_t *size = shapes->size + shapes->dim_begin[value], *stride = shapes->stride + shapes->dim_begin[value];
    for (uint32_t d = 0; d < shapes->rank[value]; d++) {
        if (stride[d] == 0 && size[d] > 1) {
            elements /= size[d];
        }
    }
    sums->overflow |= fxc_bytes_of(shapes->dtype[value], elements, &bytes);
    return bytes;
}

static int64_t result_bytes(const struct traffic_pass *pass, uint32_t node, struct sums *sums) {
    const struct fxc_program *p = pass->p;
    uint32_t result = p->node_result[node];
    if (p->value_kind[result] != FXC_KIND_LIST) {
        return value_bytes(pass, result, sums);
    }
    int64_t total = 0;
    uint32_t list = (uint32_t)p->value_payload[result];
    for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
        if (p->item_kind[i] == FXC_KIND_VALUE) {
            add(sums, &total, value_bytes(pass, (uint32_t)p->item_payload[i], sums));
        }
    }
    return total;
}

/* Bytes of a tensor, or of those in a list; collectives take lists of lists (the inner one has the smaller index). */
static int64_t item_bytes(const struct traffic_pass *pass, uint8_t kind, int64_t payload, struct sums *sums) {
    const struct fxc_program *p = pass->p;
    if (kind == FXC_KIND_VALUE) {
        return value_bytes(pass, (uint32_t)payload, sums);
    }
    int64_t total = 0;
    for (uint32_t i = kind == FXC_KIND_LIST ? p->list_begin[payload] : 0;
         kind == FXC_KIND_LIST && i < p->list_begin[payload + 1]; i++) {
        add(sums, &total, item_bytes(pass, p->item_kind[i], p->item_payload[i], sums));
    }
    return total;
}

static int64_t argument_bytes(const struct traffic_pass *pass, uint32_t arg, struct sums *sums) {
    return item_bytes(pass, pass->p->arg_kind[arg], pass->p->arg_payload[arg], sums);
}

static bool is_source(uint16_t name) {
    return name == FXC_NAME_self || name == FXC_NAME_input || name == FXC_NAME_weight;
}

static bool is_out(uint16_t name) {
    return name == FXC_NAME_out;
}

/* Bytes of all tensor arguments but the first of a name: the source that an indexed op reads or writes in part, of
 * embedding(weight, indices) and index_select(self, dim, index); or what is written. NULL: of all. */
static int64_t arguments_bytes(const struct traffic_pass *pass, uint32_t node, bool (*but)(uint16_t),
                               struct sums *sums) {
    const struct fxc_program *p = pass->p;
    int64_t total = 0;
    bool skipped = but == NULL;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        if (!skipped && but(p->argname_id[p->arg_name[a]])) {
            skipped = true;
            continue;
        }
        add(sums, &total, argument_bytes(pass, a, sums));
    }
    return total;
}

/* Bytes of the source of a scatter: its `source`, `src`, `values` or `value`; 0 when it writes a scalar. */
static int64_t scattered_bytes(const struct traffic_pass *pass, uint32_t node, struct sums *sums) {
    static const enum fxc_name names[] = {FXC_NAME_source, FXC_NAME_src, FXC_NAME_values, FXC_NAME_value,
                                          FXC_NAME_tensor};
    const struct fxc_program *p = pass->p;
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
            if (p->argname_id[p->arg_name[a]] == names[n]) {
                return argument_bytes(pass, a, sums);
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
static void touch_outputs(const struct traffic_pass *pass, uint32_t node, struct sums *sums) {
    const struct fxc_program *p = pass->p;
    int64_t gathered = 0;
    bool named = false;
    for (uint32_t a = p->node_arg_begin[node]; a < p->node_arg_begin[node + 1]; a++) {
        uint16_t name = p->argname_id[p->arg_name[a]];
        int64_t bytes = argument_bytes(pass, a, sums);
        named |= is_output(name);
        add(sums,
            is_output(name)                      ? &sums->written
            : name == FXC_NAME_all_gather_output ? &gathered
                                                 : &sums->read,
            bytes);
    }
    add(sums, named ? &sums->read : &sums->written, named ? gathered : sums->read);
}

/* Does the node hand on an argument's memory and write none? Then nothing runs: a view, a reshape or contiguous that
 * had nothing to do, dropout in eval. */
static bool only_aliases(const struct traffic_pass *pass, uint32_t node) {
    const struct fxc_alias *alias = pass->analysis->alias;
    uint8_t memory = alias->result_memory[pass->p->node_result[node]];
    bool writes = alias->node_write_begin[node] != alias->node_write_end[node];
    return (memory == FXC_MEMORY_VIEW || memory == FXC_MEMORY_SAME) && !writes;
}

/* Python's operators work on scalars, mostly. */
static bool only_scalars(const struct traffic_pass *pass, uint32_t node) {
    return pass->p->op_origin[pass->p->node_op[node]] == FXC_OP_ORIGIN_BUILTIN &&
           pass->analysis->alias->result_memory[pass->p->node_result[node]] == FXC_MEMORY_NOTHING;
}

/* What a node touches, given its row; false when it runs no kernel. */
static bool touch_node(const struct traffic_pass *pass, uint32_t node, uint8_t touch, struct sums *sums) {
    if (touch == FXC_TOUCH_NONE || only_aliases(pass, node) || only_scalars(pass, node)) {
        return false;
    }
    switch ((enum fxc_touch)touch) {
    case FXC_TOUCH_GATHER:
        sums->written = result_bytes(pass, node, sums);
        sums->read = arguments_bytes(pass, node, is_source, sums);
        add(sums, &sums->read, sums->written);
        return true;
    case FXC_TOUCH_SCATTER:
        sums->read = arguments_bytes(pass, node, is_source, sums);
        sums->written = scattered_bytes(pass, node, sums);
        return true;
    case FXC_TOUCH_CLONE_SCATTER:
        sums->read = arguments_bytes(pass, node, NULL, sums);
        sums->written = result_bytes(pass, node, sums);
        add(sums, &sums->written, scattered_bytes(pass, node, sums));
        return true;
    case FXC_TOUCH_OVERWRITE:
        sums->read = arguments_bytes(pass, node, is_source, sums);
        sums->written = result_bytes(pass, node, sums);
        return true;
    case FXC_TOUCH_OUT:
        sums->read = arguments_bytes(pass, node, is_out, sums);
        sums->written = result_bytes(pass, node, sums);
        return true;
    case FXC_TOUCH_OUTPUTS:
        touch_outputs(pass, node, sums);
        return true;
    case FXC_TOUCH_WRITE:
        sums->written = result_bytes(pass, node, sums);
        return true;
    default:
        break;
    }
    sums->read = arguments_bytes(pass, node, NULL, sums);
    sums->written = result_bytes(pass, node, sums);
    return true;
}

/* ---- kernels per operator ------------------------------------------------------------------------------------------
 */

/* Does this entry of an expansion ("aten.view", a packet) move data? Asked of the table through the packet's overload.
 */
static bool packet_moves_data(const char *name, size_t length) {
    static const char *const overloads[] = {"default", "int", "Tensor", "memory_format"};
    for (size_t i = 0; i < sizeof overloads / sizeof overloads[0]; i++) {
        char full[96];
        (void)snprintf(full, sizeof full, "%.*s.%s", (int)length, name, overloads[i]);
        const struct fxc_op_row *row = fxc_op_lookup(full);
        if (row != NULL) {
            return row->touch != FXC_TOUCH_NONE;
        }
    }
    return true;
}

/* Kernels that eager dispatch launches for a row: the entries of its expansion that move data. */
static uint16_t row_kernels(const struct fxc_op_row *row) {
    uint16_t kernels = 0;
    for (const char *entry = row->eager; *entry != '\0';) {
        size_t length = strcspn(entry, ",");
        kernels = (uint16_t)(kernels + packet_moves_data(entry, length));
        entry += length + (entry[length] == ',');
    }
    return row->eager[0] == '\0' ? 1 : kernels;
}

static fxc_status fail_overflow(const struct traffic_pass *pass, uint32_t node, fxc_error *err) {
    fxc_status status = fxc_fail_node(err, FXC_OVERFLOW, pass->p, node);
    fxc_expected(err, "bytes that fit in 64 bits");
    return status;
}

static fxc_status allocate(struct traffic_pass *pass, struct fxc_traffic **out, fxc_error *err) {
    struct fxc_arena *arena = &pass->analysis->arena[FXC_FACT_traffic];
    uint32_t nodes = FXC_COUNT(pass->p, node);
    struct fxc_traffic *traffic = FXC_NEW(arena, struct fxc_traffic, 1);
    pass->op_kernels = FXC_NEW(arena, uint16_t, FXC_COUNT(pass->p, op));
    if (traffic == NULL || pass->op_kernels == NULL) {
        return fxc_fail_memory(err, "traffic");
    }
    traffic->bytes_read = FXC_NEW(arena, int64_t, nodes);
    traffic->bytes_written = FXC_NEW(arena, int64_t, nodes);
    traffic->kernels = FXC_NEW(arena, int32_t, nodes);
    if (traffic->bytes_read == NULL || traffic->bytes_written == NULL || traffic->kernels == NULL) {
        return fxc_fail_memory(err, "traffic");
    }
    *out = traffic;
    return FXC_OK;
}

fxc_status fxc_run_traffic(struct fxc_analysis *analysis, fxc_error *err) {
    struct traffic_pass pass = {analysis, analysis->program, NULL};
    struct fxc_traffic *traffic = NULL;
    FXC_TRY(allocate(&pass, &traffic, err));
    for (uint32_t op = 0; op < FXC_COUNT(pass.p, op); op++) {
        pass.op_kernels[op] = pass.p->op_row[op] == NULL ? 1 : row_kernels(pass.p->op_row[op]);
    }
    for (uint32_t node = 0; node < FXC_COUNT(pass.p, node); node++) {
        const struct fxc_op_row *row = fxc_node_row(pass.p, node);
        struct sums sums = {0, 0, false};
        /* An op without a row moves at least its arguments and results. */
        bool runs = touch_node(&pass, node, row == NULL ? FXC_TOUCH_FULL : row->touch, &sums);
        if (sums.overflow) {
            return fail_overflow(&pass, node, err);
        }
        traffic->bytes_read[node] = sums.read;
        traffic->bytes_written[node] = sums.written;
        traffic->kernels[node] = runs ? pass.op_kernels[pass.p->node_op[node]] : 0;
    }
    analysis->traffic = traffic;
    return FXC_OK;
}
