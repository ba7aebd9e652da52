"""Measures models on this host, each in a fresh process with the fixed allocator, and keeps them as programs with
times: python bench/cpu_measure.py FOLDER --threads 1 --models bert vit. Those that are there are kept."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from cpu_models import FROZEN, MODELS

from fxcost.calibrating import ALLOCATOR, measure_model

WARMUP, COUNTED, SECONDS = 3, 12, 10.0


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--round", default="0", help="part of the file's name: fresh processes tell how times repeat")
    parser.add_argument("--seconds", type=float, default=1e9, help="no new model is begun after so long")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    for name in [arguments.one] if arguments.one else arguments.models:
        path = arguments.folder / f"{name}.{arguments.threads}.{arguments.round}.fxir"
        if arguments.one:
            measure(name, path, arguments.threads)
        elif not path.exists() and time.perf_counter() - begin < arguments.seconds:
            command = [sys.executable, __file__, str(arguments.folder), "--one", name]
            command += ["--threads", str(arguments.threads), "--round", arguments.round]
            subprocess.run(command, env={**os.environ, **ALLOCATOR}, check=True)
            print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
