"""Times of compiled kernels on a CPU: predicted from the host's calibration of eager operators, and measured."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models_compiled import WHOLE

from checks import NATIVE, ROOT, Result
from fxcost.binding import Analysis, Program
from fxcost.calibrating import ALLOCATOR

PROFILE = "inductor-cpu"


def cpu_compiled(folder: Path) -> Iterator[Result]:
    """Six models, eager and by torch.compile, one thread, medians of 9 runs in turns, a process each. Constants come
    from the host's calibration alone (FXCOST_HOST_DEVICE names its file, else it is calibrated first)."""
    device = host_device(folder)
    errors, ratios = [], []
    for name in WHOLE:
        program = Program.open(run_json("compiled_measure.py", name, "--whole", str(folder / f"{name}.fxir")))
        whole = Analysis(program).report("module")["measured"]
        found = json.loads(Analysis(program, device=device, profile=PROFILE).render(format="json", by="kernel"))
        totals = found["totals"]
        compiled, ratio = whole["compiled_seconds"], whole["seconds"] / whole["compiled_seconds"]
        errors.append(abs(totals["seconds"] / compiled - 1))
        ratios.append(abs(totals["eager_over_compiled"] / ratio - 1))
        figure = (
            f"predicted {1e3 * totals['seconds']:.1f} ms ({100 * (totals['seconds'] / compiled - 1):+.1f} %); "
            f"eager {1e3 * whole['seconds']:.1f} ms, predicted {1e3 * totals['eager_seconds']:.1f}; "
            f"eager / compiled {ratio:.2f}, predicted {totals['eager_over_compiled']:.2f}"
        )
        yield Result(f"{name}: {1e3 * compiled:.1f} ms compiled, {totals['kernels']} kernels", figure, "stated", True)
    mean, worst = statistics.mean(errors), max(ratios)
    yield Result("error of compiled time, on average", f"{100 * mean:.1f} %", "at most 10 %", mean <= 0.10)
    yield Result("error of eager / compiled, worst", f"{100 * worst:.1f} %", "within 12 %", worst <= 0.12)


def run_json(script: str, *arguments: str) -> Any:
    """What a script of bench/ prints last, run by itself with an allocator that keeps its memory."""
    command = [sys.executable, str(ROOT / "bench" / script), *arguments]
    answer = subprocess.run(command, env={**os.environ, **ALLOCATOR}, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.strip().splitlines()[-1])


def host_device(folder: Path) -> str:
    """The device file of this host: calibrated once for the checks of a run, unless one is given."""
    given = os.environ.get("FXCOST_HOST_DEVICE")
    if given:
        return given
    path = folder / "host.device"
    if not path.exists():
        subprocess.run([NATIVE, "calibrate", "--compiled", "-o", str(path)], check=True)
    return str(path)
