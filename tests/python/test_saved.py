"""Bytes kept for the backward pass equal what torch.autograd.graph.saved_tensors_hooks sees on a CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from training_models import MODELS, llama

import fxcost

_RATES = ("dropout", "attention_dropout", "activation_dropout", "dropout_prob", "attn_dropout", "layerdrop")


def without_dropout(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in _RATES:
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def hooked(model: nn.Module, inputs: dict[str, Any], scalar: Any) -> tuple[int, int, int]:
    """Bytes of distinct storages that autograd saves: of activations, buffers and inputs; parameters are left out."""

    def storages(tensors: Any) -> set[int]:
        return {tensor.untyped_storage().data_ptr() for tensor in tensors}

    parameters, buffers = storages(model.parameters()), storages(model.buffers())
    given = storages(value for value in inputs.values() if isinstance(value, torch.Tensor))
    seen: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = scalar(model(**inputs))  # noqa: F841  its graph lives until all is counted
    kept = {key: size for key, size in seen.items() if key not in parameters}
    of_buffers = sum(size for key, size in kept.items() if key in buffers)
    of_inputs = sum(size for key, size in kept.items() if key in given)
    return sum(kept.values()) - of_buffers - of_inputs, of_buffers, of_inputs


def counted(model: nn.Module, inputs: dict[str, Any], **options: Any) -> tuple[fxcost.Report, tuple[int, int, int]]:
    report = fxcost.analyze(model, (), inputs, mode="train", **options)
    totals = report.to_dict()["totals"]
    return report, (totals["saved_bytes"], totals["saved_buffer_bytes"], totals["saved_input_bytes"])


@pytest.mark.parametrize("frozen", [False, True], ids=["all", "frozen"])
@pytest.mark.parametrize("name", MODELS)
def test_saved_bytes_equal_hooks(name: str, frozen: bool) -> None:
    model, inputs = MODELS[name]()
    without_dropout(model.train())
    if frozen:
        first = next(module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d)))
        first.requires_grad_(False)
    expected = hooked(model, inputs, lambda output: output.loss)
    report, found = counted(model, inputs)
    assert found == expected
    assert report.saved_bytes == expected[0] > 0
    for by in ("node", "op", "class"):
        assert sum(row["saved_bytes"] for row in report.to_dict(by)["rows"]) == expected[0], by
    assert report.to_dict()["rows"][0]["saved_bytes"] == expected[0]


@pytest.mark.parametrize("name", ["bert", "gpt2", "vit"])
def test_dropout_saves_what_the_device_saves(name: str) -> None:
    """A CPU keeps a mask of the input's type."""
    model, inputs = MODELS[name]()
    model.train()
    assert counted(model, inputs)[1] == hooked(model, inputs, lambda output: output.loss)


class Stack(nn.Module):
    """Blocks in checkpoints; with ``scaled``, each is given a tensor by keyword."""

    def __init__(self, scaled: bool) -> None:
        super().__init__()
        self.scaled = scaled
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 8)) for _ in range(3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        held = {"scale": torch.ones_like(x) * 2} if self.scaled else {}
        for block in self.blocks:
            x = checkpoint(lambda x, scale=1.0, block=block: block(x * scale).tanh(), x, use_reentrant=False, **held)
        return x


@pytest.mark.parametrize("scaled", [False, True])
def test_a_checkpoint_saves_its_inputs(scaled: bool) -> None:
    """The hooks see what goes in by position. What goes in by keyword stays alive all the same, and is counted."""
    model, inputs = Stack(scaled).train(), {"x": torch.randn(5, 8)}
    activations, buffers, given = hooked(model, inputs, torch.sum)
    assert counted(model, inputs)[1] == (activations + (5 * 8 * 4 if scaled else 0), buffers, given)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(lambda x: self.b(torch.tanh(self.a(x))), x.relu(), use_reentrant=False)


def test_what_a_checkpoint_saves_belongs_to_what_made_it() -> None:
    report, found = counted(Two().train(), {"x": torch.randn(3, 8)})
    assert found == (3 * 8 * 4, 0, 0)
    assert report.by_op()["aten.relu.default"].saved_bytes == 3 * 8 * 4


def test_trainable_and_frozen_parameters() -> None:
    model = Two()
    model.a.requires_grad_(False)
    report = fxcost.analyze(model, (torch.randn(3, 8),), mode="train")
    assert report.params == 8 * 16 + 16 + 16 * 4 + 4
    assert report.trainable_params == 16 * 4 + 4
    assert f"{report.params} (848 B), 68 of them trainable" in str(report)


def test_a_forward_pass_says_nothing_of_saving() -> None:
    report = fxcost.analyze(Two().eval(), (torch.randn(3, 8),))
    assert report.saved_bytes is None
    assert "saved_bytes" not in report.to_dict()["totals"]
    assert set(report.phases.values()) == {0, report.flops}


def test_each_sample_and_token() -> None:
    model, inputs = llama()
    report = fxcost.analyze(model.train(), (), inputs, mode="train")
    assert report.flops_per_sample == report.flops / 2
    assert report.flops_per_token == report.flops / 32
    image, pixels = MODELS["vit"]()
    report = fxcost.analyze(image.train(), (), pixels, mode="train")
    assert (report.flops_per_sample, report.flops_per_token) == (report.flops / 2, None)
