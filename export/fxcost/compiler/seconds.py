"""Predicted times of kernels for decisions of torch's compiler."""

from __future__ import annotations

from collections.abc import Iterable

from ..binding import Program
from ..errors import FxcostError
from ..fusion import Kernel, kernels

# Decisions compare times of one device with each other. Where none is named: a server processor of the device table,
# whose ratios of compute, memory and overhead are those of its kind. A file of this machine's own is better.
DEVICE, PROFILE = "epyc-9654", "inductor-cpu"


def program_seconds(program: Program, profile: str, device: str) -> float:
    """Seconds of one run, kernel after kernel. A time that is not known is an error: no decision may rest on it."""
    return total(kernels(program, profile, device), device)


def total(found: Iterable[Kernel], device: str) -> float:
    seconds = 0.0
    for kernel in found:
        if kernel.seconds is None:
            names = ", ".join(kernel.nodes[:3])
            raise FxcostError(
                f"the time of a kernel of {names}\n  expected: a device with all figures that it needs\n"
                f"  found: {device!r} lacks one\n  try: another device of: fxcost devices",
                status="DEVICE",
            )
        seconds += kernel.seconds
    return seconds
