"""Programs at other input sizes, derived by rules from one static capture. Truth is torch's: a fresh capture at those
sizes must be the same program, table by table (fxc_program_equal)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from costs import Function
from test_control_flow import Net, dear, mapped, scanned
from test_flops_oracle import MODELS
from test_formula import CASES, random_sizes
from torch import nn

import fxcost
from fxcost.binding import Analysis, Program


def program(model: nn.Module, *args: Any, dynamic_shapes: Any = None, **kwargs: Any) -> Program:
    with torch.no_grad():
        return Program.from_bytes(fxcost.capture(model, args, kwargs, dynamic_shapes=dynamic_shapes).to_bytes())


class Tutorial(nn.Module):
    """Convolutions into a Linear whose size fits one resolution, or any through AdaptiveAvgPool2d."""

    def __init__(self, adaptive: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(5) if adaptive else nn.Identity()),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(400, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


def test_a_linear_that_fits_one_resolution_is_named() -> None:
    captured = program(Tutorial(adaptive=False).eval(), torch.randn(1, 3, 28, 28))
    with pytest.raises(fxcost.FxcostError) as error:
        captured.at(x=(1, 3, 64, 64))
    text = str(error.value)
    assert "'linear' (aten.linear.default) in classifier.2, " in text
    assert "test_reshape.py:" in text
    assert "expected: equal last sizes" in text
    assert "found: input is [1, 3136] and weight is [10, 400]" in text
    assert error.value.status == "PROGRAM"


@pytest.mark.parametrize("size", [(1, 3, 28, 28), (1, 3, 64, 64), (1, 3, 224, 224), (7, 3, 65, 40)], ids=str)
def test_its_adaptive_twin_answers_at_any_size(size: tuple[int, ...]) -> None:
    model = Tutorial(adaptive=True).eval()
    here = program(model, torch.randn(1, 3, 28, 28)).at(x=size)
    fresh = program(model, torch.randn(size))
    assert here == fresh
    assert here.text() == fresh.text()
    assert Analysis(here).totals().flops == Analysis(fresh).totals().flops > 0


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_at_the_captured_sizes_nothing_changes(
    build: Callable[[], tuple[nn.Module, dict[str, Any]]], mode: str
) -> None:
    torch.manual_seed(0)
    model, kwargs = build()
    captured = program(model.train(mode == "train"), **kwargs)
    here = captured.at()
    assert here.at() == here
    if captured.info().symbols == 0:
        assert here == captured
    assert here.info().symbols == 0
    assert here.info().nodes == captured.info().nodes


def test_inputs_that_are_not_there() -> None:
    captured = program(Tutorial(adaptive=True).eval(), torch.randn(1, 3, 28, 28))
    with pytest.raises(fxcost.FxcostError, match=r"(?s)input y.*the user's inputs: x.*'y'") as error:
        captured.at(y=(1, 3, 28, 28))
    assert error.value.status == "USAGE"
    with pytest.raises(fxcost.FxcostError, match="sizes of zero or more"):
        captured.at(x=(1, 3, -1, 28))


# ---- numbers that the capture wrote down ----------------------------------------------------------------------------

SMALL, IMAGE = (2, 6, 10), (2, 3, 12, 12)
TABLE = torch.randn(1, 40, 10)

# What a model writes: name, captured size, new size, and whether the answer can be told from a static capture. Where it
# can, it must be that of a fresh capture.
WRITTEN: dict[str, tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...], bool]] = {
    "flatten": (lambda x: x.flatten(1), SMALL, (5, 7, 10), True),
    "view of the rest": (lambda x: x.view(-1, 10), SMALL, (5, 7, 10), True),
    "view by the batch": (lambda x: x.view(x.size(0), -1), SMALL, (5, 6, 10), False),
    "view by a batch of one": (lambda x: x.view(x.size(0), -1).mean(1), (1, 6, 10), (4, 6, 10), False),
    "view by the batch, which stays": (lambda x: x.view(x.size(0), -1), SMALL, (2, 9, 10), True),
    "view by a constant": (lambda x: x.view(-1, 60), SMALL, (2, 12, 10), False),
    "view by all sizes": (lambda x: x.view(2, 6, 2, 5), SMALL, (2, 9, 10), False),
    "heads": (lambda x: x.view(2, -1, 2, 5).transpose(1, 2), SMALL, (2, 9, 10), True),
    "heads of another width": (lambda x: x.view(2, -1, 2, 5).transpose(1, 2), SMALL, (2, 6, 20), False),
    "view of ones": (lambda x: x.view(1, -1), (1, 4, 1, 1), (1, 4, 2, 2), True),
    "reshape to a copy": (lambda x: x.transpose(1, 2).reshape(2, -1), SMALL, (2, 3, 10), True),
    "reshape that was a view": (lambda x: x.transpose(1, 2).reshape(2, -1), (2, 1, 10), (2, 3, 10), True),
    "expand": (lambda x: torch.ones(1, 1, 10).expand(x.shape[0], -1, -1) + x, SMALL, (5, 6, 10), False),
    "expand to keep": (lambda x: x.expand(-1, 6, 10) + 1, SMALL, (5, 6, 10), True),
    "expand what has changed": (lambda x: x[:, :1].expand(-1, 6, x.shape[2]), SMALL, (2, 6, 8), False),
    "made of a size": (lambda x: torch.zeros(x.shape[1], 10) + x, SMALL, (2, 9, 10), False),
    "made of constants": (lambda x: torch.zeros(1, 10) + x, SMALL, (2, 9, 10), True),
    "made like": (lambda x: torch.zeros_like(x) + x, SMALL, (2, 9, 10), True),
    "positions": (lambda x: torch.arange(x.shape[1]).float(), SMALL, (2, 9, 10), False),
    "a table cut to length": (lambda x: x + TABLE[:, : x.shape[1]], SMALL, (2, 9, 10), False),
    "without the first": (lambda x: x[:, 1:], SMALL, (2, 9, 10), True),
    "the first": (lambda x: x[:, :1] * x[:, 0:1], SMALL, (2, 9, 10), True),
    "without the last": (lambda x: x[:, :-1], SMALL, (2, 9, 10), True),
    "the first half": (lambda x: x[:, : x.shape[1] // 2], SMALL, (2, 8, 10), False),
    "channels of what has changed": (lambda x: x[:, :, 2:5] * 2, SMALL, (2, 9, 10), True),
    "a loop over rows": (lambda x: sum(x[:, i] for i in range(x.shape[1])), SMALL, (2, 9, 10), False),
    "the first row and the last": (lambda x: x[:, 0] + x[:, -1], SMALL, (2, 9, 10), True),
    "chunks": (lambda x: x.chunk(2, 1)[1] + 1, SMALL, (2, 9, 10), True),
    "fewer chunks": (lambda x: x.chunk(4, 1)[0] + 1, (2, 8, 10), (2, 3, 10), False),
    "split": (lambda x: x.split(3, 1)[0] + 1, SMALL, (2, 9, 10), False),
    "split what stays": (lambda x: x.split(5, 2)[0] + 1, SMALL, (2, 9, 10), True),
    "unbind": (lambda x: x.unbind(1)[0] + 1, SMALL, (2, 9, 10), False),
    "repeat": (lambda x: torch.ones(1, 6, 10).repeat(x.shape[0], 1, 1) + x, SMALL, (5, 6, 10), False),
    "repeat twice": (lambda x: x.repeat(1, 3, 1), SMALL, (2, 8, 10), True),
    "pad": (lambda x: nn.functional.pad(x, (0, 0, 0, 16 - x.shape[1])), SMALL, (2, 9, 10), False),
    "pad what stays": (lambda x: nn.functional.pad(x, (1, 1)), SMALL, (2, 9, 10), True),
    "pad by a module": (nn.ZeroPad2d(2), IMAGE, (2, 3, 20, 16), True),
    "pool": (lambda x: nn.functional.avg_pool2d(x, 3, 2), IMAGE, (2, 3, 20, 16), True),
    "pool all": (lambda x: nn.functional.avg_pool2d(x, x.shape[2:]).mean(), IMAGE, (2, 3, 24, 24), False),
    "pool all by a module": (nn.AvgPool2d(12), IMAGE, (2, 3, 24, 24), True),
    "upsample to the input": (
        lambda x: nn.functional.interpolate(x[..., ::2, ::2], size=x.shape[2:]),
        IMAGE,
        (2, 3, 20, 16),
        False,
    ),
    "norm over what has changed": (nn.LayerNorm((6, 10)), SMALL, (2, 9, 10), False),
    "norm over what stays": (nn.LayerNorm(10), SMALL, (5, 9, 10), True),
    "batch norm of other channels": (nn.BatchNorm2d(3), IMAGE, (2, 4, 12, 12), False),
    "group norm": (nn.GroupNorm(3, 3), IMAGE, (1, 3, 9, 12), True),
    "channels last": (nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), IMAGE, (2, 3, 9, 12), True),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_numbers_that_may_be_sizes_are_refused(case: str) -> None:
    function, size, asked, told = WRITTEN[case]
    model = function if isinstance(function, nn.Module) else Function(function)
    name = "input" if isinstance(function, nn.Module) else "args_0"
    model.eval()
    captured = program(model, torch.randn(size))
    if told:
        here, fresh = captured.at(**{name: asked}), program(model, torch.randn(asked))
        assert Analysis(here).totals().flops == Analysis(fresh).totals().flops
        assert here.text() == fresh.text()
    else:
        with pytest.raises(fxcost.FxcostError, match="node [0-9]+ '") as error:
            captured.at(**{name: asked})
        assert error.value.status == "PROGRAM"
        assert "found: " in str(error.value)


# ---- from a dynamic capture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("gpt2", "llama")])
def test_expressions_and_rules_agree(name: str) -> None:
    """Three ways to other sizes: the recorded expressions, the rules from the dynamic capture, and the rules from the
    inputs alone, starting at a program without symbols. All are one program, and cost what the expressions say."""
    case = CASES[name]
    dims = {n: torch.export.Dim(n, min=low, max=high) for n, (low, high) in case.ranges.items()}
    shapes = {key: {axis: dims[n] for axis, n in axes.items()} for key, axes in case.dims.items()}
    captured = program(case.module().eval(), dynamic_shapes=shapes, **case.inputs(case.example))
    fixed = captured.at(**sizes_of(case, case.example))
    assert (captured.info().symbols, fixed.info().symbols) == (len(case.ranges), 0)
    for seed in range(4):
        sizes = random_sizes(case, seed, 96)
        by_rules, by_rules_alone = (source.at(**sizes_of(case, sizes)) for source in (captured, fixed))
        assert by_rules == by_rules_alone
        bound = Analysis(captured, **{f"dim.{n}": str(size) for n, size in sizes.items()})
        for expressions, rules in zip(bound.nodes(), Analysis(by_rules).nodes(), strict=True):
            assert bytes(expressions.counts) == bytes(rules.counts)


def sizes_of(case: Any, sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in case.inputs(sizes).items()}


def test_sizes_out_of_the_captured_range() -> None:
    batch = torch.export.Dim("batch", min=2, max=16)
    model = nn.Linear(4, 4)
    captured = program(model, torch.zeros(3, 4), dynamic_shapes=({0: batch},))
    assert captured.at(input=(16, 4)) == program(model, torch.zeros(16, 4))
    with pytest.raises(fxcost.FxcostError, match=r"(?s)at most 16.*17"):
        captured.at(input=(17, 4))
    with pytest.raises(fxcost.FxcostError, match=r"(?s)'linear'.*equal last sizes.*\[3, 5\]"):
        captured.at(input=(3, 5))


def test_derived_dimensions_are_solved_for() -> None:
    half = torch.export.Dim("half", min=3, max=50)
    rows = lambda x, y: x.reshape(-1, 2, 8).sum(1) + y  # noqa: E731
    captured = program(
        Function(rows), torch.zeros(8, 8), torch.zeros(4, 8), dynamic_shapes=(({0: 2 * half}, {0: half}),)
    )
    fresh = program(Function(rows), torch.zeros(14, 8), torch.zeros(7, 8))
    here = captured.at(args_0=(14, 8))
    assert Analysis(here).totals().flops == Analysis(fresh).totals().flops
    with pytest.raises(fxcost.FxcostError, match="input args_[01], dimension 0"):
        captured.at(args_0=(14, 8), args_1=(8, 8))


# ---- graphs that nodes call -----------------------------------------------------------------------------------------


def branches(net: Net, x: torch.Tensor) -> Any:
    return torch.cond(x.sum() > 0, lambda x: dear(net, x) * 2.0, lambda x: x + 1.0, (x,)) - 1.0


def loop(net: Net, x: torch.Tensor) -> Any:
    from torch._higher_order_ops.while_loop import while_loop

    return while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, net.linear(v)), (torch.tensor(0), x))[1] * 2


def autocast(net: Net, x: torch.Tensor) -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        y = net.linear(x)
    return y.float() + 1


def checkpointed(net: Net, x: torch.Tensor) -> Any:
    return torch.utils.checkpoint.checkpoint(lambda v: dear(net, v), x, use_reentrant=False) + 1


def rows(net: Net, x: torch.Tensor) -> Any:
    return mapped(lambda row: torch.relu(net.linear(row)), x) + 1.0


BODIES: dict[str, tuple[Callable[[Net, torch.Tensor], Any], tuple[int, ...]]] = {
    "cond": (branches, (9, 8)),
    "while_loop": (loop, (9, 8)),
    "autocast": (autocast, (9, 8)),
    "checkpoint": (checkpointed, (9, 8)),
    "map": (rows, (9, 8)),
    "map over matrices": (rows, (4, 3, 8)),
    "scan": (lambda net, x: scanned(net, x), (9, 8)),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies_take_the_sizes_of_their_operands(case: str) -> None:
    function, asked = BODIES[case]
    model = Net(function).eval()
    size = (6, 5, 8) if len(asked) == 3 else (6, 8)
    captured, fresh = (program(model, torch.randn(size)) for size in (size, asked))
    assert captured.at() == captured
    here = captured.at(x=asked)
    assert here.text() == fresh.text()
    ours, theirs = (Analysis(p).totals() for p in (here, fresh))
    assert (ours.flops, ours.values) == (theirs.flops, theirs.values)


# ---- trust ----------------------------------------------------------------------------------------------------------


@torch.library.custom_op("reshape_test::swish", mutates_args=(), tags=(torch.Tag.pointwise,))
def swish(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(y)


@swish.register_fake
def _(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x * y)


@torch.library.custom_op("reshape_test::odd", mutates_args=())
def odd(x: torch.Tensor) -> torch.Tensor:
    return x[::2].clone()


@odd.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return x.new_empty((x.shape[0] + 1) // 2, *x.shape[1:])


def test_tagged_operators_follow_the_broadcast_rule() -> None:
    model = Function(lambda x, y: swish(x, y) + 1)
    captured = program(model, torch.randn(4, 1, 3), torch.randn(5, 3))
    totals = Analysis(captured).totals()
    assert (totals.values, totals.tagged_values, totals.recorded_values, totals.given_values) == (2, 1, 0, 2)
    assert "1 of 2 derived by rule, 1 by pointwise tag, 0 as recorded; 2 given" in Analysis(captured).render()
    fresh = program(model, torch.randn(4, 7, 3), torch.randn(7, 3))
    assert captured.at(args_0=(4, 7, 3), args_1=(7, 3)).text() == fresh.text()


def test_what_rests_on_the_recording_is_counted_and_not_passed_through() -> None:
    model = Function(lambda x, y: (odd(x) * 2, y + 1))
    captured = program(model, torch.randn(5, 3), torch.randn(4))
    totals = Analysis(captured.at(args_1=(9,))).totals()
    assert (totals.values, totals.recorded_values, totals.given_values) == (3, 1, 2)
    report = json.loads(Analysis(captured).render(format="json"))["totals"]
    assert [report[f"{kind}_values"] for kind in ("tagged", "recorded", "given", "contradicted")] == [0, 1, 2, 0]
    with pytest.raises(fxcost.FxcostError) as error:
        captured.at(args_0=(7, 3))
    assert "'odd' (reshape_test.odd.default)" in str(error.value)
    assert "only what was recorded" in str(error.value)


def arithmetic(x: torch.Tensor) -> torch.Tensor:
    rows, columns = x.shape
    sizes = (
        rows // 2 + columns % 7,
        torch.sym_max(rows - columns, 3),
        torch.sym_min(rows * columns, 40) // 3,
        math.ceil(columns / 4) + math.floor(rows * 1.5),
        rows**2 % 5 + 1,
    )
    return sum(x.new_zeros(size, 2).sum() for size in sizes) + x.reshape(-1)[: rows * 2].sum()


def test_numbers_that_nodes_compute() -> None:
    auto = torch.export.Dim.AUTO
    captured = program(Function(arithmetic), torch.randn(30, 24), dynamic_shapes=(({0: auto, 1: auto},),))
    fixed = captured.at(args_0=(30, 24))
    assert (captured.info().symbols, fixed.info().symbols) == (2, 0)
    for size in ((30, 24), (31, 23), (9, 20), (60, 59)):
        here, fresh = captured.at(args_0=size), program(Function(arithmetic), torch.randn(size))
        assert here == fixed.at(args_0=size)
        assert Analysis(here).totals().flops == Analysis(fresh).totals().flops
