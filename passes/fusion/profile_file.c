/* Profile files: a fusion profile as text, one `name = value` a line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fxcost/fusion.h"
#include "ir/error.h"
#include "passes/fusion/profile_words.h"
#include "passes/settings.h"

static const struct fxc_settings_kind profile_files = {.refused = FXC_USAGE,
                                                       .what = "a profile file",
                                                       .advice =
                                                           "see a profile in this form: fxcost profiles inductor-cpu",
                                                       .words = "; docs/fusion.md lists the words"};

/* A parsed profile and the text that its strings point into. */
struct profile_file {
    struct fxc_profile profile;
    char *text;
};

struct parser {
    struct fxc_profile *profile;
    struct fxc_settings settings;
    uint32_t rules;
    bool started, titled; /* `from` or `engine` was given; the profile's own name was */
    uint64_t seen;        /* bits of the words that were given */
};

static fxc_status fail_line(const struct parser *ps, const char *expected, const char *found, fxc_error *err) {
    return fxc_settings_fail(&ps->settings, expected, found, err);
}

static fxc_status fail_missing(const struct parser *ps, const char *what, fxc_error *err) {
    return fxc_settings_missing(&ps->settings, what, err);
}

/* ---- values -------------------------------------------------------------------------------------------------------
 */

static uint32_t find_word(const char *const *texts, uint32_t count, const char *word) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(texts[i], word) == 0) {
            return i;
        }
    }
    return FXC_NONE;
}

/* "exp, tanh", "all" or "none" as bits; false when a word is none of these. */
static bool read_bits(const char *const *texts, uint32_t count, char *list, uint32_t *bits) {
    *bits = 0;
    if (strcmp(list, "all") == 0) {
        *bits = (1u << count) - 1;
        return true;
    }
    if (strcmp(list, "none") == 0) {
        return true;
    }
    for (char *word = list; word != NULL;) {
        char *comma = strchr(word, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        uint32_t found = find_word(texts, count, fxc_settings_trim(word));
        if (found == FXC_NONE) {
            return false;
        }
        *bits |= 1u << found;
        word = comma == NULL ? NULL : comma + 1;
    }
    return true;
}

static fxc_status set_number(struct parser *ps, const struct fxc_profile_field *field, const char *value,
                             fxc_error *err) {
    char *at = (char *)ps->profile + field->offset, *end;
    if (field->flag) {
        bool yes = strcmp(value, "true") == 0;
        if (!yes && strcmp(value, "false") != 0) {
            return fail_line(ps, "true or false", value, err);
        }
        *(bool *)(void *)at = yes;
        return FXC_OK;
    }
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] == '-' || end == value || *end != '\0' || errno != 0 || number > UINT32_MAX) {
        return fail_line(ps, "a whole number from 0 to 4294967295", value, err);
    }
    *(uint32_t *)(void *)at = (uint32_t)number;
    return FXC_OK;
}

/* `rule = PRODUCERS | GROUP | CONSUMERS | RELATION | USERS` */
static fxc_status add_rule(struct parser *ps, char *value, fxc_error *err) {
    static const char *const expected =
        "producers | what their kernel may hold | consumers | any, same_elements or same_run | any, one or dominated";
    char *part[5], shown[104];
    uint32_t bits[3] = {0}, count = 0;
    (void)snprintf(shown, sizeof shown, "%s", value);
    for (char *rest = value; rest != NULL && count < 5;) {
        char *bar = strchr(rest, '|');
        if (bar != NULL) {
            *bar = '\0';
        }
        part[count++] = fxc_settings_trim(rest);
        rest = bar == NULL ? NULL : bar + 1;
    }
    if (count < 5 || ps->rules == FXC_NODE_RULES) {
        return fail_line(ps, count < 5 ? expected : "at most 6 rules", shown, err);
    }
    for (uint32_t i = 0; i < 3; i++) {
        if (!read_bits(fxc_kind_texts, FXC_FUSE_COUNT, part[i], &bits[i])) {
            return fail_line(ps,
                             "kinds of operators: pointwise, reduction, anchor, view, gather, scan, concat, factory, "
                             "opaque, collective, nothing",
                             shown, err);
        }
    }
    uint32_t relation = find_word(fxc_relation_texts, FXC_RELATION_COUNT, part[3]);
    uint32_t users = find_word(fxc_users_texts, FXC_USERS_COUNT, part[4]);
    if (relation == FXC_NONE || users == FXC_NONE) {
        return fail_line(ps, expected, shown, err);
    }
    if (ps->rules == 0) { /* in place of those that it starts with */
        memset(ps->profile->rule, 0, sizeof ps->profile->rule);
    }
    ps->profile->rule[ps->rules++] = (struct fxc_node_rule){.producer = (uint16_t)bits[0],
                                                            .group = (uint16_t)bits[1],
                                                            .consumer = (uint16_t)bits[2],
                                                            .relation = (uint8_t)relation,
                                                            .users = (uint8_t)users};
    return FXC_OK;
}

/* Where the profile starts: as another, or empty. */
static fxc_status start(struct parser *ps, bool other, const char *value, fxc_error *err) {
    struct fxc_profile *own = ps->profile, before = *own;
    if (ps->started || ps->seen != 0 || ps->rules > 0) {
        return fail_line(ps, "'from' or 'engine' once, before the words that change it", value, err);
    }
    if (other) {
        const struct fxc_profile *from = fxc_profile_find(value);
        if (from == NULL) {
            return fail_line(ps, "a profile that fxcost knows: fxcost profiles", value, err);
        }
        *own = *from;
    } else {
        uint32_t engine = find_word(fxc_engine_texts, FXC_ENGINE_COUNT, value);
        if (engine == FXC_NONE) {
            return fail_line(ps, "nodes or loops", value, err);
        }
        own->engine = (uint8_t)engine;
    }
    own->name = before.name;
    own->summary = before.summary;
    own->source = before.source;
    ps->started = true;
    return FXC_OK;
}

/* ---- lines --------------------------------------------------------------------------------------------------------
 */

static fxc_status set_word(struct parser *ps, const char *name, char *value, fxc_error *err) {
    struct fxc_profile *own = ps->profile;
    uint32_t bits;
    if (!ps->started) {
        return fail_line(ps, "'from = PROFILE' or 'engine = nodes' or 'loops' first", name, err);
    }
    for (uint32_t i = 0; i < FXC_FIELD_COUNT; i++) {
        if (strcmp(fxc_profile_fields[i].name, name) == 0) {
            if ((ps->seen >> i & 1u) != 0) {
                return fail_line(ps, "each name once", name, err);
            }
            ps->seen |= (uint64_t)1 << i;
            return set_number(ps, &fxc_profile_fields[i], value, err);
        }
    }
    if (strcmp(name, "rule") == 0) {
        return add_rule(ps, value, err);
    }
    if (strcmp(name, "lowered") == 0) {
        own->lowered = strcmp(value, "none") == 0 ? NULL : value;
        return FXC_OK;
    }
    if (strcmp(name, "heavy") == 0) {
        return read_bits(fxc_heavy_texts, FXC_HEAVY_COUNT, value, &own->heavy)
                   ? FXC_OK
                   : fail_line(ps, "all, none, or some of exp, log, log10, log1p, log2, sigmoid, tanh", name, err);
    }
    if (strcmp(name, "fusible") == 0) {
        if (!read_bits(fxc_kind_texts, FXC_FUSE_COUNT, value, &bits)) {
            return fail_line(ps, "all, none, or kinds of operators, such as: pointwise, reduction, view", name, err);
        }
        own->fusible = (uint16_t)bits;
        return FXC_OK;
    }
    return fail_line(ps, "a word of a profile", name, err);
}

static fxc_status set_value(void *context, char *name, char *value, fxc_error *err) {
    struct parser *ps = context;
    if (value[0] == '\0') {
        return fail_line(ps, "a value after '='", name, err);
    }
    if (strcmp(name, "profile") == 0) {
        return fxc_settings_text(&ps->settings, &ps->profile->name, value, err);
    }
    if (strcmp(name, "summary") == 0) {
        return fxc_settings_text(&ps->settings, &ps->profile->summary, value, err);
    }
    if (strcmp(name, "source") == 0) {
        return fxc_settings_text(&ps->settings, &ps->profile->source, value, err);
    }
    if (strcmp(name, "from") == 0 || strcmp(name, "engine") == 0) {
        return start(ps, name[0] == 'f', value, err);
    }
    return set_word(ps, name, value, err);
}

static fxc_status parse(struct parser *ps, char *text, fxc_error *err) {
    struct fxc_profile *own = ps->profile;
    FXC_TRY(fxc_settings_each(&ps->settings, text, set_value, ps, err));
    if (own->name == NULL) {
        return fail_missing(ps, "profile = NAME", err);
    }
    if (!ps->started) {
        return fail_missing(ps, "from = PROFILE, or engine = nodes or loops", err);
    }
    if (own->max_nodes == 0) {
        return fail_missing(ps, "max_nodes of at least 1", err);
    }
    own->summary = own->summary == NULL ? own->name : own->summary;
    own->source = own->source == NULL ? "a profile file" : own->source;
    return FXC_OK;
}

fxc_status fxc_profile_parse(const char *text, size_t size, const char *name, fxc_profile **out, fxc_error *err) {
    struct parser ps = {.settings = {.kind = &profile_files, .name = name}};
    char *copy;
    *out = NULL;
    FXC_TRY(fxc_settings_copy(&ps.settings, text, size, "fxc_profile_parse", &copy, err));
    struct profile_file *file = calloc(1, sizeof *file);
    if (file == NULL) {
        free(copy);
        return fxc_fail_memory(err, "fxc_profile_parse");
    }
    file->text = copy;
    ps.profile = &file->profile;
    fxc_status status = parse(&ps, copy, err);
    if (status != FXC_OK) {
        fxc_profile_free(&file->profile);
        return status;
    }
    *out = &file->profile;
    return FXC_OK;
}

void fxc_profile_free(fxc_profile *profile) {
    if (profile != NULL) {
        struct profile_file *file = (struct profile_file *)(void *)profile; /* its first member */
        free(file->text);
        free(file);
    }
}

fxc_status fxc_profile_open(const char *path, fxc_profile **out, fxc_error *err) {
    char *text;
    size_t size;
    *out = NULL;
    FXC_TRY(fxc_settings_open(&profile_files, path, "fxc_profile_open", &text, &size, err));
    fxc_status status = fxc_profile_parse(text, size, path, out, err);
    free(text);
    return status;
}

bool fxc_profile_is_path(const char *value) {
    return fxc_settings_is_path(value, ".profile");
}
