"""Random programs of torch's operators in random trees of modules: in every column of a report the rows of nodes, of
operators and of modules add up to the same total."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
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


def report(analysis: Analysis, by: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(analysis.render(format="json", by=by))
    return found


def summed(rows: Iterable[dict[str, Any]], columns: Iterable[str]) -> Counter[str]:
    rows = list(rows)
    return Counter({column: sum(row[column] for row in rows) for column in columns})


def below(name: str, module: str) -> bool:
    return module == "" or name == module or name.startswith(module + ".")


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_rows_add_up(seed: int, mode: str) -> None:
    analysis = Analysis(program(seed, mode), convention=CONVENTIONS[seed % len(CONVENTIONS)], device="a100-sxm-80gb")
    tables = {by: report(analysis, by) for by in ("node", "op", "module", "module_op")}
    totals, nodes = tables["node"]["totals"], tables["node"]["rows"]
    totals["tool"], totals["tool_macs"] = tables["node"]["tool"]["count"], tables["node"]["tool"]["macs"]
    columns = [name for name, value in totals.items() if name != "seconds" and name in nodes[0] and value is not None]
    assert {"flops", "macs", "transcendentals", "bytes_read", "bytes_written", "kernels", "tool"} <= set(columns)
    expected = Counter({column: totals[column] for column in columns})
    assert summed(nodes, columns) == summed(tables["op"]["rows"], columns) == expected
    for row in tables["module"]["rows"]:
        inside = summed((node for node in nodes if below(node["module"], row["name"])), columns)
        by_op = summed((cell for cell in tables["module_op"]["rows"] if cell["name"] == row["name"]), columns)
        assert summed([row], columns) == inside == by_op
    assert summed(tables["module"]["rows"][:1], columns) == expected
    for by in ("node", "op"):
        assert sum(row["seconds"] for row in tables[by]["rows"]) == pytest.approx(totals["seconds"])
    assert tables["module"]["rows"][0]["seconds"] == pytest.approx(totals["seconds"])
