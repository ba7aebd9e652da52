"""torchinfo's summary with the import changed: the text, and every layer's columns, against torchinfo itself, live."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fxcost.compat.torchinfo import summary
from fxcost.errors import FxcostError

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("FXC_PEERS", ROOT / "build" / "peers")) / "common" / "bin" / "python"
COLUMNS = ("kernel_size", "input_size", "output_size", "num_params", "params_percent", "mult_adds", "trainable")


class Blocks(nn.Module):
    """Containers that are not called, a layer that is called twice, one that is frozen, one that nobody calls."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(8, 8, 1), nn.GELU()) for _ in range(2))
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.unused = nn.Linear(4, 4)
        self.head = nn.Linear(8, 5)
        self.head.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in (*self.blocks, self.blocks[0]):
            x = block(x) * self.scale
        return self.head(x.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm, self.out = nn.Embedding(20, 8), nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.lstm(self.embed(ids))[0][:, -1])


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False)


CASES: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "blocks": (Blocks, {"input_size": (2, 3, 8, 8)}),
    "blocks, all columns": (Blocks, {"input_size": (2, 3, 8, 8), "col_names": COLUMNS}),
    "blocks, one level": (Blocks, {"input_size": (2, 3, 8, 8), "col_names": COLUMNS, "depth": 1}),
    "blocks, names": (Blocks, {"input_size": (1, 3, 8, 8), "row_settings": ("var_names", "depth", "ascii_only")}),
    "blocks, not run": (Blocks, {}),
    "recurrent": (Recurrent, {"input_size": (4, 7), "dtypes": [torch.int64], "col_names": COLUMNS}),
    "encoder": (encoder, {"input_size": (2, 5, 16), "col_names": COLUMNS, "col_width": 20, "mode": "train"}),
}
ASK = """
import sys
sys.path.insert(0, {tests!r})
import torch, torchinfo
from test_compat_torchinfo import CASES
torch.set_num_threads(1)
for name in CASES:
    make, options = CASES[name]
    found = torchinfo.summary(make(), verbose=0, **options)
    print(f"#### {{name}}")
    print(found)
"""


@pytest.fixture(scope="module")
def theirs() -> dict[str, str]:
    """What torchinfo itself prints."""
    if not PYTHON.exists():
        pytest.skip(f"no environment of peers at {PYTHON}: tests/peers/setup.sh makes it")
    code = ASK.format(tests=str(Path(__file__).parent))
    answer = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    # An enumerator of torchinfo's, which Python prints by name from 3.11 on.
    parts = answer.stdout.replace("(Units.MEGABYTES)", "(M)").split("#### ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].rstrip("\n") for part in parts}


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_torchinfos(name: str, theirs: dict[str, str]) -> None:
    make, options = CASES[name]
    assert str(summary(make(), verbose=0, **options)) == theirs[name]


def test_numbers_of_the_documented_example(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: a convolution's parameters times the places of its result, a linear layer's times the batch."""
    found = summary(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10)), input_size=(16, 1, 8, 8))
    assert "Total mult-adds" in capsys.readouterr().out
    assert found.total_params == 40 + 1450
    assert found.total_mult_adds == 40 * 16 * 36 + 1450 * 16
    assert [layer.macs for layer in found.summary_list] == [0, 40 * 16 * 36, 0, 1450 * 16]


def test_other_settings_are_refused() -> None:
    with pytest.raises(FxcostError, match="summary"):
        summary(nn.Linear(2, 2), col_names=("colour",))
    with pytest.raises(FxcostError, match="verbose"):
        summary(nn.Linear(2, 2), verbose=2)
