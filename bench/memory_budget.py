"""Activation checkpointing chosen by torch and by fxcost, measured: python bench/memory_budget.py [MODEL ...].

What is compared, how and what counts as a win is in memory_budget_models.py. FXCOST_HOST_DEVICE names the device file
that `fxcost calibrate` wrote of this host; without it, fxcost decides by the data sheet that is its default."""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402
from memory_budget_models import BUDGETS, MODELS, ROUNDS  # noqa: E402

sys.path.append(str(Path(__file__).parents[1] / "tests" / "python"))
from saved_bytes import saved_storages  # noqa: E402
from torch._functorch import config  # noqa: E402

import fxcost.compiler  # noqa: E402
from fxcost.compiler.seconds import DEVICE  # noqa: E402


@dataclass
class Side:
    """One way of choosing: its compiled step, and what was measured of it."""

    step: Callable[[], None]
    saved: int
    flops: int
    compile_seconds: float
    seconds: float = float("inf")
    peak: int = 0


@dataclass(frozen=True)
class Cell:
    """A model at a budget."""

    model: str
    budget: float
    theirs: Side
    ours: Side
    flops: int  # with budget 1

    @property
    def same(self) -> bool:
        return (self.ours.saved, self.ours.flops) == (self.theirs.saved, self.theirs.flops)

    @property
    def time_ratio(self) -> float:
        """Of the same choice, 1: what differs is noise."""
        return 1.0 if self.same else self.ours.seconds / self.theirs.seconds

    @property
    def verdict(self) -> str:
        if self.same:
            return "the same choice"
        time_ratio, ours, theirs = self.time_ratio, self.ours.peak, self.theirs.peak
        if time_ratio > 1.02:
            return "loss"
        if (
            (time_ratio < 1 and ours < theirs)
            or (time_ratio < 0.99 and ours <= theirs)
            or (time_ratio <= 1.01 and ours < theirs)
        ):
            return "win"
        return "tie"

    def __str__(self) -> str:
        sides = [
            f"{name} {1e3 * side.seconds:.2f} ms, peak {side.peak / 1e6:.2f} MB, saved {side.saved / 1e6:.2f} MB, "
            f"recomputed {(side.flops - self.flops) / 1e6:.1f} MFLOP, compiled in {side.compile_seconds:.0f} s"
            for name, side in (("torch", self.theirs), ("fxcost", self.ours))
        ]
        return f"{self.model} at {self.budget}: {'; '.join(sides)}: {self.verdict}"


def cells(name: str, device: str) -> Iterator[Cell]:
    """Of one model, budget by budget."""
    for budget in BUDGETS:
        torch.compiler.reset()
        whole = _side(name, config.patch(activation_memory_budget=1.0))
        theirs = _side(name, config.patch(activation_memory_budget=budget))
        ours = _side(name, fxcost.compiler.use_memory_budget(budget, device=device))
        for number in range(ROUNDS + 3):
            for side in (theirs, ours):
                start = time.perf_counter()
                side.step()
                if number >= 3:
                    side.seconds = min(side.seconds, time.perf_counter() - start)
        for side in (theirs, ours):
            side.peak = _peak(side.step)
        yield Cell(name, budget, theirs, ours, whole.flops)


def _side(name: str, settings: Any) -> Side:
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    model = copy.deepcopy(model).train()
    backend = fxcost.compiler.Backend()
    compiled = torch.compile(model, backend=backend)

    def step() -> None:
        compiled(*inputs).square().sum().backward()
        model.zero_grad(set_to_none=True)

    start = time.perf_counter()
    with settings:
        step()
    seconds = time.perf_counter() - start
    with saved_storages((*model.parameters(), *model.buffers(), *inputs)) as kept:
        result = compiled(*inputs)
    del result
    return Side(step, sum(kept.values()), backend.report().flops, seconds)


def _peak(step: Callable[[], None]) -> int:
    """Most bytes allocated at once in one step, above what there was before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    alive = most = 0
    for event in sorted(
        (event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"),
        key=lambda event: event.start_ns(),
    ):
        alive += event.nbytes()
        most = max(most, alive)
    return most


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MODELS:
        for cell in cells(name, os.environ.get("FXCOST_HOST_DEVICE", DEVICE)):
            print(cell, flush=True)


if __name__ == "__main__":
    main()
