"""``fxcost check`` and ``--compare``: agreement with torch's own counter, and several tools side by side."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from conftest import Run
from torch import nn

from fxcost.binding import Status
from fxcost.check import check, table, torch_counts
from fxcost.conventions import ToolCount
from fxcost.models import Model

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

from programs import LeNet  # noqa: E402

MODEL = """
import torch
from torch import nn

def model():
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)), (torch.randn(3, 8),)
"""


def test_check_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    """The products of LeNet, and attention where FlopCounterMode on a CPU would see none."""
    model = Model("LeNet", LeNet().eval(), (torch.randn(1, 1, 32, 32),))
    assert check(model, model.capture()) == Status.OK
    printed = capsys.readouterr().out
    assert "549,312" in printed
    assert "equal to the digit" in printed
    attention = Model(
        "attention", nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval(), (torch.randn(2, 5, 16),)
    )
    assert check(attention, attention.capture()) == Status.OK
    assert torch_counts(attention, False)["bmm"] == 2 * 2 * (2 * 4 * 5 * 5 * 4)


def test_check_names_what_torch_does_not_see(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model("LSTM", nn.LSTM(16, 12).eval(), (torch.randn(5, 2, 16),))
    assert check(model, model.capture()) == Status.OK
    assert "aten.lstm.input" in capsys.readouterr().out


def test_a_difference_is_shown() -> None:
    text, equal = table(ToolCount("flop_counter-complete", 10, 0, {"mm": (10, 0)}), {"mm": 8, "bmm": 1})
    assert not equal
    assert "differs by +2" in text
    assert "differs by -1" in text


def test_check_command(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(MODEL)
    answer = run("check", path, FXCOST_PYTHON=sys.executable)
    assert answer.returncode == 0, answer.stderr
    assert "480" in answer.stdout  # 2 * 3 * (8 * 8 + 8 * 2)
    assert "equal to the digit" in answer.stdout


def test_compare(run: Run, toy_file: Path) -> None:
    """The toy of the README: only torch_flops sees the addition in place."""
    answer = run(toy_file, "--compare", "fvcore,flop_counter,torch_flops,ptflops")
    assert answer.returncode == 0, answer.stderr
    rows = {line.split()[0]: line.split()[1:] for line in answer.stdout.splitlines() if line.startswith("aten.")}
    assert rows["aten.linear.default"] == ["40", "20", "40", "40", "24"]
    assert rows["aten.add_.Tensor"] == ["4", "-", "-", "4", "-"]
    assert "fvcore: 20 MACs by operators of torch.jit.trace" in answer.stdout
    assert "leaves out 4 FLOPs: aten.add_.Tensor" in answer.stdout
    refused = run(toy_file, "--compare", "fvcore,nothing")
    assert refused.returncode == 2
    assert "fxcost conventions" in refused.stderr
