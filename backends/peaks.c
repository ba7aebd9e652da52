#include "backends/peaks.h"

double fxc_matrix_peak(const fxc_device *device, uint8_t dtype) {
    switch (dtype) {
    case FXC_DTYPE_FLOAT64:
    case FXC_DTYPE_COMPLEX128:
        return device->matrix_f64;
    case FXC_DTYPE_FLOAT16:
    case FXC_DTYPE_COMPLEX32:
        return device->matrix_f16;
    case FXC_DTYPE_BFLOAT16:
        return device->matrix_bf16;
    case FXC_DTYPE_FLOAT8_E4M3FN:
    case FXC_DTYPE_FLOAT8_E5M2:
    case FXC_DTYPE_FLOAT8_E4M3FNUZ:
    case FXC_DTYPE_FLOAT8_E5M2FNUZ:
        return device->matrix_f8;
    default:
        return device->matrix_f32;
    }
}

double fxc_vector_peak(const fxc_device *device, uint8_t dtype) {
    return dtype == FXC_DTYPE_FLOAT64 || dtype == FXC_DTYPE_COMPLEX128 ? device->vector_f64 : device->vector_f32;
}

double fxc_element_bytes(uint8_t dtype) {
    static const uint8_t bits[FXC_DTYPE_COUNT] = {
#define X(name, text, short_text, width) [FXC_DTYPE_##name] = width,
        FXC_DTYPE_LIST(X)
#undef X
    };
    return dtype < FXC_DTYPE_COUNT ? bits[dtype] / 8.0 : 0;
}
