"""What fxcost counts for a model or a function, for the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fxcost.binding import Analysis, Program, Totals
from fxcost.exporter import capture


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def totals_of(model: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Totals:
    """Totals of a captured model."""
    return Analysis(Program.from_bytes(capture(model, args, kwargs).to_bytes(), type(model).__name__)).totals()


def torch_matrix_flops(model: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> int:
    """What torch's FlopCounterMode counts while the model runs. It sees no fused attention, hence the math kernel."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(*args, **(kwargs or {}))
    return counter.get_total_flops()


def work_of(function: Callable[..., Any], *args: torch.Tensor) -> tuple[int, int, int]:
    """Matrix FLOPs, vector FLOPs and transcendentals of a function; every operator in it must be known."""
    with torch.no_grad():
        totals = totals_of(function if isinstance(function, nn.Module) else Function(function), args)
    assert totals.unknown_nodes == 0
    counts = totals.counts
    return counts.matrix_flops, counts.vector_flops, counts.transcendentals
