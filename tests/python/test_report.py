"""fxcost.analyze, and one program seen from C, from the shell and from Python."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Run, Toy
from fxir_reader import Fxir

import fxcost
from fxcost.binding import Analysis, Program, Status, enumeration
from fxcost.columns import COLUMNS, OPTIONAL, serialize


def test_analyze_toy() -> None:
    report = fxcost.analyze(Toy().eval(), (torch.randn(1, 5),))
    assert (report.flops, report.macs, report.params) == (44, 20, 24)
    assert report.unknown == {} and report.seconds is None
    assert report.by_op()["aten.linear.default"].flops == 40
    assert report.module("linear").flops == 40
    assert [node.name for node in report.nodes()] == ["linear", "add_"]
    assert report.bytes == report.by_module()[""].bytes
    assert "44 FLOPs" in str(report) and "<pre" in report._repr_html_()
    with pytest.raises(fxcost.FxcostError, match="qualified name"):
        report.module("nowhere")


def test_device_gives_seconds() -> None:
    """The roofline by hand: 132 bytes read and 32 written are slower than 44 FLOPs on this data sheet."""
    report = fxcost.analyze(Toy().eval(), (torch.randn(1, 5),), device="epyc-9654")
    assert report.seconds == pytest.approx((132 + 32) / 460.8e9)
    with pytest.raises(fxcost.FxcostError, match="fxcost devices"):
        fxcost.analyze(Toy(), (torch.randn(1, 5),), device="abacus")


def test_step_of_the_optimizer_has_a_time() -> None:
    """AdamW moves 28 bytes an FP32 parameter: it reads p, g, m, v and writes p, m, v. The roofline by hand."""
    model, args = torch.nn.Linear(64, 256, bias=False), (torch.randn(2, 64),)
    plain = fxcost.analyze(model, args, mode="train", device="epyc-9654")
    stepped = fxcost.analyze(model, args, mode="train", device="epyc-9654", optimizer="adamw")
    assert plain.seconds is not None and stepped.seconds is not None
    assert stepped.seconds - plain.seconds == pytest.approx(28 * 64 * 256 / 460.8e9)


def test_times_say_what_they_rest_on() -> None:
    """Shares add up to the whole, and the utilisation is the FLOPs by hand over peak and seconds."""
    model = torch.nn.Linear(4096, 4096, bias=False).to(torch.bfloat16).eval()
    report = fxcost.analyze(model, (torch.randn(2048, 4096, dtype=torch.bfloat16),), device="h200-sxm")
    totals = report.to_dict()["totals"]
    for parts in ("seconds_by_bound", "seconds_by_source"):
        assert sum(totals[parts].values()) == pytest.approx(totals["seconds"])
    assert totals["seconds_by_source"]["fitted"] == totals["seconds"]
    assert totals["peak_seconds"] == pytest.approx(2 * 2048 * 4096 * 4096 / 989.4e12)
    assert 0 < totals["seconds_error"] < 0.15 * totals["seconds"] and totals["mfu"] is None
    assert totals["peak_seconds"] < totals["seconds"]


def test_same_totals_everywhere(run: Run, stack_file: Path) -> None:
    """File from the shell, file in Python, bytes in Python, text form in Python: one set of totals."""
    shell = json.loads(run(stack_file, "--format", "json").stdout)["totals"]
    from_file = fxcost.open(stack_file).to_dict()["totals"]
    from_bytes = Analysis(Program.from_bytes(stack_file.read_bytes()))
    text = Program.from_bytes(Program.open(stack_file).text().encode())
    assert shell == from_file == json.loads(from_bytes.render(format="json"))["totals"]
    assert shell == json.loads(Analysis(text).render(format="json"))["totals"]
    totals = from_bytes.totals()
    assert (totals.flops, totals.counts.macs, totals.params) == (shell["flops"], shell["macs"], shell["params"])


def test_nodes_sum_to_totals(stack_file: Path) -> None:
    analysis = Analysis(Program.open(stack_file))
    totals, nodes = analysis.totals(), list(analysis.nodes())
    assert sum(node.counts.macs * node.times for node in nodes) == totals.counts.macs
    assert sum((node.counts.matrix_flops + node.counts.vector_flops) * node.times for node in nodes) == totals.flops
    assert all(math.isnan(node.seconds) for node in nodes)


def test_options_drop_only_what_depends_on_them(stack_file: Path) -> None:
    analysis = Analysis(Program.open(stack_file))
    before = analysis.totals()
    analysis.set("device", "h100-sxm")
    timed = analysis.totals()
    analysis.set("device", "")
    after = analysis.totals()
    assert math.isnan(before.seconds) and timed.seconds > 0 and math.isnan(after.seconds)
    assert before.flops == timed.flops == after.flops


def test_dims_change_totals() -> None:
    """Elementwise work is linear in a dynamic batch: 4 FLOPs and 40 matrix FLOPs a row."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(5, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) + 1.0

    batch = torch.export.Dim("batch", min=2, max=64)
    captured = fxcost.capture(Net().eval(), (torch.randn(3, 5),), dynamic_shapes=({0: batch},))
    program = Program.from_bytes(captured.to_bytes())
    assert Analysis(program).totals().flops == 3 * 44
    for value in (2, 7, 64):
        analysis = Analysis(program)
        analysis.set("dim.batch", str(value))
        assert analysis.totals().flops == value * 44
    for value, words in (("65", "at most 64"), ("1", "at least 2"), ("many", "integer")):
        with pytest.raises(fxcost.FxcostError, match=words):
            Analysis(program).set("dim.batch", value)


def test_errors_carry_their_status(tmp_path: Path) -> None:
    with pytest.raises(fxcost.FxcostError) as caught:
        fxcost.open(tmp_path / "missing.fxir")
    assert caught.value.status == Status.IO.name
    with pytest.raises(fxcost.FxcostError) as caught:
        Program.from_bytes(b"FXIR?")
    assert caught.value.status == Status.FORMAT.name


def test_status_numbers_are_the_headers() -> None:
    """binding.Status repeats FXC_STATUS_LIST: compared with the header's text."""
    header = (ROOT / "include" / "fxcost" / "fxcost.h").read_text()
    for status in Status:
        assert f"X({status.name}, {status.value}," in header
    assert header.count("    X(") >= len(Status)


def test_columns_are_the_formats() -> None:
    """columns.py repeats names and types of ir/columns.def: compared line by line."""
    types = {"uint8_t": "u1", "uint16_t": "u2", "uint32_t": "u4", "int64_t": "i8"}
    columns, optional = {}, set()
    for line in (ROOT / "ir" / "columns.def").read_text().splitlines():
        if line.startswith("COLUMN("):
            _, kind, name, need, *_ = [part.strip() for part in line[7:-1].split(",")]
            columns[name] = types[kind]
            if need == "OPTIONAL":
                optional.add(name)
    assert {name: dtype.str[1:] for name, dtype in COLUMNS.items()} == columns
    assert optional == OPTIONAL


def test_enumerations_come_from_the_library() -> None:
    assert enumeration("dtype")["float32"] == 0
    with pytest.raises(KeyError):
        enumeration("planet")


def test_newer_minor_versions_read_as_far_as_known(toy_file: Path) -> None:
    """Unknown enumerators of a newer minor version read as opaque; the same values in a 1.0 file are damage."""
    columns = {name: array.copy() for name, array in Fxir(toy_file.read_bytes()).column.items()}
    columns["capture_kind"][0], columns["capture_payload"][0] = 200, 10**9
    columns["op_origin"][1] = 99
    columns["meta_dtype"][-1] = 120
    newer = Program.from_bytes(serialize(columns, (1, 7)))
    assert newer.info().format_minor == 7
    assert Program.from_bytes(newer.text().encode()).text() == newer.text()
    assert Analysis(newer).totals().nodes == 2
    for version, words in (((1, 0), "damaged"), ((2, 0), "update fxcost")):
        with pytest.raises(fxcost.FxcostError, match=words):
            Program.from_bytes(serialize(columns, version))


# ---- grouped rows, LaTeX --------------------------------------------------------------------------------------------


def test_rows_by_operator_and_shapes(stack_file: Path, run: Run) -> None:
    whole = json.loads(run(stack_file, "--by", "op_shape", "--format", "json").stdout)
    nodes = json.loads(run(stack_file, "--by", "node", "--format", "json").stdout)["rows"]
    rows = whole["rows"]
    assert len({(row["name"], row["shapes"]) for row in rows}) == len(rows)
    for quantity in ("flops", "macs", "bytes_read", "calls"):
        for name in {row["name"] for row in rows}:
            expected = sum(node[quantity] for node in nodes if node["op"] == name)
            assert sum(row[quantity] for row in rows if row["name"] == name) == expected
    assert any("×" in row["shapes"] and row["shapes"].startswith("f32 ") for row in rows)
    assert "shapes" in run(stack_file, "--by", "op_shape").stdout


def test_rows_by_module_and_operator(stack_file: Path, run: Run) -> None:
    rows = json.loads(run(stack_file, "--by", "module_op", "--format", "json").stdout)["rows"]
    modules = json.loads(run(stack_file, "--format", "json").stdout)["rows"]
    for module in modules:
        own = [row for row in rows if row["name"] == module["name"]]
        assert sum(row["flops"] for row in own) == module["flops"], module["name"]
        assert sum(row["bytes_written"] for row in own) == module["bytes_written"]
    assert [row["name"] for row in rows][0] == ""
    shallow = json.loads(run(stack_file, "--by", "module_op", "--depth", "1", "--format", "json").stdout)["rows"]
    assert {row["name"] for row in shallow} == {row["name"] for row in rows if row["depth"] <= 1}


def test_latex_is_a_table_that_compiles_by_its_own_rules(stack_file: Path, run: Run) -> None:
    text = run(stack_file, "--format", "latex", "--by", "module_op").stdout
    lines = text.splitlines()
    body = lines[lines.index("\\toprule") + 1 : lines.index("\\bottomrule")]
    rows = [line for line in body if line != "\\midrule"]
    assert "\\begin{tabular}{llrrrrr}" in lines
    assert all(line.count("&") == 6 and line.endswith("\\\\") for line in rows)
    assert all("_" not in line.replace("\\_", "") for line in rows)


def test_devices_in_the_head(stack_file: Path, run: Run) -> None:
    """What is counted is one device's; a copy of the model is as much on each of its devices."""
    totals = fxcost.open(stack_file).to_dict()["totals"]
    shown = run(stack_file, "--world-size", "8", "--model-parallel", "2", "--raw").stdout
    whole = f"the whole model {2 * totals['flops']} FLOPs, {2 * totals['params']} parameters"
    assert f"world size 8, data parallel 4, model parallel 2; {whole}" in shown
    assert "world size 4, data parallel 4, model parallel 1\n" in run(stack_file, "--world-size", "4").stdout
    assert "no multiple of model parallel 3" in run(stack_file, "--world-size", "8", "--model-parallel", "3").stdout
    assert "devices" not in run(stack_file).stdout.splitlines()[4]
    assert run(stack_file, "--world-size", "0").returncode == 2
