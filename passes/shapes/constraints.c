/* Constraints whose subject is an expression, such as 2*s17 from 4 to 128: ranges of single symbols are checked when
 * they are set, these when all are. */
#include <inttypes.h>

#include "passes/analysis.h"
#include "passes/formula/formula.h"

static fxc_status refuse(const struct fxc_program *p, uint32_t row, int64_t found, fxc_error *err) {
    struct fxc_arena arena = {0};
    uint32_t expr = p->constraint_expr[row];
    uint8_t flags = p->constraint_flags[row];
    const char *text = fxc_tokens_text(p, p->expr_begin[expr], p->expr_begin[expr + 1], &arena);
    fxc_status status =
        fxc_fail(err, FXC_USAGE, "%s: derived dimension %s", p->file, text == NULL ? "of the capture" : text);
    if ((flags & FXC_SYMBOL_FLAG_HAS_MIN) != 0 && found < p->constraint_min[row]) {
        fxc_expected(err, "at least %" PRId64 ", the range of the capture", p->constraint_min[row]);
    } else {
        fxc_expected(err, "at most %" PRId64 ", the range of the capture", p->constraint_max[row]);
    }
    fxc_found(err, "%" PRId64, found);
    fxc_arena_free(&arena);
    return status;
}

fxc_status fxc_check_constraints(const struct fxc_analysis *analysis, fxc_error *err) {
    const struct fxc_program *p = analysis->program;
    for (uint32_t i = 0; i < FXC_COUNT(p, constraint); i++) {
        struct fxc_number number;
        if (!fxc_expr_eval(p, analysis->bindings, p->constraint_expr[i], &number) || number.is_float) {
            continue; /* about a symbol without a value, or what the format cannot express */
        }
        uint8_t flags = p->constraint_flags[i];
        if (((flags & FXC_SYMBOL_FLAG_HAS_MIN) != 0 && number.i < p->constraint_min[i]) ||
            ((flags & FXC_SYMBOL_FLAG_HAS_MAX) != 0 && number.i > p->constraint_max[i])) {
            return refuse(p, i, number.i, err);
        }
    }
    return FXC_OK;
}
