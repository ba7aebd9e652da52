"""What ``fxcost calibrate`` runs: programs of many ATen operators at many sizes, in a mixed order.

Each program is a graph like a captured one, and is run and timed operator by operator like one: what comes before an
operator, and what is left in the caches, is part of what is measured and of what the program says. Sizes are drawn from
a generator with a fixed seed; they follow no particular model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx, nn

from .sample_builder import WIDTHS, Builder, Samples, activation, evenly, feature_map, full, layer_norm
from .sample_images import (
    channels_last,
    conv1d,
    convolution,
    depthwise,
    grouped,
    images,
    patches,
    pooling,
    resizing,
    sequences,
    stem,
    transposed,
    weight_norm,
)

aten = torch.ops.aten


def linear(builder: Builder) -> None:
    """A fully connected layer, sometimes twice with one weight: then it is in a cache."""
    r = builder.random
    rows, k, n = 1, 1, 1
    while not 2e4 < rows * k * n < 4e8:
        rows = r.choice((1, 1, 1, 2, 4, evenly(r, 5, 64), evenly(r, 16, 4096), evenly(r, 64, 1024)))
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
        rows, k, n = evenly(r, 1, 1024), r.choice(WIDTHS), r.choice(WIDTHS)
    builder.call(aten.addmm.default, builder.given(n), builder.written(rows, k), builder.given(k, n))


def matmul(builder: Builder) -> None:
    """Scores and their weighted sum as some models write them, softmax between."""
    r = builder.random
    heads, depth = r.choice((2, 4, 6, 8, 12, 16, 24)), r.choice((32, 40, 64, 64, 96, 128))
    batch = r.choice((1, 1, 1, 2, 4, 16, 64))
    queries = evenly(r, 16, 384)
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
    queries = r.choice((evenly(r, 16, 190), evenly(r, 192, 760), evenly(r, 768, 1500)))
    keys = r.choice((queries, queries, queries, evenly(r, 32, 1500)))
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


def words(builder: Builder) -> None:
    """A few layers of a transformer of one width, each with weights of its own."""
    r = builder.random
    heads, depth = r.choice((3, 4, 6, 8, 12)), r.choice((32, 64, 64, 96))
    width, length, batch = heads * depth, evenly(r, 12, 400), r.choice((1, 1, 1, 2))
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
    rows, length = evenly(r, 4, 1500), r.choice(WIDTHS)
    rows = rows // 4 if rows * length > 6e6 else rows
    size: tuple[int, ...] = r.choice(((evenly(r, 8, 5e6),), (1, rows, length)))
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
    rows, length = evenly(r, 1, 600), evenly(r, 8, 1500)
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
    count, length = evenly(r, 1, 4000), r.choice((*WIDTHS, 32, 80, 197, 577, 1500))
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
    x = feature_map(builder, 1e6)
    dims = r.choice(([1], [-1], [2, 3], [0, 2, 3]))
    builder.call(r.choice((aten.mean.dim, aten.sum.dim_IntList)), x, dims, r.random() < 0.5)
    builder.call(r.choice((aten.amax.default, aten.amin.default)), x, r.choice(([1], [-1], [2, 3])), False)
    rows = builder.written(evenly(r, 4, 2000), r.choice((*WIDTHS[:10], 32, 48, 197)))
    for dim in (0, 1):
        builder.call(r.choice((aten.mean.dim, aten.sum.dim_IntList)), rows, [dim], r.random() < 0.5)
        builder.call(r.choice((aten.amax.default, aten.amin.default)), rows, [dim], r.random() < 0.5)
    builder.call(r.choice((aten.sum.default, aten.mean.default)), x)
    builder.call(aten.any.default, builder.call(aten.isnan.default, rows))
    builder.call(aten.argmax.default, x, -1)
    for dim in r.choice(((-1,), (1,), (1, -1))):
        builder.call(aten.cumsum.default, rows, dim - 1 if dim > 0 else dim)


def copies(builder: Builder) -> None:
    """Layouts that have to be copied, and tensors put together."""
    r = builder.random
    batch, length, heads, depth = (
        r.choice((1, 1, 2, 8)),
        evenly(r, 8, 800),
        r.choice((2, 4, 8, 12)),
        r.choice((16, 32, 64, 128)),
    )
    x = builder.written(batch, length, heads, depth)
    builder.call(aten.contiguous.default, builder.call(aten.permute.default, x, [0, 2, 1, 3]))
    builder.call(aten.contiguous.default, builder.call(aten.permute.default, x, [0, 2, 3, 1]))
    builder.call(aten.clone.default, x)
    y = feature_map(builder, 1.5e6)
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
    count, width, table = evenly(r, 1, 1500), r.choice(WIDTHS[:12]), r.choice((64, 512, 2000, 8000))
    found = builder.call(aten.embedding.default, builder.given(table, width), builder.indices(table, 1, count))
    builder.call(aten.add.Tensor, found, found)
    index = builder.indices(count, count)
    builder.call(aten.index_select.default, found, 1, index)
    builder.call(aten.index.Tensor, found, [None, index])
    near = evenly(r, 12, 200)  # rows of a few numbers for all pairs, as biases by relative position are
    builder.call(aten.embedding.default, builder.given(32, r.choice((4, 8, 12, 16))), builder.indices(32, near, near))
    table2 = builder.given(r.choice((64, 512, 2000)), r.choice((1, 4, 12, 64, 256)), kind="noise")
    builder.call(aten.index.Tensor, table2, [builder.indices(64, evenly(r, 10, 3000))])
    places = builder.indices(width, 1, count, 16)
    builder.call(aten.gather.default, found, 2, places)
    builder.call(aten.cumsum.default, places, r.choice((1, 2)))
    for end in (count, count, r.choice((1, count))):  # models make several, one after the other
        builder.call(aten.arange.default, end, device=torch.device("cpu"), pin_memory=False)
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
# Every third of them is stages of one network for images: its few operators, run over and over, stay in the caches.
PROGRAMS, SHORT, SHORT_CASES, STAGES = 5, 15, 8, 4
PROBE = "probe_"  # how the names of probes begin


def program(seed: int) -> Samples:
    """Program ``seed`` of the calibration: all kinds of cases in a drawn order, and probes between."""
    builder, short = Builder(seed), seed >= PROGRAMS
    cases = [case for case, times in MIX.items() for _ in range(times)]
    builder.random.shuffle(cases)
    if short and seed % 3 == 0:
        cases = [images] * STAGES
    elif short:
        cases = [
            builder.random.choice((images, words, words, channels_last, depthwise, convolution)),
            *cases[: SHORT_CASES - 1],
        ]
    between = len(cases) if short else len(cases) // 3
    for number, case in enumerate(cases):
        if number % between == 0:
            _probe(builder, copies=not short)
        case(builder)
    return builder.finish()


def _probe(builder: Builder, copies: bool) -> None:
    """The same in every program: whether they agree tells how steady the machine is. The first of two calls is there so
    that the second finds its operands in a cache; a copy drives from the caches what short programs keep there."""
    product = aten.mm.default, builder.base(384, 512), builder.base(512, 640)
    image, weight = builder.base(1, 256, 14, 14), builder.base(256, 256, 3, 3)
    convolution = aten.conv2d.default, image, weight, None, [1, 1], [1, 1]
    for kind, call in (("product", product), ("convolution", convolution)):
        builder.call(*call)
        builder.name(builder.call(*call), f"{PROBE}{kind}")
    if copies:
        builder.name(builder.call(aten.clone.default, builder.base(6_000_000)), f"{PROBE}copy")


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
    """Modules in number, of sizes at which their operators drive Python from the caches as those of models do: what a
    run takes beside its operators is the Python of their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.images = nn.Sequential(*[_Convolutions(32) for _ in range(12)])
        self.pool = nn.AdaptiveAvgPool2d(14)
        self.rows = nn.ModuleList([_Block(384, 6) for _ in range(12)])
        self.into = nn.Linear(32, 384)

    def inputs(self) -> tuple[torch.Tensor]:
        return (torch.randn(1, 32, 56, 56),)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.into(self.pool(self.images(x)).flatten(2).transpose(1, 2))
        for row in self.rows:
            x = row(x)
        return x
