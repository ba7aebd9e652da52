"""Programs at other input sizes, derived by rules from one static capture. Truth is torch's: a fresh capture at those
sizes must be the same program, table by table (fxc_program_equal)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_flops_oracle import MODELS
from torch import nn

import fxcost
from fxcost.binding import Analysis, Program


def program(model: nn.Module, *args: Any, **kwargs: Any) -> Program:
    with torch.no_grad():
        return Program.from_bytes(fxcost.capture(model, args, kwargs).to_bytes())


class Tutorial(nn.Module):
    """Convolutions into a Linear whose size fits one resolution, or any through AdaptiveAvgPool2d."""

    def __init__(self, adaptive: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(5) if adaptive else nn.Identity()),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(400, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


def test_a_linear_that_fits_one_resolution_is_named() -> None:
    captured = program(Tutorial(adaptive=False).eval(), torch.randn(1, 3, 28, 28))
    with pytest.raises(fxcost.FxcostError) as error:
        captured.at(x=(1, 3, 64, 64))
    text = str(error.value)
    assert "'linear' (aten.linear.default) in classifier.2, " in text
    assert "test_reshape.py:" in text
    assert "expected: equal last sizes" in text
    assert "found: input is [1, 3136] and weight is [10, 400]" in text
    assert error.value.status == "PROGRAM"


@pytest.mark.parametrize("size", [(1, 3, 28, 28), (1, 3, 64, 64), (1, 3, 224, 224), (7, 3, 65, 40)], ids=str)
def test_its_adaptive_twin_answers_at_any_size(size: tuple[int, ...]) -> None:
    model = Tutorial(adaptive=True).eval()
    here = program(model, torch.randn(1, 3, 28, 28)).at(x=size)
    fresh = program(model, torch.randn(size))
    assert here == fresh
    assert here.text() == fresh.text()
    assert Analysis(here).totals().flops == Analysis(fresh).totals().flops > 0


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_at_the_captured_sizes_nothing_changes(
    build: Callable[[], tuple[nn.Module, dict[str, Any]]], mode: str
) -> None:
    torch.manual_seed(0)
    model, kwargs = build()
    captured = program(model.train(mode == "train"), **kwargs)
    here = captured.at()
    assert here.at() == here
    if captured.info().symbols == 0:
        assert here == captured
    assert here.info().symbols == 0
    assert here.info().nodes == captured.info().nodes


def test_inputs_that_are_not_there() -> None:
    captured = program(Tutorial(adaptive=True).eval(), torch.randn(1, 3, 28, 28))
    with pytest.raises(fxcost.FxcostError, match=r"(?s)input y.*the user's inputs: x.*'y'") as error:
        captured.at(y=(1, 3, 28, 28))
    assert error.value.status == "USAGE"
    with pytest.raises(fxcost.FxcostError, match="sizes of zero or more"):
        captured.at(x=(1, 3, -1, 28))
