#include "tests/fuzz/rule_reach.h"

#include <stdio.h>
#include <stdlib.h>

#include "ir/rules.h"

enum { MAX_ROWS = 8192 };
enum { SIZES = 1, DTYPE = 2, STRIDES = 4, COUNTED = 8 };
static uint8_t reached[MAX_ROWS];

static void at_end(void) {
    (void)rule_reach_print(false);
}

static void mark(const struct fxc_op_row *row, uint8_t bits) {
    static bool registered;
    if (!registered) {
        registered = true;
        (void)atexit(at_end);
    }
    if (row != NULL && row >= fxc_op_rows && row < fxc_op_rows + fxc_op_row_count && row - fxc_op_rows < MAX_ROWS) {
        reached[row - fxc_op_rows] |= bits;
    }
}

void rule_reached(const struct fxc_op_row *row, uint32_t index, bool dtype, bool strides) {
    (void)index;
    mark(row, (uint8_t)(SIZES | (dtype ? DTYPE : 0) | (strides ? STRIDES : 0)));
}

void rule_counted(const struct fxc_op_row *row) {
    mark(row, COUNTED);
}

/* Rows with a shape rule, rows with a FLOP rule, and rules of each kind: reached of all. */
uint32_t rule_reach_print(bool names) {
    bool shapes[FXC_SHAPE_RULE_COUNT] = {0}, flops[FXC_FLOP_RULE_COUNT] = {0};
    uint32_t shaped = 0, told = 0, typed = 0, laid = 0, formulas = 0, counted = 0, shape_rules = 0, flop_rules = 0;
    for (uint32_t i = 0; i < fxc_op_row_count && i < MAX_ROWS; i++) {
        const struct fxc_op_row *row = &fxc_op_rows[i];
        bool has_shape = row->shape != FXC_SHAPE_RECORDED_ONLY, has_flops = row->flops != FXC_FLOPS_UNKNOWN;
        shaped += has_shape;
        formulas += has_flops;
        told += (reached[i] & SIZES) != 0;
        typed += (reached[i] & DTYPE) != 0;
        laid += (reached[i] & STRIDES) != 0;
        counted += (reached[i] & COUNTED) != 0;
        shapes[row->shape] |= (reached[i] & SIZES) != 0;
        flops[row->flops] |= (reached[i] & COUNTED) != 0;
        if (names && ((has_shape && (reached[i] & SIZES) == 0) || (has_flops && (reached[i] & COUNTED) == 0))) {
            (void)printf("not reached: %s (%s%s)\n", row->name,
                         has_shape && (reached[i] & SIZES) == 0 ? row->shape_name : "",
                         has_flops && (reached[i] & COUNTED) == 0 ? " flops" : "");
        }
    }
    for (uint32_t i = 0; i < FXC_SHAPE_RULE_COUNT; i++) {
        shape_rules += shapes[i];
    }
    for (uint32_t i = 0; i < FXC_FLOP_RULE_COUNT; i++) {
        flop_rules += flops[i];
    }
    (void)printf("rows whose rule told sizes: %u of %u (types of %u, strides of %u); rows counted: %u of %u; "
                 "shape rules: %u of %u; FLOP rules: %u of %u\n",
                 told, shaped, typed, laid, counted, formulas, shape_rules, FXC_SHAPE_RULE_COUNT - 1, flop_rules,
                 FXC_FLOP_RULE_COUNT - 1);
    return told;
}
