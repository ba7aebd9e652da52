/* pprof's profile.proto (github.com/google/pprof, proto/profile.proto): one sample a step with all its quantities, over
 * the stack of module calls. Uncompressed, which pprof reads too: it unpacks what begins with gzip's magic number. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "passes/trace/trace.h"
#include "passes/trace/wire.h"

/* Numbers of fields, as the .proto has them. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING, PROFILE_LOCATION, PROFILE_FUNCTION, PROFILE_TEXT };
enum { PROFILE_COMMENT = 13, PROFILE_DEFAULT_SAMPLE_TYPE = 14 };
enum { TYPE_TYPE = 1, TYPE_UNIT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_TEXT };
enum { MAPPING_ID = 1, MAPPING_FILE = 5, MAPPING_FUNCTIONS = 7, MAPPING_FILES, MAPPING_LINES };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1, LINE_LINE };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILE };

/* What a sample holds. X(name, unit): units that pprof knows are scaled when they are shown. Time comes last, and only
 * with a device. */
#define FXC_PPROF_LIST(X)                                                                                              \
    X(flops, "count")                                                                                                  \
    X(macs, "count")                                                                                                   \
    X(transcendentals, "count")                                                                                        \
    X(bytes_read, "bytes")                                                                                             \
    X(bytes_written, "bytes")                                                                                          \
    X(bytes, "bytes")                                                                                                  \
    X(kernels, "count")                                                                                                \
    X(unknown, "count")                                                                                                \
    X(time, "nanoseconds")
enum {
#define X(name, unit) VALUE_##name,
    FXC_PPROF_LIST(X)
#undef X
        VALUE_COUNT
};

struct pprof {
    fxc_analysis *analysis;
    const struct fxc_steps *steps;
    const struct fxc_frames *frames;
    struct fxc_stream *out;
    struct fxc_texts texts;
    struct fxc_wire message, part;
    bool failed;
};

static uint64_t text(struct pprof *f, const char *string) {
    uint32_t at = fxc_texts_find(&f->texts, string);
    f->failed |= at == FXC_NONE;
    return at;
}

static void flush(struct pprof *f, uint32_t field) {
    f->failed |= f->message.failed || f->part.failed;
    fxc_put_field(f->out, field, &f->message);
    fxc_wire_clear(&f->message);
}

static uint32_t value_count(const struct pprof *f) {
    return f->steps->timed ? VALUE_COUNT : VALUE_time;
}

static void put_types(struct pprof *f) {
    static const char *const types[][2] = {
#define X(name, unit) {#name, unit},
        FXC_PPROF_LIST(X)
#undef X
    };
    for (uint32_t i = 0; i < value_count(f); i++) {
        fxc_wire_number(&f->message, TYPE_TYPE, text(f, types[i][0]));
        fxc_wire_number(&f->message, TYPE_UNIT, text(f, types[i][1]));
        flush(f, PROFILE_SAMPLE_TYPE);
    }
}

/* One mapping, the program, of which all is known that pprof would otherwise look for in a binary. */
static void put_mapping(struct pprof *f) {
    fxc_wire_number(&f->message, MAPPING_ID, 1);
    fxc_wire_number(&f->message, MAPPING_FILE, text(f, f->analysis->program->file));
    fxc_wire_number(&f->message, MAPPING_FUNCTIONS, 1);
    fxc_wire_number(&f->message, MAPPING_FILES, 1);
    fxc_wire_number(&f->message, MAPPING_LINES, 1);
    flush(f, PROFILE_MAPPING);
}

/* Frame i is location i + 1 and function i + 1. */
static void put_frame(struct pprof *f, uint32_t index) {
    const struct fxc_frame *frame = &f->frames->frame[index];
    uint64_t name = text(f, frame->name);
    fxc_wire_number(&f->message, FUNCTION_ID, index + 1u);
    fxc_wire_number(&f->message, FUNCTION_NAME, name);
    fxc_wire_number(&f->message, FUNCTION_SYSTEM_NAME, name);
    fxc_wire_number(&f->message, FUNCTION_FILE, text(f, frame->file));
    flush(f, PROFILE_FUNCTION);

    fxc_wire_clear(&f->part);
    fxc_wire_number(&f->part, LINE_FUNCTION, index + 1u);
    fxc_wire_number(&f->part, LINE_LINE, frame->line);
    fxc_wire_number(&f->message, LOCATION_ID, index + 1u);
    fxc_wire_number(&f->message, LOCATION_MAPPING, 1);
    fxc_wire_message(&f->message, LOCATION_LINE, &f->part);
    flush(f, PROFILE_LOCATION);
}

/* Nanoseconds, rounded; what is not known is 0 here, and counted as unknown. */
static uint64_t nanoseconds_of(const struct fxc_step *step) {
    double ns = step->seconds * 1e9;
    return ns >= 0 && ns < 9e18 ? (uint64_t)(ns + 0.5) : 0;
}

static bool values_of(const struct pprof *f, const struct fxc_step *step, uint64_t values[VALUE_COUNT]) {
    int64_t bytes;
    bool untimed = f->steps->timed && !fxc_step_knows(step, FXC_AXIS_SECONDS);
    bool overflow = fxc_add(step->counts.bytes_read, step->counts.bytes_written, &bytes);
    values[VALUE_flops] = (uint64_t)fxc_flops_of(&step->counts);
    values[VALUE_macs] = (uint64_t)step->counts.macs;
    values[VALUE_transcendentals] = (uint64_t)step->counts.transcendentals;
    values[VALUE_bytes_read] = (uint64_t)step->counts.bytes_read;
    values[VALUE_bytes_written] = (uint64_t)step->counts.bytes_written;
    values[VALUE_bytes] = (uint64_t)bytes;
    values[VALUE_kernels] = (uint64_t)step->counts.kernels;
    values[VALUE_unknown] = step->unknown || untimed;
    values[VALUE_time] = nanoseconds_of(step);
    return overflow;
}

static bool put_sample(struct pprof *f, uint32_t index) {
    const struct fxc_step *step = &f->steps->step[index];
    struct fxc_open_call stack[FXC_STEP_DEPTH];
    uint64_t location[FXC_STEP_DEPTH + 1], values[VALUE_COUNT];
    char name[FXC_STEP_NAME];
    uint32_t depth = fxc_step_stack(f->analysis->program, step, stack), count = 0;
    bool overflow = values_of(f, step, values);
    location[count++] = f->frames->step[index] + 1u;
    while (depth-- > 0) { /* innermost first */
        location[count++] = f->frames->module[stack[depth].module] + 1u;
    }
    fxc_wire_clear(&f->part);
    fxc_wire_number(&f->part, LABEL_KEY, text(f, f->steps->of_kernels ? "kernel" : "node"));
    fxc_wire_number(&f->part, LABEL_TEXT, text(f, fxc_step_name(f->analysis, step, name)));
    fxc_wire_packed(&f->message, SAMPLE_LOCATION, location, count);
    fxc_wire_packed(&f->message, SAMPLE_VALUE, values, value_count(f));
    fxc_wire_message(&f->message, SAMPLE_LABEL, &f->part);
    flush(f, PROFILE_SAMPLE);
    return overflow;
}

/* Text 0 is "", as the format demands; a text that is 0 may be left out, and is not. */
static void put_texts(struct pprof *f) {
    for (uint32_t i = 0; i < f->texts.count; i++) {
        struct fxc_wire view = {.bytes = (uint8_t *)(uintptr_t)f->texts.text[i], .size = strlen(f->texts.text[i])};
        fxc_put_field(f->out, PROFILE_TEXT, &view);
    }
}

static void put_head(struct pprof *f, enum fxc_axis_id axis) {
    static const char *const preferred[] = {
        [FXC_AXIS_SECONDS] = "time", [FXC_AXIS_FLOPS] = "flops", [FXC_AXIS_BYTES] = "bytes"};
    char comment[200];
    (void)snprintf(comment, sizeof comment, "predicted by fxcost %s, no measurement%s%.80s", fxc_version(),
                   f->steps->timed ? "; times are of " : "", f->steps->timed ? f->analysis->device->name : "");
    fxc_wire_clear(&f->message);
    fxc_wire_number(&f->message, PROFILE_COMMENT, text(f, comment));
    fxc_wire_number(&f->message, PROFILE_DEFAULT_SAMPLE_TYPE, text(f, preferred[axis]));
    fxc_put_bytes(f->out, f->message.bytes, f->message.size);
    fxc_wire_clear(&f->message);
}

static fxc_status put_profile(struct pprof *f, enum fxc_axis_id axis, fxc_error *err) {
    bool overflow = false;
    (void)text(f, "");
    put_types(f);
    put_mapping(f);
    for (uint32_t i = 0; i < f->frames->count && !f->failed; i++) {
        put_frame(f, i);
    }
    for (uint32_t i = 0; i < f->steps->count && !f->failed; i++) {
        overflow |= put_sample(f, i);
    }
    put_head(f, axis);
    put_texts(f);
    if (overflow) {
        return fxc_fail(err, FXC_OVERFLOW, "%s: bytes of a step", f->analysis->program->file);
    }
    return f->failed ? fxc_fail_memory(err, "pprof") : FXC_OK;
}

fxc_status fxc_write_pprof(fxc_analysis *analysis, const struct fxc_steps *steps, enum fxc_axis_id axis,
                           struct fxc_stream *out, fxc_error *err) {
    struct fxc_frames frames;
    struct pprof f = {.analysis = analysis, .steps = steps, .frames = &frames, .out = out};
    fxc_status status = fxc_frames_build(analysis, steps, &frames, err);
    if (status == FXC_OK) {
        status = put_profile(&f, axis, err);
    }
    fxc_wire_free(&f.message);
    fxc_wire_free(&f.part);
    fxc_texts_free(&f.texts);
    fxc_arena_free(&frames.arena);
    return status;
}
