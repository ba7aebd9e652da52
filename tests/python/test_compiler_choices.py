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
