"""Recording: what runs becomes a program. Matrix FLOPs against torch's FlopCounterMode around the same block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import fxcost


def small_cnn() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1, stride=2),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 4, 3, groups=2),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 14 * 14, 10),
    )


def small_bert() -> torch.nn.Module:
    config = transformers.BertConfig(
        num_hidden_layers=2, hidden_size=64, num_attention_heads=4, intermediate_size=128, vocab_size=100
    )
    return transformers.BertModel(config)


IMAGE = {"input": torch.zeros(2, 3, 32, 32)}
TOKENS = {"input_ids": torch.zeros(2, 16, dtype=torch.int64)}
MODELS: dict[str, tuple[Callable[[], torch.nn.Module], dict[str, torch.Tensor]]] = {
    "cnn": (small_cnn, IMAGE),
    "bert": (small_bert, TOKENS),
}


def counted(action: Callable[[], Any]) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        action()
    return int(counter.get_total_flops())


def recorded(model: torch.nn.Module | None, action: Callable[[], Any]) -> fxcost.Recording:
    with sdpa_kernel(SDPBackend.MATH), fxcost.record(model) as recording:
        action()
    return recording


@pytest.mark.parametrize("grad", [False, True], ids=["no_grad", "grad"])
@pytest.mark.parametrize("name", MODELS)
def test_forward_equals_flop_counter(name: str, grad: bool) -> None:
    build, inputs = MODELS[name]
    model = build().eval()
    with torch.set_grad_enabled(grad):
        expected = counted(lambda: model(**inputs))
        report = recorded(model, lambda: model(**inputs)).report()
    assert report.matrix_flops == expected > 0
    assert report.unknown == {}
    assert report.params == sum(parameter.numel() for parameter in model.parameters())


def test_what_a_recording_gives(tmp_path: Any) -> None:
    model = small_cnn()
    with fxcost.record(model) as recording:
        model(IMAGE["input"])
    path = recording.save(tmp_path / "cnn.fxir")
    report = recording.report()
    assert fxcost.open(path).flops == report.flops == fxcost.Report(recording.program).flops
    assert recording.to_bytes() == recording.capture.to_bytes() == path.read_bytes()
    assert "executed path" in str(report)
    assert "input f32[2, 3, 32, 32]" in str(report)
    assert report.module("0").matrix_flops == 2 * (2 * 8 * 16 * 16) * 3 * 9  # outputs times kernel, by hand
    assert {row.module for row in report.nodes() if row.op == "aten.addmm.default"} == {"5"}


def test_nothing_is_recorded_yet() -> None:
    recording = fxcost.record(small_cnn())
    with pytest.raises(fxcost.FxcostError, match="nothing is recorded yet"):
        recording.report()
    with pytest.raises(fxcost.FxcostError, match="has not started"):
        recording.stop()


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_isin_is_its_definition(dtype: torch.dtype, invert: bool) -> None:
    """What generation asks of every token, against its definition written with other operators."""
    x, ends = torch.arange(12, dtype=dtype).reshape(3, 4), torch.tensor([2, 5, 7], dtype=dtype)
    with fxcost.record() as short:
        found = torch.isin(x, ends, invert=invert)
    with fxcost.record() as written:
        expected = (x[..., None] == ends).any(-1)
        expected = expected.logical_not() if invert else expected
    assert torch.equal(found, expected)
    one, two = short.report().to_dict()["totals"], written.report().to_dict()["totals"]
    assert (one["flops"], one["int_ops"]) == (two["flops"], two["int_ops"])
    assert one["flops"] + one["int_ops"] > 0
    assert short.report().unknown == {}
