/* Programs made from bytes for the fuzzer of rules: a few nodes, each an operator of the table with arguments of the
 * kinds that its schema names, whatever their sizes, types and strides. */
#ifndef FXC_TESTS_FUZZ_RULE_PROGRAM_H
#define FXC_TESTS_FUZZ_RULE_PROGRAM_H

#include "ir/program.h"
#include "passes/rule.h"

enum { RULE_PROGRAM_VALUES = 160 };

/* What rules told of the values of a first run: sizes, type and strides that the second run records. */
struct rule_told {
    bool sizes[RULE_PROGRAM_VALUES], strides[RULE_PROGRAM_VALUES], dtype[RULE_PROGRAM_VALUES];
    struct fxc_shape shape[RULE_PROGRAM_VALUES];
};

/* A program from these bytes; NULL when memory is out. The same bytes give the same program, but for results that
 * `told` (unless NULL) describes. */
fxc_program *rule_program(const uint8_t *data, size_t size, const struct rule_told *told);

#endif
