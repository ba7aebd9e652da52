"""torch's memory budget with fxcost's choice of what is recomputed, against torch's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from memory_budget import cells
from memory_budget_models import MODELS

from checks import Result, at_most
from checks.cpu_compiled import host_device


def memory_budget(folder: Path) -> Iterator[Result]:
    """A training step under torch.compile with a memory budget, what is recomputed chosen by torch ("flops", "dp") and
    by fxcost: least times of both in turns. Models, budgets and what a win is: bench/memory_budget_models.py."""
    device, verdicts, worst = host_device(folder), [], 1.0
    for name in MODELS:
        for cell in cells(name, device):
            what, _, figure = str(cell).partition(": ")
            verdicts.append(cell.verdict)
            worst = max(worst, cell.time_ratio)
            yield Result(what, figure, "stated", True)
    wins = verdicts.count("win")
    yield Result("wins", f"{wins} of {len(verdicts)}", "at least 3", wins >= 3)
    yield at_most("longest step, against torch's choice", 100 * (worst - 1), 2, "%")
