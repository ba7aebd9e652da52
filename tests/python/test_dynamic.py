"""--dynamic: dimensions that may vary, named on the command line. The oracle is a static capture at each size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Run

import fxcost
from fxcost.binding import Program, Status
from fxcost.models import load
from fxcost.options import Options

MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 8, 3, stride=2), nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 4)

    def forward(self, image, scale):
        return self.fc(self.pool(self.conv(image)).flatten(1)) * scale

def model(batch=2, image=32):
    return Net(), (torch.randn(batch, 3, image, image), torch.randn(4))

class Fixed(nn.Module):
    def forward(self, x):
        return x.view(2, -1) if x.shape[0] == 6 else x

def fixed():
    return Fixed(), (torch.randn(6, 4),)
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dynamic") / "net.py"
    path.write_text(MODEL)
    return path


def _fxcost(run: Run, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run(*arguments, FXCOST_PYTHON=sys.executable)


def test_one_capture_answers_for_other_sizes(model_file: Path) -> None:
    options = Options(dynamic=["image.0=batch,image.2=height", "image.3=width:16..512"])
    dynamic = load(str(model_file), options).capture()
    program = Program.from_bytes(dynamic.to_bytes())
    for batch, height, width in ((1, 32, 64), (3, 200, 16), (5, 47, 51)):
        net = load(str(model_file)).module
        with torch.no_grad():
            static = fxcost.analyze(net, (torch.randn(batch, 3, height, width), torch.randn(4)))
        assert fxcost.Report(program, dims={"batch": batch, "height": height, "width": width}).flops == static.flops


def test_bounds_are_those_of_the_model(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bert.fxir"
    settings = "--set num_hidden_layers=1 --set hidden_size=64 --set num_attention_heads=2 --set intermediate_size=64"
    made = _fxcost(run, "capture", "hf:bert", "-o", path, "--dynamic", "batch,seq", *settings.split())
    assert made.returncode == Status.OK, made.stderr
    assert run(path, "--dim", "batch=1", "--dim", "seq=512").returncode == Status.OK
    refused = run(path, "--dim", "seq=513")
    assert refused.returncode == Status.USAGE
    assert "at most 512" in refused.stderr, "BertConfig has 512 positions"
    assert "sizes       batch=1, seq=77" in run(path, "--dim", "batch=1", "--dim", "seq=77").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dynamic", "height"], ["neither batch, seq, image", "--dynamic x.0=batch"]),
        (["--dynamic", "seq"], ["no input has such a dimension", "image, scale"]),
        (["--dynamic", "picture.0=batch"], ["no such input or dimension", "image [2, 3, 32, 32]"]),
        (["--dynamic", "image.4=batch"], ["no such input or dimension"]),
        (["--batch", "1", "--dynamic", "image.0=batch"], ["dimension 0 of image is 1", "--dim batch=1"]),
    ],
)
def test_what_cannot_vary_is_refused(run: Run, model_file: Path, arguments: list[str], words: list[str]) -> None:
    answer = _fxcost(run, model_file, *arguments)
    assert answer.returncode == Status.USAGE, answer.stderr
    assert all(word in answer.stderr for word in words), answer.stderr
    assert len(answer.stderr.splitlines()) <= 5


def test_a_dimension_that_the_model_fixes_is_named(run: Run, model_file: Path) -> None:
    answer = _fxcost(run, f"{model_file}:fixed", "--dynamic", "x.0=batch")
    assert answer.returncode == Status.CAPTURE, answer.stderr
    assert "fixes batch at 6 (dimension 0 of x)" in answer.stderr
