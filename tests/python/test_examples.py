"""The examples of recording run and count what torch's FlopCounterMode counts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["count_block", "generation"])
def test_the_whole_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = load(name)
    with sdpa_kernel(SDPBackend.MATH):
        report = example.main()
        with FlopCounterMode(display=False) as counter:
            example.main()
    assert report.matrix_flops == counter.get_total_flops() > 0
    assert "executed path" in capsys.readouterr().out


def test_one_step_of_a_training_loop(capsys: pytest.CaptureFixture[str]) -> None:
    report = load("profile_step").main()
    forward = 2 * 16 * (32 * 64 + 64 * 4)
    assert report.matrix_flops == 3 * forward - 2 * 16 * 32 * 64  # the first layer's input needs no gradient
    shown = capsys.readouterr().out
    assert shown.count("step 5: ") == 1
    assert "step 4" not in shown


def test_no_recording_is_left_running() -> None:
    assert torch._C._len_torch_dispatch_stack() == 0


def test_tensor_parallel_layer(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("tensor_parallel")
    whole, one = example.main()
    assert whole.matrix_flops == 2 * 2 * 4 * 128 * 512 * 2048 == example.DEVICES * one.matrix_flops
    assert f"_c10d_functional.all_reduce.default: {4 * 128 * 512 * 4:,} B" in capsys.readouterr().out
