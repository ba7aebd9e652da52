/* trace: frames of stacks, and texts, each stored once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/trace/trace.h"

/* ---- texts ------------------------------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return hash;
}

/* The slot of a text: one that holds it, or the empty one where it belongs. At least half of all are empty. */
static uint32_t *slot_of(const struct fxc_texts *texts, const char *text) {
    uint32_t at = (uint32_t)(hash_of(text) % texts->slots);
    while (texts->slot[at] != 0 && strcmp(texts->text[texts->slot[at] - 1], text) != 0) {
        at = at + 1 == texts->slots ? 0 : at + 1;
    }
    return &texts->slot[at];
}

static bool grow(struct fxc_texts *texts) {
    uint32_t capacity = texts->capacity == 0 ? 256 : texts->capacity * 2;
    if (capacity > UINT32_MAX / 4) {
        return false;
    }
    const char **text = realloc(texts->text, capacity * sizeof *text);
    uint32_t *slot = calloc((size_t)capacity * 2, sizeof *slot);
    texts->text = text == NULL ? texts->text : text;
    if (text == NULL || slot == NULL) {
        free(slot);
        return false;
    }
    free(texts->slot);
    texts->capacity = capacity;
    texts->slots = capacity * 2;
    texts->slot = slot;
    for (uint32_t i = 0; i < texts->count; i++) {
        *slot_of(texts, texts->text[i]) = i + 1;
    }
    return true;
}

uint32_t fxc_texts_find(struct fxc_texts *texts, const char *text) {
    if (texts->count == texts->capacity && !grow(texts)) {
        return FXC_NONE;
    }
    uint32_t *slot = slot_of(texts, text);
    if (*slot == 0) {
        const char *copy = fxc_arena_string(&texts->arena, text);
        if (copy == NULL) {
            return FXC_NONE;
        }
        texts->text[texts->count++] = copy;
        *slot = texts->count;
    }
    return *slot - 1;
}

void fxc_texts_free(struct fxc_texts *texts) {
    free(texts->text);
    free(texts->slot);
    fxc_arena_free(&texts->arena);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

struct build {
    fxc_analysis *analysis;
    struct fxc_frames *frames;
    struct fxc_texts keys; /* number of a key = number of the frame */
};

static uint32_t add_frame(struct build *b, const char *name, const char *file, uint32_t line) {
    char key[2 * FXC_STEP_NAME + 512];
    (void)snprintf(key, sizeof key, "%.600s\n%.400s:%u", name, file, line);
    uint32_t at = fxc_texts_find(&b->keys, key);
    struct fxc_frame *frame = at == FXC_NONE ? NULL : &b->frames->frame[at];
    if (frame != NULL && at == b->frames->count) {
        *frame = (struct fxc_frame){fxc_arena_string(&b->frames->arena, name),
                                    fxc_arena_string(&b->frames->arena, file), line};
        b->frames->count++;
    }
    return frame == NULL || frame->name == NULL || frame->file == NULL ? FXC_NONE : at;
}

static bool add_modules(struct build *b, const struct fxc_step *step) {
    struct fxc_open_call stack[FXC_STEP_DEPTH];
    uint32_t depth = fxc_step_stack(b->analysis->program, step, stack);
    for (uint32_t i = 0; i < depth; i++) {
        uint32_t *frame = &b->frames->module[stack[i].module];
        char label[640];
        if (*frame == FXC_NONE) {
            *frame = add_frame(b, fxc_module_label(b->analysis->program, stack[i].module, label, sizeof label), "", 0);
        }
        if (*frame == FXC_NONE) {
            return false;
        }
    }
    return true;
}

static bool add_step(struct build *b, const struct fxc_step *step, uint32_t *out) {
    char label[FXC_STEP_NAME];
    const char *file = "";
    uint32_t line = 0;
    (void)fxc_step_source(b->analysis, step, &file, &line);
    *out = add_frame(b, fxc_step_label(b->analysis, step, label), file, line);
    return *out != FXC_NONE && add_modules(b, step);
}

fxc_status fxc_frames_build(fxc_analysis *analysis, const struct fxc_steps *steps, struct fxc_frames *frames,
                            fxc_error *err) {
    uint32_t modules = FXC_COUNT(analysis->program, module);
    struct build b = {.analysis = analysis, .frames = frames};
    *frames = (struct fxc_frames){0};
    frames->module = FXC_NEW(&frames->arena, uint32_t, modules);
    frames->step = FXC_NEW(&frames->arena, uint32_t, steps->count);
    frames->frame = FXC_NEW(&frames->arena, struct fxc_frame, (size_t)modules + steps->count);
    bool done = frames->module != NULL && frames->step != NULL && frames->frame != NULL;
    for (uint32_t m = 0; done && m < modules; m++) {
        frames->module[m] = FXC_NONE;
    }
    for (uint32_t i = 0; done && i < steps->count; i++) {
        done = add_step(&b, &steps->step[i], &frames->step[i]);
    }
    fxc_texts_free(&b.keys);
    return done ? FXC_OK : fxc_fail_memory(err, "frames of a trace");
}
