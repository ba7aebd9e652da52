"""Annotated traces: live ones of torch.profiler, and files that are none."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost import FxcostError
from fxcost.annotating import annotate
from fxcost.binding import Program

STEPS = 3


class Net(nn.Module):
    """Two convolutions of the same input sizes that do not cost the same, and one layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.head, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.fine(x).mean((2, 3)), self.coarse(x).mean((2, 3))])
        return self.norm(self.head(self.head(both).relu()))


def trace(model: nn.Module, x: torch.Tensor, path: Path, steps: int = STEPS, shapes: bool = True) -> Path:
    model(x)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=shapes) as found:
        for _ in range(steps):
            model(x)
    found.export_chrome_trace(str(path))
    return path


@pytest.fixture(scope="module")
def net() -> tuple[nn.Module, torch.Tensor, Program]:
    model, x = Net().eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        return model, x, Program.from_bytes(fxcost.capture(model, (x,)).to_bytes())


def notes(found: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(event, event["args"]["fxcost"]) for event in found["traceEvents"] if "fxcost" in event.get("args", {})]


@torch.no_grad()
def test_a_live_profile(net: tuple[nn.Module, torch.Tensor, Program], tmp_path: Path) -> None:
    model, x, program = net
    found = annotate(trace(model, x, tmp_path / "trace.json"), program, device="h100-sxm")
    assert found.share == 1 and found.share_of_time == pytest.approx(1) and not found.unmatched
    assert found.nodes_seen == found.nodes
    with FlopCounterMode(display=False) as counter:
        model(x)
    matrix = [note["flops"] for event, note in notes(found.trace) if event["name"] in ("aten::conv2d", "aten::linear")]
    assert sum(matrix) == STEPS * counter.get_total_flops()
    convolutions = [note for event, note in notes(found.trace) if event["name"] == "aten::conv2d"]
    assert [note["module"] for note in convolutions] == STEPS * ["fine", "coarse"]
    assert [note["flops"] for note in convolutions][:2] == [2 * 2 * 8 * 27 * 256, 2 * 2 * 8 * 27 * 64]
    for event, note in notes(found.trace):
        assert note["gflops_per_second"] == pytest.approx(note["flops"] / event["dur"] / 1e3)
        assert note["bound"] in ("compute", "memory", "overhead", "unknown") and note["predicted_us"] >= 0


@torch.no_grad()
def test_what_the_program_does_not_have(net: tuple[nn.Module, torch.Tensor, Program], tmp_path: Path) -> None:
    model, x, program = net

    class More(nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(model(given.sqrt())).real

    found = annotate(trace(More(), x.abs(), tmp_path / "trace.json"), program)
    assert set(found.unmatched) >= {"aten::sqrt"} and any("fft" in name for name in found.unmatched)
    assert found.nodes_seen == found.nodes and found.share < 1 and found.share_of_time < 1
    assert "not matched: " in str(found)


@torch.no_grad()
def test_other_sizes_do_not_match(net: tuple[nn.Module, torch.Tensor, Program], tmp_path: Path) -> None:
    model, x, program = net
    found = annotate(trace(model, torch.cat([x, x]), tmp_path / "trace.json"), program)
    assert "aten::conv2d" not in found.operators and "aten::linear" not in found.operators
    wide = annotate(trace(Net().double().eval(), x.double(), tmp_path / "wide.json"), program)
    assert "aten::conv2d" not in wide.operators


@torch.no_grad()
def test_a_cut_off_run_is_not_guessed(net: tuple[nn.Module, torch.Tensor, Program], tmp_path: Path) -> None:
    """Of five convolutions of two kinds, which was which cannot be told; layers that cost the same can."""
    model, x, program = net
    path = trace(model, x, tmp_path / "trace.json")
    data = json.loads(path.read_text())
    first = next(event for event in data["traceEvents"] if event["name"] == "aten::conv2d")
    end = first["ts"] + first["dur"]
    data["traceEvents"] = [event for event in data["traceEvents"] if not first["ts"] <= event.get("ts", 0) < end]
    path.write_text(json.dumps(data))
    found = annotate(path, program)
    assert "aten::conv2d" not in found.operators and found.operators["aten::linear"]["events"] == 2 * STEPS
    assert any("conv" in name for name in found.unmatched)


@torch.no_grad()
def test_without_shapes_the_order_decides(net: tuple[nn.Module, torch.Tensor, Program], tmp_path: Path) -> None:
    model, x, program = net
    found = annotate(trace(model, x, tmp_path / "trace.json", shapes=False), program)
    convolutions = [note["module"] for event, note in notes(found.trace) if event["name"] == "aten::conv2d"]
    assert convolutions == STEPS * ["fine", "coarse"] and found.share == 1


def test_kernels_of_a_device(net: tuple[nn.Module, torch.Tensor, Program], tmp_path: Path) -> None:
    """Rates are those of what the operator started on the device, found by its External id, children included."""
    common = {"ph": "X", "pid": 1, "tid": 1}
    dims = {"Input Dims": [[4, 8], [8, 8], [8]], "Input type": ["float", "float", "float"], "External id": 1}
    events = [
        {**common, "cat": "cpu_op", "name": "aten::linear", "ts": 0, "dur": 30, "args": dims},
        {**common, "cat": "cpu_op", "name": "aten::addmm", "ts": 1, "dur": 20, "args": {"External id": 2}},
        {**common, "cat": "kernel", "name": "sgemm", "ts": 90, "dur": 5, "tid": 7, "args": {"External id": 2}},
    ]
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": events}).encode()))
    found = annotate(path, net[2])
    ((_, note),) = notes(found.trace)
    assert note["device_us"] == 5 and note["gflops_per_second"] == pytest.approx(2 * 4 * 8 * 8 / 5e3)
    found.save(tmp_path / "out.json.gz")
    assert json.loads(gzip.decompress((tmp_path / "out.json.gz").read_bytes())) == found.trace


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[1, 2]", "without a list of traceEvents"),
        ('{"traceEvents": {}}', "without a list of traceEvents"),
        ('{"traceEvents": []}', "none of the category cpu_op"),
        ('{"traceEvents": [1, null, {"cat": "kernel", "ph": "X"}]}', "none of the category cpu_op"),
        ('{"traceEvents": [{"cat": "cpu_op", "ph": "X", "name": "aten::mm", "ts": 1}]}', "aten::mm"),
        ('{"traceEvents": [{"cat": "cpu_op", "ph": "X", "name": "aten::mm", "ts": 1, "dur": -1}]}', "aten::mm"),
        (
            '{"traceEvents": [{"cat": "cpu_op", "ph": "X", "name": "aten::mm", "ts": 1, "dur": 1, "args": 2}]}',
            "aten::mm",
        ),
    ],
)
def test_bad_files(text: str, reason: str, net: tuple[nn.Module, torch.Tensor, Program], tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(FxcostError, match="expected: ") as refused:
        annotate(path, net[2])
    assert reason in str(refused.value) and refused.value.status == "PROGRAM"
    with pytest.raises(FxcostError, match="No such file"):
        annotate(tmp_path / "missing.json", net[2])


@torch.no_grad()
def test_command(run: Run, tmp_path: Path, toy_file: Path) -> None:
    from toy import Toy

    path, out = trace(Toy().eval(), torch.randn(1, 5), tmp_path / "trace.json"), tmp_path / "out.json"
    answer = run("annotate", toy_file, path, "-o", out, "--device", "h100-sxm", FXCOST_PYTHON=sys.executable)
    assert answer.returncode == 0, answer.stderr
    assert "(100.0 %)" in answer.stdout and "aten::linear" in answer.stdout
    assert [note["flops"] for _, note in notes(json.loads(out.read_text()))] == STEPS * [40, 4]
    same = run("annotate", toy_file, path, "-o", path, FXCOST_PYTHON=sys.executable)
    assert same.returncode == 2 and "another file than the trace" in same.stderr
    bad = run("annotate", toy_file, toy_file, FXCOST_PYTHON=sys.executable)
    assert bad.returncode != 0 and "no JSON" in bad.stderr
    alone = run("annotate", toy_file)
    assert alone.returncode == 2 and "a trace of torch.profiler" in alone.stderr
