"""``fxcost calibrate``: measures this host with torch. What is found is written as programs with times; the constants
are fitted in C (passes/cost/calibrate.c).

``python -m fxcost.calibrating FOLDER --threads N`` is what the command runs."""

from __future__ import annotations

import argparse
import mmap
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from .captured import Capture
from .columns import NONE
from .convert import Converter
from .errors import FxcostError
from .exporter import ambient, capture, finish
from .guard import Progress
from .measuring import device_name
from .probes import Probes, least, quieter, slower
from .samples import PROBE, PROGRAMS, SHORT, Builder, Network, Samples, program, small
from .timing import NodeTimer, add_times, inputs_of, quieter_half, without_collection

WARMUP, COUNTED = 1, 7
LEAST_SECONDS = 0.5  # of a program's counted runs: a shared machine is slower by a quarter for as long and longer
# Programs whose probes took that much longer than they ever did are measured again, until so many seconds have passed.
SLOWER, PATIENCE = 1.1, 45.0
# Memory that was freed stays with the process, and is had again without new pages: the times are those of a process
# that has run for a while.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_MMAP_MAX_": "0", "MALLOC_TOP_PAD_": "268435456"}

Result = TypeVar("Result")


def with_fixed_allocator(arguments: list[str]) -> None:
    """Starts this process again where its allocator is not the fixed one. glibc reads its settings at the start."""
    if any(os.environ.get(name) != value for name, value in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, **ALLOCATOR})


def host(repeats: int) -> dict[str, Any]:
    """What the head of a measured program says of the machine and the measurement."""
    found: dict[str, Any] = {
        "measured_on": device_name(torch.device("cpu")),
        "measured_threads": torch.get_num_threads(),
        "measured_repeats": repeats,
        "measured_torch": torch.__version__,
        "host_memory_bytes": mmap.PAGESIZE * os.sysconf("SC_PHYS_PAGES"),
        "host_page_bytes": mmap.PAGESIZE,
        "host_page_picoseconds": page_picoseconds(),
    }
    for level, size in _caches().items():
        found[f"host_cache_{level}_bytes"] = size
    return found


def page_picoseconds(size: int = 64 << 20) -> int:
    """What the first touch of a page takes that the system hands out, beyond a later one."""
    extra = []
    for _ in range(3):
        with mmap.mmap(-1, size) as memory:
            tensor = torch.frombuffer(memory, dtype=torch.uint8)
            times = []
            for value in range(2):
                start = time.perf_counter_ns()
                tensor.fill_(value)
                times.append(time.perf_counter_ns() - start)
            del tensor
        extra.append(times[0] - times[1])
    return max(0, min(extra)) * 1000 * mmap.PAGESIZE // size


def _caches() -> dict[int, int]:
    """Bytes of the data caches of the first processor by level, as Linux tells them."""
    sizes: dict[int, int] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (folder / "type").read_text().strip() != "Instruction":
            text = (folder / "size").read_text().strip()
            unit = {"K": 1024, "M": 1024**2, "G": 1024**3}.get(text[-1], 1)
            sizes[int((folder / "level").read_text())] = int(text.rstrip("KMG")) * unit
    if 2 not in sizes:
        raise FxcostError("calibrate\n  expected: sizes of the caches, as Linux tells them\n  found: none", "DEVICE")
    sizes.setdefault(1, 32 * 1024)
    sizes.setdefault(3, sizes[2])
    return sizes


def timed(samples: Samples, warmup: int = WARMUP, counted: int = COUNTED, seconds: float = LEAST_SECONDS) -> NodeTimer:
    """Runs one program of samples so often and so long at least."""
    timer = NodeTimer(samples.module, lambda: samples.inputs)
    begin, number = time.perf_counter(), 0
    while number < warmup + counted or time.perf_counter() - begin < seconds:
        timer.run(counted=number >= warmup)
        number += 1
    return timer


def captured(samples: Samples, timer: NodeTimer, label: str) -> Capture:
    """The program with the times of every operator."""
    converter = Converter(training=False)
    converter.modules.add("", "")
    converter.add_graphs(samples.module, {}, [])
    timer.add_rows(converter)
    with torch.no_grad():
        head = {"model": label, "route": "fx", "dialect": "fx", **ambient(), **host(len(timer.whole))}
    return finish(converter, samples.module, head, False, label)


def measure_model(
    model: torch.nn.Module, inputs: tuple[Any, ...], name: str, warmup: int, counted: int, seconds: float
) -> Capture:
    """Runs a model as it is and its nodes one by one, in turns, for so long at most, and keeps the times of both."""
    whole: list[int] = []

    def part(converter: Converter, exported: Any) -> dict[str, Any]:
        timer = NodeTimer(exported.graph_module, lambda: inputs_of(exported))
        begin, number = time.perf_counter(), 0
        while number < warmup + 2 or (number < warmup + counted and time.perf_counter() - begin < seconds):
            with torch.no_grad(), without_collection():
                start = time.perf_counter_ns()
                model(*inputs)
                nanoseconds = time.perf_counter_ns() - start
            timer.run(counted=number >= warmup)
            whole.extend([nanoseconds] if number >= warmup else [])
            number += 1
        timer.add_rows(converter)
        add_times(converter, NONE, [whole[run] for run in quieter_half(whole)])
        return host(len(whole))

    with torch.no_grad():
        return capture(model, inputs, name=name, parts=[part])


def _measure_program(seed: int, path: Path) -> Probes:
    """What the probes in it took."""
    samples = program(seed)
    timer = timed(samples)
    captured(samples, timer, f"samples {seed}").save(path)
    names = [name for name in timer.runs if name.startswith(PROBE)]
    return least({name.rstrip("_0123456789"): min(timer.runs[name])} for name in names)


def _measure_modules(path: Path) -> None:
    network = Network().eval()
    measure_model(network, network.inputs(), "samples of modules", 2, 20, 4.0).save(path)


def _in_fork(work: Callable[..., Result], *arguments: Any) -> Result:
    """In a process of its own with a heap of its own, as a model has: memory that other programs had used and freed
    would be given out all over again, and be in no cache."""
    context = multiprocessing.get_context("fork")
    taken, given = context.Pipe(duplex=False)
    process = context.Process(target=lambda: given.send(work(*arguments)))
    process.start()
    given.close()  # here: the end of the process is the end of what it sends
    try:
        result: Result = taken.recv()
    except EOFError:
        process.join()
        expected, found = "a program to be measured", f"its process ended with {process.exitcode}"
        raise FxcostError(f"calibrate\n  expected: {expected}\n  found: {found}", "CAPTURE") from None
    process.join()
    return result


def _in_turns(seed: int) -> float:
    """Short programs go between the others: a slow minute is then no kind's own."""
    return float(seed) if seed < PROGRAMS else (seed - PROGRAMS) * PROGRAMS / SHORT


def _measure_programs(folder: Path, programs: int, progress: Progress) -> None:
    """All programs; then once more, while there is time, those beside whose probes the machine was slow."""
    begin = time.perf_counter()
    probes: dict[int, Probes] = {}
    seconds: dict[int, float] = {}

    def measure(seed: int) -> None:
        start, new = time.perf_counter(), folder / "new.part"  # no program of the folder
        found = _in_fork(_measure_program, seed, new)
        seconds[seed] = time.perf_counter() - start
        if seed not in probes or quieter(found, probes[seed]):
            probes[seed] = found
            new.replace(folder / f"samples-{seed:02}.fxir")
        new.unlink(missing_ok=True)

    def slow() -> list[int]:
        quiet, passed = least(probes.values()), time.perf_counter() - begin
        found = [(slower(probes[seed], quiet), seed) for seed in probes if passed + seconds[seed] < PATIENCE]
        return [seed for ratio, seed in sorted(found, reverse=True) if ratio > SLOWER]

    for number, seed in enumerate(sorted(range(programs), key=_in_turns)):
        progress.stage(f"measuring this host, program {number + 1} of {programs}")
        measure(seed)
    while again := slow():
        progress.stage(f"measuring this host, {len(again)} programs of noisy moments again")
        measure(again[0])


def measure_host(
    folder: Path, threads: int, progress: Progress, programs: int = PROGRAMS + SHORT, compiled: bool = False
) -> None:
    """Measures all programs, and writes them into a folder; ``compiled``: loops that torch.compile makes, too."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    small(Builder(0))  # imports what making a program needs, once for all
    _measure_programs(folder, programs, progress)
    progress.stage("measuring this host, modules")
    _in_fork(_measure_modules, folder / "samples-modules.fxir")
    if compiled:
        from .compiled_samples import all_loops, measure_loops

        progress.stage("measuring this host, compiled loops")
        measure_loops(host(COUNTED), all_loops()).save(folder / "samples-loops.fxir")


def main() -> int:
    with_fixed_allocator(["-m", "fxcost.calibrating", *sys.argv[1:]])
    from .binding import Status

    parser = argparse.ArgumentParser(prog="python -m fxcost.calibrating", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true")
    arguments = parser.parse_args()
    progress = Progress()
    try:
        measure_host(arguments.folder, arguments.threads, progress, compiled=arguments.compiled)
    except FxcostError as error:
        print(f"fxcost: {error}", file=sys.stderr)
        return Status[error.status]
    except KeyboardInterrupt:
        return 130
    finally:
        progress.done()
    return Status.OK


if __name__ == "__main__":
    sys.exit(main())
