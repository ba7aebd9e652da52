/* Fuzzes the parser of the text form. */
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/laws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char head[] = "fxir 1.0\n";
    const size_t head_size = sizeof head - 1;
    if (size >= 5 && memcmp(data, "fxir ", 5) == 0) {
        (void)laws_or_abort(data, size);
        return 0;
    }
    /* Anything else gets the first line that would send it to the parser. */
    uint8_t *text = malloc(head_size + size);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, head, head_size);
    if (size > 0) {
        memcpy(text + head_size, data, size);
    }
    (void)laws_or_abort(text, head_size + size);
    free(text);
    return 0;
}
