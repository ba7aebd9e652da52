"""The long acceptance runs and all timings: python bench/check_all.py [--write docs/results.md] [--only NAME ...].

Each check prints what was measured beside its limit. Timings are ratios or minima of one run on one machine, one
thread; machines differ, so limits in milliseconds are meant for one core of a current server processor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from models import MODELS  # noqa: E402
from replicate import replicate  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import fxcost  # noqa: E402
from fxcost.binding import Analysis, Program, package_file  # noqa: E402
from fxcost.columns import serialize  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
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


# ---- counts --------------------------------------------------------------------------------------------------------


def matrix_flops(folder: Path) -> Iterator[Result]:
    """Whole models at their published sizes against FlopCounterMode with attention under the math kernel."""
    for name, build in MODELS.items():
        model, kwargs = build()
        model.eval()
        with torch.no_grad():
            captured = fxcost.capture(model, (), kwargs, name=name)
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                model(**kwargs)
        captured.save(folder / f"{name}.fxir")
        totals = Analysis(Program.from_bytes(captured.to_bytes())).totals()
        ours, theirs = totals.counts.matrix_flops, counter.get_total_flops()
        yield Result(
            f"matrix FLOPs of {name}, FlopCounterMode {theirs:,}",
            f"{ours:,}; {totals.unknown_nodes} of {totals.nodes} nodes unknown",
            "equal, none unknown",
            ours == theirs and totals.unknown_nodes == 0,
        )


def _c_consumer(folder: Path) -> Path:
    """examples/c/cost.c, compiled against the library in use."""
    library = os.environ.get("FXCOST_LIBRARY") or str(package_file("lib", "libfxcost.so.0"))
    program = folder / "cost"
    source = ROOT / "examples" / "c" / "cost.c"
    run_path = f"-Wl,-rpath,{Path(library).parent}"
    subprocess.run(["cc", "-std=c11", f"-I{ROOT / 'include'}", source, library, run_path, "-o", program], check=True)
    return program


def round_trips(folder: Path) -> Iterator[Result]:
    """Laws of the text form, and one set of totals from every side, on the files of the check above."""
    consumer = _c_consumer(folder)
    for path in sorted(folder.glob("*.fxir")):
        program = Program.open(path)
        text = program.text()
        again = Program.from_bytes(text.encode())
        laws = again.text() == text and again == program
        yield Result(f"{path.stem}: file, text and back: equal programs, the same text", str(laws), "True", laws)
        shell = subprocess.run([NATIVE, path, "--format", "json"], capture_output=True, text=True, check=True).stdout
        totals = fxcost.open(path).to_dict()["totals"]
        in_c = dict(line.split() for line in subprocess.check_output([consumer, path], text=True).splitlines()[:4])
        same = totals == fxcost.Report(again).to_dict()["totals"] == json.loads(shell)["totals"]
        same &= all(totals[name] == int(number) for name, number in in_c.items())
        yield Result(f"{path.stem}: FLOPs from the command, from C, from Python", f"{totals['flops']:,}", "equal", same)


# ---- shapes and memory ---------------------------------------------------------------------------------------------


def _last_line(script: str, *arguments: str) -> tuple[str, bool]:
    """The last line that a script of this folder prints, and whether it found nothing wrong."""
    command = [sys.executable, str(ROOT / "bench" / script), *arguments]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = (answer.stdout if answer.stdout.strip() else answer.stderr).strip().splitlines()
    return lines[-1] if lines else "nothing printed", answer.returncode == 0


def shape_oracle(folder: Path) -> Iterator[Result]:
    """Shape rules against the recording of many architectures, evaluation and training (bench/shape_oracle.py)."""
    del folder
    figure, holds = _last_line("shape_oracle.py")
    yield Result("every value of every captured graph", figure, "no contradiction", holds)


def operator_sweeps(folder: Path) -> Iterator[Result]:
    """Sample inputs of all of torch's operators (bench/ops_sweep.py, bench/alias_sweep.py)."""
    del folder
    for what, script, *arguments in (
        ("shapes and matrix FLOPs, samples", "ops_sweep.py", "--samples", "3"),
        ("aliasing and writes against real tensors, samples", "alias_sweep.py"),
    ):
        figure, holds = _last_line(script, *arguments)
        yield Result(what, figure, "none differs", holds)


# ---- a model without weights ---------------------------------------------------------------------------------------

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


# ---- timings -------------------------------------------------------------------------------------------------------


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
    data = (folder / "bert-base.fxir").read_bytes()
    path = folder / "million.fxir"

    def write() -> None:
        path.write_bytes(serialize(replicate(data, 1_000_000)))

    seconds = minimum(write, 3)
    yield at_most(f"writing 1,000,000 nodes from Python ({path.stat().st_size / 1e6:.0f} MB)", seconds, 3, "s")
    yield at_most("map, verify, index check", 1e3 * minimum(lambda: Program.open(path)), 30, "ms", 1)
    program = Program.open(path)
    totals = Analysis(program).totals()
    yield at_most("verify to totals", minimum(lambda: Analysis(program).totals(), 5), 1, "s")
    copies = totals.nodes // Program.from_bytes(data).info().nodes
    small = Analysis(Program.from_bytes(data)).totals()
    yield Result(
        "its FLOPs / those of one copy",
        f"{totals.flops / small.flops:g}",
        f"{copies}",
        totals.flops == copies * small.flops,
    )
    path.unlink()


def whole_process(folder: Path) -> Iterator[Result]:
    """The command from start to end, its output read."""
    path = folder / "bert-base.fxir"

    def run() -> None:
        subprocess.run([NATIVE, str(path)], stdout=subprocess.PIPE, check=True)

    yield at_most("fxcost bert-base.fxir, whole process", 1e3 * minimum(run, 20), 20, "ms", 1)


# ---- hostile files -------------------------------------------------------------------------------------------------


def mutations(folder: Path) -> Iterator[Result]:
    """Ten thousand mutated and truncated files under ASan and UBSan."""
    del folder
    subprocess.run(["cmake", "--preset", "test"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    build = ["cmake", "--build", "--preset", "test", "--target", "test_mutation"]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    answer = subprocess.run([ROOT / "build/test/test_mutation", "10000"], cwd=ROOT, capture_output=True, text=True)
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    figure = next((line for line in lines if "refused" in line), lines[-1] if lines else "nothing printed")
    yield Result(
        "10,000 mutated and truncated files", figure[-100:], "no crash, a message each", answer.returncode == 0
    )


def fuzzing(folder: Path) -> Iterator[Result]:
    """Five minutes of libFuzzer on each reader under ASan and UBSan."""
    del folder
    answer = subprocess.run([ROOT / "tests/fuzz/run.sh", "300"], cwd=ROOT, capture_output=True, text=True)
    executions = [line.split()[-1] for line in answer.stderr.splitlines() if "number_of_executed_units" in line]
    figure = f"{' and '.join(executions)} executions" if answer.returncode == 0 else answer.stderr[-200:]
    yield Result(
        "libFuzzer, 300 s on the file reader and on the text parser", figure, "no finding", answer.returncode == 0
    )


CHECKS = {
    check.__name__: check
    for check in (
        *(matrix_flops, round_trips, shape_oracle, operator_sweeps, seventy_billion, against_flop_counter),
        *(million_nodes, whole_process, mutations, fuzzing),
    )
}


def environment() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), "?")
    return (
        f"fxcost {fxcost.__version__} at {commit}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{model}, {os.cpu_count()} cores, one thread"
    )


def table(results: dict[str, list[Result]]) -> str:
    lines = ["# Results", "", "Written by `make check-all`. " + environment() + ".", ""]
    missing = [name.replace("_", " ") for name in CHECKS if name not in results]
    if missing:
        lines += [f"Not run this time: {', '.join(missing)}.", ""]
    for name, rows in results.items():
        lines += [f"## {name.replace('_', ' ')}", "", CHECKS[name].__doc__ or "", ""]
        lines += ["| what | measured | limit | holds |", "|---|---|---|---|"]
        lines += [f"| {row.what} | {row.figure} | {row.limit} | {'yes' if row.holds else '**no**'} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the table here")
    parser.add_argument("--only", nargs="*", choices=CHECKS, default=list(CHECKS), help="run these checks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            print(f"---- {name.replace('_', ' ')}", flush=True)
            results[name] = []
            for result in CHECKS[name](Path(folder)):
                results[name].append(result)
                mark = "ok  " if result.holds else "FAIL"
                print(f"{mark} {result.what}: {result.figure} (limit: {result.limit})", flush=True)
    if arguments.write:
        arguments.write.write_text(table(results))
    return int(not all(row.holds for rows in results.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
