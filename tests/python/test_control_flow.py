"""Graphs that nodes call: how often each counts. Expected FLOPs are those of the same work written out without control
flow, captured on its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import fxcost
from fxcost.binding import Analysis
from fxcost.errors import FxcostError
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


@torch.library.custom_op("fxcost_control::odd", mutates_args=())
def without_formula(x: Tensor) -> Tensor:
    return x.clone()


without_formula.register_fake(torch.empty_like)


def test_an_unknown_operator_in_a_branch_shows() -> None:
    def odd(net: Net, x: Tensor) -> Tensor:
        return without_formula(x)

    whole = report(lambda net, x: torch.cond(x.sum() > 0, lambda x: dear(net, x), lambda x: odd(net, x), (x,)))
    assert set(whole.unknown) == {"fxcost_control.odd.default"}


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


# ---- what only the user can say -------------------------------------------------------------------------------------


def looped(net: Net, x: Tensor) -> object:
    from torch._higher_order_ops.while_loop import while_loop

    start = torch.zeros((), dtype=torch.int64)
    return while_loop(lambda i, x: i.sin() < 5, lambda i, x: (i + 1, dear(net, x)), (start, x))


@pytest.mark.parametrize("trips", [0, 1, 7])
def test_a_while_loop_counts_as_often_as_the_user_says(trips: int) -> None:
    def unrolled(net: Net, x: Tensor) -> Tensor:
        i = torch.zeros((), dtype=torch.int64)
        for _ in range(trips):
            _ = i.sin() < 5
            x, i = dear(net, x), i + 1
        return x + (i.sin() < 5)

    program = report(looped).program
    given = Report(program, dims={"while_loop_trips": trips})
    assert given.unknown == {}
    last_add = X.numel()  # of the bool, which keeps the last condition alive
    assert given.flops == report(unrolled).flops - last_add
    assert given.matrix_flops == trips * report(dear).matrix_flops


def test_without_trips_a_while_loop_is_unknown_and_a_formula_has_them_as_a_variable() -> None:
    whole = report(looped)
    assert list(whole.unknown) == ["higher_order.while_loop"]
    assert "while_loop_trips=?" in str(whole)
    # 2 * 6 * 8 * 8 matrix FLOPs each time
    assert whole.formula("matrix_flops") == "768*while_loop_trips"


def test_branches_count_by_a_given_probability() -> None:
    def inner(net: Net, x: Tensor) -> Tensor:
        return torch.cond(x.max() > 1, lambda x: dear(net, x), lambda x: cheap(net, x), (x,))

    whole = report(lambda net, x: torch.cond(x.sum() > 0, lambda x: inner(net, x), lambda x: cheap(net, x), (x,)))
    analysis = Analysis(whole.program)
    assert analysis.totals().counts.matrix_flops == report(dear).matrix_flops
    names = [line.split(" = ")[0].strip(" %") for line in whole.program.text().splitlines() if "order.cond(" in line]
    assert len(names) == 2
    for probability in (0.0, 0.25, 1.0):
        for name in set(names):
            analysis.set(f"probability.{name}", str(probability))
        nested = probability**2 if len(set(names)) > 1 else probability
        assert analysis.totals().counts.matrix_flops == round(nested * report(dear).matrix_flops)


@pytest.mark.parametrize(("option", "value"), [("probability.none", "0.5"), ("probability.cond", "1.5")])
def test_a_wrong_probability_is_refused(option: str, value: str) -> None:
    whole = report(lambda net, x: torch.cond(x.sum() > 0, lambda x: dear(net, x), lambda x: cheap(net, x), (x,)))
    with pytest.raises(FxcostError, match="probability"):
        Analysis(whole.program).set(option, value)
