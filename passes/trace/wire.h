/* trace: the wire format of protocol buffers, written. https://protobuf.dev/programming-guides/encoding: a field is a
 * varint of its number and its kind, then a varint, 8 bytes, or a length and as many bytes. */
#ifndef FXC_PASSES_TRACE_WIRE_H
#define FXC_PASSES_TRACE_WIRE_H

#include "passes/report/render.h"

/* A message that grows. A zeroed one is empty; `failed` is set when memory is out, and stays. */
struct fxc_wire {
    uint8_t *bytes;
    size_t size, capacity;
    bool failed;
};
void fxc_wire_free(struct fxc_wire *wire);
/* Empties it, and keeps its memory. */
void fxc_wire_clear(struct fxc_wire *wire);

/* Fields. A negative number is given in two's complement, as int64 fields have it. */
void fxc_wire_number(struct fxc_wire *wire, uint32_t field, uint64_t number);
void fxc_wire_text(struct fxc_wire *wire, uint32_t field, const char *text);
void fxc_wire_message(struct fxc_wire *wire, uint32_t field, const struct fxc_wire *message);
/* A repeated number in packed form; nothing for none. */
void fxc_wire_packed(struct fxc_wire *wire, uint32_t field, const uint64_t *numbers, size_t count);

/* Puts a message as a field of the message that the stream is. */
void fxc_put_field(struct fxc_stream *out, uint32_t field, const struct fxc_wire *message);
/* Puts a message behind its length, as files of several messages have it. */
void fxc_put_delimited(struct fxc_stream *out, const struct fxc_wire *message);

#endif
