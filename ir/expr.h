/* Exact evaluation of size expressions: integers in checked 64 bits, floats in double. */
#ifndef FXC_IR_EXPR_H
#define FXC_IR_EXPR_H

#include <stdbool.h>
#include <stdint.h>

struct fxc_program;

/* Value of a symbol: the user's binding, else the captured hint. */
struct fxc_binding {
    int64_t value;
    bool known;
    bool given; /* by the user */
};

enum fxc_eval { FXC_EVAL_OK, FXC_EVAL_UNBOUND, FXC_EVAL_OVERFLOW, FXC_EVAL_OPAQUE };

struct fxc_number {
    int64_t i; /* when not is_float */
    double f;  /* when is_float */
    bool is_float;
    uint8_t why;     /* enum fxc_eval */
    uint32_t symbol; /* with UNBOUND: the symbol without a value */
};

/* Value of an expression under bindings (per symbol); false with out->why set when it has none. Semantics are those of
 * torch.utils._sympy.functions: FloorDiv rounds down, Mod and PythonMod have the sign of the divisor, TruncToInt
 * rounds to zero, comparisons give 0 or 1. */
bool fxc_expr_eval(const struct fxc_program *program, const struct fxc_binding *bindings, uint32_t expr,
                   struct fxc_number *out);

/* The same for a part of an expression: the tokens from begin to end - 1. */
bool fxc_tokens_eval(const struct fxc_program *program, const struct fxc_binding *bindings, uint32_t begin,
                     uint32_t end, struct fxc_number *out);

/* A symint as an integer; false when it has no value or is no integer. */
bool fxc_symint_eval(const struct fxc_program *program, const struct fxc_binding *bindings, int64_t symint,
                     int64_t *out);

#endif
