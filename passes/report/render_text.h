/* Shared by the parts of the tree and table faces. */
#ifndef FXC_REPORT_RENDER_TEXT_H
#define FXC_REPORT_RENDER_TEXT_H

#include "passes/report/render.h"

enum { FXC_TEXT_WIDTH = 100 }; /* columns */

struct fxc_face {
    const struct fxc_analysis *analysis;
    const struct fxc_view_options *options;
    struct fxc_stream *out;
    const fxc_totals *totals;
    const struct fxc_convention *tool; /* the convention of another tool, NULL for none */
};

static inline const char *fxc_face_number(const struct fxc_face *face, int64_t value, char buffer[FXC_NUMBER_SIZE]) {
    return fxc_human(value, face->options->raw, buffer);
}

static inline const char *fxc_face_bytes(const struct fxc_face *face, int64_t value, char buffer[FXC_NUMBER_SIZE]) {
    return fxc_human_bytes(value, face->options->raw, buffer);
}

static inline bool fxc_face_is_step(const struct fxc_face *face) {
    return face->analysis->report->phased;
}

static inline bool fxc_face_saves(const struct fxc_face *face) {
    return face->totals->saved_bytes >= 0;
}

/* The table of rows: its titles, and a line for each. */
void fxc_face_put_rows(const struct fxc_face *face, const struct fxc_rows *rows);

#endif
