"""The smallest model that most counters get wrong: fxcost examples/toy.py

A Linear and an in-place addition. linear is 2 x 5 x 4 = 40 FLOPs, the addition 4.
"""

from __future__ import annotations

import torch


class Toy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(x)
        x += 1.0
        return x


def model() -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """What fxcost calls: the module and its example inputs."""
    return Toy(), (torch.randn(1, 5),)
