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
from fxcost.report import Metric

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


# ---- metrics of one's own -------------------------------------------------------------------------------------------


def test_a_metric_adds_up_like_flops(net_file: Path) -> None:
    """Of all operators; of one, and of a class; what has no formula of the metric has no part in it."""

    @fxcost.metric("moved")
    def moved(call: Call) -> int:
        return call.counts.bytes_read + call.counts.bytes_written

    outputs = fxcost.metric("outputs", "aten.linear")(lambda call: call.result().numel)
    whole = fxcost.metric("outputs", Scan)(lambda call: call["in0"].numel * 1000)
    # FLOPs of the scan are not known, and so are not its counts: its bytes get into the metric with a formula for it.
    known = fxcost.formula("fxcost_custom::scan")(lambda call: 0)
    report = fxcost.open(net_file, formulas=[moved, outputs, whole, known])
    modules, operators = report.by_module(), report.by_op()
    assert report.metrics["moved"] == Metric(report.bytes, 4, 0)
    assert report.metrics["outputs"] == Metric(6 * 16 + 6 * 4 + 1000 * ELEMENTS, 3, 0)
    assert modules["scan"].metrics == {"moved": Metric(modules["scan"].bytes, 1, 0), "outputs": Metric(96000, 1, 0)}
    assert modules["act"].metrics["outputs"] == Metric(0, 0, 0)
    assert operators["aten.linear.default"].metrics["outputs"] == Metric(6 * 16 + 6 * 4, 2, 0)
    assert sum(node.metrics["moved"].value for node in report.nodes()) == report.bytes
    assert "corrections" in str(report)
    assert "outputs     96.1 K, told of 3 nodes\n" in str(report)


def test_what_a_metric_cannot_tell_is_not_nothing(net_file: Path) -> None:
    vague = fxcost.metric("m", "aten.gelu")(lambda call: None)
    sure = fxcost.metric("m", "aten.linear")(lambda call: 7)
    report = fxcost.open(net_file, formulas=[vague, sure], ignore_modules=["head"])
    assert report.metrics["m"] == Metric(7, 1, 1)
    rows = [line.split(" | ") for line in report.render(format="md").splitlines() if " | " in line]
    lines = {row[0].removeprefix("| "): row[-1].removesuffix(" |") for row in rows}
    assert (lines["(model)"], lines["fc"], lines["act"], lines["scan"]) == ("7+?", "7", "?", "-")


def test_a_metric_in_text(net_file: Path, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "metrics.txt"
    path.write_text(
        "metric energy: 46 * macs + 3 * flops  # of all\n"
        "metric energy op aten.gelu: 5\n"
        f"metric energy module {Scan.__module__}.Scan: in0[0]\nmetric n op aten::linear: kernels\n"
    )
    answer = run(net_file, "--formulas", path, "--format", "json")
    totals = json.loads(answer.stdout)["totals"]
    assert totals["metrics"] == {
        "energy": {"value": (46 + 2 * 3) * (FC + HEAD) + 5 + 6, "nodes": 4, "unknown_nodes": 0},
        "n": {"value": 2, "nodes": 2, "unknown_nodes": 0},
    }
    for face, title in (
        ("md", "| energy | n |"),
        ("latex", "& energy & n"),
        ("csv", ",energy,energy_unknown_nodes,n,"),
    ):
        assert title in run(net_file, "--formulas", path, "--format", face).stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metric", ["metric METRIC: EXPRESSION"]),
        ("metric 1: macs", ["f.txt:1", "a letter, then letters"]),
        ("metric flops: macs", ["no name of a column"]),
        ("metric m macs", ["metric METRIC op NAME"]),
        ("metric m: macs = 1", ["an operator or the end"]),
        ("metric m:", ["a number, a name or '('"]),
        ("metric m op x macs", ["metric METRIC op NAME"]),
        ("metric m: 1 - 2", ["a number of 0 or more"]),
        ("\n".join(f"metric m{i}: 1" for i in range(5)), ["f.txt:5", "at most 4 metrics"]),
    ],
)
def test_a_wrong_metric_is_refused(net_file: Path, tmp_path: Path, run: Run, text: str, words: list[str]) -> None:
    path = tmp_path / "f.txt"
    path.write_text(text)
    answer = run(net_file, "--formulas", path)
    assert answer.returncode == Status.USAGE, answer.stderr
    assert all(word in answer.stderr for word in words), answer.stderr


def test_programs_are_not_changed_by_analyses(net_file: Path) -> None:
    program = Program.open(net_file)
    before = fxcost.Report(program).to_dict()
    fxcost.open(net_file, ignore_ops=["aten.linear"])
    assert fxcost.Report(program).to_dict() == before
