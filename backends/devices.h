/* The built-in devices of backends/devices.def. */
#ifndef FXC_BACKENDS_DEVICES_H
#define FXC_BACKENDS_DEVICES_H

#include "fxcost/backend.h"

extern const fxc_device fxc_devices[];
extern const uint32_t fxc_device_count;

#endif
