"""What the acceptance checks share: one line of the results table, timing, where the product is.

A check is a generator that is given a folder for files (kept for the checks after it) and yields results; those that
run are listed in bench/check_all.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fxcost.binding import package_file

ROOT = Path(__file__).resolve().parents[2]
NATIVE = os.environ.get("FXCOST_NATIVE") or str(package_file("bin", "fxcost"))


@dataclass
class Result:
    """One line of the results table."""

    what: str
    figure: str
    limit: str
    holds: bool


def minimum(action: Callable[[], object], runs: int = 9) -> float:
    """Least wall-clock seconds of several runs, after one that is not counted."""
    action()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def at_most(what: str, value: float, limit: float, unit: str, digits: int = 2) -> Result:
    return Result(what, f"{value:.{digits}f} {unit}".strip(), f"at most {limit:g} {unit}".strip(), value <= limit)


def last_line(script: str, *arguments: str) -> tuple[str, bool]:
    """The last line that a script of bench/ prints, and whether it found nothing wrong."""
    command = [sys.executable, str(ROOT / "bench" / script), *arguments]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = (answer.stdout if answer.stdout.strip() else answer.stderr).strip().splitlines()
    return lines[-1] if lines else "nothing printed", answer.returncode == 0
