"""A meter in real training loops, on a CPU."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from training_models import MODELS

import fxcost


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 8))


PRODUCTS = 2 * (2 * 64 * 256 + 3 * 256 * 8)  # a sample: two products of the first layer, three of the second


def test_three_lines_in_a_loop() -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    meter = fxcost.StepMeter(model, peak_flops=1e12)
    lines: list[str] = []
    seen = []
    for size in (4, 4, 6, 4):
        batch = torch.randn(size, 64)
        with meter.step(batch):
            model(batch).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        meter.log(lines.append)
        seen.append(meter.last)
    assert [step.counted for step in seen] == [True, False, True, False]
    assert [step.work.model_flops for step in seen] == [size * PRODUCTS for size in (4, 4, 6, 4)]
    assert seen[0].work is seen[1].work is seen[3].work
    step = seen[1]
    assert step.samples == 4 and step.tokens == 0 and step.optimized
    assert math.isclose(step.flops_per_second * step.seconds, step.flops)
    assert math.isclose(step.mfu * step.seconds * 1e12, step.work.model_flops)
    assert step.hfu == step.mfu
    assert math.isclose(step.samples_per_second * step.seconds, 4)
    assert lines[1].startswith("step 2, ") and "MFU" in lines[1] and "slower" in lines[0] and "slower" not in lines[1]


def test_model_flops_equal_flop_counter() -> None:
    model, inputs = MODELS["gpt2"]()
    meter = fxcost.StepMeter(model.train())
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            model(**inputs).loss.backward()
        with meter.step(**inputs):
            model(**inputs).loss.backward()
    assert meter.last is not None
    assert meter.last.work.model_flops == counter.get_total_flops()
    assert (meter.last.samples, meter.last.tokens) == (2, 32)
    assert meter.last.mfu is None and "MFU" not in str(meter)
    assert meter.last.work.unknown == {}


def test_gradient_accumulation_and_autocast() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, foreach=False)
    meter = fxcost.StepMeter(model)
    batch = torch.randn(4, 64)
    steps = []
    for turn in range(6):
        with meter.step(batch):
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(batch).sum()
            loss.backward()
            if turn % 2 == 1:
                optimizer.step()
                optimizer.zero_grad()
        steps.append(meter.last)
    assert [step.optimized for step in steps] == [False, True] * 3
    assert {step.work.precision for step in steps} == {"bf16"}
    assert sum(step.counted for step in steps) == 1


def test_checkpoints_count_for_hfu_alone() -> None:
    from torch.utils.checkpoint import checkpoint

    model, batch = net(), torch.randn(4, 64)
    meter = fxcost.StepMeter(model, peak_flops=1e12)
    with meter.step(batch):
        checkpoint(model, batch, use_reentrant=False).sum().backward()
    step = meter.last
    assert step.work.model_flops == 4 * PRODUCTS
    assert step.work.again_flops == 4 * 2 * 64 * 256  # the last product is not needed again
    assert step.hfu > step.mfu


def test_overhead_is_at_most_one_percent() -> None:
    model = nn.Sequential(*[nn.Linear(512, 512) for _ in range(6)])
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    batch = torch.randn(256, 512)
    meter = fxcost.StepMeter(model, device="a100-sxm-80gb")
    begun = 0.0
    for turn in range(40):
        if turn == 1:
            begun = time.perf_counter()
        with meter.step(batch):
            model(batch).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert meter.overhead_seconds < 0.01 * (time.perf_counter() - begun)
    assert meter.last.mfu is not None and meter.last.mfu > 0


def test_a_block_that_fails_leaves_nothing_behind() -> None:
    model, batch = net(), torch.randn(4, 64)
    meter = fxcost.StepMeter(model)
    with pytest.raises(ZeroDivisionError), meter.step(batch):
        raise ZeroDivisionError
    assert meter.last is None
    with meter.step(batch):
        model(batch).sum().backward()
    assert meter.last.number == 1 and meter.last.work.model_flops == 4 * PRODUCTS


def test_unknown_device() -> None:
    with pytest.raises(fxcost.FxcostError, match="fxcost devices"):
        fxcost.StepMeter(net(), device="abacus")


def test_wrapped_models_and_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of all processes, and one line from the first of them."""
    model: Any = net()
    meter = fxcost.StepMeter(nn.DataParallel(model))
    assert meter.model is model
    batch = torch.randn(4, 64)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 8)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 3)
    with meter.step(batch):
        model(batch).sum().backward()
    assert math.isclose(meter.last.samples_per_second * meter.last.seconds, 32)
    lines: list[str] = []
    meter.log(lines.append)
    assert lines == []
