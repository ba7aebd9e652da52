/* Chrome's trace event format, which Perfetto reads: module calls as nested slices, nodes or kernels in them, bytes
 * alive as a counter. "Trace Event Format", Google, 2016: events B and E open and close a slice, C is a counter, M a
 * name; `ts` is in microseconds, fractions allowed.
 *
 * Positions are kept as whole ticks and written as such: picoseconds on an axis of seconds; one FLOP or byte on the
 * others, shown as a nanosecond, the finest that Perfetto shows. A step is no event X with a duration: readers add
 * that to its beginning in floating point, and a slice that ends a rounding error behind the next one's beginning no
 * longer nests. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "fxcost/fusion.h"
#include "passes/report/json.h"
#include "passes/report/rows.h"
#include "passes/trace/trace.h"

enum { PICOSECONDS = 6, NANOSECONDS = 3 }; /* decimals of a tick in microseconds */

struct chrome {
    fxc_analysis *analysis;
    const struct fxc_program *p;
    enum fxc_axis_id axis;
    struct fxc_json json;
    struct fxc_open_call open[FXC_STEP_DEPTH];
    uint32_t depth;
    int64_t now; /* ticks */
};

static void put_ticks(struct chrome *c, int64_t ticks) {
    char text[48];
    bool fine = c->axis == FXC_AXIS_SECONDS;
    int64_t unit = fine ? 1000000 : 1000;
    (void)snprintf(text, sizeof text, "%" PRId64 ".%0*" PRId64, ticks / unit, fine ? PICOSECONDS : NANOSECONDS,
                   ticks % unit);
    fxc_json_number(&c->json, "ts", text);
}

static void begin_event(struct chrome *c, const char *phase, const char *name) {
    fxc_put(c->json.out, "\n"); /* an event a line */
    fxc_json_open(&c->json, NULL, '{');
    fxc_json_string(&c->json, "ph", phase);
    fxc_json_string(&c->json, "name", name);
    fxc_json_int(&c->json, "pid", 1);
    fxc_json_int(&c->json, "tid", 1);
}

static void put_name(struct chrome *c, const char *what, const char *name) {
    begin_event(c, "M", what);
    fxc_json_open(&c->json, "args", '{');
    fxc_json_string(&c->json, "name", name);
    fxc_json_close(&c->json, '}');
    fxc_json_close(&c->json, '}');
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

static void put_module(struct chrome *c, const char *phase, const struct fxc_open_call *open) {
    char label[640];
    begin_event(c, phase, fxc_module_label(c->p, open->module, label, sizeof label));
    fxc_json_string(&c->json, "cat", "module");
    put_ticks(c, c->now);
    fxc_json_close(&c->json, '}');
}

static void close_to(struct chrome *c, uint32_t depth) {
    while (c->depth > depth) {
        put_module(c, "E", &c->open[--c->depth]);
    }
}

/* Closes the calls that the step is not in, and opens those that it is in. */
static void enter(struct chrome *c, const struct fxc_step *step) {
    struct fxc_open_call stack[FXC_STEP_DEPTH];
    uint32_t depth = fxc_step_stack(c->p, step, stack), same = 0;
    while (same < depth && same < c->depth && stack[same].module == c->open[same].module &&
           stack[same].call == c->open[same].call) {
        same++;
    }
    close_to(c, same);
    while (c->depth < depth) {
        c->open[c->depth] = stack[c->depth];
        put_module(c, "B", &c->open[c->depth++]);
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* Length of a step in ticks, 0 for one that is not known. True on overflow. */
static bool ticks_of(const struct chrome *c, const struct fxc_step *step, int64_t *out) {
    *out = 0;
    if (!fxc_step_knows(step, c->axis)) {
        return false;
    }
    if (c->axis == FXC_AXIS_BYTES) {
        return fxc_add(step->counts.bytes_read, step->counts.bytes_written, out);
    }
    if (c->axis == FXC_AXIS_FLOPS) {
        *out = fxc_flops_of(&step->counts);
        return false;
    }
    double ticks = step->seconds * 1e12;
    bool large = !(ticks < 9e18);
    *out = large ? 0 : (int64_t)(ticks + 0.5);
    return large;
}

static void put_live(struct chrome *c, int64_t bytes) {
    if (bytes >= 0) {
        begin_event(c, "C", "live bytes");
        put_ticks(c, c->now);
        fxc_json_open(&c->json, "args", '{');
        fxc_json_int(&c->json, "bytes", bytes);
        fxc_json_close(&c->json, '}');
        fxc_json_close(&c->json, '}');
    }
}

static void put_kernel_nodes(struct chrome *c, uint32_t kernel) {
    fxc_kernel_info k = {.struct_size = sizeof k};
    (void)fxc_analysis_kernel(c->analysis, kernel, &k, NULL);
    fxc_json_open(&c->json, "nodes", '[');
    for (uint32_t i = 0; i < k.node_count; i++) {
        fxc_json_string(&c->json, NULL, fxc_node_name(c->p, k.nodes[i]));
    }
    fxc_json_close(&c->json, ']');
}

static void put_arguments(struct chrome *c, const struct fxc_step *step) {
    struct fxc_json *json = &c->json;
    char text[640];
    const char *file;
    uint32_t line;
    fxc_json_open(json, "args", '{');
    fxc_json_string(json, "op", fxc_step_label(c->analysis, step, text));
    if (step->node != FXC_NONE) {
        fxc_json_string(json, "result", fxc_shape_text(c->analysis, c->p->node_result[step->node], text, sizeof text));
    }
    if (step->kernel != FXC_NONE) {
        put_kernel_nodes(c, step->kernel);
    }
    if (fxc_step_source(c->analysis, step, &file, &line)) {
        (void)snprintf(text, sizeof text, "%.500s:%u", file, line);
        fxc_json_string(json, "source", text);
    }
    if (step->executions != 1) {
        fxc_json_int(json, "executions", step->executions);
    }
    if (!step->unknown) {
        fxc_json_int(json, "flops", fxc_flops_of(&step->counts));
        fxc_json_int(json, "macs", step->counts.macs);
    }
    fxc_json_int(json, "bytes_read", step->counts.bytes_read);
    fxc_json_int(json, "bytes_written", step->counts.bytes_written);
    if (fxc_step_knows(step, FXC_AXIS_SECONDS)) {
        fxc_json_double(json, "seconds", step->seconds);
    }
    fxc_json_close(json, '}');
}

static void put_step(struct chrome *c, const struct fxc_step *step, int64_t end) {
    char name[FXC_STEP_NAME];
    bool known = fxc_step_knows(step, c->axis);
    (void)fxc_step_name(c->analysis, step, name);
    enter(c, step);
    put_live(c, step->live_within);
    begin_event(c, "B", name);
    fxc_json_string(&c->json, "cat", !known ? "unknown" : step->kernel != FXC_NONE ? "kernel" : "node");
    put_ticks(c, c->now);
    put_arguments(c, step);
    fxc_json_close(&c->json, '}');
    c->now = end;
    begin_event(c, "E", name);
    put_ticks(c, c->now);
    fxc_json_close(&c->json, '}');
    put_live(c, step->live_after);
}

static fxc_status put_steps(struct chrome *c, const struct fxc_steps *steps, fxc_error *err) {
    for (uint32_t i = 0; i < steps->count; i++) {
        int64_t ticks, end;
        if (ticks_of(c, &steps->step[i], &ticks) || fxc_add(c->now, ticks, &end)) {
            return fxc_fail(err, FXC_OVERFLOW, "%s: length of the trace", c->p->file);
        }
        put_step(c, &steps->step[i], end);
    }
    close_to(c, 0);
    return FXC_OK;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* What the axis is, for the name of the process and the data beside the events. */
static const char *axis_text(const struct chrome *c, char *buffer, size_t size) {
    if (c->axis == FXC_AXIS_SECONDS) {
        (void)snprintf(buffer, size, "predicted time on %.80s", c->analysis->device->name);
    } else {
        (void)snprintf(buffer, size, "%s, not time: 1 %s is drawn as 1 ns",
                       c->axis == FXC_AXIS_FLOPS ? "FLOPs" : "bytes", c->axis == FXC_AXIS_FLOPS ? "FLOP" : "byte");
    }
    return buffer;
}

static void put_other(struct chrome *c, const struct fxc_steps *steps) {
    char text[160];
    uint32_t unknown = c->axis == FXC_AXIS_SECONDS ? steps->untimed : c->axis == FXC_AXIS_FLOPS ? steps->unknown : 0;
    fxc_json_string(&c->json, "displayTimeUnit", "ns");
    fxc_json_open(&c->json, "otherData", '{');
    fxc_json_string(&c->json, "producer", "fxcost");
    fxc_json_string(&c->json, "version", fxc_version());
    fxc_json_string(&c->json, "program", c->p->file);
    fxc_json_string(&c->json, "axis", axis_text(c, text, sizeof text));
    (void)snprintf(text, sizeof text, "%u", unknown);
    fxc_json_string(&c->json, "steps_of_unknown_length", text);
    fxc_json_close(&c->json, '}');
}

fxc_status fxc_write_chrome(fxc_analysis *analysis, const struct fxc_steps *steps, enum fxc_axis_id axis,
                            struct fxc_stream *out, fxc_error *err) {
    struct chrome c = {.analysis = analysis, .p = analysis->program, .axis = axis, .json = {out, false}};
    char axis_name[160], name[640];
    fxc_json_open(&c.json, NULL, '{');
    put_other(&c, steps);
    fxc_json_open(&c.json, "traceEvents", '[');
    (void)snprintf(name, sizeof name, "%.400s: %s", c.p->file, axis_text(&c, axis_name, sizeof axis_name));
    put_name(&c, "process_name", name);
    put_name(&c, "thread_name", steps->of_kernels ? "modules and kernels" : "modules and nodes");
    FXC_TRY(put_steps(&c, steps, err));
    fxc_json_close(&c.json, ']');
    fxc_json_close(&c.json, '}');
    fxc_put(out, "\n");
    return FXC_OK;
}
