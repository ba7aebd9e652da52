"""Hostile files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from checks import ROOT, Result


def _sanitized(target: str, cases: int) -> subprocess.CompletedProcess[str]:
    """A test program, built with ASan and UBSan, on this many cases."""
    subprocess.run(["cmake", "--preset", "test"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    build = ["cmake", "--build", "--preset", "test", "--target", target]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return subprocess.run([ROOT / "build/test" / target, str(cases)], cwd=ROOT, capture_output=True, text=True)


def mutations(folder: Path) -> Iterator[Result]:
    """Ten thousand mutated and truncated files under ASan and UBSan."""
    del folder
    answer = _sanitized("test_mutation", 10_000)
    lines = (answer.stdout + answer.stderr).strip().splitlines()
    figure = next((line for line in lines if "refused" in line), lines[-1] if lines else "nothing printed")
    yield Result(
        "10,000 mutated and truncated files", figure[-100:], "no crash, a message each", answer.returncode == 0
    )


def fusion_bounds(folder: Path) -> Iterator[Result]:
    """Random programs under every profile, with ASan and UBSan: FLOPs, and bytes between ideal and none."""
    del folder
    programs = 60_000
    answer = _sanitized("test_fusion_bounds", programs)
    figure = "all hold" if answer.returncode == 0 else (answer.stdout + answer.stderr)[-400:]
    yield Result(f"laws of kernels on {programs:,} random programs", figure, "no exception", answer.returncode == 0)


def fuzzing(folder: Path) -> Iterator[Result]:
    """Five minutes of libFuzzer on each reader and on the rules under ASan and UBSan."""
    del folder
    answer = subprocess.run([ROOT / "tests/fuzz/run.sh", "300"], cwd=ROOT, capture_output=True, text=True)
    executions = [line.split()[-1] for line in answer.stderr.splitlines() if "number_of_executed_units" in line]
    reached = [line for line in answer.stdout.splitlines() if line.startswith("rows whose rule told sizes")]
    figure = f"{', '.join(executions)} executions" if answer.returncode == 0 else answer.stderr[-200:]
    what = "libFuzzer, 300 s each on the file reader, the text parser and the rules"
    yield Result(what, figure, "no finding", answer.returncode == 0)
    told = re.search(r"sizes: (\d+) of (\d+)", reached[-1] if reached else "")
    enough = told is not None and int(told[1]) >= 0.9 * int(told[2])
    yield Result("what the fuzzer of rules reached", reached[-1] if reached else "nothing", "9 in 10 rows", enough)
