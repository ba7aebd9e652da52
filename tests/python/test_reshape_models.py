"""Other sizes of real architectures from one static capture: what is answered is the program that a fresh capture
gives, what cannot be told is refused by node. A selection; bench/reshape_models.py takes many more."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.models import load
from fxcost.options import Options

pytest.importorskip("transformers", reason="transformers is needed for the models of this test")

ONE: dict[str, Any] = {"num_hidden_layers": 1}
IMAGE, TEXT = {"batch": 2, "image": 64}, {"batch": 2, "seq": 16}

# Architecture, its settings, captured sizes.
ANSWERED: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "resnet": ({"depths": [1, 1, 1, 1]}, IMAGE),
    "convnext": ({"depths": [1, 1, 1, 1]}, IMAGE),
    "regnet": ({"depths": [1, 1, 1, 1]}, IMAGE),
    "poolformer": ({"depths": [1, 1, 1, 1]}, IMAGE),
}
# And the operator that is refused: a number that may be the batch, written into an expansion, a mask or a view.
REFUSED: dict[str, tuple[dict[str, Any], dict[str, int], str]] = {
    "vit": (ONE, {"batch": 2}, "aten.expand.default"),
    "swin": ({"depths": [1, 1, 1, 1]}, {"batch": 2}, "aten.view.default"),
    "bert": (ONE, TEXT, "aten.expand.default"),
    "llama": (ONE, TEXT, "aten."),
}


@functools.cache
def captured(kind: str, sizes: tuple[tuple[str, int], ...]) -> Program:
    settings = ANSWERED[kind][0] if kind in ANSWERED else REFUSED[kind][0]
    options = Options(settings=dict(settings), **dict(sizes))
    with torch.no_grad():
        return Program.from_bytes(load(f"hf:{kind}", options).capture().to_bytes(), kind)


def at(kind: str, sizes: dict[str, int]) -> Program:
    return captured(kind, tuple(sizes.items()))


@pytest.mark.parametrize("kind", ANSWERED)
@pytest.mark.parametrize(("batch", "image"), [(5, 64), (2, 96)])
def test_the_answer_is_that_of_a_fresh_capture(kind: str, batch: int, image: int) -> None:
    here = at(kind, ANSWERED[kind][1]).at(pixel_values=(batch, 3, image, image))
    fresh = at(kind, {"batch": batch, "image": image})
    assert here == fresh
    assert Analysis(here).totals().flops == Analysis(fresh).totals().flops > 0


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_told_is_refused(kind: str) -> None:
    _, sizes, operator = REFUSED[kind]
    program = at(kind, sizes)
    name, shape = ("pixel_values", (3, 3, 224, 224)) if "seq" not in sizes else ("input_ids", (3, 16))
    with pytest.raises(fxcost.FxcostError) as error:
        program.at(**{name: shape})
    assert error.value.status == "PROGRAM"
    assert operator in str(error.value) and "transformers/models/" in str(error.value)
    assert "may be a size of the capture" in str(error.value)
