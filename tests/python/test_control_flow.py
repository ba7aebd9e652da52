"""Graphs that nodes call: how often each counts. Expected FLOPs are those of the same work written out without control
flow, captured on its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import fxcost
from fxcost.report import Report

X = torch.randn(6, 8)


class Net(nn.Module):
    """A function over a Linear."""

    def __init__(self, function: Callable[[Net, Tensor], object]) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(self, x)


def report(function: Callable[[Net, Tensor], object]) -> Report:
    with torch.no_grad():
        return fxcost.analyze(Net(function).eval(), (X,))


def dear(net: Net, x: Tensor) -> Tensor:
    return torch.relu(net.linear(x))


def cheap(net: Net, x: Tensor) -> Tensor:
    return x + 1.0


def mapped(body: Callable[[Tensor], object], x: Tensor) -> object:
    from torch._higher_order_ops.map import map as torch_map

    return torch_map(body, x)


def scanned(net: Net, x: Tensor) -> object:
    from torch._higher_order_ops.scan import scan

    return scan(lambda carry, row: (carry + net.linear(row), carry * 2.0), torch.zeros(8), x)


def test_cond_counts_the_dearer_branch() -> None:
    test = report(lambda net, x: x.sum() > 0)
    for branches in ((dear, cheap), (cheap, dear)):
        whole = report(
            lambda net, x, b=branches: torch.cond(x.sum() > 0, lambda x: b[0](net, x), lambda x: b[1](net, x), (x,))
        )
        assert whole.flops - test.flops == report(dear).flops
        assert whole.unknown == {}


def test_branches_nest() -> None:
    def inner(net: Net, x: Tensor) -> Tensor:
        return torch.cond(x.max() > 1, lambda x: dear(net, x) * 2.0, lambda x: cheap(net, x), (x,))

    whole = report(lambda net, x: torch.cond(x.sum() > 0, lambda x: inner(net, x), lambda x: dear(net, x), (x,)))
    plain = report(lambda net, x: (x.sum() > 0, x.max() > 1, dear(net, x) * 2.0))
    assert whole.flops == plain.flops


def test_an_unknown_operator_in_a_branch_shows() -> None:
    def odd(net: Net, x: Tensor) -> Tensor:
        return torch.linalg.inv(x[:, :6]).repeat(1, 2)[:, :8] + 0.0

    whole = report(lambda net, x: torch.cond(x.sum() > 0, lambda x: dear(net, x), lambda x: odd(net, x), (x,)))
    assert any("inv" in op for op in whole.unknown)


def test_map_and_scan_count_the_body_for_each_row() -> None:
    rows = report(lambda net, x: mapped(lambda row: torch.relu(net.linear(row)), x))
    assert rows.flops == 6 * (2 * 8 * 8 + 8)  # a Linear and a relu a row
    steps = report(scanned)
    assert steps.flops == 6 * (2 * 8 * 8 + 8 + 8)  # a Linear, an addition and a product a row
    assert rows.unknown == steps.unknown == {}


def test_bodies_nest_in_bodies() -> None:
    whole = report(lambda net, x: mapped(lambda row: mapped(lambda e: e * 3.0, row), x))
    assert whole.flops == 6 * 8


def test_while_loop_is_unknown() -> None:
    from torch._higher_order_ops.while_loop import while_loop

    def loop(net: Net, x: Tensor) -> object:
        return while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, net.linear(v)), (torch.tensor(0), x))

    whole = report(loop)
    assert whole.unknown == {"higher_order.while_loop": 1}
    assert whole.matrix_flops == 0


@pytest.mark.parametrize("context", [torch.no_grad, torch.enable_grad])
def test_wrapped_regions_count_once(context: Callable[[], object]) -> None:
    def wrapped(net: Net, x: Tensor) -> Tensor:
        with context():
            y = net.linear(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return net.linear(y)

    assert report(wrapped).matrix_flops == 2 * report(lambda net, x: net.linear(x)).matrix_flops
