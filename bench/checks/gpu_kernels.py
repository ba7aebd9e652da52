"""The gpu timing model against measured kernels that its constants were not fitted to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gpu_kernels import DEVICES, FOLDER, Rows, load
from numpy.typing import NDArray

from checks import NATIVE, Result

# Mean absolute percentage errors that the model is to stay below.
LIMITS = {
    ("a100_sxm", "gemm"): 8,
    ("h200_sxm", "gemm"): 8,
    ("l40s", "gemm"): 10,
    **{(device, "prefill"): 15 for device in DEVICES},
    **{(device, "decode"): 12 for device in DEVICES},
    **{(device, "collective"): 10 for device in DEVICES},
}
TRANSFER_LIMIT = 15
NANOSECONDS_LIMIT = 1000


@dataclass
class Errors:
    """In percent, over the rows that were not fitted; `bias` is the geometric mean of predicted over measured."""

    rows: int
    ours: float
    median: float
    worst_tenth: float
    bias: float
    roofline: float
    nanoseconds: float


def errors(device: str, family: str, rows: Rows, constants: str) -> Errors:
    text = "\n".join(" ".join(map(str, size)) for size in rows.size)
    command = [str(Path(NATIVE).parent / "predict_gpu"), family, DEVICES[device], DEVICES[constants]]
    *lines, last = subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout.splitlines()
    predicted: NDArray[np.float64] = np.array([[float(number) for number in line.split()] for line in lines])
    ratio = 1e6 * predicted / rows.microseconds[:, None]
    error = 100 * np.abs(ratio - 1)
    return Errors(
        len(lines),
        float(error[:, 0].mean()),
        float(np.median(error[:, 0])),
        float(np.percentile(error[:, 0], 90)),
        float(np.exp(np.mean(np.log(ratio[:, 0])))),
        float(error[:, 1].mean()),
        float(last.split()[1]),
    )


def result(what: str, found: Errors, limit: float) -> Result:
    figure = (
        f"{found.ours:.1f} % (median {found.median:.1f}, 90th percentile {found.worst_tenth:.1f}, "
        f"bias {found.bias:.3f}, {found.rows:,} rows); datasheet roofline {found.roofline:.1f} %"
    )
    return Result(what, figure, f"at most {limit} %", found.ours <= limit)


def gpu_kernels(folder: Path) -> Iterator[Result]:
    """Mean absolute percentage error on four fifths of the measured kernels; constants come from the other fifth."""
    del folder
    if not FOLDER:
        yield Result("measured kernels", "skipped: FXCOST_GPU_KERNELS names no folder", "none", True)
        return
    slowest = 0.0
    for (device, family), limit in LIMITS.items():
        rows = load(device, family)
        if rows is None:
            print(f"     no measured {family} on {device}")
            continue
        share = rows.fitted.mean()
        yield Result(f"{device} {family}: rows fitted", f"{100 * share:.1f} %", "at most 20 %", share <= 0.2)
        found = errors(device, family, rows.take(~rows.fitted), device)
        slowest = max(slowest, found.nanoseconds)
        yield result(f"{device} {family}", found, limit)
    for family in ("gemm", "prefill", "decode", "collective"):
        rows = load("h200_sxm", family)
        if rows is not None:
            found = errors("h200_sxm", family, rows.take(~rows.fitted), "a100_sxm")
            limit = TRANSFER_LIMIT if family == "gemm" else 100
            yield result(f"h200_sxm {family}, with the constants of the A100", found, limit)
    yield Result("one prediction", f"{slowest:.0f} ns", f"at most {NANOSECONDS_LIMIT} ns", slowest <= NANOSECONDS_LIMIT)
