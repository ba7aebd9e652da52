/* Options of an analysis: what each name takes, and which facts depend on it. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "ir/ops.h"
#include "passes/analysis.h"
#include "passes/convention/convention.h"
#include "passes/cost/backend.h"
#include "passes/device/device.h"
#include "passes/flops/rules.h"
#include "passes/fusion/profile.h"
#include "passes/optimizer.h"
#include "passes/settings.h"

static fxc_status one_of(fxc_error *err, const char *option, const char *expected, const char *found) {
    fxc_status status = fxc_fail(err, FXC_USAGE, "option %s", option);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "'%s'", found);
    return status;
}

static fxc_status set_device(struct fxc_analysis *analysis, const char *value, fxc_error *err) {
    fxc_device *own = NULL;
    if (fxc_settings_is_path(value, ".device")) {
        FXC_TRY(fxc_device_open(value, &own, err));
    }
    const fxc_device *device = own != NULL ? own : value[0] == '\0' ? NULL : fxc_analysis_device(analysis, value);
    if (device == NULL && value[0] != '\0') {
        fxc_status status = fxc_fail(err, FXC_DEVICE, "option device");
        fxc_expected(err, "a device that fxcost knows");
        fxc_found(err, "'%s'", value);
        fxc_advice(err, "list them with: fxcost devices; or give a device file, such as ./my.device");
        return status;
    }
    fxc_device_free(analysis->own_device);
    analysis->own_device = own;
    analysis->device = device;
    fxc_drop_facts(analysis, FXC_OPTION_DEVICE);
    return FXC_OK;
}

/* Before the device, which may be the plug-in's: a device that is set already goes. */
static fxc_status set_backend(struct fxc_analysis *analysis, const char *path, fxc_error *err) {
    struct fxc_backend_handle *loaded = NULL;
    if (path[0] != '\0') {
        FXC_TRY(fxc_backend_load(path, &loaded, err));
    }
    if (!analysis->borrows) {
        fxc_backend_unload(analysis->backend);
    }
    analysis->backend = loaded;
    analysis->device = NULL;
    fxc_drop_facts(analysis, FXC_OPTION_DEVICE);
    return FXC_OK;
}

static fxc_status set_measured(struct fxc_analysis *analysis, const char *value, fxc_error *err) {
    char *end;
    double seconds = strtod(value, &end);
    if (value[0] != '\0' && (*end != '\0' || !isfinite(seconds) || seconds <= 0)) {
        return one_of(err, "measured", "seconds above 0", value);
    }
    analysis->measured_seconds = value[0] == '\0' ? 0 : seconds;
    fxc_drop_facts(analysis, FXC_OPTION_DEVICE);
    return FXC_OK;
}

static fxc_status set_convention(struct fxc_analysis *analysis, const char *value, fxc_error *err) {
    const struct fxc_convention *convention = fxc_convention_find(value);
    if (convention == NULL) {
        fxc_status status = one_of(err, "convention", "a convention that fxcost knows", value);
        fxc_advice(err, "list them with: fxcost conventions");
        return status;
    }
    if (analysis->convention != convention) {
        analysis->convention = convention;
        fxc_drop_facts(analysis, FXC_OPTION_CONVENTION);
    }
    return FXC_OK;
}

static fxc_status set_profile(struct fxc_analysis *analysis, const char *value, fxc_error *err) {
    struct fxc_profile *own = NULL;
    if (fxc_profile_is_path(value)) {
        FXC_TRY(fxc_profile_open(value, &own, err));
    }
    const struct fxc_profile *profile = own != NULL ? own : fxc_profile_find(value);
    if (profile == NULL) {
        fxc_status status = one_of(err, "profile", "a profile that fxcost knows", value);
        fxc_advice(err, "list them with: fxcost profiles; or give a profile file, such as ./my.profile");
        return status;
    }
    if (analysis->profile != profile) {
        fxc_drop_facts(analysis, FXC_OPTION_PROFILE);
        fxc_profile_free(analysis->own_profile);
        analysis->own_profile = own;
        analysis->profile = profile;
    }
    return FXC_OK;
}

static fxc_status set_optimizer(struct fxc_analysis *analysis, const char *value, fxc_error *err) {
    const struct fxc_optimizer_row *row = fxc_optimizer_find(value);
    if (row == NULL && value[0] != '\0') {
        char names[200];
        size_t used = 0;
        for (uint32_t i = 0; fxc_optimizer_at(i) != NULL && used < sizeof names; i++) {
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                                     fxc_optimizer_at(i)->name);
        }
        return one_of(err, "optimizer", names, value);
    }
    analysis->optimizer_row = row;
    fxc_drop_facts(analysis, FXC_OPTION_OPTIMIZER);
    return FXC_OK;
}

static uint32_t find_symbol(const struct fxc_program *p, const char *name) {
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol); i++) {
        bool named =
            strcmp(fxc_string(p, p->symbol_dim[i]), name) == 0 || strcmp(fxc_string(p, p->symbol_name[i]), name) == 0;
        if (named && (p->symbol_flags[i] & FXC_SYMBOL_FLAG_TRIP) == 0) {
            return i;
        }
    }
    return FXC_NONE;
}

/* "batch (2 to 64), s77 (2 to any)": the symbols of a program by the name a user would give. Returns buffer. */
static const char *symbol_names(const struct fxc_program *p, char *buffer, size_t size) {
    size_t used = 0;
    (void)snprintf(buffer, size, "it has none");
    for (uint32_t i = 0; i < FXC_COUNT(p, symbol) && used < size; i++) {
        const char *dim = fxc_string(p, p->symbol_dim[i]);
        char low[24] = "any", high[24] = "any";
        if ((p->symbol_flags[i] & FXC_SYMBOL_FLAG_HAS_MIN) != 0) {
            (void)snprintf(low, sizeof low, "%" PRId64, p->symbol_min[i]);
        }
        if ((p->symbol_flags[i] & FXC_SYMBOL_FLAG_HAS_MAX) != 0) {
            (void)snprintf(high, sizeof high, "%" PRId64, p->symbol_max[i]);
        }
        used += (size_t)snprintf(buffer + used, size - used, "%s%s (%s to %s)", i == 0 ? "" : ", ",
                                 dim[0] == '\0' ? fxc_string(p, p->symbol_name[i]) : dim, low, high);
    }
    return buffer;
}

static fxc_status check_range(const struct fxc_program *p, uint32_t symbol, const char *name, int64_t value,
                              fxc_error *err) {
    uint8_t flags = p->symbol_flags[symbol];
    bool low = (flags & FXC_SYMBOL_FLAG_HAS_MIN) != 0 && value < p->symbol_min[symbol];
    bool high = (flags & FXC_SYMBOL_FLAG_HAS_MAX) != 0 && value > p->symbol_max[symbol];
    if (!low && !high) {
        return FXC_OK;
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: dimension %s", p->file, name);
    if (low) {
        fxc_expected(err, "at least %" PRId64 ", the range of the capture", p->symbol_min[symbol]);
    } else {
        fxc_expected(err, "at most %" PRId64 ", the range of the capture", p->symbol_max[symbol]);
    }
    fxc_found(err, "%" PRId64, value);
    return status;
}

static fxc_status set_symbol(struct fxc_analysis *analysis, const char *name, const char *value, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    uint32_t symbol = find_symbol(p, name);
    struct fxc_binding binding = {.known = true, .given = true};
    if (symbol == FXC_NONE) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: option dim.%s", p->file, name);
        char names[200];
        fxc_expected(err, "a dynamic dimension of this program: %s", symbol_names(p, names, sizeof names));
        fxc_found(err, "'%s'", name);
        if (FXC_COUNT(p, symbol) == 0) {
            fxc_advice(err, "capture with dynamic_shapes to have dimensions to set");
        }
        return status;
    }
    if (value[0] == '\0') {
        binding.given = false;
        binding.known = (p->symbol_flags[symbol] & FXC_SYMBOL_FLAG_HAS_HINT) != 0;
        binding.value = p->symbol_hint[symbol];
    } else {
        char *end;
        errno = 0;
        binding.value = strtoll(value, &end, 10);
        if (errno != 0 || *end != '\0') {
            return one_of(err, name, "an integer", value);
        }
        FXC_TRY(check_range(p, symbol, name, binding.value, err));
    }
    analysis->bindings[symbol] = binding;
    fxc_drop_facts(analysis, FXC_OPTION_SYMBOLS);
    return FXC_OK;
}

/* A branching node of any graph by the name of its result; FXC_NONE when there is none, or no branches. */
static uint32_t find_branching(const struct fxc_program *p, const char *name) {
    for (uint32_t node = 0; node < FXC_COUNT(p, node); node++) {
        const struct fxc_op_row *row = fxc_node_row(p, node);
        if (row != NULL && row->flops == FXC_FLOPS_body && row->params[0] == FXC_BODY_dearer &&
            strcmp(fxc_string(p, p->value_name[p->node_result[node]]), name) == 0) {
            return node;
        }
    }
    return FXC_NONE;
}

static fxc_status set_probability(struct fxc_analysis *analysis, const char *name, const char *value, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    uint32_t node = find_branching(p, name);
    char *end;
    double share = strtod(value, &end);
    if (node == FXC_NONE) {
        return one_of(err, "probability", "the name of a cond of this program, as fxcost print shows it", name);
    }
    if (value[0] != '\0' && (end == value || *end != '\0' || !(share >= 0 && share <= 1))) {
        return one_of(err, "probability", "the probability that the condition is true, from 0 to 1", value);
    }
    if (analysis->probability == NULL) {
        analysis->probability = malloc(FXC_COUNT(p, node) * sizeof *analysis->probability);
        if (analysis->probability == NULL) {
            return fxc_fail_memory(err, "fxc_analysis_set");
        }
        memset(analysis->probability, 0xff, FXC_COUNT(p, node) * sizeof *analysis->probability); /* -1: none given */
    }
    analysis->probability[node] = value[0] == '\0' ? -1 : (int32_t)lround(share * (double)FXC_PROBABILITY_UNIT);
    fxc_drop_facts(analysis, FXC_OPTION_PROBABILITY);
    return FXC_OK;
}

static fxc_status set_attention(struct fxc_analysis *analysis, const char *value, fxc_error *err) {
    int64_t window = strcmp(value, "causal") == 0 ? INT64_MAX : 0;
    if (strncmp(value, "window:", 7) == 0) {
        char *end;
        errno = 0;
        window = strtoll(value + 7, &end, 10);
        window = errno != 0 || *end != '\0' ? 0 : window;
    }
    if (window <= 0 && strcmp(value, "full") != 0) {
        return one_of(err, "attention", "'full', 'causal', or 'window:N' with N from 1 on", value);
    }
    analysis->attention_window = window;
    fxc_drop_facts(analysis, FXC_OPTION_ATTENTION);
    return FXC_OK;
}

/* Devices: what one of them does is what is counted; the head of a report says what all of a copy do. */
static fxc_status set_devices(const char *option, const char *value, int64_t *out, fxc_error *err) {
    char *end;
    errno = 0;
    int64_t number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < 1 || number > INT32_MAX) {
        return one_of(err, option, "a number of devices, from 1 on", value);
    }
    *out = number;
    return FXC_OK;
}

/* "128,64,256": the lengths of packed sequences, "" for none. */
static fxc_status set_sequences(struct fxc_analysis *analysis, const char *value, fxc_error *err) {
    uint32_t count = 0, most = value[0] == '\0' ? 0 : 1;
    for (const char *c = value; *c != '\0'; c++) {
        most += *c == ',';
    }
    int64_t *lengths = malloc((most == 0 ? 1 : most) * sizeof *lengths);
    if (lengths == NULL) {
        return fxc_fail_memory(err, "fxc_analysis_set");
    }
    for (const char *c = value; count < most;) {
        char *end;
        errno = 0;
        lengths[count] = strtoll(c, &end, 10);
        if (errno != 0 || end == c || lengths[count] < 0 || (*end != ',' && *end != '\0')) {
            free(lengths);
            return one_of(err, "sequences", "lengths with commas between them, such as 128,64,256", value);
        }
        count++;
        c = end + 1;
    }
    free(analysis->sequences);
    analysis->sequences = lengths;
    analysis->sequence_count = count;
    fxc_drop_facts(analysis, FXC_OPTION_ATTENTION);
    return FXC_OK;
}

fxc_status fxc_analysis_set(fxc_analysis *analysis, const char *option, const char *value, fxc_error *err) {
    if (strcmp(option, "convention") == 0) {
        return set_convention(analysis, value, err);
    }
    if (strcmp(option, "profile") == 0) {
        return set_profile(analysis, value, err);
    }
    if (strcmp(option, "optimizer") == 0) {
        return set_optimizer(analysis, value, err);
    }
    if (strcmp(option, "backend") == 0) {
        return set_backend(analysis, value, err);
    }
    if (strcmp(option, "measured") == 0) {
        return set_measured(analysis, value, err);
    }
    if (strcmp(option, "device") == 0) {
        return set_device(analysis, value, err);
    }
    if (strcmp(option, "shapes") == 0) {
        enum fxc_shape_policy policy = strcmp(value, "strict") == 0   ? FXC_SHAPES_STRICT
                                       : strcmp(value, "listed") == 0 ? FXC_SHAPES_LISTED
                                                                      : FXC_SHAPES_AS_RECORDED;
        if (policy == FXC_SHAPES_AS_RECORDED && strcmp(value, "recorded") != 0) {
            return one_of(err, option, "'recorded', 'strict' or 'listed'", value);
        }
        analysis->shape_policy = policy;
        fxc_drop_facts(analysis, FXC_OPTION_SYMBOLS);
        return FXC_OK;
    }
    if (strcmp(option, "attention") == 0) {
        return set_attention(analysis, value, err);
    }
    if (strcmp(option, "world_size") == 0) {
        return set_devices(option, value, &analysis->world_size, err);
    }
    if (strcmp(option, "model_parallel") == 0) {
        return set_devices(option, value, &analysis->model_parallel, err);
    }
    if (strcmp(option, "sequences") == 0) {
        return set_sequences(analysis, value, err);
    }
    if (strcmp(option, "allocator") == 0) {
        if (strcmp(value, "cuda") != 0 && strcmp(value, "exact") != 0) {
            return one_of(err, option, "'exact' or 'cuda'", value);
        }
        analysis->cuda_allocator = value[0] == 'c';
        fxc_drop_facts(analysis, FXC_OPTION_ALLOCATOR);
        return FXC_OK;
    }
    if (strncmp(option, "dim.", 4) == 0) {
        return set_symbol(analysis, option + 4, value, err);
    }
    if (strncmp(option, "probability.", 12) == 0) {
        return set_probability(analysis, option + 12, value, err);
    }
    return one_of(err, "name",
                  "convention, profile, backend, device, measured, optimizer, shapes, attention, sequences, "
                  "world_size, model_parallel, allocator, "
                  "dim.NAME or probability.NAME",
                  option);
}
