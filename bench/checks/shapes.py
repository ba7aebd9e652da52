"""Shape rules against torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from checks import Result, last_line


def shape_oracle(folder: Path) -> Iterator[Result]:
    """Shape rules against the recording of many architectures, evaluation and training (bench/shape_oracle.py)."""
    del folder
    figure, holds = last_line("shape_oracle.py")
    yield Result("every value of every captured graph", figure, "no contradiction", holds)


def operator_sweeps(folder: Path) -> Iterator[Result]:
    """Sample inputs of all of torch's operators (bench/shape_sweep.py, bench/ops_sweep.py, bench/alias_sweep.py)."""
    del folder
    figure, holds = last_line("shape_sweep.py")
    yield Result("shape, type and stride rules, all samples", figure, "400 overloads, 99 % of the samples", holds)
    for what, script, *arguments in (
        ("matrix FLOPs, samples", "ops_sweep.py", "--samples", "3"),
        ("aliasing and writes against real tensors, samples", "alias_sweep.py"),
    ):
        figure, holds = last_line(script, *arguments)
        yield Result(what, figure, "none differs", holds)
