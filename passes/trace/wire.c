#include "passes/trace/wire.h"

#include <stdlib.h>
#include <string.h>

enum { VARINT = 0, BYTES = 2, VARINT_SIZE = 10 };

void fxc_wire_free(struct fxc_wire *wire) {
    free(wire->bytes);
    *wire = (struct fxc_wire){0};
}

void fxc_wire_clear(struct fxc_wire *wire) {
    wire->size = 0;
}

static void append(struct fxc_wire *wire, const void *bytes, size_t size) {
    if (size > wire->capacity - wire->size) {
        size_t capacity = wire->capacity < 64 ? 64 : wire->capacity;
        while (!wire->failed && size > capacity - wire->size) {
            wire->failed = capacity > SIZE_MAX / 2;
            capacity = wire->failed ? capacity : capacity * 2;
        }
        uint8_t *grown = wire->failed ? NULL : realloc(wire->bytes, capacity);
        if (grown == NULL) {
            wire->failed = true;
            return;
        }
        wire->bytes = grown;
        wire->capacity = capacity;
    }
    if (size > 0) {
        memcpy(wire->bytes + wire->size, bytes, size);
        wire->size += size;
    }
}

static size_t encode(uint64_t number, uint8_t out[VARINT_SIZE]) {
    size_t size = 0;
    while (number >= 0x80) {
        out[size++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    out[size++] = (uint8_t)number;
    return size;
}

static void append_varint(struct fxc_wire *wire, uint64_t number) {
    uint8_t bytes[VARINT_SIZE];
    append(wire, bytes, encode(number, bytes));
}

static void append_bytes(struct fxc_wire *wire, uint32_t field, const void *bytes, size_t size) {
    append_varint(wire, (uint64_t)field << 3 | BYTES);
    append_varint(wire, size);
    append(wire, bytes, size);
}

void fxc_wire_number(struct fxc_wire *wire, uint32_t field, uint64_t number) {
    append_varint(wire, (uint64_t)field << 3 | VARINT);
    append_varint(wire, number);
}

void fxc_wire_text(struct fxc_wire *wire, uint32_t field, const char *text) {
    append_bytes(wire, field, text, strlen(text));
}

void fxc_wire_message(struct fxc_wire *wire, uint32_t field, const struct fxc_wire *message) {
    wire->failed |= message->failed;
    append_bytes(wire, field, message->bytes, message->size);
}

void fxc_wire_packed(struct fxc_wire *wire, uint32_t field, const uint64_t *numbers, size_t count) {
    uint8_t bytes[VARINT_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += encode(numbers[i], bytes);
    }
    if (count > 0) {
        append_varint(wire, (uint64_t)field << 3 | BYTES);
        append_varint(wire, size);
    }
    for (size_t i = 0; i < count; i++) {
        append_varint(wire, numbers[i]);
    }
}

static void put_varint(struct fxc_stream *out, uint64_t number) {
    uint8_t bytes[VARINT_SIZE];
    fxc_put_bytes(out, bytes, encode(number, bytes));
}

void fxc_put_field(struct fxc_stream *out, uint32_t field, const struct fxc_wire *message) {
    put_varint(out, (uint64_t)field << 3 | BYTES);
    fxc_put_delimited(out, message);
}

void fxc_put_delimited(struct fxc_stream *out, const struct fxc_wire *message) {
    put_varint(out, message->size);
    fxc_put_bytes(out, message->bytes, message->size);
}
