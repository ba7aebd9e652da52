"""How the programs of ``fxcost calibrate`` are put together: a graph under construction, and parts of many cases."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode

aten = torch.ops.aten

CHANNELS = (16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512, 640, 768, 960, 1024)
WIDTHS = (64, 96, 128, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048, 2560, 3072, 4096)
IMAGES = (7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128)


@dataclass
class Samples:
    """A graph with fake values, and the tensors that it runs on."""

    module: fx.GraphModule
    inputs: list[torch.Tensor]


class Builder:
    """A graph under construction. Calls run on fake tensors to learn the sizes of results."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._graph, self._mode = fx.Graph(), FakeTensorMode()
        self._made: list[tuple[fx.Node, Callable[[], torch.Tensor]]] = []
        self._kept: dict[tuple[Any, ...], fx.Node] = {}

    def given(self, *size: int, kind: str = "real") -> fx.Node:
        """A tensor of its own that is there before the run: a weight whose products keep their size, ..."""
        make = {
            "real": lambda: _noise(size, (torch.Size(size[1:]).numel() or 1) ** -0.5),
            "noise": lambda: _noise(size, 1.0),
            "causal": lambda: torch.ones(size, dtype=torch.bool).tril(),
            "one": lambda: torch.ones(size),
        }[kind]
        return self._input(size, torch.bool if kind == "causal" else torch.float32, make)

    def indices(self, most: int, *size: int) -> fx.Node:
        return self._input(size, torch.int64, lambda: torch.randint(0, most, size))

    def _input(self, size: tuple[int, ...], dtype: torch.dtype, make: Callable[[], torch.Tensor]) -> fx.Node:
        node = self._graph.placeholder(f"given_{len(self._made)}")
        with self._mode:
            node.meta["val"] = torch.empty(size, dtype=dtype)
        self._made.append((node, make))
        return node

    def base(self, *size: int) -> fx.Node:
        """A tensor that cases of this size share."""
        key = ("base", *size)
        if key not in self._kept:
            self._kept[key] = self.given(*size, kind="noise")
        return self._kept[key]

    def call(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        node = self._graph.call_function(target, args, kwargs)
        fake = fx.map_arg((args, kwargs), lambda value: value.meta["val"])
        with self._mode, torch.no_grad():
            node.meta["val"] = target(*fake[0], **fake[1])
        return node

    def finish(self) -> Samples:
        # Placeholders come first; they were made where they were needed.
        first = next(iter(self._graph.nodes))
        for node, _ in self._made:
            if node is not first:
                first.prepend(node)
        self._graph.output(())
        self._graph.lint()
        module = fx.GraphModule({}, self._graph)
        order = {node.name: make for node, make in self._made}
        inputs = [order[node.name]() for node in module.graph.find_nodes(op="placeholder")]
        return Samples(module, inputs)

    def name(self, node: fx.Node, text: str) -> None:
        node._rename(text)

    # ---- parts of cases ---------------------------------------------------------------------------------------------

    def written(self, *size: int) -> fx.Node:
        """A tensor that was just computed."""
        base = self.base(*size)
        op = self.random.choice((aten.relu.default, aten.add.Tensor, aten.mul.Tensor, aten.neg.default))
        return self.call(op, base, base) if op in (aten.add.Tensor, aten.mul.Tensor) else self.call(op, base)


@functools.cache
def _pool() -> torch.Tensor:
    return torch.randn(1 << 20)


def _noise(size: tuple[int, ...], scale: float) -> torch.Tensor:
    """Normal numbers, of which there are a million different ones: the speed of some kernels depends on the values."""
    result, pool = torch.empty(size), _pool()
    flat = result.view(-1)
    for begin in range(0, len(flat), len(pool)):
        part = flat[begin : begin + len(pool)]
        torch.mul(pool[: len(part)], scale, out=part)
    return result


def evenly(drawn: random.Random, low: float, high: float) -> int:
    """An integer between, evenly in the logarithm."""
    return round(low * (high / low) ** drawn.random())


def feature_map(builder: Builder, most: float = 3e6) -> fx.Node:
    """An image of features that was just computed."""
    while True:
        c, image = builder.random.choice(CHANNELS), builder.random.choice(IMAGES)
        batch = builder.random.choice((1, 1, 2))
        if 2e3 < batch * c * image * image < most:
            return builder.written(batch, c, image, image)


def activation(builder: Builder, x: fx.Node) -> fx.Node:
    r = builder.random
    op = r.choice((aten.relu.default, aten.relu.default, aten.gelu.default, aten.gelu.default, aten.silu.default,
                   aten.sigmoid.default, aten.hardtanh.default, aten.hardswish.default, aten.tanh.default))  # fmt: skip
    if op is aten.relu.default and r.random() < 0.5:
        return builder.call(aten.relu_.default, x)
    return builder.call(op, x)


def full(builder: Builder, x: fx.Node, width: int) -> fx.Node:
    return builder.call(aten.linear.default, x, builder.given(width, x.meta["val"].shape[-1]), builder.given(width))


def layer_norm(builder: Builder, x: fx.Node) -> fx.Node:
    width = x.meta["val"].shape[-1]
    return builder.call(aten.layer_norm.default, x, [width], builder.given(width, kind="one"), builder.given(width))


def batch_norm(builder: Builder, x: fx.Node | None = None) -> fx.Node:
    if x is None:
        x = feature_map(builder)
    c = x.meta["val"].shape[1]
    weight, bias, mean, var = (builder.given(c, kind=kind) for kind in ("one", "noise", "noise", "one"))
    return builder.call(aten.batch_norm.default, x, weight, bias, mean, var, False, 0.1, 1e-5, True)
