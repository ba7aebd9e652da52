"""Formulas, exclusions and corrections of the user's own: from Python, from a text file, on the command line.

What is expected follows from the formulas themselves and from sizes that the test chooses.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import Run
from torch import Tensor, nn

import fxcost
from fxcost.binding import Program, Status
from fxcost.formulas import Call, TensorInfo

LIBRARY = torch.library.Library("fxcost_custom", "DEF")
LIBRARY.define("scan(Tensor x, int steps, int[] window) -> Tensor")
LIBRARY.impl("scan", lambda x, steps, window: x.clone(), "CompositeExplicitAutograd")
torch.library.register_fake("fxcost_custom::scan")(lambda x, steps, window: torch.empty_like(x))


class Scan(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.fxcost_custom.scan(x, 5, [3, 7])


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.scan, self.act, self.head = nn.Linear(8, 16), Scan(), nn.GELU(), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.scan(self.fc(x))))


X = torch.randn(6, 8)
FC, HEAD, ELEMENTS = 6 * 8 * 16, 6 * 16 * 4, 6 * 16


@pytest.fixture(scope="module")
def net_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.no_grad():
        return fxcost.capture(Net().eval(), (X,)).save(tmp_path_factory.mktemp("custom") / "net.fxir")


def test_an_operator_without_a_formula_gets_one(net_file: Path) -> None:
    assert fxcost.open(net_file).unknown == {"fxcost_custom.scan.default": 1}
    seen: list[tuple[str, TensorInfo, TensorInfo, int, int]] = []

    @fxcost.formula("fxcost_custom::scan")
    def scan(call: Call) -> dict[str, int]:
        seen.append((call.name, call["x"], call.result(), call.int("steps"), call.int("window.1")))
        return {"macs": call["x"].numel * call.int("steps"), "transcendentals": 2}

    plain, report = fxcost.open(net_file), fxcost.open(net_file, formulas=[scan])
    x = TensorInfo((6, 16), (16, 1), "float32", ELEMENTS)
    assert seen[0] == ("fxcost_custom.scan.default", x, x, 5, 7)
    assert report.unknown == {}
    assert report.macs - plain.macs == 5 * ELEMENTS
    assert report.flops - plain.flops == 2 * 5 * ELEMENTS
    assert report.module("scan").macs == 5 * ELEMENTS
    assert report.by_op()["fxcost_custom.scan.default"].transcendentals == 2
    assert "corrections formula fxcost_custom.scan (1 node)" in str(report)


def test_a_formula_comes_before_the_tables_own_and_the_last_one_counts(net_file: Path) -> None:
    one = fxcost.formula("aten.linear.default")(lambda call: 1)
    two = fxcost.formula("aten::linear")(lambda call: {"vector_flops": 2, "matrix_flops": 3})
    by_op = fxcost.open(net_file, formulas=[one, two]).by_op()["aten.linear.default"]
    assert (by_op.flops, by_op.matrix_flops, by_op.macs) == (10, 6, 0)


def test_a_formula_that_cannot_tell_leaves_the_node_unknown(net_file: Path) -> None:
    vague = fxcost.formula("aten.gelu.default")(lambda call: None)
    assert set(fxcost.open(net_file, formulas=[vague]).unknown) == {"aten.gelu.default", "fxcost_custom.scan.default"}


def test_a_module_class_counts_as_a_whole(net_file: Path) -> None:
    @fxcost.formula(Scan)
    def scan(call: Call) -> int:
        assert call["in0"].shape == call.result().shape == (6, 16)
        return 1000

    @fxcost.formula(nn.Linear)
    def linear(call: Call) -> int:
        return call.int("in_features") * call.int("out_features")

    report = fxcost.open(net_file, formulas=[scan, linear])
    assert report.unknown == {}
    assert report.module("scan").flops == 1000
    assert (report.module("fc").flops, report.module("head").flops) == (8 * 16, 16 * 4)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (ValueError("mine"), ValueError, "mine"),
        ({"flop": 3}, fxcost.FxcostError, "a formula returned flop"),
        ({"macs": -1}, fxcost.FxcostError, "counts of 0 or more"),
        ({"macs": 2**62}, fxcost.FxcostError, "64 bits|overflow|counts of 0"),
    ],
)
def test_what_a_formula_does_wrong_is_said(net_file: Path, answer: object, error: type, words: str) -> None:
    def wrong(call: Call) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(error, match=words):
        fxcost.open(net_file, formulas=[fxcost.formula("aten.gelu.default")(wrong)])  # type: ignore[arg-type]


# ---- exclusions and factors -----------------------------------------------------------------------------------------


def test_what_is_ignored_is_in_no_total_and_said(net_file: Path) -> None:
    plain = fxcost.open(net_file)
    report = fxcost.open(net_file, ignore_ops=["aten.gelu"], ignore_modules=["head", "nothing"])
    assert report.macs == plain.macs - HEAD == FC
    assert report.flops == 2 * FC
    assert report.bytes < plain.bytes
    totals = report.to_dict()["totals"]
    assert (totals["nodes"], totals["ignored_nodes"]) == (2, 2)
    assert report.to_dict()["options"]["corrections"] == [
        {"text": "ignore aten.gelu", "nodes": 1},
        {"text": "ignore module head", "nodes": 1},
        {"text": "ignore module nothing", "nodes": 0},
    ]


def test_a_factor_is_exact_and_rounds_half_up(net_file: Path) -> None:
    plain = fxcost.open(net_file).by_op()["aten.linear.default"]
    scaled = fxcost.open(net_file, scale={"aten.linear": 1.07}).by_op()["aten.linear.default"]
    assert scaled.macs == (FC * 107 + 50) // 100 + (HEAD * 107 + 50) // 100
    assert scaled.bytes_read == plain.bytes_read
    assert fxcost.open(net_file, scale={"aten.linear": "0"}).macs == 0


# ---- text files -----------------------------------------------------------------------------------------------------

TEXT = """\
# one of each
op fxcost_custom.scan: macs = numel(x) * steps;   # goes on below
    vector_flops = max(window.0, window.1, 2) ^ 2 - x[-1] % 5 + ceildiv(out[0], 4) / (1 + 1)
module torch.nn.modules.linear.Linear: macs = in0[0] * in_features * out_features
scale aten.gelu.default 0.5
ignore module head
"""


def test_a_text_file(net_file: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "formulas.txt"
    path.write_text(TEXT)
    plain, report = fxcost.open(net_file), fxcost.open(net_file, formulas=[path])
    assert report.unknown == {}
    assert report.module("scan").macs == 5 * ELEMENTS
    assert report.by_op()["fxcost_custom.scan.default"].flops == 2 * 5 * ELEMENTS + 7**2 - 16 % 5 + -(-6 // 4) // 2
    assert report.module("fc").macs == FC
    assert report.module("act").flops == plain.module("act").flops // 2
    shell = json.loads(run(net_file, "--formulas", path, "--format", "json").stdout)
    assert shell["totals"] == report.to_dict()["totals"]
    listed = run(net_file, "--ignore-op", "aten.linear", "--scale", "aten.gelu=2", "--format", "json")
    assert json.loads(listed.stdout)["totals"]["macs"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("op x", ["f.txt:1", "op NAME: QUANTITY = EXPRESSION"]),
        ("\n\nop x: macs = 2 * (3", ["f.txt:3", "expected: ')'"]),
        ("op x: macs = 2 +", ["f.txt:1", "a number, a name or '('"]),
        ("op x: bytes = 2", ["QUANTITY = EXPRESSION with macs"]),
        ("op x:", ["at least one QUANTITY"]),
        ("op x: macs = sqrt(2)", ["min, max, ceildiv, numel or rank"]),
        ("op x: macs = 99999999999999999999", ["64 bits"]),
        ("op x: macs = " + "(" * 100, ["64 levels"]),
        ("ignore x", ["ignore op NAME or ignore module NAME"]),
        ("scale aten.mm -1", ["a decimal number"]),
        ("scale aten.mm", ["scale NAME FACTOR"]),
        ("nonsense", ["op NAME", "found: 'nonsense'"]),
        ("op x: macs = 1" + " + 1" * 2000, ["4096"]),
    ],
)
def test_a_wrong_text_file_is_refused_by_line(
    net_file: Path, tmp_path: Path, run: Run, text: str, words: list[str]
) -> None:
    path = tmp_path / "f.txt"
    path.write_text(text)
    answer = run(net_file, "--formulas", path)
    assert answer.returncode in (Status.USAGE, Status.OVERFLOW), answer.stderr
    assert all(word in answer.stderr for word in words), answer.stderr


def test_a_formula_that_reads_what_is_not_there_leaves_the_node_unknown(net_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    for expression in ("y[0]", "x[9]", "numel(y)", "y", "1 / (steps - 5)", "2 ^ (0 - 1)"):
        path.write_text(f"op fxcost_custom.scan: macs = {expression}")
        report = fxcost.open(net_file, formulas=[path])
        assert report.unknown == {"fxcost_custom.scan.default": 1}, expression
    path.write_text("op fxcost_custom.scan: macs = steps ^ 99")
    with pytest.raises(fxcost.FxcostError, match="64 bits"):
        fxcost.open(net_file, formulas=[path])


def test_programs_are_not_changed_by_analyses(net_file: Path) -> None:
    program = Program.open(net_file)
    before = fxcost.Report(program).to_dict()
    fxcost.open(net_file, ignore_ops=["aten.linear"])
    assert fxcost.Report(program).to_dict() == before
