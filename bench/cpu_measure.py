"""Measures this host and models on it, for bench/checks/cpu_models.py: bench/cpu_measure.py FOLDER [--threads 2].

A host's samples go to FOLDER/samples.THREADS, a model's times to FOLDER/MODEL.THREADS.ROUND.fxir, with probes of the
machine's state beside them. Each model is measured in a fresh process, in rounds, with an allocator that keeps its
memory; what is there already is kept, so that a run may be done in parts, and judged again without measuring.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from checks import NATIVE
from cpu_models import FROZEN, MODELS

from fxcost.calibrating import ALLOCATOR, measure_model

WARMUP, COUNTED, SECONDS = 2, 12, 5.0
ROUNDS = 3


def probes() -> dict[str, int]:
    """Nanoseconds of a product and of a copy: the state of the machine."""
    x, weight, large = torch.ones(384, 512), torch.ones(512, 640), torch.ones(6_000_000)
    calls = {"product": lambda: torch.mm(x, weight), "copy": lambda: large.clone()}
    found = {}
    for name, call in calls.items():
        times = []
        for _ in range(12):
            start = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - start)
        found[name] = min(times[2:])
    return found


def measure(name: str, path: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    model, inputs = {**MODELS, **FROZEN}[name]()
    before = probes()
    measure_model(model, inputs, name, WARMUP, COUNTED, SECONDS).save(path)
    after = probes()
    path.with_suffix(".json").write_text(json.dumps({key: min(before[key], after[key]) for key in before}))


def measure_all(folder: Path, names: list[str], threads: int, rounds: int, seconds: float = 1e9) -> None:
    """Nothing new is begun after so many seconds."""
    begin = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(threads), "FXCOST_PYTHON": sys.executable}
    samples = folder / f"samples.{threads}"
    if not samples.exists():
        command = [NATIVE, "calibrate", str(samples), "-o", str(folder / f"host.{threads}.device")]
        subprocess.run([*command, "--threads", str(threads)], env=environment)  # the samples stay if it refuses them
    for number in range(rounds):
        for name in names:
            path = folder / f"{name}.{threads}.{number}.fxir"
            if not path.exists() and time.perf_counter() - begin < seconds:
                command = [sys.executable, __file__, str(path), "--one", name, "--threads", str(threads)]
                subprocess.run(command, env=environment, check=True)
                print(f"     round {number}: {name}, {time.perf_counter() - begin:.0f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=1e9, help="nothing new is begun after so long")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one, arguments.folder, arguments.threads)
    else:
        measure_all(arguments.folder, arguments.models, arguments.threads, arguments.rounds, arguments.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
