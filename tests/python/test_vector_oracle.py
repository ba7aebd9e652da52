"""Element work against definitions written with plain operators (plain_counts.py): the values must agree with torch's
own operator, and the operations that the definition really runs must be what fxcost counts for the whole operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from costs import Function, totals_of, work_of
from plain_counts import assert_equals_definition, plain_counts
from torch import Tensor

torch.set_num_threads(1)
Case = tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[Tensor, ...]]


def r(*shape: int) -> Tensor:
    return torch.linspace(-2, 3, math.prod(shape)).reshape(shape)


def sigmoid(x: Tensor) -> Tensor:
    return torch.reciprocal(1 + torch.exp(-x))


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    e = torch.exp(x - x.amax(dim, keepdim=True))
    return e / e.sum(dim, keepdim=True)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    shifted = x - x.amax(dim, keepdim=True)
    return shifted - torch.log(torch.exp(shifted).sum(dim, keepdim=True))


def normalise(x: Tensor, dims: tuple[int, ...], eps: float = 1e-5) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(dims, keepdim=True) + eps)


def variance(x: Tensor, dim: int) -> Tensor:
    """Divides by the plain number of elements: the same work as by one less."""
    centred = x - x.mean(dim, keepdim=True)
    return (centred * centred).mean(dim)


def relu6(x: Tensor) -> Tensor:
    return torch.clamp(x, 0, 6)


def gelu_tanh(x: Tensor) -> Tensor:
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1 + torch.tanh(inner))


def batch_norm_training(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    n = x.numel() / x.shape[1]
    batch_mean = x.mean((0, 2), keepdim=True)
    centred = x - batch_mean
    batch_var = (centred * centred).mean((0, 2), keepdim=True)
    _ = 0.9 * mean + 0.1 * batch_mean.flatten()
    _ = 0.9 * var + 0.1 * (batch_var.flatten() * (n / (n - 1)))
    return centred * torch.rsqrt(batch_var + 1e-5) * weight[:, None] + bias[:, None]


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = torch.bmm(q, k.transpose(1, 2)) * (1 / math.sqrt(q.shape[-1]))
    if mask is not None:
        scores = torch.where(mask, scores, -math.inf) if mask.dtype == torch.bool else scores + mask
    return torch.bmm(softmax(scores), v)


def cross_entropy(x: Tensor, target: Tensor) -> Tensor:
    return (-log_softmax(x, 1).gather(1, target[:, None])).mean()


X = r(4, 6)
POSITIVE = X.abs() / 4 + 0.05
UNIT = torch.linspace(0.05, 0.95, 24).reshape(4, 6)
IMAGE = r(2, 3, 8, 6)
CLASSES = torch.tensor([0, 5, 2, 1])
MASK = torch.arange(35).reshape(5, 7) % 3 != 0

CASES: dict[str, Case] = {
    "add": (torch.add, lambda x, y: x + y, (X, r(6))),
    "add alpha": (lambda x, y: torch.add(x, y, alpha=3), lambda x, y: x + 3 * y, (X, X)),
    "add in place": (lambda x: (x * 2).add_(1), lambda x: x * 2 + 1, (X,)),
    "rsub": (lambda x: 1 - x, lambda x: 1 - x, (X,)),
    "square": (torch.square, lambda x: x * x, (X,)),
    "pow 2": (lambda x: x**2, lambda x: x * x, (X,)),
    "pow 3": (lambda x: x**3, lambda x: x * x * x, (X,)),
    "pow -2": (lambda x: x**-2, lambda x: torch.reciprocal(x * x), (POSITIVE,)),
    "pow 0.5": (lambda x: x**0.5, torch.sqrt, (POSITIVE,)),
    "sigmoid": (torch.sigmoid, sigmoid, (X,)),
    "silu": (F.silu, lambda x: x * sigmoid(x), (X,)),
    "mish": (F.mish, lambda x: x * torch.tanh(torch.log1p(torch.exp(x))), (X,)),
    "gelu": (F.gelu, lambda x: 0.5 * x * (1 + torch.erf(x * math.sqrt(0.5))), (X,)),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), gelu_tanh, (X,)),
    "softplus": (
        lambda x: F.softplus(x, beta=2, threshold=3),
        lambda x: torch.where((y := 2 * x) > 3, x, torch.log1p(torch.exp(y)) / 2),
        (X,),
    ),
    "logsigmoid": (F.logsigmoid, lambda x: torch.clamp(x, max=0) - torch.log1p(torch.exp(-torch.abs(x))), (X,)),
    "elu": (lambda x: F.elu(x, 0.5), lambda x: torch.where(x > 0, x, 0.5 * torch.expm1(x)), (X,)),
    "celu": (lambda x: F.celu(x, 0.5), lambda x: torch.where(x > 0, x, 0.5 * torch.expm1(x / 0.5)), (X,)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), lambda x: torch.where(x > 0, x, 0.1 * x), (X,)),
    "hardsigmoid": (F.hardsigmoid, lambda x: relu6(x + 3) / 6, (X,)),
    "hardswish": (F.hardswish, lambda x: x * (relu6(x + 3) / 6), (X,)),
    "relu6": (F.relu6, relu6, (X,)),
    "glu": (F.glu, lambda x: x[:, :3] * sigmoid(x[:, 3:]), (X,)),
    "logit": (torch.logit, lambda x: torch.log(x / (1 - x)), (UNIT,)),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.3), lambda x, y: x + 0.3 * (y - x), (X, X + 1)),
    "addcmul": (torch.addcmul, lambda x, y, z: x + y * z, (X, X, X)),
    "addcdiv scaled": (
        lambda x, y, z: torch.addcdiv(x, y, z, value=0.5),
        lambda x, y, z: x + 0.5 * y / z,
        (X, X, POSITIVE),
    ),
    "hypot": (torch.hypot, lambda x, y: torch.sqrt(x * x + y * y), (X, X + 1)),
    "logaddexp": (
        torch.logaddexp,
        lambda x, y: torch.maximum(x, y) + torch.log1p(torch.exp(-torch.abs(x - y))),
        (X, X + 1),
    ),
    "where": (lambda x, y: torch.where(x > 0, x, y), lambda x, y: torch.where(x > 0, x, y), (X, X + 1)),
    "dropout in eval": (lambda x: F.dropout(x, 0.5, False), lambda x: x.clone(), (X,)),
    "sum": (lambda x: x.sum(1), lambda x: x.sum(1), (X,)),
    "sum of all": (torch.sum, torch.sum, (X,)),
    "mean": (lambda x: x.mean(0), lambda x: x.sum(0) / 4, (X,)),
    "amax": (lambda x: x.amax(1), lambda x: x.amax(1), (X,)),
    "max with indices": (lambda x: x.max(1)[0], lambda x: x.amax(1), (X,)),
    "var": (lambda x: x.var(1, unbiased=False), lambda x: variance(x, 1), (X,)),
    "std": (lambda x: x.std(1, unbiased=False), lambda x: torch.sqrt(variance(x, 1)), (X,)),
    "norm 2": (lambda x: x.norm(dim=1), lambda x: torch.sqrt((x * x).sum(1)), (X,)),
    "norm 1": (lambda x: torch.linalg.vector_norm(x, 1, 1), lambda x: torch.abs(x).sum(1), (X,)),
    "norm inf": (lambda x: torch.linalg.vector_norm(x, math.inf, 1), lambda x: torch.abs(x).amax(1), (X,)),
    "logsumexp": (
        lambda x: torch.logsumexp(x, 1),
        lambda x: (m := x.amax(1)) + torch.log(torch.exp(x - m[:, None]).sum(1)),
        (X,),
    ),
    "softmax": (lambda x: F.softmax(x, -1), softmax, (X,)),
    "softmax over the first": (lambda x: F.softmax(x, 0), lambda x: softmax(x, 0), (X,)),
    "log_softmax": (lambda x: F.log_softmax(x, -1), log_softmax, (X,)),
    "layer_norm": (
        lambda x, w, b: F.layer_norm(x, (6,), w, b),
        lambda x, w, b: normalise(x, (1,)) * w + b,
        (X, r(6), r(6)),
    ),
    "layer_norm plain, two dims": (
        lambda x: F.layer_norm(x, (8, 6)),
        lambda x: normalise(x, (2, 3)),
        (IMAGE,),
    ),
    "rms_norm": (
        lambda x, w: F.rms_norm(x, (6,), w, 1e-5),
        lambda x, w: x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-5) * w,
        (X, r(6)),
    ),
    "group_norm": (
        lambda x, w, b: F.group_norm(x, 3, w, b),
        lambda x, w, b: normalise(x.view(2, 3, 2, 5), (2, 3)).view(2, 6, 5) * w[:, None] + b[:, None],
        (r(2, 6, 5), r(6), r(6)),
    ),
    "instance_norm": (F.instance_norm, lambda x: normalise(x, (2, 3)), (IMAGE,)),
    "batch_norm eval": (
        lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b),
        lambda x, m, v, w, b: (x - m[:, None]) * torch.rsqrt(v + 1e-5)[:, None] * w[:, None] + b[:, None],
        (r(2, 3, 5), r(3), r(3).abs(), r(3), r(3)),
    ),
    "batch_norm training": (
        lambda x, m, v, w, b: F.batch_norm(x, m.clone(), v.clone(), w, b, True),
        batch_norm_training,
        (r(2, 3, 5), r(3), r(3).abs(), r(3), r(3)),
    ),
    "avg_pool2d": (
        lambda x: F.avg_pool2d(x, 2),
        lambda x: x.unfold(2, 2, 2).unfold(3, 2, 2).reshape(2, 3, 4, 3, 4).mean(-1),
        (IMAGE,),
    ),
    "max_pool2d": (
        lambda x: F.max_pool2d(x, (3, 2), 1),
        lambda x: x.unfold(2, 3, 1).unfold(3, 2, 1).reshape(2, 3, 6, 5, 6).amax(-1),
        (IMAGE,),
    ),
    "adaptive_avg_pool1d": (
        lambda x: F.adaptive_avg_pool1d(x, 5),
        lambda x: torch.stack([x[..., i * 8 // 5 : -(-(i + 1) * 8 // 5)].mean(-1) for i in range(5)], -1),
        (r(2, 3, 8),),
    ),
    "adaptive_avg_pool2d to one": (lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: x.mean((2, 3), True), (IMAGE,)),
    "adaptive_max_pool1d": (
        lambda x: F.adaptive_max_pool1d(x, 5),
        lambda x: torch.stack([x[..., i * 8 // 5 : -(-(i + 1) * 8 // 5)].amax(-1) for i in range(5)], -1),
        (r(2, 3, 8),),
    ),
    "mse_loss": (F.mse_loss, lambda x, y: ((d := x - y) * d).mean(), (X, X + 1)),
    "mse_loss sum": (
        lambda x, y: F.mse_loss(x, y, reduction="sum"),
        lambda x, y: ((d := x - y) * d).sum(),
        (X, X + 1),
    ),
    "l1_loss none": (
        lambda x, y: F.l1_loss(x, y, reduction="none"),
        lambda x, y: torch.abs(x - y),
        (X, X + 1),
    ),
    "binary_cross_entropy": (
        F.binary_cross_entropy,
        lambda x, y: (-(y * torch.log(x) + (1 - y) * torch.log(1 - x))).mean(),
        (UNIT, UNIT.flip(0)),
    ),
    "binary_cross_entropy_with_logits": (
        F.binary_cross_entropy_with_logits,
        lambda x, y: ((1 - y) * x + torch.clamp(-x, min=0) + torch.log1p(torch.exp(-torch.abs(x)))).mean(),
        (X, UNIT),
    ),
    "kl_div": (
        lambda x, y: F.kl_div(x, y, reduction="mean"),
        lambda x, y: (y * (torch.log(y) - x)).mean(),
        (X, UNIT),
    ),
    "soft_margin_loss": (
        F.soft_margin_loss,
        lambda x, y: torch.log1p(torch.exp(-x * y)).mean(),
        (X, torch.where(X > 0.3, 1.0, -1.0)),
    ),
    "poisson_nll_loss": (F.poisson_nll_loss, lambda x, y: (torch.exp(x) - y * x).mean(), (X, UNIT)),
    "nll_loss": (F.nll_loss, lambda x, t: (-x.gather(1, t[:, None])).mean(), (X, CLASSES)),
    "cross_entropy": (F.cross_entropy, cross_entropy, (X, CLASSES)),
    "cross_entropy of probabilities": (
        F.cross_entropy,
        lambda x, y: (-(log_softmax(x, 1) * y).sum(1)).mean(),
        (X, UNIT),
    ),
    "cosine_similarity": (
        F.cosine_similarity,
        lambda x, y: (x * y).sum(1) / torch.clamp(torch.sqrt((x * x).sum(1)) * torch.sqrt((y * y).sum(1)), min=1e-8),
        (X, X + 1),
    ),
    "pairwise_distance": (
        F.pairwise_distance,
        lambda x, y: torch.sqrt(((d := x - y + 1e-6) * d).sum(1)),
        (X, X + 1),
    ),
    "attention": (F.scaled_dot_product_attention, attention, (r(2, 5, 8), r(2, 7, 8), r(2, 7, 6))),
    "attention, added mask": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m),
        attention,
        (r(2, 5, 8), r(2, 7, 8), r(2, 7, 6), r(5, 7)),
    ),
    "attention, boolean mask": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m),
        attention,
        (r(2, 5, 8), r(2, 7, 8), r(2, 7, 6), MASK),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_definition(name: str) -> None:
    assert_equals_definition(*CASES[name])


def lstm_step(x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor) -> Tensor:
    i, f, g, o = (torch.mm(x, w.t()) + torch.mm(h, u.t())).chunk(4, 1)
    c = sigmoid(f) * c + sigmoid(i) * torch.tanh(g)
    return sigmoid(o) * torch.tanh(c)


def gru_step(x: Tensor, h: Tensor, w: Tensor, u: Tensor) -> Tensor:
    (r_x, z_x, n_x), (r_h, z_h, n_h) = torch.mm(x, w.t()).chunk(3, 1), torch.mm(h, u.t()).chunk(3, 1)
    z = sigmoid(z_x + z_h)
    return (1 - z) * torch.tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * h


def test_lstm_and_gru_steps() -> None:
    x, h, c = r(3, 10), r(3, 4) / 4, r(3, 4) / 5
    for gates, definition, state in ((4, lstm_step, (h, c)), (3, gru_step, (h,))):
        w, u = r(gates * 4, 10) / 9, r(gates * 4, 4) / 7
        cell = torch.lstm_cell if gates == 4 else torch.gru_cell
        network = torch.ops.aten.lstm.input if gates == 4 else torch.ops.aten.gru.input

        def one_cell(x: Tensor, *state: Tensor, cell: Any = cell, w: Tensor = w, u: Tensor = u) -> Tensor:
            return cell(x, state, w, u)[0] if len(state) == 2 else cell(x, state[0], w, u)

        def one_step(x: Tensor, *state: Tensor, network: Any = network, w: Tensor = w, u: Tensor = u) -> Tensor:
            first = [s[None] for s in state] if len(state) == 2 else state[0][None]
            return network(x[None], first, [w, u], False, 1, 0.0, False, False, False)[0][0]

        values, expected = plain_counts(definition, x, *state, w, u)
        for function in (one_cell, one_step):
            torch.testing.assert_close(function(x, *state), values, rtol=1e-4, atol=1e-4)
            assert work_of(function, x, *state) == expected


# ---- what is no FLOP ------------------------------------------------------------------------------------------------

FREE: dict[str, Callable[[Tensor], Any]] = {
    "casts": lambda x: x.half().double().to(torch.int32),
    "views": lambda x: x.t().reshape(2, 12).unsqueeze(0).expand(3, 2, 12)[:, 0],
    "copies": lambda x: torch.cat([x, x.clone()]).contiguous().flip(0).roll(1, 0),
    "selection": lambda x: x.masked_fill(torch.ones(4, 6, dtype=torch.bool), 0.0).tril(),
    "gathers": lambda x: x[torch.tensor([0, 2])].index_select(1, torch.tensor([1])),
    "factories": lambda x: torch.zeros_like(x).fill_(2.0) if x is not None else x,
    "padding": lambda x: F.pad(x, (1, 1)),
}


@pytest.mark.parametrize("name", FREE)
def test_moving_data_is_free(name: str) -> None:
    with torch.no_grad():
        totals = totals_of(Function(FREE[name]), (X,))
    counts = totals.counts
    assert totals.unknown_nodes == 0
    assert (totals.flops, counts.transcendentals, counts.int_ops) == (0, 0, 0)


def test_integers_and_booleans_are_no_flops() -> None:
    x = torch.arange(24).reshape(4, 6)
    with torch.no_grad():
        totals = totals_of(Function(lambda x: ((x + 1) * 2 > 7) & (x != 3)), (x,))
    assert totals.flops == 0
    assert totals.counts.int_ops == 5 * 24


def test_comparison_of_floats_is_a_flop() -> None:
    assert work_of(lambda x: x > 0.5, X) == (0, 24, 0)


def test_complex_numbers() -> None:
    z = torch.complex(X, X)
    assert work_of(lambda a, b: a * b, z, z) == (0, 6 * 24, 0)
    assert work_of(lambda a, b: a + b, z, z) == (0, 2 * 24, 0)
    assert work_of(torch.abs, z) == (0, 3 * 24, 24)
    assert work_of(torch.polar, X, X) == (0, 2 * 24, 2 * 24)


def test_dropout_in_training() -> None:
    assert work_of(lambda x: F.dropout(x, 0.5, True), X) == (0, 2 * 24, 0)
    assert work_of(lambda x: F.dropout(x, 0.0, True), X) == (0, 0, 0)


def test_without_a_rule_is_unknown_not_zero() -> None:
    with torch.no_grad():
        totals = totals_of(Function(lambda x: torch.linalg.matrix_exp(x @ x.t()) + 1), (X,))
    assert totals.unknown_nodes == 1
    assert totals.unknown_elements == 16
    assert totals.flops == 2 * 4 * 4 * 6 + 16


def test_size_that_depends_on_data_is_unknown_not_zero() -> None:
    """The result of nonzero has as many rows as the data say: what works on it has no number."""
    with torch.no_grad():
        totals = totals_of(Function(lambda x: torch.nonzero(x).float() * 2), (X,))
    assert totals.unknown_nodes == 1
    assert totals.flops == 24
