/* Formulas of conventions for hooked modules: they look at the module's attributes and at what goes in and out. */
#include <string.h>

#include "passes/convention/convention.h"

/* Elements of one side, times the other side's channels by groups, times the kernel. params: per such product; 0: the
 * result's elements and the input's channels, of transposed convolutions too, where it is the input that each weight
 * meets, and of an input without a batch the second dimension; 1: that from the last dimension; 2: reversed. */
fxc_status fxc_count_module_conv(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output, weight;
    int64_t groups;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && input.rank >= 2 &&
             fxc_seen_param(seen, "weight", &weight) && fxc_seen_config(seen, "groups", 0, &groups) && groups > 0);
    const struct fxc_tensor *volume = seen->row->params[1] == 2 ? &input : &output;
    const struct fxc_tensor *other = seen->row->params[1] == 2 ? &output : &input;
    FXC_NEED(other->rank + 1 >= weight.rank && weight.rank >= 2);
    uint32_t channels = seen->row->params[1] == 0 ? 1u : (uint32_t)other->rank + 1u - weight.rank;
    int64_t window = fxc_times(tally, other->size[channels] / groups, fxc_sizes(tally, &weight, 2, weight.rank));
    out->count = fxc_times(tally, seen->row->params[0], fxc_times(tally, volume->numel, window));
    return FXC_OK;
}

/* Kernel, input channels and the results of a group, at every place of the result, or of the input when transposed; and
 * every element of the result where there is a bias. The first dimension is taken for the batch. params: 1: transposed.
 */
fxc_status fxc_count_hooked_conv(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output, weight, bias;
    int64_t groups, from, to;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && input.rank >= 2 &&
             output.rank >= 2 && fxc_seen_param(seen, "weight", &weight) &&
             fxc_seen_config(seen, "groups", 0, &groups) && fxc_seen_config(seen, "in_channels", 0, &from) &&
             fxc_seen_config(seen, "out_channels", 0, &to) && groups > 0);
    const struct fxc_tensor *places = seen->row->params[0] != 0 ? &input : &output;
    int64_t pairs = fxc_times(tally, from, to / groups);
    int64_t each = fxc_times(tally, fxc_sizes(tally, &weight, 2, weight.rank), pairs);
    int64_t positions = fxc_times(tally, input.size[0], fxc_sizes(tally, places, 2, places->rank));
    bool biased = fxc_seen_param(seen, "bias", &bias);
    int64_t results = fxc_times(tally, input.size[0], fxc_sizes(tally, &output, 1, output.rank));
    out->count = fxc_plus(tally, fxc_times(tally, each, positions), biased ? results : 0);
    return FXC_OK;
}

/* params: per element of the result and input feature. */
fxc_status fxc_count_module_linear(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    int64_t features;
    FXC_NEED(fxc_seen_output(seen, 0, &output) && fxc_seen_config(seen, "in_features", 0, &features));
    out->count = fxc_times(tally, seen->row->params[0], fxc_times(tally, features, output.numel));
    return FXC_OK;
}

/* n exponentials, n - 1 additions and n divisions for each row of n. params: besides per row; per element. */
fxc_status fxc_count_module_softmax(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input;
    int64_t dim;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_config(seen, "dim", 0, &dim));
    dim = dim < 0 ? dim + input.rank : dim;
    FXC_NEED(dim >= 0 && dim < input.rank && input.size[dim] > 0);
    int64_t rows = input.numel / input.size[dim];
    const int32_t *params = seen->row->params;
    out->count = fxc_linear(tally, 3 + params[1], input.numel, params[0] - 1, rows);
    return FXC_OK;
}

/* Adaptive average pooling: the window as the ratio of the sizes, which may be a fraction, and one division. */
fxc_status fxc_count_module_average(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output;
    double window = 1;
    (void)tally;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && input.rank == output.rank);
    for (uint32_t dim = 2; dim < input.rank; dim++) {
        FXC_NEED(output.size[dim] > 0);
        window *= (double)input.size[dim] / (double)output.size[dim];
    }
    out->count = (int64_t)((window + 1) * (double)output.numel);
    return FXC_OK;
}

/* Sizes of a pooled dimension beyond this are not looked at window by window. */
static const int64_t LARGEST = INT64_C(1) << 40;

static int64_t max_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Input places that the windows of one dimension hold, with overlaps; false when an attribute is not known. */
static bool windows_of(const struct fxc_seen *seen, uint32_t dim, int64_t size, int64_t results, int64_t *out) {
    int64_t kernel, stride, padding, padded;
    if (!fxc_seen_config(seen, "kernel_size", dim, &kernel) || !fxc_seen_config(seen, "stride", dim, &stride) ||
        !fxc_seen_config(seen, "padding", dim, &padding) || !fxc_seen_config(seen, "count_include_pad", 0, &padded) ||
        results > (1 << 20) || size > LARGEST || kernel < 0 || stride < 0 || kernel > INT32_MAX || stride > INT32_MAX ||
        padding < 0 || padding > INT32_MAX) {
        return false;
    }
    int64_t lower = padded != 0 ? -padding : 0, upper = padded != 0 ? size + padding : size;
    *out = 0;
    for (int64_t i = 0; i < results; i++) {
        int64_t first = max_of(i * stride - padding, lower), last = min_of(i * stride - padding + kernel, upper);
        *out += max_of(last - first, 0);
    }
    return true;
}

/* Average pooling by the windows it really has: one addition per input in a window, one division per result.
 * params: dimensions of the windows; 1 when they are those of adaptive pooling. */
fxc_status fxc_count_module_windows(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output;
    uint32_t dims = (uint32_t)seen->row->params[0];
    bool adaptive = seen->row->params[1] != 0;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && input.rank == output.rank &&
             input.rank >= dims);
    int64_t all = fxc_sizes(tally, &input, 0, input.rank - dims);
    for (uint32_t dim = input.rank - dims; dim < input.rank; dim++) {
        int64_t size = input.size[dim], results = output.size[dim], places = 0;
        FXC_NEED(!adaptive || (results <= (1 << 20) && size <= LARGEST));
        for (int64_t j = 0; adaptive && j < results; j++) {
            places += ((j + 1) * size + results - 1) / results - j * size / results;
        }
        FXC_NEED(adaptive || windows_of(seen, dim - (input.rank - dims), size, results, &places));
        all = fxc_times(tally, all, places);
    }
    out->count = fxc_plus(tally, all, output.numel);
    return FXC_OK;
}

/* Pooling by kernel places, a plain number as kernel counted as it is, whatever the dimensions (torch_flops).
 * params: 1 to take one off for a maximum; 1 for adaptive pooling, whose window is the ratio of the sizes, or where
 * that is none the remainder and one. */
fxc_status fxc_count_module_pool(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output;
    int64_t places = 1, kernel;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && input.rank == output.rank);
    if (seen->row->params[1] != 0) {
        for (uint32_t dim = 2; dim < input.rank; dim++) {
            FXC_NEED(output.size[dim] > 0);
            int64_t rest = input.size[dim] % output.size[dim];
            places = fxc_times(tally, places, rest == 0 ? input.size[dim] / output.size[dim] : rest + 1);
        }
    } else if (fxc_seen_config_is_number(seen, "kernel_size")) {
        FXC_NEED(fxc_seen_config(seen, "kernel_size", 0, &places));
    } else {
        for (uint32_t i = 0; fxc_seen_config(seen, "kernel_size", i, &kernel); i++) {
            places = fxc_times(tally, places, kernel);
        }
    }
    out->count = fxc_times(tally, places - seen->row->params[0], output.numel);
    return FXC_OK;
}

/* Parameters times the size of the result's first dimension; in convolutions times all but its channels, in recurrent
 * layers times its first two (torchinfo). Only parameters with "weight" or "bias" in their name. */
fxc_status fxc_count_module_params(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    const struct fxc_program *p = seen->rule.program;
    uint32_t module = fxc_seen_module(seen);
    const char *class_name = fxc_string(p, p->module_class[module]), *dot = strrchr(class_name, '.');
    bool convolution = strstr(dot == NULL ? class_name : dot + 1, "Conv") != NULL;
    struct fxc_tensor output, param;
    for (uint32_t i = seen->index->first_param[module]; i != FXC_NONE; i = seen->index->next_param[i]) {
        const char *path = fxc_string(p, p->param_name[i]), *last = strrchr(path, '.');
        const char *name = last == NULL ? path : last + 1;
        if (p->param_kind[i] != FXC_INPUT_KIND_PARAMETER ||
            (strstr(name, "weight") == NULL && strstr(name, "bias") == NULL)) {
            continue;
        }
        FXC_NEED(fxc_seen_output(seen, 0, &output) && output.rank > 0 &&
                 fxc_rule_value(&seen->rule, p->param_value[i], &param) && param.numel >= 0);
        bool plain = strcmp(name, "weight") == 0 || strcmp(name, "bias") == 0;
        int64_t times = plain ? output.size[0] : fxc_sizes(tally, &output, 0, 2);
        times = plain && convolution ? fxc_times(tally, times, fxc_sizes(tally, &output, 2, output.rank)) : times;
        out->count = fxc_plus(tally, out->count, fxc_times(tally, param.numel, times));
    }
    return FXC_OK;
}

/* Elements of one sample of the result: ptflops takes it for the batch. params: per element. */
fxc_status fxc_count_module_interpolate(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor output;
    FXC_NEED(fxc_seen_output(seen, 0, &output) && output.rank > 0);
    out->count = fxc_times(tally, seen->row->params[0], fxc_sizes(tally, &output, 1, output.rank));
    return FXC_OK;
}

/* F.interpolate. params: what a call by size counts: 0 the asked sizes alone, 1 those for every channel and sample;
 * what a call by scale counts: 0 the input's elements, 1 the result's, 2 the input's times the scale to the power of
 * the batch size; 1 when positional arguments raise a TypeError. */
fxc_status fxc_count_interpolate(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct fxc_tensor input, output;
    const int32_t *params = seen->row->params;
    FXC_NEED(fxc_seen_input(seen, 0, &input) && fxc_seen_output(seen, 0, &output) && output.rank >= 2);
    bool sized = fxc_rule_list(&seen->rule, FXC_NAME_output_size) != FXC_NONE;
    if (params[2] != 0 && !fxc_seen_keyword(seen, "size") && !fxc_seen_keyword(seen, "scale_factor")) {
        out->failure = "TypeError: sizes by position";
        return FXC_OK;
    }
    if (sized) {
        out->count = params[0] != 0 ? output.numel : fxc_sizes(tally, &output, 2, output.rank);
        return FXC_OK;
    }
    out->count = params[1] == 1 ? output.numel : input.numel;
    if (params[1] != 2) {
        return FXC_OK;
    }
    FXC_NEED(input.rank > 2 && output.rank > 2 && input.size[2] > 0 && output.size[2] % input.size[2] == 0);
    int64_t scale = output.size[2] / input.size[2];
    for (int64_t i = 0; scale > 1 && i < input.size[0] && !tally->overflow && out->count != 0; i++) {
        out->count = fxc_times(tally, out->count, scale);
    }
    return FXC_OK;
}

/* Places of sequence and batch in query, key and value of nn.MultiheadAttention. */
struct attended {
    int64_t batch, queries, keys, width, key_width, value_width, heads;
};

static bool known_attended(const struct fxc_seen *seen, struct attended *out) {
    struct fxc_tensor query, key, value;
    int64_t first;
    if (!fxc_seen_input(seen, 0, &query) || !fxc_seen_input(seen, 1, &key) || !fxc_seen_input(seen, 2, &value) ||
        query.rank != 3 || key.rank != 3 || value.rank != 3 || !fxc_seen_config(seen, "batch_first", 0, &first) ||
        !fxc_seen_config(seen, "num_heads", 0, &out->heads) || out->heads <= 0) {
        return false;
    }
    uint32_t batch = first != 0 ? 0 : 1, length = 1 - batch;
    out->batch = query.size[batch];
    out->queries = query.size[length];
    out->keys = key.size[length];
    out->width = query.size[2];
    out->key_width = key.size[2];
    out->value_width = value.size[2];
    return true;
}

/* Projections, both products, and 3 n - 1 for each row of the softmax (ultralytics-thop). */
fxc_status fxc_count_attention_module(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct attended a;
    int64_t appended;
    FXC_NEED(known_attended(seen, &a) && fxc_seen_config(seen, "add_zero_attn", 0, &appended));
    struct fxc_tensor bias;
    appended += fxc_seen_param(seen, "bias_k", &bias);
    int64_t keys = fxc_plus(tally, a.keys, appended);
    int64_t widths = fxc_plus(tally, a.key_width, a.value_width);
    int64_t own = fxc_times(tally, 2, fxc_times(tally, a.queries, a.width));
    int64_t projections = fxc_times(tally, a.width, fxc_plus(tally, own, fxc_times(tally, a.keys, widths)));
    int64_t products = fxc_times(tally, own, keys);
    int64_t rows = fxc_times(tally, a.batch, fxc_times(tally, a.heads, a.queries));
    int64_t softmax = fxc_times(tally, rows, fxc_linear(tally, 3, keys, -1, 1));
    out->count = fxc_plus(tally, fxc_times(tally, a.batch, fxc_plus(tally, projections, products)), softmax);
    return FXC_OK;
}

/* Scale, projections with their biases, both products, one per score for the softmax (ptflops). */
fxc_status fxc_count_attention_hook(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    struct attended a;
    struct fxc_tensor bias;
    FXC_NEED(known_attended(seen, &a));
    int64_t square = fxc_times(tally, a.width, a.width);
    int64_t in = fxc_linear(tally, a.queries, square, a.keys, fxc_times(tally, a.key_width, a.key_width));
    in = fxc_plus(tally, in, fxc_times(tally, a.keys, fxc_times(tally, a.value_width, a.value_width)));
    int64_t lengths = fxc_plus(tally, a.queries, fxc_times(tally, 2, a.keys));
    int64_t biases = fxc_seen_param(seen, "in_proj_bias", &bias) ? fxc_times(tally, lengths, a.width) : 0;
    int64_t depth = fxc_plus(tally, fxc_plus(tally, a.width / a.heads, a.value_width / a.heads), 1);
    int64_t head = fxc_times(tally, fxc_times(tally, a.queries, a.keys), depth);
    int64_t heads = fxc_linear(tally, a.heads, head, a.queries, a.width);
    int64_t output = fxc_times(tally, a.queries, fxc_times(tally, a.value_width, fxc_plus(tally, a.value_width, 1)));
    int64_t one = fxc_plus(tally, fxc_plus(tally, in, biases), fxc_plus(tally, heads, output));
    out->count = fxc_times(tally, a.batch, one);
    return FXC_OK;
}

/* By mode, per element of the result. params: nearest, linear, bilinear, bicubic; other modes count nothing. */
fxc_status fxc_count_module_upsample(const struct fxc_seen *seen, struct fxc_tally *tally, struct fxc_told *out) {
    static const char *const modes[] = {"nearest", "linear", "bilinear", "bicubic"};
    const char *mode = fxc_seen_config_string(seen, "mode");
    struct fxc_tensor output;
    FXC_NEED(mode != NULL && fxc_seen_output(seen, 0, &output));
    for (uint32_t i = 0; i < 4; i++) {
        if (strcmp(mode, modes[i]) == 0) {
            out->count = fxc_times(tally, seen->row->params[i], output.numel);
        }
    }
    return FXC_OK;
}
