"""Measures this host and models on it, for bench/checks/cpu_models.py: bench/cpu_measure.py FOLDER [--threads 2].

A host's samples go to FOLDER/samples.THREADS, a model's times to FOLDER/MODEL.THREADS.ROUND.fxir. Each model is
measured in a fresh process, in rounds, with an allocator that keeps its memory; what is there already is kept, so that
a run may be done in parts, and judged again without measuring.

A machine that is shared is slower by a quarter and more for seconds or minutes. So probes run before and after each
measurement, and what was measured while they took much longer than they ever did is measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from checks import NATIVE
from cpu_models import FROZEN, MODELS

from fxcost.calibrating import ALLOCATOR, measure_model
from fxcost.probes import Probes, least, quieter, slower

WARMUP, COUNTED, SECONDS = 2, 1000, 8.0  # of these seconds the quieter half counts
ROUNDS = 3
# What probes may take beside the least they took; how often to look for noisy measurements; no new one after so long.
SLOWER, SWEEPS, PATIENCE = 1.2, 4, 1500.0


class Note(TypedDict):
    """What is kept beside a measurement: how often it was tried, and the probes around what is kept."""

    tries: int
    probes: Probes


def probes() -> Probes:
    """Nanoseconds of a product, a copy and a convolution: the state of the machine."""
    x, weight, large = torch.ones(384, 512), torch.ones(512, 640), torch.ones(6_000_000)
    image, window = torch.ones(1, 256, 14, 14), torch.ones(256, 256, 3, 3)
    calls: dict[str, Callable[[], object]] = {
        "product": lambda: torch.mm(x, weight),
        "copy": lambda: large.clone(),
        "convolution": lambda: torch.conv2d(image, window, padding=1),
    }
    found = {}
    for name, call in calls.items():
        times = []
        for _ in range(12):
            start = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - start)
        found[name] = min(times[2:])
    return found


# ---- what is measured -----------------------------------------------------------------------------------------------


@dataclass
class Task:
    """A measurement: where it goes, with its probes beside it, and what makes it. ``model``: none of the host."""

    path: Path
    model: str | None = None

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def read(self) -> Note:
        return json.loads(self.note.read_text()) if self.note.exists() else {"tries": 0, "probes": {}}

    def slower(self, than: Probes) -> float:
        """How much longer the probes around it took than these; infinitely while it was not measured."""
        return slower(self.read()["probes"], than)

    def run(self, threads: int) -> None:
        """Measures. What was measured before is kept if the machine was quieter then."""
        new, note = self.path.with_name(f"new.{self.path.name}"), self.read()
        remove(new)
        before = probes()
        self._measure(new, threads)
        after = probes()
        found = {probe: max(before[probe], after[probe]) for probe in before}
        if not quieter(note["probes"], found):
            remove(self.path)
            new.rename(self.path)
            note["probes"] = found
        remove(new)
        self.note.write_text(json.dumps({**note, "tries": note["tries"] + 1}))

    def _measure(self, path: Path, threads: int) -> None:
        environment = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(threads), "FXCOST_PYTHON": sys.executable}
        if self.model is None:  # the samples stay if it refuses them
            command = [NATIVE, "calibrate", str(path), "-o", f"{self.path}.device", "--threads", str(threads)]
            subprocess.run(command, env=environment)
        else:
            command = [sys.executable, __file__, str(path), "--one", self.model, "--threads", str(threads)]
            subprocess.run(command, env=environment, check=True)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def samples_of(folder: Path, threads: int) -> Path:
    return folder / f"samples.{threads}"


def times_of(folder: Path, name: str, threads: int, number: int) -> Path:
    return folder / f"{name}.{threads}.{number}.fxir"


def tasks_of(folder: Path, names: list[str], threads: int, rounds: int) -> list[Task]:
    models = [Task(times_of(folder, name, threads, number), name) for number in range(rounds) for name in names]
    return [Task(samples_of(folder, threads)), *models]


def least_probes(tasks: list[Task]) -> Probes:
    """The least that each probe took around all that is measured."""
    return least(task.read()["probes"] for task in tasks)


def measure_all(folder: Path, names: list[str], threads: int, rounds: int, seconds: float = 1e9) -> None:
    """Nothing new is begun after so many seconds."""
    begin = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    tasks = tasks_of(folder, names, threads, rounds)
    for sweep in range(SWEEPS):
        longest = min(seconds, PATIENCE) if sweep else seconds
        quiet = least_probes(tasks)
        for task in tasks:
            passed = time.perf_counter() - begin
            if passed < longest and task.slower(quiet) > SLOWER:
                task.run(threads)
                print(f"     sweep {sweep}, {passed:.0f} s: {task.path.name}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=1e9, help="nothing new is begun after so long")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        torch.set_num_threads(arguments.threads)
        model, inputs = {**MODELS, **FROZEN}[arguments.one]()
        measure_model(model, inputs, arguments.one, WARMUP, COUNTED, SECONDS).save(arguments.folder)
    else:
        measure_all(arguments.folder, arguments.models, arguments.threads, arguments.rounds, arguments.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
