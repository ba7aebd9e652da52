/* Fuzzes the reader of .fxir files. Random bytes seldom get past the FlatBuffers verifier, so half of the mutations
 * change single elements of columns and leave the envelope alone. */
#include <stddef.h>
#include <stdint.h>

#include "ir/program.h"
#include "ir/reader.h"
#include "tests/fuzz/laws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
/* libFuzzer's own; absent in the replay, which mutates nothing. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)laws_or_abort(data, size);
    return 0;
}

static uint32_t next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A new value for an element: near the old one, small, or any. */
static void mutate_element(uint8_t *element, size_t size, uint32_t *state) {
    uint64_t value = 0;
    memcpy(&value, element, size);
    switch (next(state) % 6) {
    case 0:
        value += 1;
        break;
    case 1:
        value -= 1;
        break;
    case 2:
        value = next(state) % 8;
        break;
    case 3:
        value = ~(uint64_t)(next(state) % 8);
        break;
    case 4:
        value ^= UINT64_C(1) << next(state) % (size * 8);
        break;
    default:
        value = (uint64_t)next(state) << 32 | next(state);
        break;
    }
    memcpy(element, &value, size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    struct fxc_raw_column columns[FXC_COLUMN_COUNT];
    struct fxc_raw_program raw = {.columns = columns};
    uint32_t state = seed * 2654435761u + 1;
    uint8_t *aligned = next(&state) % 2 == 0 ? malloc(size + 8) : NULL;
    if (aligned != NULL && size > 0) {
        memcpy(aligned, data, size);
        if (fxc_raw_read(aligned, size, &raw) == FXC_RAW_OK) {
            for (uint32_t changes = 1 + next(&state) % 3; changes > 0; changes--) {
                uint32_t column = next(&state) % FXC_COLUMN_COUNT;
                size_t element_size = fxc_columns[column].element_size;
                if (columns[column].data != NULL && columns[column].length > 0) {
                    uint32_t row = next(&state) % columns[column].length;
                    size_t offset = (size_t)((const uint8_t *)columns[column].data - aligned) + row * element_size;
                    mutate_element(data + offset, element_size, &state);
                }
            }
            free(aligned);
            return size;
        }
    }
    free(aligned);
    return LLVMFuzzerMutate == NULL ? size : LLVMFuzzerMutate(data, size, max_size);
}
