"""Modules that are held by one and called by another: who holds them and whose call was open; what a module does
itself; modules that nothing calls. Numbers follow from the sizes: a product of 2 rows of 4 with 4x4 is 64 FLOPs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from conftest import Run
from torch import Tensor, nn

import fxcost


class Borrower(nn.Module):
    borrowed: tuple[nn.Module, ...]

    def forward(self, x: Tensor) -> Tensor:
        return self.borrowed[0](self.borrowed[0](x)).relu()  # type: ignore[no-any-return]


class Lender(nn.Module):
    """Holds a layer, and a module that calls it without holding it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.borrower, self.spare = nn.Linear(4, 4), Borrower(), nn.Linear(4, 9)
        self.borrower.borrowed = (self.layer,)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.borrower(x)) + 1  # type: ignore[no-any-return]


def test_owners_and_callers(tmp_path: Path, run: Run) -> None:
    with torch.no_grad():
        path = fxcost.capture(Lender().eval(), (torch.randn(2, 4),)).save(tmp_path / "lender.fxir")

    def numbers(*options: str) -> dict[str, tuple[int, int, int]]:
        rows = json.loads(run(path, *options, "--format", "json").stdout)["rows"]
        return {row["name"]: (row["flops"], row["self_flops"], row["calls"]) for row in rows}

    model, layer = (3 * 64 + 16, 8, 1), (3 * 64, 3 * 64, 3)
    assert numbers() == {"": model, "layer": layer, "borrower": (8, 8, 1), "spare": (0, 0, 0)}
    assert numbers("--by", "caller") == {"": model, "layer": layer, "borrower": (2 * 64 + 8, 8, 1)}
    inside = {name: flops for name, (flops, *_) in numbers("--by", "caller", "--root", "borrower").items()}
    assert inside == {"borrower": 2 * 64 + 8, "layer": 2 * 64}
    text = run(path, "--self").stdout
    assert "uncalled    1 module with 45 parameters: spare\n" in text
    assert re.search(r"^  layer +Linear +3 +20 +96 +192 +192 ", text, re.M)
    assert fxcost.open(path).module("borrower").self_flops == 8
    assert "self" in fxcost.open(path).render(own=True)


class Twice(nn.Module):
    """Calls itself once more inside of its call."""

    def forward(self, x: Tensor, again: bool = True) -> Tensor:
        return self(x, False) * 2 if again else x + 1


def test_a_module_inside_its_own_call_counts_once() -> None:
    with torch.no_grad():
        report = fxcost.analyze(nn.Sequential(Twice()).eval(), (torch.randn(10),))
    rows = {row["name"]: row["flops"] for row in report.to_dict("caller")["rows"]}
    assert rows == {"": 20, "0": 20}
