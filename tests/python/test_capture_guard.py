"""Capture leaves the model and the process as they were, and fails in at most five lines."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fxcost


class Restless(nn.Module):
    """Changes everything that a forward pass can change."""

    def __init__(self, fail: bool) -> None:
        super().__init__()
        self.linear, self.drop, self.norm = nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4)
        self.linear.weight.grad = torch.ones(4, 4)
        self.calls, self.fail = 0, fail
        self.settings = {"first": 1}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.settings["second"] = 2
        self.drop.train()
        self.linear.bias.requires_grad_(False)
        self.linear.register_forward_hook(lambda *_: None)
        random.random()
        np.random.rand()
        torch.rand(1)
        warnings.warn("noise from the model", stacklevel=1)
        logging.getLogger("torch.export").error("noise from torch")
        if self.fail:
            raise ValueError("not today")
        return self.norm(self.drop(self.linear(x)))


def state(model: Restless) -> dict[str, Any]:
    return {
        "training": [module.training for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "counters": (model.calls, dict(model.settings)),
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "parameters": [(id(p), p.requires_grad, id(p.grad), p.detach().clone().tolist()) for p in model.parameters()],
        "buffers": [(id(b), b.tolist(), str(b.device)) for b in model.buffers()],
        "random": (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()),
        "grad": torch.is_grad_enabled(),
        "hooks of all modules": len(nn.modules.module._global_forward_hooks),
        "tracer": torch.fx.experimental.proxy_tensor._ModuleStackTracer.call_module,
        "checkpoint": torch.utils.checkpoint._checkpoint_without_reentrant_generator,
        "loggers": [(list(logging.getLogger(n).handlers), logging.getLogger(n).propagate) for n in ("torch",)],
    }


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_model_and_process_are_as_before(fail: bool, grad: bool, capfd: pytest.CaptureFixture[str]) -> None:
    model = Restless(fail).eval()
    model.norm.train()
    before = state(model)
    with torch.set_grad_enabled(grad):
        expectation = pytest.raises(fxcost.FxcostError) if fail else contextlib.nullcontext()
        with expectation, warnings.catch_warnings():
            warnings.simplefilter("error")
            fxcost.capture(model, torch.ones(3, 4))
    assert state(model) == before
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_second_capture_gives_the_same_bytes() -> None:
    model = Restless(False).eval()
    first, second = (fxcost.capture(model, torch.ones(3, 4)).to_bytes() for _ in range(2))
    assert first == second


# ---- failures -------------------------------------------------------------------------------------------------------


class Inner(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:  # a branch on a value
            return x
        return -x


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Identity(), Inner()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


@pytest.fixture()
def log_removed() -> Iterator[list[str]]:
    names: list[str] = []
    yield names
    for name in names:
        os.unlink(name)


def test_a_model_that_does_not_export(capfd: pytest.CaptureFixture[str], log_removed: list[str]) -> None:
    with pytest.raises(fxcost.FxcostError) as caught:
        fxcost.capture(Outer(), torch.ones(3))
    error = caught.value
    lines = str(error).splitlines()
    assert error.status == "CAPTURE"
    assert len(lines) == 5
    assert lines[0].startswith("Outer cannot be captured")
    line = next(i for i, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "a branch on a value" in text)
    assert "blocks.1 (Inner)" in lines[1]
    assert lines[1].endswith(f"{Path(__file__).name}:{line}")
    assert "data-dependent" in lines[2]
    assert "torch._check" in lines[3]
    assert error.log is not None
    log_removed.append(error.log)
    assert error.log in lines[4]
    assert "Traceback" in Path(error.log).read_text()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("args", "words"),
    [((torch.ones(3, 5),), "same reduction dim"), ((), "missing"), ((torch.ones(3, 4), 1, 2), "positional")],
)
def test_inputs_that_do_not_fit(args: tuple[Any, ...], words: str, log_removed: list[str]) -> None:
    with pytest.raises(fxcost.FxcostError) as caught:
        fxcost.capture(nn.Sequential(nn.Linear(4, 4)), args)
    assert caught.value.log is not None
    log_removed.append(caught.value.log)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 5


def test_what_is_no_model() -> None:
    with pytest.raises(fxcost.FxcostError, match="takes a torch.nn.Module") as caught:
        fxcost.capture(lambda x: x, torch.ones(1))
    assert caught.value.status == "USAGE"


def test_save_is_whole_or_not_at_all(tmp_path: Path) -> None:
    captured = fxcost.capture(nn.ReLU(), torch.ones(1))
    path = captured.save(tmp_path / "relu.fxir")
    assert path.read_bytes() == captured.to_bytes()
    with pytest.raises(fxcost.FxcostError, match="cannot be written") as caught:
        captured.save(tmp_path / "missing" / "relu.fxir")
    assert caught.value.status == "IO"
    (tmp_path / "folder").mkdir()
    with pytest.raises(fxcost.FxcostError, match="cannot be written"):
        captured.save(tmp_path / "folder")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "relu.fxir"]
