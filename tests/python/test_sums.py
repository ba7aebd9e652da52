"""Random programs of torch's operators in random trees of modules: in every column of a report the rows of nodes, of
operators and of modules add up to the same total."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sums import disagreements
from torch import Tensor, nn

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.conventions import conventions

ROWS, WIDTH = 4, 6
SEEDS = 25
CONVENTIONS = [convention.name for convention in conventions()[1:]]  # of other tools: they add a column


def scatter(x: Tensor) -> Tensor:
    return torch.zeros_like(x).scatter(1, x.argsort(1), x)


def in_place(x: Tensor) -> Tensor:
    y = x * 0.5
    y += x
    return y.clamp_(min=-1.0)


# All keep the size of their argument.
OPERATORS: list[Callable[[Tensor], Tensor]] = [
    lambda x: x + 1,
    lambda x: x * x - x / 2,
    lambda x: x @ x.transpose(0, 1) @ x,
    lambda x: torch.einsum("ij,ik->jk", x, x)[:1].expand(ROWS, WIDTH) + x,
    lambda x: x.softmax(-1),
    lambda x: F.gelu(x).exp(),
    lambda x: F.layer_norm(x, (WIDTH,)),
    lambda x: x - x.mean(0, keepdim=True),
    lambda x: torch.cat([x[:1], x[1:].relu()]),
    lambda x: torch.where(x > 0, x, x.sin()),
    lambda x: F.conv1d(x.unsqueeze(1), x.new_ones(2, 1, 3), padding=1).sum(1),
    lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None])[0],
    lambda x: x.cumsum(1),
    in_place,
    scatter,
]
LAYERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Linear(WIDTH, WIDTH),
    lambda: nn.LayerNorm(WIDTH),
    lambda: nn.BatchNorm1d(WIDTH),
    lambda: nn.Sequential(nn.Linear(WIDTH, 3), nn.ReLU(), nn.Linear(3, WIDTH, bias=False)),
    nn.SiLU,
    nn.Identity,
]


class Random(nn.Module):
    """Between two and five steps: operators, layers, modules like this one, and layers that were called before."""

    def __init__(self, chooser: random.Random, depth: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        self.steps: list[Any] = []
        for _ in range(chooser.randint(2, 5)):
            kind = chooser.choice(["operator", "operator", "layer", "inner", "again"])
            if kind == "inner" and depth:
                self.parts.append(Random(chooser, depth - 1))
            elif kind != "again" or not len(self.parts):
                self.parts.append(chooser.choice(LAYERS)())
            self.steps.append(chooser.choice(OPERATORS) if kind == "operator" else chooser.randrange(len(self.parts)))

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = self.parts[step](x) if isinstance(step, int) else step(x)
        return x + 1


def program(seed: int, mode: str) -> Program:
    torch.manual_seed(seed)
    model = Random(random.Random(seed), 3).train(mode == "train")
    captured = fxcost.capture(model, (torch.randn(ROWS, WIDTH, requires_grad=mode == "train"),), mode=mode)
    return Program.from_bytes(captured.to_bytes())


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_rows_add_up(seed: int, mode: str) -> None:
    analysis = Analysis(program(seed, mode), convention=CONVENTIONS[seed % len(CONVENTIONS)], device="a100-sxm-80gb")
    metrics = b"metric mine: macs + 3 * bytes_read\nmetric some op aten.add: numel(out)\nmetric some op aten.gelu: x[9]"
    analysis.call("fxc_analysis_add_formulas", metrics, len(metrics), b"metrics")
    columns, wrong = disagreements(analysis)
    assert {"flops", "macs", "transcendentals", "bytes_read", "bytes_written", "kernels", "tool"} <= set(columns)
    assert {"mine.value", "some.value", "some.nodes", "some.unknown_nodes"} <= set(columns)
    totals = analysis.report("node")["totals"]
    assert totals["metrics"]["mine"]["value"] == totals["macs"] + 3 * totals["bytes_read"]
    assert wrong == []


@pytest.mark.parametrize("optimizer", ["adam", "adafactor"])
def test_rows_of_a_whole_training_step_add_up(optimizer: str) -> None:
    """With recomputation and an optimiser's step, whose work belongs to the modules of its parameters."""
    columns, wrong = disagreements(Analysis(program(3, "train"), optimizer=optimizer))
    assert {"forward_flops", "backward_flops", "optimizer_flops"} <= set(columns)
    assert wrong == []
