/* Filling an fxc_error. Every message says where, what was expected, what was found, what to do. */
#ifndef FXC_IR_ERROR_H
#define FXC_IR_ERROR_H

#include "fxcost/fxcost.h"

#if defined(__GNUC__)
#define FXC_PRINTF(index, first) __attribute__((format(printf, index, first)))
#else
#define FXC_PRINTF(index, first)
#endif

struct fxc_program;

/* Starts an error: sets the status and `where`, clears the rest. Returns the status. err may be NULL in all of these.
 */
fxc_status fxc_fail(fxc_error *err, fxc_status status, const char *where, ...) FXC_PRINTF(3, 4);
/* The same where a node is concerned: "file: node 41 'addmm_3' (aten.addmm.default) in blocks.2.fc, model.py:88". */
fxc_status fxc_fail_node(fxc_error *err, fxc_status status, const struct fxc_program *program, uint32_t node);
/* Add the other parts, and rebuild `message`. */
void fxc_expected(fxc_error *err, const char *format, ...) FXC_PRINTF(2, 3);
void fxc_found(fxc_error *err, const char *format, ...) FXC_PRINTF(2, 3);
void fxc_advice(fxc_error *err, const char *format, ...) FXC_PRINTF(2, 3);

/* Out of memory while doing `where`. */
fxc_status fxc_fail_memory(fxc_error *err, const char *where);

#define FXC_TRY(expression)                                                                                            \
    do {                                                                                                               \
        fxc_status fxc_try_status = (expression);                                                                      \
        if (fxc_try_status != FXC_OK) {                                                                                \
            return fxc_try_status;                                                                                     \
        }                                                                                                              \
    } while (0)

#endif
