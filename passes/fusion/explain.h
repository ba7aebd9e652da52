/* Why two nodes are or are not one kernel, in words. */
#ifndef FXC_PASSES_FUSION_EXPLAIN_H
#define FXC_PASSES_FUSION_EXPLAIN_H

#include "ir/error.h"
#include "passes/fusion/fusion.h"
#include "passes/fusion/merge.h"

enum { FXC_SIDE_FIRST = 1, FXC_SIDE_SECOND = 2 }; /* bits of question->side */

/* A question about two nodes, and its answer. A captured node may stand for several lowered ones. */
struct fxc_question {
    struct fxc_analysis *analysis;
    const struct fxc_fusion *fusion;
    const char *name[2]; /* as asked */
    uint32_t node[2];    /* the first node of each, FXC_NONE when it has none */
    uint8_t *side;       /* per node of the program: bits */
    uint32_t kernel[2];  /* the answer: kernels that were compared */
    bool together;
    const char *reason; /* token */
    char *text;
    size_t used, size; /* of text */
};

/* Adds to the text; what does not fit is cut. */
void fxc_say(struct fxc_question *question, const char *format, ...) FXC_PRINTF(2, 3);
/* A line about a kernel, after a label that may be empty: "  first: kernel 3, pointwise over 8 x 16: mul, add". */
void fxc_say_kernel(struct fxc_question *question, const char *label, uint32_t kernel);

/* passes/fusion/explain_loops.c: the answer under a profile with loops; `context` is the question. */
fxc_status fxc_explain_loops(struct fxc_merge *merge, void *context, fxc_error *err);

#endif
