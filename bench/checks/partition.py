"""Stages of a pipeline: how even they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import fxcost
from checks import ROOT, Result

sys.path.insert(0, str(ROOT / "tests" / "python"))


def llama_stages(folder: Path) -> Iterator[Result]:
    """Llama-3-8B, a batch of one sequence of 2048, predicted on two devices: the slowest stage over the mean."""
    del folder
    from llama_memory import LLAMA_8B

    program = LLAMA_8B.program()
    for device in ("h100-sxm", "a100-sxm-80gb"):
        report = fxcost.Report(program, device=device, dims={"batch": 1, "seq": 2048})
        for stages in (2, 4, 8):
            found = report.partition(stages)
            bound = f"largest node {found.to_dict()['largest_seconds'] * stages / found.seconds:.0%} of a mean stage"
            figure = f"{found.imbalance:.2%}, best {found.best_seconds * stages / found.seconds - 1:.2%}; {bound}"
            yield Result(f"{stages} stages on {device}", figure, "imbalance at most 5 %", found.imbalance <= 0.05)
