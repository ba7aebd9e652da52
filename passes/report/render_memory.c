/* What a report says of memory: the peak, and the tensors that are alive then. */
#include <inttypes.h>
#include <stdio.h>

#include "passes/memory/memory.h"
#include "passes/report/json.h"
#include "passes/report/rows.h"

enum { SHOWN = 20 };

/* The module that a storage belongs to: of a parameter or buffer its owner's name and its own, of anything else the
 * module whose node made it. Returns buffer. */
static const char *owner(const struct fxc_analysis *analysis, uint32_t value, char *buffer, size_t size) {
    const struct fxc_program *p = analysis->program;
    uint32_t producer = p->value_producer[value];
    if (producer != FXC_NONE) {
        return fxc_module_path(p, analysis->report->node_module[producer], buffer, size);
    }
    for (uint32_t i = p->graph_input_begin[0]; i < p->graph_input_begin[1]; i++) {
        if (p->input_value[i] == value) {
            (void)snprintf(buffer, size, "%s", fxc_string(p, p->input_target[i]));
            return buffer;
        }
    }
    buffer[0] = '\0';
    return buffer;
}

static const char *origin_text(const struct fxc_program *p, uint32_t value) {
    uint32_t storage = p->value_storage[value];
    const char *text = storage == FXC_NONE ? NULL : fxc_enum_text("storage_origin", p->storage_origin[storage]);
    return text == NULL ? "" : text;
}

void fxc_put_peak(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out) {
    const struct fxc_memory *memory = analysis->memory;
    char a[FXC_NUMBER_SIZE], b[FXC_NUMBER_SIZE];
    bool bound = memory->unsized > 0 || memory->untold > 0;
    fxc_putf(out, "peak        %s%s alive", bound ? "at least " : "", fxc_human_bytes(memory->peak_bytes, raw, a));
    fxc_putf(out, ", %s of them throughout", fxc_human_bytes(memory->given_bytes, raw, b));
    if (memory->peak_node != FXC_NONE || memory->peak_in_step) {
        fxc_putf(out, "; at %s",
                 memory->peak_in_step ? "the optimiser's step" : fxc_node_name(analysis->program, memory->peak_node));
    }
    fxc_put(out, "\n");
    if (memory->allocated_bytes >= 0) {
        fxc_putf(out, "            %s allocated", fxc_human_bytes(memory->allocated_bytes, raw, a));
        fxc_putf(out, ", %s reserved by torch's CUDA allocator\n", fxc_human_bytes(memory->reserved_bytes, raw, b));
    }
    if (memory->untold > 0) {
        fxc_putf(out, "            %" PRIu32 " node%s more while running than is known\n", memory->untold,
                 memory->untold == 1 ? " holds" : "s hold");
    }
    if (memory->unsized > 0) {
        fxc_putf(out, "            %" PRIu32 " storages have no known size, and are left out\n", memory->unsized);
    }
}

static void put_bytes(const struct fxc_analysis *analysis, int64_t bytes, bool raw, struct fxc_stream *out) {
    char number[FXC_NUMBER_SIZE], share[FXC_NUMBER_SIZE];
    fxc_put_cell(out, fxc_human(bytes, raw, number), raw ? 20 : 9, true);
    fxc_put(out, " ");
    fxc_put_cell(out, fxc_percent((double)bytes, (double)analysis->memory->peak_bytes, share), 7, true);
    fxc_put(out, "  ");
}

/* What came in, by kind. */
static void put_given(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_memory *memory = analysis->memory;
    int64_t bytes[FXC_STORAGE_ORIGIN_COUNT] = {0}, tensors[FXC_STORAGE_ORIGIN_COUNT] = {0};
    for (uint32_t i = 0; i < memory->holder_count; i++) {
        uint32_t value = memory->holder[i].value, storage = p->value_storage[value];
        if (p->value_producer[value] == FXC_NONE) {
            uint8_t origin = storage == FXC_NONE ? (uint8_t)FXC_STORAGE_ORIGIN_OPAQUE : p->storage_origin[storage];
            bytes[origin] += memory->holder[i].bytes; /* a part of the peak, which was checked */
            tensors[origin]++;
        }
    }
    for (uint32_t origin = 0; origin < FXC_STORAGE_ORIGIN_COUNT; origin++) {
        if (tensors[origin] > 0) {
            put_bytes(analysis, bytes[origin], raw, out);
            fxc_putf(out, "%" PRId64 " %s%s\n", tensors[origin], fxc_enum_text("storage_origin", origin),
                     tensors[origin] == 1 ? "" : "s");
        }
    }
}

void fxc_put_peak_tensors(const struct fxc_analysis *analysis, bool raw, struct fxc_stream *out) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_memory *memory = analysis->memory;
    char text[256];
    int64_t rest = 0;
    uint32_t made = 0;
    fxc_put(out, "\nAlive at the peak\n");
    put_given(analysis, raw, out);
    if (memory->state_bytes > 0) {
        put_bytes(analysis, memory->state_bytes, raw, out);
        fxc_put(out, "state of the optimiser\n");
    }
    for (uint32_t i = 0; i < memory->holder_count; i++) {
        const struct fxc_holder *holder = &memory->holder[i];
        if (p->value_producer[holder->value] == FXC_NONE || made++ >= SHOWN) {
            rest += p->value_producer[holder->value] == FXC_NONE ? 0 : holder->bytes;
            continue;
        }
        put_bytes(analysis, holder->bytes, raw, out);
        fxc_put_cell(out, fxc_shape_text(analysis, holder->value, text, sizeof text), 24, false);
        fxc_putf(out, " %s", fxc_string(p, p->value_name[holder->value]));
        const char *of = owner(analysis, holder->value, text, sizeof text);
        fxc_putf(out, "%s%s\n", of[0] == '\0' ? "" : " in ", of);
    }
    if (made > SHOWN) {
        put_bytes(analysis, rest, raw, out);
        fxc_putf(out, "%" PRIu32 " smaller ones\n", made - SHOWN);
    }
    if (memory->hidden_bytes > 0) {
        put_bytes(analysis, memory->hidden_bytes, raw, out);
        fxc_putf(out, "inside %s\n",
                 memory->peak_in_step ? "the optimiser's step" : fxc_node_op_name(p, memory->peak_node));
    }
}

void fxc_json_peak(struct fxc_json *json, const struct fxc_analysis *analysis) {
    const struct fxc_program *p = analysis->program;
    const struct fxc_memory *memory = analysis->memory;
    char text[512];
    fxc_json_open(json, "peak", '{');
    fxc_json_int(json, "bytes", memory->peak_bytes);
    fxc_json_string(json, "node", memory->peak_node == FXC_NONE ? NULL : fxc_node_name(p, memory->peak_node));
    fxc_json_bool(json, "in_optimizer_step", memory->peak_in_step);
    fxc_json_int(json, "hidden_bytes", memory->hidden_bytes);
    fxc_json_int(json, "state_bytes", memory->state_bytes);
    if (memory->allocated_bytes >= 0) {
        fxc_json_int(json, "allocated_bytes", memory->allocated_bytes);
        fxc_json_int(json, "reserved_bytes", memory->reserved_bytes);
    }
    fxc_json_open(json, "tensors", '[');
    for (uint32_t i = 0; i < memory->holder_count; i++) {
        const struct fxc_holder *holder = &memory->holder[i];
        fxc_json_open(json, NULL, '{');
        fxc_json_string(json, "name", fxc_string(p, p->value_name[holder->value]));
        fxc_json_string(json, "module", owner(analysis, holder->value, text, sizeof text));
        fxc_json_string(json, "origin", origin_text(p, holder->value));
        fxc_json_string(json, "shape", fxc_shape_text(analysis, holder->value, text, sizeof text));
        fxc_json_int(json, "bytes", holder->bytes);
        fxc_json_close(json, '}');
    }
    fxc_json_close(json, ']');
    fxc_json_close(json, '}');
}
