"""Hostile files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from checks import ROOT, Result


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
