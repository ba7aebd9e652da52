/* A graph that torch.fx traced without shapes has values only once its inputs have sizes (passes/resolve/resolve.h).
 * Counting it as it stands would call all of it unknown, so that it is refused in words. */
#include <stdio.h>

#include "passes/resolve/resolve.h"

/* Appends "a, b, ..." as far as it fits. */
static void append(char *text, size_t size, size_t *used, const char *name) {
    int written = snprintf(text + *used, size - *used, "%s%s", *used > 0 ? ", " : "", name);
    if (written > 0) {
        *used += (size_t)written < size - *used ? (size_t)written : size - *used - 1;
    }
}

fxc_status fxc_check_resolved(const struct fxc_program *p, fxc_error *err) {
    char names[256] = "";
    const char *first = NULL;
    size_t used = 0;
    bool symbolic = fxc_is_symbolic(p);
    for (uint32_t i = p->graph_input_begin[0]; symbolic && i < p->graph_input_begin[1]; i++) {
        uint32_t value = p->input_value[i];
        if (p->input_kind[i] == FXC_INPUT_KIND_USER_INPUT && p->value_kind[value] == FXC_KIND_OPAQUE) {
            const char *name = fxc_string(p, p->value_name[value]);
            first = first == NULL ? name : first;
            append(names, sizeof names, &used, name);
        }
    }
    if (!symbolic) {
        return FXC_OK;
    }
    if (first == NULL) {
        fxc_status status = fxc_fail(err, FXC_USAGE, "%s: a graph of torch.fx without shapes", p->file);
        fxc_expected(err, "a program of ATen overloads");
        fxc_found(err, "names that are not resolved yet, though its inputs have sizes");
        fxc_advice(err, "fxc_program_reshape resolves it, Program.at() in Python");
        return status;
    }
    fxc_status status = fxc_fail(err, FXC_USAGE, "%s: a graph of torch.fx without shapes", p->file);
    fxc_expected(err, "sizes of its inputs: %s", names);
    fxc_found(err, "none");
    fxc_advice(err, "give each its sizes, as in --input-shape %s=1,3,224,224", first);
    return status;
}
