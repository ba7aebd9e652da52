"""``fxcost calibrate``: measures this host with torch. What is found is written as programs with times; the constants
are fitted in C (backends/cpu_fit.c)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from .captured import Capture
from .convert import Converter
from .exporter import ambient, finish
from .guard import Progress
from .measuring import device_name
from .samples import PROGRAMS, Samples, program
from .timing import NodeTimer

WARMUP, COUNTED = 2, 9
# Memory that was freed stays with the process, and is had again without new pages: what a page costs is measured apart.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_MMAP_MAX_": "0", "MALLOC_TOP_PAD_": "268435456"}


def with_fixed_allocator(arguments: list[str]) -> None:
    """Starts this process again where its allocator is not the fixed one. glibc reads its settings at the start."""
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, **ALLOCATOR})


def measure_samples(samples: Samples, label: str, warmup: int = WARMUP, counted: int = COUNTED) -> Capture:
    """Runs one program of samples and keeps the least and the median time of every operator."""
    timer = NodeTimer(samples.module, lambda: samples.inputs)
    for number in range(warmup + counted):
        timer.run(counted=number >= warmup)
    converter = Converter(training=False)
    converter.modules.add("", "")
    converter.add_graphs(samples.module, {}, [])
    timer.add_rows(converter)
    with torch.no_grad():
        head = {"model": label, "route": "fx", "dialect": "fx", **ambient()}
    head |= {
        "measured_on": device_name(torch.device("cpu")),
        "measured_threads": torch.get_num_threads(),
        "measured_repeats": counted,
        "measured_torch": torch.__version__,
    }
    return finish(converter, samples.module, head, False, label)


def measure_host(folder: Path, threads: int, progress: Progress, programs: int = PROGRAMS) -> list[Path]:
    """Measures all programs, and writes them into a folder."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    written = []
    for seed in range(programs):
        progress.stage(f"measuring this host, program {seed + 1} of {programs}")
        captured = measure_samples(program(seed), f"samples {seed}")
        written.append(captured.save(folder / f"samples-{seed:02}.fxir"))
    return written
