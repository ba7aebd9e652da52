/* The C face of the one C++ file: the official FlatBuffers verifier and accessors. */
#ifndef FXC_IR_READER_H
#define FXC_IR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A column as found in a file. */
struct fxc_raw_column {
    const void *data; /* NULL when absent */
    uint32_t length;
};

struct fxc_raw_program {
    uint16_t version_major, version_minor;
    struct fxc_raw_column *columns; /* in the order of ir/columns.def */
};

enum fxc_raw_status { FXC_RAW_OK, FXC_RAW_NO_IDENTIFIER, FXC_RAW_DAMAGED };

/* Verifies the buffer (8-byte aligned) and fills columns[FXC_COLUMN_COUNT]. */
enum fxc_raw_status fxc_raw_read(const void *bytes, size_t size, struct fxc_raw_program *out);

#ifdef __cplusplus
}
#endif

#endif
