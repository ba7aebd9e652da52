"""--fits: yes or no, by how much, and the largest sizes, against closed forms of Llama 3 worked out in the test.

The models here have the widths of 8B and 70B and two layers; bench/checks/memory.py does the same with all of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from conftest import Run
from llama_memory import LLAMA_8B, LLAMA_70B, Llama, analysis_at, disagreements
from torch import nn

import fxcost
from fxcost.binding import Analysis, Program, Status

DEVICES = {"t4": 16e9, "a100-sxm-40gb": 40e9, "h100-sxm": 80e9, "mi300x": 192e9}


@pytest.mark.parametrize("whole", [LLAMA_8B, LLAMA_70B], ids=["8B", "70B"])
def test_llama_agrees_with_its_closed_form(whole: Llama) -> None:
    model = dataclasses.replace(whole, layers=2)
    assert disagreements(model, model.program(), DEVICES) == []


def test_closed_forms_are_those_of_the_published_models() -> None:
    """8.03 and 70.6 billion parameters; 128 and 320 KB of cache a token."""
    assert (LLAMA_8B.weights // 2, LLAMA_70B.weights // 2) == (8_030_261_248, 70_553_706_496)
    assert (LLAMA_8B.cache_token, LLAMA_70B.cache_token) == (131_072, 327_680)


class Square(nn.Module):
    """Needs n * n numbers, so that the largest n is a root."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, None] * x[None, :]).sum()


def square(tmp_path: Path, memory: float) -> Analysis:
    captured = fxcost.capture(Square(), (torch.zeros(8),), dynamic_shapes=({0: torch.export.Dim("n", max=100_000)},))
    path = tmp_path / "small.device"
    path.write_text(f"device = small\nmemory_bytes = {memory}\nmemory_bytes_per_second = 1e9\nmatrix_f32 = 1e9\n")
    return Analysis(Program.from_bytes(captured.to_bytes()), device=str(path))


@pytest.mark.parametrize("memory", [1e3, 1e5, 1e6, 12_345_678, 1e9])
def test_the_largest_size_is_the_last_that_fits(memory: float, tmp_path: Path) -> None:
    analysis = square(tmp_path, memory)
    largest = analysis.largest("n")
    for n, expected in ((largest, True), (largest + 1, False)):
        analysis.set("dim.n", str(n))
        assert analysis.fits().fits == expected
    assert largest == max(n for n in range(1, 20_000) if 4 * n * n + 4 * n + 4 <= memory)


def test_ends_of_the_range(tmp_path: Path) -> None:
    assert square(tmp_path, 1e18).largest("n") == 100_000
    assert square(tmp_path, 8).largest("n") == 0
    with pytest.raises(fxcost.FxcostError, match="dynamic dimension"):
        square(tmp_path, 1e6).largest("m")


def test_the_command(tmp_path: Path, run: Run) -> None:
    model = dataclasses.replace(LLAMA_8B, layers=2, vocabulary=1000)
    path = tmp_path / "model.txt"
    path.write_text(model.program().text())
    answer = run(path, "--fits", "h100-sxm", "--dim", "batch=1", "--dim", "seq=2048").stdout
    assert answer.startswith("fits        yes: ") and "80.00 GB on h100-sxm" in answer and "left" in answer
    assert "batch       at most" in answer and "seq         at most" in answer and "room for" in answer
    assert "no: " in run(path, "--fits", "t4", "--dim", "batch=512", "--dim", "seq=8192").stdout
    assert run(path, "--fits", "graviton4").returncode == Status.DEVICE
    assert run(path, "--fits", "abacus").returncode == Status.DEVICE
    roomy = analysis_at(Program.open(path), 1, 128, device="t4")
    exact = roomy.fits().needed
    roomy.set("allocator", "cuda")
    assert roomy.fits().needed == roomy.memory().reserved_bytes > exact


def test_a_static_capture_says_what_it_lacks(toy_file: Path, run: Run) -> None:
    assert "--dynamic" in run(toy_file, "--fits", "t4").stdout
