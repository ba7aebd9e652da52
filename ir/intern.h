/* Interning: equal byte sequences get equal small numbers. */
#ifndef FXC_IR_INTERN_H
#define FXC_IR_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. Sequences are numbered 0, 1, 2 ... in the order of their first appearance. */
struct fxc_intern {
    uint8_t *bytes; /* all sequences, one after another */
    size_t bytes_used, bytes_size;
    struct fxc_intern_entry {
        size_t begin;
        uint32_t size;
        uint32_t hash;
    } *entries;
    uint32_t count, capacity;
    uint32_t *slots; /* open addressing: entry + 1, or 0 */
    uint32_t slot_count;
    bool failed; /* out of memory, or past the limits of 32 bits; everything later answers FXC_NONE */
};

/* The number of a sequence, new or known; FXC_NONE once failed. */
uint32_t fxc_intern(struct fxc_intern *intern, const void *bytes, size_t size);
/* The number of a known sequence, or FXC_NONE. */
uint32_t fxc_intern_find(const struct fxc_intern *intern, const void *bytes, size_t size);
void fxc_intern_free(struct fxc_intern *intern);

#endif
