"""Cases of ``fxcost calibrate`` that work on images and sequences: convolutions of all kinds, pools, resizing."""

from __future__ import annotations

import torch

from .sample_builder import (
    CHANNELS,
    IMAGES,
    Builder,
    activation,
    batch_norm,
    evenly,
    feature_map,
    full,
    layer_norm,
)

aten = torch.ops.aten


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
    length, (window, stride) = evenly(r, 200, 3000), r.choice(((3, 1), (3, 2), (5, 1), (10, 5), (2, 2), (1, 1)))
    if r.random() < 0.5:
        c = k = r.choice((64, 128, 256, 384, 512, 768))
        groups, window, stride = r.choice((4, 8, 16)), r.choice((3, 4, 7, 15, 31, 64, 128)), 1
        length = evenly(r, 40, 800)
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
    c, window, length = r.choice(CHANNELS[4:18]), r.choice((3, 5, 9, 15, 31, 64)), evenly(r, 16, 600)
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
        x, weight = builder.written(1, c, evenly(r, 30, 600)), builder.given(c, k, window)
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


def pooling(builder: Builder) -> None:
    r = builder.random
    x = feature_map(builder, 1.2e6)
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
    x = feature_map(builder, 3e5)
    large = builder.written(1, r.choice((3, 16, 24, 32, 48, 64)), *[r.choice((40, 48, 56, 64, 80))] * 2)
    for image in (x, large):
        builder.call(aten.upsample_nearest2d.vec, image, None, [2.0, 2.0])
        builder.call(aten.upsample_bilinear2d.vec, image, None, False, [2.0, 2.0])
    builder.call(aten.pad.default, x, [1, r.choice((1, 3)), 1, 1])
    builder.call(aten.constant_pad_nd.default, x, [0, 1, 0, 1], 0.0)
