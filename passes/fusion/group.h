/* Groups of operations: how they are made, and what runs before what. */
#ifndef FXC_PASSES_FUSION_GROUP_H
#define FXC_PASSES_FUSION_GROUP_H

#include "passes/fusion/merge.h"

static inline int fxc_access_order(const struct fxc_access *x, const struct fxc_access *y) {
    if (x->buffer != y->buffer) {
        return x->buffer < y->buffer ? -1 : 1;
    }
    if (x->at != y->at) {
        return x->at < y->at ? -1 : 1;
    }
    return x->sizes < y->sizes ? -1 : x->sizes > y->sizes;
}
uint32_t fxc_group_new(struct fxc_merge *merge, uint32_t operation);
/* One group of two; `depth` above 0: loop nests with so many common outer loops. */
uint32_t fxc_group_join(struct fxc_merge *merge, uint32_t first, uint32_t second, uint32_t depth);
/* Whether b reads what a writes. */
bool fxc_group_feeds(const struct fxc_merge *merge, uint32_t a, uint32_t b);
/* Whether a must run before b: `directly` or through other groups; else through other groups alone. */
bool fxc_group_before(struct fxc_merge *merge, uint32_t a, uint32_t b, bool directly);
/* Whether an operation of a group needs one of group `a`, directly or through operations of any group: what merged does
 * not count. */
bool fxc_group_follows(struct fxc_merge *merge, uint32_t group, uint32_t a);

#endif
