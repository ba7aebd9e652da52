/* Arrays that grow. */
#ifndef FXC_PASSES_GROW_H
#define FXC_PASSES_GROW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Room for `count` elements of `size` bytes; false when memory is out, and the array is as it was. */
static inline bool fxc_grow(void **data, uint32_t *capacity, uint32_t count, size_t size) {
    if (count <= *capacity) {
        return true;
    }
    size_t wanted = *capacity < 32 ? 64 : (size_t)*capacity * 2;
    if (wanted < count) {
        wanted = count;
    }
    if (wanted > UINT32_MAX || wanted > SIZE_MAX / size) {
        return false;
    }
    void *grown = realloc(*data, wanted * size);
    if (grown == NULL) {
        return false;
    }
    *data = grown;
    *capacity = (uint32_t)wanted;
    return true;
}

/* The same of a typed array: FXC_ROOM(table->row, table->row_capacity, table->row_count + 1). */
#define FXC_ROOM(array, capacity, count) fxc_grow((void **)&(array), &(capacity), (count), sizeof *(array))

#endif
