/* Words of profile files, and profiles written as files. */
#include <stdio.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "ir/error.h"
#include "passes/fusion/profile_words.h"

const struct fxc_profile_field fxc_profile_fields[] = {
#define NUMBER(name, text) {#name, text, offsetof(struct fxc_profile, name), false},
#define FLAG(name, text) {#name, text, offsetof(struct fxc_profile, name), true},
#include "passes/fusion/fields.def"
};

#define X(name, text) text,
const char *const fxc_heavy_texts[] = {FXC_HEAVY_LIST(X)};
const char *const fxc_kind_texts[] = {FXC_FUSE_LIST(X)};
const char *const fxc_relation_texts[] = {FXC_RELATION_LIST(X)};
const char *const fxc_users_texts[] = {FXC_USERS_LIST(X)};
const char *const fxc_engine_texts[] = {FXC_ENGINE_LIST(X)};
#undef X

fxc_status fxc_profile_word(uint32_t index, const char **name, const char **text, fxc_error *err) {
    if (index >= FXC_FIELD_COUNT) {
        return fxc_fail(err, FXC_USAGE, "fxc_profile_word: no word %u", index);
    }
    *name = fxc_profile_fields[index].name;
    *text = fxc_profile_fields[index].text;
    return FXC_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------
 */

/* Text on its way out. */
struct printer {
    fxc_write_fn write;
    void *context;
    fxc_error *err;
    fxc_status status;
};

static void put(struct printer *out, const char *text) {
    if (out->status == FXC_OK && !out->write(out->context, text, strlen(text))) {
        out->status = fxc_fail(out->err, FXC_IO, "fxc_profile_print: writing failed");
    }
}

static void put_line(struct printer *out, const char *name, const char *value) {
    put(out, name);
    put(out, " = ");
    put(out, value);
    put(out, "\n");
}

static void put_bits(struct printer *out, const char *const *texts, uint32_t count, uint32_t bits) {
    const char *between = "";
    for (uint32_t i = 0; i < count; i++) {
        if ((bits >> i & 1u) != 0) {
            put(out, between);
            put(out, texts[i]);
            between = ", ";
        }
    }
    if (bits == 0) {
        put(out, "none");
    }
}

static void put_rule(struct printer *out, const struct fxc_node_rule *rule) {
    uint32_t bits[3] = {rule->producer, rule->group, rule->consumer};
    put(out, "rule = ");
    for (uint32_t i = 0; i < 3; i++) {
        put_bits(out, fxc_kind_texts, FXC_FUSE_COUNT, bits[i]);
        put(out, " | ");
    }
    put(out, fxc_relation_texts[rule->relation]);
    put(out, " | ");
    put(out, fxc_users_texts[rule->users]);
    put(out, "\n");
}

fxc_status fxc_profile_print(const fxc_profile *profile, fxc_write_fn write, void *context, fxc_error *err) {
    struct printer out = {write, context, err, FXC_OK};
    char number[16];
    put_line(&out, "profile", profile->name);
    put_line(&out, "summary", profile->summary);
    put_line(&out, "source", profile->source);
    put_line(&out, "engine", fxc_engine_texts[profile->engine]);
    put_line(&out, "lowered", profile->lowered == NULL ? "none" : profile->lowered);
    for (uint32_t i = 0; i < FXC_FIELD_COUNT; i++) {
        const char *at = (const char *)profile + fxc_profile_fields[i].offset;
        uint32_t value =
            fxc_profile_fields[i].flag ? *(const bool *)(const void *)at : *(const uint32_t *)(const void *)at;
        if (value != 0) {
            (void)snprintf(number, sizeof number, "%u", value);
            put(&out, fxc_profile_fields[i].name);
            put(&out, " = ");
            put(&out, fxc_profile_fields[i].flag ? "true" : number);
            put(&out, "  # ");
            put(&out, fxc_profile_fields[i].text);
            put(&out, "\n");
        }
    }
    if (profile->engine == FXC_ENGINE_LOOPS) {
        put(&out, "heavy = ");
        put_bits(&out, fxc_heavy_texts, FXC_HEAVY_COUNT, profile->heavy);
        put(&out, "\n");
    } else {
        put(&out, "fusible = ");
        put_bits(&out, fxc_kind_texts, FXC_FUSE_COUNT, profile->fusible);
        put(&out, "\n");
    }
    for (uint32_t i = 0; i < FXC_NODE_RULES && profile->rule[i].consumer != 0; i++) {
        put_rule(&out, &profile->rule[i]);
    }
    return out.status;
}
