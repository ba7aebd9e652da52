"""Times and memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from models import MODELS, captured
from replicate import replicate
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from checks import NATIVE, Result, at_most, minimum
from fxcost.binding import Analysis, Program
from fxcost.columns import serialize

LLAMA_70B = (
    "hidden_size=8192 num_hidden_layers=80 num_attention_heads=64 num_key_value_heads=8 intermediate_size=28672 "
    "vocab_size=128256"
)


def seventy_billion(folder: Path) -> Iterator[Result]:
    """Llama-3-70B from its published sizes, seq 2048, bf16, no weights."""
    path = folder / "llama-70b.fxir"
    settings = [part for setting in LLAMA_70B.split() for part in ("--set", setting)]
    command = [sys.executable, "-c", "from fxcost.cli import main; main()", "capture", "hf:llama", "-o", str(path)]
    # A process of its own measures: memory of this one, with its models, must not count.
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", measure, *command, "--seq", "2048", "--dtype", "bf16", *settings]
    start = time.perf_counter()
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e6
    seconds = time.perf_counter() - start
    params = fxcost.open(path).params
    expected = 70_553_706_496  # the published parameter count of Llama-3-70B
    yield Result("Llama-3-70B parameters", f"{params:,}", f"{expected:,}", params == expected)
    yield at_most("Llama-3-70B, whole process", seconds, 40, "s", 1)
    yield at_most("Llama-3-70B, peak memory", peak, 1.2, "GB")
    yield at_most("Llama-3-70B, .fxir", path.stat().st_size / 1e6, 8, "MB")
    program = Program.open(path)

    def report() -> None:
        analysis = Analysis(program)
        analysis.set("device", "h200-sxm")
        analysis.totals()

    yield at_most("Llama-3-70B, totals with memory and time on a device", 1e3 * minimum(report, 20), 50, "ms", 1)
    yield at_most("Llama-3-70B, time of a node", _cost_of_a_node(program), 1000, "ns", 0)


def _cost_of_a_node(program: Program) -> float:
    """Nanoseconds of the pass `cost` alone, for each node."""
    times = []
    for _ in range(20):
        analysis = Analysis(program)
        analysis.set("device", "h200-sxm")
        analysis.require("memory")
        analysis.require("traffic")
        start = time.perf_counter()
        analysis.require("cost")
        times.append(time.perf_counter() - start)
    return 1e9 * min(times) / program.info().nodes


def against_flop_counter(folder: Path) -> Iterator[Result]:
    """Model object to totals against FlopCounterMode's run of the same model, interleaved."""
    del folder
    model, kwargs = MODELS["bert-base"]()
    model.eval()

    def ours() -> None:
        fxcost.analyze(model, (), kwargs)

    def theirs() -> None:
        with FlopCounterMode(display=False):
            model(**kwargs)

    with torch.no_grad():
        times: list[tuple[float, float]] = []
        for _ in range(10):
            pair = []
            for action in (ours, theirs):
                start = time.perf_counter()
                action()
                pair.append(time.perf_counter() - start)
            times.append((pair[0], pair[1]))
    best = [min(column) for column in zip(*times[1:], strict=True)]
    yield at_most("BERT base: model to totals / FlopCounterMode's run", best[0] / best[1], 2.5, "")


def million_nodes(folder: Path) -> Iterator[Result]:
    """BERT's graph over and over, 1,000,000 nodes in one graph."""
    data = captured(folder, "bert-base").read_bytes()
    path = folder / "million.fxir"

    def write() -> None:
        path.write_bytes(serialize(replicate(data, 1_000_000)))

    seconds = minimum(write, 3)
    yield at_most(f"writing 1,000,000 nodes from Python ({path.stat().st_size / 1e6:.0f} MB)", seconds, 3, "s")
    yield at_most("map, verify, index check", 1e3 * minimum(lambda: Program.open(path)), 30, "ms", 1)
    program = Program.open(path)
    totals = Analysis(program).totals()
    yield at_most("verify to totals", minimum(lambda: Analysis(program).totals(), 5), 1, "s")
    yield _shapes_and_flops(program)
    copies = totals.nodes // Program.from_bytes(data).info().nodes
    small = Analysis(Program.from_bytes(data)).totals()
    yield Result(
        "its FLOPs / those of one copy",
        f"{totals.flops / small.flops:g}",
        f"{copies}",
        totals.flops == copies * small.flops,
    )
    path.unlink()


def _shapes_and_flops(program: Program) -> Result:
    """Node evaluations per second of the passes shapes and flops together, one core."""

    def seconds(*facts: str) -> float:
        def run() -> None:
            analysis = Analysis(program)
            for fact in facts:
                analysis.require(fact)

        return minimum(run, 5)

    rate = program.info().nodes / (seconds("shapes", "flops") - seconds("verify")) / 1e6
    what = "shapes and FLOPs, node evaluations per second and core"
    return Result(what, f"{rate:.1f} M", "at least 2 M", rate >= 2)


LLAMA_8B = (
    "hidden_size=4096 num_hidden_layers=32 num_attention_heads=32 num_key_value_heads=8 intermediate_size=14336 "
    "vocab_size=128256"
)


def sweep(folder: Path) -> Iterator[Result]:
    """10,000 points of batch and sequence of Llama-3-8B, captured once without weights."""
    path = folder / "llama-8b.fxir"
    settings = [part for setting in LLAMA_8B.split() for part in ("--set", setting)]
    capture = [sys.executable, "-c", "from fxcost.cli import main; main()", "capture", "hf:llama", "-o", str(path)]
    subprocess.run([*capture, "--dynamic", "batch,seq", "--dtype", "bf16", *settings], check=True, capture_output=True)
    nodes = Program.open(path).info().nodes

    def points(sequences: int, threads: int) -> tuple[bytes, float, int]:
        """The sweep's table, its seconds and the peak memory of its process in KB."""
        measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stderr=-3); "
        measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
        command = [sys.executable, "-c", measure, NATIVE, "sweep", str(path), "--dim", "batch=1..100"]
        command += ["--dim", f"seq=32..{32 * sequences}:32", "--threads", str(threads)]
        start = time.perf_counter()
        answer = subprocess.run(command, check=True, capture_output=True)
        return answer.stdout, time.perf_counter() - start, int(answer.stderr)

    one, two, few = points(100, 1), points(100, 2), points(10, 1)
    yield at_most(f"10,000 points of {nodes:,} nodes, two threads", two[1], 10, "s")
    yield Result("one thread / two threads", f"{one[1] / two[1]:.2f}", "above 1", one[1] > two[1])
    yield Result("the same bytes from one thread and two", str(one[0] == two[0]), "True", one[0] == two[0])
    yield at_most("peak memory of 10,000 points / 1,000 points", one[2] / few[2], 1.2, "")


def whole_process(folder: Path) -> Iterator[Result]:
    """The command from start to end, its output read."""
    path = captured(folder, "bert-base")

    def run() -> None:
        subprocess.run([NATIVE, str(path)], stdout=subprocess.PIPE, check=True)

    yield at_most("fxcost bert-base.fxir, whole process", 1e3 * minimum(run, 20), 20, "ms", 1)
