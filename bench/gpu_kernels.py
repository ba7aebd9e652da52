"""The measured GPU kernels: their files, and which rows constants are fitted to (less than a fifth, by site)."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = os.environ.get("FXCOST_GPU_KERNELS", "")

DEVICES = {"a100_sxm": "a100-sxm-80gb", "h200_sxm": "h200-sxm", "l40s": "l40s"}
FILES = {
    "gemm": "gemm_bf16",
    "prefill": "attention_context_bf16",
    "decode": "attention_generation_bf16",
    "collective": "collectives_fp16",
}
COLLECTIVES = {"all_reduce": 0, "all_gather": 1, "reduce_scatter": 2, "alltoall": 3}
FITTED_PERCENT = 18  # of the sites


@dataclass(frozen=True)
class Rows:
    """Sizes of every kernel as fit_gpu takes them, microseconds, and a number from 0 to 99 for each site."""

    size: NDArray[np.int64]
    microseconds: NDArray[np.float64]
    site: NDArray[np.int64]

    @property
    def fitted(self) -> NDArray[np.bool_]:
        return self.site < FITTED_PERCENT

    def take(self, which: NDArray[np.bool_]) -> Rows:
        return Rows(self.size[which], self.microseconds[which], self.site[which])


def _key(family: str, row: list[str]) -> str:
    """What rows have in common that must not be on both sides of the split."""
    if family == "gemm":
        return f"{row[1]},{row[2]}"
    if family == "collective":
        return ",".join(row[:3])
    return f"{row[3]},{row[4]},{row[5]},{int(row[1]) + int(row[2])}"


def load(device: str, family: str) -> Rows | None:
    """Rows of a device ("a100_sxm") and family; None where the file is not there."""
    path = Path(FOLDER) / f"{device}_{FILES[family]}.csv.gz"
    if not FOLDER or not path.exists():
        return None
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.reader(file))[1:]
    site = [int(hashlib.sha1(f"fxcost:{_key(family, row)}".encode()).hexdigest(), 16) % 100 for row in rows]
    if family == "collective":
        rows = [[str(COLLECTIVES[row[0]]), row[1], str(2 * int(row[2])), row[3]] for row in rows]
    size = np.array([[int(number) for number in row[:-1]] for row in rows])
    return Rows(size, np.array([float(row[-1]) for row in rows]), np.array(site))
