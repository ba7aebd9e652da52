"""The step of an optimiser by formula equals counting the real optimiser's operators in a recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from training_models import MODELS

import fxcost

COUNTS = ("flops", "macs", "matrix_flops", "vector_flops", "transcendentals")


class Net(nn.Module):
    """Parameters of one to four dimensions, one frozen and one that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.GroupNorm(2, 8)
        self.head = nn.Linear(8, 5)
        self.frozen = nn.Linear(5, 5).requires_grad_(False)
        self.unused = nn.Linear(9, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.frozen(self.head(self.norm(self.conv(x)).mean((2, 3)))).sum()


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023, Symbolic Discovery of Optimization Algorithms."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "decay": 0.01})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(m.lerp(p.grad, 1 - group["beta1"]).sign_(), alpha=-group["lr"])
                m.lerp_(p.grad, 1 - group["beta2"])


optim = torch.optim
REAL: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, **o: optim.SGD(p, 0.1, **o),
    "momentum": lambda p, **o: optim.SGD(p, 0.1, momentum=0.9, **o),
    "nesterov": lambda p, **o: optim.SGD(p, 0.1, momentum=0.9, nesterov=True, **o),
    "adam": lambda p, **o: optim.Adam(p, **o),
    "adamw": lambda p, **o: optim.AdamW(p, **o),
    "adafactor": lambda p, **o: optim.Adafactor(p, **o),
}


def recorded(model: nn.Module, optimizer: torch.optim.Optimizer, backward: Callable[[], Any]) -> dict[str, Any]:
    """Of the second step: the first makes the state."""
    for _ in range(2):
        backward()
        with fxcost.record(model) as recording:
            optimizer.step()
    report = recording.report()
    assert report.unknown == {}
    return report.to_dict()["totals"]


def formula(name: str, model: nn.Module, *args: Any) -> dict[str, int]:
    """What the optimiser's step adds."""
    plain = fxcost.analyze(model, *args, mode="train").to_dict()["totals"]
    step = fxcost.analyze(model, *args, mode="train", optimizer=name).to_dict()["totals"]
    assert step["optimizer_flops"] == step["flops"] - plain["flops"]
    return {count: step[count] - plain[count] for count in COUNTS}


@pytest.mark.parametrize("name", REAL)
def test_formula_equals_the_recorded_step(name: str) -> None:
    model, x = Net().train(), torch.randn(2, 3, 8, 8)
    seen = recorded(model, REAL[name](model.parameters(), foreach=False), lambda: model(x).backward())
    assert formula(name, model, (x,)) == {count: seen[count] for count in COUNTS}
    assert seen["optimizer_flops"] == seen["flops"]


def test_lion_equals_its_algorithm() -> None:
    model, x = Net().train(), torch.randn(2, 3, 8, 8)
    seen = recorded(model, Lion(model.parameters()), lambda: model(x).backward())
    assert formula("lion", model, (x,)) == {count: seen[count] for count in COUNTS}


@pytest.mark.parametrize("name", REAL)
def test_foreach_does_the_same_work(name: str) -> None:
    """All but counting the step itself, once a tensor, which lists of numbers do on the host."""
    model, x = Net().train(), torch.randn(2, 3, 8, 8)
    single = recorded(model, REAL[name](model.parameters(), foreach=False), lambda: model(x).backward())
    several = recorded(model, REAL[name](model.parameters(), foreach=True), lambda: model(x).backward())
    tensors = len(list(model.parameters()))
    for count in COUNTS:
        assert abs(several[count] - single[count]) <= 2 * tensors, count


@pytest.mark.parametrize("name", ["sgd", "adamw", "adafactor"])
def test_columns_add_up_with_an_optimizer(name: str) -> None:
    model, inputs = MODELS["bert"]()
    report = fxcost.analyze(model.train(), (), inputs, mode="train", optimizer=name)
    totals = report.to_dict()["totals"]
    for column in (*COUNTS, "optimizer_flops", "backward_flops"):
        for by in ("node", "op", "class"):
            assert sum(row[column] for row in report.to_dict(by)["rows"]) == totals[column], (by, column)
        assert report.to_dict()["rows"][0][column] == totals[column]
    assert report.by_op()[f"optimizer.{name}"].flops == totals["optimizer_flops"] > 0
    assert "optimizer" in str(report)


def test_a_tied_parameter_steps_once() -> None:
    model, inputs = MODELS["gpt2"]()
    report = fxcost.analyze(model.train(), (), inputs, mode="train", optimizer="sgd")
    assert report.phases["optimizer"] == 2 * report.trainable_params == 2 * report.params


def test_unknown_optimizer() -> None:
    with pytest.raises(fxcost.FxcostError, match="adafactor, lion"):
        fxcost.analyze(nn.Linear(2, 2), (torch.randn(1, 2),), mode="train", optimizer="sgdd")
