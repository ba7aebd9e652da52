/* The words of profile files. */
#ifndef FXC_PASSES_FUSION_PROFILE_WORDS_H
#define FXC_PASSES_FUSION_PROFILE_WORDS_H

#include <stddef.h>

#include "ir/ops.h"
#include "passes/fusion/profile.h"

/* Numbers and truths (passes/fusion/fields.def). */
struct fxc_profile_field {
    const char *name, *text;
    size_t offset; /* in struct fxc_profile */
    bool flag;
};
enum fxc_profile_field_number {
#define NUMBER(name, text) FXC_FIELD_##name,
#define FLAG(name, text) FXC_FIELD_##name,
#include "passes/fusion/fields.def"
    FXC_FIELD_COUNT
};
_Static_assert(FXC_FIELD_COUNT < 64, "bits of a number");
extern const struct fxc_profile_field fxc_profile_fields[FXC_FIELD_COUNT];

extern const char *const fxc_heavy_texts[FXC_HEAVY_COUNT];
extern const char *const fxc_kind_texts[FXC_FUSE_COUNT];
extern const char *const fxc_relation_texts[FXC_RELATION_COUNT];
extern const char *const fxc_users_texts[FXC_USERS_COUNT];
extern const char *const fxc_engine_texts[FXC_ENGINE_COUNT];

#endif
