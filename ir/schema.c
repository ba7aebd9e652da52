#include "ir/schema.h"

#include <string.h>

/* A recursive reader over one text. The first error sticks and empties the rest of the text, so that the callers'
 * loops end without checking after every step. */
struct reader {
    const char *text, *at;
    struct fxc_arena *arena;
    struct fxc_schema_error error;
    fxc_status status;
    const char *set_name[FXC_SCHEMA_MAX_ALIAS_SETS]; /* names of the alias sets seen so far, in the text */
    size_t set_length[FXC_SCHEMA_MAX_ALIAS_SETS];
    uint32_t set_count;
};

static void fail(struct reader *r, const char *reason) {
    if (r->status == FXC_OK) {
        r->status = FXC_FORMAT;
        r->error = (struct fxc_schema_error){(uint32_t)(r->at - r->text), reason};
    }
    r->at = "";
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void skip_spaces(struct reader *r) {
    while (*r->at == ' ') {
        r->at++;
    }
}

/* Takes the punctuation if it comes next. */
static bool take(struct reader *r, const char *token) {
    size_t length = strlen(token);
    skip_spaces(r);
    if (strncmp(r->at, token, length) != 0) {
        return false;
    }
    r->at += length;
    return true;
}

static void need(struct reader *r, const char *token, const char *reason) {
    if (!take(r, token)) {
        fail(r, reason);
    }
}

/* A word of letters, digits and underscores; dots too where a type's path is meant. Length 0 when none comes next. */
static size_t take_word(struct reader *r, bool dots, const char **start) {
    skip_spaces(r);
    *start = r->at;
    while (is_word(*r->at) || (dots && r->at[0] == '.' && is_word(r->at[1]))) {
        r->at++;
    }
    return (size_t)(r->at - *start);
}

static const char *copy(struct reader *r, const char *start, size_t length) {
    char *text = fxc_arena_alloc(r->arena, length + 1);
    if (text == NULL) {
        fail(r, "memory");
        r->status = FXC_MEMORY;
        return "";
    }
    memcpy(text, start, length);
    text[length] = '\0';
    return text;
}

/* ---- alias marks ------------------------------------------------------------------------------------------------- */

static uint32_t set_bit(struct reader *r, const char *name, size_t length) {
    for (uint32_t i = 0; i < r->set_count; i++) {
        if (r->set_length[i] == length && memcmp(r->set_name[i], name, length) == 0) {
            return 1u << i;
        }
    }
    if (r->set_count == FXC_SCHEMA_MAX_ALIAS_SETS) {
        fail(r, "at most 31 alias sets");
        return 0;
    }
    r->set_name[r->set_count] = name;
    r->set_length[r->set_count] = length;
    return 1u << r->set_count++;
}

/* "a", "a|b" or "*". */
static uint32_t read_sets(struct reader *r) {
    uint32_t sets = 0;
    do {
        const char *name;
        if (take(r, "*")) {
            sets |= FXC_SCHEMA_WILDCARD;
            continue;
        }
        size_t length = take_word(r, false, &name);
        if (length == 0) {
            fail(r, "the name of an alias set");
            return 0;
        }
        sets |= set_bit(r, name, length);
    } while (take(r, "|"));
    return sets;
}

/* After "(": "a)", "a!)", "a|b)", "a -> *)", "a! -> a|b)", "*)". What it becomes counts like what it is. */
static void read_marks(struct reader *r, struct fxc_schema_arg *arg) {
    arg->alias_sets |= read_sets(r);
    if (take(r, "!")) {
        arg->writes = true;
    }
    if (take(r, "->")) {
        arg->alias_sets |= read_sets(r);
    }
    need(r, ")", "')' after the alias set");
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

/* The text of a type without its alias marks, built while reading. */
struct type_text {
    char bytes[256];
    size_t used;
};

static void append(struct reader *r, struct type_text *type, const char *text, size_t length) {
    if (length >= sizeof type->bytes - type->used) {
        fail(r, "a type of at most 255 characters");
        return;
    }
    memcpy(type->bytes + type->used, text, length);
    type->used += length;
    type->bytes[type->used] = '\0';
}

static void read_type(struct reader *r, struct type_text *type, struct fxc_schema_arg *arg, uint32_t depth);

/* "Dict(str, Tensor)" and "(str, t)" after the parenthesis. */
static void read_inner_types(struct reader *r, struct type_text *type, struct fxc_schema_arg *arg, uint32_t depth) {
    append(r, type, "(", 1);
    if (!take(r, ")")) {
        do {
            if (type->bytes[type->used - 1] != '(') {
                append(r, type, ", ", 2);
            }
            read_type(r, type, arg, depth + 1);
        } while (take(r, ","));
        need(r, ")", "')' after the inner types");
    }
    append(r, type, ")", 1);
}

/* The parts after a base type, in any order that torch prints: "[]", "[2]", "?", "(a!)". */
static void read_suffixes(struct reader *r, struct type_text *type, struct fxc_schema_arg *arg) {
    for (;;) {
        const char *start = r->at; /* no spaces inside a type */
        if (*start == '[') {
            r->at++;
            while (*r->at >= '0' && *r->at <= '9') {
                r->at++;
            }
            if (*r->at != ']') {
                fail(r, "']' after the list's length");
                return;
            }
            r->at++;
            append(r, type, start, (size_t)(r->at - start));
            arg->list = true;
            arg->optional = false;
        } else if (*start == '?') {
            r->at++;
            append(r, type, "?", 1);
            arg->optional = true;
        } else if (*start == '(') {
            r->at++;
            read_marks(r, arg);
        } else {
            return;
        }
    }
}

static void read_type(struct reader *r, struct type_text *type, struct fxc_schema_arg *arg, uint32_t depth) {
    static const char *const generic[] = {"Dict", "Future", "RRef", "Await", "Union", "Tuple", "Optional", "List"};
    const char *name;
    bool takes_types = false;
    if (depth > FXC_SCHEMA_MAX_NESTING) {
        fail(r, "types nested at most 8 deep");
        return;
    }
    if (take(r, "(")) {
        read_inner_types(r, type, arg, depth);
        read_suffixes(r, type, arg);
        return;
    }
    size_t length = take_word(r, true, &name);
    if (length == 0) {
        fail(r, "a type");
        return;
    }
    append(r, type, name, length);
    arg->tensor |= length == 6 && memcmp(name, "Tensor", 6) == 0;
    for (size_t i = 0; i < sizeof generic / sizeof generic[0]; i++) {
        takes_types |= strlen(generic[i]) == length && memcmp(name, generic[i], length) == 0;
    }
    if (takes_types && *r->at == '(') {
        r->at++;
        read_inner_types(r, type, arg, depth);
    }
    read_suffixes(r, type, arg);
}

/* ---- arguments and results --------------------------------------------------------------------------------------- */

/* A default's text ends at the comma or parenthesis outside its own brackets and quotes. */
static void skip_default(struct reader *r) {
    uint32_t open = 0;
    skip_spaces(r);
    const char *start = r->at;
    while (*r->at != '\0' && (open > 0 || (*r->at != ',' && *r->at != ')'))) {
        char c = *r->at++;
        if (c == '"' || c == '\'') {
            while (*r->at != '\0' && *r->at != c) {
                r->at += r->at[0] == '\\' && r->at[1] != '\0' ? 2 : 1;
            }
            if (*r->at == '\0') {
                fail(r, "the end of the quoted default");
                return;
            }
            r->at++;
        } else if (c == '[' || c == '(') {
            open++;
        } else if (c == ']' || c == ')') {
            if (open == 0) {
                r->at = start;
                break;
            }
            open--;
        }
    }
    if (r->at == start) {
        fail(r, "a default value after '='");
    }
}

static struct fxc_schema_arg read_arg(struct reader *r) {
    struct fxc_schema_arg arg = {.name = "", .type = ""};
    struct type_text type = {.used = 0};
    const char *name;
    read_type(r, &type, &arg, 0);
    arg.type = copy(r, type.bytes, type.used);
    size_t length = take_word(r, false, &name);
    arg.name = copy(r, name, length);
    if (take(r, "=")) {
        arg.has_default = true;
        skip_default(r);
    }
    return arg;
}

/* A list that grows in a fixed buffer on the stack and is then copied to its exact size. */
struct list {
    struct fxc_schema_arg rows[FXC_SCHEMA_MAX_ARGS];
    uint32_t count;
};

static void push(struct reader *r, struct list *list, struct fxc_schema_arg arg) {
    if (list->count == FXC_SCHEMA_MAX_ARGS) {
        fail(r, "at most 255 arguments");
        return;
    }
    list->rows[list->count++] = arg;
}

static const struct fxc_schema_arg *keep(struct reader *r, const struct list *list) {
    struct fxc_schema_arg *rows = FXC_NEW(r->arena, struct fxc_schema_arg, list->count);
    if (rows == NULL) {
        fail(r, "memory");
        r->status = FXC_MEMORY;
        return NULL;
    }
    memcpy(rows, list->rows, list->count * sizeof *rows);
    return rows;
}

static void read_args(struct reader *r, struct list *list, bool *variadic) {
    bool kwarg_only = false;
    need(r, "(", "'(' before the arguments");
    if (take(r, ")")) {
        return;
    }
    do {
        if (take(r, "...")) {
            *variadic = true;
        } else if (take(r, "*")) {
            kwarg_only = true;
        } else {
            struct fxc_schema_arg arg = read_arg(r);
            if (arg.name[0] == '\0') {
                fail(r, "the argument's name");
                return;
            }
            arg.kwarg_only = kwarg_only;
            push(r, list, arg);
        }
    } while (r->status == FXC_OK && take(r, ","));
    need(r, ")", "',' or ')' after an argument");
}

static void read_results(struct reader *r, struct list *list, bool *variadic) {
    if (take(r, "...")) {
        *variadic = true;
        return;
    }
    if (!take(r, "(")) {
        push(r, list, read_arg(r));
        return;
    }
    if (take(r, ")")) {
        return;
    }
    do {
        if (take(r, "...")) {
            *variadic = true;
        } else {
            push(r, list, read_arg(r));
        }
    } while (r->status == FXC_OK && take(r, ","));
    need(r, ")", "',' or ')' after a result");
}

fxc_status fxc_schema_parse(struct fxc_arena *arena, const char *text, struct fxc_schema *out,
                            struct fxc_schema_error *error) {
    struct reader r = {.text = text, .at = text, .arena = arena, .status = FXC_OK};
    struct list list;
    *out = (struct fxc_schema){0};
    list.count = 0;
    read_args(&r, &list, &out->variadic);
    if (r.status == FXC_OK) {
        out->args = keep(&r, &list);
        out->arg_count = list.count;
        list.count = 0;
        need(&r, "->", "'->' before the results");
    }
    if (r.status == FXC_OK) {
        read_results(&r, &list, &out->variadic_results);
    }
    if (r.status == FXC_OK) {
        out->results = keep(&r, &list);
        out->result_count = list.count;
        skip_spaces(&r);
        if (*r.at != '\0') {
            fail(&r, "the end of the schema");
        }
    }
    if (error != NULL) {
        *error = r.error;
    }
    return r.status;
}

uint32_t fxc_schema_find(const struct fxc_schema *schema, const char *name) {
    for (uint32_t i = 0; i < schema->arg_count; i++) {
        if (strcmp(schema->args[i].name, name) == 0) {
            return i;
        }
    }
    return FXC_NONE;
}
