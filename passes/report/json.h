/* A small JSON emitter: commas, escapes and exact integers. Reading JSON is left to libraries. */
#ifndef FXC_REPORT_JSON_H
#define FXC_REPORT_JSON_H

#include "passes/report/render.h"

struct fxc_json {
    struct fxc_stream *out;
    bool comma; /* a separator is due before the next element */
};

/* `key` is NULL inside arrays and at the top. */
void fxc_json_open(struct fxc_json *json, const char *key, char bracket);
void fxc_json_close(struct fxc_json *json, char bracket);
void fxc_json_string(struct fxc_json *json, const char *key, const char *text); /* null for NULL */
void fxc_json_int(struct fxc_json *json, const char *key, int64_t number);
void fxc_json_double(struct fxc_json *json, const char *key, double number);    /* null for NAN and infinities */
void fxc_json_number(struct fxc_json *json, const char *key, const char *text); /* a number that is text already */
/* The peak of memory and the tensors that make it up (render_memory.c). */
void fxc_json_peak(struct fxc_json *json, const struct fxc_analysis *analysis);
/* What a time is of and rests on, of a node or kernel, as members of an object; times by bound and by source
 * (render_time.c). */
void fxc_json_work_time(struct fxc_json *json, uint8_t work, uint8_t source, double efficiency, double error);
void fxc_json_time_parts(struct fxc_json *json, const double *by_bound, const double *by_source);
void fxc_json_time(struct fxc_json *json, const fxc_totals *totals);
void fxc_json_bool(struct fxc_json *json, const char *key, bool truth);

/* What a real run of the program took, and of one node. */
void fxc_json_measured(struct fxc_json *json, const struct fxc_analysis *analysis);
void fxc_json_measured_node(struct fxc_json *json, const struct fxc_analysis *analysis, uint32_t node);

#endif
