"""Writes the seeds of the fuzzers: small programs that together use every table of the format.

    FXCOST_LIBRARY=... PYTHONPATH=export python tests/fuzz/make_corpus.py FXCOST_BINARY

Run it from the repository's root, so that source positions are relative. The seeds are committed; run it again when the
format grows.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

import fxcost

CORPUS = Path("tests/fuzz/corpus")


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.fc(x)
        x += 1.0
        return x


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(3))
        self.register_buffer("state", torch.zeros(4))

    def forward(self, x: torch.Tensor, d: dict[str, torch.Tensor]) -> Any:
        a, b = torch.split(x, 2)
        v = d["k"][0]
        v.add_(1)
        self.state.add_(1)
        y = torch.complex(a, b).conj() * 1j
        return a * b + d["k"].sum(), None, x.topk(2), y, torch.full((2,), float("-inf")), x[None, ..., 1:3]


class Dynamic(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        y = x.view(x.shape[0] * 2, -1)
        return y.softmax(-1), x.flatten().nonzero() * 2, x.sum().item() + 1


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = x @ x.T
        return torch.cond(x.sum() > 0, lambda t: t.sin(), lambda t: t.cos(), (y,))


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    programs = {
        "toy": fxcost.capture(Toy().eval(), (torch.randn(1, 5),)),
        "mixed": fxcost.capture(Mixed(), (torch.randn(4), {"k": torch.randn(3, 2)})),
        "dynamic": fxcost.capture(
            Dynamic(), (torch.randn(4, 6),), dynamic_shapes={"x": {0: Dim("batch", min=2, max=64)}}
        ),
        "branch": fxcost.capture(Branch(), (torch.randn(2, 8),)),
        "norm": fxcost.capture(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).train(), (torch.randn(2, 3, 8, 8),)
        ),
    }
    for name, program in programs.items():
        path = program.save(CORPUS / "reader" / f"{name}.fxir")
        text = subprocess.run([sys.argv[1], "print", str(path)], check=True, capture_output=True).stdout
        (CORPUS / "text" / f"{name}.txt").write_bytes(text)


if __name__ == "__main__":
    main()
