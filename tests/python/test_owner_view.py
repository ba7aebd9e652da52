"""Operators that no hook sees: explicit calls of forward belong to their module, and are marked; what ran for nothing
is kept, and flagged."""

from __future__ import annotations

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost.binding import Analysis


class Inner(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first.forward(x)))


class Outer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = Inner(), torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last.forward(self.inner.forward(x) + 1)


X = torch.ones(3, 4)
# Matrix FLOPs by hand, 2 * rows * in * out; and how often a module's forward was called past its hooks.
ROWS = {
    "": (2 * 3 * (4 * 4 + 4 * 8 + 8 * 2), 0),
    "inner": (2 * 3 * (4 * 4 + 4 * 8), 1),
    "inner.first": (2 * 3 * 4 * 4, 1),
    "inner.second": (2 * 3 * 4 * 8, 0),
    "last": (2 * 3 * 8 * 2, 1),
}


@pytest.mark.parametrize("route", ["export", "record", "submodules"])
def test_explicit_forwards_belong_to_their_module(route: str) -> None:
    forward = vars(Outer)["forward"]
    with torch.no_grad():
        report = fxcost.analyze(Outer(), X, route=route)
    rows = {row["name"]: row for row in report.to_dict()["rows"]}
    found = {name: (row["matrix_flops"], row["calls_without_hooks"]) for name, row in rows.items()}
    assert found == ROWS
    nodes = {row["module"]: row["owner_view"] for row in report.to_dict("node")["rows"] if row["matrix_flops"]}
    assert nodes == {"inner.first": True, "inner.second": False, "last": True}
    shown = str(report)
    assert "3 explicit calls of forward" in shown
    assert vars(Outer)["forward"] is forward


def test_a_training_step_follows_its_forward() -> None:
    model = Outer()
    with fxcost.record(model) as recording:
        model(X).sum().backward()
    report = recording.report()
    with FlopCounterMode(display=False) as counter:
        Outer()(X).sum().backward()
    assert report.matrix_flops == counter.get_total_flops()
    forward = 2 * 3 * 8 * 2
    assert report.module("last").matrix_flops == 3 * forward


def test_tools_that_hook_modules_do_not_see_them() -> None:
    """torchinfo and its kind count modules whose hooks fire."""
    with torch.no_grad():
        seen = fxcost.analyze(Outer(), X)
    analysis = Analysis(seen.program)
    analysis.set("convention", "thop")
    shown = json.loads(analysis.render(format="json", by="node"))["rows"]
    rows = {row["module"]: row["tool"] for row in shown if row["matrix_flops"]}
    assert rows["inner.second"] > 0
    assert rows["inner.first"] == rows["last"] == 0


def test_ordinary_calls_have_no_mark() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.MultiheadAttention(4, 2))
    report = fxcost.analyze(model[0], X, route="record")
    assert "explicit call" not in str(report)
    assert all(row["calls_without_hooks"] == 0 for row in report.to_dict()["rows"])

    class Derived(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 2

    both = torch.nn.Sequential(torch.nn.Linear(4, 4), Derived(4, 4))
    for route in ("export", "record"):
        rows = fxcost.analyze(both, X, route=route).to_dict()["rows"]
        assert all(row["calls_without_hooks"] == 0 for row in rows)


def dead(report: fxcost.Report) -> list[str]:
    return [row["op"] for row in report.to_dict("node")["rows"] if row["dead"]]


def test_what_ran_for_nothing_is_flagged() -> None:
    class Wasteful(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.relu(self.unused(x))  # of which nothing comes
            y = self.used(x)
            y.add_(1)
            return y[:1]

    with torch.no_grad():
        report = fxcost.analyze(Wasteful(), X, route="record")
    assert dead(report) == ["aten.addmm.default", "aten.relu.default"]
    assert report.matrix_flops == 2 * (2 * 3 * 4 * 4)  # it is counted all the same
    with fxcost.record() as recording:
        kept = X * 2
        X * 3
    assert dead(recording.report()) == ["aten.mul.Tensor"]
    assert kept is not None


def test_dead_in_every_trip_of_a_loop() -> None:
    """A loop that is stored once: dead is what no trip needs, and not what the last one hands out."""
    for keeps in (False, True):
        with fxcost.record() as recording:
            x, kept = X, None
            for _ in range(40):
                kept = (x + 1) if keeps else (x + 1, None)[1]
                x = (x * 2).sin().cos().tan().tanh().exp().log().neg().abs()
        report = recording.report()
        assert len(report.nodes()) < 40
        last = [row for row in report.to_dict("node")["rows"] if row["op"] == "aten.add.Tensor"][-1]
        assert last["dead"] == (not keeps)
        assert kept is None or keeps
