"""Generating text, in closed form: a first pass over the prompt, and a step over the cache that it leaves, each
captured with its sizes as symbols."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch.export import Dim
from torch.utils import _pytree as pytree

from .binding import Formula, Program
from .caches import caches_known
from .dynamic import Deferred
from .errors import FxcostError
from .exporter import Capture, capture
from .fakes import mode_of

_BATCH, _PROMPT = 2, 6  # of the example that is captured: sizes 0 and 1 would be taken for constants
_LARGEST = 2**20


class Generation:
    """What generating ``new`` tokens after a prompt of ``prompt`` costs, for any ``batch``."""

    def __init__(self, first: Program, step: Program) -> None:
        self.first, self.step = first, step
        self._formulas: dict[str, Formula] = {}

    def _formula(self, quantity: str) -> Formula:
        if quantity not in self._formulas:
            self._formulas[quantity] = Formula(self.first, quantity, self.step)
        return self._formulas[quantity]

    def formula(self, quantity: str = "flops") -> str:
        """The closed form in prompt, new and batch; FxcostError when there is none."""
        found = self._formula(quantity)
        if found.kind == "none":
            raise FxcostError(f"{quantity} of this generation has no closed form", "UNKNOWN_OPS")
        return found.text

    def evaluate(self, quantity: str = "flops", *, prompt: int, new: int, batch: int = 1) -> int:
        """Its value: the first pass, which gives the first token, and ``new - 1`` steps."""
        return self._formula(quantity).evaluate(prompt=prompt, new=new, batch=batch)


def generation(model: torch.nn.Module) -> Generation:
    """Captures a causal language model of transformers, or one with the same arguments, for closed forms of generating
    text with it: :meth:`Generation.formula` and :meth:`Generation.evaluate`."""
    first, step = (Program.from_bytes(part.to_bytes(), type(model).__name__) for part in capture_both(model))
    return Generation(first, step)


def programs(model: Any, progress: Any) -> tuple[Capture, Capture]:
    """Both programs of a model of the command line."""
    model.module.train(False)
    return capture_both(model.module, model.name, progress)


def capture_both(model: torch.nn.Module, name: str | None = None, progress: Any = None) -> tuple[Capture, Capture]:
    """The first pass and a step. Of the first pass only the last position's logits are kept, as generate() does."""
    accepted = inspect.signature(model.forward).parameters
    if "past_key_values" not in accepted or "input_ids" not in accepted:
        raise FxcostError(
            f"generating with {type(model).__name__}\n  expected: forward(input_ids, past_key_values, ...)\n"
            "  found: a model without a cache\n  record what it runs: --method generate",
            "CAPTURE",
        )
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise FxcostError(
            f"closed form of generating with {type(model).__name__}\n  expected: a decoder-only language model, whose "
            "prompt and new tokens share one cache\n  found: an encoder and a decoder, with a cache each\n  count one "
            "generation instead: --record --method 'generate(max_new_tokens=64)'",
            "USAGE",
        )
    options: dict[str, Any] = {"use_cache": True} | ({"logits_to_keep": 1} if "logits_to_keep" in accepted else {})
    batch, prompt, cache = (
        Dim("batch", min=1, max=_LARGEST),
        Dim("prompt", min=2, max=_LARGEST),
        Dim("cache", min=1, max=_LARGEST),
    )
    mode = mode_of(model)
    with _caching(model), torch.no_grad(), mode if _is_fake(model) else contextlib.nullcontext():
        ids = torch.ones(_BATCH, _PROMPT, dtype=torch.int64)
        past = model(input_ids=ids, **options).past_key_values
    with _caching(model), torch.no_grad():
        first = _captured(model, {"input_ids": ids, **options}, {2: {0: batch, 1: prompt}}, name, progress)
        kwargs = {"input_ids": ids[:, :1], "past_key_values": past, **options}
        step = _captured(model, kwargs, {2: {0: batch}, 4: {0: batch, 2: cache}}, name, progress)
    return first, step


@contextlib.contextmanager
def _caching(model: torch.nn.Module) -> Iterator[None]:
    """Configurations that say use_cache, which models of the command line are built without."""
    configurations: dict[int, Any] = {id(p.config): p.config for p in model.modules() if hasattr(p, "config")}
    without = [found for found in configurations.values() if getattr(found, "use_cache", None) is False]
    for found in without:
        found.use_cache = True
    try:
        yield
    finally:
        for found in without:
            found.use_cache = False


def _is_fake(model: torch.nn.Module) -> bool:
    from torch._subclasses.fake_tensor import FakeTensor

    return any(isinstance(parameter, FakeTensor) for parameter in model.parameters())


def _captured(
    model: torch.nn.Module, kwargs: dict[str, Any], by_rank: dict[int, Any], name: str | None, progress: Any
) -> Capture:
    """A capture whose tensors have dynamic dimensions by their rank: token numbers 2, keys and values 4."""
    with caches_known(model):
        shapes = torch.export.ShapesCollection()
        for leaf in pytree.tree_leaves(kwargs):
            if isinstance(leaf, torch.Tensor):
                shapes[leaf] = by_rank[leaf.dim()]
        dynamic = Deferred(shapes.dynamic_shapes(model, (), kwargs))
    return capture(model, (), kwargs, dynamic, name=name, progress=progress)
