"""Resampling, distances, and backward operators of their own, against definitions written with plain operators
(plain_counts.py), which compute the same values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from costs import Function, totals_of, work_of
from plain_counts import assert_equals_definition
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.attention.varlen import varlen_attn

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.errors import FxcostError

torch.set_num_threads(1)
aten = torch.ops.aten


def r(*shape: int) -> Tensor:
    return torch.linspace(-2, 3, math.prod(shape)).reshape(shape)


def sigmoid(x: Tensor) -> Tensor:
    return torch.reciprocal(1 + torch.exp(-x))


# ---- distances ------------------------------------------------------------------------------------------------------


def distances(x: Tensor, y: Tensor) -> Tensor:
    d = x[:, None] - y[None]
    return torch.sqrt((d * d).sum(-1))


def flat_distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.abs(x[:, None] - y[None]).sum(-1)


def largest_distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.abs(x[:, None] - y[None]).amax(-1)


def pairs(x: Tensor) -> Tensor:
    first, second = zip(*itertools.combinations(range(len(x)), 2), strict=True)
    d = torch.stack([x[i] for i in first]) - torch.stack([x[i] for i in second])
    return torch.sqrt((d * d).sum(-1))


# ---- sampling -------------------------------------------------------------------------------------------------------

IMAGE = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(1))
GRID = torch.rand(2, 4, 7, 2, generator=torch.Generator().manual_seed(2)) * 1.2 - 0.6  # every corner inside


def place(coordinate: Tensor, size: int, aligned: bool) -> Tensor:
    return (coordinate + 1) / 2 * (size - 1) if aligned else ((coordinate + 1) * size - 1) / 2


def rounded_down(x: Tensor) -> Tensor:
    """One operation; a cast truncates, and all places here are positive."""
    return torch.clamp(x, min=0).to(torch.int64).to(x.dtype)


def corners(image: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
    left, top = x.to(torch.int64), y.to(torch.int64)
    batch = torch.arange(image.shape[0])[:, None, None]
    return [image[:, :, j:, i:][batch, :, top, left].permute(0, 3, 1, 2) for j in (0, 1) for i in (0, 1)]


def weights(grid: Tensor, image: Tensor, aligned: bool) -> tuple[Tensor, Tensor, list[Tensor]]:
    x, y = place(grid[..., 0], image.shape[3], aligned), place(grid[..., 1], image.shape[2], aligned)
    left, top = rounded_down(x), rounded_down(y)
    right_share, below_share = x - left, y - top
    left_share, above_share = 1 - right_share, 1 - below_share
    return left, top, [v * h for v in (above_share, below_share) for h in (left_share, right_share)]


def bilinear(image: Tensor, grid: Tensor, aligned: bool) -> Tensor:
    left, top, shares = weights(grid, image, aligned)
    a, b, c, d = (value * share[:, None] for value, share in zip(corners(image, left, top), shares, strict=True))
    return a + b + c + d


# ---- backward operators ---------------------------------------------------------------------------------------------


def glu_backward(g: Tensor, x: Tensor) -> Tensor:
    a, s = x[:, :3], sigmoid(x[:, 3:])
    gs = g * s
    return torch.cat([gs, gs * (a * (1 - s))], 1)


def mish_backward(g: Tensor, x: Tensor) -> Tensor:
    t = torch.tanh(torch.log1p(torch.exp(x)))
    return g * (t + x * sigmoid(x) * (1 - t * t))


def weight_norm_backward(grad: Tensor, v: Tensor, g: Tensor, norms: Tensor) -> Tensor:
    a = g / norms
    grad_g = (grad * v).sum(1, keepdim=True) / norms
    return a * grad - (a * grad_g / norms) * v


def adaptive_backward(g: Tensor) -> Tensor:
    """Of 6 to 3: each window of 2 is given a half."""
    shared = g / 2
    return (torch.stack([shared, shared], -1) + 0).reshape(2, 3, 6)


Case = tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[Tensor, ...]]
X = r(4, 6)
V = r(4, 5)
NORMS = torch.sqrt((V * V).sum(1, keepdim=True))
CASES: dict[str, Case] = {
    "cdist": (torch.cdist, distances, (r(5, 3), r(4, 3) + 1)),
    "cdist 1": (lambda x, y: torch.cdist(x, y, 1.0), flat_distances, (r(5, 3), r(4, 3) + 1)),
    "cdist inf": (lambda x, y: torch.cdist(x, y, math.inf), largest_distances, (r(5, 3), r(4, 3) + 1)),
    "pdist": (F.pdist, pairs, (r(5, 3),)),
    "dist": (torch.dist, lambda x, y: torch.sqrt(((d := x - y) * d).sum()), (X, X + 1)),
    "grid_sample": (
        lambda x, g: F.grid_sample(x, g, align_corners=False),
        lambda x, g: bilinear(x, g, False),
        (IMAGE, GRID),
    ),
    "grid_sample aligned": (
        lambda x, g: F.grid_sample(x, g, align_corners=True),
        lambda x, g: bilinear(x, g, True),
        (IMAGE, GRID),
    ),
    "glu_backward": (lambda g, x: aten.glu_backward(g, x, 1), glu_backward, (r(4, 3), X)),
    "mish_backward": (aten.mish_backward, mish_backward, (X + 1, X)),
    "logit_backward": (aten.logit_backward, lambda g, x: g / (x * (1 - x)), (X, (X + 3) / 8)),
    "weight_norm_backward": (
        lambda grad, v, g, norms: aten._weight_norm_interface_backward(grad, v, g, norms, 0)[0],
        weight_norm_backward,
        (r(4, 5) / 3, V, r(4, 1), NORMS),
    ),
    "adaptive_avg_pool backward": (
        lambda g: aten._adaptive_avg_pool2d_backward(g[:, :, None], torch.zeros(2, 3, 1, 6))[:, :, 0],
        adaptive_backward,
        (r(2, 3, 3),),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_definition(name: str) -> None:
    assert_equals_definition(*CASES[name])


def test_other_ways_of_sampling() -> None:
    """Per point and coordinate its place 4 and what rounding needs; per value the sum of upsample's kernels."""
    points, values = 2 * 4 * 7, 2 * 3 * 4 * 7
    volume, cube = torch.randn(2, 3, 4, 5, 6), torch.rand(2, 4, 7, 1, 3)

    def sample(mode: str, padding: str = "zeros") -> Callable[..., Tensor]:
        return lambda x, g: F.grid_sample(x, g, mode, padding, align_corners=False)

    assert work_of(sample("nearest"), IMAGE, GRID) == (0, 2 * 5 * points, 0)
    assert work_of(sample("nearest", "border"), IMAGE, GRID) == (0, 2 * 6 * points, 0)
    assert work_of(sample("bilinear", "reflection"), IMAGE, GRID) == (0, (2 * 15 + 4) * points + 7 * values, 0)
    assert work_of(sample("bicubic"), IMAGE, GRID) == (0, 2 * 31 * points + 35 * values, 0)
    assert work_of(sample("bilinear"), volume, cube) == (0, (3 * 7 + 12) * points + 15 * values, 0)


def test_gradients_of_resampling_share_each_element_among_its_corners() -> None:
    """The transpose of a weighted sum: as many products, and a sum for each instead of one less."""
    g = torch.randn(2, 3, 8, 10)
    for name, corners_of, shape in (
        ("upsample_bilinear2d_backward", 4, (2, 3, 4, 5)),
        ("upsample_bicubic2d_backward", 16, (2, 3, 4, 5)),
    ):
        function = getattr(aten, name)
        count = work_of(lambda g, f=function, s=shape: f(g, [8, 10], list(s), False), g)  # type: ignore[misc]
        assert count == (0, 2 * corners_of * g.numel(), 0)
    line = torch.randn(2, 3, 8)
    count = work_of(lambda g: aten.upsample_linear1d_backward(g, [8], [2, 3, 4], False), line)
    assert count == (0, 4 * line.numel(), 0)
    out = F.grid_sample(IMAGE, GRID, align_corners=False)
    points, values = GRID.numel() // 2, out.numel()
    for mask, expected in (
        ([True, True], (8 + 24) * values + (18 + 2) * points),
        ([False, True], 24 * values + (18 + 2) * points),
        ([True, False], 8 * values + 18 * points),
    ):
        count = work_of(
            lambda g, x, p, m=mask: aten.grid_sampler_2d_backward(g, x, p, 0, 0, False, m)[1], out, IMAGE, GRID
        )
        assert count == (0, expected, 0)


# ---- attention ------------------------------------------------------------------------------------------------------


def packed(lengths: list[int], **options: str) -> tuple[int, int, int]:
    tokens, offsets = sum(lengths), torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    q = torch.randn(tokens, 4, 16)

    def attend(q: Tensor, offsets: Tensor) -> Tensor:
        return varlen_attn(q, q, q, offsets, offsets, max(lengths), max(lengths))  # type: ignore[no-any-return]

    data = fxcost.capture(Function(attend), (q, offsets)).to_bytes()
    totals = Analysis(Program.from_bytes(data), **options).totals()
    return totals.unknown_nodes, totals.counts.matrix_flops, totals.counts.transcendentals


def attention_work(lengths: list[int]) -> tuple[int, int]:
    """Each sequence as attention of its own: 4 heads of 16."""
    flops, exps = 0, 0
    for n in lengths:
        q = torch.randn(1, 4, n, 16)
        matrix, _, transcendentals = work_of(lambda q: F.scaled_dot_product_attention(q, q, q), q)
        flops, exps = flops + matrix, exps + transcendentals
    return flops, exps


def test_packed_sequences_are_the_sum_over_sequences_where_their_lengths_are_known() -> None:
    assert packed([9]) == (0, *attention_work([9]))
    assert packed([6, 6, 6]) == (0, *attention_work([6, 6, 6]))
    assert packed([3, 8, 5], sequences="3,8,5") == (0, *attention_work([3, 8, 5]))
    assert packed([3, 8, 5])[0] == 1  # lengths are data: unknown, by name
    assert packed([3, 8, 5], sequences="3,8,6")[0] == 1  # not these


def test_flex_attention_counts_all_pairs_and_what_the_score_function_does() -> None:
    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return flex_attention(q, k, v)  # type: ignore[return-value]

    def scored(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: torch.tanh(s * 0.5 + 1))  # type: ignore

    q, k, v = torch.randn(1, 2, 8, 16), torch.randn(1, 2, 12, 16), torch.randn(1, 2, 12, 16)
    matrix, vector, exps = work_of(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), q, k, v)
    scores = 2 * 8 * 12
    assert flops_of_attention(plain, q, k, v) == (matrix, vector, exps)
    assert flops_of_attention(scored, q, k, v) == (matrix, vector + 2 * scores, exps + scores)


def flops_of_attention(function: Callable[..., Tensor], *args: Tensor) -> tuple[int, int, int]:
    """Of the attention node alone: building the block mask is work of its own."""
    with torch.no_grad():
        row = fxcost.analyze(Function(function), args).by_op()["higher_order.flex_attention"]
    return 2 * row.macs, row.flops - 2 * row.macs, row.transcendentals


def test_an_unknown_sequence_list_is_refused() -> None:
    for value in ("3,", "x", "1,,2", "-1"):
        with pytest.raises(FxcostError, match="lengths with commas"):
            packed([3], sequences=value)


def test_work_that_data_decide_stays_unknown() -> None:
    with torch.no_grad():
        totals = totals_of(Function(lambda x: torch.poisson(x)), (torch.rand(3, 4),))
    assert totals.unknown_nodes == 1
