"""Recording whole training steps: matrix FLOPs equal torch's FlopCounterMode around the same block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from fxir_reader import Fxir
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode
from training_models import MODELS, bert, llama

import fxcost
from fxcost.enums import bits


def both(model: torch.nn.Module, action: Callable[[], Any]) -> tuple[int, fxcost.Recording]:
    """FlopCounterMode's count of an action, and a recording of it, after one run to make the optimiser's state."""
    with sdpa_kernel(SDPBackend.MATH):
        action()
        with FlopCounterMode(display=False) as counter:
            action()
        with fxcost.record(model) as recording:
            action()
    return int(counter.get_total_flops()), recording


def phases(recording: fxcost.Recording) -> dict[str, int]:
    """Matrix FLOPs by the flags that nodes carry in the file."""
    sums = {"forward": 0, "backward": 0, "optimizer": 0, "recomputed": 0}
    flag = bits("node_flag")
    flags = Fxir(recording.to_bytes()).node_flags
    for row, mask in zip(recording.report().nodes(), flags, strict=True):
        sums[next((name for name in sums if mask & flag.get(name, 0)), "forward")] += row.matrix_flops
    return sums


@pytest.mark.parametrize("name", MODELS)
def test_training_step(name: str) -> None:
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        model(**inputs).loss.backward()
        optimizer.step()

    expected, recording = both(model, step)
    report = recording.report()
    assert report.matrix_flops == expected > 0
    assert report.unknown == {}
    sums = phases(recording)
    assert sums["backward"] > sums["forward"] > 0
    assert sums["optimizer"] == sums["recomputed"] == 0
    inside = sum(row.matrix_flops for row in report.nodes() if row.module)
    assert inside == expected  # every product is some module's, also those of the backward pass


def test_gradient_accumulation() -> None:
    model, inputs = bert()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        for _ in range(3):
            (model(**inputs).loss / 3).backward()
        optimizer.step()

    expected, recording = both(model, step)
    assert recording.report().matrix_flops == expected > 0


@pytest.mark.parametrize("early_stop", [True, False])
def test_checkpointing(early_stop: bool) -> None:
    model, inputs = llama()
    model.train()
    model.gradient_checkpointing_enable({"use_reentrant": False})

    def step() -> None:
        with set_checkpoint_early_stop(early_stop):
            model(**inputs).loss.backward()

    expected, recording = both(model, step)
    assert recording.report().matrix_flops == expected > 0
    sums = phases(recording)
    plain, plain_inputs = llama()
    assert 0 < sums["recomputed"] <= sums["forward"]
    _, without = both(plain.train(), lambda: plain(**plain_inputs).loss.backward())
    assert {**sums, "recomputed": 0} == phases(without)


def test_reentrant_checkpoint_of_a_function() -> None:
    weight = torch.randn(8, 8, requires_grad=True)
    x = torch.randn(4, 8, requires_grad=True)

    def step() -> None:
        checkpoint(lambda x: (x @ weight).relu() @ weight, x, use_reentrant=True).sum().backward()

    with FlopCounterMode(display=False) as counter:
        step()
    with fxcost.record() as recording:
        step()
    product = 2 * 4 * 8 * 8
    assert phases(recording) == {
        "forward": 2 * product,
        "backward": 4 * product,
        "optimizer": 0,
        "recomputed": 2 * product,
    }
    assert recording.report().matrix_flops == counter.get_total_flops()


@pytest.mark.parametrize("name", ["bert", "resnet", "llama"])
def test_autocast(name: str) -> None:
    model, inputs = MODELS[name]()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**inputs).loss
        loss.backward()
        optimizer.step()

    expected, recording = both(model, step)
    assert recording.report().matrix_flops == expected > 0
    assert "bf16" in recording.program.text()


def test_frozen_layers() -> None:
    model, inputs = bert()
    model.train()
    for parameter in model.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    for parameter in model.bert.encoder.layer[0].parameters():
        parameter.requires_grad_(False)
    expected, recording = both(model, lambda: model(**inputs).loss.backward())
    assert recording.report().matrix_flops == expected > 0
    sums = phases(recording)
    assert sums["backward"] < 2 * sums["forward"]


def test_double_backward_is_backward() -> None:
    weight = torch.randn(4, 4, requires_grad=True)  # no module: FlopCounterMode's tracker of modules fails here
    x = torch.randn(3, 4, requires_grad=True)

    def penalty() -> None:
        (gradient,) = torch.autograd.grad((x @ weight).tanh().sum(), x, create_graph=True)
        gradient.square().sum().backward()

    with FlopCounterMode(display=False) as counter:
        penalty()
    with fxcost.record() as recording:
        penalty()
    assert recording.report().matrix_flops == counter.get_total_flops()
    assert phases(recording)["recomputed"] == 0


def test_depthwise_backward_differs_from_flop_counter_by_name() -> None:
    """FlopCounterMode counts the gradient of a grouped convolution's weight as if there were no groups."""
    conv = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
    x = torch.randn(2, 8, 6, 6, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        conv(x).sum().backward()
    with fxcost.record(conv) as recording:
        conv(x).sum().backward()
    forward = 2 * (2 * 8 * 6 * 6) * 9
    assert recording.report().matrix_flops == 3 * forward
    assert counter.get_total_flops() == 2 * forward + 8 * forward


def test_the_block_may_fail() -> None:
    model, inputs = bert()
    with contextlib.suppress(ZeroDivisionError), fxcost.record(model) as recording:
        model(**inputs)
        raise ZeroDivisionError
    assert recording.report().matrix_flops > 0
    assert torch.nn.Module.__call__.__qualname__ == "Module._wrapped_call_impl"
