"""What recording costs beside the run itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from models import MODELS
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from checks import Result
from fxcost.models import load
from fxcost.options import Options

_LLAMA_8B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}


def recording(folder: Path) -> Iterator[Result]:
    """Each to final totals, interleaved, minimum of several runs: the forward pass alone, under FlopCounterMode, under
    fxcost.record, the same on fake tensors made from the model for the purpose, and fxcost's torch.export route."""
    del folder
    for name, runs in (("bert-base", 12), ("resnet-50", 12)):
        model, kwargs = MODELS[name]()
        yield from _compared(name, model.eval(), kwargs, None, runs)
    llama = load("hf:llama", Options(seq=2048, dtype="bf16", settings=dict(_LLAMA_8B)))
    yield from _compared("Llama-3-8B without weights", llama.module.eval(), llama.kwargs, llama.mode, 3)


def _compared(
    name: str, model: torch.nn.Module, kwargs: dict[str, Any], mode: FakeTensorMode | None, runs: int
) -> Iterator[Result]:
    def forward() -> None:
        with mode or contextlib.nullcontext():
            model(**kwargs)

    def counted() -> None:
        with FlopCounterMode(display=False) as counter:
            forward()
        counter.get_total_flops()

    def recorded() -> None:
        with fxcost.record(model) as made:
            forward()
        _ = made.report().flops

    def on_fakes() -> None:
        _ = fxcost.analyze(model, (), kwargs, route="record").flops

    def exported() -> None:
        _ = fxcost.analyze(model, (), kwargs, route="export").flops

    actions: dict[str, Callable[[], None]] = {
        "forward": forward,
        "FlopCounterMode": counted,
        "record": recorded,
        "record on fake tensors": on_fakes,
        "export": exported,
    }
    times: dict[str, list[float]] = {what: [] for what in actions}
    with torch.no_grad():
        for _ in range(runs):
            for what, action in actions.items():
                start = time.process_time()
                action()
                times[what].append(time.process_time() - start)
    best = {what: min(found[1:]) for what, found in times.items()}
    limits = {"record": 1.0, "record on fake tensors": 0.8} if name == "bert-base" else {}
    for what, seconds in best.items():
        ratio = seconds / best["FlopCounterMode"]
        limit = limits.get(what)
        figure = f"{1e3 * seconds:.0f} ms, {ratio:.2f} of FlopCounterMode"
        asked = f"at most {limit:g} of it" if limit else "none"
        yield Result(f"{name}: {what}", figure, asked, limit is None or ratio <= limit)
