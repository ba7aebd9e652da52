"""fusion_choices: the neutral subclass gives Inductor's own kernels, another one is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compiled_models import MODELS

import fxcost.compiler

sys.path.append(str(Path(__file__).resolve().parents[1] / "inductor"))
from truth import truth  # noqa: E402


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", MODELS)
def test_the_neutral_choices_reproduce_stock_kernels(name: str, train: bool) -> None:
    model, inputs = MODELS[name]()
    model.train(train)
    stock = truth(model, inputs, train=train).kernels()
    with fxcost.compiler.fusion_choices(fxcost.compiler.choices_class()):
        ours = truth(model, inputs, train=train).kernels()
    assert ours == stock and len(stock) > 1


def gate(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
    decay = torch.exp(-x.abs())
    mixed = torch.relu(x * 2) @ w
    return decay * mixed, torch.relu(decay - mixed)


def to_fixed_point(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.tanh(x), (x * 4096).to(torch.int16)


def test_what_saves_more_is_merged_first() -> None:
    """Of the loops that read x, the one that is read twice behind the product belongs there: its result is not written.
    Bytes and kernels are those of Inductor's scheduler."""
    inputs = torch.randn(256, 64), torch.randn(64, 64)
    stock = truth(gate, inputs).graphs[0]
    with fxcost.compiler.fusion_choices(fxcost.compiler.cost_choices()):
        ours = truth(gate, inputs).graphs[0]
    assert stock.bytes - ours.bytes == 4 * 256 * 64
    behind = next(kernel for kernel in ours.kernels if "sub" in kernel.members)
    assert {"exp", "mul_1"} <= behind.members


def test_vectorised_loops_stay_so() -> None:
    inputs = (torch.randn(4096),)
    stock = [kernel.members for kernel in truth(to_fixed_point, inputs).graphs[0].kernels]
    assert len(stock) == 1
    with fxcost.compiler.fusion_choices(fxcost.compiler.cost_choices()):
        ours = [kernel.members for kernel in truth(to_fixed_point, inputs).graphs[0].kernels]
        copies = truth(lambda x: (x.t().contiguous(), x.to(torch.int16)), (torch.randn(64, 64),))
    assert len(ours) == 2 and {"tanh"} in ours
    assert len(copies.graphs[0].kernels) > 0


def test_a_device_of_fusion_decisions(tmp_path: Path) -> None:
    """With a slow memory all that is shared is worth more than vectors are."""
    figures = {"units": "8", "clock_hz": "3e9", "memory_bytes": "1e9", "memory_bytes_per_second": "1e6"}
    figures |= {"matrix_f32": "1e12", "vector_f32": "1e12"}
    device = tmp_path / "slow.device"
    device.write_text("".join(f"{name} = {value}\n" for name, value in {"device": "slow", **figures}.items()))
    inputs = (torch.randn(4096),)
    with fxcost.compiler.fusion_choices(fxcost.compiler.cost_choices(str(device))):
        assert len(truth(to_fixed_point, inputs).graphs[0].kernels) == 1
    device.write_text(device.read_text().replace("clock_hz = 3e9\n", ""))
    with pytest.raises(fxcost.FxcostError, match="expected: a device with units and clock_hz"):
        fxcost.compiler.cost_choices(str(device))
    with pytest.raises(fxcost.FxcostError, match="'abacus' of fusion decisions is none that fxcost knows"):
        fxcost.compiler.cost_choices("abacus")


def test_keys_tell_devices_apart() -> None:
    choices = fxcost.compiler.cost_choices
    keys = {choices()().uuid(), choices("a100-sxm-80gb")().uuid()}
    assert len(keys) == 2 and choices()().uuid() in keys


@pytest.mark.parametrize("name", MODELS)
def test_no_model_moves_more_bytes(name: str) -> None:
    model, inputs = MODELS[name]()
    stock = truth(model.eval(), inputs)
    with fxcost.compiler.fusion_choices(fxcost.compiler.cost_choices()):
        ours = truth(model, inputs)
    assert sum(graph.bytes for graph in ours.graphs) <= sum(graph.bytes for graph in stock.graphs)


def test_choices_that_refuse_are_heard_and_put_back() -> None:
    class Refusing(fxcost.compiler.choices_class()):  # type: ignore[misc]
        asked = 0

        @staticmethod
        def can_fuse(*_: Any) -> bool:
            Refusing.asked += 1
            return False

        def uuid(self) -> str:
            return "refusing"

    model, inputs = MODELS["gated"]()
    model.eval()
    stock = truth(model, inputs).kernels()
    with fxcost.compiler.fusion_choices(Refusing):
        refused = truth(model, inputs).kernels()
    assert Refusing.asked > 0 and len(refused) > len(stock)
    assert truth(model, inputs).kernels() == stock
    assert torch._inductor.config.inductor_choices_class is None


def test_an_older_torch_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch._inductor.choices.InductorChoices")
    with pytest.raises(fxcost.FxcostError, match=r"fusion decisions\n.*InductorChoices, as torch 2\.13 has it"):
        fxcost.compiler.choices_class()
