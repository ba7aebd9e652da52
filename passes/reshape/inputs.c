/* reshape: the sizes that are asked for. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "passes/reshape/reshape.h"
#include "passes/shapes/rules.h"

/* ---- naming inputs ----------------------------------------------------------------------------------------------- */

static bool is_user_tensor(const struct fxc_program *p, uint32_t input) {
    return p->input_kind[input] == FXC_INPUT_KIND_USER_INPUT && p->value_kind[p->input_value[input]] == FXC_KIND_TENSOR;
}

/* "x, mask": the inputs that there are. Returns buffer. */
static const char *input_names(const struct fxc_program *p, char *buffer, size_t size) {
    size_t used = 0;
    (void)snprintf(buffer, size, "it has none");
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        if (is_user_tensor(p, i) && used < size) {
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used == 0 ? "" : ", ",
                                     fxc_string(p, p->value_name[p->input_value[i]]));
        }
    }
    return buffer;
}

static fxc_status find_input(const struct fxc_program *p, const char *name, uint32_t *value, fxc_error *err) {
    char names[200];
    *value = FXC_NONE;
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        *value = p->input_value[i];
        if (is_user_tensor(p, i) && strcmp(fxc_string(p, p->value_name[*value]), name) == 0) {
            return FXC_OK;
        }
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: input %s", p->file, name);
    fxc_expected(err, "a tensor among the user's inputs: %s", input_names(p, names, sizeof names));
    fxc_found(err, "'%s'", name);
    return status;
}

static fxc_status check_shape(const struct fxc_program *p, const fxc_input_shape *input, fxc_error *err) {
    char text[96];
    bool good = input->rank <= FXC_MAX_RANK && input->dtype >= -1 && input->dtype < FXC_DTYPE_OPAQUE;
    for (uint32_t dim = 0; good && dim < input->rank; dim++) {
        good = input->size[dim] >= 0;
    }
    if (good) {
        return FXC_OK;
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: input %s", p->file, input->name);
    fxc_expected(err, "at most %d sizes of zero or more, and an element type of the list", FXC_MAX_RANK);
    fxc_found(err, "%s, type %d",
              fxc_sizes_text(input->size, input->rank > FXC_MAX_RANK ? FXC_MAX_RANK : input->rank, text, sizeof text),
              (int)input->dtype);
    return status;
}

/* ---- symbols ----------------------------------------------------------------------------------------------------- */

static const char *symbol_text(const struct fxc_program *p, uint32_t symbol) {
    const char *dim = fxc_string(p, p->symbol_dim[symbol]);
    return dim[0] == '\0' ? fxc_string(p, p->symbol_name[symbol]) : dim;
}

static fxc_status set_symbol(struct fxc_analysis *source, uint32_t symbol, int64_t value, fxc_error *err) {
    const struct fxc_program *p = source->program;
    char option[160], text[24];
    /* By torch's name, which is unique. */
    if (snprintf(option, sizeof option, "dim.%s", fxc_string(p, p->symbol_name[symbol])) >= (int)sizeof option) {
        return fxc_fail(err, FXC_USAGE, "%s: the name of a symbol is too long", p->file);
    }
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    return fxc_analysis_set(source, option, text, err);
}

static fxc_status refuse_size(const struct fxc_program *p, const fxc_input_shape *input, uint32_t dim,
                              const char *expected, fxc_error *err) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: input %s, dimension %u", p->file, input->name, dim);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "%" PRId64, input->size[dim]);
    return status;
}

/* A size that is one symbol gives the symbol its value. */
static fxc_status bind_symbol(struct fxc_analysis *source, const fxc_input_shape *input, uint32_t dim, uint32_t symbol,
                              fxc_error *err) {
    const struct fxc_program *p = source->program;
    struct fxc_binding *binding = &source->bindings[symbol];
    char expected[160];
    if (binding->given && binding->value != input->size[dim]) {
        (void)snprintf(expected, sizeof expected, "%.80s, which another size made %" PRId64, symbol_text(p, symbol),
                       binding->value);
        return refuse_size(p, input, dim, expected, err);
    }
    return set_symbol(source, symbol, input->size[dim], err);
}

/* The one symbol without a given value in an expression; FXC_NONE when there is none or several. */
static uint32_t open_symbol(const struct fxc_analysis *source, uint32_t expr) {
    const struct fxc_program *p = source->program;
    uint32_t found = FXC_NONE;
    for (uint32_t t = p->expr_begin[expr]; t < p->expr_begin[expr + 1]; t++) {
        if (p->token_op[t] == FXC_TOKEN_SYMBOL && !source->bindings[p->token_payload[t]].given) {
            if (found != FXC_NONE && found != (uint32_t)p->token_payload[t]) {
                return FXC_NONE;
            }
            found = (uint32_t)p->token_payload[t];
        }
    }
    return found;
}

static bool evaluate_at(struct fxc_analysis *source, uint32_t expr, uint32_t symbol, int64_t value, int64_t *out) {
    struct fxc_binding before = source->bindings[symbol];
    struct fxc_number number;
    source->bindings[symbol] = (struct fxc_binding){.value = value, .known = true};
    bool good = fxc_expr_eval(source->program, source->bindings, expr, &number) && !number.is_float;
    source->bindings[symbol] = before;
    *out = number.i;
    return good;
}

/* The symbol's value at which a linear expression has this size; false when there is none, or it is not linear. */
static bool solve(struct fxc_analysis *source, uint32_t expr, uint32_t symbol, int64_t size, int64_t *out) {
    int64_t at_one, at_two, slope, rest, check;
    if (!evaluate_at(source, expr, symbol, 1, &at_one) || !evaluate_at(source, expr, symbol, 2, &at_two) ||
        __builtin_sub_overflow(at_two, at_one, &slope) || slope == 0 || __builtin_sub_overflow(size, at_one, &rest) ||
        slope == -1 || rest % slope != 0 || fxc_add(rest / slope, 1, out)) {
        return false;
    }
    return evaluate_at(source, expr, symbol, *out, &check) && check == size;
}

/* A size that is an expression: solved for its one open symbol, else it must come out as given. */
static fxc_status bind_expression(struct fxc_analysis *source, const fxc_input_shape *input, uint32_t dim,
                                  uint32_t expr, fxc_error *err) {
    const struct fxc_program *p = source->program;
    uint32_t symbol = open_symbol(source, expr);
    struct fxc_number number;
    int64_t value;
    char expected[160];
    if (symbol != FXC_NONE && solve(source, expr, symbol, input->size[dim], &value)) {
        return set_symbol(source, symbol, value, err);
    }
    if (!fxc_expr_eval(p, source->bindings, expr, &number) || number.is_float) {
        return refuse_size(p, input, dim, "sizes that give every symbol of the capture a value", err);
    }
    if (number.i == input->size[dim]) {
        return FXC_OK;
    }
    (void)snprintf(expected, sizeof expected, "%" PRId64 ", which the capture derives from its other sizes", number.i);
    return refuse_size(p, input, dim, expected, err);
}

/* Sizes that are plain symbols first, so that expressions in them can be checked. */
static fxc_status bind_input(struct fxc_analysis *source, const fxc_input_shape *input, bool plain, fxc_error *err) {
    const struct fxc_program *p = source->program;
    uint32_t value;
    FXC_TRY(find_input(p, input->name, &value, err));
    FXC_TRY(check_shape(p, input, err));
    uint32_t meta = (uint32_t)p->value_payload[value], begin = p->meta_dim_begin[meta];
    for (uint32_t dim = 0; input->rank == p->meta_dim_begin[meta + 1] - begin && dim < input->rank; dim++) {
        if (fxc_is_literal(p->dim_size[begin + dim])) {
            continue;
        }
        uint32_t expr = fxc_symint_expr(p->dim_size[begin + dim]), token = p->expr_begin[expr];
        bool symbol = p->expr_begin[expr + 1] == token + 1 && p->token_op[token] == FXC_TOKEN_SYMBOL;
        if (symbol && plain) {
            FXC_TRY(bind_symbol(source, input, dim, (uint32_t)p->token_payload[token], err));
        } else if (!symbol && !plain) {
            FXC_TRY(bind_expression(source, input, dim, expr, err));
        }
    }
    return FXC_OK;
}

fxc_status fxc_reshape_bind(struct fxc_analysis *source, const fxc_reshape_options *options, fxc_error *err) {
    for (size_t i = 0; i < options->input_count; i++) {
        FXC_TRY(bind_input(source, &options->inputs[i], true, err));
    }
    for (size_t i = 0; i < options->input_count; i++) {
        FXC_TRY(bind_input(source, &options->inputs[i], false, err));
    }
    return FXC_OK;
}

/* ---- settling ---------------------------------------------------------------------------------------------------- */

static const fxc_input_shape *asked_of(const fxc_reshape_options *options, const char *name) {
    for (size_t i = 0; i < options->input_count; i++) {
        if (strcmp(options->inputs[i].name, name) == 0) {
            return &options->inputs[i];
        }
    }
    return NULL;
}

/* A user's input of these sizes: dense, its dimensions in the order of the captured strides. */
static fxc_status settle_input(struct fxc_reshape *r, uint32_t value, const fxc_input_shape *input, fxc_error *err) {
    const struct fxc_shapes *s = r->recorded->shapes;
    const struct fxc_program *p = r->source;
    uint32_t row = (uint32_t)p->value_payload[value];
    struct fxc_tensor recorded = {
        .size = s->size + s->dim_begin[value], .stride = s->stride + s->dim_begin[value], .rank = s->rank[value]};
    uint8_t dtype = input->dtype < 0 ? p->meta_dtype[row] : (uint8_t)input->dtype;
    bool sizes = input->rank != recorded.rank ||
                 (input->rank > 0 && memcmp(input->size, recorded.size, input->rank * sizeof input->size[0]) != 0);
    if (!sizes && dtype == p->meta_dtype[row]) {
        fxc_reshape_adopt(r, value);
        return fxc_reshape_fill(r, value, err);
    }
    if (p->meta_layout[row] != FXC_LAYOUT_STRIDED) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: input %s", p->file, input->name);
        fxc_expected(err, "a strided tensor");
        fxc_found(err, "the layout %s", fxc_enum_text("layout", p->meta_layout[row]));
        fxc_advice(err, "capture the model at these sizes");
        return status;
    }
    struct fxc_shape shape = {.rank = (uint8_t)input->rank};
    memcpy(shape.size, input->size, input->rank * sizeof input->size[0]);
    struct fxc_reshape_meta meta = {
        .dtype = dtype, .layout = FXC_LAYOUT_STRIDED, .flags = p->meta_flags[row], .rank = input->rank};
    if (!fxc_reshape_strides_like(&recorded, &shape)) {
        fxc_status status = fxc_fail(err, FXC_OVERFLOW, "%s: input %s", p->file, input->name);
        fxc_expected(err, "sizes whose product fits in 64 bits");
        fxc_found(err, "larger ones");
        return status;
    }
    memcpy(meta.size, shape.size, input->rank * sizeof meta.size[0]);
    memcpy(meta.stride, shape.stride, input->rank * sizeof meta.stride[0]);
    uint8_t changed = (uint8_t)((sizes ? FXC_CHANGED_SIZES | FXC_CHANGED_STRIDES : 0) |
                                (dtype != p->meta_dtype[row] ? FXC_CHANGED_DTYPE : 0));
    fxc_reshape_set_tensor(r, value, fxc_reshape_meta_row(r, &meta), changed);
    r->settled[value] = true;
    fxc_reshape_note(r, &recorded, input->rank, input->size);
    return fxc_reshape_fill(r, value, err);
}

fxc_status fxc_reshape_adopt_input(struct fxc_reshape *r, uint32_t value, fxc_error *err) {
    const struct fxc_program *p = r->source;
    fxc_reshape_adopt(r, value);
    if (p->value_kind[value] == FXC_KIND_LIST || p->value_kind[value] == FXC_KIND_DICT) {
        int64_t list = p->value_payload[value];
        for (uint32_t i = p->list_begin[list]; i < p->list_begin[list + 1]; i++) {
            if (p->item_kind[i] == FXC_KIND_VALUE) {
                FXC_TRY(fxc_reshape_adopt_input(r, (uint32_t)p->item_payload[i], err));
            }
        }
    }
    return p->value_kind[value] == FXC_KIND_TENSOR ? fxc_reshape_fill(r, value, err) : FXC_OK;
}

fxc_status fxc_reshape_inputs(struct fxc_reshape *r, const fxc_reshape_options *options, fxc_error *err) {
    const struct fxc_program *p = r->source;
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        uint32_t value = p->input_value[i];
        const fxc_input_shape *input =
            is_user_tensor(p, i) ? asked_of(options, fxc_string(p, p->value_name[value])) : NULL;
        FXC_TRY(input == NULL ? fxc_reshape_adopt_input(r, value, err) : settle_input(r, value, input, err));
    }
    return FXC_OK;
}
