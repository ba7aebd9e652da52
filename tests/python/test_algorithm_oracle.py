"""Operators whose work follows from ATen's algorithm: against the algorithm written with plain operators
(plain_counts.py), which computes the same values, and for windows of resizing against the weights that torch uses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from costs import Function, totals_of, work_of
from plain_counts import plain_counts
from torch import Tensor

import fxcost

torch.set_num_threads(1)
aten = torch.ops.aten
Work = tuple[int, int, int]


def ran(function: Callable[..., Tensor], *args: Tensor) -> Work:
    """Of what torch.export does not take: recorded while it runs."""
    with torch.no_grad(), fxcost.record() as recording:
        function(*args)
    report = recording.report()
    assert report.unknown == {}
    counts = report.to_dict()["totals"]
    return counts["matrix_flops"], counts["vector_flops"], counts["transcendentals"]


# ---- antialiased resizing -------------------------------------------------------------------------------------------


def windows(kind: str, source: int, size: int) -> int:
    """Places with a weight: what each of the results is made of, read off the identity."""
    identity = torch.eye(source)[None, :, None, :].contiguous()
    weights = getattr(aten, f"_upsample_{kind}2d_aa")(identity, [1, size], False)
    return int((weights != 0).sum())


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width", "high", "wide"), [(10, 16, 7, 7), (9, 12, 4, 5), (7, 31, 16, 8)])
def test_antialiased_resizing(kind: str, height: int, width: int, high: int, wide: int) -> None:
    down, across = windows(kind, height, high), windows(kind, width, wide)
    assert down > high and across > wide
    x = torch.randn(2, 3, height, width)
    work = work_of(lambda x: F.interpolate(x, (high, wide), mode=kind, antialias=True), x)
    # along the width of every row of the input, then along the height of every column of the result
    assert work == (0, 2 * 3 * (height * (2 * across - wide) + wide * (2 * down - high)), 0)
    backward = getattr(aten, f"_upsample_{kind}2d_aa_backward")
    work = work_of(lambda g: backward(g, [high, wide], [2, 3, height, width], False), torch.randn(2, 3, high, wide))
    assert work == (0, 2 * 3 * 2 * down * across, 0)


# ---- gradients of distances -----------------------------------------------------------------------------------------


def gradient(x: Tensor, y: Tensor, g: Tensor, d: Tensor, p: float) -> Tensor:
    """Of the rows of x; every term is added to what is there."""
    total = torch.zeros_like(x)
    for j in range(len(y)):
        difference = x - y[j]
        share, distance = g[:, j, None].expand_as(x), d[:, j, None].expand_as(x)
        total = total + (difference * share / distance if p == 2 else torch.clamp(difference, -1, 1) * share)
    return total


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_gradients_of_distances(p: float) -> None:
    x, y = torch.arange(15.0).reshape(5, 3) * 7, torch.arange(12.0).reshape(4, 3) * 5 + 2  # differences above 1
    g, d = torch.randn(5, 4), torch.cdist(x, y, p)
    values, work = plain_counts(lambda *a: gradient(*a, p), x, y, g, d)
    torch.testing.assert_close(values, aten._cdist_backward(g, x, y, p, d))
    assert work_of(lambda g, x, y, d: aten._cdist_backward(g, x, y, p, d), g, x, y, d) == work
    # of pdist each pair has two rows: a sum more
    pairs = F.pdist(x, p)
    work = work_of(lambda g, x, d: aten._pdist_backward(g, x, p, d), pairs, x, pairs)
    assert work == (0, 5 * pairs.numel() * 3, 0)


def test_gradients_of_other_orders() -> None:
    x, y = torch.randn(5, 3), torch.randn(4, 3)
    for p, flops, powers in ((1.5, 7, 1), (3.0, 6, 1), (float("inf"), 11, 0), (0.0, 0, 0)):
        d = torch.cdist(x, y, p)
        work = work_of(lambda g, x, y, d, p=p: aten._cdist_backward(g, x, y, p, d), d, x, y, d)
        assert work == (0, flops * 60, powers * (60 + 20)), p


# ---- bicubic sampling -----------------------------------------------------------------------------------------------

A = -0.75  # of ATen's cubic kernel


def cubic(t: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Weights of the four neighbours of a place, as Horner's scheme has them, and their derivatives."""
    far, near, next_, last = t + 1, t, 1 - t, 2 - t
    outer = lambda x: ((A * x - 5 * A) * x + 8 * A) * x - 4 * A  # noqa: E731
    inner = lambda x: ((A + 2) * x - (A + 3)) * x * x + 1  # noqa: E731
    weights = [outer(far), inner(near), inner(next_), outer(last)]
    minus_far, minus_near, plus_next, plus_last = -1 - t, -t, 1 - t, 2 - t
    slopes = [
        (-3 * A * minus_far - 10 * A) * minus_far - 8 * A,
        (-3 * (A + 2) * minus_near - 2 * (A + 3)) * minus_near,
        (3 * (A + 2) * plus_next - 2 * (A + 3)) * plus_next,
        (3 * A * plus_last - 10 * A) * plus_last + 8 * A,
    ]
    return weights, slopes


def bicubic_gradient(g: Tensor, image: Tensor, grid: Tensor) -> Tensor:
    """Of the grid, all corners inside of the image."""
    size = image.shape[-1]
    places = [((grid[..., k] + 1) * size - 1) / 2 for k in (0, 1)]
    down = [torch.clamp(place, min=0).to(torch.int64) for place in places]  # one operation: rounded down
    (wx, dx), (wy, dy) = (cubic(place - whole.to(place.dtype)) for place, whole in zip(places, down, strict=True))
    batch, padded = torch.arange(len(image))[:, None, None], F.pad(image, (1, 0, 1, 0))
    corners = [[padded[:, :, j:, i:][batch, :, down[1], down[0]] for j in range(4)] for i in range(4)]
    gix = torch.zeros(g.shape).permute(0, 2, 3, 1)
    giy, share = gix, g.permute(0, 2, 3, 1)
    for i in range(4):
        for j in range(4):
            value = corners[i][j]
            gix = gix - value * dx[i][..., None] * wy[j][..., None] * share
            giy = giy - value * dy[j][..., None] * wx[i][..., None] * share
    return torch.stack([gix.sum(-1) * (size / 2), giy.sum(-1) * (size / 2)], -1)


def test_gradients_of_bicubic_sampling() -> None:
    image, grid = torch.randn(2, 1, 9, 9), torch.rand(2, 4, 7, 2) - 0.5
    g = torch.randn(2, 1, 4, 7)

    def backward(mask: list[bool]) -> Callable[..., Tensor]:
        return lambda g, x, p: aten.grid_sampler_2d_backward(g, x, p, 2, 0, False, mask)[1]

    values, work = plain_counts(bicubic_gradient, g, image, grid)
    torch.testing.assert_close(values, backward([False, True])(g, image, grid), rtol=1e-4, atol=1e-4)
    points = grid.numel() // 2
    counted = work_of(backward([False, True]), g, image, grid)
    assert counted == work
    both = work_of(backward([True, True]), g, image, grid)
    assert both[1] - counted[1] == 16 * 3 * points  # two factors of a weight, and the sum


# ---- connectionist temporal classification --------------------------------------------------------------------------

NEVER = torch.tensor(-1e30)


def joined(*terms: Tensor) -> Tensor:
    largest = terms[0]
    for term in terms[1:]:
        largest = torch.maximum(largest, term)
    total = torch.exp(terms[0] - largest)
    for term in terms[1:]:
        total = total + torch.exp(term - largest)
    return torch.log(total) + largest


def states(target: list[int]) -> list[int]:
    return [0, *(label for pair in zip(target, [0] * len(target), strict=True) for label in pair)]


def recursion(log_probs: list[Tensor], labels: list[int]) -> list[list[Tensor]]:
    """Logarithms of the probabilities of all beginnings, step by step."""
    rows = [[log_probs[0][label] if s < 2 else NEVER for s, label in enumerate(labels)]]
    for row in log_probs[1:]:
        before = rows[-1]
        rows.append(
            [
                joined(
                    before[s],
                    before[s - 1] if s > 0 else NEVER,
                    before[s - 2] if s > 1 and labels[s] != labels[s - 2] else NEVER,
                )
                + row[label]
                for s, label in enumerate(labels)
            ]
        )
    return rows


def ctc(log_probs: Tensor, targets: list[list[int]], lengths: list[int]) -> tuple[Tensor, list[list[list[Tensor]]]]:
    losses, alphas = [], []
    for b, (target, length) in enumerate(zip(targets, lengths, strict=True)):
        alphas.append(recursion(list(log_probs[:length, b]), states(target)))
        losses.append(-joined(*alphas[-1][-1][-2:]))
    return torch.stack(losses), alphas


def ctc_gradient(log_probs: Tensor, targets: list[list[int]], lengths: list[int], alphas: list, g: Tensor) -> Tensor:
    """Of the logarithms, of sequences that are all as long: beginnings and ends joined by class."""
    rows: list[list[Tensor]] = [[] for _ in range(len(log_probs))]
    for b, target in enumerate(targets):
        labels, last = states(target), len(log_probs) - 1
        betas = recursion(list(log_probs[:, b].unbind()[::-1]), labels[::-1])[::-1]
        for t in range(len(log_probs)):
            classes = [NEVER] * log_probs.shape[2]
            for s, label in enumerate(labels):
                if t < last or s >= len(labels) - 2:
                    both = alphas[b][t][s] + betas[t][len(labels) - 1 - s]
                    classes[label] = both if t == last else joined(classes[label], both)
            rows[t].append(torch.stack(classes))
    collected = torch.stack([torch.stack(row) for row in rows])
    losses = torch.stack([-joined(*alpha[-1][-2:]) for alpha in alphas])
    return (torch.exp(log_probs) - torch.exp(collected + losses[None, :, None] - log_probs)) * g[None, :, None]


def test_ctc_loss() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(8, 2, 5).log_softmax(-1)
    targets, lengths = [[1, 2, 2], [3, 4, 1]], [8, 6]
    flat, sizes = torch.tensor(targets), (3, 3)
    (losses, _), work = plain_counts(ctc, log_probs, targets, lengths)
    torch.testing.assert_close(losses, F.ctc_loss(log_probs, flat, tuple(lengths), sizes, reduction="none"))
    assert ran(lambda x: aten._ctc_loss(x, flat, lengths, sizes)[0], log_probs) == work
    mean = ran(lambda x: torch.ctc_loss(x, flat, lengths, sizes, 0, 1, True), log_probs)
    # a test for infinity and two quotients and a sum: 2 + 2 + 2
    assert mean[1] >= work[1] + 4 and mean[2] == work[2]


def test_ctc_gradient() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(8, 2, 5).log_softmax(-1)
    targets, lengths = [[1, 2, 2], [3, 4, 1]], [8, 8]
    losses, alphas = ctc(log_probs, targets, lengths)
    g = torch.tensor([1.0, 3.0])
    values, work = plain_counts(ctc_gradient, log_probs, targets, lengths, alphas, g)
    ours = aten._ctc_loss(log_probs, torch.tensor(targets), lengths, [3, 3], 0, False)
    args = g, log_probs, torch.tensor(targets), lengths, [3, 3], ours[0], ours[1], 0
    torch.testing.assert_close(values, aten._ctc_loss_backward(*args), rtol=1e-4, atol=1e-5)
    matrix, flops, transcendentals = ran(lambda lp: aten._ctc_loss_backward(g, lp, *args[2:]), log_probs)
    loss_again = 2 * 6, 2 * 3  # the operator is given the losses
    assert (matrix, flops, transcendentals) == (0, work[1] - loss_again[0], work[2] - loss_again[1])


# ---- draws and distinct elements ------------------------------------------------------------------------------------


def one_draw(weights: Tensor, noise: Tensor) -> Tensor:
    return (weights / noise).amax(-1)


def test_draws() -> None:
    x = torch.rand(3, 10)
    _, work = plain_counts(one_draw, x, torch.rand(3, 10))
    assert work_of(lambda x: torch.multinomial(x, 1), x) == work
    assert work_of(lambda x: torch.multinomial(x, 3), x) == (0, 30 + 30 + 9 * 2, 0)  # quotients, topk of 3
    # running sums and quotients of a row, 4 comparisons to find one of 10
    assert work_of(lambda x: torch.multinomial(x, 5, replacement=True), x) == (0, 30 + 30 + 15 * 4, 0)


def test_distinct_elements() -> None:
    """Their number is data, the comparisons are not: 30 elements sorted in 5 rounds, then each with the next."""
    x = torch.rand(3, 10)
    assert work_of(lambda x: torch.unique(x), x) == (0, 30 * 5 + 29, 0)
    assert work_of(lambda x: torch.unique_consecutive(x), x) == (0, 29, 0)
    totals = totals_of(Function(lambda x: torch.unique(x, dim=0)), (x,))
    assert totals.unknown_nodes == 1  # comparing rows ends at the first difference
