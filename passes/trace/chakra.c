/* A Chakra execution trace (github.com/mlcommons/chakra, schema/protobuf/et_def.proto): a COMP node for each kernel, a
 * COMM_COLL node for each collective, with the kernels that must run before. Every message stands behind its length.
 * Attributes are those that Chakra's feeder reads, in the types that it reads them as (et_feeder_node.cpp).
 *
 * ASTRA-sim takes the time of a COMP node from num_ops over tensor_size and drops nodes where the one or the other is
 * 0, so that a copy has one operation. */
#include <math.h>
#include <stdlib.h>

#include "fxcost/fusion.h"
#include "passes/cost/work.h"
#include "passes/fusion/fusion.h"
#include "passes/trace/trace.h"
#include "passes/trace/wire.h"

enum { NODE_ID = 1, NODE_NAME, NODE_TYPE, NODE_CTRL_DEPS, NODE_DATA_DEPS, NODE_START, NODE_DURATION, NODE_ATTR = 10 };
enum { META_VERSION = 1, META_ATTR };
enum { ATTR_NAME = 1, ATTR_DOUBLE = 3, ATTR_INT64 = 9, ATTR_UINT64 = 13, ATTR_BOOL = 27, ATTR_STRING = 29 };
enum { COMP_NODE = 4, COMM_COLL_NODE = 7 };

/* CollectiveCommType of each kind of collective. */
static const uint8_t collective_types[FXC_COLLECTIVE_COUNT] = {[FXC_COLLECTIVE_ALL_REDUCE] = 0,
                                                               [FXC_COLLECTIVE_ALL_GATHER] = 2,
                                                               [FXC_COLLECTIVE_REDUCE_SCATTER] = 7,
                                                               [FXC_COLLECTIVE_ALL_TO_ALL] = 6,
                                                               [FXC_COLLECTIVE_BROADCAST] = 5};

/* Who wrote a buffer last, and who has read it since: accesses are numbered as in the fact. */
struct buffers {
    uint32_t *writer;  /* per buffer: kernel + 1 */
    uint32_t *readers; /* per buffer: the latest access + 1 that reads it */
    uint32_t *next;    /* per access: the one before */
    uint32_t *kernel;  /* per access */
    uint32_t *seen;    /* per kernel: the kernel + 1 that it was last written down for */
    uint32_t *met;     /* per node: the same, of those that a walk has met */
    uint32_t *walk;    /* nodes that are still to be looked at */
};

struct chakra {
    fxc_analysis *analysis;
    const struct fxc_program *p;
    const struct fxc_fusion *fusion;
    const struct fxc_steps *steps;
    struct fxc_stream *out;
    struct buffers buffers;
    struct fxc_wire node, attr;
    uint64_t *deps;
    bool *written; /* per kernel: is it a node of the trace? */
    double start;  /* seconds */
};

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static void begin_attr(struct chakra *c, const char *name) {
    fxc_wire_clear(&c->attr);
    fxc_wire_text(&c->attr, ATTR_NAME, name);
}

static void put_number(struct chakra *c, uint32_t field, const char *name, uint32_t kind, uint64_t number) {
    begin_attr(c, name);
    fxc_wire_number(&c->attr, kind, number);
    fxc_wire_message(&c->node, field, &c->attr);
}

static void put_text(struct chakra *c, uint32_t field, const char *name, const char *text) {
    begin_attr(c, name);
    fxc_wire_text(&c->attr, ATTR_STRING, text);
    fxc_wire_message(&c->node, field, &c->attr);
}

/* ---- dependencies ------------------------------------------------------------------------------------------------ */

static void depend(struct chakra *c, uint32_t kernel, uint32_t on, size_t *count) {
    if (on != kernel && c->buffers.seen[on] != kernel + 1) {
        c->buffers.seen[on] = kernel + 1;
        c->deps[(*count)++] = on;
    }
}

/* A walk from a kernel's nodes back to those that make its operands. */
struct walk {
    struct chakra *chakra;
    uint32_t kernel, count;
};

static void meet(uint32_t value, void *context) {
    struct walk *walk = context;
    struct buffers *b = &walk->chakra->buffers;
    uint32_t node = walk->chakra->p->value_producer[value];
    if (node != FXC_NONE && b->met[node] != walk->kernel + 1) {
        b->met[node] = walk->kernel + 1;
        b->walk[walk->count++] = node;
    }
}

/* The kernels that a kernel's operands come from, through views and what else is no kernel. */
static void depend_on_operands(struct chakra *c, uint32_t kernel, size_t *deps) {
    const struct fxc_program *p = c->p;
    const struct fxc_kernel_row *row = &c->fusion->kernel[kernel];
    struct walk walk = {.chakra = c, .kernel = kernel, .count = row->member_count};
    for (uint32_t i = 0; i < row->member_count; i++) {
        uint32_t member = c->fusion->member[row->member_begin + i];
        c->buffers.met[member] = kernel + 1;
        c->buffers.walk[i] = member;
    }
    for (uint32_t i = 0; i < walk.count; i++) {
        uint32_t node = c->buffers.walk[i], home = i < row->member_count ? FXC_NONE : c->fusion->home[node];
        if (home != FXC_NONE && c->written[home]) {
            depend(c, kernel, home, deps);
            continue;
        }
        for (uint32_t arg = p->node_arg_begin[node]; arg < p->node_arg_begin[node + 1]; arg++) {
            fxc_each_value(p, p->arg_kind[arg], p->arg_payload[arg], meet, &walk);
        }
    }
}

/* What a kernel reads or writes over must have been written. */
static void put_data_deps(struct chakra *c, uint32_t kernel) {
    const struct fxc_kernel_row *row = &c->fusion->kernel[kernel];
    size_t count = 0;
    for (uint32_t i = row->access_begin; i < row->access_begin + row->access_count; i++) {
        uint32_t writer = c->buffers.writer[c->fusion->access[i].buffer];
        if (writer != 0) {
            depend(c, kernel, writer - 1, &count);
        }
    }
    depend_on_operands(c, kernel, &count);
    fxc_wire_packed(&c->node, NODE_DATA_DEPS, c->deps, count);
}

/* What it writes over must have been read. */
static void put_ctrl_deps(struct chakra *c, uint32_t kernel) {
    const struct fxc_kernel_row *row = &c->fusion->kernel[kernel];
    size_t count = 0;
    for (uint32_t i = row->access_begin; i < row->access_begin + row->access_count; i++) {
        const struct fxc_kernel_access *access = &c->fusion->access[i];
        for (uint32_t at = access->written ? c->buffers.readers[access->buffer] : 0; at != 0;
             at = c->buffers.next[at - 1]) {
            depend(c, kernel, c->buffers.kernel[at - 1], &count);
        }
    }
    fxc_wire_packed(&c->node, NODE_CTRL_DEPS, c->deps, count);
}

static void note_accesses(struct chakra *c, uint32_t kernel) {
    const struct fxc_kernel_row *row = &c->fusion->kernel[kernel];
    for (uint32_t i = row->access_begin; i < row->access_begin + row->access_count; i++) {
        const struct fxc_kernel_access *access = &c->fusion->access[i];
        c->buffers.kernel[i] = kernel;
        if (access->written) {
            c->buffers.writer[access->buffer] = kernel + 1;
            c->buffers.readers[access->buffer] = 0;
        } else {
            c->buffers.next[i] = c->buffers.readers[access->buffer];
            c->buffers.readers[access->buffer] = i + 1;
        }
    }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static bool is_collective(const struct chakra *c, const fxc_kernel_info *k) {
    const struct fxc_op_row *row = k->node_count == 1 ? fxc_node_row(c->p, k->nodes[0]) : NULL;
    return row != NULL && row->fuse == FXC_FUSE_COLLECTIVE;
}

/* Which collective, and of how many bytes; false for one that Chakra has no name for. How many take part is no matter
 * of the trace. */
static bool describe_collective(const struct chakra *c, const fxc_kernel_info *k, fxc_collective_shape *shape) {
    struct fxc_rule rule = {
        .program = c->p, .shapes = c->analysis->shapes, .bindings = c->analysis->bindings, .node = k->nodes[0]};
    fxc_counts counts = fxc_node_counts(c->analysis, k->nodes[0]);
    *shape = (fxc_collective_shape){0};
    (void)fxc_collective_of(&rule, &counts, shape);
    return shape->bytes > 0;
}

static void put_work(struct chakra *c, const struct fxc_step *step, const fxc_kernel_info *k) {
    fxc_collective_shape shape;
    int64_t flops = fxc_flops_of(&step->counts);
    bool collective = is_collective(c, k), known = collective && describe_collective(c, k, &shape);
    fxc_wire_number(&c->node, NODE_TYPE, known ? COMM_COLL_NODE : COMP_NODE);
    put_number(c, NODE_ATTR, "is_cpu_op", ATTR_BOOL, 0); /* the feeder takes a missing one for true */
    if (known) {
        put_number(c, NODE_ATTR, "comm_type", ATTR_INT64, collective_types[shape.collective]);
        put_number(c, NODE_ATTR, "comm_size", ATTR_INT64, (uint64_t)shape.bytes);
        return;
    }
    put_number(c, NODE_ATTR, "num_ops", ATTR_INT64, flops > 0 ? (uint64_t)flops : 1);
    put_number(c, NODE_ATTR, "tensor_size", ATTR_UINT64, (uint64_t)(k->bytes_read + k->bytes_written));
    if (step->unknown || collective) {
        put_number(c, NODE_ATTR, "unknown", ATTR_BOOL, 1);
    }
}

static void put_time(struct chakra *c, const struct fxc_step *step) {
    if (fxc_step_knows(step, FXC_AXIS_SECONDS) && c->start + step->seconds < 9e12) {
        double end = c->start + step->seconds;
        fxc_wire_number(&c->node, NODE_START, (uint64_t)(c->start * 1e6 + 0.5));
        fxc_wire_number(&c->node, NODE_DURATION, (uint64_t)(step->seconds * 1e6 + 0.5));
        c->start = end;
    }
}

static bool put_node(struct chakra *c, const struct fxc_step *step) {
    char name[FXC_STEP_NAME], module[640];
    if (!c->written[step->kernel]) {
        return true;
    }
    fxc_kernel_info k = {.struct_size = sizeof k};
    (void)fxc_analysis_kernel(c->analysis, step->kernel, &k, NULL);
    fxc_wire_clear(&c->node);
    fxc_wire_number(&c->node, NODE_ID, step->kernel);
    fxc_wire_text(&c->node, NODE_NAME, fxc_step_name(c->analysis, step, name));
    put_data_deps(c, step->kernel);
    put_ctrl_deps(c, step->kernel);
    put_time(c, step);
    put_work(c, step, &k);
    put_text(c, NODE_ATTR, "module", fxc_module_path(c->p, step->module, module, sizeof module));
    fxc_put_delimited(c->out, &c->node);
    note_accesses(c, step->kernel);
    return !c->node.failed && !c->attr.failed;
}

static bool put_head(struct chakra *c) {
    fxc_wire_clear(&c->node);
    fxc_wire_text(&c->node, META_VERSION, "0.0.4");
    put_text(c, META_ATTR, "producer", "fxcost " FXC_VERSION);
    put_text(c, META_ATTR, "program", c->p->file);
    put_text(c, META_ATTR, "device", c->steps->timed ? c->analysis->device->name : "");
    fxc_put_delimited(c->out, &c->node);
    return !c->node.failed && !c->attr.failed;
}

/* What does nothing, as the wait for a collective, is no node of the trace, nor is what was not asked for. */
static void choose_kernels(struct chakra *c) {
    for (uint32_t i = 0; i < c->steps->count; i++) {
        const struct fxc_kernel_row *row = &c->fusion->kernel[c->steps->step[i].kernel];
        c->written[c->steps->step[i].kernel] =
            row->access_count > 0 || row->executed_flops > 0 || row->executed_transcendentals > 0;
    }
}

static bool allocate(struct chakra *c, struct fxc_arena *arena) {
    uint32_t accesses = 0, buffers = 0, kernels = c->fusion->kernel_count;
    for (uint32_t k = 0; k < kernels; k++) {
        const struct fxc_kernel_row *row = &c->fusion->kernel[k];
        uint32_t end = row->access_begin + row->access_count;
        accesses = end > accesses ? end : accesses;
        for (uint32_t i = row->access_begin; i < end; i++) {
            uint32_t buffer = c->fusion->access[i].buffer;
            buffers = buffer >= buffers ? buffer + 1 : buffers;
        }
    }
    struct buffers *b = &c->buffers;
    b->writer = FXC_NEW(arena, uint32_t, buffers);
    b->readers = FXC_NEW(arena, uint32_t, buffers);
    b->next = FXC_NEW(arena, uint32_t, accesses);
    b->kernel = FXC_NEW(arena, uint32_t, accesses);
    b->seen = FXC_NEW(arena, uint32_t, kernels);
    b->met = FXC_NEW(arena, uint32_t, FXC_COUNT(c->p, node));
    b->walk = FXC_NEW(arena, uint32_t, FXC_COUNT(c->p, node));
    c->deps = FXC_NEW(arena, uint64_t, kernels);
    c->written = FXC_NEW(arena, bool, kernels);
    return b->writer != NULL && b->readers != NULL && b->next != NULL && b->kernel != NULL && b->seen != NULL &&
           b->met != NULL && b->walk != NULL && c->deps != NULL;
}

fxc_status fxc_write_chakra(fxc_analysis *analysis, const struct fxc_steps *steps, enum fxc_axis_id axis,
                            struct fxc_stream *out, fxc_error *err) {
    struct fxc_arena arena = {0};
    struct chakra c = {
        .analysis = analysis, .p = analysis->program, .fusion = analysis->fusion, .steps = steps, .out = out};
    (void)axis;
    bool done = allocate(&c, &arena) && put_head(&c);
    if (done) {
        choose_kernels(&c);
    }
    for (uint32_t i = 0; done && i < steps->count; i++) {
        done = put_node(&c, &steps->step[i]);
    }
    fxc_wire_free(&c.node);
    fxc_wire_free(&c.attr);
    fxc_arena_free(&arena);
    return done ? FXC_OK : fxc_fail_memory(err, "chakra");
}
