"""Conventions of other tools over training steps. FlopCounterMode sees what is dispatched, backward too; the others see
the forward pass, of which flops_profiler's report takes the backward pass to be twice as much. The oracles: the tool
itself where it is torch's, else the convention over the forward pass alone, which tests/peers compares with the
tools."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from sums import disagreements
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from training_models import MODELS

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.conventions import conventions
from fxcost.errors import FxcostError

TWICE = ("flops_profiler", "deepspeed")
DISPATCHED = ("flop_counter", "flop_counter-complete", "torch_profiler")
OTHERS = [c.name for c in conventions()[1:] if c.name not in (*TWICE, *DISPATCHED)]
CHOSEN = ("bert", "resnet", "autoencoder")


@pytest.fixture(scope="module", params=CHOSEN)
def both(request: pytest.FixtureRequest) -> tuple[Program, Program, Any]:
    """A training step, its forward pass alone, and the model with its inputs."""
    torch.manual_seed(0)
    model, inputs = MODELS[request.param]()
    model.train()
    step = fxcost.capture(model, (), inputs, mode="train").to_bytes()
    forward = fxcost.capture(model, (), inputs).to_bytes()
    return Program.from_bytes(step), Program.from_bytes(forward), (model, inputs)


def told(analysis: Analysis) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(analysis.render(format="json"))["tool"]
    return found


@pytest.mark.parametrize("convention", TWICE)
def test_the_profilers_take_backward_to_be_twice_forward(convention: str, both: tuple[Program, Program, Any]) -> None:
    step, forward, _ = both
    analysis = Analysis(step, convention=convention)
    analysis.set_forward(forward)
    alone, found = told(Analysis(forward, convention=convention)), told(analysis)
    assert found["forward"] == alone["count"] > 0
    assert found["count"] == 3 * alone["count"]
    assert found["left_out"] == alone["left_out"]
    assert disagreements(analysis)[1] == []
    shown = analysis.render(raw=True)
    phases = fxcost.Report(step).phases
    exact = f"forward {phases['forward']}, backward {phases['backward']}"
    assert f"forward {alone['count']}, backward taken to be twice that; of fxcost's FLOPs {exact}" in shown


@pytest.mark.parametrize("convention", OTHERS)
def test_tools_that_see_the_forward_pass_leave_backward_out(
    convention: str, both: tuple[Program, Program, Any]
) -> None:
    step, forward, _ = both
    analysis = Analysis(step, convention=convention)
    analysis.set_forward(forward)
    alone, found = told(Analysis(forward, convention=convention)), told(analysis)
    assert (found["count"], found["forward"]) == (alone["count"], alone["count"])
    assert found["operators"] == alone["operators"]
    *rest, last = found["left_out"]
    assert rest == alone["left_out"] and last["op"] == "the backward pass"
    assert last["flops"] == fxcost.Report(step).phases["backward"]
    assert disagreements(analysis)[1] == []


def test_flop_counter_sees_the_whole_step(both: tuple[Program, Program, Any]) -> None:
    step, _, (model, inputs) = both
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(**inputs).loss.backward()
    model.zero_grad()
    assert told(Analysis(step, convention="flop_counter-complete"))["count"] == counter.get_total_flops()


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("groups", [1, 2])
def test_flop_counter_forgets_the_groups_of_a_weights_gradient(layer: type[nn.Module], groups: int) -> None:
    model = nn.Sequential(layer(4, 4, 3, groups=groups), layer(4, 6, 3, stride=2, groups=groups))
    x = torch.randn(2, 4, 9, 9)
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    model.zero_grad()
    step = Program.from_bytes(fxcost.capture(model, (x,), mode="train").to_bytes())
    assert told(Analysis(step, convention="flop_counter"))["count"] == counter.get_total_flops()


def test_modules_have_their_own_counts(both: tuple[Program, Program, Any]) -> None:
    """By module the step's rows are three times those of the forward pass, wherever both have the module."""
    step, forward, _ = both
    analysis = Analysis(step, convention="flops_profiler")
    analysis.set_forward(forward)
    rows = {row["name"]: row["tool"] for row in analysis.report("module")["rows"]}
    alone = {
        row["name"]: row["tool"] for row in Analysis(forward, convention="flops_profiler").report("module")["rows"]
    }
    assert {name: 3 * count for name, count in alone.items() if count} == {n: c for n, c in rows.items() if c}


def test_without_the_forward_pass_nothing_is_claimed(both: tuple[Program, Program, Any]) -> None:
    step, forward, _ = both
    analysis = Analysis(step, convention="fvcore")
    assert told(analysis)["unknown_nodes"] == step.info().nodes
    assert "it sees the forward pass alone, which is not here" in analysis.render()
    with pytest.raises(FxcostError, match="a program that is a training step"):
        Analysis(forward).set_forward(forward)
    with pytest.raises(FxcostError, match="the forward pass alone"):
        analysis.set_forward(step)


def test_the_command_captures_both(run: Run, tmp_path: Path) -> None:
    python = {"FXCOST_PYTHON": sys.executable}
    source = tmp_path / "net.py"
    source.write_text(
        "import torch\n\n\ndef net():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 4)), (torch.randn(2, 8),)\n"
    )
    forward = 2 * 2 * (8 * 16 + 16 * 4)
    found = run(f"{source}:net", "--train", "--convention", "flops_profiler", "--raw", **python).stdout
    assert f"{3 * forward} FLOPs" in found and f"forward {forward}, backward taken to be twice that" in found
    compared = run(f"{source}:net", "--train", "--compare", "fvcore,deepspeed", "--raw", **python).stdout
    assert f"fvcore: {forward // 2} MACs" in compared and f"deepspeed: {3 * forward} FLOPs" in compared
