"""fvcore's classes with one import changed. Counts follow from the sizes of the model by fvcore's documented formulas
(a multiply-add is one flop; batch norm 2 per element in evaluation); where fvcore is installed, it is asked too."""

from __future__ import annotations

import ast
import importlib.util
import logging
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fxcost.compat import fvcore

PYTHON = (
    Path(os.environ.get("FXC_PEERS", Path(__file__).resolve().parents[2] / "build" / "peers")) / "common/bin/python"
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.unused, self.again = nn.Linear(3, 3), self.mlp
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).mean((2, 3))
        return x * self.scale + self.mlp(x)


X = torch.randn(2, 3, 10, 10)
CONV, NORM, FC = 2 * 8 * 64 * 27, 2 * 2 * 8 * 64, 2 * 8 * 16


@pytest.fixture
def net() -> Net:
    return Net().eval()


def test_counts_by_operator_and_module(net: Net) -> None:
    flops = fvcore.FlopCountAnalysis(net, X)
    assert flops.total() == CONV + NORM + 2 * FC
    assert flops.by_operator() == Counter(conv=CONV, batch_norm=NORM, linear=2 * FC)
    assert flops.by_module()["mlp"] == 2 * FC
    assert flops.by_module_and_operator()["mlp.0"] == Counter(linear=FC)
    assert flops.by_module()["mlp.1"] == 0
    assert flops.unsupported_ops() == Counter({"aten::mean": 1, "aten::mul": 1, "aten::gelu": 1, "aten::add": 1})
    assert flops.unsupported_ops("mlp") == Counter({"aten::gelu": 1})
    assert flops.uncalled_modules() == {"unused"}
    assert (flops.canonical_module_name("again"), flops.canonical_module_name("again.0")) == ("mlp", "mlp.0")
    assert flops.total("again") == 2 * FC
    with pytest.raises(KeyError, match="nothing"):
        flops.total("nothing")


def test_activations(net: Net) -> None:
    activations = fvcore.ActivationCountAnalysis(net, (X,))
    assert activations.by_operator() == Counter(conv=2 * 8 * 64, linear=2 * 16 + 2 * 8)
    assert activations.total("mlp") == 2 * 16 + 2 * 8


def test_handles(net: Net) -> None:
    seen: list[object] = []

    def mean(inputs: list[fvcore._Value], outputs: list[fvcore._Value]) -> int:
        seen.append((inputs[0].type().sizes(), inputs[0].isCompleteTensor(), outputs[0].sizes(), len(inputs)))
        return 1000

    flops = fvcore.FlopCountAnalysis(net, X).set_op_handle("aten::mean", mean, "aten::linear", None)
    assert flops.by_operator() == Counter(conv=CONV, batch_norm=NORM, mean=1000)
    assert seen[0] == ([2, 8, 8, 8], True, [2, 8], 4)
    assert "aten::mean" not in flops.unsupported_ops() and "aten::linear" not in flops.unsupported_ops()
    assert flops.copy(new_inputs=X[:1]).total() == (CONV + NORM) // 2 + 1000
    assert sum(flops.clear_op_handles().by_operator().values()) == 0


def test_warnings_and_switches(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fvcore.FlopCountAnalysis(net, X).total()
    assert "Unsupported operator aten::gelu encountered 1 time(s)" in caplog.text
    assert "never called: unused" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        quiet = fvcore.FlopCountAnalysis(net, X).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        quiet.tracer_warnings("none").ancestor_mode("owner").total()
    assert caplog.text == ""
    with pytest.raises(ValueError, match="owner, caller"):
        quiet.ancestor_mode("child")


class Lender(torch.nn.Module):
    """One part's layer is called by the other."""

    def __init__(self) -> None:
        super().__init__()
        self.lender, self.borrower = torch.nn.Sequential(torch.nn.Linear(4, 4)), Borrower()
        self.borrower.borrowed = [self.lender[0]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.borrower(self.lender(x))


class Borrower(torch.nn.Module):
    borrowed: list[torch.nn.Module]

    def __init__(self) -> None:
        super().__init__()
        self.own = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.own(self.borrowed[0](x))


CALLED = """
import sys
sys.path.insert(0, {tests!r})
import torch
from fvcore.nn import FlopCountAnalysis
from test_compat_fvcore import Lender
for mode in ("owner", "caller"):
    print(dict(FlopCountAnalysis(Lender().eval(), torch.ones(3, 4)).ancestor_mode(mode).by_module()))
"""


def test_callers_and_owners() -> None:
    """A borrowed layer, 3 x 4 x 4: in both modes it counts for itself and the model; for its owner, or its caller."""
    x, linear, own = torch.ones(3, 4), 48, 24
    found = {
        mode: dict(fvcore.FlopCountAnalysis(Lender().eval(), x).ancestor_mode(mode).by_module())
        for mode in ("owner", "caller")
    }
    total = 2 * linear + own
    layer = {"": total, "lender.0": 2 * linear, "borrower.own": own}
    assert found["owner"] == {**layer, "lender": 2 * linear, "borrower": own}
    assert found["caller"] == {**layer, "lender": linear, "borrower": linear + own}
    if not PYTHON.exists():
        pytest.skip(f"no environment of peers at {PYTHON}: fvcore itself was not asked")
    code = CALLED.format(tests=str(Path(__file__).parent))
    answer = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    assert [ast.literal_eval(line) for line in answer.stdout.splitlines()] == [found["owner"], found["caller"]]


def test_tables(net: Net) -> None:
    flops, activations = fvcore.FlopCountAnalysis(net, X), fvcore.ActivationCountAnalysis(net, X)
    table = fvcore.flop_count_table(flops, max_depth=1, activations=activations, show_param_shapes=False)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert cells[0] == ["module", "#parameters", "#flops", "#activations"]
    assert ["mlp", "0.28K", "0.512K", "48"] in cells and ["unused", "12", "", ""] in cells
    assert "(8, 3, 3, 3)" in fvcore.flop_count_table(flops)
    assert "(8, 3, 3, 3)" in fvcore.parameter_count_table(net, max_depth=2)
    assert fvcore.parameter_count(net)["mlp"] == 8 * 16 + 16 + 16 * 8 + 8
    text = fvcore.flop_count_str(flops, activations)
    assert "#params: 0.28K, #flops: 0.51K, #acts: 48" in text and "#flops: N/A" in text
    counted, missing = fvcore.flop_count(net, (X,))
    assert counted["conv"] == CONV / 1e9 and missing["aten::gelu"] == 1


class Held(torch.nn.Module):
    """A layer that two parts hold, and call."""

    def __init__(self) -> None:
        super().__init__()
        layer = torch.nn.Linear(4, 4)
        self.first, self.second = torch.nn.Sequential(layer), torch.nn.Sequential(layer, torch.nn.Linear(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


def test_a_layer_of_two_goes_by_its_first_name() -> None:
    count = fvcore.FlopCountAnalysis(Held().eval(), torch.ones(3, 4))
    found = {"": 120, "first": 96, "first.0": 96, "second": 24, "second.1": 24}
    assert dict(count.by_module()) == found
    assert dict(count.ancestor_mode("caller").by_module()) == found | {"first": 48, "second": 72}


@pytest.mark.skipif(importlib.util.find_spec("fvcore") is None, reason="fvcore is not installed here")
def test_the_same_as_fvcore_prints(net: Net) -> None:
    from fvcore import nn as own

    for mode in ("owner", "caller"):
        analyses = [kind(Held().eval(), torch.ones(3, 4)) for kind in (fvcore.FlopCountAnalysis, own.FlopCountAnalysis)]
        ours, theirs = (analysis.ancestor_mode(mode) for analysis in analyses)
        assert ours.by_module() == theirs.by_module()
        assert fvcore.flop_count_table(ours) == own.flop_count_table(theirs)

    for name in ("flop_count_table", "flop_count_str"):
        ours = getattr(fvcore, name)(fvcore.FlopCountAnalysis(net, X))
        assert ours == getattr(own, name)(own.FlopCountAnalysis(net, X))
    assert fvcore.FlopCountAnalysis(net, X).by_module() == own.FlopCountAnalysis(net, X).by_module()
    ours, theirs = fvcore.parameter_count_table(net), own.parameter_count_table(net)
    assert re.sub(" +", " ", ours) == re.sub(" +", " ", theirs)
