#include "ir/intern.h"

#include <stdlib.h>
#include <string.h>

#include "fxcost/fxcost.h"

/* Eight bytes a step, each folded in by a multiplication whose high half returns to the low one. */
static uint32_t hash_bytes(const uint8_t *bytes, size_t size) {
    uint64_t hash = UINT64_C(0x9E3779B97F4A7C15) ^ size;
    while (size > 0) {
        uint64_t word = 0;
        size_t step = size < 8 ? size : 8;
        memcpy(&word, bytes, step);
        hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
        hash ^= hash >> 32;
        bytes += step;
        size -= step;
    }
    hash *= UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)(hash >> 32);
}

static uint32_t find_slot(const struct fxc_intern *in, const void *bytes, size_t size, uint32_t hash) {
    uint32_t mask = in->slot_count - 1;
    uint32_t slot = hash & mask;
    for (; in->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct fxc_intern_entry *entry = &in->entries[in->slots[slot] - 1];
        if (entry->hash == hash && entry->size == size &&
            (size == 0 || memcmp(in->bytes + entry->begin, bytes, size) == 0)) {
            break;
        }
    }
    return slot;
}

static bool grow_slots(struct fxc_intern *in) {
    if (in->slot_count != 0 && in->count < in->slot_count / 2) {
        return true;
    }
    if (in->slot_count > UINT32_MAX / 4) {
        return false;
    }
    uint32_t slot_count = in->slot_count == 0 ? 64 : in->slot_count * 2;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < in->count; i++) {
        uint32_t slot = in->entries[i].hash & (slot_count - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (slot_count - 1);
        }
        slots[slot] = i + 1;
    }
    free(in->slots);
    in->slots = slots;
    in->slot_count = slot_count;
    return true;
}

static bool grow_entries(struct fxc_intern *in) {
    if (in->count < in->capacity) {
        return true;
    }
    uint32_t capacity = in->capacity == 0 ? 64 : in->capacity * 2;
    struct fxc_intern_entry *entries = realloc(in->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    in->entries = entries;
    in->capacity = capacity;
    return true;
}

static bool grow_bytes(struct fxc_intern *in, size_t more) {
    size_t needed;
    if (__builtin_add_overflow(in->bytes_used, more, &needed) || needed > SIZE_MAX / 2) {
        return false;
    }
    if (needed <= in->bytes_size) {
        return true;
    }
    size_t size = in->bytes_size * 2 > needed ? in->bytes_size * 2 : needed + 1024;
    uint8_t *bytes = realloc(in->bytes, size);
    if (bytes == NULL) {
        return false;
    }
    in->bytes = bytes;
    in->bytes_size = size;
    return true;
}

uint32_t fxc_intern(struct fxc_intern *in, const void *bytes, size_t size) {
    if (in->failed || size > UINT32_MAX || !grow_slots(in)) {
        in->failed = true;
        return FXC_NONE;
    }
    uint32_t hash = hash_bytes(bytes, size);
    uint32_t slot = find_slot(in, bytes, size, hash);
    if (in->slots[slot] != 0) {
        return in->slots[slot] - 1;
    }
    if (!grow_entries(in) || !grow_bytes(in, size)) {
        in->failed = true;
        return FXC_NONE;
    }
    if (size > 0) {
        memcpy(in->bytes + in->bytes_used, bytes, size);
    }
    in->entries[in->count] = (struct fxc_intern_entry){in->bytes_used, (uint32_t)size, hash};
    in->bytes_used += size;
    in->slots[slot] = ++in->count;
    return in->count - 1;
}

uint32_t fxc_intern_find(const struct fxc_intern *in, const void *bytes, size_t size) {
    if (in->failed || in->slot_count == 0 || size > UINT32_MAX) {
        return FXC_NONE;
    }
    uint32_t slot = find_slot(in, bytes, size, hash_bytes(bytes, size));
    return in->slots[slot] == 0 ? FXC_NONE : in->slots[slot] - 1;
}

void fxc_intern_free(struct fxc_intern *in) {
    free(in->bytes);
    free(in->entries);
    free(in->slots);
    *in = (struct fxc_intern){0};
}
