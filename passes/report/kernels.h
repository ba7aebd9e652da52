/* Sums over kernels of a fusion profile, and the faces that show kernels. */
#ifndef FXC_REPORT_KERNELS_H
#define FXC_REPORT_KERNELS_H

#include "fxcost/fusion.h"
#include "passes/fusion/fusion.h"
#include "passes/report/json.h"

enum { FXC_KERNEL_PATH_SIZE = 256 };

struct fxc_kernel_sum {
    int64_t kernels, bytes_read, bytes_written, bytes_copied, bytes_reread, inductor_bytes, eager_bytes, bytes_saved;
    int64_t matrix_flops, vector_flops, transcendentals, executed_flops, executed_transcendentals;
    double seconds;
};

/* *a += the kernel; true on overflow. */
bool fxc_kernel_sum_add(struct fxc_kernel_sum *a, const fxc_kernel_info *kernel);
/* The same of two sums. */
bool fxc_kernel_sum_join(struct fxc_kernel_sum *a, const struct fxc_kernel_sum *b);
/* Over all kernels; needs the fact kernel_cost. FXC_OVERFLOW. */
fxc_status fxc_kernel_totals(fxc_analysis *analysis, struct fxc_kernel_sum *out, fxc_error *err);
/* Members of an object, and the counters of a single kernel. */
void fxc_json_kernel_sum(struct fxc_json *json, const struct fxc_kernel_sum *sum);
/* The name of a kernel's module; NULL where no module holds all of it. Returns buffer or NULL. */
const char *fxc_kernel_module_path(const struct fxc_analysis *analysis, const fxc_kernel_info *kernel,
                                   char buffer[FXC_KERNEL_PATH_SIZE]);
/* Lines below a table: totals, and with a device predicted times beside those of eager execution. */
void fxc_put_kernel_totals(const struct fxc_analysis *analysis, const struct fxc_kernel_sum *sum, bool raw,
                           struct fxc_stream *out);

/* The faces: kernels one by one as JSON, and rolled up to modules in every format. */
fxc_status fxc_put_kernels_json(fxc_analysis *analysis, struct fxc_stream *out, fxc_error *err);
fxc_status fxc_render_kernel_modules(fxc_analysis *analysis, const fxc_render_options *options, struct fxc_stream *out,
                                     fxc_error *err);
/* The head of a JSON report of kernels, left open, up to its totals. */
fxc_status fxc_json_kernels_head(struct fxc_json *json, fxc_analysis *analysis, const char *by, fxc_error *err);

#endif
