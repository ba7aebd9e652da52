/* A fixed number of pseudo-random programs for every row of the operator table: random_rules [PROGRAMS per row]. Fails
 * when fewer than nine in ten of the shape rules told anything, for then the programs would test little. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ir/ops.h"
#include "ir/rules.h"
#include "tests/fuzz/rule_reach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES = 192 };

static uint32_t next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

int main(int count, char **arguments) {
    long programs = count > 1 ? strtol(arguments[1], NULL, 10) : 20;
    uint32_t state = 2463534242u, shaped = 0;
    for (uint32_t row = 0; row < fxc_op_row_count; row++) {
        shaped += fxc_op_rows[row].shape != FXC_SHAPE_RECORDED_ONLY;
        for (long i = 0; i < programs; i++) {
            uint8_t bytes[BYTES + 2];
            bytes[0] = (uint8_t)(row >> 8);
            bytes[1] = (uint8_t)row;
            for (uint32_t at = 2; at < sizeof bytes; at++) {
                bytes[at] = (uint8_t)(next(&state) >> 7);
            }
            (void)LLVMFuzzerTestOneInput(bytes, sizeof bytes);
        }
    }
    (void)printf("%ld programs for each of %u rows\n", programs, fxc_op_row_count);
    return rule_reach_print(true) >= shaped / 10 * 9 ? 0 : 1;
}
