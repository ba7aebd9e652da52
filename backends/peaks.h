/* Which of a device's peaks an element type computes at. */
#ifndef FXC_BACKENDS_PEAKS_H
#define FXC_BACKENDS_PEAKS_H

#include <math.h>

#include "fxcost/backend.h"

/* FLOP/s of matrix products; FXC_NO_FIGURE where the data sheet gives none. */
double fxc_matrix_peak(const fxc_device *device, uint8_t dtype);
/* FLOP/s of everything else. Narrow floats compute their vector work in FP32, as torch's kernels do. */
double fxc_vector_peak(const fxc_device *device, uint8_t dtype);
/* Bytes of an element, with a fraction for types that share a byte. */
double fxc_element_bytes(uint8_t dtype);

/* work / peak; NAN when there is work and no figure. */
static inline double fxc_seconds_of(double work, double peak) {
    if (work == 0) {
        return 0;
    }
    return peak > 0 ? work / peak : NAN;
}

/* Vector FLOPs, transcendentals and integer operations go through the vector units; at least one issue slot each. */
static inline double fxc_vector_work(const fxc_counts *counts) {
    return (double)counts->vector_flops + (double)counts->transcendentals + (double)counts->int_ops;
}

/* The same for random numbers that loops make. Each is a Philox4x32-10 of its own (Salmon et al., "Parallel random
 * numbers", SC 2011): ten rounds of two wide products, four exclusive ors and two additions, of whose four results one
 * is used (normalized_rand_cpu of Inductor's cpp_prefix.h). As gcc 12 compiles Inductor's loops with AVX-512, a number
 * takes 26 cycles of a core, and 54 in loops that also write booleans, where it puts none side by side; its vector
 * units at their peak would do 64 FLOPs in each. */
static inline double fxc_draw_work(const fxc_work *work) {
    return (work->writes_bool ? 54.0 : 26.0) * 64.0 * (double)work->draws;
}

#endif
