"""Per-submodule export: what exports stands for the call, the rest is recorded, what does neither is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import odd_models
import pytest
import torch
from conftest import Run
from test_ladder import ODD
from test_record import MODELS, counted

import fxcost

HERE = Path(__file__).resolve().parent


@pytest.fixture(name="shell")
def _shell(run: Run) -> Run:
    """The native command, which captures with this Python."""
    return lambda *arguments: run(*arguments, FXCOST_PYTHON=sys.executable)


@pytest.mark.parametrize("name", MODELS)
def test_equals_export_and_flop_counter(name: str) -> None:
    build, inputs = MODELS[name]
    model = build().eval()
    with torch.no_grad():
        expected = counted(lambda: model(**inputs))
        exported = fxcost.analyze(model, (), inputs, route="export")
        report = fxcost.analyze(model, (), inputs, route="submodules")
    assert report.matrix_flops == expected > 0
    assert report.flops == exported.flops
    assert report.params == exported.params
    rows = report.by_module()
    for path, row in exported.by_module().items():
        assert rows[path].matrix_flops == row.matrix_flops, path
    assert report.program.info().route == b"submodules"


@pytest.mark.parametrize("name", ODD)
def test_odd_models(name: str) -> None:
    model, args = getattr(odd_models, name)()
    with torch.no_grad():
        report = fxcost.analyze(model.eval(), args, route="submodules")
    assert report.matrix_flops == ODD[name]
    assert report.unknown == {}


def parts(report: fxcost.Report) -> dict[str, str]:
    return {part["module"]: part["route"] for part in report.to_dict()["program"]["parts"]}


def test_each_part_says_its_route_and_why() -> None:
    """A branch over values inside one of three submodules: that one is recorded, its own parts are exported."""

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.Linear(4, 4), torch.nn.Linear(8, 2)
            self.middle, _ = odd_models.branch()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.middle(self.first(x) ** 2))

    with torch.no_grad():
        report = fxcost.analyze(Model().eval(), odd_models.X, route="submodules")
    program = report.to_dict()["program"]
    assert parts(report) == {"first": "export", "middle": "record", "middle.wide": "export", "last": "export"}
    reasons = {part["module"]: part["why"] for part in program["parts"]}
    assert "data-dependent" in reasons["middle"].lower()
    assert reasons["first"] == ""
    assert "submodules: 3 by export, 1 by recording" in program["why"]
    assert report.matrix_flops == 2 * 3 * 4 * 4 + 2 * 3 * 4 * 8 + 2 * 3 * 8 * 2


def test_what_neither_exports_nor_runs_is_named(shell: Run) -> None:
    answer = shell(f"{HERE / 'odd_models.py'}:missing_kernel", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stderr.splitlines()) <= 5
    found = json.loads(answer.stdout)
    program = found["program"]
    assert program["route"] == "submodules"
    assert "torch.export failed" in program["why"] and "middle is opaque" in program["why"]
    assert [(part["module"], part["route"]) for part in program["parts"]] == [
        ("first", "export"), ("middle", "opaque"), ("middle.inner", "export"), ("last", "not reached"),
    ]  # fmt: skip
    assert program["parts"][-1]["why"] == "10 parameters"
    assert [row["op"] for row in found["unknown"]] == ["fxcost_missing.kernel.default"]
    assert found["totals"]["matrix_flops"] == 2 * (2 * 3 * 4 * 4)
    assert shell(f"{HERE / 'odd_models.py'}:missing_kernel", "--fail-on-unknown").returncode == 1
    stub = shell("stubs", f"{HERE / 'odd_models.py'}:missing_kernel")
    assert "fxcost_missing.kernel" in stub.stdout


def test_wrong_inputs_are_no_partial_answer(shell: Run) -> None:
    for options in ((), ("--route", "submodules")):
        answer = shell(f"{HERE / 'odd_models.py'}:wrong", *options)
        assert answer.returncode == 6
        assert 0 < len(answer.stderr.splitlines()) <= 5


def test_other_routes_have_no_parts() -> None:
    report = fxcost.analyze(torch.nn.Linear(4, 4).eval(), odd_models.X)
    assert report.to_dict()["program"]["parts"] == []
    assert report.to_dict()["program"]["why"] is None
    recorded = fxcost.analyze(odd_models.branch()[0].eval(), odd_models.X)
    assert recorded.to_dict()["program"]["why"].startswith("torch.export failed: ")


def test_storages_go_through_exported_parts() -> None:
    """A submodule that returns its input or a view of it: who writes afterwards writes into the same storage."""

    class View(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:2]

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.same, self.view, self.linear = torch.nn.Identity(), View(), torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.linear(x)
            self.view(self.same(y)).add_(1)
            return y * 2

    def numbers(route: str) -> dict[str, Any]:
        with torch.no_grad():
            report = fxcost.analyze(Model().eval(), odd_models.X, route=route)
        return {key: report.to_dict()["totals"][key] for key in ("flops", "bytes_read", "bytes_written", "kernels")}

    assert numbers("submodules") == numbers("export")


def test_one_module_called_with_several_sizes() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> dict[str, Any]:
            return {"whole": self.linear(x), "part": [self.linear(x[:1]), None]}

    with torch.no_grad():
        report = fxcost.analyze(Model().eval(), odd_models.X, route="submodules")
    assert report.matrix_flops == 2 * 3 * 4 * 4 + 2 * 1 * 4 * 4
    assert report.module("linear").calls == 2
