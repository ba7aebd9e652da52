"""What fxcost's fusion decisions (fxcost.compiler.cost_choices) are judged on.

Two compilations of each program, by Inductor's own choices and by fxcost's, one thread, float32, inference. Metric:
bytes of all kernels by Inductor's own count, and the least wall-clock time of interleaved runs; what is less than 2 %
apart is equal. Held: at least two of PROGRAMS have fewer bytes or take less time, and no program and no model of MODELS
takes 2 % more. SCHEDULED models are compared kernel by kernel; equal kernels are equal code.

The kinds of programs were found by trying; this list with its sizes and limits was written down before its first run.
There are two kinds: a value that is used twice behind a product and shares its input with something before it, and
loops over types that Inductor has no vectors for beside others. The last four are for what should stay as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path += [str(Path(__file__).resolve().parents[1] / "tests" / part) for part in ("inductor", "python")]
from fused_models import MODELS as _MODELS  # noqa: E402
from fused_models import TRAINED  # noqa: E402

Program = tuple[Callable[..., Any], Callable[[], tuple[Tensor, ...]]]


def gate_behind_product(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    gate = torch.sigmoid(x)
    mixed = (x.sin() * 2) @ w
    return gate * mixed, F.relu(gate - mixed)


def decay_behind_product(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    decay = torch.exp(-x.abs())
    mixed = F.relu(x * 2) @ w
    return decay * mixed, F.relu(decay - mixed)


def decay_into_sums(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    decay = torch.exp(-x.abs())
    mixed = F.relu(x * 2) @ w
    return (decay * mixed).sum(-1), (decay + mixed).amax(-1)


def limiter_to_pcm(x: Tensor) -> tuple[Tensor, ...]:
    return torch.tanh(x) * 2, (x * 32767).round().clamp(-32768, 32767).to(torch.int16)


def softmax_and_fixed_point(x: Tensor) -> tuple[Tensor, ...]:
    return x.softmax(-1), (x * 4096).to(torch.int16)


def gelu_and_fixed_point(x: Tensor) -> tuple[Tensor, ...]:
    return F.gelu(x), (x * 4096).to(torch.int16)


def sigmoid_and_uint16(x: Tensor) -> tuple[Tensor, ...]:
    return torch.sigmoid(x), (x.abs() * 1000).to(torch.uint16)


def arithmetic_and_fixed_point(x: Tensor) -> tuple[Tensor, ...]:
    return x * 2 + 1, (x * 4096).to(torch.int16)


def siblings(x: Tensor) -> tuple[Tensor, ...]:
    return x.sin(), x.cos(), x * 2


def residual_norm(x: Tensor, y: Tensor) -> Tensor:
    return F.layer_norm(x + F.gelu(y), x.shape[-1:])


def gated(x: Tensor, w: Tensor) -> Tensor:
    return torch.sigmoid(x) * F.relu(x @ w)


def _random(*sizes: tuple[int, ...]) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: tuple(torch.randn(size) for size in sizes)


_TALL, _SQUARE = (16384, 32), (32, 32)
PROGRAMS: dict[str, Program] = {
    "gate behind a product": (gate_behind_product, _random(_TALL, _SQUARE)),
    "decay behind a product": (decay_behind_product, _random(_TALL, _SQUARE)),
    "decay into sums": (decay_into_sums, _random(_TALL, _SQUARE)),
    "limiter to PCM": (limiter_to_pcm, _random((1 << 18,))),
    "softmax and fixed point": (softmax_and_fixed_point, _random((512, 512))),
    "gelu and fixed point": (gelu_and_fixed_point, _random((1 << 18,))),
    "sigmoid and uint16": (sigmoid_and_uint16, _random((1 << 18,))),
    "arithmetic and fixed point": (arithmetic_and_fixed_point, _random((1 << 18,))),
    "siblings": (siblings, _random((1 << 18,))),
    "residual and norm": (residual_norm, _random((512, 512), (512, 512))),
    "gated": (gated, _random(_TALL, _SQUARE)),
}
# Timed; all of the models of the fusion tests, and their training steps, are scheduled.
MODELS = {name: _MODELS[name] for name in ("roberta", "llama", "t5", "resnet", "mobilenet", "convnext")}
SCHEDULED = {**{name: (build, False) for name, build in _MODELS.items()},
             **{f"{name}, a training step": (build, True) for name, build in TRAINED.items()}}  # fmt: skip
