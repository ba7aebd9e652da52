#include "passes/report/json.h"

#include <inttypes.h>
#include <math.h>

static void put_quoted(struct fxc_stream *out, const char *text) {
    fxc_put(out, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            fxc_putf(out, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            fxc_putf(out, "\\u%04x", (unsigned)*c);
        } else {
            fxc_putf(out, "%c", *c);
        }
    }
    fxc_put(out, "\"");
}

static void start(struct fxc_json *json, const char *key) {
    if (json->comma) {
        fxc_put(json->out, ", ");
    }
    json->comma = true;
    if (key != NULL) {
        put_quoted(json->out, key);
        fxc_put(json->out, ": ");
    }
}

void fxc_json_open(struct fxc_json *json, const char *key, char bracket) {
    start(json, key);
    fxc_putf(json->out, "%c", bracket);
    json->comma = false;
}

void fxc_json_close(struct fxc_json *json, char bracket) {
    fxc_putf(json->out, "%c", bracket);
    json->comma = true;
}

void fxc_json_string(struct fxc_json *json, const char *key, const char *text) {
    start(json, key);
    if (text == NULL) {
        fxc_put(json->out, "null");
    } else {
        put_quoted(json->out, text);
    }
}

void fxc_json_int(struct fxc_json *json, const char *key, int64_t number) {
    start(json, key);
    fxc_putf(json->out, "%" PRId64, number);
}

void fxc_json_double(struct fxc_json *json, const char *key, double number) {
    start(json, key);
    if (isfinite(number)) {
        fxc_putf(json->out, "%.17g", number);
    } else {
        fxc_put(json->out, "null");
    }
}

void fxc_json_number(struct fxc_json *json, const char *key, const char *text) {
    start(json, key);
    fxc_put(json->out, text);
}

void fxc_json_bool(struct fxc_json *json, const char *key, bool truth) {
    start(json, key);
    fxc_put(json->out, truth ? "true" : "false");
}
