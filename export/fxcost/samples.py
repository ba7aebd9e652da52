"""What ``fxcost calibrate`` runs: programs of many ATen operators at many sizes, in a mixed order.

Each program is a graph like a captured one, and is run and timed operator by operator like one: what comes before an
operator, and what is left in the caches, is part of what is measured and of what the program says. Sizes are drawn from
a generator with a fixed seed; they follow no particular model.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
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
        node = self._graph.placeholder(f"given_{len(self._made)}")
        with self._mode:
            node.meta["val"] = torch.empty(size, dtype=torch.bool if kind == "causal" else torch.float32)
        self._made.append((node, make))
        return node

    def indices(self, most: int, *size: int) -> fx.Node:
        node = self._graph.placeholder(f"given_{len(self._made)}")
        with self._mode:
            node.meta["val"] = torch.empty(size, dtype=torch.int64)
        self._made.append((node, lambda: torch.randint(0, most, size)))
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


def _size(builder: Builder, low: float, high: float) -> int:
    """An integer between, evenly in the logarithm."""
    return round(low * (high / low) ** builder.random.random())


def linear(builder: Builder) -> None:
    """A fully connected layer, sometimes twice with one weight: then it is in a cache."""
    r = builder.random
    rows, k, n = 1, 1, 1
    while not 2e4 < rows * k * n < 4e8:
        rows = r.choice((1, 1, 1, 2, 4, _size(builder, 5, 64), _size(builder, 16, 4096), _size(builder, 64, 1024)))
        k, n = r.choice(WIDTHS), r.choice(WIDTHS)
        n = r.choice((n, n, n, n, n, n, n, 1000, 8000, 32000))
    weight, bias = builder.given(n, k), r.choice((builder.given(n), None))
    size = r.choice(((rows, k), (1, rows, k)))
    x = builder.written(*size)
    y = builder.call(aten.linear.default, x, weight, bias)
    if r.random() < 0.25:
        builder.call(aten.linear.default, x, weight, bias)
    activation(builder, y)


def addmm(builder: Builder) -> None:
    r = builder.random
    rows, k, n = 1, 1, 1
    while not 1e5 < rows * k * n < 3e8:
        rows, k, n = _size(builder, 1, 1024), r.choice(WIDTHS), r.choice(WIDTHS)
    builder.call(aten.addmm.default, builder.given(n), builder.written(rows, k), builder.given(k, n))


def matmul(builder: Builder) -> None:
    """Scores and their weighted sum as some models write them, softmax between."""
    r = builder.random
    heads, depth = r.choice((2, 4, 6, 8, 12, 16, 24)), r.choice((32, 40, 64, 64, 96, 128))
    batch = r.choice((1, 1, 1, 2, 4, 16, 64))
    queries = _size(builder, 16, 384)
    while batch * heads * queries * queries * depth > 2e8:
        batch, queries = max(1, batch // 2), max(8, queries // 2)
    q, k, v = (_heads(builder, batch, queries, heads, depth, r.random() < 0.7) for _ in range(3))
    scores = builder.call(aten.matmul.default, q, builder.call(aten.transpose.int, k, 2, 3))
    if r.random() < 0.5:
        scores = builder.call(aten.add.Tensor, scores, builder.base(1, heads, queries, queries))
    else:
        scores = builder.call(aten.mul.Tensor, scores, 0.125)
    share = builder.call(aten.softmax.int, scores, -1)
    out = builder.call(aten.matmul.default, share, v)
    _merged(builder, out, batch, queries, heads * depth)


def _heads(builder: Builder, batch: int, length: int, heads: int, depth: int, strided: bool) -> fx.Node:
    if not strided:
        return builder.written(batch, heads, length, depth)
    flat = builder.written(batch, length, heads * depth)
    split = builder.call(aten.view.default, flat, [batch, length, heads, depth])
    return builder.call(aten.transpose.int, split, 1, 2)


def _merged(builder: Builder, out: fx.Node, batch: int, length: int, width: int) -> fx.Node:
    turned = builder.call(aten.transpose.int, out, 1, 2)
    whole = builder.call(aten.contiguous.default, turned)
    return builder.call(aten.view.default, whole, [batch, length, width])


def attention(builder: Builder) -> None:
    r = builder.random
    heads, depth = r.choice((1, 2, 3, 4, 6, 8, 12, 12, 16, 24)), r.choice((32, 40, 64, 64, 64, 80, 96, 128))
    batch = r.choice((1, 1, 1, 2, 4, 16))
    queries = r.choice((_size(builder, 16, 190), _size(builder, 192, 760), _size(builder, 768, 1500)))
    keys = r.choice((queries, queries, queries, _size(builder, 32, 1500)))
    causal = keys == queries and r.random() < 0.35
    while batch * heads * queries * keys * depth > 3e8:
        batch, heads, keys = batch // 2 or 1, heads // 2 or 1, keys // 2 if heads < 3 and keys != queries else keys
        queries, keys = (queries // 2, keys // 2) if batch * heads == 1 else (queries, keys)
    strided = r.random() < 0.7
    q = _heads(builder, batch, queries, heads, depth, strided)
    grouped = r.choice((1, 1, 1, 2, 4))
    grouped = grouped if heads % grouped == 0 else 1
    k, v = (_heads(builder, batch, keys, heads // grouped, depth, strided) for _ in range(2))
    if grouped > 1:
        k, v = (_repeated(builder, value, batch, keys, heads, depth, grouped) for value in (k, v))
    mask = (
        None
        if causal or r.random() < 0.6
        else builder.given(batch, 1, queries, keys, kind=r.choice(("real", "causal")))
    )
    out = builder.call(aten.scaled_dot_product_attention.default, q, k, v, mask, 0.0, causal)
    _merged(builder, out, batch, queries, heads * depth)


def _repeated(builder: Builder, value: fx.Node, batch: int, keys: int, heads: int, depth: int, times: int) -> fx.Node:
    """Key heads, each for several query heads."""
    wide = builder.call(aten.unsqueeze.default, value, 2)
    wide = builder.call(aten.expand.default, wide, [batch, heads // times, times, keys, depth])
    return builder.call(aten.reshape.default, wide, [batch, heads, keys, depth])


def convolution(builder: Builder) -> None:
    """A convolution, and what often follows it."""
    r = builder.random
    while True:
        c, k, image = r.choice(CHANNELS), r.choice(CHANNELS), r.choice(IMAGES)
        window, stride = r.choice(((1, 1), (1, 1), (1, 2), (3, 1), (3, 1), (3, 1), (3, 2), (5, 1), (7, 1), (2, 2)))
        batch = r.choice((1, 1, 1, 2, 4))
        work = batch * c * k * image * image * window * window / (stride * stride)
        if 2e5 < work < 4e8:
            break
    _convolve(builder, batch, c, k, image, window, stride, 1, r.random() < 0.5)


def grouped(builder: Builder) -> None:
    """Groups of several channels: of a multiple of 16, which oneDNN has kernels for, and of any number."""
    r = builder.random
    while True:
        groups, each, image = (
            r.choice((2, 4, 8, 16, 32)),
            r.choice((5, 8, 12, 16, 16, 32, 32, 48, 64)),
            r.choice(IMAGES),
        )
        most = r.choice((each, each, each, 2 * each, 3 * each))
        window, stride = r.choice(((1, 1), (1, 1), (3, 1), (3, 1), (3, 2), (5, 1)))
        work = groups * each * most * image * image * window * window / (stride * stride)
        if 1e5 < work * (1 if each % 16 == 0 else 3) < 1e8 and groups * most * image * image < 2e6:
            break
    _convolve(
        builder, r.choice((1, 1, 2)), groups * each, groups * most, image, window, stride, groups, r.random() < 0.5
    )


def depthwise(builder: Builder) -> None:
    r = builder.random
    while True:
        c, image = r.choice(CHANNELS), r.choice(IMAGES)
        window, stride = r.choice(((3, 1), (3, 1), (3, 2), (5, 1), (5, 2), (7, 1)))
        if 1e4 < c * image * image * window * window / (stride * stride) < 6e7:
            break
    _convolve(builder, r.choice((1, 1, 1, 2)), c, c, image, window, stride, c, r.random() < 0.3)


def stem(builder: Builder) -> None:
    """The first layer of a network for images: few channels, or patches."""
    r = builder.random
    k, image, batch = r.choice((16, 32, 48, 64, 96, 128)), r.choice((96, 128, 160, 192, 224, 256)), r.choice((1, 1, 2))
    window, stride = r.choice(((3, 1), (3, 2), (7, 2), (4, 4), (8, 8)))
    _convolve(builder, batch, r.choice((1, 3, 3, 3, 4)), k, image, window, stride, 1, r.random() < 0.5)


def images(builder: Builder) -> None:
    """A stage of a network for images: one block a few times, each with weights of its own."""
    r = builder.random
    kind = r.choice(("basic", "bottleneck", "bottleneck", "inverted", "inverted", "plain"))
    narrow, wide, image = r.choice(CHANNELS[2:16]), r.choice((*CHANNELS[5:], 1152, 1536, 2048)), r.choice(IMAGES[:15])
    work = {"inverted": 2 * wide, "bottleneck": 2 * wide + 9 * narrow}.get(kind, 9 * narrow) * narrow
    while work * image * image > 1e8 and image > 7:
        image = max(7, image // 2)
    x = builder.written(r.choice((1, 1, 1, 2)), wide if kind == "bottleneck" else narrow, image, image)
    act = r.choice((aten.relu.default, aten.relu_.default, aten.silu.default, aten.hardtanh.default))
    layers = {
        "basic": ((narrow, 3, 1), (narrow, 3, 1)),
        "plain": ((narrow, 3, 1),),
        "bottleneck": ((narrow, 1, 1), (narrow, 3, 1), (wide, 1, 1)),
        "inverted": ((wide, 1, 1), (wide, r.choice((3, 3, 5)), wide), (narrow, 1, 1)),
    }[kind]
    padded = r.random() < 0.4  # by an operator of its own
    for _ in range(r.choice((2, 3, 4))):
        y = x
        for number, (channels, window, groups) in enumerate(layers):
            given, edge = y.meta["val"].shape[1] // groups, window // 2
            if padded and edge > 0:
                y, edge = builder.call(aten.pad.default, y, [edge] * 4), 0
            y = builder.call(
                aten.conv2d.default, y, builder.given(channels, given, window, window),
                builder.given(channels) if kind == "plain" else None, [1, 1], [edge] * 2, [1, 1], groups,
            )  # fmt: skip
            y = y if kind == "plain" else batch_norm(builder, y)
            y = builder.call(act, y) if number < len(layers) - 1 or kind == "plain" else y
        x = y if kind == "plain" else builder.call(aten.add.Tensor, y, x)


def words(builder: Builder) -> None:
    """A few layers of a transformer of one width, each with weights of its own."""
    r = builder.random
    heads, depth = r.choice((3, 4, 6, 8, 12)), r.choice((32, 64, 64, 96))
    width, length, batch = heads * depth, _size(builder, 12, 400), r.choice((1, 1, 1, 2))
    inner = r.choice((2, 3, 4, 4)) * width
    while batch * length * width * inner > 4e8:
        batch, length = 1, length // 2
    before, gated = r.random() < 0.5, r.random() < 0.3
    act = r.choice((aten.gelu.default, aten.gelu.default, aten.relu.default, aten.silu.default))
    x = builder.written(batch, length, width)
    for _ in range(r.choice((1, 2, 3))):
        y = layer_norm(builder, x) if before else x
        q, k, v = (
            builder.call(aten.transpose.int, builder.call(aten.view.default, full(builder, y, width), shape), 1, 2)
            for shape in ([batch, length, heads, depth],) * 3
        )
        y = builder.call(aten.scaled_dot_product_attention.default, q, k, v)
        y = builder.call(aten.reshape.default, builder.call(aten.transpose.int, y, 1, 2), [batch, length, width])
        x = builder.call(aten.add.Tensor, x, full(builder, y, width))
        x = x if before else layer_norm(builder, x)
        y = layer_norm(builder, x) if before else x
        up = builder.call(act, full(builder, y, inner))
        up = builder.call(aten.mul.Tensor, up, full(builder, y, inner)) if gated else up
        x = builder.call(aten.add.Tensor, x, full(builder, up, width))
        x = x if before else layer_norm(builder, x)


def full(builder: Builder, x: fx.Node, width: int) -> fx.Node:
    return builder.call(aten.linear.default, x, builder.given(width, x.meta["val"].shape[-1]), builder.given(width))


def layer_norm(builder: Builder, x: fx.Node) -> fx.Node:
    width = x.meta["val"].shape[-1]
    return builder.call(aten.layer_norm.default, x, [width], builder.given(width, kind="one"), builder.given(width))


def patches(builder: Builder) -> None:
    r = builder.random
    window = r.choice((14, 16, 16, 32))
    image, k = window * r.choice((6, 8, 12, 14, 16)), r.choice((192, 384, 512, 768))
    x = builder.base(1, 3, image, image)
    builder.call(aten.conv2d.default, x, builder.given(k, 3, window, window), builder.given(k), [window, window])


def conv1d(builder: Builder) -> None:
    """Convolutions of sequences, of all channels and of groups."""
    r = builder.random
    c, k, groups = r.choice((1, 16, 64, 80, 128, 256, 512)), r.choice((64, 128, 256, 384, 512)), 1
    length, (window, stride) = _size(builder, 200, 3000), r.choice(((3, 1), (3, 2), (5, 1), (10, 5), (2, 2), (1, 1)))
    if r.random() < 0.5:
        c = k = r.choice((64, 128, 256, 384, 512, 768))
        groups, window, stride = r.choice((4, 8, 16)), r.choice((3, 4, 7, 15, 31, 64, 128)), 1
        length = _size(builder, 40, 800)
    while c * k * length * window > 3e8 * groups:
        length //= 2
    x = builder.written(1, c, length)
    weight, bias = builder.given(k, c // groups, window), builder.given(k)
    if groups > 1 and r.random() < 0.4:
        weight = builder.call(aten._weight_norm.default, weight, builder.given(1, 1, window), 2)
    y = builder.call(aten.conv1d.default, x, weight, bias, [stride], [window // 2], [1], groups)
    activation(builder, y)


def sequences(builder: Builder) -> None:
    """Each channel of a sequence by itself: with windows that oneDNN has a kernel for, and wider ones."""
    r = builder.random
    c, window, length = r.choice(CHANNELS[4:18]), r.choice((3, 5, 9, 15, 31, 64)), _size(builder, 16, 600)
    while c * window * length > 3e6:
        length //= 2
    x = builder.written(1, c, length)
    builder.call(aten.conv1d.default, x, builder.given(c, 1, window), builder.given(c), [1], [window // 2], [1], c)


def weight_norm(builder: Builder) -> None:
    r = builder.random
    k, c, window = r.choice(CHANNELS[2:]), r.choice(CHANNELS[:14]), r.choice((1, 3, 7, 16, 64, 128))
    while k * c * window > 4e6:
        k = k // 2
    dim = 2 if window >= 64 else 0
    size = (k, 1, 1) if dim == 0 else (1, 1, window)
    builder.call(aten._weight_norm.default, builder.given(k, c, window), builder.given(*size), dim)


def transposed(builder: Builder) -> None:
    """Transposed convolutions of images, and of sequences as in decoders of sound."""
    r = builder.random
    c, k = r.choice((24, 32, 64, 96, 128, 192, 256)), r.choice((1, 3, 16, 32, 48, 64, 128))
    bias = r.choice((None, builder.given(k)))
    if r.random() < 0.25:
        window, stride = r.choice(((4, 2), (8, 4), (16, 8)))
        x, weight = builder.written(1, c, _size(builder, 30, 600)), builder.given(c, k, window)
        builder.call(aten.conv_transpose1d.default, x, weight, bias, [stride], [(window - stride) // 2])
        return
    window, stride, edge = r.choice(((2, 2, 0), (2, 2, 0), (4, 2, 1), (3, 2, 1), (3, 1, 1), (4, 4, 0)))
    image = r.choice((4, 7, 8, 14, 16, 20, 28, 32, 48))
    while c * k * image * image * window * window > 1e8:
        image //= 2
    x = builder.written(r.choice((1, 1, 2)), c, image, image)
    weight = builder.given(c, k, window, window)
    y = builder.call(aten.conv_transpose2d.input, x, weight, bias, [stride] * 2, [edge] * 2)
    if r.random() < 0.3:
        builder.call(aten.conv_transpose2d.input, x, weight, bias, [stride] * 2, [edge] * 2)
    activation(builder, y)


def channels_last(builder: Builder) -> None:
    """Images whose channels lie together, as where a model goes to and fro between images and rows."""
    r = builder.random
    c, image, times = r.choice(CHANNELS[2:17]), r.choice(IMAGES), r.choice((2, 4))
    while c * c * image * image > 2e8 or c * image * image > 1e6:
        image //= 2
    x = builder.written(1, image, image, c)
    window, groups = r.choice(((7, c), (7, c), (3, c), (5, c), (3, 1), (1, 1), (2, 1)))
    stride = 2 if window == 2 else 1
    turned = builder.call(aten.permute.default, x, [0, 3, 1, 2])
    weight = builder.given(c, c // groups, window, window)
    edge = [window // 2] * 2 if window % 2 else [0, 0]
    y = builder.call(aten.conv2d.default, turned, weight, builder.given(c), [stride] * 2, edge, [1, 1], groups)
    if r.random() < 0.4:
        y = builder.call(aten.conv2d.default, turned, weight, builder.given(c), [stride] * 2, edge, [1, 1], groups)
    if groups == 1:
        builder.call(r.choice((aten.relu.default, aten.silu.default)), batch_norm(builder, y))
    rows = layer_norm(builder, builder.call(aten.permute.default, y, [0, 2, 3, 1]))
    up = builder.call(aten.gelu.default, full(builder, rows, times * c))
    down = builder.call(aten.permute.default, full(builder, up, c), [0, 3, 1, 2])
    down = builder.call(aten.mul.Tensor, down, builder.given(c, 1, 1))
    if stride == 1:
        builder.call(aten.add.Tensor, down, turned)
    near = builder.written(*down.meta["val"].shape)  # in the usual order: the sum reads one of them across
    builder.call(aten.add.Tensor, *r.choice(((down, near), (near, down))))


def _convolve(
    builder: Builder, batch: int, c: int, k: int, image: int, window: int, stride: int, groups: int, bias: bool
) -> None:
    r = builder.random
    x = builder.written(batch, c, image, image)
    weight = builder.given(k, c // groups, window, window)
    offset = builder.given(k) if bias else None
    padding = [window // 2] * 2 if window % 2 else [0, 0]
    y = builder.call(aten.conv2d.default, x, weight, offset, [stride] * 2, padding, [1, 1], groups)
    if r.random() < 0.25:
        builder.call(aten.conv2d.default, x, weight, offset, [stride] * 2, padding, [1, 1], groups)
    if not bias or r.random() < 0.3:
        y = batch_norm(builder, y)
    if r.random() < 0.8:
        y = activation(builder, y)
    if r.random() < 0.3:
        builder.call(aten.add.Tensor, y, builder.base(*y.meta["val"].shape))


def batch_norm(builder: Builder, x: fx.Node | None = None) -> fx.Node:
    if x is None:
        x = _map(builder)
    c = x.meta["val"].shape[1]
    weight, bias, mean, var = (builder.given(c, kind=kind) for kind in ("one", "noise", "noise", "one"))
    return builder.call(aten.batch_norm.default, x, weight, bias, mean, var, False, 0.1, 1e-5, True)


def _map(builder: Builder, most: float = 3e6) -> fx.Node:
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


UNARY = (aten.relu.default, aten.neg.default, aten.abs.default, aten.exp.default, aten.log.default, aten.sqrt.default,
         aten.rsqrt.default, aten.tanh.default, aten.erf.default, aten.sigmoid.default, aten.silu.default,
         aten.gelu.default, aten.sin.default, aten.cos.default, aten.clone.default, aten.hardswish.default,
         aten.hardsigmoid.default, aten.softplus.default, aten.elu.default, aten.reciprocal.default,
         aten.log1p.default, aten.floor.default)  # fmt: skip
BINARY = (
    aten.add.Tensor,
    aten.mul.Tensor,
    aten.sub.Tensor,
    aten.div.Tensor,
    aten.maximum.default,
    aten.minimum.default,
)


def pointwise(builder: Builder) -> None:
    """Operators of one and two tensors, in place and with a number, small and larger than the caches."""
    r = builder.random
    rows, length = _size(builder, 4, 1500), r.choice(WIDTHS)
    rows = rows // 4 if rows * length > 6e6 else rows
    size: tuple[int, ...] = r.choice(((_size(builder, 8, 5e6),), (1, rows, length)))
    x = builder.written(*size)
    for _ in range(2):
        x = builder.call(r.choice(UNARY), x)
    y = builder.call(r.choice(BINARY), x, builder.base(*size))
    y = builder.call(r.choice((aten.mul.Tensor, aten.add.Tensor, aten.div.Tensor)), y, 1.5)
    if r.random() < 0.5:
        y = builder.call(aten.pow.Tensor_Scalar, y, r.choice((2, 3.0, 2.0, 0.5)))
    if r.random() < 0.4:
        row = builder.base(size[-1])
        y = builder.call(r.choice(BINARY), y, row)
    if r.random() < 0.4:
        builder.call(aten.add_.Tensor, y, builder.base(*size))


def logical(builder: Builder) -> None:
    """Comparisons, masks and other types."""
    r = builder.random
    rows, length = _size(builder, 1, 600), _size(builder, 8, 1500)
    x = builder.written(1, rows, length)
    test = builder.call(r.choice((aten.gt.Scalar, aten.ne.Scalar, aten.le.Scalar)), x, 0.5)
    for mask in (builder.given(rows, length, kind="causal"), builder.given(1, length, kind="causal")):
        builder.call(aten.masked_fill.Scalar, builder.written(r.choice((1, 2, 8)), rows, length), mask, -1e9)
    builder.call(aten.where.self, builder.given(rows, length, kind="causal"), x, builder.base(1, rows, length))
    builder.call(r.choice((aten.logical_not.default, aten.bitwise_not.default)), test)
    builder.call(aten.bitwise_and.Tensor, test, test)
    builder.call(aten._to_copy.default, test, dtype=r.choice((torch.float32, torch.int64)))
    whole = builder.call(aten._to_copy.default, x, dtype=torch.int64)
    builder.call(r.choice((aten.add.Tensor, aten.mul.Tensor)), whole, whole)
    builder.call(aten._to_copy.default, whole, dtype=torch.float32)


def rows(builder: Builder) -> None:
    """Normalisations and softmax over rows."""
    r = builder.random
    count, length = _size(builder, 1, 4000), r.choice((*WIDTHS, 32, 80, 197, 577, 1500))
    while count * length > 3e6:
        count //= 2
    x = builder.written(1, count, length)
    y = builder.call(aten.layer_norm.default, x, [length], builder.given(length), builder.given(length), 1e-5)
    builder.call(r.choice((aten.softmax.int, aten.log_softmax.int)), y, -1)
    builder.call(aten.rms_norm.default, y, [length], builder.given(length), 1e-6)
    square = builder.call(aten.pow.Tensor_Scalar, y, 2)
    mean = builder.call(aten.mean.dim, square, [-1], True)
    scale = builder.call(aten.rsqrt.default, builder.call(aten.add.Tensor, mean, 1e-6))
    builder.call(aten.mul.Tensor, y, scale)


def reductions(builder: Builder) -> None:
    """Over the last dimensions, over others, and over all."""
    r = builder.random
    x = _map(builder, 1e6)
    dims = r.choice(([1], [-1], [2, 3], [0, 2, 3]))
    builder.call(r.choice((aten.mean.dim, aten.sum.dim_IntList)), x, dims, r.random() < 0.5)
    builder.call(r.choice((aten.amax.default, aten.amin.default)), x, r.choice(([1], [-1], [2, 3])), False)
    rows = builder.written(_size(builder, 4, 2000), r.choice((*WIDTHS[:10], 32, 48, 197)))
    for dim in (0, 1):
        builder.call(r.choice((aten.mean.dim, aten.sum.dim_IntList)), rows, [dim], r.random() < 0.5)
        builder.call(r.choice((aten.amax.default, aten.amin.default)), rows, [dim], r.random() < 0.5)
    builder.call(r.choice((aten.sum.default, aten.mean.default)), x)
    builder.call(aten.any.default, builder.call(aten.isnan.default, rows))
    builder.call(aten.argmax.default, x, -1)
    for dim in r.choice(((-1,), (1,), (1, -1))):
        builder.call(aten.cumsum.default, rows, dim - 1 if dim > 0 else dim)


def pooling(builder: Builder) -> None:
    r = builder.random
    x = _map(builder, 1.2e6)
    window, stride = r.choice(((2, 2), (3, 2), (3, 1)))
    builder.call(aten.max_pool2d.default, x, [window] * 2, [stride] * 2, [window // 2] * 2)
    builder.call(aten.avg_pool2d.default, x, [window] * 2, [stride] * 2)
    if r.random() < 0.5:
        builder.call(aten.avg_pool2d.default, x, list(x.meta["val"].shape[2:]))
    builder.call(aten.adaptive_avg_pool2d.default, x, [1, 1])
    edge = r.choice((2, 3, 6, 7, 7, 14))
    builder.call(aten.adaptive_avg_pool2d.default, x, [edge, edge])
    line = builder.written(1, r.choice(CHANNELS), r.choice((49, 64, 100, 196, 400)))
    builder.call(aten.adaptive_avg_pool1d.default, line, [r.choice((1, 1, 4, 16))])
    c = x.meta["val"].shape[1]
    if c % 8 == 0:
        builder.call(aten.group_norm.default, x, r.choice((4, 8)), builder.given(c), builder.given(c))


def resizing(builder: Builder) -> None:
    r = builder.random
    x = _map(builder, 3e5)
    large = builder.written(1, r.choice((3, 16, 24, 32, 48, 64)), *[r.choice((40, 48, 56, 64, 80))] * 2)
    for image in (x, large):
        builder.call(aten.upsample_nearest2d.vec, image, None, [2.0, 2.0])
        builder.call(aten.upsample_bilinear2d.vec, image, None, False, [2.0, 2.0])
    builder.call(aten.pad.default, x, [1, r.choice((1, 3)), 1, 1])
    builder.call(aten.constant_pad_nd.default, x, [0, 1, 0, 1], 0.0)


def copies(builder: Builder) -> None:
    """Layouts that have to be copied, and tensors put together."""
    r = builder.random
    batch, length, heads, depth = (
        r.choice((1, 1, 2, 8)),
        _size(builder, 8, 800),
        r.choice((2, 4, 8, 12)),
        r.choice((16, 32, 64, 128)),
    )
    x = builder.written(batch, length, heads, depth)
    builder.call(aten.contiguous.default, builder.call(aten.permute.default, x, [0, 2, 1, 3]))
    builder.call(aten.contiguous.default, builder.call(aten.permute.default, x, [0, 2, 3, 1]))
    builder.call(aten.clone.default, x)
    y = _map(builder, 1.5e6)
    builder.call(aten.contiguous.default, builder.call(aten.permute.default, y, [0, 2, 3, 1]))
    flat = builder.call(aten.flatten.using_ints, y, 2)
    turned = builder.call(aten.transpose.int, flat, 1, 2)
    builder.call(aten.contiguous.default, turned)
    builder.call(aten.add.Tensor, turned, 1.0)
    c = y.meta["val"].shape[1]
    builder.call(aten.layer_norm.default, turned, [c], builder.given(c), builder.given(c), 1e-5)
    builder.call(aten.cat.default, [y, y], r.choice((1, 1, -1)))
    builder.call(aten.cat.default, [x, builder.base(batch, length, heads, depth)], r.choice((1, -1)))
    half = builder.call(aten.slice.Tensor, x, 3, 0, depth // 2)
    other = builder.call(aten.slice.Tensor, x, 3, depth // 2, depth)
    builder.call(aten.cat.default, [builder.call(aten.neg.default, other), half], -1)
    builder.call(aten.stack.default, [x, x], 0)
    builder.call(aten.roll.default, x, [1, 1], [1, 2])


def gathers(builder: Builder) -> None:
    r = builder.random
    count, width, table = _size(builder, 1, 1500), r.choice(WIDTHS[:12]), r.choice((64, 512, 2000, 8000))
    found = builder.call(aten.embedding.default, builder.given(table, width), builder.indices(table, 1, count))
    builder.call(aten.add.Tensor, found, found)
    index = builder.indices(count, count)
    builder.call(aten.index_select.default, found, 1, index)
    builder.call(aten.index.Tensor, found, [None, index])
    table2 = builder.given(r.choice((64, 512, 2000)), r.choice((1, 4, 12, 64, 256)), kind="noise")
    builder.call(aten.index.Tensor, table2, [builder.indices(64, _size(builder, 10, 3000))])
    near = builder.indices(width, 1, count, 16)
    builder.call(aten.gather.default, found, 2, near)
    builder.call(aten.cumsum.default, near, r.choice((1, 2)))
    builder.call(aten.arange.default, count, device=torch.device("cpu"), pin_memory=False)
    builder.call(aten.full.default, [count, 64], 0.5, device=torch.device("cpu"), pin_memory=False)
    builder.call(aten.zeros_like.default, found)


def small(builder: Builder) -> None:
    """Views and other calls that move little: what a call costs by itself."""
    r = builder.random
    size = r.choice((1, 2, 8)), r.choice((4, 8, 12)), r.choice((8, 16)), r.choice((16, 32, 64))
    x = builder.written(*size)
    for _ in range(2):
        builder.call(aten.permute.default, x, [0, 2, 1, 3])
        builder.call(aten.transpose.int, x, 1, 2)
        builder.call(aten.unsqueeze.default, x, 1)
        builder.call(aten.view.default, x, [-1])
        builder.call(aten.reshape.default, x, [-1, size[-1]])
        builder.call(aten.expand.default, builder.call(aten.select.int, x, 0, 0), [3, *size[1:]])
        builder.call(aten.slice.Tensor, x, 1, 0, 2)
        builder.call(aten.dropout.default, x, 0.1, False)
        builder.call(aten.split.Tensor, x, 2, 1)
        builder.call(aten.chunk.default, x, 2, -1)
        builder.call(aten.flatten.using_ints, x, 1)
        builder.call(aten.squeeze.dim, x, 0)
        builder.call(aten.contiguous.default, x)
        builder.call(aten.to.dtype, x, torch.float32)
        builder.call(aten.add.Tensor, x, 1)
        builder.call(r.choice(UNARY), x)


# How often each case stands in one program.
MIX: dict[Callable[[Builder], None], int] = {
    linear: 17, addmm: 3, matmul: 4, attention: 8, convolution: 13, depthwise: 6, stem: 3, patches: 1, conv1d: 4,
    images: 9, words: 5, channels_last: 5, grouped: 6, sequences: 3, transposed: 4, weight_norm: 2, pointwise: 14,
    logical: 3, rows: 6, reductions: 4, pooling: 4, resizing: 3, copies: 3, gathers: 3, small: 2,
}  # fmt: skip
# Programs of the whole mix, and short ones: those find in the caches what the run before left, as small models do.
PROGRAMS, SHORT, SHORT_CASES = 5, 16, 8
PROBE = "probe_"  # how the names of probes begin


def program(seed: int) -> Samples:
    """Program ``seed`` of the calibration: all kinds of cases in a drawn order, and probes between."""
    builder = Builder(seed)
    cases = [case for case, times in MIX.items() for _ in range(times)]
    builder.random.shuffle(cases)
    if seed >= PROGRAMS:
        cases = [
            builder.random.choice((images, words, words, channels_last, depthwise, convolution)),
            *cases[: SHORT_CASES - 1],
        ]
    for number, case in enumerate(cases):
        if number % (len(cases) // 3) == 0 and seed < PROGRAMS:
            _probe(builder)
        case(builder)
    return builder.finish()


def _probe(builder: Builder) -> None:
    """The same in every program: whether they agree tells how steady the machine is."""
    x = builder.base(384, 512)
    weight = builder.base(512, 640)
    builder.call(aten.mm.default, x, weight)  # so that the next finds its operands in a cache
    product = builder.call(aten.mm.default, x, weight)
    moved = builder.call(aten.clone.default, builder.base(6_000_000))
    for kind, node in (("product", product), ("copy", moved)):
        builder.name(node, f"{PROBE}{kind}")


class _Block(nn.Module):
    """Attention and a perceptron, written as models write them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.up, self.down = nn.Linear(width, width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.activation, self.dropout = nn.GELU(), nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        shape = (*x.shape[:-1], self.heads, -1)
        q, k, v = (layer(y).view(shape).transpose(1, 2) for layer in (self.query, self.key, self.value))
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + self.dropout(self.out(y))
        return x + self.dropout(self.down(self.activation(self.up(self.norm2(x)))))


class _Convolutions(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.Identity()),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.layers(x))


class Network(nn.Module):
    """Small modules in number: what its run takes beside its operators is the Python of their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.images = nn.Sequential(*[_Convolutions(48) for _ in range(12)])
        self.rows = nn.ModuleList([_Block(128, 4) for _ in range(12)])
        self.into = nn.Linear(48, 128)

    def inputs(self) -> tuple[torch.Tensor]:
        return (torch.randn(1, 48, 14, 14),)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.into(self.images(x).flatten(2).transpose(1, 2))
        for row in self.rows:
            x = row(x)
        return x
