/* Canonical numbers for the pooled tables: two strings, expressions, tensor descriptions or lists get the same number
 * when they say the same, however their tables share rows. The numbers are common to all programs that are added to
 * one fxc_canon. */
#ifndef FXC_IR_CANON_H
#define FXC_IR_CANON_H

#include "ir/intern.h"
#include "ir/program.h"

struct fxc_canon {
    struct fxc_intern strings, exprs, metas, lists;
};

/* Rows of one program mapped to canonical numbers. */
struct fxc_canon_map {
    uint32_t *string, *expr, *meta, *list;
};

/* Maps all pooled rows of a program; FXC_MEMORY when memory is out. Linear in the size of the program. */
fxc_status fxc_canon_add(struct fxc_canon *canon, const struct fxc_program *program, struct fxc_canon_map *map,
                         fxc_error *err);
void fxc_canon_map_free(struct fxc_canon_map *map);
void fxc_canon_free(struct fxc_canon *canon);

/* A payload or symint with its pooled row replaced by the canonical number, unknown enumerators by OPAQUE. */
int64_t fxc_canon_payload(const struct fxc_canon_map *map, uint8_t kind, int64_t payload);
int64_t fxc_canon_symint(const struct fxc_canon_map *map, int64_t symint);

#endif
