"""The cpu timing model against models that ran on this host. Its constants come from the host's calibration alone."""

from __future__ import annotations

import math
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpu_measure import ROUNDS, SLOWER, least_probes, measure_all, samples_of, tasks_of, times_of
from cpu_models import FROZEN, MODELS

from checks import NATIVE, ROOT, Result
from fxcost.binding import Analysis, Program

FOLDER = ROOT / "build" / "cpu-models"
LARGE = 100e-6  # seconds of a node that is judged by itself
# One core of a data sheet's processor, the memory of all of it: (figures of the row, cores).
DATASHEETS = {"AMD": ("epyc-9755", 128), "Intel": ("xeon-8480plus", 56)}


@dataclass
class Row:
    """A model: seconds, measured (of the median round) and predicted; and relative errors of its large nodes."""

    name: str
    whole: float
    nodes: float
    spread: float  # of the rounds: largest over least, less 1
    predicted: dict[str, float]
    large: list[float]

    def error(self, device: str) -> float:
        return self.predicted[device] / self.whole - 1


def cpu_models(folder: Path) -> Iterator[Result]:
    """Whole models and their operators, one thread: mean absolute error, beside rooflines on the same rows."""
    yield from _judge(folder, MODELS, 1, ROUNDS, 5, 15)


def cpu_models_two_threads(folder: Path) -> Iterator[Result]:
    """The same with two threads, calibrated with two."""
    yield from _judge(folder, MODELS, 2, 1, math.inf, math.inf)


def cpu_models_frozen(folder: Path) -> Iterator[Result]:
    """Models that were written down before any of them ran. What is found is not to be mended after."""
    yield from _judge(folder, FROZEN, 1, ROUNDS, 6, math.inf)


def _judge(
    folder: Path, names: dict[str, object], threads: int, rounds: int, mean_limit: float, worst_limit: float
) -> Iterator[Result]:
    measure_all(FOLDER, list(names), threads, rounds)
    devices = _devices(folder, threads)
    rows = [_row(name, threads, rounds, devices) for name in names]
    for row in rows:
        others = ", ".join(f"{device} {100 * row.error(device):+.0f} %" for device in devices if device != "cpu")
        figure = (
            f"predicted {100 * row.error('cpu'):+.1f} %, nodes {100 * (row.nodes / row.whole - 1):+.1f} %; {others}"
        )
        yield Result(f"{row.name}: {1e3 * row.whole:.1f} ms", figure, "stated", True)
    for device in devices:
        errors = [abs(row.error(device)) for row in rows]
        figure = f"{100 * statistics.mean(errors):.1f} % on average, worst {100 * max(errors):.1f} %"
        judged = device == "cpu" and mean_limit < math.inf
        holds = 100 * statistics.mean(errors) <= mean_limit and 100 * max(errors) <= worst_limit
        limit = f"at most {mean_limit:g} %" + (f", worst {worst_limit:g} %" if worst_limit < math.inf else "")
        what = f"error of {len(rows)} whole models by {device}, {threads} threads"
        yield Result(what, figure, limit if judged else "stated", holds or not judged)
    large = [error for row in rows for error in row.large]
    figure = f"median {100 * statistics.median(large):.1f} %, mean {100 * statistics.mean(large):.1f} %"
    judged, holds = mean_limit < math.inf, statistics.median(large) <= 0.05
    limit = "median at most 5 %" if judged else "stated"
    yield Result(f"error of {len(large)} nodes above 100 us", figure, limit, holds or not judged)
    spreads = [row.spread for row in rows]
    figure = f"median {100 * statistics.median(spreads):.1f} %, worst {100 * max(spreads):.1f} %"
    yield Result(f"between {rounds} fresh processes, whole models", figure, "stated", True)
    yield Result("nodes summed against the whole", _sums(rows), "stated", True)
    yield from _probes(names, threads, rounds)


def _sums(rows: list[Row]) -> str:
    errors = [abs(row.nodes / row.whole - 1) for row in rows]
    return f"{100 * statistics.mean(errors):.1f} % apart on average: what runs between operators"


def _probes(names: dict[str, object], threads: int, rounds: int) -> Iterator[Result]:
    """What they took beside the models, and how much was measured again because they took long."""
    tasks = tasks_of(FOLDER, list(names), threads, rounds)
    least, notes = least_probes(tasks), [task.read() for task in tasks]
    figures = []
    for probe in least:
        times = [1e-6 * note["probes"][probe] for note in notes]
        figures.append(f"{probe} {min(times):.2f} to {max(times):.2f} ms, median {statistics.median(times):.2f}")
    yield Result("probes beside the models", "; ".join(figures), "stated", True)
    again, noisy = sum(note["tries"] > 1 for note in notes), sum(task.slower(least) > SLOWER for task in tasks)
    figure = f"{again} of {len(tasks)} measured more than once; probes above {SLOWER:g} of their least beside {noisy}"
    yield Result("noisy measurements", figure, "stated", True)


def _row(name: str, threads: int, rounds: int, devices: dict[str, str]) -> Row:
    programs = [Program.open(times_of(FOLDER, name, threads, number)) for number in range(rounds)]
    reports = [Analysis(program).report("node") for program in programs]
    wholes = [report["measured"]["seconds"] for report in reports]
    measured = [
        statistics.median(report["rows"][node]["measured_seconds"] for report in reports)
        for node in range(len(reports[0]["rows"]))
    ]
    predicted: dict[str, float] = {}
    large: list[float] = []
    for device, path in devices.items():
        seconds = [row["seconds"] for row in Analysis(programs[0], device=path).report("node")["rows"]]
        predicted[device] = math.fsum(seconds)
        if device == "cpu":
            # Nodes are timed by themselves, without the Python of module calls.
            alone = Analysis(programs[0], device=_without(Path(path), "cpu.module.")).report("node")["rows"]
            pairs = zip((row["seconds"] for row in alone), measured, strict=True)
            large = [abs(guess / truth - 1) for guess, truth in pairs if truth > LARGE]
    spread = max(wholes) / min(wholes) - 1
    return Row(name, statistics.median(wholes), math.fsum(measured), spread, predicted, large)


def _without(device: Path, lines: str) -> str:
    """A copy of a device's file without the lines that begin so."""
    copy = device.with_suffix(f".no-{lines.strip('.').split('.')[-1]}.device")
    copy.write_text("\n".join(line for line in device.read_text().splitlines() if not line.startswith(lines)))
    return str(copy)


def _devices(folder: Path, threads: int) -> dict[str, str]:
    """Device files by name: the host's, fitted anew from its samples; and the two rooflines."""
    host = folder / f"host.{threads}.device"
    start = time.perf_counter()
    command = [NATIVE, "calibrate", str(samples_of(FOLDER, threads)), "-o", str(host), "--noisy"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    print("".join(f"     {line}\n" for line in told.splitlines()), end="")
    print(f"     fitted in {time.perf_counter() - start:.1f} s")
    # The models run with an allocator that keeps its pages.
    host = Path(_without(host, "cpu.page."))
    text = host.read_text()
    measured = folder / "measured.device"
    kept = [line for line in text.splitlines() if not line.startswith("cpu.")]
    measured.write_text("\n".join(kept).replace("model = cpu", "model = roofline"))
    vendor = next((vendor for vendor in DATASHEETS if vendor in text), "AMD")
    row, cores = DATASHEETS[vendor]
    printed = subprocess.run([NATIVE, "devices", row], check=True, capture_output=True, text=True).stdout
    datasheet = folder / "datasheet.device"
    share = threads / cores
    peaks = re.compile(r"^((?:matrix|vector)_f32 *= *)(\S+)", re.MULTILINE)
    datasheet.write_text(peaks.sub(lambda peak: f"{peak[1]}{share * float(peak[2]):g}", printed))
    return {"cpu": str(host), "a measured roofline": str(measured), f"{row}'s roofline": str(datasheet)}
