/* resolve: the sizes that are given to a graph without shapes. */
#include <stdio.h>
#include <string.h>

#include "passes/resolve/resolve.h"
#include "passes/shapes/rules.h"

static bool is_user_input(const struct fxc_program *p, uint32_t input) {
    return p->input_kind[input] == FXC_INPUT_KIND_USER_INPUT;
}

static const char *input_name(const struct fxc_program *p, uint32_t input) {
    return fxc_string(p, p->value_name[p->input_value[input]]);
}

static const fxc_input_shape *asked_of(const fxc_reshape_options *options, const char *name) {
    for (size_t i = 0; i < options->input_count; i++) {
        if (strcmp(options->inputs[i].name, name) == 0) {
            return &options->inputs[i];
        }
    }
    return NULL;
}

/* Inputs of the main graph that need sizes and, unless `missing`, those that may have them, as "x, mask". */
static const char *name_inputs(const struct fxc_program *p, const fxc_reshape_options *options, bool missing,
                               char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1] && used < size; i++) {
        bool open = p->value_kind[p->input_value[i]] == FXC_KIND_OPAQUE;
        if (is_user_input(p, i) && (missing ? open && asked_of(options, input_name(p, i)) == NULL : true)) {
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", input_name(p, i));
        }
    }
    return text;
}

static fxc_status check_names(const struct fxc_program *p, const fxc_reshape_options *options, fxc_error *err) {
    char names[256];
    for (size_t i = 0; i < options->input_count; i++) {
        bool found = false;
        for (uint32_t input = p->graph_input_begin[0]; input < p->graph_input_begin[1]; input++) {
            found = found || (is_user_input(p, input) && strcmp(input_name(p, input), options->inputs[i].name) == 0);
        }
        if (!found) {
            fxc_status status = fxc_fail(err, FXC_USAGE, "%s: input %s", p->file, options->inputs[i].name);
            fxc_expected(err, "one of the inputs %s", name_inputs(p, options, false, names, sizeof names));
            fxc_found(err, "'%s'", options->inputs[i].name);
            return status;
        }
    }
    if (name_inputs(p, options, true, names, sizeof names)[0] != '\0') {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: a graph of torch.fx without shapes", p->file);
        fxc_expected(err, "sizes of its inputs: %s", names);
        fxc_found(err, "none");
        fxc_advice(err, "give each its sizes, as in --input-shape %.*s=1,3,224,224", (int)strcspn(names, ","), names);
        return status;
    }
    return FXC_OK;
}

/* The type of most parameters, else torch's default type. */
static uint8_t usual_dtype(const struct fxc_program *p, uint8_t fallback) {
    int64_t dtype;
    return fxc_program_capture(p, "dtype", FXC_KIND_DTYPE, &dtype) ? (uint8_t)dtype : fallback;
}

static fxc_status refuse(const struct fxc_program *p, const fxc_input_shape *input, fxc_status why,
                         const char *expected, fxc_error *err) {
    char text[96];
    uint32_t rank = input->rank > FXC_MAX_RANK ? FXC_MAX_RANK : input->rank;
    fxc_status status = fxc_fail(err, why, "%s: input %s", p->file, input->name);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "%s", fxc_sizes_text(input->size, rank, text, sizeof text));
    return status;
}

/* A dense tensor of these sizes in a storage of its own. */
static fxc_status settle(struct fxc_reshape *r, uint32_t value, const fxc_input_shape *input, fxc_error *err) {
    const struct fxc_tensor none = {.rank = UINT8_MAX};
    struct fxc_builder *b = &r->builder;
    struct fxc_shape shape = {.rank = (uint8_t)input->rank};
    bool good = input->rank <= FXC_MAX_RANK && input->dtype >= -1 && input->dtype < FXC_DTYPE_OPAQUE;
    int64_t numel = 1;
    bool overflow = false;
    for (uint32_t dim = 0; good && dim < input->rank; dim++) {
        shape.size[dim] = input->size[dim];
        good = input->size[dim] >= 0;
        overflow = overflow || (input->size[dim] > 0 && fxc_mul(numel, input->size[dim], &numel));
    }
    if (!good) {
        return refuse(r->source, input, FXC_USAGE, "at most 64 sizes of zero or more", err);
    }
    if (overflow || !fxc_reshape_strides_like(&none, &shape)) {
        return refuse(r->source, input, FXC_OVERFLOW, "sizes whose product fits in 64 bits", err);
    }
    struct fxc_reshape_meta meta = {.dtype = input->dtype < 0 ? usual_dtype(r->source, r->shapes.default_dtype)
                                                              : (uint8_t)input->dtype,
                                    .layout = FXC_LAYOUT_STRIDED,
                                    .rank = input->rank};
    memcpy(meta.size, shape.size, input->rank * sizeof meta.size[0]);
    memcpy(meta.stride, shape.stride, input->rank * sizeof meta.stride[0]);
    uint32_t storage = fxc_builder_length(b, FXC_COLUMN_storage_bytes);
    fxc_push_storage_bytes(b, 0);
    fxc_push_storage_device(b, fxc_reshape_string(r, "cpu"));
    fxc_push_storage_origin(b, FXC_STORAGE_ORIGIN_USER_INPUT);
    if (b->failed) {
        return fxc_fail_memory(err, r->source->file);
    }
    ((uint32_t *)b->column[FXC_COLUMN_value_storage].data)[value] = storage;
    fxc_reshape_refresh(r);
    fxc_reshape_set_tensor(r, value, fxc_reshape_meta_row(r, &meta), FXC_CHANGED_SIZES | FXC_CHANGED_DTYPE);
    return fxc_reshape_fill(r, value, err);
}

/* A constant that an argument has by default; what a file recorded, else. */
static fxc_status adopt(struct fxc_reshape *r, uint32_t value, fxc_error *err) {
    uint8_t kind = r->source->value_kind[value];
    fxc_reshape_adopt(r, value);
    if (kind == FXC_KIND_TENSOR) {
        return fxc_reshape_fill(r, value, err);
    }
    if (kind != FXC_KIND_OPAQUE) {
        r->became[value] = (struct fxc_became){r->view.value_kind[value], r->view.value_payload[value]};
    }
    return FXC_OK;
}

fxc_status fxc_resolve_inputs(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err) {
    const struct fxc_program *p = r->source;
    FXC_TRY(check_names(p, options, err));
    for (uint32_t v = 0; v < FXC_COUNT(p, value); v++) {
        if (p->value_producer[v] == FXC_NONE) {
            FXC_TRY(adopt(r, v, err));
        }
    }
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        uint32_t value = p->input_value[i];
        const fxc_input_shape *input = is_user_input(p, i) ? asked_of(options, input_name(p, i)) : NULL;
        if (input != NULL) {
            r->became[value] = (struct fxc_became){FXC_KIND_VALUE, value};
            FXC_TRY(settle(r, value, input, err));
        }
    }
    return r->builder.failed ? fxc_fail_memory(err, p->file) : FXC_OK;
}
