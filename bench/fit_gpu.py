"""Fits the gpu timing model to measured kernels and writes its constants:

    FXCOST_GPU_KERNELS=folder python bench/fit_gpu.py build/r/fit_gpu backends/gpu_fits.c

Formulas are fitted by bench/fit_gpu.c, what they leave over by a ridge regression on a coarse grid. Only the fitted
rows of bench/gpu_kernels.py are looked at. The errors that the constants carry come from two fits to two thirds of
those sites each, judged on the third.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gpu_kernels import COLLECTIVES, DEVICES, Rows, load
from numpy.typing import NDArray

Vector = NDArray[np.float64]
CORNERS = (9, 5, 5)  # FXC_GRID_M, FXC_GRID_N, FXC_GRID_K
# Columns of the three axes of a family's grid (products of columns), and the log2 of their ends.
AXES = {
    "gemm": (((0,), (1,), (2,)), ((0, 15), (5, 16), (5, 16))),
    "prefill": (((1,), (0, 3), (5,)), ((0, 14), (0, 12), (6, 9))),
    "decode": (((2,), (0, 4), (3, -4)), ((0, 17), (0, 12), (0, 6))),
}
STARTS = {"gemm": 3, "prefill": 4, "decode": 6, "collective": 6}


@dataclass
class Fit:
    constants: list[str]
    grid: Vector | None
    residual: Vector  # of every row, after the grid: log of measured over predicted


def formulas(program: str, family: str, device: str, rows: Rows, use: NDArray[np.bool_]) -> tuple[list[str], Vector]:
    lines = (
        f"{int(used)} {' '.join(map(str, size))} {time}"
        for used, size, time in zip(use, rows.size, rows.microseconds, strict=True)
    )
    command = [program, family, DEVICES[device], str(STARTS[family])]
    answer = subprocess.run(command, input="\n".join(lines), text=True, capture_output=True, check=True)
    print(answer.stderr.strip(), flush=True)
    constants, *residuals = answer.stdout.splitlines()
    return constants.split(), np.array([float(line) for line in residuals])


def axis(family: str, rows: Rows, which: int) -> tuple[NDArray[np.int64], Vector]:
    columns, ends = AXES[family]
    value = np.ones(len(rows.size))
    for column in columns[which]:
        value = value / rows.size[:, -column] if column < 0 else value * rows.size[:, column]
    first, last = ends[which]
    step = (last - first) / (CORNERS[which] - 1)
    at = np.clip((np.log2(np.maximum(value, 1)) - first) / step, 0, CORNERS[which] - 1)
    below = np.minimum(at.astype(np.int64), CORNERS[which] - 2)
    return below, at - below


def design(family: str, rows: Rows) -> Vector:
    """The share of every corner in every row."""
    places = [axis(family, rows, which) for which in range(3)]
    matrix = np.zeros((len(rows.size), int(np.prod(CORNERS))))
    for corner in range(8):
        bits = [corner & 1, corner >> 1 & 1, corner >> 2]
        index = np.zeros(len(rows.size), dtype=np.int64)
        share = np.ones(len(rows.size))
        for (below, rest), bit, corners in zip(places, bits, CORNERS, strict=True):
            index = index * corners + below + bit
            share = share * (rest if bit else 1 - rest)
        matrix[np.arange(len(index)), index] += share
    return matrix


def smoothness() -> Vector:
    """Neighbouring corners differ little, and all are near 0."""
    index = np.arange(np.prod(CORNERS)).reshape(CORNERS)
    penalty = np.eye(index.size)
    for which, weight in enumerate((1.0, 4.0, 4.0)):
        low = np.take(index, range(CORNERS[which] - 1), which).ravel()
        high = np.take(index, range(1, CORNERS[which]), which).ravel()
        difference = np.zeros((len(low), index.size))
        difference[np.arange(len(low)), low] = -1
        difference[np.arange(len(low)), high] = 1
        penalty += weight * difference.T @ difference
    return penalty


def correction(matrix: Vector, residual: Vector) -> Vector:
    """Least absolute residuals, by weights that are solved for again."""
    weight, penalty = np.ones(len(residual)), smoothness()
    for _ in range(15):
        normal = matrix.T @ (matrix * weight[:, None]) + penalty
        found = np.linalg.solve(normal, matrix.T @ (weight * residual))
        weight = 1 / np.maximum(np.abs(residual - matrix @ found), 0.02)
        weight /= weight.mean()
    return found


def fit(program: str, family: str, device: str, rows: Rows, use: NDArray[np.bool_]) -> Fit:
    constants, residual = formulas(program, family, device, rows, use)
    if family not in AXES:
        return Fit(constants, None, residual)
    matrix = design(family, rows)
    grid = correction(matrix[use], residual[use])
    return Fit(constants, grid, residual - matrix @ grid)


def mean_error(residual: Vector) -> float:
    return float(np.mean(np.abs(np.exp(-residual) - 1)))


def held_out_error(program: str, family: str, device: str, rows: Rows) -> float:
    errors = []
    for third in range(2):
        use = rows.site % 3 != third
        errors.append(mean_error(fit(program, family, device, rows, use).residual[~use]))
    return float(np.mean(errors))


def nested(numbers: list[str], shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "{" + ", ".join(numbers) + "}"
    step = len(numbers) // shape[0]
    return "{" + ", ".join(nested(numbers[i : i + step], shape[1:]) for i in range(0, len(numbers), step)) + "}"


def grid_text(name: str, family: str, grid: Vector) -> str:
    ends = AXES[family][1]
    steps = [
        f"{float(f'{(last - first) / (corners - 1):.6g}')}f"
        for (first, last), corners in zip(ends, CORNERS, strict=True)
    ]
    first = ", ".join(f"{end[0]}" for end in ends)
    corners = nested([f"{float(f'{value:.3g}')}f" for value in grid], CORNERS)
    return f"static const struct fxc_gpu_grid {name} = {{{{{first}}}, {{{', '.join(steps)}}}, {corners}}};\n"


def family_text(program: str, device: str, family: str, fields: dict[str, str]) -> str:
    """Fits a family, adds its fields, returns its grid."""
    rows = load(device, family)
    if rows is None:
        return ""
    rows = rows.take(rows.fitted)
    best = fit(program, family, device, rows, np.ones(len(rows.size), dtype=bool))
    error = held_out_error(program, family, device, rows)
    print(
        f"{device} {family}: {mean_error(best.residual):.1%} on its rows, {error:.1%} on a third not fitted", flush=True
    )
    fields[family] = "{" + ", ".join(best.constants) + "}"
    fields[f"{family}_error"] = f"{error:.3g}"
    if family == "gemm":
        tiles = nested(best.constants[1:26], (5, 5))
        fields[family] = "{" + ", ".join([best.constants[0], tiles, *best.constants[26:]]) + "}"
    if family == "prefill":
        product = nested(best.constants[1:5], (4,))
        fields[family] = "{" + ", ".join([best.constants[0], product, *best.constants[5:]]) + "}"
    if best.grid is None:
        return ""
    name = f"{device.split('_')[0]}_{family}"
    fields[f"{family}_grid"] = f"&{name}"
    return grid_text(name, family, best.grid)


def collective_text(program: str, device: str, fields: dict[str, str]) -> None:
    rows = load(device, "collective")
    if rows is None:
        return
    rows = rows.take(rows.fitted)
    best = fit(program, "collective", device, rows, np.ones(len(rows.size), dtype=bool))
    parts = [nested(best.constants[i : i + 8], (2, 4)) for i in range(0, len(best.constants), 8)]
    parts.append(parts[COLLECTIVES["all_gather"]])  # broadcast was not measured: the simplest of them stands in
    fields["collective"] = "{" + ", ".join(parts) + "}"
    # Few rows: a tenth is left out at a time.
    residual = np.zeros(len(rows.size))
    for tenth in range(10):
        use = np.arange(len(rows.size)) % 10 != tenth
        residual[~use] = fit(program, "collective", device, rows, use).residual[~use]
    fields["collective_error"] = f"{mean_error(residual):.3g}"
    print(
        f"{device} collective: {mean_error(best.residual):.1%}, {mean_error(residual):.1%} on a tenth not fitted",
        flush=True,
    )


def main() -> None:
    program, out = sys.argv[1:]
    text = "/* Written by bench/fit_gpu.py from measured kernels; docs/cost.md says what the numbers are. */\n"
    text += '#include "backends/gpu.h"\n\n/* clang-format off */\n'
    for device, name in DEVICES.items():
        fields = {"device": f'"{name}"'}
        for family in AXES:
            text += family_text(program, device, family, fields)
        collective_text(program, device, fields)
        text += f"const struct fxc_gpu_constants fxc_gpu_{device.split('_')[0]} = {{\n"
        text += "".join(f"    .{field} = {value},\n" for field, value in fields.items()) + "};\n"
    Path(out).write_text(text)


if __name__ == "__main__":
    main()
