/* The table of profiles. */
#include "passes/fusion/profile.h"

#include <stddef.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "ir/ops.h"

/* Masks of kinds. */
#define POINTWISE (1u << FXC_FUSE_POINTWISE)
#define ANCHORS (1u << FXC_FUSE_ANCHOR)
#define LOOPS                                                                                                          \
    (1u << FXC_FUSE_POINTWISE | 1u << FXC_FUSE_REDUCTION | 1u << FXC_FUSE_GATHER | 1u << FXC_FUSE_CONCAT |             \
     1u << FXC_FUSE_FACTORY)
#define INJECTIVE (1u << FXC_FUSE_GATHER | 1u << FXC_FUSE_CONCAT | 1u << FXC_FUSE_FACTORY)
#define VIEWS (1u << FXC_FUSE_VIEW | 1u << FXC_FUSE_NOTHING)

static const struct fxc_profile profiles[] = {
#define PROFILE(title, kind, text, from, ...)                                                                          \
    {.name = title, .engine = FXC_ENGINE_##kind, .summary = text, .source = from, __VA_ARGS__},
#include "passes/fusion/profiles.def"
};

const struct fxc_profile *fxc_profile_at(uint32_t index) {
    return index < sizeof profiles / sizeof profiles[0] ? &profiles[index] : NULL;
}

const struct fxc_profile *fxc_profile_find(const char *name) {
    const struct fxc_profile *profile;
    for (uint32_t i = 0; (profile = fxc_profile_at(i)) != NULL; i++) {
        if (strcmp(profile->name, name) == 0) {
            return profile;
        }
    }
    return NULL;
}
