"""Small training steps, each about the backward of one operator or layer: STEPS by name, as in corpus.py.

What is differentiated is the sum of what a program returns; its modules are in training mode. Tensors that are inputs
are differentiated too, unless they hold integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from corpus import Built, Program, ids
from torch import Tensor, nn

STEPS: dict[str, Callable[[], Built]] = {}


def step(*shapes: tuple[int, ...] | Callable[[], Tensor]) -> Callable[[Any], Any]:
    """A step of a function of normal f32 tensors of these sizes, or of what functions make; a function without
    parameters but tensors is the program itself, a function of nothing makes a module."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def build() -> Built:
            torch.manual_seed(0)
            inputs = tuple(shape() if callable(shape) else torch.randn(shape) for shape in shapes)
            made = function() if function.__code__.co_argcount == 0 else Program(function)
            inputs = tuple(x.requires_grad_() if x.is_floating_point() else x for x in inputs)
            return made.train(), inputs

        STEPS[function.__name__] = build
        return function

    return register


S = (16, 32)
IMAGE = (2, 8, 12, 12)

# ---- norms and losses -----------------------------------------------------------------------------------------------


@step(S, (32,), (32,))
def layer_norm_step(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, (32,), weight, bias).pow(2)


@step(S, S, (32,))
def residual_and_rms_norm_step(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    x = x + residual
    return x, weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


@step(IMAGE)
def batch_norm_step() -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())


@step(IMAGE, (8,), (8,))
def group_norm_step(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.silu(F.group_norm(x, 4, weight, bias))


@step((16, 100), ids(100, 16))
def cross_entropy_step(x: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(x * 2, target)


@step((2, 8, 100), ids(100, 2, 8))
def shifted_cross_entropy_step(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].reshape(-1, 100), labels[:, 1:].reshape(-1), ignore_index=3)


@step(S, S)
def mse_and_smooth_l1_step(x: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(x, y) + F.smooth_l1_loss(x, y * 2)


@step(S)
def softmax_step(x: Tensor) -> Tensor:
    return (x.softmax(-1) * x.log_softmax(0)).relu()


# ---- indices --------------------------------------------------------------------------------------------------------


@step((50, 32), ids(50, 4, 8))
def embedding_step(table: Tensor, index: Tensor) -> Tensor:
    return F.embedding(index, table) * 3


@step((50, 32), (16, 32), ids(50, 4, 8))
def embeddings_with_positions_step(table: Tensor, positions: Tensor, index: Tensor) -> Tensor:
    return F.layer_norm(F.embedding(index, table, padding_idx=0) + positions[:8], (32,))


@step(S, ids(16, 6), ids(32, 6))
def index_step(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return x[rows, columns].exp()


@step((4, 16, 32), ids(32, 6))
def index_of_last_dimension_step(x: Tensor, columns: Tensor) -> Tensor:
    return x[:, :, columns] * 2


@step(S, ids(16, 4, 32))
def gather_step(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(0, index).sigmoid()


@step(S, S)
def cat_and_slice_step(x: Tensor, y: Tensor) -> Tensor:
    z = torch.cat([x, y.tanh()], 1)
    return z[:, 8:40] * z[:, :32]


@step(S)
def maximum_step(x: Tensor) -> tuple[Tensor, ...]:
    return x.max(-1).values, x.amax(0)


# ---- activations ----------------------------------------------------------------------------------------------------


@step(S)
def gelu_step(x: Tensor) -> Tensor:
    return F.gelu(x) + F.gelu(x, approximate="tanh")


@step(S)
def dropout_step(x: Tensor) -> Tensor:
    return F.dropout(x.relu(), 0.1) * 2


@step(S, S)
def swiglu_step(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate) * up


@step(S, (32, 64), (64,), (64, 32))
def mlp_step(x: Tensor, first: Tensor, bias: Tensor, second: Tensor) -> Tensor:
    return F.gelu(x @ first + bias) @ second + x


@step((8, 16))
def linear_with_dropout_step() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Dropout(0.2), nn.Linear(32, 4))


# ---- attention ------------------------------------------------------------------------------------------------------


@step((2, 4, 16, 8), (2, 4, 16, 8), (2, 4, 16, 8))
def sdpa_step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q * 0.5, k, v, is_causal=True)


@step((2, 16, 32), (96, 32))
def attention_block_step(x: Tensor, weight: Tensor) -> Tensor:
    q, k, v = (t.view(2, 16, 4, 8).transpose(1, 2) for t in F.linear(x, weight).split(32, -1))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(2, 16, 32) + x


@step((2, 16, 8), (2, 16, 8), (2, 16, 8))
def attention_of_products_step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(1, 2) / 3).softmax(-1) @ v


# ---- images ---------------------------------------------------------------------------------------------------------


@step((2, 3, 16, 16))
def convolution_step() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())


@step((2, 3, 16, 16))
def two_convolutions_step() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4))


@step(IMAGE)
def depthwise_step() -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.SiLU(), nn.Conv2d(8, 4, 1))


@step((2, 6, 20))
def convolution_1d_step() -> nn.Module:
    return nn.Sequential(nn.Conv1d(6, 8, 3), nn.GELU(), nn.Conv1d(8, 4, 1))


@step((2, 6, 6, 6))
def transposed_convolution_step() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(6, 4, 2, stride=2), nn.ReLU())


@step(IMAGE)
def max_pool_step(x: Tensor) -> Tensor:
    return F.max_pool2d(x.relu(), 3, 2, 1)


@step(IMAGE)
def average_pool_step(x: Tensor) -> Tensor:
    return F.avg_pool2d(x * 2, 2).relu()


@step(IMAGE)
def global_pool_and_linear_step() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


@step(IMAGE)
def upsample_step(x: Tensor) -> Tensor:
    return F.interpolate(x.relu(), scale_factor=2.0)


@step(IMAGE)
def bilinear_step(x: Tensor) -> Tensor:
    return F.interpolate(x, size=(20, 20), mode="bilinear") * 2


# ---- more -----------------------------------------------------------------------------------------------------------


@step(S, S)
def where_and_clamp_step(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(x > 0, x.clamp(-0.5, 0.5), y) / (y.abs() + 1)


@step((4, 8, 16))
def variance_and_cumsum_step(x: Tensor) -> Tensor:
    return (x - x.mean(1, keepdim=True)) / x.var(1, keepdim=True).sqrt() + x.cumsum(-1)


@step(S, (32, 16), (16,))
def step_with_its_update(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A step of AdamW by hand, whose moments are made from what the forward computes."""
    loss = torch.sigmoid(x @ weight + bias).mean()
    moment = 0.1 * weight
    square = 0.001 * weight * weight
    return loss + (weight - 0.01 * (moment / (square.sqrt() + 1e-8) + 0.1 * weight)).sum()


@step((8, 1, 16), (1, 8, 16))
def broadcast_step(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum(-1).sigmoid()
