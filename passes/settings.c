#include "passes/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

bool fxc_settings_is_path(const char *word, const char *suffix) {
    size_t length = strlen(word), end = strlen(suffix);
    return strchr(word, '/') != NULL || (length > end && strcmp(word + length - end, suffix) == 0);
}

fxc_status fxc_settings_fail(const struct fxc_settings *settings, const char *expected, const char *found,
                             fxc_error *err) {
    fxc_status status = fxc_fail(err, settings->kind->refused, "%s: line %u", settings->name, settings->line);
    fxc_expected(err, "%s", expected);
    fxc_found(err, "'%.100s'", found);
    fxc_advice(err, "%s%s", settings->kind->advice, settings->kind->words);
    return status;
}

fxc_status fxc_settings_missing(const struct fxc_settings *settings, const char *what, fxc_error *err) {
    fxc_status status = fxc_fail(err, settings->kind->refused, "%s", settings->name);
    fxc_expected(err, "%s", what);
    fxc_found(err, "%s without", settings->kind->what);
    fxc_advice(err, "%s", settings->kind->advice);
    return status;
}

char *fxc_settings_trim(char *text) {
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL) {
        text[--length] = '\0';
    }
    return text;
}

fxc_status fxc_settings_text(const struct fxc_settings *settings, const char **field, const char *value,
                             fxc_error *err) {
    if (*field != NULL) {
        return fxc_settings_fail(settings, "each name once", value, err);
    }
    *field = value;
    return FXC_OK;
}

/* ---- lines --------------------------------------------------------------------------------------------------------
 */

static fxc_status parse_line(const struct fxc_settings *settings, char *line,
                             fxc_status (*set)(void *, char *, char *, fxc_error *), void *context, fxc_error *err) {
    char *comment = strchr(line, '#');
    if (comment != NULL && (comment == line || strchr(" \t", comment[-1]) != NULL)) {
        *comment = '\0';
    }
    line = fxc_settings_trim(line);
    if (line[0] == '\0') {
        return FXC_OK;
    }
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        return fxc_settings_fail(settings, "name = value", line, err);
    }
    *equals = '\0';
    return set(context, fxc_settings_trim(line), fxc_settings_trim(equals + 1), err);
}

fxc_status fxc_settings_each(struct fxc_settings *settings, char *text,
                             fxc_status (*set)(void *context, char *name, char *value, fxc_error *err), void *context,
                             fxc_error *err) {
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        settings->line++;
        FXC_TRY(parse_line(settings, line, set, context, err));
        line = end == NULL ? NULL : end + 1;
    }
    return FXC_OK;
}

/* ---- files --------------------------------------------------------------------------------------------------------
 */

fxc_status fxc_settings_copy(const struct fxc_settings *settings, const char *text, size_t size, const char *function,
                             char **out, fxc_error *err) {
    *out = NULL;
    if (size > MOST_BYTES || memchr(text, '\0', size) != NULL) {
        fxc_status status = fxc_fail(err, settings->kind->refused, "%s", settings->name);
        fxc_expected(err, "%s: at most a megabyte of text", settings->kind->what);
        return status;
    }
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        return fxc_fail_memory(err, function);
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    *out = copy;
    return FXC_OK;
}

fxc_status fxc_settings_open(const struct fxc_settings_kind *kind, const char *path, const char *function, char **text,
                             size_t *size, fxc_error *err) {
    *text = NULL;
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        fxc_status status = fxc_fail(err, FXC_IO, "%s", path);
        fxc_expected(err, "%s", kind->what);
        fxc_found(err, "%s", strerror(errno));
        return status;
    }
    char *content = malloc(MOST_BYTES + 1);
    if (content == NULL) {
        (void)fclose(stream);
        return fxc_fail_memory(err, function);
    }
    *size = fread(content, 1, MOST_BYTES + 1, stream);
    bool failed = ferror(stream) != 0;
    (void)fclose(stream);
    if (failed) {
        free(content);
        return fxc_fail(err, FXC_IO, "%s: it cannot be read", path);
    }
    *text = content;
    return FXC_OK;
}
