/* reshape: the capture's line about its inputs ("x f32[1, 3, 28, 28], n=2"), at the new sizes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/text.h"
#include "passes/reshape/reshape.h"

/* Where the sizes of an input stand in the line: its type is [type, open), its sizes (open, close). */
struct place {
    const char *type, *open, *close;
};

/* The next mention "NAME TYPE[SIZES]" from `at` on; false when there is none. */
static bool find_mention(const char *at, const char *name, struct place *out) {
    size_t length = strlen(name);
    for (const char *c = at; (c = strstr(c, name)) != NULL; c++) {
        if (c[length] != ' ' || (c != at && c[-1] != ' ' && c[-1] != '[')) {
            continue;
        }
        out->type = c + length + 1;
        out->open = strchr(out->type, '[');
        out->close = out->open == NULL ? NULL : strchr(out->open, ']');
        return out->close != NULL;
    }
    return false;
}

struct line {
    char *text;
    size_t used, size;
};

static void add(struct line *line, const char *text, size_t length) {
    if (length < line->size - line->used) {
        memcpy(line->text + line->used, text, length);
        line->used += length;
        line->text[line->used] = '\0';
    }
}

static void add_sizes(struct line *line, const struct fxc_program *p, uint32_t meta) {
    char number[24];
    for (uint32_t d = p->meta_dim_begin[meta]; d < p->meta_dim_begin[meta + 1]; d++) {
        int written =
            snprintf(number, sizeof number, "%s%" PRId64, d == p->meta_dim_begin[meta] ? "" : ", ", p->dim_size[d]);
        add(line, number, (size_t)written);
    }
}

static bool known(const struct fxc_program *p, uint32_t meta) {
    for (uint32_t d = p->meta_dim_begin[meta]; d < p->meta_dim_begin[meta + 1]; d++) {
        if (!fxc_is_literal(p->dim_size[d])) {
            return false;
        }
    }
    return true;
}

/* Whether the line may stand as it is. */
static bool unchanged(const struct fxc_reshape *r, uint32_t value) {
    return ((const uint8_t *)r->changed.data)[value] == 0 && value < FXC_COUNT(r->source, value) &&
           r->source->value_kind[value] == FXC_KIND_TENSOR &&
           known(r->source, (uint32_t)r->source->value_payload[value]);
}

/* The line with every input's sizes written anew; inputs that it does not mention are passed over. */
static void rewrite(const struct fxc_reshape *r, const char *old, struct line *line) {
    const struct fxc_program *v = &r->view;
    const char *at = old;
    struct place place;
    for (uint32_t i = v->graph_input_begin[0]; i < v->graph_input_begin[1]; i++) {
        uint32_t value = v->input_value[i];
        if (v->input_kind[i] != FXC_INPUT_KIND_USER_INPUT || v->value_kind[value] != FXC_KIND_TENSOR ||
            unchanged(r, value) || !known(v, (uint32_t)v->value_payload[value]) ||
            !find_mention(at, fxc_string(v, v->value_name[value]), &place)) {
            continue;
        }
        uint32_t meta = (uint32_t)v->value_payload[value];
        add(line, at, (size_t)(place.type - at));
        if ((((const uint8_t *)r->changed.data)[value] & FXC_CHANGED_DTYPE) != 0) {
            const char *type = fxc_text_dtypes.text[v->meta_dtype[meta]];
            add(line, type, strlen(type));
        } else {
            add(line, place.type, (size_t)(place.open - place.type));
        }
        add(line, "[", 1);
        add_sizes(line, v, meta);
        at = place.close;
    }
    add(line, at, strlen(at));
}

void fxc_reshape_describe(struct fxc_reshape *r) {
    const struct fxc_program *p = r->source;
    int64_t string;
    if (r->builder.failed || !fxc_program_capture(p, "inputs", FXC_KIND_STRING, &string)) {
        return;
    }
    const char *old = fxc_string(p, (uint32_t)string);
    struct line line = {.size = strlen(old) + 1};
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        line.size += 24 * (FXC_MAX_RANK + 1);
    }
    line.text = fxc_arena_alloc(&r->scratch, line.size);
    if (line.text == NULL) {
        r->builder.failed = true;
        return;
    }
    rewrite(r, old, &line);
    if (strcmp(line.text, old) == 0) {
        return;
    }
    uint32_t id = fxc_reshape_string(r, line.text);
    for (uint32_t i = 0; i < FXC_COUNT(p, capture) && !r->builder.failed; i++) {
        if (strcmp(fxc_string(p, p->capture_key[i]), "inputs") == 0) {
            ((int64_t *)r->builder.column[FXC_COLUMN_capture_payload].data)[i] = id;
        }
    }
}
