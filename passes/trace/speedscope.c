/* speedscope's own format: FLOPs, bytes and seconds as profiles of one file, over the stack of module calls. Its schema
 * is https://www.speedscope.app/file-format-schema.json: a "sampled" profile is a list of stacks, outermost frame
 * first, and their weights. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "passes/report/json.h"
#include "passes/trace/trace.h"

struct speedscope {
    fxc_analysis *analysis;
    const struct fxc_steps *steps;
    const struct fxc_frames *frames;
    struct fxc_json json;
};

static void put_frames(struct speedscope *s) {
    fxc_json_open(&s->json, "shared", '{');
    fxc_json_open(&s->json, "frames", '[');
    for (uint32_t i = 0; i < s->frames->count; i++) {
        const struct fxc_frame *frame = &s->frames->frame[i];
        fxc_json_open(&s->json, NULL, '{');
        fxc_json_string(&s->json, "name", frame->name);
        if (frame->file[0] != '\0') {
            fxc_json_string(&s->json, "file", frame->file);
            fxc_json_int(&s->json, "line", frame->line);
        }
        fxc_json_close(&s->json, '}');
    }
    fxc_json_close(&s->json, ']');
    fxc_json_close(&s->json, '}');
}

/* A step weighs in a profile when its quantity is known and above zero. True on overflow. */
static bool weight_of(const struct fxc_step *step, enum fxc_axis_id axis, int64_t *count, bool *weighs) {
    *count = 0;
    *weighs = false;
    if (!fxc_step_knows(step, axis)) {
        return false;
    }
    if (axis == FXC_AXIS_SECONDS) {
        *weighs = step->seconds > 0;
        return false;
    }
    bool overflow = false;
    if (axis == FXC_AXIS_FLOPS) {
        *count = fxc_flops_of(&step->counts);
    } else {
        overflow = fxc_add(step->counts.bytes_read, step->counts.bytes_written, count);
    }
    *weighs = *count > 0;
    return overflow;
}

static void put_sample(struct speedscope *s, uint32_t index) {
    struct fxc_open_call stack[FXC_STEP_DEPTH];
    uint32_t depth = fxc_step_stack(s->analysis->program, &s->steps->step[index], stack);
    fxc_json_open(&s->json, NULL, '[');
    for (uint32_t i = 0; i < depth; i++) {
        fxc_json_int(&s->json, NULL, s->frames->module[stack[i].module]);
    }
    fxc_json_int(&s->json, NULL, s->frames->step[index]);
    fxc_json_close(&s->json, ']');
}

static fxc_status put_samples(struct speedscope *s, enum fxc_axis_id axis, fxc_error *err) {
    int64_t count, sum = 0;
    double seconds = 0;
    bool weighs, overflow = false;
    fxc_json_open(&s->json, "samples", '[');
    for (uint32_t i = 0; i < s->steps->count; i++) {
        overflow |= weight_of(&s->steps->step[i], axis, &count, &weighs) || fxc_add(sum, count, &sum);
        if (weighs) {
            put_sample(s, i);
            seconds += axis == FXC_AXIS_SECONDS ? s->steps->step[i].seconds : 0;
        }
    }
    fxc_json_close(&s->json, ']');
    fxc_json_open(&s->json, "weights", '[');
    for (uint32_t i = 0; i < s->steps->count; i++) {
        (void)weight_of(&s->steps->step[i], axis, &count, &weighs);
        if (weighs && axis == FXC_AXIS_SECONDS) {
            fxc_json_double(&s->json, NULL, s->steps->step[i].seconds);
        } else if (weighs) {
            fxc_json_int(&s->json, NULL, count);
        }
    }
    fxc_json_close(&s->json, ']');
    fxc_json_int(&s->json, "startValue", 0);
    if (axis == FXC_AXIS_SECONDS) {
        fxc_json_double(&s->json, "endValue", seconds);
    } else {
        fxc_json_int(&s->json, "endValue", sum);
    }
    return overflow ? fxc_fail(err, FXC_OVERFLOW, "%s: sum of a profile", s->analysis->program->file) : FXC_OK;
}

/* "FLOPs; 2 operators without a formula left out" */
static void put_title(struct speedscope *s, enum fxc_axis_id axis) {
    const struct fxc_steps *steps = s->steps;
    char text[200];
    uint32_t left_out = axis == FXC_AXIS_SECONDS ? steps->untimed : axis == FXC_AXIS_FLOPS ? steps->unknown : 0;
    int used = axis == FXC_AXIS_SECONDS
                   ? snprintf(text, sizeof text, "seconds predicted on %.80s", s->analysis->device->name)
                   : snprintf(text, sizeof text, "%s", axis == FXC_AXIS_FLOPS ? "FLOPs" : "bytes read and written");
    if (left_out > 0 && used > 0) {
        (void)snprintf(text + used, sizeof text - (size_t)used, "; %u of %u steps, whose %s are not known, left out",
                       left_out, steps->count, axis == FXC_AXIS_SECONDS ? "times" : "FLOPs");
    }
    fxc_json_string(&s->json, "name", text);
}

static fxc_status put_profile(struct speedscope *s, enum fxc_axis_id axis, fxc_error *err) {
    static const char *const units[] = {
        [FXC_AXIS_SECONDS] = "seconds", [FXC_AXIS_FLOPS] = "none", [FXC_AXIS_BYTES] = "bytes"};
    fxc_put(s->json.out, s->json.comma ? "" : "\n");
    fxc_json_open(&s->json, NULL, '{');
    fxc_json_string(&s->json, "type", "sampled");
    put_title(s, axis);
    fxc_json_string(&s->json, "unit", units[axis]);
    FXC_TRY(put_samples(s, axis, err));
    fxc_json_close(&s->json, '}');
    return FXC_OK;
}

static fxc_status put_file(struct speedscope *s, enum fxc_axis_id axis, fxc_error *err) {
    uint32_t place = 0, active = 0;
    fxc_json_open(&s->json, NULL, '{');
    fxc_json_string(&s->json, "$schema", "https://www.speedscope.app/file-format-schema.json");
    fxc_json_string(&s->json, "name", s->analysis->program->file);
    fxc_json_string(&s->json, "exporter", "fxcost " FXC_VERSION);
    put_frames(s);
    fxc_json_open(&s->json, "profiles", '[');
    for (uint32_t i = 0; i < FXC_AXIS_COUNT; i++) {
        if (i != FXC_AXIS_SECONDS || s->steps->timed) {
            active = i == axis ? place : active;
            place++;
            FXC_TRY(put_profile(s, (enum fxc_axis_id)i, err));
        }
    }
    fxc_json_close(&s->json, ']');
    fxc_json_int(&s->json, "activeProfileIndex", active);
    fxc_json_close(&s->json, '}');
    fxc_put(s->json.out, "\n");
    return FXC_OK;
}

fxc_status fxc_write_speedscope(fxc_analysis *analysis, const struct fxc_steps *steps, enum fxc_axis_id axis,
                                struct fxc_stream *out, fxc_error *err) {
    struct fxc_frames frames;
    struct speedscope s = {.analysis = analysis, .steps = steps, .frames = &frames, .json = {out, false}};
    fxc_status status = fxc_frames_build(analysis, steps, &frames, err);
    if (status == FXC_OK) {
        status = put_file(&s, axis, err);
    }
    fxc_arena_free(&frames.arena);
    return status;
}
