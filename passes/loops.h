/* loops: see passes/loops.c. */
#ifndef FXC_PASSES_LOOPS_H
#define FXC_PASSES_LOOPS_H

#include "passes/report/report.h"

struct fxc_loops {
    bool *varies;        /* per graph: its nodes' sums are these, not counts times executions */
    struct fxc_sum *sum; /* per node; empty in a program of one graph */
};

#endif
