/* Text files of settings that a user may write: one `name = value` a line, comments behind '#'. */
#ifndef FXC_PASSES_SETTINGS_H
#define FXC_PASSES_SETTINGS_H

#include "ir/error.h"

/* A kind of such files, for messages. */
struct fxc_settings_kind {
    fxc_status refused;
    const char *what;   /* "a device file" */
    const char *advice; /* how to see one */
    const char *words;  /* appended to it for a line: where its words are listed; "" for nothing */
};

/* A file that is read. */
struct fxc_settings {
    const struct fxc_settings_kind *kind;
    const char *name; /* in messages */
    uint32_t line;
};

/* Whether a word names a file of settings rather than what is built in: it has a '/', or ends in `suffix`. */
bool fxc_settings_is_path(const char *word, const char *suffix);

/* Refuses the line that is read, or the file, which lacks something. */
fxc_status fxc_settings_fail(const struct fxc_settings *settings, const char *expected, const char *found,
                             fxc_error *err);
fxc_status fxc_settings_missing(const struct fxc_settings *settings, const char *what, fxc_error *err);

/* Without white space at its ends; writes into the text. */
char *fxc_settings_trim(char *text);

/* Sets text that a name has not set before. */
fxc_status fxc_settings_text(const struct fxc_settings *settings, const char **field, const char *value,
                             fxc_error *err);

/* Calls `set` with each name and value, both trimmed, the value perhaps empty; they point into `text`, which is written
 * to. */
fxc_status fxc_settings_each(struct fxc_settings *settings, char *text,
                             fxc_status (*set)(void *context, char *name, char *value, fxc_error *err), void *context,
                             fxc_error *err);

/* A copy of the text of a file, NUL at its end; to be freed. Refuses what is larger than a megabyte, or no text.
 * `function` names the caller. */
fxc_status fxc_settings_copy(const struct fxc_settings *settings, const char *text, size_t size, const char *function,
                             char **out, fxc_error *err);
/* The content of a file, to be freed; of one larger than a megabyte the first megabyte and a byte. */
fxc_status fxc_settings_open(const struct fxc_settings_kind *kind, const char *path, const char *function, char **text,
                             size_t *size, fxc_error *err);

#endif
