"""Shapes behind control flow, in graphs that nodes call, of attention operators; what no rule is about. Expected shapes
are those that torch's fake tensors recorded: every value must have a rule, and every rule must agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from shape_sources import sources_of
from torch import Tensor, nn

import fxcost

X = torch.randn(6, 8)


class Net(nn.Module):
    """A function over a Linear."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(8, 8), function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self.linear, *inputs)


def cond(linear: nn.Module, x: Tensor) -> Any:
    return torch.cond(x.sum() > 0, lambda x: (linear(x), x.t() * 2), lambda x: (x + 1, (x * 2).t() * 3), (x,))


def nested_cond(linear: nn.Module, x: Tensor) -> Any:
    def inner(x: Tensor) -> Tensor:
        return torch.cond(x.mean() > 0, lambda x: linear(x).relu(), lambda x: x * 2, (x,))

    return torch.cond(x.sum() > 0, inner, lambda x: x + 1, (x,))


def mapped(linear: nn.Module, x: Tensor) -> Any:
    from torch._higher_order_ops.map import map as torch_map

    return torch_map(lambda row, scale: (linear(row), (row * scale).sum()), x, torch.ones(8))


def scanned(linear: nn.Module, x: Tensor) -> Any:
    from torch._higher_order_ops.scan import scan

    def step(carry: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        return carry + linear(row), (carry * 2.0).unsqueeze(0).expand(3, 8)

    return scan(step, torch.zeros(8), x)


def looped(linear: nn.Module, x: Tensor) -> Any:
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda i, x: i < 5, lambda i, x: (i + 1, linear(x)), (torch.tensor(0), x))


def without_grad(linear: nn.Module, x: Tensor) -> Any:
    with torch.no_grad():
        y = linear(x).t()
    return y + 1, y.sum()


def autocast(linear: nn.Module, x: Tensor) -> Any:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = linear(x)
        with torch.autocast("cpu", enabled=False):
            z = linear(x)
    return y, z, y + z


BODIES = [cond, nested_cond, mapped, scanned, looped, without_grad, autocast]


@pytest.mark.parametrize("function", BODIES, ids=lambda f: f.__name__)
def test_every_value_has_a_rule(function: Callable[..., Any]) -> None:
    with torch.enable_grad():
        found = sources_of(fxcost.capture(Net(function).eval(), (X,)).to_bytes())
    assert found.contradiction == ""
    assert found.values > 2
    assert not found.recorded
    assert not found.untyped
    assert not found.unlaid


def test_flex_attention_and_what_it_calls() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    def attend(_: nn.Module, q: Tensor, k: Tensor) -> Any:
        return flex_attention(q, k, k, score_mod=lambda s, b, h, i, j: s + i - j, enable_gqa=True, return_lse=True)

    program = fxcost.capture(Net(attend).eval(), (torch.randn(2, 4, 16, 8), torch.randn(2, 2, 24, 8)))
    found = sources_of(program.to_bytes())
    assert found.contradiction == ""
    assert not found.recorded


def test_attention_over_lengths_that_are_data() -> None:
    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="a newer torch has this operator")

    def attend(_: nn.Module, q: Tensor, offsets: Tensor) -> Any:
        return varlen.varlen_attn(q, q, q, offsets, offsets, 16, 16)

    offsets = torch.tensor([0, 16, 40], dtype=torch.int32)
    found = sources_of(
        fxcost.capture(Net(attend).eval(), (torch.randn(40, 4, 8, dtype=torch.bfloat16), offsets)).to_bytes()
    )
    assert found.contradiction == ""
    assert not found.recorded
    assert not found.unlaid
    assert found.unknown == {"torch_attn._varlen_attn.default": 1}


def test_sparse_tensors_are_outside() -> None:
    def mixed(_: nn.Module, x: Tensor, w: Tensor) -> Any:
        sparse = x.to_sparse()
        return torch.sparse.mm(sparse, w), sparse * 2, w * 2

    with torch.no_grad():
        report = fxcost.analyze(Net(mixed).eval(), (torch.randn(4, 5), torch.randn(5, 3)))
    assert report.flops == 15  # of w * 2; the product of the sparse tensor is not counted as if it were dense


def test_nested_inputs_are_refused_by_name() -> None:
    ragged = torch.nested.nested_tensor([torch.randn(3, 8), torch.randn(5, 8)], layout=torch.jagged)
    with pytest.raises(fxcost.FxcostError, match=r"input \[0\] is a nested tensor"):
        fxcost.capture(Net(lambda linear, x: linear(x)), (ragged,))
