/* Reading einsum equations, by the rules of torch.einsum: letters name dimensions, "..." stands for dimensions without
 * a name, spaces mean nothing; without "->" the result has the unnamed dimensions and then every letter that occurs
 * once, in order. */
#include "passes/einsum.h"

#include <string.h>

enum { LETTERS = 52, UNNAMED = LETTERS, IDS = LETTERS + 16 };

struct reader {
    const char *at;
    uint32_t unnamed;   /* largest number of unnamed dimensions in one operand */
    uint8_t place[IDS]; /* per id: its dimension in fxc_einsum + 1, 0 for none yet */
    uint8_t times[IDS]; /* how often a letter occurs on the left */
    bool seen_ellipsis;
};

static uint32_t letter_id(char c) {
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)(c - 'A');
    }
    return c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') + 26 : IDS;
}

static char next_char(struct reader *reader) {
    while (*reader->at == ' ') {
        reader->at++;
    }
    return *reader->at;
}

static bool skip_ellipsis(struct reader *reader) {
    if (strncmp(reader->at, "...", 3) != 0) {
        return false;
    }
    reader->at += 3;
    return true;
}

/* Ids of the dimensions of one operand: letters, and for unnamed dimensions ids counted from the last one. */
static bool read_operand(struct reader *reader, uint32_t rank, uint8_t ids[FXC_MAX_RANK]) {
    uint32_t count = 0, letters = 0, hidden_at = IDS;
    for (char c = next_char(reader); c != '\0' && c != ',' && c != '-'; c = next_char(reader)) {
        if (c == '.') {
            if (hidden_at != IDS || !skip_ellipsis(reader)) {
                return false;
            }
            hidden_at = letters;
            continue;
        }
        uint32_t id = letter_id(c);
        if (id == IDS || letters == FXC_MAX_RANK || reader->times[id] == UINT8_MAX) {
            return false;
        }
        reader->times[id]++;
        ids[letters++] = (uint8_t)id;
        reader->at++;
    }
    if (letters > rank || rank > FXC_MAX_RANK || (hidden_at == IDS && letters != rank)) {
        return false;
    }
    uint32_t hidden = rank - letters;
    if (hidden > IDS - UNNAMED) {
        return false;
    }
    if (hidden_at != IDS) {
        memmove(ids + hidden_at + hidden, ids + hidden_at, letters - hidden_at);
        for (count = 0; count < hidden; count++) {
            ids[hidden_at + count] = (uint8_t)(UNNAMED + hidden - 1 - count);
        }
        reader->seen_ellipsis = true;
    }
    reader->unnamed = hidden > reader->unnamed ? hidden : reader->unnamed;
    return true;
}

static bool place_id(struct reader *reader, struct fxc_einsum *out, uint32_t id) {
    if (reader->place[id] != 0 || out->labels == FXC_EINSUM_LABELS) {
        return false;
    }
    reader->place[id] = (uint8_t)++out->labels;
    return true;
}

static bool place_unnamed(struct reader *reader, struct fxc_einsum *out) {
    for (uint32_t i = reader->unnamed; i > 0; i--) {
        if (!place_id(reader, out, UNNAMED + i - 1)) {
            return false;
        }
    }
    return true;
}

/* Dimensions of the result, written after "->". */
static bool place_explicit(struct reader *reader, struct fxc_einsum *out) {
    for (char c = next_char(reader); c != '\0'; c = next_char(reader)) {
        if (c == '.') {
            if (!skip_ellipsis(reader) || !place_unnamed(reader, out)) {
                return false;
            }
            continue;
        }
        uint32_t id = letter_id(c);
        if (id == IDS || reader->times[id] == 0 || !place_id(reader, out, id)) {
            return false;
        }
        reader->at++;
    }
    return true;
}

static bool place_result(struct reader *reader, struct fxc_einsum *out) {
    if (next_char(reader) == '-') {
        if (reader->at[1] != '>') {
            return false;
        }
        reader->at += 2;
        return place_explicit(reader, out);
    }
    if (!place_unnamed(reader, out)) {
        return false;
    }
    for (uint32_t id = 0; id < LETTERS; id++) {
        if (reader->times[id] == 1 && !place_id(reader, out, id)) {
            return false;
        }
    }
    return true;
}

/* Dimensions that are summed: everything that the result lacks. */
static bool place_summed(struct reader *reader, struct fxc_einsum *out) {
    for (uint32_t id = 0; id < LETTERS + reader->unnamed; id++) {
        bool used = id >= LETTERS || reader->times[id] > 0;
        if (used && reader->place[id] == 0 && !place_id(reader, out, id)) {
            return false;
        }
    }
    return true;
}

/* Sizes of one operand; a letter that occurs twice takes the diagonal. */
static bool set_sizes(const struct reader *reader, const struct fxc_tensor *tensor, const uint8_t *ids, uint32_t labels,
                      int64_t *size) {
    for (uint32_t i = 0; i < labels; i++) {
        size[i] = 1;
    }
    for (uint32_t dim = 0; dim < tensor->rank; dim++) {
        int64_t *slot = &size[reader->place[ids[dim]] - 1];
        if (*slot != 1 && tensor->size[dim] != 1 && *slot != tensor->size[dim]) {
            return false;
        }
        *slot = tensor->size[dim] != 1 ? tensor->size[dim] : *slot;
    }
    return true;
}

bool fxc_einsum_read(const struct fxc_rule *rule, struct fxc_einsum *out) {
    const struct fxc_program *p = rule->program;
    struct fxc_tensor tensors[FXC_EINSUM_OPERANDS];
    uint8_t ids[FXC_EINSUM_OPERANDS][FXC_MAX_RANK];
    struct reader reader = {.at = fxc_rule_string(rule, FXC_NAME_equation)};
    uint32_t list = fxc_rule_list(rule, FXC_NAME_tensors);
    out->labels = out->out_rank = out->operands = 0;
    if (reader.at == NULL || list == FXC_NONE) {
        return false;
    }
    out->operands = p->list_begin[list + 1] - p->list_begin[list];
    if (out->operands == 0 || out->operands > FXC_EINSUM_OPERANDS) {
        return false;
    }
    for (uint32_t i = 0; i < out->operands; i++) {
        if (!fxc_rule_item_tensor(rule, list, i, &tensors[i]) || tensors[i].numel < 0 ||
            !read_operand(&reader, tensors[i].rank, ids[i])) {
            return false;
        }
        if (i + 1 < out->operands && *reader.at++ != ',') {
            return false;
        }
    }
    if (!place_result(&reader, out) || next_char(&reader) != '\0') {
        return false;
    }
    out->out_rank = out->labels;
    out->dtype = tensors[0].dtype;
    if (!place_summed(&reader, out)) {
        return false;
    }
    for (uint32_t i = 0; i < out->operands; i++) {
        if (!set_sizes(&reader, &tensors[i], ids[i], out->labels, out->size[i])) {
            return false;
        }
    }
    return true;
}
