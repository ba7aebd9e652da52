/* FLOP rules of Fourier transforms: 5 N log2 N for a complex transform of N points, half of that for a real one, as
 * FFTW's benchFFT and the HPC Challenge count (radix-2 Cooley-Tukey, without its lower-order terms), for every length
 * and over the product of all transformed dimensions. Rounded to the nearest integer. A norm's scale is not counted. */
#include <math.h>

#include "passes/flops/rules.h"
#include "passes/shapes/rules.h"

/* Transforms of `points` each over `elements` in all. */
static void count_transforms(struct fxc_tally *tally, uint8_t dtype, bool real, int64_t elements, int64_t points) {
    double flops = (real ? 2.5 : 5.0) * (double)elements * (points > 1 ? log2((double)points) : 0);
    if (flops >= 0x1p62) {
        tally->overflow = true;
        return;
    }
    fxc_tally_work(tally, dtype, llround(flops), 0);
}

/* params: complex, from a real signal, to one; dimensions when the call does not say (0: all). */
fxc_status fxc_flops_fft(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor result;
    int64_t elements, points;
    FXC_NEED(fxc_rule_result(rule, 0, &result));
    FXC_NEED(fxc_fft_extent(rule, (uint32_t)params[1], params[0] == FXC_FFT_to_real, &elements, &points));
    count_transforms(&tally, result.dtype, params[0] != FXC_FFT_complex, elements, points);
    return fxc_tally_end(&tally, rule, err);
}

/* A transform of every frame, and its product with the window. Frames are the last dimension of the result that is
 * none of real and imaginary part. */
fxc_status fxc_flops_stft(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor signal, result;
    int64_t points;
    (void)params;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &signal) && fxc_known_result(rule, 0, &result));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_n_fft, -1, &points) && points > 0);
    uint32_t frequency = fxc_dtype_is_complex(result.dtype) ? 2 : 3; /* from the end */
    FXC_NEED(result.rank >= frequency && signal.rank >= 1);
    int64_t batch = signal.rank > 1 ? signal.size[0] : 1, frames = result.size[result.rank - frequency + 1];
    int64_t elements = fxc_times(&tally, fxc_times(&tally, batch, frames), points);
    count_transforms(&tally, signal.dtype, !fxc_dtype_is_complex(signal.dtype), elements, points);
    fxc_tally_work(&tally, signal.dtype, fxc_has_tensor(rule, FXC_NAME_window) ? elements : 0, 0);
    return fxc_tally_end(&tally, rule, err);
}

/* A transform of every frame; its product with the window, the overlapping frames and the overlapping squares of the
 * window added up, the quotient of both. */
fxc_status fxc_flops_istft(const struct fxc_rule *rule, const int32_t params[3], fxc_counts *out, fxc_error *err) {
    struct fxc_tally tally = {.out = out};
    struct fxc_tensor spectrum, result;
    int64_t points;
    (void)params;
    FXC_NEED(fxc_known_tensor2(rule, FXC_NAME_self, FXC_NAME_input, &spectrum) && fxc_known_result(rule, 0, &result));
    FXC_NEED(fxc_rule_int(rule, FXC_NAME_n_fft, -1, &points) && points > 0 && spectrum.rank >= 2);
    int64_t batch = spectrum.rank > 2 ? spectrum.size[0] : 1, frames = spectrum.size[spectrum.rank - 1];
    int64_t squares = fxc_times(&tally, frames, points), elements = fxc_times(&tally, batch, squares);
    count_transforms(&tally, result.dtype, !fxc_dtype_is_complex(result.dtype), elements, points);
    int64_t flops = fxc_linear(&tally, 2, elements, 1, squares);
    fxc_tally_work(&tally, result.dtype, fxc_plus(&tally, flops, fxc_plus(&tally, points, result.numel)), 0);
    return fxc_tally_end(&tally, rule, err);
}
