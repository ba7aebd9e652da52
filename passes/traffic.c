/* traffic: bytes read and written and kernels of every node under the eager profile.
 *
 * Each node runs as eager dispatch runs it: every kernel reads its operands from memory and writes its results, and
 * nothing stays in a cache between nodes. An element that a stride of 0 repeats is read once. What a node touches is in
 * passes/traffic/touch.c. Workspace that a kernel allocates for itself is not counted. */
#include <stdio.h>
#include <string.h>

#include "ir/ops.h"
#include "passes/analysis.h"
#include "passes/traffic/touch.h"

struct sums {
    struct fxc_touch_sink sink;
    int64_t read, written;
};

struct traffic_pass {
    struct fxc_analysis *analysis;
    const struct fxc_program *p;
    uint16_t *op_kernels; /* per op of the program */
};

static void add(struct fxc_touch_sink *sink, uint32_t value, int64_t bytes, bool written) {
    struct sums *sums = (struct sums *)sink;
    int64_t *total = written ? &sums->written : &sums->read;
    (void)value;
    sink->overflow |= fxc_add(*total, bytes, total);
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
        struct sums sums = {.sink = {.tensor = add}};
        bool runs = fxc_touch_node(analysis, node, &sums.sink);
        if (sums.sink.overflow) {
            return fail_overflow(&pass, node, err);
        }
        traffic->bytes_read[node] = sums.read;
        traffic->bytes_written[node] = sums.written;
        traffic->kernels[node] = runs ? pass.op_kernels[pass.p->node_op[node]] : 0;
    }
    analysis->traffic = traffic;
    return FXC_OK;
}
